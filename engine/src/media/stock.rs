//! Spare playouts, room for their bursts, and what codes Opus, for channels that somebody begins to listen to or that begin to say something: made by threads of their
//! own, so that a shard that needs one neither allocates nor waits. What a channel does not need any more goes to the reaper and not back here.
//!
//! Limits: [`HEARINGS`], [`BURST_ROOMS`], [`FAR_ROOMS`] and [`OPUS_CODERS`] of each kind for all shards together. A channel that finds none asks again at its next frame
//! or packet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::codec::opus::{OpusEncoder, OpusSettings};
use super::codec::{Decoder, Encoding};
use super::hearing::Hearing;
use super::playout::{FarRoom, FarSize};

/// Spare playouts; each makes one within microseconds, so this is what may begin in one turn of a shard.
const HEARINGS: usize = 32;
/// Spare room for bursts: a line that stands stands for many channels at once.
const BURST_ROOMS: usize = 256;
/// Spare room for long holes and wide audio, too.
const FAR_ROOMS: usize = 64;
/// Spare Opus decoders, and spare encoders.
const OPUS_CODERS: usize = 16;

/// How often something was taken.
#[derive(Debug, Default)]
struct Asked {
    taken: AtomicU64,
    empty: AtomicU64,
}

impl Asked {
    fn take<T>(&self, from: &Receiver<T>) -> Option<T> {
        let taken = from.try_recv().ok();
        let counter = if taken.is_some() {
            &self.taken
        } else {
            &self.empty
        };
        counter.fetch_add(1, Ordering::Relaxed);
        taken
    }
}

/// How often something was taken, and how often nothing was there. A channel that finds it so asks again, and is counted again.
#[derive(Debug, Default)]
pub struct StockCounts {
    playouts: Asked,
    burst_rooms: Asked,
    far_rooms: Asked,
    opus_decoders: Asked,
    opus_encoders: Asked,
}

