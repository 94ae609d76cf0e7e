//! Runs one kind of work on a shard of its own and takes its CPU time.
//!
//! Unless it is told how many channels to open, a pilot of a few finds out how many are half a core's work: more would be late and leave
//! frames out, fewer would find everything in the cache.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::super::bridge::Carriage;
use super::super::codec::Encoding;
use super::super::handle::{BridgeError, Media, MediaConfig};
use super::super::room::{Edge, Room, RoomConfig, RoomEvents};
use super::super::shard::Shard;
use super::super::stats::Lateness;
use super::caller::{Call, Sound, generate};
use super::{BenchLine, BenchOptions, CodecCost, Size, Work, floor};
use crate::net::thread::{cpu_time, pin};

/// Channels after whose orders the shard has a turn.
const ORDERS: usize = 16;
/// Ports beyond those of the channels, where other programs hold some.
const SPARE_PORTS: u32 = 200;
/// Channels at most: the generator has a core, too.
pub(super) const MOST_CHANNELS: usize = 4000;

/// Channels and seconds of the pilot.
const PILOT: (usize, u32) = (60, 1);
/// Part of a core that is to be busy.
const PART: f64 = 0.5;
/// Channels are opened in whole rooms of three and whole pairs.
const SET: usize = 6;

pub(super) fn measure(
    options: &BenchOptions,
    name: &'static str,
    work: Work,
) -> io::Result<BenchLine> {
    if let Some(channels) = options.channels {
        return run(options, name, work, channels, options.seconds);
    }
    let (mut channels, seconds) = PILOT;
    // A second one, because with few channels waking up is much of what each costs.
    for _ in 0..2 {
        let pilot = run(options, name, work, channels, seconds)?;
        channels = half_a_core(options, pilot.ns_per_frame);
    }
    run(options, name, work, channels, options.seconds)
}

/// Channels that make up half of a core by what one frame takes, as far as there are ports.
fn half_a_core(options: &BenchOptions, ns_per_frame: f64) -> usize {
    let ports = usize::from(u16::MAX - options.first_port).saturating_sub(SPARE_PORTS as usize);
    let wanted = (PART * 20_000_000.0 / ns_per_frame.max(1.0)) as usize;
    (wanted.min(ports / 2).min(MOST_CHANNELS) / SET * SET).max(SET)
}

/// Has so many channels do it for so long.
fn run(
    options: &BenchOptions,
    name: &'static str,
    work: Work,
    channels: usize,
    seconds: u32,
) -> io::Result<BenchLine> {
    let last_port = u32::from(options.first_port) + channels as u32 * 2 + SPARE_PORTS;
    let config = MediaConfig {
        bind: std::net::Ipv4Addr::LOCALHOST.into(),
        ports: options.first_port..=u16::try_from(last_port).unwrap_or(u16::MAX),
        max_channels: channels,
        dscp: None,
        ..MediaConfig::default()
    };
    let (media, mut shard) = Media::assemble(config).map_err(io::Error::other)?;
    let (mut calls, rooms) = connect(channels, &media, &mut shard, work)?;
    let (stop, settled) = (AtomicBool::new(false), AtomicBool::new(false));
    let line = thread::scope(|scope| {
        let running = scope
            .spawn(|| on_cpu_here(options.shard_cpu, || drive(shard, &media, &settled, &stop)));
        let generating = scope.spawn(|| {
            on_cpu_here(options.generator_cpu, || {
                generate(&mut calls, work, seconds, &settled)
            })
        });
        let generated = generating.join();
        stop.store(true, Ordering::Release);
        let failed = || io::Error::other("a thread of the bench panicked");
        let (cpu, wall, lateness) = running.join().map_err(|_| failed())??;
        let (received, pressed, heard) = generated.map_err(|_| failed())??;
        let frames = wall.as_secs_f64() * 50.0 * channels as f64;
        Ok(BenchLine {
            work: name,
            channels,
            busy: cpu.as_secs_f64() / wall.as_secs_f64().max(1e-9),
            ns_per_frame: cpu.as_nanos() as f64 / frames,
            lateness_us: [0.5, 0.99, 0.9999].map(|q| lateness.quantile_us(q)),
            delivered_percent: received as f64 / (f64::from(seconds) * 50.0 * channels as f64)
                * 100.0,
            keys: (pressed, heard),
            codecs: codec_cost(options, work, channels)?,
        })
    });
    drop(rooms);
    line
}

