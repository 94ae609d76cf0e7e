//! Days of made-up offices: whatever happens, an agent has one call at most, a caller is in one place exactly, and nobody overtakes.
use super::super::core::{Activity, Stage};
use super::super::pick::Chance;
use super::*;
use crate::config::Absent;
use std::collections::{BTreeMap, BTreeSet};

/// A ring that was ordered and is not over, as whoever holds the call sees it.
type Rings = BTreeMap<CallerId, (u64, BTreeSet<String>)>;

struct Day {
    office: Office,
    chance: Chance,
    rings: Rings,
    talking: BTreeSet<CallerId>,
    there: BTreeSet<CallerId>,
    joined: u64,
    gone: u64,
}

fn offices(strategy: Strategy) -> (Vec<Queue>, Vec<Agent>) {
    let mut one = queue("q", strategy, &[("a", 0), ("b", 0), ("c", 1), ("d", 2)]);
    one.wrap_up = s(3);
    one.max_wait = Some(s(240));
    let mut other = queue("p", Strategy::RrMemory, &[("c", 0), ("d", 0), ("e", 0)]);
    (other.weight, other.max_length) = (3, Some(6));
    other.leave_when_empty = Some(Absent::STRICT);
    other.retry = s(1);
    (
        vec![one, other],
        ["a", "b", "c", "d", "e"].map(agent).into(),
    )
}

impl Day {
    fn below(&mut self, below: u64) -> u64 {
        self.chance.next() % below
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        let index = self.below(list.len().max(1) as u64) as usize;
        list.get(index).cloned()
    }

    fn obey(&mut self) {
        for (caller, order) in self.office.orders() {
            match order {
                Order::Ring { attempt, agents } => {
                    assert!(self.there.contains(&caller) && !self.rings.contains_key(&caller));
                    let agents = agents.into_iter().map(|rung| rung.agent).collect();
                    self.rings.insert(caller, (attempt, agents));
                }
                Order::Cancel { attempt } => {
                    let ring = self.rings.remove(&caller);
                    assert!(ring.is_none_or(|(rang, _)| rang == attempt));
                }
                Order::Leave(_) => {
                    self.rings.remove(&caller);
                    assert!(self.there.remove(&caller), "left twice");
                    self.gone += 1;
                }
                Order::Announce { .. } | Order::CallBack { .. } => {}
            }
        }
    }

    fn step(&mut self) {
        let now = self.office.now;
        let agents = ["a", "b", "c", "d", "e"];
        let ringing: Vec<CallerId> = self.rings.keys().copied().collect();
        match self.below(12) {
            0..=2 => self.joins(),
            3..=5 => {
                let Some(caller) = self.one_of(&ringing) else {
                    return;
                };
                self.picks_up(caller);
            }
            6 => {
                let Some(caller) = self.one_of(&ringing) else {
                    return;
                };
                self.misses(caller);
            }
            7..=8 => {
                let talking: Vec<_> = self.talking.iter().copied().collect();
                let Some(caller) = self.one_of(&talking) else {
                    return;
                };
                self.office.core.hung_up(now, caller);
                self.talking.remove(&caller);
                self.gone += 1;
            }
            9 => {
                let there: Vec<_> = self.there.iter().copied().collect();
                let Some(caller) = self.one_of(&there) else {
                    return;
                };
                self.office.core.leave(now, caller, Leaving::Abandoned);
                self.there.remove(&caller);
                self.rings.remove(&caller);
                self.gone += 1;
            }
            10 => {
                let agent = self.one_of(&agents).unwrap();
                let core = &mut self.office.core;
                match self.chance.next() % 4 {
                    0 => core.logout(now, agent),
                    1 => core.pause(now, agent, Some("x")),
                    2 => core.pause(now, agent, None),
                    _ => core.login(now, agent),
                }
                .unwrap();
            }
            _ => {
                let ms = self.below(30_000);
                self.office.pass(Duration::from_millis(ms));
            }
        }
    }

    fn joins(&mut self) {
        let queue = if self.below(2) == 0 { "q" } else { "p" };
        let priority = self.below(3) as i32;
        let joining = Joining {
            queue: queue.to_owned(),
            priority,
            ..Joining::default()
        };
        if let Ok(caller) = self.office.core.join(self.office.now, joining) {
            self.there.insert(caller);
            self.joined += 1;
        }
    }

    fn picks_up(&mut self, caller: CallerId) {
        let Some((attempt, agents)) = self.rings.get(&caller).cloned() else {
            return;
        };
        let list: Vec<String> = agents.into_iter().collect();
        let Some(agent) = self.one_of(&list) else {
            return;
        };
        if self
            .office
            .core
            .answered(self.office.now, caller, attempt, &agent)
        {
            self.rings.remove(&caller);
            self.there.remove(&caller);
            assert!(self.talking.insert(caller));
        }
    }

