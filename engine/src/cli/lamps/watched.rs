//! Phones that have subscribed to what waits in their boxes (RFC 3842): accepted, told of each change, and told when no box is theirs any more. Waits for no phone.
use super::Lamps;
use crate::net::sip::IncomingRequest;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

impl Lamps {
    /// Goes on as long as the process.
    pub(in super::super) async fn watch(self, mut asked: mpsc::Receiver<IncomingRequest>) {
        let mut changes = self.boxes.changes();
        loop {
            tokio::select! {
                incoming = asked.recv() => match incoming {
                    Some(incoming) => self.accept(incoming).await,
                    None => return,
                },
                changed = changes.recv() => match changed {
                    Ok(user) => self.tell(&user).await,
                    Err(RecvError::Lagged(_)) => {
                        for user in self.users() {
                            self.tell(&user).await;
                        }
                    }
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    async fn accept(&self, incoming: IncomingRequest) {
        let user = incoming.origin.name().to_owned();
        let (status, rule) = match self.waiting(&user).await {
            Ok(Some(waiting)) => {
                let frame = incoming.request.frame();
                let aor = frame.to().map(|to| to.uri.as_bytes()).unwrap_or_default();
                let body = waiting.summary(&String::from_utf8_lossy(aor));
                return self
                    .sip
                    .accept_subscription(incoming, user, body.into_bytes());
            }
            Ok(None) => (404, "no-mailbox"),
            Err(_) => (500, "voicemail-not-counted"),
        };
        self.phones
            .refuse(&self.sip, &incoming, status, rule, Vec::new());
    }

    async fn tell(&self, user: &str) {
        let subscribers = self.sip.subscribers(user).await;
        if subscribers.is_empty() {
            return;
        }
        // The store has told what went wrong.
        let Ok(waiting) = self.waiting(user).await else {
            return;
        };
        for each in &subscribers {
            let body = waiting.as_ref().map(|of| of.summary(&each.resource));
            self.sip.notify(each, body.map(String::into_bytes));
        }
    }
}
