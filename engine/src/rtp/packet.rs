//! RTP packets (RFC 3550 section 5.1), read and built with rtp-rs.
//!
//! Never pads and never sets CSRCs: rtp-rs 0.6 panics in `set_csrc` with 16 entries and leaves padding octets unwritten in a reused buffer.

use rtp_rs::{RtpPacketBuilder, RtpReader, RtpReaderError, Seq};

/// Octets of the header we send.
pub const HEADER_LEN: usize = 12;

/// One received packet; the payload is without CSRCs, extension and padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The header fields.
    pub header: Header,
    /// The payload.
    pub payload: &'a [u8],
}

/// The header fields of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Marker: the first packet of a talkspurt or event.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// Why a datagram is not an RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than 12 octets.
    TooShort,
    /// The version is not 2.
    Version,
    /// The CSRC list or the header extension is longer than the datagram.
    Truncated,
    /// The padding has no length or is longer than the payload.
    Padding,
}

/// Reads a datagram.
///
/// # Errors
/// Names the first rule of RFC 3550 section 5.1 it breaks.
pub fn parse(datagram: &[u8]) -> Result<Packet<'_>, Malformed> {
    let reader = RtpReader::new(datagram).map_err(|error| match error {
        RtpReaderError::BufferTooShort(_) => Malformed::TooShort,
        RtpReaderError::UnsupportedVersion(_) => Malformed::Version,
        RtpReaderError::HeadersTruncated { .. } => Malformed::Truncated,
        RtpReaderError::PaddingLengthInvalid(_) => Malformed::Padding,
    })?;
    Ok(Packet {
        header: Header {
            marker: reader.mark(),
            payload_type: reader.payload_type(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
        },
        payload: reader.payload(),
    })
}

/// Writes a packet to the front of `out` and returns its length; `None` if it does not fit or the payload type is above 127.
pub fn build(header: &Header, payload: &[u8], out: &mut [u8]) -> Option<usize> {
    RtpPacketBuilder::new()
        .payload_type(header.payload_type)
        .marked(header.marker)
        .sequence(Seq::from(header.sequence))
        .timestamp(header.timestamp)
        .ssrc(header.ssrc)
        .payload(payload)
        .build_into(out)
        .ok()
}

/// Whether a datagram on a shared port is RTCP (RFC 5761 section 4): packet types 192 to 223 in the second octet.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram.get(1), Some(192..=223))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_malformation_has_its_name() {
        let cases: &[(&[u8], Malformed)] = &[
            (&[], Malformed::TooShort),
            (&[0x80; 11], Malformed::TooShort),
            (&[0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Malformed::Version),
            // fifteen CSRCs announced, none there
            (
                &[0x8F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                Malformed::Truncated,
            ),
            // an extension of 65,535 words
            (
                &[0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
                Malformed::Truncated,
            ),
            // padding flag without payload
            (
                &[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                Malformed::Truncated,
            ),
            (
                &[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                Malformed::Padding,
            ),
            (
                &[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
                Malformed::Padding,
            ),
        ];
        for (datagram, expected) in cases {
            assert_eq!(parse(datagram), Err(*expected), "{datagram:x?}");
        }
    }

    #[test]
    fn csrcs_extension_and_padding_are_not_payload() {
        let mut datagram = vec![0xB1, 0x80 | 101, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5];
        datagram.extend([1, 1, 1, 1]); // CSRC
        datagram.extend([0xBE, 0xDE, 0, 1, 2, 2, 2, 2]); // extension of one word
        datagram.extend([0xAA, 0xBB, 0, 2]); // payload and padding
        let packet = parse(&datagram).unwrap();
        assert_eq!(packet.payload, [0xAA, 0xBB]);
        assert_eq!(
            packet.header,
            Header {
                marker: true,
                payload_type: 101,
                sequence: 7,
                timestamp: 9,
                ssrc: 5
            }
        );
    }

    #[test]
    fn a_packet_that_does_not_fit_is_not_built() {
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: 0,
            timestamp: 0,
            ssrc: 0,
        };
        assert_eq!(build(&header, &[0; 160], &mut [0; 171]), None);
        assert_eq!(
            build(
                &Header {
                    payload_type: 128,
                    ..header
                },
                &[0; 160],
                &mut [0; 172]
            ),
            None
        );
        assert_eq!(build(&header, &[0; 160], &mut [0; 172]), Some(172));
    }

    proptest! {
        #[test]
        fn what_is_built_is_read_back(marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
                                      payload in proptest::collection::vec(any::<u8>(), 0..500)) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut out = [0u8; 600];
            let length = build(&header, &payload, &mut out).unwrap();
            prop_assert_eq!(parse(&out[..length]), Ok(Packet { header, payload: &payload }));
        }

        #[test]
        fn no_datagram_panics(datagram in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&datagram);
            let _ = is_rtcp(&datagram);
        }
    }
}
