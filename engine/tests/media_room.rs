//! Rooms over real sockets on loopback: who hears whom.
//!
//! Waits for packets with a generous limit and never asserts on time.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::time::Instant;

use trunkline::media::{Channel, Edge, Media, MediaEvents, RoomConfig, RoomEvent};

mod phone;
use phone::{PATIENCE, Phone, call, correlation, decoded, media, tone};

/// A member and its phone.
struct Side {
    channel: Channel,
    _events: MediaEvents,
    phone: Phone,
}

fn sides(media: &Media, count: usize) -> Vec<Side> {
    let side = |_| {
        let (channel, events, phone) = call(media);
        Side {
            channel,
            _events: events,
            phone,
        }
    };
    (0..count).map(side).collect()
}

/// Each phone sends its samples in real time, paced by what it hears; returns what each heard.
fn talk(sides: &mut [Side], spoken: &[Vec<i16>]) -> Vec<Vec<i16>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = sides
            .iter_mut()
            .zip(spoken)
            .map(|(side, samples)| scope.spawn(|| side.phone.exchange(samples)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn marked(n: usize) -> Vec<u8> {
    (0..160)
        .map(|place| ((n * 7 + place) % 120) as u8)
        .collect()
}

#[test]
fn two_hear_each_other_sample_for_sample() {
    let media = media(23_000..=23_019);
    let (room, mut events) = media.room(RoomConfig::default()).unwrap();
    let mut sides = sides(&media, 2);
    let members = sides
        .iter()
        .map(|side| room.join(&side.channel, Edge::default()).unwrap());
    let members: Vec<_> = members.collect();
    for member in &members {
        assert_eq!(events.blocking_recv(), Some(RoomEvent::Joined(*member)));
    }
    assert_eq!(room.members(), 2);
    let sent: Vec<_> = (0..60).map(marked).collect();
    // Paced by what the other hears, each packet once.
    let [a, b] = &mut sides[..] else {
        unreachable!()
    };
    // A machine that stands still makes the jitter buffer stretch what it has: until enough came through as it was sent.
    let (mut exact, end) = (0, Instant::now() + PATIENCE);
    b.phone.drain();
    for payload in sent.iter().cycle() {
        assert!(
            Instant::now() < end,
            "{exact} packets came as they were sent"
        );
        a.phone.send(payload);
        exact += usize::from(sent.contains(&b.phone.hear().payload));
        if exact == 50 {
            break;
        }
    }
    drop(sides.pop());
    assert_eq!(events.blocking_recv(), Some(RoomEvent::Left(members[1])));
    drop(room);
    assert_eq!(events.blocking_recv(), None, "a room ends with its handle");
    assert_eq!(media.stats().rooms.open.value(), 0);
}

#[test]
fn three_hear_the_other_two_and_never_themselves() {
    let media = media(23_020..=23_039);
    let (room, _events) = media.room(RoomConfig::default()).unwrap();
    let mut sides = sides(&media, 3);
    for side in &sides {
        room.join(&side.channel, Edge::default()).unwrap();
    }
    let spoken: Vec<_> = [500.0, 1100.0, 1700.0].map(|hz| tone(hz, 1000)).into();
    let heard = talk(&mut sides, &spoken);
    for (listener, heard) in heard.iter().enumerate() {
        let tail = &heard[4000..6400];
        for (speaker, hz) in [500.0, 1100.0, 1700.0].into_iter().enumerate() {
            let share = correlation(tail, &tone(hz, 100));
            // Two tones of one level: each is half of the power.
            match listener == speaker {
                true => assert!(share < 0.05, "{listener} hears itself: {share}"),
                false => assert!(
                    (0.6..0.8).contains(&share),
                    "{listener} of {speaker}: {share}"
                ),
            }
        }
    }
    assert_eq!(decoded(&[0xFF]), [0]);
}
