//! Linear samples between decoder and frames: a short queue that knows which of them are made up and which are a pause.
//!
//! What a narrowband stream of 20 ms packets needs is part of the queue itself; more can be lent to whoever needs it.

use std::ops::Range;

/// Samples kept free before the first, where a longer front finds place.
const HEADROOM: usize = 240;
/// Samples it holds besides: less than a frame, a hole of 60 ms and a packet of 120 ms at 16 kHz.
pub(super) const ROOM: usize = HEADROOM + (20 + 60 + 120) * 16;
/// Of these, samples that are part of the queue: less than 35 ms and a packet at 8 kHz.
const NEAR: usize = HEADROOM + NEAR_ROOM;
/// What it holds of them.
pub(super) const NEAR_ROOM: usize = 60 * 8;
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
    from: u16,
    to: u16,
}

/// What is not the peer's in samples that were taken out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Taken {
    /// How many were made up.
    pub(super) made: usize,
    /// Between which places they all are.
    pub(super) made_within: Range<usize>,
    /// How many are a pause.
    pub(super) quiet: usize,
}

/// The queue. In this order in memory: what is looked at when it is empty comes first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct PcmQueue {
    from: usize,
    to: usize,
    marked: usize,
    /// The samples are in `far`.
    is_far: bool,
    marks: [Mark; MARKS],
    near: [i16; NEAR],
    /// Has its capacity when it is lent, and as many samples as were ever used.
    far: Vec<i16>,
}

impl PcmQueue {
    /// One that holds [`NEAR_ROOM`] samples, and more when room for them is lent.
    pub(super) fn new() -> PcmQueue {
        let none = Mark {
            kind: Kind::Made,
            from: 0,
            to: 0,
        };
        PcmQueue {
            from: HEADROOM,
            to: HEADROOM,
            marks: [none; MARKS],
            marked: 0,
            is_far: false,
            near: [0; NEAR],
            far: Vec::new(),
        }
    }

    /// Lends it room for [`ROOM`] samples.
    pub(super) fn lend(&mut self, far: Vec<i16>) {
        self.far = far;
    }

    /// What was lent, unless samples are in there.
    pub(super) fn give_back(&mut self) -> Option<Vec<i16>> {
        if self.is_far {
            if !self.is_empty() {
                return None;
            }
            // A ramp may start from the one before the first.
            self.near[HEADROOM - 1] = self.far[self.from.saturating_sub(1)];
            (self.from, self.to, self.marked) = (HEADROOM, HEADROOM, 0);
            self.is_far = false;
        }
        Some(std::mem::take(&mut self.far))
    }

