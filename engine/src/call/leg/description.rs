//! The session descriptions of a leg: what the far end's offers and answers change, and the stream the channel is told of.
use super::{Input, Leg, Unanswered, hangup_reason};
use crate::call::Refusal;
use crate::call::events::EventKind;
use crate::config::Opus;
use crate::media::{ClockRate, Command as MediaCommand, OpusSettings, SrtpParams, StreamParams};
use crate::net::sip::Command;
use crate::rtp::srtp;
use crate::rtp::stun::IceLite;
use serde_json::json;
use trunkline_sip::Message;
use trunkline_sip::offer_answer::{
    Direction as MediaDirection, Encoding, NegotiatedSrtp, OpusFormat,
};
use trunkline_sip::sdes::{self, SrtpKey};

impl Leg {
    /// Takes the INVITE's offer, `None` where it has none (RFC 3264 §5: then ours is the answer), and prepares our description.
    ///
    /// # Errors
    /// The offer cannot be taken: SIP status and why.
    pub(in super::super) fn take_offer(&mut self, offer: Option<&[u8]>) -> Result<(), Refusal> {
        let description = match offer {
            None => self.negotiation.offer(),
            Some(offer) => self.negotiation.answer(offer)?,
        };
        self.unanswered = Some(Unanswered {
            offer: offer.unwrap_or_default().to_vec(),
            description,
            sent: false,
        });
        Ok(())
    }

    /// Answers an inbound call: 200 with the answer to its offer, the codec `prefer` first where that is still open, or with an
    /// offer of ours where it had none. Nothing happens on a leg that is answered.
    pub(in super::super) fn answer(&mut self, prefer: Option<Encoding>) {
        self.prefer(prefer);
        let Some(unanswered) = self.unanswered.take() else {
            return;
        };
        self.answered = true;
        self.times.answer();
        // The caller may speak as soon as it has the answer: we listen before.
        self.apply_stream();
        self.sip
            .send(Command::Answer(self.id, unanswered.description, Vec::new()));
        tracing::info!(codec = self.codec(), srtp = self.suite(), "answered");
        self.say_answered();
    }

    /// Lets an unanswered caller hear us: 183 with our answer, once. Whether it can (a caller that wants our offer cannot be
    /// given it in a response that may get lost, RFC 3261 §13.2.1).
    pub(in super::super) fn early_media(&mut self, prefer: Option<Encoding>) -> bool {
        self.prefer(prefer);
        let id = self.id;
        let Some(unanswered) = self.unanswered.as_mut().filter(|u| !u.offer.is_empty()) else {
            return false;
        };
        if !unanswered.sent {
            self.times.ringing();
            unanswered.sent = true;
            let description = Some(unanswered.description.clone());
            let progress = Command::Provisional(
                id,
                183,
                "Session Progress".to_owned(),
                description,
                Vec::new(),
            );
            self.apply_stream();
            self.sip.send(progress);
            self.say_ringing(183);
        }
        true
    }

    /// Puts a codec first in an answer that is not sent yet.
    pub(in super::super) fn prefer(&mut self, prefer: Option<Encoding>) {
        let (Some(unanswered), Some(prefer)) = (&mut self.unanswered, prefer) else {
            return;
        };
        if unanswered.sent || unanswered.offer.is_empty() {
            return;
        }
        self.negotiation.prefer(prefer);
        if let Ok(description) = self.negotiation.answer(&unanswered.offer) {
            unanswered.description = description;
        }
    }

    pub(in super::super) fn provisional(&mut self, status: u16, reason: &'static str) {
        self.times.ringing();
        self.say_ringing(status);
        self.sip.send(Command::Provisional(
            self.id,
            status,
            reason.to_owned(),
            None,
            Vec::new(),
        ));
    }

    /// The codec agreed on.
    pub(in super::super) fn encoding(&self) -> Option<Encoding> {
        self.negotiation.agreed().map(|agreed| agreed.encoding)
    }

    /// What encrypts the audio, for the log.
    pub(super) fn suite(&self) -> String {
        let srtp = self.negotiation.agreed().and_then(|n| n.srtp.as_ref());
        srtp.map_or("none".to_owned(), |srtp| srtp.send.suite().to_string())
    }

    /// Whether the far end has put us on hold: it does not want to hear us.
    pub(in super::super) fn is_held(&self) -> bool {
        self.negotiation.agreed().is_some_and(|agreed| agreed.held)
    }

    /// RFC 3261 §14.2: a re-INVITE is answered by what we can do, or refused and nothing changes.
    pub(super) fn reinvite(&mut self, request: &Message) -> Option<Input> {
        let offer = session_description(request);
        match self.negotiation.change(&offer) {
            Ok(description) => {
                let late = offer.is_empty(); // the change comes with the ACK
                if !late {
                    self.apply_stream();
                }
                self.sip.send(Command::AnswerReinvite(self.id, description));
                if late {
                    return None;
                }
                let direction = self.negotiation.agreed().map(|agreed| agreed.direction);
                tracing::info!(
                    ?direction,
                    codec = self.codec(),
                    "media changed by the far end"
                );
                self.say(
                    EventKind::LegChanged,
                    json!({"codec": self.codec(), "held": self.is_held()}),
                );
                Some(Input::MediaChanged)
            }
            Err(refusal) => {
                tracing::info!(
                    status = refusal.status,
                    reason = refusal.text,
                    why = refusal.rule,
                    rule = "re-invite-refused",
                    "re-INVITE refused; the call goes on as it was"
                );
                self.sip.send(Command::RejectReinvite(
                    self.id,
                    refusal.status,
                    refusal.text,
                ));
                None
            }
        }
    }

