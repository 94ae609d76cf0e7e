//! Phones with a codec and a line of their own, and the engine they call, in made-up time.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline::media::codec::{Decoder, Encoder, opus};
use trunkline::media::{
    Carriage, Channel, ChannelStats, Command, Encoding, KeySource, Media, MediaConfig, MediaEvent,
    MediaEvents, OpusSettings, Shard, SrtpParams, StreamParams,
};
use trunkline::rtp::packet::{self, Header};
use trunkline::rtp::srtp::{Receiver, Sender};

use crate::sound::{at_rate, wide};

/// Time goes by in steps of so many µs.
const STEP_US: u64 = 5000;
/// Payload types of telephone events, and of comfort noise where it is agreed.
pub(crate) const EVENTS: u8 = 101;
pub(crate) const NOISE: u8 = 114;
/// How long a datagram may take over loopback on a machine that has no time. Never reached by a passing test.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn payload_type(encoding: Encoding) -> u8 {
    Encoding::ALL.iter().position(|of| *of == encoding).unwrap() as u8 + 102
}

/// What a line does to what a phone sends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// Packets lost, of 1000, at places that only the seed decides.
    pub(crate) loss: u32,
    pub(crate) seed: u32,
    /// Every so many packets, one is overtaken by the next.
    pub(crate) swaps: Option<u32>,
    /// Every so many packets, one comes twice.
    pub(crate) twice: Option<u32>,
    /// By how much the phone's clock is too slow, in millionths.
    pub(crate) slow_ppm: i64,
}

/// A packet as the phone got it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Got {
    pub(crate) header: Header,
    pub(crate) ms: u32,
    pub(crate) at_us: u64,
    /// A packet of Opus says again what was in the one before.
    pub(crate) repeats: bool,
}

/// A phone and the channel it talks to.
pub(crate) struct Party {
    pub(crate) channel: Channel,
    pub(crate) events: MediaEvents,
    socket: UdpSocket,
    /// What was agreed, and what it hears.
    pub(crate) encoding: Encoding,
    /// What it speaks, of what it named.
    speaks: Encoding,
    /// What it named besides.
    pub(crate) also: Vec<(u8, Encoding)>,
    /// Whether comfort noise was agreed.
    pub(crate) noise: bool,
    /// Its keys, and what it protects and opens packets with, where its line is encrypted.
    srtp: Option<(SrtpParams, Sender, Receiver)>,
    /// Whether RTCP shares its socket.
    pub(crate) mux: bool,
    encoder: Encoder,
    decoder: Decoder,
    pub(crate) header: Header,
    /// Length of the packets it sends, and of those it wants.
    ptime_ms: u32,
    wants_ms: u8,
    /// Packets of audio it sent or lost, and all datagrams that went out.
    pub(crate) sent: u32,
    datagrams: u64,
    /// Since when its packets have this length, and how many went before.
    began_us: Option<u64>,
    sent_before: u32,
    paused: bool,
    pub(crate) faults: Faults,
    overtaken: Option<Vec<u8>>,
    /// Which packets of the present speech were lost.
    pub(crate) lost: Vec<bool>,
    /// What it says, at its rate, and how much of it was said.
    says: Vec<i16>,
    said: usize,
    /// At the rate of its codec.
    heard: Vec<i16>,
    pub(crate) got: Vec<Got>,
    /// Of the telephone events that it got: timestamp, and duration in units.
    pub(crate) got_events: Vec<(u32, u16)>,
    /// What it got of comfort noise.
    pub(crate) got_noise: Vec<Vec<u8>>,
    taken: u64,
}

impl Party {
    pub(crate) fn new(media: &Media, encoding: Encoding) -> Party {
        Party::framing(media, encoding, 20, 20)
    }

    pub(crate) fn framing(media: &Media, encoding: Encoding, ptime_ms: u32, wants_ms: u8) -> Party {
        let (channel, events) = media.open().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", channel.rtp_port())).unwrap();
        socket.set_nonblocking(true).unwrap();
        let party = Party {
            channel,
            events,
            socket,
            encoding,
            speaks: encoding,
            also: Vec::new(),
            noise: false,
            srtp: None,
            mux: false,
            encoder: Encoder::new(encoding, OpusSettings::default()).unwrap(),
            decoder: Decoder::new(encoding).unwrap(),
            header: Header {
                marker: true,
                payload_type: payload_type(encoding),
                sequence: 65_500,
                timestamp: 4_294_960_000,
                ssrc: 99,
            },
            ptime_ms,
            wants_ms,
            sent: 0,
            datagrams: 0,
            began_us: None,
            sent_before: 0,
            paused: false,
            faults: Faults::default(),
            overtaken: None,
            lost: Vec::new(),
            says: Vec::new(),
            said: 0,
            heard: Vec::new(),
            got: Vec::new(),
            got_events: Vec::new(),
            got_noise: Vec::new(),
            taken: 0,
        };
        party.agree(true, true);
        party
    }

