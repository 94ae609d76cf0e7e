//! A leg: one SIP dialog plus one media channel. It owns the negotiation, the arbiter and the type-ahead buffer.
//!
//! [`Leg::next`] is the only place where a leg's events arrive; it settles what every verb would settle alike (re-INVITE, INFO,
//! duplicates of digits, a lost channel) and returns the rest. It can be dropped at any await without losing an event.
//! Limits: 64 keys of type-ahead; more are dropped with a log line.
//! `events.rs` reads what arrives, `description.rs` owns what session descriptions change, `info.rs` answers INFO, `audio.rs` finds out why nothing is heard.
mod audio;
mod description;
mod events;
mod farewell;
mod feed;
mod held;
mod info;
mod joined;
mod keys;
mod streaming;
mod takeover;
mod told;
mod tones;

use feed::Feed;
pub(super) use feed::Piece;
pub(super) use joined::plain_music;
pub(super) use keys::KeyPath;
use keys::OutgoingKey;
use takeover::Doing;

use super::arbiter::Arbiter;
use super::causes;
use super::cdr::Times;
use super::context::CallContext;
use super::events::EventKind;
use super::live_legs::LivePlace;
use super::negotiation::Negotiation;
use super::program::Direction;
use super::text_message::InCall;
use super::transfer::Referral;
use super::verb::{DigitSource, KeyPress, Reject};
use crate::call::secrets;
use crate::config::{DtmfMode, SrtpPolicy};
use crate::media::{
    Channel, ChannelStats, Command as MediaCommand, Listening, MediaEvents, RecordingEnd,
};
use crate::net::sip::{Command, LegEvents, SipHandle};
use crate::route::{CallerIdentity, Place, retry_after_value, terms};
use crate::stream::{StreamEnd, StreamHandle};
use description::spoken;
use serde_json::json;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline_dsp::answering::Finding;
use trunkline_dsp::dtmf::Profile;
use trunkline_dsp::progress::{Heard, Plan};
use trunkline_sip::offer_answer::{Direction as MediaDirection, Encoding, LocalMedia, LocalSrtp};
use trunkline_sip::{HangupReason, LegId, Origin, ReferTo};

/// What phones commonly buffer before they play it; a BYE that overtakes it cuts the last syllable.
const FAR_JITTER_BUFFER: Duration = Duration::from_millis(200);
/// Keys kept for the next gather.
const TYPE_AHEAD: usize = 64;

/// How the leg came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// `caller` (gave up before the answer), `callee` (refused), `far-end` (hung up), `us`, or `network`.
    pub by: &'static str,
    /// A short, fixed name: `bye`, `cancel`, `no-ack`, `rtp-timeout`, …
    pub cause: &'static str,
    /// SIP status where there was one.
    pub status: Option<u16>,
    /// The Q.850 cause, where the far end gave one or its status has one.
    pub q850: Option<u8>,
    /// When the far end may be tried again, by its Retry-After.
    pub retry_after: Option<std::time::Duration>,
}

impl End {
    /// An end without a status or cause.
    pub(super) fn by(by: &'static str, cause: &'static str) -> End {
        End {
            by,
            cause,
            status: None,
            q850: None,
            retry_after: None,
        }
    }
}

