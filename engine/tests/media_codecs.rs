//! Every codec through a channel, end to end over loopback in made-up time: what goes in comes out, between any two codecs, in any packet
//! time, across a change of codec, and by echo.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline::media::codec::{Decoder, Encoder};
use trunkline::media::{
    AudioRate, Carriage, Channel, Command, Encoding, KeySource, Media, MediaConfig, MediaEvent,
    MediaEvents, OpusSettings, Shard, StreamParams,
};
use trunkline::rtp::packet::{self, Header};
use trunkline_dsp::dtmf;
use trunkline_dsp::resample::Up2;

/// Payload type of telephone events.
const EVENTS: u8 = 101;

/// What is said, at 8 kHz: a sweep, which is like itself at one place only.
fn sweep(ms: usize) -> Vec<i16> {
    let samples = ms * 8;
    let mut phase = 0.0f64;
    (0..samples)
        .map(|n| {
            let hz = 300.0 + 900.0 * n as f64 / samples as f64;
            phase += hz / 8000.0 * std::f64::consts::TAU;
            (phase.sin() * 8000.0) as i16
        })
        .collect()
}

fn at_rate(samples: &[i16], rate: AudioRate) -> Vec<i16> {
    match rate {
        AudioRate::Narrow => samples.to_vec(),
        AudioRate::Wide => {
            let mut out = vec![0; samples.len() * 2];
            Up2::new().process(samples, &mut out);
            out
        }
    }
}

fn payload_type(encoding: Encoding) -> u8 {
    Encoding::ALL.iter().position(|of| *of == encoding).unwrap() as u8 + 102
}

/// A phone and the channel it talks to.
struct Party {
    channel: Channel,
    events: MediaEvents,
    socket: UdpSocket,
    encoding: Encoding,
    encoder: Encoder,
    decoder: Decoder,
    header: Header,
    /// Length of the packets it sends.
    ptime_ms: u32,
    /// What it says, at its rate, and what of it was said.
    says: Vec<i16>,
    said: usize,
    /// At the rate of its codec.
    heard: Vec<i16>,
    heard_ms: Vec<u32>,
    stamps: Vec<(u32, bool)>,
    keys: String,
}

