//! A beep: one steady tone, as answering machines give.
//!
//! A sine obeys `x[n-k] + x[n+k] = 2 cos(kw) x[n]`; the least squares of that over a block of 10 ms give its frequency, and what is left
//! over says how pure it is. Two tones (DTMF, dial tones of North America) and voices leave much over. A tone is told when it ends.

/// Shortest tone that counts, and the longest, in ms: what goes on longer is a dial tone or a fax.
const SHORTEST_MS: u32 = 100;
const LONGEST_MS: u32 = 3000;
/// Frequencies, Hz.
const LOWEST_HZ: f32 = 350.0;
const HIGHEST_HZ: f32 = 2600.0;
/// What is left over of the energy at most: noise 17 dB below the tone.
const IMPURITY: f32 = 0.02;
/// The frequency may move by this share from block to block.
const DRIFT: f32 = 0.02;
/// Mean square below which nothing is a tone: -40 dBm0.
const LEAST_POWER: f32 = 17_000.0;
/// Blocks in a row that may fail within a tone.
const SLIPS: u32 = 1;
const BLOCK_MS: u32 = 10;
/// Samples of the longest block.
const LONGEST_BLOCK: usize = 160;

/// A beep that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beep {
    /// Its frequency, right to about 1 %.
    pub hz: f32,
    /// Its length, right to about 20 ms.
    pub duration_ms: u32,
}

/// The detector of one direction, for audio at 8 or 16 kHz.
#[derive(Clone, Debug)]
pub struct BeepDetector {
    rate_hz: f32,
    block: [i16; LONGEST_BLOCK],
    length: usize,
    filled: usize,
    /// The tone that goes on: frequency and blocks.
    tone: Option<(f32, u32)>,
    slips: u32,
}

impl BeepDetector {
    /// A detector for audio at `rate_hz` samples per second, up to 16,000.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz: rate_hz as f32,
            block: [0; LONGEST_BLOCK],
            length: ((rate_hz / 100) as usize).clamp(8, LONGEST_BLOCK),
            filled: 0,
            tone: None,
            slips: 0,
        }
    }

    /// Whether a tone sounds, for 30 ms or longer.
    pub fn hears_a_tone(&self) -> bool {
        self.tone.is_some_and(|(_, blocks)| blocks >= 3)
    }

    /// Takes `samples` and tells of each beep that has ended in them.
    pub fn process(&mut self, samples: &[i16], mut tell: impl FnMut(Beep)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (part, after) = rest.split_at((self.length - self.filled).min(rest.len()));
            self.block[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
            if self.filled == self.length {
                self.filled = 0;
                if let Some(beep) = self.judge() {
                    tell(beep);
                }
            }
            rest = after;
        }
    }

    fn judge(&mut self) -> Option<Beep> {
        let hz = pure_tone(&self.block[..self.length], self.rate_hz);
        match (&mut self.tone, hz) {
            (Some((of, blocks)), Some(hz)) if (hz - *of).abs() <= *of * DRIFT => {
                // What slipped in between was part of it.
                *blocks += 1 + self.slips;
                *of += (hz - *of) * 0.25;
                self.slips = 0;
                None
            }
            (Some(_), None) if self.slips < SLIPS => {
                self.slips += 1;
                None
            }
            (_, hz) => {
                let ended = self.tone.take();
                self.tone = hz.map(|hz| (hz, 1));
                self.slips = 0;
                let (hz, blocks) = ended?;
                let duration_ms = blocks * BLOCK_MS;
                // The blocks at both ends are cut and may not count.
                let long_enough = duration_ms + BLOCK_MS >= SHORTEST_MS;
                (long_enough && duration_ms <= LONGEST_MS).then_some(Beep { hz, duration_ms })
            }
        }
    }
}

/// What a block says about `x[n-lag] + x[n+lag] = 2 c x[n]`: the least squares for `c`, and the share of the energy that is left over.
fn fit(block: &[i16], lag: usize) -> (f32, f32) {
    let (mut with, mut own, mut around) = (0f32, 0f32, 0f32);
    for window in block.windows(2 * lag + 1) {
        let [before, here, after] = [window[0], window[lag], window[2 * lag]].map(f32::from);
        let sum = before + after;
        with += sum * here;
        own += here * here;
        around += sum * sum;
    }
    let own = own.max(1.0);
    let left = (around - with * with / own).max(0.0);
    // Where c is near 0 the neighbours' sum vanishes: measured against both.
    (with / own / 2.0, left / (around + own))
}

