//! The clerk: has what each message says written down, once, and sends its mail, until it is sent or three days' tries were in vain. Files what the store would not take when it was left. Works from the rows of the store, so a process that is
//! killed goes on with what is left; calls never wait for it.
//!
//! Limits: [`AT_ONCE`] messages at a time; a mail that leaves slower than [`LEAST_RATE`] beyond its time is cut; what failed is tried again with growing pauses for [`GIVE_UP`].
use super::letter::letter;
use super::{Boxes, Happened, NotDone};
use crate::config::{Mail, MailBy, MailSecurity, VoicemailBox};
use crate::fetch::backoff;
use crate::speech::Recogniser;
use crate::speech::program::{self, Run};
use crate::store::{Store, StoreError, VoicemailRow, time_of};
use jiff::tz::TimeZone;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

/// Messages that are worked on at a time.
const AT_ONCE: usize = 4;
/// How long a mail is tried.
const GIVE_UP: Duration = Duration::from_secs(72 * 3600);
/// Octets of a mail that leave in a second at least: 2 Mbit/s.
const LEAST_RATE: usize = 250_000;
/// How long a store that fails is left alone.
const STORE_REST: Duration = Duration::from_secs(5);
/// What a sleep is at most: a clock that was put back does not stop the clerk.
const NAP: Duration = Duration::from_secs(60);
/// The most that a mail program may say.
const MOST_SAID: usize = 64 * 1024;

/// What the metrics page shows.
#[derive(Debug, Default)]
pub struct ClerkCounters {
    /// Mails that were taken.
    pub sent: AtomicU64,
    /// Tries that failed.
    pub failed: AtomicU64,
    /// Mails that were given up.
    pub given_up: AtomicU64,
}

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

fn not_taken(error: lettre::transport::smtp::Error) -> NotDone {
    NotDone {
        reason: error.to_string(),
        // A password that is wrong may be right tomorrow.
        for_good: error.is_permanent() && !is_about_login(&error),
    }
}

/// Whether the server refuses who we are, not the mail (RFC 4954 section 6).
fn is_about_login(error: &lettre::transport::smtp::Error) -> bool {
    let code = error.status().map(|code| code.to_string());
    matches!(code.as_deref(), Some("530" | "534" | "535" | "538"))
}

/// Whether a server says that it takes no mail of this size, whoever it is for (RFC 3463 section 3.4).
fn is_too_large(reason: &str) -> bool {
    reason.split_ascii_whitespace().any(|word| word == "5.3.4")
}

/// See the module's text.
#[derive(Clone)]
pub struct Clerk {
    boxes: Arc<Boxes>,
    store: Store,
    mail: Arc<Mail>,
    recogniser: Option<Recogniser>,
    /// Whose turn it is to have a message written down.
    hears: Arc<Semaphore>,
    /// For the times in mails.
    zone: TimeZone,
    /// Its counters.
    pub counters: Arc<ClerkCounters>,
}

impl Clerk {
    /// Works for these boxes.
    pub fn new(boxes: Arc<Boxes>, store: Store, mail: Mail) -> Clerk {
        Clerk {
            boxes,
            store,
            mail: Arc::new(mail),
            recogniser: None,
            hears: Arc::new(Semaphore::new(1)),
            zone: TimeZone::system(),
            counters: Arc::default(),
        }
    }

    /// Has what messages say written down by this.
    pub fn hearing(self, recogniser: Recogniser) -> Clerk {
        Clerk {
            recogniser: Some(recogniser),
            ..self
        }
    }

