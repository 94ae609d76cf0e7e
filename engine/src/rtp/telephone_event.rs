//! DTMF as RTP telephone events (RFC 4733): the receiver that makes one key of one event, and the sender.
//!
//! The receiver tolerates what peers get wrong: see its tests. Event codes above 15 are ignored. Durations are in units of
//! the audio's RTP clock (RFC 4733 section 2.1).

use std::time::{Duration, Instant};

use super::clock::ClockRate;
use super::is_newer;

/// Without a packet for this long an event is over although its end never came. Longer than two packets of 100 ms.
const SILENT_END: Duration = Duration::from_millis(250);
/// A key that is held longer is let go, in ms. Longer than a segment of the 8 kHz clock; whoever never ends a key is understood after
/// that long.
const LONGEST_MS: u32 = 10_000;
/// Peers that restamp the copies of an end do so by a packet time, at most 60 ms. Two presses are at least 80 ms apart
/// (ITU-T Q.24: 40 ms of tone and 40 ms of pause).
const RISING_STEP_MS: u32 = 60;
/// Peers that let the timestamp rise inside an event let its duration rise by as much, with this accuracy in ms: less than the shortest
/// pause between two presses (ITU-T Q.24).
const RISING_SLACK_MS: u32 = 30;
/// Two segments of an event follow each other with this accuracy, in ms.
const SEGMENT_SLACK_MS: u32 = 120;
/// The longest duration a packet can state; an event that goes on is continued with a new timestamp (RFC 4733 section 2.5.1.3).
const SEGMENT: u32 = 0xFFFF;
/// Packets with the end bit (RFC 4733 section 2.5.1.4).
const END_PACKETS: u8 = 3;

/// What the receiver heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEvent {
    /// A key went down.
    Begin {
        /// Event code, 0 to 15.
        code: u8,
        /// How long it was down already when its first packet came, in units of the clock.
        lasted: u32,
        /// Its level in -dBm0, as the peer states it.
        volume: u8,
    },
    /// It went up.
    End {
        /// Event code, 0 to 15.
        code: u8,
        /// How long it was down, in units of the clock.
        duration: u32,
    },
}

/// The four octets of an event payload (RFC 4733 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Event code.
    pub code: u8,
    /// End bit.
    pub end: bool,
    /// Power in -dBm0, 0 to 63.
    pub volume: u8,
    /// Duration so far in timestamp units.
    pub duration: u16,
}

