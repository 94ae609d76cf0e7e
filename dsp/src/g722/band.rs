//! One sub-band: the predictor (two poles, six zeros) and the step of its quantiser, both adapted from what was coded alone, so that
//! coder and decoder stay in step (G.722 blocks RECONS to PREDIC, LOGSCL, LOGSCH, SCALEL, SCALEH).

use super::quantiser::times;

/// Logarithms of step multipliers by the code's magnitude, lower band (table WL by RL42) and upper (WH by RH2).
const LOW_GROWTH: [i16; 16] = [
    -60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
];
const HIGH_GROWTH: [i16; 4] = [798, -214, 798, -214];

/// Powers of two in 32 fractions of an octave (table ILB).
const POWERS: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

#[derive(Clone, Debug)]
pub(super) struct Band {
    /// What the next sample is expected to be.
    predicted: i16,
    /// The share of the zeros in it.
    by_zeros: i16,
    /// Step of the quantiser.
    step: i16,
    /// Its logarithm.
    log_step: i16,
    /// Pole coefficients, of the last reconstructed sample and the one before.
    poles: [i16; 2],
    /// Zero coefficients, of the last difference and those before; two more make the lanes full and stay zero.
    zeros: [i16; LANES],
    /// Reconstructed samples, newest first.
    reconstructed: [i16; 2],
    /// Signs of the last partial reconstructions, as all ones or zeros, newest first.
    signs: [i16; 2],
    /// Differences, newest first.
    differences: [i16; LANES],
}

const LANES: usize = 8;
const ZEROS: usize = 6;

impl Band {
    pub(super) const fn low() -> Self {
        Self::with_step(32)
    }

    pub(super) const fn high() -> Self {
        Self::with_step(8)
    }

    const fn with_step(step: i16) -> Self {
        Self {
            predicted: 0,
            by_zeros: 0,
            step,
            log_step: 0,
            poles: [0; 2],
            zeros: [0; LANES],
            reconstructed: [0; 2],
            signs: [0; 2],
            differences: [0; LANES],
        }
    }

    #[inline(always)]
    pub(super) fn predicted(&self) -> i16 {
        self.predicted
    }

    #[inline(always)]
    pub(super) fn step(&self) -> i16 {
        self.step
    }

    /// After a sample of the lower band.
    #[inline]
    pub(super) fn adapt_low(&mut self, code: u8, difference: i16) {
        let grown = times(self.log_step, 32_512) + LOW_GROWTH[usize::from(code >> 2 & 15)];
        self.log_step = grown.clamp(0, 18_432);
        self.step = power(self.log_step, 8);
        self.predict(difference);
    }

    /// After a sample of the upper band.
    #[inline]
    pub(super) fn adapt_high(&mut self, code: u8, difference: i16) {
        let grown = times(self.log_step, 32_512) + HIGH_GROWTH[usize::from(code & 3)];
        self.log_step = grown.clamp(0, 22_528);
        self.step = power(self.log_step, 10);
        self.predict(difference);
    }

    #[inline(always)]
    fn predict(&mut self, difference: i16) {
        let reconstructed = self.predicted.saturating_add(difference);
        let sign = difference.saturating_add(self.by_zeros) >> 15;
        self.adapt_poles(sign);
        self.adapt_zeros(difference);
        self.signs = [sign, self.signs[0]];
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.differences.copy_within(0..ZEROS - 1, 1);
        self.differences[0] = difference;

        let doubled = self
            .reconstructed
            .map(|sample| sample.saturating_add(sample));
        let by_poles =
            times(self.poles[0], doubled[0]).saturating_add(times(self.poles[1], doubled[1]));
        self.by_zeros = self.zeros_now();
        self.predicted = by_poles.saturating_add(self.by_zeros);
    }

    /// Blocks UPPOL2 and UPPOL1.
    #[inline(always)]
    fn adapt_poles(&mut self, sign: i16) {
        let [first, second] = self.poles;
        let same = |other: i16| sign == other;
        let slope = first.saturating_mul(4);
        let slope = if same(self.signs[0]) {
            0i16.saturating_sub(slope)
        } else {
            slope
        };
        let kick = if same(self.signs[1]) { 128 } else { -128 };
        let second = ((slope >> 7) + kick + times(second, 32_512)).clamp(-12_288, 12_288);
        let kick = if same(self.signs[0]) { 192 } else { -192 };
        let limit = 15_360 - second;
        let first = (times(first, 32_640) + kick).clamp(-limit, limit);
        self.poles = [first, second];
    }

    /// Block UPZERO.
    #[inline(always)]
    fn adapt_zeros(&mut self, difference: i16) {
        let kick = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros[..ZEROS].iter_mut().zip(&self.differences) {
            let against = (past ^ difference) >> 15;
            *zero = times(*zero, 32_640) + ((kick ^ against) - against);
        }
    }

    /// Block FILTEZ.
    #[inline(always)]
    fn zeros_now(&self) -> i16 {
        let mut sum = 0i16;
        for (zero, past) in self.zeros[..ZEROS].iter().zip(&self.differences).rev() {
            sum = sum.saturating_add(times(*zero, past.saturating_add(*past)));
        }
        sum
    }
}

/// Four times two to the power of `log / 2048`, with `shift` octaves off.
#[inline(always)]
fn power(log: i16, shift: i16) -> i16 {
    let mantissa = POWERS[usize::from((log >> 6 & 31) as u16)];
    let octaves = shift - (log >> 11);
    let power = if octaves < 0 {
        mantissa << -octaves
    } else {
        mantissa >> octaves
    };
    power << 2
}
