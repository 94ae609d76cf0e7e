//! The arithmetic of relaying one RTP stream into another packet for packet: sequence numbers, timestamps, and the pace.
//!
//! Pure: numbers and milliseconds in, numbers out. What the source lost or reordered is lost or reordered for the far side, too: its
//! jitter buffer sees the truth. What the source makes of its numbers (another SSRC, a restart, a jump) stays here: the far side sees one
//! stream that goes on. No two packets ever get the same sequence number (with SRTP they would share a key stream). Never looks at
//! samples and never sends.
//!
//! Limits: 50 sequence numbers are the longest gap that is passed on as loss; a stream is passed on at twice its own pace at most, after
//! a burst of one second.

use crate::rtp::clock::ClockRate;
use crate::rtp::is_newer;

/// The longest gap in sequence numbers that is loss; a longer one is a jump of the source.
const LONGEST_GAP: u16 = 50;
/// ms a timestamp may run ahead of the time that went by before it is a jump. A network delays, it never hurries.
const AHEAD_MS: i64 = 500;
/// ms a timestamp may step back from one packet to the next.
const BACK_MS: i64 = 120;
/// The longest segment of an event in units of its clock (RFC 4733 section 2.5.1.3).
const SEGMENT: i64 = 0xFFFF;
/// ms an event may have begun before the audio's present, beside its longest segment.
const EVENT_BACK_MS: i64 = 2000;
/// An event that has lasted longer when its first packet is relayed is placed where it began, in ms.
const JOINED_MS: u32 = 100;

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    /// A telephone event that has lasted so long, in timestamp units.
    Event {
        duration: u16,
    },
    ComfortNoise,
}

/// What counts of a received packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) kind: Kind,
    /// Not after one with a higher number.
    pub(crate) in_order: bool,
    /// Timestamp units of audio.
    pub(crate) samples: u32,
    /// What timestamps and durations count in.
    pub(crate) clock: ClockRate,
}

/// Where the outgoing stream stands: what its next packet would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

/// The numbers a relayed packet gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// It begins a stretch and needs the marker.
    pub(crate) begins: bool,
}

/// The mapping from one source into one outgoing stream.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    anchor: Option<Anchor>,
    /// Timestamps of the present event: the source's and ours. All its packets share one, whatever happens between them.
    event: Option<(u32, u32)>,
}

/// A stretch in which the numbers of both streams differ by constants.
#[derive(Debug)]
struct Anchor {
    /// The oldest number that can still be told.
    first: u16,
    newest: u16,
    /// Added to the source's sequence numbers.
    offset: u16,
    /// The newest run of packets that were left out.
    left_out: Option<LeftOut>,
    /// Whether the newest packet was left out.
    leaving_out: bool,
    /// Added to the source's timestamps.
    shift: u32,
    /// Time in ms and timestamp of the newest audio.
    heard: (u64, u32),
}

/// Packets that were left out one after the other.
#[derive(Debug, Clone, Copy)]
struct LeftOut {
    first: u16,
    last: u16,
    /// The offset before them.
    offset: u16,
}

impl Relay {
    /// The next packet begins a stretch: the source is another, or the outgoing stream carried something else meanwhile.
    pub(crate) fn restart(&mut self) {
        self.anchor = None;
    }

    /// The place of a packet that came at `now_ms`; `None` for one of before the present stretch.
    pub(crate) fn place(
        &mut self,
        now_ms: u64,
        packet: &Received,
        next: Position,
    ) -> Option<Place> {
        if self
            .anchor
            .as_ref()
            .is_some_and(|anchor| anchor.is_left_by(now_ms, packet))
        {
            self.anchor = None;
        }
        let mut place = match &mut self.anchor {
            Some(anchor) => anchor.go_on(now_ms, packet)?,
            None if packet.in_order => self.begin(now_ms, packet, next),
            None => return None,
        };
        if matches!(packet.kind, Kind::Event { .. }) {
            place.timestamp = self.event_timestamp(packet.timestamp, place.timestamp);
        }
        Some(place)
    }

    /// The place of an event among audio that is not relayed.
    pub(crate) fn place_event(&mut self, packet: &Received, next: Position) -> Place {
        self.anchor = None;
        let timestamp = next.timestamp.wrapping_sub(joined_after(packet));
        Place {
            timestamp: self.event_timestamp(packet.timestamp, timestamp),
            sequence: next.sequence,
            begins: false,
        }
    }

