//! From received packets to frames of 20 ms: jitter buffer, decoder, concealment and time stretching of one source.
//!
//! A hole is filled from both sides when the packet behind it is there already; a codec with a way of its own fills it itself. The delay
//! is mended by leaving out or repeating a period of the voice, or by cutting where nobody hears it. In the steady case, when the next packet
//! is the frame, it is decoded straight into it and nothing else is touched; what concealment needs of it is made up for later from the
//! packets themselves. Never allocates after it was made; what it holds is bounded by the jitter buffer's octets and 200 ms of decoded audio, most
//! of which is lent while it is needed.

mod far_room;

pub(crate) use far_room::{FarRoom, FarSize};

use std::mem::offset_of;
use std::ops::Range;

use trunkline_dsp::g722;
use trunkline_dsp::level;
use trunkline_dsp::plc::Concealer;
use trunkline_dsp::stretch;

use super::codec::{AudioRate, Decoder, Encoding};
use super::frame::{Frame, LONGEST_FRAME};
use super::pcm_queue::PcmQueue;
use crate::net::prefetch::{prefetch, prefetch_part};
use crate::rtp::jitter::{Aim, Arrived, Inserted, JitterBuffer, Turn};
use crate::rtp::packet::Header;

/// After so many ms of nothing the concealment is silent.
const FADED_MS: u32 = 200;
/// Audio that stretching works on, ms.
const STRETCHED_MS: u32 = 35;
/// Longest piece left out or put in where it is quiet, ms.
const CUT_MS: u32 = 10;
/// What counts as quiet, in dBm0.
const QUIET_DBM0: f32 = -48.0;
/// Samples stretching works on and gives at most, at 16 kHz.
const WINDOW: usize = 50 * 16;
/// Time from one pull to the next in µs.
const FRAME_US: u64 = 20_000;
/// Frames until shortening is tried again after it was refused: at once where it is quiet, a voice is searched for its period only every second
/// time, after the next refusal every fourth, and so on up to this power of two.
const REFUSED_FRAMES: u8 = 8;
const MOST_FUTILE: u8 = 3;
/// A surplus in µs that is mended in every frame; less is mended in every second one.
const URGENT_US: i64 = 60_000;
/// Packets of a frame that concealment can make up for later: 60 ms, more than it knows.
const OWED: u8 = 3;

/// How long after a loss the tones of a key go on instead of what comes, ms: Opus finds its way sooner.
const G722_HEAL_MS: usize = 120;
const OPUS_HEAL_MS: usize = 60;

/// What a pull gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled {
    /// What the peer sent.
    Audio,
    /// Samples between these places are made up because packets did not come.
    Concealed(Range<usize>),
    /// Silence, as the peer said.
    Comfort,
    /// Nothing comes: silence.
    Idle,
}

/// Whether the delay could be mended.
enum Mended {
    No,
    Voice,
    /// Where it is quiet, to the sample.
    Quiet,
}

/// What a playout did, for the statistics of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlayoutStats {
    /// What the audio waits now, in ms beyond the fastest packet of the last seconds.
    pub delay_ms: u32,
    /// What it should wait, in ms.
    pub target_ms: u32,
    /// Packets that came too late to be played, or were given up because too many waited.
    pub late: u64,
    /// Audio in ms of packets that never came in time.
    pub lost_ms: u64,
    /// Samples that were made up, at the audio rate.
    pub concealed: u64,
    /// Samples left out to shorten the delay.
    pub shortened: u64,
    /// Samples repeated to lengthen the delay.
    pub lengthened: u64,
}

/// The playout of one source. In this order in memory: what every frame touches comes first.
#[derive(Debug)]
#[repr(C)]
pub struct Playout {
    encoding: Encoding,
    /// Samples made up since the last that came.
    run: u32,
    /// Frames until the delay may be mended again.
    rest: u8,
    /// How often shortening was refused in a row, and how many tries are left out for it.
    futile: u8,
    deferred: u8,
    /// Frames for which what is lent was not needed.
    unneeded: u8,
    /// What came last followed on what came before it.
    whole: bool,
    /// Packets of a frame, the newest that were handed out before this number, that concealment has not been told of.
    owed: u8,
    owed_to: u64,
    /// The last sample that was decoded straight into a frame, if nothing was queued since.
    last: Option<i16>,
    /// The moment of the newest pull, for statistics.
    pulled_us: u64,
    /// Its octets and samples are in the two buffers.
    lent: Option<Box<FarRoom>>,
    /// What was lent before that, until it is given back.
    outgrown: Option<Box<FarRoom>>,
    stats: PlayoutStats,
    jitter: JitterBuffer,
    pcm: PcmQueue,
    concealer: Concealer,
}