/// Opens the channels and joins them. The shard takes the orders of a few at a time, as its queue holds.
fn connect(
    channels: usize,
    media: &Media,
    shard: &mut Shard,
    work: Work,
) -> io::Result<(Vec<Call>, Vec<(Room, RoomEvents)>)> {
    let encodings: Vec<Encoding> = (0..2).map(|channel| work.encoding(channel)).collect();
    let sound = Sound::new(&encodings)?;
    let (mut calls, mut rooms) = (Vec::new(), Vec::new());
    for channel in 0..channels {
        calls.push(Call::new(
            media,
            work,
            work.encoding(channel),
            work.talks(channel),
            &sound,
        )?);
        if let Work::Room(size) = work {
            if channel == 0 || (size == Size::Three && channel % 3 == 0) {
                rooms.push(open_room(channels, media)?);
            }
            if let (Some((room, _)), Some(call)) = (rooms.last(), calls.last()) {
                room.join(&call.channel, Edge::default())
                    .map_err(io::Error::other)?;
            }
        }
        if channel % ORDERS == ORDERS - 1 {
            shard.pass();
        }
    }
    if matches!(work, Work::Relay | Work::Decoded | Work::Transcode(_)) {
        bridge_pairs(media, &calls, work).map_err(io::Error::other)?;
    }
    Ok((calls, rooms))
}

fn open_room(channels: usize, media: &Media) -> io::Result<(Room, RoomEvents)> {
    let config = RoomConfig {
        max_members: channels,
        ..RoomConfig::default()
    };
    media.room(config).map_err(io::Error::other)
}

/// What the codecs of a transcoded pair take for each of its two channels.
fn codec_cost(
    options: &BenchOptions,
    work: Work,
    channels: usize,
) -> io::Result<Option<CodecCost>> {
    let Work::Transcode(other) = work else {
        return Ok(None);
    };
    let both = || -> io::Result<[f64; 2]> {
        let (one, two) = (
            floor::codec(Encoding::Pcmu, channels / 2)?,
            floor::codec(other, channels / 2)?,
        );
        Ok([0, 1].map(|of| (one[of] + two[of]) / 2.0))
    };
    let [one_ns, all_ns] = on_cpu(options.shard_cpu, both)??;
    Ok(Some(CodecCost {
        one_ns,
        all_ns,
        live_ns: floor::live_with_codecs(options, other, channels)?,
        kernel_live_ns: floor::live(options, channels)?,
    }))
}

/// Bridges the first channel with the second, the third with the fourth and so on.
fn bridge_pairs(media: &Media, calls: &[Call], work: Work) -> Result<(), BridgeError> {
    let carriage = Carriage {
        events: true,
        mute_inband_keys: work == Work::Decoded,
        muted: false,
    };
    calls
        .chunks_exact(2)
        .try_for_each(|pair| media.bridge(&pair[0].channel, &pair[1].channel, carriage, carriage))
}

fn on_cpu_here<T>(cpu: usize, job: impl FnOnce() -> T) -> io::Result<T> {
    pin(cpu)?;
    Ok(job())
}

/// Runs the shard; returns CPU time, wall time and lateness of the measured part.
fn drive(
    mut shard: Shard,
    media: &Media,
    settled: &AtomicBool,
    stop: &AtomicBool,
) -> (Duration, Duration, Lateness) {
    while !settled.load(Ordering::Acquire) && !stop.load(Ordering::Acquire) {
        shard.pass();
    }
    let before = media.stats().lateness;
    let (start, cpu) = (Instant::now(), cpu_time());
    while !stop.load(Ordering::Acquire) {
        shard.pass();
    }
    let lateness = media.stats().lateness.since(&before);
    (cpu_time() - cpu, start.elapsed(), lateness)
}

/// Runs something on a thread of its own that is pinned.
pub(super) fn on_cpu<T: Send>(cpu: usize, job: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(cpu)?;
            Ok(job())
        });
        thread
            .join()
            .map_err(|_| io::Error::other("a thread of the bench panicked"))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_given_what_half_a_core_can_do() {
        let options = BenchOptions::default();
        let channels = |ns| half_a_core(&options, ns);
        assert_eq!([20_000.0, 200_000.0, 1e9].map(channels), [498, 48, 6]);
        assert_eq!([500.0, 0.0].map(channels), [MOST_CHANNELS / SET * SET; 2]);
        let near_the_end = BenchOptions {
            first_port: 65_000,
            ..options
        };
        assert_eq!(half_a_core(&near_the_end, 10_000.0), 162);
    }
}
