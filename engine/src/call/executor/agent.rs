//! The verb of agents and supervisors: who is meant, whether they may, and what is done.
use super::super::enqueue::{AgentOrder, AgentReply};
use super::super::verb::Outcome;
use super::{Executor, VerbResult};
use crate::config::{AgentService, Secret};
use crate::queue::Unknown;
use trunkline_sip::Origin;

impl Executor<'_> {
    pub(super) fn agent_order(&mut self, order: &AgentOrder) -> VerbResult {
        let reply = self.agent_reply(order);
        tracing::info!(
            service = order.service.name(),
            agent = order.agent,
            ?reply,
            "agent"
        );
        Ok(Outcome::AgentDone(reply))
    }

    fn agent_reply(&self, order: &AgentOrder) -> AgentReply {
        let queues = &self.call.calls.queues;
        let at_phone = match &self.call.caller.origin {
            Origin::User(user) => queues.agent_at(user),
            _ => None,
        };
        let Some(agent) = order.agent.clone().or_else(|| at_phone.clone()) else {
            return AgentReply::Unknown;
        };
        // Whoever calls from the agent's own phone needs the PIN to begin only.
        let own = at_phone.as_ref() == Some(&agent);
        if !own || order.service == AgentService::Login {
            let pin = order.pin.as_ref();
            let checked = match pin {
                None if queues.needs_pin(&agent) => return AgentReply::Pin,
                pin => queues.check_pin(&agent, pin.map_or("", Secret::expose)),
            };
            if let Err(why) = checked {
                return refused(why);
            }
        }
        let done = match order.service {
            AgentService::Login => queues.login(&agent),
            AgentService::Logout => queues.logout(&agent),
            AgentService::Pause => queues.pause(&agent, ""),
            AgentService::Unpause => queues.unpause(&agent),
            AgentService::Listen | AgentService::Whisper | AgentService::Barge => {
                return AgentReply::NoCall;
            }
        };
        done.map_or_else(refused, |()| AgentReply::Done)
    }
}

fn refused(why: Unknown) -> AgentReply {
    match why {
        Unknown::Agent | Unknown::Queue => AgentReply::Unknown,
        Unknown::Pin => AgentReply::Pin,
        Unknown::Locked => AgentReply::Locked,
    }
}
