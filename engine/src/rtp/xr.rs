//! The blocks of RTCP extended reports (RFC 3611) that tell of a call's quality: reference times, delays, statistics, VoIP metrics.
//!
//! Reads only; [`rtcp`](super::rtcp) has checked that the blocks fill their packet. A block of a known type but another length than it
//! must have is [`XrBlock::Other`]. Figures are handed on as they came: a peer may report anything.

/// Octets of a block's header.
const HEAD: usize = 4;

/// One report block (RFC 3611 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XrBlock<'a> {
    /// The reporter's time (section 4.4), 32.32 bits of NTP, to be answered by a delay.
    ReferenceTime(u64),
    /// Delays since reference times came (section 4.5).
    Delays(Delays<'a>),
    /// A statistics summary (section 4.6).
    Summary(Summary),
    /// How the call sounds (section 4.7).
    Voip(VoipMetrics),
    /// Anything else, by its type.
    Other(u8),
}

/// When a reference time came, and how long ago, in the words of a receiver report (RFC 3611 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// Whose reference time.
    pub ssrc: u32,
    /// Its middle 32 bits.
    pub last_rr: u32,
    /// Time since then in 1/65536 s.
    pub delay: u32,
}

/// The delays of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays<'a>(&'a [[u8; 12]]);

impl Delays<'_> {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Delay> + '_ {
        self.0.iter().map(|of| Delay {
            ssrc: word(of, 0),
            last_rr: word(of, 4),
            delay: word(of, 8),
        })
    }
}

/// Statistics over a range of sequence numbers; what the reporter did not measure is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The source reported on.
    pub ssrc: u32,
    /// Packets that never came.
    pub lost: Option<u32>,
    /// Packets that came more than once.
    pub duplicates: Option<u32>,
    /// Mean jitter in timestamp units.
    pub mean_jitter: Option<u32>,
}

/// VoIP metrics (RFC 3611 section 4.7). Shares are in 1/256, times in ms; what the reporter does not know is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoipMetrics {
    /// The source reported on.
    pub ssrc: u32,
    /// Share of packets lost since the beginning.
    pub loss_rate: u8,
    /// Share of packets that came too late or too early to be played.
    pub discard_rate: u8,
    /// Share of packets lost or discarded in bursts.
    pub burst_density: u8,
    /// Mean length of a burst.
    pub burst_ms: u16,
    /// The round trip.
    pub round_trip_ms: u16,
    /// The delay within the reporter: its jitter buffer, its coders.
    pub end_system_ms: u16,
    /// Voice quality with delay, 0 to 100.
    pub r_factor: Option<u8>,
    /// MOS of listening, in tenths: 10 to 50.
    pub mos_lq: Option<u8>,
    /// MOS of conversation, in tenths: 10 to 50.
    pub mos_cq: Option<u8>,
    /// What its jitter buffer delays at present.
    pub jitter_buffer_ms: u16,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The blocks of one packet, or `None` if their lengths do not fill it.
pub(super) fn blocks(body: &[u8]) -> Option<XrBlocks<'_>> {
    let mut rest = body;
    while !rest.is_empty() {
        rest = split(rest)?.1;
    }
    Some(XrBlocks(body))
}

/// The first block with its header, and what follows.
fn split(blocks: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = blocks.first_chunk::<HEAD>()?;
    blocks.split_at_checked(HEAD + usize::from(half(head, 2)) * 4)
}

/// The blocks of an extended report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XrBlocks<'a>(&'a [u8]);

impl<'a> XrBlocks<'a> {
    /// Each block.
    pub fn iter(&self) -> impl Iterator<Item = XrBlock<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (block, after) = split(rest)?;
            rest = after;
            Some(read(block))
        })
    }
}

fn read(block: &[u8]) -> XrBlock<'_> {
    let (head, content) = block.split_at(HEAD);
    match (head[0], content.len()) {
        (4, 8) => {
            XrBlock::ReferenceTime(u64::from(word(content, 0)) << 32 | u64::from(word(content, 4)))
        }
        (5, length) if length % 12 == 0 => XrBlock::Delays(Delays(content.as_chunks().0)),
        (6, 36) => XrBlock::Summary(summary(head[1], content)),
        (7, 32) => XrBlock::Voip(voip(content)),
        (kind, _) => XrBlock::Other(kind),
    }
}