    /// Goes on as long as the process.
    pub async fn work(self) {
        loop {
            self.boxes.file_again().await;
            // The store has told what went wrong.
            let nap = self.round(SystemTime::now()).await.unwrap_or(STORE_REST);
            tokio::select! {
                () = self.boxes.work.notified() => {}
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Works on what is due; returns when to look again.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn round(&self, now: SystemTime) -> Result<Duration, StoreError> {
        let (due, next) = self.store.voicemail_work(now, AT_ONCE).await?;
        if due.is_empty() {
            let until = next.map(|ms| time_of(ms).duration_since(now).unwrap_or_default());
            return Ok(until.map_or(NAP, |until| until.min(NAP)));
        }
        let mut under_way = JoinSet::new();
        for row in due {
            let clerk = self.clone();
            under_way.spawn(async move { clerk.settle(row, now).await });
        }
        let mut rest = Duration::ZERO;
        while let Some(done) = under_way.join_next().await {
            // What the store does not take, or panicked, is tried again, but not at once.
            if !matches!(done, Ok(Ok(()))) {
                rest = STORE_REST;
            }
        }
        Ok(rest)
    }

    /// The message, with what it says where that is wanted and somebody understands it. Tried once: a mail does not wait for long.
    async fn written_down(&self, mut row: VoicemailRow) -> Result<VoicemailRow, StoreError> {
        let mailbox = self.boxes.find(&row.mailbox);
        let wanted = mailbox.filter(|mailbox| mailbox.transcribe);
        let ears = self.recogniser.as_ref().filter(|ears| ears.hears());
        let (Some(mailbox), Some(ears), None, 0) = (wanted, ears, &row.transcript, row.attempts)
        else {
            return Ok(row);
        };
        let language = mailbox.language.as_deref();
        // One at a time: callers need the others. It is never closed.
        let _one = self.hears.acquire().await;
        match ears.transcribe_file(&row.path, language).await {
            Ok(said) => {
                let text = said.text;
                self.store
                    .transcribe_voicemail(&row.id, text.clone())
                    .await?;
                row.transcript = Some(text.clone());
                self.boxes.tell(&Happened::Transcribed(row.clone(), text));
            }
            Err(error) => {
                tracing::warn!(%error, rule = "voicemail-not-understood", message = row.id, mailbox = row.mailbox, "a message has no transcript");
            }
        }
        Ok(row)
    }

    async fn settle(&self, row: VoicemailRow, now: SystemTime) -> Result<(), StoreError> {
        let begun = Instant::now();
        let row = self.written_down(row).await?;
        if self.store.voicemail(&row.id).await?.is_none() {
            // It was deleted meanwhile.
            return Ok(());
        }
        let mailbox = self.boxes.find(&row.mailbox);
        let wanted = mailbox.filter(|mailbox| !mailbox.email.is_empty());
        let (Some(mailbox), true) = (wanted, self.mail.by.is_some()) else {
            return self.store.put_off_voicemail(&row.id, None, false).await;
        };
        // Before it is sent: a store that takes nothing would have it sent again and again.
        let claimed = now + begun.elapsed() + self.most(&mailbox, &row);
        self.store
            .put_off_voicemail(&row.id, Some(claimed), false)
            .await?;
        let Err(not_sent) = self.send(&mailbox, &row).await else {
            self.counters.sent.fetch_add(1, Ordering::Relaxed);
            tracing::info!(
                message = row.id,
                mailbox = row.mailbox,
                "mail of a message sent"
            );
            return self.store.put_off_voicemail(&row.id, None, false).await;
        };
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        let age = now.duration_since(time_of(row.at_ms)).unwrap_or_default();
        let reason = not_sent.reason;
        if not_sent.for_good || age > GIVE_UP {
            self.counters.given_up.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                rule = "voicemail-mail-given-up",
                message = row.id,
                mailbox = row.mailbox,
                reason,
                "no mail is sent of a message; it stays in its box"
            );
            self.store.put_off_voicemail(&row.id, None, true).await?;
            self.boxes.tell(&Happened::MailFailed(row, reason));
            return Ok(());
        }
        let mut random = [0; 4];
        // Without random numbers nothing is spread.
        let _ = getrandom::fill(&mut random);
        let wait = backoff::delay(row.attempts + 1, u32::from_be_bytes(random));
        tracing::info!(
            rule = "voicemail-mail-failed",
            message = row.id,
            mailbox = row.mailbox,
            attempt = row.attempts + 1,
            reason,
            again_s = wait.as_secs_f32(),
            "mail of a message failed"
        );
        let due = now + begun.elapsed() + wait;
        self.store.put_off_voicemail(&row.id, Some(due), true).await
    }

    /// The mail and who is to get it. Encodes megabytes, where it holds up nobody.
    async fn write(
        &self,
        mailbox: &Arc<VoicemailBox>,
        row: &VoicemailRow,
    ) -> Result<(Envelope, Vec<u8>), NotDone> {
        let (from, zone) = (self.mail.from.clone(), self.zone.clone());
        let (mailbox, row) = (mailbox.clone(), row.clone());
        let written = tokio::task::spawn_blocking(move || {
            let audio = match mailbox.attach {
                false => None,
                true => Some(std::fs::read(&row.path).map_err(|error| NotDone {
                    for_good: error.kind() == ErrorKind::NotFound,
                    reason: format!("{}: {error}", row.path.display()),
                })?),
            };
            let mail = letter(&from, &mailbox, &row, &zone, audio).map_err(NotDone::for_good)?;
            Ok((mail.envelope().clone(), mail.formatted()))
        });
        let gone = |error: JoinError| NotDone::for_now(error.to_string());
        written.await.map_err(gone)?
    }

    async fn send(&self, mailbox: &Arc<VoicemailBox>, row: &VoicemailRow) -> Result<(), NotDone> {
        let (envelope, mail) = self.write(mailbox, row).await?;
        match &self.mail.by {
            Some(MailBy::Command(program)) => self.by_command(program, &envelope, mail).await,
            Some(MailBy::Smtp {
                server,
                security,
                login,
            }) => {
                let host = server.host.as_str();
                let mut smtp = match security {
                    MailSecurity::Tls => Smtp::relay(host).map_err(not_taken)?,
                    MailSecurity::StartTls => Smtp::starttls_relay(host).map_err(not_taken)?,
                    MailSecurity::Plain => Smtp::builder_dangerous(host),
                };
                if let Some(port) = server.port {
                    smtp = smtp.port(port);
                }
                if let Some((name, password)) = login {
                    let password = password.expose().to_owned();
                    smtp = smtp.credentials(Credentials::new(name.clone(), password));
                }
                let smtp = smtp.timeout(Some(self.mail.timeout)).build();
                match self.by_smtp(&smtp, &envelope, &mail).await {
                    // It may be about one receiver.
                    Err(error)
                        if error.for_good
                            && envelope.to().len() > 1
                            && !is_too_large(&error.reason) =>
                    {
                        self.to_each(&smtp, &envelope, &mail, row).await
                    }
                    sent => sent,
                }
            }
            None => Ok(()),
        }
    }

    /// How long a mail of so many octets may take to be sent once.
    pub(super) fn limit(&self, octets: usize) -> Duration {
        self.mail.timeout + Duration::from_secs((octets / LEAST_RATE) as u64)
    }

    /// How long the mail of a message may take at most: to all of its receivers at once, then to each.
    pub(super) fn most(&self, mailbox: &VoicemailBox, row: &VoicemailRow) -> Duration {
        // Base64 in lines is longer by 37 % (RFC 2045 section 6.8).
        let octets = match mailbox.attach {
            true => row.octets.saturating_mul(3) / 2,
            false => 0,
        };
        let sends = 1 + u32::try_from(mailbox.email.len()).unwrap_or(u32::MAX - 1);
        self.limit(usize::try_from(octets).unwrap_or_default()) * sends
    }

    async fn by_smtp(&self, smtp: &Smtp, envelope: &Envelope, mail: &[u8]) -> Result<(), NotDone> {
        // Its own limit is for the connection alone.
        let limit = self.limit(mail.len());
        match tokio::time::timeout(limit, smtp.send_raw(envelope, mail)).await {
            Ok(sent) => sent.map(|_| ()).map_err(not_taken),
            Err(_) => Err(NotDone::for_now(format!(
                "it was not taken within {} s",
                limit.as_secs_f32()
            ))),
        }
    }

    /// One by one; it is sent when anybody is taken.
    async fn to_each(
        &self,
        smtp: &Smtp,
        envelope: &Envelope,
        mail: &[u8],
        row: &VoicemailRow,
    ) -> Result<(), NotDone> {
        let mut refused = Vec::new();
        for receiver in envelope.to() {
            let one = Envelope::new(envelope.from().cloned(), vec![receiver.clone()]);
            let one = one.map_err(|error| NotDone::for_good(error.to_string()))?;
            if let Err(error) = self.by_smtp(smtp, &one, mail).await {
                tracing::warn!(
                    rule = "voicemail-mail-receiver",
                    message = row.id,
                    mailbox = row.mailbox,
                    %receiver,
                    reason = error.reason,
                    "the mail server does not take a receiver"
                );
                refused.push(error);
            }
        }
        let nobody = refused.len() == envelope.to().len();
        // One who may be taken later counts for all.
        match refused.into_iter().min_by_key(|error| error.for_good) {
            Some(error) if nobody => Err(error),
            _ => Ok(()),
        }
    }

    async fn by_command(
        &self,
        program: &str,
        envelope: &Envelope,
        mail: Vec<u8>,
    ) -> Result<(), NotDone> {
        let from = envelope.from().map(ToString::to_string).unwrap_or_default();
        let mut command = vec![program.to_owned(), "-i".to_owned(), "-f".to_owned(), from];
        command.push("--".to_owned());
        command.extend(envelope.to().iter().map(ToString::to_string));
        let limit = self.limit(mail.len());
        let run = Run {
            command: &command,
            input: mail,
            limit,
            max_octets: MOST_SAID,
        };
        let ran = program::run(run).await;
        ran.map(|_| ())
            .map_err(|error| NotDone::for_now(error.to_string()))
    }
}
