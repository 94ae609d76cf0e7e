//! Keeps the lamps of phones in step with their voicemail boxes: when something changes in a box, and when a phone registers.
//!
//! Limits: [`AT_ONCE`] phones are told at a time; one that does not answer is told again with the next change or registration.
use crate::config::{Config, NumberDestination, VoicemailBox};
use crate::net::sip::SipHandle;
use crate::registrar::{Location, Waiting};
use crate::voicemail::Boxes;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;

/// Phones that are told at a time; who waits longer is told what is true then.
const AT_ONCE: usize = 64;

/// What it takes.
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
                    Ok(name) => {
                        let mailbox = self.boxes.find(&name);
                        if let Some(mailbox) = mailbox {
                            for user in &mailbox.endpoints {
                                self.light(&mailbox, user, &places).await;
                            }
                        }
                    }
                    Err(RecvError::Lagged(missed)) => self.missed(missed),
                    Err(RecvError::Closed) => return,
                },
                user = registered.recv() => match user {
                    Ok(user) => {
                        if let Some(mailbox) = self.boxes.of_phone(&user) {
                            self.light(&mailbox, &user, &places).await;
                        }
                    }
                    Err(RecvError::Lagged(missed)) => self.missed(missed),
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    fn missed(&self, missed: u64) {
        tracing::warn!(
            rule = "lamps-missed",
            missed,
            "some phones' lamps are told of their messages with the next registration only"
        );
    }

    async fn light(&self, mailbox: &VoicemailBox, user: &str, places: &Arc<Semaphore>) {
        // The store has told what went wrong.
        let Ok(count) = self.boxes.count(&mailbox.name).await else {
            return;
        };
        let waiting = Waiting {
            new: count.new,
            saved: count.saved,
            number: access(&self.config.load(), &mailbox.name),
        };
        for notify in self.phones.lamps(user, &waiting) {
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

/// The number by which the messages of a box are heard.
fn access(config: &Config, mailbox: &str) -> Option<String> {
    let leads = |to: &NumberDestination| match to {
        NumberDestination::VoicemailAccess(None) => true,
        NumberDestination::VoicemailAccess(Some(name)) => name == mailbox,
        _ => false,
    };
    let number = config
        .numbers
        .iter()
        .find(|number| leads(&number.destination))?;
    let text = number.to.as_str();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'*' || byte == b'+';
    text.bytes().all(plain).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_heard_by_the_number_that_leads_to_them() {
        let text = "[[voicemail]]\nname = \"a\"\n[[voicemail]]\nname = \"b\"\n\
                    [[number]]\nto = \"98\"\nvoicemail_access = \"b\"\n[[number]]\nto = \"*97\"\nvoicemail_access = \"own\"\n";
        let config = Config::from_str("t", text).unwrap();
        assert_eq!(access(&config, "a").as_deref(), Some("*97"));
        assert_eq!(access(&config, "b").as_deref(), Some("98"));
    }
}
