//! `Idempotency-Key`: a POST that is sent again gets the answer that was given, and is not done twice.
//!
//! Owns the table of keys and answers, by made-up time; knows nothing of HTTP. Kept for a day, in memory: after a restart a key is new.
//! Limits: [`MOST_KEYS`] keys and [`MOST_OCTETS`] octets of answers, the oldest given up first; those being answered are never given up.
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Keys kept.
const MOST_KEYS: usize = 10_000;
/// Octets of answers kept.
const MOST_OCTETS: usize = 16 << 20;
/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// What to do with a request that has a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is new: do it, then [`Keys::done`] or [`Keys::forget`].
    New,
    /// This was answered.
    Before(Answer),
    /// It is being answered.
    InFlight,
    /// It was another request.
    Other,
    /// There is no room: too many are being answered.
    Full,
}

#[derive(Debug)]
struct Entry {
    request: [u8; 32],
    since: Instant,
    answer: Option<Answer>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Keys {
    entries: HashMap<String, Entry>,
    /// Answered ones, oldest first.
    order: VecDeque<String>,
    octets: usize,
    most: usize,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            entries: HashMap::new(),
            order: VecDeque::new(),
            octets: 0,
            most: MOST_KEYS,
        }
    }
}

impl Keys {
    /// A request with that key and digest has come. The key is that of the client together with who it is.
    pub(super) fn begin(&mut self, key: &str, request: [u8; 32], now: Instant) -> Seen {
        self.expire(now);
        if let Some(entry) = self.entries.get(key) {
            return match &entry.answer {
                _ if entry.request != request => Seen::Other,
                Some(answer) => Seen::Before(answer.clone()),
                None => Seen::InFlight,
            };
        }
        while self.entries.len() >= self.most {
            if !self.give_up_oldest() {
                return Seen::Full;
            }
        }
        let entry = Entry {
            request,
            since: now,
            answer: None,
        };
        self.entries.insert(key.to_owned(), entry);
        Seen::New
    }

    /// It was answered.
    pub(super) fn done(&mut self, key: &str, answer: Answer) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if entry.answer.is_none() {
            self.octets += answer.body.len();
            entry.answer = Some(answer);
            self.order.push_back(key.to_owned());
        }
        while self.octets > MOST_OCTETS && self.give_up_oldest() {}
    }

    /// It came to nothing: the same key may be tried again.
    pub(super) fn forget(&mut self, key: &str) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.answer.is_none())
        {
            self.entries.remove(key);
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front().and_then(|key| self.entries.get(key)) {
            if now.saturating_duration_since(oldest.since) < KEPT {
                return;
            }
            self.give_up_oldest();
        }
    }

    fn give_up_oldest(&mut self) -> bool {
        let Some(key) = self.order.pop_front() else {
            return false;
        };
        let answer = self.entries.remove(&key).and_then(|entry| entry.answer);
        self.octets -= answer.map_or(0, |answer| answer.body.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Answer {
        Answer {
            status: 201,
            content_type: "application/json".into(),
            location: None,
            body: body.into(),
        }
    }

    #[test]
    fn a_key_stands_for_one_request_and_its_answer() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        assert_eq!(keys.begin("a", [1; 32], now), Seen::New);
        assert_eq!(keys.begin("a", [1; 32], now), Seen::InFlight);
        assert_eq!(keys.begin("a", [2; 32], now), Seen::Other);
        keys.done("a", answer("x"));
        keys.forget("a"); // too late
        assert_eq!(keys.begin("a", [1; 32], now), Seen::Before(answer("x")));
        assert_eq!(keys.begin("a", [2; 32], now), Seen::Other);
        assert_eq!(keys.begin("a", [1; 32], now + KEPT), Seen::New);
    }

    #[test]
    fn what_came_to_nothing_may_be_tried_again() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        assert_eq!(keys.begin("a", [1; 32], now), Seen::New);
        keys.forget("a");
        assert_eq!(keys.begin("a", [1; 32], now), Seen::New);
    }

    #[test]
    fn the_oldest_answers_go_and_none_that_is_being_made() {
        let (mut keys, now) = (Keys::default(), Instant::now());
        keys.most = 2;
        for key in ["a", "b"] {
            assert_eq!(keys.begin(key, [0; 32], now), Seen::New);
        }
        assert_eq!(keys.begin("c", [0; 32], now), Seen::Full);
        keys.done("b", answer("x"));
        assert_eq!(keys.begin("c", [0; 32], now), Seen::New);
        assert_eq!(keys.begin("a", [0; 32], now), Seen::InFlight);
        let (mut keys, large) = (Keys::default(), answer(&"x".repeat(MOST_OCTETS / 2 + 1)));
        for key in ["a", "b"] {
            assert_eq!(keys.begin(key, [0; 32], now), Seen::New);
            keys.done(key, large.clone());
        }
        assert_eq!(keys.begin("a", [0; 32], now), Seen::New);
        assert_eq!(keys.octets, large.body.len());
    }
}
