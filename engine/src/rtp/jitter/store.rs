//! Packets that wait for their turn, in order of media time, with their payloads in memory made at the start.
//!
//! Each payload lies in one piece, as near to the beginning as there is place: a stream without bursts touches the first octets only, which
//! lie beside the entries. More room than that can be lent while it is needed. What was handed out last stays readable until its place is
//! needed. Full means that the earliest packet is given up. Holds 64 packets.

/// Packets held at most.
const PACKETS: usize = 64;
/// Octets that are part of the store itself: ten packets of G.711, of which the last that were handed out are four.
pub(super) const NEAR: usize = 10 * 160;
/// Packets handed out that stay readable.
pub(super) const PAST: usize = 4;

/// A packet that waits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    /// Media time of its first sample.
    pub(super) at: i64,
    /// Its length in media time: 5,760 at most.
    pub(super) units: u16,
    /// Where its payload is.
    place: Place,
    /// Whether nothing was sent between the packet before and this one.
    pub(super) follows: bool,
}

/// Octets that belong to a payload.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u16,
    length: u16,
}

impl Place {
    fn end(self) -> u32 {
        u32::from(self.start) + u32::from(self.length)
    }

    fn overlaps(self, other: Place) -> bool {
        u32::from(self.start) < other.end() && u32::from(other.start) < self.end()
    }
}

impl Entry {
    /// Media time after its last sample.
    pub(super) fn end(&self) -> i64 {
        self.at + i64::from(self.units)
    }
}

/// The packets of one source. In this order in memory: what every packet touches comes first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Store {
    /// Octets there may be.
    size: u32,
    /// Where the newest payload ends.
    written: u32,
    /// Packets handed out so far, and the places of the last ones.
    handed: u64,
    past: [Place; PAST],
    count: usize,
    pub(super) entries: [Entry; PACKETS],
    near: [u8; NEAR],
    /// The octets from [`NEAR`] on. Has its capacity when it is lent, and as many as were ever used.
    far: Vec<u8>,
}

impl Store {
    /// Room for [`NEAR`] octets of payload, and more when that is lent.
    pub(super) fn new() -> Store {
        Store {
            size: NEAR as u32,
            written: 0,
            handed: 0,
            past: [Place::default(); PAST],
            count: 0,
            entries: [Entry::default(); PACKETS],
            near: [0; NEAR],
            far: Vec::new(),
        }
    }

    /// Lends it as many octets beyond [`NEAR`] as these have capacity; 64 KiB with those are the most. Returns what was lent before, which is
    /// to be less.
    pub(super) fn lend(&mut self, mut far: Vec<u8>) -> Vec<u8> {
        self.size = (NEAR + far.capacity()).min(usize::from(u16::MAX)) as u32;
        far.clear();
        far.extend_from_slice(&self.far[..self.far.len().min(far.capacity())]);
        std::mem::replace(&mut self.far, far)
    }

    /// What was lent, unless a payload is in there.
    pub(super) fn give_back(&mut self) -> Option<Vec<u8>> {
        let near = |of: &Place| of.end() <= NEAR as u32;
        if !self.taken().all(near) {
            return None;
        }
        self.size = NEAR as u32;
        self.written = self.written.min(NEAR as u32);
        Some(std::mem::take(&mut self.far))
    }

    /// Whether there may be no place for another payload of so many octets beside those that wait and the last ones;
    /// or never, because it is longer than [`longest_payload`](Self::longest_payload).
    pub(super) fn is_crowded(&self, length: usize) -> bool {
        let kept = self.taken().filter(|of| of.length > 0).count();
        (kept + 1) * length > self.size as usize || length > self.longest_payload()
    }

    fn taken(&self) -> impl Iterator<Item = &Place> {
        let waiting = self.entries[..self.count].iter().map(|entry| &entry.place);
        waiting.chain(&self.past)
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.written = 0;
        self.past = [Place::default(); PAST];
    }

    pub(super) fn longest_payload(&self) -> usize {
        (self.size as usize / 2).min(usize::from(u16::MAX))
    }

    pub(super) fn first(&self) -> Option<&Entry> {
        self.entries[..self.count].first()
    }

    /// Whether the media time is covered by a packet that waits.
    pub(super) fn covers(&self, at: i64) -> bool {
        let covers = |entry: &Entry| (entry.at..entry.end()).contains(&at);
        self.entries[..self.count].iter().rev().any(covers)
    }

