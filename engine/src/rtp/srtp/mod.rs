//! SRTP and SRTCP (RFC 3711) with AES in counter mode and HMAC-SHA1: packets are protected and unprotected in place.
//!
//! Never allocates, reads no clock, and touches nothing of a packet, or of its own state, before the tag was found right. Not spoken here:
//! MKI, key derivation rates, unencrypted or unauthenticated streams, GCM. Limits: [`SOURCES`] SSRCs a receiver keeps apart.

mod keys;
mod replay;
#[cfg(test)]
mod tests;

pub use keys::{MasterKey, Suite};
pub use replay::SOURCES;

use keys::SessionKeys;
use replay::{Sources, Window};

/// The most a packet grows: an SRTCP index and a tag of 80 bits.
pub const MAX_TRAILER: usize = 4 + RTCP_TAG;
/// Octets of an SRTCP tag in all suites, the `_32` ones too (RFC 4568 section 6.2).
const RTCP_TAG: usize = 10;
/// Octets of an RTCP packet in the clear (RFC 3711 section 3.4).
const RTCP_CLEAR: usize = 8;
/// Set in the index of an SRTCP packet whose payload is encrypted.
const ENCRYPTED: u32 = 1 << 31;
/// Packets one key may protect (RFC 3711 section 9.2).
const LAST_RTP_INDEX: u64 = (1 << 48) - 1;

/// Why a packet was not protected or unprotected. Whatever it is, the packet is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrtpError {
    /// Shorter than its header and its trailer, or not version 2.
    Malformed,
    /// The tag is not that of this key: altered, made by somebody else, or not SRTP at all.
    Authentication,
    /// A packet of that index was taken, or protected, before; or it is older than the window of 128 packets.
    Replayed,
    /// An SRTCP packet that is not encrypted although encryption was agreed on.
    Unencrypted,
    /// The key has protected as many packets as it may.
    Exhausted,
    /// The buffer has no room for the trailer.
    NoRoom,
}

/// Protects what we send. One key, one SSRC (RFC 3711 section 9.1: never the same key and index twice).
pub struct Sender {
    rtp: SessionKeys,
    rtcp: SessionKeys,
    suite: Suite,
    /// The RTP packets so far: no index is used twice.
    sent: Option<Window>,
    /// Index of the next RTCP packet.
    next_rtcp: u32,
}

impl Sender {
    /// Begins at roll-over counter 0.
    pub fn new(key: &MasterKey) -> Sender {
        Sender {
            rtp: SessionKeys::rtp(key),
            rtcp: SessionKeys::rtcp(key),
            suite: key.suite(),
            sent: None,
            next_rtcp: 1,
        }
    }

    /// Protects the RTP packet in the first `length` octets; returns its new length, up to [`MAX_TRAILER`] more.
    ///
    /// # Errors
    /// `Malformed`, `Replayed`, `Exhausted` or `NoRoom`; nothing was changed then.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let tag_len = self.suite.tag_len();
        let (packet, trailer) = buffer
            .split_at_mut_checked(length)
            .ok_or(SrtpError::NoRoom)?;
        let trailer = trailer.get_mut(..tag_len).ok_or(SrtpError::NoRoom)?;
        let header = Header::of(packet)?;
        let index = match &self.sent {
            None => u64::from(header.sequence),
            Some(sent) => index_near(sent.newest(), header.sequence).ok_or(SrtpError::Replayed)?,
        };
        if index > LAST_RTP_INDEX {
            return Err(SrtpError::Exhausted);
        }
        let fresh = match &mut self.sent {
            Some(sent) => sent.take(index),
            None => {
                self.sent = Some(Window::beginning_at(index));
                true
            }
        };
        if !fresh {
            return Err(SrtpError::Replayed);
        }
        let (_, payload) = packet.split_at_mut(header.length);
        self.rtp.apply_keystream(header.ssrc, index, payload);
        let roc = ((index >> 16) as u32).to_be_bytes();
        trailer.copy_from_slice(&self.rtp.tag(packet, &roc)[..tag_len]);
        Ok(length + tag_len)
    }

    /// Protects the compound RTCP packet in the first `length` octets; returns its new length.
    ///
    /// # Errors
    /// As [`protect_rtp`](Sender::protect_rtp).
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let (packet, trailer) = buffer
            .split_at_mut_checked(length)
            .ok_or(SrtpError::NoRoom)?;
        let trailer = trailer
            .first_chunk_mut::<MAX_TRAILER>()
            .ok_or(SrtpError::NoRoom)?;
        let ssrc = rtcp_ssrc(packet)?;
        let index = self.next_rtcp;
        if index >= ENCRYPTED {
            return Err(SrtpError::Exhausted);
        }
        self.next_rtcp += 1;
        let payload = &mut packet[RTCP_CLEAR..];
        self.rtcp.apply_keystream(ssrc, u64::from(index), payload);
        let index = (ENCRYPTED | index).to_be_bytes();
        trailer[..4].copy_from_slice(&index);
        trailer[4..].copy_from_slice(&self.rtcp.tag(packet, &index)[..RTCP_TAG]);
        Ok(length + MAX_TRAILER)
    }
}

/// Unprotects what comes: one key, the SSRCs of one peer.
pub struct Receiver {
    rtp: SessionKeys,
    rtcp: SessionKeys,
    suite: Suite,
    rtp_sources: Sources,
    rtcp_sources: Sources,
    /// Source and newest index under the key before.
    inherited: Option<(u32, u64)>,
}

