//! Calls: legs, sessions, verbs, the executor and the DTMF arbiter.
//!
//! A [`Program`] decides, the executor does: outcome in, verb out. Nothing here knows a dialect.
mod agent_program;
mod agent_words;
mod announcement;
pub mod arbiter;
mod callback;
mod caller;
pub mod causes;
mod cdr;
pub mod conference;
mod context;
pub mod control;
mod counters;
mod crossing;
pub mod diagnosis;
mod dial;
mod dial_program;
mod diary;
pub mod directory;
mod ear;
mod enqueue;
pub mod events;
mod executor;
mod fetched;
mod first_of;
mod gather;
mod hunt;
pub mod info_dtmf;
mod key_press;
mod leg;
mod listen;
mod live_legs;
mod minutes;
mod negotiation;
mod originate;
mod phonebook;
mod place;
mod program;
mod programs;
mod queue_events;
mod queue_program;
mod recorded;
mod rings;
mod secrets;
mod see_off;
mod session;
mod sounds;
mod supervision;
mod takeover;
mod text_message;
mod texts;
mod tones;
mod transfer;
mod troubled;
mod user_calls;
mod verb;
mod voicemail;
mod web_audio;

pub use agent_program::AgentProgram;
pub use arbiter::Arbiter;
pub use caller::Caller;
pub use cdr::{CdrError, CdrWriter};
pub use control::{
    Annotation, CallState, Control, Order, OrderError, Parting, PlayOrder, Side, Snapshot,
    Transfer, When,
};
pub use counters::CallCounters;
pub use dial_program::DialProgram;
pub use directory::{AttemptOutcome, Attempts, Branch, Directory, Found, NoDirectory};
pub use ear::{SPEECH_END_MS, SPEECH_MAX_MS};
pub use enqueue::{AgentOrder, AgentReply, Enqueue, QueueEnd, Queued};
pub use events::{Event, EventKind, EventSink, Events, RING as EVENT_RING, Watched, Watcher};
pub use fetched::{Fetch, Fetched, MAX_ANSWER};
pub use leg::End;
pub use listen::{Listen, ListenEnd, Listened, Until};
pub use live_legs::LiveLegs;
pub use originate::{AddParticipant, Originate, Originated};
pub use phonebook::{PhoneBook, Phones};
pub use program::{CallInfo, Direction, Program, Step};
pub use programs::{
    MeetProgram, MenuOption, OptionsProgram, ReadyProgram, VerbsProgram, VettedProgram,
};
pub use queue_program::QueueProgram;
pub use session::{Outbound, outbound};
pub use text_message::{TextMessage, Verdict};
pub use texts::TextTo;
pub use tones::{DetectMachine, MachineDetected, OnMachine, ToneEnd, WaitForTone};
pub use troubled::{Troubled, TroubledLeg};
pub use verb::{
    Audio, Conference, ConferenceEnd, Conferenced, Dial, DialEnd, DialOrder, DialTarget, Dialled,
    DigitSource, Echo, Failure, Gather, GatherEnd, Gathered, Hangup, HangupCause, KeyPress, Manner,
    Outcome, Play, Record, RecordCall, RecordEnd, Recorded, RecordingControl, RecordingId, Refer,
    Reject, Repeat, SendDigits, Sources, SpeechInput, Stream, ToneSpec, Verb, Wait,
};

pub use voicemail::{Voicemail, VoicemailEnd, VoicemailProgram, VoicemailPurpose, Voicemailed};

pub use crate::route::Refusal;
pub use web_audio::{WebAudio, WebAudioError, WebAudioLimits};

use crate::route::{CallerIdentity, identity};
use cdr::Records;
use takeover::Places;

use crate::config::{DtmfMode, Opus, SrtpPolicy};
use crate::media::{Media, MediaAudio, PromptLibrary};
use crate::net::sip::{Command, Incoming, SipHandle};
use crate::queue::Queues;
use crate::speech::{Recogniser, Speaker};
use crate::store::Store;
use crate::stream::Streams;
use crate::voicemail::Boxes;
use arc_swap::ArcSwap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use trunkline_dsp::dtmf::Profile;
use trunkline_dsp::progress::Plan;
use trunkline_sip::offer_answer::Encoding;
use trunkline_sip::{Frame, Origin};

