//! What the program of a call did: the verbs in their order, where in the program they came from, and how many keys were pressed. Never which.
//!
//! Limit: the first [`MAX_STEPS`] steps are named, the others counted. Their room is taken with the first one: a program that loops does not make a
//! long call larger and larger.
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Steps that a record names.
const MAX_STEPS: usize = 100;
/// Longest name of a place in a program, in characters.
const MAX_PLACE: usize = 64;

/// Steps of a program that loops are few, each taken many times: it is named once.
#[derive(Debug)]
struct Step {
    /// Since the call began; 49 days at most.
    ms: u32,
    /// Which of the steps that are named.
    named: u16,
    keys: u16,
}

/// A place in a program, and the verb that it wants.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    at: Box<str>,
    verb: &'static str,
}

#[derive(Debug, Default)]
struct Pages {
    names: Vec<Name>,
    steps: Vec<Step>,
    left_out: u64,
    keys: u32,
}

impl Pages {
    /// Which name it is, a new one if need be.
    fn name(&mut self, at: &str, verb: &'static str) -> u16 {
        let length = at.char_indices().nth(MAX_PLACE).map(|(end, _)| end);
        let at = &at[..length.unwrap_or(at.len())];
        let known = |name: &Name| *name.at == *at && name.verb == verb;
        let place = self.names.iter().position(known).unwrap_or_else(|| {
            let at = at.into();
            self.names.push(Name { at, verb });
            self.names.len() - 1
        });
        // There are no more names than steps.
        place as u16
    }
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
        let ms = now.saturating_duration_since(self.began).as_millis();
        let named = pages.name(at, verb);
        if pages.steps.is_empty() {
            pages.steps.reserve_exact(MAX_STEPS);
        }
        pages.steps.push(Step {
            ms: u32::try_from(ms).unwrap_or(u32::MAX),
            named,
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
            step.keys = step.keys.saturating_add(1);
        }
    }

    /// The steps, how many more there were, and the number of keys.
    pub(super) fn as_json(&self) -> (Value, u64, u32) {
        let pages = self.pages();
        let steps = pages.steps.iter().map(|step| {
            let Name { at, verb } = &pages.names[usize::from(step.named)];
            json!({"ms": step.ms, "at": at, "verb": verb, "keys": step.keys})
        });
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

    /// Ten minutes of a menu that is asked again and again.
    #[test]
    fn a_loop_takes_no_more_room_than_its_first_step() {
        let began = Instant::now();
        let diary = Diary::begin(began);
        diary.step(began, "menu", "gather");
        let room = diary.pages().steps.capacity();
        let long = "ü".repeat(MAX_PLACE + 9);
        for n in 1..600 {
            let (at, verb) = [("menu", "gather"), ("menu", "play"), (&*long, "play")][n % 3];
            diary.step(began + Duration::from_secs(n as u64), at, verb);
        }
        let (steps, ..) = diary.as_json();
        assert_eq!(
            steps[3],
            json!({"ms": 3000, "at": "menu", "verb": "gather", "keys": 0})
        );
        assert_eq!(steps[4]["verb"], "play");
        assert_eq!(steps[5]["at"], "ü".repeat(MAX_PLACE));
        let pages = diary.pages();
        assert_eq!((pages.names.len(), pages.steps.capacity()), (3, room));
        assert!(room * size_of::<Step>() < 1024);
    }
}
