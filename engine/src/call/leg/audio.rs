//! Finds out why a leg's audio does not flow: gathers the facts, has them explained, says so in the log once, and keeps it for the doctor.
use super::Leg;
use crate::call::diagnosis::{self, Facts};
use crate::call::troubled::TroubledLeg;
use crate::media::ChannelStats;
use std::time::SystemTime;
use trunkline_dsp::progress::Kind;
use trunkline_sip::offer_answer::Direction;

impl Leg {
    /// Nothing has come for some seconds. Before the answer that is how it should be.
    pub(super) fn diagnose_early(&mut self, stats: &ChannelStats) {
        if self.answered {
            self.diagnose(stats, true);
        }
    }

    /// Explains what is wrong with the audio, if anything is. `up`: the call goes on.
    pub(super) fn diagnose(&mut self, stats: &ChannelStats, up: bool) {
        let Some(facts) = self.facts(stats) else {
            return;
        };
        let call = &self.settings.call;
        let (troubled, number) = (&call.calls.troubled, self.id.number());
        let findings = diagnosis::explain(&facts);
        if !up {
            troubled.examined();
            if findings.is_empty() && !self.explained.is_empty() {
                troubled.forget(&call.info.id, number);
            }
        }
        let Some(first) = findings.first() else {
            return;
        };
        let causes: Vec<_> = findings.iter().map(|finding| finding.cause).collect();
        let known = &self.explained;
        if causes.iter().any(|cause| !known.contains(cause)) {
            let sentences: Vec<_> = findings.iter().map(|found| &*found.sentence).collect();
            tracing::warn!(leg = %self.id, party = self.settings.label, rule = first.cause, "one-way audio: {}", sentences.join("; also: "));
        }
        troubled.keep(TroubledLeg {
            call: call.info.id.clone(),
            leg: number,
            party: self.settings.label.clone(),
            at: SystemTime::now(),
            up,
            findings,
            facts,
        });
        self.explained = causes;
    }

    /// `None`: there was nothing to hear, because the leg was not answered or nothing was agreed.
    fn facts(&self, stats: &ChannelStats) -> Option<Facts> {
        let answered = self.times.answered?;
        let agreed = self.negotiation.agreed()?;
        let calls = &self.settings.call.calls;
        Some(Facts {
            answered_for: self
                .times
                .now()
                .duration_since(answered)
                .unwrap_or_default(),
            ours: self.negotiation.ours(),
            ports: calls.media.config().ports.clone(),
            theirs: agreed.remote_rtp,
            signalling: self.settings.signalling,
            heard_from: self.first_rtp,
            we_send: matches!(agreed.direction, Direction::SendRecv | Direction::SendOnly),
            they_send: matches!(agreed.direction, Direction::SendRecv | Direction::RecvOnly),
            codec: self.codec(),
            payload_type: agreed.payload_recv,
            tone: self.refusal_heard().map(Kind::name),
            encrypted: agreed.srtp.is_some(),
            stats: *stats,
        })
    }
}
