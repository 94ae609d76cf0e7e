//! Pages of an Ogg stream (RFC 3533 section 6): whole packets in, octets out. Never writes anything itself.
//!
//! Limit: a packet longer than a page can hold, 65,024 octets, is cut; Opus has none.

/// Lacing values of a page.
const MAX_SEGMENTS: usize = 255;
/// Octets of a full segment; a shorter one ends its packet.
const SEGMENT: usize = 255;
/// Octets before the lacing values.
const HEAD: usize = 27;

/// Header type flags.
pub(super) const FIRST: u8 = 2;
pub(super) const LAST: u8 = 4;

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    lacing: Vec<u8>,
    body: Vec<u8>,
}

impl Page {
    /// Adds a packet; `false` if the page has no room for it.
    pub(super) fn push(&mut self, packet: &[u8]) -> bool {
        let packet = &packet[..packet.len().min((MAX_SEGMENTS - 1) * SEGMENT)];
        let segments = packet.len() / SEGMENT + 1;
        if self.lacing.len() + segments > MAX_SEGMENTS {
            return false;
        }
        self.lacing.extend(vec![SEGMENT as u8; segments - 1]);
        self.lacing.push((packet.len() % SEGMENT) as u8);
        self.body.extend(packet);
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lacing.is_empty()
    }

    /// The page's octets. `granule` is the position at its end, `number` its place in the stream `serial`.
    pub(super) fn finish(self, flags: u8, granule: u64, serial: u32, number: u32) -> Vec<u8> {
        let mut page = Vec::with_capacity(HEAD + self.lacing.len() + self.body.len());
        page.extend(b"OggS\0");
        page.push(flags);
        page.extend(granule.to_le_bytes());
        page.extend(serial.to_le_bytes());
        page.extend(number.to_le_bytes());
        page.extend([0; 4]);
        page.push(self.lacing.len() as u8);
        page.extend(self.lacing);
        page.extend(self.body);
        let sum = checksum(&page);
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        page
    }
}

/// CRC-32 of the generator 0x04C11DB7, most significant bit first, from 0.
fn checksum(octets: &[u8]) -> u32 {
    octets.iter().fold(0, |sum, octet| {
        TABLE[usize::from((sum >> 24) as u8 ^ octet)] ^ (sum << 8)
    })
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut value, mut bit) = ((index as u32) << 24, 0);
        while bit < 8 {
            value = (value << 1) ^ (0x04C1_1DB7 * (value >> 31));
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_the_standard_has_it() {
        let mut page = Page::default();
        assert!(page.is_empty());
        assert!(page.push(&[1; 255]) && page.push(&[2; 3]));
        let octets = page.finish(FIRST, 0x0102, 7, 9);
        assert_eq!(&octets[..6], b"OggS\0\x02");
        assert_eq!(&octets[6..22], b"\x02\x01\0\0\0\0\0\0\x07\0\0\0\x09\0\0\0");
        // A packet that fills its segment has an empty one behind it.
        assert_eq!(&octets[26..30], [3, 255, 0, 3]);
        assert_eq!(octets.len(), 30 + 258);
        // The generator's check value without reflection and inversion.
        assert_eq!(checksum(b"123456789"), 0x89A1_897F);
    }

    #[test]
    fn a_page_holds_255_segments() {
        let mut page = Page::default();
        assert!((0..255).all(|_| page.push(&[])));
        assert!(!page.push(&[]));
        assert!(!Page::default().is_empty() || Page::default().push(&[0; 100_000]));
    }
}
