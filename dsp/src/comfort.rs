//! Comfort noise (RFC 3389): what silence sounds like on the far side, as a level and a rough spectrum.
//!
//! Owns the payload ([`Silence`]), the generator that makes noise of it ([`Noise`]) and the estimate of a background ([`Background`]), at 8
//! and 16 kHz alike: a spectrum is relative to the rate. Never decides when to send one. At most [`MAX_ORDER`] coefficients are
//! looked at, and noise is never louder than [`LOUDEST_DBOV`], whatever a payload asks for.

use crate::level::{FULL_SCALE_DBM0, db_to_ratio};

/// Most reflection coefficients of a payload that are used; the first ones describe the spectrum more roughly on their own.
pub const MAX_ORDER: usize = 10;

/// The loudest noise that is made, in -dBov. A background is never louder, a hostile payload would be.
pub const LOUDEST_DBOV: u8 = 30;

/// 0 dBov is a full-scale square wave (RFC 3389 section 3.1), 3.01 dB above a full-scale sine.
const OVERLOAD_DBM0: f32 = FULL_SCALE_DBM0 + 3.01;
const FULL_SCALE: f32 = 32_767.0;

/// What a payload says (RFC 3389 section 3): the noise level, and reflection coefficients of an all-pole model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Octet 0, 0 to 127: the level in -dBov.
    level: u8,
    /// The coefficients' indices, as many as `order`; the others are [`ZERO`].
    indices: [u8; MAX_ORDER],
    order: u8,
}

/// The index of the coefficient 0.
const ZERO: u8 = 127;

impl Silence {
    /// White noise of a level in dBm0.
    pub fn white(dbm0: f32) -> Self {
        // The cast saturates, also what is no number.
        let level = libm::rintf(OVERLOAD_DBM0 - dbm0) as u8;
        Self {
            level: level.min(127),
            indices: [ZERO; MAX_ORDER],
            order: 0,
        }
    }

    /// Reads a payload; `None` if it is empty. The reserved bit and everything from a reserved index on are not looked at.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (level, coefficients) = payload.split_first()?;
        let mut silence = Self {
            level: level & 0x7F,
            indices: [ZERO; MAX_ORDER],
            order: 0,
        };
        let known = coefficients.iter().take_while(|index| **index < 255);
        for (slot, index) in silence.indices.iter_mut().zip(known) {
            *slot = *index;
            silence.order += 1;
        }
        Some(silence)
    }

    /// Writes the payload and returns its length, 1 to 11 octets; 0 if `out` is too short.
    pub fn write(&self, out: &mut [u8]) -> usize {
        let order = usize::from(self.order);
        let Some((level, coefficients)) = out.get_mut(..=order).and_then(<[u8]>::split_first_mut)
        else {
            return 0;
        };
        *level = self.level;
        coefficients.copy_from_slice(&self.indices[..order]);
        order + 1
    }

    /// The level in dBm0.
    pub fn dbm0(&self) -> f32 {
        OVERLOAD_DBM0 - f32::from(self.level)
    }

    /// Whether a listener would hear the difference: 3 dB, or a coefficient that is an eighth off.
    pub fn differs_from(&self, other: &Silence) -> bool {
        let indices = self.indices.iter().zip(&other.indices);
        self.level.abs_diff(other.level) >= 3
            || indices.into_iter().any(|(a, b)| a.abs_diff(*b) >= 16)
    }

    /// The reflection coefficients k: -1 < k < 1, the first being minus the correlation of neighbouring samples.
    fn coefficients(&self) -> [f32; MAX_ORDER] {
        // RFC 3389 section 3.2.
        self.indices
            .map(|index| (f32::from(index) - 127.0) * (258.0 / 32_768.0))
    }
}

/// Makes noise of what a payload says.
#[derive(Clone, Debug)]
pub struct Noise {
    /// The all-pole filter: `out = excitation - sum(poles * past)`.
    poles: [f32; MAX_ORDER],
    /// Samples made, newest first.
    past: [f32; MAX_ORDER],
    /// Amplitude of the excitation now, and what it goes to.
    gain: f32,
    target: f32,
    random: u32,
}

impl Noise {
    /// Share of the way to a new gain that each sample goes: 32 ms of 8 kHz.
    const APPROACH: f32 = 1.0 / 256.0;

    /// A generator that is silent until it is told what to make; equal seeds make equal noise.
    pub const fn new(seed: u32) -> Self {
        Self {
            poles: [0.0; MAX_ORDER],
            past: [0.0; MAX_ORDER],
            gain: 0.0,
            target: 0.0,
            random: seed | 1,
        }
    }

    /// Noise as `silence` says from now on; the level gets there gradually.
    pub fn become_like(&mut self, silence: &Silence) {
        let coefficients = silence.coefficients();
        let mut poles = [0.0; MAX_ORDER];
        let mut residual = 1.0f32;
        for (order, k) in coefficients.into_iter().enumerate() {
            step_up(&mut poles, order, k);
            residual *= 1.0 - k * k;
        }
        self.poles = poles;
        let level = silence.level.max(LOUDEST_DBOV);
        // Evenly spread noise has an effective value of its peak over the root of 3; the filter amplifies by the root of 1/residual.
        let peak = FULL_SCALE * db_to_ratio(-f32::from(level)) * libm::sqrtf(3.0 * residual);
        if self.target == 0.0 {
            self.gain = peak;
        }
        self.target = peak;
    }

