//! What an Opus packet says about itself without being decoded (RFC 6716 sections 3.1 and 3.2).
//!
//! Owns the TOC octet, the framing of packets and the redundancy flag. Reads any octets; what RFC 6716 section 3.4 forbids
//! is not a packet. Never looks at more than the head of the packet.

/// RTP clock of Opus, whatever rate it is decoded to (RFC 7587 section 4.1).
const RTP_CLOCK_PER_MS: u32 = 48;

/// The longest packet, in ticks of 48 kHz: 120 ms (RFC 6716, requirement R5).
pub const MAX_TICKS: u32 = 120 * RTP_CLOCK_PER_MS;

/// The head of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketHead {
    /// How long the packet's audio is, in ticks of the 48 kHz RTP clock; 120 (2.5 ms) to 5760 (120 ms).
    pub ticks: u32,
    /// Whether it is coded in stereo.
    pub stereo: bool,
    /// Whether it carries a copy of the frame before it, which [`super::OpusDecoder::recover`] makes audible.
    pub redundancy: bool,
}

/// Reads the head; `None` if the octets are no Opus packet.
pub fn head(packet: &[u8]) -> Option<PacketHead> {
    let (&toc, rest) = packet.split_first()?;
    let frame_ticks = frame_ticks(toc);
    let (count, first) = frames(toc & 3, rest)?;
    let ticks = frame_ticks * count;
    if ticks > MAX_TICKS {
        return None;
    }
    let stereo = toc & 4 != 0;
    Some(PacketHead {
        ticks,
        stereo,
        redundancy: redundancy(toc, frame_ticks, stereo, first),
    })
}

/// Length of one frame in ticks of 48 kHz (RFC 6716 table 2).
fn frame_ticks(toc: u8) -> u32 {
    let config = toc >> 3;
    match config {
        0..12 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..16 => [480, 960][usize::from(config & 1)],
        _ => 120 << (config & 3),
    }
}

/// How many frames there are, and the first.
fn frames(code: u8, rest: &[u8]) -> Option<(u32, &[u8])> {
    match code {
        0 => within_limit(rest).map(|first| (1, first)),
        1 if rest.len().is_multiple_of(2) => {
            within_limit(&rest[..rest.len() / 2]).map(|first| (2, first))
        }
        1 => None,
        2 => {
            let (length, rest) = frame_length(rest)?;
            let (first, second) = rest.split_at_checked(length)?;
            within_limit(second)?;
            Some((2, first))
        }
        _ => counted_frames(rest),
    }
}

/// Code 3: a count octet, padding, then as many frames of one length or of lengths of their own (RFC 6716 section 3.2.5).
fn counted_frames(rest: &[u8]) -> Option<(u32, &[u8])> {
    let (&count_octet, mut rest) = rest.split_first()?;
    let count = usize::from(count_octet & 0x3F);
    // No frame is shorter than 2.5 ms: 48 are 120 ms.
    if count == 0 || count > 48 {
        return None;
    }
    if count_octet & 0x40 != 0 {
        rest = without_padding(rest)?;
    }
    let first = if count_octet & 0x80 == 0 {
        if !rest.len().is_multiple_of(count) {
            return None;
        }
        within_limit(&rest[..rest.len() / count])?
    } else {
        let (mut first_length, mut sum) = (None, 0);
        for _ in 1..count {
            let (length, after) = frame_length(rest)?;
            rest = after;
            sum += length;
            first_length.get_or_insert(length);
        }
        within_limit(rest.get(sum..)?)?;
        &rest[..first_length.unwrap_or(rest.len())]
    };
    Some((count as u32, first))
}

/// Takes away the padding's length octets and as many octets from the end.
fn without_padding(mut rest: &[u8]) -> Option<&[u8]> {
    let mut padding = 0;
    loop {
        let (&octet, after) = rest.split_first()?;
        rest = after;
        if octet < 255 {
            padding += usize::from(octet);
            break;
        }
        padding += 254;
    }
    rest.get(..rest.len().checked_sub(padding)?)
}

