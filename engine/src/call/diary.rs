//! What the program of a call did: the verbs in their order, where in the program they came from, and how many keys were pressed. Never which.
//!
//! Limit: the first [`MAX_STEPS`] steps are named, the others counted.
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Steps that a record names.
const MAX_STEPS: usize = 100;
/// Longest name of a place in a program, in characters.
const MAX_PLACE: usize = 64;

#[derive(Debug)]
struct Step {
    /// Since the call began.
    ms: u64,
    at: String,
    verb: &'static str,
    keys: u32,
}

#[derive(Debug, Default)]
struct Pages {
    steps: Vec<Step>,
    left_out: u64,
    keys: u32,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Diary {
    began: Instant,
    pages: Mutex<Pages>,
}

impl Diary {
    pub(super) fn begin(now: Instant) -> Diary {
        Diary {
            began: now,
            pages: Mutex::default(),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The program wants this.
    pub(super) fn step(&self, now: Instant, at: &str, verb: &'static str) {
        let mut pages = self.pages();
        if pages.steps.len() == MAX_STEPS {
            pages.left_out += 1;
            return;
        }
        let ms = now.saturating_duration_since(self.began).as_millis() as u64;
        let at = at.chars().take(MAX_PLACE).collect();
        pages.steps.push(Step {
            ms,
            at,
            verb,
            keys: 0,
        });
    }

    /// A key was pressed.
    pub(super) fn key(&self) {
        let mut pages = self.pages();
        pages.keys += 1;
        if pages.left_out == 0
            && let Some(step) = pages.steps.last_mut()
        {
            step.keys += 1;
        }
    }

    /// The steps, how many more there were, and the number of keys.
    pub(super) fn as_json(&self) -> (Value, u64, u32) {
        let pages = self.pages();
        let steps = pages.steps.iter().map(
            |step| json!({"ms": step.ms, "at": step.at, "verb": step.verb, "keys": step.keys}),
        );
        (steps.collect(), pages.left_out, pages.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn steps_and_keys_are_counted_and_the_first_are_named() {
        let began = Instant::now();
        let diary = Diary::begin(began);
        diary.key();
        for n in 0..MAX_STEPS as u64 + 3 {
            diary.step(
                began + Duration::from_millis(n * 10),
                &format!("node {n}"),
                "gather",
            );
            diary.key();
        }
        let (steps, left_out, keys) = diary.as_json();
        assert_eq!(steps.as_array().unwrap().len(), MAX_STEPS);
        assert_eq!(
            steps[2],
            json!({"ms": 20, "at": "node 2", "verb": "gather", "keys": 1})
        );
        assert_eq!((left_out, keys), (3, MAX_STEPS as u32 + 4));
        assert_eq!(steps[MAX_STEPS - 1]["keys"], 1);
    }
}
