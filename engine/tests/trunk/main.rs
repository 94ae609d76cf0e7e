//! Trunks against carriers on loopback: registration, health, failover, limits.
#![allow(clippy::unwrap_used)] // a test may panic
mod carrier;
mod failover;
mod registration;
mod rig;

use std::time::Duration;

/// Long enough for any machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(30);
