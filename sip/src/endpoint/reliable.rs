//! Owns the reliable provisional responses of an incoming call (RFC 3262 §3): their numbers, their repetition until
//! PRACK, the order in which they go out, and the 2xx that waits for them.
//!
//! One is on its way at a time; later ones queue up. Limits: 8 in the queue, 64·T1 for the PRACK.

use super::Endpoint;
use super::config::Reliability;
use super::event::{EndCause, Event, LegError, LegId};
use super::io::{LegTimer, TxId};
use super::legs::State;
use super::screening::Refusal;
use super::uas::{with_extra, with_sdp};
use crate::flow::Flow;
use crate::header::HeaderId;
use crate::lex::{decimal, is_lws, trim};
use crate::message::Frame;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most provisional responses that wait for an earlier one's PRACK.
const MAX_QUEUED: usize = 8;
/// Where the numbers start: below 2^31 with room to count (§3).
const MAX_FIRST: u32 = 1 << 30;

/// Where the first exchange of descriptions stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Exchange {
    /// Nobody has offered yet.
    #[default]
    None,
    /// The peer's offer waits for our answer.
    Theirs,
    /// Our offer waits for the peer's answer.
    Ours,
    /// Offer and answer have passed, reliably.
    Done,
}

/// A response that waits for its PRACK.
#[derive(Debug)]
struct Unacknowledged {
    rseq: u32,
    flow: Flow,
    bytes: Bytes,
    interval: Duration,
    described: bool,
    /// A final response is out: nothing is repeated any more, but its PRACK is still welcome (§3).
    settled: bool,
}

/// A response in the queue.
#[derive(Debug)]
struct Queued {
    status: u16,
    reason: String,
    sdp: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// The state of an incoming call.
#[derive(Debug, Default)]
pub(super) struct Reliable {
    /// The peer understands them.
    allowed: bool,
    /// The peer takes no others.
    demanded: bool,
    last_rseq: Option<u32>,
    unacknowledged: Option<Unacknowledged>,
    queue: VecDeque<Queued>,
    /// The 2xx that waits: description and headers.
    held: Option<(Vec<u8>, Vec<(String, String)>)>,
}

impl Reliable {
    /// What the INVITE allows; 421 when we demand what it does not offer.
    pub(super) fn of_invite(invite: &Frame<'_>, ours: Reliability) -> Result<Self, Refusal> {
        let demanded = invite.lists(HeaderId::Require, "100rel");
        let allowed = demanded || invite.lists(HeaderId::Supported, "100rel");
        if ours == Reliability::Required && !allowed {
            let rule = "reliable provisional responses are demanded";
            return Err(Refusal::with(421, rule, "Require", "100rel"));
        }
        Ok(Self {
            allowed: allowed && ours != Reliability::Off,
            demanded: demanded || ours == Reliability::Required,
            ..Self::default()
        })
    }