/// What callers are told who are refused while we drain: by then another process should answer.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How long a call may take to end once it is hung up.
const LAST_WORDS: Duration = Duration::from_secs(35);

/// Where a call was routed.
pub struct Routed {
    /// What routed it, for the CDR: `[[number]] line 12`.
    pub rule: String,
    /// What drives it.
    pub program: Box<dyn Program>,
}

/// Finds the program for a call.
pub trait Routes: Send + Sync {
    /// The program for this call, or why there is none.
    ///
    /// # Errors
    /// The refusal the caller gets.
    fn program(&self, call: &CallInfo, caller: &Caller) -> Result<Routed, Refusal>;

    /// Who is calling, as far as it is believed; without rules about that, what the INVITE says.
    fn identity(&self, _origin: &Origin, invite: &Frame<'_>) -> CallerIdentity {
        identity::claimed(invite)
    }

    /// Where a text message of this caller to `call.to` goes: by the rules of a call to there.
    ///
    /// # Errors
    /// The refusal the sender gets.
    fn text(&self, call: &CallInfo, caller: &Caller) -> Result<TextTo, Refusal> {
        self.program(call, caller).map(TextTo::Program)
    }

    /// What the leg of this caller may carry; `None`: what [`CallSettings`] say.
    fn terms(&self, _caller: &Caller) -> Option<LegTerms> {
        None
    }
}

/// What a leg may carry.
#[derive(Debug, Clone, PartialEq)]
pub struct LegTerms {
    /// Codecs in order of preference.
    pub codecs: Vec<Encoding>,
    /// How digits are heard and sent.
    pub dtmf: DtmfMode,
    /// What counts as a key in its audio; `None`: what the media engine was given.
    pub dtmf_profile: Option<&'static Profile>,
    /// Whether its audio is encrypted.
    pub srtp: SrtpPolicy,
    /// Whose tones it hears.
    pub tones: &'static Plan,
}

/// What calls take from the configuration.
#[derive(Debug, Clone)]
pub struct CallSettings {
    /// Calls at the same time.
    pub max_calls: usize,
    /// Address written into SDP; `None`: the local one of the call's SIP flow.
    pub media_address: Option<IpAddr>,
    /// Codecs in order of preference.
    pub codecs: Vec<Encoding>,
    /// How Opus is coded.
    pub opus: Opus,
    /// How digits are heard and sent.
    pub dtmf: DtmfMode,
    /// Whether the audio of calls is encrypted, as far as nothing else is said of their caller.
    pub srtp: SrtpPolicy,
    /// Whose tones callers hear, as far as nothing else is said of them.
    pub tones: &'static Plan,
    /// Where recordings go.
    pub recordings_dir: PathBuf,
    /// Who may transfer calls.
    pub transfer: TransferPolicy,
}

/// Who may transfer calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferPolicy {
    /// To a target of their own (REFER).
    pub blind: bool,
    /// To another call of theirs (Replaces).
    pub attended: bool,
    /// Also those who are neither a trunk nor an endpoint.
    pub strangers: bool,
}

impl TransferPolicy {
    /// Trunks and endpoints may, strangers may not.
    pub const KNOWN: TransferPolicy = TransferPolicy {
        blind: true,
        attended: true,
        strangers: false,
    };

    /// Whether somebody of that origin may not.
    fn refuses(&self, origin: &Origin, attended: bool) -> bool {
        let allowed = if attended { self.attended } else { self.blind };
        !allowed || (*origin == Origin::Stranger && !self.strangers)
    }
}

