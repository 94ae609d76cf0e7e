//! The flow as a [`Program`]: outcome in, verb out. Owns where a call stands in its flow and what its variables hold.
//!
//! A turn walks through steps that take no time (set, branch, goto) until one gives a verb. Limits: [`MAX_INSTANT`] such steps
//! in one turn, [`MAX_FAILURES`] failed verbs in one call; past either the call ends with cause 34. The rest of it: `menu.rs` (what keys
//! lead to), `steps.rs` (what nodes do), `sound.rs` (what is played), `queue.rs` (waiting for agents), `voicemail.rs` (messages), `notes.rs` (variables, and what a
//! rehearsal is told).
mod menu;
mod notes;
mod queue;
mod sound;
mod steps;
mod voicemail;
mod webhook;

pub use notes::Note;

use super::by_hand::Hand;
use super::model::{Destination, Flow, MenuId, NodeId, Prompt, Step as NodeStep, Target};
use crate::call::{CallInfo, Program, Step};
use crate::call::{
    Hangup, HangupCause, Manner, Outcome, RecordingControl, RecordingId, Repeat, Verb,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The most steps without media or input in one turn.
pub const MAX_INSTANT: usize = 100;
/// The most failed verbs of one call; two in a row end it at once.
pub const MAX_FAILURES: u32 = 3;

/// One call's walk through a flow. A clone of a fresh one is a fresh one.
#[derive(Debug, Clone)]
pub struct FlowProgram {
    flow: Arc<Flow>,
    /// The time of day of this turn.
    now: SystemTime,
    variables: BTreeMap<String, String>,
    recordings: BTreeMap<String, RecordingId>,
    language: String,
    hand: Hand,
    /// The menus that led here, each once, the current one last.
    path: Vec<Frame>,
    at: Option<Target>,
    waiting: Waiting,
    /// Verbs that come before the outcome of `waiting`.
    queue: VecDeque<Verb>,
    /// The call is recorded in the background, and nobody paused it.
    recorded: bool,
    /// It is paused while a sensitive entry is made.
    hushed: bool,
    failures: u32,
    failed_last: bool,
    /// What a rehearsal is told; `None` in a call.
    notes: Option<Vec<Note>>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    menu: MenuId,
    /// Silences and wrong keys so far.
    tries: u32,
}

/// A node's step, or one that stands in a destination.
#[derive(Debug, Clone)]
enum StepRef {
    Node(NodeId),
    Unnamed(Arc<NodeStep>),
}

impl StepRef {
    fn step<'f>(&'f self, flow: &'f Flow) -> &'f NodeStep {
        match self {
            Self::Node(id) => &flow.nodes[id.0].step,
            Self::Unnamed(step) => step,
        }
    }
}

/// Whose outcome comes next.
#[derive(Debug, Clone)]
enum Waiting {
    Begin,
    Answer,
    /// A step; and how many entries were made before, where it collects keys.
    Step(StepRef, u32),
    /// Whether what was collected is right.
    Confirm(StepRef, u32, String),
    Menu(MenuId),
    Sound(Destination),
    /// The prompt before a hang-up.
    Parting(HangupCause),
    Over,
}

/// Where a turn goes next.
enum Move<'f> {
    Enter(Target),
    To(&'f Destination),
    /// Play the menu, after something else.
    Menu(MenuId, &'f Prompt),
    /// A step again that collects keys.
    Again(StepRef, u32),
    Part(HangupCause, &'f Prompt),
    Do(Verb),
}

impl Program for FlowProgram {
    fn name(&self) -> &str {
        &self.flow.name
    }

    fn max_duration(&self) -> Option<Duration> {
        self.flow.max_call_duration
    }

    fn keep_days(&self) -> Option<u32> {
        self.flow.recording.keep_days
    }

    fn at(&mut self, now: SystemTime) {
        self.now = now;
    }

    fn next(&mut self, call: &CallInfo, outcome: Outcome) -> Step {
        let verb = self.decide(call, outcome);
        let at = self.at.map_or("start", |at| self.flow.id(at)).to_owned();
        Step { verb, at }
    }
}

impl FlowProgram {
    /// A call that has not begun.
    pub fn new(flow: Arc<Flow>) -> Self {
        Self {
            variables: flow.variables.clone(),
            language: flow.default_language.clone().unwrap_or_default(),
            flow,
            now: SystemTime::UNIX_EPOCH,
            recordings: BTreeMap::new(),
            hand: Hand::default(),
            path: Vec::new(),
            at: None,
            waiting: Waiting::Begin,
            queue: VecDeque::new(),
            recorded: false,
            hushed: false,
            failures: 0,
            failed_last: false,
            notes: None,
        }
    }

    /// The same where schedules are set by hand for all calls.
    #[must_use]
    pub fn by_hand(self, hand: Hand) -> Self {
        Self { hand, ..self }
    }

    /// The same for a rehearsal: notes are kept.
    pub fn rehearsed(flow: Arc<Flow>) -> Self {
        Self {
            notes: Some(Vec::new()),
            ..Self::new(flow)
        }
    }

    /// The flow that is run.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Takes up what is waiting before, pauses a recording around sensitive entries, and else makes a turn.
    fn decide(&mut self, call: &CallInfo, outcome: Outcome) -> Verb {
        match outcome {
            Outcome::Failed(_) => self.queue.clear(),
            Outcome::HungUp | Outcome::HandedOver => return self.end(HangupCause::Normal),
            _ => {
                if let Some(verb) = self.queue.pop_front() {
                    return verb;
                }
            }
        }
        let verb = self.turn(call, outcome);
        match &verb {
            Verb::RecordCall(_) | Verb::RecordingControl(RecordingControl::Resume) => {
                self.recorded = true
            }
            Verb::RecordingControl(_) => self.recorded = false,
            _ => {}
        }
        self.hush(verb)
    }

    fn hush(&mut self, verb: Verb) -> Verb {
        let sensitive = matches!(&verb, Verb::Gather(gather) if gather.sensitive);
        let control = match (sensitive, self.hushed) {
            (true, false) if self.recorded => RecordingControl::Pause,
            (false, true) if !matches!(verb, Verb::Hangup(_)) => RecordingControl::Resume,
            _ => return verb,
        };
        self.hushed = sensitive;
        self.queue.push_front(verb);
        Verb::RecordingControl(control)
    }

    fn turn(&mut self, call: &CallInfo, outcome: Outcome) -> Verb {
        let flow = Arc::clone(&self.flow);
        let waiting = std::mem::replace(&mut self.waiting, Waiting::Over);
        let mut next = self.outcome(&flow, call, &waiting, outcome);
        for _ in 0..MAX_INSTANT {
            match self.step(&flow, call, next) {
                Move::Do(verb) => return verb,
                further => next = further,
            }
        }
        self.note(|| Note::Lost("goes round without playing, listening or waiting"));
        self.end(HangupCause::Congestion)
    }

    fn outcome<'f>(
        &mut self,
        flow: &'f Flow,
        call: &CallInfo,
        waiting: &'f Waiting,
        outcome: Outcome,
    ) -> Move<'f> {
        match (waiting, outcome) {
            (Waiting::Over, _) => Move::Do(self.end(HangupCause::Normal)),
            (_, Outcome::Failed(_)) => self.failed(flow, waiting),
            (waiting, outcome) => {
                self.failed_last = false;
                match waiting {
                    Waiting::Begin => {
                        self.waiting = Waiting::Answer;
                        Move::Do(Verb::Answer)
                    }
                    Waiting::Answer => self.begin(flow, call),
                    Waiting::Sound(then) => Move::To(then),
                    Waiting::Menu(menu) => self.after_menu(&flow.menus[menu.0], *menu, outcome),
                    Waiting::Step(step, entries) => {
                        self.after_step(flow, call, step, *entries, outcome)
                    }
                    Waiting::Confirm(step, entries, digits) => {
                        self.after_confirm(flow, step, *entries, digits, outcome)
                    }
                    Waiting::Parting(cause) => Move::Do(self.end(*cause)),
                    Waiting::Over => Move::Do(self.end(HangupCause::Normal)),
                }
            }
        }
    }

    /// The call is answered: a flow that records every call says so first.
    fn begin<'f>(&mut self, flow: &'f Flow, call: &CallInfo) -> Move<'f> {
        if !flow.recording.always || self.recorded {
            return Move::Enter(flow.entry);
        }
        self.waiting = Waiting::Answer;
        self.recorded = true;
        let record = Verb::RecordCall(flow.recording.record.clone());
        match self.play(
            call,
            &flow.recording.consent,
            Repeat::Times(1),
            "",
            Manner::default(),
        ) {
            None => Move::Do(record),
            Some(consent) => {
                self.queue.push_back(record);
                Move::Do(consent)
            }
        }
    }

    fn failed<'f>(&mut self, flow: &'f Flow, waiting: &Waiting) -> Move<'f> {
        self.failures += 1;
        let again = std::mem::replace(&mut self.failed_last, true);
        match waiting {
            Waiting::Parting(cause) => Move::Do(self.end(*cause)),
            Waiting::Begin | Waiting::Answer => Move::Do(self.end(HangupCause::Congestion)),
            _ if again || self.failures > MAX_FAILURES => {
                Move::Do(self.end(HangupCause::Congestion))
            }
            _ => Move::To(&flow.error_destination),
        }
    }

    fn step<'f>(&mut self, flow: &'f Flow, call: &CallInfo, next: Move<'f>) -> Move<'f> {
        match next {
            Move::Enter(Target::Menu(menu)) => {
                self.descend(menu);
                self.note(|| Note::At(flow.menus[menu.0].id.clone()));
                Move::Menu(menu, &flow.menus[menu.0].greeting)
            }
            Move::Enter(Target::Node(node)) => {
                self.at = Some(Target::Node(node));
                self.note(|| Note::At(flow.nodes[node.0].id.clone()));
                self.enter_step(flow, call, &flow.nodes[node.0].step, StepRef::Node(node))
            }
            Move::To(destination) => self.go(flow, call, destination),
            Move::Menu(menu, lead) => Move::Do(self.ask(&flow.menus[menu.0], menu, call, lead)),
            Move::Again(step, entries) => self.collect(flow, call, step, entries),
            Move::Part(cause, prompt) => Move::Do(self.part(call, cause, prompt)),
            Move::Do(verb) => Move::Do(verb),
        }
    }

    fn go<'f>(
        &mut self,
        flow: &'f Flow,
        call: &CallInfo,
        destination: &'f Destination,
    ) -> Move<'f> {
        const NOTHING: &Prompt = &Prompt(Vec::new());
        match destination {
            Destination::Goto(node) => Move::Enter(Target::Node(*node)),
            Destination::Menu(menu) => Move::Enter(Target::Menu(*menu)),
            Destination::Hangup { cause, prompt } => Move::Part(*cause, prompt),
            Destination::Sound { prompt, then } => {
                match self.play(call, prompt, Repeat::Times(1), "", Manner::default()) {
                    None => Move::To(then),
                    Some(verb) => {
                        self.waiting = Waiting::Sound((**then).clone());
                        Move::Do(verb)
                    }
                }
            }
            Destination::Step(step) => {
                self.enter_step(flow, call, step, StepRef::Unnamed(step.clone()))
            }
            Destination::Back if self.path.len() > 1 => {
                self.path.pop();
                self.restart();
                self.current(NOTHING)
            }
            Destination::Repeat | Destination::Back => self.current(NOTHING),
        }
    }

    /// The current menu again; without one a step that leads nowhere ends the call, as confd has it.
    fn current<'f>(&mut self, lead: &'f Prompt) -> Move<'f> {
        match self.path.last() {
            Some(frame) => Move::Menu(frame.menu, lead),
            None => {
                self.note(|| Note::Lost("leads back to the menu it came from, and there is none"));
                Move::Do(self.end(HangupCause::Normal))
            }
        }
    }

    fn part(&mut self, call: &CallInfo, cause: HangupCause, prompt: &Prompt) -> Verb {
        match self.play(call, prompt, Repeat::Times(1), "", Manner::default()) {
            None => self.end(cause),
            Some(verb) => {
                self.waiting = Waiting::Parting(cause);
                verb
            }
        }
    }

    fn end(&mut self, cause: HangupCause) -> Verb {
        self.waiting = Waiting::Over;
        self.queue.clear();
        Verb::Hangup(Hangup { cause })
    }
}
