//! What lists of queues, agents and callers show, and what outlives a restart.
use super::core::{ALONE, Core, Desk, Line, Stage, Waiter, reach_text};
use super::figures::Counts;
use super::order::{AgentState, CallerId};
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// A queue, as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// How it hands out callers.
    pub strategy: &'static str,
    /// Callers who wait, those included who are to be called back.
    pub waiting: usize,
    /// Of these, who is to be called back.
    pub callbacks: usize,
    /// Callers who talk with an agent.
    pub talking: usize,
    /// How long the first has waited.
    pub longest_wait: Option<Duration>,
    /// How long one more caller might wait.
    pub estimated_hold: Option<Duration>,
    /// Who serves it.
    pub members: Vec<MemberView>,
    /// Since the start of the process.
    pub total: Counts,
    /// Since midnight.
    pub today: Counts,
    /// In the last sixty minutes.
    pub hour: Counts,
    /// An answer within this counts as good service.
    pub service_level: Duration,
}

/// An agent's place in a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberView {
    /// The agent's id.
    pub agent: String,
    /// Its penalty there.
    pub penalty: u32,
    /// How it stands.
    pub state: AgentState,
    /// Calls of this queue that it took.
    pub calls: u64,
}

/// An agent, as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Where it is called, in words.
    pub reach: String,
    /// How it stands.
    pub state: AgentState,
    /// Whether it is logged in: also while it talks.
    pub logged_in: bool,
    /// Why it has a break; also while it talks.
    pub paused: Option<String>,
    /// The call it has or that rings.
    pub call: Option<String>,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// Since midnight; `offered` are the calls that rang.
    pub today: Counts,
    /// In the last sixty minutes.
    pub hour: Counts,
}

/// A caller, as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerView {
    /// Its place.
    pub id: CallerId,
    /// The call's id; of somebody who is to be called back, the one it had.
    pub call: String,
    /// Its number.
    pub number: String,
    /// Its place among those who wait, from 1; `None`: it talks.
    pub position: Option<usize>,
    /// Its priority.
    pub priority: i32,
    /// How long it has waited, or did.
    pub waited: Duration,
    /// `waiting`, `ringing`, `callback` or `talking`.
    pub stage: &'static str,
    /// The agent it talks with, or who rings.
    pub agents: Vec<String>,
}

/// What of an agent outlives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentStanding {
    /// Its id.
    pub id: String,
    /// Logged in.
    pub logged_in: bool,
    /// Why it has a break.
    pub paused: Option<String>,
}

/// A member of a queue that was added, changed or taken out from outside, over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMember {
    /// The queue.
    pub queue: String,
    /// The agent.
    pub agent: String,
    /// Its penalty there; `None`: it was taken out.
    pub penalty: Option<u32>,
}

/// Somebody who is to be called back, over a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCallback {
    /// The queue.
    pub queue: String,
    /// Whom to call.
    pub number: String,
    /// Its priority.
    pub priority: i32,
    /// How often it was called.
    pub attempts: u32,
}

impl Core {
    /// Every queue, by name; those that agents have for themselves left out.
    pub fn list_queues(&self, now: Instant) -> Vec<QueueView> {
        let named = self
            .queues
            .iter()
            .filter(|(name, _)| !name.starts_with(ALONE));
        named
            .map(|(name, line)| self.queue_view(now, name, line))
            .collect()
    }

    /// A queue.
    pub fn queue(&self, now: Instant, name: &str) -> Option<QueueView> {
        Some(self.queue_view(now, name, self.queues.get(name)?))
    }

    fn queue_view(&self, now: Instant, name: &str, line: &Line) -> QueueView {
        let talks = |waiter: &&Waiter| matches!(waiter.stage, Stage::Talking { .. });
        let (waiting, callbacks, first) = self.waiting_in(name).fold(
            (0, 0, None),
            |(waiting, callbacks, first): (usize, usize, Option<Instant>), (_, waiter)| {
                let first = Some(first.map_or(waiter.joined, |first| first.min(waiter.joined)));
                let back = usize::from(waiter.callback.is_some());
                (waiting + 1, callbacks + back, first)
            },
        );
        let own = self.callers.values().filter(|waiter| waiter.queue == name);
        let member = |member: &crate::config::QueueMember| {
            let agent = &member.agent;
            MemberView {
                agent: agent.clone(),
                penalty: member.penalty,
                state: self.agent_state(agent).unwrap_or(AgentState::LoggedOut),
                calls: line.calls.get(agent).copied().unwrap_or(0),
            }
        };
        QueueView {
            name: name.to_owned(),
            strategy: line.settings.strategy.name(),
            waiting,
            callbacks,
            talking: own.filter(talks).count(),
            longest_wait: first.map(|first| now.saturating_duration_since(first)),
            estimated_hold: self.hold_at(name, waiting + 1),
            members: line.members.iter().map(member).collect(),
            total: line.tally.total(),
            today: line.tally.today(),
            hour: line.tally.hour(now),
            service_level: line.settings.service_level,
        }
    }

    /// Every agent, by id.
    pub fn list_agents(&self, now: Instant) -> Vec<AgentView> {
        let there = self.agents.iter().filter(|(_, desk)| !desk.gone);
        there
            .map(|(id, desk)| self.agent_view(now, id, desk))
            .collect()
    }