/// What a leg reports to the executor.
#[derive(Debug)]
pub(super) enum Input {
    /// A key went down, as this source says; what plays may stop. Its `Key` follows.
    KeyDown(char, DigitSource),
    /// A key was pressed and released.
    Key(KeyPress),
    /// The ACK has come; the far end hears us.
    Confirmed,
    /// Our outbound call was answered.
    Answered,
    /// Our outbound call is in somebody's hands: 100.
    Trying,
    /// Our outbound call rings; `early`: with audio of its own.
    Progress { status: u16, early: bool },
    /// The far end asks for a transfer.
    Refer(Referral),
    /// The far end says something to whoever it talks with, of one of the kinds that pass.
    Info { kind: &'static str, body: Vec<u8> },
    /// The far end sends a text message.
    Message(InCall),
    /// How the far end fares with our REFER.
    ReferProgress { status: u16, done: bool },
    /// Another leg has come in this one's place.
    Replaced,
    /// An order has changed whether parties are muted or on hold.
    Treated,
    /// An order has sent the other party elsewhere.
    PeerTaken,
    /// The far end has changed address, codec or direction.
    MediaChanged,
    /// Playback came to its end.
    PlayDone(u32),
    /// A recording is complete.
    RecordDone {
        id: u32,
        duration_ms: u32,
        end: RecordingEnd,
        lost_ms: u32,
    },
    /// A tone of the network or of a fax machine.
    Tone(Heard),
    /// The first audio of whoever answered, where somebody wants to know who that is.
    AnswererBegins,
    /// Who answered.
    Answerer(Finding),
    /// The far end begins or stops speaking; told while somebody listens for it.
    Speech(bool),
    /// The far end has sent a beep; as above.
    Beep,
    /// The stream to a service is over.
    StreamEnded(StreamEnd),
    /// All digits are out.
    DigitsSent(u32),
    /// The leg is gone.
    Ended(End),
}

/// What a leg needs to know of its surroundings.
pub(super) struct LegSettings {
    /// Address written into SDP.
    pub(super) media_address: IpAddr,
    /// Where the far end's signalling comes from.
    pub(super) signalling: SocketAddr,
    /// Codecs in order of preference.
    pub(super) codecs: Vec<Encoding>,
    /// How digits are heard and sent.
    pub(super) dtmf: DtmfMode,
    /// What counts as a key in its audio; `None`: what the media engine was given.
    pub(super) dtmf_profile: Option<&'static Profile>,
    /// Whether its audio is encrypted.
    pub(super) srtp: SrtpPolicy,
    /// Whose tones it hears.
    pub(super) tones: &'static Plan,
    /// Packet time we offer, ms.
    pub(super) ptime_ms: u8,
    /// What log lines and records call it.
    pub(super) label: String,
    /// The call it belongs to.
    pub(super) call: Arc<CallContext>,
    /// Its place in the limits of a trunk, given back when the leg goes.
    pub(super) _place: Option<Place>,
}

impl LegSettings {
    /// Our half of offers and answers for a channel on `port`.
    pub(super) fn local_media(&self, port: u16, session_id: u64) -> LocalMedia {
        LocalMedia {
            address: self.media_address,
            port,
            session_id,
            session_version: session_id,
            codecs: self.codecs.clone(),
            telephone_event: self.dtmf.telephone_event(),
            comfort_noise: true,
            ptime_ms: self.ptime_ms,
            direction: MediaDirection::SendRecv,
            srtp: LocalSrtp {
                policy: terms::srtp_policy(self.srtp),
                keys: match self.srtp {
                    SrtpPolicy::Never => Vec::new(),
                    SrtpPolicy::Optional | SrtpPolicy::Required => secrets::srtp_keys(),
                },
                profile: None,
            },
            ice: None,
        }
    }
}

/// An INVITE of the far end that is not answered yet.
struct Unanswered {
    /// Its offer; empty: it wants ours.
    offer: Vec<u8>,
    /// Our answer or offer.
    description: Vec<u8>,
    /// It is on its way already: it may not change any more (RFC 3261 §13.2.1).
    sent: bool,
}

/// See the module's text.
pub(super) struct Leg {
    pub(super) id: LegId,
    sip: SipHandle,
    events: LegEvents,
    /// Who is to take this leg's place.
    successors: mpsc::Receiver<Box<Leg>>,
    doing: Doing,
    /// What is played and still being made.
    feed: Option<Feed>,
    /// Gone when the leg is closed.
    channel: Option<Channel>,
    media: MediaEvents,
    /// To a service.
    stream: Option<StreamHandle>,
    tones: tones::Tones,
    /// What the service of the stream, and what the program listens for.
    heard_by_stream: Listening,
    heard_by_program: Listening,
    /// The far end speaks, as far as anybody listens for it.
    speaking: bool,
    /// The program gathers keys that nobody else is to have.
    secret_keys: bool,
    /// The channel's last words; when they come before [`Leg::close`], the channel broke.
    last_words: Option<ChannelStats>,
    settings: LegSettings,
    negotiation: Negotiation,
    arbiter: Arbiter,
    type_ahead: VecDeque<KeyPress>,
    /// Keys still to be sent to the far end, the one being sent first.
    outgoing_keys: VecDeque<OutgoingKey>,
    /// The far end's offer, and what we would answer to it; until we do.
    unanswered: Option<Unanswered>,
    /// A key has come as an RFC 4733 event.
    events_seen: bool,
    /// It hears music on hold.
    has_music: bool,
    /// Orders from outside: the others do not hear it; it is on hold.
    muted: bool,
    put_on_hold: bool,
    /// What our last offer said of that.
    offered_hold: bool,
    /// Offers of that which were made anew.
    reoffers: u8,
    ended: Option<End>,
    hung_up: Option<&'static str>,
    /// The status and the Q.850 cause that the far end was told at our hang-up.
    told: (Option<u16>, Option<u8>),
    /// When playback last came to its end.
    played_at: Option<Instant>,
    /// Who the far end is, and who it is shown as to others.
    pub(super) party: Origin,
    pub(super) identity: CallerIdentity,
    /// Somebody is there whom it could transfer.
    transferable: bool,
    pub(super) times: Times,
    pub(super) direction: Direction,
    sip_call_id: Option<String>,
    pub(super) answered: bool,
    pub(super) confirmed: bool,
    pub(super) first_rtp: Option<SocketAddr>,
    /// The log has said why nothing is heard.
    explained: Vec<&'static str>,
    /// Where its quality can be seen while it is there.
    _live: LivePlace,
}

impl Leg {
    pub(super) fn new(
        id: LegId,
        sip: SipHandle,
        events: LegEvents,
        (channel, media): (Channel, MediaEvents),
        settings: LegSettings,
        negotiation: Negotiation,
    ) -> Leg {
        let successors = settings.call.calls.places.enter(id);
        let (call, quality) = (&settings.call, channel.quality().clone());
        let live = call
            .calls
            .live
            .enter(id.number(), &call.info.id, &settings.label, quality);
        let leg = Leg {
            id,
            sip,
            events,
            successors,
            doing: Doing::default(),
            feed: None,
            channel: Some(channel),
            media,
            stream: None,
            tones: tones::Tones::default(),
            heard_by_stream: Listening::default(),
            heard_by_program: Listening::default(),
            speaking: false,
            secret_keys: false,
            last_words: None,
            settings,
            negotiation,
            arbiter: Arbiter::new(Instant::now()),
            type_ahead: VecDeque::new(),
            outgoing_keys: VecDeque::new(),
            unanswered: None,
            events_seen: false,
            has_music: false,
            muted: false,
            put_on_hold: false,
            offered_hold: false,
            reoffers: 0,
            ended: None,
            hung_up: None,
            told: (None, None),
            played_at: None,
            party: Origin::Stranger,
            identity: CallerIdentity::default(),
            transferable: false,
            times: Times::begin(),
            direction: Direction::Outbound,
            sip_call_id: None,
            answered: false,
            confirmed: false,
            first_rtp: None,
            explained: Vec::new(),
            _live: live,
        };
        leg.say(EventKind::LegStarted, json!({}));
        leg.note();
        leg
    }

