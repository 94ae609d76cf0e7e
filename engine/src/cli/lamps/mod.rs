//! Keeps the lamps of phones in step with their voicemail boxes: when something changes in a box, and when a phone registers. Phones that have subscribed are told in `watched`,
//! and here no more. A phone of several boxes is told what waits in all.
//!
//! Limits: [`AT_ONCE`] phones are told at a time; one that does not answer is told again with the next change or registration.
mod watched;

use crate::config::Config;
use crate::net::sip::SipHandle;
use crate::registrar::{Location, Waiting, access};
use crate::store::StoreError;
use crate::voicemail::Boxes;
use arc_swap::ArcSwap;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;

/// Phones that are told at a time.
const AT_ONCE: usize = 64;

/// What it takes.
#[derive(Clone)]
pub(super) struct Lamps {
    pub(super) boxes: Arc<Boxes>,
    pub(super) phones: Arc<Location>,
    pub(super) sip: SipHandle,
    pub(super) config: Arc<ArcSwap<Config>>,
}

impl Lamps {
    /// Goes on as long as the process.
    pub(super) async fn serve(self) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut changes = self.boxes.changes();
        let mut registered = self.phones.registrations();
        loop {
            tokio::select! {
                changed = changes.recv() => match changed {
                    Ok(user) => self.light(&user, &places, true).await,
                    Err(RecvError::Lagged(_)) => {
                        for user in self.users() {
                            self.light(&user, &places, true).await;
                        }
                    }
                    Err(RecvError::Closed) => return,
                },
                user = registered.recv() => match user {
                    Ok(user) => self.light(&user, &places, false).await,
                    Err(RecvError::Lagged(missed)) => tracing::warn!(
                        rule = "lamps-missed",
                        missed,
                        "some phones' lamps are told of their messages with the next registration only"
                    ),
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// All phones with a box.
    fn users(&self) -> BTreeSet<String> {
        let all = self.boxes.all();
        all.iter().flat_map(|each| each.endpoints.clone()).collect()
    }

    /// What waits for a phone; `None`: it has no box.
    async fn waiting(&self, user: &str) -> Result<Option<Waiting>, StoreError> {
        let count = self.boxes.count_of_phone(user).await?;
        let own = self.boxes.of_phone(user);
        Ok(count.zip(own).map(|(count, own)| Waiting {
            new: count.new,
            saved: count.saved,
            number: access(&self.config.load(), &own.name),
        }))
    }

    /// A phone without a box is told only where it had one.
    async fn light(&self, user: &str, places: &Arc<Semaphore>, had: bool) {
        if !self.phones.is_registered(user) {
            return;
        }
        // The store has told what went wrong.
        let Ok(waiting) = self.waiting(user).await else {
            return;
        };
        let Some(waiting) = waiting.or(had.then(Waiting::default)) else {
            return;
        };
        let subscribers = self.sip.subscribers(user).await;
        for notify in self.phones.lamps(user, &waiting, &subscribers) {
            // Its places are never closed.
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let (sip, user) = (self.sip.clone(), user.to_owned());
            tokio::spawn(async move {
                let outcome = sip.request(notify).await;
                let status = outcome.map(|outcome| outcome.status);
                match status {
                    Ok(status @ 200..=299) => tracing::debug!(user, status, "lamp told"),
                    failed => {
                        tracing::info!(
                            rule = "lamp-not-told",
                            user,
                            ?failed,
                            "a phone did not take how many messages wait"
                        );
                    }
                }
                drop(place);
            });
        }
    }
}
