//! Keys through channels and over bridges, end to end over loopback in made-up time: one press is one digit whatever it came by, and what
//! is kept out of the audio cannot be heard in it.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline::call::Arbiter;
use trunkline::call::arbiter::Heard;
use trunkline::media::codec::{Decoder, Encoder};
use trunkline::media::{
    Carriage, Channel, ClockRate, Command, Encoding, Media, MediaConfig, MediaEvent, MediaEvents,
    OpusSettings, Shard, StreamParams,
};
use trunkline::rtp::packet::{self, Header};
use trunkline::rtp::telephone_event::{KeyEvent, Payload, Receiver};
use trunkline_dsp::dtmf::{Generator, Key};

/// Payload types.
const EVENTS: u8 = 101;
const AUDIO: u8 = 96;

/// A phone, its channel, and the arbiter of its leg.
struct Party {
    channel: Channel,
    events: MediaEvents,
    socket: UdpSocket,
    encoding: Encoding,
    encoder: Encoder,
    decoder: Decoder,
    header: Header,
    /// What it says, at the rate of its codec.
    says: Vec<i16>,
    said: usize,
    /// What it hears, and how many ms of audio and events that is.
    heard: Vec<i16>,
    receiver: Receiver,
    /// Events it hears: `+` down, their code and length in ms up.
    keys: String,
    timestamps: Vec<u32>,
    arbiter: Arbiter,
    /// What the leg's arbiter made of it: `d` down, the digit up.
    pressed: String,
    /// Keys down and up, to be brought to the other side.
    edges: Vec<(char, Option<u32>)>,
    tones: Vec<f32>,
}

impl Party {
    fn new(rig: &Rig, encoding: Encoding, events: bool) -> Party {
        let (channel, of_channel) = rig.media.open().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", channel.rtp_port())).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut receiver = Receiver::default();
        receiver.set_clock(encoding.clock(), &mut |_| {});
        let party = Party {
            channel,
            events: of_channel,
            socket,
            encoding,
            encoder: Encoder::new(encoding, OpusSettings::default()).unwrap(),
            decoder: Decoder::new(encoding).unwrap(),
            header: Header {
                marker: true,
                payload_type: AUDIO,
                sequence: 500,
                timestamp: 77_000,
                ssrc: 99,
            },
            says: Vec::new(),
            said: 0,
            heard: Vec::new(),
            receiver,
            keys: String::new(),
            timestamps: Vec::new(),
            arbiter: Arbiter::new(rig.now),
            pressed: String::new(),
            edges: Vec::new(),
            tones: Vec::new(),
        };
        party.agree(events);
        party
    }

    /// Agrees on a stream with or without events.
    fn agree(&self, events: bool) {
        let remote = self.socket.local_addr().unwrap();
        let stream = StreamParams {
            telephone_event_send: events.then_some(EVENTS),
            telephone_event_recv: events.then_some(EVENTS),
            ..StreamParams::plain(self.encoding, AUDIO, remote)
        };
        let stream = Command::Stream(Box::new(stream));
        self.channel.send(stream).unwrap();
    }

    fn clock(&self) -> ClockRate {
        self.encoding.clock()
    }

    /// Sends 20 ms of what it says.
    fn turn(&mut self) {
        let length = self.encoding.audio().samples_per_frame();
        let mut samples = vec![0; length];
        let part = &self.says[self.said.min(self.says.len())..];
        let part = &part[..part.len().min(length)];
        samples[..part.len()].copy_from_slice(part);
        self.said += length;
        let mut payload = [0; 1400];
        let octets = self.encoder.encode(&samples, &mut payload);
        self.send(self.header, &payload[..octets]);
        let units = self.clock().samples_in_ms(20);
        self.header.timestamp = self.header.timestamp.wrapping_add(units);
        self.header.marker = false;
    }

    fn send(&mut self, header: Header, payload: &[u8]) {
        let mut datagram = [0; 1500];
        let length = packet::build(&header, payload, &mut datagram).unwrap();
        self.socket.send(&datagram[..length]).unwrap();
        self.header.sequence = self.header.sequence.wrapping_add(1);
    }

    /// Sends a packet of an event that began at that timestamp and has lasted for so many ms.
    fn event(&mut self, timestamp: u32, code: u8, ms: u32, end: bool) {
        let header = Header {
            payload_type: EVENTS,
            marker: ms <= 20,
            timestamp,
            ..self.header
        };
        let payload = Payload {
            code,
            end,
            volume: 10,
            duration: self.clock().samples_in_ms(ms) as u16,
        };
        self.send(header, &payload.to_bytes());
    }

