//! Where the calls of one trunk can go: configured targets times the hops their names resolve to, which of them are usable,
//! and in which order a call tries them (RFC 3263 §4.3, RFC 2782). Time and random numbers are arguments.
//!
//! It never resolves and never sends. Limits: [`MAX_HOPS`] hops per target, [`MAX_ATTEMPTS`] attempts per call.
use super::Hop;
use std::fmt;
use std::time::{Duration, Instant};

/// Most hops kept of one target's name.
pub(super) const MAX_HOPS: usize = 16;
/// Most hops one call tries.
pub(super) const MAX_ATTEMPTS: usize = 8;
/// Silences in a row after which a hop is down.
const DOWN_AFTER: u8 = 2;
/// A hop on which a call was not answered gets no call for this long, doubled with each further failure.
const COOL_DOWN: Duration = Duration::from_secs(30);
/// The longest cool-down that failures of calls lead to.
const COOL_DOWN_MOST: Duration = Duration::from_secs(480);
/// A Retry-After is honoured up to here.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(3600);
/// A hop that is down, or of which nothing was heard after the last request, is asked this often, or as often as configured
/// where that is more often.
const DOWN_INTERVAL: Duration = Duration::from_secs(10);

/// What became of a request to a hop: an attempt of a call, or an OPTIONS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Any response that is no 503: somebody is there.
    Response,
    /// 503, with its Retry-After.
    Unavailable(Option<Duration>),
    /// Nothing in time.
    Silence,
    /// The connection could not be made, or broke, or the datagram was refused.
    TransportError,
}

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// An INVITE of a call: silence keeps further calls away for a while.
    Call,
    /// An OPTIONS.
    Options,
    /// A REGISTER: an answer proves life, silence to it is the registration's own trouble.
    Register,
}

/// What an operator should know about a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Answers again, or for the first time.
    Up,
    /// Does not answer.
    Down,
    /// Gets no calls for this long, for this reason.
    Cooling(Duration, Heard),
    /// Does not answer OPTIONS and never did: whether it is alive is judged by calls only.
    MuteToOptions,
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Heard::Response => "it answers",
            Heard::Unavailable(_) => "it answered 503",
            Heard::Silence => "it did not answer in time",
            Heard::TransportError => "it cannot be reached",
        })
    }
}

/// Whether anything answers at a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing was heard yet, nor is anything known to be wrong: calls go there.
    Unknown,
    /// It answers.
    Up,
    /// It does not answer; no calls go there.
    Down,
}

impl State {
    /// `unknown`, `up` or `down`.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Up => "up",
            State::Down => "down",
        }
    }
}

/// A configured target.
#[derive(Debug, Clone)]
pub(super) struct Target {
    priority: u16,
    weight: u16,
    places: Vec<Place>,
}

/// One hop of a target.
#[derive(Debug, Clone)]
struct Place {
    hop: Hop,
    state: State,
    /// Requests in a row without any response.
    silences: u8,
    /// An OPTIONS was answered once: only then does silence to OPTIONS mean anything.
    answers_options: bool,
    told_mute: bool,
    /// No calls before this, and how many calls in a row led to it.
    cooling: Option<Instant>,
    failed_calls: u8,
    /// When the next OPTIONS is due; `None`: one is on its way.
    probe_at: Option<Instant>,
}

/// One way to send a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Index of the configured target.
    pub(super) target: usize,
    /// Where exactly.
    pub(super) hop: Hop,
}

/// One line of a status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlaceStatus {
    pub(super) target: usize,
    pub(super) hop: Hop,
    pub(super) state: State,
    pub(super) cooling: Option<Duration>,
}

/// All targets of one trunk.
#[derive(Debug, Clone)]
pub(super) struct Targets {
    targets: Vec<Target>,
    /// How often a hop that answers is asked; `None`: never.
    interval: Option<Duration>,
}

impl Targets {
    /// Targets by (priority, weight); lower priorities are tried first. `interval`: of OPTIONS, `None` for none.
    pub(super) fn new(
        targets: impl IntoIterator<Item = (u16, u16)>,
        interval: Option<Duration>,
    ) -> Self {
        let target = |(priority, weight)| Target {
            priority,
            weight,
            places: Vec::new(),
        };
        Targets {
            targets: targets.into_iter().map(target).collect(),
            interval,
        }
    }

    /// The same targets with what is known about them, asked at another interval from now on. What was on its way is asked anew.
    pub(super) fn carried(&self, now: Instant, interval: Option<Duration>) -> Self {
        let mut carried = Targets {
            interval,
            ..self.clone()
        };
        for place in carried.places_mut() {
            place.probe_at = Some(now);
        }
        carried
    }

