//! What a channel tells its call. Plain values.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use trunkline_dsp::dtmf::Measured;

use trunkline_dsp::{answering, progress};

use super::quality::Quality;
use super::recorder::{RecordingFormat, RecordingGap};

/// Something that happened on a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaEvent {
    /// A [`Play`](super::Command::Play) came to its end; not sent when it was stopped or replaced.
    PlayDone {
        /// The id given with it.
        id: u32,
    },
    /// An [`Append`](super::Command::Append) was refused: too many lists wait already.
    PlayRefused {
        /// The id given with it.
        id: u32,
    },
    /// A key went down.
    KeyBegin {
        /// `0-9*#A-D`.
        key: char,
        /// How it was heard.
        source: KeySource,
        /// When, as near as that can be told: without the delay of the jitter buffer and of telling it from a voice.
        at: Instant,
        /// Level in dBm0: of both tones together, or what the telephone event states.
        level_dbm0: Option<f32>,
        /// What the tones were like, for in-band keys.
        tone: Option<Measured>,
    },
    /// A key went up; exactly one for each `KeyBegin` of the same source.
    KeyEnd {
        /// `0-9*#A-D`.
        key: char,
        /// How it was heard.
        source: KeySource,
        /// When, as near as that can be told.
        at: Instant,
        /// How long it was down.
        duration_ms: u32,
    },
    /// A recording's file is complete.
    RecordDone(Box<RecordDone>),
    /// The peer began to speak, as [`Listen`](super::Command::Listen) asked: 60 ms ago, up to 20 ms more or less.
    SpeechBegin,
    /// The peer stopped speaking 400 ms ago; exactly one for each `SpeechBegin` unless listening ends before.
    SpeechEnd {
        /// Since `SpeechBegin`, in ms.
        duration_ms: u32,
    },
    /// A single steady tone has ended, as [`Listen`](super::Command::Listen) asked.
    Beep {
        /// Its frequency in Hz, right to about 1 %.
        hz: f32,
        /// Its length in ms, 100 to 3000.
        duration_ms: u32,
    },
    /// A tone of the network or of a fax machine, as [`Attend`](super::Command::Attend) asked; once its rhythm is sure.
    Tone(progress::Heard),
    /// The first audio for [`Answering`](MediaEvent::Answering): its times run from now. Again where the codec changes to another rate.
    AnsweringBegins,
    /// Who answered, as [`Attend`](super::Command::Attend) asked.
    Answering(answering::Finding),
    /// All digits of a [`SendDigits`](super::Command::SendDigits) were sent.
    DigitsSent {
        /// The id given with it.
        id: u32,
    },
    /// The source of the peer's RTP is settled; from now on nothing is taken from anybody else.
    Latched {
        /// The peer's address as seen on the wire.
        remote: SocketAddr,
        /// Whether it is the first time on this channel.
        first: bool,
    },
    /// 5 s after the stream was set to receive, nothing has been taken from the peer since the channel was opened. Once per description.
    Unheard(Box<ChannelStats>),
    /// No RTP came for the configured time although the peer may send. Sent again only after RTP came back.
    RtpTimeout,
    /// The channel is closed and its ports are free; always the last event.
    Closed(Box<ChannelStats>),
}

/// A recording whose file is complete.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordDone {
    /// The id given with it.
    pub id: u32,
    /// The file.
    pub path: PathBuf,
    /// Its kind.
    pub format: RecordingFormat,
    /// Length of the audio in the file.
    pub duration_ms: u32,
    /// Why it ended.
    pub end: RecordingEnd,
    /// Audio that is missing in the file because the disk was too slow or full.
    pub lost_ms: u32,
    /// Where: the file has silence there. Of more than 16 places the first are named.
    pub gaps: Vec<RecordingGap>,
}

/// How a key was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// Tones in the audio.
    InBand,
    /// RTP telephone events.
    Rfc4733,
}

/// Why a recording ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingEnd {
    /// By [`StopRecord`](super::Command::StopRecord), by the next recording, or because the channel closed.
    Stopped,
    /// The silence limit.
    Silence,
    /// The length limit.
    MaxLength,
    /// The file could not be created or written; what was written before remains. The text says which path and why.
    WriteFailed(String),
}

/// What happened on a channel during its life.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ChannelStats {
    /// RTP packets taken from the peer, duplicates included.
    pub packets_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Packets of the far side of a bridge that were sent as they came, of `packets_out`.
    pub relayed: u64,
    /// Frames of the far side of a bridge that were decoded and sent, of `packets_out`.
    pub decoded: u64,
    /// Packets and frames of the far side of a bridge that were not sent.
    pub bridge_dropped: u64,
    /// RTP payload octets taken.
    pub octets_in: u64,
    /// RTP payload octets sent.
    pub octets_out: u64,
    /// Packets that never came (RFC 3550 section 6.4.1, by sequence numbers).
    pub lost: u64,
    /// Packets that came after their time to be played.
    pub late: u64,
    /// Packets that came more than once.
    pub duplicate: u64,
    /// Packets that came after one with a higher sequence number.
    pub reordered: u64,
    /// Packets from other sources than the peer, dropped.
    pub stranger: u64,
    /// Packets that could not be read or had a payload type that was not negotiated, dropped.
    pub invalid: u64,
    /// Interarrival jitter in ms (RFC 3550 section 6.4.1), at the end.
    pub jitter_ms: f32,
    /// Time from the opening of the channel to the first packet taken from the peer.
    pub first_rtp_in_ms: Option<u32>,
    /// Time from the opening of the channel to the first packet sent.
    pub first_rtp_out_ms: Option<u32>,
    /// How it sounds.
    pub quality: Quality,
    /// What may explain that one side hears nothing.
    pub path: PathFacts,
}

/// What a channel saw that explains one-way audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathFacts {
    /// Where the newest of the `stranger` packets came from.
    pub stranger_from: Option<SocketAddr>,
    /// RTP packets on an encrypted stream whose tag was wrong, or that were no SRTP at all.
    pub srtp_failed: u64,
    /// Packets with a payload type that was not negotiated.
    pub wrong_payload: u64,
    /// The newest such type.
    pub wrong_payload_type: Option<u8>,
    /// The peer's audio had something louder than line noise.
    pub sounded: bool,
    /// The peer sent keys as telephone events.
    pub keys: bool,
    /// Times that the peer's host answered our RTP by ICMP "port unreachable".
    pub refused: u32,
    /// Times that the system or a router said that there is no way to the peer.
    pub unreachable: u32,
    /// RTCP reports of the peer.
    pub reports: u32,
    /// Those among them that speak of our stream.
    pub reports_on_us: u32,
    /// Our packets that the peer misses, by the newest of those.
    pub reported_lost: u32,
    /// Packets we had sent when its newest report came.
    pub sent_at_report: u64,
}
