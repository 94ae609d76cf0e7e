//! Channels on several shards, over real sockets on loopback: bridged across, moved back and forth under orders, closed on the way.
//!
//! Waits for packets and events with a generous limit and never asserts on time.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use trunkline::media::{
    Carriage, Command, Edge, Media, MediaAudio, MediaConfig, MediaEvent, OpenError, RoomConfig,
};

mod phone;
use phone::{EVENTS, Heard, PATIENCE, Phone, call, close, correlation, tone, wait};

fn shards(threads: usize, ports: RangeInclusive<u16>) -> Media {
    let config = MediaConfig {
        bind: "127.0.0.1".parse().unwrap(),
        ports,
        threads,
        max_channels: 16,
        dscp: None,
        ..MediaConfig::default()
    };
    Media::start(config).unwrap()
}

fn channels_of(media: &Media) -> Vec<u64> {
    media
        .shard_stats()
        .map(|shard| shard.channels.value())
        .collect()
}

/// Waits until it holds.
fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < end, "it does not come to be");
        std::thread::yield_now();
    }
}

fn hear_until(phone: &Phone, wanted: impl Fn(&Heard) -> bool) -> Vec<Heard> {
    let mut heard = Vec::new();
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "{} packets", heard.len());
        heard.push(phone.hear());
        if heard.last().is_some_and(&wanted) {
            return heard;
        }
    }
}

fn marked(n: u8) -> [u8; 160] {
    std::array::from_fn(|place| n.wrapping_add(place as u8) % 100)
}

/// One SSRC, each number once and in order, and no time left out: a gap would be a jump of the timestamp.
fn assert_no_gap(packets: &[Heard]) {
    for pair in packets.windows(2) {
        let (before, after) = (pair[0].header, pair[1].header);
        assert_eq!(before.ssrc, after.ssrc);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        let step = after.timestamp.wrapping_sub(before.timestamp) as i32;
        assert_eq!(step, 160, "{before:?} {after:?}");
    }
}

#[test]
fn new_channels_go_where_there_are_fewest_or_beside_their_peer() {
    let media = shards(3, 26_000..=26_039);
    let calls: Vec<_> = (0..6).map(|_| media.open().unwrap()).collect();
    until(|| channels_of(&media) == [2, 2, 2]);
    let (beside, _events) = media.open_near(calls[4].0.shard()).unwrap();
    assert_eq!(beside.shard(), calls[4].0.shard());
    until(|| media.stats().channels.value() == 7);
    drop((calls, beside));
    until(|| channels_of(&media) == [0, 0, 0]);
}

#[test]
fn a_bridge_across_shards_brings_its_ends_together() {
    let media = shards(2, 26_040..=26_059);
    let ((a, mut a_events, mut a_phone), (b, mut b_events, mut b_phone)) =
        (call(&media), call(&media));
    assert_ne!(a.shard(), b.shard());
    let both = Carriage::default();
    media.bridge(&a, &b, both, both).unwrap();
    assert_eq!(a.shard(), b.shard());
    // The bridge is made in the pass in which the channel comes, before any packet is taken.
    until(|| media.stats().moved.value() == 1);
    for n in 0..20 {
        a_phone.send(&marked(n));
        b_phone.send(&marked(n + 50));
        let wanted = |n: u8| move |heard: &Heard| heard.payload == marked(n);
        hear_until(&b_phone, wanted(n));
        hear_until(&a_phone, wanted(n + 50));
    }
    assert_eq!(media.stats().moved.value(), 1);
    let (of_a, of_b) = (close(a, &mut a_events), close(b, &mut b_events));
    assert_eq!((of_a.relayed, of_b.relayed), (20, 20));
    assert_eq!((of_a.stranger, of_b.lost), (0, 0));
    assert_eq!(channels_of(&media), [0, 0]);
}

