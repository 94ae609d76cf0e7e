//! The voices' part of the metrics page: what speaks, and what understands.
use super::metrics::{counter, family, gauge};
use crate::speech::{Recogniser, Speaker};
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
    family_of(
        encoder,
        "trunkline_speech_failed",
        "Texts that a back end could not speak",
        &speaker.failures(),
    )?;
    gauge(
        encoder,
        "trunkline_speech_kept_bytes",
        "Spoken texts on disk, in octets",
        speaker.kept().0,
    )
}

pub(super) fn encode_recognition(
    encoder: &mut DescriptorEncoder,
    recogniser: &Recogniser,
) -> Result<(), Error> {
    let counters = recogniser.counters();
    let ends = [
        ("understood", counters.understood.load(Ordering::Relaxed)),
        ("wordless", counters.wordless.load(Ordering::Relaxed)),
        ("lost", counters.lost.load(Ordering::Relaxed)),
    ];
    family(
        encoder,
        "trunkline_recognition",
        "Pieces of speech, by what became of them",
        "end",
        &ends,
    )?;
    family_of(
        encoder,
        "trunkline_recognition_failed",
        "Pieces of speech that a back end could not understand",
        &recogniser.failures(),
    )
}

fn family_of(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    backends: &[(String, u64)],
) -> Result<(), Error> {
    let all = backends.iter();
    let all: Vec<_> = all.map(|(name, count)| (name.as_str(), *count)).collect();
    family(encoder, name, help, "backend", &all)
}
