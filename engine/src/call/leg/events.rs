//! What the far end and the media channel report to a leg, and what that means to the executor.
use super::description::session_description;
use super::{Input, Leg, hangup_reason};
use crate::call::verb::DigitSource;
use crate::media::{ChannelStats, KeySource, MediaEvent};
use std::time::Instant;
use trunkline_sip::{EndCause, Event};

impl Leg {
    pub(super) fn sip_event(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Confirmed { ack, .. } => {
                self.take_answer(&session_description(&ack));
                self.confirmed = true;
                Some(Input::Confirmed)
            }
            Event::Progress { response, .. } => {
                if self
                    .negotiation
                    .take_early_answer(&session_description(&response))
                {
                    self.apply_stream();
                }
                Some(Input::Progress(response.frame().status().unwrap_or(0)))
            }
            Event::Answered { response, .. } => {
                self.answered = true;
                self.confirmed = true;
                self.take_answer(&session_description(&response));
                Some(Input::Answered)
            }
            Event::Reinvite { request, .. } => {
                self.reinvite(&request);
                None
            }
            Event::Info { id, request, .. } => self.info(id, &request),
            Event::Cancelled { .. } => Some(self.end("caller", "cancel", Some(487))),
            Event::Rejected { status, .. } => {
                let (by, cause) = match self.hung_up {
                    Some(cause) => ("us", cause),
                    None => ("callee", "rejected"),
                };
                Some(self.end(by, cause, Some(status)))
            }
            Event::Ended { cause, .. } => {
                let (by, cause) = self.ended_by(cause);
                Some(self.end(by, cause, None))
            }
            // Not for a leg, or answers to what this leg never sends.
            Event::Invite { .. }
            | Event::ReinviteAnswered { .. }
            | Event::ReinviteRejected { .. }
            | Event::Prack { .. }
            | Event::Refer { .. }
            | Event::ReferProgress { .. }
            | Event::Refused { .. }
            | Event::Dropped { .. } => None,
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
            MediaEvent::PlayDone { id } => {
                self.played_at = Some(Instant::now());
                Some(Input::PlayDone(id))
            }
            MediaEvent::KeyBegin { key, source, .. } => {
                let source = source_of(source);
                let new = self.hears(source) && self.arbiter.begin(Instant::now(), key, source);
                new.then_some(Input::KeyDown(key))
            }
            MediaEvent::KeyEnd {
                key,
                source,
                duration_ms,
            } => self
                .arbiter
                .end(Instant::now(), key, source_of(source), duration_ms)
                .map(Input::Key),
            MediaEvent::RecordDone {
                id,
                duration_ms,
                end,
                lost_ms,
            } => Some(Input::RecordDone {
                id,
                duration_ms,
                end,
                lost_ms,
            }),
            MediaEvent::DigitsSent { id } => Some(Input::DigitsSent(id)),
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
            MediaEvent::Closed(stats) => self.media_lost(stats),
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

fn source_of(source: KeySource) -> DigitSource {
    match source {
        KeySource::InBand => DigitSource::InBand,
        KeySource::Rfc4733 => DigitSource::Rfc4733,
    }
}
