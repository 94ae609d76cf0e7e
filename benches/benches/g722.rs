//! G.722 over 20 ms: 320 samples, 160 octets.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use trunkline_dsp::g722::{Decoder, Encoder};

fn g722(c: &mut Criterion) {
    let mut random = 1u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 18) as i16 - 8192
    };
    let samples: Vec<i16> = (0..320).map(|_| next()).collect();
    let (mut octets, mut heard) = ([0; 160], [0; 320]);
    let mut encoder = Encoder::new();
    c.bench_function("g722/encode 20 ms", |b| {
        b.iter(|| encoder.encode(black_box(&samples), &mut octets));
    });
    let mut decoder = Decoder::default();
    c.bench_function("g722/decode 20 ms", |b| {
        b.iter(|| decoder.decode(black_box(&octets), &mut heard));
    });
}

criterion_group!(benches, g722);
criterion_main!(benches);
