//! Room that a playout needs in bursts, behind long holes and for wideband only. Most streams never do, so they have none of their own: it is
//! taken from the stock, lent while it is needed, and freed elsewhere afterwards. Never allocates in the loop.
//!
//! After a pause of the network or the machine thousands need it at once, for what came together: that is lent by itself, and all of it only to
//! whoever needs more.
//!
//! A playout that needs it and finds none gives up the packets that wait longest, and makes up less of a hole at once.

use super::{AudioRate, Playout, STRETCHED_MS};
#[cfg(test)]
use super::{Decoder, Frame, Header, Inserted, Pulled};
use crate::media::pcm_queue::{NEAR_ROOM, ROOM};

/// Octets of payload that can wait there: 1.5 s of G.711, 384 ms of L16 at 16 kHz with those that a playout has itself.
const OCTETS: usize = 11 * 1024;
/// Octets for a burst: 300 ms of G.711 with those that a playout has itself, beside what was played last.
const BURST_OCTETS: usize = 1536;
/// Frames for which it is not needed until it is given back: 5 s.
const KEPT_FRAMES: u8 = 250;

/// How much is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FarSize {
    /// For packets that came together: payloads alone.
    Burst,
    /// For long holes and wide audio, too: payloads and samples.
    Whole,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct FarRoom {
    size: FarSize,
    octets: Vec<u8>,
    samples: Vec<i16>,
}

impl FarRoom {
    /// Allocates.
    pub(crate) fn new(size: FarSize) -> FarRoom {
        let (octets, samples) = match size {
            FarSize::Burst => (BURST_OCTETS, 0),
            FarSize::Whole => (OCTETS, ROOM),
        };
        FarRoom {
            size,
            octets: Vec::with_capacity(octets),
            samples: Vec::with_capacity(samples),
        }
    }
}

/// What a channel does whose stock is never empty.
#[cfg(test)]
impl Playout {
    pub(crate) fn insert_lending(
        &mut self,
        now_us: u64,
        header: &Header,
        payload: &[u8],
    ) -> Inserted {
        if let Some(size) = self.needs_room_for(payload.len()) {
            self.lend(Box::new(FarRoom::new(size)));
        }
        self.insert(now_us, header, payload)
    }

    pub(crate) fn pull_lending(
        &mut self,
        now_us: u64,
        decoder: &mut Decoder,
        out: &mut Frame,
    ) -> Pulled {
        if self.needs_room() {
            self.lend(Box::new(FarRoom::new(FarSize::Whole)));
        }
        let pulled = self.pull(now_us, decoder, out);
        self.give_back();
        pulled
    }
}

#[cfg(test)]
impl FarRoom {
    /// What it takes.
    pub(super) fn octets(&self) -> usize {
        self.octets.capacity() + self.samples.capacity() * size_of::<i16>()
    }
}

impl Playout {
    /// Gives it room for as long as it needs it. To be more than it was lent before, if anything was.
    pub(crate) fn lend(&mut self, mut room: Box<FarRoom>) {
        let octets = self.jitter.lend(std::mem::take(&mut room.octets));
        self.pcm.lend(std::mem::take(&mut room.samples));
        self.unneeded = 0;
        self.outgrown = self.lent.replace(room);
        if let Some(outgrown) = &mut self.outgrown {
            outgrown.octets = octets;
        }
    }

    /// How much it should be lent, if at all, before a packet of so many octets is inserted.
    pub(crate) fn needs_room_for(&self, octets: usize) -> Option<FarSize> {
        if self.has_whole() || !self.jitter.is_crowded(octets) {
            return None;
        }
        match (&self.lent, self.rate()) {
            (None, AudioRate::Narrow) => Some(FarSize::Burst),
            _ => Some(FarSize::Whole),
        }
    }

    /// Whether it should be lent [all](FarSize::Whole) room before the next frame is pulled.
    pub(crate) fn needs_room(&self) -> bool {
        !self.has_whole() && self.is_tight()
    }

    fn has_whole(&self) -> bool {
        let lent = self.lent.as_ref();
        lent.is_some_and(|room| room.size == FarSize::Whole)
    }

    /// Whether the next frame may be made of more samples than there is place for without what is lent.
    fn is_tight(&self) -> bool {
        let (hole, packet) = self.jitter.ahead();
        let rate = self.rate();
        // Nothing is shortened where a hole is.
        let before = match hole {
            0 => rate.samples_in_ms(STRETCHED_MS),
            _ => rate.samples_per_frame(),
        };
        before + self.encoding.samples(hole) + self.encoding.samples(packet) > NEAR_ROOM
    }