    /// Agrees on its stream, and whether it is sent and listened to.
    pub(crate) fn agree(&self, send: bool, receive: bool) {
        let remote = self.socket.local_addr().unwrap();
        let stream = StreamParams {
            ptime_ms: self.wants_ms,
            send,
            receive,
            also: self.also.clone(),
            telephone_event_send: Some(EVENTS),
            telephone_event_recv: Some(EVENTS),
            comfort_noise: self.noise.then_some(NOISE),
            rtcp_mux: self.mux,
            srtp: self.srtp.as_ref().map(|srtp| Box::new(srtp.0.clone())),
            ..StreamParams::plain(self.encoding, payload_type(self.encoding), remote)
        };
        let stream = Command::Stream(Box::new(stream));
        self.channel.send(stream).unwrap();
    }

    /// Agrees on keys, as the engine sees them; counters go on in a direction whose key stays.
    pub(crate) fn encrypt(&mut self, keys: SrtpParams) {
        let (mut sender, mut receiver) = (Sender::new(&keys.receive), Receiver::new(&keys.send));
        if let Some((before, old_sender, old_receiver)) = self.srtp.take() {
            if before.receive == keys.receive {
                sender = old_sender;
            }
            if before.send == keys.send {
                receiver = old_receiver;
            }
        }
        self.srtp = Some((keys, sender, receiver));
        self.agree(true, true);
    }

    /// Agrees on another codec; what it hears begins anew.
    pub(crate) fn change(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        self.speak(encoding);
        self.decoder = Decoder::new(encoding).unwrap();
        self.heard.clear();
        self.agree(true, true);
    }

    /// From now on it speaks another of the codecs that it named.
    pub(crate) fn speak(&mut self, encoding: Encoding) {
        self.speaks = encoding;
        self.header.payload_type = payload_type(encoding);
        self.encoder = Encoder::new(encoding, OpusSettings::default()).unwrap();
    }

    /// Its coder repeats what may be lost, if it is one that can (Opus).
    pub(crate) fn expect_loss(&mut self) {
        let settings = OpusSettings {
            expected_loss_percent: 20,
            ..OpusSettings::default()
        };
        self.encoder = Encoder::new(self.encoding, settings).unwrap();
    }

    /// From now on it says that, at 8 kHz, then silence; what it hears begins anew.
    pub(crate) fn say(&mut self, samples: &[i16]) {
        self.says = at_rate(samples, self.speaks.audio());
        self.said = 0;
        self.lost.clear();
        self.listen_anew();
    }

    pub(crate) fn listen_anew(&mut self) {
        self.heard.clear();
    }

    /// What it heard, at 16 kHz.
    pub(crate) fn sound(&self) -> Vec<i16> {
        wide(&self.heard, self.encoding.audio())
    }

    /// From now on its packets are of another length.
    pub(crate) fn frame_anew(&mut self, ptime_ms: u32) {
        self.ptime_ms = ptime_ms;
        self.began_us = None;
        self.sent_before = self.sent;
    }

    /// From now on it sends nothing of itself.
    pub(crate) fn pause(&mut self) {
        self.paused = true;
    }

    /// It begins to send at this moment of the rig.
    pub(crate) fn begin_at(&mut self, us: u64) {
        self.began_us = Some(us);
    }

    /// Sends the packets that are due.
    fn turn(&mut self, now_us: u64) {
        if self.paused {
            return;
        }
        let began = *self.began_us.get_or_insert(now_us);
        loop {
            let ptime_ms = i64::from(self.ptime_ms);
            let length_us = ptime_ms * 1000 + ptime_ms * self.faults.slow_ppm / 1000;
            if began + u64::from(self.sent - self.sent_before) * length_us as u64 > now_us {
                return;
            }
            self.send_next();
        }
    }

    fn send_next(&mut self) {
        let length = self.speaks.audio().samples_in_ms(self.ptime_ms);
        let mut samples = vec![0; length];
        let part = &self.says[self.said.min(self.says.len())..];
        let part = &part[..part.len().min(length)];
        samples[..part.len()].copy_from_slice(part);
        self.said += length;
        let (mut payload, mut datagram) = ([0; 1400], [0; 1500]);
        let octets = self.encoder.encode(&samples, &mut payload);
        let length = packet::build(&self.header, &payload[..octets], &mut datagram).unwrap();
        let units = self.speaks.clock().samples_in_ms(self.ptime_ms);
        self.header.timestamp = self.header.timestamp.wrapping_add(units);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.marker = false;
        self.sent += 1;
        self.transmit(&datagram[..length]);
    }

