//! The 20 ms wheel: 20 slots of 1 ms over which the channels of a shard are spread, so that sends are not bunched.
//!
//! Adding and removing take the same time however many channels there are, and empty slots are passed over by one look at a mask. All
//! wheels of an engine count from the same start: a channel that goes to another shard keeps its time.

use std::time::{Duration, Instant};

use super::codec::FRAME_MS;

/// Slots of the wheel, one per ms of a frame.
const SLOTS: usize = FRAME_MS as usize;
/// A wheel that is later than this leaves whole rounds out: the machine stood still.
const GIVE_UP: u64 = 200;
/// The slot of a channel that is not on the wheel.
const NOWHERE: u32 = u32::MAX;

/// Which channel is due when.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: [Vec<u32>; SLOTS],
    /// Bit n is set while slot n has channels.
    occupied: u32,
    /// Where each channel is: its slot, and its place there.
    places: Box<[(u32, u32)]>,
    start: Instant,
    /// The next slot to be worked on, in ms from the start.
    next_ms: u64,
    len: usize,
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
    /// An empty wheel for channels 0 to `capacity` - 1. It allocates only where a slot gets more than its share of them.
    pub(crate) fn new(start: Instant, capacity: usize) -> Wheel {
        let slots = std::array::from_fn(|_| Vec::with_capacity(capacity.div_ceil(SLOTS)));
        Wheel {
            slots,
            occupied: 0,
            places: vec![(NOWHERE, 0); capacity].into(),
            start,
            next_ms: 0,
            len: 0,
        }
    }

    /// Adds a channel to the emptiest slot. The time without any channel is nothing to be made up for.
    pub(crate) fn add(&mut self, index: u32, now: Instant) {
        let lengths = self.slots.iter().map(Vec::len).enumerate();
        if let Some((emptiest, _)) = lengths.min_by_key(|(_, len)| *len) {
            self.add_at(emptiest as u64, index, now);
        }
    }

    /// Adds a channel whose frames are due at that ms of each round.
    pub(crate) fn add_at(&mut self, ms: u64, index: u32, now: Instant) {
        if self.len == 0 {
            self.next_ms = self.next_ms.max(self.ms_at(now));
        }
        let slot = ms as usize % SLOTS;
        let Some(place) = self.places.get_mut(index as usize) else {
            return;
        };
        if place.0 == NOWHERE {
            *place = (slot as u32, self.slots[slot].len() as u32);
            self.slots[slot].push(index);
            self.occupied |= 1 << slot;
            self.len += 1;
        }
    }

    /// Takes a channel out; the last one of its slot takes its place there.
    pub(crate) fn remove(&mut self, index: u32) {
        let Some(entry) = self.places.get_mut(index as usize) else {
            return;
        };
        let (slot, place) = std::mem::replace(entry, (NOWHERE, 0));
        if slot == NOWHERE {
            return;
        }
        let members = &mut self.slots[slot as usize];
        members.swap_remove(place as usize);
        if let Some(moved) = members.get(place as usize) {
            self.places[*moved as usize].1 = place;
        }
        if members.is_empty() {
            self.occupied &= !(1 << slot);
        }
        self.len -= 1;
    }

    /// Channels on the wheel.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The channels of a slot.
    pub(crate) fn members(&self, due: Due) -> &[u32] {
        &self.slots[due.tick_ms as usize % SLOTS]
    }

    /// Whether the frame of that time has been left behind.
    pub(crate) fn is_past(&self, tick_ms: u64) -> bool {
        tick_ms < self.next_ms
    }

    /// The next slot whose time has come, empty ones left out, and the ms that were skipped because the machine stood still.
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<(Due, u64)> {
        if self.len == 0 {
            return None;
        }
        let now_ms = self.ms_at(now);
        let mut skipped = 0;
        if now_ms > self.next_ms + GIVE_UP {
            skipped = (now_ms - self.next_ms) / SLOTS as u64 * SLOTS as u64;
            self.next_ms += skipped;
        }
        let tick_ms = self.next_occupied()?;
        if tick_ms > now_ms {
            self.next_ms = self.next_ms.max(now_ms + 1);
            return None;
        }
        self.next_ms = tick_ms + 1;
        Some((self.due(tick_ms), skipped))
    }

    /// When the next slot with channels is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next_occupied().map(|tick_ms| self.due(tick_ms).at)
    }

    /// The time of the next slot that has channels.
    fn next_occupied(&self) -> Option<u64> {
        if self.occupied == 0 {
            return None;
        }
        let first = (self.next_ms % SLOTS as u64) as u32;
        let ahead = (self.occupied >> first) | (self.occupied << (SLOTS as u32 - first));
        Some(self.next_ms + u64::from(ahead.trailing_zeros()))
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
            wheel.add(0, now);
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
        wheel.add(0, start);
        let (first, _) = wheel.next_due(start + Duration::from_millis(19)).unwrap();
        let (late, skipped) = wheel.next_due(start + Duration::from_secs(10)).unwrap();
        assert_eq!((late.tick_ms - first.tick_ms) % 20, 0);
        assert!(late.tick_ms > 9900 && skipped > 9900, "{late:?} {skipped}");
    }

    #[test]
    fn a_channel_keeps_its_time_where_it_is_told_to() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, 3);
        wheel.add_at(1_000_013, 2, start);
        wheel.add_at(7, 2, start);
        assert_eq!(wheel.len(), 1);
        let (due, _) = wheel.next_due(start + Duration::from_millis(19)).unwrap();
        assert_eq!((due.tick_ms, wheel.members(due)), (13, &[2][..]));
        assert!(wheel.is_past(13) && !wheel.is_past(33));
        wheel.add_at(0, 99, start);
        assert_eq!(wheel.len(), 1, "it is not one of ours");
    }

    /// Against a plain list: whatever comes and goes, each is due once a round, and those that left are not.
    #[test]
    fn removal_from_full_slots_keeps_the_others() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start, 500);
        let mut present = vec![false; 500];
        let mut random = 1u32;
        for round in 0..40u64 {
            for _ in 0..200 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let index = random >> 16;
                let index = (index % 500) as usize;
                let now = start + Duration::from_millis(round * 20);
                match present[index] {
                    true => wheel.remove(index as u32),
                    false => wheel.add(index as u32, now),
                }
                present[index] = !present[index];
            }
            let mut seen = vec![0; 500];
            while let Some((due, _)) =
                wheel.next_due(start + Duration::from_millis(round * 20 + 19))
            {
                let members = wheel.members(due).iter();
                members.for_each(|index| seen[*index as usize] += 1);
            }
            let expected: Vec<i32> = present.iter().map(|present| i32::from(*present)).collect();
            assert_eq!(seen, expected, "round {round}");
            assert_eq!(
                wheel.len(),
                present.iter().filter(|present| **present).count()
            );
        }
    }
}