impl Party {
    fn new(media: &Media, encoding: Encoding, ptime_ms: u32, wants_ms: u8) -> Party {
        let (channel, events) = media.open().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", channel.rtp_port())).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut party = Party {
            channel,
            events,
            socket,
            encoding,
            encoder: Encoder::new(encoding, OpusSettings::default()).unwrap(),
            decoder: Decoder::new(encoding).unwrap(),
            header: Header {
                marker: true,
                payload_type: 0,
                sequence: 500,
                timestamp: 77_000,
                ssrc: 99,
            },
            ptime_ms,
            says: Vec::new(),
            said: 0,
            heard: Vec::new(),
            heard_ms: Vec::new(),
            stamps: Vec::new(),
            keys: String::new(),
        };
        party.speak(encoding, wants_ms, Vec::new());
        party
    }

    /// Agrees on a codec.
    fn speak(&mut self, encoding: Encoding, wants_ms: u8, also: Vec<(u8, Encoding)>) {
        self.change_own(encoding);
        let remote = self.socket.local_addr().unwrap();
        let stream = StreamParams {
            ptime_ms: wants_ms,
            also,
            telephone_event_send: Some(EVENTS),
            telephone_event_recv: Some(EVENTS),
            ..StreamParams::plain(encoding, payload_type(encoding), remote)
        };
        self.channel
            .send(Command::Stream(Box::new(stream)))
            .unwrap();
    }

    /// From now on the phone speaks and understands another codec.
    fn change_own(&mut self, encoding: Encoding) {
        self.encoding = encoding;
        self.header.payload_type = payload_type(encoding);
        self.encoder = Encoder::new(encoding, OpusSettings::default()).unwrap();
        self.decoder = Decoder::new(encoding).unwrap();
    }

    fn say(&mut self, samples: &[i16]) {
        self.says = at_rate(samples, self.encoding.audio());
        self.said = 0;
    }

    /// Sends a packet if one is due.
    fn turn(&mut self, ms: u32) {
        if !ms.is_multiple_of(self.ptime_ms) {
            return;
        }
        let length = self.encoding.audio().samples_in_ms(self.ptime_ms);
        let mut samples = vec![0; length];
        let part = &self.says[self.said.min(self.says.len())..];
        let part = &part[..part.len().min(length)];
        samples[..part.len()].copy_from_slice(part);
        self.said += length;
        let mut payload = [0; 1400];
        let octets = self.encoder.encode(&samples, &mut payload);
        self.send(self.header, &payload[..octets]);
        let units = self.encoding.clock().samples_in_ms(self.ptime_ms);
        self.header.timestamp = self.header.timestamp.wrapping_add(units);
        self.header.marker = false;
    }

    fn send(&mut self, header: Header, payload: &[u8]) {
        let mut datagram = [0; 1500];
        let length = packet::build(&header, payload, &mut datagram).unwrap();
        self.socket.send(&datagram[..length]).unwrap();
        self.header.sequence = self.header.sequence.wrapping_add(1);
    }

    fn hear(&mut self) {
        let mut datagram = [0; 2000];
        while let Ok(length) = self.socket.recv(&mut datagram) {
            let packet = packet::parse(&datagram[..length]).unwrap();
            let header = packet.header;
            if header.payload_type == EVENTS {
                let event = packet.payload;
                self.stamps.push((header.timestamp, event[1] & 0x80 != 0));
                self.heard_ms
                    .push(u32::from(u16::from_be_bytes([event[2], event[3]])));
                continue;
            }
            if header.payload_type != payload_type(self.encoding) {
                continue; // of before a change
            }
            let mut samples = [0; 1920];
            let count = self.decoder.decode(packet.payload, &mut samples).unwrap();
            let rate = self.encoding.audio();
            self.heard_ms.push(count as u32 * 1000 / rate.hz());
            self.heard.extend(&samples[..count]);
            self.stamps.push((header.timestamp, header.marker));
        }
        while let Ok(event) = self.events.try_recv() {
            if let MediaEvent::KeyEnd {
                key,
                source,
                duration_ms,
            } = event
            {
                let how = if source == KeySource::InBand {
                    't'
                } else {
                    'e'
                };
                self.keys.push_str(&format!("{key}{how}{duration_ms} "));
            }
        }
    }

    /// What it heard, at 16 kHz.
    fn sound(&self) -> Vec<i16> {
        match self.encoding.audio() {
            AudioRate::Narrow => at_rate(&self.heard, AudioRate::Wide),
            AudioRate::Wide => self.heard.clone(),
        }
    }
}

/// The engine, driven by the test. The shard goes first: the engine's end waits for it.
struct Rig {
    shard: Shard,
    media: Media,
    now: Instant,
    ms: u32,
}

impl Rig {
    fn new(first_port: u16) -> Rig {
        let config = MediaConfig {
            bind: "127.0.0.1".parse().unwrap(),
            ports: first_port..=first_port + 199,
            max_channels: 100,
            dscp: None,
            ..MediaConfig::default()
        };
        let (media, shard) = Media::assemble(config).unwrap();
        Rig {
            media,
            shard,
            // Ahead of what the clock says, so that a slow machine changes nothing.
            now: Instant::now() + Duration::from_secs(3600),
            ms: 0,
        }
    }

    fn bridge(&self, a: &Party, b: &Party) {
        let carriage = Carriage {
            events: true,
            mute_inband_keys: false,
        };
        self.media
            .bridge(&a.channel, &b.channel, carriage, carriage)
            .unwrap();
    }

    /// So many ms go by.
    fn run(&mut self, parties: &mut [Party], ms: u32) {
        for _ in 0..ms / 10 {
            for party in &mut *parties {
                party.turn(self.ms);
            }
            self.ms += 10;
            self.now += Duration::from_millis(10);
            self.shard.turn(self.now);
            self.shard.turn(self.now);
            parties.iter_mut().for_each(Party::hear);
        }
    }
}

