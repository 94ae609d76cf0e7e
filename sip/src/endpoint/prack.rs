//! Owns PRACK as client (RFC 3262 §4): which provisional responses of a fork count, and their acknowledgement.
//!
//! A PRACK goes out by itself, except for an offer in a provisional response: that one waits for the application.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{LegError, LegId};
use super::uas::with_sdp;
use crate::header::HeaderId;
use crate::lex::decimal;
use crate::message::Frame;
use crate::method::Method;
use std::time::Instant;

/// What the number of a provisional response means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Not a reliable one.
    Unreliable,
    /// The next one, with its number.
    Next(u32),
    /// One that came before, or one before which another is missing: it does not count.
    OutOfOrder,
}

/// Judges a response after the `last` number of its fork (§4).
pub(super) fn arrival(last: Option<u32>, response: &Frame<'_>) -> Arrival {
    let number = response.header(HeaderId::Rseq).and_then(decimal);
    match (response.lists(HeaderId::Require, "100rel"), number) {
        (true, Some(number)) if last.is_none_or(|last| number == last.wrapping_add(1)) => {
            Arrival::Next(number)
        }
        (true, Some(_)) => Arrival::OutOfOrder,
        _ => Arrival::Unreliable,
    }
}

impl Endpoint {
    /// A reliable provisional response of a fork is taken: acknowledged, or left to the application when it holds an
    /// offer. `false`: it does not count and must not be looked at.
    pub(super) fn take_provisional(
        &mut self,
        now: Instant,
        leg: LegId,
        fork: u8,
        response: &Frame<'_>,
    ) -> bool {
        let Some(usage) = self.legs.of(leg) else {
            return false;
        };
        let offered = usage.offered;
        let Some(early) = usage.early.get_mut(usize::from(fork)) else {
            return true;
        };
        let number = match arrival(early.last_rseq, response) {
            Arrival::Unreliable => return true,
            Arrival::OutOfOrder => return false,
            Arrival::Next(number) => number,
        };
        early.last_rseq = Some(number);
        let described = response.session_description().is_some();
        if described && !offered && !early.exchanged {
            early.owed = Some(number);
        } else {
            early.exchanged |= described;
            self.send_prack(now, leg, fork, number, None);
        }
        true
    }

    /// Answers the offer in a reliable provisional response of `fork`.
    ///
    /// # Errors
    /// The leg is gone, or no offer of that fork waits for an answer.
    pub fn prack(
        &mut self,
        now: Instant,
        leg: LegId,
        fork: u8,
        sdp: &[u8],
    ) -> Result<(), LegError> {
        let usage = self.legs.of(leg).ok_or(LegError::UnknownLeg)?;
        let early = usage.early.get_mut(usize::from(fork));
        let early = early.ok_or(LegError::WrongState)?;
        let number = early.owed.take().ok_or(LegError::WrongState)?;
        early.exchanged = true;
        usage.last_sdp = Some(bytes::Bytes::copy_from_slice(sdp));
        self.send_prack(now, leg, fork, number, Some(sdp));
        Ok(())
    }

    fn send_prack(&mut self, now: Instant, leg: LegId, fork: u8, number: u32, sdp: Option<&[u8]>) {
        let branch = self.io.identity.token();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let (invite, tx) = (usage.invite_cseq, usage.invite);
        let Some(early) = usage.early.get_mut(usize::from(fork)) else {
            return;
        };
        let dialog = &mut early.dialog;
        let (builder, flow) = dialog.request("PRACK", None, &self.config.advertise, &branch);
        self.clients.spend(tx, dialog.local_cseq());
        let builder = builder
            .header("RAck", format!("{number} {invite} INVITE"))
            .header("User-Agent", &self.config.server_name);
        let send = Send {
            method: Method::Prack,
            branch,
            bytes: with_sdp(builder, sdp).finish(),
            flow,
            purpose: Purpose::Prack,
            leg: Some(leg),
        };
        self.clients.open(&mut self.io, now, send);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_one_by_one() {
        use Arrival::*;
        let table = [
            (None, "Require: 100rel\r\nRSeq: 7", Next(7)),
            (Some(7), "Require: 100rel\r\nRSeq: 8", Next(8)),
            (Some(7), "Require: 100rel\r\nRSeq: 7", OutOfOrder),
            (Some(7), "Require: 100rel\r\nRSeq: 6", OutOfOrder),
            (Some(7), "Require: 100rel\r\nRSeq: 9", OutOfOrder),
            (Some(7), "RSeq: 8", Unreliable),
            (Some(7), "Require: 100rel", Unreliable),
            (Some(7), "Require: 100rel\r\nRSeq: x", Unreliable),
        ];
        for (last, lines, expected) in table {
            let text = format!("SIP/2.0 183 X\r\n{lines}\r\n\r\n");
            let frame = Frame::parse(text.as_bytes()).unwrap();
            assert_eq!(arrival(last, &frame), expected, "{last:?} {lines}");
        }
    }
}
