//! The typed configuration. Owns the shape only; `read` owns defaults and rules.
mod api;
mod endpoint;
mod media;
mod number;
mod process;
mod queue;
mod security;
mod sip;
mod speech;
mod tones;
mod trunk;
mod voicemail;
mod webhook;

pub use api::{Api, ApiListen, TlsFiles};
pub use endpoint::{Endpoint, RingGroup, RingOrder};
pub use media::{Codec, DtmfMode, HoldMusic, Media, Music, Opus, PortRange, SrtpPolicy};
pub use number::{BUILTIN_FLOWS, Callers, FlowSource, Number, NumberDestination, NumberWebhook};
pub use process::{Cdr, Fetch, Flows, Http, Log, LogFormat, LogLevel, Recordings, Run, Store};
pub use queue::{
    Absent, Agent, AgentService, Announce, Callback, QUEUE_ENDS, Queue, QueueMember, Reach, Skill,
    Strategy,
};
pub use security::{DigestAlgorithm, Security, Strangers, Transfer};
pub use sip::{
    Advertise, CertificateAuthorities, HostPort, Listen, ReliableProvisional, Sip, Tls,
    TlsIdentity, Transport,
};
pub use speech::{
    Recognition, RecognitionBackend, RecognitionKind, Speech, SpeechBackend, SpeechKind,
};
pub use tones::Tones;
pub use trunk::{
    CallerId, Login, Numbering, PrefixLimit, PrivacyPolicy, Register, Rewrite, Target, Trunk,
    TrunkIdentity, TrunkLimits, TrunkUri,
};
pub use voicemail::{Greeting, Mail, MailBy, MailSecurity, VoicemailBox};
pub use webhook::Webhook;

/// A whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file's name, for messages.
    pub source: String,
    /// What is allowed but probably not meant: one sentence each, to be logged at start.
    pub warnings: Vec<String>,
    /// `[sip]`.
    pub sip: Sip,
    /// `[tls]`.
    pub tls: Tls,
    /// `[media]`.
    pub media: Media,
    /// `[dtmf]`: what counts as a key in the audio.
    pub dtmf: trunkline_dsp::dtmf::Profile,
    /// `[music]`.
    pub music: Music,
    /// `[tones]`.
    pub tones: Tones,
    /// `[security]`.
    pub security: Security,
    /// `[transfer]`.
    pub transfer: Transfer,
    /// `[store]`.
    pub store: Store,
    /// `[recordings]`.
    pub recordings: Recordings,
    /// `[cdr]`.
    pub cdr: Cdr,
    /// `[http]`.
    pub http: Http,
    /// `[api]`.
    pub api: Api,
    /// `[log]`.
    pub log: Log,
    /// `[fetch]`.
    pub fetch: Fetch,
    /// `[flow]`.
    pub flow: Flows,
    /// `[speech]`: what speaks texts.
    pub speech: Speech,
    /// `[recognition]`: what understands speech.
    pub recognition: Recognition,
    /// `[run]`.
    pub run: Run,
    /// `[[trunk]]`, in the order of the file; names are unique.
    pub trunks: Vec<Trunk>,
    /// `[[endpoint]]`, in the order of the file; users and extensions are unique.
    pub endpoints: Vec<Endpoint>,
    /// `[[ring_group]]`, in the order of the file; names are unique.
    pub ring_groups: Vec<RingGroup>,
    /// `[[agent]]`, in the order of the file; ids are unique.
    pub agents: Vec<Agent>,
    /// `[[queue]]`, in the order of the file; names are unique.
    pub queues: Vec<Queue>,
    /// `[mail]`.
    pub mail: Mail,
    /// `[[voicemail]]`, in the order of the file; names and numbers are unique.
    pub voicemail: Vec<VoicemailBox>,
    /// `[[webhook]]`, in the order of the file; names are unique.
    pub webhooks: Vec<Webhook>,
    /// `[[number]]`: what answers which number, in the order of the file.
    pub numbers: Vec<Number>,
}
