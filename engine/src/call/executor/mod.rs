//! The executor: carries out one verb after the other on a leg and tells the program what became of each.
//!
//! It owns the waiting; it knows neither SIP nor RTP. Every wait ends when the leg does. `verbs.rs` holds what plays and listens,
//! `recording.rs` what records.
mod agent;
mod bridge;
mod conference;
mod dial;
mod fetching;
mod gathering;
mod handover;
mod inputs;
mod listening;
mod orders;
mod queue;
mod recording;
mod saying;
mod streaming;
mod supervised;
mod tones;
mod transfer;
mod verbs;
mod vetting;
mod voicemail;

pub(super) use recording::Recordings;
pub(super) use voicemail::file_unfinished;

use super::caller::Caller;
use super::causes;
use super::context::CallContext;
use super::control::Orders;
use super::events::{EventKind, cut};
use super::leg::{End, Input, Leg, hangup_reason};
use super::program::{CallInfo, Direction, Program, Step};
use super::verb::{Failure, HangupCause, Outcome, Verb};
use crate::queue::Place;
use handover::NextProgram;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use supervised::Supervising;
use tokio::sync::watch;
use trunkline_sip::HangupReason;

/// Steps a program may make without media, input or waiting in between: a loop that eats the processor is ended.
const MAX_IDLE_STEPS: u32 = 1000;
/// How long an outbound call may ring.
const RING_LIMIT: Duration = Duration::from_secs(120);

/// A verb ends with an outcome, or the leg does.
type VerbResult = Result<Outcome, End>;

/// Runs programs on a leg.
pub(super) struct Executor<'a> {
    leg: &'a mut Leg,
    call: &'a Arc<CallContext>,
    recordings: &'a mut Recordings,
    program: Box<dyn Program>,
    /// What the program knows of the call.
    info: CallInfo,
    /// The program panicked: it is asked no more.
    broken: bool,
    /// What runs the call next.
    successor: Option<NextProgram>,
    /// The place in a queue by which an agent serves the call now.
    serving: Option<Place>,
    /// That agent.
    bridge_of: Option<String>,
    /// Programs that ran it before.
    programs: u32,
    next_id: u32,
    /// From outside.
    orders: Orders,
    /// By whose rights it dials.
    caller: Caller,
    /// An order has sent the call's own party elsewhere; the verb under way is to end.
    diverted: bool,
    /// What the verb under way plays, sends, records and streams.
    playing: Option<u32>,
    sending: Option<u32>,
    recording: Option<u32>,
    streaming: bool,
    /// What an order plays, and what the verb under way is told is over when that is.
    interrupted: Option<(u32, Option<u32>)>,
    /// Whose call it supervises.
    supervising: Option<Supervising>,
}

impl<'a> Executor<'a> {
    pub(super) fn new(
        leg: &'a mut Leg,
        call: &'a Arc<CallContext>,
        recordings: &'a mut Recordings,
        program: Box<dyn Program>,
        orders: Orders,
    ) -> Self {
        call.facts(|facts| program.name().clone_into(&mut facts.program));
        Executor {
            leg,
            call,
            recordings,
            program,
            info: call.info.clone(),
            broken: false,
            successor: None,
            serving: None,
            bridge_of: None,
            programs: 0,
            next_id: 0,
            orders,
            caller: call.caller.clone(),
            diverted: false,
            playing: None,
            sending: None,
            recording: None,
            streaming: false,
            interrupted: None,
            supervising: None,
        }
    }

    /// Waits until our outbound call is answered; `stop` gives it up.
    pub(super) async fn until_answered(
        &mut self,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), End> {
        tokio::select! {
            answered = self.ringing() => answered,
            () = stopped(stop) => Err(self.shut_down().await),
        }
    }

    async fn ringing(&mut self) -> Result<(), End> {
        let deadline = Instant::now() + RING_LIMIT;
        loop {
            match self.input_until(Some(deadline)).await? {
                None => {
                    tracing::info!(limit_s = RING_LIMIT.as_secs(), "nobody answers: giving up");
                    self.leg.hang_up("no-answer", None);
                    return Err(self.leg.farewell().await);
                }
                Some(Input::Progress { status, .. }) => {
                    tracing::info!(status, "far end reports progress");
                    if status >= 180 {
                        self.call.rings();
                        self.call
                            .tell(EventKind::CallRinging, || json!({ "status": status }));
                    }
                }
                Some(Input::Answered) => {
                    tracing::info!(codec = self.leg.codec(), "answered");
                    self.tell_answered();
                    return Ok(());
                }
                Some(_) => {}
            }
        }
    }

