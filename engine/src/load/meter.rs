//! Counts what one received G.711 stream lacks: frames that were lost, late, or stopped coming. Sans-IO; times are ns of any one clock.
//!
//! A frame is late by its distance from the stream's own schedule: RTP timestamps against arrivals, where the earliest packet of the last
//! half to whole second is punctual. So a constant delay and the drift of two clocks count for nothing. Late are the 20 ms frames that a
//! receiver with 20 ms of jitter buffer would have had to make up; it then plays on from there.

use crate::rtp::packet::Packet;

/// Length of a frame, and what a receiver can wait for one.
const FRAME_NS: i64 = 20_000_000;
/// Samples of a frame at 8 kHz (RFC 3551 section 4.5).
const FRAME_SAMPLES: i64 = 160;
/// Time of one sample at 8 kHz.
const SAMPLE_NS: i64 = 125_000;
/// Packets over which the earliest is sought: half a second; the half before is remembered.
const SPAN: u32 = 25;
/// A jump in numbers beyond this is another stream, not loss (RFC 3550 appendix A.1, MAX_DROPOUT).
const MAX_GAP: i32 = 3000;

/// What was counted between [`Meter::open`] and [`Meter::close`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came, repeated ones not counted.
    pub received: u64,
    /// Packets that never came: gaps in the numbers.
    pub lost: u64,
    /// Frames that came too late for a jitter buffer of 20 ms.
    pub late: u64,
    /// Such frames while the meter's own machine stood still: nobody knows whose fault they are.
    pub excused: u64,
    /// Frames of silence on the wire, beyond the tolerated time, after which the stream began anew or never came again.
    pub stopped: u64,
    /// Packets that came after one with a higher number.
    pub reordered: u64,
    /// Packets that came twice.
    pub repeated: u64,
    /// Times the stream began anew: another SSRC, the marker bit, a jump of the timestamp.
    pub restarts: u64,
}

impl Counts {
    /// Frames that a listener missed.
    pub fn missed(&self) -> u64 {
        self.lost + self.late + self.stopped
    }

    /// Sums two.
    pub fn plus(self, other: &Counts) -> Counts {
        Counts {
            received: self.received + other.received,
            lost: self.lost + other.lost,
            late: self.late + other.late,
            excused: self.excused + other.excused,
            stopped: self.stopped + other.stopped,
            reordered: self.reordered + other.reordered,
            repeated: self.repeated + other.repeated,
            restarts: self.restarts + other.restarts,
        }
    }
}

/// Where a packet stands in a stream.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// So many numbers after the highest.
    Ahead(u32),
    /// So many numbers before it, or that one again.
    Behind(u32),
    /// A number far off, the first of its kind.
    Stray,
    /// The first packet of a stream.
    Another,
}

/// The stream's place in its numbers and in time.
#[derive(Debug, Clone, Copy)]
struct Place {
    ssrc: u32,
    /// Highest number, and a bit for each of the 64 up to it that came.
    sequence: u16,
    seen: u64,
    /// The number after which a restarted numbering is believed.
    expected_restart: u16,
    /// Timestamp and number of the highest audio packet.
    timestamp: u32,
    audio_sequence: u16,
    /// When the timeline's first packet came.
    first_ns: u64,
    /// Media time since the timeline began.
    media_ns: i64,
    floor: Floor,
}

/// The least transit of late: what counts as punctual.
#[derive(Debug, Clone, Copy, Default)]
struct Floor {
    present: i64,
    before: i64,
    packets: u32,
}

impl Floor {
    /// Takes a packet's transit; returns how much it is above the least one.
    fn above(&mut self, transit: i64) -> i64 {
        self.packets += 1;
        if self.packets > SPAN {
            (self.before, self.present, self.packets) = (self.present, transit, 1);
        }
        self.present = self.present.min(transit);
        transit - self.least()
    }

    fn least(&self) -> i64 {
        self.present.min(self.before)
    }

    /// The receiver plays on from a packet that was too late.
    fn restart_at(&mut self, transit: i64) {
        (self.present, self.before) = (transit, transit);
    }
}

/// Counts one stream.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    place: Option<Place>,
    counts: Counts,
    /// When the present silence began: the last packet, or the opening.
    silent_since_ns: u64,
    stopped_after_ns: u64,
    open: bool,
}

impl Meter {
    /// A meter that calls a stream stopped when it is silent for longer than `stopped_after_ns`.
    pub fn new(stopped_after_ns: u64) -> Meter {
        Meter {
            stopped_after_ns,
            ..Meter::default()
        }
    }

    /// Counting begins. The schedule that was learnt before stays.
    pub fn open(&mut self, now_ns: u64) {
        self.counts = Counts::default();
        self.open = true;
        // Silence from before is not counted, and not tolerated twice.
        self.silent_since_ns = self
            .silent_since_ns
            .max(now_ns.saturating_sub(self.stopped_after_ns));
    }

    /// Counting ends: what was counted.
    pub fn close(&mut self, now_ns: u64) -> Counts {
        if self.open {
            self.counts.stopped += self.silent_frames(now_ns);
        }
        self.open = false;
        self.counts
    }

    /// Whether anything has ever come.
    pub fn heard(&self) -> bool {
        self.place.is_some()
    }

