//! Proves that the media shard does not allocate in the steady state: 10,000 frames of each kind of work with a counting allocator.
//!
//! Time is made up (20 ms a turn, as fast as the machine goes); sockets, packets and threads are real.

#![allow(unsafe_code)] // the counting allocator
#![allow(clippy::unwrap_used)] // helpers of tests, too

#[path = "no_alloc/many.rs"]
mod many;
#[path = "no_alloc/talkers.rs"]
mod talkers;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline::media::{
    Carriage, Channel, Command, Edge, Encoding, Law, Listening, Media, MediaAudio, MediaConfig,
    MediaEvent, MediaEvents, Prompt, RecordingSpec, RoomConfig, Shard, SrtpParams, StreamParams,
    TapSpec, Tracks,
};
use trunkline::rtp::packet::{self, Header};
use trunkline::rtp::srtp::{MasterKey, Sender, Suite};
use trunkline::rtp::telephone_event::Payload;
use trunkline_dsp::dtmf;

const FRAMES: u32 = 10_000;
/// Frames before that: the event queue makes its blocks of 32 in them, which are used again ever after.
const WARM_UP: u32 = 4000;
const EVENTS: u8 = 101;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static FREES: Cell<u64> = const { Cell::new(0) };
}

/// Counts a call; threads that are ending are not counted.
fn count() {
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system allocator; the counter is thread-local without destructor and never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        let _ = FREES.try_with(|frees| frees.set(frees.get() + 1));
        // SAFETY: as above; `pointer` came from `alloc` or `realloc` here, that is, from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn stream(peer: &UdpSocket, encoding: Encoding) -> StreamParams {
    let payload = if encoding == Encoding::Pcmu { 0 } else { 8 };
    StreamParams {
        telephone_event_send: Some(EVENTS),
        telephone_event_recv: Some(EVENTS),

        ..StreamParams::plain(encoding, payload, peer.local_addr().unwrap())
    }
}

/// A channel and its peer, driven by this thread.
struct Line {
    media: Media,
    shard: Shard,
    channel: Channel,
    events: MediaEvents,
    peer: UdpSocket,
    header: Header,
    /// Protects what the peer sends, where the stream is encrypted.
    sender: Option<Sender>,
    now: Instant,
    allocations: u64,
    received: u64,
    keys: u64,
}

impl Line {
    fn new(port: u16, secure: bool) -> Line {
        let bind = "127.0.0.1".parse().unwrap();
        let config = MediaConfig {
            bind,
            ports: port..=port + 1,
            max_channels: 1,
            ..MediaConfig::default()
        };
        let (media, shard) = Media::assemble(config).unwrap();
        let (channel, events) = media.open().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(("127.0.0.1", port)).unwrap();
        peer.set_nonblocking(true).unwrap();
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: 0,
            timestamp: 0,
            ssrc: 77,
        };
        let line = Line {
            media,
            shard,
            channel,
            events,
            peer,
            header,
            sender: secure.then(|| Sender::new(&key(2))),
            now: Instant::now(),
            allocations: 0,
            received: 0,
            keys: 0,
        };
        let stream = StreamParams {
            srtp: secure.then(|| {
                Box::new(SrtpParams {
                    send: key(1),
                    receive: key(2),
                })
            }),
            ..stream(&line.peer, Encoding::Pcmu)
        };
        line.channel
            .send(Command::Stream(Box::new(stream)))
            .unwrap();
        line
    }

    fn send(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let mut datagram = [0; 200];
        let header = Header {
            payload_type,
            timestamp,
            ..self.header
        };
        let mut length = packet::build(&header, payload, &mut datagram).unwrap();
        if let Some(sender) = &mut self.sender {
            length = sender.protect_rtp(&mut datagram, length).unwrap();
        }
        self.peer.send(&datagram[..length]).unwrap();
        self.header.sequence = self.header.sequence.wrapping_add(1);
    }

    /// 20 ms: the peer's packet in, one turn of the shard, the peer's reading.
    fn frame(&mut self, n: u32, samples: &[i16]) {
        let timestamp = n * 160;
        if n % 50 < 6 {
            let event = Payload {
                code: 5,
                end: n % 50 >= 3,
                volume: 10,
                duration: 160 * (n % 50 + 1).min(4) as u16,
            };
            self.send(EVENTS, timestamp - n % 50 * 160, &event.to_bytes());
        } else if !n.is_multiple_of(97) {
            let mut octets = [0; 160];
            Law::Mu.encode(samples, &mut octets);
            self.send(0, timestamp, &octets);
        }
        self.now += Duration::from_millis(20);
        let before = ALLOCATIONS.get();
        self.shard.turn(self.now);
        self.allocations += ALLOCATIONS.get() - before;
        while self.peer.recv(&mut [0; 2000]).is_ok() {
            self.received += 1;
        }
        while let Ok(event) = self.events.try_recv() {
            self.keys += u64::from(matches!(event, MediaEvent::KeyEnd { .. }));
        }
    }
}

