//! What the metrics page, the API and a person at three in the morning want to know about a trunk.
use super::State;
use super::state::{Registration, ShownHop, TrunkState};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// One trunk at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkStatus {
    /// Its name.
    pub name: String,
    /// Its registration; `None`: it does not register.
    pub registration: Option<RegistrationStatus>,
    /// Every address its targets stand for.
    pub targets: Vec<TargetStatus>,
    /// Calls in progress, both ways.
    pub calls: usize,
    /// Its `max_calls`.
    pub max_calls: Option<usize>,
    /// Calls out it has taken.
    pub dialled: u64,
    /// Attempts that failed and were followed by another.
    pub failovers: u64,
    /// Registrations that were refused or not answered.
    pub registrations_failed: u64,
    /// Calls refused, by rule.
    pub refused: Vec<(&'static str, u64)>,
}

/// A registration at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationStatus {
    /// How long it is still good; `None`: we are not registered.
    pub valid_for: Option<Duration>,
    /// Where, or why not.
    pub detail: String,
}

/// One address of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStatus {
    /// As written in the configuration.
    pub uri: String,
    /// What its name stands for.
    pub hop: String,
    /// Whether anything answers there.
    pub state: State,
    /// For how long it gets no calls, whatever its state.
    pub cooling: Option<Duration>,
}

impl TrunkStatus {
    /// Whether a call out would be tried now, limits aside.
    pub fn usable(&self) -> bool {
        let registered = self
            .registration
            .as_ref()
            .is_none_or(|registration| registration.valid_for.is_some());
        let takes_calls = |to: &TargetStatus| to.state != State::Down && to.cooling.is_none();
        registered && self.targets.iter().any(takes_calls)
    }

    pub(super) fn of(trunk: &TrunkState, now: Instant) -> Self {
        let (places, registration) = {
            let live = trunk.live();
            (live.targets.status(now), live.registration.clone())
        };
        let target = |place: super::targets::PlaceStatus| TargetStatus {
            uri: trunk.config.targets[place.target].uri.to_string(),
            hop: ShownHop(&place.hop).to_string(),
            state: place.state,
            cooling: place.cooling,
        };
        let counters = &trunk.counters;
        TrunkStatus {
            name: trunk.name().to_owned(),
            registration: shown(registration, now),
            targets: places.into_iter().map(target).collect(),
            calls: trunk.meter.calls(),
            max_calls: trunk.config.limits.max_calls,
            dialled: counters.calls.load(Ordering::Relaxed),
            failovers: counters.failovers.load(Ordering::Relaxed),
            registrations_failed: counters.registrations_failed.load(Ordering::Relaxed),
            refused: counters.refused_by().into_iter().collect(),
        }
    }
}

fn shown(registration: Registration, now: Instant) -> Option<RegistrationStatus> {
    match registration {
        Registration::NotUsed => None,
        Registration::Missing(why) => Some(RegistrationStatus {
            valid_for: None,
            detail: why,
        }),
        Registration::Held(binding) => {
            let left = binding.until.saturating_duration_since(now);
            Some(RegistrationStatus {
                valid_for: (!left.is_zero()).then_some(left),
                detail: format!("at {}", ShownHop(&binding.hop)),
            })
        }
    }
}