    /// Fills `out`; any division into slices makes the same noise.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 17;
            self.random ^= self.random << 5;
            let white = self.random as i32 as f32 / 2_147_483_648.0;
            self.gain += (self.target - self.gain) * Self::APPROACH;
            let poles = self.poles.iter().zip(&self.past);
            let past: f32 = poles.map(|(pole, past)| pole * past).sum();
            let made = white * self.gain - past;
            self.past.copy_within(..MAX_ORDER - 1, 1);
            self.past[0] = made;
            // Adding and taking away 1.5 * 2^23 rounds; cut off, quiet noise would be too quiet.
            const ROUND: f32 = 12_582_912.0;
            *sample = ((made + ROUND) - ROUND) as i16;
        }
    }
}

/// Adds reflection coefficient `k` to a predictor of `order` coefficients (Levinson's recursion).
fn step_up(poles: &mut [f32; MAX_ORDER], order: usize, k: f32) {
    let lower = *poles;
    for (index, pole) in poles[..order].iter_mut().enumerate() {
        *pole += k * lower[order - 1 - index];
    }
    poles[order] = k;
}

/// Samples of which level and spectrum are taken at once.
const BLOCK: usize = 160;

/// Listens to the background between words. Feed it with what a voice detector calls silence.
#[derive(Clone, Debug)]
pub struct Background {
    block: [i16; BLOCK],
    filled: usize,
    /// Mean square and correlations at lags of 1 to [`MAX_ORDER`] samples, smoothed.
    correlations: [f32; MAX_ORDER + 1],
    blocks: u32,
}

impl Default for Background {
    fn default() -> Self {
        Self::new()
    }
}

impl Background {
    /// So many blocks count: 160 ms of 8 kHz.
    const MEMORY: u32 = 8;

    /// One that has heard nothing.
    pub const fn new() -> Self {
        Self {
            block: [0; BLOCK],
            filled: 0,
            correlations: [0.0; MAX_ORDER + 1],
            blocks: 0,
        }
    }

    /// Listens to `samples`; any division into slices gives the same estimate.
    pub fn listen(&mut self, mut samples: &[i16]) {
        while !samples.is_empty() {
            let room = &mut self.block[self.filled..];
            let (part, rest) = samples.split_at(samples.len().min(room.len()));
            room[..part.len()].copy_from_slice(part);
            self.filled += part.len();
            samples = rest;
            if self.filled == BLOCK {
                self.filled = 0;
                self.take_in();
            }
        }
    }

    fn take_in(&mut self) {
        self.blocks = (self.blocks + 1).min(Self::MEMORY);
        let share = 1.0 / self.blocks as f32;
        let samples = self.block.map(f32::from);
        for (lag, smoothed) in self.correlations.iter_mut().enumerate() {
            let products = samples.iter().zip(&samples[lag..]);
            let sum: f32 = products.map(|(a, b)| a * b).sum();
            *smoothed += (sum / BLOCK as f32 - *smoothed) * share;
        }
    }

