//! Who is rung for whom, and what time brings.
use super::core::{Activity, Core, Stage, Waiter};
use super::order::{AgentState, CallerId, Leaving, Missed, Order};
use super::pick::{Candidate, pick};
use crate::config::{Agent, Skill};
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// What an agent kept free for a callback is given beyond the time that the customer rings.
const CALLBACK_MARGIN: Duration = Duration::from_secs(30);

impl Core {
    /// Time has passed. Nothing happens by itself: call it at [`Core::due`] at the latest.
    pub fn tick(&mut self, now: Instant) {
        self.settle(now);
    }

    /// When something happens next without anybody doing anything: a time that has passed is told until [`Core::tick`].
    pub fn due(&self) -> Option<Instant> {
        let agents = self.agents.values().filter_map(|desk| match desk.activity {
            Activity::WrapUp(until) | Activity::Busy(until) | Activity::Unavailable(until) => {
                Some(until)
            }
            _ => None,
        });
        let callers = self.callers.values().flat_map(|waiter| {
            let (stage, waits) = match waiter.stage {
                Stage::Waiting { from } => (Some(from), true),
                Stage::Ringing { until, .. } => (Some(until), false),
                Stage::CalledBack { until, .. } => (Some(until), false),
                Stage::Talking { .. } => (None, false),
            };
            let relax = self.relaxes_at(waiter).filter(|_| waits);
            let deadline = waiter.deadline.filter(|_| waits);
            let announce = waiter
                .announce_at
                .filter(|_| !matches!(waiter.stage, Stage::Talking { .. }));
            [stage, deadline, announce, relax].into_iter().flatten()
        });
        let open = |at: &Instant| self.settled.is_none_or(|settled| *at > settled);
        agents.chain(callers).filter(open).min()
    }

    /// A new day: what is counted for today begins at nought.
    pub fn new_day(&mut self) {
        self.queues
            .values_mut()
            .for_each(|line| line.tally.new_day());
        self.agents
            .values_mut()
            .for_each(|desk| desk.tally.new_day());
    }

    /// Everything that time and the state of things call for.
    pub(super) fn settle(&mut self, now: Instant) {
        self.settled = Some(now);
        self.end_rests(now);
        self.end_ringing(now);
        self.let_go(now);
        self.hand_out(now);
        self.announce(now);
    }

    fn end_rests(&mut self, now: Instant) {
        let over = |activity: &Activity| match activity {
            Activity::WrapUp(until) | Activity::Busy(until) | Activity::Unavailable(until) => {
                *until <= now
            }
            _ => false,
        };
        let rested: Vec<String> = (self.agents.iter())
            .filter(|(_, desk)| over(&desk.activity))
            .map(|(id, _)| id.clone())
            .collect();
        self.release(&rested);
    }

    fn end_ringing(&mut self, now: Instant) {
        let mut late = Vec::new();
        let mut lapsed = Vec::new();
        for (id, waiter) in &self.callers {
            match &waiter.stage {
                Stage::Ringing {
                    agents,
                    attempt,
                    until,
                } if *until <= now => late.push((*id, *attempt, agents.clone())),
                Stage::CalledBack { until, .. } if *until <= now => lapsed.push(*id),
                _ => {}
            }
        }
        for (caller, attempt, agents) in late {
            self.order(caller, Order::Cancel { attempt });
            for agent in agents {
                self.miss(now, caller, &agent, Missed::NoAnswer);
            }
        }
        for caller in lapsed {
            self.callback_failed(now, caller);
        }
    }

    /// Callers who have waited long enough, or for whom nobody is there any more.
    fn let_go(&mut self, now: Instant) {
        let mut leaving = Vec::new();
        for (id, waiter) in &self.callers {
            if !matches!(waiter.stage, Stage::Waiting { .. }) || waiter.callback.is_some() {
                continue;
            }
            let Some(line) = self.queues.get(&waiter.queue) else {
                continue;
            };
            let late = waiter.deadline.is_some_and(|deadline| deadline <= now);
            let rule = line.settings.leave_when_empty;
            if late {
                leaving.push((*id, Leaving::Timeout));
            } else if rule.is_some_and(|rule| self.is_empty(&waiter.queue, rule)) {
                leaving.push((*id, Leaving::Empty));
            }
        }
        for (caller, why) in leaving {
            self.send_away(now, caller, why);
        }
    }

    /// Brings those who wait and those who are free together: queues of more weight first, then callers of more priority, then whoever
    /// came first.
    fn hand_out(&mut self, now: Instant) {
        let anybody = self
            .agents
            .values()
            .any(|desk| desk.state() == AgentState::Free);
        if !anybody && self.callers.values().all(|waiter| waiter.tried.is_empty()) {
            return;
        }
        let mut waiting: Vec<(Reverse<i32>, Reverse<i32>, u64, CallerId)> = Vec::new();
        for (id, waiter) in &self.callers {
            if !matches!(waiter.stage, Stage::Waiting { from } if from <= now) {
                continue;
            }
            let line = self.queues.get(&waiter.queue);
            let weight = line.map_or(0, |line| line.settings.weight);
            let key = (Reverse(weight), Reverse(waiter.priority), waiter.order, *id);
            waiting.push(key);
        }
        waiting.sort_unstable();
        for (.., caller) in waiting {
            self.offer(now, caller);
        }
    }

