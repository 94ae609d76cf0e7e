//! What queues and agents are measured by, as answers show it.
use crate::queue::Counts;
use serde::Serialize;
use utoipa::ToSchema;

/// Callers of a queue in some time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QueueFigures {
    /// Who came, those included who were not let in.
    offered: u64,
    /// Who was joined with an agent.
    answered: u64,
    /// Of these, within the queue's `service_level_s`.
    within: u64,
    /// Who hung up while waiting.
    abandoned: u64,
    /// Who waited as long as they may.
    timed_out: u64,
    /// Who left by a key, for a callback, because nobody was there, or was sent away.
    left: u64,
    /// Who was not let in.
    refused: u64,
    /// Answered within the time, of those who were answered or gave up: 0 to 1.
    service_level: Option<f64>,
    /// The mean wait of those who were answered, in seconds.
    mean_hold_s: Option<u64>,
    /// The longest of these waits, in seconds.
    longest_hold_s: u64,
    /// The mean conversation, in seconds.
    mean_talk_s: Option<u64>,
}

impl From<Counts> for QueueFigures {
    fn from(of: Counts) -> QueueFigures {
        QueueFigures {
            offered: of.offered,
            answered: of.answered,
            within: of.within,
            abandoned: of.abandoned,
            timed_out: of.timed_out,
            left: of.left,
            refused: of.refused,
            service_level: of.service_level(),
            mean_hold_s: of.mean_hold().map(|mean| mean.as_secs()),
            longest_hold_s: of.longest.as_secs(),
            mean_talk_s: of.mean_talk().map(|mean| mean.as_secs()),
        }
    }
}

/// Calls of an agent in some time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentFigures {
    /// Calls that rang.
    offered: u64,
    /// Calls that were taken.
    answered: u64,
    /// Calls that were not.
    missed: u64,
    /// All conversations together, in seconds.
    talked_s: u64,
    /// The mean of them, in seconds.
    mean_talk_s: Option<u64>,
}

impl From<Counts> for AgentFigures {
    fn from(of: Counts) -> AgentFigures {
        AgentFigures {
            offered: of.offered,
            answered: of.answered,
            missed: of.missed,
            talked_s: of.talked.as_secs(),
            mean_talk_s: of.mean_talk().map(|mean| mean.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_service_level_and_the_means_are_worked_out() {
        let counts = Counts {
            offered: 9,
            answered: 4,
            within: 2,
            abandoned: 1,
            held: Duration::from_secs(40),
            talked: Duration::from_secs(90),
            completed: 3,
            ..Counts::default()
        };
        let queue = QueueFigures::from(counts);
        assert_eq!(queue.service_level, Some(0.4));
        assert_eq!((queue.mean_hold_s, queue.mean_talk_s), (Some(10), Some(30)));
        let agent = AgentFigures::from(counts);
        assert_eq!((agent.offered, agent.talked_s), (9, 90));
        assert_eq!(QueueFigures::from(Counts::default()).service_level, None);
    }
}
