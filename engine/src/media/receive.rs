//! What a channel does with received datagrams: check, latch, count, and hand on to the key receiver and the jitter buffer.

use std::net::SocketAddr;
use std::time::Instant;

use super::bridge::Passed;
use super::channel::{ChannelState, Moment, Surroundings};
use super::codec::{AudioRate, ClockRate, Encoding};
use super::event::{ChannelStats, MediaEvent};
use super::frame::Frame;
use super::hearing::Hearing;
use super::keys::event_key;
use super::latch::Verdict;
use super::life::Life;
use super::playout::Pulled;
use super::relay::Kind;
use super::stats::MediaStats;
use crate::net::rtp_socket;
use crate::rtp::packet::{self, Header, Malformed, Packet};
use crate::rtp::reception::{Arrival, Reception};
use crate::rtp::stun;
use crate::rtp::telephone_event::{KeyEvent, Payload, Receiver};

/// Static payload type of comfort noise (RFC 3389).
const COMFORT_NOISE: u8 = 13;
/// Frames for which a playout is kept that nobody listens to: somebody often does again.
const KEPT_FRAMES: u32 = 250;

/// The receiving side of a channel.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) reception: Option<Reception>,
    /// Makes frames of what comes, while somebody listens.
    pub(crate) hearing: Option<Box<Hearing>>,
    /// Frames since somebody did.
    unheard: u32,
    pub(crate) keys: Receiver,
    /// What the source's timestamps count in.
    clock: ClockRate,
    packets: u64,
    octets: u64,
    late: u64,
    strangers: u64,
    invalid: u64,
    /// Of sources before the present one.
    lost_before: u64,
    duplicates_before: u64,
    reordered_before: u64,
    first_at: Option<Instant>,
    /// When the last packet came, or the stream was last set.
    heard_at: Instant,
    pub(crate) life: Life,
}

impl Incoming {
    pub(crate) fn new(now: Instant) -> Incoming {
        Incoming {
            reception: None,
            hearing: None,
            unheard: 0,
            keys: Receiver::default(),
            clock: ClockRate::HZ_8000,
            packets: 0,
            octets: 0,
            late: 0,
            strangers: 0,
            invalid: 0,
            lost_before: 0,
            duplicates_before: 0,
            reordered_before: 0,
            first_at: None,
            heard_at: now,
            life: Life::new(now),
        }
    }

    /// Another codec is expected from now on.
    pub(crate) fn change_codec(
        &mut self,
        encoding: Encoding,
        events: ClockRate,
        on: &mut impl FnMut(KeyEvent),
    ) {
        self.keys.set_clock(events, on);
        self.change_clock(encoding.clock());
    }

    fn change_clock(&mut self, clock: ClockRate) {
        self.clock = clock;
        if let Some(reception) = &mut self.reception {
            reception.set_clock(clock.hz());
        }
    }

    /// Audio begins anew in the same codec.
    pub(crate) fn forget(&mut self) {
        if let Some(hearing) = &mut self.hearing {
            hearing.forget();
        }
    }

    /// The RTP timeout counts from now.
    pub(crate) fn expect_from(&mut self, now: Instant) {
        self.heard_at = now;
        self.life.sign(now);
    }

    /// Whether any audio ever came.
    pub(crate) fn has_begun(&self) -> bool {
        self.packets > 0
    }

    /// Packets that came too late to be played.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// Fills in its part of the statistics.
    pub(crate) fn add_to(&self, stats: &mut ChannelStats, opened: Instant) {
        let (lost, duplicates, reordered, jitter) = match &self.reception {
            Some(of) => (of.lost(), of.duplicates(), of.reordered(), of.jitter_ms()),
            None => (0, 0, 0, 0.0),
        };
        stats.packets_in = self.packets;
        stats.octets_in = self.octets;
        stats.late = self.late;
        stats.stranger = self.strangers;
        stats.invalid = self.invalid;
        stats.lost = self.lost_before + lost;
        stats.duplicate = self.duplicates_before + duplicates;
        stats.reordered = self.reordered_before + reordered;
        stats.jitter_ms = jitter;
        stats.first_rtp_in_ms = self.first_at.map(|at| (at - opened).as_millis() as u32);
    }

