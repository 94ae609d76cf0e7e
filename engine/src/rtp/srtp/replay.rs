//! Which packets of which sources were taken (RFC 3711 section 3.3.2). Told of authenticated packets only.

/// SSRCs a receiver keeps apart. A peer that uses more in one call makes it forget the one it heard longest ago, whose packets could then
/// be replayed.
pub const SOURCES: usize = 8;
/// Indexes a window remembers; RFC 3711 asks for 64 at least.
const WINDOW: u64 = 128;

/// The packets of one source: the newest index, and which of the 128 up to it were taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    newest: u64,
    /// Bit n: the index n before the newest.
    taken: u128,
}

impl Window {
    pub(super) fn beginning_at(index: u64) -> Window {
        Window {
            newest: index,
            taken: 1,
        }
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Notes an index; `false` if it was taken before or is too old to tell.
    pub(super) fn take(&mut self, index: u64) -> bool {
        if let Some(ahead) = index.checked_sub(self.newest).filter(|&ahead| ahead > 0) {
            self.taken = match ahead < WINDOW {
                true => self.taken << ahead | 1,
                false => 1,
            };
            self.newest = index;
            return true;
        }
        let behind = self.newest - index;
        if behind >= WINDOW || self.taken >> behind & 1 == 1 {
            return false;
        }
        self.taken |= 1 << behind;
        true
    }
}

/// The windows of the sources of one peer.
#[derive(Debug, Default)]
pub(super) struct Sources {
    slots: [Option<Slot>; SOURCES],
    /// Packets so far; orders the slots by when they were heard.
    heard: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    ssrc: u32,
    window: Window,
    heard: u64,
}

impl Sources {
    pub(super) fn window(&self, ssrc: u32) -> Option<&Window> {
        self.slots
            .iter()
            .flatten()
            .find(|slot| slot.ssrc == ssrc)
            .map(|slot| &slot.window)
    }

    /// The source heard last, and its newest index.
    pub(super) fn latest(&self) -> Option<(u32, u64)> {
        let slots = self.slots.iter().flatten();
        slots
            .max_by_key(|slot| slot.heard)
            .map(|slot| (slot.ssrc, slot.window.newest))
    }

    /// The window of a source that was heard now.
    pub(super) fn window_mut(&mut self, ssrc: u32) -> Option<&mut Window> {
        self.heard += 1;
        let slot = self
            .slots
            .iter_mut()
            .flatten()
            .find(|slot| slot.ssrc == ssrc)?;
        slot.heard = self.heard;
        Some(&mut slot.window)
    }

    /// A source heard for the first time; takes the place of the one heard longest ago when there is none free.
    pub(super) fn add(&mut self, ssrc: u32, window: Window) {
        let heard = self.heard;
        let place = self
            .slots
            .iter_mut()
            .min_by_key(|slot| slot.map_or(0, |slot| slot.heard + 1));
        if let Some(place) = place {
            *place = Some(Slot {
                ssrc,
                window,
                heard,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_is_taken_once() {
        let mut window = Window::beginning_at(1000);
        for (index, fresh) in [
            (1000, false),
            (1001, true),
            (999, true),
            (999, false),
            (1128, true),
            (1001, false),
            (1002, true),
            (1000, false), // older than the window: nobody knows
            (5000, true),
            (4999, true),
            (4873, true),
            (4872, false),
            (1128, false),
            (u64::MAX, true),
            (0, false),
        ] {
            assert_eq!(window.take(index), fresh, "{index}");
        }
    }

    #[test]
    fn the_source_heard_longest_ago_makes_room() {
        let mut sources = Sources::default();
        for ssrc in 0..8 {
            assert!(sources.window_mut(ssrc).is_none());
            sources.add(ssrc, Window::beginning_at(7));
        }
        assert!(sources.window_mut(0).is_some());
        assert!(sources.window_mut(100).is_none());
        sources.add(100, Window::beginning_at(9));
        let known: Vec<bool> = [0, 1, 2, 100]
            .map(|ssrc| sources.window(ssrc).is_some())
            .into();
        assert_eq!(known, [true, false, true, true]);
    }
}
