//! What a peer says by `a=fmtp` of the Opus it wants to be sent (RFC 7587 section 6.1). Unknown parameters are passed over.

use std::fmt;

use crate::sdp::MediaDescription;

/// What the describing side wants to be sent. The defaults are those of RFC 7587 section 6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusFormat {
    /// `useinbandfec`: it makes use of redundancy.
    pub fec: bool,
    /// `usedtx`: it prefers nothing to be sent in silence.
    pub dtx: bool,
    /// `cbr`: it prefers a constant bit rate.
    pub cbr: bool,
    /// `stereo`: it prefers two channels.
    pub stereo: bool,
    /// `maxplaybackrate`: the highest audio rate it plays, in Hz, 8000 to 48000.
    pub max_playback_hz: u32,
    /// `maxaveragebitrate`: the most it wants on average, in bit/s, 6000 to 510000.
    pub max_average_bps: Option<u32>,
}

impl Default for OpusFormat {
    fn default() -> Self {
        Self {
            fec: false,
            dtx: false,
            cbr: false,
            stereo: false,
            max_playback_hz: 48_000,
            max_average_bps: None,
        }
    }
}

impl OpusFormat {
    /// What we say of ourselves: redundancy is made use of, and mono is played.
    pub const OURS: Self = Self {
        fec: true,
        dtx: false,
        cbr: false,
        stereo: false,
        max_playback_hz: 48_000,
        max_average_bps: None,
    };

    /// What a description says of a payload type.
    pub(super) fn of(media: &MediaDescription, payload_type: u8) -> Self {
        let mut format = Self::default();
        let parameters = media
            .attributes
            .iter()
            .filter(|attribute| attribute.name.eq_ignore_ascii_case("fmtp"))
            .filter_map(|attribute| attribute.value.as_deref()?.split_once([' ', '\t']))
            .find(|(number, _)| number.parse() == Ok(payload_type));
        let Some((_, parameters)) = parameters else {
            return format;
        };
        for parameter in parameters.split(';') {
            if let Some((name, value)) = parameter.split_once('=') {
                format.set(name.trim(), value.trim());
            }
        }
        format
    }

    fn set(&mut self, name: &str, value: &str) {
        let Ok(number) = value.parse::<u32>() else {
            return;
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("useinbandfec") {
            self.fec = number == 1;
        } else if is("usedtx") {
            self.dtx = number == 1;
        } else if is("cbr") {
            self.cbr = number == 1;
        } else if is("stereo") {
            self.stereo = number == 1;
        } else if is("maxplaybackrate") {
            self.max_playback_hz = number.clamp(8_000, 48_000);
        } else if is("maxaveragebitrate") {
            self.max_average_bps = Some(number.clamp(6_000, 510_000));
        }
    }
}

/// The parameters that differ from their defaults, as after the number in `a=fmtp`.
impl fmt::Display for OpusFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut write = |name: &str, value: u32| {
            write!(f, "{separator}{name}={value}")?;
            separator = ";";
            Ok(())
        };
        if self.fec {
            write("useinbandfec", 1)?;
        }
        if self.dtx {
            write("usedtx", 1)?;
        }
        if self.cbr {
            write("cbr", 1)?;
        }
        if self.stereo {
            write("stereo", 1)?;
        }
        if self.max_playback_hz != 48_000 {
            write("maxplaybackrate", self.max_playback_hz)?;
        }
        self.max_average_bps
            .map_or(Ok(()), |bps| write("maxaveragebitrate", bps))
    }
}