    /// The hops a target's name stands for now, best first. What is known about those that stay is kept.
    pub(super) fn resolved(&mut self, now: Instant, target: usize, hops: Vec<Hop>) {
        let Some(target) = self.targets.get_mut(target) else {
            return;
        };
        let mut old = std::mem::take(&mut target.places);
        for hop in hops.into_iter().take(MAX_HOPS) {
            if target.places.iter().any(|place| place.hop == hop) {
                continue;
            }
            let known = old.iter().position(|place| place.hop == hop);
            target.places.push(match known {
                Some(at) => old.swap_remove(at),
                None => Place::new(now, hop),
            });
        }
    }

    /// The hops a call tries, in order: by priority, within it drawn by weight (RFC 2782), each target's hops in the order of
    /// the resolver; `preferred` before all, where it is one of them. `draw(n)` gives a random number below `n`.
    pub(super) fn order(
        &self,
        now: Instant,
        preferred: Option<&Hop>,
        draw: &mut dyn FnMut(u32) -> u32,
    ) -> Vec<Choice> {
        let mut choices = Vec::new();
        for target in self.drawn(draw) {
            let usable = self.targets[target].places.iter();
            choices.extend(
                usable
                    .filter(|place| place.usable(now))
                    .map(|place| Choice {
                        target,
                        hop: place.hop.clone(),
                    }),
            );
        }
        choices.sort_by_key(|choice| Some(&choice.hop) != preferred);
        choices.truncate(MAX_ATTEMPTS);
        choices
    }

    /// Whether a call may go to this hop now.
    pub(super) fn usable(&self, now: Instant, hop: &Hop) -> bool {
        let mut places = self.targets.iter().flat_map(|target| &target.places);
        places.any(|place| place.hop == *hop && place.usable(now))
    }

    /// Whether no target's name has been resolved yet.
    pub(super) fn is_unresolved(&self) -> bool {
        self.targets.iter().all(|target| target.places.is_empty())
    }

    /// How long until it may make sense to try again, when [`Targets::order`] is empty.
    pub(super) fn retry_after(&self, now: Instant) -> Duration {
        let places = self.targets.iter().flat_map(|target| &target.places);
        let at = places.filter_map(|place| match place.state {
            State::Down => place.probe_at,
            _ => place.cooling,
        });
        let soonest = at
            .map(|at| at.saturating_duration_since(now))
            .min()
            .unwrap_or(DOWN_INTERVAL);
        soonest.clamp(Duration::from_secs(1), RETRY_AFTER_MOST)
    }

    /// Learns from the fate of one request. The change, where an operator should know.
    pub(super) fn heard(
        &mut self,
        now: Instant,
        hop: &Hop,
        probe: Probe,
        heard: Heard,
    ) -> Option<Change> {
        let interval = self.interval;
        let mut change = None;
        for place in self.places_mut().filter(|place| place.hop == *hop) {
            change = change.or(place.heard(now, probe, heard));
            if probe == Probe::Options {
                place.schedule(now, interval);
            }
        }
        change
    }

    /// The hops to which an OPTIONS is due; each is then on its way until [`Targets::heard`] tells of it.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Choice> {
        if self.interval.is_none() {
            return Vec::new();
        }
        let mut due: Vec<Choice> = Vec::new();
        for (index, target) in self.targets.iter_mut().enumerate() {
            for place in &mut target.places {
                if place.probe_at.is_some_and(|at| at <= now) {
                    place.probe_at = None;
                    // Two targets may share a hop: one question is enough.
                    if !due.iter().any(|other| other.hop == place.hop) {
                        due.push(Choice {
                            target: index,
                            hop: place.hop.clone(),
                        });
                    }
                }
            }
        }
        due
    }

    /// An OPTIONS that was due could not be sent for a reason of our own.
    pub(super) fn unasked(&mut self, now: Instant, hop: &Hop) {
        for place in self.places_mut().filter(|place| place.hop == *hop) {
            place.probe_at = Some(now + DOWN_INTERVAL);
        }
    }

    /// When the next OPTIONS is due.
    pub(super) fn next_probe(&self) -> Option<Instant> {
        self.interval?;
        let places = self.targets.iter().flat_map(|target| &target.places);
        places.filter_map(|place| place.probe_at).min()
    }

    /// All hops of all targets.
    pub(super) fn hops(&self) -> impl Iterator<Item = &Hop> {
        let places = self.targets.iter().flat_map(|target| &target.places);
        places.map(|place| &place.hop)
    }

    /// What is known, for the status page.
    pub(super) fn status(&self, now: Instant) -> Vec<PlaceStatus> {
        let mut status = Vec::new();
        for (index, target) in self.targets.iter().enumerate() {
            status.extend(target.places.iter().map(|place| {
                PlaceStatus {
                    target: index,
                    hop: place.hop.clone(),
                    state: place.state,
                    cooling: place
                        .cooling
                        .filter(|until| *until > now)
                        .map(|until| until - now),
                }
            }));
        }
        status
    }

    fn places_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        self.targets
            .iter_mut()
            .flat_map(|target| &mut target.places)
    }

    /// Indices of the targets: ascending priority, drawn by weight within one.
    fn drawn(&self, draw: &mut dyn FnMut(u32) -> u32) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.targets.len()).collect();
        // Those of weight 0 stand first in their priority, so that they are drawn seldom but not never (RFC 2782).
        left.sort_by_key(|&index| (self.targets[index].priority, self.targets[index].weight));
        let mut order = Vec::with_capacity(left.len());
        while let Some(&first) = left.first() {
            let priority = self.targets[first].priority;
            let group = left
                .iter()
                .take_while(|&&index| self.targets[index].priority == priority);
            let weights: Vec<u32> = group
                .map(|&index| u32::from(self.targets[index].weight))
                .collect();
            let drawn = draw(weights.iter().sum::<u32>() + 1);
            let mut sum = 0;
            let chosen = weights.iter().position(|weight| {
                sum += weight;
                sum >= drawn
            });
            order.push(left.remove(chosen.unwrap_or(0)));
        }
        order
    }
}

