//! Owns the second try of a request of a leg: the same request with a new branch and the next CSeq number, and what the
//! refusal asked for. It answers challenges (RFC 3261 §22.2, RFC 7616) with the credentials of the leg, and only those of
//! the host that the leg's INVITE went to: a dialog goes where its peer's Contact and Record-Route say.
//!
//! Limits: two tries after the first, and the same kind of challenge is answered twice only when the nonce was stale.

use super::Endpoint;
use super::ask::Heard;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{Event, LegId};
use super::io::TxId;
use super::legs::State;
use crate::build::MessageBuilder;
use crate::digest::ChallengeRefused;
use crate::header::HeaderId;
use crate::message::Frame;
use crate::transaction::key;
use crate::wire::via;
use std::time::Instant;

/// Most tries of one request after the first.
const MAX_RETRIES: u8 = 2;

impl Endpoint {
    /// Sends the refused request again when the refusal can be met; `false`: it stands.
    pub(super) fn retried(&mut self, now: Instant, id: TxId, heard: Heard<'_, '_>) -> bool {
        let Some(tx) = self.clients.of(id) else {
            return false;
        };
        let Some(leg) = tx.leg.filter(|_| tx.retries < MAX_RETRIES) else {
            return false;
        };
        let wanted = self.legs.of(leg).is_some_and(|usage| match tx.purpose {
            Purpose::Invite => usage.state == State::Calling && usage.hangup.is_none(),
            Purpose::Bye => usage.state == State::Leaving,
            Purpose::Alone => false,
            _ => usage.state != State::Leaving,
        });
        if !wanted {
            return false;
        }
        let headers = match heard.status {
            401 | 407 => self.authorization(leg, id, heard),
            422 => self.larger_interval(leg, heard.frame),
            _ => None,
        };
        headers.is_some_and(|headers| self.send_again(now, leg, id, &headers))
    }

    /// The answer to a challenge, when the leg has one.
    fn authorization(
        &mut self,
        leg: LegId,
        id: TxId,
        heard: Heard<'_, '_>,
    ) -> Option<Vec<(HeaderId, String)>> {
        let cnonce = self.io.identity.token();
        let response = heard.frame;
        let tx = self.clients.of(id)?;
        let (home, credentials) = self.legs.of(leg)?.credentials.clone()?;
        if !tx.flow.leads_where(&home) || !heard.flow.leads_where(&home) {
            let (flow, rule) = (
                heard.flow,
                "challenge from another host than the call went to",
            );
            self.io.tell(Event::Dropped { flow, rule });
            return None;
        }
        let request = tx.request.frame();
        let method = request.method()?.to_string();
        let uri = String::from_utf8_lossy(request.request_uri()?).into_owned();
        let (header, value) = match credentials.answer(response, &method, &uri, cnonce.as_str()) {
            Ok(answer) => answer,
            Err(refused) => {
                let flow = tx.flow;
                self.io.tell(Event::Dropped {
                    flow,
                    rule: rule_of(&refused),
                });
                return None;
            }
        };
        // A second challenge to the same answer means that it was wrong, unless only the nonce was too old.
        if request.header(header).is_some() && !is_stale(response) {
            return None;
        }
        Some(vec![(header, value)])
    }

    /// A larger session interval after 422 (RFC 4028 §7.3).
    fn larger_interval(
        &mut self,
        leg: LegId,
        response: &Frame<'_>,
    ) -> Option<Vec<(HeaderId, String)>> {
        let raised = self.legs.of(leg)?.session.raise(response)?;
        let raised = raised.into_iter();
        let named = |(name, value): (&str, _)| (HeaderId::from_name(name.as_bytes()), value);
        Some(raised.map(named).collect())
    }

