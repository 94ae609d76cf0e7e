//! The meter against made-up arrivals.

use super::*;
use crate::rtp::packet::Header;

const MS: u64 = 1_000_000;

/// A sender and a meter, 500 ms of silence tolerated.
struct Rig {
    meter: Meter,
    header: Header,
}

impl Rig {
    /// Half a second of punctual packets before the counting.
    fn new() -> Rig {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: 65_500,
            timestamp: u32::MAX - 1000,
            ssrc: 7,
        };
        let mut rig = Rig {
            meter: Meter::new(500 * MS),
            header,
        };
        (0..50).for_each(|frame| _ = rig.frame_at(frame * 20 * MS));
        rig.meter.open(1000 * MS - MS);
        rig
    }

    fn frame_at(&mut self, at_ns: u64) -> Option<u64> {
        let header = self.next_header();
        self.take(header, at_ns)
    }

    fn next_header(&mut self) -> Header {
        let header = self.header;
        self.header.sequence = header.sequence.wrapping_add(1);
        self.header.timestamp = header.timestamp.wrapping_add(160);
        self.header.marker = false;
        header
    }

    fn take(&mut self, header: Header, at_ns: u64) -> Option<u64> {
        let packet = Packet {
            header,
            payload: &[0; 160],
        };
        self.meter.take(&packet, at_ns, true, false)
    }

    /// Frames `first..after` of the counted time, each `late(frame)` ms after its schedule; `None`: never.
    fn play(&mut self, frames: std::ops::Range<u64>, late: impl Fn(u64) -> Option<u64>) {
        for frame in frames {
            let header = self.next_header();
            if let Some(late) = late(frame) {
                self.take(header, (1000 + frame * 20 + late) * MS);
            }
        }
    }

    fn close(&mut self, ms: u64) -> Counts {
        self.meter.close((1000 + ms) * MS)
    }
}

fn counts(received: u64) -> Counts {
    Counts {
        received,
        ..Counts::default()
    }
}

#[test]
fn a_punctual_stream_lacks_nothing() {
    let mut rig = Rig::new();
    rig.play(0..100, |_| Some(0));
    assert_eq!(rig.close(2000), counts(100));
}

#[test]
fn exactly_the_packets_that_never_came_are_lost() {
    let mut rig = Rig::new();
    rig.play(0..100, |frame| (frame % 10 != 3).then_some(0));
    assert_eq!(
        rig.close(2000),
        Counts {
            lost: 10,
            ..counts(90)
        }
    );
}

#[test]
fn a_frame_is_late_beyond_20_ms_and_counts_for_each_20_ms() {
    for (late_ms, frames) in [
        (19, 0),
        (20, 0),
        (21, 1),
        (40, 1),
        (41, 2),
        (60, 2),
        (61, 3),
    ] {
        let mut rig = Rig::new();
        rig.play(0..20, |_| Some(0));
        let header = rig.next_header();
        assert_eq!(rig.take(header, (1400 + late_ms) * MS), Some(late_ms * MS));
        // What was held up behind it comes with it.
        rig.play(21..24, |frame| {
            Some((400 + late_ms).saturating_sub(frame * 20))
        });
        rig.play(24..60, |_| Some(0));
        assert_eq!(
            rig.close(1200),
            Counts {
                late: frames,
                ..counts(60)
            },
            "{late_ms}"
        );
    }
}

#[test]
fn after_a_late_frame_the_listener_plays_on_from_there() {
    // A path that becomes 50 ms longer costs two frames once; when it becomes shorter again nothing.
    let mut rig = Rig::new();
    rig.play(0..50, |_| Some(0));
    rig.play(50..100, |_| Some(50));
    rig.play(100..150, |_| Some(0));
    assert_eq!(
        rig.close(3000),
        Counts {
            late: 2,
            ..counts(150)
        }
    );
}

#[test]
fn drift_and_delay_are_not_lateness() {
    // 1 % is far beyond any clock; the floor follows within a second.
    let mut rig = Rig::new();
    rig.play(0..1000, |frame| Some(frame / 5));
    assert_eq!(rig.close(20_200), counts(1000));
}

