//! RTCP sender and receiver reports, source descriptions, BYE (RFC 3550 section 6) and extended reports (RFC 3611): read, built and timed.
//!
//! Other packet types are skipped. Limits: [`MAX_PACKETS`] packets in a datagram, 31 report blocks each (the format's own limit).

use std::time::Duration;

use super::xr::{self, Delay, XrBlocks};

/// Packets read of one compound datagram.
pub const MAX_PACKETS: usize = 32;
/// Large enough for what [`build`] writes.
pub const MAX_BUILT: usize = 200;
/// Longest CNAME that is sent.
pub const MAX_CNAME: usize = 64;

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const XR: u8 = 207;
const BLOCK_LEN: usize = 24;

/// One report block (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning, 24 bits signed.
    pub cumulative_lost: i32,
    /// Highest sequence number with its wraps.
    pub highest_sequence: u32,
    /// Jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last SR received; 0 for none.
    pub last_sr: u32,
    /// Time since then in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// The sender's part of an SR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// NTP time, 32.32 bits.
    pub ntp: u64,
    /// The same moment on the RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// One packet of a compound datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// SR or RR.
    Report {
        /// Who reports.
        ssrc: u32,
        /// In an SR.
        sender: Option<SenderInfo>,
        /// What it received.
        blocks: Blocks<'a>,
    },
    /// SDES with at least one chunk: the source and the CNAME of the first, if it has one.
    Description {
        /// The first source.
        ssrc: u32,
        /// Its canonical name.
        cname: Option<&'a [u8]>,
    },
    /// BYE.
    Bye {
        /// The first source that leaves, if one is named.
        ssrc: Option<u32>,
    },
    /// An extended report.
    Extended {
        /// Who reports.
        ssrc: u32,
        /// What about.
        blocks: XrBlocks<'a>,
    },
    /// Anything else.
    Other(u8),
}

/// The report blocks of an SR or RR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks<'a>(&'a [u8]);

impl Blocks<'_> {
    /// Each block.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + '_ {
        self.0.chunks_exact(BLOCK_LEN).map(|block| ReportBlock {
            ssrc: word(block, 0),
            fraction_lost: block[4],
            cumulative_lost: (word(block, 4) << 8) as i32 >> 8,
            highest_sequence: word(block, 8),
            jitter: word(block, 12),
            last_sr: word(block, 16),
            delay_since_last_sr: word(block, 20),
        })
    }
}

/// Why a datagram is not RTCP (RFC 3550 appendix A.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpError {
    /// Shorter than a packet, or than its own length fields say.
    Truncated,
    /// The version is not 2.
    Version,
    /// The first packet is neither SR nor RR.
    NoReport,
    /// Padding before the last packet, or longer than its packet.
    Padding,
    /// Its count of blocks, chunks or sources does not fit its length.
    Count,
    /// More than [`MAX_PACKETS`].
    TooMany,
}

/// Big-endian word at an offset the caller has checked.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Reads a compound datagram, handing each packet to `on` after the whole datagram was found right.
///
/// # Errors
/// Names the first rule it breaks; `on` is not called then.
pub fn parse<'a>(datagram: &'a [u8], mut on: impl FnMut(RtcpPacket<'a>)) -> Result<(), RtcpError> {
    walk(datagram, |_| ())?;
    walk(datagram, &mut on)
}

fn walk<'a>(datagram: &'a [u8], mut on: impl FnMut(RtcpPacket<'a>)) -> Result<(), RtcpError> {
    let mut rest = datagram;
    for index in 0..MAX_PACKETS {
        let Some(header) = rest.first_chunk::<4>() else {
            return Err(RtcpError::Truncated);
        };
        if header[0] >> 6 != 2 {
            return Err(RtcpError::Version);
        }
        if index == 0 && !matches!(header[1], SR | RR) {
            return Err(RtcpError::NoReport);
        }
        let length = (usize::from(u16::from_be_bytes([header[2], header[3]])) + 1) * 4;
        let Some((packet, after)) = rest.split_at_checked(length) else {
            return Err(RtcpError::Truncated);
        };
        let padding = match (header[0] & 0x20 != 0, after.is_empty(), packet.last()) {
            (false, ..) => 0,
            (true, true, Some(&count)) if count > 0 && usize::from(count) <= length - 4 => {
                usize::from(count)
            }
            (true, ..) => return Err(RtcpError::Padding),
        };
        on(packet_of(
            header[1],
            header[0] & 31,
            &packet[4..length - padding],
        )?);
        if after.is_empty() {
            return Ok(());
        }
        rest = after;
    }
    Err(RtcpError::TooMany)
}

