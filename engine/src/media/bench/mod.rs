//! Measures how many channels one core carries on this machine: playback while listening for keys, relay, transcoding and rooms, beside the bare
//! cost of the kernel. `measure.rs` runs one kind of work, `caller.rs` is its far ends, `floor.rs` what the machine takes without us.
//!
//! The figure is CPU time of the shard's thread per frame (one packet in, one out), so what else runs on the machine disturbs little. A
//! generator on another CPU sends and takes the packets; on loopback the cost of delivering to it is part of ours.

mod caller;
mod floor;
mod measure;

use std::fmt;
use std::io;

use super::codec::Encoding;
use crate::net::thread::raise_open_files;

/// Channels that talk in the one large room; the others send silence.
const TALKERS: usize = 5;

/// Sockets of the bare measurement at the pace of audio, at most: a third of a core.
const MOST_LIVE: usize = 1000;

/// Part of a core beyond which a shard leaves frames out, and what must come back in percent: a line that does not is no measurement.
const FULL: f64 = 0.95;
const DELIVERED_PERCENT: f64 = 99.0;

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// Channels that are open at once; `None`: as many as keep half of a core busy, found out for each kind of work.
    pub channels: Option<usize>,
    /// Length of each measurement, after two seconds of settling, or ten where there is Opus.
    pub seconds: u32,
    /// CPU of the shard.
    pub shard_cpu: usize,
    /// CPU of the generator.
    pub generator_cpu: usize,
    /// First RTP port.
    pub first_port: u16,
    /// Only work whose name holds this.
    pub only: Option<String>,
}

impl Default for BenchOptions {
    fn default() -> Self {
        BenchOptions {
            channels: None,
            seconds: 10,
            shard_cpu: 0,
            generator_cpu: 1,
            first_port: 20_000,
            only: None,
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
    /// Part of its core that the shard had busy.
    pub busy: f64,
    /// CPU time of the shard per frame in ns.
    pub ns_per_frame: f64,
    /// Lateness of the shard's 1 ms slots in µs: p50, p99, p99.99.
    pub lateness_us: [u64; 3],
    /// Packets the generator got, of those it should have got, in percent.
    pub delivered_percent: f64,
    /// Keys pressed and keys heard.
    pub keys: (u64, u64),
    /// What the codecs take without us, where there is transcoding.
    pub codecs: Option<CodecCost>,
}

/// CPU time in ns that codecs take to decode a frame and code one.
#[derive(Debug, Clone, Copy)]
pub struct CodecCost {
    /// Of one stream, which caches hold.
    pub one_ns: f64,
    /// Of as many in turn as there are channels.
    pub all_ns: f64,
    /// Of as many at the pace of audio, with the kernel's part of receiving and sending: nobody who transcodes can take less.
    pub live_ns: f64,
    /// The kernel's part of that.
    pub kernel_live_ns: f64,
}

impl BenchLine {
    /// Channels that fill one core.
    pub fn channels_per_core(&self) -> u64 {
        (20_000_000.0 / self.ns_per_frame.max(1.0)) as u64
    }

    /// Whether the figures tell of anything: nothing was left out because the core was full.
    pub fn counts(&self) -> bool {
        self.busy < FULL && self.delivered_percent > DELIVERED_PERCENT
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
    /// The same together on one socket for each channel, which caches do not hold.
    pub bare_cold_ns: f64,
    /// How many those were.
    pub channels: usize,
    /// The same at the pace of audio with the far ends on another CPU, in ns, and on how many sockets.
    pub bare_live_ns: (f64, usize),
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
        writeln!(
            f,
            "The same with {} sockets: {:.0} ns, {:.0} µs per channel-second cold, so at most {:.0} channels per core",
            self.channels,
            self.bare_cold_ns,
            per_second(self.bare_cold_ns),
            20_000_000.0 / self.bare_cold_ns
        )?;
        let (live, sockets) = self.bare_live_ns;
        writeln!(
            f,
            "The same with {sockets} sockets at the pace of audio, far ends on another core: {live:.0} ns, {:.0} µs per channel-second live, so at most {:.0} channels per core",
            per_second(live),
            20_000_000.0 / live
        )?;
        for line in &self.lines {
            let [p50, p99, p9999] = line.lateness_us;
            let note = match line.counts() {
                true => "",
                false => " (too many for this machine: does not count)",
            };
            let (channels, busy) = (line.channels, line.busy * 100.0);
            writeln!(
                f,
                "{}, {channels} channels, {busy:.0} % of the core{note}:",
                line.work
            )?;
            writeln!(
                f,
                "  {:.0} ns per frame, {:.0} µs per channel-second ({:.2} times the kernel alone, {:.2} times cold, {:.2} times live): {} channels per core",
                line.ns_per_frame,
                line.us_per_channel_second(),
                line.ns_per_frame / bare,
                line.ns_per_frame / self.bare_cold_ns,
                line.ns_per_frame / live,
                line.channels_per_core()
            )?;
            if let Some(codecs) = line.codecs {
                let at_pace = codecs.live_ns - codecs.kernel_live_ns;
                let own = line.ns_per_frame - codecs.live_ns;
                writeln!(
                    f,
                    "  the codecs by themselves {:.0} µs per channel-second at the pace of audio ({:.0} µs in one go, {:.0} µs one stream), the kernel beside them {:.0} µs; our own {:.0} µs, {:.1} % of the codecs' cost",
                    per_second(at_pace),
                    per_second(codecs.all_ns),
                    per_second(codecs.one_ns),
                    per_second(codecs.kernel_live_ns),
                    per_second(own),
                    own / at_pace.max(1.0) * 100.0
                )?;
            }
            write!(
                f,
                "  ticks late by p50 {p50} µs, p99 {p99} µs, p99.99 {p9999} µs; {:.2} % of packets delivered",
                line.delivered_percent
            )?;
            match line.keys {
                (0, _) => writeln!(f)?,
                (pressed, heard) => writeln!(f, "; {heard} of {pressed} keys heard")?,
            }
        }
        Ok(())
    }
}

/// CPU time in µs per channel-second of a time in ns per frame.
fn per_second(ns_per_frame: f64) -> f64 {
    ns_per_frame * 50.0 / 1000.0
}

/// Measures playback with RFC 4733 listening, playback with in-band listening, echo, the relay of bridged pairs of channels packet for packet,
/// decoded with in-band keys muted, and transcoded, and rooms.
///
/// # Errors
/// When ports, files or CPUs are lacking.
pub fn run_bench(options: &BenchOptions) -> io::Result<BenchReport> {
    let channels = options.channels.unwrap_or(measure::MOST_CHANNELS);
    raise_open_files(channels as u64 * 3 + 1024);
    let bare_ns = measure::on_cpu(options.shard_cpu, floor::bare)??;
    let all = || floor::bare_of_all(channels);
    let bare_cold_ns = measure::on_cpu(options.shard_cpu, all)??;
    let sockets = channels.min(MOST_LIVE);
    let bare_live_ns = (floor::live(options, sockets)?, sockets);
    let mut lines = Vec::new();
    for (name, work) in WORK {
        if options
            .only
            .as_ref()
            .is_none_or(|only| name.to_lowercase().contains(&only.to_lowercase()))
        {
            lines.push(measure::measure(options, name, work)?);
        }
    }
    Ok(BenchReport {
        bare_ns,
        bare_cold_ns,
        channels,
        bare_live_ns,
        lines,
    })
}

/// Every kind of work by its name.
const WORK: [(&str, Work); 9] = [
    ("Prompt playback, RFC 4733 listening", Work::Events),
    ("Prompt playback, in-band listening", Work::InBand),
    ("Echo", Work::Echo),
    ("Relay between pairs, PCMU as it comes", Work::Relay),
    ("Bridge of pairs, decoded, in-band listening", Work::Decoded),
    (
        "Transcoding between pairs, Opus and PCMU",
        Work::Transcode(Encoding::Opus),
    ),
    (
        "Transcoding between pairs, G.722 and PCMU",
        Work::Transcode(Encoding::G722),
    ),
    ("One room, five talk", Work::Room(Size::All)),
    ("Rooms of three, all talk", Work::Room(Size::Three)),
];

/// What the channels do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Events,
    InBand,
    Echo,
    Relay,
    Decoded,
    /// The first of each pair is PCMU, the second this.
    Transcode(Encoding),
    Room(Size),
}

/// Members of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    All,
    Three,
}

