//! Measures how many channels one core carries on this machine: prompt playback while listening for keys, beside the bare cost of the kernel.
//!
//! The figure is CPU time of the shard's thread per frame (one packet in, one out), so what else runs on the machine disturbs little. A
//! generator on another CPU sends and takes the packets; on loopback the cost of delivering to it is part of ours.

use std::fmt;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trunkline_dsp::dtmf::{Generator, Key};

use super::bridge::Carriage;
use super::codec::{Encoding, FRAME_SAMPLES};
use super::command::{Command, MediaAudio, StreamParams};
use super::handle::{BridgeError, Channel, Media, MediaConfig, MediaEvents};
use super::prompt::Prompt;
use super::shard::Shard;
use super::stats::Lateness;
use super::{KeySource, MediaEvent};
use crate::net::thread::{cpu_time, pin, raise_open_files};
use crate::rtp::packet::{self, HEADER_LEN, Header};
use crate::rtp::telephone_event::Payload;

/// Frames between the keys of a caller: 5 s.
const KEY_EVERY: u32 = 250;
/// Frames a key is down.
const KEY_FRAMES: u32 = 5;
const EVENTS: u8 = 101;
/// Sockets of the bare measurement.
const BARE_SOCKETS: usize = 200;

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Channels that are open at once.
    pub channels: usize,
    /// Length of each measurement, after two seconds of settling.
    pub seconds: u32,
    /// CPU of the shard.
    pub shard_cpu: usize,
    /// CPU of the generator.
    pub generator_cpu: usize,
    /// First RTP port.
    pub first_port: u16,
}

impl Default for BenchOptions {
    fn default() -> Self {
        BenchOptions {
            channels: 1000,
            seconds: 10,
            shard_cpu: 0,
            generator_cpu: 1,
            first_port: 20_000,
        }
    }
}

/// One kind of work.
#[derive(Debug, Clone)]
pub struct BenchLine {
    /// What the channels did.
    pub work: &'static str,
    /// Channels open.
    pub channels: usize,
    /// CPU time of the shard per frame in ns.
    pub ns_per_frame: f64,
    /// Lateness of the shard's 1 ms slots in µs: p50, p99, p99.99.
    pub lateness_us: [u64; 3],
    /// Packets the generator got, of those it should have got, in percent.
    pub delivered_percent: f64,
    /// Keys pressed and keys heard.
    pub keys: (u64, u64),
}

impl BenchLine {
    /// Channels that fill one core.
    pub fn channels_per_core(&self) -> u64 {
        (20_000_000.0 / self.ns_per_frame.max(1.0)) as u64
    }

    /// CPU time in µs that one channel needs in one second of audio.
    pub fn us_per_channel_second(&self) -> f64 {
        per_second(self.ns_per_frame)
    }
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct BenchReport {
    /// CPU time of one `send` on a connected socket and one `recv` that finds a packet, in ns.
    pub bare_ns: (f64, f64),
    /// Each kind of work.
    pub lines: Vec<BenchLine>,
}

impl fmt::Display for BenchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (send, receive) = self.bare_ns;
        let bare = send + receive;
        writeln!(
            f,
            "This machine's kernel alone: send {send:.0} ns, receive {receive:.0} ns, {:.0} µs per channel-second, so at most {:.0} channels per core",
            per_second(bare),
            20_000_000.0 / bare
        )?;
        for line in &self.lines {
            let [p50, p99, p9999] = line.lateness_us;
            writeln!(f, "{}, {} channels:", line.work, line.channels)?;
            writeln!(
                f,
                "  {:.0} ns per frame, {:.0} µs per channel-second ({:.2} times the kernel alone): {} channels per core",
                line.ns_per_frame,
                line.us_per_channel_second(),
                line.ns_per_frame / bare,
                line.channels_per_core()
            )?;
            let (pressed, heard) = line.keys;
            writeln!(
                f,
                "  ticks late by p50 {p50} µs, p99 {p99} µs, p99.99 {p9999} µs; {:.2} % of packets delivered; {heard} of {pressed} keys heard",
                line.delivered_percent
            )?;
        }
        Ok(())
    }
}

