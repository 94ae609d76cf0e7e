//! How long the audio of an Opus packet is, by its first octets (RFC 6716 section 3). Never decodes.

/// The longest packet in units of 48 kHz: 120 ms.
const LONGEST: u32 = 5760;

/// The length in units of the 48 kHz clock; `None` where it is no Opus packet.
pub(super) fn duration(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(payload.get(1)? & 0x3F),
    };
    let total = frames * frame_length(toc >> 3);
    (1..=LONGEST).contains(&total).then_some(total)
}

/// The length of one frame by the configuration number (RFC 6716 table 2).
fn frame_length(configuration: u8) -> u32 {
    let [quick, hybrid, celt] = [
        [480, 960, 1920, 2880],
        [480, 960, 480, 960],
        [120, 240, 480, 960],
    ];
    let place = usize::from(configuration & 3);
    match configuration {
        0..=11 => quick[place],
        12..=15 => hybrid[place],
        _ => celt[place],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_the_first_octet() {
        for (payload, expected) in [
            (&[0x08u8][..], Some(960)),     // SILK narrow 20 ms, one frame
            (&[0x19], Some(2 * 2880)),      // SILK narrow 60 ms, two frames
            (&[0x60], Some(480)),           // hybrid 10 ms
            (&[0xE0], Some(120)),           // CELT 2.5 ms
            (&[0xFB, 0x03], Some(3 * 960)), // CELT 20 ms, three frames
            (&[0xFB, 0x07], None),          // 140 ms
            (&[0xFB, 0x00], None),          // no frame
            (&[0xFB], None),                // no count
            (&[], None),
        ] {
            assert_eq!(duration(payload), expected, "{payload:x?}");
        }
    }
}
