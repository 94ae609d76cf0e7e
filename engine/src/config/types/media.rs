//! `[media]` and `[music]`: RTP, audio, and what a held party hears.
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `[media]`: RTP and audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// Address the RTP sockets are bound to.
    pub bind: IpAddr,
    /// The address to write into SDP; taken from `[sip] advertise` where absent; `None`: the local address of the call's SIP flow.
    pub advertise: Option<IpAddr>,
    /// Ports for RTP (even) and RTCP (the odd one above).
    pub ports: PortRange,
    /// Media threads; at least one.
    pub threads: usize,
    /// The CPU of each media thread; empty: they are not pinned.
    pub pin: Vec<usize>,
    /// Real-time priority of the media threads, 1 to 99; `None`: the usual one.
    pub realtime: Option<u8>,
    /// A media thread takes no new calls while one in twenty of its frames is later than this, ms; 0: whatever they are.
    pub late_limit_ms: u32,
    /// Or while it is busier than this, percent of a core; 100: whatever it is.
    pub busy_limit: u32,
    /// Whether memory is kept from being swapped out.
    pub lock_memory: bool,
    /// A call that gets no RTP for this long ends; `None`: never for this reason.
    pub rtp_timeout: Option<Duration>,
    /// Codecs offered and accepted, preferred first; at least one.
    pub codecs: Vec<Codec>,
    /// How Opus is coded.
    pub opus: Opus,
    /// Where keys are heard.
    pub dtmf: DtmfMode,
    /// Whether audio is encrypted, for trunks, endpoints and strangers that have no policy of their own.
    pub srtp: SrtpPolicy,
    /// Folder of recordings; relative to the working folder.
    pub recordings_dir: PathBuf,
}

/// A range of UDP ports: starts even, holds at least one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// First port, even.
    pub first: u16,
    /// Last port, inclusive.
    pub last: u16,
}

impl PortRange {
    /// How many RTP/RTCP pairs fit, that is calls at the same time.
    pub fn pairs(self) -> usize {
        usize::from(self.last - self.first).div_ceil(2)
    }
}

/// An audio codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
    /// Opus.
    Opus,
    /// Linear samples at 8 kHz.
    L16,
    /// Linear samples at 16 kHz.
    L16Wide,
}

/// How Opus is coded where it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opus {
    /// 0 to 10: CPU time for quality.
    pub complexity: u8,
    /// Mean bit/s, where the peer does not ask for less.
    pub bitrate_bps: u32,
}

impl Default for Opus {
    fn default() -> Self {
        Self {
            complexity: 5,
            bitrate_bps: 24_000,
        }
    }
}

/// Which sources of keys are believed, and how keys are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DtmfMode {
    /// All; one press reported by several is one key.
    Auto,
    /// RTP telephone events only.
    Rfc4733,
    /// Tones in the audio only.
    InBand,
    /// SIP INFO only.
    Info,
    /// None: keys are not heard, and tones stay in the audio.
    Off,
}

impl DtmfMode {
    /// Whether telephone events (RFC 4733) are offered and accepted.
    pub fn telephone_event(self) -> bool {
        matches!(self, Self::Auto | Self::Rfc4733)
    }

    /// Whether tones in the audio count as keys.
    pub fn inband(self) -> bool {
        matches!(self, Self::Auto | Self::InBand)
    }

    /// Whether SIP INFO counts as keys.
    pub fn info(self) -> bool {
        matches!(self, Self::Auto | Self::Info)
    }
}

/// Whether the audio of a leg is encrypted (RFC 3711 with keys by RFC 4568).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Plain RTP only; an offer that insists on SRTP is refused.
    #[default]
    Never,
    /// SRTP where the peer wants it, else plain RTP. Never from SRTP to plain within one call.
    Optional,
    /// SRTP or no call.
    Required,
}

/// `[music]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Music {
    /// What a held party hears.
    pub on_hold: HoldMusic,
}

/// What a held party hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldMusic {
    /// The embedded piece.
    Builtin,
    /// A sound file; a relative path has been joined to the configuration file's folder.
    File(PathBuf),
}
