//! What happens to queues and agents, on the bus of events.
use super::events::{EventKind, Events};
use crate::queue::{AgentState, Event};
use serde_json::json;

/// Tells one of them.
pub(super) fn tell(events: &Events, event: &Event) {
    match event {
        Event::Joined {
            queue,
            call,
            position,
        } => events.tell(
            EventKind::QueueJoined,
            Some(call),
            || json!({ "queue": queue, "position": position }),
        ),
        Event::Refused { queue, call, why } => {
            events.tell(
                EventKind::QueueRefused,
                Some(call),
                || json!({ "queue": queue, "why": why.name() }),
            );
        }
        Event::Left {
            queue,
            call,
            why,
            waited,
        } => events.tell(
            EventKind::QueueLeft,
            Some(call),
            || json!({ "queue": queue, "why": why.name(), "waited_s": waited.as_secs() }),
        ),
        Event::Moved {
            queue,
            call,
            position,
        } => events.tell(
            EventKind::QueueMoved,
            Some(call),
            || json!({ "queue": queue, "position": position }),
        ),
        Event::Ringing { queue, call, agent } => {
            events.tell(
                EventKind::AgentCalled,
                Some(call),
                || json!({ "queue": queue, "agent": agent }),
            );
        }
        Event::Missed {
            queue,
            call,
            agent,
            why,
        } => events.tell(
            EventKind::AgentMissed,
            Some(call),
            || json!({ "queue": queue, "agent": agent, "why": why.name() }),
        ),
        Event::Connected {
            queue,
            call,
            agent,
            waited,
        } => events.tell(
            EventKind::QueueServed,
            Some(call),
            || json!({ "queue": queue, "agent": agent, "waited_s": waited.as_secs() }),
        ),
        Event::Completed {
            queue,
            call,
            agent,
            talked,
        } => events.tell(
            EventKind::QueueCompleted,
            Some(call),
            || json!({ "queue": queue, "agent": agent, "talked_s": talked.as_secs() }),
        ),
        Event::Agent { agent, state } => events.tell(EventKind::AgentState, None, || {
            let reason = match state {
                AgentState::Paused(reason) => Some(reason),
                _ => None,
            };
            json!({ "agent": agent, "state": state.name(), "reason": reason })
        }),
        Event::Member { queue, agent, on } => events.tell(
            EventKind::QueueMember,
            None,
            || json!({ "queue": queue, "agent": agent, "member": on }),
        ),
        Event::CallbackFailed {
            queue,
            number,
            given_up,
        } => events.tell(
            EventKind::QueueCallbackFailed,
            None,
            || json!({ "queue": queue, "number": number, "given_up": given_up }),
        ),
    }
}