    /// What was lent, once it was not needed for a while or more was lent instead. To be asked after each frame.
    pub(crate) fn give_back(&mut self) -> Option<Box<FarRoom>> {
        self.lent.as_ref()?;
        if self.outgrown.is_some() {
            return self.outgrown.take();
        }
        self.unneeded = match self.is_tight() || !self.pcm.is_empty() {
            true => 0,
            false => self.unneeded.saturating_add(1),
        };
        if self.unneeded < KEPT_FRAMES {
            return None;
        }
        let octets = self.jitter.give_back()?;
        let Some(samples) = self.pcm.give_back() else {
            self.jitter.lend(octets);
            return None;
        };
        let mut room = self.lent.take()?;
        (room.octets, room.samples) = (octets, samples);
        Some(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::{AudioRate, Decoder, Encoding};
    use crate::media::frame::Frame;
    use crate::rtp::packet::Header;

    struct Stream {
        playout: Playout,
        decoder: Decoder,
        /// Whether the stock has any.
        stocked: bool,
        /// Times it was lent room for bursts, and all.
        lent: [usize; 2],
        frame: Frame,
        /// Packets sent, and frames pulled.
        sent: u16,
        pulled: u64,
    }

    impl Stream {
        fn new(encoding: Encoding) -> Stream {
            Stream {
                playout: Playout::new(encoding),
                decoder: Decoder::new(encoding).unwrap(),
                stocked: true,
                lent: [0; 2],
                frame: Frame::silence(AudioRate::Narrow),
                sent: 0,
                pulled: 0,
            }
        }

        fn lend(&mut self, size: FarSize) {
            if self.stocked {
                self.lent[usize::from(size == FarSize::Whole)] += 1;
                self.playout.lend(Box::new(FarRoom::new(size)));
            }
        }

        /// The next packet of 20 ms comes.
        fn send(&mut self) {
            let encoding = self.playout.encoding;
            // Silence in A-law: what is too much can be left out.
            let payload = vec![0xD5; encoding.octets_per_ms().unwrap() * 20];
            if let Some(size) = self.playout.needs_room_for(payload.len()) {
                self.lend(size);
            }
            let header = Header {
                marker: false,
                payload_type: 0,
                sequence: self.sent,
                timestamp: u32::from(self.sent) * encoding.clock().samples_in_ms(20),
                ssrc: 1,
            };
            self.sent += 1;
            self.playout.insert(self.pulled * 20_000, &header, &payload);
        }

        /// The next frame is taken. Returns whether room was given back.
        fn pull(&mut self) -> bool {
            if self.playout.needs_room() {
                self.lend(FarSize::Whole);
            }
            let now_us = self.pulled * 20_000;
            self.pulled += 1;
            self.playout
                .pull(now_us, &mut self.decoder, &mut self.frame);
            self.playout.give_back().is_some()
        }

        fn go_on(&mut self, frames: u32) -> usize {
            (0..frames)
                .filter(|_| {
                    self.send();
                    self.pull()
                })
                .count()
        }
    }

    #[test]
    fn a_steady_stream_needs_none_and_a_burst_has_it_for_a_while() {
        let mut stream = Stream::new(Encoding::Pcma);
        stream.go_on(400);
        assert_eq!(stream.lent, [0, 0]);
        // The network stands for 240 ms, and all comes at once.
        (0..12).for_each(|_| {
            stream.pull();
        });
        (0..12).for_each(|_| stream.send());
        assert_eq!(stream.lent, [1, 0]);
        assert_eq!(stream.go_on(2000), 1);
        assert!(stream.playout.lent.is_none());
        assert_eq!((stream.lent, stream.playout.stats().late), ([1, 0], 0));
        // Three packets are lost.
        stream.sent += 3;
        stream.pulled += 3;
        assert_eq!(stream.go_on(1000), 1);
        assert_eq!(stream.lent, [1, 1]);
    }

    /// A second comes at once: what is too much for the first loan gets the larger one, and nothing that waits is lost on the way.
    #[test]
    fn a_burst_that_outgrows_its_room_gets_all() {
        let mut stream = Stream::new(Encoding::Pcma);
        stream.go_on(400);
        (0..50).for_each(|_| stream.send());
        assert_eq!((stream.lent, stream.playout.stats().late), ([1, 1], 0));
        assert!(stream.pull(), "the smaller comes back with the next frame");
        assert!(stream.playout.outgrown.is_none() && stream.playout.has_whole());
        assert_eq!(stream.go_on(2000), 1);
        assert!(stream.playout.lent.is_none());
    }

    #[test]
    fn wideband_has_it_always() {
        let mut stream = Stream::new(Encoding::G722);
        assert_eq!(stream.go_on(1000), 0);
        assert_eq!(stream.lent, [0, 1]);
    }

    /// The stock is empty: less is heard, and nothing breaks.
    #[test]
    fn without_any_the_earliest_packets_are_given_up() {
        for encoding in [Encoding::Pcma, Encoding::G722, Encoding::L16Wide] {
            let mut stream = Stream::new(encoding);
            stream.stocked = false;
            stream.go_on(100);
            stream.pulled += 16;
            (0..16).for_each(|_| stream.send());
            // And a hole of 60 ms.
            stream.sent += 3;
            stream.pulled += 3;
            stream.go_on(300);
            assert!(stream.playout.stats().late >= 4, "{encoding:?}");
            assert!(stream.frame.samples().iter().any(|of| *of != 0));
        }
    }
}
