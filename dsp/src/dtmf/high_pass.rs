//! The filter in front of the DTMF bank: takes away direct current, hum and dial tone.
//!
//! A fourth-order elliptic high-pass (0.3 dB ripple above 670 Hz, 34 dB and more below 430 Hz), designed in the
//! analogue domain and mapped bilinearly, so that it serves any sampling rate. It passes 697 Hz at -0.1 dB.

use core::f32::consts::PI;

use crate::simd::Arithmetic;

/// Notch, pole frequency (both Hz) and pole quality of the two analogue sections.
/// From `scipy.signal.ellip(4, 0.3, 34, 2*pi*670, 'high', analog=True)`.
const SECTIONS: [[f32; 3]; 2] = [[192.25, 885.75, 0.7101], [420.13, 634.52, 3.6754]];

/// Two second-order sections, one behind the other.
///
/// Written so that a sample waits for the one before it by one product and one sum of each section only.
#[derive(Clone, Debug)]
pub(super) struct HighPass {
    sections: [Section; 2],
    /// The last two samples of the input and of either section's output, the newest first.
    past: [[f32; 2]; 3],
}

#[derive(Clone, Copy, Debug)]
struct Section {
    b0: f32,
    b1: f32,
    a1: f32,
    a2: f32,
}

impl HighPass {
    pub(super) fn new(rate_hz: u32) -> Self {
        Self {
            sections: SECTIONS.map(|section| Section::new(rate_hz as f32, section)),
            past: [[0.0; 2]; 3],
        }
    }

    /// Forgets the past.
    pub(super) fn clear(&mut self) {
        self.past = [[0.0; 2]; 3];
    }

    /// Filters `input` into `output` (same length) and returns the energy of the output.
    #[inline(always)]
    pub(super) fn process<A: Arithmetic>(&mut self, input: &[i16], output: &mut [f32]) -> f32 {
        let [one, two] = self.sections;
        let [mut taken, mut middle, mut given] = self.past;
        let mut energy = 0.0;
        for (out, sample) in output.iter_mut().zip(input) {
            let sample = f32::from(*sample);
            let first = one.step::<A>(sample, taken, middle);
            let second = two.step::<A>(first, middle, given);
            taken = [sample, taken[0]];
            middle = [first, middle[0]];
            given = [second, given[0]];
            energy += second * second;
            *out = second;
        }
        self.past = [taken, middle, given];
        energy
    }
}

impl Section {
    fn new(rate_hz: f32, [notch_hz, pole_hz, quality]: [f32; 3]) -> Self {
        let warp = |hz: f32| libm::tanf(PI * hz / rate_hz);
        let (zero, pole) = (warp(notch_hz), warp(pole_hz));
        let scale = 1.0 / (1.0 + pole / quality + pole * pole);
        Self {
            b0: (1.0 + zero * zero) * scale,
            b1: 2.0 * (zero * zero - 1.0) * scale,
            a1: 2.0 * (pole * pole - 1.0) * scale,
            a2: (1.0 - pole / quality + pole * pole) * scale,
        }
    }

    /// The next output for `input`, given the last two of either.
    #[inline(always)]
    fn step<A: Arithmetic>(&self, input: f32, taken: [f32; 2], given: [f32; 2]) -> f32 {
        let forward = A::add_product(self.b0 * (input + taken[1]), self.b1, taken[0]);
        let forward = A::add_product(forward, -self.a2, given[1]);
        A::add_product(forward, -self.a1, given[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{oscillator::Oscillator, simd::Portable};

    fn gain_db(rate_hz: u32, hz: f64) -> f32 {
        let mut oscillator = Oscillator::new(rate_hz, hz);
        let mut filter = HighPass::new(rate_hz);
        let mut energies = [0.0; 2];
        for _ in 0..rate_hz {
            let sample = (oscillator.step().0 * 10_000.0) as i16;
            let mut out = [0.0];
            energies[0] += f32::from(sample) * f32::from(sample);
            energies[1] += filter.process::<Portable>(&[sample], &mut out);
        }
        10.0 * (energies[1] / energies[0]).log10()
    }

    #[test]
    fn keys_pass_and_dial_tone_does_not() {
        for rate_hz in [8000, 16_000] {
            for hz in [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0] {
                assert!(
                    gain_db(rate_hz, hz).abs() < 0.5,
                    "{hz} Hz: {}",
                    gain_db(rate_hz, hz)
                );
            }
            for hz in [50.0, 60.0, 350.0, 400.0, 425.0, 440.0] {
                assert!(
                    gain_db(rate_hz, hz) < -30.0,
                    "{hz} Hz: {}",
                    gain_db(rate_hz, hz)
                );
            }
        }
    }
}
