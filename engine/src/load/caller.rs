//! The calling side of many SIP calls over UDP: INVITE, ACK, CANCEL, BYE and their retransmission (RFC 3261 section 17.1). Sans-IO: messages
//! and time in, messages and events out. Answers no challenges and knows no proxies but the server itself; times are ns.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use trunkline_sip::{Frame, HeaderId, MessageBuilder, Method, NameAddr};

use super::Law;
use super::histogram::Histogram;
use super::session::{Remote, describe, understand};

/// RFC 3261 section 17.1.1.1: T1, and T2 as the longest interval of what is not INVITE.
const T1: u64 = 500_000_000;
const T2: u64 = 4_000_000_000;
/// Timers B and F.
const GIVE_UP: u64 = 64 * T1;
/// How long a call may ring.
const RING: u64 = 90_000_000_000;

/// Who calls whom, and how.
#[derive(Debug, Clone)]
pub(super) struct Parties {
    /// The called URI; `%d` is replaced by the number of the call's group.
    pub(super) target: String,
    /// Calls that share a `%d`.
    pub(super) group: u32,
    /// Our address for SIP.
    pub(super) local: SocketAddr,
    /// Sets the messages of this run apart from others.
    pub(super) run: u32,
    pub(super) law: Law,
}

/// What happened to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It was answered; `None`: with a session we cannot use.
    Answered(u32, Option<Remote>),
    /// It is over, whoever ended it.
    Ended(u32),
}

/// What was counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) placed: u64,
    pub(super) answered: u64,
    /// Refusals by status.
    pub(super) refused: BTreeMap<u16, u64>,
    /// Nothing, or nothing final, came.
    pub(super) timeouts: u64,
    /// Answers with a session that cannot be used, and the last reason.
    pub(super) unusable: u64,
    pub(super) last_reason: String,
    pub(super) retransmissions: u64,
    /// Calls that the far end hung up.
    pub(super) ended_by_far_end: u64,
    pub(super) given_up: u64,
    /// INVITE to 2xx, and BYE to its answer.
    pub(super) set_up: Histogram,
    pub(super) hang_up: Histogram,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Inviting {
        ringing: bool,
    },
    /// CANCEL was sent, or will be as soon as something rings (RFC 3261 section 9.1).
    Cancelling {
        ringing: bool,
    },
    Up,
    Ending,
    Over,
}

#[derive(Debug)]
struct Call {
    state: State,
    media: SocketAddr,
    /// The present request was first sent; it is sent again then, and given up at last.
    sent_ns: u64,
    again_ns: u64,
    interval: u64,
    give_up_ns: u64,
    /// To with its tag, the Contact, and Route fields, once answered.
    to: Vec<u8>,
    contact: String,
    route: Vec<Vec<u8>>,
}

/// All calls of one local address.
#[derive(Debug)]
pub(super) struct Callers {
    parties: Parties,
    calls: Vec<Call>,
    /// Calls with a request under way.
    waiting: Vec<u32>,
    out: Vec<Bytes>,
    pub(super) tally: Tally,
}

