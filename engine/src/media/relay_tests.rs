//! Tables of source packets and the numbers they get.

use super::*;

const NEXT: Position = Position {
    sequence: 1000,
    timestamp: 50_000,
};

fn audio(sequence: u16, timestamp: u32) -> Received {
    Received {
        sequence,
        timestamp,
        kind: Kind::Audio,
        in_order: true,
        samples: 160,
        clock: ClockRate::HZ_8000,
    }
}

fn event(sequence: u16, timestamp: u32, duration: u16) -> Received {
    Received {
        kind: Kind::Event { duration },
        samples: 0,
        clock: ClockRate::HZ_8000,
        ..audio(sequence, timestamp)
    }
}

fn late(sequence: u16, timestamp: u32) -> Received {
    Received {
        in_order: false,
        ..audio(sequence, timestamp)
    }
}

/// The place as numbers relative to [`NEXT`], and whether it begins a stretch.
fn relative(place: Option<Place>) -> Option<(i16, i32, bool)> {
    place.map(|place| {
        (
            place.sequence.wrapping_sub(NEXT.sequence) as i16,
            place.timestamp.wrapping_sub(NEXT.timestamp) as i32,
            place.begins,
        )
    })
}

/// Places packets that come 20 ms apart into a stream that stands at [`NEXT`] plus what was placed.
fn places(packets: &[Received]) -> Vec<Option<(i16, i32, bool)>> {
    let (mut relay, mut next) = (Relay::default(), NEXT);
    let mut place = |(n, packet): (usize, &Received)| {
        let place = relay.place(n as u64 * 20, packet, next);
        if let Some(place) = place
            && packet.in_order
        {
            next = Position {
                sequence: place.sequence.wrapping_add(1),
                timestamp: place.timestamp.wrapping_add(packet.samples),
            };
        }
        relative(place)
    };
    packets.iter().enumerate().map(&mut place).collect()
}

#[test]
fn loss_and_order_are_passed_on() {
    let start = 65_534;
    assert_eq!(
        places(&[
            audio(start, 4_294_967_200),
            audio(65_535, 64),
            // two are lost, one comes late
            audio(2, 544),
            late(0, 224),
            audio(3, 704),
            // one of before the stretch
            late(65_533, 4_294_967_040),
        ]),
        [
            Some((0, 0, true)),
            Some((1, 160, false)),
            Some((4, 640, false)),
            Some((2, 320, false)),
            Some((5, 800, false)),
            None,
        ]
    );
}

#[test]
fn jumps_of_the_source_do_not_come_through() {
    for (name, jump) in [
        ("sequence", audio(5000, 480)),
        ("sequence backwards", audio(60_000, 480)),
        ("timestamp ahead", audio(13, 1_000_000)),
        ("timestamp back", audio(13, 4_000_000_000)),
        ("both", audio(40_000, 77)),
    ] {
        assert_eq!(
            places(&[audio(10, 0), audio(11, 160), audio(12, 320), jump]),
            [
                Some((0, 0, true)),
                Some((1, 160, false)),
                Some((2, 320, false)),
                Some((3, 480, true))
            ],
            "{name}"
        );
    }
}

#[test]
fn a_pause_of_the_source_is_a_pause() {
    let mut relay = Relay::default();
    relay.place(0, &audio(10, 0), NEXT).unwrap();
    // 400 ms of silence that was not sent, and a network that made it 250 ms longer
    let place = relay.place(650, &audio(11, 3200), NEXT);
    assert_eq!(relative(place), Some((1, 3200, false)));
    // what the network held up comes in a burst
    for n in 12..22 {
        let place = relay.place(650, &audio(n, 3200 + u32::from(n - 11) * 160), NEXT);
        assert!(place.is_some_and(|place| !place.begins), "{n}");
    }
}