    /// Takes a packet. Returns how many earlier ones were given up for it.
    pub(super) fn insert(&mut self, at: i64, units: u16, follows: bool, payload: &[u8]) -> u32 {
        let mut given_up = 0;
        let place = loop {
            match self.place_for(payload.len() as u16) {
                Some(place) if self.count < PACKETS => break place,
                None if self.past.iter().any(|past| past.length > 0) => {
                    self.past = [Place::default(); PAST];
                }
                _ => {
                    self.remove_first();
                    given_up += 1;
                }
            }
        };
        self.write(place, payload);
        let before = |entry: &Entry| entry.at <= at;
        let index = self.entries[..self.count]
            .iter()
            .rposition(before)
            .map_or(0, |index| index + 1);
        self.entries.copy_within(index..self.count, index + 1);
        self.count += 1;
        self.entries[index] = Entry {
            at,
            units,
            place,
            follows,
        };
        given_up
    }

    /// Where the next payload can be: at the very beginning, behind the newest, or behind any other. An empty store has room for every
    /// payload it takes.
    fn place_for(&self, length: u16) -> Option<Place> {
        let fits = |start: u32| {
            let start = match start {
                start if start + u32::from(length) <= NEAR as u32 => start,
                start => start.max(NEAR as u32),
            };
            let start = u16::try_from(start).ok()?;
            let place = Place { start, length };
            let free = !self.taken().any(|of| of.overlaps(place));
            (free && place.end() <= self.size).then_some(place)
        };
        fits(0)
            .or_else(|| fits(self.written))
            .or_else(|| self.taken().find_map(|of| fits(of.end())))
    }

    fn write(&mut self, place: Place, payload: &[u8]) {
        let (start, end) = (place.start as usize, place.end() as usize);
        self.written = place.end();
        if end <= NEAR {
            self.near[start..end].copy_from_slice(payload);
            return;
        }
        let (start, end) = (start - NEAR, end - NEAR);
        if self.far.len() < end {
            self.far.resize(end, 0);
        }
        self.far[start..end].copy_from_slice(payload);
    }

    /// Gives up the earliest packet.
    pub(super) fn remove_first(&mut self) -> Option<Entry> {
        let first = *self.first()?;
        self.entries.copy_within(1..self.count, 0);
        self.count -= 1;
        Some(first)
    }

    /// Takes the earliest packet out; its payload stays readable until the next insertion, and mostly for two packets more.
    pub(super) fn hand_out(&mut self) -> Option<Entry> {
        let first = self.remove_first()?;
        self.past[(self.handed % PAST as u64) as usize] = first.place;
        self.handed += 1;
        Some(first)
    }

    /// The payload of a packet that waits or was just taken out.
    pub(super) fn payload(&self, entry: &Entry) -> &[u8] {
        self.octets(entry.place)
    }

    /// Packets handed out so far.
    pub(super) fn handed(&self) -> u64 {
        self.handed
    }

    /// The payload of the packet that was handed out after `number` others, if it is one of the last and still there.
    pub(super) fn past(&self, number: u64) -> Option<&[u8]> {
        let recent = number < self.handed && self.handed - number <= PAST as u64;
        let place = self.past[(number % PAST as u64) as usize];
        (recent && place.length > 0).then(|| self.octets(place))
    }

