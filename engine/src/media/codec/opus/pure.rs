//! Opus by the crate opus-pure: no C. It decodes what libopus decodes to within one step (a test holds the two together), but its
//! encoder allocates some ten times per packet.

use opus_pure::{Application, Bandwidth, Signal};

use super::{OpusError, OpusSettings};

const SAMPLES_PER_SECOND: i32 = 16_000;

#[derive(Debug)]
pub(super) struct Encoder(Box<opus_pure::OpusEncoder>, usize);

impl Encoder {
    pub(super) fn new(channels: usize) -> Result<Self, OpusError> {
        let mut encoder =
            opus_pure::OpusEncoder::new(SAMPLES_PER_SECOND, channels, Application::Voip)
                .map_err(own)?;
        encoder.signal_type = Some(Signal::Voice);
        Ok(Self(Box::new(encoder), channels))
    }

    pub(super) fn apply(&mut self, settings: &OpusSettings) -> Result<(), OpusError> {
        self.0.complexity = i32::from(settings.complexity);
        self.0.bitrate_bps = settings.bitrate_bps as i32;
        self.0.use_inband_fec = settings.fec;
        self.0.use_dtx = settings.dtx;
        self.0.max_bandwidth = match settings.narrow {
            true => Bandwidth::Narrowband,
            false => Bandwidth::Wideband,
        };
        self.0.packet_loss_perc = i32::from(settings.expected_loss_percent);
        Ok(())
    }

    /// Samples by which the decoder is behind.
    pub(super) fn lookahead(&self) -> Result<u32, OpusError> {
        Ok(self.0.lookahead() as u32)
    }

    pub(super) fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, OpusError> {
        let length = samples.len() / self.1;
        self.0.encode_s16(samples, length, out).map_err(own)
    }
}

#[derive(Debug)]
pub(super) struct Decoder(Box<opus_pure::OpusDecoder>);

impl Decoder {
    pub(super) fn new() -> Result<Self, OpusError> {
        let decoder = opus_pure::OpusDecoder::new(SAMPLES_PER_SECOND, 1).map_err(own)?;
        Ok(Self(Box::new(decoder)))
    }

    /// Decodes, conceals (`None`) or, with `redundancy`, decodes the copy of the frame before.
    pub(super) fn decode(
        &mut self,
        packet: Option<&[u8]>,
        out: &mut [i16],
        redundancy: bool,
    ) -> Result<usize, OpusError> {
        let length = out.len();
        match packet {
            Some(packet) if redundancy => self.0.decode_fec_s16(packet, length, out),
            packet => self.0.decode_s16(packet.unwrap_or_default(), length, out),
        }
        .map_err(own)
    }
}

fn own(error: opus_pure::Error) -> OpusError {
    match error {
        opus_pure::Error::InvalidPacket(_) => OpusError::Packet,
        opus_pure::Error::BufferTooSmall { .. } => OpusError::Room,
        _ => OpusError::Codec,
    }
}
