//! Mixing of 20 ms of 8 kHz: what a conference costs per participant.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline_dsp::mix;

fn mixing(criterion: &mut Criterion) {
    let talker: [i16; 160] = std::array::from_fn(|index| (index as i16).wrapping_mul(411));
    let (mut sum, mut out) = ([0i32; 160], [0i16; 160]);
    let mut group = criterion.benchmark_group("mix frame");
    group.bench_function("add to sum", |b| {
        b.iter(|| {
            mix::add_to_sum(black_box(&mut sum), black_box(&talker));
            sum[0] = 0;
        })
    });
    let sum: [i32; 160] = std::array::from_fn(|index| index as i32 * 997 - 80_000);
    group.bench_function("sum without own", |b| {
        b.iter(|| mix::clip_sum_without(black_box(&sum), black_box(&talker), &mut out))
    });
    group.bench_function("gain", |b| {
        b.iter(|| {
            out = talker;
            mix::gain(black_box(&mut out), black_box(0.7));
        })
    });
    group.bench_function("ramp", |b| {
        b.iter(|| {
            out = talker;
            mix::ramp(black_box(&mut out), black_box(0.7), black_box(0.9));
        })
    });
    group.finish();
}

criterion_group!(benches, mixing);
criterion_main!(benches);
