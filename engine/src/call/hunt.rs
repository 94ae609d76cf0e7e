//! The hunt for somebody who answers: rings one or many branches, tries the ways to each in order, and cancels the losers.
//!
//! [`Hunt::next`] can be dropped at any await without losing anything; dropping the hunt cancels all that rings.
//! Limits: 32 branches; further ones are not rung.
use super::causes;
use super::context::CallContext;
use super::dial::{DialEnd, Dialled};
use super::directory::{AttemptOutcome, Branch, Found};
use super::first_of::first_of;
use super::leg::{End, Input, Leg, hangup_reason};
use super::place::{Unplaced, place};
use super::see_off::Escorted;
use super::transfer::referred_by;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tracing::Instrument;
use trunkline_dsp::progress::Heard;
use trunkline_sip::HangupReason;
use trunkline_sip::offer_answer::Encoding;

/// Branches of one hunt.
const MAX_BRANCHES: usize = 32;
/// How long it may ring when nobody says otherwise: as long as a proxy lets an INVITE ring (RFC 3261 §16.6, timer C).
pub(super) const RING_LIMIT: Duration = Duration::from_secs(180);

/// What a hunt reports.
pub(super) enum Hunted {
    /// Somebody rings; `early`: with audio, of [`Hunt::early`].
    Progress { status: u16, early: bool },
    /// Somebody answered; all others were cancelled.
    Answered(Escorted, String),
    /// Nobody did.
    Nobody(Dialled),
}

/// See the module's text.
pub(super) struct Hunt {
    call: Arc<CallContext>,
    /// The caller's codec, to be offered first.
    prefer: Option<Encoding>,
    /// How long each stage rings.
    ring: Duration,
    waiting: VecDeque<Vec<Branch>>,
    running: Vec<Running>,
    /// When whatever rings is given up.
    deadline: Instant,
    /// The most telling of the failures so far.
    failure: Option<Dialled>,
    /// Counts branches, to name them.
    next_id: u32,
    /// The branch whose early audio the caller hears.
    early: Option<u32>,
}

struct Running {
    id: u32,
    branch: Branch,
    state: State,
    /// When the way is given up that has not responded at all.
    respond_by: Option<Instant>,
    /// It has responded, if only with 100: somebody knows of the call, and another way would ring twice.
    in_hand: bool,
}

enum State {
    /// In a task, so that an INVITE under way is never lost; a task that is dropped hangs its leg up.
    Placing(JoinHandle<Result<Box<Leg>, Unplaced>>),
    Ringing(Escorted),
    /// Between two ways, within one turn.
    Idle,
}

/// What happened to a branch.
enum Event {
    Placed(Result<Box<Leg>, Unplaced>),
    Leg(Input),
    Late,
}

impl Hunt {
    /// Begins to ring. `ring_limit` counts where `found` has none of its own.
    pub(super) fn new(
        call: Arc<CallContext>,
        found: Found,
        ring_limit: Option<Duration>,
        prefer: Option<Encoding>,
    ) -> Hunt {
        let waiting = bounded(found.stages);
        let ring = found.ring.or(ring_limit).unwrap_or(RING_LIMIT);
        Hunt {
            call,
            prefer,
            ring,
            waiting,
            running: Vec::new(),
            deadline: Instant::now() + ring,
            failure: None,
            next_id: 0,
            early: None,
        }
    }

    /// The leg whose early audio the caller is to hear.
    pub(super) fn early(&mut self) -> Option<&mut Leg> {
        let early = self.early?;
        let branch = self.running.iter_mut().find(|branch| branch.id == early)?;
        match &mut branch.state {
            State::Ringing(leg) => Some(leg),
            _ => None,
        }
    }

    /// Gives all up, for a reason the callees are told.
    pub(super) fn cancel(self, cause: &'static str, reason: Option<HangupReason>) {
        for branch in self.running {
            branch.give_up(cause, reason.clone());
        }
    }

