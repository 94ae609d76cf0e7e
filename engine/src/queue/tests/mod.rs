//! Queues in made-up time: each strategy's sequence, who goes first, and what ends a wait.
mod ends;
mod order;
mod simulation;

use super::*;
use crate::config::{Agent, Queue, QueueMember, Strategy};
use std::time::{Duration, Instant};

/// A core, and what time it is.
pub(super) struct Office {
    pub(super) core: Core,
    pub(super) now: Instant,
}

pub(super) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn agent(id: &str) -> Agent {
    Agent::at_endpoint(id, id)
}

pub(super) fn queue(name: &str, strategy: Strategy, members: &[(&str, u32)]) -> Queue {
    let member = |(agent, penalty): &(&str, u32)| QueueMember {
        agent: (*agent).to_owned(),
        penalty: *penalty,
    };
    Queue {
        strategy,
        members: members.iter().map(member).collect(),
        ..Queue::named(name)
    }
}

impl Office {
    pub(super) fn new(queues: &[Queue], agents: &[Agent]) -> Office {
        let mut core = Core::new(7);
        let now = Instant::now();
        core.apply(now, queues, agents);
        Office { core, now }
    }

    /// One queue `q` of these agents.
    pub(super) fn of(strategy: Strategy, agents: &[&str], change: impl Fn(&mut Queue)) -> Office {
        let members: Vec<_> = agents.iter().map(|id| (*id, 0)).collect();
        let mut one = queue("q", strategy, &members);
        change(&mut one);
        let agents: Vec<_> = agents.iter().map(|id| agent(id)).collect();
        Office::new(&[one], &agents)
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.core.tick(self.now);
    }

    pub(super) fn try_join(&mut self, call: &str, priority: i32) -> Result<CallerId, Refused> {
        let joining = Joining {
            call: call.to_owned(),
            queue: "q".to_owned(),
            priority,
            ..Joining::default()
        };
        self.core.join(self.now, joining)
    }

    pub(super) fn join(&mut self, call: &str) -> CallerId {
        self.try_join(call, 0).unwrap()
    }

    /// All orders that wait.
    pub(super) fn orders(&mut self) -> Vec<(CallerId, Order)> {
        std::iter::from_fn(|| self.core.poll_order()).collect()
    }

    /// Who is to ring for whom; other orders are passed over.
    pub(super) fn rung(&mut self) -> Vec<(CallerId, u64, Vec<String>)> {
        let ring = |(caller, order)| match order {
            Order::Ring { attempt, agents } => Some((
                caller,
                attempt,
                agents.into_iter().map(|rung| rung.agent).collect(),
            )),
            _ => None,
        };
        self.orders().into_iter().filter_map(ring).collect()
    }

    /// The one agent who is to ring, and the attempt.
    pub(super) fn one_rung(&mut self) -> (CallerId, u64, String) {
        let mut rung = self.rung();
        assert_eq!(rung.len(), 1, "{rung:?}");
        let (caller, attempt, mut agents) = rung.remove(0);
        assert_eq!(agents.len(), 1, "{agents:?}");
        (caller, attempt, agents.remove(0))
    }

    pub(super) fn answer(&mut self, (caller, attempt, agent): &(CallerId, u64, String)) {
        assert!(self.core.answered(self.now, *caller, *attempt, agent));
    }

    pub(super) fn left(&mut self) -> Vec<(CallerId, Leaving)> {
        let leave = |(caller, order)| match order {
            Order::Leave(why) => Some((caller, why)),
            _ => None,
        };
        self.orders().into_iter().filter_map(leave).collect()
    }

    pub(super) fn state(&self, agent: &str) -> AgentState {
        self.core.agent_state(agent).unwrap()
    }

    pub(super) fn figures(&self) -> Counts {
        self.core.queue(self.now, "q").unwrap().today
    }
}