    fn hear(&mut self, now: Instant) {
        let mut datagram = [0; 2000];
        while let Ok(length) = self.socket.recv(&mut datagram) {
            let packet = packet::parse(&datagram[..length]).unwrap();
            let header = packet.header;
            if header.payload_type == EVENTS {
                let (keys, clock) = (&mut self.keys, self.encoding.clock());
                let mut on = |event: KeyEvent| match event {
                    KeyEvent::Begin { .. } => keys.push('+'),
                    KeyEvent::End { code, duration } => {
                        keys.push_str(&format!("{code}:{} ", clock.ms(duration)));
                    }
                };
                let (sequence, timestamp) = (header.sequence, header.timestamp);
                self.timestamps.push(timestamp);
                let payload = packet.payload;
                self.receiver
                    .receive(now, sequence, timestamp, header.marker, payload, &mut on);
                continue;
            }
            let mut samples = [0; 1920];
            let count = self.decoder.decode(packet.payload, &mut samples).unwrap();
            self.heard.extend(&samples[..count]);
        }
        while let Ok(event) = self.events.try_recv() {
            if let MediaEvent::KeyBegin { tone, .. } = &event {
                self.tones.extend(tone.map(|tone| tone.snr_db));
            }
            match self.arbiter.hear(&event) {
                Heard::Nothing => {}
                Heard::Down(digit, _) => {
                    self.pressed.push('d');
                    self.edges.push((digit, None));
                }
                Heard::Press(press) => {
                    self.pressed.push(press.digit);
                    self.edges.push((press.digit, press.duration_ms));
                }
            }
        }
    }

    /// The two tones of keys, each after a pause.
    fn keys_as_tones(&self, keys: &str, tone_ms: usize, pause_ms: usize) -> Vec<i16> {
        let rate = self.encoding.audio();
        let mut out = Vec::new();
        for key in keys.chars() {
            out.resize(out.len() + rate.samples_in_ms(pause_ms as u32), 0);
            let mut tone = vec![0; rate.samples_in_ms(tone_ms as u32)];
            let key = Key::from_char(key).unwrap();
            Generator::new(rate.hz(), key, -10.0, -8.0).fill(&mut tone);
            out.extend(tone);
        }
        out
    }
}

/// The engine, driven by the test. The shard goes first: the engine's end waits for it.
struct Rig {
    shard: Shard,
    media: Media,
    now: Instant,
}

impl Rig {
    fn new(first_port: u16) -> Rig {
        let config = MediaConfig {
            bind: "127.0.0.1".parse().unwrap(),
            ports: first_port..=first_port + 99,
            max_channels: 40,
            dscp: None,
            ..MediaConfig::default()
        };
        let (media, shard) = Media::assemble(config).unwrap();
        Rig {
            media,
            shard,
            // Ahead of what the clock says, so that a slow machine changes nothing.
            now: Instant::now() + Duration::from_secs(3600),
        }
    }

    /// So many ms go by; keys of the first party are pressed at the second where the test asks for that.
    fn run(&mut self, parties: &mut [Party], ms: u32, converts: bool) {
        for _ in 0..ms / 20 {
            parties.iter_mut().for_each(Party::turn);
            for _ in 0..2 {
                self.now += Duration::from_millis(10);
                self.shard.turn(self.now);
                self.shard.turn(self.now);
                for party in &mut *parties {
                    party.hear(self.now);
                }
                if converts {
                    self.convert(parties);
                }
            }
        }
    }

    /// What a call does for a bridge.
    fn convert(&mut self, parties: &mut [Party]) {
        for (digit, ms) in std::mem::take(&mut parties[0].edges) {
            let command = match ms {
                None => Command::SendDigits {
                    id: 0,
                    digits: digit.to_string(),
                    tone_ms: 60_000,
                    gap_ms: 60,
                },
                Some(tone_ms) => Command::ReleaseDigit { id: 0, tone_ms },
            };
            parties[1].channel.send(command).unwrap();
        }
    }

    fn bridge(&self, a: &Party, b: &Party, forth: Carriage) {
        let back = Carriage::default();
        self.media
            .bridge(&a.channel, &b.channel, forth, back)
            .unwrap();
    }
}

const MUTED: Carriage = Carriage {
    events: false,
    mute_inband_keys: true,
    muted: false,
};
const ALL_KEYS: &str = "0123456789*#ABCD";

/// ms in which something of the tones is heard: louder than a twentieth of them.
fn audible_ms(heard: &[i16], per_ms: usize) -> usize {
    let loud = |part: &&[i16]| part.iter().any(|sample| sample.unsigned_abs() > 450);
    heard.chunks(per_ms).filter(loud).count()
}