    fn transmit(&mut self, datagram: &[u8]) {
        let draw = mixed(self.faults.seed.wrapping_mul(0x9E37_79B9) ^ self.sent);
        let lost = draw % 1000 < self.faults.loss;
        self.lost.push(lost);
        if lost {
            return;
        }
        let sent = self.sent;
        let falls = |every: Option<u32>| every.is_some_and(|every| sent.is_multiple_of(every));
        if falls(self.faults.swaps) && self.overtaken.is_none() {
            self.overtaken = Some(datagram.to_vec());
            return;
        }
        self.put(datagram);
        if falls(self.faults.twice) {
            self.put(datagram);
        }
        if let Some(overtaken) = self.overtaken.take() {
            self.put(&overtaken);
        }
    }

    fn put(&mut self, datagram: &[u8]) {
        let mut space = [0; 1600];
        let mut length = datagram.len();
        space[..length].copy_from_slice(datagram);
        if let Some((_, sender, _)) = &mut self.srtp {
            length = sender.protect_rtp(&mut space, length).unwrap();
        }
        self.socket.send(&space[..length]).unwrap();
        self.datagrams += 1;
    }

    /// Sends any packet with its next number. What else is in the header is as given.
    pub(crate) fn send_as(&mut self, header: Header, payload: &[u8]) {
        let mut datagram = [0; 1500];
        let header = Header {
            sequence: self.header.sequence,
            ..header
        };
        let length = packet::build(&header, payload, &mut datagram).unwrap();
        self.put(&datagram[..length]);
        self.header.sequence = self.header.sequence.wrapping_add(1);
    }

    /// Reports over the shared socket that it lost so many of 256 packets that it was sent (RFC 3550 section 6.4.2).
    pub(crate) fn report_loss(&self, of_256: u8) {
        let mut report = [0; 32];
        report[..4].copy_from_slice(&[0x81, 201, 0, 7]);
        report[4..8].copy_from_slice(&self.header.ssrc.to_be_bytes());
        let heard = self.got.last().unwrap().header;
        report[8..12].copy_from_slice(&heard.ssrc.to_be_bytes());
        report[12] = of_256;
        report[18..20].copy_from_slice(&heard.sequence.to_be_bytes());
        self.socket.send(&report).unwrap();
    }

    /// Keys that were told of it, each with its source and length in ms.
    pub(crate) fn keys(&mut self) -> Vec<(char, KeySource, u32)> {
        let mut keys = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let MediaEvent::KeyEnd {
                key,
                source,
                duration_ms,
                ..
            } = event
            {
                keys.push((key, source, duration_ms));
            }
        }
        keys
    }

    fn hear(&mut self, at_us: u64) {
        let mut datagram = [0; 2000];
        while let Ok(mut length) = self.socket.recv(&mut datagram) {
            if packet::is_rtcp(&datagram[..length]) {
                continue;
            }
            self.taken += 1;
            if let Some((_, _, receiver)) = &mut self.srtp {
                let opened = receiver.unprotect_rtp(&mut datagram[..length]);
                length = opened.expect("authentic");
            }
            let packet = packet::parse(&datagram[..length]).unwrap();
            let header = packet.header;
            if header.payload_type == EVENTS {
                let [_, _, high, low] = *packet.payload else {
                    panic!("an event of {} octets", packet.payload.len());
                };
                let units = u16::from_be_bytes([high, low]);
                self.got_events.push((header.timestamp, units));
                continue;
            }
            if header.payload_type == NOISE {
                self.got_noise.push(packet.payload.to_vec());
                continue;
            }
            if header.payload_type != payload_type(self.encoding) {
                continue; // of before a change
            }
            let mut samples = [0; 1920];
            let count = self.decoder.decode(packet.payload, &mut samples).unwrap();
            let ms = count as u32 * 1000 / self.encoding.audio().hz();
            self.heard.extend(&samples[..count]);
            let repeats = self.encoding == Encoding::Opus
                && opus::packet::head(packet.payload).is_some_and(|head| head.redundancy);
            self.got.push(Got {
                header,
                ms,
                at_us,
                repeats,
            });
        }
    }

    /// Whether everything it got from there on is one stream: one source, numbers without gaps, each packet where the last one ended.
    #[track_caller]
    pub(crate) fn assert_one_stream(&self, name: &str, from: usize) {
        let clock = self.encoding.clock();
        for pair in self.got[from..].windows(2) {
            let (before, after) = (pair[0].header, pair[1].header);
            let facts = format!("{name}: {pair:?}");
            assert_eq!(before.ssrc, after.ssrc, "{facts}");
            assert_eq!(after.sequence, before.sequence.wrapping_add(1), "{facts}");
            let step = after.timestamp.wrapping_sub(before.timestamp);
            assert_eq!(step, clock.samples_in_ms(pair[0].ms), "{facts}");
            assert!(!after.marker, "{facts}");
        }
    }
}

