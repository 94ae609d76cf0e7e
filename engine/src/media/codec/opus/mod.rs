//! Opus (RFC 6716) as telephony needs it: mono, 16 kHz on our side, whatever the far side codes.
//!
//! Owns the settings of an encoder, decoding, concealment and recovery from redundancy, over one of two back ends chosen when the
//! binary is built: libopus (feature `opus-audiopus`, the default) or the crate opus-pure (feature `opus-pure`). RTP time is 48 kHz
//! (RFC 7587 section 4.1) and not kept here. Any octets may be decoded: what is no packet is an error and changes nothing.

pub mod packet;

#[cfg(feature = "opus-audiopus")]
mod audiopus;
#[cfg(any(feature = "opus-pure", test))]
#[cfg_attr(not(feature = "opus-pure"), allow(dead_code))]
mod pure;

#[cfg(all(feature = "opus-audiopus", not(feature = "opus-pure")))]
use audiopus as back_end;
#[cfg(all(feature = "opus-pure", not(feature = "opus-audiopus")))]
use pure as back_end;

#[cfg(all(feature = "opus-audiopus", feature = "opus-pure"))]
compile_error!(
    "features `opus-audiopus` and `opus-pure` exclude each other: build with --no-default-features --features opus-pure for the second"
);
#[cfg(not(any(feature = "opus-audiopus", feature = "opus-pure")))]
compile_error!(
    "Opus needs a back end: feature `opus-audiopus` (libopus, the default) or `opus-pure` (no C library)"
);

/// Samples per second on our side of encoder and decoder.
pub const SAMPLES_PER_SECOND: u32 = 16_000;

/// Room that holds every packet: 120 ms of 16 kHz.
pub const MAX_SAMPLES: usize = 1920;

/// Room that holds what an encoder makes of 20 ms at any setting (RFC 6716: a frame has at most 1275 octets).
pub const MAX_OCTETS: usize = 1276;

/// A packet this short, made with DTX, need not be sent (RFC 7587 section 3.1.3): the decoder fills the gap.
pub const DTX_OCTETS: usize = 2;

/// The shortest piece of audio that can be concealed, 2.5 ms, in samples of 16 kHz.
pub const STEP: usize = 40;

/// Ticks of the 48 kHz clock per sample.
const TICKS_PER_SAMPLE: u32 = 3;

/// Why a packet was not made or not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpusError {
    /// The octets are not an Opus packet (RFC 6716 section 3.4).
    #[error("not an Opus packet")]
    Packet,
    /// The audio does not fit the room given for it.
    #[error("the packet is longer than the room for it")]
    Room,
    /// The audio has no length that Opus codes.
    #[error("Opus codes 2.5, 5, 10, 20, 40 or 60 ms at once")]
    Length,
    /// The codec library refused.
    #[error("the Opus library failed")]
    Codec,
}

/// How an encoder codes. Values out of range are taken as the nearest in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusSettings {
    /// 0 to 10: how much CPU time buys how much quality.
    pub complexity: u8,
    /// Mean bit/s, 6,000 to 128,000.
    pub bitrate_bps: u32,
    /// Whether packets carry a copy of the frame before, when losses are expected.
    pub fec: bool,
    /// Whether silence is coded as packets of at most [`DTX_OCTETS`].
    pub dtx: bool,
    /// Expected loss of packets, per cent; with [`fec`](Self::fec) it decides how much goes into redundancy.
    pub expected_loss_percent: u8,
    /// Whether only the band of telephones up to 4 kHz is coded, which takes about half of the time: there is nothing above it.
    pub narrow: bool,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self {
            complexity: 5,
            bitrate_bps: 24_000,
            fec: true,
            dtx: false,
            expected_loss_percent: 0,
            narrow: false,
        }
    }
}

impl OpusSettings {
    fn in_range(self) -> Self {
        Self {
            complexity: self.complexity.min(10),
            bitrate_bps: self.bitrate_bps.clamp(6_000, 128_000),
            expected_loss_percent: self.expected_loss_percent.min(100),
            ..self
        }
    }
}