#[test]
fn events_share_the_audio_clock_and_one_timestamp() {
    assert_eq!(
        places(&[
            audio(10, 1600),
            event(11, 1760, 160),
            event(12, 1760, 320),
            event(13, 1760, 320),
            audio(14, 2240),
        ]),
        [
            Some((0, 0, true)),
            Some((1, 160, false)),
            Some((2, 160, false)),
            Some((3, 160, false)),
            Some((4, 640, false)),
        ]
    );
}

#[test]
fn an_event_keeps_its_timestamp_whatever_comes_between() {
    let mut relay = Relay::default();
    let first = relay.place(0, &event(10, 777, 160), NEXT).unwrap();
    relay.restart();
    let later = Position {
        sequence: 1003,
        timestamp: 50_480,
    };
    let among = relay.place_event(&event(11, 777, 320), later);
    let again = relay.place(40, &event(12, 777, 480), later).unwrap();
    assert_eq!(
        [first.timestamp, among.timestamp, again.timestamp],
        [50_000; 3]
    );
    assert_eq!((among.sequence, again.sequence), (1003, 1003));
    // another press
    assert_eq!(
        relay.place_event(&event(13, 9999, 160), later).timestamp,
        50_480
    );
}

#[test]
fn an_event_that_is_joined_late_began_before() {
    let mut relay = Relay::default();
    let first = relay.place(0, &event(10, 8000, 1600), NEXT);
    assert_eq!(relative(first), Some((0, -1600, true)));
    let audio = relay.place(20, &audio(11, 9760), NEXT);
    assert_eq!(relative(audio), Some((1, 160, false)));
}

#[test]
fn what_is_left_out_leaves_no_gap() {
    let mut relay = Relay::default();
    let mut sequences = Vec::new();
    for (n, kept) in [
        (10, true),
        (12, true),
        (13, false),
        (14, false),
        (15, true),
        (16, false),
        (17, true),
        (19, true),
    ] {
        let packet = audio(n, u32::from(n) * 160);
        if kept {
            sequences.push(
                relay
                    .place(u64::from(n) * 20, &packet, NEXT)
                    .unwrap()
                    .sequence,
            );
        } else {
            relay.leave_out(&packet);
        }
    }
    assert_eq!(sequences, [1000, 1002, 1003, 1004, 1006]);
    // late ones of before and after what was left out
    assert_eq!(
        relay.place(400, &late(18, 2880), NEXT).unwrap().sequence,
        1005
    );
}

#[test]
fn no_two_packets_get_the_same_number() {
    let mut relay = Relay::default();
    let mut place = |packet| relay.place(0, &packet, NEXT).map(|place| place.sequence);
    assert_eq!(place(audio(10, 0)), Some(1000));
    for n in [12, 14, 15] {
        relay.leave_out(&audio(n, 0));
    }
    let mut place = |packet| relay.place(0, &packet, NEXT).map(|place| place.sequence);
    // 13 was among what was left out: no room
    assert_eq!([13, 11].map(|n| place(late(n, 0))), [None, Some(1001)]);
    assert_eq!(place(audio(17, 0)), Some(1004));
    relay.leave_out(&audio(18, 0));
    let mut place = |packet| relay.place(0, &packet, NEXT).map(|place| place.sequence);
    assert_eq!(place(audio(19, 0)), Some(1005));
    // before 12 the difference is no longer known
    assert_eq!([16, 11].map(|n| place(late(n, 0))), [Some(1003), None]);
}

#[test]
fn a_source_sends_at_twice_its_pace_at_most() {
    for (packet_ms, every_ms, expected) in [
        (20, 20, 3000),
        (20, 10, 6000),
        (20, 2, 6000),
        (1, 1, 24_000),
    ] {
        let mut pace = Pace::default();
        let sent = 60_000 / every_ms;
        let passed = (0..sent)
            .filter(|n| pace.admit(1_000_000 + n * every_ms, packet_ms))
            .count() as u64;
        assert!(
            (expected..=expected + 260).contains(&passed),
            "{packet_ms} ms every {every_ms} ms: {passed} of {sent}"
        );
    }
}
