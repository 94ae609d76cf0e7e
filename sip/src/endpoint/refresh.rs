//! Owns the refreshes of session timers (RFC 4028 §10): when they go out, what their failures mean, and the end of a
//! session that nobody refreshed. What is agreed on is owned by `session`.
//!
//! UPDATE where the peer allows it, else a re-INVITE with the last description. A refresh that meets 408 or 481 ends the
//! call; after any other failure it is tried again until the session expires.

use super::Endpoint;
use super::event::{EndCause, Event, LegId};
use super::io::LegTimer;
use super::legs::{Outgoing, State};
use super::reinvite::Offer;
use super::session::Headers;
use crate::message::Frame;
use bytes::Bytes;
use std::time::{Duration, Instant};

/// The shortest time until a failed refresh is tried again.
const RETRY: Duration = Duration::from_secs(5);

impl Endpoint {
    /// A 2xx to a request of ours that describes the session: its timer, and our description, which is in force now.
    pub(super) fn session_answered(
        &mut self,
        now: Instant,
        leg: LegId,
        response: &Frame<'_>,
        sdp: Option<Bytes>,
    ) {
        if let Some(usage) = self.legs.of(leg) {
            if sdp.is_some() {
                usage.last_sdp = sdp;
            }
            usage.session.answered(response);
        }
        self.run_session(now, leg);
    }

    /// A request of the peer that gets a 2xx: what the 2xx says about the timer. Nothing before the call is answered.
    pub(super) fn session_asked(
        &mut self,
        now: Instant,
        leg: LegId,
        request: &Frame<'_>,
    ) -> Headers {
        let answered = [State::AwaitingAck, State::Confirmed];
        let Some(usage) = self.legs.of(leg) else {
            return Vec::new();
        };
        if !answered.contains(&usage.state) {
            return Vec::new();
        }
        let headers = usage.session.asked(request);
        self.run_session(now, leg);
        headers
    }

    /// Starts the timers of what is agreed on.
    fn run_session(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        usage.disarm(&mut self.io, LegTimer::Refresh);
        usage.disarm(&mut self.io, LegTimer::SessionLimit);
        let Some(agreed) = usage.session.agreed else {
            return;
        };
        if let Some(after) = agreed.refresh() {
            usage.arm(&mut self.io, now, leg, LegTimer::Refresh, after);
        }
        let limit = agreed.expiry();
        usage.arm(&mut self.io, now, leg, LegTimer::SessionLimit, limit);
    }

    /// It is time to refresh.
    pub(super) fn refresh(&mut self, now: Instant, leg: LegId) {
        let full = self.is_full();
        let Some(usage) = self
            .legs
            .of(leg)
            .filter(|leg| leg.state == State::Confirmed || leg.state == State::AwaitingAck)
        else {
            return;
        };
        let idle = usage.state == State::Confirmed
            && usage.incoming.is_none()
            && usage.success.is_none()
            && matches!(usage.outgoing, Outgoing::None);
        if full || !idle {
            return self.refresh_later(now, leg, Duration::from_secs(2));
        }
        match usage.last_sdp.clone().filter(|_| !usage.peer_updates) {
            Some(sdp) => self.send_reinvite(now, leg, Offer::refresh(sdp)),
            None => self.send_update(now, leg, None),
        }
    }

    /// The answer to an UPDATE that only refreshes.
    pub(super) fn refresh_response(
        &mut self,
        now: Instant,
        leg: LegId,
        status: u16,
        frame: &Frame<'_>,
    ) {
        match status {
            0..=199 => {}
            200..=299 => {
                let dialog = self.legs.of(leg).and_then(|leg| leg.dialog.as_mut());
                if let Some(dialog) = dialog {
                    dialog.refresh(frame);
                }
                self.session_answered(now, leg, frame, None);
            }
            481 => self.dialog_gone(now, leg),
            408 => self.reinvite_lost(now, leg, EndCause::RequestTimeout),
            405 | 501 => {
                let described = self.legs.of(leg).is_some_and(|usage| {
                    usage.peer_updates = false;
                    usage.last_sdp.is_some()
                });
                match described {
                    true => self.refresh(now, leg),
                    // Nothing to offer in a re-INVITE: the same again would be refused as fast as it is sent.
                    false => self.refresh_failed(now, leg, status),
                }
            }
            _ => self.refresh_failed(now, leg, status),
        }
    }

    /// A refresh was refused: again, until the session expires.
    pub(super) fn refresh_failed(&mut self, now: Instant, leg: LegId, status: u16) {
        let drawn = Duration::from_millis(u64::from(210 + self.io.identity.below(191)) * 10);
        let agreed = self.legs.of(leg).and_then(|leg| leg.session.agreed);
        let interval = agreed.map_or(0, |agreed| agreed.interval_s);
        let after = match status {
            491 => drawn, // as the owner of a Call-ID after glare, §14.1 of RFC 3261
            _ => Duration::from_secs(u64::from(interval) / 8).max(RETRY),
        };
        self.refresh_later(now, leg, after);
    }

    fn refresh_later(&mut self, now: Instant, leg: LegId, after: Duration) {
        if let Some(usage) = self.legs.of(leg).filter(|leg| leg.session.agreed.is_some()) {
            usage.arm(&mut self.io, now, leg, LegTimer::Refresh, after);
        }
    }

    /// Nobody refreshed in time: BYE (§10).
    pub(super) fn session_expired(&mut self, now: Instant, leg: LegId) {
        if !matches!(self.state(leg), Some(State::Confirmed | State::AwaitingAck)) {
            return;
        }
        self.bye_alone(now, leg, "SIP;cause=408;text=\"session expired\"");
        self.finish(now, leg, |leg| Event::Ended {
            leg,
            cause: EndCause::SessionExpired,
            message: None,
        });
    }
}
