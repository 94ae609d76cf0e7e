//! Peers of any codec, encrypted or not, over bridges and in a room.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline::media::codec::Encoder;
use trunkline::media::{
    Carriage, Channel, Command, Edge, Encoding, Media, MediaConfig, MediaEvents, OpusSettings,
    RoomConfig, Shard, SrtpParams, StreamParams,
};
use trunkline::rtp::packet::{self, Header};
use trunkline::rtp::srtp::Sender;

use super::{ALLOCATIONS, FRAMES, WARM_UP, key};

/// A channel of any codec, encrypted or not, and its peer, which says the same second again and again and loses one packet in 97.
struct Talker {
    channel: Channel,
    events: MediaEvents,
    peer: UdpSocket,
    encoding: Encoding,
    sender: Option<Sender>,
    says: Vec<Vec<u8>>,
    received: u64,
}

impl Talker {
    fn new(media: &Media, encoding: Encoding, secure: bool) -> Talker {
        let (channel, events) = media.open().unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(("127.0.0.1", channel.rtp_port())).unwrap();
        peer.set_nonblocking(true).unwrap();
        let stream = StreamParams {
            srtp: secure.then(|| {
                Box::new(SrtpParams {
                    send: key(1),
                    receive: key(2),
                })
            }),
            ..StreamParams::plain(encoding, 100, peer.local_addr().unwrap())
        };
        channel.send(Command::Stream(Box::new(stream))).unwrap();
        let mut encoder = Encoder::new(encoding, OpusSettings::default()).unwrap();
        let frame = |n: i16| {
            let samples: Vec<i16> = (0..encoding.audio().samples_per_frame())
                .map(|at| ((at * 400) as i16).wrapping_mul(n % 7))
                .collect();
            let mut payload = [0; 1400];
            let octets = encoder.encode(&samples, &mut payload);
            payload[..octets].to_vec()
        };
        Talker {
            channel,
            events,
            peer,
            encoding,
            sender: secure.then(|| Sender::new(&key(2))),
            says: (0..50).map(frame).collect(),
            received: 0,
        }
    }

    fn say(&mut self, n: u32) {
        let header = Header {
            marker: n == 0,
            payload_type: 100,
            sequence: n as u16,
            timestamp: n * self.encoding.clock().samples_in_ms(20),
            ssrc: 77,
        };
        let payload = &self.says[n as usize % self.says.len()];
        let mut datagram = [0; 1500];
        let mut length = packet::build(&header, payload, &mut datagram).unwrap();
        if let Some(sender) = &mut self.sender {
            length = sender.protect_rtp(&mut datagram, length).unwrap();
        }
        if !n.is_multiple_of(97) {
            self.peer.send(&datagram[..length]).unwrap();
        }
    }

    fn hear(&mut self) {
        while self.events.try_recv().is_ok() {}
        while self.peer.recv(&mut [0; 2000]).is_ok() {
            self.received += 1;
        }
    }
}

/// Runs the frames after a warm-up; each talker must have got that many packets, or all that were relayed.
fn steady_among(name: &str, shard: &mut Shard, talkers: &mut [Talker], relayed: bool) {
    let (mut now, mut allocations) = (Instant::now(), 0);
    for n in 0..FRAMES + WARM_UP {
        if n == WARM_UP {
            allocations = 0;
            talkers.iter_mut().for_each(|talker| talker.received = 0);
        }
        talkers.iter_mut().for_each(|talker| talker.say(n));
        now += Duration::from_millis(20);
        let before = ALLOCATIONS.get();
        shard.turn(now);
        allocations += ALLOCATIONS.get() - before;
        talkers.iter_mut().for_each(Talker::hear);
    }
    assert_eq!(allocations, 0, "{name}: allocations in {FRAMES} frames");
    let least = FRAMES - if relayed { FRAMES / 90 } else { 0 };
    for talker in talkers {
        let facts = format!("{name}, {:?}: {}", talker.encoding, talker.received);
        assert!(talker.received >= u64::from(least), "{facts}");
    }
}

fn engine_of(channels: u16, port: u16) -> (Media, Shard) {
    let config = MediaConfig {
        bind: "127.0.0.1".parse().unwrap(),
        ports: port..=port + 2 * channels - 1,
        max_channels: channels.into(),
        ..MediaConfig::default()
    };
    Media::assemble(config).unwrap()
}

/// Two talkers of which each has a codec and encryption of its own; returns how many packets went on as they were, and how many were decoded.
fn between(port: u16, sides: [(Encoding, bool); 2], relayed: bool) -> [u64; 2] {
    let (media, mut shard) = engine_of(2, port);
    let mut talkers = sides.map(|(encoding, secure)| Talker::new(&media, encoding, secure));
    let carriage = Carriage::default();
    let bridged = media.bridge(&talkers[0].channel, &talkers[1].channel, carriage, carriage);
    bridged.unwrap();
    steady_among(&format!("{sides:?}"), &mut shard, &mut talkers, relayed);
    let dropped = media.stats().dropped.by_cause();
    assert!(dropped.iter().all(|(_, count)| *count == 0), "{dropped:?}");
    [media.stats().relayed.value(), media.stats().decoded.value()]
}

/// Each side of a bridge has a codec of its own: every frame is decoded, brought to another rate and coded again, both ways; with SRTP in
/// one of the cases.
#[test]
fn transcoding() {
    for (port, codecs, secure) in [
        (21_240, [Encoding::Pcmu, Encoding::G722], false),
        (21_244, [Encoding::Opus, Encoding::Pcma], false),
        (21_248, [Encoding::L16Wide, Encoding::L16Narrow], true),
    ] {
        let sides = codecs.map(|codec| (codec, secure));
        let [_, decoded] = between(port, sides, false);
        assert!(decoded > 2 * u64::from(FRAMES), "{codecs:?}: {decoded}");
    }
}

/// Packets go on as they are, but for their keys: from and to SRTP, and from one key to another.
#[test]
fn encrypted_relay() {
    for (port, codec, secure) in [
        (21_252, Encoding::Pcmu, [true, true]),
        (21_256, Encoding::Opus, [true, false]),
        (21_260, Encoding::G722, [true, true]),
    ] {
        let [relayed, decoded] = between(port, secure.map(|secure| (codec, secure)), true);
        let all = 2 * u64::from(FRAMES + WARM_UP) * 96 / 97;
        assert!(relayed + 20 > all, "{codec:?}: {relayed} of {all}");
        assert_eq!(decoded, 0, "{codec:?}");
    }
}

/// All talk at once, each in its codec and one in secret: everybody has a mix of its own, of 16 or 8 kHz.
#[test]
fn room_of_different_codecs() {
    let (media, mut shard) = engine_of(6, 21_264);
    let config = RoomConfig::default();
    let (room, mut events) = media.room(config).unwrap();
    let mut talkers = Encoding::ALL.map(|encoding| {
        let talker = Talker::new(&media, encoding, encoding == Encoding::G722);
        room.join(&talker.channel, Edge::default()).unwrap();
        talker
    });
    steady_among("room", &mut shard, &mut talkers, false);
    while events.try_recv().is_ok() {}
    let mixes = media.stats().rooms.own_mixes.value();
    assert!(mixes > 2 * u64::from(FRAMES), "{mixes}");
}
