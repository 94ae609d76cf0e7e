//! What the machine takes without us: the kernel's UDP path, and a codec by itself. Measured in the same run as everything else.

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
const LIVE_MS: u32 = 5000;
const SETTLING_MS: u32 = 600;
/// A G.711 packet.
const DATAGRAM: [u8; HEADER_LEN + 160] = [0x80; HEADER_LEN + 160];
/// Frames that a codec is measured over, 5 s with all that voices do, and at least so many of all streams; the longest of any codec in samples and octets.
const FRAMES: usize = 250;
const LEAST_CODED: usize = 2000;
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
    let said = [DATAGRAM.to_vec()];
    at_pace(options, sockets, |_| Ok((&said[..], None)))
}

/// The same with what codecs take: every second socket decodes and codes PCMU, the others another encoding.
///
/// # Errors
/// Also when the codec cannot be made.
pub(super) fn live_with_codecs(
    options: &BenchOptions,
    other: Encoding,
    sockets: usize,
) -> io::Result<f64> {
    let said = |encoding| -> io::Result<Vec<Vec<u8>>> {
        let datagram = |payload: Vec<u8>| [&[0x80; HEADER_LEN], &payload[..]].concat();
        let coded = payloads(encoding, FRAMES, &voice)?;
        Ok(coded.into_iter().map(datagram).collect())
    };
    let kinds = [
        (Encoding::Pcmu, said(Encoding::Pcmu)?),
        (other, said(other)?),
    ];
    at_pace(options, sockets, |socket| {
        let (encoding, said) = &kinds[socket % 2];
        Ok((&said[..], Some(coders(*encoding)?)))
    })
}

/// What decodes one stream and codes another of the same encoding.
type Coders = (Decoder, Encoder);

/// What a near end takes in ns for a packet that it receives, decodes and codes if it has what does, and sends. `ends` gives the datagrams that the far
/// end of a socket sends in turn.
fn at_pace<'s>(
    options: &BenchOptions,
    sockets: usize,
    ends: impl Fn(usize) -> io::Result<(&'s [Vec<u8>], Option<Coders>)>,
) -> io::Result<f64> {
    let (mut far, mut near) = (Vec::new(), Vec::new());
    for (index, (a, b)) in pairs(sockets)?.into_iter().enumerate() {
        a.set_nonblocking(true)?;
        let (said, coders) = ends(index)?;
        far.push((a, said.iter().cycle().skip(place(index, said.len()))));
        near.push((b, coders));
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let peers = scope.spawn(|| {
            pin(options.generator_cpu)?;
            pace(&mut far, u32::MAX, &stop, |(socket, said)| {
                let _ = said.next().map(|said| socket.send(said));
                while socket.recv(&mut [0; 2048]).is_ok() {}
            });
            io::Result::Ok(())
        });
        let measured = || {
            pin(options.shard_cpu)?;
            let (mut datagram, mut reply) = ([0; LONGEST], [0x80; LONGEST]);
            let mut answer = |(socket, coders): &mut (UdpSocket, Option<Coders>)| {
                let mut length = DATAGRAM.len();
                let came = socket.recv(&mut datagram);
                if let (Ok(came @ HEADER_LEN..), Some(coders)) = (came, coders) {
                    let payload = &datagram[HEADER_LEN..came];
                    length = HEADER_LEN + code(coders, payload, &mut reply[HEADER_LEN..]);
                }
                let _ = socket.send(&reply[..length]);
            };
            pace(&mut near, SETTLING_MS, &stop, &mut answer);
            let start = cpu_time();
            let turns = pace(&mut near, LIVE_MS, &stop, &mut answer);
            io::Result::Ok((cpu_time() - start).as_nanos() as f64 / turns.max(1) as f64)
        };
        let cost = scope.spawn(measured).join();
        stop.store(true, Ordering::Relaxed);
        let failed = |_| io::Error::other("a thread of the bench panicked");
        peers.join().map_err(failed)??;
        cost.map_err(failed)?
    })
}

/// Gives each end its turn in every 20 ms, spread over them, for so many ms or until it is to stop. Returns how many turns that were.
fn pace<E>(ends: &mut [E], most_ms: u32, stop: &AtomicBool, mut turn: impl FnMut(&mut E)) -> u64 {
    let start = Instant::now();
    let (count, mut turns) = (ends.len(), 0);
    for ms in 0..most_ms {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let slot = |part: u32| count * part as usize / 20;
        let whose = &mut ends[slot(ms % 20)..slot(ms % 20 + 1)];
        turns += whose.len() as u64;
        whose.iter_mut().for_each(&mut turn);
        let next = start + Duration::from_millis(u64::from(ms) + 1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    turns
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
    let measure = |streams: usize| {
        let states = (0..streams).map(|_| coders(encoding));
        let mut states = states.collect::<io::Result<Vec<_>>>()?;
        let rounds = FRAMES.max(LEAST_CODED / streams);
        let mut octets = [0; LONGEST];
        let start = cpu_time();
        for round in 0..rounds {
            for (stream, coders) in states.iter_mut().enumerate() {
                let payload = &coded[(place(stream, FRAMES) + round) % FRAMES];
                std::hint::black_box(code(coders, payload, &mut octets));
            }
        }
        let took = (cpu_time() - start).as_nanos() as f64;
        io::Result::Ok(took / (rounds * streams) as f64)
    };
    Ok([measure(1)?, measure(streams.max(1))?])
}

/// Where a stream begins with what is said: where all say the same at the same time a codec is cheaper, because the processor foresees every branch.
fn place(stream: usize, frames: usize) -> usize {
    stream * 23 % frames
}

/// Opus codes as it does what comes from a codec of 8 kHz.
fn coders(encoding: Encoding) -> io::Result<Coders> {
    let narrow = OpusSettings {
        narrow: true,
        ..OpusSettings::default()
    };
    let decoder = Decoder::new(encoding).map_err(io::Error::other)?;
    let encoder = Encoder::new(encoding, narrow).map_err(io::Error::other)?;
    Ok((decoder, encoder))
}

/// Decodes a payload and codes 20 ms again. Returns the octets it has written.
fn code((decoder, encoder): &mut Coders, payload: &[u8], out: &mut [u8]) -> usize {
    let mut samples = [0; LONGEST];
    let length = encoder.rate().samples_per_frame();
    // What does not decode is silence.
    let _ = decoder.decode(payload, &mut samples);
    encoder.encode(&samples[..length], out)
}
