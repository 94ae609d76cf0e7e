//! What the machine takes without us: the kernel's UDP path, and a codec by itself. Measured in the same run as everything else.

use std::cell::Cell;
use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::super::codec::opus::OpusSettings;
use super::super::codec::{Decoder, Encoder, Encoding};
use super::BenchOptions;
use super::caller::{payloads, voice};
use crate::net::thread::{cpu_time, pin};
use crate::rtp::packet::HEADER_LEN;

/// Sockets of the bare measurement.
const BARE_SOCKETS: usize = 200;
/// Rounds over all sockets of the bare measurement of many.
const COLD_ROUNDS: usize = 25;
/// ms of the measurement at the pace of audio, and before it.
const LIVE_MS: u32 = 3000;
const SETTLING_MS: u32 = 600;
/// A G.711 packet.
const DATAGRAM: [u8; HEADER_LEN + 160] = [0x80; HEADER_LEN + 160];
/// Frames that a codec is measured over, and longest frame of any in samples and octets.
const FRAMES: usize = 500;
const LONGEST: usize = 1500;

/// The bare cost of send and receive on connected sockets, median of the rounds: few enough that caches hold them.
pub(super) fn bare() -> io::Result<(f64, f64)> {
    let pairs = pairs(BARE_SOCKETS)?;
    let (mut sends, mut receives) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let start = cpu_time();
        for (a, _) in &pairs {
            a.send(&DATAGRAM)?;
        }
        let sent = cpu_time();
        for (_, b) in &pairs {
            b.recv(&mut [0; 2048])?;
        }
        sends.push((sent - start).as_nanos() as f64 / BARE_SOCKETS as f64);
        receives.push((cpu_time() - sent).as_nanos() as f64 / BARE_SOCKETS as f64);
    }
    Ok((median(sends), median(receives)))
}

/// The bare cost in ns of taking a packet from each of so many sockets and sending one back at once, median of the rounds.
pub(super) fn bare_of_all(sockets: usize) -> io::Result<f64> {
    let pairs = pairs(sockets)?;
    let mut rounds = Vec::new();
    for _ in 0..COLD_ROUNDS {
        for (a, _) in &pairs {
            a.send(&DATAGRAM)?;
        }
        let start = cpu_time();
        for (_, b) in &pairs {
            b.recv(&mut [0; 2048])?;
            b.send(&DATAGRAM)?;
        }
        rounds.push((cpu_time() - start).as_nanos() as f64 / sockets.max(1) as f64);
        for (a, _) in &pairs {
            a.recv(&mut [0; 2048])?;
        }
    }
    Ok(median(rounds))
}

/// The bare cost in ns of the same at the pace of audio, with the far ends on another CPU: what any media thread pays that wakes once in a ms, takes a
/// packet of each socket whose turn it is and sends one back, and does nothing besides.
pub(super) fn live(options: &BenchOptions, sockets: usize) -> io::Result<f64> {
    let pairs = pairs(sockets)?;
    let (mut far, mut near) = (Vec::new(), Vec::new());
    for (a, b) in pairs {
        a.set_nonblocking(true)?;
        far.push(a);
        near.push(b);
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let peers = scope.spawn(|| {
            pin(options.generator_cpu)?;
            pace(&far, u32::MAX, &stop, |socket| {
                let _ = socket.send(&DATAGRAM);
                while socket.recv(&mut [0; 2048]).is_ok() {}
            });
            io::Result::Ok(())
        });
        let measured = || {
            pin(options.shard_cpu)?;
            let frames = Cell::new(0u64);
            let echo = |socket: &UdpSocket| {
                let _ = (socket.recv(&mut [0; 2048]), socket.send(&DATAGRAM));
                frames.set(frames.get() + 1);
            };
            pace(&near, SETTLING_MS, &stop, echo);
            frames.set(0);
            let start = cpu_time();
            pace(&near, LIVE_MS, &stop, echo);
            io::Result::Ok((cpu_time() - start).as_nanos() as f64 / frames.get().max(1) as f64)
        };
        let cost = scope.spawn(measured).join();
        stop.store(true, Ordering::Relaxed);
        let failed = |_| io::Error::other("a thread of the bench panicked");
        peers.join().map_err(failed)??;
        cost.map_err(failed)?
    })
}

/// Gives each socket its turn in every 20 ms, spread over them, for so many ms or until it is to stop.
fn pace(sockets: &[UdpSocket], most_ms: u32, stop: &AtomicBool, mut turn: impl FnMut(&UdpSocket)) {
    let start = Instant::now();
    for ms in 0..most_ms {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let slot = |part: u32| sockets.len() * part as usize / 20;
        sockets[slot(ms % 20)..slot(ms % 20 + 1)]
            .iter()
            .for_each(&mut turn);
        let next = start + Duration::from_millis(u64::from(ms) + 1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Pairs of sockets that are connected to each other.
fn pairs(count: usize) -> io::Result<Vec<(UdpSocket, UdpSocket)>> {
    let pair = || {
        let (a, b) = (
            UdpSocket::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        );
        a.connect(b.local_addr()?)?;
        b.connect(a.local_addr()?)?;
        b.set_nonblocking(true)?;
        Ok((a, b))
    };
    (0..count).map(|_| pair()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time in ns that decoding one frame of 20 ms and encoding it takes: of one stream, which caches hold, and of so many in turn.
///
/// # Errors
/// When the codec cannot be made.
pub(super) fn codec(encoding: Encoding, streams: usize) -> io::Result<[f64; 2]> {
    let coded = payloads(encoding, FRAMES, &voice)?;
    let new = || -> io::Result<_> {
        let decoder = Decoder::new(encoding).map_err(io::Error::other)?;
        let encoder = Encoder::new(encoding, narrow()).map_err(io::Error::other)?;
        Ok((decoder, encoder))
    };
    let measure = |streams: usize| {
        let mut states = (0..streams)
            .map(|_| new())
            .collect::<io::Result<Vec<_>>>()?;
        let rounds = (FRAMES * 4 / streams).clamp(20, FRAMES);
        let (mut samples, mut octets) = ([0; LONGEST], [0; LONGEST]);
        let start = cpu_time();
        for payload in &coded[..rounds] {
            for (decoder, encoder) in &mut states {
                let length = encoder.rate().samples_per_frame();
                let _ = std::hint::black_box(decoder.decode(payload, &mut samples));
                std::hint::black_box(encoder.encode(&samples[..length], &mut octets));
            }
        }
        let took = (cpu_time() - start).as_nanos() as f64;
        io::Result::Ok(took / (rounds * streams) as f64)
    };
    Ok([measure(1)?, measure(streams.max(1))?])
}

/// How Opus codes what comes from a codec of 8 kHz.
fn narrow() -> OpusSettings {
    OpusSettings {
        narrow: true,
        ..OpusSettings::default()
    }
}