#[test]
fn a_channel_that_moves_keeps_its_audio_and_the_order_of_its_orders() {
    let media = shards(3, 26_060..=26_079);
    let (channel, mut events, phone) = call(&media);
    phone.drain();
    let silence = |id: u32| Command::Play {
        id,
        audio: vec![MediaAudio::Silence { ms: 10_000_000 }],
        repeat: None,
    };
    // What is played last must be what plays: an order that is lost or overtaken shows in the end.
    const ROUNDS: u32 = 60;
    let mut heard = Vec::new();
    for round in 0..ROUNDS {
        for step in 0..20 {
            channel.send(silence(round * 20 + step)).unwrap();
        }
        channel.move_to((round as usize + 1) % 3).unwrap();
        for step in 0..20 {
            channel.send(Command::Echo(step % 2 == 1)).unwrap();
        }
        channel.send(Command::StopPlay).unwrap();
        let id = round;
        channel
            .send(Command::SendDigits {
                id,
                digits: "5".into(),
                tone_ms: 40,
                gap_ms: 40,
            })
            .unwrap();
        wait(&mut events, |event| *event == MediaEvent::DigitsSent { id });
        let audio = phone.drain().into_iter();
        heard.extend(audio.filter(|packet| packet.header.payload_type != EVENTS));
    }
    assert!(heard.len() > 60, "{}", heard.len());
    assert!(
        heard
            .windows(2)
            .all(|pair| pair[0].header.ssrc == pair[1].header.ssrc)
    );
    assert_eq!(media.stats().moved.value(), u64::from(ROUNDS));
    assert_eq!(media.stats().orders_lost.value(), 0);
    close(channel, &mut events);
    assert_eq!(channels_of(&media), [0, 0, 0]);
}

#[test]
fn the_audio_of_a_moving_channel_has_no_gap() {
    let media = shards(2, 26_080..=26_099);
    let (channel, mut events, phone) = call(&media);
    phone.drain();
    let mut heard = vec![phone.hear()];
    for round in 0..100 {
        channel.move_to(round % 2).unwrap();
        heard.push(phone.hear());
    }
    // The machine may stand still, which is counted and not ours to answer for.
    if media.stats().skipped_slots.value() == 0 {
        assert_no_gap(&heard);
    }
    let stats = close(channel, &mut events);
    assert!(stats.packets_out >= 101, "{stats:?}");
}

#[test]
fn channels_that_are_closed_on_the_way_leave_nothing_behind() {
    let media = shards(3, 26_100..=26_115);
    for round in 0..60 {
        // As many as there are ports: one that leaked would be missing in the next round.
        let mut calls: Vec<_> = (0..8).map(|_| media.open().unwrap()).collect();
        assert!(matches!(media.open(), Err(OpenError::NoPorts { .. })));
        for (n, (channel, _)) in calls.iter().enumerate() {
            channel.move_to((n + round) % 3).unwrap();
            channel.move_to((n + round + 1) % 3).unwrap();
        }
        let both = Carriage::default();
        for pair in calls.chunks_exact(2) {
            media.bridge(&pair[0].0, &pair[1].0, both, both).unwrap();
        }
        for (channel, mut events) in calls.drain(..) {
            drop(channel);
            wait(&mut events, |event| matches!(event, MediaEvent::Closed(_)));
        }
    }
    assert_eq!(channels_of(&media), [0, 0, 0]);
    assert_eq!(media.stats().orders_lost.value(), 0);
}

#[test]
fn channels_of_a_shut_down_engine_are_closed_wherever_they_are() {
    let media = shards(2, 26_120..=26_135);
    let mut calls: Vec<_> = (0..8).map(|_| media.open().unwrap()).collect();
    for (channel, _) in &calls {
        channel.move_to(0).unwrap();
        channel.move_to(1).unwrap();
    }
    media.shutdown();
    for (_, events) in &mut calls {
        wait(events, |event| matches!(event, MediaEvent::Closed(_)));
    }
}

/// Two threads bridge the same channels in both orders while a third sends orders: nobody waits for ever.
#[test]
fn bridges_from_both_sides_at_once_come_to_an_end() {
    let media = shards(2, 26_140..=26_159);
    let calls: Vec<_> = (0..4).map(|_| media.open().unwrap()).collect();
    let (both, stop) = (Carriage::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for turn in 0..2 {
            let (media, calls) = (&media, &calls);
            scope.spawn(move || {
                for n in 0..300 {
                    let (a, b) = ((n + turn) % 4, (n * 3 + 1 + turn) % 4);
                    let _ = media.bridge(&calls[a].0, &calls[b].0, both, both);
                    let _ = calls[b].0.move_to(n % 2);
                }
            });
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = calls[0].0.send(Command::Unbridge);
                std::thread::yield_now();
            }
        });
        let settled = || media.stats().moved.value() > 20;
        until(settled);
        stop.store(true, Ordering::Relaxed);
    });
    for (channel, mut events) in calls {
        drop(channel);
        wait(&mut events, |event| matches!(event, MediaEvent::Closed(_)));
    }
    assert_eq!(media.stats().orders_lost.value(), 0);
}