#[test]
fn tones_that_become_events_are_not_heard_besides() {
    let encodings = [Encoding::Pcmu, Encoding::Opus, Encoding::L16Wide];
    for (n, encoding) in encodings.into_iter().enumerate() {
        let mut rig = Rig::new(26_000 + 100 * n as u16);
        let mut parties = [
            Party::new(&rig, encoding, false),
            Party::new(&rig, Encoding::Pcmu, true),
        ];
        rig.bridge(&parties[0], &parties[1], MUTED);
        let detect = Command::Detect { inband: true };
        parties[0].channel.send(detect).unwrap();
        rig.run(&mut parties, 600, true);
        parties[1].heard.clear();
        for key in ALL_KEYS.chars() {
            parties[0].says = parties[0].keys_as_tones(&key.to_string(), 100, 37);
            parties[0].said = 0;
            parties[1].heard.clear();
            rig.run(&mut parties, 600, true);
            let leak = audible_ms(&parties[1].heard, 8);
            assert!(leak <= 5, "{encoding:?}: {leak} ms of {key} are heard");
        }
        let events: Vec<_> = parties[1].keys.split_whitespace().collect();
        assert_eq!(events.len(), 16, "{events:?}");
        for (code, event) in events.iter().enumerate() {
            let (told, ms) = event[1..].split_once(':').unwrap();
            assert_eq!(told, code.to_string());
            assert!((90..=115).contains(&ms.parse::<u32>().unwrap()), "{event}");
        }
        // What is no key is heard, later, and whole.
        let rate = encoding.audio();
        let mut whistle = vec![0; rate.samples_in_ms(400)];
        let tone = &mut trunkline_dsp::tone::Tone::new(rate.hz(), [500.0, 0.0], -10.0);
        tone.fill(&mut whistle);
        parties[0].says = whistle;
        parties[0].said = 0;
        parties[1].heard.clear();
        rig.run(&mut parties, 800, true);
        let audible = audible_ms(&parties[1].heard, 8);
        assert!((396..=412).contains(&audible), "{encoding:?}: {audible} ms");
    }
}

#[test]
fn audio_is_held_back_only_while_tones_are_kept_out_of_it() {
    let mut rig = Rig::new(26_300);
    let mut parties = [
        Party::new(&rig, Encoding::Pcmu, false),
        Party::new(&rig, Encoding::L16Wide, true),
    ];
    let delay = |rig: &mut Rig, parties: &mut [Party; 2], carriage: Carriage| {
        rig.bridge(&parties[0], &parties[1], carriage);
        let inband = carriage.mute_inband_keys;
        parties[0].channel.send(Command::Detect { inband }).unwrap();
        rig.run(parties, 600, false);
        parties[1].heard.clear();
        parties[0].says = vec![4000; 160];
        parties[0].said = 0;
        rig.run(parties, 400, false);
        parties[1].heard.iter().position(|of| *of > 2000).unwrap() / 16
    };
    let plain = delay(&mut rig, &mut parties, Carriage::default());
    let held = delay(&mut rig, &mut parties, MUTED);
    let after = delay(&mut rig, &mut parties, Carriage::default());
    assert_eq!((held - plain, after), (80, plain));
}

#[test]
fn one_press_of_a_channel_is_one_digit() {
    let mut rig = Rig::new(26_400);
    let mut parties = [Encoding::Pcmu, Encoding::L16Wide, Encoding::Opus]
        .map(|encoding| Party::new(&rig, encoding, true));
    for party in &parties {
        let detect = Command::Detect { inband: true };
        party.channel.send(detect).unwrap();
    }
    rig.run(&mut parties, 400, false);
    // 3 by tone and by event between the audio packets, its first packet and its marker lost.
    for party in &mut parties {
        party.says = party.keys_as_tones("3", 120, 0);
        party.said = 0;
    }
    let stamps = parties.each_ref().map(|party| party.header.timestamp);
    for n in 2..=6 {
        for (party, stamp) in parties.iter_mut().zip(stamps) {
            party.event(stamp, 3, 20 * n, n == 6);
        }
        rig.run(&mut parties, 20, false);
    }
    rig.run(&mut parties, 600, false);
    for party in &parties {
        assert_eq!(party.pressed, "d3", "{:?}", party.encoding);
        assert_eq!(party.arbiter.duplicates(), 1, "{:?}", party.encoding);
        assert!(party.tones[0] > 15.0, "{:?}", party.tones);
    }
    // 4 begins as an event; another description without events comes, and the tone goes on.
    for party in &mut parties {
        party.says = party.keys_as_tones("4", 500, 0);
        party.said = 0;
        let stamp = party.header.timestamp;
        party.event(stamp, 4, 20, false);
    }
    rig.run(&mut parties, 20, false);
    parties.iter().for_each(|party| party.agree(false));
    rig.run(&mut parties, 1000, false);
    // And back, with a fast repeat of which both are told twice.
    for party in &mut parties {
        party.agree(true);
        let tones = [party.keys_as_tones("55", 50, 50), vec![0; 160]].concat();
        (party.says, party.said) = (tones, 0);
    }
    rig.run(&mut parties, 40, false);
    for _ in 0..2 {
        let stamps = parties.each_ref().map(|party| party.header.timestamp);
        for (ms, end) in [(20, false), (40, false), (50, true), (50, true), (50, true)] {
            for (party, stamp) in parties.iter_mut().zip(stamps) {
                party.event(stamp, 5, ms, end);
            }
            rig.run(&mut parties, 20, false);
        }
    }
    rig.run(&mut parties, 1000, false);
    for party in &parties {
        assert_eq!(party.pressed, "d3d4d5d5", "{:?}", party.encoding);
    }
}

