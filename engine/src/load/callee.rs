//! The answering side, for bridged runs: takes every call at once with one G.711 stream. Sans-IO as the calling side.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::Bytes;
use trunkline_sip::{Frame, HeaderId, MessageBuilder, Method};

use super::Law;
use super::session::{Remote, describe, understand};

/// RFC 3261 section 13.3.1.4: a 2xx is repeated from T1 up to every T2, for 64 times T1.
const T1: u64 = 500_000_000;
const T2: u64 = 4_000_000_000;
const GIVE_UP: u64 = 64 * T1;

/// What happened to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// A call was answered: its number and where its audio goes.
    Answered(u32, Remote),
    /// It is over.
    Ended(u32),
}

#[derive(Debug)]
struct Call {
    answer: Bytes,
    to: SocketAddr,
    media: SocketAddr,
    acknowledged: bool,
    over: bool,
    again_ns: u64,
    interval: u64,
    give_up_ns: u64,
}

/// All calls taken at one address.
#[derive(Debug)]
pub(super) struct Callees {
    local: SocketAddr,
    law: Law,
    run: u32,
    by_id: HashMap<Vec<u8>, u32>,
    calls: Vec<Call>,
    waiting: Vec<u32>,
    out: Vec<(SocketAddr, Bytes)>,
    /// Calls refused since their session could not be used.
    pub(super) refused: u64,
    /// Answers sent again.
    pub(super) retransmissions: u64,
}

impl Callees {
    pub(super) fn new(local: SocketAddr, law: Law, run: u32) -> Callees {
        Callees {
            local,
            law,
            run,
            by_id: HashMap::new(),
            calls: Vec::new(),
            waiting: Vec::new(),
            out: Vec::new(),
            refused: 0,
            retransmissions: 0,
        }
    }

    /// Calls taken so far; the next one has this number.
    pub(super) fn taken(&self) -> u32 {
        self.calls.len() as u32
    }

    /// Calls that were not ended.
    pub(super) fn up(&self) -> usize {
        self.calls.iter().filter(|call| !call.over).count()
    }