impl Payload {
    /// Reads the first event of a payload; `None` if it is shorter than four octets.
    pub fn parse(payload: &[u8]) -> Option<Payload> {
        let [code, flags, high, low] = *payload.first_chunk::<4>()?;
        Some(Payload {
            code,
            end: flags & 0x80 != 0,
            volume: flags & 0x3F,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// Writes it.
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [
            self.code,
            u8::from(self.end) << 7 | (self.volume & 0x3F),
            high,
            low,
        ]
    }
}

/// The newest event, down or just over.
#[derive(Debug, Clone, Copy)]
struct Press {
    code: u8,
    /// Timestamp of the event or of its present segment.
    timestamp: u32,
    /// Sequence number of its newest packet.
    sequence: u16,
    /// Duration of the segments before the present one.
    before: u32,
    duration: u16,
    down: bool,
    heard_at: Instant,
}

impl Press {
    fn new(now: Instant, sequence: u16, timestamp: u32, event: Payload) -> Press {
        Press {
            code: event.code,
            timestamp,
            sequence,
            before: 0,
            duration: event.duration,
            down: true,
            heard_at: now,
        }
    }

    fn go_on(&mut self, now: Instant, sequence: u16, timestamp: u32, duration: u16) {
        self.duration = self.duration.max(duration);
        self.timestamp = timestamp;
        self.heard_at = now;
        if is_newer(sequence, self.sequence) {
            self.sequence = sequence;
        }
    }

    /// An event that is over for us goes on at the peer.
    fn follow(&mut self, sequence: u16, timestamp: u32, duration: u16) {
        self.duration = match timestamp == self.timestamp {
            true => self.duration.max(duration),
            false => duration,
        };
        self.sequence = sequence;
        self.timestamp = timestamp;
    }

    fn total(&self) -> u32 {
        self.before + u32::from(self.duration)
    }
}

/// Receives the events of one source.
#[derive(Debug)]
pub struct Receiver {
    clock: ClockRate,
    last: Option<Press>,
}

impl Default for Receiver {
    /// One of the 8 kHz clock.
    fn default() -> Self {
        Receiver {
            clock: ClockRate::HZ_8000,
            last: None,
        }
    }
}

/// What a packet is to the newest event.
enum Relation {
    /// Tells nothing new: reordered, or another copy of the end.
    Old,
    /// The same event goes on; its timestamp may have moved.
    Same,
    /// The same event in a new segment.
    NextSegment,
    /// Another event.
    Another,
}

impl Receiver {
    /// What durations and timestamps count in from now on. An event in progress is over where it changes.
    pub fn set_clock(&mut self, clock: ClockRate, on: &mut impl FnMut(KeyEvent)) {
        if clock != self.clock {
            self.reset(on);
            self.clock = clock;
        }
    }

    /// What durations count in.
    pub fn clock(&self) -> ClockRate {
        self.clock
    }

    /// Takes one packet of the telephone-event payload type.
    pub fn receive(
        &mut self,
        now: Instant,
        sequence: u16,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        on: &mut impl FnMut(KeyEvent),
    ) {
        let Some(event) = Payload::parse(payload).filter(|event| event.code <= 15) else {
            return;
        };
        self.expire(now, on);
        let relation = match &self.last {
            Some(press) => relation(self.clock, press, sequence, timestamp, marker, event),
            None => Relation::Another,
        };
        match (relation, &mut self.last) {
            (Relation::Old, Some(press)) => {
                if is_newer(sequence, press.sequence) {
                    press.follow(sequence, timestamp, event.duration);
                }
                return;
            }
            (Relation::Same, Some(press)) => press.go_on(now, sequence, timestamp, event.duration),
            (Relation::NextSegment, Some(press)) => {
                press.before += SEGMENT;
                press.duration = 0;
                press.go_on(now, sequence, timestamp, event.duration);
            }
            _ => {
                self.release(on);
                on(KeyEvent::Begin {
                    code: event.code,
                    lasted: event.duration.into(),
                    volume: event.volume,
                });
                self.last = Some(Press::new(now, sequence, timestamp, event));
            }
        }
        if event.end
            || self
                .last
                .is_some_and(|press| press.total() > self.clock.samples_in_ms(LONGEST_MS))
        {
            self.release(on);
        }
    }

    /// Lets a key go whose end never came. To be called at [`next_timeout`](Receiver::next_timeout) or now and then.
    pub fn expire(&mut self, now: Instant, on: &mut impl FnMut(KeyEvent)) {
        if self.next_timeout().is_some_and(|at| at <= now) {
            self.release(on);
        }
    }

    /// When [`expire`](Receiver::expire) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.last
            .filter(|press| press.down)
            .map(|press| press.heard_at + SILENT_END)
    }

    /// The source restarted its sequence numbers with the packet that comes next; an event in progress goes on.
    pub fn resequence(&mut self, next: u16) {
        if let Some(press) = &mut self.last {
            press.sequence = next.wrapping_sub(1);
        }
    }

    /// Lets a key go and forgets everything: the source changed.
    pub fn reset(&mut self, on: &mut impl FnMut(KeyEvent)) {
        self.release(on);
        self.last = None;
    }

    fn release(&mut self, on: &mut impl FnMut(KeyEvent)) {
        if let Some(press) = &mut self.last
            && press.down
        {
            press.down = false;
            on(KeyEvent::End {
                code: press.code,
                duration: press.total(),
            });
        }
    }
}

fn relation(
    clock: ClockRate,
    press: &Press,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    event: Payload,
) -> Relation {
    let newer = is_newer(sequence, press.sequence);
    let same_key = event.code == press.code;
    let step = timestamp.wrapping_sub(press.timestamp);
    if step == 0 && same_key {
        return match (press.down, newer) {
            (true, _) => Relation::Same,
            // A packet without end after the end, that says it is a first one or whose duration starts anew: the next press on the
            // old timestamp.
            (false, true) if !event.end && (marker || event.duration < press.duration) => {
                Relation::Another
            }
            (false, _) => Relation::Old,
        };
    }
    if !newer {
        return Relation::Old;
    }
    if !same_key || marker {
        return Relation::Another;
    }
    let slack = clock.samples_in_ms(SEGMENT_SLACK_MS);
    if SEGMENT - u32::from(press.duration) <= slack && step.abs_diff(SEGMENT) <= slack {
        return match press.down {
            true => Relation::NextSegment,
            // Held for too long or unheard for too long: it was let go already.
            false => Relation::Old,
        };
    }
    match press.down {
        true if rises(clock, press, step, event) => Relation::Same,
        // Copies of the end packet with a timestamp of their own.
        false if event.end && restamps(clock, press, step, event) => Relation::Old,
        _ => Relation::Another,
    }
}

/// Whether the timestamp is of the same event although it rose: the duration rose with it. Of another press it could not, because
/// that began after a pause.
fn rises(clock: ClockRate, press: &Press, step: u32, event: Payload) -> bool {
    let grown = u32::from(event.duration).checked_sub(press.duration.into());
    grown.is_some_and(|grown| {
        let slack = clock.samples_in_ms(RISING_SLACK_MS);
        step <= grown.saturating_add(slack) || step <= clock.samples_in_ms(RISING_STEP_MS)
    })
}

fn restamps(clock: ClockRate, press: &Press, step: u32, event: Payload) -> bool {
    step <= clock.samples_in_ms(RISING_STEP_MS) && event.duration >= press.duration
}

/// Sends one event: call [`next`](Sender::next) once per 20 ms until it gives nothing more. Packets of a segment carry the same
/// [`timestamp`](Sender::timestamp).
#[derive(Debug, Clone)]
pub struct Sender {
    code: u8,
    clock: ClockRate,
    /// Of the present segment.
    timestamp: u32,
    /// Timestamp units the event still has to last from the beginning of the segment on.
    length: u32,
    /// Of the segment.
    sent: u32,
    /// Of the segments before.
    before: u32,
    begun: bool,
    /// The segment was reported full.
    full: bool,
    ends_left: u8,
}

/// Shortest event in ms (ITU-T Q.24).
const SHORTEST_MS: u32 = 40;
/// Longest event that is sent, in ms.
const HELD_MS: u32 = 60_000;

/// Power of the events we send, in -dBm0.
const VOLUME: u8 = 10;

impl Sender {
    /// An event that begins at `timestamp` of the audio clock and lasts `ms`, 40 to 60,000.
    pub fn new(code: u8, clock: ClockRate, timestamp: u32, ms: u32) -> Sender {
        Sender {
            code,
            clock,
            timestamp,
            length: clock.samples_in_ms(ms.clamp(SHORTEST_MS, HELD_MS)),
            sent: 0,
            before: 0,
            begun: false,
            full: false,
            ends_left: END_PACKETS,
        }
    }

