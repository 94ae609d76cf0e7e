//! Spare playouts and Opus decoders, for channels that somebody begins to listen to: made by threads of their own, so that a shard that
//! needs one neither allocates nor waits. What a channel does not need any more goes to the reaper and not back here.
//!
//! Limits: [`HEARINGS`] and [`OPUS_DECODERS`] for all shards together. A channel that finds none asks again at its next frame or packet.

use crossbeam_channel::{Receiver, Sender};

use super::codec::{Decoder, Encoding};
use super::hearing::Hearing;

/// Spare playouts; each makes one within microseconds, so this is what may begin in one turn of a shard.
const HEARINGS: usize = 32;
/// Spare Opus decoders.
const OPUS_DECODERS: usize = 16;

/// What the shards take from.
#[derive(Debug, Clone)]
pub(crate) struct Stock {
    hearings: Receiver<Box<Hearing>>,
    opus: Receiver<Decoder>,
}

/// What fills it up again.
#[derive(Debug)]
pub(crate) struct Refill {
    hearings: Sender<Box<Hearing>>,
    opus: Sender<Decoder>,
}

impl Stock {
    /// A full one.
    pub(crate) fn new() -> (Stock, Refill) {
        let (hearings, hearings_taken) = crossbeam_channel::bounded(HEARINGS);
        let (opus, opus_taken) = crossbeam_channel::bounded(OPUS_DECODERS);
        while hearings.try_send(Box::default()).is_ok() {}
        while opus_decoder().is_some_and(|decoder| opus.try_send(decoder).is_ok()) {}
        let stock = Stock {
            hearings: hearings_taken,
            opus: opus_taken,
        };
        (stock, Refill { hearings, opus })
    }

    /// A playout for a stream.
    pub(crate) fn hearing(&self, encoding: Encoding) -> Option<Box<Hearing>> {
        let mut hearing = self.hearings.try_recv().ok()?;
        hearing.tune(self, encoding);
        Some(hearing)
    }

    /// A decoder of Opus.
    pub(crate) fn opus(&self) -> Option<Decoder> {
        self.opus.try_recv().ok()
    }
}

impl Refill {
    /// The work of two threads; they end when no shard is left.
    pub(crate) fn into_work(self) -> [(&'static str, Box<dyn FnOnce() + Send>); 2] {
        let Refill { hearings, opus } = self;
        [
            (
                "media-playouts",
                Box::new(move || keep_full(&hearings, || Some(Box::default()))),
            ),
            (
                "media-decoders",
                Box::new(move || keep_full(&opus, opus_decoder)),
            ),
        ]
    }
}

fn keep_full<T>(stock: &Sender<T>, make: impl Fn() -> Option<T>) {
    while make().is_some_and(|spare| stock.send(spare).is_ok()) {}
}

fn opus_decoder() -> Option<Decoder> {
    Decoder::new(Encoding::Opus)
        .inspect_err(|error| tracing::error!(%error, "no Opus decoder: Opus will not be heard"))
        .ok()
}
