//! The shard's half of a tap.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::{Consumer, Producer};

use super::{Back, LONGEST, Out, Shared, TapSide, TapSpec};
use crate::media::both_sides::Side;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Tap {
    spec: TapSpec,
    out: Producer<Out>,
    back: Consumer<Back>,
    shared: Arc<Shared>,
    received: Side,
    sent: Side,
    /// What the program has said.
    played: Side,
    number: u64,
    /// Marks passed since the newest clear.
    epoch: u32,
    marks: u32,
    /// Samples of the channel's newest frame.
    length: usize,
}

impl Tap {
    pub(super) fn new(
        spec: TapSpec,
        out: Producer<Out>,
        back: Consumer<Back>,
        shared: Arc<Shared>,
    ) -> Tap {
        Tap {
            spec,
            out,
            back,
            shared,
            received: Side::new(),
            sent: Side::new(),
            played: Side::new(),
            number: 0,
            epoch: 0,
            marks: 0,
            length: 160,
        }
    }

    pub(crate) fn wants_received(&self) -> bool {
        self.spec.received
    }

    pub(crate) fn wants_sent(&self) -> bool {
        self.spec.sent
    }

    /// Takes the received frame, 20 ms.
    pub(crate) fn hear(&mut self, frame: &[i16]) {
        self.received.set(frame);
    }

    /// Takes the frame that is sent meanwhile, 20 ms.
    pub(crate) fn say(&mut self, frame: &[i16]) {
        self.sent.set(frame);
    }

    /// Whether there is audio of the program to be sent.
    pub(crate) fn has_audio(&self) -> bool {
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        let next = self.back.peek();
        next.is_ok_and(|frame| frame.epoch == epoch && frame.length > 0)
    }

    /// Drops what was cleared and passes marks without audio. Returns whether there is audio to be sent.
    fn plays(&mut self) -> bool {
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        loop {
            match self.back.peek() {
                Ok(frame) if frame.epoch == epoch && frame.length > 0 => return true,
                // A mark behind which nothing was queued.
                Ok(frame) if frame.epoch == epoch => {
                    let marks = frame.marks;
                    self.pass(epoch, marks);
                }
                Ok(_) => {}
                Err(_) => return false,
            }
            let _ = self.back.pop();
        }
    }

    fn pass(&mut self, epoch: u32, marks: u16) {
        if epoch != self.epoch {
            (self.epoch, self.marks) = (epoch, 0);
        }
        self.marks = self.marks.wrapping_add(marks.into());
        let passed = u64::from(epoch) << 32 | u64::from(self.marks);
        self.shared.marks.store(passed, Ordering::Release);
    }

    /// The program's next frame, 20 ms at the channel's rate; silence where it has none.
    pub(crate) fn play(&mut self, out: &mut [i16]) {
        out.fill(0);
        if !self.plays() {
            return;
        }
        let Ok(frame) = self.back.pop() else { return };
        self.pass(frame.epoch, frame.marks);
        let side = &mut self.played;
        side.set(&frame.samples[..usize::from(frame.length).min(LONGEST)]);
        out.copy_from_slice(side.take(out.len()));
    }

    /// The end of a frame: hands both sides over. Returns whether the tap goes on; if not, it is to be dropped.
    pub(crate) fn turn(&mut self) -> bool {
        if self.shared.closed.load(Ordering::Relaxed) {
            return false;
        }
        // Marks without audio are passed also while something else plays.
        self.plays();
        let length = [self.received.length(), self.sent.length(), self.length];
        self.length = length.into_iter().find(|length| *length > 0).unwrap_or(160);
        let rate_hz = self.length as u32 * 50;
        self.shared.rate_hz.store(rate_hz, Ordering::Relaxed);
        self.number += 1;
        for side in [TapSide::Received, TapSide::Sent] {
            let (wanted, samples) = match side {
                TapSide::Received => (self.spec.received, self.received.take(self.length)),
                TapSide::Sent => (self.spec.sent, self.sent.take(self.length)),
            };
            if !wanted || self.shared.paused.load(Ordering::Relaxed) {
                continue;
            }
            let mut frame = Out {
                side,
                number: self.number - 1,
                length: self.length as u16,
                samples: [0; LONGEST],
            };
            frame.samples[..self.length].copy_from_slice(samples);
            if self.out.push(frame).is_err() {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                let stats = &self.shared.stats;
                stats.lost_frames.fetch_add(1, Ordering::Relaxed);
            }
        }
        true
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        self.shared.stats.active.fetch_sub(1, Ordering::Relaxed);
    }
}