#[test]
fn a_key_is_held_at_the_far_end_as_long_as_it_is_pressed() {
    // Longer than one packet can state: 8.19 s, 4.1 s and 1.37 s (RFC 4733 section 2.5.1.3).
    let encodings = [Encoding::Pcmu, Encoding::L16Wide, Encoding::Opus];
    let mut rig = Rig::new(26_500);
    let mut parties = encodings.map(|encoding| Party::new(&rig, encoding, true));
    rig.run(&mut parties, 200, false);
    for party in &parties {
        let command = Command::SendDigits {
            id: 7,
            digits: "#".into(),
            tone_ms: 60_000,
            gap_ms: 60,
        };
        party.channel.send(command).unwrap();
    }
    rig.run(&mut parties, 9000, false);
    for party in &parties {
        assert_eq!(party.keys, "+", "{:?}", party.encoding);
        let (id, tone_ms) = (7, 9055);
        let command = Command::ReleaseDigit { id, tone_ms };
        party.channel.send(command).unwrap();
    }
    rig.run(&mut parties, 400, false);
    for party in &parties {
        assert_eq!(party.keys, "+11:9055 ", "{:?}", party.encoding);
        let segments = party.clock().samples_in_ms(9055).div_ceil(0xFFFF);
        let mut stamps = party.timestamps.clone();
        stamps.dedup();
        assert_eq!(stamps.len() as u32, segments, "{:?}", party.encoding);
        let steps = stamps.windows(2).map(|two| two[1].wrapping_sub(two[0]));
        assert!(steps.into_iter().all(|step| step == 0xFFFF));
    }
}

#[test]
fn a_long_event_stays_one_key_over_a_bridge_of_other_clocks() {
    let carried = Carriage {
        events: true,
        mute_inband_keys: false,
        muted: false,
    };
    let pairs = [
        (Encoding::Pcmu, Encoding::Opus),
        (Encoding::Opus, Encoding::Pcmu),
    ];
    for (n, (from, to)) in pairs.into_iter().enumerate() {
        let mut rig = Rig::new(26_600 + 100 * n as u16);
        let mut parties = [Party::new(&rig, from, true), Party::new(&rig, to, true)];
        rig.bridge(&parties[0], &parties[1], carried);
        rig.run(&mut parties, 400, false);
        let (clock, mut stamp) = (from.clock(), parties[0].header.timestamp);
        let mut sender = trunkline::rtp::telephone_event::Sender::new(6, clock, stamp, 3000);
        while let Some((marker, payload)) = sender.next(20) {
            stamp = sender.timestamp();
            let header = Header {
                payload_type: EVENTS,
                marker,
                timestamp: stamp,
                ..parties[0].header
            };
            parties[0].send(header, &payload.to_bytes());
            rig.run(&mut parties, 20, false);
        }
        assert_eq!(parties[1].keys, "+6:3000 ", "{from:?} to {to:?}");
    }
}

#[test]
fn a_key_that_came_by_info_is_not_relayed_once_more() {
    let carried = Carriage {
        events: true,
        mute_inband_keys: false,
        muted: false,
    };
    let mut rig = Rig::new(26_800);
    let mut parties = [Encoding::Pcmu; 2].map(|encoding| Party::new(&rig, encoding, true));
    rig.bridge(&parties[0], &parties[1], carried);
    rig.run(&mut parties, 400, false);
    // The INFO was faster: the call has it pressed at the far end. Then its event comes, and later another press.
    let command = Command::SendDigits {
        id: 0,
        digits: "1".into(),
        tone_ms: 100,
        gap_ms: 60,
    };
    parties[1].channel.send(command).unwrap();
    for begin_ms in [40, 500] {
        rig.run(&mut parties, begin_ms, false);
        let stamp = parties[0].header.timestamp;
        for n in 1..=20 {
            parties[0].event(stamp, 1, 20 * n, n >= 18);
            rig.run(&mut parties, 20, false);
        }
    }
    rig.run(&mut parties, 400, false);
    assert_eq!(parties[1].keys, "+1:100 +1:360 ");
}