/// A number that looks like any other.
fn mixed(of: u32) -> u32 {
    let mut x = of.wrapping_add(0x7F4A_7C15);
    x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}

/// The engine, driven by the test. The shard goes first: the engine's end waits for it.
pub(crate) struct Rig {
    shard: Shard,
    pub(crate) media: Media,
    now: Instant,
    pub(crate) us: u64,
    /// Datagrams sent to the engine, and taken from it, by phones that are gone.
    gone: [u64; 2],
}

impl Rig {
    pub(crate) fn new(first_port: u16) -> Rig {
        let config = MediaConfig {
            bind: "127.0.0.1".parse().unwrap(),
            ports: first_port..=first_port + 199,
            max_channels: 100,
            dscp: None,
            ..MediaConfig::default()
        };
        let begun = Instant::now();
        let (media, shard) = Media::assemble(config).unwrap();
        Rig {
            media,
            shard,
            // Ahead of the machine's time, so that a slow one does not catch up with it; packets come between the engine's milliseconds, in
            // each run at the same place.
            now: begun + Duration::from_millis(3_600_000) + Duration::from_micros(800),
            us: 0,
            gone: [0; 2],
        }
    }

    pub(crate) fn bridge(&self, a: &Party, b: &Party) {
        self.bridge_carrying(a, b, Carriage::default());
    }

    pub(crate) fn bridge_carrying(&self, a: &Party, b: &Party, carriage: Carriage) {
        let bridged = self
            .media
            .bridge(&a.channel, &b.channel, carriage, carriage);
        bridged.unwrap();
    }

    /// So many ms go by.
    pub(crate) fn run(&mut self, parties: &mut [Party], ms: u64) {
        self.run_in_steps(parties, ms, STEP_US);
    }

    pub(crate) fn run_in_steps(&mut self, parties: &mut [Party], ms: u64, step_us: u64) {
        let end = self.us + ms * 1000;
        while self.us < end {
            for party in &mut *parties {
                party.turn(self.us);
            }
            self.us += step_us;
            self.now += Duration::from_micros(step_us);
            self.settle(parties);
        }
    }

    /// The engine takes all that was sent, and does what is due; the phones take all that it sent. On a machine with no time, loopback does
    /// not deliver at once: made-up time waits. All phones there are must be given.
    pub(crate) fn settle(&mut self, parties: &mut [Party]) {
        let count = |of: fn(&Party) -> u64, gone: u64| parties.iter().map(of).sum::<u64>() + gone;
        let sent = count(|party| party.datagrams, self.gone[0]);
        let end = Instant::now() + PATIENCE;
        let stats = self.media.shard_stats().next().unwrap();
        // Each turn takes one packet of a socket.
        self.shard.turn(self.now);
        while {
            self.shard.turn(self.now);
            stats.packets_in.value() < sent
        } {
            assert!(Instant::now() < end, "{sent} sent: {stats:?}");
        }
        while {
            parties.iter_mut().for_each(|party| party.hear(self.us));
            let taken: u64 = parties.iter().map(|party| party.taken).sum();
            taken + self.gone[1] < stats.packets_out.value()
        } {
            assert!(Instant::now() < end, "not all heard: {stats:?}");
        }
    }

    /// Ends a party's channel.
    pub(crate) fn close(&mut self, party: Party) -> ChannelStats {
        let Party {
            channel,
            mut events,
            datagrams,
            ..
        } = party;
        drop(channel);
        for _ in 0..50 {
            self.now += Duration::from_micros(STEP_US);
            self.shard.turn(self.now);
        }
        // Another thread reports the end.
        while let Some(event) = events.blocking_recv() {
            if let MediaEvent::Closed(stats) = event {
                self.gone[0] += datagrams;
                self.gone[1] += stats.packets_out;
                return *stats;
            }
        }
        panic!("a channel ended without a word");
    }
}
