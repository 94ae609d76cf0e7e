//! The typed configuration. Owns the shape only; `read.rs` owns defaults and rules.
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Names accepted after `builtin:` in a number's `flow`.
pub const BUILTIN_FLOWS: &[&str] = &["demo", "load-ivr"];

/// A whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file's name, for messages.
    pub source: String,
    /// What is allowed but probably not meant: one sentence each, to be logged at start.
    pub warnings: Vec<String>,
    /// `[sip]`.
    pub sip: Sip,
    /// `[media]`.
    pub media: Media,
    /// `[http]`.
    pub http: Http,
    /// `[log]`.
    pub log: Log,
    /// `[run]`.
    pub run: Run,
    /// `[[number]]`: what answers which number, in the order of the file.
    pub numbers: Vec<Number>,
}

/// `[sip]`: signalling.
#[derive(Debug, Clone, PartialEq)]
pub struct Sip {
    /// Sockets to open, at least one.
    pub listen: Vec<Listen>,
    /// The address to write into Contact and Via; `None`: the local address of each flow.
    pub advertise: Option<IpAddr>,
    /// Value of the Server and User-Agent headers.
    pub server_name: String,
    /// Calls at the same time; one more gets 503.
    pub max_calls: usize,
    /// RFC 3261 T1.
    pub t1: Duration,
    /// TCP connections at the same time.
    pub tcp_max_connections: usize,
    /// A TCP connection without traffic for this long is closed.
    pub tcp_idle_timeout: Duration,
}

/// One SIP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listen {
    /// UDP or TCP.
    pub transport: Transport,
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
}

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `udp:`.
    Udp,
    /// `tcp:`.
    Tcp,
}

/// `[media]`: RTP and audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// Address the RTP sockets are bound to.
    pub bind: IpAddr,
    /// The address to write into SDP; taken from `[sip] advertise` where absent; `None`: the local address of the call's SIP flow.
    pub advertise: Option<IpAddr>,
    /// Ports for RTP (even) and RTCP (the odd one above).
    pub ports: PortRange,
    /// CPU the media thread is pinned to.
    pub pin_cpu: Option<usize>,
    /// A call that gets no RTP for this long ends; `None`: never for this reason.
    pub rtp_timeout: Option<Duration>,
    /// Codecs offered and accepted, preferred first; at least one.
    pub codecs: Vec<Codec>,
    /// Where keys are heard.
    pub dtmf: DtmfMode,
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
}

/// Which sources of keys are believed.
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

/// `[http]`: health, metrics and (later) the control API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http {
    /// Where to listen; `None`: `"off"`.
    pub listen: Option<SocketAddr>,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Lines for people or for programs.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: LogLevel,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line each.
    Human,
    /// One JSON object each.
    Json,
}

/// Log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what needs somebody to act.
    Error,
    /// Also what is odd.
    Warn,
    /// Also the milestones of each call.
    Info,
    /// Also each SIP message's start line and each verb.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The name as written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// `[run]`: the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How long calls may go on after SIGTERM before they get a BYE.
    pub drain: Duration,
}

/// `[[number]]`: what answers a called number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// The user part of the Request-URI, compared exactly; `*`: any other.
    pub to: String,
    /// The program.
    pub flow: FlowSource,
    /// Where the entry stands in the file.
    pub at: super::At,
}

/// Where a flow comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowSource {
    /// `builtin:NAME`, one of [`BUILTIN_FLOWS`].
    Builtin(String),
    /// A file; a relative path has been joined to the configuration file's folder.
    File(PathBuf),
}

impl std::fmt::Display for FlowSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