/// CPU time in µs per channel-second of a time in ns per frame.
fn per_second(ns_per_frame: f64) -> f64 {
    ns_per_frame * 50.0 / 1000.0
}

/// Measures playback with RFC 4733 listening, playback with in-band listening, echo, and the relay of bridged pairs of channels, packet
/// for packet and (with in-band keys muted) decoded.
///
/// # Errors
/// When ports, files or CPUs are lacking.
pub fn run_bench(options: &BenchOptions) -> io::Result<BenchReport> {
    raise_open_files(options.channels as u64 * 3 + 1024);
    let bare_ns = on_cpu(options.shard_cpu, bare)??;
    let work = [
        ("Prompt playback, RFC 4733 listening", Work::Events),
        ("Prompt playback, in-band listening", Work::InBand),
        ("Echo", Work::Echo),
        ("Relay between pairs, PCMU as it comes", Work::Relay),
        ("Bridge of pairs, decoded, in-band listening", Work::Decoded),
    ];
    let mut lines = Vec::new();
    for (name, work) in work {
        lines.push(measure(options, name, work)?);
    }
    Ok(BenchReport { bare_ns, lines })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Events,
    InBand,
    Echo,
    Relay,
    Decoded,
}

impl Work {
    /// Whether the callers press keys.
    fn has_keys(self) -> bool {
        matches!(self, Work::Events | Work::InBand)
    }
}

