//! The 20 ms wheel: 20 slots of 1 ms over which the channels of a shard are spread, so that sends are not bunched.

use std::time::{Duration, Instant};

use super::codec::FRAME_MS;

/// Slots of the wheel, one per ms of a frame.
const SLOTS: usize = FRAME_MS as usize;
/// A wheel that is later than this leaves whole rounds out: the machine stood still.
const GIVE_UP: u64 = 200;

/// Which channel is due when.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: [Vec<u32>; SLOTS],
    start: Instant,
    /// The next slot to be worked on, in ms from the start.
    next_ms: u64,
    occupied: usize,
}

/// A slot that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Its time in ms from the start: the shard's media clock.
    pub(crate) tick_ms: u64,
    /// When it should have been worked on.
    pub(crate) at: Instant,
}

impl Wheel {
    /// An empty wheel that can hold `capacity` channels without allocating.
    pub(crate) fn new(start: Instant, capacity: usize) -> Wheel {
        let slots = std::array::from_fn(|_| Vec::with_capacity(capacity.div_ceil(SLOTS)));
        Wheel {
            slots,
            start,
            next_ms: 0,
            occupied: 0,
        }
    }

    /// Adds a channel to the emptiest slot. The time without any channel is nothing to be made up for.
    pub(crate) fn add(&mut self, index: u32, now: Instant) {
        if self.occupied == 0 {
            self.next_ms = self.next_ms.max(self.ms_at(now));
        }
        let emptiest = self.slots.iter_mut().min_by_key(|slot| slot.len());
        if let Some(slot) = emptiest {
            slot.push(index);
            self.occupied += 1;
        }
    }

    /// Takes a channel out.
    pub(crate) fn remove(&mut self, index: u32) {
        for slot in &mut self.slots {
            if let Some(place) = slot.iter().position(|member| *member == index) {
                slot.swap_remove(place);
                self.occupied -= 1;
                return;
            }
        }
    }

    /// Channels on the wheel.
    pub(crate) fn len(&self) -> usize {
        self.occupied
    }

    /// The channels of a slot.
    pub(crate) fn members(&self, due: Due) -> &[u32] {
        &self.slots[due.tick_ms as usize % SLOTS]
    }

    /// The next slot whose time has come, empty ones left out, and the ms that were skipped because the machine stood still.
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<(Due, u64)> {
        if self.occupied == 0 {
            return None;
        }
        let now_ms = self.ms_at(now);
        let mut skipped = 0;
        if now_ms > self.next_ms + GIVE_UP {
            skipped = (now_ms - self.next_ms) / SLOTS as u64 * SLOTS as u64;
            self.next_ms += skipped;
        }
        while self.next_ms <= now_ms {
            let due = self.due(self.next_ms);
            self.next_ms += 1;
            if !self.members(due).is_empty() {
                return Some((due, skipped));
            }
        }
        None
    }

    /// When the next slot with channels is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let slots = self.next_ms..self.next_ms + SLOTS as u64;
        slots
            .map(|ms| self.due(ms))
            .find(|due| !self.members(*due).is_empty())
            .map(|due| due.at)
    }

    /// A moment in ms from the start.
    pub(crate) fn ms_at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_millis() as u64
    }

    fn due(&self, tick_ms: u64) -> Due {
        Due {
            tick_ms,
            at: self.start + Duration::from_millis(tick_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_spread_and_each_is_due_once_in_20_ms() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, 100);
        (0..100).for_each(|index| wheel.add(index, start));
        let mut counts = [0; 100];
        for ms in 0..200 {
            while let Some((due, skipped)) = wheel.next_due(start + Duration::from_millis(ms)) {
                assert_eq!((due.tick_ms, skipped, wheel.members(due).len()), (ms, 0, 5));
                wheel
                    .members(due)
                    .iter()
                    .for_each(|index| counts[*index as usize] += 1);
            }
        }
        assert_eq!(counts, [10; 100]);
    }

    #[test]
    fn empty_slots_cost_nothing_and_removal_is_exact() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, 4);
        assert_eq!(wheel.next_deadline(), None);
        (0..3).for_each(|index| wheel.add(index, start));
        wheel.remove(1);
        wheel.remove(1);
        assert_eq!(wheel.len(), 2);
        let now = start + Duration::from_millis(19);
        let due: Vec<_> = std::iter::from_fn(|| wheel.next_due(now))
            .map(|(due, _)| due.tick_ms)
            .collect();
        assert_eq!(due.len(), 2);
        assert!(wheel.next_deadline().is_some_and(|at| at > now));
    }

    #[test]
    fn time_without_channels_is_not_made_up_for() {
        for idle_ms in [3, 150, 10_000] {
            let start = Instant::now();
            let mut wheel = Wheel::new(start, 1);
            assert_eq!(wheel.next_due(start), None);
            let now = start + Duration::from_millis(idle_ms);
            wheel.add(9, now);
            let later = now + Duration::from_millis(19);
            let frames: Vec<_> = std::iter::from_fn(|| wheel.next_due(later)).collect();
            assert_eq!(frames.len(), 1, "{idle_ms}: {frames:?}");
            assert!(frames[0].0.at >= now && frames[0].1 == 0, "{frames:?}");
        }
    }

    #[test]
    fn after_a_standstill_rounds_are_left_out_in_phase() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, 1);
        wheel.add(9, start);
        let (first, _) = wheel.next_due(start + Duration::from_millis(19)).unwrap();
        let (late, skipped) = wheel.next_due(start + Duration::from_secs(10)).unwrap();
        assert_eq!((late.tick_ms - first.tick_ms) % 20, 0);
        assert!(late.tick_ms > 9900 && skipped > 9900, "{late:?} {skipped}");
    }
}
