//! Owns requests of peers that make no dialog, and SUBSCRIBE, which makes one once it is accepted: REGISTER, MESSAGE and that are handed to the application, the others are
//! refused politely. It knows no bindings and no users.
//!
//! Each request waits in its server transaction, so `max_transactions` bounds them; one that is not answered in 64·T1
//! is forgotten (RFC 4320 §4.1).

use super::Endpoint;
use super::event::{Event, LegId};
use super::gate::Origin;
use super::io::TxId;
use super::requests::Request;
use super::screening::Refusal;
use crate::header::HeaderId;
use crate::method::Method;
use crate::wire::{ALLOW, is_fit_for_wire, is_of_every_message, phrase, reason_value};
use std::time::Instant;

/// A request without a dialog: one of a peer that waits for [`Endpoint::respond`], or one of ours that waits for
/// [`Event::Response`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// Why a method is not served outside a dialog. `None` for those that are.
pub(super) fn refusal(method: Method<'_>) -> Option<Refusal> {
    match method {
        Method::Register | Method::Message | Method::Subscribe => None,
        Method::Publish => Some(Refusal::with(
            405,
            "nothing can be published",
            "Allow",
            ALLOW,
        )),
        Method::Refer => Some(Refusal::new(403, "REFER is served within a call only")),
        Method::Notify => Some(Refusal::new(481, "NOTIFY matches no subscription")),
        _ => Some(Refusal::new(
            481,
            "request needs a dialog and has no To tag",
        )),
    }
}

/// Headers of a response that are not the application's.
fn is_owned(id: HeaderId) -> bool {
    is_of_every_message(id) || matches!(id, HeaderId::Server)
}

impl Endpoint {
    /// Answers a request of [`Event::Request`]: 200 to 699, any other status becomes 500. `reason` is the rule behind a
    /// refusal, for its Reason header. Headers that are unfit or the endpoint's own are left out. Nothing happens when
    /// the request is answered or forgotten.
    pub fn respond(
        &mut self,
        now: Instant,
        id: RequestId,
        status: u16,
        reason: &str,
        headers: &[(&str, String)],
        body: Option<(&str, &[u8])>,
    ) {
        let tx = TxId(id.0);
        let Some(entry) = self.servers.of(tx) else {
            return;
        };
        let status = if (200..700).contains(&status) {
            status
        } else {
            500
        };
        let mut builder = entry
            .response(status, phrase(status))
            .header("Server", &self.config.server_name);
        if status >= 300 && !reason.is_empty() && is_fit_for_wire(reason) {
            builder = builder.header("Reason", reason_value(status, reason));
        }
        for (name, value) in headers {
            if !is_owned(HeaderId::from_name(name.as_bytes())) && is_fit_for_wire(value) {
                builder = builder.header(name, value);
            }
        }
        if let Some((content_type, octets)) = body.filter(|(of, _)| is_fit_for_wire(of)) {
            builder = builder.body(content_type, octets);
        }
        self.servers
            .respond(&mut self.io, now, tx, status, builder.finish());
    }

    /// A request that makes no dialog.
    pub(super) fn on_outside(&mut self, now: Instant, request: &Request<'_, '_>) {
        let (flow, frame) = (request.flow, request.frame);
        let refusal = match request.method {
            Method::Subscribe => self.not_subscribable(frame),
            method => refusal(method),
        };
        if let Some(refusal) = refusal {
            return self.refuse(flow, frame, &refusal);
        }
        if self.is_full() {
            let refusal = Refusal::with(503, "transaction limit reached", "Retry-After", "5");
            return self.refuse(flow, frame, &refusal);
        }
        let tag = self.stateless_tag(frame);
        let tx = self.open_server(now, request, None, tag);
        self.hand_over(tx, None, request.origin.clone());
    }

    /// Tells the application of a request it has to answer.
    pub(super) fn hand_over(&mut self, tx: TxId, leg: Option<LegId>, origin: Origin) {
        let Some(entry) = self.servers.of(tx) else {
            return;
        };
        let (request, flow) = (entry.request.clone(), entry.flow);
        self.io.tell(Event::Request {
            id: RequestId(tx.0),
            leg,
            request,
            flow,
            origin,
        });
    }
}
