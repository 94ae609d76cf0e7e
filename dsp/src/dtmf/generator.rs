//! One key as sound.
//!
//! Owns the two oscillators and the shape of the edges; how long tone and pause last belongs to who plays it.

use super::Key;
use crate::{level, oscillator::Oscillator};

/// Length of the rise and of the fall, microseconds. Long enough that switching is not heard as a click, short
/// enough that a 40 ms tone keeps its full level for more than 36 ms.
const EDGE_US: u32 = 1_500;

/// The two tones of a key, continuous over any sequence of [`Generator::fill`] calls.
///
/// Both tones start at phase zero and rise as half a raised cosine; after [`Generator::release`] they fall the same
/// way and silence follows.
#[derive(Clone, Debug)]
pub struct Generator {
    low: Oscillator,
    high: Oscillator,
    low_peak: f64,
    high_peak: f64,
    /// Turns half a circle during an edge.
    edge: Oscillator,
    edge_samples: u32,
    state: Shape,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Rising { left: u32 },
    Steady,
    Falling { left: u32 },
    Silent,
}

impl Generator {
    /// The sound of `key` at `rate_hz` samples per second, its low tone at `low_dbm0` and its high tone at `high_dbm0`.
    ///
    /// Frequencies are exact to the precision of `f64` (Q.23 allows ±1.8 %). Sums beyond full scale clip.
    pub fn new(rate_hz: u32, key: Key, low_dbm0: f32, high_dbm0: f32) -> Self {
        let (low_hz, high_hz) = key.frequencies();
        let edge_samples = (rate_hz / 1000 * EDGE_US / 1000).max(1);
        Self {
            low: Oscillator::new(rate_hz, f64::from(low_hz)),
            high: Oscillator::new(rate_hz, f64::from(high_hz)),
            low_peak: f64::from(level::sine_peak(low_dbm0)),
            high_peak: f64::from(level::sine_peak(high_dbm0)),
            edge: Oscillator::new(edge_samples * 2, 1.0),
            edge_samples,
            state: Shape::Rising { left: edge_samples },
        }
    }

    /// Ends the tone: the next samples fall to silence.
    pub fn release(&mut self) {
        if matches!(self.state, Shape::Rising { .. } | Shape::Steady) {
            self.edge = Oscillator::new(self.edge_samples * 2, 1.0);
            self.state = Shape::Falling {
                left: self.edge_samples,
            };
        }
    }

    /// How many samples the fall takes, and the rise.
    pub fn edge_samples(&self) -> u32 {
        self.edge_samples
    }

    /// Whether the fall is over and only silence would follow.
    pub fn is_silent(&self) -> bool {
        matches!(self.state, Shape::Silent)
    }

    /// Overwrites `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            let gain = self.next_gain();
            let sum = self.low.step().1 * self.low_peak + self.high.step().1 * self.high_peak;
            *sample = libm::rint(sum * gain) as i16;
        }
    }

    fn next_gain(&mut self) -> f64 {
        match &mut self.state {
            Shape::Steady => 1.0,
            Shape::Silent => 0.0,
            Shape::Rising { left } => {
                let gain = (1.0 - self.edge.step().0) / 2.0;
                *left -= 1;
                if *left == 0 {
                    self.state = Shape::Steady;
                }
                gain
            }
            Shape::Falling { left } => {
                let gain = (1.0 + self.edge.step().0) / 2.0;
                *left -= 1;
                if *left == 0 {
                    self.state = Shape::Silent;
                }
                gain
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signals::{peak_frequency, spectrum_db};

    const RATES: [u32; 2] = [8000, 16_000];

    /// Every key at every rate.
    fn all() -> impl Iterator<Item = (u32, Key)> {
        RATES
            .into_iter()
            .flat_map(|rate| Key::ALL.map(|key| (rate, key)))
    }

    /// A second of a key without its first 100 ms.
    fn steady(rate_hz: u32, key: Key, low_dbm0: f32, high_dbm0: f32) -> std::vec::Vec<i16> {
        let mut out = std::vec![0; rate_hz as usize * 11 / 10];
        Generator::new(rate_hz, key, low_dbm0, high_dbm0).fill(&mut out);
        out.split_off(rate_hz as usize / 10)
    }

    #[test]
    fn frequencies_are_within_two_hundredths_of_a_percent() {
        for (rate, key) in all() {
            let out = steady(rate, key, -6.0, -4.0);
            let (low, high) = key.frequencies();
            for hz in [f64::from(low), f64::from(high)] {
                let measured = peak_frequency(&out, f64::from(rate), hz);
                assert!(
                    (measured / hz - 1.0).abs() < 0.000_2,
                    "{key} at {rate}: {hz} Hz measured {measured}"
                );
            }
        }
    }

    #[test]
    fn levels_are_within_a_tenth_of_a_decibel() {
        for (rate, key) in all() {
            for (low_dbm0, high_dbm0) in [(-3.0, -3.0), (-8.0, -6.0), (-20.0, -30.0)] {
                let out = steady(rate, key, low_dbm0, high_dbm0);
                let (low, high) = key.frequencies();
                for (hz, dbm0) in [(low, low_dbm0), (high, high_dbm0)] {
                    let measured = spectrum_db(&out, f64::from(rate), f64::from(hz));
                    assert!(
                        (measured - f64::from(dbm0)).abs() < 0.1,
                        "{key} at {rate}: {hz} Hz at {measured} instead of {dbm0}"
                    );
                }
            }
        }
    }

    #[test]
    fn harmonics_and_intermodulation_are_below_50_db() {
        for (rate, key) in all() {
            let out = steady(rate, key, -3.0, -3.0);
            let (low, high) = key.frequencies();
            let (low, high) = (f64::from(low), f64::from(high));
            for product in [
                2.0 * low,
                3.0 * low,
                2.0 * high,
                high - low,
                high + low,
                2.0 * high - low,
                2.0 * low - high,
            ] {
                if (100.0..f64::from(rate) / 2.0 - 100.0).contains(&product) {
                    let distortion = spectrum_db(&out, f64::from(rate), product) + 3.0;
                    assert!(
                        distortion < -50.0,
                        "{key} at {rate}: {product} Hz at {distortion} dB"
                    );
                }
            }
        }
    }

    #[test]
    fn edges_are_smooth_and_the_end_is_silent() {
        let mut out = [0; 800];
        let mut generator = Generator::new(8000, Key::ALL[5], -6.0, -6.0);
        generator.fill(&mut out[..400]);
        generator.release();
        assert!(!generator.is_silent());
        generator.fill(&mut out[400..]);
        assert!(generator.is_silent());
        assert_eq!(out[0], 0);
        assert!(out[412..].iter().all(|sample| *sample == 0));
        let largest = out
            .iter()
            .map(|sample| i32::from(*sample).abs())
            .max()
            .unwrap_or(0);
        assert!(i32::from(out[1]).abs() < largest / 20 && i32::from(out[411]).abs() < largest / 20);
        generator.release();
        assert!(
            generator.is_silent(),
            "releasing twice does not sound again"
        );
    }

    #[test]
    fn frame_length_does_not_matter() {
        let (mut whole, mut parts) = ([0; 480], [0; 480]);
        Generator::new(8000, Key::ALL[11], -6.0, -6.0).fill(&mut whole);
        let mut generator = Generator::new(8000, Key::ALL[11], -6.0, -6.0);
        for part in parts.chunks_mut(13) {
            generator.fill(part);
        }
        assert_eq!(whole, parts);
    }
}
