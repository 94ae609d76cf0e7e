//! Owns INFO within a dialog (RFC 6086 without packages), both ways.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{Event, InfoId, LegId};
use super::io::TxId;
use super::legs::{MAX_INFOS, State};
use super::screening::Refusal;
use crate::method::Method;
use crate::wire::{ACCEPT_INFO, is_fit_for_wire, phrase, reason_value};
use std::time::Instant;

impl Endpoint {
    /// Sends INFO on an answered call. Its answer is not reported; 481 ends the leg. Nothing happens on a leg that is
    /// not answered, or beyond `max_transactions`.
    pub fn info(&mut self, now: Instant, leg: LegId, content_type: &str, body: &[u8]) {
        if self.is_full() || !is_fit_for_wire(content_type) {
            return;
        }
        let branch = self.io.identity.token();
        let Some(usage) = self
            .legs
            .of(leg)
            .filter(|leg| leg.state == State::Confirmed)
        else {
            return;
        };
        let Some(dialog) = &mut usage.dialog else {
            return;
        };
        let (builder, flow) = dialog.request("INFO", None, &self.config.advertise, &branch);
        let bytes = builder
            .header("User-Agent", &self.config.server_name)
            .body(content_type, body)
            .finish();
        let send = Send {
            method: Method::Info,
            branch,
            bytes,
            flow,
            purpose: Purpose::Info,
            leg: Some(leg),
        };
        self.clients.open(&mut self.io, now, send);
    }

    /// Answers an INFO of the peer: 200 to 699.
    pub fn respond_info(&mut self, now: Instant, leg: LegId, info: InfoId, status: u16) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let Some(at) = usage.infos.iter().position(|tx| tx.0 == info.0) else {
            return;
        };
        let tx = usage.infos.swap_remove(at);
        let status = if (200..700).contains(&status) {
            status
        } else {
            500
        };
        let Some(entry) = self.servers.of(tx) else {
            return;
        };
        let mut builder = entry
            .response(status, phrase(status))
            .header("Server", &self.config.server_name);
        if status >= 300 {
            builder = builder.header("Reason", reason_value(status, phrase(status)));
        }
        if status == 415 {
            builder = builder.header("Accept", ACCEPT_INFO); // §21.4.13 demands the list
        }
        self.servers
            .respond(&mut self.io, now, tx, status, builder.finish());
    }

    pub(super) fn on_info(&mut self, now: Instant, leg: LegId, tx: TxId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let Some(request) = self.servers.of(tx).map(|tx| tx.request.clone()) else {
            return;
        };
        if usage.state == State::Leaving {
            return self.refuse_tx(now, tx, &Refusal::new(481, "call ends"));
        }
        // Those the application let expire are forgotten.
        usage.infos.retain(|info| self.servers.of(*info).is_some());
        if usage.infos.len() >= MAX_INFOS {
            return self.refuse_tx(
                now,
                tx,
                &Refusal::with(500, "too many INFO in work", "Retry-After", "1"),
            );
        }
        usage.infos.push(tx);
        self.io.tell(Event::Info {
            leg,
            id: InfoId(tx.0),
            request,
        });
    }
}