impl Playout {
    /// An empty one with room for what a narrowband stream of 20 ms packets without bursts needs. Others are to be
    /// lent more before they need it.
    pub fn new(encoding: Encoding) -> Playout {
        Playout {
            encoding,
            run: 0,
            rest: 0,
            futile: 0,
            deferred: 0,
            unneeded: 0,
            whole: true,
            owed: 0,
            owed_to: 0,
            last: None,
            pulled_us: 0,
            lent: None,
            outgrown: None,
            stats: PlayoutStats::default(),
            jitter: JitterBuffer::small(encoding.clock(), Aim::default()),
            pcm: PcmQueue::new(),
            concealer: concealer(encoding),
        }
    }

    /// Begins to fetch what the next frame of a steady stream needs into the cache.
    pub(crate) fn fetch_ahead(&self) {
        prefetch(self, offset_of!(Playout, jitter));
        for part in JitterBuffer::TOUCHED {
            prefetch_part(&self.jitter, part);
        }
        prefetch(&self.pcm, 1);
    }

    /// Forgets everything but what it counted, for a new source or codec.
    pub fn reset(&mut self, encoding: Encoding) {
        self.jitter.reset(encoding.clock());
        self.encoding = encoding;
        self.concealer = concealer(encoding);
        self.pcm.clear();
        self.run = 0;
        self.rest = 0;
        (self.futile, self.deferred) = (0, 0);
        self.whole = true;
        self.owed = 0;
        self.last = None;
    }

    /// The rate of the frames it gives.
    pub fn rate(&self) -> AudioRate {
        self.encoding.audio()
    }

    /// Takes an audio packet that came at `now_us` of the shard's clock.
    pub fn insert(&mut self, now_us: u64, header: &Header, payload: &[u8]) -> Inserted {
        let Some(units) = self.encoding.duration(payload) else {
            return Inserted::Refused;
        };
        let arrived = Arrived {
            sequence: header.sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            units,
            payload,
        };
        self.jitter.insert(now_us, &arrived)
    }

    /// Takes note of a packet without audio (an event), so that its number is not missed.
    pub fn skip(&mut self, sequence: u16) {
        self.jitter.skip(sequence);
    }

    /// Takes note of comfort noise (RFC 3389): the peer is silent from now on.
    pub fn quieten(&mut self, sequence: u16) {
        self.jitter.quieten(sequence);
    }

    /// What it did so far.
    pub fn stats(&self) -> PlayoutStats {
        let tally = self.jitter.tally();
        let delay_us = self
            .jitter
            .delay_us(self.pulled_us + FRAME_US, self.units(self.pcm.len()));
        PlayoutStats {
            delay_ms: delay_us / 1000,
            target_ms: self.jitter.target_us() / 1000,
            late: tally.late + tally.overflow,
            lost_ms: tally.lost_units * 1000 / u64::from(self.jitter.clock().hz()),
            ..self.stats
        }
    }

    /// Gives the next frame. To be called every 20 ms; `decoder` is of this playout's encoding.
    pub fn pull(&mut self, now_us: u64, decoder: &mut Decoder, out: &mut Frame) -> Pulled {
        let frame = self.rate().samples_per_frame();
        self.pulled_us = now_us;
        self.rest = self.rest.saturating_sub(1);
        let surplus = if self.pull_straight(now_us, decoder, out) {
            let surplus = self.surplus_us(now_us, frame, frame);
            if surplus == 0 {
                return Pulled::Audio;
            }
            self.last = None;
            self.pcm.push(out.samples());
            surplus
        } else {
            if let Some(last) = self.last.take() {
                self.pcm.set_before(last);
            }
            let idle = self.gather(now_us, decoder, frame);
            if idle && self.pcm.is_empty() {
                out.silence_at(self.rate());
                return Pulled::Idle;
            }
            self.surplus_us(now_us, self.pcm.len(), frame)
        };
        if surplus != 0 {
            self.mend(surplus, now_us, decoder, frame);
        }
        self.take(frame, out)
    }