    /// Our call was answered.
    fn tell_answered(&self) {
        let codec = self.leg.codec();
        self.call.came_up();
        self.call
            .tell(EventKind::CallAnswered, || json!({ "codec": codec }));
    }

    /// Runs the program to its end, and those that it hands the call to, and returns how the leg ended. `stop` ends the call from
    /// outside (shutdown). However it ends, the program is told, unless it panicked.
    pub(super) async fn run(&mut self, mut stop: watch::Receiver<bool>) -> End {
        loop {
            let end = self.run_one(&mut stop).await;
            let over = match &end {
                Some(_) => Outcome::HungUp,
                None => Outcome::HandedOver,
            };
            let _ = self.turn(over);
            match end {
                Some(end) => return end,
                None => self.succeed(),
            }
        }
    }

    /// Runs the program; `None`: it handed the call to another.
    async fn run_one(&mut self, stop: &mut watch::Receiver<bool>) -> Option<End> {
        let limit = self.program.max_duration();
        tokio::select! {
            end = self.run_program() => end,
            () = after(limit) => {
                tracing::info!(?limit, rule = "max-call-duration", "hanging up: the call has lasted as long as its program allows");
                self.leg.hang_up("max-duration", Some(hangup_reason("Q.850", 16, "max-call-duration")));
                Some(self.leg.farewell().await)
            }
            () = stopped(stop) => Some(self.shut_down().await),
        }
    }

    async fn run_program(&mut self) -> Option<End> {
        let mut outcome = Outcome::Begin;
        let mut idle_steps = 0;
        loop {
            let Some(Step { verb, at }) = self.turn(outcome) else {
                return Some(self.give_up("program-panic").await);
            };
            tracing::info!(%at, verb = verb.name(), "program");
            self.call.diary.step(Instant::now(), &at, verb.name());
            let name = verb.name();
            self.call
                .tell(EventKind::ProgramStep, || json!({"at": at, "verb": name}));
            let takes_time = verb.takes_time();
            outcome = match self.carry_out(verb).await {
                Ok(next) => next,
                Err(_) if std::mem::take(&mut self.diverted) => {
                    self.quiet();
                    return None;
                }
                Err(end) => return Some(end),
            };
            if self.successor.is_some() {
                return None;
            }
            if let Outcome::Failed(failure) = &outcome {
                tracing::warn!(
                    verb = failure.verb,
                    reason = failure.reason,
                    %at,
                    "verb failed"
                );
                self.call.tell(
                    EventKind::VerbFailed,
                    || json!({"at": at, "verb": failure.verb, "reason": cut(&failure.reason)}),
                );
            }
            idle_steps = if takes_time && !matches!(outcome, Outcome::Failed(_)) {
                0
            } else {
                idle_steps + 1
            };
            if idle_steps > MAX_IDLE_STEPS {
                tracing::error!(
                    %at,
                    rule = "program-loop",
                    limit = MAX_IDLE_STEPS,
                    "the program loops without media, input or waiting: hanging up"
                );
                return Some(self.give_up("program-loop").await);
            }
        }
    }

