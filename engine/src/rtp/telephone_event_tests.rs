//! Each row is a way real peers send digits, found in public bug reports; the expected keys are what a person pressed.

use super::*;

/// One packet: arrival in ms, sequence, timestamp, marker, code, end, duration.
type Row = (u64, u16, u32, bool, u8, bool, u16);

fn keys(rows: &[Row]) -> String {
    let start = Instant::now();
    let mut receiver = Receiver::default();
    let mut heard = String::new();
    let mut note = |event: KeyEvent| match event {
        KeyEvent::Begin { code, .. } => heard.push_str(&format!("{code}+")),
        KeyEvent::End { code, duration } => heard.push_str(&format!("{code}-{duration} ")),
    };
    for &(ms, sequence, timestamp, marker, code, end, duration) in rows {
        let payload = Payload {
            code,
            end,
            volume: 10,
            duration,
        }
        .to_bytes();
        let now = start + Duration::from_millis(ms);
        receiver.receive(now, sequence, timestamp, marker, &payload, &mut note);
    }
    receiver.expire(start + Duration::from_secs(600), &mut note);
    heard.trim_end().to_owned()
}

#[test]
fn one_press_is_one_key() {
    let cases: &[(&str, &[Row], &str)] = &[
        (
            "by the book",
            &[
                (0, 1, 100, true, 5, false, 160),
                (20, 2, 100, false, 5, false, 320),
                (40, 3, 100, false, 5, true, 480),
                (60, 4, 100, false, 5, true, 480),
                (80, 5, 100, false, 5, true, 480),
            ],
            "5+5-480",
        ),
        (
            "no marker",
            &[
                (0, 1, 100, false, 5, false, 160),
                (20, 2, 100, false, 5, true, 320),
            ],
            "5+5-320",
        ),
        (
            "no end",
            &[
                (0, 1, 100, true, 5, false, 160),
                (20, 2, 100, false, 5, false, 320),
            ],
            "5+5-320",
        ),
        (
            "first packets lost",
            &[
                (40, 3, 100, false, 5, false, 480),
                (60, 4, 100, false, 5, true, 640),
            ],
            "5+5-640",
        ),
        (
            "only one end packet came",
            &[(60, 4, 100, false, 5, true, 640)],
            "5+5-640",
        ),
        (
            "only the three ends came",
            &[
                (0, 4, 9, false, 5, true, 640),
                (20, 5, 9, false, 5, true, 640),
                (40, 6, 9, false, 5, true, 640),
            ],
            "5+5-640",
        ),
        (
            "first packet of no length",
            &[
                (0, 1, 100, true, 5, false, 0),
                (20, 2, 100, false, 5, true, 160),
            ],
            "5+5-160",
        ),
        (
            "one end packet, packets of 100 ms",
            &[
                (0, 1, 0, true, 5, false, 800),
                (100, 2, 0, false, 5, false, 1600),
                (200, 3, 0, false, 5, true, 2400),
            ],
            "5+5-2400",
        ),
        (
            "timestamps rise inside the event",
            &[
                (0, 1, 100, true, 5, false, 160),
                (20, 2, 260, false, 5, false, 320),
                (40, 3, 420, false, 5, false, 480),
                (60, 4, 580, false, 5, true, 640),
                (80, 5, 740, false, 5, true, 640),
                (100, 6, 900, false, 5, true, 640),
            ],
            "5+5-640",
        ),
        (
            "only the end packets are stamped anew",
            &[
                (0, 1, 100, true, 5, false, 160),
                (20, 2, 100, false, 5, true, 320),
                (20, 3, 260, false, 5, true, 320),
                (20, 4, 420, false, 5, true, 320),
            ],
            "5+5-320",
        ),
        (
            "a hole of 400 ms in a long event",
            &[
                (0, 1, 100, true, 5, false, 160),
                (400, 21, 100, false, 5, false, 3360),
                (420, 22, 100, false, 5, true, 3520),
            ],
            "5+5-160",
        ),
        (
            "reordered",
            &[
                (0, 2, 100, false, 5, false, 320),
                (1, 1, 100, true, 5, false, 160),
                (40, 4, 100, false, 5, true, 640),
                (41, 3, 100, false, 5, false, 480),
            ],
            "5+5-640",
        ),
        (
            "interleaved with audio",
            &[
                (0, 1, 100, true, 5, false, 160),
                (20, 3, 100, false, 5, false, 320),
                (40, 5, 100, false, 5, true, 480),
            ],
            "5+5-480",
        ),
        (
            "longer than one segment",
            &[
                (0, 1, 0, true, 5, false, 160),
                (200, 2, 0, false, 5, false, 0xFFFF),
                (220, 3, 0xFFFF, false, 5, false, 160),
                (240, 4, 0xFFFF, false, 5, true, 320),
            ],
            "5+5-65855",
        ),
        (
            "flash and other events",
            &[
                (0, 1, 100, true, 16, false, 160),
                (20, 2, 200, true, 255, true, 160),
            ],
            "",
        ),
    ];
    for (name, rows, expected) in cases {
        assert_eq!(keys(rows), *expected, "{name}");
    }
}

