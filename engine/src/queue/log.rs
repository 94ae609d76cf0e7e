//! What happens to queues and agents, in the log.
use super::order::Event;

/// Writes one of them.
pub(super) fn tell(event: &Event) {
    match event {
        Event::Joined {
            queue,
            call,
            position,
        } => tracing::info!(queue, call, position, "waits in a queue"),
        Event::Refused { queue, call, why } => {
            tracing::info!(
                queue,
                call,
                why = why.name(),
                rule = "queue-refused",
                "not let into a queue"
            );
        }
        Event::Left {
            queue,
            call,
            why,
            waited,
        } => {
            let (why, seconds) = (why.name(), waited.as_secs());
            tracing::info!(queue, call, why, seconds, "left a queue");
        }
        Event::Moved {
            queue,
            call,
            position,
        } => tracing::info!(queue, call, position, "put to another place in a queue"),
        Event::Ringing { queue, call, agent } => {
            tracing::info!(queue, call, agent, "an agent rings");
        }
        Event::Missed {
            queue,
            call,
            agent,
            why,
        } => tracing::info!(
            queue,
            call,
            agent,
            why = why.name(),
            "an agent did not take a call"
        ),
        Event::Connected {
            queue,
            call,
            agent,
            waited,
        } => tracing::info!(queue, call, agent, waited_s = waited.as_secs(), "served"),
        Event::Completed {
            queue,
            call,
            agent,
            talked,
        } => tracing::info!(
            queue,
            call,
            agent,
            talked_s = talked.as_secs(),
            "served to the end"
        ),
        Event::Agent { agent, state } => {
            tracing::info!(agent, state = state.name(), "an agent's state");
        }
        Event::Member { queue, agent, on } => tracing::info!(queue, agent, on, "a queue's member"),
        Event::CallbackFailed {
            queue, given_up, ..
        } => tracing::info!(queue, given_up, "a caller could not be called back"),
    }
}
