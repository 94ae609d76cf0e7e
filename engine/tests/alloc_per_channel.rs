//! What a channel takes in memory beside the kernel's sockets, by what it does: under 18 KiB unless it codes Opus.
//!
//! Counted is what the allocator holds, libopus' memory included. Time is made up (20 ms a turn).

#![allow(unsafe_code)] // asks the allocator
#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline::media::codec::opus::{OpusEncoder, OpusSettings};
use trunkline::media::{
    Carriage, Channel, Command, Encoding, Media, MediaAudio, MediaConfig, MediaEvents, Prompt,
    Shard, StreamParams,
};
use trunkline::rtp::packet::{self, Header};

const CHANNELS: usize = 64;
const KIB: usize = 1024;
const OPUS: u8 = 111;
const EVENTS: u8 = 101;

/// Octets in use in all arenas of the C library, which is where Rust's come from, too.
fn in_use() -> usize {
    // SAFETY: only reads the allocator's own books.
    let books = unsafe { libc::mallinfo2() };
    books.uordblks + books.hblkhd
}

/// The same once the threads that fill up the stock have come to rest.
fn settled() -> usize {
    let mut before = in_use();
    let mut same = 0;
    while same < 10 {
        std::thread::sleep(Duration::from_millis(2));
        let now = in_use();
        same = if now == before { same + 1 } else { 0 };
        before = now;
    }
    before
}

struct Rig {
    shard: Shard,
    media: Media,
    peer: UdpSocket,
    channels: Vec<(Channel, MediaEvents)>,
    now: Instant,
    /// Packets each peer has sent.
    sent: u32,
    before: usize,
}

impl Rig {
    fn new(encodings: [Encoding; 2]) -> Rig {
        let config = MediaConfig {
            bind: "127.0.0.1".parse().unwrap(),
            ports: 23_000..=23_399,
            max_channels: CHANNELS,
            ..MediaConfig::default()
        };
        let (media, shard) = Media::assemble(config).unwrap();
        let mut rig = Rig {
            shard,
            media,
            peer: UdpSocket::bind("127.0.0.1:0").unwrap(),
            channels: Vec::with_capacity(CHANNELS),
            now: Instant::now() + Duration::from_secs(3600),
            sent: 0,
            before: 0,
        };
        rig.before = settled();
        for encoding in encodings.into_iter().cycle().take(CHANNELS) {
            let (channel, events) = rig.media.open().unwrap();
            let stream = StreamParams {
                telephone_event_send: Some(EVENTS),
                telephone_event_recv: Some(EVENTS),
                ..StreamParams::plain(
                    encoding,
                    payload_type(encoding),
                    rig.peer.local_addr().unwrap(),
                )
            };
            channel.send(Command::Stream(Box::new(stream))).unwrap();
            rig.channels.push((channel, events));
        }
        rig
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for (channel, _) in &self.channels {
            channel.send(command()).unwrap();
        }
    }

    fn bridge(&self) {
        let carriage = Carriage::default();
        for pair in self.channels.as_chunks::<2>().0 {
            let [(a, _), (b, _)] = pair;
            self.media.bridge(a, b, carriage, carriage).unwrap();
        }
    }

    /// Lets time go by in which every peer speaks; returns octets per channel.
    fn run(&mut self, encodings: [Encoding; 2]) -> usize {
        let sound: Vec<i16> = (0..320).map(|n| (n * 700 % 9000) as i16).collect();
        let mut opus = OpusEncoder::new(OpusSettings::default()).unwrap();
        let mut packet = [0; 1276];
        let length = opus.encode(&sound, &mut packet).unwrap();
        for n in self.sent..self.sent + 100 {
            for (place, (channel, _)) in self.channels.iter().enumerate() {
                let encoding = encodings[place % 2];
                let (payload, step): (&[u8], u32) = match encoding {
                    Encoding::Opus => (&packet[..length], 960),
                    _ => (&[0x20; 160], 160),
                };
                let header = Header {
                    marker: false,
                    payload_type: payload_type(encoding),
                    sequence: n as u16,
                    timestamp: n * step,
                    ssrc: 77,
                };
                let mut datagram = [0; 1500];
                let length = packet::build(&header, payload, &mut datagram).unwrap();
                let to = ("127.0.0.1", channel.rtp_port());
                self.peer.send_to(&datagram[..length], to).unwrap();
            }
            self.now += Duration::from_millis(20);
            self.shard.turn(self.now);
            self.shard.turn(self.now);
            for (_, events) in &mut self.channels {
                while events.try_recv().is_ok() {}
            }
        }
        drop(opus);
        self.sent += 100;
        (settled() - self.before) / CHANNELS
    }
}

fn payload_type(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Opus => OPUS,
        Encoding::Pcma => 8,
        _ => 0,
    }
}

const G711: [Encoding; 2] = [Encoding::Pcmu, Encoding::Pcma];

fn playback(rig: &Rig) {
    let prompt = Arc::new(Prompt::from_samples("music", &[1000; 5000]));
    rig.tell(|| Command::Play {
        id: 1,
        audio: vec![MediaAudio::Prompt(prompt.clone())],
        repeat: None,
    });
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn a_channel_takes_what_it_needs() {
    // What the first engine leaves with the process is not a channel's.
    drop(Rig::new(G711));

    let mut rig = Rig::new(G711);
    playback(&rig);
    let plays = rig.run(G711);
    rig.tell(|| Command::Detect { inband: true });
    let listens = rig.run(G711);
    // The playout goes some seconds after the detector.
    rig.tell(|| Command::Detect { inband: false });
    let (_, _, listened) = (rig.run(G711), rig.run(G711), rig.run(G711));
    drop(rig);

    let mut relays = [0; 2];
    for (octets, encodings) in relays.iter_mut().zip([G711, [Encoding::Opus; 2]]) {
        let mut rig = Rig::new(encodings);
        rig.bridge();
        // What it said itself before the first packet came is forgotten some seconds later.
        (0..3).for_each(|_| *octets = rig.run(encodings));
        assert_eq!(rig.media.stats().decoded.value(), 0);
    }

    let between = [Encoding::Opus, Encoding::Pcmu];
    let mut rig = Rig::new(between);
    rig.bridge();
    let transcodes = rig.run(between);
    assert!(rig.media.stats().decoded.value() > 0);

    println!(
        "octets per channel: playback {plays}, in-band {listens}, after it {listened}, relay {}, relay of Opus {}, Opus to PCMU {transcodes}",
        relays[0], relays[1]
    );
    assert!(plays < 9 * KIB, "{plays}");
    assert!(listens < 18 * KIB, "{listens}");
    assert!(listened < 9 * KIB, "{listened}");
    assert!(relays.iter().all(|octets| *octets < 10 * KIB), "{relays:?}");
}