/// The frequency of a block that is one tone.
fn pure_tone(block: &[i16], rate_hz: f32) -> Option<f32> {
    let count = block.len() as f32;
    let sum: f32 = block.iter().copied().map(f32::from).sum();
    let power = block
        .iter()
        .map(|x| f32::from(*x) * f32::from(*x))
        .sum::<f32>()
        / count;
    let mean = sum / count;
    if power < LEAST_POWER || mean * mean > power * 0.5 {
        return None;
    }
    // Half a millisecond tells low tones from their neighbours, one sample tells which of its frequencies it is.
    let lag = (rate_hz / 2000.0) as usize;
    let ((near, _), (far, left)) = (fit(block, 1), fit(block, lag));
    if left > IMPURITY || near.abs() >= 1.0 || far.abs() > 1.1 {
        return None;
    }
    let coarse = libm::acosf(near);
    let (turns, angle) = (coarse * lag as f32, libm::acosf(far.clamp(-1.0, 1.0)));
    let tau = core::f32::consts::TAU;
    let around = libm::roundf(turns / tau) * tau;
    let candidates = [
        around + angle,
        around - angle,
        around + tau - angle,
        around - tau + angle,
    ];
    let fine = candidates
        .into_iter()
        .min_by(|a, b| (a - turns).abs().total_cmp(&(b - turns).abs()))?;
    // Noise draws each cosine to 0, which moves the angle most where the cosine is flat.
    let error = |angle: f32, lag: f32| (libm::cosf(angle) / libm::sinf(angle)).abs() / lag;
    let radians = match error(coarse, 1.0) < error(fine, lag as f32) {
        true => coarse,
        false => fine / lag as f32,
    };
    let hz = radians / tau * rate_hz;
    (LOWEST_HZ..=HIGHEST_HZ).contains(&hz).then_some(hz)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;
    use crate::test_signals::Random;
    use crate::tone::Tone;
    use std::vec::Vec;

    fn heard(rate_hz: u32, samples: &[i16]) -> Vec<Beep> {
        let (mut detector, mut beeps) = (BeepDetector::new(rate_hz), Vec::new());
        for frame in samples.chunks(rate_hz as usize / 50) {
            detector.process(frame, |beep| beeps.push(beep));
        }
        beeps
    }

    fn tone(rate_hz: u32, hz: [f32; 2], dbm0: f32, ms: usize) -> Vec<i16> {
        let mut samples = std::vec![0; rate_hz as usize / 1000 * ms];
        Tone::new(rate_hz, hz, dbm0).fill(&mut samples);
        samples
    }

    fn with_noise(mut samples: Vec<i16>, dbm0: f32, seed: u64) -> Vec<i16> {
        let mut random = Random::new(seed);
        let rms = f64::from(level::sine_peak(dbm0)) / 2f64.sqrt();
        for sample in &mut samples {
            *sample = sample.saturating_add((random.normal() * rms) as i16);
        }
        samples
    }

    #[test]
    fn a_beep_is_told_with_its_pitch_and_length() {
        for rate_hz in [8000, 16_000] {
            for hz in [400.0, 440.0, 1000.0, 1400.0, 2000.0, 2500.0] {
                for ms in [120, 200, 500, 1500] {
                    let silence = std::vec![0; rate_hz as usize / 3];
                    let beep = tone(rate_hz, [hz, 0.0], -15.0, ms);
                    let audio = [silence.clone(), beep, silence].concat();
                    let beeps = heard(rate_hz, &with_noise(audio, -50.0, 3));
                    let [beep] = beeps[..] else {
                        panic!("{rate_hz} {hz} {ms}: {beeps:?}");
                    };
                    assert!((beep.hz / hz - 1.0).abs() < 0.02, "{hz}: {beep:?}");
                    assert!(beep.duration_ms.abs_diff(ms as u32) <= 30, "{ms}: {beep:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_beep() {
        let silence = || std::vec![0; 1600];
        let cases: [(&str, Vec<i16>); 5] = [
            ("short", tone(8000, [1000.0, 0.0], -10.0, 60)),
            ("two tones", tone(8000, [770.0, 1336.0], -10.0, 500)),
            ("endless", tone(8000, [440.0, 0.0], -10.0, 5000)),
            ("noise", with_noise(std::vec![0; 40_000], -20.0, 5)),
            ("offset", std::vec![5000; 8000]),
        ];
        for (name, audio) in cases {
            let beeps = heard(8000, &[silence(), audio, silence()].concat());
            assert!(beeps.is_empty(), "{name}: {beeps:?}");
        }
    }

    #[test]
    fn a_voice_is_no_beep() {
        // A pitch that glides, with harmonics and a formant or two.
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let (mut phase, mut audio) = (0f32, Vec::new());
            let pitch = 150.0 + random.normal() as f32 * 30.0;
            for n in 0..16_000 {
                let glide = 1.0 + 0.2 * libm::sinf(n as f32 / 2500.0);
                phase += pitch * glide / 8000.0 * core::f32::consts::TAU;
                let wave: f32 = (1..8)
                    .map(|h| libm::sinf(phase * h as f32) / h as f32)
                    .sum();
                audio.push((wave * 4000.0) as i16);
            }
            assert!(heard(8000, &audio).is_empty(), "seed {seed}");
        }
    }
}
