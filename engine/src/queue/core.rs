//! The core's state, and what a new configuration makes of it. Sans-IO: time and the seed of chance are arguments.
//!
//! Everything that happens to a queue goes through here, one thing after the other, so that an agent has one call at most and a caller is
//! in one place exactly. `callers.rs` has what happens to callers, `agents.rs` what happens to agents, `turn.rs` who is rung and what time
//! brings, `views.rs` what lists show.
use super::figures::Tally;
use super::order::{AgentState, CallerId, Event, Leaving, Order};
use super::pick::Chance;
use crate::config::{Absent, Agent, PinTries, Queue, QueueMember, Reach, Skill, Strategy};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events that nobody fetched; the oldest are dropped beyond.
const MAX_EVENTS: usize = 10_000;
/// Before the name of the queue that each agent has for itself.
pub(super) const ALONE: &str = "agent:";
/// Longest reason of a break, in characters.
pub(super) const MAX_REASON: usize = 64;

/// A queue.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) settings: Arc<Queue>,
    /// As configured and as changed since.
    pub(super) members: Vec<QueueMember>,
    /// Changes of members since: the penalty, or `None` where the agent was taken out.
    pub(super) changed: BTreeMap<String, Option<u32>>,
    /// Who rang last.
    pub(super) last_rung: Option<String>,
    /// Calls that each agent took.
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) tally: Tally,
    /// Moving averages, in s: how long callers wait, and how long a call keeps an agent.
    pub(super) hold: Option<f64>,
    pub(super) handling: Option<f64>,
}

/// What an agent does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Activity {
    Idle,
    Ringing(CallerId),
    Talking(CallerId),
    WrapUp(Instant),
    /// Not rung until then: the phone was busy or could not be reached.
    Busy(Instant),
    Unavailable(Instant),
}

/// An agent.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) settings: Arc<Agent>,
    pub(super) logged_in: bool,
    pub(super) paused: Option<String>,
    pub(super) activity: Activity,
    pub(super) last_end: Option<Instant>,
    pub(super) tally: Tally,
    /// No longer configured: goes when its call is over.
    pub(super) gone: bool,
    /// Wrong PINs in a row.
    pub(super) pin_tries: PinTries,
}

/// How a caller stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    /// Agents may be rung from then on.
    Waiting { from: Instant },
    /// These ring.
    Ringing {
        agents: Vec<String>,
        attempt: u64,
        until: Instant,
    },
    /// Is called back; that agent is kept free.
    CalledBack { agent: String, until: Instant },
    /// Talks.
    Talking { agent: String, since: Instant },
}

/// A caller.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) call: String,
    pub(super) number: String,
    pub(super) queue: String,
    pub(super) priority: i32,
    pub(super) order: u64,
    pub(super) joined: Instant,
    pub(super) skills: Vec<Skill>,
    pub(super) deadline: Option<Instant>,
    pub(super) ring: Option<Duration>,
    pub(super) announce_at: Option<Instant>,
    pub(super) stage: Stage,
    pub(super) attempts: u64,
    /// Who was tried in this round.
    pub(super) tried: BTreeSet<String>,
    pub(super) rounds: u32,
    pub(super) callback: Option<CallingBack>,
}

/// A caller who hung up and keeps its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallingBack {
    pub(super) number: String,
    pub(super) attempts: u32,
}

/// See the module's text.
#[derive(Debug)]
pub struct Core {
    pub(super) queues: BTreeMap<String, Line>,
    pub(super) agents: BTreeMap<String, Desk>,
    pub(super) callers: BTreeMap<CallerId, Waiter>,
    pub(super) chance: Chance,
    pub(super) next_caller: u64,
    /// When time was last seen to.
    pub(super) settled: Option<Instant>,
    pub(super) orders: VecDeque<(CallerId, Order)>,
    pub(super) events: VecDeque<Event>,
}