    fn misses(&mut self, caller: CallerId) {
        let Some((attempt, agents)) = self.rings.get_mut(&caller) else {
            return;
        };
        let Some(agent) = agents.pop_first() else {
            return;
        };
        let attempt = *attempt;
        if agents.is_empty() {
            self.rings.remove(&caller);
        }
        let why = [
            Missed::Busy,
            Missed::Declined,
            Missed::NoAnswer,
            Missed::Unreachable,
        ];
        let why = self.one_of(&why).unwrap();
        self.office
            .core
            .missed(self.office.now, caller, attempt, &agent, why);
    }

    /// What must hold at any time.
    fn check(&self) {
        let core = &self.office.core;
        let mut claimed: BTreeMap<&str, CallerId> = BTreeMap::new();
        for (id, waiter) in &core.callers {
            let agents: Vec<&String> = match &waiter.stage {
                Stage::Ringing { agents, .. } => agents.iter().collect(),
                Stage::Talking { agent, .. } | Stage::CalledBack { agent, .. } => vec![agent],
                Stage::Waiting { .. } => Vec::new(),
            };
            for agent in agents {
                assert_eq!(claimed.insert(agent, *id), None, "two calls for {agent}");
            }
        }
        for (id, desk) in &core.agents {
            let has = match desk.activity {
                Activity::Ringing(caller) | Activity::Talking(caller) => Some(caller),
                _ => None,
            };
            assert_eq!(has, claimed.get(id.as_str()).copied(), "{id}");
        }
        let here: BTreeSet<CallerId> = core.callers.keys().copied().collect();
        let known: BTreeSet<CallerId> = self.there.union(&self.talking).copied().collect();
        assert_eq!(here, known, "a caller is lost");
        assert_eq!(self.joined, self.gone + here.len() as u64);
        self.check_order();
    }

    /// Nobody who is free is kept from a caller who waits; so whoever is first was asked first.
    fn check_order(&self) {
        let (core, now) = (&self.office.core, self.office.now);
        for (id, waiter) in &core.callers {
            let Stage::Waiting { from } = waiter.stage else {
                continue;
            };
            if from > now || !waiter.tried.is_empty() {
                continue;
            }
            let line = &core.queues[&waiter.queue];
            for member in &line.members {
                let state = core.agent_state(&member.agent);
                assert_ne!(
                    state,
                    Some(AgentState::Free),
                    "{id:?} waits for {}",
                    member.agent
                );
            }
        }
    }
}

#[test]
fn nobody_is_lost_and_nobody_has_two_calls_whatever_happens() {
    for (seed, (_, strategy)) in (0..6).flat_map(|seed| Strategy::ALL.map(|each| (seed, each))) {
        let (queues, agents) = offices(strategy);
        let mut day = Day {
            office: Office::new(&queues, &agents),
            chance: Chance::new(seed),
            rings: Rings::new(),
            talking: BTreeSet::new(),
            there: BTreeSet::new(),
            joined: 0,
            gone: 0,
        };
        for _ in 0..1500 {
            day.step();
            day.obey();
            day.check();
        }
        assert!(day.joined > 100 && day.gone > 50, "{}", day.joined);
        // In the end everybody who waits is served: nobody is forgotten.
        for agent in ["a", "b", "c", "d", "e"] {
            day.office.core.login(day.office.now, agent).unwrap();
        }
        for _ in 0..400 {
            day.obey();
            for caller in day.rings.keys().copied().collect::<Vec<_>>() {
                day.picks_up(caller);
            }
            for caller in std::mem::take(&mut day.talking) {
                day.office.core.hung_up(day.office.now, caller);
                day.gone += 1;
            }
            day.office.pass(s(1));
        }
        day.obey();
        assert!(day.there.is_empty(), "{:?}", day.there);
    }
}

#[test]
fn the_core_says_when_it_wants_to_be_asked_again() {
    let (queues, agents) = offices(Strategy::Linear);
    let mut office = Office::new(&queues, &agents);
    assert_eq!(office.core.due(), None);
    office.join("c-1");
    // Driven by nothing but its own times, a caller whom nobody answers is let go at its limit.
    let began = office.now;
    let mut turns = 0;
    while let Some(due) = office.core.due() {
        assert!(due > office.now, "it would turn on the spot");
        office.pass(due - office.now);
        turns += 1;
        assert!(turns < 200);
    }
    let waited = office.now - began;
    assert!(waited >= s(240) && waited < s(262), "{waited:?}");
    assert_eq!(office.left().len(), 1);
}
