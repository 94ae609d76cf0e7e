//! A supervisor in an agent's call: the supervisor's side, and what the bridge of the two does.
use super::super::control::{Done, OrderError};
use super::super::enqueue::{AgentOrder, AgentReply};
use super::super::leg::Input;
use super::super::supervision::{Knock, Seat, edge};
use super::super::verb::Outcome;
use super::bridge::Bridged;
use super::{Executor, VerbResult};
use crate::config::AgentService;
use crate::media::{Edge, MemberId, Room, RoomConfig};
use std::sync::Arc;

/// Keys by which a supervisor changes how it is heard; any other leaves.
const MODES: [(char, AgentService); 3] = [
    ('1', AgentService::Listen),
    ('2', AgentService::Whisper),
    ('3', AgentService::Barge),
];

/// A supervisor's place in an agent's call.
pub(super) struct Supervising {
    agent: String,
    room: Arc<Room>,
    member: MemberId,
    mode: AgentService,
}

impl Executor<'_> {
    /// Joins this call with an agent's, until either ends or a key leaves it.
    pub(super) async fn supervise(&mut self, order: &AgentOrder) -> VerbResult {
        let Some(agent) = &order.agent else {
            return Ok(Outcome::AgentDone(AgentReply::Unknown));
        };
        let calls = self.call.calls.clone();
        if calls.queues.agent(agent).is_none() {
            return Ok(Outcome::AgentDone(AgentReply::Unknown));
        }
        let Some(mut seat) = calls.supervision.join(agent).await else {
            return Ok(Outcome::AgentDone(AgentReply::NoCall));
        };
        if let Err(reason) = self
            .leg
            .take_seat(&seat.room, edge(order.service, seat.agent))
        {
            return Ok(super::failed("agent", reason));
        }
        let mode = order.service.name();
        tracing::info!(
            agent,
            mode,
            rule = "supervision",
            "a supervisor joins an agent's call"
        );
        self.supervising = Some(Supervising {
            agent: agent.clone(),
            room: seat.room.clone(),
            member: seat.agent,
            mode: order.service,
        });
        let ended = self.attend_agent(&mut seat).await;
        self.supervising = None;
        self.leg.leave_room(&seat.room);
        tracing::info!(agent, "the supervisor has left");
        ended.map(|()| Outcome::AgentDone(AgentReply::Done))
    }

    async fn attend_agent(&mut self, seat: &mut Seat) -> Result<(), super::End> {
        loop {
            let input = tokio::select! {
                biased;
                input = self.next() => input,
                _ = seat.over.wait_for(|over| *over) => return Ok(()),
            };
            match input {
                Input::Ended(end) => return Err(end),
                Input::Key(key) => {
                    self.leg.say_key(&key, false);
                    let Some((_, wanted)) = MODES.iter().find(|(digit, _)| *digit == key.digit)
                    else {
                        return Ok(());
                    };
                    if let Err(reason) = self.change_mode(*wanted) {
                        tracing::warn!(reason, "a supervisor's mode stays as it was");
                    }
                }
                Input::Replaced => {
                    let Some(at) = &self.supervising else {
                        return Ok(());
                    };
                    let edge = edge(at.mode, at.member);
                    if let Err(reason) = self.leg.take_seat(&seat.room, edge) {
                        tracing::error!(reason, "the supervisor's new leg hears nothing");
                    }
                }
                _ => {}
            }
        }
    }

    fn change_mode(&mut self, mode: AgentService) -> Result<(), String> {
        let Some(at) = &mut self.supervising else {
            return Ok(());
        };
        self.leg.change_edge(&at.room, edge(mode, at.member))?;
        at.mode = mode;
        tracing::info!(
            agent = at.agent,
            mode = mode.name(),
            rule = "supervision",
            "a supervisor's mode"
        );
        Ok(())
    }

    pub(super) fn supervise_ordered(
        &mut self,
        agent: &str,
        mode: AgentService,
    ) -> Result<Done, OrderError> {
        if self.supervising.as_ref().is_none_or(|at| at.agent != agent) {
            return Err(OrderError::Conflict("it does not supervise this agent"));
        }
        self.change_mode(mode).map_err(OrderError::Failed)?;
        Ok(Done::Done)
    }

    /// A supervisor comes to the bridge, or leaves it.
    pub(super) fn knocked(&mut self, bridged: &mut Bridged, knock: Knock) {
        let reply = match knock {
            Knock::Out => {
                if bridged.open.as_mut().is_some_and(|open| open.left()) {
                    self.end_supervision(bridged);
                    self.rejoin(bridged);
                }
                return;
            }
            Knock::In(reply) => reply,
        };
        let busy = bridged.transfer.is_some() || bridged.peer.is_none();
        if busy || bridged.open.as_ref().is_none_or(|open| !open.has_place()) {
            return;
        }
        if !bridged.is_supervised() && !self.move_to_room(bridged) {
            return;
        }
        if let Some(open) = &mut bridged.open {
            open.admit(reply);
        }
    }

    fn move_to_room(&mut self, bridged: &mut Bridged) -> bool {
        let config = RoomConfig {
            max_members: 2 + super::super::supervision::MAX_SUPERVISORS,
            ..RoomConfig::default()
        };
        let (Some(peer), Some(open)) = (&mut bridged.peer, &mut bridged.open) else {
            return false;
        };
        let room = match self.call.calls.media.room(config) {
            Ok((room, _)) => Arc::new(room),
            Err(error) => {
                tracing::warn!(%error, "no supervisor can be let in");
                return false;
            }
        };
        let own = self.leg.take_seat(&room, Edge::default());
        match (own, peer.take_seat(&room, Edge::default())) {
            (Ok(_), Ok(agent)) => {
                open.moved(room, agent);
                self.settle_room(bridged, false);
                true
            }
            (own, peer) => {
                let reason = own.err().or(peer.err());
                tracing::warn!(reason, "no supervisor can be let in");
                self.rejoin(bridged);
                false
            }
        }
    }

    /// Sends supervisors away; both parties are to be joined anew.
    pub(super) fn end_supervision(&mut self, bridged: &mut Bridged) {
        let Some(room) = bridged.open.as_mut().and_then(|open| open.end()) else {
            return;
        };
        self.leg.leave_room(&room);
        if let Some(peer) = &bridged.peer {
            peer.leave_room(&room);
        }
    }

    /// Sends supervisors away, if there are any, and joins both parties as they were.
    pub(super) fn unsupervise(&mut self, bridged: &mut Bridged) {
        if bridged.is_supervised() {
            self.end_supervision(bridged);
            self.rejoin(bridged);
        }
    }

    /// One of two supervised parties has changed: hold, or another leg in its place.
    pub(super) fn settle_room(&mut self, bridged: &mut Bridged, replaced: bool) {
        let (Some(peer), Some(open)) = (&mut bridged.peer, &bridged.open) else {
            return;
        };
        let Some(joint) = open.joint() else { return };
        if replaced {
            // The new leg is in no room: the supervisors go, and may come again.
            return self.unsupervise(bridged);
        }
        let (own_held, peer_held) = (self.leg.is_held(), peer.is_held());
        let (own_put, peer_put) = (self.leg.is_put_on_hold(), peer.is_put_on_hold());
        self.leg.music(peer_held || own_put);
        peer.music(own_held || peer_put);
        for (leg, held) in [(&*self.leg, own_held), (&**peer, peer_held)] {
            let edge = Edge {
                // What a far end on hold sends is music, and nobody's to hear.
                mute: held || leg.is_muted(),
                hold: leg.is_put_on_hold(),
                ..Edge::default()
            };
            if let Err(reason) = leg.change_edge(&joint.room, edge) {
                tracing::warn!(reason, "the edge of a supervised party stays as it was");
            }
        }
    }
}
