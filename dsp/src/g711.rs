//! G.711 µ-law and A-law (ITU-T G.711), per sample and per slice.
//!
//! Owns six tables that `build.rs` makes from audio-codec-algorithms: 16 KiB and 4 KiB to encode, 512 bytes each to decode,
//! 256 bytes each to convert. The µ↔A code conversion follows G.711 tables 3 and 4, which are not the same as decoding and encoding again.
//! Never resamples, never changes level.
//! Linear samples are 16-bit, full scale; the low 2 (µ) or 3 (A) bits are dropped as ITU-T G.191 does.

/// The µ-law code of silence (positive zero).
pub const ULAW_SILENCE: u8 = 0xFF;
/// The A-law code of silence (smallest positive value).
pub const ALAW_SILENCE: u8 = 0xD5;

include!(concat!(env!("OUT_DIR"), "/g711_tables.rs"));

/// Encodes one 16-bit linear sample as µ-law.
#[inline]
pub fn ulaw_encode(sample: i16) -> u8 {
    ULAW_ENCODE[usize::from(sample as u16 >> 2)]
}

/// Decodes one µ-law code to a 16-bit linear sample.
#[inline]
pub fn ulaw_decode(code: u8) -> i16 {
    ULAW_DECODE[usize::from(code)]
}

/// Encodes one 16-bit linear sample as A-law.
#[inline]
pub fn alaw_encode(sample: i16) -> u8 {
    ALAW_ENCODE[usize::from(sample as u16 >> 4)]
}

/// Decodes one A-law code to a 16-bit linear sample.
#[inline]
pub fn alaw_decode(code: u8) -> i16 {
    ALAW_DECODE[usize::from(code)]
}

/// Converts a µ-law code to A-law (G.711 table 3).
#[inline]
pub fn ulaw_to_alaw(code: u8) -> u8 {
    ULAW_TO_ALAW[usize::from(code)]
}

/// Converts an A-law code to µ-law (G.711 table 4).
#[inline]
pub fn alaw_to_ulaw(code: u8) -> u8 {
    ALAW_TO_ULAW[usize::from(code)]
}

