//! The jitter buffer: G.711 octets in by timestamp, frames of 20 ms out at the pace of the caller.
//!
//! A ring of octets addressed by media time, so packets of any length, in any order, become frames. The caller pulls one frame every
//! 20 ms: these pulls are its clock. Never allocates after it was made; holds 512 ms. Silence a peer does not send (its sequence goes on
//! while its time jumps) is silence; what is missing otherwise is marked for concealment.
//!
//! Delay: a stream starts 40 ms behind its first packet. A packet that comes too late lengthens the delay by its lateness, up to 200 ms
//! in all; when for four seconds each packet had two frames or more to spare, all but one are left out.

use super::is_newer;

/// Octets (samples) of a frame.
pub const FRAME: usize = 160;
/// Samples the ring holds.
const CAPACITY: usize = 4096;
/// Samples of delay a stream starts with.
const TARGET: i64 = 2 * FRAME as i64;
/// Samples of delay that lateness can lead to.
const LONGEST_DELAY: i64 = 10 * FRAME as i64;
/// Pulls over which spare time is judged.
const JUDGED_PULLS: u32 = 200;
/// Spare samples of every packet that make the delay shrink.
const AMPLE: i64 = 2 * FRAME as i64;
/// Late packets in a row that make the stream start anew.
const LATE_RUN: u8 = 3;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It will be played.
    Queued,
    /// Its time was over. Played nevertheless if the delay could still grow.
    Late,
    /// Its time is filled already.
    Duplicate,
    /// It began a stream or a new place in time.
    Started,
}

/// What a pull gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// A frame; up to `missing` of its samples were bridged with those of the frame before.
    Audio {
        /// Samples that had not come.
        missing: u8,
    },
    /// Nothing came for this frame: conceal it.
    Missing,
    /// No stream yet, or it waits for its delay to build up.
    Idle,
}

/// The buffer of one source.
#[derive(Debug)]
pub struct JitterBuffer {
    ring: Box<[u8; CAPACITY]>,
    /// Bit n: sample n of the ring is there.
    filled: [u64; CAPACITY / 64],
    silence: u8,
    /// Media time of the next pull.
    head: i64,
    /// Media time after the newest sample.
    end: i64,
    newest: Option<Newest>,
    late_run: u8,
    /// Media time after the newest sample that was played.
    played_to: i64,
    /// Media time of the first sample after a start.
    idle_until: i64,
    delay: i64,
    spare: i64,
    pulls: u32,
    bridge: [u8; FRAME],
}

/// The newest packet: the anchor between RTP and media time.
#[derive(Debug, Clone, Copy)]
struct Newest {
    sequence: u16,
    timestamp: u32,
    at: i64,
}

impl JitterBuffer {
    /// An empty buffer; `silence` is the octet that fills what a peer left out.
    pub fn new(silence: u8) -> JitterBuffer {
        JitterBuffer {
            ring: Box::new([silence; CAPACITY]),
            filled: [0; CAPACITY / 64],
            silence,
            head: 0,
            end: 0,
            newest: None,
            late_run: 0,
            played_to: i64::MIN,
            idle_until: 0,
            delay: TARGET,
            spare: i64::MAX,
            pulls: 0,
            bridge: [silence; FRAME],
        }
    }

    /// Forgets everything, for a new source or codec.
    pub fn reset(&mut self, silence: u8) {
        self.filled = [0; CAPACITY / 64];
        self.silence = silence;
        self.bridge = [silence; FRAME];
        self.newest = None;
        self.late_run = 0;
        self.delay = TARGET;
    }

    /// Present delay between the arrival of a packet and its turn, in samples; for statistics.
    pub fn delay(&self) -> u32 {
        self.delay as u32
    }

    /// Takes note of a packet without audio (an event, comfort noise), so that its number is not missed.
    pub fn skip(&mut self, sequence: u16) {
        if let Some(newest) = &mut self.newest
            && is_newer(sequence, newest.sequence)
        {
            newest.sequence = sequence;
        }
    }

