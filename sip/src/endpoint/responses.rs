//! Owns the way of a response: its transaction, then whoever waits for it; and what a request without an answer
//! means.

use super::Endpoint;
use super::ask::Heard;
use super::clients::Purpose;
use super::event::{EndCause, Event, LegId};
use super::io::TxId;
use super::legs::State;
use crate::flow::Flow;
use crate::header::HeaderId;
use crate::message::Frame;
use crate::transaction::End;
use std::time::Instant;

impl Endpoint {
    pub(super) fn on_response(&mut self, now: Instant, flow: Flow, frame: &Frame<'_>, status: u16) {
        if let Err(rejection) = frame.validate() {
            return self.dropped(flow, rejection.reason);
        }
        // §8.1.3.3: ours is the only one left, or the response went astray.
        if frame.values(HeaderId::Via).nth(1).is_some() {
            return self.dropped(flow, "response has more than one Via");
        }
        let Some(id) = self.clients.find(frame) else {
            return self.dropped(flow, "response matches no request");
        };
        let outcome = self.clients.answered(&mut self.io, now, id, status, frame);
        let heard = Heard {
            flow,
            status,
            frame,
        };
        if outcome.deliver && self.asked.contains_key(&id) {
            self.asked_response(now, id, heard);
        } else if outcome.deliver {
            self.deliver(now, id, heard);
        }
        if outcome.end.is_some() {
            self.clients.remove(&mut self.io, id);
        }
    }

    fn deliver(&mut self, now: Instant, id: TxId, heard: Heard<'_, '_>) {
        let Some(tx) = self.clients.of(id) else {
            return;
        };
        let (purpose, leg) = (tx.purpose, tx.leg);
        let Heard { status, frame, .. } = heard;
        if status >= 400 && self.retried(now, id, heard) {
            return;
        }
        match (purpose, leg) {
            (Purpose::Invite, leg) => self.invite_response(now, id, leg, status, frame),
            (Purpose::Reinvite, Some(leg)) => self.reinvite_response(now, id, leg, status, frame),
            (Purpose::Reinvite, None) => self.clients.limit_once(&mut self.io, now, id),
            (Purpose::Update, Some(leg)) => self.update_response(now, id, leg, status, frame),
            (Purpose::Refresh, Some(leg)) => self.refresh_response(now, leg, status, frame),
            (Purpose::Refer, Some(leg)) => self.refer_response(now, id, leg, status, frame),
            (Purpose::Notify, Some(leg)) => self.notified(now, id, leg, status),
            (Purpose::Subscription, _) => self.subscriber_told(now, id, status),
            (Purpose::Bye, Some(leg)) if status >= 200 => self.left(now, leg),
            (Purpose::Info, Some(leg)) if status == 481 => self.dialog_gone(now, leg),
            _ => {}
        }
    }

    /// A transaction of ours is over by time or transport.
    pub(super) fn client_ended(&mut self, now: Instant, id: TxId, end: End) {
        let waiting = self.clients.of(id).map(|tx| (tx.purpose, tx.leg));
        if let Some((Purpose::Outside, _)) = waiting {
            self.asked_in_vain(id, if end == End::Transport { 503 } else { 408 });
        }
        if let Some((Purpose::Subscription, _)) = waiting {
            self.subscriber_told(now, id, 408);
        }
        if end != End::Done
            && let Some((purpose, Some(leg))) = waiting
        {
            let transport = end == End::Transport;
            let cause = match transport {
                true => EndCause::TransportFailed,
                false => EndCause::RequestTimeout,
            };
            match purpose {
                Purpose::Invite => self.invite_lost(now, leg, if transport { 503 } else { 408 }),
                Purpose::Reinvite | Purpose::Refresh => {
                    self.reinvite_lost(now, leg, cause);
                }
                Purpose::Update => self.update_lost(now, id, leg, cause),
                Purpose::Bye => self.left(now, leg),
                Purpose::Refer => self.refer_told(leg, id, Some(408), true),
                Purpose::Notify => self.notified(now, id, leg, 408),
                Purpose::Prack
                | Purpose::Info
                | Purpose::Subscription
                | Purpose::Outside
                | Purpose::Alone => {}
            }
        }
        self.clients.remove(&mut self.io, id);
    }

    /// 481 to a request of ours (RFC 3261 §12.2.1.2). While BYE is out, its own answer ends the leg.
    pub(super) fn dialog_gone(&mut self, now: Instant, leg: LegId) {
        if self.state(leg) != Some(State::Leaving) {
            let cause = EndCause::DialogGone;
            self.finish(now, leg, |leg| Event::Ended {
                leg,
                cause,
                message: None,
            });
        }
    }

    /// Our BYE is answered, or nobody is there to answer it: over either way (RFC 3261 §15.1.1).
    fn left(&mut self, now: Instant, leg: LegId) {
        self.finish(now, leg, |leg| Event::Ended {
            leg,
            cause: EndCause::ByeSent,
            message: None,
        });
    }

    fn invite_lost(&mut self, now: Instant, leg: LegId, status: u16) {
        if matches!(self.state(leg), Some(State::Calling | State::Cancelling)) {
            self.finish(now, leg, |leg| Event::Rejected {
                leg,
                status,
                response: None,
            });
        }
    }
}