fn key(octet: u8) -> MasterKey {
    MasterKey::new(Suite::Aes256CmHmacSha1_80, &[octet; 46]).unwrap()
}

/// Runs the frames after a warm-up and returns the line for what else is to be seen on it.
fn steady(name: &str, port: u16, commands: Vec<Command>) -> Line {
    steady_on(Line::new(port, false), name, commands)
}

fn steady_on(mut line: Line, name: &str, commands: Vec<Command>) -> Line {
    for command in commands {
        line.channel.send(command).unwrap();
    }
    let mut tone = vec![0; 800];
    dtmf::Generator::new(8000, dtmf::Key::from_char('8').unwrap(), -10.0, -10.0).fill(&mut tone);
    tone.resize(50 * 160, 0);
    tone.rotate_right(20 * 160);
    for n in 0..FRAMES + WARM_UP {
        if n == WARM_UP {
            (line.allocations, line.received, line.keys) = (0, 0, 0);
        }
        line.frame(n, &tone[n as usize % 50 * 160..][..160]);
    }
    assert_eq!(
        line.allocations, 0,
        "{name}: allocations in {FRAMES} frames"
    );
    assert!(
        line.received >= u64::from(FRAMES),
        "{name}: {} packets sent",
        line.received
    );
    line
}

fn music() -> Command {
    let prompt = MediaAudio::Prompt(Arc::new(Prompt::from_samples("music", &[1000; 5000])));
    let tone = MediaAudio::Tone {
        hz: [440.0, 480.0],
        dbm0: -16.0,
        ms: 330,
    };
    Command::Play {
        id: 1,
        audio: vec![prompt, tone, MediaAudio::Silence { ms: 20 }],
        repeat: None,
    }
}

#[test]
fn playback_with_telephone_events() {
    let line = steady("playback", 21_200, vec![music()]);
    assert_eq!(line.keys, 200);
    assert!(line.media.stats().packets_in.value() > u64::from(FRAMES));
}

#[test]
fn playback_with_in_band_detection() {
    let line = steady(
        "in-band",
        21_202,
        vec![music(), Command::Detect { inband: true }],
    );
    assert!(line.keys >= 2 * 199, "{}", line.keys);
}

#[test]
fn echo() {
    steady("echo", 21_204, vec![Command::Echo(true)]);
}

#[test]
fn recording() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    let line = steady(
        "recording",
        21_206,
        vec![Command::Record(Box::new(RecordingSpec {
            silence_ms: 10_000,
            ..RecordingSpec::new(1, path.clone())
        }))],
    );
    drop(line);
    assert!(std::fs::metadata(path).unwrap().len() > 2 * 16_000);
}

#[test]
fn recording_of_both_sides_and_a_tap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    let line = Line::new(21_290, false);
    let spec = TapSpec {
        rate_hz: 8000,
        received: true,
        sent: true,
    };
    let mut ends = line.channel.tap(spec).unwrap();
    let program = std::thread::spawn(move || {
        let (mut frames, mut marks) = (0, 0);
        while !ends.is_over() {
            ends.write(&[1000; 800]);
            ends.mark(1);
            marks += ends.turn().len();
            while ends.read().is_some() {
                frames += 1;
            }
            std::thread::yield_now();
        }
        (frames, marks)
    });
    let record = Command::Record(Box::new(RecordingSpec {
        tracks: Tracks::Stereo,
        ..RecordingSpec::new(1, &path)
    }));
    let listen = Command::Listen(Listening {
        speech: true,
        beep: true,
    });
    drop(steady_on(line, "recording and tap", vec![record, listen]));
    let (frames, marks) = program.join().unwrap();
    assert!(frames > 0 && marks > 0, "{frames} frames, {marks} marks");
    assert!(std::fs::metadata(path).unwrap().len() > 2 * 16_000);
}

