//! Each row is a way in which real peers report keys; the expected digits are what a person pressed. Packets go through the receiver of
//! telephone events as in a channel, tones and INFO as their owners report them; times are made up.

use super::DigitSource::{InBand, Info, Rfc4733};
use super::*;
use crate::media::{ClockRate, event_key};
use crate::rtp::telephone_event::{Payload, Receiver};

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// A telephone event's packet: sequence, timestamp, marker, code, end, duration.
    Packet(u16, u32, bool, u8, bool, u16),
    /// The detector is sure of a tone that began so many ms ago.
    ToneDown(char, u64),
    /// It is sure that the tone is over, so many ms after it began.
    ToneUp(char, u32),
    /// An INFO request.
    Info(char),
}
use Op::{Info as I, Packet as P, ToneDown as D, ToneUp as U};

/// A leg's ears.
struct Ears {
    start: Instant,
    receiver: Receiver,
    arbiter: Arbiter,
    /// Keys down are `d`, presses their digit.
    heard: String,
    presses: Vec<KeyPress>,
}

impl Ears {
    fn new(clock: ClockRate) -> Ears {
        let start = Instant::now();
        let mut receiver = Receiver::default();
        receiver.set_clock(clock, &mut |_| {});
        Ears {
            start,
            receiver,
            arbiter: Arbiter::new(start),
            heard: String::new(),
            presses: Vec::new(),
        }
    }

    fn note(&mut self, heard: Heard) {
        match heard {
            Heard::Nothing => {}
            Heard::Down(..) => self.heard.push('d'),
            Heard::Press(press) => {
                self.heard.push(press.digit);
                self.presses.push(press);
            }
        }
    }

    fn take(&mut self, ms: u64, op: Op) {
        let now = self.start + Duration::from_millis(ms);
        let clock = self.receiver.clock();
        let mut events = Vec::new();
        let due = self.receiver.next_timeout().filter(|at| *at <= now);
        if let Some(at) = due {
            let mut expired = |event| events.extend(event_key(clock, at, event));
            self.receiver.expire(at, &mut expired);
        }
        let mut on = |event| events.extend(event_key(clock, now, event));
        match op {
            P(sequence, timestamp, marker, code, end, duration) => {
                let payload = Payload {
                    code,
                    end,
                    volume: 10,
                    duration,
                };
                let octets = payload.to_bytes();
                self.receiver
                    .receive(now, sequence, timestamp, marker, &octets, &mut on);
            }
            D(key, ago) => events.push(MediaEvent::KeyBegin {
                key,
                source: KeySource::InBand,
                at: now.checked_sub(Duration::from_millis(ago)).unwrap(),
                level_dbm0: Some(-8.0),
                tone: Some(Measured {
                    level_dbm0: -8.0,
                    twist_db: 2.0,
                    deviations: [0.001, -0.002],
                    snr_db: 35.0,
                }),
            }),
            U(key, duration_ms) => events.push(MediaEvent::KeyEnd {
                key,
                source: KeySource::InBand,
                at: now,
                duration_ms,
            }),
            I(_) => {}
        }
        for event in events {
            let heard = self.arbiter.hear(&event);
            self.note(heard);
        }
        if let I(digit) = op {
            let press = self.arbiter.info(now, digit, Some(160));
            self.note(press.map_or(Heard::Nothing, Heard::Press));
        }
    }
}

fn ears(ops: &[(u64, Op)]) -> Ears {
    let mut ears = Ears::new(ClockRate::HZ_8000);
    for (ms, op) in ops {
        ears.take(*ms, *op);
    }
    // Time goes by.
    ears.take(120_000, D('D', 0));
    assert_eq!(ears.heard.pop(), Some('d'));
    ears
}

/// Packets of an event of code 1, 20 ms apart, three ends; one after the other in sequence.
fn event(at_ms: u64, sequence: u16, timestamp: u32, packets: u16) -> Vec<(u64, Op)> {
    (0..packets + 2)
        .map(|n| {
            let (last, duration) = (n + 1 >= packets, (n + 1).min(packets) * 160);
            let packet = P(sequence + n, timestamp, n == 0, 1, last, duration);
            (at_ms + u64::from(n) * 20, packet)
        })
        .collect()
}

/// All that happens, in its order.
fn merged(parts: &[&[(u64, Op)]]) -> Vec<(u64, Op)> {
    let mut ops = parts.concat();
    ops.sort_by_key(|(ms, _)| *ms);
    ops
}