    /// Begins the statistics of a new source.
    fn change_source(&mut self, ssrc: u32, sequence: u16) {
        if let Some(before) = self.reception.take() {
            self.lost_before += before.lost();
            self.duplicates_before += before.duplicates();
            self.reordered_before += before.reordered();
        }
        self.reception = Some(Reception::new(ssrc, sequence, self.clock.hz()));
    }
}

impl ChannelState {
    /// Takes a datagram of the RTP socket. Returns what goes over a bridge.
    pub(crate) fn receive_rtp<'d>(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        datagram: &'d mut [u8],
        source: SocketAddr,
    ) -> Option<Passed<'d>> {
        let dropped = &around.stats.dropped;
        let Some(stream) = &mut self.stream else {
            dropped.unexpected.add(1);
            return None;
        };
        if stun::is_stun(datagram) {
            self.receive_stun(around, datagram, source, false);
            return None;
        }
        if stream.params.rtcp_mux && packet::is_rtcp(datagram) {
            self.receive_rtcp(around, moment, datagram, source);
            return None;
        }
        if stream.latch.excludes(source) {
            self.incoming.strangers += 1;
            self.path.facts.stranger_from = Some(source);
            dropped.stranger.add(1);
            return None;
        }
        let Some(length) = stream.open_rtp(dropped, datagram) else {
            self.incoming.invalid += 1;
            self.path.facts.srtp_failed += 1;
            return None;
        };
        let datagram = &datagram[..length];
        let packet = match packet::parse(datagram) {
            Ok(packet) => packet,
            Err(malformed) => {
                self.incoming.invalid += 1;
                count_malformed(&around.stats, malformed);
                return None;
            }
        };
        let header = packet.header;
        match stream
            .latch
            .judge(moment.now, source, header.ssrc, header.sequence)
        {
            Verdict::Peer => {}
            Verdict::Latched => self.settle(source),
            Verdict::Stranger => {
                self.incoming.strangers += 1;
                self.path.facts.stranger_from = Some(source);
                dropped.stranger.add(1);
                return None;
            }
        }
        self.receive_from_peer(around, moment, &packet)
    }

    /// The peer's address is known: send there, and let the kernel keep others out.
    pub(crate) fn settle(&mut self, peer: SocketAddr) {
        let address = rtp_socket::reachable_from(self.sockets.local_ip(), peer);
        let checks = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.params.ice.is_some());
        // Unconnected works too, only dearer.
        self.sockets.connected = !checks && self.sockets.rtp.connect(address).is_ok();
        self.tell(MediaEvent::Latched {
            remote: peer,
            first: !self.ever_latched,
        });
        self.ever_latched = true;
    }

    fn receive_from_peer<'d>(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        packet: &Packet<'d>,
    ) -> Option<Passed<'d>> {
        let params = &self.stream.as_ref()?.params;
        let (now, header) = (moment.now, packet.header);
        let stats = &around.stats;
        let events = params.telephone_event_recv == Some(header.payload_type);
        let audio = params.received_as(header.payload_type);
        let receive = params.receive;
        let noise =
            [Some(COMFORT_NOISE), params.comfort_noise].contains(&Some(header.payload_type));
        if !(events || audio.is_some() || noise) {
            self.incoming.invalid += 1;
            self.path.wrong_payload(header.payload_type);
            stats.dropped.payload_type.add(1);
            return None;
        }
        let encoding = audio.unwrap_or(params.encoding);
        let event_clock = params.telephone_event_clock;
        self.count_in(stats, now, packet.payload.len());
        let other_source = self
            .incoming
            .reception
            .as_ref()
            .is_none_or(|reception| reception.ssrc != header.ssrc);
        if other_source {
            self.restart_source(now, header.ssrc, header.sequence);
        }
        let arrival = self.incoming.reception.as_mut()?.receive(header.sequence);
        match arrival {
            Arrival::InOrder | Arrival::Reordered => {}
            Arrival::Restarted => {
                self.incoming.keys.resequence(header.sequence);
                self.forget_audio();
            }
            Arrival::Stray => return None,
            Arrival::Duplicate => {
                stats.duplicate.add(1);
                return None;
            }
        }
        let kind = if !receive {
            stats.dropped.unexpected.add(1);
            return None;
        } else if events {
            self.receive_event(now, packet);
            let event = Payload::parse(packet.payload)?;
            Kind::Event {
                duration: event.duration,
            }
        } else if audio.is_some() {
            let ms = encoding.clock().ms(encoding.duration(packet.payload)?);
            self.measure_packet(encoding, ms);
            self.path.listen(encoding, packet.payload);
            self.receive_audio(around, now, packet, encoding);
            Kind::Audio
        } else {
            if let Some(hearing) = &mut self.incoming.hearing {
                hearing.quieten(header.sequence, packet.payload);
            }
            Kind::ComfortNoise
        };
        let frames = self.passes_frames();
        let bridge = self.bridge.as_ref()?;
        // Frames sound of the noise.
        if frames && matches!(kind, Kind::Audio | Kind::ComfortNoise) {
            return None;
        }
        Some(Passed {
            to: bridge.peer,
            carriage: bridge.carriage,
            header,
            payload: packet.payload,
            kind,
            in_order: arrival != Arrival::Reordered,
            fresh: other_source || arrival == Arrival::Restarted,
            encoding,
            event_clock,
            frames,
        })
    }

    fn receive_event(&mut self, now: Instant, packet: &Packet<'_>) {
        let Header {
            sequence,
            timestamp,
            marker,
            ..
        } = packet.header;
        self.path.facts.keys = true;
        if let Some(hearing) = &mut self.incoming.hearing {
            hearing.skip(sequence);
        }
        let mut on = report_keys(self.incoming.keys.clock(), now, &self.events);
        self.incoming
            .keys
            .receive(now, sequence, timestamp, marker, packet.payload, &mut on);
    }

    fn receive_audio(
        &mut self,
        around: &Surroundings,
        now: Instant,
        packet: &Packet<'_>,
        encoding: Encoding,
    ) {
        let header = packet.header;
        if encoding.clock() != self.incoming.clock {
            self.incoming.change_clock(encoding.clock());
        }
        if let Some(reception) = &mut self.incoming.reception {
            reception.time(now, header.timestamp);
        }
        if !self.is_listened_to() {
            return;
        }
        self.open_ears(around);
        let now_us = self.us_at(now);
        if let Some(hearing) = &mut self.incoming.hearing
            && hearing.insert(&around.stock, now_us, encoding, &header, packet.payload)
        {
            self.incoming.late += 1;
            around.stats.late.add(1);
        }
    }

    fn count_in(&mut self, stats: &MediaStats, now: Instant, octets: usize) {
        let incoming = &mut self.incoming;
        incoming.packets += 1;
        incoming.octets += octets as u64;
        incoming.first_at.get_or_insert(now);
        incoming.expect_from(now);
        stats.packets_in.add(1);
        stats.octets_in.add(octets as u64);
    }

    fn restart_source(&mut self, now: Instant, ssrc: u32, sequence: u16) {
        self.incoming.change_source(ssrc, sequence);
        self.incoming.keys.reset(&mut report_keys(
            self.incoming.keys.clock(),
            now,
            &self.events,
        ));
        self.forget_audio();
    }

    /// Sequence numbers and timestamps begin anew.
    pub(crate) fn forget_audio(&mut self) {
        self.incoming.forget();
    }

    /// Lets keys go whose end was lost, and reports a peer that fell silent.
    pub(crate) fn watch(&mut self, around: &Surroundings, now: Instant) {
        if self
            .incoming
            .keys
            .next_timeout()
            .is_some_and(|at| at <= now)
        {
            self.incoming.keys.expire(
                now,
                &mut report_keys(self.incoming.keys.clock(), now, &self.events),
            );
        }
        let (expected, wanted) = match &self.stream {
            Some(stream) => (stream.params.receive, stream.params.send),
            None => (false, false),
        };
        let (life, talking) = (&mut self.incoming.life, expected && wanted);
        if life.watch(now, talking, around.rtp_timeout) {
            self.tell(MediaEvent::RtpTimeout);
        }
        if !expected {
            self.incoming.heard_at = now;
            return;
        }
        if self.incoming.packets == 0 {
            self.watch_path(now, now.saturating_duration_since(self.incoming.heard_at));
        }
    }

    /// Whether somebody wants the next received frame. The playout is taken from the stock when it is wanted, and freed elsewhere when
    /// nobody has wanted it for a while.
    pub(crate) fn is_heard(&mut self, around: &Surroundings) -> bool {
        let wanted = self.is_listened_to();
        if wanted {
            self.incoming.unheard = 0;
            self.open_ears(around);
        } else if self.incoming.hearing.is_some() {
            self.incoming.unheard += 1;
            if self.incoming.unheard >= KEPT_FRAMES {
                self.end_playout();
                let hearing = self.incoming.hearing.take();
                hearing
                    .into_iter()
                    .for_each(|hearing| around.scrap(hearing));
            }
        }
        wanted
    }

    fn open_ears(&mut self, around: &Surroundings) {
        if self.incoming.hearing.is_none()
            && let Some(stream) = &self.stream
        {
            self.incoming.hearing = around.stock.hearing(stream.params.encoding);
        }
    }

    /// Takes the next received frame for whoever listens: detector and recording here, others by `heard`.
    /// Returns whether there is anything but silence.
    pub(crate) fn listen(
        &mut self,
        around: &Surroundings,
        now: Instant,
        heard: &mut Frame,
    ) -> bool {
        let pulled = self.pull(around, now, heard);
        self.retune(now, heard.rate());
        self.listen_for_keys(now, heard.samples(), &pulled);
        self.share_heard(heard.samples());
        match pulled {
            Pulled::Audio | Pulled::Concealed(_) => true,
            Pulled::Comfort => self
                .incoming
                .hearing
                .as_ref()
                .is_some_and(|of| of.has_noise()),
            Pulled::Idle => false,
        }
    }
}

