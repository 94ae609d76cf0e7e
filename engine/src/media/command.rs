//! What a call asks of its channel. Plain values; the shard carries them out (`channel.rs`).

use std::net::SocketAddr;
use std::sync::Arc;

use super::attention::Attention;
use super::codec::opus::OpusSettings;
use super::codec::{ClockRate, Encoding};
use super::ears::Listening;
use super::prompt::Prompt;
use super::recorder::RecordingSpec;
use crate::rtp::srtp::MasterKey;
use crate::rtp::stun::IceLite;
use trunkline_dsp::dtmf::Profile;

/// An order to a channel. Orders of one channel are carried out in the order they were sent.
#[derive(Debug, Clone)]
pub enum Command {
    /// Sets or changes the stream after an offer/answer exchange. Each one permits latching anew (RFC 3264 section 8.3.1).
    Stream(Box<StreamParams>),
    /// Plays audio, replacing what plays. Ends with [`MediaEvent::PlayDone`](super::MediaEvent::PlayDone) unless it is replaced or stopped first.
    Play {
        /// Returned in the event.
        id: u32,
        /// Played in order without gaps.
        audio: Vec<MediaAudio>,
        /// How often the list is played in all; `None` plays it until it is stopped.
        repeat: Option<u32>,
    },
    /// As `Play`, in another manner.
    PlayIn {
        /// How.
        manner: Manner,
        /// Returned in the event.
        id: u32,
        /// Played in order without gaps.
        audio: Vec<MediaAudio>,
        /// How often the list is played in all; `None` plays it until it is stopped.
        repeat: Option<u32>,
    },
    /// As `Play`, but waits its turn behind what plays and what waits already. If eight wait, it is refused:
    /// [`MediaEvent::PlayRefused`](super::MediaEvent::PlayRefused).
    Append {
        /// Returned in the event.
        id: u32,
        /// Played in order without gaps.
        audio: Vec<MediaAudio>,
        /// How often the list is played in all; `None` plays it until it is stopped.
        repeat: Option<u32>,
    },
    /// Changes how the present list is played. Nothing happens if nothing plays.
    ChangePlay(PlayChange),
    /// Stops what plays and what waits, without an event. Nothing happens if nothing plays.
    StopPlay,
    /// Sends the received audio back (`true`) until switched off. What plays meanwhile has precedence.
    Echo(bool),
    /// Whether to look for DTMF tones in the received audio. Telephone events (RFC 4733) are always listened to.
    Detect {
        /// `true` keeps a detector that runs; `false` ends it, and a key that is down with it.
        inband: bool,
    },
    /// What counts as a key in the received audio from now on, instead of what the engine was configured with. A detector that runs begins
    /// anew when it is asked for again.
    Profile(&'static Profile),
    /// Ends the bridge of this channel, for both ends. Nothing happens if there is none.
    Unbridge,
    /// Records to a file. Ends with [`MediaEvent::RecordDone`](super::MediaEvent::RecordDone), which is sent when the file is complete. A
    /// recording that runs is stopped first.
    Record(Box<RecordingSpec>),
    /// Pauses the recording of that id, or lets it go on; nothing happens if it does not run.
    PauseRecord {
        /// The recording's id.
        id: u32,
        /// Whether it pauses.
        paused: bool,
    },
    /// Stops the recording of that id; nothing happens if it does not run.
    StopRecord {
        /// The recording's id.
        id: u32,
    },
    /// Which sounds of the peer are told as events; none at first.
    Listen(Listening),
    /// Which tones of the network are told, and whether to find out who answered; nothing at first. Listening begins anew.
    Attend(Attention),
    /// Sends digits: as telephone events if negotiated, else as tones. Ends with [`MediaEvent::DigitsSent`](super::MediaEvent::DigitsSent).
    /// Replaces digits that are still being sent.
    SendDigits {
        /// Returned in the event.
        id: u32,
        /// `0-9*#A-D`; `w` pauses 0.5 s, `W` 1 s; `12@300` sends the digits since the last space for 300 ms each; other characters are
        /// skipped.
        digits: String,
        /// Length of each other digit in ms; at least 40 (ITU-T Q.24).
        tone_ms: u32,
        /// Pause between digits in ms; at least 40 (ITU-T Q.24).
        gap_ms: u32,
    },
    /// Lets a digit go that is being sent: it ends when it has lasted for so long, or at once. Nothing happens if it is over.
    ReleaseDigit {
        /// The id given with it.
        id: u32,
        /// Its length in ms; at least 40.
        tone_ms: u32,
    },
}

/// How a list is played; by default from its beginning, as loud as it is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Manner {
    /// That much louder, in dB, -60 to 20.
    pub volume_db: f32,
    /// From that place of the first round, in ms.
    pub from_ms: u32,
    /// Becoming as loud as that within so many ms.
    pub fade_in_ms: u32,
}

