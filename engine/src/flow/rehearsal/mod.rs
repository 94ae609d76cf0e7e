//! Calls without a network: a flow is run with a made-up caller at a made-up time, and what would be heard, pressed and done is written
//! down. Owns the caller and the transcript; `explore` walks every way, `cases` runs tests that stand in files. Nothing here takes time.
mod caller;
pub mod cases;
mod describe;
pub mod explore;

#[cfg(test)]
mod tests;

pub use caller::{Act, acts};
pub use describe::said;

use super::program::Note;
use super::{Flow, FlowProgram, Loaded};
use crate::call::{CallInfo, Direction, HangupCause, Outcome, Program, QueueEnd, Verb};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The most verbs of one rehearsal: a flow that goes on longer lets nobody go.
const MAX_VERBS: usize = 500;
/// How long a caller speaks and waits to be understood, in ms.
const SPEECH_MS: u64 = 3000;
/// How long a callee speaks who answers, in ms.
const CONVERSATION_MS: u64 = 60_000;
/// How long a visit to a voicemail box is taken to last, in ms.
const VISIT_MS: u64 = 30_000;

/// Who calls, and when.
#[derive(Debug, Clone)]
pub struct Setting {
    /// When the call begins.
    pub now: SystemTime,
    /// The caller's number.
    pub from: String,
    /// The called number.
    pub to: String,
}

/// What was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// In order.
    pub lines: Vec<Line>,
    /// How it ended.
    pub end: End,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// About when, in ms from the beginning: texts are taken to be spoken at a usual pace, files to last three seconds.
    pub ms: u64,
    /// The menu or node.
    pub at: String,
    /// What kind of thing.
    pub kind: &'static str,
    /// What.
    pub text: String,
}

/// How a rehearsal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The flow hung up.
    Hangup(HangupCause),
    /// The caller did.
    Caller,
    /// It went on for `MAX_VERBS` verbs.
    Never,
}

impl End {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hangup(HangupCause::Normal) => "normal",
            Self::Hangup(HangupCause::Busy) => "busy",
            Self::Hangup(HangupCause::Congestion) => "congestion",
            Self::Hangup(HangupCause::Q850(_)) => "as the callee",
            Self::Caller => "caller",
            Self::Never => "never",
        }
    }
}

/// Runs a call.
pub fn rehearse(loaded: &Loaded, setting: &Setting, acts: &[Act]) -> Transcript {
    Rehearsal {
        flow: loaded.flow.clone(),
        program: FlowProgram::rehearsed(loaded.flow.clone()),
        call: call(setting),
        acts: acts.iter().cloned().collect(),
        began: setting.now,
        ms: 0,
        at: "start".to_owned(),
        lines: Vec::new(),
    }
    .run()
}

fn call(setting: &Setting) -> CallInfo {
    CallInfo {
        id: "rehearsal".to_owned(),
        direction: Direction::Inbound,
        from: setting.from.clone(),
        to: setting.to.clone(),
    }
}

struct Rehearsal {
    flow: Arc<Flow>,
    program: FlowProgram,
    call: CallInfo,
    acts: VecDeque<Act>,
    began: SystemTime,
    ms: u64,
    at: String,
    lines: Vec<Line>,
}

impl Rehearsal {
    fn run(mut self) -> Transcript {
        let mut outcome = Outcome::Begin;
        for _ in 0..MAX_VERBS {
            self.program.at(self.began + Duration::from_millis(self.ms));
            let step = self.program.next(&self.call, outcome);
            self.write_notes();
            self.at = step.at;
            if let Verb::Hangup(hangup) = &step.verb {
                let end = End::Hangup(hangup.cause);
                return self.finish(end, describe::cause(hangup.cause));
            }
            match self.carry_out(&step.verb) {
                Some(next) => outcome = next,
                None => return self.finish(End::Caller, "the caller hangs up".to_owned()),
            }
        }
        self.finish(
            End::Never,
            format!("still going on after {MAX_VERBS} steps"),
        )
    }

    fn finish(mut self, end: End, text: String) -> Transcript {
        self.write("ends", text);
        Transcript {
            lines: self.lines,
            end,
        }
    }

    /// `None`: the caller hangs up.
    fn carry_out(&mut self, verb: &Verb) -> Option<Outcome> {
        if let Some((kind, text)) = describe::verb(&self.flow, verb) {
            self.write(kind, text);
        }
        self.ms += describe::heard_ms(&self.flow, verb);
        let act = caller::answer(verb, &mut self.acts);
        match &act {
            caller::Answer::Leaves => return None,
            caller::Answer::Does(outcome) => {
                if let Some((kind, text)) = describe::outcome(verb, outcome) {
                    self.write(kind, text);
                }
                self.ms += waited_ms(verb, outcome);
            }
        }
        match act {
            caller::Answer::Does(outcome) => Some(outcome),
            caller::Answer::Leaves => None,
        }
    }

    fn write_notes(&mut self) {
        for note in self.program.take_notes() {
            if let Note::At(id) = &note {
                self.at.clone_from(id);
            }
            let (kind, text) = describe::note(&note);
            self.write(kind, text);
        }
    }

    fn write(&mut self, kind: &'static str, text: String) {
        self.lines.push(Line {
            ms: self.ms,
            at: self.at.clone(),
            kind,
            text,
        });
    }
}

fn waited_ms(verb: &Verb, outcome: &Outcome) -> u64 {
    match (verb, outcome) {
        (Verb::Gather(_), Outcome::Gathered(gathered)) if gathered.speech.is_some() => SPEECH_MS,
        (Verb::Gather(gather), Outcome::Gathered(gathered)) if gathered.keys.is_empty() => {
            u64::from(gather.timeout_ms)
        }
        (Verb::Gather(_), Outcome::Gathered(gathered)) => 500 * gathered.keys.len() as u64,
        (Verb::Enqueue(_), Outcome::Queued(queued)) => {
            let talked = match queued.end {
                QueueEnd::Answered { .. } => CONVERSATION_MS,
                _ => 0,
            };
            u64::from(queued.waited_s) * 1000 + talked
        }
        (Verb::Voicemail(_), _) => VISIT_MS,
        (Verb::Dial(_), Outcome::Dialled(dialled)) if dialled.status == 200 => CONVERSATION_MS,
        (Verb::Dial(dial), _) => u64::from(dial.ring_timeout_ms).min(30_000),
        (Verb::Record(_), Outcome::Recorded(recorded)) => u64::from(recorded.duration_ms),
        (Verb::Wait(wait), _) => u64::from(wait.ms.min(60_000)),
        (Verb::Conference(_) | Verb::Stream(_) | Verb::Echo(_), _) if verb.takes_time() => {
            CONVERSATION_MS
        }
        _ => 0,
    }
}
