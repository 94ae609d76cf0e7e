//! Orders from outside, carried out between two things that happen. What an order plays, records or sends goes on by itself; only an order
//! that sends the call's own party elsewhere ends the verb under way.
use super::super::conference::Wish;
use super::super::control::{
    Done, Order, OrderError, Ordered, Parting, PlayOrder, Side, Transfer, When,
};
use super::super::events::{EventKind, cut};
use super::super::leg::{End, Input, KeyPath, Leg};
use super::super::program::CallInfo;
use super::super::programs::MeetProgram;
use super::super::session;
use super::super::verb::{Conference, HangupCause, RecordCall, Repeat, SendDigits, Stream};
use super::bridge::Bridged;
use super::handover::NextProgram;
use super::{Executor, hangup_reason_of};
use crate::media::{Command, DigitPiece, DigitText, MediaAudio};
use serde_json::json;

const NOBODY: OrderError = OrderError::Conflict("the call is joined with nobody");

/// How the verb under way ends whose party was sent elsewhere.
fn diverted() -> Input {
    Input::Ended(End::by("us", "transferred"))
}

impl Executor<'_> {
    /// Carries out an order; `bridged` is whom the call is joined with. What is returned is to be told to the verb under way.
    pub(super) fn take_order(
        &mut self,
        ordered: Ordered,
        bridged: Option<&mut Bridged>,
    ) -> Option<Input> {
        let (order, audio, reply) = ordered.open();
        let name = order.name();
        let (outcome, input) = match self.carry_out_order(order, audio, bridged) {
            Ok((done, input)) => (Ok(done), input),
            Err(error) => (Err(error), None),
        };
        tracing::info!(order = name, done = outcome.is_ok(), "order");
        reply.send(outcome);
        input
    }

    fn carry_out_order(
        &mut self,
        order: Order,
        audio: Vec<MediaAudio>,
        mut bridged: Option<&mut Bridged>,
    ) -> Result<(Done, Option<Input>), OrderError> {
        let free = matches!(
            order,
            Order::Hangup(_) | Order::Transfer(_) | Order::Conference(..)
        );
        if !free && !self.leg.answered {
            return Err(OrderError::NotAnswered);
        }
        let done = |done: Result<Done, OrderError>| done.map(|done| (done, None));
        match order {
            Order::Hangup(cause) => {
                let reason = hangup_reason_of(cause, self.leg.answered);
                self.leg.hang_up("ordered", Some(reason));
                done(Ok(Done::Done))
            }
            Order::HangupPeer(cause) => done(hang_up_peer(bridged, cause)),
            Order::Transfer(transfer) => self.transfer_ordered(transfer, bridged),
            Order::Conference(side, conference) if self.attends(side, &conference.room) => {
                self.wish(|wish| wish.edge.mute |= conference.mute);
                done(Ok(Done::Done))
            }
            Order::Conference(side, conference) => {
                self.transfer_ordered(self.meeting(side, *conference), bridged)
            }
            Order::Play(play) => self.play_ordered(&play, audio, bridged),
            Order::StopPlay(side) => self.stop_ordered(side, bridged),
            Order::Mute(side, on) => self.mute_ordered(side, on, bridged),
            Order::Hold(side, on) => self.hold_ordered(side, on, bridged),
            Order::SendDigits(side, digits) => {
                let peer = bridged.as_mut().and_then(|b| b.peer.as_mut());
                if side.has_peer() && peer.is_none() {
                    return Err(NOBODY);
                }
                if side.has_own() {
                    self.send_ordered(&digits)?;
                }
                if let Some(peer) = peer.filter(|_| side.has_peer()) {
                    send(peer, self.fresh_id(), &digits)?;
                }
                done(Ok(Done::Done))
            }
            Order::Record(record) => done(self.record_ordered(record)),
            Order::Recording(control) => {
                if self.recordings.running().is_none() {
                    return Err(OrderError::Conflict("nothing is recorded"));
                }
                done(
                    self.control_background(control)
                        .map(|()| Done::Done)
                        .map_err(OrderError::Failed),
                )
            }
            Order::Stream(stream) => done(self.stream_ordered(&stream)),
            Order::StopStream => {
                self.leg.end_stream();
                done(Ok(Done::Done))
            }
            Order::LeaveConference => done(self.leave_ordered()),
            Order::Supervise(agent, mode) => done(self.supervise_ordered(&agent, mode)),
        }
    }

    /// Sends parties elsewhere; the verb under way ends where the call's own party is among them.
    fn transfer_ordered(
        &mut self,
        transfer: Transfer,
        mut bridged: Option<&mut Bridged>,
    ) -> Result<(Done, Option<Input>), OrderError> {
        let Transfer { own, peer } = transfer;
        if own.is_none() && peer.is_none() {
            return Err(OrderError::Invalid(
                "nobody is to be transferred".to_owned(),
            ));
        }
        if peer.is_some() {
            let bridged = bridged.as_ref().filter(|bridged| bridged.peer.is_some());
            if bridged.ok_or(NOBODY)?.transfer.is_some() {
                return Err(OrderError::Conflict("a transfer is under way already"));
            }
        }
        if let Some(bridged) = bridged.as_deref_mut() {
            self.unsupervise(bridged);
        }
        let mut new = None;
        if let (Some(parting), Some(bridged)) = (peer, bridged) {
            new = Some(self.part_peer(parting, bridged)?);
        }
        let done = new.map_or(Done::Done, Done::Call);
        match own {
            Some(parting) => {
                self.divert(parting);
                Ok((done, Some(diverted())))
            }
            // The verb learns that the other one is gone.
            None => Ok((done, Some(Input::PeerTaken))),
        }
    }

    /// The other party goes on as a call of its own, whose id is returned.
    fn part_peer(&mut self, parting: Parting, bridged: &mut Bridged) -> Result<String, OrderError> {
        let mut leaving = bridged.peer.take().ok_or(NOBODY)?;
        self.leg.part();
        leaving.part();
        Ok(session::adopt(self.call, leaving.into_leg(), parting))
    }

    /// Another program goes on with the call's own party, by our own rights.
    fn divert(&mut self, parting: Parting) {
        let Parting { program, to, rule } = parting;
        let info = CallInfo {
            to,
            ..self.info.clone()
        };
        self.caller = self.caller.clone().ordered();
        self.diverted = true;
        self.set_successor(NextProgram::ordered(program, info, rule));
    }

    /// Whether the call's own party is who is to go there, and is there already.
    fn attends(&self, side: Side, room: &str) -> bool {
        side.has_own()
            && self
                .call
                .facts(|facts| facts.conference.as_deref() == Some(room))
    }

    fn meeting(&self, side: Side, conference: Conference) -> Transfer {
        let meet = |conference: Conference| {
            let to = conference.room.clone();
            Parting::program(Box::new(MeetProgram::new(conference)), to)
        };
        Transfer {
            own: side.has_own().then(|| meet(conference.clone())),
            peer: side.has_peer().then(|| meet(conference)),
        }
    }

    fn play_ordered(
        &mut self,
        play: &PlayOrder,
        audio: Vec<MediaAudio>,
        bridged: Option<&mut Bridged>,
    ) -> Result<(Done, Option<Input>), OrderError> {
        let id = self.fresh_id();
        let repeat = match play.repeat {
            Repeat::Times(times) => Some(times),
            Repeat::Forever => None,
        };
        let conference = self.call.facts(|facts| facts.conference.clone());
        if let (Side::Both, Some(room)) = (play.side, conference) {
            let there = self.call.calls.conferences.play(&room, id, audio, repeat);
            there.map_err(OrderError::Failed)?;
            return Ok((Done::Playing(id), None));
        }
        let command = || match play.when {
            When::Now => Command::PlayIn {
                manner: play.manner,
                id,
                audio: audio.clone(),
                repeat,
            },
            When::After => Command::Append {
                id,
                audio: audio.clone(),
                repeat,
            },
        };
        if play.side.has_peer() {
            let peer = bridged.and_then(|bridged| bridged.peer.as_mut());
            let taken = peer.ok_or(NOBODY)?.media(command());
            taken.map_err(OrderError::Failed)?;
        }
        if play.side.has_own() {
            self.leg.media(command()).map_err(OrderError::Failed)?;
            if play.when == When::Now {
                // What an order before has interrupted waits for this one.
                let waits = self.playing.take();
                let before = self.interrupted.take().and_then(|(_, verb)| verb);
                self.interrupted = Some((id, waits.or(before)));
            }
        }
        self.call.tell(
            EventKind::PlayStarted,
            || json!({"play": id, "pieces": audio.len(), "side": play.side.word()}),
        );
        Ok((Done::Playing(id), None))
    }

    fn stop_ordered(
        &mut self,
        side: Side,
        bridged: Option<&mut Bridged>,
    ) -> Result<(Done, Option<Input>), OrderError> {
        if side.has_peer()
            && let Some(peer) = bridged.and_then(|bridged| bridged.peer.as_mut())
        {
            peer.media(Command::StopPlay).map_err(OrderError::Failed)?;
        }
        if !side.has_own() {
            return Ok((Done::Done, None));
        }
        self.leg
            .media(Command::StopPlay)
            .map_err(OrderError::Failed)?;
        let ordered = self.interrupted.take().and_then(|(_, verb)| verb);
        let over = self.playing.take().or(ordered).map(Input::PlayDone);
        Ok((Done::Done, over))
    }

    fn mute_ordered(
        &mut self,
        side: Side,
        on: bool,
        bridged: Option<&mut Bridged>,
    ) -> Result<(Done, Option<Input>), OrderError> {
        let kind = if on {
            EventKind::CallMuted
        } else {
            EventKind::CallUnmuted
        };
        self.treat(side, kind, bridged, |leg| leg.set_muted(on))?;
        if side.has_own() {
            self.wish(|wish| wish.edge.mute = on);
        }
        Ok((Done::Done, Some(Input::Treated)))
    }

    fn hold_ordered(
        &mut self,
        side: Side,
        on: bool,
        bridged: Option<&mut Bridged>,
    ) -> Result<(Done, Option<Input>), OrderError> {
        let conference = self.call.facts(|facts| facts.conference.is_some());
        if bridged.is_none() && !conference {
            return Err(OrderError::Conflict(
                "nobody talks with the far end that could be kept from it: neither a party nor a conference",
            ));
        }
        let kind = if on {
            EventKind::CallHeld
        } else {
            EventKind::CallResumed
        };
        self.treat(side, kind, bridged, |leg| leg.set_held(on))?;
        if side.has_own() {
            self.wish(|wish| wish.edge.hold = on);
        }
        Ok((Done::Done, Some(Input::Treated)))
    }

    /// Changes how the parties of `side` are treated.
    fn treat(
        &mut self,
        side: Side,
        kind: EventKind,
        bridged: Option<&mut Bridged>,
        change: impl Fn(&mut Leg),
    ) -> Result<(), OrderError> {
        let peer = bridged.and_then(|bridged| bridged.peer.as_mut());
        if side == Side::Peer && peer.is_none() {
            return Err(NOBODY);
        }
        if side.has_own() {
            change(self.leg);
        }
        if let Some(peer) = peer.filter(|_| side.has_peer()) {
            change(peer);
        }
        self.call.tell(kind, || json!({"side": side.word()}));
        Ok(())
    }

    /// Asks something of the call's place in its conference, if it is in one.
    fn wish(&self, change: impl FnOnce(&mut Wish)) {
        if let Some(room) = self.call.facts(|facts| facts.conference.clone()) {
            let conferences = &self.call.calls.conferences;
            conferences.change_wish(&room, &self.call.info.id, change);
        }
    }

    fn leave_ordered(&mut self) -> Result<Done, OrderError> {
        if self.call.facts(|facts| facts.conference.is_none()) {
            return Err(OrderError::Conflict("the call is in no conference"));
        }
        self.wish(|wish| wish.out = true);
        Ok(Done::Done)
    }

    fn send_ordered(&mut self, digits: &SendDigits) -> Result<(), OrderError> {
        if self.sending.is_some() {
            return Err(OrderError::Conflict("the program is sending digits"));
        }
        let id = self.fresh_id();
        send(self.leg, id, digits)
    }

    fn record_ordered(&mut self, record: RecordCall) -> Result<Done, OrderError> {
        if self.recording.is_some() {
            return Err(OrderError::Conflict("the program is recording a message"));
        }
        let (number, file) = self.record_background(record).map_err(OrderError::Failed)?;
        Ok(Done::Recording { number, file })
    }

    fn stream_ordered(&mut self, stream: &Stream) -> Result<Done, OrderError> {
        if self.streaming {
            return Err(OrderError::Conflict("the program is streaming"));
        }
        self.leg.begin_stream(stream).map_err(OrderError::Failed)?;
        Ok(Done::Done)
    }

    /// Ends what the verb under way had begun, which another program goes on after.
    pub(super) fn quiet(&mut self) {
        let _ = self.leg.media(Command::StopPlay);
        (self.playing, self.interrupted, self.sending) = (None, None, None);
        if let Some(id) = self.recording.take() {
            let _ = self.leg.media(Command::StopRecord { id });
        }
        if std::mem::take(&mut self.streaming) {
            self.leg.end_stream();
        }
        self.leg.drop_ahead();
        tracing::info!(party = cut(self.leg.label()), "sent elsewhere by an order");
    }
}

fn hang_up_peer(bridged: Option<&mut Bridged>, cause: HangupCause) -> Result<Done, OrderError> {
    let peer = bridged.and_then(|bridged| bridged.peer.as_mut());
    let peer = peer.ok_or(NOBODY)?;
    peer.hang_up("ordered", Some(hangup_reason_of(cause, true)));
    Ok(Done::Done)
}

fn send(leg: &mut Leg, id: u32, send: &SendDigits) -> Result<(), OrderError> {
    if leg.key_path() == KeyPath::Info {
        // Each waits for the one before; pauses are left out.
        for piece in DigitText::new(send.digits.clone()) {
            if let DigitPiece::Key(key, ms) = piece {
                leg.press(key.to_char(), Some(ms.unwrap_or(send.tone_ms)));
            }
        }
        return Ok(());
    }
    let command = Command::SendDigits {
        id,
        digits: send.digits.clone(),
        tone_ms: send.tone_ms,
        gap_ms: send.gap_ms,
    };
    leg.media(command).map_err(OrderError::Failed)
}
