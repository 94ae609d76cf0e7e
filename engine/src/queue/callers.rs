//! What happens to callers: they join, are joined with an agent, and leave.
use super::core::{Activity, CallingBack, Core, MAX_REASON, Stage, Waiter};
use super::order::{CallerId, Event, Joining, Leaving, Missed, Order, Refused, Rung};
use super::views::KeptCallback;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long an agent may take after picking up, for the key that takes the call and for what it is told.
const BRIEFING: Duration = Duration::from_secs(60);
/// What the newest counts in a moving average.
const NEWEST: f64 = 0.25;

impl Core {
    /// Lets a caller in.
    ///
    /// # Errors
    /// Why not.
    pub fn join(&mut self, now: Instant, joining: Joining) -> Result<CallerId, Refused> {
        self.settle(now);
        if let Err(why) = self.may_join(&joining) {
            if let Some(line) = self.queues.get_mut(&joining.queue) {
                line.tally.count(now, |counts| {
                    counts.offered += 1;
                    counts.refused += 1;
                });
            }
            self.tell(Event::Refused {
                queue: joining.queue,
                call: joining.call,
                why,
            });
            return Err(why);
        }
        let Some(line) = self.queues.get_mut(&joining.queue) else {
            return Err(Refused::NoQueue);
        };
        line.tally.count(now, |counts| counts.offered += 1);
        let settings = &line.settings;
        let announces = &settings.announce;
        let speaks = announces.position || announces.hold_time || announces.comfort.is_some();
        let mut skills = settings.skills.clone();
        skills.extend(joining.skills);
        self.next_caller += 1;
        let id = CallerId(self.next_caller);
        let waiter = Waiter {
            priority: joining.priority,
            order: self.next_caller,
            joined: now,
            skills,
            deadline: joining
                .max_wait
                .or(settings.max_wait)
                .map(|wait| now + wait),
            ring: joining.ring,
            announce_at: speaks.then(|| now + announces.first),
            stage: Stage::Waiting { from: now },
            attempts: 0,
            tried: BTreeSet::new(),
            rounds: 0,
            callback: None,
            call: joining.call,
            number: joining.number,
            queue: joining.queue,
        };
        let (queue, call) = (waiter.queue.clone(), waiter.call.clone());
        self.callers.insert(id, waiter);
        let position = self.position(id).unwrap_or(1);
        self.tell(Event::Joined {
            queue,
            call,
            position,
        });
        self.settle(now);
        Ok(id)
    }

    fn may_join(&self, joining: &Joining) -> Result<(), Refused> {
        let line = self.queues.get(&joining.queue).ok_or(Refused::NoQueue)?;
        let settings = &line.settings;
        if let Some(rule) = settings.join_when_empty
            && self.is_empty(&joining.queue, rule)
        {
            return Err(Refused::Empty);
        }
        let waiting = self.waiting_in(&joining.queue).count();
        if settings.max_length.is_some_and(|most| waiting >= most) {
            return Err(Refused::Full);
        }
        if let Some(limit) = settings.hold_threshold
            && self.hold_at(&joining.queue, waiting + 1) > Some(limit)
        {
            return Err(Refused::Hold);
        }
        if let Some(limit) = settings.ratio_threshold
            && (waiting + 1) as f64 > limit * self.staff(&joining.queue) as f64
        {
            return Err(Refused::Ratio);
        }
        Ok(())
    }

    /// Who waits or talks in a queue, by the call's id.
    pub fn find(&self, queue: &str, call: &str) -> Option<CallerId> {
        let is = |waiter: &Waiter| waiter.queue == queue && waiter.call == call;
        let found = self.callers.iter().find(|(_, waiter)| is(waiter));
        found.map(|(id, _)| *id)
    }

    /// A caller's place among those who wait in its queue, from 1.
    pub fn position(&self, caller: CallerId) -> Option<usize> {
        let own = self.callers.get(&caller)?;
        let before = |waiter: &Waiter| {
            (waiter.priority, std::cmp::Reverse(waiter.order))
                > (own.priority, std::cmp::Reverse(own.order))
        };
        let ahead = self.waiting_in(&own.queue);
        Some(ahead.filter(|(_, waiter)| before(waiter)).count() + 1)
    }

