//! What a channel does every 20 ms: listen, choose what to say, send it. Nothing here allocates, locks, logs or formats.

use std::net::UdpSocket;
use std::time::Instant;

use super::both_sides;
use super::channel::{ChannelState, Moment, Sockets, Stream, Surroundings};
use super::codec::{ClockRate, FRAME_MS, FRAME_SAMPLES};
use super::digits::DigitFrame;
use super::event::MediaEvent;
use super::frame::Frame;
use super::player::Player;
use super::relay::Position;
use super::retire::ChannelId;
use super::room::{Mix, Rooms};
use super::voice::{LONGEST_PAYLOAD, Speech};
use crate::net::rtp_socket;
use crate::rtp::is_newer;
use crate::rtp::packet::{self, HEADER_LEN, Header};
use crate::rtp::srtp::MAX_TRAILER;

/// The sending side of a channel.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) ssrc: u32,
    /// Timestamp at the shard's millisecond 0: one clock for audio and events.
    epoch: u32,
    clock: ClockRate,
    sequence: u16,
    /// The next audio packet begins a talkspurt.
    pub(crate) marker: bool,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) first_at: Option<Instant>,
    last: Option<Last>,
    /// How far changes between bridge and own audio have put the stream ahead of time.
    lead_ms: i64,
}

/// The newest packet of a stream.
#[derive(Debug, Clone, Copy)]
struct Last {
    /// The timestamp after the last sample.
    end: u32,
    /// The newest timestamp, and when it was sent first: an event repeats its own.
    stamp: u32,
    stamp_ms: u64,
    tick_ms: u64,
    /// Whether it came over a bridge.
    bridged: bool,
}

impl Outgoing {
    pub(crate) fn new(ssrc: u32, epoch: u32, sequence: u16) -> Outgoing {
        Outgoing {
            ssrc,
            epoch,
            clock: ClockRate::HZ_8000,
            // Low, so that a receiver that misses the first packets cannot miss a roll-over (RFC 3711 section 3.3.1).
            sequence: sequence & 0x7FFF,
            marker: true,
            packets: 0,
            octets: 0,
            first_at: None,
            last: None,
            lead_ms: 0,
        }
    }

    /// The shard's clock in the stream's units.
    fn clock(&self, tick_ms: u64) -> u32 {
        self.epoch
            .wrapping_add(self.clock.samples_in_ms(tick_ms as u32))
    }

    /// What its timestamps count in.
    pub(crate) fn clock_rate(&self) -> ClockRate {
        self.clock
    }

    /// From now on timestamps count in other units. They go on from the newest one by the time that goes by, in the new units
    /// (RFC 7160 section 4.1): the source remains the same.
    pub(crate) fn set_clock(&mut self, clock: ClockRate, tick_ms: u64) {
        if clock == self.clock {
            return;
        }
        let now = self.clock(tick_ms);
        let end = self.last.map_or(now, |last| last.end);
        let ahead = end.wrapping_sub(now) as i32;
        let anchor = match u32::try_from(ahead) {
            Ok(ahead) => end.wrapping_sub(clock.samples_in_ms(self.clock.ms(ahead))),
            Err(_) => now,
        };
        self.clock = clock;
        self.epoch = self
            .epoch
            .wrapping_add(anchor)
            .wrapping_sub(self.clock(tick_ms));
    }

    /// The numbers of the next packet. Its time is the end of the last one unless there was a pause: neither a change of who speaks nor
    /// a source whose clock is not ours makes it jump.
    pub(crate) fn position(&self, tick_ms: u64) -> Position {
        let clock = self.clock(tick_ms);
        let timestamp = match self.last {
            Some(last)
                if (clock.wrapping_sub(last.end) as i32)
                    < self.clock.samples_in_ms(FRAME_MS) as i32 =>
            {
                last.end
            }
            _ => clock,
        };
        Position {
            sequence: self.sequence,
            timestamp,
        }
    }

    /// The stream's timestamp at a moment, for sender reports.
    pub(crate) fn timestamp(&self, tick_ms: u64) -> u32 {
        self.last.map_or(self.clock(tick_ms), |last| {
            let elapsed = tick_ms.saturating_sub(last.stamp_ms) as u32;
            last.stamp.wrapping_add(self.clock.samples_in_ms(elapsed))
        })
    }

    /// Whether the channel itself may speak now. After audio of a bridge it waits for its next frame if both together would be ahead of
    /// time by a frame, so that changes do not add up to delay at the peer.
    fn may_speak(&self, tick_ms: u64) -> bool {
        self.last.is_none_or(|last| {
            let gap = tick_ms.saturating_sub(last.tick_ms) as i64;
            !last.bridged || gap > self.lead_ms || gap >= 2 * i64::from(FRAME_MS)
        })
    }

