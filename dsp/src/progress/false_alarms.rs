//! Voices and noise say nothing.

use super::tests::heard;
use super::*;
use crate::test_signals::{Random, speech};
use std::vec::Vec;

#[test]
fn five_minutes_of_made_up_voices_has_no_tone() {
    for seed in 0..5 {
        let voice = speech(seed, 60.0);
        for plan in [&ANYWHERE, Plan::of("us").unwrap(), Plan::of("de").unwrap()] {
            let all = heard(8000, plan, &voice);
            assert!(all.is_empty(), "seed {seed}, {}: {all:?}", plan.code);
        }
    }
}

#[test]
fn noise_has_no_tone() {
    let mut random = Random::new(9);
    let noise: Vec<i16> = (0..8000 * 60)
        .map(|_| (random.normal() * 2000.0) as i16)
        .collect();
    assert!(heard(8000, &ANYWHERE, &noise).is_empty());
}