impl Place {
    fn new(now: Instant, hop: Hop) -> Self {
        Place {
            hop,
            state: State::Unknown,
            silences: 0,
            answers_options: false,
            told_mute: false,
            cooling: None,
            failed_calls: 0,
            probe_at: Some(now),
        }
    }

    fn usable(&self, now: Instant) -> bool {
        self.state != State::Down && self.cooling.is_none_or(|until| until <= now)
    }

    fn heard(&mut self, now: Instant, probe: Probe, heard: Heard) -> Option<Change> {
        match heard {
            Heard::Response => self.answered(probe),
            Heard::Unavailable(retry_after) => {
                let up = self.answered(probe);
                // Without Retry-After a 503 is about this one call (RFC 3261 §21.5.4).
                let cooling = retry_after.filter(|time| !time.is_zero());
                match cooling {
                    Some(time) => Some(self.cool(now, time.min(RETRY_AFTER_MOST), heard)),
                    None => up,
                }
            }
            Heard::Silence | Heard::TransportError => self.failed(now, probe, heard),
        }
    }

    fn answered(&mut self, probe: Probe) -> Option<Change> {
        self.silences = 0;
        match probe {
            Probe::Options => self.answers_options = true,
            Probe::Call => (self.failed_calls, self.cooling) = (0, None),
            Probe::Register => {}
        }
        (std::mem::replace(&mut self.state, State::Up) != State::Up).then_some(Change::Up)
    }

    fn failed(&mut self, now: Instant, probe: Probe, heard: Heard) -> Option<Change> {
        if probe == Probe::Register {
            return None;
        }
        self.silences = self.silences.saturating_add(1);
        let mute = heard == Heard::Silence && probe == Probe::Options && !self.answers_options;
        if mute && self.state != State::Down {
            let tell = self.silences >= DOWN_AFTER && !self.told_mute;
            self.told_mute |= tell;
            return tell.then_some(Change::MuteToOptions);
        }
        if self.silences >= DOWN_AFTER && self.state != State::Down && probe == Probe::Options {
            self.state = State::Down;
            return Some(Change::Down);
        }
        if probe == Probe::Call && self.usable(now) {
            let doubled = COOL_DOWN * 2u32.pow(u32::from(self.failed_calls.min(4)));
            self.failed_calls = self.failed_calls.saturating_add(1);
            return Some(self.cool(now, doubled.min(COOL_DOWN_MOST), heard));
        }
        None
    }

    fn cool(&mut self, now: Instant, time: Duration, heard: Heard) -> Change {
        self.cooling = Some(now + time);
        // Whether it is down is worth knowing at once.
        if !matches!(heard, Heard::Unavailable(_)) && self.probe_at.is_some() {
            self.probe_at = Some(now);
        }
        Change::Cooling(time, heard)
    }

    fn schedule(&mut self, now: Instant, interval: Option<Duration>) {
        let interval = interval.unwrap_or(DOWN_INTERVAL);
        let wait = match self.silences {
            0 => interval,
            // A hop that never answered one is asked as seldom as one that does.
            _ if self.told_mute && self.state != State::Down => interval,
            _ => interval.min(DOWN_INTERVAL),
        };
        self.probe_at = Some(now + wait);
    }
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