impl StockCounts {
    /// What was taken, by kind.
    pub fn taken(&self) -> [(&'static str, u64); 5] {
        self.by_kind(|asked| &asked.taken)
    }

    /// What was wanted and not there, by kind.
    pub fn empty(&self) -> [(&'static str, u64); 5] {
        self.by_kind(|asked| &asked.empty)
    }

    fn by_kind(&self, counter: impl Fn(&Asked) -> &AtomicU64) -> [(&'static str, u64); 5] {
        [
            ("playout", &self.playouts),
            ("playout_burst", &self.burst_rooms),
            ("playout_room", &self.far_rooms),
            ("opus_decoder", &self.opus_decoders),
            ("opus_encoder", &self.opus_encoders),
        ]
        .map(|(kind, asked)| (kind, counter(asked).load(Ordering::Relaxed)))
    }
}

/// What the shards take from.
#[derive(Debug, Clone)]
pub(crate) struct Stock {
    counts: Arc<StockCounts>,
    hearings: Receiver<Box<Hearing>>,
    burst_rooms: Receiver<Box<FarRoom>>,
    far_rooms: Receiver<Box<FarRoom>>,
    opus: Receiver<Box<Decoder>>,
    opus_encoders: Receiver<Box<OpusEncoder>>,
}

/// What fills it up again.
#[derive(Debug)]
pub(crate) struct Refill {
    hearings: Sender<Box<Hearing>>,
    burst_rooms: Sender<Box<FarRoom>>,
    far_rooms: Sender<Box<FarRoom>>,
    opus: Sender<Box<Decoder>>,
    opus_encoders: Sender<Box<OpusEncoder>>,
}

impl Stock {
    /// A full one.
    pub(crate) fn new() -> (Stock, Refill) {
        let (hearings, hearings_taken) = crossbeam_channel::bounded(HEARINGS);
        let (burst_rooms, bursts_taken) = crossbeam_channel::bounded(BURST_ROOMS);
        let (far_rooms, rooms_taken) = crossbeam_channel::bounded(FAR_ROOMS);
        let (opus, opus_taken) = crossbeam_channel::bounded(OPUS_CODERS);
        let (opus_encoders, encoders_taken) = crossbeam_channel::bounded(OPUS_CODERS);
        while hearings.try_send(Box::default()).is_ok() {}
        while burst_rooms.try_send(far_room(FarSize::Burst)).is_ok() {}
        while far_rooms.try_send(far_room(FarSize::Whole)).is_ok() {}
        while opus_decoder().is_some_and(|decoder| opus.try_send(decoder).is_ok()) {}
        while opus_encoder().is_some_and(|encoder| opus_encoders.try_send(encoder).is_ok()) {}
        let stock = Stock {
            counts: Arc::default(),
            hearings: hearings_taken,
            burst_rooms: bursts_taken,
            far_rooms: rooms_taken,
            opus: opus_taken,
            opus_encoders: encoders_taken,
        };
        let refill = Refill {
            hearings,
            burst_rooms,
            far_rooms,
            opus,
            opus_encoders,
        };
        (stock, refill)
    }

    /// A playout for a stream.
    pub(crate) fn hearing(&self, encoding: Encoding) -> Option<Box<Hearing>> {
        let mut hearing = self.counts.playouts.take(&self.hearings)?;
        hearing.tune(self, encoding);
        Some(hearing)
    }

    /// Room for what a playout has no room for.
    pub(crate) fn far_room(&self, size: FarSize) -> Option<Box<FarRoom>> {
        match size {
            FarSize::Burst => self.counts.burst_rooms.take(&self.burst_rooms),
            FarSize::Whole => self.counts.far_rooms.take(&self.far_rooms),
        }
    }

    /// A decoder of Opus.
    pub(crate) fn opus(&self) -> Option<Box<Decoder>> {
        self.counts.opus_decoders.take(&self.opus)
    }

    pub(crate) fn counts(&self) -> Arc<StockCounts> {
        self.counts.clone()
    }

    /// An encoder of Opus.
    pub(crate) fn opus_encoder(&self, settings: OpusSettings) -> Option<Box<OpusEncoder>> {
        let mut encoder = self.counts.opus_encoders.take(&self.opus_encoders)?;
        // Settings in their ranges are never refused.
        let _ = encoder.apply(settings);
        Some(encoder)
    }
}

impl Refill {
    /// The work of five threads; they end when no shard is left.
    pub(crate) fn into_work(self) -> [(&'static str, Box<dyn FnOnce() + Send>); 5] {
        let Refill {
            hearings,
            burst_rooms,
            far_rooms,
            opus,
            opus_encoders,
        } = self;
        [
            (
                "media-playouts",
                Box::new(move || keep_full(&hearings, || Some(Box::default()))),
            ),
            (
                "media-bursts",
                Box::new(move || keep_full(&burst_rooms, || Some(far_room(FarSize::Burst)))),
            ),
            (
                "media-rooms",
                Box::new(move || keep_full(&far_rooms, || Some(far_room(FarSize::Whole)))),
            ),
            (
                "media-decoders",
                Box::new(move || keep_full(&opus, opus_decoder)),
            ),
            (
                "media-encoders",
                Box::new(move || keep_full(&opus_encoders, opus_encoder)),
            ),
        ]
    }
}

fn keep_full<T>(stock: &Sender<T>, make: impl Fn() -> Option<T>) {
    while make().is_some_and(|spare| stock.send(spare).is_ok()) {}
}

fn far_room(size: FarSize) -> Box<FarRoom> {
    Box::new(FarRoom::new(size))
}

fn opus_decoder() -> Option<Box<Decoder>> {
    Decoder::new(Encoding::Opus)
        .inspect_err(|error| tracing::error!(%error, "no Opus decoder: Opus will not be heard"))
        .ok()
        .map(Box::new)
}

fn opus_encoder() -> Option<Box<OpusEncoder>> {
    OpusEncoder::new(OpusSettings::default())
        .inspect_err(|error| tracing::error!(%error, "no Opus encoder: Opus will not be said"))
        .ok()
        .map(Box::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_stock_is_counted_each_time_it_is_asked() {
        let (stock, refill) = Stock::new();
        let taken = (0..HEARINGS + 2).map(|_| stock.hearing(Encoding::Pcmu));
        assert_eq!(taken.flatten().count(), HEARINGS);
        let bursts = (0..BURST_ROOMS + 5).map(|_| stock.far_room(FarSize::Burst));
        assert_eq!(bursts.flatten().count(), BURST_ROOMS);
        let rooms = (0..FAR_ROOMS + 1).map(|_| stock.far_room(FarSize::Whole));
        assert_eq!(rooms.flatten().count(), FAR_ROOMS);
        let decoders = (0..OPUS_CODERS + 3).map(|_| stock.opus());
        assert_eq!(decoders.flatten().count(), OPUS_CODERS);
        let settings = OpusSettings::default();
        let encoders = (0..OPUS_CODERS + 4).map(|_| stock.opus_encoder(settings));
        assert_eq!(encoders.flatten().count(), OPUS_CODERS);
        assert_eq!(
            stock.counts().taken().map(|(_, count)| count as usize),
            [HEARINGS, BURST_ROOMS, FAR_ROOMS, OPUS_CODERS, OPUS_CODERS]
        );
        assert_eq!(
            stock.counts().empty(),
            [
                ("playout", 2),
                ("playout_burst", 5),
                ("playout_room", 1),
                ("opus_decoder", 3),
                ("opus_encoder", 4)
            ]
        );
        drop(refill);
    }
}