    /// Where the far end says it wants its audio.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.negotiation.agreed().map(|agreed| agreed.remote_rtp)
    }

    /// Refuses an unanswered inbound call; a Q.850 cause goes out in a Reason header of its own.
    pub(super) fn reject(&mut self, reject: Reject) {
        let (status, q850) = (reject.status, reject.cause);
        self.hung_up = Some("rejected");
        self.told = (Some(status), q850.or_else(|| causes::q850_of(status)));
        let header = q850.map(|cause| {
            let text = causes::name_of(cause);
            let value = format!("Q.850;cause={cause};text=\"{text}\"");
            ("Reason".to_owned(), value)
        });
        let after = reject.retry_after.map(retry_after_value);
        let after = after.map(|value| ("Retry-After".to_owned(), value));
        let extra = header.into_iter().chain(after).collect();
        self.sip
            .send(Command::Reject(self.id, status, reject.reason, extra));
    }

    /// What log lines and records call it.
    pub(super) fn label(&self) -> &str {
        &self.settings.label
    }

    /// Sends a command about this leg.
    pub(super) fn tell(&self, command: Command) {
        self.sip.send(command);
    }

    /// Asks the far end to call somebody else.
    pub(super) fn refer(&self, uri: String) {
        let to = ReferTo {
            uri,
            ..ReferTo::default()
        };
        self.tell(Command::Refer(self.id, to));
    }

    /// Whether REFER is taken: somebody is there to be transferred.
    pub(super) fn set_transferable(&mut self, transferable: bool) {
        self.transferable = transferable;
    }

    /// Leaves the far end to somebody else, who refuses it.
    pub(super) fn disown(&mut self) {
        self.ended = Some(End::by("us", "rejected"));
    }

