//! Supervisors in the calls of agents: who serves a caller can be listened to, whispered to, and spoken with.
//!
//! It owns who can be joined and the requests on their way. The two parties of the call are moved into a room while a supervisor is there, by
//! whoever owns their bridge, and back when the last one has left. Limit: four supervisors at the same time.
use crate::config::AgentService;
use crate::media::{Edge, MemberId, Room};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};

/// Supervisors of one call.
pub(super) const MAX_SUPERVISORS: usize = 4;

/// The conversations of agents that can be joined, by the agent's id.
#[derive(Debug, Default)]
pub(super) struct Supervision(Mutex<HashMap<String, mpsc::Sender<Knock>>>);

/// What is told to the bridge of an agent.
#[derive(Debug)]
pub(super) enum Knock {
    /// A supervisor wants to come in.
    In(oneshot::Sender<Seat>),
    /// One has left.
    Out,
}

/// A supervisor's place; dropping it leaves.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) room: Arc<Room>,
    /// Who is whispered to.
    pub(super) agent: MemberId,
    /// True when the call is over.
    pub(super) over: watch::Receiver<bool>,
    knock: mpsc::Sender<Knock>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // There is a place for it: each supervisor knocks twice.
        let _ = self.knock.try_send(Knock::Out);
    }
}

/// An agent's conversation while it can be joined; dropping it sends supervisors away.
#[derive(Debug)]
pub(super) struct Open {
    registry: Arc<Supervision>,
    agent: String,
    knocks: mpsc::Receiver<Knock>,
    knock: mpsc::Sender<Knock>,
    /// While a supervisor is there.
    joint: Option<Joint>,
}

/// Both parties in a room.
#[derive(Debug)]
pub(super) struct Joint {
    pub(super) room: Arc<Room>,
    pub(super) agent: MemberId,
    supervisors: usize,
    over: watch::Sender<bool>,
}

impl Supervision {
    fn table(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Knock>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets supervisors into an agent's conversation from now on.
    pub(super) fn open(self: &Arc<Supervision>, agent: &str) -> Open {
        let (knock, knocks) = mpsc::channel(MAX_SUPERVISORS * 4);
        self.table().insert(agent.to_owned(), knock.clone());
        Open {
            registry: self.clone(),
            agent: agent.to_owned(),
            knocks,
            knock,
            joint: None,
        }
    }

    /// A place in an agent's conversation; `None`: it has none, or too many are there.
    pub(super) async fn join(&self, agent: &str) -> Option<Seat> {
        let knock = self.table().get(agent).cloned()?;
        let (reply, seat) = oneshot::channel();
        knock.try_send(Knock::In(reply)).ok()?;
        seat.await.ok()
    }
}

impl Open {
    /// The next who comes or goes. Nothing is lost when this is dropped.
    pub(super) async fn knock(&mut self) -> Knock {
        match self.knocks.recv().await {
            Some(knock) => knock,
            // Impossible: a sender is kept here.
            None => std::future::pending().await,
        }
    }

    /// While a supervisor is there.
    pub(super) fn joint(&self) -> Option<&Joint> {
        self.joint.as_ref()
    }

    /// Whether one more may come.
    pub(super) fn has_place(&self) -> bool {
        let there = self.joint.as_ref().map_or(0, |joint| joint.supervisors);
        there < MAX_SUPERVISORS
    }

    /// Both parties are in that room now.
    pub(super) fn moved(&mut self, room: Arc<Room>, agent: MemberId) {
        self.joint = Some(Joint {
            room,
            agent,
            supervisors: 0,
            over: watch::Sender::new(false),
        });
    }

    /// Lets a supervisor in.
    pub(super) fn admit(&mut self, reply: oneshot::Sender<Seat>) {
        let Some(joint) = &mut self.joint else { return };
        let seat = Seat {
            room: joint.room.clone(),
            agent: joint.agent,
            over: joint.over.subscribe(),
            knock: self.knock.clone(),
        };
        joint.supervisors += 1;
        // One who does not wait any more knocks to leave as its seat is dropped.
        let _ = reply.send(seat);
    }

    /// One has left. Returns whether nobody is there now.
    pub(super) fn left(&mut self) -> bool {
        let Some(joint) = &mut self.joint else {
            return false;
        };
        joint.supervisors = joint.supervisors.saturating_sub(1);
        joint.supervisors == 0
    }

    /// Sends all supervisors away; both parties are elsewhere from now on.
    pub(super) fn end(&mut self) -> Option<Arc<Room>> {
        let joint = self.joint.take()?;
        joint.over.send_replace(true);
        Some(joint.room)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut table = self.registry.table();
        // Another conversation of the agent may have opened since.
        let own = table.get(&self.agent);
        if own.is_some_and(|own| own.same_channel(&self.knock)) {
            table.remove(&self.agent);
        }
        drop(table);
        let _ = self.end();
    }
}

/// What lies between a supervisor and the room.
pub(super) fn edge(service: AgentService, agent: MemberId) -> Edge {
    match service {
        AgentService::Whisper => Edge {
            whisper_to: Some(agent),
            ..Edge::default()
        },
        AgentService::Barge => Edge::default(),
        _ => Edge {
            mute: true,
            ..Edge::default()
        },
    }
}
