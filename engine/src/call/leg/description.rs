//! The session descriptions of a leg: what the far end's offers and answers change, and the stream the channel is told of.
use super::{Leg, hangup_reason};
use crate::media::{Command as MediaCommand, StreamParams};
use crate::net::sip::Command;
use trunkline_sip::Message;
use trunkline_sip::offer_answer::{Direction as MediaDirection, Encoding};

impl Leg {
    /// RFC 3261 §14.2: a re-INVITE is answered by what we can do, or refused and nothing changes.
    pub(super) fn reinvite(&mut self, request: &Message) {
        let offer = session_description(request);
        match self.negotiation.change(&offer) {
            Ok(description) => {
                self.sip.send(Command::AnswerReinvite(self.id, description));
                if offer.is_empty() {
                    return; // the change comes with the ACK
                }
                self.apply_stream();
                let direction = self.negotiation.agreed().map(|agreed| agreed.direction);
                tracing::info!(
                    ?direction,
                    codec = self.codec(),
                    "media changed by the far end"
                );
            }
            Err((status, reason)) => {
                tracing::info!(
                    status,
                    reason,
                    rule = "re-invite-refused",
                    "re-INVITE refused; the call goes on as it was"
                );
                self.sip
                    .send(Command::RejectReinvite(self.id, status, reason));
            }
        }
    }

    pub(super) fn take_answer(&mut self, body: &[u8]) {
        match self.negotiation.take_answer(body) {
            Ok(true) => self.apply_stream(),
            Ok(false) => {}
            Err(reason) => {
                tracing::warn!(
                    reason,
                    rule = "answer-unusable",
                    "the far end's SDP answer cannot be used: hanging up"
                );
                self.hang_up(
                    "bad-answer",
                    Some(hangup_reason("SIP", 488, "answer-unusable")),
                );
            }
        }
    }

    pub(super) fn apply_stream(&self) {
        let Some(n) = self.negotiation.agreed() else {
            return;
        };
        let (send, receive) = match n.direction {
            MediaDirection::SendRecv => (true, true),
            MediaDirection::SendOnly => (true, false),
            MediaDirection::RecvOnly => (false, true),
            MediaDirection::Inactive => (false, false),
        };
        let params = StreamParams {
            encoding: match n.encoding {
                Encoding::Pcmu => crate::media::Encoding::Pcmu,
                Encoding::Pcma => crate::media::Encoding::Pcma,
            },
            payload_send: n.payload_send,
            payload_recv: n.payload_recv,
            telephone_event_send: n.telephone_event_send,
            telephone_event_recv: n.telephone_event_recv,
            remote_rtp: n.remote_rtp,
            remote_rtcp: n.remote_rtcp,
            rtcp_mux: n.rtcp_mux,
            send,
            receive,
            ptime_ms: n.ptime_ms,
            log_id: self.settings.call.clone(),
        };
        if let Err(error) = self.media(MediaCommand::Stream(params)) {
            tracing::error!(%error, "the media shard takes no commands");
        }
        let inband = self.settings.dtmf.inband();
        let _ = self.media(MediaCommand::Detect { inband });
    }
}

/// The SDP a message carries, in a multipart body too; empty where there is none.
pub(super) fn session_description(message: &Message) -> Vec<u8> {
    message
        .frame()
        .session_description()
        .unwrap_or_default()
        .to_vec()
}