    /// How long somebody at that place may wait: calls ahead, each as long as calls are, shared among those who serve.
    pub(super) fn hold_at(&self, queue: &str, position: usize) -> Option<Duration> {
        let line = self.queues.get(queue)?;
        let staff = self.staff(queue).max(1) as f64;
        let by_calls = line.handling.map(|each| each * position as f64 / staff);
        let seconds = by_calls.or(line.hold)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Where that attempt still rings that agent.
    fn rings(&self, caller: CallerId, attempt: u64, agent: &str) -> bool {
        let waiter = self.callers.get(&caller);
        waiter.is_some_and(|waiter| match &waiter.stage {
            Stage::Ringing {
                agents,
                attempt: now,
                ..
            } => *now == attempt && agents.iter().any(|each| each == agent),
            _ => false,
        })
    }

    /// An agent picked up, and is not joined with the caller yet. `sure`: nothing but a greeting comes in between, so the others who ring
    /// are free again. Returns whether the call is still to be had.
    pub fn picked_up(
        &mut self,
        now: Instant,
        caller: CallerId,
        attempt: u64,
        agent: &str,
        sure: bool,
    ) -> bool {
        if !self.rings(caller, attempt, agent) {
            return false;
        }
        let mut others = Vec::new();
        if let Some(waiter) = self.callers.get_mut(&caller)
            && let Stage::Ringing { agents, until, .. } = &mut waiter.stage
        {
            *until = (*until).max(now + BRIEFING);
            if sure {
                others = agents.extract_if(.., |each| each != agent).collect();
            }
        }
        self.release(&others);
        self.settle(now);
        true
    }

    /// An agent and the caller are to be joined. `false`: the call is not to be had any more.
    pub fn answered(&mut self, now: Instant, caller: CallerId, attempt: u64, agent: &str) -> bool {
        if !self.rings(caller, attempt, agent) {
            return false;
        }
        let Some(waiter) = self.callers.get_mut(&caller) else {
            return false;
        };
        let talking = Stage::Talking {
            agent: agent.to_owned(),
            since: now,
        };
        let waited = now.saturating_duration_since(waiter.joined);
        let stage = std::mem::replace(&mut waiter.stage, talking);
        let (queue, call) = (waiter.queue.clone(), waiter.call.clone());
        if let Stage::Ringing { mut agents, .. } = stage {
            agents.retain(|each| each != agent);
            self.release(&agents);
        }
        self.set_activity(agent, Activity::Talking(caller));
        if let Some(line) = self.queues.get_mut(&queue) {
            let within = waited <= line.settings.service_level;
            *line.calls.entry(agent.to_owned()).or_default() += 1;
            line.hold = Some(moved(line.hold, waited));
            line.tally.count(now, |counts| {
                counts.answered += 1;
                counts.within += u64::from(within);
                counts.held += waited;
                counts.longest = waited;
            });
        }
        if let Some(desk) = self.agents.get_mut(agent) {
            desk.tally.count(now, |counts| counts.answered += 1);
        }
        self.tell(Event::Connected {
            queue,
            call,
            agent: agent.to_owned(),
            waited,
        });
        self.settle(now);
        true
    }

    /// An agent who rang did not take the call.
    pub fn missed(
        &mut self,
        now: Instant,
        caller: CallerId,
        attempt: u64,
        agent: &str,
        why: Missed,
    ) {
        if self.rings(caller, attempt, agent) {
            self.miss(now, caller, agent, why);
            self.settle(now);
        }
    }

    /// One of those who ring does not take it.
    pub(super) fn miss(&mut self, now: Instant, caller: CallerId, agent: &str, why: Missed) {
        let Some(waiter) = self.callers.get_mut(&caller) else {
            return;
        };
        let Stage::Ringing { agents, .. } = &mut waiter.stage else {
            return;
        };
        agents.retain(|each| each != agent);
        let nobody = agents.is_empty();
        if nobody {
            waiter.stage = Stage::Waiting { from: now };
        }
        waiter.tried.insert(agent.to_owned());
        let (queue, call) = (waiter.queue.clone(), waiter.call.clone());
        let settings = self.queues.get(&queue).map(|line| line.settings.clone());
        let rest = settings
            .as_ref()
            .map_or(Duration::ZERO, |queue| queue.retry);
        self.set_activity(
            agent,
            match why {
                Missed::Busy => Activity::Busy(now + rest),
                Missed::Unreachable => Activity::Unavailable(now + rest),
                Missed::NoAnswer | Missed::Declined => Activity::Idle,
            },
        );
        if let Some(desk) = self.agents.get_mut(agent) {
            desk.tally.count(now, |counts| counts.missed += 1);
        }
        self.tell(Event::Missed {
            queue,
            call,
            agent: agent.to_owned(),
            why,
        });
        if why == Missed::NoAnswer && settings.is_some_and(|queue| queue.auto_pause) {
            self.set_pause(agent, Some("no answer"));
        }
    }

    /// A conversation is over, whoever ended it.
    pub fn hung_up(&mut self, now: Instant, caller: CallerId) {
        let talking = self
            .callers
            .get(&caller)
            .is_some_and(|waiter| matches!(waiter.stage, Stage::Talking { .. }));
        if !talking {
            return;
        }
        let Some(waiter) = self.callers.remove(&caller) else {
            return;
        };
        let Stage::Talking { agent, since } = waiter.stage else {
            return;
        };
        let talked = now.saturating_duration_since(since);
        let line = self.queues.get_mut(&waiter.queue);
        let mut wrap_up = line
            .as_ref()
            .map_or(Duration::ZERO, |line| line.settings.wrap_up);
        if let Some(desk) = self.agents.get_mut(&agent) {
            wrap_up = desk.settings.wrap_up.unwrap_or(wrap_up);
            desk.last_end = Some(now);
            desk.tally.count(now, |counts| {
                counts.completed += 1;
                counts.talked += talked;
            });
        }
        if let Some(line) = line {
            line.handling = Some(moved(line.handling, talked + wrap_up));
            line.tally.count(now, |counts| {
                counts.completed += 1;
                counts.talked += talked;
            });
        }
        self.set_activity(
            &agent,
            match wrap_up.is_zero() {
                true => Activity::Idle,
                false => Activity::WrapUp(now + wrap_up),
            },
        );
        self.tell(Event::Completed {
            queue: waiter.queue,
            call: waiter.call,
            agent,
            talked,
        });
        self.settle(now);
    }

    /// A caller leaves by itself, at any stage. Whatever rings for it stops.
    pub fn leave(&mut self, now: Instant, caller: CallerId, why: Leaving) {
        match self.callers.get(&caller).map(|waiter| &waiter.stage) {
            None => {}
            Some(Stage::Talking { .. }) => self.hung_up(now, caller),
            Some(_) => {
                self.part_with(now, caller, why);
                self.settle(now);
            }
        }
    }

    /// A caller is sent away: it is told, and its place is gone. Returns whether it was there.
    pub fn remove(&mut self, now: Instant, caller: CallerId) -> bool {
        let waits = self
            .callers
            .get(&caller)
            .is_some_and(|waiter| !matches!(waiter.stage, Stage::Talking { .. }));
        if waits {
            self.send_away(now, caller, Leaving::Removed);
            self.settle(now);
        }
        waits
    }

    pub(super) fn send_away(&mut self, now: Instant, caller: CallerId, why: Leaving) {
        self.part_with(now, caller, why);
        self.order(caller, Order::Leave(why));
    }

    fn part_with(&mut self, now: Instant, caller: CallerId, why: Leaving) {
        let Some(waiter) = self.callers.remove(&caller) else {
            return;
        };
        match waiter.stage {
            Stage::Ringing { agents, .. } => self.release(&agents),
            Stage::CalledBack { agent, .. } => self.release(&[agent]),
            Stage::Waiting { .. } | Stage::Talking { .. } => {}
        }
        self.count_leaving(now, &waiter.queue, why);
        self.tell(Event::Left {
            queue: waiter.queue,
            call: waiter.call,
            why,
            waited: now.saturating_duration_since(waiter.joined),
        });
    }

    fn count_leaving(&mut self, now: Instant, queue: &str, why: Leaving) {
        if let Some(line) = self.queues.get_mut(queue) {
            line.tally.count(now, |counts| match why {
                Leaving::Abandoned => counts.abandoned += 1,
                Leaving::Timeout => counts.timed_out += 1,
                _ => counts.left += 1,
            });
        }
    }

    /// A caller hangs up, keeps its place, and is called at that number when it is its turn. `false`: it is not waiting, or its queue calls
    /// nobody back.
    pub fn ask_callback(&mut self, now: Instant, caller: CallerId, number: &str) -> bool {
        let Some(waiter) = self.callers.get_mut(&caller) else {
            return false;
        };
        let line = self.queues.get(&waiter.queue);
        let calls_back = line.is_some_and(|line| line.settings.callback.is_some());
        let ringing = match &waiter.stage {
            Stage::Waiting { .. } => Vec::new(),
            Stage::Ringing { agents, .. } => agents.clone(),
            Stage::CalledBack { .. } | Stage::Talking { .. } => return false,
        };
        if !calls_back {
            return false;
        }
        waiter.callback = Some(CallingBack {
            number: number.chars().take(MAX_REASON).collect(),
            attempts: 0,
        });
        waiter.stage = Stage::Waiting { from: now };
        (waiter.deadline, waiter.announce_at) = (None, None);
        let left = Event::Left {
            queue: waiter.queue.clone(),
            call: waiter.call.clone(),
            why: Leaving::Callback,
            waited: now.saturating_duration_since(waiter.joined),
        };
        let queue = waiter.queue.clone();
        self.release(&ringing);
        self.count_leaving(now, &queue, Leaving::Callback);
        self.tell(left);
        self.settle(now);
        true
    }

    /// A place for somebody who asked for it before a restart.
    pub(super) fn keep_callback(&mut self, now: Instant, back: &KeptCallback) {
        self.next_caller += 1;
        let waiter = Waiter {
            call: String::new(),
            number: back.number.clone(),
            queue: back.queue.clone(),
            priority: back.priority,
            order: self.next_caller,
            joined: now,
            skills: Vec::new(),
            deadline: None,
            ring: None,
            announce_at: None,
            stage: Stage::Waiting { from: now },
            attempts: 0,
            tried: BTreeSet::new(),
            rounds: 0,
            callback: Some(CallingBack {
                number: back.number.clone(),
                attempts: back.attempts,
            }),
        };
        self.callers.insert(CallerId(self.next_caller), waiter);
    }

    /// Whoever was called back is there, in that call: the agent who was kept free rings. `false`: the place is gone.
    pub fn called_back(&mut self, now: Instant, caller: CallerId, call: &str) -> bool {
        let Some(waiter) = self.callers.get_mut(&caller) else {
            return false;
        };
        let Stage::CalledBack { agent, .. } = &waiter.stage else {
            return false;
        };
        let agent = agent.clone();
        waiter.callback = None;
        call.clone_into(&mut waiter.call);
        self.ring(now, caller, vec![agent]);
        true
    }

    /// Whoever was to be called back was not reached.
    pub fn callback_failed(&mut self, now: Instant, caller: CallerId) {
        self.not_called_back(now, caller, true);
    }

    /// Whoever was to be called back was not called after all: that is no attempt.
    pub fn callback_put_off(&mut self, now: Instant, caller: CallerId) {
        self.not_called_back(now, caller, false);
    }

    fn not_called_back(&mut self, now: Instant, caller: CallerId, attempted: bool) {
        let Some(waiter) = self.callers.get_mut(&caller) else {
            return;
        };
        let Stage::CalledBack { agent, .. } = &waiter.stage else {
            return;
        };
        let agent = agent.clone();
        let (queue, back) = (waiter.queue.clone(), waiter.callback.clone());
        let line = self.queues.get(&queue);
        let rule = line.and_then(|line| line.settings.callback.clone());
        let (Some(rule), Some(back)) = (rule, back) else {
            return self.send_away(now, caller, Leaving::Removed);
        };
        let given_up = attempted && back.attempts >= rule.attempts;
        waiter.stage = Stage::Waiting {
            from: now + rule.retry,
        };
        if let Some(back) = waiter.callback.as_mut().filter(|_| !attempted) {
            back.attempts = back.attempts.saturating_sub(1);
        }
        if given_up {
            self.callers.remove(&caller);
        }
        self.release(&[agent]);
        if attempted {
            self.tell(Event::CallbackFailed {
                queue,
                number: back.number,
                given_up,
            });
        }
        self.settle(now);
    }

    /// Lets these agents ring for a caller.
    pub(super) fn ring(&mut self, now: Instant, caller: CallerId, agents: Vec<String>) {
        let Some(waiter) = self.callers.get_mut(&caller) else {
            return;
        };
        let line = self.queues.get_mut(&waiter.queue);
        let usual = line.as_ref().map(|line| line.settings.ring);
        let ring = waiter.ring.or(usual).unwrap_or(BRIEFING);
        waiter.attempts += 1;
        let attempt = waiter.attempts;
        waiter.stage = Stage::Ringing {
            agents: agents.clone(),
            attempt,
            until: now + ring,
        };
        if let (Some(line), Some(last)) = (line, agents.last()) {
            line.last_rung = Some(last.clone());
        }
        let (queue, call) = (waiter.queue.clone(), waiter.call.clone());
        let mut rung = Vec::new();
        for agent in agents {
            self.set_activity(&agent, Activity::Ringing(caller));
            if let Some(desk) = self.agents.get_mut(&agent) {
                desk.tally.count(now, |counts| counts.offered += 1);
                rung.push(Rung {
                    reach: desk.settings.reach.clone(),
                    confirm: desk.settings.confirm,
                    agent: agent.clone(),
                });
            }
            self.tell(Event::Ringing {
                queue: queue.clone(),
                call: call.clone(),
                agent,
            });
        }
        let agents = rung;
        self.order(caller, Order::Ring { attempt, agents });
    }
}

/// A moving average with one more value, in s.
fn moved(average: Option<f64>, value: Duration) -> f64 {
    let value = value.as_secs_f64();
    average.map_or(value, |average| average + (value - average) * NEWEST)
}