/// Two bridged channels and their peers, driven by this thread; returns packets each peer got in the frames after the warm-up.
fn bridged(
    name: &str,
    port: u16,
    far: Encoding,
    carriage: Carriage,
    commands: Vec<Command>,
) -> (Media, [u64; 2]) {
    let config = MediaConfig {
        bind: "127.0.0.1".parse().unwrap(),
        ports: port..=port + 3,
        max_channels: 2,
        ..MediaConfig::default()
    };
    let (media, mut shard) = Media::assemble(config).unwrap();
    let mut lines = [Encoding::Pcmu, far].map(|encoding| {
        let (channel, events) = media.open().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(("127.0.0.1", channel.rtp_port())).unwrap();
        peer.set_nonblocking(true).unwrap();
        channel
            .send(Command::Stream(Box::new(stream(&peer, encoding))))
            .unwrap();
        (channel, events, peer, encoding)
    });
    for command in commands {
        lines[0].0.send(command).unwrap();
    }
    media
        .bridge(&lines[0].0, &lines[1].0, carriage, carriage)
        .unwrap();
    let (mut now, mut allocations, mut received) = (Instant::now(), 0, [0; 2]);
    for n in 0..FRAMES + WARM_UP {
        if n == WARM_UP {
            (allocations, received) = (0, [0; 2]);
        }
        for (_, _, peer, encoding) in &lines {
            let (payload, pt, timestamp): (&[u8], u8, u32) = match n % 50 {
                5..9 => (&[5, 10, 1, 64], EVENTS, n - n % 50 + 5),
                _ => (
                    &[0x20; 160],
                    if *encoding == Encoding::Pcmu { 0 } else { 8 },
                    n,
                ),
            };
            let header = Header {
                marker: n % 50 == 5,
                payload_type: pt,
                sequence: n as u16,
                timestamp: timestamp * 160,
                ssrc: 77,
            };
            let mut datagram = [0; 200];
            let length = packet::build(&header, payload, &mut datagram).unwrap();
            peer.send(&datagram[..length]).unwrap();
        }
        now += Duration::from_millis(20);
        let before = ALLOCATIONS.get();
        shard.turn(now);
        allocations += ALLOCATIONS.get() - before;
        for ((_, events, peer, _), received) in lines.iter_mut().zip(&mut received) {
            while events.try_recv().is_ok() {}
            while peer.recv(&mut [0; 2000]).is_ok() {
                *received += 1;
            }
        }
    }
    assert_eq!(allocations, 0, "{name}: allocations in {FRAMES} frames");
    (media, received)
}

#[test]
fn relay() {
    for (port, far) in [(21_210, Encoding::Pcmu), (21_214, Encoding::Pcma)] {
        let carriage = Carriage {
            events: true,
            ..Carriage::default()
        };
        let (media, received) = bridged("relay", port, far, carriage, Vec::new());
        assert!(
            received.iter().all(|n| *n >= u64::from(FRAMES)),
            "{received:?}"
        );
        assert!(media.stats().relayed.value() > 2 * u64::from(FRAMES));
        assert_eq!(media.stats().decoded.value(), 0);
    }
}

/// Members of a room, driven by this thread: the first two speak, the third listens, the fourth whispers to it, the fifth is silent.
#[test]
fn room() {
    let config = MediaConfig {
        bind: "127.0.0.1".parse().unwrap(),
        ports: 21_230..=21_239,
        max_channels: 5,
        ..MediaConfig::default()
    };
    let (media, mut shard) = Media::assemble(config).unwrap();
    let (room, mut events) = media
        .room(RoomConfig {
            speakers: true,
            levels_ms: 100,
            max_talkers: 2,
            ..RoomConfig::default()
        })
        .unwrap();
    let encodings = [
        Encoding::Pcmu,
        Encoding::Pcma,
        Encoding::Pcmu,
        Encoding::Pcma,
        Encoding::Pcmu,
    ];
    let mut lines = encodings.map(|encoding| {
        let (channel, events) = media.open().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(("127.0.0.1", channel.rtp_port())).unwrap();
        peer.set_nonblocking(true).unwrap();
        let stream = stream(&peer, encoding);
        channel.send(Command::Stream(Box::new(stream))).unwrap();
        (channel, events, peer, encoding)
    });
    let mut third = None;
    for (number, (channel, ..)) in lines.iter().enumerate() {
        let edge = Edge {
            whisper_to: third.filter(|_| number == 3),
            gain_in_db: -3.0,
            ..Edge::default()
        };
        let id = room.join(channel, edge).unwrap();
        third = if number == 2 { Some(id) } else { third };
    }
    let folder = tempfile::tempdir().unwrap();
    let recorded = room.record(1, folder.path().join("mix.wav"), 0, 0);
    let tone = MediaAudio::Tone {
        hz: [440.0, 480.0],
        dbm0: -30.0,
        ms: 330,
    };
    room.play(None, 1, vec![tone], None).unwrap();
    let (mut now, mut allocations, mut received, mut told) = (Instant::now(), 0, [0; 5], 0);
    for n in 0..FRAMES + WARM_UP {
        if n == WARM_UP {
            (allocations, received) = (0, [0; 5]);
        }
        for (number, (_, _, peer, encoding)) in lines.iter().enumerate() {
            let silent = number == 4 || (number < 2 && n % 100 < 40);
            let header = Header {
                marker: false,
                payload_type: if *encoding == Encoding::Pcmu { 0 } else { 8 },
                sequence: n as u16,
                timestamp: n * 160,
                ssrc: 77,
            };
            let mut datagram = [0; 200];
            let silence = if *encoding == Encoding::Pcmu {
                0xFF
            } else {
                0xD5
            };
            let payload = [if silent { silence } else { 0x20 }; 160];
            let length = packet::build(&header, &payload, &mut datagram).unwrap();
            peer.send(&datagram[..length]).unwrap();
        }
        now += Duration::from_millis(20);
        let before = ALLOCATIONS.get();
        shard.turn(now);
        allocations += ALLOCATIONS.get() - before;
        for ((_, events, peer, _), received) in lines.iter_mut().zip(&mut received) {
            while events.try_recv().is_ok() {}
            while peer.recv(&mut [0; 2000]).is_ok() {
                *received += 1;
            }
        }
        while events.try_recv().is_ok() {
            told += 1;
        }
    }
    assert!(recorded.is_ok());
    assert_eq!(allocations, 0, "room: allocations in {FRAMES} frames");
    let all = received.iter().all(|n| *n >= u64::from(FRAMES));
    assert!(all, "{received:?}");
    let stats = &media.stats().rooms;
    let (own, shared) = (stats.own_mixes.value(), stats.shared_mixes.value());
    assert!(
        own > u64::from(FRAMES) && shared > u64::from(FRAMES),
        "{own} {shared}"
    );
    assert!(told > 1000 && stats.lost_events.value() == 0, "{told}");
}