#[test]
fn two_presses_are_two_keys() {
    let cases: &[(&str, &[Row], &str)] = &[
        (
            "the same key at its fastest",
            &[
                (0, 1, 100, true, 5, false, 160),
                (20, 2, 100, false, 5, true, 320),
                (80, 3, 740, true, 5, false, 160),
                (100, 4, 740, false, 5, true, 320),
            ],
            "5+5-320 5+5-320",
        ),
        (
            "no markers, no ends",
            &[
                (0, 1, 100, false, 5, false, 320),
                (80, 2, 740, false, 5, false, 320),
            ],
            "5+5-320 5+5-320",
        ),
        (
            "end lost, another key",
            &[
                (0, 1, 100, true, 5, false, 320),
                (80, 2, 740, true, 6, true, 320),
            ],
            "5+5-320 6+6-320",
        ),
        (
            "another key on the old timestamp",
            &[
                (0, 1, 100, true, 5, true, 320),
                (80, 2, 100, true, 6, true, 320),
            ],
            "5+5-320 6+6-320",
        ),
        (
            "the same key on the old timestamp",
            &[
                (0, 1, 100, true, 5, false, 160),
                (40, 2, 100, false, 5, true, 480),
                (60, 3, 100, false, 5, true, 480),
                (120, 4, 100, true, 5, false, 160),
                (140, 5, 100, false, 5, true, 320),
            ],
            "5+5-480 5+5-320",
        ),
        (
            "only ends came, 80 ms apart",
            &[
                (0, 3, 100, false, 5, true, 320),
                (80, 9, 740, false, 5, true, 320),
            ],
            "5+5-320 5+5-320",
        ),
        (
            "over the sequence wrap",
            &[
                (0, 65535, 100, true, 5, true, 320),
                (80, 0, 740, true, 5, true, 320),
            ],
            "5+5-320 5+5-320",
        ),
        (
            "the last packet of the first key late",
            &[
                (0, 1, 100, true, 5, true, 320),
                (80, 3, 740, true, 6, false, 160),
                (81, 2, 100, false, 5, true, 320),
                (100, 4, 740, false, 6, true, 320),
            ],
            "5+5-320 6+6-320",
        ),
    ];
    for (name, rows, expected) in cases {
        assert_eq!(keys(rows), *expected, "{name}");
    }
}

#[test]
fn a_key_that_never_ends_is_let_go_once() {
    let rows: Vec<Row> = (0..10_000u32)
        .map(|n| {
            let units = n * 160;
            let segment = units / 0xFFFF;
            (
                u64::from(n) * 20,
                n as u16,
                segment * 0xFFFF,
                n == 0,
                5,
                false,
                (units % 0xFFFF) as u16,
            )
        })
        .collect();
    // Let go after 10 s and a packet, and not heard again.
    assert_eq!(keys(&rows), "5+5-80160");
    // Peers that stay at the longest duration are silent after their end too.
    let stuck: Vec<Row> = (0..3000u32)
        .map(|n| {
            (
                u64::from(n) * 20,
                n as u16,
                7,
                n == 0,
                5,
                false,
                (n * 160).min(0xFFFF) as u16,
            )
        })
        .collect();
    assert_eq!(keys(&stuck), "5+5-65535");
}