    async fn carry_out(&mut self, verb: Verb) -> VerbResult {
        if !self.leg.answered {
            if verb.needs_answer() {
                return Ok(failed(verb.name(), "the call is not answered yet"));
            }
            if self.call.info.direction == Direction::Inbound && matches!(verb, Verb::Wait(_)) {
                self.leg.provisional(180, "Ringing");
            }
        }
        match verb {
            Verb::Answer => self.answer().await,
            Verb::Play(play) => self.play(play).await,
            Verb::Gather(gather) => self.gather(gather).await,
            Verb::Echo(echo) => self.echo(echo).await,
            Verb::Record(record) => self.record(record).await,
            Verb::RecordCall(record) => self.record_call(record),
            Verb::RecordingControl(control) => self.control_recording(control),
            Verb::Stream(stream) => Box::pin(self.stream(&stream)).await,
            Verb::StopStream => {
                self.leg.end_stream();
                Ok(Outcome::Done)
            }
            Verb::WaitForTone(wait) => Box::pin(self.wait_for_tone(&wait)).await,
            Verb::DetectMachine(detect) => Box::pin(self.detect_machine(*detect)).await,
            Verb::Listen(listen) => self.listen(&listen).await,
            Verb::SendDigits(digits) => self.send_digits(digits).await,
            Verb::Wait(wait) => self.wait(wait.ms).await,
            // Boxed: most calls do neither, and each would carry what the largest verb takes.
            Verb::Dial(dial) => Box::pin(self.dial(dial)).await,
            Verb::Conference(conference) => Box::pin(self.conference(conference)).await,
            Verb::Enqueue(enqueue) => Box::pin(self.enqueue(&enqueue)).await,
            Verb::Agent(order) if order.service.supervises() => {
                Box::pin(self.supervise(&order)).await
            }
            Verb::Agent(order) => self.agent_order(&order),
            Verb::Fetch(fetch) => Box::pin(self.fetch(*fetch)).await,
            Verb::Voicemail(wanted) => Box::pin(self.voicemail(&wanted)).await,
            Verb::Refer(refer) => self.send_refer(refer).await,
            Verb::EarlyMedia => {
                self.leg.early_media(None);
                Ok(Outcome::Done)
            }
            Verb::Reject(reject) => {
                if self.leg.answered {
                    return Ok(failed("reject", "the call is answered already; use hangup"));
                }
                self.leg.reject(reject);
                Err(self.leg.farewell().await)
            }
            Verb::Hangup(hangup) => {
                self.wait(self.leg.unheard().as_millis() as u32).await?;
                let reason = hangup_reason_of(hangup.cause, self.leg.answered);
                self.leg.hang_up("program", Some(reason));
                Err(self.leg.farewell().await)
            }
        }
    }

    async fn answer(&mut self) -> VerbResult {
        self.leg.answer(None);
        // Audio sent before the ACK may be lost to a phone that still rings: a greeting starts when somebody hears it.
        while !self.leg.confirmed {
            self.idle(None).await?;
        }
        Ok(Outcome::Done)
    }

    async fn wait(&mut self, ms: u32) -> VerbResult {
        let deadline = deadline_in(ms);
        while self.idle(deadline).await?.is_some() {}
        Ok(Outcome::Done)
    }

    /// One input, keys kept as type-ahead; `None` at the deadline.
    async fn idle(&mut self, deadline: Option<Instant>) -> Result<Option<Input>, End> {
        let input = self.input_until(deadline).await?;
        if let Some(Input::Key(key)) = input {
            self.leg.keep(key);
        }
        Ok(input)
    }

    async fn input_until(&mut self, deadline: Option<Instant>) -> Result<Option<Input>, End> {
        let input = match deadline {
            None => self.next().await,
            Some(at) => match tokio::time::timeout_at(at.into(), self.next()).await {
                Ok(input) => input,
                Err(_) => return Ok(None),
            },
        };
        match input {
            Input::Ended(end) => Err(end),
            input => Ok(Some(input)),
        }
    }

    /// Hangs up because the program has a defect.
    async fn give_up(&mut self, rule: &'static str) -> End {
        self.leg
            .hang_up(rule, Some(hangup_reason("SIP", 500, rule)));
        self.leg.farewell().await
    }

    async fn shut_down(&mut self) -> End {
        tracing::info!("hanging up: the server is shutting down");
        self.leg
            .hang_up("shutdown", Some(hangup_reason("SIP", 503, "shutdown")));
        self.leg.farewell().await
    }

    fn fresh_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Returns when the server stops its calls; never if it went away without doing so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn failed(verb: &'static str, reason: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure {
        verb,
        reason: reason.into(),
    })
}

fn deadline_in(ms: u32) -> Option<Instant> {
    (ms != u32::MAX).then(|| Instant::now() + Duration::from_millis(ms.into()))
}

/// An unanswered call is refused with the status that says the same.
fn hangup_reason_of(cause: HangupCause, answered: bool) -> HangupReason {
    match (cause, answered) {
        (HangupCause::Normal, true) => hangup_reason("Q.850", 16, "Normal call clearing"),
        (HangupCause::Busy, true) => hangup_reason("Q.850", 17, "User busy"),
        (HangupCause::Congestion, true) => hangup_reason("Q.850", 34, "No circuit available"),
        (HangupCause::Q850(cause), true) => causes::q850_reason(cause),
        (HangupCause::Q850(cause), false) => {
            hangup_reason("SIP", causes::status_of(cause), causes::name_of(cause))
        }
        (HangupCause::Normal, false) => hangup_reason("SIP", 603, "Decline"),
        (HangupCause::Busy, false) => hangup_reason("SIP", 486, "Busy Here"),
        (HangupCause::Congestion, false) => hangup_reason("SIP", 503, "No circuit available"),
    }
}