/// Runs something on a thread of its own that is pinned.
fn on_cpu<T: Send>(cpu: usize, job: impl FnOnce() -> T + Send) -> io::Result<T> {
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

/// The bare cost of send and receive on connected sockets, median of the rounds.
fn bare() -> io::Result<(f64, f64)> {
    let mut pairs = Vec::new();
    for _ in 0..BARE_SOCKETS {
        let (a, b) = (
            UdpSocket::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        );
        a.connect(b.local_addr()?)?;
        b.connect(a.local_addr()?)?;
        b.set_nonblocking(true)?;
        pairs.push((a, b));
    }
    let (mut sends, mut receives) = (Vec::new(), Vec::new());
    let datagram = [0x80; HEADER_LEN + FRAME_SAMPLES];
    for _ in 0..100 {
        let start = cpu_time();
        for (a, _) in &pairs {
            a.send(&datagram)?;
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(options: &BenchOptions, work: &'static str, kind: Work) -> io::Result<BenchLine> {
    let last_port = u32::from(options.first_port) + options.channels as u32 * 2 + 200;
    let config = MediaConfig {
        bind: std::net::Ipv4Addr::LOCALHOST.into(),
        ports: options.first_port..=u16::try_from(last_port).unwrap_or(u16::MAX),
        max_channels: options.channels,
        dscp: None,
        ..MediaConfig::default()
    };
    let (media, shard) = Media::assemble(config).map_err(io::Error::other)?;
    let prompt = Arc::new(Prompt::from_samples("bench", &voice(50 * FRAME_SAMPLES)));
    let calls: io::Result<Vec<Call>> = (0..options.channels)
        .map(|_| Call::new(&media, kind, &prompt))
        .collect();
    let mut calls = calls?;
    if matches!(kind, Work::Relay | Work::Decoded) {
        bridge_pairs(&media, &calls, kind).map_err(io::Error::other)?;
    }
    let (stop, settled) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let running = scope
            .spawn(|| on_cpu_here(options.shard_cpu, || drive(shard, &media, &settled, &stop)));
        let generating = scope.spawn(|| {
            on_cpu_here(options.generator_cpu, || {
                generate(&mut calls, kind, options.seconds, &settled)
            })
        });
        let generated = generating.join();
        stop.store(true, Ordering::Release);
        let failed = || io::Error::other("a thread of the bench panicked");
        let (cpu, wall, lateness) = running.join().map_err(|_| failed())??;
        let (received, pressed, heard) = generated.map_err(|_| failed())??;
        let frames = wall.as_secs_f64() * 50.0 * options.channels as f64;
        Ok(BenchLine {
            work,
            channels: options.channels,
            ns_per_frame: cpu.as_nanos() as f64 / frames,
            lateness_us: [0.5, 0.99, 0.9999].map(|q| lateness.quantile_us(q)),
            delivered_percent: received as f64
                / (f64::from(options.seconds) * 50.0 * options.channels as f64)
                * 100.0,
            keys: (pressed, heard),
        })
    })
}

/// Bridges the first channel with the second, the third with the fourth and so on.
fn bridge_pairs(media: &Media, calls: &[Call], kind: Work) -> Result<(), BridgeError> {
    let carriage = Carriage {
        events: true,
        mute_inband_keys: kind == Work::Decoded,
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

/// A caller and its channel.
struct Call {
    channel: Channel,
    events: MediaEvents,
    socket: UdpSocket,
    header: Header,
}

impl Call {
    fn new(media: &Media, kind: Work, prompt: &Arc<Prompt>) -> io::Result<Call> {
        let (channel, events) = media.open().map_err(io::Error::other)?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(("127.0.0.1", channel.rtp_port()))?;
        socket.set_nonblocking(true)?;
        let stream = StreamParams {
            telephone_event_send: Some(EVENTS),
            telephone_event_recv: Some(EVENTS),
            rtcp_mux: true,
            ..StreamParams::plain(Encoding::Pcmu, 0, socket.local_addr()?)
        };
        let mut commands = vec![Command::Stream(Box::new(stream))];
        match kind {
            Work::Echo => commands.push(Command::Echo(true)),
            Work::Relay => {}
            Work::Decoded => commands.push(Command::Detect { inband: true }),
            Work::Events | Work::InBand => {
                commands.push(Command::Play {
                    id: 1,
                    audio: vec![MediaAudio::Prompt(prompt.clone())],
                    repeat: None,
                });
                commands.push(Command::Detect {
                    inband: kind == Work::InBand,
                });
            }
        }
        commands
            .into_iter()
            .try_for_each(|command| channel.send(command))
            .map_err(io::Error::other)?;
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: 0,
            timestamp: 0,
            ssrc: u32::from(channel.rtp_port()),
        };
        Ok(Call {
            channel,
            events,
            socket,
            header,
        })
    }

    /// Sends one packet and takes what has come. Returns how many packets that were.
    fn frame(&mut self, frame: u32, audio: &[u8], event: Option<Payload>) -> u64 {
        let mut datagram = [0; HEADER_LEN + FRAME_SAMPLES];
        let header = match event {
            Some(event) => Header {
                payload_type: EVENTS,
                marker: event.duration <= FRAME_SAMPLES as u16,
                timestamp: (frame - frame % KEY_EVERY) * FRAME_SAMPLES as u32,
                ..self.header
            },
            None => Header {
                timestamp: frame * FRAME_SAMPLES as u32,
                ..self.header
            },
        };
        self.header.sequence = self.header.sequence.wrapping_add(1);
        let built = match event {
            Some(event) => packet::build(&header, &event.to_bytes(), &mut datagram),
            None => packet::build(&header, audio, &mut datagram),
        };
        // A packet the kernel refuses shows as a key not heard.
        let _ = self.socket.send(&datagram[..built.unwrap_or(0)]);
        let mut received = 0;
        while self
            .socket
            .recv(&mut [0; 512])
            .is_ok_and(|length| length > 100)
        {
            received += 1;
        }
        received
    }
}

/// Plays all callers in real time. Returns packets received, keys pressed and keys heard in the measured part.
fn generate(calls: &mut [Call], kind: Work, seconds: u32, settled: &AtomicBool) -> (u64, u64, u64) {
    let speech = encoded(&voice(KEY_EVERY as usize * FRAME_SAMPLES));
    let mut key = vec![0; KEY_FRAMES as usize * FRAME_SAMPLES];
    if let Some(five) = Key::from_char('5') {
        Generator::new(8000, five, -10.0, -10.0).fill(&mut key);
    }
    let key = encoded(&key);
    let (settling, total) = (100, 100 + seconds * 50);
    let (mut received, mut pressed, mut heard) = (0, 0, 0);
    let start = Instant::now();
    let count = calls.len();
    for ms in 0..total * 20 {
        let frame = ms / 20;
        if ms == settling * 20 {
            settled.store(true, Ordering::Release);
            (received, pressed, heard) = (0, 0, 0);
        }
        let slot = |part: u32| count * part as usize / 20;
        let (first, after) = (slot(ms % 20), slot(ms % 20 + 1));
        for (index, call) in calls[first..after].iter_mut().enumerate() {
            // Callers press at different times.
            let own = frame + ((first + index) as u32 * 23) % KEY_EVERY;
            let place = own % KEY_EVERY;
            let part = place as usize * FRAME_SAMPLES;
            let down = place < KEY_FRAMES && kind.has_keys();
            pressed += u64::from(down && place == 0);
            let event = (down && kind == Work::Events).then_some(Payload {
                code: 5,
                end: place + 1 == KEY_FRAMES,
                volume: 10,
                duration: ((place + 1) * FRAME_SAMPLES as u32) as u16,
            });
            let audio = if down { &key[..] } else { &speech[..] };
            received += call.frame(own, &audio[part..part + FRAME_SAMPLES], event);
            heard += keys_of(&mut call.events, kind);
        }
        let next = start + Duration::from_millis(u64::from(ms) + 1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    (received, pressed, heard)
}

/// Keys that began, of those that are looked for.
fn keys_of(events: &mut MediaEvents, kind: Work) -> u64 {
    let wanted = if kind == Work::InBand {
        KeySource::InBand
    } else {
        KeySource::Rfc4733
    };
    let mut keys = 0;
    while let Ok(event) = events.try_recv() {
        keys += u64::from(matches!(event, MediaEvent::KeyBegin { source, .. } if source == wanted));
    }
    keys
}

fn encoded(samples: &[i16]) -> Vec<u8> {
    let mut octets = vec![0; samples.len()];
    super::codec::Law::Mu.encode(samples, &mut octets);
    octets
}

/// Something as loud and busy as a voice: a buzz of 130 Hz with its harmonics in syllables, and noise.
fn voice(samples: usize) -> Vec<i16> {
    let mut noise = 1u32;
    let sample = |n: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let time = n as f32 / 8000.0;
        let syllable = (time * 4.0 * std::f32::consts::PI).sin().abs();
        let buzz: f32 = (1u8..12)
            .map(|h| (time * 130.0 * std::f32::consts::TAU * f32::from(h)).sin() / f32::from(h))
            .sum();
        (buzz * syllable * 4000.0) as i16 + ((noise >> 24) as i16 - 128)
    };
    (0..samples).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_bench_delivers_and_hears() {
        let options = BenchOptions {
            channels: 10,
            seconds: 1,
            shard_cpu: 0,
            generator_cpu: 0,
            first_port: 43_000,
        };
        let line = measure(&options, "playback", Work::Events).unwrap();
        assert!(
            line.ns_per_frame > 0.0 && line.delivered_percent > 50.0,
            "{line:?}"
        );
        assert!(line.keys.1 > 0, "{line:?}");
        let relay = measure(&options, "relay", Work::Relay).unwrap();
        assert!(relay.delivered_percent > 50.0, "{relay:?}");
        let report = BenchReport {
            bare_ns: (700.0, 300.0),
            lines: vec![line, relay],
        };
        assert!(report.to_string().contains("channels per core"));
    }
}
