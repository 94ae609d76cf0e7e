//! What happens to agents: they log in and out, take breaks, and are asked for their PIN.
use super::core::{Activity, Core, Desk, MAX_REASON};
use super::order::{AgentState, Event};
use crate::config::{Absent, PinRefused};
use std::time::Instant;

/// Why an agent's wish was not fulfilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// There is no such agent.
    Agent,
    /// There is no such queue.
    Queue,
    /// The PIN is wrong.
    Pin,
    /// Too many wrong PINs were given: none is looked at for a while.
    Locked,
}

impl Core {
    fn desk(&mut self, agent: &str) -> Result<&mut Desk, Unknown> {
        let desk = self.agents.get_mut(agent).filter(|desk| !desk.gone);
        desk.ok_or(Unknown::Agent)
    }

    /// An agent serves its queues from now on.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn login(&mut self, now: Instant, agent: &str) -> Result<(), Unknown> {
        let desk = self.desk(agent)?;
        (desk.logged_in, desk.paused) = (true, None);
        if matches!(desk.activity, Activity::Busy(_) | Activity::Unavailable(_)) {
            desk.activity = Activity::Idle;
        }
        self.tell_agent(agent);
        self.settle(now);
        Ok(())
    }

    /// An agent serves nobody any more; a call that it has or that rings goes on.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn logout(&mut self, now: Instant, agent: &str) -> Result<(), Unknown> {
        let desk = self.desk(agent)?;
        (desk.logged_in, desk.paused) = (false, None);
        self.tell_agent(agent);
        self.settle(now);
        Ok(())
    }

    /// An agent has a break, with a reason that may be empty, or ends it.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn pause(
        &mut self,
        now: Instant,
        agent: &str,
        reason: Option<&str>,
    ) -> Result<(), Unknown> {
        self.desk(agent)?;
        self.set_pause(agent, reason);
        self.settle(now);
        Ok(())
    }

    pub(super) fn set_pause(&mut self, agent: &str, reason: Option<&str>) {
        if let Some(desk) = self.agents.get_mut(agent) {
            let plain = |reason: &str| -> String {
                let printable = reason.chars().filter(|char| !char.is_control());
                printable.take(MAX_REASON).collect()
            };
            desk.paused = reason.map(plain);
            self.tell_agent(agent);
        }
    }

    /// Ends the time after a call early.
    ///
    /// # Errors
    /// There is no such agent.
    pub fn end_wrap_up(&mut self, now: Instant, agent: &str) -> Result<(), Unknown> {
        let desk = self.desk(agent)?;
        if let Activity::WrapUp(_) = desk.activity {
            self.set_activity(agent, Activity::Idle);
            self.settle(now);
        }
        Ok(())
    }

    /// Lets an agent serve a queue; of one who does already the penalty is changed.
    ///
    /// # Errors
    /// There is no such agent or queue.
    pub fn add_member(
        &mut self,
        now: Instant,
        queue: &str,
        agent: &str,
        penalty: u32,
    ) -> Result<(), Unknown> {
        self.desk(agent)?;
        self.change_member(now, queue, agent, Some(penalty))
    }

    /// Takes an agent out of a queue; a call that it has or that rings goes on.
    ///
    /// # Errors
    /// There is no such queue, or the agent is not in it.
    pub fn remove_member(&mut self, now: Instant, queue: &str, agent: &str) -> Result<(), Unknown> {
        let line = self.queues.get(queue).ok_or(Unknown::Queue)?;
        if line.members.iter().all(|member| member.agent != agent) {
            return Err(Unknown::Agent);
        }
        self.change_member(now, queue, agent, None)
    }

    fn change_member(
        &mut self,
        now: Instant,
        queue: &str,
        agent: &str,
        penalty: Option<u32>,
    ) -> Result<(), Unknown> {
        let line = self.queues.get_mut(queue).ok_or(Unknown::Queue)?;
        line.changed.insert(agent.to_owned(), penalty);
        line.remake_members();
        self.tell(Event::Member {
            queue: queue.to_owned(),
            agent: agent.to_owned(),
            on: penalty.is_some(),
        });
        self.settle(now);
        Ok(())
    }

    /// Whether that is the agent's PIN; an agent without one needs none. Compared in constant time.
    ///
    /// # Errors
    /// It is not, or too many were tried.
    pub fn check_pin(&mut self, now: Instant, agent: &str, pin: &str) -> Result<(), Unknown> {
        let desk = self.desk(agent)?;
        let Some(own) = &desk.settings.pin else {
            return Ok(());
        };
        let checked = desk.pin_tries.check(now, own, pin);
        checked.map_err(|refused| match refused {
            PinRefused::Wrong => Unknown::Pin,
            PinRefused::Locked => Unknown::Locked,
        })
    }

    /// Whether the agent has a PIN.
    pub fn needs_pin(&self, agent: &str) -> bool {
        let desk = self.agents.get(agent);
        desk.is_some_and(|desk| desk.settings.pin.is_some())
    }

    /// How an agent stands.
    pub fn agent_state(&self, agent: &str) -> Option<AgentState> {
        Some(self.agents.get(agent)?.state())
    }

    pub(super) fn set_activity(&mut self, agent: &str, activity: Activity) {
        let Some(desk) = self.agents.get_mut(agent) else {
            return;
        };
        let busy = matches!(activity, Activity::Ringing(_) | Activity::Talking(_));
        if desk.gone && !busy {
            self.agents.remove(agent);
            return;
        }
        let before = desk.state();
        desk.activity = activity;
        if desk.state() != before {
            self.tell_agent(agent);
        }
    }

    /// Agents who rang are free again.
    pub(super) fn release(&mut self, agents: &[String]) {
        for agent in agents {
            self.set_activity(agent, Activity::Idle);
        }
    }

    fn tell_agent(&mut self, agent: &str) {
        if let Some(state) = self.agent_state(agent) {
            let agent = agent.to_owned();
            self.tell(Event::Agent { agent, state });
        }
    }

    /// Whether nobody is there for a queue, by that rule.
    pub(super) fn is_empty(&self, queue: &str, rule: Absent) -> bool {
        let Some(line) = self.queues.get(queue) else {
            return true;
        };
        let limit = line.settings.max_penalty;
        let there = line.members.iter().any(|member| {
            let too_high = limit.is_some_and(|limit| member.penalty > limit);
            let desk = self.agents.get(&member.agent);
            desk.is_some_and(|desk| desk.counts(rule)) && !(rule.penalty && too_high)
        });
        !there
    }

    /// Agents who are logged in and not on a break.
    pub(super) fn staff(&self, queue: &str) -> usize {
        let members = self.queues.get(queue).into_iter();
        let members = members.flat_map(|line| &line.members);
        let desks = members.filter_map(|member| self.agents.get(&member.agent));
        let at_work = |desk: &&Desk| desk.logged_in && desk.paused.is_none() && !desk.gone;
        desks.filter(at_work).count()
    }
}