    /// The steady case: the next packet is the frame. Returns whether it is.
    fn pull_straight(&mut self, now_us: u64, decoder: &mut Decoder, out: &mut Frame) -> bool {
        if !self.whole || !self.pcm.is_empty() {
            return false;
        }
        let rate = self.rate();
        let frame = rate.samples_per_frame();
        let units = self.units(frame);
        let Some(payload) = self.jitter.next_whole(now_us, units) else {
            return false;
        };
        let samples = out.fill_at(rate);
        if decoder.decode(payload, samples) != Ok(frame) {
            self.take_in(decoder, None, frame, None);
            return false;
        }
        self.last = samples.last().copied();
        if is_stateless(decoder) {
            self.owe();
        } else {
            self.concealer.good(samples);
        }
        true
    }

    /// Takes the frame out of what is queued.
    fn take(&mut self, frame: usize, out: &mut Frame) -> Pulled {
        let taken = self.pcm.take(out.fill_at(self.encoding.audio()));
        self.stats.concealed += taken.made as u64;
        let faded = self.rate().samples_in_ms(FADED_MS) + frame;
        match (taken.made, taken.quiet) {
            (0, quiet) if quiet == frame => Pulled::Comfort,
            (0, _) => Pulled::Audio,
            (made, _) if made == frame && self.run as usize > faded => Pulled::Idle,
            _ => Pulled::Concealed(taken.made_within),
        }
    }

    /// Decodes or makes up what a frame needs. Returns whether there is no stream.
    fn gather(&mut self, now_us: u64, decoder: &mut Decoder, frame: usize) -> bool {
        while self.pcm.len() < frame {
            let need = frame - self.pcm.len();
            let (lead, needed) = (self.units(self.pcm.len()), self.units(need));
            match self.jitter.next(now_us, lead, needed) {
                Turn::Packet {
                    payload,
                    units,
                    skip,
                } => {
                    let made = self.encoding.samples(units);
                    let skip = self.encoding.samples(skip);
                    let healing = self.concealer.is_healing() && skip == 0;
                    let before = state(decoder).filter(|_| healing);
                    let samples = decode(decoder, payload, skip, self.pcm.room(made));
                    self.take_in(decoder, samples, made, before);
                }
                Turn::Lost { units, adjoining } => {
                    let hole = self.encoding.samples(units);
                    if adjoining {
                        self.bridge(now_us, decoder, hole);
                    } else {
                        self.make_up(decoder, hole);
                    }
                }
                Turn::Silence | Turn::Wait { quiet: true } => {
                    self.run = 0;
                    self.pcm.push_quiet(need);
                }
                Turn::Wait { quiet: false } => self.make_up(decoder, need),
                Turn::Idle if self.pcm.is_empty() => return true,
                Turn::Idle => self.pcm.push_quiet(need),
            }
        }
        false
    }

    /// Takes in what was decoded to the room, or as many samples made up where that failed. A decoder that had lost its way goes on from `before`
    /// over what is heard instead.
    fn take_in(
        &mut self,
        decoder: &mut Decoder,
        samples: Option<usize>,
        made: usize,
        before: Option<g722::Decoder>,
    ) {
        let rate = self.rate();
        let frame = rate.samples_per_frame();
        if self.whole && (samples, made) == (Some(frame), frame) && is_stateless(decoder) {
            self.owe();
            return self.pcm.commit(frame);
        }
        self.settle(decoder);
        let Some(count) = samples else {
            let room = self.pcm.room(made);
            let made = room.len();
            self.concealer.conceal(room, None);
            self.whole = false;
            return self.pcm.commit_made(made);
        };
        self.concealer.good(self.pcm.room(count));
        self.whole = !self.concealer.is_healing();
        if let Some(before) = before.filter(|_| !self.whole) {
            *decoder = Decoder::G722(before);
            follow(decoder, &self.pcm.room(count)[..count], &self.concealer);
        }
        match self.concealer.is_blind() {
            true => self.pcm.commit_made(count),
            false => self.pcm.commit(count),
        }
        self.run = 0;
    }

    /// Concealment will be told of the packet that was handed out last when it needs to know.
    fn owe(&mut self) {
        self.owed = OWED.min(self.owed + 1);
        self.owed_to = self.jitter.handed();
    }

    /// Tells concealment what it has not been told of.
    fn settle(&mut self, decoder: &mut Decoder) {
        let owed = std::mem::take(&mut self.owed);
        for number in self.owed_to - u64::from(owed)..self.owed_to {
            let mut space = [0; LONGEST_FRAME];
            if let Some(payload) = self.jitter.past(number)
                && let Ok(count) = decoder.decode(payload, &mut space)
            {
                self.concealer.good(&mut space[..count]);
            }
        }
    }