#[test]
fn members_come_to_the_shard_of_their_room() {
    let media = shards(2, 26_160..=26_179);
    let ((a, mut a_events, _a_phone), (b, mut b_events, b_phone)) = (call(&media), call(&media));
    let (room, _room_events) = media.room(RoomConfig::default()).unwrap();
    room.join(&a, Edge::default()).unwrap();
    room.join(&b, Edge::default()).unwrap();
    assert_eq!(a.shard(), b.shard());
    b_phone.hear();
    // Who goes elsewhere leaves; orders to the room about it hold nobody up.
    b.move_to(1 - b.shard()).unwrap();
    room.edge(&b, Edge::default()).unwrap();
    room.leave(&b).unwrap();
    until(|| media.stats().rooms.members.value() == 1);
    let play = Command::SendDigits {
        id: 9,
        digits: "1".into(),
        tone_ms: 40,
        gap_ms: 40,
    };
    a.send(play).unwrap();
    wait(&mut a_events, |event| {
        *event == MediaEvent::DigitsSent { id: 9 }
    });
    close(a, &mut a_events);
    close(b, &mut b_events);
    assert_eq!(channels_of(&media), [0, 0]);
    assert_eq!(media.stats().orders_lost.value(), 0);
}

/// The samples of a WAV file of one channel at 8 kHz.
fn samples_of(path: &std::path::Path) -> Vec<i16> {
    let octets = std::fs::read(path).unwrap();
    let data = octets.windows(4).position(|name| name == b"data").unwrap();
    let (pairs, _) = octets[data + 8..].as_chunks::<2>();
    pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

#[test]
fn members_from_two_shards_hear_each_other_and_their_tracks_make_up_the_mix() {
    let media = shards(2, 26_180..=26_199);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (room, _room_events) = media.room(RoomConfig::default()).unwrap();
    let ((a, _a_events, mut a_phone), (b, _b_events, mut b_phone)) = (call(&media), call(&media));
    assert_ne!(a.shard(), b.shard());
    let mut recordings = vec![room.record(0, file("mix"), 0, 0).unwrap()];
    room.join(&a, Edge::default()).unwrap();
    recordings.push(room.record_track(&a, 1, file("a")).unwrap());
    let (of_a, of_b) = (tone(500.0, 600), tone(1100.0, 600));
    a_phone.exchange(&of_a);
    // Later: its file has silence first.
    room.join(&b, Edge::default()).unwrap();
    recordings.push(room.record_track(&b, 2, file("b")).unwrap());
    let heard = std::thread::scope(|scope| {
        let by_a = scope.spawn(|| a_phone.exchange(&of_a));
        let by_b = b_phone.exchange(&of_b);
        [by_a.join().unwrap(), by_b]
    });
    for (heard, theirs, own) in [(&heard[0], 1100.0, 500.0), (&heard[1], 500.0, 1100.0)] {
        let tail = &heard[2400..4400];
        assert!(correlation(tail, &tone(theirs, 100)) > 0.98);
        assert!(correlation(tail, &tone(own, 100)) < 0.1, "it hears itself");
    }
    drop(room);
    for events in &mut recordings {
        wait(events, |event| matches!(event, MediaEvent::RecordDone(_)));
    }
    let [mix, a, b] = ["mix", "a", "b"].map(|name| samples_of(&file(name)));
    assert_eq!((a.len(), b.len()), (mix.len(), mix.len()));
    let loud = |samples: &[i16]| samples.iter().filter(|s| s.abs() > 1000).count();
    assert!(
        loud(&a) > 6000 && loud(&b) > 2500,
        "{} {}",
        loud(&a),
        loud(&b)
    );
    assert!(loud(&b[..mix.len() / 3]) == 0, "b came later");
    let together = a.iter().zip(&b).map(|(a, b)| a + b);
    assert!(together.eq(mix));
}