#[test]
fn one_press_is_one_digit_whatever_mixture_arrives() {
    let whole = event(0, 1, 800, 5);
    let tone: &[(u64, Op)] = &[(105, D('1', 40)), (190, U('1', 100))];
    let early_tone: &[(u64, Op)] = &[(45, D('1', 40)), (130, U('1', 100))];
    let cases: &[(&str, Vec<(u64, Op)>)] = &[
        ("an event alone", whole.clone()),
        ("a tone alone", tone.to_vec()),
        ("INFO alone: no down is known", vec![(0, I('1'))]),
        (
            "event, then its tone from the jitter buffer",
            merged(&[&whole, tone]),
        ),
        (
            "tone, then an event whose packets were late",
            merged(&[early_tone, &event(60, 1, 800, 5)]),
        ),
        (
            "the tone outlasts the event",
            merged(&[&whole, &[(60, D('1', 40)), (400, U('1', 350))]]),
        ),
        (
            "the tone comes after the event's end",
            merged(&[&whole, &[(300, D('1', 40)), (360, U('1', 60))]]),
        ),
        (
            "a tone behind a jitter buffer of 400 ms",
            merged(&[&whole, &[(540, D('1', 440)), (600, U('1', 100))]]),
        ),
        (
            "event and INFO at its end",
            merged(&[&whole, &[(100, I('1'))]]),
        ),
        (
            "INFO in the middle of the event",
            merged(&[&whole, &[(30, I('1'))]]),
        ),
        (
            "INFO before the event",
            merged(&[&[(0, I('1'))], &event(50, 1, 800, 5)]),
        ),
        (
            "INFO after a retransmission timeout",
            merged(&[&whole, &[(600, I('1'))]]),
        ),
        (
            "INFO at the end of a key held for 5 s",
            merged(&[&event(0, 1, 800, 250), &[(5000, I('1'))]]),
        ),
        ("all three", merged(&[&whole, tone, &[(250, I('1'))]])),
        (
            "all three, INFO first and the event last",
            merged(&[&[(0, I('1'))], early_tone, &event(150, 1, 800, 5)]),
        ),
        (
            "the first packets lost, and a tone",
            merged(&[&whole[3..], tone]),
        ),
        ("the ends lost, and a tone", merged(&[&whole[..4], tone])),
        (
            "only one end came, and a tone",
            merged(&[&whole[4..5], tone]),
        ),
        (
            "markers missing",
            vec![
                (0, P(1, 800, false, 1, false, 160)),
                (20, P(2, 800, false, 1, false, 320)),
                (40, P(3, 800, false, 1, true, 480)),
            ],
        ),
        (
            "timestamps rise inside the event, with a tone",
            merged(&[
                tone,
                &[
                    (0, P(1, 800, true, 1, false, 160)),
                    (20, P(2, 960, false, 1, false, 320)),
                    (40, P(3, 1120, false, 1, false, 480)),
                    (60, P(4, 1280, false, 1, true, 640)),
                    (80, P(5, 1440, false, 1, true, 640)),
                ],
            ]),
        ),
        (
            "timestamps rise by 100 ms, the ptime",
            vec![
                (0, P(1, 800, true, 1, false, 800)),
                (100, P(2, 1600, false, 1, false, 1600)),
                (200, P(3, 2400, false, 1, false, 2400)),
                (300, P(4, 3200, false, 1, true, 3200)),
            ],
        ),
        (
            "timestamps rise over a hole",
            vec![
                (0, P(1, 800, true, 1, false, 160)),
                (20, P(2, 960, false, 1, false, 320)),
                (180, P(10, 2240, false, 1, false, 1600)),
                (200, P(11, 2400, false, 1, true, 1760)),
            ],
        ),
        (
            "one end at a ptime of 100 ms",
            vec![
                (0, P(1, 0, true, 1, false, 800)),
                (100, P(2, 0, false, 1, true, 1600)),
            ],
        ),
        (
            "the ends are stamped anew",
            vec![
                (0, P(1, 800, true, 1, false, 160)),
                (20, P(2, 800, false, 1, true, 320)),
                (40, P(3, 960, false, 1, true, 320)),
                (60, P(4, 1120, false, 1, true, 320)),
            ],
        ),
        (
            "events between audio packets, and the tone in those",
            merged(&[
                tone,
                &[
                    (0, P(1, 800, true, 1, false, 160)),
                    (20, P(3, 800, false, 1, false, 320)),
                    (40, P(5, 800, false, 1, true, 480)),
                ],
            ]),
        ),
        (
            "a hole in a long event, and a tone that has none",
            merged(&[
                &event(0, 1, 800, 3)[..2],
                &[(60, D('1', 40))],
                &[
                    (500, P(26, 800, false, 1, false, 4160)),
                    (520, P(27, 800, false, 1, true, 4320)),
                ],
                &[(560, U('1', 540))],
            ]),
        ),
        (
            "a tone that breaks off while the event goes on",
            merged(&[
                &event(0, 1, 800, 25),
                &[
                    (60, D('1', 40)),
                    (200, U('1', 140)),
                    (320, D('1', 40)),
                    (540, U('1', 240)),
                ],
            ]),
        ),
        (
            "a re-INVITE takes the events away while the key is down",
            merged(&[
                &event(0, 1, 800, 50)[..4],
                &[(400, D('1', 390)), (900, U('1', 880))],
            ]),
        ),
        (
            "a re-INVITE brings events while the tone sounds",
            merged(&[
                &[(45, D('1', 40))],
                &[
                    (200, P(1, 800, true, 1, false, 160)),
                    (220, P(2, 800, false, 1, true, 320)),
                ],
                &[(260, U('1', 200))],
            ]),
        ),
        (
            "a re-INVITE to INFO behind the press",
            merged(&[&whole, &[(900, I('1'))]]),
        ),
    ];
    for (name, ops) in cases {
        let ears = ears(ops);
        let expected = if matches!(ops[0].1, I(_)) { "1" } else { "d1" };
        assert_eq!(ears.heard, expected, "{name}");
    }
}

