//! Voicemail: boxes that callers leave messages in, and their messages.
//!
//! Owns which boxes there are, who may hear them, the files of messages and their rows in the store; `call` speaks with callers, the `Clerk`
//! has messages written down and mailed. A message is a row before its first sample is recorded, and its file stays where it was recorded:
//! a process that is killed loses none.
//! Limits: `max_messages` of each box; five wrong PINs lock a box for five minutes; 4,096 changes wait for who follows them, 1,000 messages to be filed.
mod clerk;
#[cfg(test)]
mod clerk_tests;
mod letter;
mod messages;
mod repair;
#[cfg(test)]
mod tests;

pub use clerk::{Clerk, ClerkCounters};
pub use messages::{Caller, Filed, NoTake, Take};
pub use repair::repair;

use messages::Unfiled;

use crate::config::{PinRefused, PinTries, VoicemailBox};
use crate::store::{Store, StoreError, VoicemailCount, VoicemailRow};
use arc_swap::ArcSwap;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};
use tokio::sync::{Notify, broadcast};

/// Changes that may wait for one who follows them.
const CHANGES: usize = 4096;

/// What happened to a box.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// A message was left.
    Left(VoicemailRow, VoicemailCount),
    /// A message was heard, or is to count as new again.
    Marked(VoicemailRow, VoicemailCount),
    /// A message is gone.
    Deleted(VoicemailRow, VoicemailCount),
    /// A caller could leave none: the box, the call and why.
    Refused(String, String, &'static str),
    /// It is known what a message says.
    Transcribed(VoicemailRow, String),
    /// A mail is not sent: why.
    MailFailed(VoicemailRow, String),
}

/// What came of callers who were to leave a message.
const OUTCOMES: [&str; 5] = ["left", "empty", "full", "unknown", "failed"];

/// Why something could not be done.
#[derive(Debug)]
struct NotDone {
    reason: String,
    /// It is never going to be.
    for_good: bool,
}

impl NotDone {
    fn for_good(reason: String) -> NotDone {
        NotDone {
            reason,
            for_good: true,
        }
    }

    fn for_now(reason: String) -> NotDone {
        NotDone {
            reason,
            for_good: false,
        }
    }
}

type Listener = Box<dyn Fn(&Happened) + Send + Sync>;

/// All boxes.
pub struct Boxes {
    store: Option<Store>,
    folder: PathBuf,
    in_force: ArcSwap<Vec<Arc<VoicemailBox>>>,
    /// By the names of boxes there are.
    tries: Mutex<HashMap<String, PinTries>>,
    listener: OnceLock<Listener>,
    changes: broadcast::Sender<String>,
    unfiled: Mutex<Vec<Unfiled>>,
    outcomes: [AtomicU64; OUTCOMES.len()],
    /// A message is to be written down or mailed.
    work: Notify,
}

impl std::fmt::Debug for Boxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Boxes")
            .field("boxes", &self.in_force.load().len())
            .finish_non_exhaustive()
    }
}

impl Boxes {
    /// No boxes yet; without a store there never are any. Files of messages go to `folder`.
    pub fn new(store: Option<Store>, folder: PathBuf) -> Arc<Boxes> {
        Arc::new(Boxes {
            store,
            folder,
            in_force: ArcSwap::default(),
            tries: Mutex::default(),
            listener: OnceLock::new(),
            changes: broadcast::Sender::new(CHANGES),
            unfiled: Mutex::default(),
            outcomes: Default::default(),
            work: Notify::new(),
        })
    }

    /// Who is told what happens; the first one counts. Called in place: must neither wait nor ask here.
    pub fn listen(&self, listener: impl Fn(&Happened) + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }

    /// These are the boxes from now on. Messages of a box that is gone stay, and are there again when it is.
    pub fn apply(&self, boxes: &[VoicemailBox]) {
        let all = boxes.iter().cloned().map(Arc::new);
        let before = self.in_force.swap(Arc::new(all.collect()));
        let known = |name: &String| boxes.iter().any(|each| each.name == *name);
        self.tries().retain(|name, _| known(name));
        let after = self.in_force.load();
        let phones = before.iter().chain(after.iter());
        let phones: BTreeSet<&String> = phones.flat_map(|each| &each.endpoints).collect();
        phones.into_iter().for_each(|user| self.changed(user));
    }

    /// The boxes, in the order of the configuration.
    pub fn all(&self) -> Arc<Vec<Arc<VoicemailBox>>> {
        self.in_force.load_full()
    }

    /// The box of that name or number.
    pub fn find(&self, name: &str) -> Option<Arc<VoicemailBox>> {
        let all = self.in_force.load();
        let named = all.iter().find(|each| each.name == name);
        let numbered = || all.iter().find(|each| each.number.as_deref() == Some(name));
        named.or_else(numbered).cloned()
    }

    /// The box of a phone, by the user of its endpoint.
    pub fn of_phone(&self, user: &str) -> Option<Arc<VoicemailBox>> {
        let all = self.in_force.load();
        let own = |each: &&Arc<VoicemailBox>| each.endpoints.iter().any(|own| own == user);
        all.iter().find(own).cloned()
    }

    /// Whether that is the PIN of a box; one without a PIN has none that is right.
    ///
    /// # Errors
    /// It is not, or too many were tried.
    pub fn check_pin(
        &self,
        now: Instant,
        mailbox: &VoicemailBox,
        pin: &str,
    ) -> Result<(), PinRefused> {
        let own = mailbox.pin.clone().unwrap_or_default();
        let mut tries = self.tries();
        let checked = tries
            .entry(mailbox.name.clone())
            .or_default()
            .check(now, &own, pin);
        if let Err(why) = checked {
            tracing::info!(
                rule = "voicemail-pin",
                mailbox = mailbox.name,
                ?why,
                "a PIN is not taken"
            );
        }
        checked
    }

    /// Users of phones for which something changed in their boxes, or that have another one or none, from now on.
    pub fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }

    /// Deletes what was kept long enough at `now`; returns how many messages.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, now: SystemTime) -> Result<usize, StoreError> {
        let Some(store) = &self.store else {
            return Ok(0);
        };
        let mut deleted = 0;
        loop {
            let over = store.voicemails_over(now).await?;
            if over.is_empty() {
                return Ok(deleted);
            }
            for row in over {
                deleted += 1;
                self.delete(row).await?;
            }
        }
    }

    /// What came of callers who were to leave a message, by name.
    pub fn outcomes(&self) -> [(&'static str, u64); OUTCOMES.len()] {
        let mut counts = self.outcomes.iter();
        OUTCOMES.map(|name| {
            let count = counts.next().map(|count| count.load(Ordering::Relaxed));
            (name, count.unwrap_or(0))
        })
    }

    fn came_of_it(&self, outcome: &str) {
        let counted = OUTCOMES.iter().zip(&self.outcomes);
        for (_, count) in counted.filter(|(name, _)| **name == outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<String, PinTries>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unfiled(&self) -> MutexGuard<'_, Vec<Unfiled>> {
        self.unfiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, happened: &Happened) {
        if let Some(listener) = self.listener.get() {
            listener(happened);
        }
    }

    fn changed(&self, user: &str) {
        // An error says that nobody follows.
        let _ = self.changes.send(user.to_owned());
    }
}