impl Core {
    /// Without queues and agents.
    pub fn new(seed: u64) -> Core {
        Core {
            queues: BTreeMap::new(),
            agents: BTreeMap::new(),
            callers: BTreeMap::new(),
            chance: Chance::new(seed),
            next_caller: 0,
            settled: None,
            orders: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The next order, for whoever holds that caller's call.
    pub fn poll_order(&mut self) -> Option<(CallerId, Order)> {
        self.orders.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(super) fn order(&mut self, caller: CallerId, order: Order) {
        self.orders.push_back((caller, order));
    }

    /// Queues and agents as configured from now on. Callers of queues that stay keep their places, agents what they do; changes that were
    /// made to members from outside stay. Each agent has a queue of its own as well, `agent:ID`, in which nobody waits.
    pub fn apply(&mut self, now: Instant, queues: &[Queue], agents: &[Agent]) {
        for agent in agents {
            self.take_agent(now, Arc::new(agent.clone()));
        }
        let gone: Vec<String> = (self.agents.keys())
            .filter(|id| !agents.iter().any(|agent| agent.id == **id))
            .cloned()
            .collect();
        for id in gone {
            self.drop_agent(&id);
        }
        let alone = agents.iter().map(alone);
        let wanted: Vec<Queue> = queues.iter().cloned().chain(alone).collect();
        let lost: Vec<String> = (self.queues.keys())
            .filter(|name| !wanted.iter().any(|queue| queue.name == **name))
            .cloned()
            .collect();
        for name in lost {
            self.drop_queue(now, &name);
        }
        for queue in wanted {
            self.take_queue(now, queue);
        }
        self.settle(now);
    }

    fn take_agent(&mut self, now: Instant, settings: Arc<Agent>) {
        match self.agents.get_mut(&settings.id) {
            Some(desk) => {
                desk.gone = false;
                desk.settings = settings;
            }
            None => {
                let desk = Desk {
                    logged_in: settings.logged_in,
                    paused: None,
                    activity: Activity::Idle,
                    last_end: None,
                    tally: Tally::new(now),
                    gone: false,
                    pin_tries: PinTries::default(),
                    settings: settings.clone(),
                };
                self.agents.insert(settings.id.clone(), desk);
            }
        }
    }

    fn drop_agent(&mut self, id: &str) {
        let Some(desk) = self.agents.get_mut(id) else {
            return;
        };
        match desk.activity {
            Activity::Ringing(_) | Activity::Talking(_) => desk.gone = true,
            _ => _ = self.agents.remove(id),
        }
    }

    fn drop_queue(&mut self, now: Instant, name: &str) {
        let waiting: Vec<CallerId> = self.waiting_in(name).map(|(id, _)| id).collect();
        for caller in waiting {
            self.send_away(now, caller, Leaving::Removed);
        }
        self.queues.remove(name);
    }

    fn take_queue(&mut self, now: Instant, settings: Queue) {
        let settings = Arc::new(settings);
        let line = self.queues.entry(settings.name.clone());
        let line = line.or_insert_with(|| Line {
            settings: settings.clone(),
            members: Vec::new(),
            changed: BTreeMap::new(),
            last_rung: None,
            calls: BTreeMap::new(),
            tally: Tally::new(now),
            hold: None,
            handling: None,
        });
        line.settings = settings;
        line.remake_members();
    }

    /// A queue's settings.
    pub fn settings(&self, queue: &str) -> Option<Arc<Queue>> {
        Some(self.queues.get(queue)?.settings.clone())
    }

    /// The agent who is called at that endpoint.
    pub fn agent_at(&self, user: &str) -> Option<String> {
        let there =
            |desk: &&Desk| matches!(&desk.settings.reach, Reach::Endpoint(own) if own == user);
        let desk = self.agents.values().find(there)?;
        Some(desk.settings.id.clone())
    }

    /// Where an agent is called.
    pub fn reach(&self, agent: &str) -> Option<Reach> {
        let desk = self.agents.get(agent).filter(|desk| !desk.gone)?;
        Some(desk.settings.reach.clone())
    }

    /// Those who wait in a queue or ring for it, in no order.
    pub(super) fn waiting_in<'c>(
        &'c self,
        queue: &'c str,
    ) -> impl Iterator<Item = (CallerId, &'c Waiter)> {
        let waits = move |(_, waiter): &(&CallerId, &Waiter)| {
            waiter.queue == queue && !matches!(waiter.stage, Stage::Talking { .. })
        };
        self.callers
            .iter()
            .filter(waits)
            .map(|(id, waiter)| (*id, waiter))
    }
}

impl Line {
    /// The members of the configuration with what was changed since.
    pub(super) fn remake_members(&mut self) {
        let changed = &self.changed;
        let configured = self.settings.members.iter().filter_map(|member| {
            let penalty = match changed.get(&member.agent) {
                None => member.penalty,
                Some(changed) => (*changed)?,
            };
            Some(QueueMember {
                penalty,
                ..member.clone()
            })
        });
        let mut members: Vec<QueueMember> = configured.collect();
        for (agent, penalty) in changed {
            let known = self.settings.members.iter();
            if let Some(penalty) = *penalty
                && known.clone().all(|member| member.agent != *agent)
            {
                let agent = agent.clone();
                members.push(QueueMember { agent, penalty });
            }
        }
        self.members = members;
    }
}

impl Desk {
    pub(super) fn state(&self) -> AgentState {
        match (&self.activity, self.logged_in, &self.paused) {
            (Activity::Ringing(_), ..) => AgentState::Ringing,
            (Activity::Talking(_), ..) => AgentState::Talking,
            (_, false, _) => AgentState::LoggedOut,
            (_, _, Some(reason)) => AgentState::Paused(reason.clone()),
            (Activity::WrapUp(_), ..) => AgentState::WrapUp,
            (Activity::Busy(_), ..) => AgentState::Busy,
            (Activity::Unavailable(_), ..) => AgentState::Unavailable,
            (Activity::Idle, ..) => AgentState::Free,
        }
    }

    /// Whether it is there for a queue by that rule.
    pub(super) fn counts(&self, absent: Absent) -> bool {
        let away = match self.state() {
            AgentState::LoggedOut => true,
            AgentState::Free => false,
            AgentState::Paused(_) => absent.paused,
            AgentState::Ringing => absent.ringing,
            AgentState::Talking | AgentState::Busy => absent.in_use,
            AgentState::WrapUp => absent.wrap_up,
            AgentState::Unavailable => absent.unavailable,
        };
        let on_a_break = absent.paused && self.paused.is_some();
        self.logged_in && !self.gone && !away && !on_a_break
    }
}

/// The queue that an agent has for itself: the agent is free now and answers, or the caller goes on.
fn alone(agent: &Agent) -> Queue {
    let member = QueueMember {
        agent: agent.id.clone(),
        penalty: 0,
    };
    Queue {
        members: vec![member],
        strategy: Strategy::Linear,
        rounds: Some(1),
        join_when_empty: Some(Absent::NOT_FREE),
        retry: Duration::ZERO,
        ..Queue::named(format!("{ALONE}{}", agent.id))
    }
}

/// Where an agent is called, in words.
pub fn reach_text(reach: &Reach) -> String {
    match reach {
        Reach::Endpoint(user) => format!("endpoint {user}"),
        Reach::Outside { trunk, number } => format!("{number} over trunk {trunk}"),
    }
}