    /// The far end answered a refresh of the session timer; it may have moved meanwhile.
    pub(super) fn refreshed(&mut self, response: &Message) -> Option<Input> {
        match self
            .negotiation
            .take_refresh(&session_description(response))
        {
            Ok(true) => {
                self.apply_stream();
                tracing::info!(remote = ?self.remote(), "media changed by the far end's answer to a refresh");
                Some(Input::MediaChanged)
            }
            Ok(false) => None,
            Err(reason) => {
                tracing::warn!(
                    reason,
                    rule = "refresh-answer-unusable",
                    "the far end's answer to a refresh cannot be used; the call goes on as it was"
                );
                None
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

    pub(super) fn apply_stream(&mut self) {
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
            encoding: spoken(n.encoding),
            payload_send: n.payload_send,
            payload_recv: n.payload_recv,
            also: n
                .also
                .iter()
                .map(|(encoding, number)| (*number, spoken(*encoding)))
                .collect(),
            opus: opus_settings(&n.opus, self.settings.call.in_force.settings.opus),
            telephone_event_clock: clock(n.telephone_event_clock),
            telephone_event_send: n.telephone_event_send,
            telephone_event_recv: n.telephone_event_recv,
            comfort_noise: n.comfort_noise,
            remote_rtp: n.remote_rtp,
            remote_rtcp: n.remote_rtcp,
            rtcp_mux: n.rtcp_mux,
            send,
            receive,
            ptime_ms: n.ptime_ms,
            srtp: n.srtp.as_ref().map(|srtp| Box::new(srtp_params(srtp))),
            ice: self.negotiation.ice().map(|ours| IceLite {
                ufrag: ours.ufrag.clone(),
                pwd: ours.pwd.clone(),
            }),
            log_id: self.settings.call.info.id.clone(),
        };
        if let Err(error) = self.media(MediaCommand::Stream(Box::new(params))) {
            tracing::error!(%error, "the media shard takes no commands");
        }
        if let Some(profile) = self.settings.dtmf_profile {
            let _ = self.media(MediaCommand::Profile(profile));
        }
        let inband = self.settings.dtmf.inband();
        let _ = self.media(MediaCommand::Detect { inband });
    }
}

/// The agreed keys in the media side's words.
fn srtp_params(agreed: &NegotiatedSrtp) -> SrtpParams {
    let key = |key: &SrtpKey| {
        let suite = match key.suite() {
            sdes::Suite::AesCm128HmacSha1_80 => srtp::Suite::AesCm128HmacSha1_80,
            sdes::Suite::AesCm128HmacSha1_32 => srtp::Suite::AesCm128HmacSha1_32,
            sdes::Suite::Aes256CmHmacSha1_80 => srtp::Suite::Aes256CmHmacSha1_80,
            sdes::Suite::Aes256CmHmacSha1_32 => srtp::Suite::Aes256CmHmacSha1_32,
        };
        srtp::MasterKey::new(suite, key.key_and_salt())
            .expect("a negotiated key has the length of its suite")
    };
    SrtpParams {
        send: key(&agreed.send),
        receive: key(&agreed.receive),
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

/// A negotiated codec as the media engine knows it.
pub(super) fn spoken(encoding: Encoding) -> crate::media::Encoding {
    match encoding {
        Encoding::Pcmu => crate::media::Encoding::Pcmu,
        Encoding::Pcma => crate::media::Encoding::Pcma,
        Encoding::G722 => crate::media::Encoding::G722,
        Encoding::Opus => crate::media::Encoding::Opus,
        Encoding::L16Narrow => crate::media::Encoding::L16Narrow,
        Encoding::L16Wide => crate::media::Encoding::L16Wide,
    }
}

/// How to code Opus for a peer: our settings within what it asks for (RFC 7587 section 7.1).
fn opus_settings(theirs: &OpusFormat, ours: Opus) -> OpusSettings {
    // What it cannot play need not be coded: 8 kHz of audio is worth about 16 kbit/s.
    let narrow = theirs.max_playback_hz < 12_000;
    let most_bps = if narrow { 16_000 } else { u32::MAX };
    OpusSettings {
        complexity: ours.complexity,
        bitrate_bps: ours
            .bitrate_bps
            .min(most_bps)
            .min(theirs.max_average_bps.unwrap_or(u32::MAX)),
        fec: theirs.fec,
        dtx: theirs.dtx,
        narrow,
        ..OpusSettings::default()
    }
}

/// A negotiated clock rate as the media engine knows it.
fn clock(hz: u32) -> ClockRate {
    match hz {
        48_000 => ClockRate::HZ_48000,
        16_000 => ClockRate::HZ_16000,
        _ => ClockRate::HZ_8000,
    }
}
