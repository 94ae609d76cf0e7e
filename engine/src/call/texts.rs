//! Text messages outside any call (MESSAGE, RFC 3428): routed like a call to the same number, then offered to a program or passed on to
//! the phones of an endpoint.
//!
//! Nobody unknown sends any, and nothing is kept for later: who cannot be reached now is not. Limits: 256 messages on their way to
//! phones at once, 8 phones each, 16 s for their answers.
use super::caller::Caller;
use super::program::{CallInfo, Direction};
use super::session::party;
use super::text_message::{self, TextMessage};
use super::{Calls, Refusal, Routed};
use crate::net::sip::IncomingRequest;
use crate::route::OutboundLeg;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::Instrument;
use trunkline_sip::{Method, OutRequest, RequestId};

/// Messages that wait for the answers of phones.
const MAX_ON_THEIR_WAY: usize = 256;
/// Phones that one message is sent to.
const MAX_PHONES: usize = 8;
/// How long phones may take: the sender gives up after 64·T1 (RFC 3261 §17.1.2.2), 32 s.
const PATIENCE: Duration = Duration::from_secs(16);

/// Where a text message goes.
pub enum TextTo {
    /// To a fresh program of the number.
    Program(Routed),
    /// To the phones of a user.
    Phones {
        /// The user of the `[[endpoint]]`.
        user: String,
        /// What says so, for the log.
        rule: String,
    },
}

/// One message and whoever sent it.
struct Text {
    id: RequestId,
    call: CallInfo,
    caller: Caller,
    message: TextMessage,
}

impl Calls {
    /// Answers requests of peers that are no calls, until their queue ends: MESSAGE; there are no others.
    pub async fn serve_texts(self: Arc<Self>, mut incoming: mpsc::Receiver<IncomingRequest>) {
        let places = Arc::new(Semaphore::new(MAX_ON_THEIR_WAY));
        while let Some(request) = incoming.recv().await {
            let id = request.id;
            let span = tracing::info_span!("message", id = self.fresh_id());
            let _within = span.enter();
            match self
                .text(&request)
                .and_then(|text| self.deliver(text, &places))
            {
                Ok(()) => {}
                Err(refusal) => text_message::refuse(&self.sip, &self.counters, id, &refusal),
            }
        }
    }

    fn text(&self, incoming: &IncomingRequest) -> Result<Text, Refusal> {
        let frame = incoming.request.frame();
        let origin = incoming.origin.clone();
        if frame.method() != Some(Method::Message) {
            let text = "only MESSAGE is taken outside calls".to_owned();
            return Err(Refusal::new(405, "method-not-taken", text));
        }
        let identity = self.routes.identity(&origin, &frame);
        let message = TextMessage::read(&frame, &origin, &identity.number)?;
        if frame.max_forwards() == Ok(Some(0)) {
            let text = "Max-Forwards is 0".to_owned();
            return Err(Refusal::new(483, "too-many-hops", text));
        }
        let caller = Caller::of(&frame, &incoming.flow, origin, identity);
        let call = CallInfo {
            id: String::new(),
            direction: Direction::Inbound,
            from: caller.shown(&frame),
            to: party(frame.request_uri()),
        };
        tracing::info!(
            from = call.from,
            to = call.to,
            source = %incoming.flow.remote,
            octets = message.body.len(),
            "message in"
        );
        let id = incoming.id;
        Ok(Text {
            id,
            call,
            caller,
            message,
        })
    }

    fn deliver(self: &Arc<Self>, text: Text, places: &Arc<Semaphore>) -> Result<(), Refusal> {
        match self.routes.text(&text.call, &text.caller)? {
            TextTo::Program(routed) => {
                let Routed { rule, mut program } = routed;
                tracing::info!(rule, program = program.name(), "routed");
                let asked = AssertUnwindSafe(|| program.message(&text.call, &text.message));
                // The program is gone afterwards, so nobody sees what it left half done.
                let verdict = std::panic::catch_unwind(asked).ok();
                text_message::answer(&self.sip, &self.counters, text.id, &text.message, verdict);
            }
            TextTo::Phones { user, rule } => {
                tracing::info!(rule, user, "routed");
                let mut phones = self.directory.phones(&text.caller, &user)?;
                phones.truncate(MAX_PHONES);
                let place = places.clone().try_acquire_owned().map_err(|_| {
                    let text = format!("{MAX_ON_THEIR_WAY} messages are on their way to phones");
                    Refusal::new(503, "messages-on-their-way", text)
                })?;
                let calls = self.clone();
                let passing = async move {
                    calls.pass_on(text, phones).await;
                    drop(place);
                };
                tokio::spawn(passing.in_current_span());
            }
        }
        Ok(())
    }

    /// Sends it to all phones at once; the first that takes it answers for them all.
    async fn pass_on(&self, text: Text, phones: Vec<OutboundLeg>) {
        let mut asked = JoinSet::new();
        for phone in phones {
            let (sip, request) = (self.sip.clone(), request(&phone, &text));
            asked.spawn(async move { sip.request(request).await.map(|outcome| outcome.status) });
        }
        let mut last = 480;
        let first = async {
            while let Some(answered) = asked.join_next().await {
                match answered {
                    Ok(Ok(status @ 200..=299)) => return Some(status),
                    Ok(Ok(status)) => last = status,
                    Ok(Err(error)) => tracing::warn!(%error, "message not sent to a phone"),
                    Err(_) => {}
                }
            }
            None
        };
        let taken = tokio::time::timeout(PATIENCE, first).await.ok().flatten();
        // Every phone gets it, also after another has taken it.
        asked.detach_all();
        if let Some(status) = taken {
            tracing::info!("message taken by a phone");
            self.counters.messages[1].fetch_add(1, Ordering::Relaxed);
            return self.sip.respond(text.id, status, "", Vec::new());
        }
        let why = format!("no phone took the message; the last said {last}");
        let refusal = Refusal::new(told(last), "message-not-delivered", why);
        text_message::refuse(&self.sip, &self.counters, text.id, &refusal);
    }
}

/// The message to one phone. Nothing of the sender's path goes along.
fn request(phone: &OutboundLeg, text: &Text) -> OutRequest {
    let body = (!text.message.body.is_empty())
        .then(|| (text.message.content_type.clone(), text.message.body.clone()));
    OutRequest {
        routes: phone.routes.clone(),
        body,
        ..OutRequest::new(
            phone.flow,
            "MESSAGE",
            &*phone.target,
            &*phone.from,
            &*phone.to,
        )
    }
}

/// What the sender learns of a phone's refusal: what it can do something about.
fn told(status: u16) -> u16 {
    match status {
        404 | 405 | 413 | 415 | 486 | 488 | 600 | 603 | 606 => status,
        _ => 480,
    }
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn the_sender_is_not_asked_what_a_phone_asks_us() {
        for (status, expected) in [
            (401, 480),
            (407, 480),
            (302, 480),
            (408, 480),
            (415, 415),
            (603, 603),
        ] {
            assert_eq!(told(status), expected);
        }
    }
}