/// A frame length of one or two octets (RFC 6716 section 3.2.1).
fn frame_length(rest: &[u8]) -> Option<(usize, &[u8])> {
    match *rest {
        [length @ 0..252, ref rest @ ..] => Some((usize::from(length), rest)),
        [low, high, ref rest @ ..] => Some((usize::from(high) * 4 + usize::from(low), rest)),
        _ => None,
    }
}

/// A frame has at most 1275 octets (RFC 6716, requirement R2).
fn within_limit(frame: &[u8]) -> Option<&[u8]> {
    (frame.len() <= 1275).then_some(frame)
}

/// The LBRR flags at the head of the first frame: after one VAD flag per 20 ms, for each channel (RFC 6716 section 4.2.3).
fn redundancy(toc: u8, frame_ticks: u32, stereo: bool, first: &[u8]) -> bool {
    let (0..128, Some(&octet)) = (toc, first.first()) else {
        return false; // CELT has none
    };
    let voice_flags = frame_ticks.div_ceil(20 * RTP_CLOCK_PER_MS);
    let middle = octet >> (7 - voice_flags) & 1 != 0;
    let side = stereo && octet >> (6 - 2 * voice_flags) & 1 != 0;
    middle || side
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(packet: &[u8]) -> Option<u32> {
        head(packet).map(|head| head.ticks)
    }

    #[test]
    fn durations_are_those_of_table_2() {
        let silk = [480, 960, 1920, 2880];
        let celt = [120, 240, 480, 960];
        for config in 0..32u8 {
            let expected = match config {
                0..12 => silk[usize::from(config % 4)],
                12..16 => silk[usize::from(config % 2)],
                _ => celt[usize::from(config % 4)],
            };
            assert_eq!(ticks(&[config << 3, 1]), Some(expected), "config {config}");
        }
    }

    #[test]
    fn frames_are_counted() {
        const TWENTY_MS: u8 = 1 << 3;
        assert_eq!(ticks(&[TWENTY_MS]), Some(960), "an empty frame is DTX");
        assert_eq!(ticks(&[TWENTY_MS | 1, 1, 2]), Some(1920));
        assert_eq!(ticks(&[TWENTY_MS | 2, 1, 9, 8, 7]), Some(1920));
        assert_eq!(ticks(&[TWENTY_MS | 3, 3, 1, 2, 3]), Some(2880));
        assert_eq!(ticks(&[TWENTY_MS | 3, 0x83, 1, 1, 1, 2, 3]), Some(2880));
        assert_eq!(
            ticks(&[TWENTY_MS | 3, 0x42, 2, 1, 2, 0, 0]),
            Some(1920),
            "padding"
        );
    }

    #[test]
    fn what_the_rfc_forbids_is_no_packet() {
        let refused: [&[u8]; 10] = [
            &[],
            &[1, 1],                     // code 1, odd
            &[2],                        // code 2 without a length
            &[2, 252],                   // half a length
            &[2, 5, 1],                  // longer than what is there
            &[3],                        // code 3 without a count
            &[3, 0],                     // no frame
            &[3, 0x02, 1],               // frames of unequal length
            &[3, 0x41, 9, 1],            // more padding than packet
            &[(3 << 3) | 3, 3, 1, 2, 3], // 180 ms
        ];
        for packet in refused {
            assert_eq!(head(packet), None, "{packet:?}");
        }
        assert_eq!(head(&[0; 1277]), None, "a frame of 1276 octets");
        assert!(head(&[0; 1276]).is_some());
    }

    #[test]
    fn redundancy_is_read_where_silk_puts_it() {
        let with = |toc: u8, octet: u8| head(&[toc, octet, 0]).map(|head| head.redundancy);
        assert_eq!(with(9 << 3, 0b0100_0000), Some(true));
        assert_eq!(with(9 << 3, 0b1000_0000), Some(false), "the VAD flag");
        assert_eq!(with(11 << 3, 0b0001_0000), Some(true), "60 ms");
        assert_eq!(with(9 << 3 | 4, 0b0001_0000), Some(true), "side channel");
        assert_eq!(with(20 << 3, 0xFF), Some(false), "CELT");
    }
}
