//! SRTP of a G.711 packet (172 octets): protect and unprotect in place, beside a copy of the packet.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline::rtp::srtp::{MAX_TRAILER, MasterKey, Receiver, Sender, Suite};

const PACKET: usize = 172;

type Buffer = [u8; PACKET + MAX_TRAILER];

/// The next packet.
fn protected(sender: &mut Sender, plain: &Buffer, sequence: &mut u16) -> (Buffer, usize) {
    let mut packet = *plain;
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    *sequence = sequence.wrapping_add(1);
    let length = sender.protect_rtp(&mut packet, PACKET).unwrap();
    (packet, length)
}

fn srtp(c: &mut Criterion) {
    let mut group = c.benchmark_group("srtp 172 octets");
    let plain = {
        let mut packet = [0x55; PACKET + MAX_TRAILER];
        packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5]);
        packet
    };
    group.bench_function("copy", |b| b.iter(|| black_box(black_box(plain))));
    for suite in [Suite::AesCm128HmacSha1_80, Suite::Aes256CmHmacSha1_80] {
        let key = MasterKey::new(suite, &[7; 46][..suite.key_and_salt_len()]).unwrap();
        let mut sender = Sender::new(&key);
        let mut sequence = 0;
        group.bench_function(format!("{suite:?} protect"), |b| {
            b.iter(|| black_box(protected(&mut sender, &plain, &mut sequence)));
        });
        let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
        let mut sequence = 0;
        group.bench_function(format!("{suite:?} protect and unprotect"), |b| {
            b.iter(|| {
                let (mut packet, length) = protected(&mut sender, &plain, &mut sequence);
                black_box(receiver.unprotect_rtp(&mut packet[..length]).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, srtp);
criterion_main!(benches);