/// The parts that calls work with.
pub struct Parts {
    /// The SIP side.
    pub sip: SipHandle,
    /// The media engine.
    pub media: Media,
    /// Prompts.
    pub prompts: Arc<PromptLibrary>,
    /// Audio that programs name by URL; `None`: such audio cannot be played.
    pub web_audio: Option<WebAudio>,
    /// What speaks texts; `None`: they are left out.
    pub speech: Option<Speaker>,
    /// What understands speech; `None`: nothing does.
    pub recogniser: Option<Recogniser>,
    /// Finds programs.
    pub routes: Box<dyn Routes>,
    /// Finds whom programs dial.
    pub directory: Arc<dyn Directory>,
    /// What a held party hears, played for ever; `None`: a plain figure.
    pub music: Option<Vec<MediaAudio>>,
    /// The file call records go to.
    pub cdr: Option<CdrWriter>,
    /// What outlives the process: call records too. `None`: nothing does.
    pub store: Option<Store>,
    /// Counters for the metrics page.
    pub counters: Arc<CallCounters>,
}

impl CallSettings {
    fn terms(&self) -> LegTerms {
        LegTerms {
            codecs: self.codecs.clone(),
            dtmf: self.dtmf,
            dtmf_profile: None,
            srtp: self.srtp,
            tones: self.tones,
        }
    }
}

/// What a reload exchanges as a whole.
struct InForce {
    settings: CallSettings,
    /// Music on hold.
    music: Vec<MediaAudio>,
}

impl InForce {
    fn new(settings: CallSettings, music: Option<Vec<MediaAudio>>) -> InForce {
        InForce {
            settings,
            music: music.unwrap_or_else(leg::plain_music),
        }
    }
}

/// What all calls share.
pub struct Calls {
    sip: SipHandle,
    media: Media,
    prompts: Arc<PromptLibrary>,
    web_audio: Option<WebAudio>,
    /// What speaks texts.
    pub speech: Option<Speaker>,
    /// What understands speech.
    pub recogniser: Option<Recogniser>,
    routes: Box<dyn Routes>,
    directory: Arc<dyn Directory>,
    /// For new calls; those in progress keep what they began with.
    in_force: ArcSwap<InForce>,
    records: Arc<Records>,
    /// The calls in progress, for orders from outside.
    pub control: Arc<control::Control>,
    /// What happens, for whoever listens.
    pub events: Arc<Events>,
    /// Conferences.
    pub conferences: conference::Conferences,
    /// Queues and agents.
    pub queues: Arc<Queues>,
    /// Voicemail boxes.
    pub voicemail: Arc<Boxes>,
    /// Conversations of agents that supervisors can join.
    supervision: Arc<supervision::Supervision>,
    /// Audio streams to services.
    pub streams: Arc<Streams>,
    /// Where legs can be replaced.
    places: Places,
    /// Counters for the metrics page.
    pub counters: Arc<CallCounters>,
    /// Whose audio did not flow.
    pub troubled: Arc<Troubled>,
    /// The legs that are up.
    pub live: Arc<LiveLegs>,
    /// No new calls are placed.
    pub draining: Arc<AtomicBool>,
    /// Told to hang up.
    stop: watch::Sender<bool>,
    /// Every call that the SIP side handed over before draining has begun.
    all_begun: watch::Sender<bool>,
    /// Random prefix and counter of call ids: unique across restarts for all practical purposes, short enough to read out.
    boot: u32,
    serial: AtomicU64,
    sessions: AtomicU64,
    session_key: RandomState,
}

impl Calls {
    /// Calls over the given parts. `boot` tells the ids of this run from those of others.
    pub fn new(parts: Parts, settings: CallSettings, boot: u32) -> Arc<Calls> {
        let (events, queues) = (Arc::<Events>::default(), Queues::new(u64::from(boot)));
        let told = events.clone();
        queues.listen(Box::new(move |event| queue_events::tell(&told, event)));
        let folder = settings.recordings_dir.join("voicemail");
        let (voicemail, told) = (Boxes::new(parts.store.clone(), folder), events.clone());
        voicemail.listen(move |happened| voicemail::tell(&told, happened));
        Arc::new(Calls {
            sip: parts.sip,
            media: parts.media,
            prompts: parts.prompts,
            web_audio: parts.web_audio,
            speech: parts.speech,
            recogniser: parts.recogniser,
            routes: parts.routes,
            directory: parts.directory,
            in_force: ArcSwap::from_pointee(InForce::new(settings, parts.music)),
            records: Arc::new(Records::new(parts.cdr, parts.store)),
            control: Arc::default(),
            events,
            conferences: conference::Conferences::default(),
            queues,
            voicemail,
            supervision: Arc::default(),
            streams: Arc::default(),
            places: Places::default(),
            counters: parts.counters,
            troubled: Arc::default(),
            live: Arc::default(),
            draining: Arc::default(),
            stop: watch::Sender::new(false),
            all_begun: watch::Sender::new(false),
            boot,
            serial: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            session_key: RandomState::new(),
        })
    }

