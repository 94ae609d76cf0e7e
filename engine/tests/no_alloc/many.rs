//! So many channels that each takes its packets in its own step instead of being told of them.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline::media::{
    Channel, Command, Encoding, Media, MediaAudio, MediaConfig, MediaEvents, Prompt, Shard,
};
use trunkline::rtp::packet::{self, Header};

use super::{ALLOCATIONS, stream};

/// An address of its own: so many ports in a row are seldom free on another.
const HERE: &str = "127.0.45.1";
/// From 200 on they do.
const CHANNELS: u16 = 220;
/// 11,000 frames of a channel, after 22,000.
const ROUNDS: u32 = 50;
const WARM_UP_ROUNDS: u32 = 100;

struct Call {
    _channel: Channel,
    events: MediaEvents,
    peer: UdpSocket,
    sent: u16,
}

impl Call {
    fn send(&mut self) {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: self.sent,
            timestamp: u32::from(self.sent) * 160,
            ssrc: 7,
        };
        let mut datagram = [0; 172];
        packet::build(&header, &[0x31; 160], &mut datagram).unwrap();
        self.peer.send(&datagram).unwrap();
        self.sent += 1;
    }
}

fn call(media: &Media, inband: bool) -> Call {
    let (channel, events) = media.open().unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.connect((HERE, channel.rtp_port())).unwrap();
    peer.set_nonblocking(true).unwrap();
    let stream = stream(&peer, Encoding::Pcmu);
    channel.send(Command::Stream(Box::new(stream))).unwrap();
    let prompt = MediaAudio::Prompt(Prompt::from_samples("music", &[1000; 5000]).into());
    let commands = [
        Command::Detect { inband },
        Command::Play {
            id: 1,
            audio: vec![prompt],
            repeat: None,
        },
    ];
    commands
        .into_iter()
        .for_each(|command| channel.send(command).unwrap());
    Call {
        _channel: channel,
        events,
        peer,
        sent: 0,
    }
}

/// A round of 20 ms in which each peer sends so many packets. Returns the allocations of the shard.
fn round(shard: &mut Shard, calls: &mut [Call], now: &mut Instant, each: u32) -> u64 {
    for call in calls.iter_mut() {
        (0..each).for_each(|_| call.send());
    }
    *now += Duration::from_millis(20);
    let before = ALLOCATIONS.get();
    shard.turn(*now);
    let allocations = ALLOCATIONS.get() - before;
    for call in calls {
        while call.peer.recv(&mut [0; 2000]).is_ok() {}
        while call.events.try_recv().is_ok() {}
    }
    allocations
}

#[test]
fn channels_that_read_in_their_step() {
    let config = MediaConfig {
        bind: HERE.parse().unwrap(),
        ports: 21_000..=22_999,
        max_channels: CHANNELS.into(),
        ..MediaConfig::default()
    };
    let (media, mut shard) = Media::assemble(config).unwrap();
    let mut calls: Vec<_> = (0..CHANNELS).map(|n| call(&media, n % 2 == 0)).collect();
    let mut now = Instant::now();
    for _ in 0..WARM_UP_ROUNDS {
        round(&mut shard, &mut calls, &mut now, 1);
    }
    let mut allocations = 0;
    for n in 0..ROUNDS {
        // One in ten is late and comes with the next.
        let each = match n % 10 {
            8 => 0,
            9 => 2,
            _ => 1,
        };
        allocations += round(&mut shard, &mut calls, &mut now, each);
    }
    assert_eq!(allocations, 0, "allocations in {ROUNDS} rounds");
    // After a gap such a channel takes all there is at once; one that is watched takes one packet in a turn. On a busy machine some of what was
    // sent is not there yet.
    let mut at_once = || {
        round(&mut shard, &mut calls, &mut now, 0);
        let before = media.stats().packets_in.value();
        round(&mut shard, &mut calls, &mut now, 3);
        media.stats().packets_in.value() - before
    };
    let all = 3 * u64::from(CHANNELS);
    let came: Vec<_> = (0..10).map(|_| at_once()).collect();
    assert!(came.contains(&all), "{came:?}");
    // It comes with the next: none is lost.
    let said: u64 = calls.iter().map(|call| u64::from(call.sent)).sum();
    let heard = (0..1000).find(|_| {
        round(&mut shard, &mut calls, &mut now, 0);
        media.stats().packets_in.value() == said
    });
    assert!(
        heard.is_some(),
        "{} of {said}",
        media.stats().packets_in.value()
    );
    let sent = media.stats().packets_out.value();
    assert!(sent >= u64::from(CHANNELS) * u64::from(ROUNDS + WARM_UP_ROUNDS - 2));
}
