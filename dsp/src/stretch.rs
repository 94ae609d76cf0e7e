//! Speech made shorter or longer by one period, at its pitch.
//!
//! A jitter buffer that wants less delay leaves a period out, one that wants more repeats one (waveform similarity
//! overlap-add). The first and the last samples stay what they are, so the result joins what was played before and what
//! follows. Sound that does not repeat itself is refused, unless it is so quiet that nobody hears it.
//! Stateless; takes [`SHORTEST_MS`] to [`LONGEST_MS`] at a time.

use crate::{level, plc::pitch::dot};

/// Shortest stretch of sound that can be worked on, ms.
pub const SHORTEST_MS: usize = 20;
/// Longest stretch of sound that can be worked on, ms.
pub const LONGEST_MS: usize = 60;

/// Samples of the longest stretch at 16 kHz.
const LONGEST: usize = LONGEST_MS * 16;
/// Half milliseconds of the shortest lag: one period of 400 Hz.
const SHORTEST_LAG: usize = 5;
/// Half milliseconds of the longest lag: one period of 67 Hz.
const LONGEST_LAG: usize = 30;
/// Half milliseconds in which one copy passes into the other, at least.
const SHORTEST_OVERLAP: usize = 10;
/// Normalised correlation of two pieces that may take each other's place.
const ALIKE: f32 = 0.85;
/// Below this level in dBm0 anything may.
const QUIET_DBM0: f32 = -48.0;

/// Writes `samples` without one period to `out`. Returns how many samples were written, `None` if the sound does not repeat
/// itself, if its length is outside the limits of this module or if `out` is shorter than `samples`.
///
/// `rate_hz` is 16 kHz, or 8 kHz for anything below 12 kHz.
#[must_use]
pub fn shorten(samples: &[i16], rate_hz: u32, out: &mut [i16]) -> Option<usize> {
    let splice = Splice::find(samples, rate_hz)?;
    let length = samples.len() - splice.lag;
    let out = out.get_mut(..length)?;
    let (head, tail) = out.split_at_mut(splice.at);
    let (joint, tail) = tail.split_at_mut(splice.overlap);
    head.copy_from_slice(&samples[..splice.at]);
    splice.pass(
        &samples[splice.at..],
        &samples[splice.at + splice.lag..],
        joint,
    );
    tail.copy_from_slice(&samples[splice.at + splice.lag + splice.overlap..]);
    Some(length)
}

/// Writes `samples` with one period twice to `out`, which takes up to 15 ms more. Returns how many samples were written, `None`
/// as for [`shorten`] or if `out` is too short.
#[must_use]
pub fn lengthen(samples: &[i16], rate_hz: u32, out: &mut [i16]) -> Option<usize> {
    let splice = Splice::find(samples, rate_hz)?;
    let length = samples.len() + splice.lag;
    let out = out.get_mut(..length)?;
    let (head, tail) = out.split_at_mut(splice.at + splice.lag);
    let (joint, tail) = tail.split_at_mut(splice.overlap);
    head.copy_from_slice(&samples[..splice.at + splice.lag]);
    splice.pass(
        &samples[splice.at + splice.lag..],
        &samples[splice.at..],
        joint,
    );
    tail.copy_from_slice(&samples[splice.at + splice.overlap..]);
    Some(length)
}

/// Two pieces of a sound that may take each other's place.
#[derive(Clone, Copy, Debug)]
struct Splice {
    /// Where the first begins.
    at: usize,
    /// How much later the second begins.
    lag: usize,
    /// Samples of each.
    overlap: usize,
    /// Normalised correlation.
    likeness: f32,
}

impl Splice {
    /// The best place, if it is good enough.
    fn find(samples: &[i16], rate_hz: u32) -> Option<Splice> {
        let per_ms = if rate_hz < 12_000 { 8 } else { 16 };
        if !(SHORTEST_MS * per_ms..=LONGEST_MS * per_ms).contains(&samples.len()) {
            return None;
        }
        let mut values = [0.0f32; LONGEST];
        for (value, sample) in values.iter_mut().zip(samples) {
            *value = f32::from(*sample);
        }
        let values = &values[..samples.len()];
        let step = per_ms / 2;
        let longest = (LONGEST_LAG * step).min(samples.len() - SHORTEST_OVERLAP * step);
        let mut best: Option<Splice> = None;
        for lag in SHORTEST_LAG * step..=longest {
            let splice = Splice::of(values, lag, SHORTEST_OVERLAP * step);
            // Of places as good as each other the one that changes most.
            if best.is_none_or(|best| splice.likeness >= best.likeness) {
                best = Some(splice);
            }
        }
        best.filter(|best| best.likeness >= ALIKE || level::dbm0(samples) < QUIET_DBM0)
    }

    /// The splice of `lag` in the middle of `values`, over a period or as much of it as there is.
    fn of(values: &[f32], lag: usize, shortest: usize) -> Splice {
        let overlap = lag.max(shortest).min(values.len() - lag);
        let at = (values.len() - lag - overlap) / 2;
        let first = &values[at..at + overlap];
        let second = &values[at + lag..at + lag + overlap];
        let energies = dot(first, first) * dot(second, second);
        Splice {
            at,
            lag,
            overlap,
            likeness: dot(first, second) / libm::sqrtf(energies.max(1.0)),
        }
    }

