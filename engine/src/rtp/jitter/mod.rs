//! The jitter buffer: packets of any codec in by timestamp, each out again when its turn comes. Sans-IO: time is an argument.
//!
//! The caller plays what it is given at its own pace and says how much it still has; the buffer says what comes next (a packet, a hole,
//! a pause, nothing yet) and by how much the delay is off, which the caller mends by stretching time. Who is late makes the stream wait:
//! the delay grows at once. A pause of the peer is where the delay is chosen anew. Never allocates after it was made.
//!
//! ```text
//! insert ─► place in time ─► store ─► next ─► Packet | Lost | Silence | Wait | Idle
//!              └─► transit ─► delay (distribution, base, target) ─► surplus
//! ```
//!
//! Limits: 64 packets, the octets it was made with or lent, 400 ms of delay; packets of up to 120 ms.

mod delay;
mod store;

pub use delay::Aim;

use std::mem::offset_of;
use std::ops::Range;

use super::clock::ClockRate;
use super::is_newer;
use delay::Delay;
use store::{Entry, NEAR, Store};

/// Longest delay in µs; who is later begins the stream anew.
const LONGEST_US: i64 = 400_000;
/// Delay at which packets are given up, in µs.
const LONGEST_HELD_US: i64 = LONGEST_US + 100_000;
/// Longest packet in ms.
const LONGEST_PACKET_MS: u32 = 120;
/// Late packets in a row that make the stream start anew.
const LATE_RUN: u8 = 3;
/// What is played longer when the next packet is overdue, in µs.
const OVERDUE_US: i64 = 100_000;
/// A timestamp that differs more than this from what its arrival suggests says nothing about time, in µs.
const FAR_US: i64 = 3_000_000;
/// Longest hole in ms that is given out at once when the packet behind it is there.
const BRIDGED_MS: u32 = 60;
/// Shortest pause of a peer in ms; what is less is rounding.
const PAUSE_MS: u32 = 8;
/// Octets of a cache line.
const LINE: usize = 64;
/// Delay that is not worth mending, in µs.
const SLACK_US: i64 = 3_000;

/// A packet as it came.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'p> {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker: the first packet after a pause.
    pub marker: bool,
    /// Length of its audio in units of the RTP clock.
    pub units: u32,
    /// Its payload.
    pub payload: &'p [u8],
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It will be played.
    Queued,
    /// Its turn was over: dropped.
    Late,
    /// Its time is filled already: dropped.
    Duplicate,
    /// It began a stream or a new place in time.
    Started,
    /// Empty or too long: dropped.
    Refused,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn<'p> {
    /// A packet: decode it.
    Packet {
        /// Its payload.
        payload: &'p [u8],
        /// Its length in units of the RTP clock.
        units: u32,
        /// Units at its beginning whose time is over.
        skip: u32,
    },
    /// Packets that were sent did not come: conceal so many units.
    Lost {
        /// Units of the RTP clock, at most 60 ms, 20 ms of a longer hole.
        units: u32,
        /// Whether the next turn is the packet right after them.
        adjoining: bool,
    },
    /// The peer sent nothing for so long, as it said: silence for what the caller needs.
    Silence,
    /// Nothing came yet. Conceal what the caller needs; what is late is played afterwards.
    Wait {
        /// Whether the peer said that it is silent now.
        quiet: bool,
    },
    /// No stream yet, or it waits for its delay to build up.
    Idle,
}

/// What happened in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Packets dropped because their turn was over.
    pub late: u64,
    /// Packets dropped because there were too many.
    pub overflow: u64,
    /// Units of the RTP clock that never came in time.
    pub lost_units: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Empty,
    Starting,
    Running,
}

/// The newest packet: the anchor between RTP and media time.
#[derive(Debug, Clone, Copy)]
struct Newest {
    sequence: u16,
    timestamp: u32,
    at: i64,
}

/// The buffer of one source. In this order in memory: what every packet touches lies together.
#[derive(Debug)]
#[repr(C)]
pub struct JitterBuffer {
    clock: ClockRate,
    phase: Phase,
    newest: Option<Newest>,
    /// Arrival of the newest packet less its media time, in µs.
    transit: i64,
    /// Media time after the newest sample.
    end: i64,
    /// Media time of what is handed out next.
    play: i64,
    /// Units the caller filled in since the last packet, which may stand for a hole.
    waited: i64,
    /// Units of the last packet handed out.
    packet_units: u32,
    late_run: u8,
    quiet: bool,
    tally: Tally,
    delay: Delay,
    store: Store,
}

