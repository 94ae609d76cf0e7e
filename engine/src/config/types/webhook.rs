//! `[[webhook]]`: who is told what happens.
use crate::config::{At, Secret};
use std::time::Duration;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name, unique among them; what waits for it is kept under it.
    pub name: String,
    /// Where events are posted, by http or https.
    pub url: String,
    /// Signs them.
    pub secret: Secret,
    /// Names of events, or beginnings of names with a `*` behind.
    pub events: Vec<String>,
    /// Longest time for one delivery.
    pub timeout: Duration,
    /// How long a delivery that fails is tried again.
    pub give_up: Duration,
    /// Where it stands in the file.
    pub at: At,
}