fn packet_of(packet_type: u8, count: u8, body: &[u8]) -> Result<RtcpPacket<'_>, RtcpError> {
    let count = usize::from(count);
    match packet_type {
        SR | RR => {
            let fixed = if packet_type == SR { 24 } else { 4 };
            let blocks = body
                .get(fixed..fixed + count * BLOCK_LEN)
                .ok_or(RtcpError::Count)?;
            let sender = (packet_type == SR).then(|| SenderInfo {
                ntp: u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)),
                rtp_timestamp: word(body, 12),
                packets: word(body, 16),
                octets: word(body, 20),
            });
            Ok(RtcpPacket::Report {
                ssrc: word(body, 0),
                sender,
                blocks: Blocks(blocks),
            })
        }
        SDES if count > 0 => {
            let (ssrc, items) = body.split_first_chunk::<4>().ok_or(RtcpError::Count)?;
            Ok(RtcpPacket::Description {
                ssrc: u32::from_be_bytes(*ssrc),
                cname: cname(items)?,
            })
        }
        BYE => {
            let sources = body.get(..count * 4).ok_or(RtcpError::Count)?;
            Ok(RtcpPacket::Bye {
                ssrc: (count > 0).then(|| word(sources, 0)),
            })
        }
        XR => {
            let (ssrc, rest) = body.split_first_chunk::<4>().ok_or(RtcpError::Count)?;
            Ok(RtcpPacket::Extended {
                ssrc: u32::from_be_bytes(*ssrc),
                blocks: xr::blocks(rest).ok_or(RtcpError::Count)?,
            })
        }
        other => Ok(RtcpPacket::Other(other)),
    }
}

/// The CNAME (item 1) of a chunk's items.
fn cname(mut items: &[u8]) -> Result<Option<&[u8]>, RtcpError> {
    loop {
        match items {
            [] | [0, ..] => return Ok(None),
            [kind, length, rest @ ..] => {
                let (text, after) = rest
                    .split_at_checked(usize::from(*length))
                    .ok_or(RtcpError::Count)?;
                if *kind == 1 {
                    return Ok(Some(text));
                }
                items = after;
            }
            [_] => return Err(RtcpError::Count),
        }
    }
}

/// What to say in a compound datagram.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Our source.
    pub ssrc: u32,
    /// If we have sent since the last report but one (RFC 3550 section 6.4): makes it an SR.
    pub sender: Option<SenderInfo>,
    /// What we received of the peer.
    pub block: Option<ReportBlock>,
    /// Our canonical name; cut at [`MAX_CNAME`].
    pub cname: &'a [u8],
    /// Our time, for a peer that answers by [`delay`](Self::delay) (RFC 3611 section 4.4): NTP, 32.32 bits.
    pub reference: Option<u64>,
    /// The answer to the peer's reference time.
    pub delay: Option<Delay>,
    /// Ends with a BYE.
    pub bye: bool,
}