impl JitterBuffer {
    /// An empty buffer for a clock, with room for so many octets of payload.
    pub fn new(clock: ClockRate, octets: usize, aim: Aim) -> JitterBuffer {
        let mut buffer = JitterBuffer::small(clock, aim);
        buffer
            .store
            .lend(Vec::with_capacity(octets.saturating_sub(NEAR)));
        buffer
    }

    /// An empty buffer for a clock with room for what a stream without bursts needs: ten packets of G.711. More can be
    /// [lent](Self::lend).
    pub fn small(clock: ClockRate, aim: Aim) -> JitterBuffer {
        JitterBuffer {
            clock,
            store: Store::new(),
            delay: Delay::new(aim),
            phase: Phase::Empty,
            newest: None,
            transit: 0,
            end: 0,
            play: 0,
            waited: 0,
            packet_units: clock.samples_in_ms(20),
            late_run: 0,
            quiet: false,
            tally: Tally::default(),
        }
    }

    /// Where in its memory lies what every packet of a steady stream touches, for whoever can fetch that ahead.
    pub const TOUCHED: [Range<usize>; 2] = [
        0..offset_of!(JitterBuffer, delay) + offset_of!(Delay, bins) + LINE,
        offset_of!(JitterBuffer, store)
            ..offset_of!(JitterBuffer, store) + offset_of!(Store, entries) + LINE,
    ];

    /// Lends it as much room beside its own as this has capacity. Returns what was lent before, which is to be less.
    pub fn lend(&mut self, room: Vec<u8>) -> Vec<u8> {
        self.store.lend(room)
    }

    /// What was lent, unless it is needed.
    pub fn give_back(&mut self) -> Option<Vec<u8>> {
        self.store.give_back()
    }

    /// Whether it may need to be lent room for a packet of so many octets.
    pub fn is_crowded(&self, length: usize) -> bool {
        self.store.is_crowded(length)
    }

    /// What comes next as far as it is known: units of a hole, and of the packet behind it.
    pub fn ahead(&self) -> (u32, u32) {
        let Some(first) = self.store.first() else {
            return (0, 0);
        };
        let gap = if first.follows {
            0
        } else {
            first.at - self.play
        };
        let most = i64::from(self.clock.samples_in_ms(BRIDGED_MS));
        (gap.clamp(0, most) as u32, u32::from(first.units))
    }

    /// Forgets everything but what it counted, for a new source or codec.
    pub fn reset(&mut self, clock: ClockRate) {
        self.store.clear();
        self.clock = clock;
        self.phase = Phase::Empty;
        self.newest = None;
        self.waited = 0;
        self.late_run = 0;
        self.quiet = false;
    }

    /// The clock of its timestamps.
    pub fn clock(&self) -> ClockRate {
        self.clock
    }

    /// What happened so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What packets shall wait, in µs beyond the fastest of the last seconds.
    pub fn target_us(&self) -> u32 {
        self.target().max(0) as u32
    }

    /// What the next sample will have waited, in µs beyond the fastest packet of the last seconds. `lead` is what the caller has still
    /// to play, in units of the RTP clock.
    pub fn delay_us(&self, now_us: u64, lead: u32) -> u32 {
        if self.phase == Phase::Empty {
            return 0;
        }
        self.delay_at(now_us, self.play - i64::from(lead)).max(0) as u32
    }

    /// Takes note of a packet without audio (an event), so that its number is not missed.
    pub fn skip(&mut self, sequence: u16) {
        if let Some(newest) = &mut self.newest
            && is_newer(sequence, newest.sequence)
        {
            newest.sequence = sequence;
        }
    }

    /// Takes note of comfort noise: the peer is silent from now on.
    pub fn quieten(&mut self, sequence: u16) {
        self.quiet = true;
        self.skip(sequence);
    }

    /// Takes one packet.
    pub fn insert(&mut self, now_us: u64, packet: &Arrived<'_>) -> Inserted {
        let length = packet.payload.len();
        if length == 0
            || length > self.store.longest_payload()
            || packet.units == 0
            || packet.units > self.clock.samples_in_ms(LONGEST_PACKET_MS)
        {
            return Inserted::Refused;
        }
        let Some(newest) = self.newest else {
            self.end = 0;
            return self.start(now_us, packet);
        };
        let follows = packet.sequence == newest.sequence.wrapping_add(1);
        let mut at = newest.at + i64::from(packet.timestamp.wrapping_sub(newest.timestamp) as i32);
        let stands = follows && at < self.end && at > self.end - i64::from(self.clock.hz());
        if stands && !packet.marker {
            // The peer's time stands still or overlaps: believe its sequence.
            at = self.end;
        }
        if (self.transit_of(now_us, at) - self.transit).abs() > FAR_US {
            if !follows {
                return self.start(now_us, packet);
            }
            // The peer's time jumped, its sequence did not.
            at = self.end;
        }
        let excess = self.delay_at(now_us, at) - LONGEST_US;
        let over = at + i64::from(packet.units) <= self.play;
        if excess > 0 || over {
            return self.late(now_us, packet, at, follows);
        }
        if self.store.covers(at) {
            return Inserted::Duplicate;
        }
        self.place(now_us, packet, at, follows || packet.marker)
    }