    /// The next thing that happens.
    pub(super) async fn next(&mut self) -> Hunted {
        loop {
            self.start();
            if self.running.is_empty() {
                return Hunted::Nobody(self.failure.take().unwrap_or_else(nobody_there));
            }
            let event = tokio::time::timeout_at(
                self.deadline.into(),
                first_of(&mut self.running, Running::event),
            );
            let Ok((index, event)) = event.await else {
                self.time_out();
                continue;
            };
            if let Some(hunted) = self.event(index, event) {
                return hunted;
            }
        }
    }

    /// Lets the next stage begin when nobody rings any more.
    fn start(&mut self) {
        while self.running.is_empty() {
            let Some(stage) = self.waiting.pop_front() else {
                return;
            };
            self.deadline = Instant::now() + self.ring;
            for branch in stage {
                self.begin(branch);
            }
        }
    }

    fn begin(&mut self, branch: Branch) {
        self.next_id += 1;
        let mut running = Running {
            id: self.next_id,
            branch,
            state: State::Idle,
            respond_by: None,
            in_hand: false,
        };
        match running.try_next(&self.call, self.prefer) {
            true => self.running.push(running),
            false => self.failed(nobody_there_at(&running.branch.label)),
        }
    }

    fn event(&mut self, index: usize, event: Event) -> Option<Hunted> {
        match event {
            Event::Placed(Ok(leg)) => {
                self.running[index].state = State::Ringing(Escorted::new(leg));
                None
            }
            Event::Placed(Err(unplaced)) => {
                let label = &self.running[index].branch.label;
                tracing::warn!(
                    to = label,
                    status = unplaced.status,
                    reason = unplaced.text,
                    "could not call"
                );
                let failure = refused(label, unplaced.status, None);
                self.next_way(index, AttemptOutcome::Transport, failure);
                None
            }
            Event::Late => {
                let branch = &mut self.running[index];
                tracing::info!(to = branch.branch.label, "no response: trying the next way");
                let failure = refused(&branch.branch.label, 408, None);
                branch.hang_up("no-response", None);
                self.next_way(index, AttemptOutcome::Timeout, failure);
                None
            }
            Event::Leg(Input::Trying) => {
                self.running[index].responded();
                None
            }
            Event::Leg(Input::Progress { status, early }) => self.progress(index, status, early),
            // Whoever replaces a leg that rings picks its call up (RFC 3891 section 7.1).
            Event::Leg(Input::Answered | Input::Replaced) => Some(self.answered(index)),
            Event::Leg(Input::Ended(end)) => {
                self.ended(index, &end);
                None
            }
            Event::Leg(Input::Tone(heard)) => {
                self.tone(index, heard);
                None
            }
            Event::Leg(_) => None,
        }
    }

    /// The network of a callee plays a tone instead of a response.
    fn tone(&mut self, index: usize, heard: Heard) {
        let branch = &mut self.running[index];
        let State::Ringing(leg) = &branch.state else {
            return;
        };
        let Some((status, cause)) = leg.refused_by(heard) else {
            return;
        };
        tracing::info!(
            to = branch.branch.label,
            tone = heard.kind.name(),
            status,
            q850 = cause,
            rule = "tone",
            "a tone says that nobody will answer: giving up"
        );
        branch.hang_up("tone", None);
        let failure = Dialled {
            tone: Some(heard.kind),
            ..refused(&branch.branch.label, status, Some(cause))
        };
        self.next_way(index, AttemptOutcome::Status(status, None), failure);
    }

    fn progress(&mut self, index: usize, status: u16, early: bool) -> Option<Hunted> {
        let branch = &mut self.running[index];
        branch.responded();
        tracing::info!(
            to = branch.branch.label,
            status,
            early,
            "callee reports progress"
        );
        // The first with audio is heard; two at once would be noise.
        let heard = early && self.early.is_none_or(|first| first == branch.id);
        if heard {
            self.early = Some(branch.id);
        }
        Some(Hunted::Progress {
            status,
            early: heard,
        })
    }

