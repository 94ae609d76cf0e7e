//! The voices' part of the metrics page.
use super::metrics::{counter, family, gauge};
use crate::speech::Speaker;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt::Error;
use std::sync::atomic::Ordering;

pub(super) fn encode(encoder: &mut DescriptorEncoder, speaker: &Speaker) -> Result<(), Error> {
    let counters = speaker.counters();
    let from = [
        ("memory", counters.memory.load(Ordering::Relaxed)),
        ("disk", counters.disk.load(Ordering::Relaxed)),
        ("made", counters.made.load(Ordering::Relaxed)),
    ];
    family(
        encoder,
        "trunkline_speech",
        "Pieces of text that were spoken, by where the audio came from",
        "from",
        &from,
    )?;
    counter(
        encoder,
        "trunkline_speech_unspoken",
        "Pieces of text that nobody could speak",
        counters.unspoken.load(Ordering::Relaxed),
    )?;
    let failures: Vec<(&str, u64)> = speaker.failures().collect();
    family(
        encoder,
        "trunkline_speech_failed",
        "Texts that a back end could not speak",
        "backend",
        &failures,
    )?;
    gauge(
        encoder,
        "trunkline_speech_kept_bytes",
        "Spoken texts on disk, in octets",
        speaker.kept().0,
    )
}
