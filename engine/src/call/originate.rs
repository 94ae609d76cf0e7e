//! Calls that an order from outside places: rings whom it names until somebody answers, and lets a program drive the call then. Adding a
//! participant to a call, and two-party conferences, are made of such calls.
//!
//! Limits: as many calls in all as `[sip] max_calls` allows; a call rings three minutes at most.
use super::caller::Caller;
use super::causes;
use super::context::CallContext;
use super::control::{Annotation, Done, Order, OrderError, Orders, Side};
use super::counters::PanicWatch;
use super::dial::{DialEnd, DialTarget, Dialled};
use super::directory::Found;
use super::events::{EventKind, Watched};
use super::hunt::{Hunt, Hunted, RING_LIMIT};
use super::leg::{End, Leg};
use super::program::{CallInfo, Direction, Program};
use super::programs::{MeetProgram, ReadyProgram};
use super::session::{drive, tell_ended, tell_started};
use super::verb::{Audio, Conference, HangupCause};
use super::{Calls, Refusal};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::Instrument;

/// Who calls, where no number is to be shown (RFC 3323 section 4.1.1.3).
const UNNAMED: &str = "anonymous";

/// A call to be placed.
pub struct Originate {
    /// Whom to call. A number is routed as if an endpoint had dialled it, and must not lead to a program.
    pub to: DialTarget,
    /// Drives the call once it is answered.
    pub program: Box<dyn Program>,
    /// The number shown to the callee.
    pub caller_id: Option<String>,
    /// By the rights of this endpoint; `None`: by our own, which reach what any endpoint may.
    pub as_endpoint: Option<String>,
    /// How long it rings; `None`: three minutes.
    pub ring: Option<Duration>,
    /// Tags and metadata from its beginning.
    pub annotation: Annotation,
    /// The call that it is a participant of.
    pub added_to: Option<String>,
}

impl Originate {
    /// Calls somebody, with nothing special about it.
    pub fn to(to: DialTarget, program: Box<dyn Program>) -> Originate {
        Originate {
            to,
            program,
            caller_id: None,
            as_endpoint: None,
            ring: None,
            annotation: Annotation::default(),
            added_to: None,
        }
    }
}

/// A call that was placed.
#[derive(Debug)]
pub struct Originated {
    /// Its id.
    pub id: String,
    /// Comes when it is answered; never, with an error, when it is not.
    pub answered: oneshot::Receiver<()>,
}

/// Somebody to be added to a call.
#[derive(Debug, Clone)]
pub struct AddParticipant {
    /// Whom to call.
    pub to: DialTarget,
    /// The number shown; `None`: none.
    pub caller_id: Option<String>,
    /// As in [`Originate`].
    pub as_endpoint: Option<String>,
    /// How long it rings.
    pub ring: Option<Duration>,
    /// Whether the others do not hear it at first.
    pub mute: bool,
}

/// What runs while it rings.
pub(super) struct Ringing {
    pub(super) hunt: Hunt,
    pub(super) program: Box<dyn Program>,
    /// Whether an order may put another program in its place.
    pub(super) replaceable: bool,
    pub(super) answered: oneshot::Sender<()>,
}

impl Calls {
    /// Places a call and returns at once; it rings meanwhile.
    ///
    /// # Errors
    /// Too many calls, or the target may not be called or is nowhere: [`OrderError::Refused`]; tags or metadata are too many.
    pub async fn originate(self: &Arc<Self>, order: Originate) -> Result<Originated, OrderError> {
        let Originate {
            to,
            program,
            caller_id,
            as_endpoint,
            ring,
            annotation,
            added_to,
        } = order;
        if self.is_draining() {
            return Err(self.refused(Refusal::draining()));
        }
        let active = self.counters.begin(Direction::Outbound);
        let limit = self.in_force.load().settings.max_calls;
        if active.rank > limit {
            let text = format!("{limit} calls are in progress; see [sip] max_calls");
            return Err(self.refused(Refusal::new(503, "max-calls", text)));
        }
        let mut caller = Caller::with_rights_of(as_endpoint.as_deref());
        caller.identity.number = caller_id.clone().unwrap_or_default();
        let info = CallInfo {
            id: self.fresh_id(),
            direction: Direction::Outbound,
            from: caller_id.clone().unwrap_or_else(|| UNNAMED.to_owned()),
            to: to.name().to_owned(),
        };
        let found = self
            .directory
            .find(&info, &caller, &to, caller_id.as_deref())
            .await;
        let found = found.and_then(|found| callable(found, &to));
        let found = found.map_err(|refusal| self.refused(refusal))?;
        let span = tracing::info_span!("call", id = %info.id);
        let (call, orders) = CallContext::begin(self.clone(), info, caller, active);
        call.facts(|facts| facts.annotate(annotation))
            .map_err(OrderError::Invalid)?;
        call.facts(|facts| facts.added_to = added_to);
        let _ = call
            .routed
            .set(("ordered".to_owned(), program.name().to_owned()));
        tell_started(&call);
        call.begun();
        let hunt = Hunt::new(call.clone(), found, ring.or(Some(RING_LIMIT)), None);
        let (answered, is_answered) = oneshot::channel();
        let id = call.info.id.clone();
        let ringing = Ringing {
            hunt,
            program,
            replaceable: true,
            answered,
        };
        tokio::spawn(async move { run(&call, orders, ringing).await }.instrument(span));
        Ok(Originated {
            id,
            answered: is_answered,
        })
    }