/// The best likeness of a part of what was said anywhere in what was heard, and by how many dB it is louder.
fn likeness(heard: &[i16], said: &[i16]) -> (f64, f64) {
    let energy = |samples: &[i16]| -> f64 {
        let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
        sum.max(1.0)
    };
    let own = energy(said);
    let at = |place: usize| {
        let window = &heard[place..place + said.len()];
        let product: i64 = window
            .iter()
            .zip(said)
            .map(|(a, b)| i64::from(*a) * i64::from(*b))
            .sum();
        let there = energy(window);
        (
            product as f64 / (there * own).sqrt(),
            10.0 * (there / own).log10(),
        )
    };
    // In steps of a quarter period at most, then within some periods of the best of them.
    let places = 0..=heard.len().saturating_sub(said.len());
    let better = |a: &usize, b: &usize| at(*a).0.total_cmp(&at(*b).0);
    let mut best = (0, f64::MIN);
    for place in places.clone().step_by(4) {
        let like = at(place).0;
        if like > best.1 {
            best = (place, like);
        }
    }
    let near = best.0.saturating_sub(60)..=(best.0 + 60).min(*places.end());
    at(near.max_by(better).unwrap_or(best.0))
}

/// What a lossy codec may change: least likeness, most dB.
fn tolerance(encodings: &[Encoding]) -> (f64, f64) {
    match encodings.contains(&Encoding::Opus) {
        true => (0.90, 1.0),
        // The laws of G.711 change the level of a sine by up to 0.2 dB.
        false => (0.97, 0.3),
    }
}

fn assert_heard(name: &str, party: &Party, said: &[i16], codecs: &[Encoding]) {
    // 100 ms from the middle.
    let part = at_rate(&said[said.len() / 2..][..800], AudioRate::Wide);
    let (like, db) = likeness(&party.sound(), &part);
    let (least, most_db) = tolerance(codecs);
    assert!(like > least, "{name}: likeness {like:.3}");
    assert!(db.abs() < most_db, "{name}: {db:.2} dB");
}

