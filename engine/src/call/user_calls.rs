//! Calls that endpoints make and take at the same time, held against their `max_calls`.
//!
//! Limits: one entry for each endpoint of the configuration that has a limit.
use crate::config::Endpoint;
use crate::route::{Place, Refusal};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module's text.
#[derive(Default)]
pub(super) struct UserCalls(Mutex<HashMap<String, Arc<AtomicUsize>>>);

/// One call of a user; given back when it is dropped.
struct Taken(Arc<AtomicUsize>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UserCalls {
    /// A place for one more call; `None`: this endpoint has no limit.
    ///
    /// # Errors
    /// The limit is reached: 486 with the rule `endpoint-max-calls`.
    pub(super) fn take(&self, endpoint: &Endpoint) -> Result<Option<Place>, Refusal> {
        let Some(limit) = endpoint.max_calls else {
            return Ok(None);
        };
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = users.entry(endpoint.user.clone()).or_default();
        // Under the lock: two cannot take the last place.
        if calls.load(Ordering::Relaxed) >= limit {
            let text = format!("endpoint {} has its max_calls of {limit}", endpoint.user);
            return Err(Refusal::new(486, "endpoint-max-calls", text));
        }
        calls.fetch_add(1, Ordering::Relaxed);
        Ok(Some(Place::new(Taken(calls.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_place_is_given_back_when_its_call_is_over() {
        let text = "[[endpoint]]\nuser = \"ann\"\npassword = \"x\"\nmax_calls = 2\n\
            [[endpoint]]\nuser = \"bob\"\npassword = \"x\"\n";
        let config = Config::from_str("t.toml", text).unwrap();
        let (ann, bob) = (
            config.endpoint("ann").unwrap(),
            config.endpoint("bob").unwrap(),
        );
        let users = UserCalls::default();
        let first = users.take(ann).unwrap();
        let second = users.take(ann).unwrap();
        // All phones that ring for one call hold the same place.
        let clone = second.clone();
        assert_eq!(users.take(ann).unwrap_err().rule, "endpoint-max-calls");
        drop(second);
        assert!(users.take(ann).is_err());
        drop(clone);
        assert!(users.take(ann).unwrap().is_some());
        assert!(users.take(bob).unwrap().is_none());
        drop(first);
    }
}
