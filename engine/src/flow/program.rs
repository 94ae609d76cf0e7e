//! The flow as a [`Program`]: outcome in, verb out. Owns where a call stands in its flow and what its variables hold.
//!
//! A turn walks through steps that take no time (set, branch, goto) until one gives a verb. Limits: [`MAX_INSTANT`] such steps
//! in one turn, [`MAX_FAILURES`] failed verbs in one call; past either the call ends with cause 34.
use super::file_key;
use super::model::{
    Destination, Flow, Input, Menu, MenuId, NodeId, Piece, Prompt, Step as NodeStep, Target,
};
use crate::call::{
    Audio, Conference, ConferenceEnd, Conferenced, Gather, GatherEnd, Gathered, Hangup,
    HangupCause, KeyPress, Listen, Manner, Outcome, Play, RecordEnd, Recorded, RecordingId, Repeat,
    SendDigits, Stream, Verb, WaitForTone,
};
use crate::call::{CallInfo, Direction, Program, Step};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The most steps without media or input in one turn.
pub const MAX_INSTANT: usize = 100;
/// The most failed verbs of one call; two in a row end it at once.
pub const MAX_FAILURES: u32 = 3;

/// The shortest wait for a key where nothing is played, in ms.
const LEAST_INPUT_MS: u32 = 100;

/// One call's walk through a flow. A clone of a fresh one is a fresh one.
#[derive(Debug, Clone)]
pub struct FlowProgram {
    flow: Arc<Flow>,
    variables: BTreeMap<String, String>,
    recordings: BTreeMap<String, RecordingId>,
    /// The menus that led here, each once, the current one last.
    path: Vec<Frame>,
    at: Option<Target>,
    waiting: Waiting,
    failures: u32,
    failed_last: bool,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    menu: MenuId,
    /// Silences and wrong keys so far.
    tries: u32,
}

/// Whose outcome comes next.
#[derive(Debug, Clone)]
enum Waiting {
    Begin,
    Answer,
    Node(NodeId),
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

    fn next(&mut self, call: &CallInfo, outcome: Outcome) -> Step {
        let verb = self.turn(call, outcome);
        let at = self.at.map_or("start", |at| self.flow.id(at)).to_owned();
        Step { verb, at }
    }
}

impl FlowProgram {
    /// A call that has not begun.
    pub fn new(flow: Arc<Flow>) -> Self {
        Self {
            variables: flow.variables.clone(),
            flow,
            recordings: BTreeMap::new(),
            path: Vec::new(),
            at: None,
            waiting: Waiting::Begin,
            failures: 0,
            failed_last: false,
        }
    }