macro_rules! slices {
    ($($(#[$doc:meta])* $name:ident: $from:ty => $to:ty = $one:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// Works on the shorter of the two lengths and returns it; the rest of `out` is left alone.
        pub fn $name(input: &[$from], out: &mut [$to]) -> usize {
            for (to, from) in out.iter_mut().zip(input) {
                *to = $one(*from);
            }
            input.len().min(out.len())
        }
    )*};
}

slices! {
    /// Encodes linear samples as µ-law.
    ulaw_encode_into: i16 => u8 = ulaw_encode;
    /// Decodes µ-law codes to linear samples.
    ulaw_decode_into: u8 => i16 = ulaw_decode;
    /// Encodes linear samples as A-law.
    alaw_encode_into: i16 => u8 = alaw_encode;
    /// Decodes A-law codes to linear samples.
    alaw_decode_into: u8 => i16 = alaw_decode;
    /// Converts µ-law codes to A-law (G.711 table 3).
    ulaw_to_alaw_into: u8 => u8 = ulaw_to_alaw;
    /// Converts A-law codes to µ-law (G.711 table 4).
    alaw_to_ulaw_into: u8 => u8 = alaw_to_ulaw;
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio_codec_algorithms as reference;
    use proptest::prelude::*;
    use std::vec;

    // The recommendation's arithmetic, written down beside the tables that come from elsewhere.

    /// µ-law by G.711 table 2: 14-bit magnitude plus the bias of 33, segment from the highest bit, all bits inverted.
    fn ulaw_code(sample: i16) -> u8 {
        let value = sample >> 2;
        let sign = if value < 0 { 0x80 } else { 0 };
        let magnitude = (if value < 0 { !value } else { value }) as u16 + 33;
        let magnitude = if magnitude > 0x1FFF {
            0x1FFF
        } else {
            magnitude
        };
        let segment = 10 - magnitude.leading_zeros() as u16;
        let step = (magnitude >> (segment + 1)) & 0x0F;
        !(sign | (segment << 4 | step) as u8)
    }

    fn ulaw_value(code: u8) -> i16 {
        let code = !code;
        let segment = (code >> 4) & 7;
        let magnitude = ((((code & 0x0F) as i16) << 1) + 33) << segment;
        let value = (magnitude - 33) << 2;
        if code & 0x80 != 0 { -value } else { value }
    }

    /// A-law by G.711 table 1: 13-bit magnitude, the two lowest segments share a step, even bits inverted.
    fn alaw_code(sample: i16) -> u8 {
        let value = sample >> 3;
        let sign = if value < 0 { 0 } else { 0x80 };
        let magnitude = (if value < 0 { !value } else { value }) as u16;
        let segment = 11 - (magnitude | 0x1F).leading_zeros() as u16;
        let step = (magnitude >> (if segment == 0 { 1 } else { segment })) & 0x0F;
        (sign | (segment << 4 | step) as u8) ^ 0x55
    }

    fn alaw_value(code: u8) -> i16 {
        let code = code ^ 0x55;
        let segment = (code >> 4) & 7;
        let step = (code & 0x0F) as i16;
        let magnitude = match segment {
            0 => (step << 1) + 1,
            _ => ((step << 1) + 33) << (segment - 1),
        };
        let value = magnitude << 3;
        if code & 0x80 == 0 { -value } else { value }
    }

    #[test]
    fn encodes_every_sample_as_the_reference_does() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(
                ulaw_encode(sample),
                reference::encode_ulaw(sample),
                "µ-law of {sample}"
            );
            assert_eq!(
                alaw_encode(sample),
                reference::encode_alaw(sample),
                "A-law of {sample}"
            );
            assert_eq!(ulaw_encode(sample), ulaw_code(sample), "table 2, {sample}");
            assert_eq!(alaw_encode(sample), alaw_code(sample), "table 1, {sample}");
        }
    }

    #[test]
    fn decodes_every_code_as_the_reference_does() {
        for code in 0..=255 {
            assert_eq!(
                ulaw_decode(code),
                reference::decode_ulaw(code),
                "µ-law code {code:#x}"
            );
            assert_eq!(
                alaw_decode(code),
                reference::decode_alaw(code),
                "A-law code {code:#x}"
            );
            assert_eq!(ulaw_decode(code), ulaw_value(code), "table 2, {code:#x}");
            assert_eq!(alaw_decode(code), alaw_value(code), "table 1, {code:#x}");
        }
    }

    #[test]
    fn every_code_survives_a_round_trip() {
        for code in 0..=255 {
            // 0x7F is negative zero: it decodes to 0, which encodes as positive zero.
            let expected = if code == 0x7F { ULAW_SILENCE } else { code };
            assert_eq!(ulaw_encode(ulaw_decode(code)), expected);
            assert_eq!(alaw_encode(alaw_decode(code)), code);
        }
    }

    #[test]
    fn silence_is_silent() {
        assert_eq!(ulaw_decode(ULAW_SILENCE), 0);
        assert_eq!(alaw_decode(ALAW_SILENCE), 8);
        assert_eq!(ulaw_encode(0), ULAW_SILENCE);
        assert_eq!(alaw_encode(0), ALAW_SILENCE);
    }

    #[test]
    fn law_conversion_stays_within_one_step() {
        for code in 0..=255u8 {
            let linear = i32::from(ulaw_decode(code));
            let converted = i32::from(alaw_decode(ulaw_to_alaw(code)));
            assert!(
                (linear - converted).abs() <= 16 + linear.abs() / 16,
                "µ {code:#x}: {linear} became {converted}"
            );
            let linear = i32::from(alaw_decode(code));
            let converted = i32::from(ulaw_decode(alaw_to_ulaw(code)));
            assert!(
                (linear - converted).abs() <= 16 + linear.abs() / 16,
                "A {code:#x}: {linear} became {converted}"
            );
        }
    }

    #[test]
    fn the_shorter_slice_decides() {
        let mut codes = [7; 4];
        assert_eq!(ulaw_encode_into(&[0, 0], &mut codes), 2);
        assert_eq!(codes, [0xFF, 0xFF, 7, 7]);
        assert_eq!(alaw_encode_into(&[0; 9], &mut codes), 4);
        assert_eq!(codes, [ALAW_SILENCE; 4]);
    }

    proptest! {
        #[test]
        fn slices_equal_single_samples(samples in proptest::collection::vec(any::<i16>(), 0..400)) {
            let mut codes = vec![0; samples.len()];
            let mut linear = vec![0; samples.len()];
            ulaw_encode_into(&samples, &mut codes);
            prop_assert!(codes.iter().zip(&samples).all(|(code, sample)| *code == ulaw_encode(*sample)));
            ulaw_decode_into(&codes, &mut linear);
            prop_assert!(linear.iter().zip(&codes).all(|(sample, code)| *sample == ulaw_decode(*code)));
            alaw_encode_into(&samples, &mut codes);
            prop_assert!(codes.iter().zip(&samples).all(|(code, sample)| *code == alaw_encode(*sample)));
            alaw_decode_into(&codes, &mut linear);
            prop_assert!(linear.iter().zip(&codes).all(|(sample, code)| *sample == alaw_decode(*code)));
        }
    }
}
