//! Opus by libopus, through the crate audiopus. Everything is allocated when an encoder or decoder is made; coding is on the stack.

use audiopus::coder::{Decoder as LibDecoder, Encoder as LibEncoder};
use audiopus::packet::Packet;
use audiopus::{Application, Bandwidth, Bitrate, Channels, MutSignals, SampleRate, Signal};

use super::{OpusError, OpusSettings};

#[derive(Debug)]
pub(super) struct Encoder(LibEncoder);

impl Encoder {
    pub(super) fn new(channels: usize) -> Result<Self, OpusError> {
        let channels = match channels {
            1 => Channels::Mono,
            _ => Channels::Stereo,
        };
        let mut encoder =
            LibEncoder::new(SampleRate::Hz16000, channels, Application::Voip).map_err(own)?;
        // Two channels are two speakers: never folded into one to save bits.
        encoder.set_force_channels(channels).map_err(own)?;
        encoder.set_signal(Signal::Voice).map_err(own)?;
        Ok(Self(encoder))
    }

    pub(super) fn apply(&mut self, settings: &OpusSettings) -> Result<(), OpusError> {
        let encoder = &mut self.0;
        let set = |encoder: &mut LibEncoder| {
            encoder.set_complexity(settings.complexity)?;
            encoder.set_bitrate(Bitrate::BitsPerSecond(settings.bitrate_bps as i32))?;
            encoder.set_inband_fec(settings.fec)?;
            encoder.set_dtx(settings.dtx)?;
            encoder.set_max_bandwidth(match settings.narrow {
                true => Bandwidth::Narrowband,
                false => Bandwidth::Wideband,
            })?;
            encoder.set_packet_loss_perc(settings.expected_loss_percent)
        };
        set(encoder).map_err(own)
    }

    /// Samples by which the decoder is behind.
    pub(super) fn lookahead(&self) -> Result<u32, OpusError> {
        self.0.lookahead().map_err(own)
    }

    pub(super) fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, OpusError> {
        self.0.encode(samples, out).map_err(own)
    }
}

#[derive(Debug)]
pub(super) struct Decoder(LibDecoder);

impl Decoder {
    pub(super) fn new() -> Result<Self, OpusError> {
        LibDecoder::new(SampleRate::Hz16000, Channels::Mono)
            .map(Self)
            .map_err(own)
    }

    /// Decodes, conceals (`None`) or, with `redundancy`, decodes the copy of the frame before.
    pub(super) fn decode(
        &mut self,
        packet: Option<&[u8]>,
        out: &mut [i16],
        redundancy: bool,
    ) -> Result<usize, OpusError> {
        let packet = packet.map(Packet::try_from).transpose().map_err(own)?;
        let out = MutSignals::try_from(out).map_err(own)?;
        self.0.decode(packet, out, redundancy).map_err(own)
    }
}

fn own(error: audiopus::Error) -> OpusError {
    match error {
        audiopus::Error::Opus(audiopus::ErrorCode::InvalidPacket)
        | audiopus::Error::EmptyPacket => OpusError::Packet,
        audiopus::Error::Opus(audiopus::ErrorCode::BufferTooSmall) => OpusError::Room,
        _ => OpusError::Codec,
    }
}
