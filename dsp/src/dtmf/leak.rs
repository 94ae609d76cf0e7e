//! Two tones seen through one window: what of each belongs to the other.
//!
//! The long window is made of steps, one per hop, so tones whose distance is near the hop rate (or twice that) leak
//! into each other at -20 dB, and the energy of their sum beats. Owns the arithmetic that takes both apart; exact for two
//! steady tones in a window that is wholly known.

use core::f32::consts::TAU;

use super::{
    bank::FREQUENCIES,
    detector::HOPS_PER_SECOND,
    history::{WEIGHT_SQUARES, WEIGHT_SUM, WEIGHTS},
};

/// A complex number.
pub(super) type Complex = [f32; 2];
/// The sums of the long window at two frequencies.
pub(super) type Pair = [Complex; 2];

/// How two tones show in the windows at their nominal frequencies; all parts of a tone in its own window at nominal.
#[derive(Debug)]
pub(super) struct Leak {
    /// The high tone in the low one's window and the other way round.
    other: [f32; 2],
    /// The beat of both in the energy of the window.
    pub(super) beat: f32,
    /// Distance of the nominal frequencies, Hz.
    distance: u32,
}

/// Two tones taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parted {
    /// Sums of the window as they would be at the tones' own frequencies.
    pub(super) amplitudes: Pair,
    /// The real part of the product of one and the other in the middle of the window.
    pub(super) beat: f32,
}

impl Leak {
    /// For the `tones` (0..=3 and 4..=7), which turn `deviations` radians per hop beyond nominal.
    pub(super) fn new(tones: [usize; 2], deviations: [f32; 2], hop_samples: u32) -> Self {
        let [low, high] = tones.map(|tone| FREQUENCIES[tone] / HOPS_PER_SECOND as f32 * TAU);
        let distance = high - low;
        let response = |turn| hop_response(turn, hop_samples) * window_response(turn, false);
        Self {
            other: [distance + deviations[1], deviations[0] - distance].map(response),
            beat: {
                let turn = distance + deviations[1] - deviations[0];
                hop_response(turn, hop_samples) * window_response(turn, true)
            },
            distance: (FREQUENCIES[tones[1]] - FREQUENCIES[tones[0]]) as u32,
        }
    }

    /// Takes apart the sums of the window whose middle is the hop numbered `middle`; `own` is what the window keeps of
    /// either tone. Where some of its hops are
    /// hidden, the tones are taken as they are.
    pub(super) fn part(&self, sums: Pair, own: [f32; 2], middle: u32, hidden: bool) -> Parted {
        if hidden {
            return Parted {
                amplitudes: [0, 1].map(|tone| sums[tone].map(|part| part / own[tone])),
                beat: 0.0,
            };
        }
        let turns = (u64::from(self.distance) * u64::from(middle)) % u64::from(HOPS_PER_SECOND);
        let turn = turns as f32 * (TAU / HOPS_PER_SECOND as f32);
        let rotation = [libm::cosf(turn), libm::sinf(turn)];
        let [low, high] = sums;
        let common = 1.0 / (own[0] * own[1] - self.other[0] * self.other[1]);
        let high_there = times(high, rotation);
        let low_there = product(low, rotation);
        let amplitudes = [
            [0, 1].map(|part| (low[part] * own[1] - high_there[part] * self.other[0]) * common),
            [0, 1].map(|part| (high[part] * own[0] - low_there[part] * self.other[1]) * common),
        ];
        Parted {
            beat: product(times(amplitudes[1], rotation), amplitudes[0])[0],
            amplitudes,
        }
    }
}

/// `one` times the conjugate of `other`.
#[inline]
pub(super) fn product(one: Complex, other: Complex) -> Complex {
    [
        one[0] * other[0] + one[1] * other[1],
        one[1] * other[0] - one[0] * other[1],
    ]
}

fn times(one: Complex, other: Complex) -> Complex {
    [
        one[0] * other[0] - one[1] * other[1],
        one[1] * other[0] + one[0] * other[1],
    ]
}

/// The angle of a complex number, right to a part in 500 where keys are (up to 0.65); angles beyond 1 come out as 1 or more.
pub(super) fn angle([real, imaginary]: Complex) -> f32 {
    if real <= 0.0 {
        return 1.5;
    }
    let tangent = imaginary / real;
    let square = tangent * tangent;
    tangent * (15.0 + 4.0 * square) / (15.0 + 9.0 * square)
}

/// The amplitude that the long window keeps of a tone `turn` radians per hop beside its middle, by its series; not
/// below that of 0.67 (43 Hz), beyond which no key is accepted anyway.
pub(super) fn response_near(turn: f32) -> f32 {
    let square = (turn * turn).min(0.45);
    let window = 1.0 - square * (1.325 - square * (0.708 - square * 0.2125));
    window * (1.0 - square / 24.0)
}

/// The amplitude that a hop's sum keeps of a tone `turn` radians per hop beside it.
fn hop_response(turn: f32, hop_samples: u32) -> f32 {
    let half = turn / 2.0;
    let samples = hop_samples as f32;
    libm::sinf(half) / (samples * libm::sinf(half / samples))
}

/// The amplitude that the long window keeps of a tone `turn` radians per hop beside its middle, or that the window of
/// the squared weights keeps.
fn window_response(turn: f32, squared: bool) -> f32 {
    let weight = |index: usize| match squared {
        false => WEIGHTS[index] / WEIGHT_SUM,
        true => WEIGHTS[index] * WEIGHTS[index] / WEIGHT_SQUARES,
    };
    let cosine = libm::cosf(turn);
    let (mut last, mut now, mut sum) = (1.0, cosine, weight(4));
    for index in 5..WEIGHTS.len() {
        sum += 2.0 * weight(index) * now;
        (last, now) = (now, 2.0 * cosine * now - last);
    }
    sum
}