/// A change to what plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PlayChange {
    /// Plays that much louder than it is; -60 to 20 dB. The change takes 20 ms.
    Volume {
        /// 0: as it is.
        db: f32,
    },
    /// Goes on at a place of the present list, counted from its beginning; behind its end, this round of it is over.
    Seek {
        /// In ms.
        ms: u32,
    },
    /// Begins silent and reaches its volume evenly.
    FadeIn {
        /// In so many ms.
        ms: u32,
    },
    /// Becomes silent evenly and ends then, and what waits with it.
    FadeOut {
        /// In so many ms.
        ms: u32,
    },
    /// Holds still, silent, or goes on.
    Pause(bool),
}

/// A piece of audio to play.
#[derive(Debug, Clone)]
pub enum MediaAudio {
    /// A prompt of the library, or a recording loaded as one.
    Prompt(Arc<Prompt>),
    /// One or two sine waves.
    Tone {
        /// Hz; the second 0 for none. Up to 4000 Hz inclusive.
        hz: [f32; 2],
        /// Level of each wave in dBm0.
        dbm0: f32,
        /// Length in ms.
        ms: u32,
    },
    /// Silence.
    Silence {
        /// Length in ms.
        ms: u32,
    },
}

/// The keys of an encrypted stream, one for each direction, of one suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtpParams {
    /// What we protect with. Must differ from the peer's.
    pub send: MasterKey,
    /// What the peer protects with.
    pub receive: MasterKey,
}

/// The negotiated stream of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamParams {
    /// The audio encoding that is sent and expected.
    pub encoding: Encoding,
    /// Payload type we send audio with.
    pub payload_send: u8,
    /// Payload type audio of [`encoding`](Self::encoding) comes with.
    pub payload_recv: u8,
    /// Other encodings that the peer may switch to, with their payload types; decoded as what they are.
    pub also: Vec<(u8, Encoding)>,
    /// How Opus is coded where it is [`encoding`](Self::encoding).
    pub opus: OpusSettings,
    /// What the durations of telephone events count in: the audio's clock, or 8000 Hz where the peer has no other.
    pub telephone_event_clock: ClockRate,
    /// Payload type we may send telephone events with.
    pub telephone_event_send: Option<u8>,
    /// Payload type telephone events come with.
    pub telephone_event_recv: Option<u8>,
    /// Payload type of comfort noise (RFC 3389) at the clock of [`encoding`](Self::encoding), both ways; `None`: it is not sent, and
    /// understood where it comes as the static 13.
    pub comfort_noise: Option<u8>,
    /// Where the peer's session description says it receives RTP.
    pub remote_rtp: SocketAddr,
    /// Where the peer receives RTCP, if it said so; otherwise the RTP port + 1 (RFC 3550 section 11).
    pub remote_rtcp: Option<SocketAddr>,
    /// RTCP shares the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// Whether we may send audio.
    pub send: bool,
    /// Whether we expect audio; the RTP timeout is watched only then.
    pub receive: bool,
    /// The packet time in ms that the peer asked for and is sent as near as the codec can. Packets of any length are received.
    pub ptime_ms: u8,
    /// The keys of an encrypted stream: RTP and RTCP in the clear are dropped then. `None` for plain RTP.
    pub srtp: Option<Box<SrtpParams>>,
    /// Our credentials where the peer makes ICE checks, which are answered then.
    pub ice: Option<IceLite>,
    /// The call's id for log lines.
    pub log_id: String,
}

impl StreamParams {
    /// A plain stream both ways in packets of 20 ms, without telephone events.
    pub fn plain(encoding: Encoding, payload_type: u8, remote_rtp: SocketAddr) -> StreamParams {
        StreamParams {
            encoding,
            payload_send: payload_type,
            payload_recv: payload_type,
            also: Vec::new(),
            opus: OpusSettings::default(),
            telephone_event_clock: encoding.clock(),
            telephone_event_send: None,
            telephone_event_recv: None,
            comfort_noise: None,
            remote_rtp,
            remote_rtcp: None,
            rtcp_mux: false,
            send: true,
            receive: true,
            ptime_ms: 20,
            srtp: None,
            ice: None,
            log_id: String::new(),
        }
    }

    /// The encoding of a payload type that audio may come with.
    pub fn received_as(&self, payload_type: u8) -> Option<Encoding> {
        if payload_type == self.payload_recv {
            return Some(self.encoding);
        }
        let mut also = self.also.iter();
        also.find(|(number, _)| *number == payload_type)
            .map(|(_, encoding)| *encoding)
    }
}
