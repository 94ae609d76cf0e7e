//! The program's half of a tap. Nothing in it waits: whoever holds it looks in every 10 to 100 ms.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::{Consumer, Producer};
use trunkline_dsp::resample::{Down2, Up2};

use super::backlog::Backlog;
use super::{BACK, Back, LONGEST, Out, Shared, TapSide, TapSpec};

/// Frames in the shard's ring below which an incomplete frame is sent, filled up with silence.
const SHORT: usize = 2;

/// 20 ms of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapFrame {
    /// Which.
    pub side: TapSide,
    /// When, in ms since the tap began; what is missing in between was lost, or not sent during a pause.
    pub at_ms: u64,
    /// Linear samples at the tap's rate.
    pub samples: Vec<i16>,
}

/// Converts between 8 and 16 kHz where both ends differ.
#[derive(Debug, Default)]
struct Converter {
    down: Option<Down2>,
    up: Option<Up2>,
}

impl Converter {
    /// `samples` at `to` samples per second.
    fn convert(&mut self, samples: &[i16], from: u32, to: u32, out: &mut [i16]) -> usize {
        if from == to {
            (self.down, self.up) = (None, None);
            let count = samples.len().min(out.len());
            out[..count].copy_from_slice(&samples[..count]);
            count
        } else if from > to {
            self.down
                .get_or_insert_with(Down2::new)
                .process(samples, out)
        } else {
            self.up.get_or_insert_with(Up2::new).process(samples, out)
        }
    }
}

/// See the module's text.
#[derive(Debug)]
pub struct TapEnds {
    spec: TapSpec,
    frames: Consumer<Out>,
    play: Producer<Back>,
    shared: Arc<Shared>,
    received: Converter,
    sent: Converter,
    back: Converter,
    backlog: Backlog,
    /// Marks on their way through the shard's ring, in order.
    travelling: VecDeque<u32>,
    /// Marks passed since the last clear, as far as known, and those still to be told of.
    passed: u32,
    reached: Vec<u32>,
    refused: u64,
}

impl TapEnds {
    pub(super) fn new(
        spec: TapSpec,
        frames: Consumer<Out>,
        play: Producer<Back>,
        shared: Arc<Shared>,
    ) -> TapEnds {
        TapEnds {
            spec,
            frames,
            play,
            shared,
            received: Converter::default(),
            sent: Converter::default(),
            back: Converter::default(),
            backlog: Backlog::new(spec.rate_hz),
            travelling: VecDeque::new(),
            passed: 0,
            reached: Vec::new(),
            refused: 0,
        }
    }

    /// The next frame of the leg, in order of time.
    pub fn read(&mut self) -> Option<TapFrame> {
        let frame = self.frames.pop().ok()?;
        let length = usize::from(frame.length);
        let converter = match frame.side {
            TapSide::Received => &mut self.received,
            TapSide::Sent => &mut self.sent,
        };
        let mut samples = vec![0; 2 * LONGEST];
        let (from, to) = (length as u32 * 50, self.spec.rate_hz);
        let count = converter.convert(&frame.samples[..length], from, to, &mut samples);
        samples.truncate(count);
        Some(TapFrame {
            side: frame.side,
            at_ms: frame.number * 20,
            samples,
        })
    }

    /// Frames that were lost because nobody read them within a second.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Samples that were refused because ten minutes of audio are waiting.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether the channel is gone.
    pub fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Acquire)
    }

    /// Queues audio at the tap's rate to be sent to the peer. Returns how many samples there was room for.
    pub fn write(&mut self, samples: &[i16]) -> usize {
        let taken = self.backlog.queue(samples);
        let refused = (samples.len() - taken) as u64;
        self.refused += refused;
        let stats = &self.shared.stats;
        stats.refused_samples.fetch_add(refused, Ordering::Relaxed);
        taken
    }

    /// Queues a mark behind all audio; [`turn`](TapEnds::turn) returns it when that was sent. Returns whether there was room.
    pub fn mark(&mut self, mark: u32) -> bool {
        self.backlog.mark(mark)
    }

    /// Drops what waits, at once. Returns the marks in it, which will not be reached.
    pub fn clear(&mut self) -> Vec<u32> {
        self.collect();
        self.shared.epoch.fetch_add(1, Ordering::Release);
        self.passed = 0;
        let mut gone: Vec<u32> = self.travelling.drain(..).collect();
        gone.extend(self.backlog.clear());
        gone
    }

    /// Whether the leg's frames are held back; audio of the program goes on.
    pub fn set_paused(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::Relaxed);
    }

    /// How much audio waits, in ms.
    pub fn queued_ms(&self) -> u64 {
        let waiting = self.backlog.samples() as u64 * 1000 / u64::from(self.spec.rate_hz);
        waiting + self.travelling_frames() as u64 * 20
    }

    /// Fills the shard's ring and returns the marks that were reached since the last turn.
    pub fn turn(&mut self) -> Vec<u32> {
        self.feed();
        self.collect();
        std::mem::take(&mut self.reached)
    }

    fn travelling_frames(&self) -> usize {
        BACK - self.play.slots()
    }

    fn feed(&mut self) {
        let frame = (self.spec.rate_hz / 50) as usize;
        let epoch = self.shared.epoch.load(Ordering::Relaxed);
        while self.play.slots() > 0 {
            let waiting = self.backlog.samples();
            // The rest of a piece waits for what may follow it, unless the peer would hear the gap.
            let waits = waiting < frame && self.travelling_frames() >= SHORT;
            if waiting > 0 && waits {
                return;
            }
            let mut samples = [0; LONGEST];
            let count = self.backlog.take(&mut samples[..frame]);
            let before = self.travelling.len();
            while let Some(mark) = self.backlog.take_mark() {
                self.travelling.push_back(mark);
            }
            let marks = (self.travelling.len() - before) as u16;
            if count == 0 && marks == 0 {
                return;
            }
            let mut back = Back {
                epoch,
                marks,
                length: 0,
                samples: [0; LONGEST],
            };
            if count > 0 {
                let to = self.shared.rate_hz.load(Ordering::Relaxed);
                let (whole, from) = (&samples[..frame], self.spec.rate_hz);
                back.length = self.back.convert(whole, from, to, &mut back.samples) as u16;
            }
            // There is room: it was asked before, and nobody else writes.
            let _ = self.play.push(back);
        }
    }

    /// Takes note of the marks that were passed.
    fn collect(&mut self) {
        let passed = self.shared.marks.load(Ordering::Acquire);
        if (passed >> 32) as u32 != self.shared.epoch.load(Ordering::Relaxed) {
            return;
        }
        let passed = passed as u32;
        let news = passed.wrapping_sub(self.passed) as usize;
        self.passed = passed;
        let news = news.min(self.travelling.len());
        self.reached.extend(self.travelling.drain(..news));
    }
}

impl Drop for TapEnds {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
    }
}