    /// Counts by how much a change of who speaks made the stream go ahead of time.
    fn change_speaker(&mut self, last: Last, tick_ms: u64) {
        let (gap, frame) = (
            tick_ms.saturating_sub(last.tick_ms) as i64,
            i64::from(FRAME_MS),
        );
        self.lead_ms = if gap >= 2 * frame {
            0
        } else {
            (self.lead_ms + frame - gap).max(-frame)
        };
    }

    /// Takes note of a packet of so many samples.
    pub(crate) fn went_out(
        &mut self,
        moment: Moment,
        header: &Header,
        samples: u32,
        bridged: bool,
    ) {
        if !is_newer(self.sequence, header.sequence) {
            self.sequence = header.sequence.wrapping_add(1);
        }
        if let Some(last) = self.last
            && last.bridged != bridged
        {
            self.change_speaker(last, moment.tick_ms);
        }
        let end = header.timestamp.wrapping_add(samples);
        let end = match self.last {
            // Events are behind the audio, and so is what comes late.
            Some(last) if (end.wrapping_sub(last.end) as i32) < 0 => last.end,
            _ => end,
        };
        let (stamp, stamp_ms) = match self.last {
            Some(last) if (header.timestamp.wrapping_sub(last.stamp) as i32) <= 0 => {
                (last.stamp, last.stamp_ms)
            }
            _ => (header.timestamp, moment.tick_ms),
        };
        self.last = Some(Last {
            end,
            stamp,
            stamp_ms,
            tick_ms: moment.tick_ms,
            bridged,
        });
    }

    /// Time goes by for which the codec sends nothing; what follows begins a talkspurt (RFC 3551 section 4.1).
    fn pass(&mut self, moment: Moment, samples: u32) {
        if let Some(last) = &mut self.last {
            last.end = last.end.wrapping_add(samples);
            last.tick_ms = moment.tick_ms;
        }
        self.marker = true;
    }

    /// Sends one packet.
    pub(crate) fn send(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        sockets: &Sockets,
        stream: &mut Stream,
        header: &Header,
        payload: &[u8],
    ) {
        let (mut small, mut large);
        let datagram: &mut [u8] = if payload.len() <= FRAME_SAMPLES {
            small = [0; HEADER_LEN + FRAME_SAMPLES + MAX_TRAILER];
            &mut small
        } else {
            large = [0; HEADER_LEN + LONGEST_PAYLOAD + MAX_TRAILER];
            &mut large
        };
        let Some(length) = packet::build(header, payload, datagram) else {
            return;
        };
        let stats = &around.stats;
        let sealed = stream.seal_rtp(datagram, length);
        if sealed.is_some_and(|length| sockets.send_rtp(stream, &datagram[..length])) {
            self.packets += 1;
            self.octets += payload.len() as u64;
            self.first_at.get_or_insert(moment.now);
            stats.packets_out.add(1);
            stats.octets_out.add(payload.len() as u64);
        } else {
            stats.send_errors.add(1);
        }
    }
}

impl Sockets {
    pub(crate) fn local_ip(&self) -> std::net::IpAddr {
        if self.is_v6 {
            std::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            std::net::Ipv4Addr::UNSPECIFIED.into()
        }
    }

    /// Sends on the RTP socket to the stream's peer. A full buffer or an unreachable peer loses the packet.
    pub(crate) fn send_rtp(&self, stream: &Stream, datagram: &[u8]) -> bool {
        if self.connected {
            // An earlier ICMP error is reported once instead of sending: the second try sends.
            let again = |error| {
                self.errors.note(&error);
                self.rtp.send(datagram)
            };
            return self.rtp.send(datagram).or_else(again).is_ok();
        }
        self.send_to(&self.rtp, stream.latch.destination(), datagram)
    }

    pub(crate) fn send_to(
        &self,
        socket: &UdpSocket,
        to: std::net::SocketAddr,
        datagram: &[u8],
    ) -> bool {
        // 0.0.0.0 and port 0 are what peers signal to get nothing (RFC 3264 section 8.4).
        if to.ip().is_unspecified() || to.port() == 0 {
            return false;
        }
        let to = rtp_socket::reachable_from(self.local_ip(), to);
        let sent = socket.send_to(datagram, to);
        sent.inspect_err(|error| self.errors.note(error)).is_ok()
    }
}