    /// The flow that is run.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    fn turn(&mut self, call: &CallInfo, outcome: Outcome) -> Verb {
        let flow = Arc::clone(&self.flow);
        let waiting = std::mem::replace(&mut self.waiting, Waiting::Over);
        let mut next = self.outcome(&flow, &waiting, outcome);
        for _ in 0..MAX_INSTANT {
            match self.step(&flow, call, next) {
                Move::Do(verb) => return verb,
                further => next = further,
            }
        }
        self.end(HangupCause::Congestion)
    }

    fn outcome<'f>(&mut self, flow: &'f Flow, waiting: &'f Waiting, outcome: Outcome) -> Move<'f> {
        match (waiting, outcome) {
            (Waiting::Over, _) | (_, Outcome::HungUp | Outcome::HandedOver) => {
                Move::Do(self.end(HangupCause::Normal))
            }
            (_, Outcome::Failed(_)) => self.failed(flow, waiting),
            (waiting, outcome) => {
                self.failed_last = false;
                match waiting {
                    Waiting::Begin => {
                        self.waiting = Waiting::Answer;
                        Move::Do(Verb::Answer)
                    }
                    Waiting::Answer => Move::Enter(flow.entry),
                    Waiting::Sound(then) => Move::To(then),
                    Waiting::Menu(menu) => self.after_menu(&flow.menus[menu.0], *menu, outcome),
                    Waiting::Node(node) => {
                        Move::To(self.after_node(&flow.nodes[node.0].step, outcome))
                    }
                    Waiting::Parting(cause) => Move::Do(self.end(*cause)),
                    Waiting::Over => Move::Do(self.end(HangupCause::Normal)),
                }
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
                Move::Menu(menu, &flow.menus[menu.0].greeting)
            }
            Move::Enter(Target::Node(node)) => self.enter_node(flow, call, node),
            Move::To(destination) => self.go(call, destination),
            Move::Menu(menu, lead) => Move::Do(self.ask(&flow.menus[menu.0], menu, call, lead)),
            Move::Part(cause, prompt) => Move::Do(self.part(call, cause, prompt)),
            Move::Do(verb) => Move::Do(verb),
        }
    }

    fn go<'f>(&mut self, call: &CallInfo, destination: &'f Destination) -> Move<'f> {
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
            None => Move::Do(self.end(HangupCause::Normal)),
        }
    }

    /// A menu that led here already is gone back to, so that the path cannot grow without end.
    fn descend(&mut self, menu: MenuId) {
        if let Some(depth) = self.path.iter().position(|frame| frame.menu == menu) {
            self.path.truncate(depth);
        }
        self.path.push(Frame { menu, tries: 0 });
    }

    fn restart(&mut self) {
        if let Some(frame) = self.path.last_mut() {
            frame.tries = 0;
        }
    }

    fn ask(&mut self, menu: &Menu, id: MenuId, call: &CallInfo, lead: &Prompt) -> Verb {
        self.at = Some(Target::Menu(id));
        self.waiting = Waiting::Menu(id);
        let mut prompts = self.audio(call, lead);
        prompts.extend(self.audio(call, &menu.prompt));
        gather(prompts, Repeat::Times(1), &menu.input)
    }

    fn after_menu<'f>(&mut self, menu: &'f Menu, id: MenuId, outcome: Outcome) -> Move<'f> {
        let silent = self.note_entry(outcome);
        let digits = self.value("digits");
        let chosen = menu
            .choices
            .iter()
            .find(|choice| !silent && choice.exten.matches(digits));
        if let Some(choice) = chosen {
            self.restart();
            return Move::To(&choice.destination);
        }
        let (at_once, lead) = if silent {
            (&menu.timeout_destination, &menu.timeout)
        } else {
            (&menu.invalid_destination, &menu.invalid)
        };
        if let Some(destination) = at_once {
            return Move::To(destination);
        }
        let tries = self.path.last_mut().map_or(menu.max_tries, |frame| {
            frame.tries += 1;
            frame.tries
        });
        match &menu.abort_destination {
            _ if tries < menu.max_tries => Move::Menu(id, lead),
            Some(destination) => Move::To(destination),
            None => Move::Part(HangupCause::Normal, &menu.abort),
        }
    }

    fn enter_node<'f>(&mut self, flow: &'f Flow, call: &CallInfo, id: NodeId) -> Move<'f> {
        self.at = Some(Target::Node(id));
        match &flow.nodes[id.0].step {
            NodeStep::Set { variables, then } => {
                for (name, value) in variables {
                    let value = value.expand(|name| self.look_up(call, name));
                    self.set(name, value);
                }
                Move::To(then)
            }
            NodeStep::Branch {
                on,
                cases,
                otherwise,
            } => {
                let value = on.expand(|name| self.look_up(call, name));
                Move::To(cases.get(&value).unwrap_or(otherwise))
            }
            NodeStep::Hangup { cause, prompt } => Move::Part(*cause, prompt),
            NodeStep::Play {
                prompt,
                repeat,
                interrupt,
                manner,
                then,
            } => match self.play(call, prompt, *repeat, interrupt, *manner) {
                None => Move::To(then),
                Some(verb) => self.await_node(id, verb),
            },
            NodeStep::Collect {
                prompt,
                repeat,
                input,
                ..
            } => {
                let verb = gather(self.audio(call, prompt), *repeat, input);
                self.await_node(id, verb)
            }
            NodeStep::Echo { echo, .. } => self.await_node(id, Verb::Echo(echo.clone())),
            NodeStep::SendDigits {
                digits,
                tone_ms,
                gap_ms,
                ..
            } => {
                let send = SendDigits {
                    digits: digits.expand(|name| self.look_up(call, name)),
                    tone_ms: *tone_ms,
                    gap_ms: *gap_ms,
                };
                self.await_node(id, Verb::SendDigits(send))
            }
            NodeStep::Listen { prompt, listen, .. } => {
                let listen = Listen {
                    prompts: self.audio(call, prompt),
                    ..listen.clone()
                };
                self.await_node(id, Verb::Listen(listen))
            }
            NodeStep::Conference {
                room, conference, ..
            } => {
                let room = room.expand(|name| self.look_up(call, name));
                let conference = Conference {
                    room,
                    ..conference.clone()
                };
                self.await_node(id, Verb::Conference(conference))
            }
            NodeStep::RecordCall { record, .. } => {
                self.await_node(id, Verb::RecordCall(record.clone()))
            }
            NodeStep::RecordingControl { control, .. } => {
                self.await_node(id, Verb::RecordingControl(*control))
            }
            NodeStep::Stream {
                stream, parameters, ..
            } => {
                let parameters = parameters.iter();
                let parameters = parameters.map(|(name, value)| {
                    let value = value.expand(|name| self.look_up(call, name));
                    (name.clone(), value)
                });
                let stream = Stream {
                    parameters: parameters.collect(),
                    ..(**stream).clone()
                };
                self.await_node(id, Verb::Stream(Box::new(stream)))
            }
            NodeStep::WaitForTone { prompt, wait, .. } => {
                let wait = WaitForTone {
                    prompts: self.audio(call, prompt),
                    ..(**wait).clone()
                };
                self.await_node(id, Verb::WaitForTone(Box::new(wait)))
            }
            NodeStep::DetectMachine { detect, .. } => {
                self.await_node(id, Verb::DetectMachine(detect.clone()))
            }
            NodeStep::StopStream { .. } => self.await_node(id, Verb::StopStream),
            NodeStep::Record { record, .. } => self.await_node(id, Verb::Record(record.clone())),
        }
    }

    fn await_node<'f>(&mut self, id: NodeId, verb: Verb) -> Move<'f> {
        self.waiting = Waiting::Node(id);
        Move::Do(verb)
    }

    fn after_node<'f>(&mut self, step: &'f NodeStep, outcome: Outcome) -> &'f Destination {
        match step {
            NodeStep::Collect {
                set,
                then,
                no_input,
                ..
            } => {
                self.note_entry(outcome);
                let digits = self.value("digits").to_owned();
                let destination = no_input
                    .as_ref()
                    .filter(|_| digits.is_empty())
                    .unwrap_or(then);
                if let Some(name) = set {
                    self.set(name, digits);
                }
                destination
            }
            NodeStep::WaitForTone { then, timeout, .. } => {
                let in_vain = self.note_tone(outcome);
                timeout.as_ref().filter(|_| in_vain).unwrap_or(then)
            }
            NodeStep::DetectMachine { then, .. } => {
                self.note_answerer(outcome);
                then
            }
            NodeStep::Listen { then, timeout, .. } => {
                let in_vain = self.note_listened(outcome);
                timeout.as_ref().filter(|_| in_vain).unwrap_or(then)
            }
            NodeStep::Record { set, then, .. } => {
                if let Outcome::Recorded(recorded) = outcome {
                    self.note_recording(set, recorded);
                }
                then
            }
            NodeStep::Conference { then, .. } => {
                if let Outcome::Conferenced(conferenced) = outcome {
                    self.note_conference(conferenced);
                }
                then
            }
            NodeStep::RecordCall { then, .. }
            | NodeStep::RecordingControl { then, .. }
            | NodeStep::Stream { then, .. }
            | NodeStep::StopStream { then }
            | NodeStep::SendDigits { then, .. } => then,
            NodeStep::Play { then, .. }
            | NodeStep::Echo { then, .. }
            | NodeStep::Set { then, .. } => {
                let key = if let Outcome::Interrupted(key) = outcome {
                    Some(key)
                } else {
                    None
                };
                self.note_key(key);
                then
            }
            // These give no verb, so no outcome is theirs.
            NodeStep::Branch { .. } | NodeStep::Hangup { .. } => &Destination::Repeat,
        }
    }

    /// A play, unless there is nothing to play.
    fn play(
        &self,
        call: &CallInfo,
        prompt: &Prompt,
        repeat: Repeat,
        stop_keys: &str,
        manner: Manner,
    ) -> Option<Verb> {
        let audio = self.audio(call, prompt);
        let stop_keys = stop_keys.to_owned();
        (!audio.is_empty()).then_some(Verb::Play(Play {
            audio,
            repeat,
            stop_keys,
            manner,
        }))
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
        Verb::Hangup(Hangup { cause })
    }

    /// A piece whose variable is empty, or whose recording was not made, is left out. An id that is not there goes to the
    /// executor as a prompt it cannot find: that fails, is logged, and leads to the error destination.
    fn audio(&self, call: &CallInfo, prompt: &Prompt) -> Vec<Audio> {
        let mut audio = Vec::new();
        for piece in &prompt.0 {
            match piece {
                Piece::Id(template) => {
                    let empty = template
                        .single()
                        .is_some_and(|(_, name, _)| self.look_up(call, name).is_empty());
                    let id = template.expand(|name| self.look_up(call, name));
                    match self.flow.prompts.get(&id) {
                        _ if empty => {}
                        Some(prompt) => audio
                            .extend(prompt.0.iter().filter_map(|piece| self.piece(call, piece))),
                        // A far end may have written part of it: it must not become the path of a file.
                        None => {
                            let id = id.replace(['/', '\0'], "_");
                            audio.push(Audio::Prompt(format!("no prompt {id}")));
                        }
                    }
                }
                piece => audio.extend(self.piece(call, piece)),
            }
        }
        audio
    }

    fn piece(&self, call: &CallInfo, piece: &Piece) -> Option<Audio> {
        match piece {
            Piece::Fixed(audio) => Some(audio.clone()),
            Piece::Recording(name) => self.recordings.get(name).map(|id| Audio::Recording(*id)),
            Piece::File { base, name } => {
                let empty = name
                    .single()
                    .is_some_and(|(_, name, _)| self.look_up(call, name).is_empty());
                let key = || file_key(base, &name.expand(|name| self.look_up(call, name)));
                (!empty).then(|| Audio::Prompt(key()))
            }
            Piece::Url(url) => {
                let url = url.expand_made(|name| escaped(self.look_up(call, name)));
                Some(Audio::Prompt(url))
            }
            // The definition of a prompt names no other prompt.
            Piece::Id(_) => None,
        }
    }

    /// Sets `digits`, `key` and `key_source`; says whether nothing at all was pressed.
    fn note_entry(&mut self, outcome: Outcome) -> bool {
        let Outcome::Gathered(Gathered { digits, end, keys }) = outcome else {
            self.set("digits", String::new());
            self.note_key(None);
            return true;
        };
        let silent = digits.is_empty() && end != GatherEnd::FinishKey;
        self.set("digits", digits);
        self.note_key(keys.last().copied());
        silent
    }

    pub(super) fn note_key(&mut self, key: Option<KeyPress>) {
        let source = key.map_or("", |key| key.source.name());
        self.set(
            "key",
            key.map(|key| key.digit.to_string()).unwrap_or_default(),
        );
        self.set("key_source", source.to_owned());
    }

    fn note_conference(&mut self, conferenced: Conferenced) {
        let (end, key) = match conferenced.end {
            ConferenceEnd::Key(key) => ("key", Some(key)),
            ConferenceEnd::Over => ("over", None),
            ConferenceEnd::Removed => ("removed", None),
            ConferenceEnd::Alone => ("alone", None),
            ConferenceEnd::TimeLimit => ("limit", None),
        };
        self.note_key(key);
        self.set("conference_end", end.to_owned());
        self.set("conference_seconds", conferenced.seconds.to_string());
    }

    fn note_recording(&mut self, name: &str, recorded: Recorded) {
        let end = match recorded.end {
            RecordEnd::Key(_) => "key",
            RecordEnd::Silence => "silence",
            RecordEnd::MaxLength => "limit",
        };
        self.recordings.insert(name.to_owned(), recorded.recording);
        self.set("recording_ms", recorded.duration_ms.to_string());
        self.set("recording_lost_ms", recorded.lost_ms.to_string());
        self.set("recording_end", end.to_owned());
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value);
    }

    fn value(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    fn look_up<'a>(&'a self, call: &'a CallInfo, name: &str) -> &'a str {
        match name {
            "call.id" => &call.id,
            "call.from" => &call.from,
            "call.to" => &call.to,
            "call.direction" => match call.direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            },
            name => self.value(name),
        }
    }
}

/// A value as part of a URL (RFC 3986 section 2.3).
fn escaped(value: &str) -> String {
    let octets = value.bytes().map(|byte| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    octets.collect()
}

fn gather(prompts: Vec<Audio>, repeat: Repeat, input: &Input) -> Verb {
    // A menu with `timeout: 0` whose prompt came out empty must take some time, or silence that leads back spins.
    let least_ms = if prompts.is_empty() {
        LEAST_INPUT_MS
    } else {
        0
    };
    Verb::Gather(Gather {
        prompts,
        repeat,
        timeout_ms: input.timeout_ms.max(least_ms),
        inter_digit_ms: input.inter_digit_ms,
        max_digits: input.max_digits,
        finish_on: input.finish_on,
        barge_in: input.barge_in,
        typeahead: input.typeahead,
        sensitive: input.sensitive,
    })
}
