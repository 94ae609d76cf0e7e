//! G.711 over one 20 ms frame (160 samples), beside `audio-codec-algorithms` sample by sample.

use std::hint::black_box;

use audio_codec_algorithms as reference;
use criterion::{Criterion, criterion_group, criterion_main};
use trunkline_dsp::g711;

const FRAME: usize = 160;

fn codecs(criterion: &mut Criterion) {
    let linear: [i16; FRAME] = std::array::from_fn(|index| (index as i16).wrapping_mul(411));
    let codes: [u8; FRAME] = std::array::from_fn(|index| index as u8);
    let mut group = criterion.benchmark_group("g711 frame");
    let (mut bytes, mut samples) = ([0; FRAME], [0; FRAME]);
    group.bench_function("ulaw encode", |b| {
        b.iter(|| g711::ulaw_encode_into(black_box(&linear), &mut bytes))
    });
    group.bench_function("ulaw encode, reference", |b| {
        b.iter(|| black_box(&linear).map(reference::encode_ulaw));
    });
    group.bench_function("alaw encode", |b| {
        b.iter(|| g711::alaw_encode_into(black_box(&linear), &mut bytes))
    });
    group.bench_function("alaw encode, reference", |b| {
        b.iter(|| black_box(&linear).map(reference::encode_alaw));
    });
    group.bench_function("ulaw decode", |b| {
        b.iter(|| g711::ulaw_decode_into(black_box(&codes), &mut samples))
    });
    group.bench_function("alaw decode", |b| {
        b.iter(|| g711::alaw_decode_into(black_box(&codes), &mut samples))
    });
    group.bench_function("ulaw to alaw", |b| {
        b.iter(|| g711::ulaw_to_alaw_into(black_box(&codes), &mut bytes))
    });
    group.finish();
}

criterion_group!(benches, codecs);
criterion_main!(benches);