    /// Passes from the start of `from` to that of `to` within `out`, at even power.
    fn pass(&self, from: &[i16], to: &[i16], out: &mut [i16]) {
        let likeness = self.likeness.clamp(0.0, 1.0);
        for (index, (out, (from, to))) in out.iter_mut().zip(from.iter().zip(to)).enumerate() {
            let b = (index + 1) as f32 / (self.overlap + 1) as f32;
            let a = 1.0 - b;
            let power = a * a + b * b + 2.0 * a * b * likeness;
            let mixed = f32::from(*from) * a + f32::from(*to) * b;
            *out = libm::rintf(mixed / libm::sqrtf(power)) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signals::{Random, peak_frequency, speech};
    use core::f64::consts::TAU;
    use std::vec::Vec;

    const RATES: [u32; 2] = [8000, 16_000];

    /// A tone with two harmonics.
    fn hum(rate_hz: u32, hz: f64, ms: usize) -> Vec<i16> {
        (0..ms * rate_hz as usize / 1000)
            .map(|index| {
                let angle = TAU * hz * index as f64 / f64::from(rate_hz);
                (6000.0 * angle.sin() + 3000.0 * (2.0 * angle).sin() + 1500.0 * (3.0 * angle).cos())
                    as i16
            })
            .collect()
    }

    fn noise(rms: f64, samples: usize) -> Vec<i16> {
        let mut random = Random::new(5);
        (0..samples)
            .map(|_| (random.normal() * rms) as i16)
            .collect()
    }

    /// All of `samples` in pieces of `piece`, each worked on where that is possible; the count of those that were.
    fn all(
        samples: &[i16],
        piece: usize,
        rate_hz: u32,
        work: impl Fn(&[i16], u32, &mut [i16]) -> Option<usize>,
    ) -> (Vec<i16>, usize) {
        let (mut result, mut done) = (Vec::new(), 0);
        for piece in samples.chunks(piece) {
            let mut out = [0; LONGEST * 2];
            if let Some(length) = work(piece, rate_hz, &mut out) {
                result.extend_from_slice(&out[..length]);
                done += 1;
            } else {
                result.extend_from_slice(piece);
            }
        }
        (result, done)
    }

    fn steepest(samples: &[i16]) -> u16 {
        samples
            .windows(2)
            .map(|pair| pair[0].abs_diff(pair[1]))
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn pitch_stays_and_nothing_clicks() {
        for rate_hz in RATES {
            for hz in [71.0, 133.0, 391.0] {
                let sound = hum(rate_hz, hz, 300);
                let piece = 30 * rate_hz as usize / 1000;
                for work in [shorten, lengthen] {
                    let (changed, done) = all(&sound, piece, rate_hz, work);
                    assert_eq!(done, 10, "{hz} Hz at {rate_hz}");
                    assert!(changed.len().abs_diff(sound.len()) >= 10 * rate_hz as usize / 400);
                    let heard = peak_frequency(&changed, f64::from(rate_hz), hz);
                    assert!((heard / hz - 1.0).abs() < 0.005, "{hz} Hz became {heard}");
                    let (steep, bound) = (steepest(&changed), steepest(&sound));
                    assert!(
                        f64::from(steep) < f64::from(bound) * 1.15,
                        "{steep} of {bound} at {hz}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_ends_stay() {
        let sound = hum(8000, 150.0, 30);
        for work in [shorten, lengthen] {
            let mut out = [0; 600];
            let length = work(&sound, 8000, &mut out).unwrap();
            assert!(out[0].abs_diff(sound[0]) < 100);
            assert!(out[length - 1].abs_diff(sound[239]) < 100);
        }
    }

    #[test]
    fn a_voice_is_stretched_without_clicks() {
        let voice = speech(11, 4.0);
        for piece in [160, 240, 320] {
            for work in [shorten, lengthen] {
                let (changed, done) = all(&voice, piece, 8000, work);
                assert!(done * piece * 3 > voice.len(), "{done} pieces of {piece}");
                assert!(f64::from(steepest(&changed)) < 1.2 * f64::from(steepest(&voice)));
                let (before, after) = (level::dbm0(&voice), level::dbm0(&changed));
                assert!((before - after).abs() < 1.0, "{before} dBm0 became {after}");
            }
        }
    }

    #[test]
    fn noise_is_refused_unless_it_is_quiet() {
        for rate_hz in RATES {
            let samples = 20 * rate_hz as usize / 1000;
            let mut out = [0; 640];
            for work in [shorten, lengthen] {
                assert_eq!(work(&noise(2000.0, samples), rate_hz, &mut out), None);
                assert!(work(&noise(20.0, samples), rate_hz, &mut out).is_some());
                assert!(work(&std::vec![0; samples], rate_hz, &mut out).is_some());
            }
        }
    }

    #[test]
    fn quiet_noise_keeps_its_level() {
        let quiet = noise(40.0, 8000);
        for work in [shorten, lengthen] {
            let (changed, done) = all(&quiet, 240, 8000, work);
            assert_eq!(done, 33);
            assert!((level::dbm0(&quiet) - level::dbm0(&changed)).abs() < 0.5);
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let mut out = [0; 2000];
        for length in [0, 1, 159, 481, 1500] {
            assert_eq!(shorten(&std::vec![0; length], 8000, &mut out), None);
            assert_eq!(lengthen(&std::vec![0; length], 8000, &mut out), None);
        }
        assert_eq!(shorten(&[0; 160], 8000, &mut []), None);
        assert_eq!(lengthen(&[0; 160], 8000, &mut out[..160]), None);
    }
}