#[test]
fn decoded_bridge() {
    let carriage = Carriage {
        events: false,
        mute_inband_keys: true,
        muted: false,
    };
    let detect = vec![Command::Detect { inband: true }];
    let (media, received) = bridged("decoded", 21_218, Encoding::Pcma, carriage, detect);
    assert!(received[1] >= u64::from(FRAMES), "{received:?}");
    assert!(media.stats().decoded.value() > u64::from(FRAMES));
}

#[test]
fn encrypted_playback_with_telephone_events() {
    let line = steady_on(Line::new(21_208, true), "encrypted", vec![music()]);
    assert_eq!(line.keys, 200);
    let dropped = line.media.stats().dropped.by_cause();
    assert!(dropped.iter().all(|(_, count)| *count == 0), "{dropped:?}");
}

/// What orders replace is freed by the reaper: lists that are stopped, replaced, refused or played to their end, digits, descriptions with
/// their codecs and keys, listening.
#[test]
fn what_is_replaced_is_freed_elsewhere() {
    let mut line = Line::new(21_350, false);
    let peer = line.peer.local_addr().unwrap();
    let described = |n: u32| {
        let keys = |octet: u32| SrtpParams {
            send: key(octet as u8 % 5),
            receive: key(octet as u8 % 7),
        };
        let encoding = [Encoding::Pcmu, Encoding::G722, Encoding::Opus][n as usize % 3];
        let stream = StreamParams {
            srtp: (!n.is_multiple_of(4)).then(|| Box::new(keys(n))),
            ..StreamParams::plain(encoding, 100, peer)
        };
        Command::Stream(Box::new(stream))
    };
    let list = |id| {
        let prompt = Prompt::from_samples("a", &vec![1000; 400 + id as usize % 3 * 300]);
        vec![MediaAudio::Prompt(Arc::new(prompt))]
    };
    let mut frees = 0;
    for n in 0..3000u32 {
        let (id, repeat) = (n, Some(1));
        let play = Command::Play {
            id,
            audio: list(n),
            repeat,
        };
        let append = Command::Append {
            id,
            audio: list(n),
            repeat,
        };
        let order = match n % 19 {
            0 | 5 => play,
            1..=3 | 6..=15 => append,
            4 => Command::StopPlay,
            16 => Command::SendDigits {
                id,
                digits: "12w".into(),
                tone_ms: 60,
                gap_ms: 60,
            },
            17 => Command::Listen(Listening {
                speech: n % 2 == 0,
                beep: n % 3 == 0,
            }),
            _ => described(n / 19),
        };
        line.channel.send(order).unwrap();
        for _ in 0..n % 4 {
            line.now += Duration::from_millis(20);
            let before = FREES.get();
            line.shard.turn(line.now);
            frees += FREES.get() - before;
            while line.events.try_recv().is_ok() {}
            while line.peer.recv(&mut [0; 2000]).is_ok() {}
        }
    }
    assert_eq!(frees, 0, "frees in the shard");
    assert!(line.media.stats().packets_out.value() > 3000);
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 2);
}
