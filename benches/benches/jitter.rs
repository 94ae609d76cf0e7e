//! The jitter buffer: one 20 ms packet in and one frame out, in order and with neighbours swapped.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline::rtp::octet_ring::{FRAME, JitterBuffer};

const SILENCE: u8 = 0xFF;

fn packet_and_frame(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jitter buffer packet");
    for (name, swap) in [("in order", 0), ("swapped", 1)] {
        let mut buffer = JitterBuffer::new(SILENCE);
        let (mut number, mut out) = (0u32, [0; FRAME]);
        group.bench_function(name, |b| {
            b.iter(|| {
                let packet = number ^ swap;
                let timestamp = packet.wrapping_mul(FRAME as u32);
                black_box(buffer.insert(
                    packet as u16,
                    timestamp,
                    false,
                    black_box(&[0x55; FRAME]),
                ));
                black_box(buffer.pull(&mut out));
                number = number.wrapping_add(1);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, packet_and_frame);
criterion_main!(benches);