    /// One packet. `audio`: it carries a frame of 20 ms, not an event. `excused`: this machine had just stood still itself. Returns the
    /// lateness of a frame in ns while counting.
    pub fn take(
        &mut self,
        packet: &Packet<'_>,
        at_ns: u64,
        audio: bool,
        excused: bool,
    ) -> Option<u64> {
        let header = &packet.header;
        let next = self.place.as_mut().map_or(Next::Another, |place| {
            place.next(header.ssrc, header.sequence)
        });
        let (Next::Ahead(ahead), Some(place)) = (next, &mut self.place) else {
            return self.take_unusual(next, packet, at_ns);
        };
        place.seen = place.seen.checked_shl(ahead).unwrap_or(0) | 1;
        place.sequence = header.sequence;
        let step = header.timestamp.wrapping_sub(place.timestamp) as i32;
        // Events have numbers too, and the audio's timestamps go on below them.
        let frames = header.sequence.wrapping_sub(place.audio_sequence);
        let expected = i64::from(frames) * FRAME_SAMPLES;
        let begins = header.marker || (i64::from(step) - expected).abs() > 2 * FRAME_SAMPLES;
        let mut late = 0;
        if audio {
            (place.timestamp, place.audio_sequence) = (header.timestamp, header.sequence);
            if begins {
                place.begin_timeline(at_ns);
            } else {
                place.media_ns += i64::from(step) * SAMPLE_NS;
                late = place.lateness(at_ns);
            }
        }
        self.count(|counts| {
            counts.received += 1;
            counts.lost += u64::from(ahead) - 1;
        });
        if audio && begins {
            self.begin_again(at_ns);
        }
        self.silent_since_ns = at_ns;
        self.count_late(late, excused);
        (self.open && audio).then_some(late.unsigned_abs())
    }

    fn take_unusual(&mut self, next: Next, packet: &Packet<'_>, at_ns: u64) -> Option<u64> {
        match next {
            Next::Behind(behind) => self.take_old(behind, packet.header.timestamp, at_ns),
            Next::Stray => self.count(|counts| counts.received += 1),
            Next::Another | Next::Ahead(_) => {
                self.begin(packet, at_ns);
                return self.open.then_some(0);
            }
        }
        None
    }

    fn count_late(&mut self, late: i64, excused: bool) {
        if late <= FRAME_NS {
            return;
        }
        let frames = ((late - 1) / FRAME_NS) as u64;
        self.count(|counts| {
            *(if excused {
                &mut counts.excused
            } else {
                &mut counts.late
            }) += frames
        });
    }

    /// A number that was passed already: out of order, or for the second time.
    fn take_old(&mut self, behind: u32, timestamp: u32, at_ns: u64) {
        let Some(place) = &mut self.place else { return };
        let bit = 1u64.checked_shl(behind).unwrap_or(0);
        if place.seen & bit != 0 {
            return self.count(|counts| counts.repeated += 1);
        }
        place.seen |= bit;
        // Punctual within 20 ms of its own place, although others overtook it.
        let media_ns = i64::from(timestamp.wrapping_sub(place.timestamp) as i32) * SAMPLE_NS;
        let transit = place.transit(at_ns) - media_ns;
        let late = transit - place.floor.least() > FRAME_NS;
        self.count(|counts| {
            counts.received += 1;
            counts.reordered += 1;
            counts.lost = counts.lost.saturating_sub(1);
            counts.late += u64::from(late);
        });
    }

    /// The first packet, or one of another stream in its place.
    fn begin(&mut self, packet: &Packet<'_>, at_ns: u64) {
        let header = &packet.header;
        let again = self.place.is_some() || self.open;
        self.place = Some(Place {
            ssrc: header.ssrc,
            sequence: header.sequence,
            seen: 1,
            expected_restart: header.sequence.wrapping_add(1),
            timestamp: header.timestamp,
            audio_sequence: header.sequence,
            first_ns: at_ns,
            media_ns: 0,
            floor: Floor::default(),
        });
        self.count(|counts| counts.received += 1);
        if again {
            self.begin_again(at_ns);
        }
        self.silent_since_ns = at_ns;
    }

    fn begin_again(&mut self, at_ns: u64) {
        let stopped = self.silent_frames(at_ns);
        self.count(|counts| {
            counts.restarts += 1;
            counts.stopped += stopped;
        });
        self.silent_since_ns = at_ns;
    }

    /// Frames of the present silence beyond what is tolerated.
    fn silent_frames(&self, now_ns: u64) -> u64 {
        let silent = now_ns.saturating_sub(self.silent_since_ns);
        silent.saturating_sub(self.stopped_after_ns) / FRAME_NS as u64
    }

    fn count(&mut self, on: impl FnOnce(&mut Counts)) {
        if self.open {
            on(&mut self.counts);
        }
    }
}

impl Place {
    /// Where a packet stands. Numbering that began anew is believed at its second packet in a row.
    fn next(&mut self, ssrc: u32, sequence: u16) -> Next {
        let ahead = i32::from(sequence.wrapping_sub(self.sequence) as i16);
        let believed = sequence == self.expected_restart;
        self.expected_restart = sequence.wrapping_add(1);
        match ahead {
            _ if ssrc != self.ssrc => Next::Another,
            1..MAX_GAP => Next::Ahead(ahead as u32),
            -99..=0 => Next::Behind(ahead.unsigned_abs()),
            _ if believed => Next::Another,
            _ => Next::Stray,
        }
    }

    fn begin_timeline(&mut self, at_ns: u64) {
        self.first_ns = at_ns;
        self.media_ns = 0;
        self.floor = Floor::default();
    }

    /// Arrival against media time, both from the timeline's first packet.
    fn transit(&self, at_ns: u64) -> i64 {
        at_ns.wrapping_sub(self.first_ns) as i64 - self.media_ns
    }

    /// How late the packet that was just taken is.
    fn lateness(&mut self, at_ns: u64) -> i64 {
        let transit = self.transit(at_ns);
        let late = self.floor.above(transit);
        if late > FRAME_NS {
            self.floor.restart_at(transit);
        }
        late
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