    fn answered(&mut self, index: usize) -> Hunted {
        let mut winner = self.running.swap_remove(index);
        winner.branch.attempts.report(AttemptOutcome::Answered);
        for loser in self.running.drain(..) {
            loser.give_up("answered-elsewhere", Some(answered_elsewhere()));
        }
        self.waiting.clear();
        match std::mem::replace(&mut winner.state, State::Idle) {
            State::Ringing(leg) => {
                tracing::info!(
                    to = winner.branch.label,
                    codec = leg.codec(),
                    "callee answered"
                );
                Hunted::Answered(leg, winner.branch.label)
            }
            _ => Hunted::Nobody(nobody_there_at(&winner.branch.label)),
        }
    }

    fn ended(&mut self, index: usize, end: &End) {
        let branch = &self.running[index];
        let status = end.status.unwrap_or(503);
        tracing::info!(
            to = branch.branch.label,
            status,
            q850 = end.q850,
            "callee refused"
        );
        if matches!(status, 401 | 407) {
            tracing::warn!(
                to = branch.branch.label,
                status,
                rule = "password-refused",
                "callee asks for a password and does not take ours: check username, password and auth_realm of the trunk"
            );
        }
        let failure = refused(&branch.branch.label, status, end.q850);
        let outcome = match status {
            408 if !branch.in_hand => AttemptOutcome::Timeout,
            // It rang for too long: that says nothing against the way.
            408 => AttemptOutcome::Status(408, None),
            _ if end.by == "network" => AttemptOutcome::Transport,
            status => AttemptOutcome::Status(status, end.retry_after),
        };
        self.next_way(index, outcome, failure);
    }

    /// A way is over without an answer: the next one, or this branch is over.
    fn next_way(&mut self, index: usize, outcome: AttemptOutcome, mut failure: Dialled) {
        let branch = &mut self.running[index];
        if self.early == Some(branch.id) {
            self.early = None;
        }
        branch.state = State::Idle;
        branch.in_hand = false;
        let again = branch.branch.attempts.report(outcome);
        if again && branch.try_next(&self.call, self.prefer) {
            return;
        }
        let over = self.running.swap_remove(index);
        if failure.status == 503 {
            failure.retry_after = over.branch.attempts.retry_after();
        }
        self.failed(failure);
    }

    fn time_out(&mut self) {
        for branch in self.running.drain(..) {
            let failure = Dialled {
                how: DialEnd::NoAnswer,
                target: branch.branch.label.clone(),
                status: 480,
                cause: 19,
                tone: None,
                retry_after: None,
            };
            tracing::info!(
                to = failure.target,
                ring_s = self.ring.as_secs(),
                "nobody answers: giving up"
            );
            branch.give_up("no-answer", None);
            self.failure = Some(worse(self.failure.take(), failure));
        }
        self.early = None;
    }

    fn failed(&mut self, failure: Dialled) {
        self.failure = Some(worse(self.failure.take(), failure));
    }
}

impl Running {
    /// Begins the next way; `false`: there is none.
    fn try_next(&mut self, call: &Arc<CallContext>, prefer: Option<Encoding>) -> bool {
        let Some((mut to, patience)) = self.branch.attempts.next() else {
            return false;
        };
        to.headers.extend(self.branch.headers.iter().cloned());
        let by = self.branch.referred_by.as_deref();
        to.headers
            .extend(by.and_then(|number| referred_by(&to.from, number)));
        let party = self.branch.party.clone();
        self.respond_by = patience.map(|patience| Instant::now() + patience);
        let call = call.clone();
        let placing = async move { place(&call, to, party, prefer).await.map(Box::new) };
        self.state = State::Placing(tokio::spawn(placing.in_current_span()));
        true
    }

    fn responded(&mut self) {
        self.respond_by = None;
        self.in_hand = true;
    }

    fn hang_up(&mut self, cause: &'static str, reason: Option<HangupReason>) {
        if let State::Ringing(leg) = &mut self.state {
            leg.hang_up(cause, reason);
        }
    }

    fn give_up(mut self, cause: &'static str, reason: Option<HangupReason>) {
        self.branch.attempts.report(AttemptOutcome::Cancelled);
        self.hang_up(cause, reason);
    }

