mod opus;

use super::storage::Storage;
use super::*;
use crate::media::codec::FRAME_SAMPLES;
use crate::media::event::RecordingEnd;
use crate::media::wav;
use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

struct Taking {
    recording: Option<Recording>,
    half: WriterHalf,
    events: mpsc::UnboundedReceiver<MediaEvent>,
    stats: Arc<RecordingStats>,
    now: Instant,
}

fn start(spec: RecordingSpec) -> Taking {
    let (sender, events) = mpsc::unbounded_channel();
    let stats = Arc::new(RecordingStats::default());
    let (recording, half) = recording(spec, sender, stats.clone());
    half.enter();
    Taking {
        recording: Some(recording),
        half,
        events,
        stats,
        now: Instant::now(),
    }
}

impl Taking {
    fn take(&mut self) -> &mut Recording {
        self.recording.as_mut().unwrap()
    }

    fn push(&mut self, frame: &[i16]) -> bool {
        self.take().hear(frame);
        self.take().turn()
    }

    fn write(&mut self) -> bool {
        self.half.turn(self.now)
    }

    /// Ends it and returns length, end and losses.
    fn finish(&mut self) -> (u32, RecordingEnd, u32, Vec<RecordingGap>) {
        self.recording = None;
        assert!(!self.write());
        let Ok(MediaEvent::RecordDone(done)) = self.events.try_recv() else {
            panic!("no end reported");
        };
        assert_eq!(done.id, 3);
        let RecordDone {
            duration_ms,
            end,
            lost_ms,
            gaps,
            ..
        } = *done;
        assert_eq!(self.stats.active(), 0);
        assert_eq!(self.stats.lost_ms(), u64::from(lost_ms));
        (duration_ms, end, lost_ms, gaps)
    }
}

fn in_folder(folder: &tempfile::TempDir) -> RecordingSpec {
    RecordingSpec::new(3, folder.path().join("a.wav"))
}

/// The samples of each channel of a WAV file.
fn read(path: &Path) -> Vec<Vec<i16>> {
    let file = std::fs::read(path).unwrap();
    let channels = usize::from(file[22]);
    let data = u32::from_le_bytes(file[40..44].try_into().unwrap()) as usize;
    let samples = file[44..44 + data].as_chunks::<2>().0;
    let of = |channel: usize| {
        let samples = samples.iter().skip(channel).step_by(channels);
        samples.map(|octets| i16::from_le_bytes(*octets)).collect()
    };
    (0..channels).map(of).collect()
}

#[test]
fn a_file_is_complete_when_its_end_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let spec = in_folder(&folder);
    let path = spec.path.clone();
    let mut taking = start(RecordingSpec {
        max_ms: 100,
        ..spec
    });
    assert!(taking.write());
    for value in 1..=5 {
        assert_eq!(taking.push(&[value; FRAME_SAMPLES]), value < 5);
    }
    let end = (100, RecordingEnd::MaxLength, 0, vec![]);
    assert_eq!(taking.finish(), end);
    let said: Vec<i16> = (1..=5).flat_map(|value| [value; FRAME_SAMPLES]).collect();
    assert_eq!(read(&path), [said]);
    assert_eq!(taking.stats.by_outcome()[0], ("complete", 1));
}

#[test]
fn stereo_has_both_sides_of_a_frame_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    for tracks in [Tracks::Stereo, Tracks::Mixed] {
        let spec = RecordingSpec {
            tracks,
            ..in_folder(&folder)
        };
        let path = spec.path.clone();
        let mut taking = start(spec);
        let noise = |n: usize| (n * 7919 % 20_011) as i16 - 10_000;
        let (mut received, mut sent) = (Vec::new(), Vec::new());
        for frame in 0..100 {
            let left: Vec<i16> = (0..160).map(|n| noise(frame * 160 + n)).collect();
            let right: Vec<i16> = (0..160).map(|n| noise(n + 3 + frame * 331)).collect();
            taking.take().hear(&left);
            // Nothing is sent at times: silence keeps the place.
            if frame % 10 != 9 {
                taking.take().say(&right);
                sent.extend(&right);
            } else {
                sent.extend([0; 160]);
            }
            received.extend(&left);
            assert!(taking.take().turn());
            assert!(taking.write());
        }
        assert_eq!(taking.finish().0, 2000);
        let expected = match tracks {
            Tracks::Stereo => vec![received, sent],
            _ => vec![
                received
                    .iter()
                    .zip(&sent)
                    .map(|(a, b)| a.saturating_add(*b))
                    .collect(),
            ],
        };
        assert!(read(&path) == expected, "{tracks:?}");
    }
}