    fn offer(&mut self, now: Instant, caller: CallerId) {
        let (Some(waiter), free) = (self.callers.get(&caller), self.free_for(now, caller)) else {
            return;
        };
        let Some(line) = self.queues.get(&waiter.queue) else {
            return;
        };
        if free.is_empty() {
            // Everybody who is there was tried.
            if !waiter.tried.is_empty() {
                self.end_round(now, caller);
            }
            return;
        }
        let settings = line.settings.clone();
        let last = line.last_rung.as_ref();
        let after = last.and_then(|last| line.members.iter().position(|each| each.agent == *last));
        let mut picked = pick(settings.strategy, &free, after, &mut self.chance);
        let back = waiter.callback.clone();
        if back.is_some() {
            picked.truncate(1);
        }
        let members = &line.members;
        let agents: Vec<String> = picked
            .into_iter()
            .filter_map(|index| Some(members.get(free.get(index)?.place)?.agent.clone()))
            .collect();
        match (back, &settings.callback) {
            (Some(back), Some(rule)) => {
                self.call_back(now, caller, agents, back.number, rule.ring);
            }
            (Some(_), None) => self.send_away(now, caller, Leaving::Removed),
            (None, _) => self.ring(now, caller, agents),
        }
    }

    fn call_back(
        &mut self,
        now: Instant,
        caller: CallerId,
        agents: Vec<String>,
        number: String,
        ring: Duration,
    ) {
        let (Some(agent), Some(waiter)) =
            (agents.into_iter().next(), self.callers.get_mut(&caller))
        else {
            return;
        };
        if let Some(back) = &mut waiter.callback {
            back.attempts += 1;
        }
        let until = now + ring + CALLBACK_MARGIN;
        let queue = waiter.queue.clone();
        waiter.stage = Stage::CalledBack {
            agent: agent.clone(),
            until,
        };
        if let Some(line) = self.queues.get_mut(&queue) {
            line.last_rung = Some(agent.clone());
        }
        self.set_activity(&agent, Activity::Ringing(caller));
        self.order(caller, Order::CallBack { number, queue });
    }

    /// Everybody was tried in vain: the caller rests, or leaves.
    fn end_round(&mut self, now: Instant, caller: CallerId) {
        let Some(waiter) = self.callers.get_mut(&caller) else {
            return;
        };
        let Some(line) = self.queues.get(&waiter.queue) else {
            return;
        };
        waiter.tried.clear();
        waiter.rounds += 1;
        let rest = line.settings.retry.max(Duration::from_millis(100));
        waiter.stage = Stage::Waiting { from: now + rest };
        if line
            .settings
            .rounds
            .is_some_and(|most| waiter.rounds >= most)
        {
            self.send_away(now, caller, Leaving::Timeout);
        }
    }

    /// Agents who could be rung for a caller and were not yet in this round.
    fn free_for(&self, now: Instant, caller: CallerId) -> Vec<Candidate> {
        let Some(waiter) = self.callers.get(&caller) else {
            return Vec::new();
        };
        let Some(line) = self.queues.get(&waiter.queue) else {
            return Vec::new();
        };
        let relaxed = self.relaxes_at(waiter).is_some_and(|at| at <= now);
        let limit = line.settings.max_penalty;
        let mut free = Vec::new();
        for (place, member) in line.members.iter().enumerate() {
            let Some(desk) = self.agents.get(&member.agent) else {
                continue;
            };
            let fits = !desk.gone
                && desk.state() == AgentState::Free
                && !waiter.tried.contains(&member.agent)
                && limit.is_none_or(|limit| member.penalty <= limit)
                && (relaxed || can(&desk.settings, &waiter.skills));
            if fits {
                free.push(Candidate {
                    place,
                    penalty: member.penalty,
                    calls: line.calls.get(&member.agent).copied().unwrap_or(0),
                    last_end: desk.last_end,
                });
            }
        }
        free
    }

    /// When any agent will do for a caller.
    fn relaxes_at(&self, waiter: &Waiter) -> Option<Instant> {
        let line = self.queues.get(&waiter.queue)?;
        let after = line.settings.skills_relax?;
        (!waiter.skills.is_empty()).then(|| waiter.joined + after)
    }

    fn announce(&mut self, now: Instant) {
        let due: Vec<CallerId> = (self.callers.iter())
            .filter(|(_, waiter)| {
                let waits = !matches!(waiter.stage, Stage::Talking { .. });
                waits && waiter.announce_at.is_some_and(|at| at <= now)
            })
            .map(|(id, _)| *id)
            .collect();
        for caller in due {
            let position = self.position(caller).unwrap_or(1);
            let Some(waiter) = self.callers.get_mut(&caller) else {
                continue;
            };
            let line = self.queues.get(&waiter.queue);
            let every = line.map_or(Duration::ZERO, |line| line.settings.announce.every);
            waiter.announce_at = (!every.is_zero()).then(|| now + every);
            let queue = waiter.queue.clone();
            let hold = self.hold_at(&queue, position);
            self.order(caller, Order::Announce { position, hold });
        }
    }
}

/// Whether an agent can do all of that.
fn can(agent: &Agent, skills: &[Skill]) -> bool {
    skills.iter().all(|(name, level)| {
        let has = agent.skills.iter().find(|(own, _)| own == name);
        has.is_some_and(|(_, own)| own >= level)
    })
}
