//! G.722: 7 kHz of audio in 64 kbit/s (ITU-T G.722, fixed-point description of its section 6).
//!
//! Owns the coder and the decoder of its three modes, bit for bit as the Recommendation computes them: two sub-bands split by a mirror
//! filter, each coded as adaptive differential PCM, 6 bits for the lower and 2 for the upper. Two samples of 16 kHz are one octet.
//! Never keeps half a pair: pieces hold whole octets. The signal is delayed by 22 samples there and back (1.4 ms).
//! A decoder is kept in step over lost octets by what was made up for them, as in the Recommendation's Appendix III.

mod band;
mod qmf;
mod quantiser;

use band::Band;
use qmf::{BLOCK, Join, Split};

/// Samples by which what is decoded is behind what was coded.
pub const DELAY: usize = 22;

/// How many of an octet's bits are speech; the others may carry data (G.722 table 1). All modes are coded alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// 64 kbit/s: all eight. RTP knows no other (RFC 3551 section 4.5.2).
    #[default]
    Kbit64,
    /// 56 kbit/s: the lowest bit is not looked at.
    Kbit56,
    /// 48 kbit/s: the two lowest bits are not looked at.
    Kbit48,
}

/// Turns samples of 16 kHz into octets.
#[derive(Clone, Debug)]
pub struct Encoder {
    split: Split,
    low: Band,
    high: Band,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// A coder with silence in its past.
    pub const fn new() -> Self {
        Self {
            split: Split::new(),
            low: Band::low(),
            high: Band::high(),
        }
    }

    /// Codes pairs of `samples` as long as `out` has room and returns the octets written; a last odd sample is not coded.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let (pairs, _) = samples.as_chunks::<2>();
        let count = pairs.len().min(out.len());
        let out = &mut out[..count];
        for (pairs, octets) in pairs[..count].chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let (mut low, mut high) = ([0; BLOCK], [0; BLOCK]);
            self.split.split(pairs, &mut low, &mut high);
            for ((octet, low), high) in octets.iter_mut().zip(low).zip(high) {
                *octet = self.code(low, high);
            }
        }
        count
    }

    fn code(&mut self, low: i16, high: i16) -> u8 {
        let low_code =
            quantiser::low_code(low.saturating_sub(self.low.predicted()), self.low.step());
        let difference = quantiser::low_coarse(low_code, self.low.step());
        self.low.adapt_low(low_code, difference);
        let high_code =
            quantiser::high_code(high.saturating_sub(self.high.predicted()), self.high.step());
        let difference = quantiser::high_difference(high_code, self.high.step());
        self.high.adapt_high(high_code, difference);
        high_code << 6 | low_code
    }
}

/// Turns octets into samples of 16 kHz.
#[derive(Clone, Debug)]
pub struct Decoder {
    mode: Mode,
    join: Join,
    low: Band,
    high: Band,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Mode::Kbit64)
    }
}

impl Decoder {
    /// A decoder with silence in its past.
    pub const fn new(mode: Mode) -> Self {
        Self {
            mode,
            join: Join::new(),
            low: Band::low(),
            high: Band::high(),
        }
    }

    /// Decodes `octets` as long as `out` has room for pairs and returns the samples written.
    pub fn decode(&mut self, octets: &[u8], out: &mut [i16]) -> usize {
        let (pairs, _) = out.as_chunks_mut::<2>();
        let count = octets.len().min(pairs.len());
        for (octets, pairs) in octets[..count].chunks(BLOCK).zip(pairs.chunks_mut(BLOCK)) {
            let (mut low, mut high) = ([0; BLOCK], [0; BLOCK]);
            for ((octet, low), high) in octets.iter().zip(&mut low).zip(&mut high) {
                *low = self.low_sample(octet & 0x3F);
                *high = self.high_sample(octet >> 6);
            }
            self.join.join(&low, &high, &mut pairs[..octets.len()]);
        }
        2 * count
    }

    /// Goes on over octets that were lost as if they had been those of `made`, what is heard in their place, and of `beyond`, what would
    /// follow: the next octets are then decoded from where the coder is, more or less, and not from where it was before.
    pub fn follow(&mut self, made: &[i16], beyond: &[i16; DELAY]) {
        let Some((lead, rest)) = made.split_at_checked(DELAY) else {
            return;
        };
        let mut coder = Encoder {
            split: Split::new(),
            low: self.low.clone(),
            high: self.high.clone(),
        };
        let mut unused = [0; BLOCK];
        let (mut low, mut high) = ([0; BLOCK], [0; BLOCK]);
        let (pairs, _) = lead.as_chunks::<2>();
        coder.split.split(pairs, &mut low, &mut high);
        for samples in rest.chunks(2 * BLOCK).chain([beyond.as_slice()]) {
            let octets = coder.encode(samples, &mut unused);
            self.decode(&unused[..octets], &mut [0; 2 * BLOCK]);
        }
    }

    fn low_sample(&mut self, code: u8) -> i16 {
        let step = self.low.step();
        let fine = match self.mode {
            Mode::Kbit64 => quantiser::low_fine(code, step),
            Mode::Kbit56 => quantiser::low_middle(code, step),
            Mode::Kbit48 => quantiser::low_coarse(code, step),
        };
        let sample = self.low.predicted().saturating_add(fine);
        self.low.adapt_low(code, quantiser::low_coarse(code, step));
        limited(sample)
    }

    fn high_sample(&mut self, code: u8) -> i16 {
        let difference = quantiser::high_difference(code, self.high.step());
        let sample = self.high.predicted().saturating_add(difference);
        self.high.adapt_high(code, difference);
        limited(sample)
    }
}

/// A sub-band sample has 15 bits (block LIMIT).
fn limited(sample: i16) -> i16 {
    sample.clamp(-16_384, 16_383)
}

#[cfg(test)]
mod tests;
