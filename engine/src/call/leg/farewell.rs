//! The end of a leg: waiting for it, closing its channel, and its line in the log.
use super::{End, Input, Leg};
use crate::media::{ChannelStats, MediaEvent};
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
                MediaEvent::Closed(stats) => self.last_words = Some(stats),
                _ => continue,
            }
        }
        self.last_words
    }

    /// Closes the channel of a leg beside the call's first one, and says how the leg was.
    pub(in super::super) async fn finish(mut self, end: &End) {
        let s = self.close().await.unwrap_or_default();
        tracing::info!(
            leg = %self.id,
            to = self.settings.label,
            by = end.by,
            cause = end.cause,
            status = end.status,
            q850 = end.q850,
            answered = self.answered,
            codec = self.codec(),
            rtp_in = s.packets_in,
            rtp_out = s.packets_out,
            lost = s.lost,
            jitter_ms = format_args!("{:.1}", s.jitter_ms),
            "leg over"
        );
        if self.answered && s.packets_in == 0 {
            tracing::warn!(to = self.settings.label, expected_from = ?self.remote(), "no audio arrived on this leg: is the path to our RTP port blocked, or our advertised address wrong?");
        }
    }
}