    fn refused(&self, refusal: Refusal) -> OrderError {
        self.counters.refused(refusal.rule);
        tracing::info!(
            status = refusal.status,
            rule = refusal.rule,
            reason = refusal.text,
            "no call is placed"
        );
        OrderError::Refused(refusal)
    }

    /// Calls somebody who joins the call once they answer: in its conference, or in one that it goes to then with whoever it is joined with.
    /// Returns the new call's id at once; removing the participant is hanging up that call.
    ///
    /// # Errors
    /// See [`Calls::originate`].
    pub async fn add_participant(
        self: &Arc<Self>,
        call: &str,
        add: AddParticipant,
    ) -> Result<Done, OrderError> {
        let known = self.control.get(call).ok_or(OrderError::NoSuchCall)?;
        let room = known
            .conference
            .clone()
            .unwrap_or_else(|| format!("call {call}"));
        let conference = Conference {
            stay_alone: false,
            tones: false,
            ..Conference::of(room)
        };
        let theirs = Conference {
            mute: add.mute,
            ..conference.clone()
        };
        let placed = self
            .originate(Originate {
                caller_id: add.caller_id,
                as_endpoint: add.as_endpoint,
                ring: add.ring,
                added_to: Some(call.to_owned()),
                ..Originate::to(add.to, Box::new(MeetProgram::new(theirs)))
            })
            .await?;
        let new = placed.id.clone();
        if known.conference.is_none() {
            let (calls, call) = (self.clone(), call.to_owned());
            tokio::spawn(async move { calls.bring_together(&call, placed, conference).await });
        }
        Ok(Done::Call(new))
    }

    /// Waits until the new one has answered, and sends the parties of the call to the conference.
    async fn bring_together(&self, call: &str, new: Originated, conference: Conference) {
        if new.answered.await.is_err() {
            return;
        }
        let joined = self.control.get(call).and_then(|call| call.bridged_with);
        let side = if joined.is_some() {
            Side::Both
        } else {
            Side::Own
        };
        let order = Order::Conference(side, Box::new(conference));
        if self.order(call, order).await.is_err() {
            let hang_up = Order::Hangup(HangupCause::Normal);
            let _ = self.order(&new.id, hang_up).await;
        }
    }

    /// Calls two, and joins them once both have pressed 1; when one of them is gone, so is the other. Returns both ids.
    ///
    /// # Errors
    /// See [`Calls::originate`]; then nobody is called.
    pub async fn two_party(
        self: &Arc<Self>,
        parties: [DialTarget; 2],
        says: Vec<Audio>,
        caller_id: Option<String>,
    ) -> Result<[String; 2], OrderError> {
        let room = format!("two {}", self.fresh_id());
        let mut watcher = self.events.watch();
        let mut ids = Vec::with_capacity(2);
        for to in parties {
            let program = ReadyProgram::new(says.clone(), '1', room.clone());
            let order = Originate {
                caller_id: caller_id.clone(),
                ..Originate::to(to, Box::new(program))
            };
            match self.originate(order).await {
                Ok(placed) => ids.push(placed.id),
                Err(error) => {
                    for id in &ids {
                        let _ = self.order(id, Order::Hangup(HangupCause::Normal)).await;
                    }
                    return Err(error);
                }
            }
        }
        let [one, other] = <[String; 2]>::try_from(ids)
            .map_err(|_| OrderError::Failed("not two calls".to_owned()))?;
        let (calls, both) = (self.clone(), [one.clone(), other.clone()]);
        tokio::spawn(async move {
            let over = loop {
                let watched = watcher.next().await;
                if let Some(over) = over(&watched, &both, |id| calls.control.get(id).is_some()) {
                    break over;
                }
            };
            let hang_up = Order::Hangup(HangupCause::Normal);
            let _ = calls.order(&both[1 - over], hang_up).await;
        });
        Ok([one, other])
    }
}

