//! What the far end and the media channel report to a leg, and what that means to the executor.
use super::description::session_description;
use super::{End, Input, Leg, hangup_reason};
use crate::call::Refusal;
use crate::call::arbiter::Heard;
use crate::call::causes::{self, Causes};
use crate::call::events::EventKind;
use crate::call::recorded::RecordedFile;
use crate::call::text_message::{self, InCall};
use crate::call::transfer::Referral;
use crate::call::verb::DigitSource;
use crate::media::{ChannelStats, MediaEvent};
use crate::stream::protocol;
use serde_json::json;
use std::time::{Duration, Instant};
use trunkline_sip::{EndCause, Event, Message, Origin, ReferId, RequestId};

/// Q.850.
const NORMAL_CLEARING: u8 = 16;

impl Leg {
    pub(super) fn sip_event(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Confirmed { ack, .. } => {
                self.take_answer(&session_description(&ack));
                self.confirmed = true;
                self.catch_up();
                Some(Input::Confirmed)
            }
            Event::Trying { .. } => Some(Input::Trying),
            Event::Progress { response, .. } => {
                let early = self
                    .negotiation
                    .take_early_answer(&session_description(&response));
                if early {
                    self.apply_stream();
                }
                let status = response.frame().status().unwrap_or(0);
                if status >= 180 {
                    self.times.ringing();
                    self.say_ringing(status);
                }
                self.note_call_id(&response);
                Some(Input::Progress { status, early })
            }
            Event::Answered { response, .. } => {
                self.answered = true;
                self.confirmed = true;
                self.times.answer();
                self.note_call_id(&response);
                self.take_answer(&session_description(&response));
                self.say_answered();
                Some(Input::Answered)
            }
            Event::Reinvite { request, .. } => self.reinvite(&request),
            Event::ReinviteAnswered { response, .. } => self.reinvite_answered(&response),
            Event::ReinviteRejected { status, .. } => {
                self.reinvite_rejected(status);
                None
            }
            Event::Info { id, request, .. } => self.info(id, &request),
            Event::Request { id, request, .. } => self.message(id, &request),
            Event::Refer {
                id,
                request,
                origin,
                ..
            } => self.referred(id, &request, origin),
            Event::ReferProgress { status, done, .. } => {
                Some(Input::ReferProgress { status, done })
            }
            Event::Cancelled { .. } => Some(self.end(End {
                status: Some(487),
                q850: Some(NORMAL_CLEARING),
                ..End::by("caller", "cancel")
            })),
            Event::Rejected {
                status, response, ..
            } => {
                // Without a response nobody has refused: the endpoint made the status up.
                let (by, cause) = match (self.hung_up, &response, status) {
                    (Some(cause), ..) => ("us", cause),
                    (None, Some(_), _) => ("callee", "rejected"),
                    (None, None, 408) => ("network", "no-response"),
                    (None, None, _) => ("network", "transport"),
                };
                let response = response.as_ref().map(|response| response.frame());
                let said = response.as_ref().and_then(|frame| Causes::of(frame).q850);
                let after = response.as_ref().and_then(|frame| frame.retry_after());
                Some(self.end(End {
                    by,
                    cause,
                    status: Some(status),
                    q850: said.or_else(|| causes::q850_of(status)),
                    retry_after: after.map(|after| Duration::from_secs(after.seconds.into())),
                }))
            }
            Event::Ended { cause, message, .. } => {
                let (by, word) = self.ended_by(cause);
                let causes = message.map(|bye| Causes::of(&bye.frame()));
                let said = causes.and_then(Causes::as_q850);
                let clearing = matches!(cause, EndCause::ByeReceived | EndCause::ByeSent);
                let (status, told) = self.told;
                Some(self.end(End {
                    // What we said first is what counts.
                    q850: told.or(said).or(clearing.then_some(NORMAL_CLEARING)),
                    status: status.filter(|_| !self.answered),
                    ..End::by(by, word)
                }))
            }
            // Not for a leg, or answers to what this leg never sends.
            Event::Invite { .. }
            | Event::Prack { .. }
            | Event::Response { .. }
            | Event::Refused { .. }
            | Event::SubscriptionEnded { .. }
            | Event::Dropped { .. } => None,
        }
    }

    /// A text message is for the program; that of a stranger is for nobody.
    fn message(&mut self, id: RequestId, request: &Message) -> Option<Input> {
        let message = InCall::read(id, request, &self.party, &self.identity.number);
        message
            .map_err(|refusal| {
                let counters = &self.settings.call.calls.counters;
                text_message::refuse(&self.sip, counters, id, &refusal);
            })
            .ok()
            .map(Input::Message)
    }

    /// A REFER is taken only where somebody is there to be transferred.
    fn referred(&mut self, id: ReferId, request: &Message, origin: Origin) -> Option<Input> {
        let referral = Referral::of(id, request, origin).filter(|_| self.transferable);
        if referral.is_none() {
            let text = "there is nobody to transfer".to_owned();
            self.refuse_refer(id, &Refusal::new(403, "transfer-alone", text));
        }
        referral.map(Input::Refer)
    }

    /// The Call-ID of an outbound leg is the endpoint's; it shows in what the far end sends.
    pub(in super::super) fn note_call_id(&mut self, message: &Message) {
        if self.sip_call_id.is_none() {
            let id = message.frame().call_id().unwrap_or_default().to_vec();
            self.sip_call_id = Some(String::from_utf8_lossy(&id).into_owned());
        }
    }

    /// Who ended the leg and why. What we asked for first is what counts.
    pub(super) fn ended_by(&self, cause: EndCause) -> (&'static str, &'static str) {
        if let Some(asked) = self.hung_up {
            return ("us", asked);
        }
        match cause {
            EndCause::ByeReceived => ("far-end", "bye"),
            EndCause::DialogGone => ("far-end", "dialog-gone"),
            EndCause::ByeSent => ("us", "bye"),
            EndCause::RejectSent => ("us", "rejected"),
            EndCause::AnswerTimeout => ("us", "answer-timeout"),
            EndCause::AckTimeout => ("network", "no-ack"),
            EndCause::PrackTimeout => ("network", "no-prack"),
            EndCause::SessionExpired => ("network", "session-expired"),
            EndCause::RequestTimeout => ("network", "request-timeout"),
            EndCause::TransportFailed => ("network", "transport"),
        }
    }

    /// The channel broke under the call (a defect of ours, or the engine is shut down): nothing can be heard any more.
    pub(super) fn media_lost(&mut self, stats: ChannelStats) -> Option<Input> {
        self.last_words = Some(stats);
        tracing::error!(rule = "media-lost", "the media channel is gone: hanging up");
        self.hang_up("media-lost", Some(hangup_reason("SIP", 500, "media-lost")));
        None
    }

    pub(super) fn media_event(&mut self, event: MediaEvent) -> Option<Input> {
        match event {
            MediaEvent::PlayDone {
                id: super::feed::UNTOLD,
            } => {
                self.fed_list_done();
                None
            }
            MediaEvent::PlayDone { id } => {
                self.played_at = Some(Instant::now());
                self.doing.played(id);
                self.settings
                    .call
                    .tell(EventKind::PlayFinished, || json!({ "play": id }));
                Some(Input::PlayDone(id))
            }
            MediaEvent::PlayRefused { id } => {
                tracing::warn!(
                    rule = "play-queue-full",
                    "audio is not played: too much waits to be played already"
                );
                Some(Input::PlayDone(id))
            }
            MediaEvent::KeyBegin { source, .. } if !self.hears(source.into()) => None,
            MediaEvent::KeyBegin { .. } | MediaEvent::KeyEnd { .. } => {
                match self.arbiter.hear(&event) {
                    Heard::Nothing => None,
                    Heard::Down(digit, source) => Some(Input::KeyDown(digit, source)),
                    Heard::Press(key) => Some(Input::Key(key)),
                }
            }
            MediaEvent::RecordDone(done) => {
                let (id, duration_ms, lost_ms) = (done.id, done.duration_ms, done.lost_ms);
                let end = done.end.clone();
                let file = RecordedFile::of(*done, None);
                let call = &self.settings.call;
                let said = file.as_json();
                if call.recorded.note(file) {
                    call.tell(EventKind::RecordingFinished, || said);
                }
                Some(Input::RecordDone {
                    id,
                    duration_ms,
                    end,
                    lost_ms,
                })
            }
            MediaEvent::SpeechBegin => {
                tracing::debug!("speech begins");
                self.stream_heard(protocol::Heard::SpeechBegin);
                self.speaking = true;
                Some(Input::Speech(true))
            }
            MediaEvent::SpeechEnd { duration_ms } => {
                tracing::debug!(duration_ms, "speech ends");
                self.stream_heard(protocol::Heard::SpeechEnd { duration_ms });
                self.speaking = false;
                Some(Input::Speech(false))
            }
            MediaEvent::Beep { hz, duration_ms } => {
                tracing::info!(hz, duration_ms, "beep");
                self.stream_heard(protocol::Heard::Beep { hz, duration_ms });
                Some(Input::Beep)
            }
            MediaEvent::Tone(heard) => self.tone_heard(heard),
            MediaEvent::AnsweringBegins => Some(Input::AnswererBegins),
            MediaEvent::Answering(finding) => self.answerer_found(finding),
            MediaEvent::DigitsSent { id } => self.digits_sent(id),
            MediaEvent::Latched { remote, .. } => {
                if self.first_rtp.is_none() {
                    tracing::info!(from = %remote, "audio arrives");
                }
                self.first_rtp = Some(remote);
                None
            }
            MediaEvent::RtpTimeout => {
                tracing::warn!(
                    rule = "rtp-timeout",
                    "no audio from the far end for too long: hanging up; see [media] rtp_timeout_s"
                );
                self.hang_up(
                    "rtp-timeout",
                    Some(hangup_reason("Q.850", 41, "rtp-timeout")),
                );
                None
            }
            MediaEvent::Unheard(stats) => {
                self.diagnose_early(&stats);
                None
            }
            MediaEvent::Closed(stats) => self.media_lost(*stats),
        }
    }

    pub(super) fn hears(&self, source: DigitSource) -> bool {
        let mode = self.settings.dtmf;
        match source {
            DigitSource::InBand => mode.inband(),
            DigitSource::Rfc4733 => mode.telephone_event(),
            DigitSource::Info => mode.info(),
        }
    }
}