#[test]
fn what_our_own_standstill_delayed_is_counted_apart() {
    let mut rig = Rig::new();
    rig.play(0..20, |_| Some(0));
    let header = rig.next_header();
    let packet = Packet {
        header,
        payload: &[0; 160],
    };
    rig.meter.take(&packet, 1445 * MS, true, true);
    assert_eq!(
        rig.close(500),
        Counts {
            excused: 2,
            ..counts(21)
        }
    );
}

#[test]
fn a_stream_that_ends_or_never_begins_is_stopped() {
    let mut rig = Rig::new();
    rig.play(0..50, |_| Some(0));
    // The last frame came at 980 ms; 500 ms are tolerated.
    assert_eq!(
        rig.close(2000),
        Counts {
            stopped: 26,
            ..counts(50)
        }
    );
    let mut silent = Meter::new(500 * MS);
    silent.open(1000 * MS);
    assert_eq!(
        silent.close(3000 * MS),
        Counts {
            stopped: 100,
            ..counts(0)
        }
    );
    assert!(!silent.heard());
    let mut died = Rig::new();
    // Silent from before the counting: the tolerance was used up or not, the time before does not count.
    died.meter.open(5000 * MS);
    assert_eq!(
        died.meter.close(6000 * MS),
        Counts {
            stopped: 50,
            ..counts(0)
        }
    );
}

#[test]
fn a_silence_that_ends_with_the_marker_is_no_lateness() {
    let mut rig = Rig::new();
    rig.play(0..10, |_| Some(0));
    rig.header.marker = true;
    let header = rig.next_header();
    rig.take(header, (1180 + 1000) * MS);
    let expected = Counts {
        stopped: 25,
        restarts: 1,
        ..counts(11)
    };
    assert_eq!(rig.close(1200), expected);
}

#[test]
fn order_and_repetition_are_told_apart() {
    let mut rig = Rig::new();
    rig.play(0..10, |_| Some(0));
    let (first, second) = (rig.next_header(), rig.next_header());
    rig.take(second, 1218 * MS);
    rig.take(first, 1218 * MS);
    rig.take(first, 1220 * MS);
    rig.play(12..20, |_| Some(0));
    let expected = Counts {
        reordered: 1,
        repeated: 1,
        ..counts(20)
    };
    assert_eq!(rig.close(400), expected);
}

#[test]
fn an_overtaken_frame_may_be_late_too() {
    let mut rig = Rig::new();
    rig.play(0..10, |_| Some(0));
    let first = rig.next_header();
    rig.play(11..14, |_| Some(0));
    rig.take(first, (1200 + 65) * MS);
    let expected = Counts {
        reordered: 1,
        late: 1,
        ..counts(14)
    };
    assert_eq!(rig.close(280), expected);
}

#[test]
fn another_stream_begins_anew_and_a_stray_number_does_not() {
    let mut rig = Rig::new();
    rig.play(0..10, |_| Some(0));
    let stray = Header {
        sequence: rig.header.sequence.wrapping_sub(20_000),
        ..rig.header
    };
    rig.take(stray, 1200 * MS);
    rig.play(10..20, |_| Some(0));
    // The same SSRC with other numbers: believed from the second packet on.
    rig.header.sequence = rig.header.sequence.wrapping_add(20_000);
    rig.play(20..30, |_| Some(0));
    rig.header.ssrc = 8;
    rig.play(30..40, |_| Some(0));
    let expected = Counts {
        restarts: 2,
        ..counts(41)
    };
    assert_eq!(rig.close(800), expected);
}

#[test]
fn events_have_numbers_but_no_schedule() {
    let mut rig = Rig::new();
    rig.play(0..10, |_| Some(0));
    for _ in 0..5 {
        let header = rig.next_header();
        let event = Packet {
            header: Header {
                timestamp: 1,
                ..header
            },
            payload: &[0; 4],
        };
        assert_eq!(rig.meter.take(&event, 1190 * MS, false, false), None);
    }
    rig.play(15..30, |_| Some(0));
    assert_eq!(rig.close(600), counts(30));
}

#[test]
fn sums_are_sums() {
    let one = Counts {
        received: 1,
        lost: 2,
        late: 3,
        excused: 4,
        stopped: 5,
        reordered: 6,
        repeated: 7,
        restarts: 8,
    };
    let two = one.plus(&one);
    assert_eq!((two.received, two.restarts, two.excused), (2, 16, 8));
    assert_eq!(one.missed(), 10);
}