/// Which of two calls is over, by what was seen of events. A call that has ended is not in progress before that is told.
fn over(
    watched: &Watched,
    both: &[String; 2],
    in_progress: impl Fn(&str) -> bool,
) -> Option<usize> {
    both.iter().position(|id| match watched {
        Watched::Event(_, event) => {
            event.kind == EventKind::CallEnded && event.call.as_ref() == Some(id)
        }
        Watched::Missed(_) => !in_progress(id),
    })
}

/// A number that leads to a program of ours is nobody to be called.
fn callable(found: Found, to: &DialTarget) -> Result<Found, Refusal> {
    if found.program_of.is_some() {
        let text = format!("{to} leads to a program of ours, which cannot be called from here");
        return Err(Refusal::new(404, "leads-to-a-program", text));
    }
    Ok(found)
}

/// Rings, and lets the program drive the call once it is answered.
///
/// # Errors
/// How it ended without an answer; that is recorded and told.
pub(super) async fn run(
    call: &Arc<CallContext>,
    mut orders: Orders,
    ringing: Ringing,
) -> Result<(), End> {
    let _watch = PanicWatch(call.calls.counters.clone());
    let began = Instant::now();
    tracing::info!(to = call.info.to, from = call.info.from, "call out");
    let mut program = ringing.program;
    let replaced = ringing.replaceable.then_some(&mut program);
    match ring(call, &mut orders, ringing.hunt, replaced).await {
        Ok(leg) => {
            call.came_up();
            call.tell(EventKind::CallAnswered, || json!({"codec": leg.codec()}));
            let _ = ringing.answered.send(());
            drive(call.clone(), orders, leg, program, began).await;
            Ok(())
        }
        Err(end) => {
            drop(orders);
            not_answered(call, &end, began);
            Err(end)
        }
    }
}

/// The last of a call that was not answered.
pub(super) fn not_answered(call: &CallContext, end: &End, began: Instant) {
    call.calls.counters.ended(end);
    tracing::info!(
        by = end.by,
        cause = end.cause,
        status = end.status,
        q850 = end.q850,
        "call over: nobody answered"
    );
    call.record(end);
    tell_ended(call, end, false, began);
}

/// Rings until somebody answers. Meanwhile the call can be hung up, or be given another program where that may be replaced.
async fn ring(
    call: &Arc<CallContext>,
    orders: &mut Orders,
    mut hunt: Hunt,
    mut program: Option<&mut Box<dyn Program>>,
) -> Result<Box<Leg>, End> {
    let mut stop = call.calls.stop.subscribe();
    loop {
        tokio::select! {
            biased;
            hunted = hunt.next() => match hunted {
                Hunted::Progress { status, .. } if status >= 180 => {
                    call.rings();
                    call.tell(EventKind::CallRinging, || json!({ "status": status }));
                }
                Hunted::Progress { .. } => {}
                Hunted::Answered(leg, _) => return Ok(leg.into_leg()),
                Hunted::Nobody(dialled) => return Err(unanswered(&dialled)),
            },
            ordered = orders.next() => {
                let (order, _, reply) = ordered.open();
                match (order, &mut program) {
                    (Order::Hangup(cause), _) => {
                        hunt.cancel("ordered", None);
                        reply.send(Ok(Done::Done));
                        let q850 = match cause {
                            HangupCause::Normal => 16,
                            HangupCause::Busy => 17,
                            HangupCause::Congestion => 34,
                            HangupCause::Q850(cause) => cause,
                        };
                        return Err(End { status: Some(487), q850: Some(q850), ..End::by("us", "ordered") });
                    }
                    (Order::Transfer(transfer), Some(program)) if transfer.peer.is_none() => {
                        if let Some(parting) = transfer.own {
                            **program = parting.program;
                        }
                        reply.send(Ok(Done::Done));
                    }
                    _ => reply.send(Err(OrderError::NotAnswered)),
                }
            }
            _ = stop.wait_for(|stop| *stop) => {
                hunt.cancel("shutdown", None);
                return Err(End::by("us", "shutdown"));
            }
        }
    }
}

fn unanswered(dialled: &Dialled) -> End {
    let (by, cause) = match dialled.how {
        DialEnd::NoAnswer => ("us", "no-answer"),
        DialEnd::Unreachable => ("network", "unreachable"),
        _ => ("callee", "rejected"),
    };
    End {
        status: Some(dialled.status),
        q850: Some(dialled.cause).or_else(|| causes::q850_of(dialled.status)),
        retry_after: dialled.retry_after,
        ..End::by(by, cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_two_is_over_also_where_the_event_was_missed() {
        let both = ["c-1".to_owned(), "c-2".to_owned()];
        let missed = |gone: &'static str| over(&Watched::Missed(9), &both, |id| id != gone);
        assert_eq!((missed("c-1"), missed("c-2")), (Some(0), Some(1)));
        assert_eq!(missed("c-3"), None);
    }
}
