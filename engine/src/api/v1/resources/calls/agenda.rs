//! Places scheduled calls when their time has come.
//!
//! The clock may be put forward or back at any moment: it is looked at every few seconds, and a call is placed where its time has come by the
//! clock as it is then, is missed where that was too long ago, and is placed once at most. What cannot be reached for the moment is tried
//! again for as long as the call may be late.
//! Limits: [`AT_ONCE`] calls are placed at a time.
use super::super::super::problem::Problem;
use super::super::super::{V1, take};
use super::place::{CallAsked, Prepared};
use crate::call::control::OrderError;
use crate::call::events::EventKind;
use crate::store::{Scheduled, ScheduledState, StoreError, ms_of, stamp, time_of};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

/// Calls placed at a time.
const AT_ONCE: usize = 16;
/// How long the clock is trusted.
const NAP: Duration = Duration::from_secs(5);
/// Until it is tried again to reach somebody who cannot be reached for the moment.
const AGAIN: Duration = Duration::from_secs(5);

impl V1 {
    /// Places scheduled calls until the process ends.
    pub async fn keep_agenda(self: Arc<Self>) {
        let reason = "the server was stopped while it placed the call";
        let cut = loop {
            match self.parts.store.interrupt_scheduled(reason).await {
                Ok(cut) => break cut,
                Err(_) => tokio::time::sleep(NAP).await,
            }
        };
        for of in &cut {
            self.tell_failed(&of.id, reason);
        }
        loop {
            // The store has told what went wrong.
            let nap = self.place_due().await.unwrap_or(NAP);
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = self.agenda.notified() => {}
            }
        }
    }

    /// Places what is due; returns when to look again.
    async fn place_due(self: &Arc<Self>) -> Result<Duration, StoreError> {
        if self.parts.calls.is_draining() {
            // They wait for the next process.
            return Ok(NAP);
        }
        let now = SystemTime::now();
        let (due, next) = self.parts.store.claim_scheduled(now, AT_ONCE).await?;
        let mut placing = JoinSet::new();
        for of in due {
            let v1 = self.clone();
            placing.spawn(async move { v1.place_scheduled(of, now).await });
        }
        // One that panicked stays claimed, and is told of at the next start.
        while placing.join_next().await.is_some() {}
        Ok(nap(next, SystemTime::now()))
    }

    async fn place_scheduled(&self, of: Scheduled, now: SystemTime) {
        let late_ms = lateness(&of, now);
        // The clock is looked at a little late itself.
        if late_ms / 1000 > of.late_ms / 1000 {
            return self.missed(&of, late_ms).await;
        }
        let prepared = take::read::<CallAsked>(of.body.as_bytes()).and_then(|a| a.prepare(self));
        match self.try_to_place(prepared).await {
            Ok(call) => {
                self.settle(&of, ScheduledState::Placed, Some(call.clone()), None)
                    .await;
                self.parts.calls.events.tell(
                    EventKind::SchedulePlaced,
                    Some(&call),
                    || json!({"scheduled": of.id, "late_s": late_ms / 1000}),
                );
            }
            Err((_, true)) if late_ms + (AGAIN.as_millis() as i64) <= of.late_ms => {
                let (store, due) = (&self.parts.store, now + AGAIN);
                // It has not rung: where the store takes nothing now it waits for that.
                while store.put_off_scheduled(&of.id, due).await.is_err() {
                    tokio::time::sleep(AGAIN).await;
                }
            }
            Err((reason, _)) => {
                tracing::warn!(
                    scheduled = of.id,
                    rule = "scheduled-failed",
                    reason,
                    "a scheduled call could not be placed"
                );
                self.tell_failed(&of.id, &reason);
                self.settle(&of, ScheduledState::Failed, None, Some(reason))
                    .await;
            }
        }
    }

    /// The call's id; or why not, and whether it may go better soon.
    async fn try_to_place(
        &self,
        prepared: Result<Prepared, Problem>,
    ) -> Result<String, (String, bool)> {
        let prepared = prepared.map_err(|problem| (problem.detail, false))?;
        // Of two the first may have rung already.
        let is_one = matches!(prepared, Prepared::One(_));
        let placed = prepared.place(self).await;
        placed.map(|(call, _)| call).map_err(|error| {
            let soon = is_one && matches!(&error, OrderError::Refused(refusal) if matches!(refusal.status, 480 | 503));
            (error.to_string(), soon)
        })
    }

    async fn missed(&self, of: &Scheduled, late_ms: i64) {
        let at = stamp(time_of(of.at_ms));
        tracing::warn!(
            scheduled = of.id,
            at,
            late_s = late_ms / 1000,
            rule = "scheduled-missed",
            "a scheduled call is not placed: its time is over"
        );
        self.parts.calls.events.tell(
            EventKind::ScheduleMissed,
            None,
            || json!({"scheduled": of.id, "at": at, "late_s": late_ms / 1000}),
        );
        self.settle(of, ScheduledState::Missed, None, None).await;
    }

    fn tell_failed(&self, id: &str, reason: &str) {
        self.parts.calls.events.tell(
            EventKind::ScheduleFailed,
            None,
            || json!({"scheduled": id, "reason": reason}),
        );
    }

    async fn settle(
        &self,
        of: &Scheduled,
        state: ScheduledState,
        call: Option<String>,
        reason: Option<String>,
    ) {
        let (store, id) = (self.parts.store.clone(), of.id.clone());
        let settle = async move || {
            let settled = store.settle_scheduled(&id, state, call.clone(), reason.clone());
            settled.await.is_ok()
        };
        // Until the store takes it the call stays claimed: it is never placed again.
        if !settle().await {
            tokio::spawn(async move {
                tokio::time::sleep(AGAIN).await;
                while !settle().await {
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
    }
}

/// How much too late it is, in ms.
fn lateness(of: &Scheduled, now: SystemTime) -> i64 {
    ms_of(now).saturating_sub(of.at_ms).max(0)
}

/// How long until the next is due, at most [`NAP`].
fn nap(next_ms: Option<i64>, now: SystemTime) -> Duration {
    let until = next_ms.map(|next| next.saturating_sub(ms_of(now)).max(0) as u64);
    until.map_or(NAP, Duration::from_millis).min(NAP)
}

/// A moment that a call may be scheduled for: not longer ago than it may be late, at most a year ahead.
pub(super) fn timely(at_ms: i64, late_ms: i64, now: SystemTime) -> Result<(), Problem> {
    const YEAR_MS: i64 = 366 * 24 * 3600 * 1000;
    let ahead = at_ms.saturating_sub(ms_of(now));
    if (-late_ms..=YEAR_MS).contains(&ahead) {
        return Ok(());
    }
    Err(Problem::invalid("at", "is a moment to come, within a year"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_looked_at_however_far_the_next_one_is() {
        let now = time_of(1_000_000);
        for (next, wait) in [
            (None, NAP),
            (Some(900_000), Duration::ZERO),
            (Some(1_000_250), Duration::from_millis(250)),
            (Some(i64::MAX), NAP),
        ] {
            assert_eq!(nap(next, now), wait, "{next:?}");
        }
    }

    #[test]
    fn the_past_and_the_far_future_are_refused() {
        let now = time_of(1_000_000_000);
        for (at_ms, good) in [
            (1_000_000_000 - 300_000, true),
            (1_000_000_000 - 300_001, false),
            (1_000_000_000 + 3_600_000, true),
            (1_000_000_000 + 367 * 86_400_000, false),
            (i64::MIN, false),
            (i64::MAX, false),
        ] {
            assert_eq!(timely(at_ms, 300_000, now).is_ok(), good, "{at_ms}");
        }
    }
}