fn summary(flags: u8, content: &[u8]) -> Summary {
    Summary {
        ssrc: word(content, 0),
        lost: (flags & 0x80 != 0).then(|| word(content, 8)),
        duplicates: (flags & 0x40 != 0).then(|| word(content, 12)),
        mean_jitter: (flags & 0x20 != 0).then(|| word(content, 24)),
    }
}

fn voip(content: &[u8]) -> VoipMetrics {
    // 127 is "unavailable" (section 4.7.5).
    let known = |at: usize, range: std::ops::RangeInclusive<u8>| {
        Some(content[at]).filter(|value| range.contains(value))
    };
    VoipMetrics {
        ssrc: word(content, 0),
        loss_rate: content[4],
        discard_rate: content[5],
        burst_density: content[6],
        burst_ms: half(content, 8),
        round_trip_ms: half(content, 12),
        end_system_ms: half(content, 14),
        r_factor: known(20, 0..=100),
        mos_lq: known(22, 10..=50),
        mos_cq: known(23, 10..=50),
        jitter_buffer_ms: half(content, 26),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(body: &[u8]) -> Option<Vec<XrBlock<'_>>> {
        Some(blocks(body)?.iter().collect())
    }

    /// A block of so many words of content, each octet its place in it.
    fn block(kind: u8, flags: u8, words: u8) -> Vec<u8> {
        let head = [kind, flags, 0, words];
        head.into_iter().chain(0..words * 4).collect()
    }

    #[test]
    fn each_block_is_read_where_its_fields_are() {
        assert_eq!(
            all(&block(4, 0, 2)),
            Some(vec![XrBlock::ReferenceTime(0x0001_0203_0405_0607)])
        );
        let two = block(5, 0, 6);
        let Some([XrBlock::Delays(delays)]) = all(&two).as_deref().map(|all| [all[0]]) else {
            panic!("no delays");
        };
        let delays: Vec<_> = delays.iter().collect();
        assert_eq!(delays.len(), 2);
        assert_eq!((delays[0].ssrc, delays[1].ssrc), (0x0001_0203, 0x0C0D_0E0F));
        assert_eq!(
            (delays[0].last_rr, delays[0].delay),
            (0x0405_0607, 0x0809_0A0B)
        );
        let read = summary(0xA0, &block(6, 0, 9)[4..]);
        assert_eq!(
            (read.lost, read.duplicates, read.mean_jitter),
            (Some(0x0809_0A0B), None, Some(0x1819_1A1B))
        );
    }

    #[test]
    fn voip_metrics_with_and_without_scores() {
        let mut bytes = block(7, 0, 8);
        let Some([XrBlock::Voip(read)]) = all(&bytes).as_deref().map(|all| [all[0]]) else {
            panic!("no metrics");
        };
        assert_eq!((read.loss_rate, read.discard_rate), (4, 5));
        assert_eq!((read.round_trip_ms, read.end_system_ms), (0x0C0D, 0x0E0F));
        assert_eq!(
            (read.r_factor, read.mos_lq, read.mos_cq),
            (Some(20), Some(22), Some(23))
        );
        assert_eq!((read.burst_ms, read.jitter_buffer_ms), (0x0809, 0x1A1B));
        bytes[4 + 20..4 + 24].fill(127);
        let Some([XrBlock::Voip(read)]) = all(&bytes).as_deref().map(|all| [all[0]]) else {
            panic!("no metrics");
        };
        assert_eq!(
            (read.r_factor, read.mos_lq, read.mos_cq),
            (None, None, None)
        );
    }

    #[test]
    fn lengths_that_do_not_fit() {
        assert_eq!(all(&[]), Some(vec![]));
        assert_eq!(all(&[4, 0, 0]), None);
        assert_eq!(all(&[4, 0, 0, 2, 0, 0, 0, 0]), None);
        assert_eq!(all(&block(4, 0, 3)), Some(vec![XrBlock::Other(4)]));
        assert_eq!(all(&block(5, 0, 2)), Some(vec![XrBlock::Other(5)]));
        assert_eq!(all(&block(99, 0, 0)), Some(vec![XrBlock::Other(99)]));
    }
}