    /// Makes up samples with nothing known behind them.
    fn make_up(&mut self, decoder: &mut Decoder, count: usize) {
        self.settle(decoder);
        let rate = self.rate();
        let faded = self.run as usize >= rate.samples_in_ms(FADED_MS);
        let hole = self.pcm.room(count);
        let count = hole.len();
        self.run = self.run.saturating_add(count as u32);
        if faded {
            hole.fill(0);
        } else if decoder.conceal(hole) {
            self.concealer.revise(hole, None);
        } else {
            self.concealer.conceal(hole, None);
            follow(decoder, hole, &self.concealer);
        }
        self.whole = false;
        self.pcm.commit_made(count);
    }

    /// Fills a hole with the packet right behind it at hand.
    fn bridge(&mut self, now_us: u64, decoder: &mut Decoder, hole: usize) {
        self.settle(decoder);
        let Turn::Packet { payload, units, .. } = self.jitter.next(now_us, 0, 0) else {
            return self.make_up(decoder, hole);
        };
        let made = self.encoding.samples(units);
        let room = self.pcm.room(hole + made);
        let (hole, behind) = room.split_at_mut(hole.min(room.len()));
        let copied = decoder.recover(payload, hole);
        let own = copied || decoder.conceal(hole);
        if !own && is_adaptive(decoder) {
            // What follows cannot be decoded well before the hole is filled, so it is filled twice.
            let mut alone = self.concealer.clone();
            alone.conceal(hole, None);
            follow(decoder, hole, &alone);
        }
        let after = state(decoder);
        let samples = decode(decoder, payload, 0, behind);
        let next = &mut behind[..samples.unwrap_or(0)];
        if copied {
            self.concealer.copied(hole, Some(next));
        } else if own {
            self.concealer.revise(hole, Some(next));
        } else {
            self.concealer.conceal(hole, Some(next));
        }
        let count = hole.len();
        self.whole = false;
        self.pcm.commit_made(count);
        self.take_in(decoder, samples, made, after);
    }

    /// By how much the delay is off with so many samples at hand, if that can be mended now.
    fn surplus_us(&self, now_us: u64, queued: usize, frame: usize) -> i64 {
        if self.rest > 0 || !self.pcm.is_genuine() {
            return 0;
        }
        self.jitter
            .surplus_us(now_us, self.units(queued), self.units(frame))
    }

    /// Shortens or lengthens what is about to be played, whose delay is off by `surplus`.
    fn mend(&mut self, surplus: i64, now_us: u64, decoder: &mut Decoder, frame: usize) {
        let most = (surplus.unsigned_abs() * u64::from(self.rate().hz()) / 1_000_000) as usize;
        let urgent = surplus.abs() > URGENT_US;
        let mended = if surplus < 0 {
            self.lengthen(most)
        } else if !urgent && self.deferred > 0 && !is_quiet(self.pcm.front(frame)) {
            self.deferred -= 1;
            self.rest = REFUSED_FRAMES;
            return;
        } else {
            self.gather_ahead(now_us, decoder, frame);
            self.shorten(frame, most)
        };
        // Less than a period, or no voice: that can wait, and longer each time.
        self.futile = match mended {
            Mended::No if surplus > 0 => MOST_FUTILE.min(self.futile + 1),
            _ => 0,
        };
        self.deferred = (1 << self.futile) - 1;
        self.rest = match mended {
            Mended::Quiet => 1,
            _ if urgent => 1,
            Mended::No if surplus > 0 => REFUSED_FRAMES,
            Mended::No | Mended::Voice => 2,
        };
    }

    /// Decodes a packet more than the frame needs, so that there is something to shorten. Where there is no room for it that waits.
    fn gather_ahead(&mut self, now_us: u64, decoder: &mut Decoder, frame: usize) {
        let wanted = frame + self.rate().samples_in_ms(STRETCHED_MS - 20);
        while self.pcm.len() < wanted && self.jitter.has_next() && !self.needs_room() {
            let before = self.pcm.len();
            self.gather(now_us, decoder, before + 1);
        }
    }

    /// Leaves out a period of at most so many samples, or anything in a quiet place.
    fn shorten(&mut self, frame: usize, most: usize) -> Mended {
        let (mut before, mut after) = ([0; WINDOW], [0; WINDOW]);
        let before = self.window(&mut before);
        let spare = most.min(self.pcm.len().saturating_sub(frame));
        let quiet = is_quiet(before);
        let length = if quiet {
            let cut = spare.min(self.rate().samples_in_ms(CUT_MS));
            shift(before, before.len().saturating_sub(cut), &mut after)
        } else {
            stretch::shorten(before, self.rate().hz(), &mut after)
        };
        let Some(length) = length.filter(|length| before.len() - length <= spare) else {
            return Mended::No;
        };
        self.pcm.replace_front(before.len(), &after[..length]);
        self.stats.shortened += (before.len() - length) as u64;
        if quiet { Mended::Quiet } else { Mended::Voice }
    }

