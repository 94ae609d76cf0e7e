//! How much may go through a trunk, and where to: calls at the same time, calls per second, allowed and denied destinations.
//! These are the guards against toll fraud; what they cannot judge, they refuse.
//!
//! Time is an argument. A [`Permit`] holds one call's place until it is dropped. Limits: the beginnings of at most `max_cps` calls
//! are remembered, none where it is not set.
use super::Refused;
use crate::config::TrunkLimits;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What callers are told to wait when all places are taken: nobody knows when a call ends.
const CALLS_RETRY: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);

/// The calls of one trunk, and what they may be.
#[derive(Debug)]
pub(super) struct Meter {
    trunk: Arc<str>,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    limits: TrunkLimits,
    calls: usize,
    /// When calls began, those within the last second.
    begun: VecDeque<Instant>,
    /// Calls per prefix of `limits.prefix_max_calls`, by its text, so that a reload mixes nothing up. Only entries above 0.
    by_prefix: Vec<(String, usize)>,
}

/// The place of one call. Dropping it gives the place back.
#[derive(Debug)]
#[must_use = "dropping a permit gives the place of the call back"]
pub struct Permit {
    meter: Arc<Meter>,
    prefix: Option<String>,
}

impl Meter {
    /// Of the trunk with this name, without limits.
    pub(super) fn new(trunk: Arc<str>) -> Arc<Self> {
        Arc::new(Meter {
            trunk,
            used: Mutex::default(),
        })
    }

    /// New limits from now on; calls in progress keep their places.
    pub(super) fn set(&self, limits: TrunkLimits) {
        self.lock().limits = limits;
    }

    /// Calls in progress.
    pub(super) fn calls(&self) -> usize {
        self.lock().calls
    }

    /// Takes a place for a call to `number`, which is normalised: `+` and digits where that is possible.
    ///
    /// # Errors
    /// The rule that is against it.
    pub(super) fn take(self: &Arc<Self>, now: Instant, number: &str) -> Result<Permit, Refused> {
        let mut used = self.lock();
        self.judge(&used.limits, number)?;
        let prefix = self.prefix_place(&used, number)?;
        self.count(&mut used, now)?;
        if let Some(prefix) = &prefix {
            match used.by_prefix.iter_mut().find(|(known, _)| known == prefix) {
                Some((_, calls)) => *calls += 1,
                None => used.by_prefix.push((prefix.clone(), 1)),
            }
        }
        Ok(self.permit(&mut used, now, prefix))
    }

    /// Takes a place for a call that came in from the trunk: destinations are not judged.
    ///
    /// # Errors
    /// The rule that is against it.
    pub(super) fn take_inbound(self: &Arc<Self>, now: Instant) -> Result<Permit, Refused> {
        let mut used = self.lock();
        self.count(&mut used, now)?;
        Ok(self.permit(&mut used, now, None))
    }

    fn permit(self: &Arc<Self>, used: &mut Used, now: Instant, prefix: Option<String>) -> Permit {
        used.calls += 1;
        if used.limits.max_cps.is_some() {
            used.begun.push_back(now);
        }
        Permit {
            meter: self.clone(),
            prefix,
        }
    }

    /// Whether the destination is allowed.
    fn judge(&self, limits: &TrunkLimits, number: &str) -> Result<(), Refused> {
        let trunk = &self.trunk;
        let begins = |prefix: &&String| number.starts_with(prefix.as_str());
        if let Some(denied) = limits.denied_prefixes.iter().find(begins) {
            return Err(Refused::new(
                403,
                "trunk-prefix-denied",
                format!(
                    "trunk {trunk}: {number} begins with {denied}, which its denied_prefixes refuse"
                ),
            ));
        }
        // Nor does "+" open +1~900: the far end may drop what is no digit.
        let digits = number.strip_prefix('+').unwrap_or("-");
        let is_international = digits.bytes().all(|octet| octet.is_ascii_digit());
        let mut denied = limits.denied_prefixes.iter();
        let is_judged = denied.any(|prefix| prefix.starts_with('+'));
        let is_disguised = is_judged && number.starts_with('+') && !is_international;
        if !is_disguised && limits.allowed_prefixes.iter().any(|prefix| begins(&prefix)) {
            return Ok(());
        }
        // +1900 would be dialled as 1900 or 001900 as well: what is no international number fits no prefix, and still costs.
        if !is_international && is_judged {
            let text = format!(
                "trunk {trunk}: {number} is no international number (+...), so its denied_prefixes cannot judge it; set the trunk's country_code, or name it in allowed_prefixes (\"+\" there allows all international numbers)"
            );
            return Err(Refused::new(403, "trunk-number-not-international", text));
        }
        if limits.allowed_prefixes.is_empty() {
            return Ok(());
        }
        let text = format!(
            "trunk {trunk}: {number} begins with none of its allowed_prefixes ({})",
            limits.allowed_prefixes.join(", ")
        );
        Err(Refused::new(403, "trunk-prefix-not-allowed", text))
    }

    /// The prefix whose places are counted for this number: the longest that fits.
    fn prefix_place(&self, used: &Used, number: &str) -> Result<Option<String>, Refused> {
        let limited = used.limits.prefix_max_calls.iter();
        let fitting = limited.filter(|limit| number.starts_with(&limit.prefix));
        let Some(limit) = fitting.max_by_key(|limit| limit.prefix.len()) else {
            return Ok(None);
        };
        let mut counted = used.by_prefix.iter();
        let calls = counted
            .find(|(known, _)| *known == limit.prefix)
            .map_or(0, |(_, calls)| *calls);
        if calls >= limit.calls {
            let text = format!(
                "trunk {}: {calls} calls to {} are in progress and its prefix_max_calls allows {}",
                self.trunk, limit.prefix, limit.calls
            );
            return Err(Refused::new(503, "trunk-prefix-max-calls", text).after(CALLS_RETRY));
        }
        Ok(Some(limit.prefix.clone()))
    }

    fn count(&self, used: &mut Used, now: Instant) -> Result<(), Refused> {
        let (trunk, limits) = (&self.trunk, &used.limits);
        if let Some(most) = limits.max_calls.filter(|most| used.calls >= *most) {
            let text = format!(
                "trunk {trunk}: {} calls are in progress and its max_calls is {most}",
                used.calls
            );
            return Err(Refused::new(503, "trunk-max-calls", text).after(CALLS_RETRY));
        }
        let expired = |at: &Instant| now.saturating_duration_since(*at) >= SECOND;
        while used.begun.front().is_some_and(expired) {
            used.begun.pop_front();
        }
        let Some(most) = limits.max_cps else {
            used.begun.clear();
            return Ok(());
        };
        if used.begun.len() >= most as usize {
            let text = format!(
                "trunk {trunk}: {} calls began within the last second and its max_cps is {most}",
                used.begun.len()
            );
            return Err(Refused::new(503, "trunk-max-cps", text).after(SECOND));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        // Nothing that panics runs under the lock; the figures are right in any case.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut used = self.meter.lock();
        used.calls = used.calls.saturating_sub(1);
        let Some(prefix) = &self.prefix else { return };
        let entry = used.by_prefix.iter().position(|(known, _)| known == prefix);
        if let Some(at) = entry {
            used.by_prefix[at].1 -= 1;
            if used.by_prefix[at].1 == 0 {
                used.by_prefix.swap_remove(at);
            }
        }
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
