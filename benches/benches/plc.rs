//! Loss concealment and stretching of 20 ms.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use trunkline_dsp::{plc::Concealer, stretch};

/// A tone of 120 Hz with two harmonics.
fn voice(rate_hz: u32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|index| {
            let angle = std::f64::consts::TAU * 120.0 * index as f64 / f64::from(rate_hz);
            (5000.0 * angle.sin() + 3000.0 * (2.0 * angle).sin() + 2000.0 * (5.0 * angle).cos())
                as i16
        })
        .collect()
}

fn concealment(criterion: &mut Criterion) {
    for rate_hz in [8000, 16_000] {
        let frame = rate_hz as usize / 50;
        let sound = voice(rate_hz, frame * 6);
        let next = &sound[frame * 5..];
        let mut warm = Concealer::new(rate_hz);
        warm.good(&mut sound[..frame * 4].to_vec());
        let mut group = criterion.benchmark_group(format!("20 ms at {rate_hz} Hz"));
        let mut out = sound[..frame].to_vec();
        let mut steady = warm.clone();
        group.bench_function("came", |b| b.iter(|| steady.good(black_box(&mut out))));
        let mut holed = warm.clone();
        holed.conceal(&mut out, None);
        for (name, concealer, next) in [
            ("lost", &warm, None),
            ("lost again", &holed, None),
            ("lost, next known", &warm, Some(next)),
        ] {
            group.bench_function(name, |b| {
                b.iter_batched_ref(
                    || concealer.clone(),
                    |concealer| concealer.conceal(black_box(&mut out), next),
                    BatchSize::SmallInput,
                )
            });
        }
        let mut longer = vec![0; frame * 2];
        group.bench_function("shorten", |b| {
            b.iter(|| stretch::shorten(black_box(&sound[..frame]), rate_hz, &mut longer))
        });
        group.finish();
    }
}

criterion_group!(benches, concealment);
criterion_main!(benches);