    /// Whether a prompt of that key is loaded.
    pub fn knows_prompt(&self, key: &str) -> bool {
        self.prompts.loaded(key).is_some()
    }

    /// New calls go by these from now on, except for the number of calls and the folder of recordings: other parts were made for those.
    pub fn apply(&self, settings: CallSettings, music: Option<Vec<MediaAudio>>) {
        let old = self.in_force.load();
        let settings = CallSettings {
            max_calls: old.settings.max_calls,
            recordings_dir: old.settings.recordings_dir.clone(),
            ..settings
        };
        self.in_force.store(Arc::new(InForce::new(settings, music)));
    }

    /// Starts a session for each incoming leg until the SIP side gives out no more: it drains, or is gone.
    pub async fn serve(self: Arc<Self>, mut incoming: mpsc::Receiver<Incoming>) {
        while let Some(call) = incoming.recv().await {
            // Counted before its task runs, so that draining sees it.
            let active = self.counters.begin(Direction::Inbound);
            tokio::spawn(session::inbound(self.clone(), Box::new(call), active));
        }
        self.all_begun.send_replace(true);
    }

    /// Refuses new calls, lets those in progress go on for `limit`, hangs up the rest, and returns when all are over
    /// (or 35 s later: the longest a far end may take to answer a BYE with the default T1).
    pub async fn drain(&self, limit: Duration) {
        self.draining.store(true, Ordering::Relaxed);
        self.sip.send(Command::Drain(RETRY_AFTER));
        let active = self.counters.active.load(Ordering::Relaxed);
        tracing::info!(
            calls = active,
            limit_s = limit.as_secs(),
            "draining: no new calls"
        );
        if tokio::time::timeout(limit, self.idle()).await.is_err() {
            let left = self.counters.active.load(Ordering::Relaxed);
            tracing::warn!(calls = left, "drain time is over: hanging up the rest");
            self.stop.send_replace(true);
            if tokio::time::timeout(LAST_WORDS, self.idle()).await.is_err() {
                let left = self.counters.active.load(Ordering::Relaxed);
                tracing::warn!(calls = left, "far ends that do not answer are left");
            }
        }
    }

    /// Whether new calls are refused, because the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns when no call is in progress and none waits to begin. Only while draining, and with [`Calls::serve`] running.
    async fn idle(&self) {
        let mut begun = self.all_begun.subscribe();
        // An error is impossible: we hold the sender.
        let _ = begun.wait_for(|all| *all).await;
        self.counters.idle().await;
    }

    fn fresh_id(&self) -> String {
        format!(
            "c-{:06x}-{}",
            self.boot & 0xff_ffff,
            self.serial.fetch_add(1, Ordering::Relaxed) + 1
        )
    }

    /// For the o= line (RFC 8866 §5.2): unique as good as always, and no sign of which two legs belong together or how many there were.
    fn fresh_session_id(&self) -> u64 {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        self.session_key.hash_one(number) >> 2 // the version counts up from here and stays below 2^63
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_transfer_nothing_unless_told_otherwise() {
        let (peer, user) = (Origin::Peer("carrier".into()), Origin::User("ann".into()));
        let policy = TransferPolicy::KNOWN;
        for attended in [true, false] {
            assert!(policy.refuses(&Origin::Stranger, attended));
            assert!(!policy.refuses(&peer, attended) && !policy.refuses(&user, attended));
        }
        let attended_only = TransferPolicy {
            blind: false,
            strangers: true,
            ..policy
        };
        for origin in [Origin::Stranger, peer, user] {
            assert!(attended_only.refuses(&origin, false) && !attended_only.refuses(&origin, true));
        }
    }
}
