use super::*;

fn pair(rate_hz: u32) -> (Tap, TapEnds, Arc<TapStats>) {
    let stats = Arc::new(TapStats::default());
    let spec = TapSpec {
        rate_hz,
        received: true,
        sent: true,
    };
    let (tap, ends) = tap(spec, stats.clone());
    (tap, ends, stats)
}

/// One frame of the channel: what it plays.
fn step(half: &mut Tap, heard: i16) -> Vec<i16> {
    let mut played = vec![0; 160];
    half.hear(&[heard; 160]);
    half.play(&mut played);
    half.say(&played);
    assert!(half.turn());
    played
}

fn ramp(from: usize, count: usize) -> Vec<i16> {
    (from..from + count)
        .map(|n| (n % 30_000) as i16 + 1)
        .collect()
}

#[test]
fn both_sides_come_in_order_of_time() {
    let (mut half, mut ends, stats) = pair(8000);
    ends.write(&[9; 320]);
    assert!(ends.turn().is_empty());
    for frame in 0..3 {
        step(&mut half, frame);
    }
    for (n, sent) in [(0, 9), (1, 9), (2, 0)] {
        for (side, value) in [(TapSide::Received, n), (TapSide::Sent, sent)] {
            let expected = TapFrame {
                side,
                at_ms: n as u64 * 20,
                samples: vec![value; 160],
            };
            assert_eq!(ends.read(), Some(expected));
        }
    }
    assert_eq!((ends.read(), ends.lost(), stats.active()), (None, 0, 1));
    drop(half);
    assert!(ends.is_over());
    assert_eq!(stats.active(), 0);
}

#[test]
fn what_is_written_is_played_sample_for_sample() {
    let (mut half, mut ends, _) = pair(8000);
    let written = ramp(0, 10_000);
    let mut played = Vec::new();
    for piece in written.chunks(313) {
        assert_eq!(ends.write(piece), piece.len());
    }
    for _ in 0..63 {
        ends.turn();
        played.extend(step(&mut half, 0));
    }
    assert!(played[..10_000] == written);
    assert!(played[10_000..].iter().all(|sample| *sample == 0));
    // A rest that is no whole frame is played before the peer would hear a gap, not before.
    ends.write(&ramp(0, 330));
    ends.turn();
    assert_eq!(step(&mut half, 0), ramp(0, 160));
    ends.write(&ramp(330, 150));
    ends.turn();
    assert_eq!(step(&mut half, 0), ramp(160, 160));
    ends.turn();
    assert_eq!(step(&mut half, 0), ramp(320, 160));
}

#[test]
fn ten_minutes_wait_and_no_more() {
    let (mut half, mut ends, stats) = pair(8000);
    let written = ramp(0, 600 * 8000);
    for piece in written.chunks(8000) {
        assert_eq!(ends.write(piece), piece.len());
    }
    assert_eq!(ends.queued_ms(), 600_000);
    assert_eq!(ends.write(&[1; 160]), 0);
    assert_eq!((ends.refused(), stats.refused_samples()), (160, 160));
    ends.mark(7);
    let mut at = 0;
    for frame in 0..30_000 {
        let marks = ends.turn();
        assert!(marks.is_empty(), "frame {frame}");
        assert!(step(&mut half, 0) == written[at..at + 160], "frame {frame}");
        at += 160;
        while ends.read().is_some() {}
    }
    assert_eq!(ends.turn(), [7]);
    assert_eq!(ends.queued_ms(), 0);
}

#[test]
fn a_mark_is_told_when_it_is_reached_and_not_before() {
    let (mut half, mut ends, _) = pair(8000);
    ends.mark(1); // nothing before it
    ends.write(&[5; 100]);
    ends.mark(2);
    ends.mark(3);
    ends.write(&[6; 400]);
    ends.mark(4);
    assert!(ends.turn().is_empty());
    step(&mut half, 0);
    assert_eq!(ends.turn(), [1, 2, 3]);
    step(&mut half, 0);
    step(&mut half, 0);
    assert!(ends.turn().is_empty());
    step(&mut half, 0);
    assert_eq!(ends.turn(), [4]);
    ends.mark(5);
    ends.turn();
    step(&mut half, 0);
    assert_eq!(ends.turn(), [5]);
}

#[test]
fn clear_drops_all_at_once_and_what_follows_is_played() {
    let (mut half, mut ends, _) = pair(8000);
    ends.write(&[5; 8000]);
    ends.mark(1);
    ends.write(&[5; 160_000]);
    ends.mark(2);
    ends.turn();
    assert_eq!(step(&mut half, 0), [5; 160]);
    assert_eq!(ends.clear(), [1, 2]);
    assert_eq!(ends.queued_ms(), BACK as u64 * 20 - 20); // what the shard has not looked at yet
    assert_eq!(step(&mut half, 0), [0; 160]);
    ends.write(&[7; 160]);
    ends.mark(3);
    assert!(ends.turn().is_empty());
    assert_eq!(step(&mut half, 0), [7; 160]);
    assert_eq!(ends.turn(), [3]);
    assert_eq!(ends.queued_ms(), 0);
}

#[test]
fn a_program_that_does_not_read_loses_frames_and_is_told() {
    let (mut half, mut ends, stats) = pair(8000);
    (0..80).for_each(|n| _ = step(&mut half, n));
    assert_eq!((ends.lost(), stats.lost_frames()), (60, 60));
    let mut last = 0;
    while let Some(frame) = ends.read() {
        last = frame.at_ms;
    }
    assert_eq!(last, 49 * 20);
    step(&mut half, 0);
    assert_eq!(ends.read().map(|frame| frame.at_ms), Some(80 * 20));
}

#[test]
fn a_pause_holds_back_what_is_heard_and_not_what_is_said() {
    let (mut half, mut ends, _) = pair(8000);
    ends.set_paused(true);
    ends.write(&[3; 160]);
    ends.turn();
    assert_eq!(step(&mut half, 1), [3; 160]);
    assert_eq!(ends.read(), None);
    ends.set_paused(false);
    step(&mut half, 1);
    assert_eq!(ends.read().map(|frame| frame.at_ms), Some(20));
    assert_eq!(ends.lost(), 0);
}

#[test]
fn a_wideband_program_on_a_narrow_line() {
    let (mut half, mut ends, _) = pair(16_000);
    let tone: Vec<i16> = (0..16_000)
        .map(|n| {
            (8000.0 * (0.3 + n as f32 * 500.0 / 16_000.0 * std::f32::consts::TAU).sin()) as i16
        })
        .collect();
    ends.write(&tone);
    let mut played = Vec::new();
    for _ in 0..50 {
        ends.turn();
        played.extend(step(&mut half, 0));
        assert_eq!(ends.read().map(|frame| frame.samples.len()), Some(320));
        ends.read();
    }
    let crossings = played
        .windows(2)
        .filter(|pair| (pair[0] < 0) != (pair[1] < 0));
    let crossings = crossings.count();
    assert!((980..=1020).contains(&crossings), "{crossings}");
}

#[test]
fn the_tap_ends_with_the_program() {
    let (mut half, ends, _) = pair(8000);
    drop(ends);
    assert!(!half.turn());
}