    /// Takes the payload of one packet.
    pub fn insert(
        &mut self,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Inserted {
        if payload.is_empty() || payload.len() > CAPACITY / 2 {
            return Inserted::Late;
        }
        let length = payload.len() as i64;
        let Some(newest) = self.newest else {
            return self.start(sequence, timestamp, payload);
        };
        let mut at = newest.at + i64::from(timestamp.wrapping_sub(newest.timestamp) as i32);
        let follows = sequence == newest.sequence.wrapping_add(1);
        let standing = follows && at < self.end && at >= self.end - CAPACITY as i64;
        if standing && !marker {
            // The peer's time stands still or overlaps: believe its sequence.
            at = self.end;
        }
        let talkspurt = marker && self.end <= self.head;
        if at + length > self.head + CAPACITY as i64
            || at < self.head - CAPACITY as i64
            || talkspurt
        {
            return self.start(sequence, timestamp, payload);
        }
        if at < self.head {
            return self.late(
                Newest {
                    sequence,
                    timestamp,
                    at,
                },
                follows,
                payload,
            );
        }
        self.late_run = 0;
        self.spare = self.spare.min(at - self.head);
        if self.is_filled(at) {
            return Inserted::Duplicate;
        }
        if follows && at > self.end.max(self.head) {
            self.fill_silence(self.end.max(self.head), at);
        }
        self.write(at, payload);
        self.advance(Newest {
            sequence,
            timestamp,
            at,
        });
        Inserted::Queued
    }

    /// Begins a stretch of media time: the packet's turn comes after the present delay.
    fn start(&mut self, sequence: u16, timestamp: u32, payload: &[u8]) -> Inserted {
        self.filled = [0; CAPACITY / 64];
        let at = self.head + self.delay;
        self.idle_until = at;
        self.late_run = 0;
        self.judge_anew();
        self.end = at;
        self.newest = Some(Newest {
            sequence,
            timestamp,
            at,
        });
        self.write(at, payload);
        Inserted::Started
    }

    /// A packet whose time is over. If nothing after it was played yet, the stream steps back to it and is later from now on.
    fn late(&mut self, packet: Newest, follows: bool, payload: &[u8]) -> Inserted {
        let behind = self.head - packet.at;
        self.judge_anew();
        if packet.at >= self.played_to && self.delay + behind <= LONGEST_DELAY {
            self.head = packet.at;
            self.delay += behind;
            self.write(packet.at, payload);
        } else {
            self.late_run += 1;
            if self.end <= self.head && (follows || self.late_run >= LATE_RUN) {
                self.delay = TARGET;
                return self.start(packet.sequence, packet.timestamp, payload);
            }
        }
        self.advance(packet);
        Inserted::Late
    }

    fn advance(&mut self, packet: Newest) {
        if self
            .newest
            .is_none_or(|newest| is_newer(packet.sequence, newest.sequence))
        {
            self.newest = Some(packet);
        }
    }

    fn judge_anew(&mut self) {
        self.spare = i64::MAX;
        self.pulls = 0;
    }

    /// Gives the next frame of 20 ms.
    pub fn pull(&mut self, out: &mut [u8; FRAME]) -> Pulled {
        if self.newest.is_none() {
            return Pulled::Idle;
        }
        self.shrink();
        let missing = self.take(out);
        self.head += FRAME as i64;
        match missing {
            FRAME if self.head <= self.idle_until => Pulled::Idle,
            FRAME => Pulled::Missing,
            missing => Pulled::Audio {
                missing: missing as u8,
            },
        }
    }

    /// Copies the frame at the head, bridging gaps, and clears its place. Returns how many samples were missing.
    fn take(&mut self, out: &mut [u8; FRAME]) -> usize {
        let mut present = 0;
        for (word, mask) in words(self.head, FRAME) {
            present += (self.filled[word] & mask).count_ones() as usize;
        }
        let [first, second] = runs(self.head, FRAME);
        let split = first.len();
        if present == FRAME {
            out[..split].copy_from_slice(&self.ring[first]);
            out[split..].copy_from_slice(&self.ring[second]);
        } else {
            for (n, octet) in out.iter_mut().enumerate() {
                let at = self.head + n as i64;
                *octet = if self.is_filled(at) {
                    self.ring[slot(at)]
                } else {
                    self.bridge[n]
                };
            }
        }
        for (word, mask) in words(self.head, FRAME) {
            self.filled[word] &= !mask;
        }
        if present > 0 {
            self.bridge = *out;
            self.played_to = self.head + FRAME as i64;
        }
        FRAME - present
    }

    /// Leaves frames out when every packet of the last seconds had time to spare.
    fn shrink(&mut self) {
        self.pulls += 1;
        if self.pulls < JUDGED_PULLS {
            return;
        }
        if self.spare != i64::MAX && self.spare >= AMPLE {
            for _ in 0..(self.spare - AMPLE) / FRAME as i64 + 1 {
                let mut left_out = [0; FRAME];
                self.take(&mut left_out);
                self.head += FRAME as i64;
                self.delay = (self.delay - FRAME as i64).max(0);
            }
        }
        self.judge_anew();
    }

    fn is_filled(&self, at: i64) -> bool {
        let index = slot(at);
        self.filled[index / 64] & (1 << (index % 64)) != 0
    }

    fn write(&mut self, at: i64, payload: &[u8]) {
        let [first, second] = runs(at, payload.len());
        let (head, tail) = payload.split_at(first.len());
        self.ring[first].copy_from_slice(head);
        self.ring[second].copy_from_slice(tail);
        self.mark(at, payload.len());
        self.end = self.end.max(at + payload.len() as i64);
    }

    fn fill_silence(&mut self, from: i64, to: i64) {
        let length = (to - from) as usize;
        for run in runs(from, length) {
            self.ring[run].fill(self.silence);
        }
        self.mark(from, length);
    }

    fn mark(&mut self, at: i64, length: usize) {
        for (word, mask) in words(at, length) {
            self.filled[word] |= mask;
        }
    }
}

/// The places of `length` samples in the ring: up to its end, and from its beginning. At most [`CAPACITY`].
fn runs(at: i64, length: usize) -> [std::ops::Range<usize>; 2] {
    let start = slot(at);
    let first = length.min(CAPACITY - start);
    [start..start + first, 0..length - first]
}

/// The words of the bit map that hold `length` samples, each with the mask of those samples.
fn words(at: i64, length: usize) -> impl Iterator<Item = (usize, u64)> {
    runs(at, length).into_iter().flat_map(|run| {
        let (start, end) = (run.start, run.end);
        let last = if run.is_empty() {
            start / 64
        } else {
            end.div_ceil(64)
        };
        (start / 64..last).map(move |word| {
            let from = start.max(word * 64) - word * 64;
            let to = end.min(word * 64 + 64) - word * 64;
            (word, (u64::MAX >> (64 - (to - from))) << from)
        })
    })
}

fn slot(at: i64) -> usize {
    at.rem_euclid(CAPACITY as i64) as usize
}

#[cfg(test)]
#[path = "octet_ring_tests.rs"]
mod tests;