impl Work {
    /// Whether the callers press keys.
    fn has_keys(self) -> bool {
        matches!(self, Work::Events | Work::InBand)
    }

    /// The codec of the channel with this number.
    fn encoding(self, channel: usize) -> Encoding {
        match self {
            Work::Transcode(other) if channel % 2 == 1 => other,
            _ => Encoding::Pcmu,
        }
    }

    /// Frames before the measured ones. Opus passes from one band to another within 8 s of speech without pauses.
    fn settling_frames(self) -> u32 {
        match self {
            Work::Transcode(Encoding::Opus) => 500,
            _ => 100,
        }
    }

    /// Whether the caller with this number talks.
    fn talks(self, channel: usize) -> bool {
        self != Work::Room(Size::All) || channel < TALKERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_bench_delivers_and_hears() {
        let options = BenchOptions {
            channels: Some(10),
            seconds: 1,
            shard_cpu: 0,
            generator_cpu: 0,
            first_port: 43_000,
            only: None,
        };
        let line = measure::measure(&options, "playback", Work::Events).unwrap();
        assert!(
            line.ns_per_frame > 0.0 && line.delivered_percent > 50.0,
            "{line:?}"
        );
        assert!(line.keys.1 > 0, "{line:?}");
        let mut lines = vec![line];
        for work in [
            Work::Relay,
            Work::Room(Size::All),
            Work::Room(Size::Three),
            Work::Transcode(Encoding::L16Wide),
        ] {
            let line = measure::measure(&options, "mixed", work).unwrap();
            assert!(line.delivered_percent > 50.0, "{work:?}: {line:?}");
            assert_eq!(line.codecs.is_some(), matches!(work, Work::Transcode(_)));
            lines.push(line);
        }
        let report = BenchReport {
            bare_ns: (700.0, 300.0),
            bare_cold_ns: 1500.0,
            channels: 10,
            bare_live_ns: (2000.0, 10),
            lines,
        };
        let told = report.to_string();
        assert!(told.contains("channels per core") && told.contains("% of the codecs' cost"));
        let of = |busy, delivered_percent| BenchReport {
            bare_ns: report.bare_ns,
            bare_cold_ns: report.bare_cold_ns,
            channels: report.channels,
            bare_live_ns: report.bare_live_ns,
            lines: vec![BenchLine {
                busy,
                delivered_percent,
                ..report.lines[0].clone()
            }],
        };
        let refused = |report: BenchReport| report.to_string().contains("does not count");
        let told = [of(0.5, 100.0), of(0.96, 100.0), of(0.5, 90.0)].map(refused);
        assert_eq!(told, [false, true, true]);
    }
}
