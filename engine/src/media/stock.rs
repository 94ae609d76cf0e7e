//! Spare playouts, room for their bursts, and what codes Opus, for channels that somebody begins to listen to or that begin to say something: made by threads of their
//! own, so that a shard that needs one neither allocates nor waits. What a channel does not need any more goes to the reaper and not back here.
//!
//! Limits: [`HEARINGS`], [`FAR_ROOMS`] and [`OPUS_CODERS`] of each kind for all shards together. A channel that finds none asks again at its next frame
//! or packet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

use super::codec::opus::{OpusEncoder, OpusSettings};
use super::codec::{Decoder, Encoding};
use super::hearing::Hearing;
use super::playout::FarRoom;

/// Spare playouts; each makes one within microseconds, so this is what may begin in one turn of a shard.
const HEARINGS: usize = 32;
/// Spare room for bursts: a line that stands stands for many channels at once. What was never used is resident to less than a half.
const FAR_ROOMS: usize = 128;
/// Spare Opus decoders, and spare encoders.
const OPUS_CODERS: usize = 16;

/// How often the stock was found empty. A channel that finds it so asks again, and is counted again.
#[derive(Debug, Default)]
pub struct Shortages {
    playouts: AtomicU64,
    far_rooms: AtomicU64,
    opus_decoders: AtomicU64,
    opus_encoders: AtomicU64,
}

impl Shortages {
    /// By what was wanted.
    pub fn by_kind(&self) -> [(&'static str, u64); 4] {
        [
            ("playout", self.playouts.load(Ordering::Relaxed)),
            ("playout_room", self.far_rooms.load(Ordering::Relaxed)),
            ("opus_decoder", self.opus_decoders.load(Ordering::Relaxed)),
            ("opus_encoder", self.opus_encoders.load(Ordering::Relaxed)),
        ]
    }
}

/// What the shards take from.
#[derive(Debug, Clone)]
pub(crate) struct Stock {
    shortages: Arc<Shortages>,
    hearings: Receiver<Box<Hearing>>,
    far_rooms: Receiver<Box<FarRoom>>,
    opus: Receiver<Decoder>,
    opus_encoders: Receiver<Box<OpusEncoder>>,
}

/// What fills it up again.
#[derive(Debug)]
pub(crate) struct Refill {
    hearings: Sender<Box<Hearing>>,
    far_rooms: Sender<Box<FarRoom>>,
    opus: Sender<Decoder>,
    opus_encoders: Sender<Box<OpusEncoder>>,
}

impl Stock {
    /// A full one.
    pub(crate) fn new() -> (Stock, Refill) {
        let (hearings, hearings_taken) = crossbeam_channel::bounded(HEARINGS);
        let (far_rooms, rooms_taken) = crossbeam_channel::bounded(FAR_ROOMS);
        let (opus, opus_taken) = crossbeam_channel::bounded(OPUS_CODERS);
        let (opus_encoders, encoders_taken) = crossbeam_channel::bounded(OPUS_CODERS);
        while hearings.try_send(Box::default()).is_ok() {}
        while far_rooms.try_send(Box::default()).is_ok() {}
        while opus_decoder().is_some_and(|decoder| opus.try_send(decoder).is_ok()) {}
        while opus_encoder().is_some_and(|encoder| opus_encoders.try_send(encoder).is_ok()) {}
        let stock = Stock {
            shortages: Arc::default(),
            hearings: hearings_taken,
            far_rooms: rooms_taken,
            opus: opus_taken,
            opus_encoders: encoders_taken,
        };
        let refill = Refill {
            hearings,
            far_rooms,
            opus,
            opus_encoders,
        };
        (stock, refill)
    }

    /// A playout for a stream.
    pub(crate) fn hearing(&self, encoding: Encoding) -> Option<Box<Hearing>> {
        let Ok(mut hearing) = self.hearings.try_recv() else {
            self.shortages.playouts.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        hearing.tune(self, encoding);
        Some(hearing)
    }

    /// Room for a burst.
    pub(crate) fn far_room(&self) -> Option<Box<FarRoom>> {
        let room = self.far_rooms.try_recv().ok();
        if room.is_none() {
            self.shortages.far_rooms.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    /// A decoder of Opus.
    pub(crate) fn opus(&self) -> Option<Decoder> {
        let decoder = self.opus.try_recv().ok();
        if decoder.is_none() {
            self.shortages.opus_decoders.fetch_add(1, Ordering::Relaxed);
        }
        decoder
    }

    pub(crate) fn shortages(&self) -> Arc<Shortages> {
        self.shortages.clone()
    }

    /// An encoder of Opus.
    pub(crate) fn opus_encoder(&self, settings: OpusSettings) -> Option<Box<OpusEncoder>> {
        let Ok(mut encoder) = self.opus_encoders.try_recv() else {
            self.shortages.opus_encoders.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        // Settings in their ranges are never refused.
        let _ = encoder.apply(settings);
        Some(encoder)
    }
}

impl Refill {
    /// The work of four threads; they end when no shard is left.
    pub(crate) fn into_work(self) -> [(&'static str, Box<dyn FnOnce() + Send>); 4] {
        let Refill {
            hearings,
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
                "media-rooms",
                Box::new(move || keep_full(&far_rooms, || Some(Box::default()))),
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

fn opus_decoder() -> Option<Decoder> {
    Decoder::new(Encoding::Opus)
        .inspect_err(|error| tracing::error!(%error, "no Opus decoder: Opus will not be heard"))
        .ok()
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
        let rooms = (0..FAR_ROOMS + 1).map(|_| stock.far_room());
        assert_eq!(rooms.flatten().count(), FAR_ROOMS);
        let decoders = (0..OPUS_CODERS + 3).map(|_| stock.opus());
        assert_eq!(decoders.flatten().count(), OPUS_CODERS);
        let settings = OpusSettings::default();
        let encoders = (0..OPUS_CODERS + 4).map(|_| stock.opus_encoder(settings));
        assert_eq!(encoders.flatten().count(), OPUS_CODERS);
        assert_eq!(
            stock.shortages().by_kind(),
            [
                ("playout", 2),
                ("playout_room", 1),
                ("opus_decoder", 3),
                ("opus_encoder", 4)
            ]
        );
        drop(refill);
    }
}