impl ChannelState {
    /// One frame of 20 ms. The received frame is in `heard` and goes to the channel that is returned, if any.
    pub(crate) fn step(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        rooms: &mut Rooms,
        heard: &mut Frame,
    ) -> Option<ChannelId> {
        self.watch(around, moment.now);
        self.stream.as_ref()?;
        let sounding = if self.is_heard(around) {
            self.listen(around, moment.now, heard)
        } else {
            heard.silence_at(heard.rate());
            false
        };
        let mix = self.room_turn(rooms, around, moment, sounding.then_some(&*heard));
        self.speak(around, moment, mix, sounding.then_some(heard));
        self.end_frame();
        self.rtcp_turn(around, moment);
        self.frame_for_the_far_side(heard)
    }

    /// Sends what the channel has to say itself: digits, what plays, its room, the echo, or silence; nothing while a bridge feeds it.
    fn speak(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        mix: Option<Mix<'_>>,
        echo: Option<&Frame>,
    ) {
        let own = self.speaks_itself();
        if !own && self.inlet.feeds(moment.tick_ms) || !self.outgoing.may_speak(moment.tick_ms) {
            return;
        }
        let Some(params) = self.stream.as_ref().map(|stream| &stream.params) else {
            return;
        };
        let (may_send, encoding) = (params.send, params.encoding);
        let mut tone = None;
        let digits = match self.digits {
            Some(_) => {
                let tone = tone.insert(Frame::silence(encoding.audio()));
                self.next_digit_frame(moment, tone)
            }
            None => None,
        };
        if let Some(DigitFrame::Event {
            timestamp,
            marker,
            payload,
        }) = digits
        {
            if may_send {
                self.send_event(around, moment, timestamp, marker, payload.to_bytes());
            }
            return;
        }
        let (mut octets, mut frame);
        let speech = match (tone.as_ref().filter(|_| digits.is_some()), mix) {
            (Some(tone), _) => Speech::Frame(tone),
            (None, _) if self.player.is_some() => match encoding.law() {
                Some(law) => {
                    octets = [0; FRAME_SAMPLES];
                    self.play(around, |player| player.fill(law, &mut octets));
                    Speech::Octets(&octets)
                }
                None => {
                    frame = Frame::silence(encoding.audio());
                    self.play(around, |player| player.fill_frame(&mut frame));
                    Speech::Frame(&frame)
                }
            },
            (None, _) if self.tap_plays() => {
                frame = Frame::silence(encoding.audio());
                self.play_tap(&mut frame);
                Speech::Frame(&frame)
            }
            (None, Some(Mix::Octets(mixed))) => {
                octets = mixed;
                Speech::Octets(&octets)
            }
            (None, Some(Mix::Packet(shared))) => Speech::Packet(shared),
            (None, Some(Mix::Linear(mixed))) => {
                frame = mixed;
                Speech::Frame(&frame)
            }
            (None, None)
                if self.echo
                    && let Some(echo) = echo =>
            {
                Speech::Frame(echo)
            }
            (None, None) => match encoding.law() {
                Some(law) => {
                    octets = [law.silence(); FRAME_SAMPLES];
                    Speech::Octets(&octets)
                }
                None => {
                    frame = Frame::silence(encoding.audio());
                    Speech::Frame(&frame)
                }
            },
        };
        if may_send {
            self.say(around, moment, speech, false);
        } else {
            self.outgoing.marker = true;
        }
    }

    /// The next frame of digits being sent, if any; `tone` is what it sounds like.
    fn next_digit_frame(&mut self, moment: Moment, tone: &mut Frame) -> Option<DigitFrame> {
        let digits = self.digits.as_mut()?;
        let params = &self.stream.as_ref()?.params;
        let events = params.telephone_event_send.is_some();
        let clock = params.telephone_event_clock;
        let timestamp = self.outgoing.position(moment.tick_ms).timestamp;
        let rate = params.encoding.audio();
        match digits.frame(clock, timestamp, events, rate, tone) {
            DigitFrame::Done => {
                let (id, key) = (digits.id(), digits.key());
                let sent = self.digits.take();
                self.scrap(sent);
                if let Some(key) = key.filter(|_| self.bridge.is_some()) {
                    self.inlet.press(key, moment.tick_ms);
                }
                self.tell(MediaEvent::DigitsSent { id });
                None
            }
            frame => Some(frame),
        }
    }

    fn play(&mut self, around: &Surroundings, fill: impl FnOnce(&mut Player) -> bool) {
        let Some(player) = &mut self.player else {
            return;
        };
        fill(player);
        while let Some(list) = player.take_ended() {
            let _ = self.events.send(MediaEvent::PlayDone { id: list.id() });
            around.scrap(list);
        }
        if player.is_done() {
            let (id, told) = (player.id(), player.tells_its_end());
            let done = std::mem::replace(&mut self.player, self.next_player.take());
            around.scrap_player(done);
            if told {
                self.tell(MediaEvent::PlayDone { id });
            }
        }
    }