    /// Replaces these headers, the branch and the CSeq number, and sends the request in place of the refused one.
    fn send_again(
        &mut self,
        now: Instant,
        leg: LegId,
        id: TxId,
        headers: &[(HeaderId, String)],
    ) -> bool {
        let branch = self.io.identity.token();
        let Some(tx) = self.clients.of(id) else {
            return false;
        };
        let (request, flow, purpose, retries) =
            (tx.request.clone(), tx.flow, tx.purpose, tx.retries);
        let frame = request.frame();
        let (Some(method), Some(number)) = (frame.method(), self.next_number(leg, &frame)) else {
            return false;
        };
        let via = via(&flow, &self.config.advertise, &branch);
        let bytes = again(&frame, &via, number, headers);
        let send = Send {
            method,
            branch,
            bytes,
            flow,
            purpose,
            leg: Some(leg),
        };
        let Some(new) = self.clients.open(&mut self.io, now, send) else {
            return false;
        };
        self.clients.release(id);
        self.clients.count_retry(new, retries);
        if purpose == Purpose::Invite {
            // §13.2.2.3: the early dialogs of the refused INVITE are over.
            self.legs.forget_early(leg);
        }
        if let Some(usage) = self.legs.of(leg) {
            usage.replace_tx(id, new, number);
            if purpose == Purpose::Invite {
                usage.invite_cseq = number;
            }
        }
        true
    }

    /// The CSeq number of the next try.
    fn next_number(&mut self, leg: LegId, request: &Frame<'_>) -> Option<u32> {
        let Some(remote) = key::to_tag(request) else {
            return request.cseq().ok().map(|cseq| cseq.number + 1);
        };
        let call_id = request.header(HeaderId::CallId).unwrap_or_default();
        let key = key::join(&[call_id, key::from_tag(request), remote]);
        let dialog = self.legs.of(leg)?.dialog_of(&key)?;
        Some(dialog.next_number())
    }
}

/// The request as it goes out again.
fn again(
    request: &Frame<'_>,
    via: &str,
    number: u32,
    headers: &[(HeaderId, String)],
) -> bytes::Bytes {
    let method = request.method().map(|method| method.to_string());
    let method = method.unwrap_or_default();
    let uri = String::from_utf8_lossy(request.request_uri().unwrap_or_default());
    let mut builder = MessageBuilder::request(&method, &uri).header("Via", via);
    for header in request.headers() {
        let is_replaced = headers.iter().any(|(id, _)| *id == header.id);
        builder = match header.id {
            HeaderId::Via | HeaderId::ContentLength => builder,
            HeaderId::Cseq => builder.header("CSeq", format!("{number} {method}")),
            _ if is_replaced => builder,
            _ => builder.header(&String::from_utf8_lossy(header.name), header.value),
        };
    }
    for (id, value) in headers {
        builder = builder.header(id.name(), value);
    }
    builder.octets(request.body()).finish()
}

/// `stale=true` in a challenge: the credentials were right, the nonce was too old (RFC 7616 §3.3).
fn is_stale(response: &Frame<'_>) -> bool {
    let asks = [HeaderId::WwwAuthenticate, HeaderId::ProxyAuthenticate];
    let mut challenges = response
        .headers()
        .filter(|header| asks.contains(&header.id));
    challenges.any(|header| {
        let text = header.value.to_ascii_lowercase();
        let text: Vec<u8> = text.into_iter().filter(|octet| *octet > b' ').collect();
        memchr::memmem::find(&text, b"stale=true").is_some()
            || memchr::memmem::find(&text, b"stale=\"true\"").is_some()
    })
}

fn rule_of(refused: &ChallengeRefused) -> &'static str {
    match refused {
        ChallengeRefused::None => "challenge is none for Digest",
        ChallengeRefused::Realm(_) => "challenge is for another realm than ours",
        ChallengeRefused::Algorithm(_) => "challenge names no algorithm we know",
        ChallengeRefused::Qop => "challenge demands a qop we lack",
        ChallengeRefused::Malformed(rule) => rule,
        ChallengeRefused::Elsewhere => "challenge from another host than the call went to",
    }
}
