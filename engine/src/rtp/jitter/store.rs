//! Packets that wait for their turn, in order of media time, with their payloads in one piece of memory made at the start.
//!
//! Payloads lie in a ring in order of arrival, each in one piece. Full means that the earliest packet is given up. Holds 64 packets.

/// Packets held at most.
const PACKETS: usize = 64;

/// A packet that waits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    /// Media time of its first sample.
    pub(super) at: i64,
    /// Its length in media time.
    pub(super) units: u32,
    /// Whether nothing was sent between the packet before and this one.
    pub(super) follows: bool,
    /// Where its payload begins, counted on from the first octet ever written.
    position: u64,
    length: usize,
}

impl Entry {
    /// Media time after its last sample.
    pub(super) fn end(&self) -> i64 {
        self.at + i64::from(self.units)
    }
}

/// The packets of one source.
#[derive(Debug)]
pub(super) struct Store {
    arena: Box<[u8]>,
    /// Octets written so far, the skipped ones before the ring's end included.
    written: u64,
    entries: [Entry; PACKETS],
    count: usize,
}

impl Store {
    /// Room for so many octets of payload.
    pub(super) fn new(octets: usize) -> Store {
        Store {
            arena: vec![0; octets].into_boxed_slice(),
            written: 0,
            entries: [Entry::default(); PACKETS],
            count: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.written = 0;
    }

    pub(super) fn longest_payload(&self) -> usize {
        self.arena.len() / 2
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
    pub(super) fn insert(&mut self, at: i64, units: u32, follows: bool, payload: &[u8]) -> u32 {
        let mut given_up = 0;
        let position = loop {
            match self.place_for(payload.len()) {
                Some(position) if self.count < PACKETS => break position,
                _ => {
                    self.remove_first();
                    given_up += 1;
                }
            }
        };
        let start = self.slot(position);
        self.arena[start..start + payload.len()].copy_from_slice(payload);
        self.written = position + payload.len() as u64;
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
            follows,
            position,
            length: payload.len(),
        };
        given_up
    }

    /// Where the next payload can be in one piece. An empty ring has room for every payload it takes at all.
    fn place_for(&self, length: usize) -> Option<u64> {
        let (size, length) = (self.arena.len() as u64, length as u64);
        let used = self.written % size;
        let start = if used + length > size {
            self.written + size - used
        } else {
            self.written
        };
        let oldest = self.entries[..self.count]
            .iter()
            .map(|entry| entry.position)
            .min()
            .unwrap_or(start);
        (start + length - oldest <= size).then_some(start)
    }

    fn slot(&self, position: u64) -> usize {
        (position % self.arena.len() as u64) as usize
    }

    /// Takes the earliest packet out; its payload stays readable until the next insertion.
    pub(super) fn remove_first(&mut self) -> Option<Entry> {
        let first = *self.first()?;
        self.entries.copy_within(1..self.count, 0);
        self.count -= 1;
        Some(first)
    }

    /// The payload of a packet that waits or was just taken out.
    pub(super) fn payload(&self, entry: &Entry) -> &[u8] {
        let start = self.slot(entry.position);
        &self.arena[start..start + entry.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_in_order_with_their_octets() {
        let mut store = Store::new(1000);
        let mut next_out = 0;
        for n in 0..500i64 {
            // Neighbours swapped, lengths that do not divide the ring.
            let number = n ^ 1;
            let length = 100 + (number % 7) as usize;
            let payload = vec![number as u8; length];
            assert_eq!(store.insert(number * 160, 160, true, &payload), 0);
            if n % 2 == 1 && n > 4 {
                for _ in 0..2 {
                    let entry = store.remove_first().unwrap();
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
        let mut store = Store::new(1000);
        let given_up: u32 = (0..20).map(|n| store.insert(n, 1, true, &[0; 300])).sum();
        assert_eq!(given_up, 17);
        assert_eq!(store.first().unwrap().at, 17);
        let mut store = Store::new(1000);
        let given_up: u32 = (0..100).map(|n| store.insert(n, 1, true, &[0; 3])).sum();
        assert_eq!(given_up as usize, 100 - PACKETS);
    }
}
