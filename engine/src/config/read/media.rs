//! Reads `[media]` and `[music]`.
use super::value::{address, count, flag, list_of, not_empty, own_address, seconds};
use super::{Field, Table};
use crate::config::types::*;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use trunkline_dsp::dtmf::Profile;

pub(super) fn media(mut table: Table<'_>) -> Media {
    let threads = table.field("threads").and_then(|f| f.integer(1..=64));
    let threads = threads.unwrap_or(1) as usize;
    let rtp_timeout = seconds(&mut table, "rtp_timeout_s", 0, 60);
    let media = Media {
        bind: table
            .field("bind")
            .and_then(|f| address(&f))
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        advertise: table.field("advertise").and_then(|f| own_address(&f)),
        ports: table
            .field("ports")
            .and_then(|f| ports(&f))
            .unwrap_or(PortRange {
                first: 16_384,
                last: 32_767,
            }),
        threads,
        pin: table
            .field("pin")
            .and_then(|f| pin(&f, threads))
            .unwrap_or_default(),
        realtime: table
            .field("realtime")
            .and_then(|f| f.integer(1..=99))
            .map(|priority| priority as u8),
        late_limit_ms: count(&mut table, "late_limit_ms", 0..=10_000, 10) as u32,
        busy_limit: count(&mut table, "busy_limit", 20..=100, 80) as u32,
        lock_memory: flag(&mut table, "lock_memory", false),
        rtp_timeout: (!rtp_timeout.is_zero()).then_some(rtp_timeout),
        codecs: table
            .field("codecs")
            .and_then(|f| codecs(&f))
            .unwrap_or_else(|| vec![Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus]),
        opus: Opus {
            complexity: table
                .field("opus_complexity")
                .and_then(|f| f.integer(0..=10))
                .map_or(Opus::default().complexity, |complexity| complexity as u8),
            bitrate_bps: table
                .field("opus_bitrate")
                .and_then(|f| f.integer(6_000..=128_000))
                .map_or(Opus::default().bitrate_bps, |bitrate| bitrate as u32),
        },
        dtmf: table
            .field("dtmf")
            .and_then(|f| f.choice(&DTMF_MODES))
            .unwrap_or(DtmfMode::Auto),
        srtp: own_srtp(&mut table, SrtpPolicy::Never),
        recordings_dir: PathBuf::from(
            table
                .field("recordings_dir")
                .and_then(|f| not_empty(&f))
                .unwrap_or("recordings"),
        ),
    };
    table.finish();
    media
}

/// Reads `[music]`.
pub(super) fn music(mut table: Table<'_>, base: &Path) -> Music {
    let on_hold = match table.field("on_hold").and_then(|f| not_empty(&f)) {
        None | Some("builtin") => HoldMusic::Builtin,
        Some(file) => HoldMusic::File(base.join(file)),
    };
    table.finish();
    Music { on_hold }
}

/// The codecs of a table that may have its own; else those given.
pub(super) fn own_codecs(table: &mut Table<'_>, default: &[Codec]) -> Vec<Codec> {
    table
        .field("codecs")
        .and_then(|f| codecs(&f))
        .unwrap_or_else(|| default.to_vec())
}

/// The DTMF mode of a table that may have its own; else the one given.
pub(super) fn own_dtmf(table: &mut Table<'_>, default: DtmfMode) -> DtmfMode {
    let own = table.field("dtmf").and_then(|f| f.choice(&DTMF_MODES));
    own.unwrap_or(default)
}

/// The DTMF profile of a table that may have its own.
pub(super) fn own_dtmf_profile(table: &mut Table<'_>) -> Option<&'static Profile> {
    let field = table.field("dtmf_profile");
    field.and_then(|f| f.choice(&Profile::named()))
}

/// The SRTP policy of a table that may have its own; else the one given.
pub(super) fn own_srtp(table: &mut Table<'_>, default: SrtpPolicy) -> SrtpPolicy {
    let policies = [
        ("never", SrtpPolicy::Never),
        ("optional", SrtpPolicy::Optional),
        ("required", SrtpPolicy::Required),
    ];
    let own = table.field("srtp").and_then(|f| f.choice(&policies));
    own.unwrap_or(default)
}

const CODECS: [(&str, Codec); 6] = [
    ("pcmu", Codec::Pcmu),
    ("pcma", Codec::Pcma),
    ("g722", Codec::G722),
    ("opus", Codec::Opus),
    ("l16", Codec::L16),
    ("l16-16k", Codec::L16Wide),
];

const DTMF_MODES: [(&str, DtmfMode); 5] = [
    ("auto", DtmfMode::Auto),
    ("rfc4733", DtmfMode::Rfc4733),
    ("inband", DtmfMode::InBand),
    ("info", DtmfMode::Info),
    ("off", DtmfMode::Off),
];

fn pin(field: &Field<'_>, threads: usize) -> Option<Vec<usize>> {
    let cpus = list_of(field, |item| item.integer(0..=1023));
    if cpus.len() != threads {
        return field.expected("as many CPUs as [media] threads, each once");
    }
    Some(cpus.into_iter().map(|cpu| cpu as usize).collect())
}

fn ports(field: &Field<'_>) -> Option<PortRange> {
    let parse = |text: &str| {
        let (first, last) = text.split_once('-')?;
        Some((
            first.trim().parse::<u16>().ok()?,
            last.trim().parse::<u16>().ok()?,
        ))
    };
    let Some((first, last)) = parse(field.string()?) else {
        return field.expected("a range of ports such as \"16384-32767\", each from 1024 to 65535");
    };
    if first < 1024 {
        return field.expected("a range of ports from 1024 to 65535");
    }
    if first % 2 == 1 {
        return field.expected(
            "a range that begins with an even port (RTP is even, RTCP the odd one above)",
        );
    }
    if last <= first {
        return field.expected("a range of at least two ports, the lower one first");
    }
    Some(PortRange { first, last })
}

fn codecs(field: &Field<'_>) -> Option<Vec<Codec>> {
    let mut codecs = Vec::new();
    let items = field.list()?;
    for item in &items {
        let Some(codec) = item.choice(&CODECS) else {
            continue;
        };
        if codecs.contains(&codec) {
            item.error("is given twice");
        }
        codecs.push(codec);
    }
    if items.is_empty() {
        return field.expected("a list of at least one codec: \"pcmu\", \"pcma\", \"g722\", \"opus\", \"l16\", \"l16-16k\"");
    }
    Some(codecs)
}