impl ChannelState {
    /// The time of the jitter buffer.
    fn us_at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.opened).as_micros() as u64
    }

    /// The next frame of the peer's audio.
    fn pull(&mut self, around: &Surroundings, now: Instant, heard: &mut Frame) -> Pulled {
        let now_us = self.us_at(now);
        let Some(hearing) = &mut self.incoming.hearing else {
            // The frame still has the rate of the channel before.
            let rate = self
                .stream
                .as_ref()
                .map_or(AudioRate::Narrow, |stream| stream.params.encoding.audio());
            heard.silence_at(rate);
            return Pulled::Idle;
        };
        let pulled = hearing.pull(&around.stock, now_us, heard);
        if let Some(room) = hearing.give_back() {
            around.scrap(room);
        }
        pulled
    }

    /// The detector hears at the rate of the audio. A key that is down is let go where it changes.
    fn retune(&mut self, now: Instant, rate: AudioRate) {
        if self.detector_rate != rate
            && self.detector.is_some()
            && let Some(detector) = self.detect(now, None)
        {
            let profile = detector.profile();
            self.detector_rate = rate;
            self.detect(now, Some((detector, profile)));
        }
    }
}

fn count_malformed(stats: &MediaStats, malformed: Malformed) {
    match malformed {
        Malformed::TooShort => stats.dropped.too_short.add(1),
        Malformed::Version => stats.dropped.version.add(1),
        Malformed::Truncated => stats.dropped.truncated.add(1),
        Malformed::Padding => stats.dropped.padding.add(1),
    }
}

pub(crate) fn report_keys(
    clock: ClockRate,
    now: Instant,
    events: &tokio::sync::mpsc::UnboundedSender<MediaEvent>,
) -> impl FnMut(KeyEvent) + '_ {
    move |event| {
        if let Some(key) = event_key(clock, now, event) {
            let _ = events.send(key);
        }
    }
}