/// Makes packets of 16 kHz mono audio.
#[derive(Debug)]
pub struct OpusEncoder {
    inner: back_end::Encoder,
    channels: usize,
}

impl OpusEncoder {
    /// An encoder with silence in its past. Allocates; [`encode`](Self::encode) does not (with libopus).
    pub fn new(settings: OpusSettings) -> Result<Self, OpusError> {
        Self::with_channels(settings, 1)
    }

    /// An encoder of one or two channels, which [`encode`](Self::encode) takes in turn. Files have two, calls one.
    pub fn with_channels(settings: OpusSettings, channels: usize) -> Result<Self, OpusError> {
        if !(1..=2).contains(&channels) {
            return Err(OpusError::Length);
        }
        let inner = back_end::Encoder::new(channels)?;
        let mut encoder = Self { inner, channels };
        encoder.apply(settings)?;
        Ok(encoder)
    }

    /// How far the decoder's output is behind, in ticks of 48 kHz.
    pub(crate) fn lookahead_ticks(&self) -> Result<u16, OpusError> {
        let samples = self.inner.lookahead()?;
        Ok((samples * TICKS_PER_SAMPLE) as u16)
    }

    /// Other settings from the next packet on.
    pub fn apply(&mut self, settings: OpusSettings) -> Result<(), OpusError> {
        self.inner.apply(&settings.in_range())
    }

    /// Codes 2.5, 5, 10, 20, 40 or 60 ms into `out` and says how many octets it took, at most `out.len()`.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, OpusError> {
        if !matches!(
            samples.len() / self.channels,
            40 | 80 | 160 | 320 | 640 | 960
        ) {
            return Err(OpusError::Length);
        }
        if out.len() < 2 {
            return Err(OpusError::Room);
        }
        self.inner.encode(samples, out)
    }
}

/// Makes 16 kHz mono audio of packets.
#[derive(Debug)]
pub struct OpusDecoder(back_end::Decoder);

impl OpusDecoder {
    /// A decoder with silence in its past. Allocates; decoding does not (with libopus).
    pub fn new() -> Result<Self, OpusError> {
        back_end::Decoder::new().map(Self)
    }

    /// Decodes a packet of any bandwidth, frame length and channel count; returns how many samples of `out` it filled.
    pub fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> Result<usize, OpusError> {
        let out = room_for(packet, out)?;
        self.0.decode(Some(packet), out, false)
    }

    /// Fills `out` in place of packets that did not come: whole steps of [`STEP`] samples, 120 ms at most. Returns how many samples.
    pub fn conceal(&mut self, out: &mut [i16]) -> Result<usize, OpusError> {
        let length = whole_steps(out)?;
        self.0.decode(None, &mut out[..length], false)
    }

    /// Fills `out` with the audio just before `next`, from the copy in `next` as far as there is one
    /// ([`packet::PacketHead::redundancy`]), concealing the rest. Decode `next` itself after this. Lengths as for [`conceal`](Self::conceal).
    pub fn recover(&mut self, next: &[u8], out: &mut [i16]) -> Result<usize, OpusError> {
        let length = whole_steps(out)?;
        packet::head(next).ok_or(OpusError::Packet)?;
        self.0.decode(Some(next), &mut out[..length], true)
    }
}

/// Samples of 16 kHz that a packet decodes to; `None` if it is none.
pub fn packet_samples(packet: &[u8]) -> Option<usize> {
    packet::head(packet).map(|head| (head.ticks / TICKS_PER_SAMPLE) as usize)
}

/// The part of `out` that the packet fills.
fn room_for<'a>(packet: &[u8], out: &'a mut [i16]) -> Result<&'a mut [i16], OpusError> {
    let length = packet_samples(packet).ok_or(OpusError::Packet)?;
    out.get_mut(..length).ok_or(OpusError::Room)
}

fn whole_steps(out: &[i16]) -> Result<usize, OpusError> {
    let length = out.len().min(MAX_SAMPLES) / STEP * STEP;
    if length == 0 {
        return Err(OpusError::Room);
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