    /// Leaves a packet out so that its number is not missed.
    pub(crate) fn leave_out(&mut self, packet: &Received) {
        let Some(anchor) = &mut self.anchor else {
            return;
        };
        if !packet.in_order || !is_newer(packet.sequence, anchor.newest) {
            return;
        }
        match &mut anchor.left_out {
            Some(run) if anchor.leaving_out => run.last = packet.sequence,
            run => {
                if let Some(before) = run {
                    anchor.first = before.last.wrapping_add(1);
                }
                *run = Some(LeftOut {
                    first: packet.sequence,
                    last: packet.sequence,
                    offset: anchor.offset,
                });
            }
        }
        anchor.leaving_out = true;
        anchor.offset = anchor.offset.wrapping_sub(1);
        anchor.newest = packet.sequence;
    }

    fn begin(&mut self, now_ms: u64, packet: &Received, next: Position) -> Place {
        let lasted = joined_after(packet);
        let timestamp = next.timestamp.wrapping_sub(lasted);
        self.anchor = Some(Anchor {
            first: packet.sequence,
            newest: packet.sequence,
            offset: next.sequence.wrapping_sub(packet.sequence),
            left_out: None,
            leaving_out: false,
            shift: timestamp.wrapping_sub(packet.timestamp),
            heard: (now_ms, packet.timestamp.wrapping_add(lasted)),
        });
        Place {
            sequence: next.sequence,
            timestamp,
            begins: true,
        }
    }

    fn event_timestamp(&mut self, source: u32, ours: u32) -> u32 {
        match self.event {
            Some((known, ours)) if known == source => ours,
            _ => {
                self.event = Some((source, ours));
                ours
            }
        }
    }
}

/// Timestamp units by which the first relayed packet of an event is behind its beginning.
fn joined_after(packet: &Received) -> u32 {
    match packet.kind {
        Kind::Event { duration } if packet.clock.ms(duration.into()) > JOINED_MS => {
            u32::from(duration)
        }
        _ => 0,
    }
}

impl Anchor {
    /// Whether the packet's numbers cannot continue this stretch.
    fn is_left_by(&self, now_ms: u64, packet: &Received) -> bool {
        if !packet.in_order {
            return false;
        }
        let gap = packet.sequence.wrapping_sub(self.newest);
        let (heard_ms, timestamp) = self.heard;
        let step = i64::from(packet.timestamp.wrapping_sub(timestamp) as i32);
        let units = |ms: i64| packet.clock.units(ms * 1000);
        let elapsed = units(now_ms.saturating_sub(heard_ms) as i64);
        let latest = elapsed + units(AHEAD_MS) + i64::from(gap) * i64::from(packet.samples);
        let earliest = match packet.kind {
            Kind::Event { .. } => elapsed - units(EVENT_BACK_MS) - SEGMENT,
            Kind::Audio | Kind::ComfortNoise => -units(BACK_MS),
        };
        gap > LONGEST_GAP || !(earliest..=latest).contains(&step)
    }

    fn go_on(&mut self, now_ms: u64, packet: &Received) -> Option<Place> {
        // What was left out is a pause for the far side.
        let begins = packet.in_order && self.leaving_out;
        if packet.in_order {
            self.newest = packet.sequence;
            self.leaving_out = false;
            if !matches!(packet.kind, Kind::Event { .. }) {
                self.heard = (now_ms, packet.timestamp);
            }
        } else if is_newer(self.first, packet.sequence) {
            return None;
        }
        let offset = match self.left_out {
            Some(run) if is_newer(run.first, packet.sequence) => run.offset,
            // Among what was left out there is no room.
            Some(run) if !is_newer(packet.sequence, run.last) => return None,
            _ => self.offset,
        };
        Some(Place {
            sequence: packet.sequence.wrapping_add(offset),
            timestamp: packet.timestamp.wrapping_add(self.shift),
            begins,
        })
    }
}

/// How much a source may send at once beyond its pace, in ms of audio.
const BURST_MS: u64 = 1000;
/// A source may send so many times faster than time goes by.
const PACE: u64 = 2;
/// What a packet counts for at least, in ms.
const LEAST_MS: u64 = 5;

/// Limits the packets that are relayed from one source.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// The time that all packets so far were worth, in 1/[`PACE`] ms.
    spent: u64,
}

impl Pace {
    /// Whether a packet of so many ms is within the limit.
    pub(crate) fn admit(&mut self, now_ms: u64, packet_ms: u64) -> bool {
        let spent = self.spent.max(now_ms * PACE) + packet_ms.max(LEAST_MS);
        let within = spent <= now_ms * PACE + BURST_MS;
        if within {
            self.spent = spent;
        }
        within
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