    /// Repeats a period, or anything of at most so many samples in a quiet place.
    fn lengthen(&mut self, most: usize) -> Mended {
        let (mut before, mut after) = ([0; WINDOW], [0; WINDOW]);
        let before = self.window(&mut before);
        let quiet = is_quiet(before);
        let length = if quiet {
            let more = most.min(self.rate().samples_in_ms(CUT_MS));
            shift(before, before.len() + more, &mut after)
        } else {
            stretch::lengthen(before, self.rate().hz(), &mut after)
        };
        let Some(length) = length else {
            return Mended::No;
        };
        self.pcm.replace_front(before.len(), &after[..length]);
        self.stats.lengthened += (length - before.len()) as u64;
        if quiet { Mended::Quiet } else { Mended::Voice }
    }

    /// What stretching works on.
    fn window<'w>(&self, space: &'w mut [i16; WINDOW]) -> &'w [i16] {
        let front = self.pcm.front(self.rate().samples_in_ms(STRETCHED_MS));
        space[..front.len()].copy_from_slice(front);
        &space[..front.len()]
    }

    fn units(&self, samples: usize) -> u32 {
        let (clock, rate) = (self.encoding.clock().hz(), self.rate().hz());
        (samples as u64 * u64::from(clock) / u64::from(rate)) as u32
    }
}

fn is_quiet(samples: &[i16]) -> bool {
    level::dbm0(samples) < QUIET_DBM0
}

/// Whether a packet sounds the same whenever it is decoded.
fn is_stateless(decoder: &Decoder) -> bool {
    matches!(decoder, Decoder::G711(_) | Decoder::L16(_))
}

fn concealer(encoding: Encoding) -> Concealer {
    let concealer = Concealer::new(encoding.audio().hz());
    match encoding {
        Encoding::G722 => concealer.with_memory(G722_HEAL_MS),
        Encoding::Opus => concealer.with_memory(OPUS_HEAL_MS),
        Encoding::Pcmu | Encoding::Pcma | Encoding::L16Narrow | Encoding::L16Wide => concealer,
    }
}

/// Where a decoder is whose concealment is ours.
fn state(decoder: &Decoder) -> Option<g722::Decoder> {
    match decoder {
        Decoder::G722(decoder) => Some(decoder.clone()),
        Decoder::G711(_) | Decoder::L16(_) | Decoder::Opus(_) => None,
    }
}

/// Whether packets are decoded in the light of those before, and concealment is ours.
fn is_adaptive(decoder: &Decoder) -> bool {
    matches!(decoder, Decoder::G722(_))
}

/// Lets the decoder follow what was made up in place of packets.
fn follow(decoder: &mut Decoder, made: &[i16], concealer: &Concealer) {
    if is_adaptive(decoder) {
        let mut beyond = [0; g722::DELAY];
        concealer.clone().conceal(&mut beyond, None);
        decoder.follow(made, &beyond);
    }
}

/// Decodes a payload to the start of `out` without its first samples. Says how many there are.
fn decode(decoder: &mut Decoder, payload: &[u8], skip: usize, out: &mut [i16]) -> Option<usize> {
    let count = decoder.decode(payload, out).ok()?;
    let skip = skip.min(count);
    out.copy_within(skip..count, 0);
    Some(count - skip)
}

/// Makes a sound longer or shorter: its beginning passes into its end. The lengths differ by half of the shorter one at most.
fn shift(samples: &[i16], length: usize, out: &mut [i16]) -> Option<usize> {
    let (short, long) = (samples.len().min(length), samples.len().max(length));
    if (long - short) * 2 > short {
        return None;
    }
    let joint = short / 2;
    let at = (length - joint) / 2;
    for (index, out) in out.get_mut(..length)?.iter_mut().enumerate() {
        let weight = index.saturating_sub(at).min(joint) as i32;
        let of = |place: usize| samples.get(place).map_or(0, |sample| i32::from(*sample));
        let (before, after) = (
            of(index),
            of((index + samples.len()).saturating_sub(length)),
        );
        *out = ((before * (joint as i32 - weight) + after * weight) / joint.max(1) as i32) as i16;
    }
    Some(length)
}

#[cfg(test)]
#[path = "playout_tests.rs"]
mod tests;
