//! The audio codecs that are negotiated, and how `a=rtpmap` and the static payload types (RFC 3551) name them.

use std::fmt;

use crate::sdp::RtpMap;

/// An audio codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// G.711 µ-law, static payload type 0 (RFC 3551).
    Pcmu,
    /// G.711 A-law, static payload type 8 (RFC 3551).
    Pcma,
    /// G.722, static payload type 9 (RFC 3551).
    G722,
    /// Opus (RFC 7587).
    Opus,
    /// 16-bit linear samples at 8 kHz, one channel (RFC 3551 section 4.5.11).
    L16Narrow,
    /// 16-bit linear samples at 16 kHz, one channel.
    L16Wide,
}

impl Encoding {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::Opus,
        Self::L16Narrow,
        Self::L16Wide,
    ];

    /// The static payload type number, or the dynamic one we offer it with.
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
            Self::L16Narrow => 118,
            Self::L16Wide => 119,
        }
    }

    /// The name in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::L16Narrow | Self::L16Wide => "L16",
        }
    }

    /// RTP clock rate in Hz. That of G.722 is 8000 although its audio is 16 kHz (RFC 3551 section 4.5.2), that of Opus 48000 whatever
    /// its audio is (RFC 7587 section 4.1).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16Narrow => 8_000,
            Self::L16Wide => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// Channels in `a=rtpmap`. Opus always has two there and says by `fmtp` what it sends (RFC 7587 section 7).
    pub const fn channels(self) -> u8 {
        match self {
            Self::Opus => 2,
            _ => 1,
        }
    }

    /// What `a=rtpmap` has after the number: `PCMU/8000`, `opus/48000/2`.
    pub fn rtpmap(self) -> String {
        let (name, clock_rate) = (self.name(), self.clock_rate());
        match self.channels() {
            1 => format!("{name}/{clock_rate}"),
            channels => format!("{name}/{clock_rate}/{channels}"),
        }
    }

    /// What a payload type stands for: its rtpmap when there is one, else the static table.
    pub(crate) fn of(payload_type: u8, map: Option<RtpMap<'_>>) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| match map {
            Some(map) => encoding.is_named_by(map),
            None => payload_type < FIRST_DYNAMIC && payload_type == encoding.payload_type(),
        })
    }

    fn is_named_by(self, map: RtpMap<'_>) -> bool {
        // Some peers write G.722's audio rate, and some leave out the channels of Opus.
        let clock_fits =
            map.clock_rate == self.clock_rate() || (self == Self::G722 && map.clock_rate == 16_000);
        let channels_fit =
            map.channels == self.channels() || (self == Self::Opus && map.channels == 1);
        map.name.eq_ignore_ascii_case(self.name()) && clock_fits && channels_fit
    }
}

/// The first payload type without a meaning of its own (RFC 3551 section 6).
const FIRST_DYNAMIC: u8 = 96;

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
