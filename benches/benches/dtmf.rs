//! DTMF per 20 ms frame: the whole receiver on silence, noise and a key, and its sender; beside eight plain
//! `goertzel-nostd` filters over the same frame, which only measure and decide nothing.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use goertzel_nostd::Parameters;
use trunkline_dsp::dtmf::{COLUMNS_HZ, Detector, Generator, Key, Profile, ROWS_HZ};

const RATE_HZ: u32 = 8000;
const FRAME: usize = 160;

fn noise() -> [i16; FRAME] {
    let mut state = 1u32;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 18) as i16 - 8192
    })
}

fn key() -> [i16; FRAME] {
    let mut frame = [0; FRAME];
    let mut generator = Generator::new(RATE_HZ, Key::ALL[5], -8.0, -6.0);
    generator.fill(&mut frame);
    generator.fill(&mut frame);
    frame
}

fn receiver(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dtmf frame");
    for (name, frame) in [("silence", [0; FRAME]), ("noise", noise()), ("key", key())] {
        let mut detector = Detector::new(RATE_HZ, Profile::TELEPHONE);
        group.bench_function(format!("receiver, {name}"), |b| {
            b.iter(|| detector.process(black_box(&frame), |event| _ = black_box(event)));
        });
    }
    let samples = key().map(f32::from);
    let filters: Vec<Parameters> = ROWS_HZ
        .iter()
        .chain(&COLUMNS_HZ)
        .map(|hz| Parameters::new(f32::from(*hz), RATE_HZ, FRAME))
        .collect();
    group.bench_function("eight goertzel-nostd filters", |b| {
        b.iter(|| {
            let powers = filters
                .iter()
                .map(|filter| filter.mag_squared(black_box(&samples).iter()));
            powers.fold(0.0, f32::max)
        });
    });
    let mut generator = Generator::new(RATE_HZ, Key::ALL[5], -8.0, -6.0);
    let mut frame = [0; FRAME];
    group.bench_function("sender", |b| {
        b.iter(|| generator.fill(black_box(&mut frame)))
    });
    group.finish();
}

criterion_group!(benches, receiver);
criterion_main!(benches);
