//! Conversion of 20 ms between 16 kHz and 8 kHz.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline_dsp::resample::{Down2, Up2};

fn conversion(criterion: &mut Criterion) {
    let wide: [i16; 320] = std::array::from_fn(|index| (index as i16).wrapping_mul(411));
    let narrow: [i16; 160] = std::array::from_fn(|index| (index as i16).wrapping_mul(411));
    let mut group = criterion.benchmark_group("resample frame");
    let (mut down2, mut to_narrow) = (Down2::new(), [0; 160]);
    group.bench_function("16 to 8 kHz", |b| {
        b.iter(|| down2.process(black_box(&wide), &mut to_narrow))
    });
    let (mut up2, mut to_wide) = (Up2::new(), [0; 320]);
    group.bench_function("8 to 16 kHz", |b| {
        b.iter(|| up2.process(black_box(&narrow), &mut to_wide))
    });
    group.finish();
}

criterion_group!(benches, conversion);
criterion_main!(benches);