    /// Says a frame of its own or (`bridged`) of the far side: sent when its packet is full.
    pub(crate) fn say(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        speech: Speech<'_>,
        bridged: bool,
    ) {
        self.inlet.interrupt();
        let Some(stream) = &mut self.stream else {
            return;
        };
        let law = stream.params.encoding.law();
        both_sides::keep_sent(&mut self.recording, &mut self.tap, law, speech);
        let ready = match speech {
            Speech::Octets(octets) => Some(&octets[..]),
            Speech::Packet(packet) => Some(packet.payload()),
            Speech::Frame(_) => None,
        };
        if let Some(payload) = ready
            && stream.voice.takes_octets_as_packets()
        {
            self.send_audio(around, moment, payload, FRAME_MS, bridged);
            return;
        }
        if !stream.voice.equip(&around.stock) {
            return;
        }
        stream.voice.take(speech);
        let mut payload = [0; LONGEST_PAYLOAD];
        while let Some(stream) = &mut self.stream
            && let Some(cut) = stream.voice.cut(&mut payload)
        {
            self.send_audio(around, moment, &payload[..cut.octets], cut.ms, bridged);
        }
    }

    /// Sends what waits for the rest of its packet: something else follows.
    pub(crate) fn say_the_rest(&mut self, around: &Surroundings, moment: Moment) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        if !stream.voice.is_gathering() {
            return;
        }
        let mut payload = [0; LONGEST_PAYLOAD];
        let bridged = self.outgoing.last.is_some_and(|last| last.bridged);
        if let Some(cut) = stream.voice.flush(&mut payload) {
            self.send_audio(around, moment, &payload[..cut.octets], cut.ms, bridged);
        }
    }

    /// Sends one packet of audio; an empty payload is time for which the codec sends nothing.
    fn send_audio(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        payload: &[u8],
        ms: u32,
        bridged: bool,
    ) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let out = &mut self.outgoing;
        let samples = out.clock.samples_in_ms(ms);
        if payload.is_empty() {
            out.pass(moment, samples);
            return;
        }
        let next = out.position(moment.tick_ms);
        let after_a_pause = out.last.is_some_and(|last| last.end != next.timestamp);
        let header = Header {
            marker: std::mem::take(&mut out.marker) || after_a_pause,
            payload_type: stream.params.payload_send,
            sequence: next.sequence,
            timestamp: next.timestamp,
            ssrc: out.ssrc,
        };
        out.send(around, moment, &self.sockets, stream, &header, payload);
        out.went_out(moment, &header, samples, bridged);
    }

    fn send_event(
        &mut self,
        around: &Surroundings,
        moment: Moment,
        timestamp: u32,
        marker: bool,
        payload: [u8; 4],
    ) {
        self.say_the_rest(around, moment);
        let Some(stream) = &mut self.stream else {
            return;
        };
        let Some(payload_type) = stream.params.telephone_event_send else {
            return;
        };
        let header = Header {
            marker,
            payload_type,
            sequence: self.outgoing.sequence,
            timestamp,
            ssrc: self.outgoing.ssrc,
        };
        // The audio clock goes on during the event.
        let now = self.outgoing.position(moment.tick_ms).timestamp;
        let samples = now
            .wrapping_sub(timestamp)
            .wrapping_add(self.outgoing.clock.samples_in_ms(FRAME_MS));
        let out = &mut self.outgoing;
        out.send(around, moment, &self.sockets, stream, &header, &payload);
        out.went_out(moment, &header, samples, false);
        self.inlet.interrupt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3550 section 6.4.1: the timestamp of a sender report goes with the wall clock, whatever is sent.
    #[test]
    fn the_clock_of_reports_goes_on_during_an_event() {
        let mut out = Outgoing::new(1, 0, 0);
        let mut went = |tick_ms, timestamp, samples| {
            let now = Instant::now();
            let header = Header {
                marker: false,
                payload_type: 0,
                sequence: 0,
                timestamp,
                ssrc: 1,
            };
            out.went_out(Moment { now, tick_ms }, &header, samples, true);
            out.timestamp(tick_ms)
        };
        assert_eq!(went(1000, 5000, 160), 5000);
        assert_eq!(went(1020, 5160, 160), 5160);
        // A relayed event: one timestamp, no samples of the stream's.
        for packet in 0..10 {
            let ms = 20 * packet;
            let report = went(1040 + ms, 5320, 0);
            assert_eq!(report, 5320 + ms as u32 * 8);
        }
        assert_eq!(went(1240, 6920, 160), 6920);
        assert_eq!(out.timestamp(1250), 7000);
    }
}