    /// Ends the leg from our side; the end arrives as [`Input::Ended`].
    pub(super) fn hang_up(&mut self, cause: &'static str, reason: Option<HangupReason>) {
        if self.ended.is_none() && self.hung_up.is_none() {
            self.hung_up = Some(cause);
            self.told = reason.as_ref().map_or((None, None), said);
            self.sip.send(Command::Hangup(self.id, reason));
        }
    }

    /// Sends a command to the media channel. A full queue means that the shard is far behind; the caller's verb fails.
    pub(super) fn media(&mut self, command: MediaCommand) -> Result<(), String> {
        self.doing.note(&command);
        if Doing::plays_or_stops(&command) {
            self.feed = None;
        }
        match &self.channel {
            Some(channel) => channel.send(command).map_err(|error| error.to_string()),
            None => Err("the media channel is closed".to_owned()),
        }
    }

    /// How long what was played last may still be in the far end's jitter buffer.
    pub(super) fn unheard(&self) -> Duration {
        self.played_at.map_or(Duration::ZERO, |at| {
            FAR_JITTER_BUFFER.saturating_sub(at.elapsed())
        })
    }

    /// The oldest key pressed ahead.
    pub(super) fn take_ahead(&mut self) -> Option<KeyPress> {
        self.type_ahead.pop_front()
    }

    pub(super) fn drop_ahead(&mut self) {
        self.type_ahead.clear();
    }

    /// Keeps a key nobody waits for. Its digit is logged by the gather that takes it, which knows whether it is a secret.
    pub(super) fn keep(&mut self, key: KeyPress) {
        if self.type_ahead.len() < TYPE_AHEAD {
            tracing::info!(source = ?key.source, ms = key.duration_ms, "key kept for the next gather");
            self.type_ahead.push_back(key);
        } else {
            tracing::info!(
                rule = "type-ahead-full",
                limit = TYPE_AHEAD,
                "key dropped: too many keys pressed ahead"
            );
        }
    }

    pub(super) fn duplicates(&self) -> u64 {
        self.arbiter.duplicates()
    }

    /// The name of the codec in use, for the log.
    pub(super) fn codec(&self) -> &'static str {
        self.negotiation
            .agreed()
            .map_or("none", |agreed| spoken(agreed.encoding).label())
    }

    /// The next thing that happens to this leg.
    pub(super) async fn next(&mut self) -> Input {
        loop {
            if let Some(end) = &self.ended {
                return Input::Ended(end.clone());
            }
            let input = tokio::select! {
                biased;
                event = self.events.recv() => match event {
                    Some(event) => self.sip_event(event),
                    None => Some(self.end(End::by("network", "signalling-lost"))),
                },
                event = self.media.recv(), if self.last_words.is_none() => match event {
                    Some(event) => self.media_event(event),
                    None => self.media_lost(ChannelStats::default()),
                },
                end = streaming::over(&mut self.stream) => {
                    self.stream_over(&end);
                    Some(Input::StreamEnded(end))
                }
                fed = feed::next(&mut self.feed) => self.fed(fed),
                Some(new) = self.successors.recv() => Some(self.replaced_by(*new)),
            };
            if let Some(input) = input {
                if let Input::Key(key) = &input {
                    self.settings.call.calls.counters.key(key.source);
                    self.settings.call.diary.key();
                    self.stream_key(key);
                }
                return input;
            }
        }
    }

    fn end(&mut self, end: End) -> Input {
        self.ended = Some(end.clone());
        Input::Ended(end)
    }
}

impl Drop for Leg {
    /// A session that ends without hanging up (a panic) must not leave its far end in a dead call.
    fn drop(&mut self) {
        let leg = self.id.number();
        self.settings.call.facts(|facts| facts.legs.remove(&leg));
        self.settings.call.calls.places.leave(self.id);
        if self.ended.is_none() {
            self.sip.send(Command::Hangup(self.id, None));
        }
    }
}

/// What a reason says to the far end: a status, and a Q.850 cause.
fn said(reason: &HangupReason) -> (Option<u16>, Option<u8>) {
    match reason.protocol.as_str() {
        "SIP" => (Some(reason.cause), causes::q850_of(reason.cause)),
        _ => (None, u8::try_from(reason.cause).ok()),
    }
}

/// A Reason header (RFC 3326).
pub(super) fn hangup_reason(protocol: &str, cause: u16, text: &str) -> HangupReason {
    HangupReason {
        protocol: protocol.to_owned(),
        cause,
        text: text.to_owned(),
    }
}