    /// Begins a stretch of media time after all that is known: its first packet waits for the present target.
    fn start(&mut self, now_us: u64, packet: &Arrived<'_>) -> Inserted {
        let at = self.end.max(self.play);
        let transit = self.transit_of(now_us, at);
        self.delay.restart(now_us, transit);
        if self.store.first().is_none() {
            self.phase = Phase::Starting;
            self.play = at;
            self.waited = 0;
        }
        self.newest = None;
        self.place(now_us, packet, at, true);
        Inserted::Started
    }

    /// A packet whose turn is over. When nothing but such packets come the stream starts anew.
    fn late(&mut self, now_us: u64, packet: &Arrived<'_>, at: i64, follows: bool) -> Inserted {
        self.late_run = self.late_run.saturating_add(1);
        let alone = self.store.first().is_none();
        if alone && (follows || packet.marker || self.late_run >= LATE_RUN) {
            return self.start(now_us, packet);
        }
        let transit = self.transit_of(now_us, at);
        if transit - self.delay.base() <= LONGEST_US {
            self.observe(now_us, packet, transit);
        }
        self.advance(packet, at);
        self.tally.late += 1;
        Inserted::Late
    }

    fn place(&mut self, now_us: u64, packet: &Arrived<'_>, at: i64, follows: bool) -> Inserted {
        self.late_run = 0;
        self.quiet = false;
        let transit = self.transit_of(now_us, at);
        self.observe(now_us, packet, transit);
        self.advance(packet, at);
        self.transit = transit;
        self.end = self.end.max(at + i64::from(packet.units));
        let given_up = self
            .store
            .insert(at, packet.units as u16, follows, packet.payload);
        if given_up > 0 {
            self.tally.overflow += u64::from(given_up);
            self.play = self.store.first().map_or(self.play, |first| first.at);
        }
        Inserted::Queued
    }

    fn observe(&mut self, now_us: u64, packet: &Arrived<'_>, transit: i64) {
        let ms = packet.units as f32 * 1000.0 / self.clock.hz() as f32;
        self.delay.observe(now_us, transit, ms);
    }

    fn advance(&mut self, packet: &Arrived<'_>, at: i64) {
        let newer = |newest: Newest| is_newer(packet.sequence, newest.sequence);
        if self.newest.is_none_or(newer) {
            self.newest = Some(Newest {
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                at,
            });
        }
    }

    fn transit_of(&self, now_us: u64, at: i64) -> i64 {
        now_us as i64 - self.clock.us(at)
    }

    /// What a sample waits that is played now.
    fn delay_at(&self, now_us: u64, at: i64) -> i64 {
        self.transit_of(now_us, at) - self.delay.base()
    }

    fn target(&self) -> i64 {
        self.delay.target().min(LONGEST_US)
    }