#[test]
fn wideband_is_kept_and_a_change_of_rate_is_converted() {
    let folder = tempfile::tempdir().unwrap();
    for (first, then) in [(320, 160), (160, 320)] {
        let spec = in_folder(&folder);
        let path = spec.path.clone();
        let mut taking = start(spec);
        let tone = |length: usize, frame: usize| -> Vec<i16> {
            let hz = 500.0 / (length * 50) as f32;
            (0..length)
                .map(|n| {
                    let phase = (frame * length + n) as f32 * hz * std::f32::consts::TAU;
                    (8000.0 * (phase + 0.3).sin()) as i16
                })
                .collect()
        };
        for frame in 0..50 {
            assert!(taking.push(&tone(first, frame)));
        }
        for frame in 50..100 {
            assert!(taking.push(&tone(then, frame)));
        }
        let (duration_ms, ..) = taking.finish();
        assert!((1990..=2000).contains(&duration_ms), "{duration_ms} ms");
        let octets = std::fs::read(&path).unwrap();
        let rate = u32::from_le_bytes(octets[24..28].try_into().unwrap());
        assert_eq!(rate, first as u32 * 50);
        // The tone has the same pitch before and after: as many zero crossings.
        let samples = &read(&path)[0];
        let crossings = |samples: &[i16]| {
            samples
                .windows(2)
                .filter(|pair| (pair[0] < 0) != (pair[1] < 0))
                .count()
        };
        let half = samples.len() / 2;
        for part in [&samples[..half], &samples[half..]] {
            assert!(
                (980..=1020).contains(&crossings(part)),
                "{}",
                crossings(part)
            );
        }
    }
}

#[test]
fn a_pause_leaves_nothing_or_silence() {
    let folder = tempfile::tempdir().unwrap();
    for (pause, expected) in [(Pause::Nothing, 400), (Pause::Silence, 600)] {
        let spec = RecordingSpec {
            pause,
            max_ms: 600,
            ..in_folder(&folder)
        };
        let path = spec.path.clone();
        let mut taking = start(spec);
        for frame in 0..30 {
            match frame {
                10 => taking.take().set_paused(true),
                20 => taking.take().set_paused(false),
                _ => {}
            }
            let goes_on = taking.push(&[frame + 1; FRAME_SAMPLES]);
            assert_eq!(goes_on, pause == Pause::Nothing || frame < 29);
        }
        assert_eq!(taking.finish().0, expected);
        let secret = 11..=20;
        let samples = &read(&path)[0];
        assert!(!samples.iter().any(|value| secret.contains(value)));
        assert_eq!(*samples.last().unwrap(), 30);
    }
}

#[test]
fn a_disk_that_does_not_follow_costs_audio_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let spec = in_folder(&folder);
    let path = spec.path.clone();
    let mut taking = start(spec);
    for _ in 0..250 {
        assert!(taking.push(&[1; FRAME_SAMPLES])); // 5 s, nobody writes
    }
    assert!(taking.write());
    assert!(taking.push(&[2; FRAME_SAMPLES]));
    let gap = RecordingGap {
        at_ms: 4000,
        ms: 1000,
    };
    let end = (5020, RecordingEnd::Stopped, 1000, vec![gap]);
    assert_eq!(taking.finish(), end);
    let samples = &read(&path)[0];
    assert!(samples[..32_000].iter().all(|sample| *sample == 1));
    assert!(samples[32_000..40_000].iter().all(|sample| *sample == 0));
    assert!(samples[40_000..].iter().all(|sample| *sample == 2));
    let file = std::fs::read(&path).unwrap();
    let said = b"audio lost: 1000 ms in all; silence stands for it: 1000 ms at 4000 ms";
    assert!(file.windows(said.len()).any(|window| window == said));
    assert_eq!(wav::read(&file).unwrap().samples.len(), samples.len());
    assert_eq!(taking.stats.by_outcome()[1], ("incomplete", 1));
}

#[test]
fn what_is_lost_at_the_end_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut taking = start(in_folder(&folder));
    for _ in 0..250 {
        assert!(taking.push(&[1; FRAME_SAMPLES]));
    }
    let (duration_ms, _, lost_ms, _) = taking.finish();
    assert_eq!((duration_ms, lost_ms), (5000, 1000));
}

