//! The diagnosis page: the state of each trunk, how the legs that are up sound, and the last legs whose audio did not flow. Its shape is in `docs/doctor.md`.
use crate::call::{LiveLegs, Troubled};
use crate::trunk::{TargetStatus, TrunkStatus, Trunks};
use serde_json::{Value, json};

/// Grows by one when a field changes its meaning or goes; new fields may come at any time.
const SCHEMA: u32 = 1;

pub(super) fn page(trunks: &Trunks, live: &LiveLegs, troubled: &Troubled) -> Value {
    let trunks: Vec<_> = trunks.status().iter().map(trunk).collect();
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "trunks": trunks,
        "legs": live.to_json(),
        "audio": troubled.to_json(),
    })
}

fn trunk(status: &TrunkStatus) -> Value {
    let targets: Vec<_> = status.targets.iter().map(target).collect();
    json!({
        "name": status.name,
        "usable": status.usable(),
        "registers": status.registration.is_some(),
        "registered_for_s": status.registration.as_ref().and_then(|of| of.valid_for).map(|left| left.as_secs()),
        "registration": status.registration.as_ref().map(|of| &of.detail),
        "targets": targets,
        "calls": status.calls,
        "max_calls": status.max_calls,
    })
}

fn target(target: &TargetStatus) -> Value {
    json!({
        "uri": target.uri,
        "address": target.hop,
        "state": target.state.as_str(),
        "cooling_s": target.cooling.map(|left| left.as_secs()),
    })
}