    /// What comes next at this moment. The caller has `lead` units still to play and needs `need` more now: what it fills in for
    /// [`Turn::Silence`] and [`Turn::Wait`]. Units are those of the RTP clock.
    pub fn next(&mut self, now_us: u64, lead: u32, need: u32) -> Turn<'_> {
        match self.phase {
            Phase::Empty => return Turn::Idle,
            Phase::Starting if self.delay_at(now_us, self.play) < self.target() => {
                return Turn::Idle;
            }
            Phase::Starting | Phase::Running => self.phase = Phase::Running,
        }
        self.give_up(now_us, lead);
        let Some(first) = self.store.first().copied() else {
            self.waited += i64::from(need);
            return Turn::Wait { quiet: self.quiet };
        };
        let gap = first.at - self.play;
        if gap <= 0 {
            return self.hand_out();
        }
        if first.follows {
            let rounding = gap < i64::from(self.clock.samples_in_ms(PAUSE_MS));
            let due = self.delay_at(now_us, first.at) >= self.target() && self.waited * 2 >= gap;
            if rounding || due {
                return self.hand_out();
            }
            self.waited += i64::from(need);
            return Turn::Silence;
        }
        let rest = gap - self.waited;
        if rest <= 0 {
            self.tally.lost_units += gap as u64;
            return self.hand_out();
        }
        self.lose(rest, gap)
    }

    /// All of a short hole, or the first frame of a long one.
    fn lose(&mut self, rest: i64, gap: i64) -> Turn<'_> {
        let whole = rest <= i64::from(self.clock.samples_in_ms(BRIDGED_MS));
        let frame = i64::from(self.clock.samples_in_ms(20));
        let units = if whole { rest } else { frame };
        let over = gap - rest + units;
        self.tally.lost_units += over as u64;
        self.play += over;
        self.waited = 0;
        Turn::Lost {
            units: units as u32,
            adjoining: whole,
        }
    }

    /// Drops what is over, and what exceeds the longest delay.
    fn give_up(&mut self, now_us: u64, lead: u32) {
        while let Some(first) = self.store.first().copied() {
            let over = first.end() <= self.play;
            let begins = first.at.max(self.play) - i64::from(lead);
            let excess = self.delay_at(now_us, begins) > LONGEST_HELD_US;
            if !over && !excess {
                return;
            }
            self.store.remove_first();
            self.play = self.play.max(first.end());
            self.waited = 0;
            self.tally.overflow += 1;
        }
    }

    fn hand_out(&mut self) -> Turn<'_> {
        let Some(entry) = self.store.hand_out() else {
            return Turn::Idle;
        };
        let skip = (self.play - entry.at).max(0) as u32;
        self.play = entry.end();
        self.waited = 0;
        self.packet_units = u32::from(entry.units);
        self.packet(&entry, skip)
    }

    /// The steady case of [`next`](Self::next) at less cost: the packet whose turn it is, if it has so many units and nothing is to be made up
    /// or given up before.
    pub fn next_whole(&mut self, now_us: u64, units: u32) -> Option<&[u8]> {
        let first = self.store.first()?;
        let steady = self.phase == Phase::Running
            && (first.at, u32::from(first.units)) == (self.play, units)
            && self.delay_at(now_us, first.at) <= LONGEST_HELD_US;
        if !steady {
            return None;
        }
        let entry = self.store.hand_out()?;
        self.play = entry.end();
        self.waited = 0;
        self.packet_units = units;
        Some(self.store.payload(&entry))
    }

    /// Packets handed out so far.
    pub fn handed(&self) -> u64 {
        self.store.handed()
    }

    /// The payload of the packet that was handed out after `number` others. The last few are kept as long as their place is not needed.
    pub fn past(&self, number: u64) -> Option<&[u8]> {
        self.store.past(number)
    }

    fn packet(&self, entry: &Entry, skip: u32) -> Turn<'_> {
        Turn::Packet {
            payload: self.store.payload(entry),
            units: u32::from(entry.units),
            skip,
        }
    }

    /// Whether a packet can be had now without a hole before it.
    pub fn has_next(&self) -> bool {
        let next = |first: &Entry| first.at <= self.play;
        self.phase == Phase::Running && self.store.first().is_some_and(next)
    }

    /// By how many µs the delay is too long (positive: shorten what is played) or too short (negative: lengthen it); 0 when it is
    /// right. `lead` is what the caller has to play, of which `frame` is about to be.
    ///
    /// A packet is needed when the frame begins in which it is played, so the best delays are those where packets begin with a frame.
    pub fn surplus_us(&self, now_us: u64, lead: u32, frame: u32) -> i64 {
        if self.phase != Phase::Running || self.waited > 0 {
            return 0;
        }
        // Of a packet that was lost the next one tells in time.
        let packet = self.clock.us(i64::from(self.packet_units));
        let usual = self.delay.usual().max(packet) + SLACK_US;
        if self.delay_at(now_us, self.end) > usual && !self.quiet {
            // The network seems to stand: what is there has to last longer.
            return -OVERDUE_US;
        }
        let step = i64::from(gcd(frame, self.packet_units).max(1));
        let needed = self.target() + self.clock.us(i64::from(frame) - step);
        let delay = self.delay_at(now_us, self.play - i64::from(lead));
        let ahead = (i64::from(lead) - i64::from(frame)).rem_euclid(step);
        // The delays at which packets begin with frames are this one and others by whole steps.
        let aligned = delay - self.clock.us(ahead);
        let step = self.clock.us(step);
        let steps = (aligned - needed).div_euclid(step);
        let mut best = aligned - steps * step;
        if steps > 0 && best < needed + SLACK_US {
            best += step;
        }
        let surplus = delay - best;
        if surplus.abs() < SLACK_US { 0 } else { surplus }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod traces;
