//! Reception statistics of one source (RFC 3550 section 6.4.1, appendix A.1, A.3, A.8): loss, duplicates, order, jitter.
//!
//! Never drops anything itself: it says what a packet is and the caller decides.

use std::time::Instant;

use super::rtcp::ReportBlock;

/// Larger forward jumps mean that the peer restarted (RFC 3550 A.1).
const MAX_DROPOUT: i16 = 3000;
/// Larger backward jumps mean that the peer restarted (RFC 3550 A.1).
const MAX_MISORDER: i16 = 100;
/// Sequence numbers below the highest whose arrival is remembered.
const WINDOW: u64 = 64;

/// What a packet is in its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next in order, or one after a loss.
    InOrder,
    /// After one with a higher number.
    Reordered,
    /// Seen before, or too old to tell.
    Duplicate,
    /// Far from the others; taken only if the next one continues it.
    Stray,
    /// The peer restarted its numbers: everything known of the old sequence is void.
    Restarted,
}

/// Statistics of one source.
#[derive(Debug, Clone)]
pub struct Reception {
    /// The source they are of.
    pub ssrc: u32,
    base: u64,
    /// Highest number with its wraps above 16 bits.
    highest: u64,
    /// Bit n: `highest - n` has come.
    seen: u64,
    after_stray: Option<u16>,
    received: u64,
    unique: u64,
    duplicates: u64,
    reordered: u64,
    lost_before: u64,
    /// Runs of lost packets.
    runs: u64,
    expected_before: u64,
    expected_prior: u64,
    received_prior: u64,
    clock_hz: u32,
    /// Jitter in timestamp units times 16 (RFC 3550 A.8).
    jitter_q4: u32,
    last_timed: Option<(Instant, u32)>,
}

impl Reception {
    /// Statistics that begin with the first packet of a source.
    pub fn new(ssrc: u32, first_sequence: u16, clock_hz: u32) -> Reception {
        // One wrap ahead, so that numbers below the first one do not underflow.
        let base = 0x1_0000 + u64::from(first_sequence);
        Reception {
            ssrc,
            base,
            highest: base - 1,
            seen: 0,
            after_stray: None,
            received: 0,
            unique: 0,
            duplicates: 0,
            reordered: 0,
            lost_before: 0,
            runs: 0,
            expected_before: 0,
            expected_prior: 0,
            received_prior: 0,
            clock_hz,
            jitter_q4: 0,
            last_timed: None,
        }
    }

