//! Hours that somebody set by hand while a server runs, by a caller's key or over the control API. Owns what is set for which schedule of
//! which flow; it counts before the hours of the file and before its `override`, until it is `auto` again.
//!
//! Limit: [`MAX_SET`] schedules; what is set beyond is refused.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The most schedules that are set at a time.
pub const MAX_SET: usize = 10_000;

/// What is set by hand for every flow of a server.
#[derive(Debug, Default)]
pub struct HoursByHand {
    /// Open or closed, by flow and schedule.
    set: Mutex<BTreeMap<(String, String), bool>>,
    /// Told after every change.
    pub changed: Notify,
}

impl HoursByHand {
    fn inside(&self) -> MutexGuard<'_, BTreeMap<(String, String), bool>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is set for a schedule: open or closed; `None`: the hours count.
    pub fn of(&self, flow: &str, schedule: &str) -> Option<bool> {
        let key = (flow.to_owned(), schedule.to_owned());
        self.inside().get(&key).copied()
    }

    /// Sets it; `None`: the hours count again. Returns whether there was room.
    pub fn set(&self, flow: &str, schedule: &str, to: Option<bool>) -> bool {
        let key = (flow.to_owned(), schedule.to_owned());
        {
            let mut set = self.inside();
            match to {
                None => _ = set.remove(&key),
                Some(_) if set.len() >= MAX_SET && !set.contains_key(&key) => return false,
                Some(open) => _ = set.insert(key, open),
            }
        }
        self.changed.notify_one();
        true
    }

    /// All that is set: flow, schedule, open or closed.
    pub fn all(&self) -> Vec<(String, String, bool)> {
        let set = self.inside();
        let row = |((flow, schedule), open): (&(String, String), &bool)| {
            (flow.clone(), schedule.clone(), *open)
        };
        set.iter().map(row).collect()
    }

    /// What it says of one flow.
    pub fn of_flow(self: &Arc<Self>, flow: &str) -> Hand {
        Hand::Server {
            hours: self.clone(),
            flow: flow.into(),
        }
    }
}

/// What is set by hand, as a call's program sees it.
#[derive(Debug, Clone)]
pub enum Hand {
    /// By the calls of a server, for the flow of that source.
    Server {
        /// All flows.
        hours: Arc<HoursByHand>,
        /// This one.
        flow: Arc<str>,
    },
    /// By this call alone, as in a rehearsal.
    Own(BTreeMap<String, bool>),
}

impl Default for Hand {
    fn default() -> Self {
        Self::Own(BTreeMap::new())
    }
}

impl Hand {
    /// As [`HoursByHand::of`].
    pub fn of(&self, schedule: &str) -> Option<bool> {
        match self {
            Self::Server { hours, flow } => hours.of(flow, schedule),
            Self::Own(set) => set.get(schedule).copied(),
        }
    }

    /// As [`HoursByHand::set`].
    pub fn set(&mut self, schedule: &str, to: Option<bool>) {
        match (self, to) {
            (Self::Server { hours, flow }, to) => {
                if !hours.set(flow, schedule, to) {
                    tracing::warn!(
                        rule = "hours-by-hand-full",
                        flow = &**flow,
                        schedule,
                        "too many schedules are set by hand: this one goes on by its hours"
                    );
                }
            }
            (Self::Own(set), Some(open)) => _ = set.insert(schedule.to_owned(), open),
            (Self::Own(set), None) => _ = set.remove(schedule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_counts_for_one_schedule_of_one_flow_until_it_is_taken_back() {
        let hours = Arc::<HoursByHand>::default();
        let (mut front, back) = (hours.of_flow("front"), hours.of_flow("back"));
        front.set("office", Some(false));
        assert_eq!((front.of("office"), front.of("shop")), (Some(false), None));
        assert_eq!(back.of("office"), None);
        let row = ("front".to_owned(), "office".to_owned(), false);
        assert_eq!(hours.all(), [row]);
        front.set("office", None);
        assert!(hours.all().is_empty());
        for n in 0..MAX_SET {
            assert!(hours.set("f", &n.to_string(), Some(true)));
        }
        assert!(!hours.set("f", "more", Some(true)) && hours.set("f", "7", Some(false)));
    }
}
