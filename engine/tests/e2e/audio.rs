//! Audio as the tests judge it: G.711, prompt files, correlation and Goertzel. 8 kHz, 16-bit, mono throughout.
use std::f32::consts::PI;
use std::path::Path;

/// Samples per second.
pub(crate) const RATE: usize = 8000;

/// Decodes µ-law.
pub(crate) fn from_ulaw(bytes: &[u8]) -> Vec<i16> {
    bytes
        .iter()
        .map(|byte| trunkline_dsp::g711::ulaw_decode(*byte))
        .collect()
}

/// Decodes A-law.
pub(crate) fn from_alaw(bytes: &[u8]) -> Vec<i16> {
    bytes
        .iter()
        .map(|byte| trunkline_dsp::g711::alaw_decode(*byte))
        .collect()
}

/// Encodes µ-law.
pub(crate) fn to_ulaw(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .map(|sample| trunkline_dsp::g711::ulaw_encode(*sample))
        .collect()
}

/// Encodes A-law.
pub(crate) fn to_alaw(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .map(|sample| trunkline_dsp::g711::alaw_encode(*sample))
        .collect()
}

/// A sum of sine waves of `amplitude` each.
pub(crate) fn tone(hz: &[f32], amplitude: f32, ms: usize) -> Vec<i16> {
    (0..RATE * ms / 1000)
        .map(|n| {
            hz.iter()
                .map(|f| amplitude * (2.0 * PI * f * n as f32 / RATE as f32).sin())
                .sum::<f32>() as i16
        })
        .collect()
}

/// The two tones of a key (ITU-T Q.23).
pub(crate) fn dtmf(key: char, ms: usize) -> Vec<i16> {
    let at = "123A456B789C*0#D".find(key).expect("a DTMF key");
    tone(
        &[
            [697.0, 770.0, 852.0, 941.0][at / 4],
            [1209.0, 1336.0, 1477.0, 1633.0][at % 4],
        ],
        5000.0,
        ms,
    )
}

/// The share of the energy of `samples` that lies at `hz` (1.0: a pure sine).
pub(crate) fn share_at(samples: &[i16], hz: f32) -> f32 {
    let coefficient = 2.0 * (2.0 * PI * hz / RATE as f32).cos();
    let (mut s1, mut s2, mut energy) = (0.0f64, 0.0f64, 0.0f64);
    for &sample in samples {
        let s0 = f64::from(sample) + f64::from(coefficient) * s1 - s2;
        (s2, s1) = (s1, s0);
        energy += f64::from(sample) * f64::from(sample);
    }
    let power = s1 * s1 + s2 * s2 - f64::from(coefficient) * s1 * s2;
    if energy < 1.0 {
        0.0
    } else {
        (2.0 * power / (energy * samples.len() as f64)) as f32
    }
}

/// A prompt of 16 kHz as it may come out at 8 kHz: both phases of the decimation, because a resampler may choose either.
pub(crate) struct Reference {
    phases: [Vec<f32>; 2],
}

/// What became of a comparison.
#[derive(Debug)]
pub(crate) struct Agreement {
    /// Pieces that were heard.
    pub(crate) agree: usize,
    /// Pieces that could have been heard.
    pub(crate) of: usize,
    /// Where the sound ends.
    pub(crate) end: usize,
}

impl Agreement {
    /// All of it was heard, but perhaps a piece or two that suffered when the machine stood still.
    pub(crate) fn is_whole(&self) -> bool {
        self.of >= 1 && self.agree * 5 >= self.of * 4
    }
}

/// Length of one compared piece: long enough to be unmistakable, short enough to search for everywhere.
const PIECE: usize = RATE / 4;
/// How much later than the piece before it a piece may come.
pub(crate) const MOST_LATE: usize = 2 * RATE;
/// How much earlier than the piece before it a piece may come: a playout that leaves out periods to shorten its delay.
const MOST_EARLY: usize = RATE / 25;
/// Normalised correlation above which two pieces are the same sound. Unrelated speech stays under 0.6.
const SAME: f32 = 0.85;