    pub(super) fn clear(&mut self) {
        (self.from, self.to, self.marked) = (HEADROOM, HEADROOM, 0);
        self.is_far = false;
        self.near[HEADROOM - 1] = 0;
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

    fn samples(&self) -> &[i16] {
        match self.is_far {
            true => &self.far,
            false => &self.near,
        }
    }

    fn samples_mut(&mut self) -> &mut [i16] {
        match self.is_far {
            true => &mut self.far,
            false => &mut self.near,
        }
    }

    /// Room for `count` samples, or as many as there can be. What is written at its beginning is taken in by [`commit`](Self::commit).
    pub(super) fn room(&mut self, count: usize) -> &mut [i16] {
        self.move_down();
        let most = self.far.capacity().clamp(NEAR, ROOM);
        let end = (self.to + count).min(most);
        if end > NEAR && !self.is_far {
            // With the one before the first: a ramp may start from it.
            let held = self.from.saturating_sub(1)..self.to;
            self.reach(self.to);
            self.far[held.clone()].copy_from_slice(&self.near[held]);
            self.is_far = true;
        } else if self.is_far && end <= NEAR && self.is_empty() {
            let before = self.to.saturating_sub(1);
            self.near[before] = self.far[before];
            self.is_far = false;
        }
        if self.is_far {
            self.reach(end);
        }
        let to = self.to;
        &mut self.samples_mut()[to..end]
    }

    /// Makes the far samples at least so many.
    fn reach(&mut self, end: usize) {
        if self.far.len() < end {
            self.far.resize(end, 0);
        }
    }

    /// Has the first sample behind the headroom again.
    fn move_down(&mut self) {
        if self.from <= HEADROOM {
            return;
        }
        let (from, to) = (self.from, self.to);
        let down = from - HEADROOM;
        self.samples_mut().copy_within(from - 1..to, HEADROOM - 1);
        (self.from, self.to) = (HEADROOM, to - down);
        for mark in &mut self.marks[..self.marked] {
            mark.from = mark.from.saturating_sub(down as u16);
            mark.to -= down as u16;
        }
    }

    /// Takes in the first `count` samples of the room.
    pub(super) fn commit(&mut self, count: usize) {
        self.to = (self.to + count).min(self.samples().len());
    }

    /// Takes in the first `count` samples of the room as made up.
    pub(super) fn commit_made(&mut self, count: usize) {
        self.mark(Kind::Made, count);
        self.commit(count);
    }

    /// Takes in samples.
    pub(super) fn push(&mut self, samples: &[i16]) {
        let room = self.room(samples.len());
        let count = room.len();
        room.copy_from_slice(&samples[..count]);
        self.commit(count);
    }

    /// Adds a pause, which begins from the sample before it.
    pub(super) fn push_quiet(&mut self, count: usize) {
        let count = self.room(count).len();
        let (before, to) = (self.to.saturating_sub(1), self.to);
        let samples = self.samples_mut();
        let last = i32::from(samples[before]);
        for (index, sample) in samples[to..to + count].iter_mut().enumerate() {
            let left = RAMP.saturating_sub(index + 1) as i32;
            *sample = (last * left / RAMP as i32) as i16;
        }
        self.mark(Kind::Quiet, count);
        self.commit(count);
    }

    /// While it is empty: the sample that was played last elsewhere.
    pub(super) fn set_before(&mut self, sample: i16) {
        let before = self.from.saturating_sub(1);
        self.samples_mut()[before] = sample;
    }

    fn mark(&mut self, kind: Kind, count: usize) {
        // Places are below `ROOM`.
        let (from, to) = (self.to as u16, (self.to + count) as u16);
        if let Some(last) = self.marks[..self.marked].last_mut()
            && ((last.kind == kind && last.to == from) || self.marked == MARKS)
        {
            last.to = to;
        } else {
            self.marks[self.marked] = Mark { kind, from, to };
            self.marked += 1;
        }
    }

    /// Takes the first samples out, filling up with silence.
    pub(super) fn take(&mut self, out: &mut [i16]) -> Taken {
        let count = out.len().min(self.len());
        let (from, end) = (self.from, self.from + count);
        out[..count].copy_from_slice(&self.samples()[from..end]);
        out[count..].fill(0);
        let mut taken = Taken::default();
        for mark in &self.marks[..self.marked] {
            let within = usize::from(mark.from).max(from)..usize::from(mark.to).min(end);
            match mark.kind {
                _ if within.is_empty() => {}
                Kind::Quiet => taken.quiet += within.len(),
                Kind::Made => {
                    if taken.made == 0 {
                        taken.made_within.start = within.start - from;
                    }
                    taken.made_within.end = within.end - from;
                    taken.made += within.len();
                }
            }
        }
        let over = self.marks[..self.marked]
            .iter()
            .take_while(|mark| usize::from(mark.to) <= end)
            .count();
        self.marks.copy_within(over..self.marked, 0);
        self.marked -= over;
        self.from = end;
        taken
    }

    /// The first samples, at most so many.
    pub(super) fn front(&self, count: usize) -> &[i16] {
        &self.samples()[self.from..self.from + count.min(self.len())]
    }

    /// Puts other samples in the place of the first `count`; up to 15 ms more than these.
    pub(super) fn replace_front(&mut self, count: usize, with: &[i16]) {
        let end = self.from + count.min(self.len());
        let Some(start) = end.checked_sub(with.len()) else {
            return;
        };
        self.samples_mut()[start..end].copy_from_slice(with);
        self.from = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has all the room there is.
    fn queue() -> PcmQueue {
        let mut queue = PcmQueue::new();
        queue.lend(Vec::with_capacity(ROOM));
        queue
    }

    #[test]
    fn samples_come_out_as_they_went_in_for_ever() {
        let mut queue = queue();
        let (mut next_in, mut next_out) = (0u16, 0u16);
        let mut out = [0; 160];
        for n in 0..1000 {
            let packet: Vec<i16> = (0..100 + n % 90)
                .map(|index| next_in.wrapping_add(index as u16) as i16)
                .collect();
            next_in = next_in.wrapping_add(packet.len() as u16);
            queue.push(&packet);
            while queue.len() >= 160 {
                assert_eq!(queue.take(&mut out), Taken::default());
                for sample in out {
                    assert_eq!(sample, next_out as i16);
                    next_out = next_out.wrapping_add(1);
                }
            }
        }
    }

    #[test]
    fn it_knows_what_is_not_the_peers() {
        let mut queue = queue();
        let mut out = [0; 160];
        queue.push(&[8000; 100]);
        queue.room(100).fill(7);
        queue.commit_made(100);
        assert!(!queue.is_genuine());
        queue.push_quiet(200);
        let taken = |made, made_within, quiet| Taken {
            made,
            made_within,
            quiet,
        };
        assert_eq!(queue.take(&mut out), taken(60, 100..160, 0));
        assert_eq!(queue.take(&mut out), taken(40, 0..40, 120));
        queue.room(0);
        assert_eq!(queue.take(&mut out), taken(0, 0..0, 80));
        assert!(queue.is_genuine() && queue.is_empty());
    }

    #[test]
    fn sound_passes_into_a_pause_without_a_step() {
        let mut queue = queue();
        let mut out = [0; 160];
        queue.push(&[8000; 160]);
        queue.take(&mut out);
        queue.push_quiet(160);
        queue.take(&mut out);
        assert!(out[0] > 7000 && out[31] == 0 && out.is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn a_front_of_another_length() {
        let mut queue = queue();
        queue.push(&[1; 400]);
        queue.replace_front(200, &[2; 440]);
        assert_eq!((queue.len(), queue.front(3)), (640, &[2; 3][..]));
        queue.replace_front(440, &[3; 40]);
        assert_eq!((queue.len(), queue.front(100)[40]), (240, 1));
        let mut out = [0; 240];
        queue.take(&mut out);
        assert_eq!((out[39], out[40]), (3, 1));
    }

    /// A burst needs the far samples; when it is over the near ones serve again. Nobody hears the change.
    #[test]
    fn what_is_too_much_for_the_near_samples_goes_to_the_far_ones_and_back() {
        let mut queue = queue();
        let capacity = queue.far.capacity();
        let (mut next_in, mut next_out) = (0i16, 0i16);
        let mut out = [0; 160];
        for n in 0..2000 {
            let frames = match n % 50 {
                0 => 14,
                1..=13 => 0,
                _ => 1,
            };
            let samples: Vec<i16> = (0..frames * 160)
                .map(|of| next_in.wrapping_add(of))
                .collect();
            next_in = next_in.wrapping_add(frames * 160);
            queue.push(&samples);
            assert_eq!(queue.is_far, n % 50 <= 13, "{n}");
            queue.take(&mut out);
            for sample in out {
                assert_eq!(sample, next_out, "{n}");
                next_out = next_out.wrapping_add(1);
            }
        }
        assert_eq!(queue.far.capacity(), capacity);
        // The sample before the first goes with them.
        queue.push(&[8000; 2000]);
        queue.take(&mut [0; 2000]);
        queue.push_quiet(160);
        queue.take(&mut out);
        assert!(!queue.is_far && out[0] > 7000);
    }

    #[test]
    fn room_is_lent_while_samples_are_in_there() {
        let mut queue = PcmQueue::new();
        assert_eq!(queue.room(2000).len(), NEAR_ROOM);
        queue.push(&[1; 100]);
        queue.lend(Vec::with_capacity(ROOM));
        queue.push(&[2; 1000]);
        assert_eq!((queue.len(), queue.give_back()), (1100, None));
        let mut out = [0; 1100];
        queue.take(&mut out);
        assert_eq!((out[99], out[100], out[1099]), (1, 2, 2));
        assert!(queue.give_back().is_some_and(|far| far.capacity() >= ROOM));
        // The sample before the first stays.
        queue.push_quiet(10);
        queue.take(&mut out[..10]);
        assert_eq!((out[0], queue.room(2000).len()), (1, NEAR_ROOM));
    }
}