/// Writes SR or RR, SDES with the CNAME and, if asked for, an extended report and BYE. Returns the length.
pub fn build(report: &Report<'_>, out: &mut [u8; MAX_BUILT]) -> usize {
    let mut writer = Writer { out, at: 0 };
    let start = writer.begin(
        if report.sender.is_some() { SR } else { RR },
        report.block.is_some().into(),
    );
    writer.word(report.ssrc);
    if let Some(sender) = report.sender {
        writer.word((sender.ntp >> 32) as u32);
        writer.word(sender.ntp as u32);
        writer.word(sender.rtp_timestamp);
        writer.word(sender.packets);
        writer.word(sender.octets);
    }
    if let Some(block) = report.block {
        writer.word(block.ssrc);
        writer.word(
            u32::from(block.fraction_lost) << 24 | (block.cumulative_lost as u32 & 0xFF_FFFF),
        );
        writer.word(block.highest_sequence);
        writer.word(block.jitter);
        writer.word(block.last_sr);
        writer.word(block.delay_since_last_sr);
    }
    writer.end(start);
    let cname = &report.cname[..report.cname.len().min(MAX_CNAME)];
    let start = writer.begin(SDES, 1);
    writer.word(report.ssrc);
    writer.bytes(&[1, cname.len() as u8]);
    writer.bytes(cname);
    writer.bytes(&[0]);
    while !writer.at.is_multiple_of(4) {
        writer.bytes(&[0]);
    }
    writer.end(start);
    writer.extended(report);
    if report.bye {
        let start = writer.begin(BYE, 1);
        writer.word(report.ssrc);
        writer.end(start);
    }
    writer.at
}

/// At most 28 + 24 + 4 + 4 + 2 + 64 + 4 + 36 + 8 octets are written, so [`MAX_BUILT`] always suffices.
struct Writer<'a> {
    out: &'a mut [u8; MAX_BUILT],
    at: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn extended(&mut self, report: &Report<'_>) {
        if report.reference.is_none() && report.delay.is_none() {
            return;
        }
        let start = self.begin(XR, 0);
        self.word(report.ssrc);
        if let Some(ntp) = report.reference {
            self.bytes(&[4, 0, 0, 2]);
            self.word((ntp >> 32) as u32);
            self.word(ntp as u32);
        }
        if let Some(delay) = report.delay {
            self.bytes(&[5, 0, 0, 3]);
            self.word(delay.ssrc);
            self.word(delay.last_rr);
            self.word(delay.delay);
        }
        self.end(start);
    }

    fn begin(&mut self, packet_type: u8, count: u8) -> usize {
        let start = self.at;
        self.bytes(&[0x80 | count, packet_type, 0, 0]);
        start
    }

    fn end(&mut self, start: usize) {
        let words = ((self.at - start) / 4 - 1) as u16;
        self.out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
}

