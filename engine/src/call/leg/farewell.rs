//! The end of a leg: waiting for it, closing its channel, and its line in the log.
use super::{End, Input, Leg};
use crate::call::cdr::LegRecord;
use crate::media::{ChannelStats, MediaEvent};
use crate::stream::StreamEnd;
use std::time::Duration;

/// After hanging up, how long the far end may take to agree. The endpoint is done in twice 64·T1 (no ACK, then no answer to
/// BYE), 64 s with the default T1; this is the net below it.
const FAREWELL: Duration = Duration::from_secs(130);

impl Leg {
    /// Waits for the leg's end, however long that takes.
    pub(in super::super) async fn ended(&mut self) -> End {
        loop {
            if let Input::Ended(end) = self.next().await {
                return end;
            }
        }
    }

    /// Waits for the leg's end after it was hung up.
    pub(in super::super) async fn farewell(&mut self) -> End {
        match tokio::time::timeout(FAREWELL, self.ended()).await {
            Ok(end) => end,
            Err(_) => {
                tracing::error!("the SIP side did not report this leg's end; giving it up");
                End::by("us", "lost")
            }
        }
    }

    /// Closes the channel and returns its last words: then its recordings are complete and its ports are free.
    pub(in super::super) async fn close(&mut self) -> Option<ChannelStats> {
        self.channel = None;
        while self.last_words.is_none() {
            match self.media.recv().await? {
                MediaEvent::Closed(stats) => self.last_words = Some(*stats),
                done @ MediaEvent::RecordDone(_) => _ = self.media_event(done),
                _ => continue,
            }
        }
        self.last_words
    }

    /// Closes the channel, says how the leg was, and writes its record.
    pub(in super::super) async fn finish(&mut self, end: &End) -> Option<ChannelStats> {
        let stats = self.close().await;
        if self.stream.is_some() {
            self.stream_over(&StreamEnd::CallOver);
        }
        let s = stats.unwrap_or_default();
        tracing::info!(
            leg = %self.id,
            party = self.settings.label,
            by = end.by,
            cause = end.cause,
            status = end.status,
            q850 = end.q850,
            answered = self.answered,
            codec = self.codec(),
            rtp_in = s.packets_in,
            rtp_out = s.packets_out,
            lost = s.lost,
            late = s.late,
            jitter_ms = format_args!("{:.1}", s.jitter_ms),
            repeated_keys = self.duplicates(),
            "leg over"
        );
        self.diagnose(&s, false);
        self.record(end, &s);
        self.say_ended(end, &s);
        stats
    }

    fn record(&self, end: &End, stats: &ChannelStats) {
        let call = &self.settings.call;
        let records = &call.calls.records;
        if !records.wanted() {
            return;
        }
        let record = LegRecord {
            call: &call.info.id,
            leg: self.id.number(),
            direction: self.direction,
            label: &self.settings.label,
            sip_call_id: self.sip_call_id.as_deref(),
            times: &self.times,
            end,
            codec: self.negotiation.agreed().map(|_| self.codec()),
            remote: self.remote(),
            heard_from: self.first_rtp,
            tones: self.tones_heard(),
            answered_by: self.answered_by(),
            stats,
        };
        records.write(record.value(self.times.now()));
    }
}
