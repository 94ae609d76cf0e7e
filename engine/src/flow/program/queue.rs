//! Waiting for an agent: the verb, and what follows each end of the wait.
use super::super::model::{Flow, Queueing};
use super::{FlowProgram, Move};
use crate::call::{CallInfo, Enqueue, HangupCause, QueueEnd, Queued, Verb};

impl FlowProgram {
    pub(super) fn enqueue(&self, call: &CallInfo, queueing: &Queueing) -> Verb {
        let name = self.expand(call, &queueing.name);
        let plain = match queueing.alone {
            true => Enqueue::agent(&name),
            false => Enqueue::queue(name),
        };
        Verb::Enqueue(Box::new(Enqueue {
            priority: queueing.priority,
            skills: queueing.skills.clone(),
            max_wait_ms: queueing.max_wait_ms,
            ring_ms: queueing.ring_ms,
            language: self.language.clone(),
            exit_keys: queueing.exit_keys.clone(),
            call_back: queueing
                .call_back
                .as_ref()
                .map(|number| self.expand(call, number)),
            ..plain
        }))
    }

    /// The step's own way for that end, the queue's, what follows otherwise; else the call ends.
    pub(super) fn after_queue<'f>(
        &mut self,
        flow: &'f Flow,
        call: &CallInfo,
        queueing: &'f Queueing,
        queued: &Queued,
    ) -> Move<'f> {
        let end = queued.end.name();
        let (agent, key) = match &queued.end {
            QueueEnd::Answered { agent, .. } => (agent.clone(), String::new()),
            QueueEnd::Key(key) => (String::new(), key.to_string()),
            _ => (String::new(), String::new()),
        };
        self.set("queue_status", end.to_owned());
        self.set("queue_agent", agent);
        self.set("queue_key", key);
        self.set("queue_wait_seconds", queued.waited_s.to_string());
        let name = self.expand(call, &queueing.name);
        let own = flow
            .queues
            .iter()
            .find(|queue| !queueing.alone && queue.settings.name == name);
        let usual = own.and_then(|queue| queue.fallbacks.get(end));
        let to = queueing
            .fallbacks
            .get(end)
            .or(usual)
            .or(queueing.then.as_ref());
        match (to, &queued.end) {
            (Some(to), _) => Move::To(to),
            (None, QueueEnd::Answered { .. } | QueueEnd::Key(_) | QueueEnd::Callback) => {
                Move::Do(self.end(HangupCause::Normal))
            }
            (None, QueueEnd::Unknown) => Move::Do(self.end(HangupCause::Congestion)),
            (None, _) => Move::Do(self.end(HangupCause::Busy)),
        }
    }
}