/// Time to the next report with two members: 5 s times a random factor of 0.5 to 1.5, over e - 1.5 (RFC 3550 section 6.3.1);
/// half of it before the first report. `random` is any number.
pub fn interval(random: u32, first: bool) -> Duration {
    let minimum = if first { 2_500.0 } else { 5_000.0 };
    let factor = 0.5 + f64::from(random) / f64::from(u32::MAX);
    Duration::from_micros((minimum * factor / 1.218_28 * 1_000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::xr::XrBlock;
    use proptest::prelude::*;

    fn packets(datagram: &[u8]) -> Result<Vec<RtcpPacket<'_>>, RtcpError> {
        let mut packets = Vec::new();
        parse(datagram, |packet| packets.push(packet))?;
        Ok(packets)
    }

    #[test]
    fn each_malformation_has_its_name() {
        let cases: &[(&str, &[u8], RtcpError)] = &[
            ("nothing", &[], RtcpError::Truncated),
            (
                "length beyond the datagram",
                &[0x80, 201, 0, 2, 0, 0, 0, 1],
                RtcpError::Truncated,
            ),
            (
                "version 1",
                &[0x40, 201, 0, 1, 0, 0, 0, 1],
                RtcpError::Version,
            ),
            (
                "BYE alone",
                &[0x81, 203, 0, 1, 0, 0, 0, 1],
                RtcpError::NoReport,
            ),
            (
                "one block announced",
                &[0x81, 201, 0, 1, 0, 0, 0, 1],
                RtcpError::Count,
            ),
            (
                "padding 0",
                &[0xA0, 201, 0, 1, 0, 0, 0, 0],
                RtcpError::Padding,
            ),
            (
                "padding over all",
                &[0xA0, 201, 0, 1, 0, 0, 0, 9],
                RtcpError::Padding,
            ),
            (
                "BYE of two, one there",
                &[0x80, 201, 0, 1, 0, 0, 0, 1, 0x82, 203, 0, 1, 0, 0, 0, 1],
                RtcpError::Count,
            ),
            (
                "SDES item too long",
                &[
                    0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 0, 0,
                ],
                RtcpError::Count,
            ),
            (
                "trailing octet",
                &[0x80, 201, 0, 1, 0, 0, 0, 1, 0x81],
                RtcpError::Truncated,
            ),
        ];
        for (name, datagram, expected) in cases {
            assert_eq!(packets(datagram), Err(*expected), "{name}");
        }
        assert_eq!(
            packets(&[0x80, 201, 0, 1, 0, 0, 0, 1].repeat(33)),
            Err(RtcpError::TooMany)
        );
    }

    #[test]
    fn negative_cumulative_loss_survives() {
        let block = ReportBlock {
            cumulative_lost: -3,
            ..ReportBlock::default()
        };
        let mut out = [0; MAX_BUILT];
        let length = build(
            &Report {
                ssrc: 1,
                sender: None,
                block: Some(block),
                cname: b"c",
                reference: None,
                delay: None,
                bye: false,
            },
            &mut out,
        );
        let [RtcpPacket::Report { blocks, .. }, _] = packets(&out[..length]).unwrap()[..] else {
            panic!("expected RR and SDES");
        };
        assert_eq!(blocks.iter().collect::<Vec<_>>(), [block]);
    }

    #[test]
    fn intervals_keep_their_bounds() {
        assert_eq!(interval(0, false).as_millis(), 2052);
        assert_eq!(interval(u32::MAX, false).as_millis(), 6156);
        assert_eq!(interval(0, true).as_millis(), 1026);
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_back(ssrc: u32, ntp: u64, is_sender: bool, has_block: bool, fraction_lost: u8,
                                      cumulative_lost in -0x80_0000i32..0x80_0000, number: u32,
                                      cname in proptest::collection::vec(any::<u8>(), 0..=64), extended: bool, bye: bool) {
            let sender = is_sender.then_some(SenderInfo { ntp, rtp_timestamp: number, packets: 3, octets: 4 });
            let block = has_block.then_some(ReportBlock { ssrc: number, fraction_lost, cumulative_lost, highest_sequence: 1,
                                                          jitter: 2, last_sr: 3, delay_since_last_sr: number });
            let mut out = [0; MAX_BUILT];
            let length = build(&Report { ssrc, sender, block, cname: &cname, reference: extended.then_some(ntp),
                                              delay: extended.then_some(Delay { ssrc, last_rr: number, delay: 9 }), bye }, &mut out);
            let read = packets(&out[..length]).unwrap();
            prop_assert_eq!(read.len(), 2 + usize::from(extended) + usize::from(bye));
            let RtcpPacket::Report { ssrc: by, sender: from, blocks } = read[0] else { panic!("no report") };
            prop_assert_eq!((by, from), (ssrc, sender));
            prop_assert_eq!(blocks.iter().next(), block);
            prop_assert_eq!(read[1], RtcpPacket::Description { ssrc, cname: Some(&cname[..]) });
            if extended {
                let RtcpPacket::Extended { ssrc: by, blocks } = read[2] else { panic!("no extended report") };
                let [XrBlock::ReferenceTime(at), XrBlock::Delays(delays)] = blocks.iter().collect::<Vec<_>>()[..] else { panic!("{blocks:?}") };
                prop_assert_eq!((by, at), (ssrc, ntp));
                prop_assert_eq!(delays.iter().collect::<Vec<_>>(), [Delay { ssrc, last_rr: number, delay: 9 }]);
            }
            if bye {
                prop_assert_eq!(read[2 + usize::from(extended)], RtcpPacket::Bye { ssrc: Some(ssrc) });
            }
        }

        #[test]
        fn no_datagram_panics(mut datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let [first, second, ..] = &mut datagram[..] {
                *first = 0x80 | *first & 0x3F;
                *second = 200 + *second % 8;
            }
            let _ = packets(&datagram);
        }
    }
}
