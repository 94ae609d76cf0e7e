//! The shard's half of a recording: takes both sides of each frame and never waits.

use std::sync::atomic::Ordering;

use rtrb::Producer;
use trunkline_dsp::mix;
use trunkline_dsp::vad::EnergyVad;

use super::{MAX_LENGTH, Mark, Pause, RecordingLedger, RecordingSpec, SILENCE, Tracks, What};
use crate::media::both_sides::{LONGEST, Side};
use crate::media::codec::FRAME_MS;

/// Samples per second of a frame of so many samples.
fn rate_of(length: usize) -> u32 {
    length as u32 * 1000 / FRAME_MS
}

/// Samples of a frame at so many per second.
fn frame_of(rate_hz: u32) -> usize {
    (rate_hz * FRAME_MS / 1000) as usize
}

/// Finds the end of speech.
#[derive(Debug)]
struct SilenceStop {
    limit: u32,
    silent: u32,
    rate_hz: u32,
    vad: EnergyVad,
}

impl SilenceStop {
    fn new(limit: u32) -> SilenceStop {
        SilenceStop {
            limit,
            silent: 0,
            rate_hz: 8000,
            vad: EnergyVad::new(8000),
        }
    }

    /// Whether the silence has lasted long enough.
    fn hears(&mut self, frame: &[i16]) -> bool {
        let rate_hz = rate_of(frame.len());
        if rate_hz != self.rate_hz {
            (self.rate_hz, self.vad) = (rate_hz, EnergyVad::new(rate_hz));
        }
        let speech = self.vad.process(frame).speech;
        self.silent = if speech { 0 } else { self.silent + 1 };
        self.silent >= self.limit
    }
}

/// The ring, and what is known of what went into it.
#[derive(Debug)]
struct Ring {
    samples: Producer<i16>,
    marks: Producer<Mark>,
    /// Samples of each channel that went in, and how many a second.
    position: u64,
    rate_hz: u32,
    /// Samples of each channel that no mark tells of yet.
    lost: u64,
    /// Frames of silence that are to come before everything else.
    lead: u64,
}

impl Ring {
    /// Puts a frame of `length` samples of each channel in, or counts it as lost. Nothing goes in before the mark of what is missing.
    fn put(&mut self, frame: &[i16], length: usize) {
        let rate_hz = rate_of(length);
        if self.marks.slots() < 3 || self.samples.slots() < frame.len() {
            self.lost += length as u64;
            return;
        }
        if self.lost > 0 {
            self.mark(What::Lost(self.lost));
            self.lost = 0;
        }
        if rate_hz != self.rate_hz {
            self.rate_hz = rate_hz;
            self.mark(What::Rate(rate_hz));
        }
        if self.lead > 0 {
            self.mark(What::Lead(self.lead * length as u64));
            self.lead = 0;
        }
        if let Ok(mut chunk) = self.samples.write_chunk(frame.len()) {
            let (first, second) = chunk.as_mut_slices();
            let (head, tail) = frame.split_at(first.len());
            first.copy_from_slice(head);
            second.copy_from_slice(tail);
            chunk.commit_all();
            self.position += length as u64;
        }
    }

    fn mark(&mut self, what: What) {
        let at = self.position;
        // There is room for all three: it was asked before.
        let _ = self.marks.push(Mark { at, what });
    }
}

/// The shard's half of a recording. Dropping it ends the recording.
#[derive(Debug)]
pub(crate) struct Recording {
    id: u32,
    tracks: Tracks,
    pause: Pause,
    ring: Ring,
    ledger: RecordingLedger,
    received: Side,
    sent: Side,
    frames_left: u32,
    silence: Option<SilenceStop>,
    paused: bool,
}

impl Recording {
    pub(super) fn new(
        spec: &RecordingSpec,
        samples: Producer<i16>,
        marks: Producer<Mark>,
        ledger: RecordingLedger,
    ) -> Recording {
        let frames = |ms: u32| ms.div_ceil(FRAME_MS);
        Recording {
            id: spec.id,
            tracks: spec.tracks,
            pause: spec.pause,
            ring: Ring {
                samples,
                marks,
                position: 0,
                rate_hz: 0,
                lost: 0,
                lead: 0,
            },
            ledger,
            received: Side::new(),
            sent: Side::new(),
            frames_left: match spec.max_ms {
                0 => u32::MAX,
                ms => frames(ms),
            },
            silence: (spec.silence_ms > 0).then(|| SilenceStop::new(frames(spec.silence_ms))),
            paused: false,
        }
    }

    /// Silence of so many frames comes first, so that the file lines up with others that began earlier.
    pub(crate) fn begin_late(&mut self, frames: u64) {
        self.ring.lead = frames;
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn ledger(&self) -> RecordingLedger {
        self.ledger.clone()
    }

    /// Whether it holds what the peer is sent, too.
    pub(crate) fn wants_sent(&self) -> bool {
        self.tracks != Tracks::Received
    }

    pub(crate) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        // Silence before the pause is no silence after it.
        if let Some(stop) = &mut self.silence {
            stop.silent = 0;
        }
    }

    /// Takes the received frame, 20 ms.
    pub(crate) fn hear(&mut self, frame: &[i16]) {
        self.received.set(frame);
    }

    /// Takes the frame that is sent meanwhile, 20 ms.
    pub(crate) fn say(&mut self, frame: &[i16]) {
        self.sent.set(frame);
    }

    /// Puts both sides of the frame into the ring. Returns whether the recording goes on; if not, it is to be dropped.
    pub(crate) fn turn(&mut self) -> bool {
        let shared = &self.ledger.shared;
        if shared.failed.load(Ordering::Relaxed) {
            return false;
        }
        // Before the first frame of either side there is nothing to go by but the narrow band.
        let length = [
            self.received.length(),
            self.sent.length(),
            frame_of(self.ring.rate_hz),
        ];
        let length = length.into_iter().find(|length| *length > 0).unwrap_or(160);
        let (received, sent) = (self.received.take(length), self.sent.take(length));
        if self.paused && self.pause == Pause::Nothing {
            return true;
        }
        let silent = !self.paused
            && self
                .silence
                .as_mut()
                .is_some_and(|stop| stop.hears(received));
        let mut space = [0; 2 * LONGEST];
        let frame = &mut space[..length * self.tracks.channels()];
        if !self.paused {
            lay(self.tracks, received, sent, frame);
        }
        self.ring.put(frame, length);
        let shared = &self.ledger.shared;
        let unmarked = &shared.unmarked_loss;
        unmarked.store(self.ring.lost, Ordering::Relaxed);
        let given_ms = shared.given_ms.load(Ordering::Relaxed) + FRAME_MS;
        shared.given_ms.store(given_ms, Ordering::Relaxed);
        self.frames_left -= 1;
        let end = match () {
            () if self.frames_left == 0 => MAX_LENGTH,
            () if silent => SILENCE,
            () => return true,
        };
        self.ledger.shared.end.store(end, Ordering::Relaxed);
        false
    }
}

/// Writes both sides into a frame of the file.
fn lay(tracks: Tracks, received: &[i16], sent: &[i16], frame: &mut [i16]) {
    match tracks {
        Tracks::Received => frame.copy_from_slice(received),
        Tracks::Mixed => {
            frame.copy_from_slice(received);
            mix::add_saturating(frame, sent);
        }
        Tracks::Stereo => {
            let sides = received.iter().zip(sent);
            for (pair, (left, right)) in frame.as_chunks_mut::<2>().0.iter_mut().zip(sides) {
                *pair = [*left, *right];
            }
        }
    }
}