#[test]
fn an_event_that_never_ends_is_one_digit_in_bounded_time() {
    // Segments by the book, for a minute.
    let endless: Vec<(u64, Op)> = (0..3000u32)
        .map(|n| {
            let units = (n + 1) * 160;
            let (segment, rest) = (units / 0xFFFF, units % 0xFFFF);
            let packet = P(n as u16, segment * 0xFFFF, n == 0, 1, false, rest as u16);
            (u64::from(n) * 20, packet)
        })
        .collect();
    let mut ears = Ears::new(ClockRate::HZ_8000);
    for (ms, op) in &endless {
        ears.take(*ms, *op);
        if *ms == 11_000 {
            assert_eq!(ears.heard, "d1", "after 11 s");
        }
    }
    assert_eq!(ears.heard, "d1");
    // A peer that says the longest duration over and over.
    let stuck: Vec<(u64, Op)> = (0..3000u32)
        .map(|n| {
            let duration = (n * 160).min(0xFFFF) as u16;
            (
                u64::from(n) * 20,
                P(n as u16, 7, n == 0, 1, false, duration),
            )
        })
        .collect();
    assert_eq!(self::ears(&stuck).heard, "d1");
}

#[test]
fn presses_that_follow_each_other_stay_as_many() {
    let (one, two) = (event(0, 1, 800, 3), event(100, 9, 1600, 3));
    let cases: &[(&str, Vec<(u64, Op)>, &str)] = &[
        ("fast repeats by event", merged(&[&one, &two]), "d1d1"),
        (
            "fast repeats by tone",
            vec![
                (45, D('1', 40)),
                (80, U('1', 50)),
                (145, D('1', 40)),
                (180, U('1', 50)),
            ],
            "d1d1",
        ),
        (
            "fast repeats by INFO",
            vec![(0, I('1')), (90, I('1'))],
            "11",
        ),
        (
            "fast repeats by event and tone, in turn",
            merged(&[
                &one,
                &two,
                &[
                    (62, D('1', 42)),
                    (85, U('1', 50)),
                    (162, D('1', 42)),
                    (185, U('1', 50)),
                ],
            ]),
            "d1d1",
        ),
        (
            "fast repeats, both events before both tones",
            merged(&[
                &one,
                &two,
                &[
                    (250, D('1', 200)),
                    (300, U('1', 50)),
                    (350, D('1', 200)),
                    (400, U('1', 50)),
                ],
            ]),
            "d1d1",
        ),
        (
            "fast repeats, the first begun by its tone and the second by its event",
            merged(&[
                &one[1..],
                &two,
                &[
                    (15, D('1', 15)),
                    (81, U('1', 50)),
                    (165, D('1', 45)),
                    (190, U('1', 50)),
                ],
            ]),
            "d1d1",
        ),
        (
            "INFO of two presses, late",
            merged(&[&one, &two, &[(400, I('1')), (450, I('1'))]]),
            "d1d1",
        ),
        (
            "two presses by all three",
            merged(&[
                &one,
                &two,
                &[
                    (62, D('1', 42)),
                    (85, U('1', 50)),
                    (162, D('1', 42)),
                    (185, U('1', 50)),
                    (200, I('1')),
                    (300, I('1')),
                ],
            ]),
            "d1d1",
        ),
        (
            "1 2 1 of which the tone of the first 1 was missed",
            merged(&[
                &one,
                &[
                    (100, P(9, 1600, true, 2, true, 320)),
                    (200, P(12, 2400, true, 1, true, 320)),
                    (145, D('2', 40)),
                    (170, U('2', 50)),
                    (245, D('1', 40)),
                    (270, U('1', 50)),
                ],
            ]),
            "d1d2d1",
        ),
        (
            "the next digit on the old timestamp",
            vec![
                (0, P(1, 800, true, 1, false, 160)),
                (20, P(2, 800, false, 1, true, 320)),
                (100, P(3, 800, true, 1, false, 160)),
                (120, P(4, 800, false, 1, true, 320)),
            ],
            "d1d1",
        ),
        (
            "the next digit on the old timestamp, its first packets lost",
            vec![
                (0, P(1, 800, true, 1, false, 160)),
                (20, P(2, 800, false, 1, true, 320)),
                (100, P(3, 800, false, 2, false, 480)),
                (120, P(4, 800, false, 2, true, 640)),
            ],
            "d1d2",
        ),
        (
            "another digit on the old timestamp",
            vec![
                (0, P(1, 800, true, 1, true, 320)),
                (90, P(2, 800, true, 2, true, 320)),
            ],
            "d1d2",
        ),
        (
            "the end lost, then the next press without a marker",
            merged(&[
                &one[..2],
                &[
                    (120, P(12, 1760, false, 1, false, 160)),
                    (140, P(13, 1760, false, 1, true, 320)),
                ],
            ]),
            "d1d1",
        ),
        (
            "a press after a re-INVITE from events to tones",
            merged(&[&one, &[(800, D('1', 40)), (860, U('1', 60))]]),
            "d1d1",
        ),
        (
            "another key by another source",
            merged(&[&one, &[(62, D('2', 42)), (85, U('2', 50))]]),
            "d1d2",
        ),
        (
            "the same key much later by another source",
            merged(&[&one, &[(2000, D('1', 40)), (2100, U('1', 100))]]),
            "d1d1",
        ),
        ("an end that nothing began", vec![(0, U('1', 50))], ""),
    ];
    for (name, ops, expected) in cases {
        assert_eq!(ears(ops).heard, *expected, "{name}");
    }
}