impl Receiver {
    /// Every source begins at roll-over counter 0.
    pub fn new(key: &MasterKey) -> Receiver {
        Receiver {
            rtp: SessionKeys::rtp(key),
            rtcp: SessionKeys::rtcp(key),
            suite: key.suite(),
            rtp_sources: Sources::default(),
            rtcp_sources: Sources::default(),
            inherited: None,
        }
    }

    /// The receiver of the key after that of `former`. RFC 3711 section 3.3.1 lets the roll-over counter go on over a change of keys, RFC
    /// 4568 lets it begin at 0, and peers do either: the first packet shows which.
    pub fn after(key: &MasterKey, former: &Receiver) -> Receiver {
        let inherited = former.rtp_sources.latest().or(former.inherited);
        Receiver {
            inherited,
            ..Receiver::new(key)
        }
    }

    /// Checks and decrypts an SRTP packet in place; returns the length of the RTP packet at its beginning.
    ///
    /// # Errors
    /// The packet is to be dropped; neither it nor the receiver has changed.
    pub fn unprotect_rtp(&mut self, datagram: &mut [u8]) -> Result<usize, SrtpError> {
        let length = datagram
            .len()
            .checked_sub(self.suite.tag_len())
            .ok_or(SrtpError::Malformed)?;
        let (packet, tag) = datagram.split_at_mut(length);
        let header = Header::of(packet)?;
        let index = self.authentic_index(packet, &header, tag)?;
        take(&mut self.rtp_sources, header.ssrc, index)?;
        let (_, payload) = packet.split_at_mut(header.length);
        self.rtp.apply_keystream(header.ssrc, index, payload);
        Ok(length)
    }

    /// The index under which the tag of an RTP packet is right.
    fn authentic_index(
        &self,
        packet: &[u8],
        header: &Header,
        tag: &[u8],
    ) -> Result<u64, SrtpError> {
        let verify = |index: u64| {
            let roc = ((index >> 16) as u32).to_be_bytes();
            self.rtp.verify(packet, &roc, tag).map(|()| index)
        };
        if let Some(window) = self.rtp_sources.window(header.ssrc) {
            let index = index_near(window.newest(), header.sequence);
            return verify(index.ok_or(SrtpError::Replayed)?);
        }
        let first = verify(u64::from(header.sequence));
        match self.inherited {
            Some((ssrc, newest)) if first.is_err() && ssrc == header.ssrc => {
                verify(index_near(newest, header.sequence).ok_or(SrtpError::Authentication)?)
            }
            _ => first,
        }
    }

    /// Checks and decrypts an SRTCP packet in place; returns the length of the RTCP packet at its beginning.
    ///
    /// # Errors
    /// As [`unprotect_rtp`](Receiver::unprotect_rtp).
    pub fn unprotect_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, SrtpError> {
        let length = datagram
            .len()
            .checked_sub(MAX_TRAILER)
            .ok_or(SrtpError::Malformed)?;
        let (packet, trailer) = datagram.split_at_mut(length);
        let ssrc = rtcp_ssrc(packet)?;
        let (&mut octets, tag) = trailer
            .split_first_chunk_mut::<4>()
            .ok_or(SrtpError::Malformed)?;
        self.rtcp.verify(packet, &octets, tag)?;
        let word = u32::from_be_bytes(octets);
        if word & ENCRYPTED == 0 {
            return Err(SrtpError::Unencrypted);
        }
        let index = u64::from(word & !ENCRYPTED);
        take(&mut self.rtcp_sources, ssrc, index)?;
        let payload = &mut packet[RTCP_CLEAR..];
        self.rtcp.apply_keystream(ssrc, index, payload);
        Ok(length)
    }
}

/// Notes an authenticated index, or says that it is none to be taken.
fn take(sources: &mut Sources, ssrc: u32, index: u64) -> Result<(), SrtpError> {
    let fresh = match sources.window_mut(ssrc) {
        Some(window) => window.take(index),
        None => {
            sources.add(ssrc, Window::beginning_at(index));
            true
        }
    };
    fresh.then_some(()).ok_or(SrtpError::Replayed)
}

/// The index nearest to the newest one that has this sequence number (RFC 3711 section 3.3.1); `None` before the first.
fn index_near(newest: u64, sequence: u16) -> Option<u64> {
    let ahead = sequence.wrapping_sub(newest as u16) as i16;
    newest.checked_add_signed(i64::from(ahead))
}

/// What SRTP needs of an RTP header (RFC 3550 section 5.1).
struct Header {
    /// Octets up to the payload: CSRCs and extension stay in the clear.
    length: usize,
    sequence: u16,
    ssrc: u32,
}

impl Header {
    fn of(packet: &[u8]) -> Result<Header, SrtpError> {
        let fixed = packet.first_chunk::<12>().ok_or(SrtpError::Malformed)?;
        if fixed[0] >> 6 != 2 {
            return Err(SrtpError::Malformed);
        }
        let mut length = 12 + 4 * usize::from(fixed[0] & 0x0F);
        if fixed[0] & 0x10 != 0 {
            let words = packet
                .get(length + 2..length + 4)
                .ok_or(SrtpError::Malformed)?;
            length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if length > packet.len() {
            return Err(SrtpError::Malformed);
        }
        Ok(Header {
            length,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }
}

/// The SSRC of the first packet of a compound.
fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let clear = packet
        .first_chunk::<RTCP_CLEAR>()
        .ok_or(SrtpError::Malformed)?;
    if clear[0] >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    Ok(u32::from_be_bytes([clear[4], clear[5], clear[6], clear[7]]))
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({:?})", self.suite)
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver({:?})", self.suite)
    }
}
