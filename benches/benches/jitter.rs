//! The jitter buffer and the playout on it: one 20 ms packet in and one frame out, in order, with neighbours swapped, and with losses.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline::rtp::clock::ClockRate;
use trunkline::rtp::jitter::{Aim, Arrived, JitterBuffer, Turn};

fn packet_and_turn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jitter buffer packet");
    for (name, swap, lost) in [
        ("in order", 0, 0),
        ("swapped", 1, 0),
        ("one of ten lost", 0, 10),
    ] {
        let mut buffer = JitterBuffer::new(ClockRate::HZ_8000, 8192, Aim::default());
        let (mut number, mut now_us, mut lead) = (0u32, 0u64, 0u32);
        group.bench_function(name, |b| {
            b.iter(|| {
                let packet = number ^ swap;
                let arrived = Arrived {
                    sequence: packet as u16,
                    timestamp: packet.wrapping_mul(160),
                    marker: false,
                    units: 160,
                    payload: black_box(&[0x55; 160]),
                };
                if lost == 0 || number % lost != 3 {
                    black_box(buffer.insert(now_us, &arrived));
                }
                while lead < 160 {
                    let need = 160 - lead;
                    lead += match black_box(buffer.next(now_us, lead, need)) {
                        Turn::Packet { units, skip, .. } => units - skip,
                        Turn::Lost { units, .. } => units,
                        Turn::Silence | Turn::Wait { .. } | Turn::Idle => need,
                    };
                }
                black_box(buffer.surplus_us(now_us, lead, 160));
                lead -= 160;
                number = number.wrapping_add(1);
                now_us += 20_000;
            });
        });
    }
    group.finish();
}

criterion_group!(benches, packet_and_turn);
criterion_main!(benches);