    /// Counts one packet.
    pub fn receive(&mut self, sequence: u16) -> Arrival {
        let step = sequence.wrapping_sub(self.highest as u16) as i16;
        let first = self.received == 0;
        if !first && !(-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
            if self.after_stray != Some(sequence) {
                self.after_stray = Some(sequence.wrapping_add(1));
                return Arrival::Stray;
            }
            self.restart(sequence);
            return Arrival::Restarted;
        }
        self.after_stray = None;
        self.received += 1;
        if step > 0 {
            let step = step as u64;
            self.runs += u64::from(step > 1);
            self.seen = if step >= WINDOW { 0 } else { self.seen << step } | 1;
            self.highest += step;
            self.unique += 1;
            return Arrival::InOrder;
        }
        let back = u64::from(step.unsigned_abs());
        if back >= WINDOW || self.seen & (1 << back) != 0 {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.fill(back);
        self.seen |= 1 << back;
        self.unique += 1;
        self.reordered += 1;
        self.base = self.base.min(self.highest - back);
        Arrival::Reordered
    }

    /// A lost packet came after all: its run of lost ones vanishes, shrinks or falls into two.
    fn fill(&mut self, back: u64) {
        let came = |back: u64| back < WINDOW && self.seen & (1 << back) != 0;
        let begins = self.highest - back < self.base;
        match (came(back + 1), came(back - 1)) {
            (true, true) if !begins => self.runs = self.runs.saturating_sub(1),
            (false, false) => self.runs += 1,
            _ => {}
        }
    }

    fn restart(&mut self, sequence: u16) {
        let kept = Reception {
            lost_before: self.lost(),
            runs: self.runs,
            expected_before: self.expected_in_all(),
            duplicates: self.duplicates,
            reordered: self.reordered,
            jitter_q4: self.jitter_q4,
            ..Reception::new(self.ssrc, sequence, self.clock_hz)
        };
        *self = kept;
        self.receive(sequence);
    }

    /// Takes the arrival time of a packet whose timestamp is its sampling time (not those of events, which repeat theirs).
    pub fn time(&mut self, now: Instant, timestamp: u32) {
        if let Some((before, last)) = self.last_timed {
            let elapsed = now.saturating_duration_since(before).as_micros() as u64;
            let elapsed = (elapsed * u64::from(self.clock_hz) / 1_000_000) as i64;
            let difference =
                (elapsed - i64::from(timestamp.wrapping_sub(last) as i32)).unsigned_abs();
            // A pause or a new timestamp base is no jitter: two seconds and more are left out.
            if difference < u64::from(self.clock_hz) * 2 {
                let jitter = i64::from(self.jitter_q4);
                self.jitter_q4 = (jitter + difference as i64 - ((jitter + 8) >> 4)).max(0) as u32;
            }
        }
        self.last_timed = Some((now, timestamp));
    }

    fn expected(&self) -> u64 {
        self.highest + 1 - self.base
    }

    /// Packets that should have come, over all restarts.
    pub fn expected_in_all(&self) -> u64 {
        self.expected_before + self.expected()
    }

    /// Runs of packets that never came, over all restarts.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// Packets that never came, over all restarts.
    pub fn lost(&self) -> u64 {
        self.lost_before + self.expected().saturating_sub(self.unique)
    }

    /// Packets that came more than once.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Packets that came after one with a higher number.
    pub fn reordered(&self) -> u64 {
        self.reordered
    }

    /// From now on timestamps count in other units: the jitter is measured anew.
    pub fn set_clock(&mut self, clock_hz: u32) {
        if clock_hz != self.clock_hz {
            self.clock_hz = clock_hz;
            self.jitter_q4 = 0;
            self.last_timed = None;
        }
    }

    /// Interarrival jitter in ms.
    pub fn jitter_ms(&self) -> f32 {
        self.jitter_q4 as f32 / 16.0 * 1000.0 / self.clock_hz as f32
    }

    /// Interarrival jitter in timestamp units.
    pub fn jitter(&self) -> u32 {
        self.jitter_q4 >> 4
    }

    /// The report block for the next RTCP report; the fraction lost is counted from the previous call (RFC 3550 A.3).
    pub fn report(&mut self, last_sr: u32, delay_since_last_sr: u32) -> ReportBlock {
        let expected = self.expected() - self.expected_prior;
        let received = self.received - self.received_prior;
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let lost = expected.saturating_sub(received);
        let fraction_lost = (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8;
        let cumulative = self.expected() as i64 - self.received as i64;
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost,
            cumulative_lost: cumulative.clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_sequence: (self.highest - 0x1_0000) as u32,
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sequences_and_what_they_are() {
        use Arrival::{Duplicate, InOrder, Reordered, Restarted, Stray};
        struct Case {
            name: &'static str,
            sequences: &'static [u16],
            arrivals: &'static [Arrival],
            lost: u64,
        }
        let cases = [
            Case {
                name: "in order over the wrap",
                sequences: &[65534, 65535, 0, 1],
                arrivals: &[InOrder; 4],
                lost: 0,
            },
            Case {
                name: "two lost",
                sequences: &[10, 13],
                arrivals: &[InOrder; 2],
                lost: 2,
            },
            Case {
                name: "swapped",
                sequences: &[10, 12, 11],
                arrivals: &[InOrder, InOrder, Reordered],
                lost: 0,
            },
            Case {
                name: "twice",
                sequences: &[10, 10, 11, 10],
                arrivals: &[InOrder, Duplicate, InOrder, Duplicate],
                lost: 0,
            },
            Case {
                name: "first ones swapped",
                sequences: &[10, 9],
                arrivals: &[InOrder, Reordered],
                lost: 0,
            },
            Case {
                name: "restart",
                sequences: &[10, 40_000, 40_001, 40_003],
                arrivals: &[InOrder, Stray, Restarted, InOrder],
                lost: 1,
            },
            Case {
                name: "one stray",
                sequences: &[10, 40_000, 11],
                arrivals: &[InOrder, Stray, InOrder],
                lost: 0,
            },
        ];
        for case in cases {
            let mut reception = Reception::new(1, case.sequences[0], 8000);
            let arrivals: Vec<_> = case
                .sequences
                .iter()
                .map(|s| reception.receive(*s))
                .collect();
            assert_eq!(arrivals, case.arrivals, "{}", case.name);
            assert_eq!(reception.lost(), case.lost, "{}", case.name);
        }
    }

    #[test]
    fn runs_of_loss() {
        for (sequences, lost, runs) in [
            (&[10u16, 11, 12][..], 0, 0),
            (&[10, 13, 14, 16], 3, 2),
            (&[10, 12, 11, 13], 0, 0),
            // One in the middle makes two runs of one, the others make them vanish.
            (&[10, 14, 12], 2, 2),
            (&[10, 14, 11], 2, 1),
            (&[10, 14, 12, 13, 11], 0, 0),
            (&[10, 9, 11], 0, 0),
            (&[10, 8], 1, 1),
            (&[10, 8, 9], 0, 0),
        ] {
            let mut reception = Reception::new(1, sequences[0], 8000);
            sequences.iter().for_each(|sequence| {
                reception.receive(*sequence);
            });
            assert_eq!(
                (reception.lost(), reception.runs()),
                (lost, runs),
                "{sequences:?}"
            );
        }
    }

    #[test]
    fn report_block_of_a_known_loss() {
        let mut reception = Reception::new(7, 0xFFF0, 8000);
        for n in 0..100u16 {
            if n % 4 != 3 {
                reception.receive(0xFFF0u16.wrapping_add(n));
            }
        }
        let block = reception.report(1, 2);
        assert_eq!(block.cumulative_lost, 24); // the hundredth is not known to be missing
        assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
        assert_eq!(block.highest_sequence, 0x1_0000 + 98 - 16);
        assert_eq!((block.last_sr, block.delay_since_last_sr), (1, 2));
        assert_eq!(reception.report(1, 2).fraction_lost, 0);
    }

    #[test]
    fn jitter_settles_at_the_mean_deviation() {
        let start = Instant::now();
        let mut reception = Reception::new(7, 0, 8000);
        for n in 0..400u32 {
            let wobble = Duration::from_millis(if n % 2 == 0 { 0 } else { 5 });
            reception.time(
                start + Duration::from_millis(u64::from(n) * 20) + wobble,
                n * 160,
            );
        }
        // each step deviates by 5 ms = 40 units
        assert!(
            (38..=41).contains(&reception.jitter()),
            "{}",
            reception.jitter()
        );
        reception.time(start + Duration::from_secs(60), 400 * 160);
        assert!(reception.jitter() <= 41);
    }
}
