//! Conversion of 20 ms between 8, 16 and 48 kHz.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline_dsp::resample::{Down2, Down3, Down6, Up2, Up3, Up6};

fn conversion(criterion: &mut Criterion) {
    let input: [i16; 960] = std::array::from_fn(|index| (index as i16).wrapping_mul(411));
    let mut out = [0; 960];
    let mut group = criterion.benchmark_group("resample frame");
    let (mut down2, mut down3, mut down6) = (Down2::new(), Down3::new(), Down6::new());
    let (mut up2, mut up3, mut up6) = (Up2::new(), Up3::new(), Up6::new());
    group.bench_function("16 to 8 kHz", |b| {
        b.iter(|| down2.process(black_box(&input[..320]), &mut out))
    });
    group.bench_function("8 to 16 kHz", |b| {
        b.iter(|| up2.process(black_box(&input[..160]), &mut out))
    });
    group.bench_function("48 to 16 kHz", |b| {
        b.iter(|| down3.process(black_box(&input), &mut out))
    });
    group.bench_function("16 to 48 kHz", |b| {
        b.iter(|| up3.process(black_box(&input[..320]), &mut out))
    });
    group.bench_function("48 to 8 kHz", |b| {
        b.iter(|| down6.process(black_box(&input), &mut out))
    });
    group.bench_function("8 to 48 kHz", |b| {
        b.iter(|| up6.process(black_box(&input[..160]), &mut out))
    });
    group.finish();
}

criterion_group!(benches, conversion);
criterion_main!(benches);
