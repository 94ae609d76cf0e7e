//! A leg that takes the place of another (RFC 3891): which legs there are, and how their owners are handed the new one.
//!
//! Limits: one leg waits for each place; the table holds what legs there are.
use super::leg::Leg;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use trunkline_sip::LegId;

/// The places of all legs.
#[derive(Default)]
pub(super) struct Places(Mutex<HashMap<LegId, mpsc::Sender<Box<Leg>>>>);

impl Places {
    fn table(&self) -> MutexGuard<'_, HashMap<LegId, mpsc::Sender<Box<Leg>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a leg; its owner gets from the receiver whoever is to take its place.
    pub(super) fn enter(&self, leg: LegId) -> mpsc::Receiver<Box<Leg>> {
        let (send, receive) = mpsc::channel(1);
        self.table().insert(leg, send);
        receive
    }

    pub(super) fn leave(&self, leg: LegId) {
        self.table().remove(&leg);
    }

    /// Whether the leg is here and its place not given away already.
    pub(super) fn is_free(&self, leg: LegId) -> bool {
        self.table()
            .get(&leg)
            .is_some_and(|place| place.capacity() > 0)
    }

    /// Gives `new` the place of `leg`; it comes back where that is gone or given away.
    pub(super) fn take(&self, leg: LegId, new: Box<Leg>) -> Result<(), Box<Leg>> {
        let Some(place) = self.table().get(&leg).cloned() else {
            return Err(new);
        };
        // Outside the lock: a leg that is dropped leaves the table.
        place.try_send(new).map_err(|refused| refused.into_inner())
    }
}