#[test]
fn the_press_tells_what_all_sources_knew_of_it() {
    let ops = merged(&[
        &event(1000, 1, 800, 10),
        &[(1061, D('1', 41)), (1240, U('1', 190))],
        &[(1050, I('1'))],
    ]);
    let press = ears(&ops).presses[0];
    assert_eq!(press.source, Rfc4733);
    for source in [InBand, Rfc4733, Info] {
        assert!(press.sources.contains(source), "{source:?}");
    }
    assert_eq!(press.sources.to_string(), "rfc4733+inband+info");
    // The packet that came at 1000 ms had lasted for 20 ms; the event's duration counts, not the tone's.
    assert_eq!((press.began_ms, press.duration_ms), (980, Some(200)));
    assert_eq!(press.ended_ms(), Some(1180));
    assert_eq!(press.level_dbm0, Some(-8.0));
    let tone = press.tone.expect("the tone was heard");
    assert_eq!(
        (tone.twist_db, tone.deviations, tone.snr_db),
        (2.0, [0.001, -0.002], 35.0)
    );

    // Of an event alone: its own level, and no tone.
    let press = ears(&event(1000, 1, 800, 10)).presses[0];
    assert_eq!((press.level_dbm0, press.tone), (Some(-10.0), None));
    assert!(!press.sources.contains(InBand));
}

#[test]
fn what_was_negotiated_decides_when_a_key_is_up() {
    // The tone is sure of itself first and ends first; the event goes on.
    let ops = merged(&[
        &event(100, 1, 800, 20),
        &[(90, D('1', 10)), (150, U('1', 60))],
    ]);
    let press = ears(&ops).presses[0];
    assert_eq!((press.source, press.duration_ms), (InBand, Some(400)));
}

#[test]
fn clocks_of_16_and_48_khz() {
    for clock in [ClockRate::HZ_16000, ClockRate::HZ_48000] {
        let units = |ms| clock.samples_in_ms(ms);
        let mut ears = Ears::new(clock);
        for n in 0..5u16 {
            let (end, duration) = (n >= 4, units(20) as u16 * (n + 1));
            ears.take(u64::from(n) * 20, P(n, 5, n == 0, 1, end, duration));
        }
        ears.take(110, D('1', 100));
        ears.take(160, U('1', 100));
        assert_eq!(ears.heard, "d1", "{clock:?}");
        assert_eq!(ears.presses[0].duration_ms, Some(100));
    }
}

#[test]
fn memory_is_bounded() {
    let mut arbiter = Arbiter::new(Instant::now());
    for _ in 0..1000 {
        arbiter.begin(&Report {
            digit: '1',
            source: Rfc4733,
            began: arbiter.epoch,
            level_dbm0: None,
            tone: None,
        });
    }
    assert_eq!(arbiter.presses.len(), MEMORY);
}
