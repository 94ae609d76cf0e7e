//! `[[voicemail]]` and `[mail]`: boxes for messages, and how mail leaves.
use super::super::{At, Secret};
use super::HostPort;
use std::time::Duration;

/// `[[voicemail]]`: a box that callers leave messages in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoicemailBox {
    /// The name, unique among them.
    pub name: String,
    /// What is keyed in at a phone to reach it, unique among them.
    pub number: Option<String>,
    /// What is keyed in to hear its messages; `None`: they are heard from its own phones only.
    pub pin: Option<Secret>,
    /// Users of the `[[endpoint]]`s that are its own: their lamps show what is new.
    pub endpoints: Vec<String>,
    /// The language of what is said; `None`: the call's, else that of `[speech]`.
    pub language: Option<String>,
    /// Said to callers.
    pub greeting: Greeting,
    /// Said to callers who came because the line was busy; the usual one: as `greeting`.
    pub greeting_busy: Greeting,
    /// The longest message.
    pub max: Duration,
    /// What is shorter is not kept.
    pub min: Duration,
    /// A message ends after so much silence; `None`: it does not.
    pub silence: Option<Duration>,
    /// Messages it holds.
    pub max_messages: usize,
    /// How long messages are kept; `None`: until they are deleted.
    pub keep: Option<Duration>,
    /// Who gets a mail of each message.
    pub email: Vec<String>,
    /// The audio is part of the mail.
    pub attach: bool,
    /// Messages are written down by the recognition.
    pub transcribe: bool,
    /// Where the entry's `name` stands in the file.
    pub at: At,
}

impl VoicemailBox {
    /// A box with every key at its default.
    pub fn named(name: impl Into<String>) -> VoicemailBox {
        VoicemailBox {
            name: name.into(),
            number: None,
            pin: None,
            endpoints: Vec::new(),
            language: None,
            greeting: Greeting::Usual,
            greeting_busy: Greeting::Usual,
            max: Duration::from_secs(180),
            min: Duration::from_secs(2),
            silence: Some(Duration::from_secs(5)),
            max_messages: 100,
            keep: None,
            email: Vec::new(),
            attach: true,
            transcribe: true,
            at: At::START,
        }
    }
}

/// What callers of a box hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// Words of ours.
    Usual,
    /// A file, by the key of a prompt.
    File(String),
    /// A text that is spoken.
    Text(String),
}

/// `[mail]`: how mail leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The sender.
    pub from: String,
    /// Who takes it; `None`: no mail is sent.
    pub by: Option<MailBy>,
    /// Limit of one try.
    pub timeout: Duration,
}

/// Who takes mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailBy {
    /// A program like sendmail, called as `PROGRAM -i -f FROM -- TO…` with the mail on its standard input.
    Command(String),
    /// A server.
    Smtp {
        /// Where.
        server: HostPort,
        /// How.
        security: MailSecurity,
        /// Name and password.
        login: Option<(String, Secret)>,
    },
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the beginning (RFC 8314).
    Tls,
    /// STARTTLS, which the server must offer (RFC 3207).
    StartTls,
    /// In the clear: for a server of this machine.
    Plain,
}

impl MailSecurity {
    /// Every one by its name.
    pub const ALL: [(&'static str, MailSecurity); 3] = [
        ("tls", MailSecurity::Tls),
        ("starttls", MailSecurity::StartTls),
        ("plain", MailSecurity::Plain),
    ];
}