impl Reference {
    /// Reads a headerless 16 kHz file.
    pub(crate) fn sln16(path: &Path) -> Self {
        let bytes =
            std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let wide: Vec<f32> = bytes
            .chunks_exact(2)
            .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])))
            .collect();
        let low = low_pass(&wide);
        Self {
            phases: [0, 1].map(|phase| low.iter().skip(phase).step_by(2).copied().collect()),
        }
    }

    /// From audio of 8 kHz.
    pub(crate) fn narrow(samples: &[i16]) -> Self {
        let samples: Vec<f32> = samples.iter().map(|s| f32::from(*s)).collect();
        Self {
            phases: [samples.clone(), samples],
        }
    }

    /// Length in samples.
    pub(crate) fn len(&self) -> usize {
        self.phases[0].len()
    }

    /// Where in `heard`, from `from` on, the first piece of this reference that is loud enough to judge begins, as the position at
    /// which the whole reference starts.
    pub(crate) fn find_start(&self, heard: &[i16], from: usize) -> Option<usize> {
        let heard: Vec<f32> = heard.iter().map(|s| f32::from(*s)).collect();
        // What follows another sound without a gap may seem to begin a little before that one's end.
        let from = from.saturating_sub(RATE / 20);
        // The second piece stands in for a first one that suffered.
        self.loud_offsets().into_iter().take(2).find_map(|offset| {
            self.phases.iter().find_map(|phase| {
                let piece = &phase[offset..offset + PIECE];
                first_match(piece, &heard, from + offset).map(|at| at - offset)
            })
        })
    }

    /// As [`find_start`](Self::find_start) in audio that grows: `from` moves on, as what was searched need not be searched again, but for the
    /// length of the whole.
    pub(crate) fn search(&self, heard: &[i16], from: &mut usize) -> Option<usize> {
        let found = self.find_start(heard, *from);
        *from = (*from).max(heard.len().saturating_sub(self.len() + RATE));
        found
    }

    /// How many pieces of this reference are heard one after the other from `start` on, of how many, and where the whole of it ends. A
    /// piece may come up to two seconds late: when the machine stands still, so does the sender.
    pub(crate) fn agreement(&self, heard: &[i16], start: usize) -> Agreement {
        let heard: Vec<f32> = heard.iter().map(|s| f32::from(*s)).collect();
        let (mut agree, mut of, mut late) = (0, 0, 0isize);
        for offset in self.loud_offsets() {
            let expected = (start + offset).saturating_add_signed(late);
            if expected + PIECE > heard.len() {
                break;
            }
            of += 1;
            let early = expected.min(MOST_EARLY);
            let window = &heard[expected - early..heard.len().min(expected + PIECE + MOST_LATE)];
            let found = self
                .phases
                .iter()
                .find_map(|phase| first_match(&phase[offset..offset + PIECE], window, 0));
            if let Some(at) = found {
                agree += 1;
                late += at as isize - early as isize;
            }
        }
        Agreement {
            agree,
            of,
            end: (start + self.len()).saturating_add_signed(late),
        }
    }

    /// Beginnings of the pieces that hold sound.
    fn loud_offsets(&self) -> Vec<usize> {
        let samples = &self.phases[0];
        let mean = energy(samples) / samples.len() as f32;
        (0..samples.len().saturating_sub(PIECE))
            .step_by(PIECE)
            .filter(|&at| energy(&samples[at..at + PIECE]) / PIECE as f32 > mean * 0.3)
            .collect()
    }
}

fn energy(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum()
}

/// Normalised correlation, -1 to 1; 0 for silence.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let (mut dot, mut aa, mut bb) = (0.0f32, 0.0f32, 0.0f32);
    for at in 0..a.len() {
        dot += a[at] * b[at];
        aa += a[at] * a[at];
        bb += b[at] * b[at];
    }
    if aa < 1.0 || bb < 1.0 {
        0.0
    } else {
        dot / (aa * bb).sqrt()
    }
}

/// First place at or after `from` where `piece` is found.
fn first_match(piece: &[f32], heard: &[f32], from: usize) -> Option<usize> {
    let last = heard.len().checked_sub(piece.len())?;
    // A quarter of the piece rejects nearly every place at a quarter of the price.
    let probe = piece.len() / 4;
    let likeness = |at: usize| correlation(piece, &heard[at..at + piece.len()]);
    let near = (from..=last).find(|&at| {
        correlation(&piece[..probe], &heard[at..at + probe]) > SAME - 0.15 && likeness(at) > SAME
    })?;
    // A tone resembles itself one period early: the best place close by is the right one.
    let close_by = near..=last.min(near + piece.len() / 2);
    close_by
        .map(|at| (at, likeness(at)))
        .max_by(|one, other| one.1.total_cmp(&other.1))
        .map(|(at, _)| at)
}

/// Half-band low-pass (windowed sinc, 63 taps) before decimation by two.
fn low_pass(samples: &[f32]) -> Vec<f32> {
    const HALF: i64 = 31;
    let taps: Vec<f32> = (-HALF..=HALF)
        .map(|n| {
            let sinc = if n == 0 {
                0.5
            } else {
                (PI * n as f32 / 2.0).sin() / (PI * n as f32)
            };
            let window = 0.54 + 0.46 * (PI * n as f32 / (HALF + 1) as f32).cos();
            sinc * window
        })
        .collect();
    (0..samples.len() as i64)
        .map(|at| {
            (-HALF..=HALF)
                .map(|n| {
                    samples.get((at + n) as usize).copied().unwrap_or(0.0)
                        * taps[(n + HALF) as usize]
                })
                .sum()
        })
        .collect()
}

#[test]
fn correlation_tells_sounds_apart() {
    let speech_like = |seed: u32| -> Vec<i16> {
        let mut state = seed;
        let mut low = 0.0f32;
        (0..2 * RATE)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                low = 0.8 * low + (state >> 16) as i16 as f32 * 0.2;
                low as i16
            })
            .collect()
    };
    let (one, other) = (speech_like(1), speech_like(2));
    let reference = Reference::narrow(&one);
    let mut heard = other.clone();
    heard.extend_from_slice(&one);
    let start = reference.find_start(&heard, 0).expect("found");
    assert_eq!(start, other.len());
    let agreement = reference.agreement(&heard, start);
    assert!(
        agreement.of >= 6 && agreement.agree == agreement.of,
        "{agreement:?}"
    );
    let agreement = reference.agreement(&other, 0);
    assert!(agreement.of >= 6 && agreement.agree == 0, "{agreement:?}");
    assert_eq!(reference.find_start(&other, 0), None);
    // Half of it has come, then all.
    let mut from = 0;
    assert_eq!(reference.search(&heard[..other.len()], &mut from), None);
    assert_eq!(reference.search(&heard, &mut from), Some(other.len()));
    assert_eq!(from, heard.len() - one.len() - RATE);
    assert!(share_at(&tone(&[1000.0], 8000.0, 200), 1000.0) > 0.99);
    assert!(share_at(&tone(&[1000.0], 8000.0, 200), 1200.0) < 0.01);
}