    /// An agent.
    pub fn agent(&self, now: Instant, id: &str) -> Option<AgentView> {
        Some(self.agent_view(now, id, self.agents.get(id)?))
    }

    fn agent_view(&self, now: Instant, id: &str, desk: &Desk) -> AgentView {
        use super::core::Activity;
        let call = match desk.activity {
            Activity::Ringing(caller) | Activity::Talking(caller) => self.callers.get(&caller),
            _ => None,
        };
        let serves =
            |(_, line): &(&String, &Line)| line.members.iter().any(|member| member.agent == id);
        let named = self
            .queues
            .iter()
            .filter(|(name, _)| !name.starts_with(ALONE));
        AgentView {
            id: id.to_owned(),
            name: desk.settings.name.clone(),
            reach: reach_text(&desk.settings.reach),
            state: desk.state(),
            logged_in: desk.logged_in,
            paused: desk.paused.clone(),
            call: call.map(|waiter| waiter.call.clone()),
            queues: named.filter(serves).map(|(name, _)| name.clone()).collect(),
            today: desk.tally.today(),
            hour: desk.tally.hour(now),
        }
    }

    /// Those who wait in a queue, in order, then those who talk; `None`: there is no such queue.
    pub fn list_callers(&self, now: Instant, queue: &str) -> Option<Vec<CallerView>> {
        self.queues.get(queue)?;
        let own = (self.callers.iter()).filter(|(_, waiter)| waiter.queue == queue);
        let mut own: Vec<(bool, CallerId, &Waiter)> = own
            .map(|(id, waiter)| (matches!(waiter.stage, Stage::Talking { .. }), *id, waiter))
            .collect();
        own.sort_by_key(|(talks, _, waiter)| (*talks, Reverse(waiter.priority), waiter.order));
        let view = |(place, (talks, id, waiter)): (usize, &(bool, CallerId, &Waiter))| {
            let position = (!talks).then_some(place + 1);
            caller_view(now, *id, waiter, position)
        };
        Some(own.iter().enumerate().map(view).collect())
    }

    /// What is kept of agents.
    pub fn standing(&self) -> Vec<AgentStanding> {
        let standing = |(id, desk): (&String, &Desk)| AgentStanding {
            id: id.clone(),
            logged_in: desk.logged_in,
            paused: desk.paused.clone(),
        };
        self.agents.iter().map(standing).collect()
    }

    /// Members that differ from the configuration.
    pub fn changed_members(&self) -> Vec<KeptMember> {
        let lines = self.queues.iter();
        let kept = lines.flat_map(|(queue, line)| {
            let changed = line.changed.iter();
            changed.map(|(agent, penalty)| KeptMember {
                queue: queue.clone(),
                agent: agent.clone(),
                penalty: *penalty,
            })
        });
        kept.collect()
    }

    /// Takes up what was changed of members; queues that are not configured any more are passed over.
    pub fn restore_members(&mut self, now: Instant, kept: &[KeptMember]) {
        for member in kept {
            if let Some(line) = self.queues.get_mut(&member.queue) {
                line.changed.insert(member.agent.clone(), member.penalty);
                line.remake_members();
            }
        }
        self.settle(now);
    }

    /// Everybody who is to be called back, in order.
    pub fn callbacks(&self) -> Vec<KeptCallback> {
        let mut waiting: Vec<&Waiter> = self.callers.values().collect();
        waiting.sort_by_key(|waiter| waiter.order);
        let kept = |waiter: &Waiter| {
            let back = waiter.callback.as_ref()?;
            Some(KeptCallback {
                queue: waiter.queue.clone(),
                number: back.number.clone(),
                priority: waiter.priority,
                attempts: back.attempts,
            })
        };
        waiting.into_iter().filter_map(kept).collect()
    }

    /// Takes up those who are to be called back; those of queues that call nobody back are passed over.
    pub fn restore_callbacks(&mut self, now: Instant, kept: &[KeptCallback]) {
        for back in kept {
            let line = self.queues.get(&back.queue);
            if line.is_some_and(|line| line.settings.callback.is_some()) {
                self.keep_callback(now, back);
            }
        }
        self.settle(now);
    }

    /// Takes up what was kept; agents who are not configured any more are passed over.
    pub fn restore(&mut self, now: Instant, standing: &[AgentStanding]) {
        for kept in standing {
            if let Some(desk) = self.agents.get_mut(&kept.id) {
                desk.logged_in = kept.logged_in;
                desk.paused.clone_from(&kept.paused);
            }
        }
        self.settle(now);
    }
}

fn caller_view(now: Instant, id: CallerId, waiter: &Waiter, position: Option<usize>) -> CallerView {
    let (stage, agents, until) = match &waiter.stage {
        Stage::Waiting { .. } if waiter.callback.is_some() => ("callback", Vec::new(), now),
        Stage::Waiting { .. } => ("waiting", Vec::new(), now),
        Stage::Ringing { agents, .. } => ("ringing", agents.clone(), now),
        Stage::CalledBack { agent, .. } => ("callback", vec![agent.clone()], now),
        Stage::Talking { agent, since } => ("talking", vec![agent.clone()], *since),
    };
    CallerView {
        id,
        call: waiter.call.clone(),
        number: waiter.number.clone(),
        position,
        priority: waiter.priority,
        waited: until.saturating_duration_since(waiter.joined),
        stage,
        agents,
    }
}
