//! A telephone event in the units of another clock, as a bridge needs it between audio of different RTP clocks. Pure.
//!
//! What one clock tells in a segment may need several in another, or the other way round (RFC 4733 section 2.5.1.3): durations are counted
//! from the beginning of the event and cut into segments anew.

use super::clock::ClockRate;
use super::telephone_event::Payload;

/// The longest duration a packet can state.
const SEGMENT: u32 = 0xFFFF;
/// Two segments of an event follow each other with this accuracy, in ms.
const SLACK_MS: u32 = 120;

/// Follows the events of one source.
#[derive(Debug, Clone, Default)]
pub struct EventClock {
    event: Option<Event>,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    code: u8,
    /// The source's timestamp of its beginning, and that of its present segment.
    begun: u32,
    segment: u32,
    duration: u16,
    /// Full segments in the other clock, and whether the next one was reported full.
    told: u32,
    full: bool,
}

/// A packet in the units of the other clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converted {
    /// The source's timestamp of the beginning of the whole event.
    pub begun: u32,
    /// By how much the packet's timestamp is after the event's beginning, in units of the other clock.
    pub after: u32,
    /// Its payload.
    pub payload: Payload,
}

impl EventClock {
    /// Takes a packet's timestamp and payload.
    pub fn convert(
        &mut self,
        timestamp: u32,
        payload: Payload,
        from: ClockRate,
        to: ClockRate,
    ) -> Converted {
        let mut event = match self.event {
            Some(event) if event.goes_on(timestamp, payload, from) => event,
            _ => Event {
                code: payload.code,
                begun: timestamp,
                segment: timestamp,
                duration: 0,
                told: 0,
                full: false,
            },
        };
        event.segment = timestamp;
        event.duration = payload.duration;
        let lasted = timestamp
            .wrapping_sub(event.begun)
            .wrapping_add(payload.duration.into());
        let converted = event.cut(from.convert(lasted, to), payload);
        self.event = Some(event);
        converted
    }
}

impl Event {
    fn goes_on(&self, timestamp: u32, payload: Payload, clock: ClockRate) -> bool {
        let step = timestamp.wrapping_sub(self.segment);
        let slack = clock.samples_in_ms(SLACK_MS);
        let full = SEGMENT - u32::from(self.duration) <= slack;
        payload.code == self.code && (step == 0 || full && step.abs_diff(SEGMENT) <= slack)
    }

    /// Where so long a duration is in the segments of the other clock.
    fn cut(&mut self, lasted: u32, payload: Payload) -> Converted {
        let at = |told: u32, duration: u32, end: bool| Converted {
            begun: self.begun,
            after: told.wrapping_mul(SEGMENT),
            payload: Payload {
                end,
                duration: duration.min(SEGMENT) as u16,
                ..payload
            },
        };
        let rest = lasted.saturating_sub(self.told.saturating_mul(SEGMENT));
        if rest <= SEGMENT {
            return at(self.told, rest, payload.end);
        }
        if !self.full && !payload.end {
            self.full = true;
            return at(self.told, SEGMENT, false);
        }
        let told = (lasted - 1) / SEGMENT;
        let converted = at(told, lasted - told * SEGMENT, payload.end);
        (self.told, self.full) = (told, false);
        converted
    }
}

#[cfg(test)]
mod tests {
    use super::super::telephone_event::{KeyEvent, Receiver, Sender};
    use super::*;
    use std::time::{Duration, Instant};

    const CLOCKS: [ClockRate; 3] = [ClockRate::HZ_8000, ClockRate::HZ_16000, ClockRate::HZ_48000];

    #[test]
    fn one_key_stays_one_key_however_long_it_is_held() {
        let start = Instant::now();
        for (from, to) in CLOCKS
            .into_iter()
            .flat_map(|from| CLOCKS.map(|to| (from, to)))
        {
            for ms in [100, 1360, 1400, 2760, 4140, 8180, 8240, 9500] {
                let (mut convert, mut receiver) = (EventClock::default(), Receiver::default());
                receiver.set_clock(to, &mut |_| {});
                let (mut heard, mut longest) = (Vec::new(), 0);
                // Two presses, so that what was kept of the first does not disturb the second.
                for (press, begin) in [(0u16, 4_294_900_000), (1, 900_000_000)] {
                    let mut sender = Sender::new(7, from, begin, ms);
                    let mut packets = 0;
                    while let Some((marker, payload)) = sender.next(20) {
                        let told = convert.convert(sender.timestamp(), payload, from, to);
                        assert_eq!(told.begun, begin);
                        longest = longest.max(told.payload.duration);
                        let timestamp = u32::from(press)
                            .wrapping_mul(90_000_000)
                            .wrapping_add(told.after);
                        let now = start + Duration::from_millis(u64::from(packets) * 20);
                        let octets = told.payload.to_bytes();
                        receiver.receive(
                            now,
                            press * 1000 + packets,
                            timestamp,
                            marker,
                            &octets,
                            &mut |event| heard.push(event),
                        );
                        packets += 1;
                    }
                }
                let ends = heard.iter().filter_map(|event| match event {
                    KeyEvent::End { duration, .. } => Some(to.ms(*duration)),
                    KeyEvent::Begin { .. } => None,
                });
                assert_eq!(ends.collect::<Vec<_>>(), [ms, ms], "{from:?} to {to:?}");
                assert_eq!(heard.len(), 4);
                // RFC 4733 section 2.5.1.3: a full segment is reported as such.
                let segments = to.samples_in_ms(ms) > SEGMENT;
                assert_eq!(longest == 0xFFFF, segments, "{from:?} to {to:?} {ms} ms");
            }
        }
    }

    #[test]
    fn a_single_end_behind_a_full_segment_is_an_end() {
        let (from, to) = (ClockRate::HZ_8000, ClockRate::HZ_48000);
        let payload = |end, duration| Payload {
            code: 1,
            end,
            volume: 10,
            duration,
        };
        let mut clock = EventClock::default();
        let first = clock.convert(0, payload(false, 10_900), from, to);
        assert_eq!((first.after, first.payload.duration), (0, 65_400));
        let end = clock.convert(0, payload(true, 11_060), from, to);
        assert_eq!((end.after, end.payload), (0xFFFF, payload(true, 825)));
    }
}