#[test]
fn any_codec_is_heard_in_any_other() {
    let mut rig = Rig::new(43_000);
    let said = sweep(600);
    let pairs: Vec<(Encoding, Encoding)> = Encoding::ALL
        .into_iter()
        .flat_map(|a| Encoding::ALL.map(|b| (a, b)))
        .filter(|(a, b)| (*a as u8) <= (*b as u8))
        .collect();
    let mut parties = Vec::new();
    for (a, b) in &pairs {
        parties.push(Party::new(&rig.media, *a, 20, 20));
        parties.push(Party::new(&rig.media, *b, 20, 20));
        let [.., a, b] = &parties[..] else {
            unreachable!()
        };
        rig.bridge(a, b);
    }
    rig.run(&mut parties, 200);
    parties.iter_mut().for_each(|party| party.say(&said));
    rig.run(&mut parties, 900);
    for (n, (a, b)) in pairs.into_iter().enumerate() {
        assert_heard(
            &format!("{a:?} in {b:?}"),
            &parties[2 * n + 1],
            &said,
            &[a, b],
        );
        assert_heard(&format!("{b:?} in {a:?}"), &parties[2 * n], &said, &[a, b]);
        for party in &parties[2 * n..2 * n + 2] {
            let step = party.encoding.clock().samples_in_ms(20);
            let steady = party.stamps.windows(2).rev().take(20);
            assert!(
                steady
                    .clone()
                    .all(|of| of[1].0.wrapping_sub(of[0].0) == step),
                "{:?}: {:?}",
                party.encoding,
                steady.collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn every_packet_time_both_ways() {
    let mut rig = Rig::new(43_200);
    let said = sweep(600);
    for encoding in Encoding::ALL {
        let mut parties = Vec::new();
        for ptime_ms in [10, 20, 30, 40, 50, 60] {
            // It sends one length and asks for another; the bridge frames anew.
            let sent_ms = u32::from(encoding.sendable_ms(ptime_ms));
            parties.push(Party::new(&rig.media, encoding, sent_ms, 70 - ptime_ms));
            parties.push(Party::new(&rig.media, Encoding::Pcma, 20, 20));
            let [.., a, b] = &parties[..] else {
                unreachable!()
            };
            rig.bridge(a, b);
        }
        rig.run(&mut parties, 200);
        parties.iter_mut().for_each(|party| party.say(&said));
        rig.run(&mut parties, 1000);
        for (n, pair) in parties.chunks(2).enumerate() {
            let ptime_ms = 10 * (n as u8 + 1);
            let name = format!("{encoding:?}, {ptime_ms} ms");
            let wanted = u32::from(encoding.sendable_ms(70 - ptime_ms));
            assert_heard(&name, &pair[0], &said, &[encoding]);
            assert_heard(&name, &pair[1], &said, &[encoding]);
            let late = &pair[0].heard_ms[pair[0].heard_ms.len() / 2..];
            assert!(late.iter().all(|ms| *ms == wanted), "{name}: {late:?}");
        }
    }
}

#[test]
fn echo_comes_back_in_every_codec() {
    let mut rig = Rig::new(43_400);
    let said = sweep(600);
    let mut parties = Encoding::ALL.map(|encoding| Party::new(&rig.media, encoding, 20, 20));
    for party in &parties {
        party.channel.send(Command::Echo(true)).unwrap();
    }
    rig.run(&mut parties, 200);
    parties.iter_mut().for_each(|party| party.say(&said));
    rig.run(&mut parties, 900);
    for party in &parties {
        let name = format!("{:?}", party.encoding);
        assert_heard(&name, party, &said, &[party.encoding]);
    }
}

#[test]
fn a_change_of_codec_in_mid_call_keeps_the_audio() {
    let mut rig = Rig::new(43_600);
    let said = sweep(600);
    let mut parties = [
        Party::new(&rig.media, Encoding::Pcmu, 20, 20),
        Party::new(&rig.media, Encoding::Pcma, 20, 20),
    ];
    rig.bridge(&parties[0], &parties[1]);
    rig.run(&mut parties, 400);
    for encoding in [
        Encoding::Opus,
        Encoding::L16Narrow,
        Encoding::G722,
        Encoding::Pcma,
    ] {
        let before = parties[0].stamps.last().unwrap().0;
        parties[0].speak(encoding, 20, Vec::new());
        parties.iter_mut().for_each(|party| party.heard.clear());
        rig.run(&mut parties, 300);
        parties.iter_mut().for_each(|party| party.say(&said));
        rig.run(&mut parties, 900);
        assert_heard(&format!("to {encoding:?}"), &parties[0], &said, &[encoding]);
        assert_heard(&format!("of {encoding:?}"), &parties[1], &said, &[encoding]);
        let after = parties[0].stamps.last().unwrap().0;
        let units = encoding.clock().samples_in_ms(1200);
        let step = after.wrapping_sub(before);
        assert!(
            step.abs_diff(units) < units / 10,
            "{encoding:?}: {step} for {units}"
        );
    }
}

#[test]
fn a_peer_may_send_what_it_named_besides() {
    let mut rig = Rig::new(43_800);
    let said = sweep(600);
    let mut parties = [Party::new(&rig.media, Encoding::Pcma, 20, 20)];
    let also = [Encoding::Pcmu, Encoding::Opus].map(|other| (payload_type(other), other));
    parties[0].speak(Encoding::Pcma, 20, also.to_vec());
    parties[0].channel.send(Command::Echo(true)).unwrap();
    rig.run(&mut parties, 200);
    for encoding in [Encoding::Pcmu, Encoding::Opus] {
        // It speaks the other codec and hears the first.
        parties[0].change_own(encoding);
        parties[0].encoding = encoding;
        parties[0].say(&said);
        let mut heard = Vec::new();
        for _ in 0..90 {
            let party = &mut parties[0];
            party.turn(rig.ms.next_multiple_of(20));
            rig.ms += 20;
            rig.now += Duration::from_millis(20);
            rig.shard.turn(rig.now);
            let mut datagram = [0; 2000];
            while let Ok(length) = party.socket.recv(&mut datagram) {
                let packet = packet::parse(&datagram[..length]).unwrap();
                assert_eq!(packet.header.payload_type, payload_type(Encoding::Pcma));
                let mut samples = [0; 160];
                let mut decoder = Decoder::new(Encoding::Pcma).unwrap();
                decoder.decode(packet.payload, &mut samples).unwrap();
                heard.extend(samples);
            }
        }
        let (like, _) = likeness(&heard, &said[2400..4000]);
        assert!(like > tolerance(&[encoding]).0, "{encoding:?}: {like}");
    }
}

#[test]
fn keys_are_counted_in_the_clock_of_the_audio() {
    let mut rig = Rig::new(44_000);
    let mut parties = [Encoding::Opus, Encoding::L16Wide, Encoding::G722]
        .map(|encoding| Party::new(&rig.media, encoding, 20, 20));
    rig.run(&mut parties, 200);
    for party in &mut parties {
        party.heard_ms.clear();
        let digits = Command::SendDigits {
            id: 1,
            digits: "5".into(),
            tone_ms: 2000,
            gap_ms: 60,
        };
        party.channel.send(digits).unwrap();
        // And one that it sends: 100 ms.
        let clock = party.encoding.clock();
        for (n, end) in [(1, false), (3, false), (5, true)] {
            let [high, low] = (clock.samples_in_ms(20 * n) as u16).to_be_bytes();
            let header = Header {
                payload_type: EVENTS,
                marker: n == 1,
                ..party.header
            };
            party.send(header, &[7, u8::from(end) << 7, high, low]);
            rig.shard.turn(rig.now);
        }
    }
    rig.run(&mut parties, 2600);
    for party in &parties {
        assert_eq!(party.keys, "7e100 ", "{:?}", party.encoding);
        let clock = party.encoding.clock();
        // 2 s are more than one packet can state at 48 kHz: the rest is in other segments (RFC 4733 section 2.5.1.3).
        let total = clock.samples_in_ms(2000);
        let last = total - total.saturating_sub(1) / 0xFFFF * 0xFFFF;
        assert!(party.heard_ms.contains(&last), "{:?}", party.encoding);
    }
}

#[test]
fn a_key_goes_over_a_bridge_of_different_clocks() {
    let mut rig = Rig::new(44_200);
    let mut parties = [
        Party::new(&rig.media, Encoding::Opus, 20, 20),
        Party::new(&rig.media, Encoding::Pcmu, 20, 20),
    ];
    rig.bridge(&parties[0], &parties[1]);
    rig.run(&mut parties, 400);
    let first = parties[0].header.timestamp;
    parties[1].heard_ms.clear();
    parties[1].stamps.clear();
    for n in 1..=8u32 {
        let [high, low] = (960 * n.min(6) as u16).to_be_bytes();
        let header = Header {
            payload_type: EVENTS,
            marker: n == 1,
            timestamp: first,
            ..parties[0].header
        };
        parties[0].send(header, &[3, u8::from(n >= 6) << 7 | 10, high, low]);
        rig.shard.turn(rig.now);
    }
    parties[1].hear();
    assert_eq!(
        parties[1].heard_ms,
        [160, 320, 480, 640, 800, 960, 960, 960]
    );
    let stamps: Vec<u32> = parties[1].stamps.iter().map(|of| of.0).collect();
    assert!(stamps.iter().all(|stamp| *stamp == stamps[0]), "{stamps:?}");
}

#[test]
fn tones_are_heard_in_wide_audio() {
    let mut rig = Rig::new(44_400);
    let mut parties = [
        Encoding::G722,
        Encoding::Opus,
        Encoding::L16Wide,
        Encoding::L16Narrow,
    ]
    .map(|encoding| Party::new(&rig.media, encoding, 20, 20));
    let mut tones = vec![0; 800];
    dtmf::Generator::new(8000, dtmf::Key::from_char('8').unwrap(), -10.0, -10.0).fill(&mut tones);
    for party in &mut parties {
        party
            .channel
            .send(Command::Detect { inband: true })
            .unwrap();
        party.say(&[&[0; 800][..], &tones, &[0; 800]].concat());
    }
    rig.run(&mut parties, 1000);
    for party in &parties {
        assert!(
            party.keys.starts_with("8t"),
            "{:?}: {}",
            party.encoding,
            party.keys
        );
        assert_eq!(party.keys.matches('t').count(), 1, "{:?}", party.encoding);
    }
}
