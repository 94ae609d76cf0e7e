//! Linear samples between decoder and frames: a short queue that knows which of them are made up and which are a pause.

/// Samples it holds: a frame, a hole of 60 ms and two packets of 120 ms at 16 kHz, and what stretching adds.
const ROOM: usize = 5440;
/// Samples kept free before the first, where a longer front finds place.
const HEADROOM: usize = 240;
/// Stretches that are told apart; more than that pass for the last one.
const MARKS: usize = 6;
/// Samples in which sound passes into a pause.
const RAMP: usize = 32;

/// What samples are if they are not the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Made,
    Quiet,
}

/// A run of samples by their places.
#[derive(Debug, Clone, Copy)]
struct Mark {
    kind: Kind,
    from: usize,
    to: usize,
}

/// The queue.
#[derive(Debug)]
pub(super) struct PcmQueue {
    samples: Box<[i16; ROOM]>,
    from: usize,
    to: usize,
    marks: [Mark; MARKS],
    marked: usize,
}

impl PcmQueue {
    pub(super) fn new() -> PcmQueue {
        let none = Mark {
            kind: Kind::Made,
            from: 0,
            to: 0,
        };
        PcmQueue {
            samples: Box::new([0; ROOM]),
            from: HEADROOM,
            to: HEADROOM,
            marks: [none; MARKS],
            marked: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        (self.from, self.to, self.marked) = (HEADROOM, HEADROOM, 0);
        self.samples[HEADROOM - 1] = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.to - self.from
    }

    pub(super) fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Whether all samples are the peer's.
    pub(super) fn is_genuine(&self) -> bool {
        self.marked == 0
    }

    /// Room for as many samples as there can be. What is written at its beginning is taken in by [`commit`](Self::commit).
    pub(super) fn room(&mut self) -> &mut [i16] {
        if self.from > HEADROOM {
            let down = self.from - HEADROOM;
            // With the one before the first: a ramp may start from it.
            self.samples
                .copy_within(self.from - 1..self.to, HEADROOM - 1);
            (self.from, self.to) = (HEADROOM, self.to - down);
            for mark in &mut self.marks[..self.marked] {
                mark.from -= down.min(mark.from);
                mark.to -= down;
            }
        }
        &mut self.samples[self.to..]
    }

    /// Takes in the first `count` samples of the room.
    pub(super) fn commit(&mut self, count: usize) {
        self.to = (self.to + count).min(ROOM);
    }

    /// Takes in the first `count` samples of the room as made up.
    pub(super) fn commit_made(&mut self, count: usize) {
        self.mark(Kind::Made, count);
        self.commit(count);
    }

    /// Adds a pause.
    pub(super) fn push_quiet(&mut self, count: usize) {
        let room = self.room();
        let count = count.min(room.len());
        let last = i32::from(self.samples[self.to - 1]);
        for (index, sample) in self.samples[self.to..self.to + count]
            .iter_mut()
            .enumerate()
        {
            let left = RAMP.saturating_sub(index + 1) as i32;
            *sample = (last * left / RAMP as i32) as i16;
        }
        self.mark(Kind::Quiet, count);
        self.commit(count);
    }

    fn mark(&mut self, kind: Kind, count: usize) {
        let (from, to) = (self.to, self.to + count);
        if let Some(last) = self.marks[..self.marked].last_mut()
            && ((last.kind == kind && last.to == from) || self.marked == MARKS)
        {
            last.to = to;
        } else {
            self.marks[self.marked] = Mark { kind, from, to };
            self.marked += 1;
        }
    }

    /// Takes the first samples out, filling up with silence. Says how many were made up, and how many a pause.
    pub(super) fn take(&mut self, out: &mut [i16]) -> (usize, usize) {
        let count = out.len().min(self.len());
        let end = self.from + count;
        out[..count].copy_from_slice(&self.samples[self.from..end]);
        out[count..].fill(0);
        let (mut made, mut quiet) = (0, 0);
        for mark in &self.marks[..self.marked] {
            let within = mark.to.min(end).saturating_sub(mark.from.max(self.from));
            match mark.kind {
                Kind::Made => made += within,
                Kind::Quiet => quiet += within,
            }
        }
        let over = self.marks[..self.marked]
            .iter()
            .take_while(|mark| mark.to <= end)
            .count();
        self.marks.copy_within(over..self.marked, 0);
        self.marked -= over;
        self.from = end;
        (made, quiet)
    }

    /// The first samples, at most so many.
    pub(super) fn front(&self, count: usize) -> &[i16] {
        &self.samples[self.from..self.from + count.min(self.len())]
    }

    /// Puts other samples in the place of the first `count`; up to 15 ms more than these.
    pub(super) fn replace_front(&mut self, count: usize, with: &[i16]) {
        let end = self.from + count.min(self.len());
        let Some(start) = end.checked_sub(with.len()) else {
            return;
        };
        self.samples[start..end].copy_from_slice(with);
        self.from = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut PcmQueue, samples: &[i16]) {
        queue.room()[..samples.len()].copy_from_slice(samples);
        queue.commit(samples.len());
    }

    #[test]
    fn samples_come_out_as_they_went_in_for_ever() {
        let mut queue = PcmQueue::new();
        let (mut next_in, mut next_out) = (0u16, 0u16);
        let mut out = [0; 160];
        for n in 0..1000 {
            let packet: Vec<i16> = (0..100 + n % 90)
                .map(|index| next_in.wrapping_add(index as u16) as i16)
                .collect();
            next_in = next_in.wrapping_add(packet.len() as u16);
            push(&mut queue, &packet);
            while queue.len() >= 160 {
                assert_eq!(queue.take(&mut out), (0, 0));
                for sample in out {
                    assert_eq!(sample, next_out as i16);
                    next_out = next_out.wrapping_add(1);
                }
            }
        }
    }

    #[test]
    fn it_knows_what_is_not_the_peers() {
        let mut queue = PcmQueue::new();
        let mut out = [0; 160];
        push(&mut queue, &[8000; 100]);
        queue.room()[..100].fill(7);
        queue.commit_made(100);
        assert!(!queue.is_genuine());
        queue.push_quiet(200);
        assert_eq!(queue.take(&mut out), (60, 0));
        assert_eq!(queue.take(&mut out), (40, 120));
        queue.room();
        assert_eq!(queue.take(&mut out), (0, 80));
        assert!(queue.is_genuine() && queue.is_empty());
    }

    #[test]
    fn sound_passes_into_a_pause_without_a_step() {
        let mut queue = PcmQueue::new();
        let mut out = [0; 160];
        push(&mut queue, &[8000; 160]);
        queue.take(&mut out);
        queue.push_quiet(160);
        queue.take(&mut out);
        assert!(out[0] > 7000 && out[31] == 0 && out.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn a_front_of_another_length() {
        let mut queue = PcmQueue::new();
        push(&mut queue, &[1; 400]);
        queue.replace_front(200, &[2; 440]);
        assert_eq!((queue.len(), queue.front(3)), (640, &[2; 3][..]));
        queue.replace_front(440, &[3; 40]);
        assert_eq!((queue.len(), queue.front(100)[40]), (240, 1));
        let mut out = [0; 240];
        queue.take(&mut out);
        assert_eq!((out[39], out[40]), (3, 1));
    }
}
