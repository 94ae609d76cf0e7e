//! Call-progress detection per frame of 20 ms: silence, a tone, something else.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use trunkline_dsp::progress::{ANYWHERE, Listener, Plan, Player};

fn progress(criterion: &mut Criterion) {
    let us = Plan::of("us").expect("it is in the table");
    let busy = us.signal("busy").expect("every country has one");
    let mut tone = vec![0; 8000 * 10];
    Player::of(8000, busy).fill(&mut tone);
    let mut noise = 1u32;
    let voice: Vec<i16> = (0..8000 * 10)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 18) as i16 - 8192
        })
        .collect();
    let silence = vec![0; 8000 * 10];
    for (what, audio) in [("silence", &silence), ("tone", &tone), ("noise", &voice)] {
        for plan in [us, &ANYWHERE] {
            criterion.bench_function(&format!("progress/{what}/{}", plan.code), |bencher| {
                let mut listener = Listener::new(8000, plan);
                let mut frames = audio.chunks_exact(160).cycle();
                bencher.iter(|| {
                    let frame = frames.next().unwrap_or_default();
                    listener.process(black_box(frame), |heard| _ = black_box(heard));
                });
            });
        }
    }
}

criterion_group!(benches, progress);
criterion_main!(benches);