thread_local! {
    static ROOM: Cell<u64> = const { Cell::new(0) };
    static DISK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A disk with room for so many octets.
#[derive(Debug)]
struct SmallDisk;

impl Storage for SmallDisk {
    fn write_at(&mut self, octets: &[u8], at: u64) -> io::Result<()> {
        let room = (ROOM.get() as usize).saturating_sub(at as usize);
        let fits = octets.len().min(room);
        DISK.with_borrow_mut(|disk| {
            let end = at as usize + fits;
            if disk.len() < end {
                disk.resize(end, 0xAA);
            }
            disk[at as usize..end].copy_from_slice(&octets[..fits]);
        });
        match fits == octets.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

#[test]
fn a_full_disk_costs_what_comes_until_there_is_room() {
    ROOM.set(44 + 16_000);
    DISK.with_borrow_mut(Vec::clear);
    let mut taking = start(RecordingSpec::new(3, "made-up"));
    taking.half = taking.half.with_storage(|_| Ok(Box::new(SmallDisk)));
    for second in 0..4 {
        for _ in 0..50 {
            assert!(taking.push(&[second + 1; FRAME_SAMPLES]));
        }
        if second == 3 {
            ROOM.set(u64::MAX);
        }
        assert!(taking.write());
        taking.now += Duration::from_secs(1);
    }
    let gap = RecordingGap {
        at_ms: 1000,
        ms: 2000,
    };
    assert_eq!(
        taking.finish(),
        (4000, RecordingEnd::Stopped, 2000, vec![gap])
    );
    let audio = DISK.with_borrow(|disk| wav::read(disk).unwrap());
    let expected: Vec<i16> = [1, 0, 0, 4].into_iter().flat_map(|v| [v; 8000]).collect();
    assert!(audio.samples == expected);
}

#[test]
fn a_disk_that_stays_full_leaves_what_it_took() {
    ROOM.set(44 + 16_000);
    DISK.with_borrow_mut(Vec::clear);
    let mut taking = start(RecordingSpec::new(3, "made-up"));
    taking.half = taking.half.with_storage(|_| Ok(Box::new(SmallDisk)));
    for _ in 0..2 {
        for _ in 0..50 {
            assert!(taking.push(&[1; FRAME_SAMPLES]));
        }
        assert!(taking.write());
        taking.now += Duration::from_secs(1);
    }
    let (duration_ms, end, lost_ms, _) = taking.finish();
    assert_eq!((duration_ms, lost_ms), (1000, 1000));
    assert_eq!(end, RecordingEnd::Stopped);
    assert_eq!(
        DISK.with_borrow(|disk| wav::read(disk).unwrap().samples.len()),
        8000
    );
}

#[test]
fn a_crash_leaves_a_file_that_can_be_played() {
    let folder = tempfile::tempdir().unwrap();
    let spec = in_folder(&folder);
    let path = spec.path.clone();
    let mut taking = start(spec);
    for _ in 0..10 {
        for _ in 0..25 {
            assert!(taking.push(&[1; FRAME_SAMPLES]));
        }
        assert!(taking.write());
    }
    // Nobody completes it.
    assert!(read(&path)[0].len() >= 3 * 8000);
}

#[test]
fn a_file_that_cannot_be_written_ends_the_recording_only() {
    let path = "/nonexistent/a.wav";
    let mut taking = start(RecordingSpec::new(3, path));
    (0..60).for_each(|_| _ = taking.push(&[1; FRAME_SAMPLES]));
    assert!(!taking.write());
    assert!(!taking.push(&[1; FRAME_SAMPLES]));
    let Ok(MediaEvent::RecordDone(done)) = taking.events.try_recv() else {
        panic!("no end reported");
    };
    let RecordingEnd::WriteFailed(reason) = done.end else {
        panic!("no failure reported");
    };
    assert!(reason.starts_with(path), "{reason}");
}

/// A disk that is full from the beginning is waited for like one that becomes it.
#[test]
fn a_disk_that_stays_full_loses_everything_and_says_so_at_the_end() {
    let mut taking = start(RecordingSpec::new(3, "/dev/full"));
    for _ in 0..3 {
        (0..60).for_each(|_| assert!(taking.push(&[1; FRAME_SAMPLES])));
        taking.now += Duration::from_secs(2);
        assert!(taking.write());
    }
    let (duration_ms, end, lost_ms, _) = taking.finish();
    assert!(
        matches!(&end, RecordingEnd::WriteFailed(reason) if reason.starts_with("/dev/full")),
        "{end:?}"
    );
    assert_eq!((duration_ms, lost_ms), (0, 3600));
    assert_eq!(taking.stats.by_outcome()[2], ("failed", 1));
}

#[test]
fn silence_ends_it_after_speech() {
    let folder = tempfile::tempdir().unwrap();
    let mut taking = start(RecordingSpec {
        silence_ms: 400,
        ..in_folder(&folder)
    });
    let mut speech = [0; FRAME_SAMPLES];
    trunkline_dsp::tone::Tone::new(8000, [500.0, 0.0], -10.0).fill(&mut speech);
    assert!((0..50).all(|_| taking.push(&speech)));
    let silent = (0..100)
        .take_while(|_| taking.push(&[0; FRAME_SAMPLES]))
        .count();
    assert!((19..40).contains(&silent), "{silent} frames");
    assert_eq!(taking.finish().1, RecordingEnd::Silence);
}