    /// Whether a description of ours waits for its PRACK.
    pub(super) fn is_described(&self) -> bool {
        let waiting = self.unacknowledged.iter();
        let mut waiting = waiting.filter(|waiting| !waiting.settled);
        waiting.any(|waiting| waiting.described)
            || self.queue.iter().any(|queued| !queued.sdp.is_empty())
    }
}

/// The content of RAck: response number, CSeq number; for an INVITE only.
fn rack(frame: &Frame<'_>) -> Option<(u32, u32)> {
    let mut words = frame
        .header(HeaderId::Rack)?
        .split(|octet| is_lws(*octet))
        .map(trim)
        .filter(|word| !word.is_empty());
    let numbers = (decimal(words.next()?)?, decimal(words.next()?)?);
    (words.next() == Some(b"INVITE") && words.next().is_none()).then_some(numbers)
}

impl Endpoint {
    /// Sends a provisional response reliably where that is due; `false`: it goes out the simple way.
    pub(super) fn provisional_reliably(
        &mut self,
        now: Instant,
        leg: LegId,
        (status, reason): (u16, &str),
        sdp: &[u8],
        headers: &[(&str, String)],
    ) -> Result<bool, LegError> {
        let usage = self.legs.of(leg).ok_or(LegError::UnknownLeg)?;
        let reliable = &mut usage.reliable;
        let described = reliable.allowed && !sdp.is_empty();
        if !reliable.demanded && !described {
            return Ok(false);
        }
        let headers = headers.iter();
        let response = Queued {
            status,
            reason: reason.to_owned(),
            sdp: sdp.to_vec(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        };
        if reliable.unacknowledged.is_none() {
            self.send_reliable(now, leg, response);
            return Ok(true);
        }
        if reliable.queue.len() >= MAX_QUEUED {
            return Err(LegError::AtCapacity);
        }
        reliable.queue.push_back(response);
        Ok(true)
    }

    fn send_reliable(&mut self, now: Instant, leg: LegId, response: Queued) {
        let first = 1 + self.io.identity.below(MAX_FIRST);
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let rseq = usage.reliable.last_rseq.map_or(first, |last| last + 1);
        usage.reliable.last_rseq = Some(rseq);
        let (tx, exchange) = (usage.invite, usage.exchange);
        // Once offer and answer have passed, only UPDATE changes the session.
        let described = exchange != Exchange::Done && !response.sdp.is_empty();
        let Some(builder) = self.dialog_response(tx, response.status, &response.reason) else {
            return;
        };
        let builder = builder
            .header("Require", "100rel")
            .header("RSeq", rseq.to_string());
        let own = response.headers.iter();
        let headers: Vec<_> = own
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let sdp = described.then_some(&response.sdp[..]);
        let bytes = with_sdp(with_extra(builder, &headers), sdp).finish();
        self.servers
            .respond(&mut self.io, now, tx, response.status, bytes.clone());
        let Some(flow) = self.servers.of(tx).map(|tx| tx.reply) else {
            return;
        };
        let (interval, limit) = (self.config.timers.t1, self.config.timers.lifetime());
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if described {
            usage.last_sdp = Some(Bytes::from(response.sdp));
            usage.exchange = match exchange {
                Exchange::Theirs => Exchange::Done,
                _ => Exchange::Ours,
            };
        }
        usage.reliable.unacknowledged = Some(Unacknowledged {
            rseq,
            flow,
            bytes,
            interval,
            described,
            settled: false,
        });
        usage.arm(&mut self.io, now, leg, LegTimer::Provisional, interval);
        usage.arm(&mut self.io, now, leg, LegTimer::PrackLimit, limit);
    }

    /// It goes out again: T1, doubled each time, over any transport (§3).
    pub(super) fn repeat_provisional(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let Some(waiting) = &mut usage.reliable.unacknowledged else {
            return;
        };
        waiting.interval = waiting.interval.saturating_mul(2);
        let interval = waiting.interval;
        self.io.send(waiting.flow, waiting.bytes.clone());
        usage.arm(&mut self.io, now, leg, LegTimer::Provisional, interval);
    }

    /// No PRACK in 64·T1: the INVITE is refused (§3).
    pub(super) fn prack_missing(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self.legs.of(leg).filter(|leg| leg.state == State::Incoming) else {
            return;
        };
        let tx = usage.invite;
        self.refuse_tx(now, tx, &Refusal::new(504, "no PRACK came"));
        self.finish(now, leg, |leg| Event::Ended {
            leg,
            cause: EndCause::PrackTimeout,
            message: None,
        });
    }

    /// The final response stops the repetition; responses in the queue are out of date.
    pub(super) fn settle_provisional(&mut self, leg: LegId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        usage.reliable.queue.clear();
        if let Some(waiting) = &mut usage.reliable.unacknowledged {
            waiting.settled = true;
        }
        usage.disarm(&mut self.io, LegTimer::Provisional);
        usage.disarm(&mut self.io, LegTimer::PrackLimit);
    }

    /// §3: a 2xx must not overtake a description that waits for its PRACK.
    pub(super) fn hold_answer(&mut self, leg: LegId, sdp: &[u8], headers: &[(&str, String)]) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let headers = headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), value.clone()));
        usage.reliable.held = Some((sdp.to_vec(), headers.collect()));
    }

    /// A PRACK of the peer.
    pub(super) fn on_prack(&mut self, now: Instant, leg: LegId, tx: TxId) {
        let Some(request) = self.servers.of(tx).map(|tx| tx.request.clone()) else {
            return;
        };
        let frame = request.frame();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let invite = usage.invite_cseq;
        let waiting = usage.reliable.unacknowledged.as_ref();
        let matches = waiting.is_some_and(|waiting| rack(&frame) == Some((waiting.rseq, invite)));
        if !matches || usage.caller {
            let refusal = Refusal::new(481, "PRACK matches no response");
            return self.refuse_tx(now, tx, &refusal);
        }
        usage.reliable.unacknowledged = None;
        usage.disarm(&mut self.io, LegTimer::Provisional);
        usage.disarm(&mut self.io, LegTimer::PrackLimit);
        match (usage.exchange, frame.session_description().is_some()) {
            (Exchange::Ours, true) => {
                usage.exchange = Exchange::Done;
                self.respond_plain(now, tx, 200);
                self.io.tell(Event::Prack { leg, request });
            }
            // §5: an offer of its own. Its answer goes into the 2xx to the PRACK.
            (Exchange::Done, true) if usage.incoming.is_none() => {
                self.hand_offer(now, leg, tx);
            }
            _ => self.respond_plain(now, tx, 200),
        }
        self.after_prack(now, leg);
    }

    /// What waited for the PRACK goes out.
    fn after_prack(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self.legs.of(leg).filter(|leg| leg.state == State::Incoming) else {
            return;
        };
        if let Some(next) = usage.reliable.queue.pop_front() {
            return self.send_reliable(now, leg, next);
        }
        if let Some((sdp, headers)) = usage.reliable.held.take() {
            let headers = headers.iter();
            let headers: Vec<_> = headers
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect();
            self.answer(now, leg, &sdp, &headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rack_says() {
        for (value, expected) in [
            ("776656 1 INVITE", Some((776_656, 1))),
            ("1\t 2  INVITE", Some((1, 2))),
            ("1 2 invite", None),
            ("1 2 BYE", None),
            ("1 INVITE", None),
            ("1 2 INVITE 3", None),
            ("x 2 INVITE", None),
            ("4294967296 2 INVITE", None),
            ("", None),
        ] {
            let text = format!("PRACK sip:a@b SIP/2.0\r\nRAck: {value}\r\n\r\n");
            assert_eq!(
                rack(&Frame::parse(text.as_bytes()).unwrap()),
                expected,
                "{value}"
            );
        }
    }
}