#[test]
fn a_restart_of_the_numbers_neither_doubles_nor_swallows_a_key() {
    let (mut receiver, now, mut keys) = (Receiver::default(), Instant::now(), Vec::new());
    let mut take = |receiver: &mut Receiver, sequence, timestamp, end| {
        let payload = Payload {
            code: 5,
            end,
            volume: 10,
            duration: 320,
        };
        receiver.receive(
            now,
            sequence,
            timestamp,
            false,
            &payload.to_bytes(),
            &mut |key| keys.push(key),
        );
    };
    take(&mut receiver, 60_000, 100, false);
    receiver.resequence(7);
    take(&mut receiver, 7, 100, true);
    take(&mut receiver, 8, 5000, true);
    let (begin, end) = (
        KeyEvent::Begin {
            code: 5,
            lasted: 320,
            volume: 10,
        },
        KeyEvent::End {
            code: 5,
            duration: 320,
        },
    );
    assert_eq!(keys, [begin, end, begin, end]);
}

#[test]
fn short_payloads_are_ignored_and_long_ones_read() {
    assert_eq!(Payload::parse(&[5, 0, 1]), None);
    assert_eq!(
        Payload::parse(&[5, 0x8A, 1, 2, 9, 9]),
        Some(Payload {
            code: 5,
            end: true,
            volume: 10,
            duration: 0x102
        })
    );
}

#[test]
fn the_sender_is_heard_as_one_key() {
    let clocks = [ClockRate::HZ_8000, ClockRate::HZ_16000, ClockRate::HZ_48000];
    let lengths = [0, 40, 90, 100, 160, 1366, 2740, 4100, 8192, 8200, 9000];
    for (clock, ms) in clocks.into_iter().flat_map(|of| lengths.map(|ms| (of, ms))) {
        let mut sender = Sender::new(11, clock, 4_000_000_000, ms);
        let mut receiver = Receiver::default();
        receiver.set_clock(clock, &mut |_| {});
        let (mut heard, mut ends, mut packets, mut last) = (Vec::new(), 0, 0u16, 0);
        let (now, mut segment) = (Instant::now(), 4_000_000_000);
        while let Some((marker, payload)) = sender.next(20) {
            assert_eq!(marker, packets == 0);
            if sender.timestamp() != segment {
                // RFC 4733 section 2.5.1.3: a full segment is reported as such, then the next one begins where it ended.
                assert_eq!(
                    (last, sender.timestamp()),
                    (0xFFFF, segment.wrapping_add(0xFFFF))
                );
                (segment, last) = (sender.timestamp(), 0);
            }
            assert!(payload.duration >= last && payload.code == 11);
            last = payload.duration;
            ends += u8::from(payload.end);
            receiver.receive(
                now,
                packets,
                sender.timestamp(),
                marker,
                &payload.to_bytes(),
                &mut |key| heard.push(key),
            );
            packets += 1;
        }
        let duration = clock.samples_in_ms(ms.max(40));
        let begin = KeyEvent::Begin {
            code: 11,
            lasted: clock.samples_in_ms(20),
            volume: 10,
        };
        assert_eq!(
            heard,
            [begin, KeyEvent::End { code: 11, duration }],
            "{clock:?} {ms} ms"
        );
        assert_eq!(ends, 3);
    }
}

#[test]
fn a_held_event_ends_when_it_is_told_to() {
    let clock = ClockRate::HZ_8000;
    for (told_after, ms, expected) in [
        (1, 200, 200),
        (5, 20, 100),
        (5, 100, 100),
        (500, 10_010, 10_010),
    ] {
        let mut sender = Sender::new(1, clock, 0, 60_000);
        let (mut packets, mut length) = (0, 0);
        while let Some((_, payload)) = sender.next(20) {
            packets += 1;
            if packets == told_after {
                sender.end_after(ms);
            }
            length = sender.timestamp() + u32::from(payload.duration);
            assert!(!payload.end || clock.ms(length) == expected);
        }
        assert_eq!(
            clock.ms(length),
            expected,
            "told after {told_after} packets"
        );
    }
}