    /// The RTP timestamp of the packet that [`next`](Sender::next) gave.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Ends the event after `ms` in all, or now if that is past.
    pub fn end_after(&mut self, ms: u32) {
        let length = self
            .clock
            .samples_in_ms(ms.clamp(SHORTEST_MS, HELD_MS))
            .saturating_sub(self.before);
        self.length = length.clamp(self.sent, self.length);
    }

    /// The next packet after another `ms` of time: its marker bit and payload. `None` when it is over. What does not fit one packet's
    /// duration goes on in another segment, after a packet that reports the first one full (RFC 4733 section 2.5.1.3).
    pub fn next(&mut self, ms: u32) -> Option<(bool, Payload)> {
        let marker = !std::mem::replace(&mut self.begun, true);
        self.sent = (self.sent + self.clock.samples_in_ms(ms)).min(self.length);
        if self.sent > SEGMENT && std::mem::replace(&mut self.full, true) {
            self.full = false;
            self.timestamp = self.timestamp.wrapping_add(SEGMENT);
            self.before += SEGMENT;
            self.sent -= SEGMENT;
            self.length -= SEGMENT;
        }
        let end = self.sent == self.length && !self.full;
        if end {
            self.ends_left = self.ends_left.checked_sub(1)?;
        }
        Some((
            marker,
            Payload {
                code: self.code,
                end,
                volume: VOLUME,
                duration: self.sent.min(SEGMENT) as u16,
            },
        ))
    }
}

#[cfg(test)]
#[path = "telephone_event_tests.rs"]
mod tests;