    fn octets(&self, place: Place) -> &[u8] {
        let (start, end) = (place.start as usize, place.end() as usize);
        match end <= NEAR {
            true => &self.near[start..end],
            false => &self.far[start - NEAR..end - NEAR],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With room for so many octets.
    fn store_of(octets: usize) -> Store {
        let mut store = Store::new();
        store.lend(Vec::with_capacity(octets.saturating_sub(NEAR)));
        store.size = octets as u32;
        store
    }

    #[test]
    fn packets_come_out_in_order_with_their_octets() {
        let mut store = store_of(1000);
        let mut next_out = 0;
        for n in 0..500i64 {
            // Neighbours swapped, lengths that do not divide the ring.
            let number = n ^ 1;
            let length = 100 + (number % 7) as usize;
            let payload = vec![number as u8; length];
            assert_eq!(store.insert(number * 160, 160, true, &payload), 0);
            if n % 2 == 1 && n > 4 {
                for _ in 0..2 {
                    let entry = store.hand_out().unwrap();
                    assert_eq!(entry.at, next_out * 160);
                    assert_eq!(store.payload(&entry).len(), 100 + (next_out % 7) as usize);
                    assert!(store.payload(&entry).iter().all(|o| *o == next_out as u8));
                    next_out += 1;
                }
            }
        }
        assert!(next_out > 400);
    }

    #[test]
    fn a_full_store_gives_up_the_earliest() {
        let mut store = store_of(1000);
        let given_up: u32 = (0..20).map(|n| store.insert(n, 1, true, &[0; 300])).sum();
        assert_eq!(given_up, 17);
        assert_eq!(store.first().unwrap().at, 17);
        let mut store = store_of(1000);
        let given_up: u32 = (0..100).map(|n| store.insert(n, 1, true, &[0; 3])).sum();
        assert_eq!(given_up as usize, 100 - PACKETS);
    }

    #[test]
    fn what_was_handed_out_last_stays_readable() {
        for octets in [12_288, 4000] {
            let mut store = store_of(octets);
            for n in 0..200u64 {
                assert_eq!(store.insert(n as i64 * 160, 160, true, &[n as u8; 160]), 0);
                if n < 2 {
                    continue;
                }
                store.hand_out().unwrap();
                assert_eq!(store.handed(), n - 1);
                for back in 0..PAST.min(n as usize - 1) as u64 {
                    let number = n - 2 - back;
                    assert_eq!(store.past(number), Some(&[number as u8; 160][..]));
                }
                assert_eq!(store.past(n - 1), None);
            }
            // And all of it lies beside the entries.
            assert_eq!(store.far.len(), 0);
        }
        // It makes way before anything that waits is given up.
        let mut store = store_of(1000);
        store.insert(0, 1, true, &[1; 400]);
        store.hand_out().unwrap();
        store.insert(1, 1, true, &[2; 400]);
        assert!(store.past(0).is_some());
        assert_eq!(store.insert(2, 1, true, &[3; 400]), 0);
        assert_eq!(store.past(0), None);
        assert_eq!(store.payload(store.first().unwrap()), [2; 400]);
    }

    /// A burst: what is too much for the near octets goes to those that are lent, and back they go when it is over.
    #[test]
    fn what_is_lent_is_given_back_when_nothing_is_in_there() {
        let mut store = Store::new();
        for n in 0..10i64 {
            assert!(!store.is_crowded(160), "{n}");
            assert_eq!(store.insert(n, 1, true, &[n as u8; 160]), 0);
        }
        assert!(store.is_crowded(160));
        assert!(!Store::new().is_crowded(NEAR / 2) && Store::new().is_crowded(NEAR / 2 + 1));
        store.lend(Vec::with_capacity(200));
        assert!(!store.is_crowded(160));
        assert_eq!(store.insert(10, 1, true, &[10; 160]), 0);
        // More than that: what is in the smaller room goes along.
        assert!(store.is_crowded(160));
        assert_eq!(store.lend(Vec::with_capacity(4000)).capacity(), 200);
        assert!(store.give_back().is_none());
        for n in 0..11 {
            let entry = store.hand_out().unwrap();
            assert_eq!(store.payload(&entry), [n; 160]);
        }
        for n in 11..15 {
            assert!(store.give_back().is_none(), "its past is still in there");
            store.insert(n, 1, true, &[0; 160]);
            store.hand_out();
        }
        assert_eq!(store.give_back().map(|far| far.capacity()), Some(4000));
        // Without it the earliest are given up.
        let given_up: u32 = (15..27).map(|n| store.insert(n, 1, true, &[0; 160])).sum();
        assert_eq!((given_up, store.first().unwrap().at), (2, 17));
    }

    #[test]
    fn the_memory_is_what_it_was_made_with() {
        let mut store = store_of(12_288);
        let capacity = store.far.capacity();
        for n in 0..500i64 {
            store.insert(n, 1, true, &vec![n as u8; 300 + (n as usize * 7919) % 5000]);
            if n % 3 == 0 {
                store.hand_out();
            }
        }
        assert!(store.far.len() > 4000);
        assert_eq!(store.far.capacity(), capacity);
    }
}