impl Callers {
    pub(super) fn new(parties: Parties) -> Callers {
        Callers {
            parties,
            calls: Vec::new(),
            waiting: Vec::new(),
            out: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Calls placed so far; the next one has this number.
    pub(super) fn placed(&self) -> u32 {
        self.calls.len() as u32
    }

    /// Calls whose INVITE, CANCEL or BYE still waits for its answer.
    pub(super) fn under_way(&self) -> usize {
        self.waiting.len()
    }

    /// Calls whose INVITE waits for its final answer.
    pub(super) fn inviting(&self) -> bool {
        let inviting =
            |call: &u32| matches!(self.calls[*call as usize].state, State::Inviting { .. });
        self.waiting.iter().any(inviting)
    }

    /// What has to be sent to the server.
    pub(super) fn take_out(&mut self) -> std::vec::Drain<'_, Bytes> {
        self.out.drain(..)
    }

    /// Places the next call, its audio wanted at `media`.
    pub(super) fn place(&mut self, media: SocketAddr, now: u64) {
        let number = self.placed();
        self.calls.push(Call {
            state: State::Inviting { ringing: false },
            media,
            sent_ns: now,
            again_ns: now + T1,
            interval: T1,
            give_up_ns: now + GIVE_UP,
            to: Vec::new(),
            contact: String::new(),
            route: Vec::new(),
        });
        self.tally.placed += 1;
        self.waiting.push(number);
        self.send(number, "INVITE");
    }

    /// Ends a call in whatever way its state asks for.
    pub(super) fn hang_up(&mut self, number: u32, now: u64) {
        let Some(call) = self.calls.get_mut(number as usize) else {
            return;
        };
        match call.state {
            State::Up => {
                call.begin(State::Ending, now);
                self.waiting.push(number);
                self.send(number, "BYE");
            }
            State::Inviting { ringing } => {
                call.state = State::Cancelling { ringing };
                self.tally.given_up += 1;
                if ringing {
                    call.begin(State::Cancelling { ringing }, now);
                    self.send(number, "CANCEL");
                }
            }
            State::Cancelling { .. } | State::Ending | State::Over => {}
        }
    }

    /// Sends again what was not answered, and gives up what never will be.
    pub(super) fn expire(&mut self, now: u64, mut on: impl FnMut(Event)) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|&number| {
            let call = &mut self.calls[number as usize];
            if matches!(call.state, State::Up | State::Over) {
                return false;
            }
            if now >= call.give_up_ns {
                let state = std::mem::replace(&mut call.state, State::Over);
                self.tally.timeouts += u64::from(!matches!(state, State::Cancelling { .. }));
                if matches!(state, State::Inviting { ringing: true }) {
                    self.send(number, "CANCEL");
                }
                on(Event::Ended(number));
                return false;
            }
            if now >= call.again_ns {
                let method = call.repeat(now);
                self.tally.retransmissions += 1;
                self.send(number, method);
            }
            true
        });
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
    }

    /// A response, or a request within one of our calls. Others' messages are ignored.
    pub(super) fn receive(&mut self, frame: &Frame<'_>, now: u64) -> Option<Event> {
        let number = self.number_of(frame)?;
        match (frame.status(), frame.method()) {
            (Some(status), _) => {
                let cseq = frame.header(HeaderId::Cseq)?;
                if cseq.ends_with(b"INVITE") {
                    self.invited(number, status, frame, now)
                } else if cseq.ends_with(b"BYE") && status >= 200 {
                    self.hung_up(number, now)
                } else {
                    None
                }
            }
            (None, Some(method)) => self.asked(number, method, frame),
            (None, None) => None,
        }
    }

    fn invited(&mut self, number: u32, status: u16, frame: &Frame<'_>, now: u64) -> Option<Event> {
        let call = self.calls.get_mut(number as usize)?;
        match status {
            100..200 => {
                self.rings(number, now);
                None
            }
            200..300 => self.answered(number, frame, now),
            _ => {
                call.to = frame.header(HeaderId::To)?.to_vec();
                let state = call.state;
                call.state = State::Over;
                self.send(number, "ACK-REFUSED");
                match state {
                    State::Inviting { .. } => *self.tally.refused.entry(status).or_default() += 1,
                    State::Cancelling { .. } => {}
                    _ => return None,
                }
                Some(Event::Ended(number))
            }
        }
    }

    /// A provisional response ends the retransmission of the INVITE.
    fn rings(&mut self, number: u32, now: u64) {
        let call = &mut self.calls[number as usize];
        match call.state {
            State::Inviting { ringing: false } => {
                call.state = State::Inviting { ringing: true };
                call.again_ns = u64::MAX;
                call.give_up_ns = now + RING;
            }
            State::Cancelling { ringing: false } => {
                call.begin(State::Cancelling { ringing: true }, now);
                self.send(number, "CANCEL");
            }
            _ => {}
        }
    }

    fn answered(&mut self, number: u32, frame: &Frame<'_>, now: u64) -> Option<Event> {
        let call = &mut self.calls[number as usize];
        let state = call.state;
        if matches!(state, State::Up | State::Ending | State::Over) {
            // The 2xx again: our ACK was lost.
            if state != State::Over {
                self.send(number, "ACK");
            }
            return None;
        }
        call.to = frame.header(HeaderId::To)?.to_vec();
        let contact = frame
            .header(HeaderId::Contact)
            .and_then(|value| NameAddr::parse(value).ok());
        call.contact = contact
            .map(|contact| String::from_utf8_lossy(contact.uri.as_bytes()).into_owned())
            .unwrap_or_default();
        call.route = frame
            .values(HeaderId::RecordRoute)
            .map(<[u8]>::to_vec)
            .collect();
        call.route.reverse();
        call.state = State::Up;
        let set_up = now.saturating_sub(call.sent_ns);
        self.send(number, "ACK");
        if matches!(state, State::Cancelling { .. }) {
            self.hang_up(number, now);
            return None;
        }
        self.tally.answered += 1;
        self.tally.set_up.add(set_up);
        match understand(frame.body(), self.parties.law) {
            Ok(remote) => Some(Event::Answered(number, Some(remote))),
            Err(reason) => {
                self.tally.unusable += 1;
                self.tally.last_reason = reason;
                Some(Event::Answered(number, None))
            }
        }
    }

    fn hung_up(&mut self, number: u32, now: u64) -> Option<Event> {
        let call = self.calls.get_mut(number as usize)?;
        if call.state != State::Ending {
            return None;
        }
        call.state = State::Over;
        self.tally.hang_up.add(now.saturating_sub(call.sent_ns));
        Some(Event::Ended(number))
    }

    /// The server's own requests: BYE ends the call, the rest is granted with what was agreed.
    fn asked(&mut self, number: u32, method: Method<'_>, frame: &Frame<'_>) -> Option<Event> {
        if method == Method::Ack {
            return None;
        }
        let call = self.calls.get_mut(number as usize)?;
        let response = MessageBuilder::response_to(frame, 200, "OK", None, None)
            .header("Contact", format!("<sip:load@{}>", self.parties.local));
        let response =
            if method == Method::Invite || (method == Method::Update && !frame.body().is_empty()) {
                let session = describe(call.media, self.parties.law);
                response.body("application/sdp", session.as_bytes())
            } else {
                response
            };
        self.out.push(response.finish());
        if method != Method::Bye || call.state == State::Over {
            return None;
        }
        self.tally.ended_by_far_end += u64::from(call.state == State::Up);
        call.state = State::Over;
        Some(Event::Ended(number))
    }

    /// The call of a message, by its Call-ID.
    fn number_of(&self, frame: &Frame<'_>) -> Option<u32> {
        let id = std::str::from_utf8(frame.header(HeaderId::CallId)?).ok()?;
        let (number, run) = id.strip_suffix("@load")?.split_once('-')?;
        let ours = u32::from_str_radix(run, 16) == Ok(self.parties.run);
        number
            .parse()
            .ok()
            .filter(|number| ours && (*number as usize) < self.calls.len())
    }

    fn send(&mut self, number: u32, method: &str) {
        let message = self.request(number, method);
        self.out.push(message);
    }

    /// A request of a call. `ACK-REFUSED` is the ACK that belongs to the INVITE's own transaction (RFC 3261 section 17.1.1.3).
    fn request(&self, number: u32, what: &str) -> Bytes {
        let (parties, call) = (&self.parties, &self.calls[number as usize]);
        let (local, run) = (parties.local, parties.run);
        let target = parties
            .target
            .replace("%d", &(number / parties.group.max(1)).to_string());
        let (method, branch, cseq) = match what {
            "ACK-REFUSED" => ("ACK", "i", 1),
            "ACK" => ("ACK", "a", 1),
            "BYE" => ("BYE", "b", 2),
            other => (other, "i", 1),
        };
        let in_dialog = matches!(what, "ACK" | "BYE");
        let uri = if in_dialog && !call.contact.is_empty() {
            &call.contact
        } else {
            &target
        };
        let to = if call.to.is_empty() || method == "CANCEL" {
            format!("<{target}>").into_bytes()
        } else {
            call.to.clone()
        };
        let mut builder = MessageBuilder::request(method, uri)
            .header(
                "Via",
                format!("SIP/2.0/UDP {local};rport;branch=z9hG4bK{branch}{run:x}-{number}"),
            )
            .header("Max-Forwards", "70")
            .header(
                "From",
                format!("<sip:load{number}@{local}>;tag={run:x}{number}"),
            )
            .header("To", to)
            .header("Call-ID", format!("{number}-{run:x}@load"))
            .header("CSeq", format!("{cseq} {method}"));
        if in_dialog {
            for hop in &call.route {
                builder = builder.header("Route", hop);
            }
        }
        if method == "INVITE" {
            let session = describe(call.media, parties.law);
            builder = builder
                .header("Contact", format!("<sip:load@{local}>"))
                .header("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS")
                .body("application/sdp", session.as_bytes());
        }
        builder.finish()
    }
}

impl Call {
    /// A new request is under way.
    fn begin(&mut self, state: State, now: u64) {
        self.state = state;
        self.sent_ns = now;
        self.interval = T1;
        self.again_ns = now + T1;
        self.give_up_ns = now + GIVE_UP;
    }

    /// Which request is due again; the next time is later.
    fn repeat(&mut self, now: u64) -> &'static str {
        let (method, longest) = match self.state {
            State::Inviting { .. } | State::Cancelling { ringing: false } => ("INVITE", u64::MAX),
            State::Cancelling { ringing: true } => ("CANCEL", T2),
            _ => ("BYE", T2),
        };
        self.interval = (self.interval * 2).min(longest);
        self.again_ns = now + self.interval;
        method
    }
}

#[cfg(test)]
#[path = "caller_tests.rs"]
mod tests;
