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
}

impl Encoding {
    /// The static payload type number.
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The name in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// RTP clock rate in Hz.
    pub const fn clock_rate(self) -> u32 {
        8_000
    }

    /// What a payload type stands for: its rtpmap when there is one, else the static table.
    pub(crate) fn of(payload_type: u8, map: Option<RtpMap<'_>>) -> Option<Self> {
        [Self::Pcmu, Self::Pcma]
            .into_iter()
            .find(|encoding| match map {
                Some(map) => {
                    map.name.eq_ignore_ascii_case(encoding.name())
                        && map.clock_rate == encoding.clock_rate()
                        && map.channels == 1
                }
                None => payload_type == encoding.payload_type(),
            })
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