    async fn event(&mut self) -> Event {
        let happening = async {
            match &mut self.state {
                State::Placing(task) => Event::Placed(task.await.unwrap_or_else(|_| {
                    Err(Unplaced {
                        status: 500,
                        text: "placing the call was interrupted".to_owned(),
                    })
                })),
                State::Ringing(leg) => Event::Leg(leg.next().await),
                State::Idle => std::future::pending().await,
            }
        };
        match self.respond_by {
            None => happening.await,
            Some(at) => tokio::time::timeout_at(at.into(), happening)
                .await
                .unwrap_or(Event::Late),
        }
    }
}

/// The stages, with no more branches in all than may ring.
fn bounded(stages: Vec<Vec<Branch>>) -> VecDeque<Vec<Branch>> {
    let mut left = MAX_BRANCHES;
    let wanted: usize = stages.iter().map(Vec::len).sum();
    if wanted > left {
        tracing::warn!(
            branches = wanted,
            limit = left,
            rule = "too-many-branches",
            "not everybody is rung"
        );
    }
    let cut = stages.into_iter().map(|mut stage| {
        stage.truncate(left);
        left -= stage.len();
        stage
    });
    cut.collect()
}

/// RFC 3326: phones do not count it as a missed call.
fn answered_elsewhere() -> HangupReason {
    hangup_reason("SIP", 200, "Call completed elsewhere")
}

/// A refusal in the words of a dial.
fn refused(label: &str, status: u16, q850: Option<u8>) -> Dialled {
    let cause = q850.or_else(|| causes::q850_of(status)).unwrap_or(16);
    let (how, status) = match status {
        486 | 600 => (DialEnd::Busy, 486),
        480 if cause == 17 => (DialEnd::Busy, 486),
        603 => (DialEnd::Declined, 603),
        408 => (DialEnd::Unreachable, 480),
        430 | 503 => (DialEnd::Unreachable, 503),
        // Where a callee was redirected to is not the caller's business.
        300..=399 => (DialEnd::Refused(480), 480),
        // What was said to us is not for the caller: it would ask it for a password, or another request.
        401 | 407 | 421 | 422 | 423 | 494 => (DialEnd::Refused(status), 503),
        status => (DialEnd::Refused(status), status),
    };
    Dialled {
        how,
        target: label.to_owned(),
        status,
        cause,
        tone: None,
        retry_after: None,
    }
}

fn nobody_there() -> Dialled {
    nobody_there_at("nobody")
}

/// Q.850 20: subscriber absent.
fn nobody_there_at(label: &str) -> Dialled {
    Dialled {
        how: DialEnd::Unreachable,
        target: label.to_owned(),
        status: 480,
        cause: 20,
        tone: None,
        retry_after: None,
    }
}

/// The one of two failures that tells the caller more: somebody did not pick up, was busy, did not want; then what was refused.
fn worse(one: Option<Dialled>, other: Dialled) -> Dialled {
    let rank = |dialled: &Dialled| match dialled.how {
        DialEnd::Answered { .. } | DialEnd::NoAnswer | DialEnd::Machine => 0,
        DialEnd::Busy => 1,
        DialEnd::Declined => 2,
        DialEnd::Refused(status) if status < 500 => 3,
        DialEnd::Refused(_) => 4,
        DialEnd::Unreachable => 5,
    };
    match one {
        Some(one) if rank(&one) <= rank(&other) => one,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_failure_is_passed_back() {
        let of = |statuses: &[u16]| {
            let mut all = None;
            for status in statuses {
                all = Some(worse(all.take(), refused("x", *status, None)));
            }
            all.unwrap().status
        };
        for (statuses, expected) in [
            (&[503, 486][..], 486),
            (&[603, 486], 486),
            (&[404, 603], 603),
            (&[503, 404], 404),
            (&[408, 500], 500),
            (&[408], 480),
            (&[401], 503),
            (&[302], 480),
            (&[600], 486),
        ] {
            assert_eq!(of(statuses), expected, "{statuses:?}");
        }
    }
}