    /// What was heard, with `order` coefficients (at most [`MAX_ORDER`]); `None` before 160 samples came.
    pub fn silence(&self, order: usize) -> Option<Silence> {
        if self.blocks == 0 {
            return None;
        }
        let mut silence = Silence::white(crate::level::power_to_dbm0(self.correlations[0]));
        let order = order.min(MAX_ORDER);
        // A floor one step high: digital silence has no spectrum.
        let power = self.correlations[0] * 1.0001 + 1.0;
        let (mut poles, mut residual) = ([0.0; MAX_ORDER], power);
        for (at, slot) in silence.indices[..order].iter_mut().enumerate() {
            let past = (0..at).map(|index| poles[index] * self.correlations[at - index]);
            let k = -(self.correlations[at + 1] + past.sum::<f32>()) / residual;
            // The cast saturates; 255 is reserved (RFC 3389 section 3.2).
            *slot = (libm::rintf(k * (32_768.0 / 258.0) + 127.0) as u8).min(254);
            let k = (f32::from(*slot) - 127.0) * (258.0 / 32_768.0);
            step_up(&mut poles, at, k);
            residual *= 1.0 - k * k;
        }
        silence.order = order as u8;
        Some(silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbm0;
    use crate::test_signals::{Random, spectrum_db};
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    fn noise(silence: &Silence, seconds: usize) -> Vec<i16> {
        let mut noise = Noise::new(1);
        noise.become_like(silence);
        let mut out = vec![0; 8000 * seconds];
        noise.fill(&mut out);
        out
    }

    /// Mean power around `hz` in dB, at 8 kHz: many narrow bands, since noise is ragged.
    fn power_near(samples: &[i16], hz: f64) -> f64 {
        let around = (-20..20).map(|n| spectrum_db(samples, 8000.0, hz + 7.3 * f64::from(n)));
        let sum: f64 = around.map(|db| 10f64.powf(db / 10.0)).sum();
        10.0 * (sum / 40.0).log10()
    }

    #[test]
    fn levels_are_those_asked_for() {
        for level in [-70.0, -50.0, -40.0] {
            let silence = Silence::white(level);
            assert!((silence.dbm0() - level).abs() <= 0.51);
            // Rounding to 16 bits adds a little to very quiet noise.
            let heard = dbm0(&noise(&silence, 2));
            assert!((heard - silence.dbm0()).abs() < 0.6, "{level}: {heard}");
        }
        let shaped = Silence::parse(&[56, 30, 200, 90, 140]).unwrap();
        let heard = dbm0(&noise(&shaped, 4));
        assert!((heard - shaped.dbm0()).abs() < 0.5, "{heard}");
    }

    #[test]
    fn noise_is_never_deafening() {
        for payload in [&[0][..], &[0, 0, 0, 0, 0], &[0, 254, 254]] {
            let heard = noise(&Silence::parse(payload).unwrap(), 4);
            assert!(dbm0(&heard) < -20.0, "{payload:?}: {}", dbm0(&heard));
        }
    }

    #[test]
    fn a_background_is_heard_as_it_was() {
        // Low noise with a hump near 1 kHz.
        let mut random = Random::new(5);
        let (mut one, mut two) = (0.0, 0.0);
        let resonance = |_| {
            let made = random.normal() * 40.0 + 1.27 * one - 0.81 * two;
            (two, one) = (one, made);
            made as i16
        };
        let heard: Vec<i16> = (0..32_000).map(resonance).collect();
        let mut background = Background::new();
        assert_eq!(background.silence(8), None);
        background.listen(&heard);
        let silence = background.silence(8).unwrap();
        let mut payload = [0; 11];
        assert_eq!(silence.write(&mut payload), 9);
        let made = noise(&Silence::parse(&payload[..9]).unwrap(), 4);
        // The estimate is of the last 160 ms, so it scatters.
        assert!((dbm0(&made) - dbm0(&heard)).abs() < 3.0);
        for hz in [300.0, 1000.0, 2000.0, 3500.0] {
            let difference = power_near(&made, hz) - power_near(&heard, hz);
            assert!(difference.abs() < 5.0, "{hz} Hz: {difference} dB");
        }
    }

    #[test]
    fn digital_silence_is_the_lowest_level() {
        let mut background = Background::new();
        background.listen(&[0; 160]);
        let silence = background.silence(10).unwrap();
        assert_eq!(silence.level, 106);
        assert_eq!(silence.indices, [ZERO; MAX_ORDER]);
        assert!(noise(&silence, 1).iter().all(|sample| *sample == 0));
    }

    #[test]
    fn small_changes_are_not_worth_a_packet() {
        let silence = Silence::parse(&[60, 100, 120]).unwrap();
        let other = |payload: &[u8]| silence.differs_from(&Silence::parse(payload).unwrap());
        assert!(!other(&[62, 105, 120]));
        assert!(other(&[63, 100, 120]));
        assert!(other(&[60, 140, 120]));
        assert!(other(&[60, 100, 120, 200]));
    }

    #[test]
    fn payloads_of_others() {
        assert_eq!(Silence::parse(&[]), None);
        let level_only = Silence::parse(&[0x80 | 70]).unwrap();
        assert_eq!((level_only.level, level_only.order), (70, 0));
        let reserved = Silence::parse(&[70, 100, 255, 100]).unwrap();
        assert_eq!(reserved.order, 1);
        let long = Silence::parse(&[100; 64]).unwrap();
        assert_eq!(long.order, 10);
        assert_eq!(long.write(&mut [0; 10]), 0, "too short");
    }

    proptest! {
        #[test]
        fn any_payload_makes_noise_that_ends(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..8)) {
            let mut noise = Noise::new(7);
            for payload in &payloads {
                if let Some(silence) = Silence::parse(payload) {
                    let mut written = [0; 11];
                    let length = silence.write(&mut written);
                    prop_assert_eq!(Silence::parse(&written[..length]), Some(silence));
                    noise.become_like(&silence);
                    noise.fill(&mut [0; 160]);
                    prop_assert!(noise.past.iter().all(|sample| sample.is_finite()));
                }
            }
            noise.become_like(&Silence::white(-100.0));
            let mut rest = [0; 16_000];
            noise.fill(&mut rest);
            prop_assert!(rest[15_000..].iter().all(|sample| sample.abs() <= 1));
        }

        #[test]
        fn slicing_changes_nothing(samples in proptest::collection::vec(any::<i16>(), 160..900), cut in 1usize..400) {
            let (mut whole, mut parts) = (Background::new(), Background::new());
            whole.listen(&samples);
            samples.chunks(cut).for_each(|part| parts.listen(part));
            prop_assert_eq!(whole.silence(10), parts.silence(10));
        }
    }
}