    /// What has to be sent, and where.
    pub(super) fn take_out(&mut self) -> std::vec::Drain<'_, (SocketAddr, Bytes)> {
        self.out.drain(..)
    }

    /// Sends answers again that were not acknowledged.
    pub(super) fn expire(&mut self, now: u64) {
        let (calls, out, repeated) = (&mut self.calls, &mut self.out, &mut self.retransmissions);
        self.waiting.retain(|number| {
            let call = &mut calls[*number as usize];
            if call.acknowledged || call.over || now >= call.give_up_ns {
                return false;
            }
            if now >= call.again_ns {
                call.interval = (call.interval * 2).min(T2);
                call.again_ns = now + call.interval;
                *repeated += 1;
                out.push((call.to, call.answer.clone()));
            }
            true
        });
    }

    /// A request from the server. `media` says where the audio of a new call, by its number, is wanted.
    pub(super) fn receive(
        &mut self,
        frame: &Frame<'_>,
        from: SocketAddr,
        now: u64,
        media: impl FnOnce(u32) -> SocketAddr,
    ) -> Option<Event> {
        let method = frame.method()?;
        let id = frame.header(HeaderId::CallId)?;
        let known = self.by_id.get(id).copied();
        match (method, known) {
            (Method::Ack, known) => {
                if let Some(call) = known.and_then(|number| self.calls.get_mut(number as usize)) {
                    call.acknowledged = true;
                }
                None
            }
            (Method::Invite, None) => self.invited(frame, id, from, now, media),
            (Method::Invite, Some(number)) => self.invited_again(frame, number, from, now),
            (Method::Bye, Some(number)) => {
                self.reply(frame, from, 200, "OK");
                let call = &mut self.calls[number as usize];
                (!std::mem::replace(&mut call.over, true)).then_some(Event::Ended(number))
            }
            (Method::Bye, None) => {
                self.reply(frame, from, 481, "Call/Transaction Does Not Exist");
                None
            }
            _ => {
                self.reply(frame, from, 200, "OK");
                None
            }
        }
    }

    fn invited(
        &mut self,
        frame: &Frame<'_>,
        id: &[u8],
        from: SocketAddr,
        now: u64,
        media: impl FnOnce(u32) -> SocketAddr,
    ) -> Option<Event> {
        let Ok(remote) = understand(frame.body(), self.law) else {
            self.refused += 1;
            self.reply(frame, from, 488, "Not Acceptable Here");
            return None;
        };
        let number = self.taken();
        let media = media(number);
        let answer = self.answer(frame, number, media);
        self.by_id.insert(id.to_vec(), number);
        self.out.push((from, answer.clone()));
        self.calls.push(Call {
            answer,
            to: from,
            media,
            acknowledged: false,
            over: false,
            again_ns: now + T1,
            interval: T1,
            give_up_ns: now + GIVE_UP,
        });
        self.waiting.push(number);
        Some(Event::Answered(number, remote))
    }

    /// The INVITE again, or one within the call: the same session, with the new transaction's headers.
    fn invited_again(
        &mut self,
        frame: &Frame<'_>,
        number: u32,
        from: SocketAddr,
        now: u64,
    ) -> Option<Event> {
        let call = self.calls.get(number as usize)?;
        let answer = self.answer(frame, number, call.media);
        self.out.push((from, answer.clone()));
        let call = self.calls.get_mut(number as usize)?;
        if call.acknowledged {
            call.acknowledged = false;
            (call.again_ns, call.interval, call.give_up_ns) = (now + T1, T1, now + GIVE_UP);
            self.waiting.push(number);
        }
        call.answer = answer;
        let remote = understand(frame.body(), self.law).ok()?;
        Some(Event::Answered(number, remote))
    }

    fn answer(&self, frame: &Frame<'_>, number: u32, media: SocketAddr) -> Bytes {
        let tag = format!("{:x}{number}", self.run);
        MessageBuilder::response_to(frame, 200, "OK", Some(&tag), None)
            .header("Contact", format!("<sip:load@{}>", self.local))
            .body("application/sdp", describe(media, self.law).as_bytes())
            .finish()
    }

    fn reply(&mut self, frame: &Frame<'_>, from: SocketAddr, status: u16, reason: &str) {
        let response = MessageBuilder::response_to(frame, status, reason, Some("load"), None);
        self.out.push((from, response.finish()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn request(method: &str, session: &str) -> Vec<u8> {
        let builder = MessageBuilder::request(method, "sip:49301@192.0.2.3")
            .header("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx")
            .header("From", "<sip:a@a>;tag=a")
            .header("To", "<sip:49301@192.0.2.3>")
            .header("Call-ID", "one")
            .header("CSeq", format!("1 {method}"));
        let builder = if session.is_empty() {
            builder
        } else {
            builder.body("application/sdp", session.as_bytes())
        };
        builder.finish().to_vec()
    }

    #[test]
    fn a_call_is_answered_until_it_is_acknowledged_and_ends_with_its_bye() {
        let here = "192.0.2.3:5070".parse().unwrap();
        let server: SocketAddr = "192.0.2.9:5060".parse().unwrap();
        let audio: SocketAddr = "192.0.2.9:6000".parse().unwrap();
        let mut callees = Callees::new(here, Law::Mu, 1);
        let hear = |callees: &mut Callees, message: &[u8], ms: u64| {
            let frame = Frame::parse(message).unwrap();
            let event = callees.receive(&frame, server, ms * MS, |call| {
                SocketAddr::new(here.ip(), 4000 + call as u16)
            });
            (
                event,
                callees
                    .take_out()
                    .map(|(_, answer)| Frame::parse(&answer).unwrap().status())
                    .collect::<Vec<_>>(),
            )
        };
        let invite = request("INVITE", &describe(audio, Law::Mu));
        let (event, answers) = hear(&mut callees, &invite, 0);
        assert!(matches!(event, Some(Event::Answered(0, remote)) if remote.audio == audio));
        assert_eq!((answers, callees.up()), (vec![Some(200)], 1));
        (0..40).for_each(|tenth| callees.expire(tenth * 100 * MS));
        assert_eq!(
            (callees.take_out().count(), callees.retransmissions),
            (3, 3)
        );
        assert_eq!(
            hear(&mut callees, &request("ACK", ""), 4000),
            (None, vec![])
        );
        callees.expire(10_000 * MS);
        assert_eq!(callees.take_out().count(), 0);
        assert_eq!(
            hear(&mut callees, &request("BYE", ""), 5000),
            (Some(Event::Ended(0)), vec![Some(200)])
        );
        assert_eq!(
            hear(&mut callees, &request("BYE", ""), 5001),
            (None, vec![Some(200)])
        );
        assert_eq!((callees.taken(), callees.up()), (1, 0));
    }

    #[test]
    fn a_session_that_cannot_be_used_is_refused() {
        let server: SocketAddr = "192.0.2.9:5060".parse().unwrap();
        let mut callees = Callees::new("192.0.2.3:5070".parse().unwrap(), Law::A, 1);
        let invite = request(
            "INVITE",
            &describe("192.0.2.9:6000".parse().unwrap(), Law::Mu),
        );
        let frame = Frame::parse(&invite).unwrap();
        assert_eq!(callees.receive(&frame, server, 0, |_| server), None);
        let status = callees
            .take_out()
            .map(|(_, answer)| Frame::parse(&answer).unwrap().status())
            .next();
        assert_eq!(
            (status, callees.refused, callees.taken()),
            (Some(Some(488)), 1, 0)
        );
    }
}
