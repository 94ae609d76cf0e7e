//! The sum of one round, and the mix encoded for those who only listen.

use trunkline_dsp::mix;

use super::super::codec::{AudioRate, FRAME_SAMPLES};
use super::member::LONGEST;
use super::mix::RoomState;

/// The sum of one round.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) samples: [i32; LONGEST],
    /// Members and announcements in it.
    pub(super) parts: u32,
}

impl Sum {
    /// Writes as many samples as `out` has room for.
    pub(super) fn clip(&self, out: &mut [i16]) {
        mix::clip_sum(&self.samples, out);
    }
}

/// The mix of all, encoded once for those who only listen.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) round: u64,
    pub(super) octets: [u8; FRAME_SAMPLES],
}

impl RoomState {
    /// Mixes at the rate that fits the members. What was said in the round before is brought to it, roughly: it is one frame.
    pub(super) fn follow_rate(&mut self) {
        let rate = match (self.narrow, self.wide) {
            (0, 1..) => AudioRate::Wide,
            _ => AudioRate::Narrow,
        };
        if rate == self.rate {
            return;
        }
        self.rate = rate;
        let (before, round) = (self.complete(), self.round.wrapping_sub(1));
        let sum = &mut self.sums[before].samples;
        stretch(sum, rate, |a, b| (a + b) / 2);
        for member in self.members.iter_mut().flatten() {
            let part = &mut member.parts[before];
            if part.round == round {
                stretch(&mut part.samples, rate, |a, b| {
                    ((i32::from(a) + i32::from(b)) / 2) as i16
                });
            }
        }
    }
}

/// Brings a frame to a rate from the other.
fn stretch<T: Copy>(samples: &mut [T; LONGEST], to: AudioRate, between: impl Fn(T, T) -> T) {
    let half = LONGEST / 2;
    match to {
        AudioRate::Wide => {
            for at in (0..half).rev() {
                let next = samples[if at + 1 < half { 2 * at + 2 } else { at }];
                let this = samples[at];
                samples[2 * at + 1] = between(this, next);
                samples[2 * at] = this;
            }
        }
        AudioRate::Narrow => {
            for at in 0..half {
                samples[at] = between(samples[2 * at], samples[2 * at + 1]);
            }
        }
    }
}
