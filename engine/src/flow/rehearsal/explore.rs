//! Every way through a flow: each choice, a wrong key, silence, each end of a dial, inside and outside each schedule's hours. Tells what
//! no way leads to, where calls are lost, and where they go round.
//!
//! Limit: [`MAX_STATES`] states; a flow with more is told to have been walked in part.
use super::caller::{SOMEBODY, dialled, failed, fetched, pressed, queued, spoken, voicemailed};
use super::{End, Setting, call};
use crate::call::{Audio, CallInfo, DialEnd, Outcome, Program, Verb};
use crate::flow::model::{Destination, Flow, Menu, Step};
use crate::flow::pattern::KEYS;
use crate::flow::program::Note;
use crate::flow::schedule::Verdict;
use crate::flow::{FlowProgram, Loaded};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::{Duration, SystemTime};

/// The most states that are looked at.
pub const MAX_STATES: usize = 20_000;
/// The most moments that a flow is walked at.
const MAX_MOMENTS: usize = 32;
/// The most entries tried where keys are collected.
const MAX_ENTRIES: usize = 20;
/// What no choice means.
const UNKNOWN_WORD: &str = "mumble";
/// How far a silent caller is followed.
const MAX_SILENCE: usize = 300;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// States looked at: a place in the flow with what is remembered there.
    pub states: usize,
    /// Whether there were more.
    pub cut: bool,
    /// Menus and nodes that were reached, and how many there are.
    pub reached: usize,
    /// See `reached`.
    pub all: usize,
    /// Ends of calls and how many ways lead to each.
    pub ends: BTreeMap<String, usize>,
    /// Menus and nodes that no way leads to.
    pub unreachable: Vec<String>,
    /// Where calls end because the flow does not say what comes next, or this version does not serve it.
    pub dead_ends: BTreeSet<String>,
    /// Prompts that are asked for and of which there is nothing to hear.
    pub missing_prompts: BTreeSet<String>,
    /// Ways that have no end for a caller who does nothing.
    pub loops: BTreeSet<String>,
    /// Menus that no key leads out of.
    pub no_exit: Vec<String>,
}

impl Findings {
    /// Whether there is nothing to complain of.
    pub fn is_clean(&self) -> bool {
        self.unreachable.is_empty()
            && self.dead_ends.is_empty()
            && self.missing_prompts.is_empty()
            && self.loops.is_empty()
            && self.no_exit.is_empty()
    }
}

/// A call at a verb.
#[derive(Clone)]
struct Standing {
    program: FlowProgram,
    verb: Verb,
    at: String,
}

/// Walks every way.
pub fn explore(loaded: &Loaded, setting: &Setting) -> Findings {
    let flow = &*loaded.flow;
    let mut walk = Walk {
        flow,
        entries: entries(flow),
        calls: 0,
        visited: HashSet::new(),
        reached: HashSet::new(),
        heard: HashSet::new(),
        followed: HashSet::new(),
        findings: Findings::default(),
    };
    for now in moments(flow, setting.now) {
        for from in callers(flow, &setting.from) {
            let setting = Setting {
                now,
                from,
                to: setting.to.clone(),
            };
            walk.walk(loaded, &call(&setting), now);
            walk.calls += 1;
        }
    }
    walk.finish(loaded)
}

struct Walk<'f> {
    flow: &'f Flow,
    /// What is entered where keys are collected.
    entries: Vec<String>,
    /// The moment and the caller that are walked with: what a schedule or a directory says later depends on them.
    calls: usize,
    visited: HashSet<(usize, String)>,
    reached: HashSet<String>,
    heard: HashSet<String>,
    /// States from which silence was followed already.
    followed: HashSet<(usize, String)>,
    findings: Findings,
}

impl Walk<'_> {
    fn walk(&mut self, loaded: &Loaded, call: &CallInfo, now: SystemTime) {
        let mut program = FlowProgram::rehearsed(loaded.flow.clone());
        program.at(now);
        let step = program.next(call, Outcome::Begin);
        let begin = Standing {
            program,
            verb: step.verb,
            at: step.at,
        };
        let mut todo = VecDeque::from([begin]);
        while let Some(standing) = todo.pop_front() {
            for outcome in self.outcomes(&standing) {
                let mut program = standing.program.clone();
                let step = program.next(call, outcome);
                self.note(&mut program, &step.at);
                let next = Standing {
                    program,
                    verb: step.verb,
                    at: step.at,
                };
                self.hear(&next.verb, &next.at);
                if let Verb::Hangup(hangup) = &next.verb {
                    *self
                        .findings
                        .ends
                        .entry(End::Hangup(hangup.cause).name().to_owned())
                        .or_default() += 1;
                    continue;
                }
                if self.visited.len() >= MAX_STATES {
                    self.findings.cut = true;
                    return;
                }
                if self.visited.insert((self.calls, next.program.standing())) {
                    self.follow_silence(&next, call);
                    todo.push_back(next);
                }
            }
        }
    }

    fn note(&mut self, program: &mut FlowProgram, at: &str) {
        for note in program.take_notes() {
            match note {
                Note::At(id) => {
                    self.reached.insert(id);
                }
                Note::NotServed(what) => {
                    self.findings
                        .dead_ends
                        .insert(format!("{at}: {what} is not served by this version"));
                }
                Note::Lost(why) => {
                    self.findings.dead_ends.insert(format!("{at}: {why}"));
                }
                Note::Schedule { .. }
                | Note::Hours { .. }
                | Note::Language(_)
                | Note::Looked { .. } => {}
            }
        }
    }

    fn hear(&mut self, verb: &Verb, at: &str) {
        let audio: &[Audio] = match verb {
            Verb::Play(play) => &play.audio,
            Verb::Gather(gather) => &gather.prompts,
            _ => &[],
        };
        for audio in audio {
            let Audio::Prompt(key) = audio else { continue };
            if let Some(id) = key.strip_prefix("no prompt ") {
                self.findings
                    .missing_prompts
                    .insert(format!("{at}: there is no prompt \"{id}\""));
            } else {
                self.heard.insert(key.clone());
            }
        }
    }

    /// Everything that can come of a verb.
    fn outcomes(&self, standing: &Standing) -> Vec<Outcome> {
        let verb = &standing.verb;
        let by_keys = |keys: &str| pressed(verb, keys).0;
        let mut outcomes = match verb {
            Verb::Gather(gather) => {
                let mut keys: Vec<String> = match standing.program.menu() {
                    Some(menu) => menu_keys(menu),
                    None => {
                        let fit = |entry: &&String| entry.len() <= gather.max_digits;
                        let tried = self.entries.iter().filter(fit).take(MAX_ENTRIES).cloned();
                        let usual: String = "1234567890"
                            .chars()
                            .cycle()
                            .take(gather.max_digits.min(10))
                            .collect();
                        tried.chain([usual]).collect()
                    }
                };
                keys.push(String::new());
                if gather.max_digits == 1 && standing.program.menu().is_none() {
                    keys.extend(KEYS[..12].chars().map(String::from));
                }
                let keys = keys.iter().map(|keys| by_keys(keys));
                let hints = gather.speech.iter().flat_map(|speech| &speech.hints);
                let mut said: Vec<&str> = hints.map(String::as_str).take(MAX_ENTRIES).collect();
                said.extend(gather.speech.as_ref().map(|_| UNKNOWN_WORD));
                keys.chain(said.into_iter().map(spoken)).collect()
            }
            Verb::Play(play) => {
                let stops = play
                    .stop_keys
                    .chars()
                    .take(12)
                    .map(|key| by_keys(&key.to_string()));
                let done = (!matches!(play.repeat, crate::call::Repeat::Forever)
                    || play.stop_keys.is_empty())
                .then_some(Outcome::Done);
                done.into_iter().chain(stops).collect()
            }
            Verb::Dial(_) => [
                DialEnd::Answered { seconds: 60 },
                DialEnd::Busy,
                DialEnd::NoAnswer,
                DialEnd::Unreachable,
                DialEnd::Refused(404),
            ]
            .map(dialled)
            .into(),
            Verb::Fetch(_) => [(200, ""), (200, SOMEBODY), (0, "")]
                .map(|(status, body)| fetched(status, body))
                .into(),
            Verb::Enqueue(_) => super::caller::ENDS
                .iter()
                .filter_map(|end| queued(end))
                .collect(),
            Verb::Voicemail(wanted) => super::caller::voicemail_ends(wanted)
                .into_iter()
                .map(voicemailed)
                .collect(),
            Verb::Record(record) => {
                let stop = record
                    .stop_keys
                    .chars()
                    .next()
                    .map(String::from)
                    .unwrap_or_default();
                vec![by_keys(""), by_keys(&stop)]
            }
            Verb::Conference(_) | Verb::Echo(_) => vec![by_keys(""), by_keys("#")],
            _ => vec![Outcome::Done],
        };
        let mut targets = Vec::new();
        self.flow.error_destination.targets(&mut targets);
        if verb.takes_time() && !targets.is_empty() {
            outcomes.push(failed(verb));
        }
        outcomes
    }

    /// A caller who does nothing must come to an end somewhere.
    fn follow_silence(&mut self, from: &Standing, call: &CallInfo) {
        let mut standing = from.clone();
        let mut seen: Vec<(String, String, bool)> = Vec::new();
        for _ in 0..MAX_SILENCE {
            let state = standing.program.standing();
            if let Some(first) = seen.iter().position(|(earlier, ..)| *earlier == state) {
                let mut ids: Vec<&str> =
                    seen[first..].iter().map(|(_, at, _)| at.as_str()).collect();
                let asked = seen[first..].iter().any(|(.., asked)| *asked);
                ids.dedup();
                let least = ids
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, id)| **id)
                    .map_or(0, |(place, _)| place);
                ids.rotate_left(least);
                let what = if asked {
                    "a caller who presses nothing is never let go"
                } else {
                    "goes round without ever asking for a key"
                };
                self.findings
                    .loops
                    .insert(format!("{}: {what}", ids.join(" → ")));
                return;
            }
            // From there on it was followed before.
            if !self.followed.insert((self.calls, state.clone())) {
                return;
            }
            seen.push((
                state,
                standing.at.clone(),
                matches!(standing.verb, Verb::Gather(_)),
            ));
            let outcome = match &standing.verb {
                Verb::Dial(_)
                | Verb::Enqueue(_)
                | Verb::Voicemail(_)
                | Verb::Hangup(_)
                | Verb::Conference(_)
                | Verb::Stream(_) => return,
                verb => pressed(verb, "").0,
            };
            let step = standing.program.next(call, outcome);
            let _already_told = standing.program.take_notes();
            (standing.verb, standing.at) = (step.verb, step.at);
        }
    }

    fn finish(mut self, loaded: &Loaded) -> Findings {
        let flow = self.flow;
        let menus = flow.menus.iter().map(|menu| &menu.id);
        let ids: Vec<&String> = menus
            .chain(flow.nodes.iter().map(|node| &node.id))
            .collect();
        let unreached = ids.iter().filter(|id| !self.reached.contains(**id));
        self.findings.unreachable = unreached.map(|id| (*id).clone()).collect();
        self.findings.all = ids.len();
        self.findings.reached = ids.len() - self.findings.unreachable.len();
        self.findings.states = self.visited.len();
        self.findings.no_exit = flow
            .menus
            .iter()
            .filter(|menu| !has_exit(menu))
            .map(|menu| menu.id.clone())
            .collect();
        for file in loaded
            .prompt_files
            .iter()
            .filter(|file| self.heard.contains(&file.key) && !file.key.starts_with("builtin:"))
        {
            if !file.is_there() {
                self.findings.missing_prompts.insert(format!(
                    "line {}: there is no file {}",
                    file.at.line, file.key
                ));
            }
        }
        self.findings
    }
}

/// One entry for each choice, and one that is wrong, if any is.
fn menu_keys(menu: &Menu) -> Vec<String> {
    let mut keys: Vec<String> = menu
        .choices
        .iter()
        .filter_map(|choice| choice.exten.sample())
        .collect();
    let right = |entry: &str| {
        menu.choices
            .iter()
            .any(|choice| choice.exten.matches(entry))
    };
    let wrong = KEYS
        .chars()
        .map(String::from)
        .find(|key| !right(key) && menu.input.finish_on != key.chars().next());
    keys.extend(wrong);
    keys
}

/// Whether some key leads out of a menu.
fn has_exit(menu: &Menu) -> bool {
    menu.choices
        .iter()
        .any(|choice| leads_out(&choice.destination))
}

fn leads_out(destination: &Destination) -> bool {
    match destination {
        Destination::Repeat => false,
        Destination::Sound { then, .. } => leads_out(then),
        Destination::Step(step) => match &**step {
            Step::Dial(_)
            | Step::Queue(_)
            | Step::Voicemail(_)
            | Step::Hangup { .. }
            | Step::NotServed { .. } => true,
            step => step.destinations().into_iter().any(leads_out),
        },
        _ => true,
    }
}

/// What branches ask for, as far as it can be pressed.
fn entries(flow: &Flow) -> Vec<String> {
    let mut entries = BTreeSet::new();
    for node in &flow.nodes {
        if let Step::Branch { cases, .. } = &node.step {
            let fit =
                |value: &&String| !value.is_empty() && value.chars().all(|key| KEYS.contains(key));
            entries.extend(cases.keys().filter(fit).cloned());
        }
    }
    entries.into_iter().collect()
}

/// Moments at which each schedule says each thing it can say, the given one first.
fn moments(flow: &Flow, now: SystemTime) -> Vec<SystemTime> {
    const STEP: Duration = Duration::from_secs(30 * 60);
    let mut moments = vec![now];
    for schedule in &flow.schedules {
        let mut said = HashSet::new();
        let mut tell = |moment: SystemTime, moments: &mut Vec<SystemTime>| {
            let verdict = match schedule.at(moment, None) {
                Verdict::Open(_) => "open".to_owned(),
                Verdict::Closed(_) => "closed".to_owned(),
                Verdict::To(to, _) => format!("{:p}", to),
            };
            if said.insert(verdict) && moments.len() < MAX_MOMENTS && !moments.contains(&moment) {
                moments.push(moment);
            }
        };
        // Two weeks for the hours, then noons for a year and more: exceptions are days.
        for step in 0..14 * 48 {
            tell(now + STEP * step, &mut moments);
        }
        if !schedule.exceptions.is_empty() {
            for step in 0..400 * 4 {
                tell(now + STEP * 12 * step, &mut moments);
            }
        }
    }
    moments
}

/// Callers that directories know, and the given one.
fn callers(flow: &Flow, from: &str) -> BTreeSet<String> {
    let mut callers = BTreeSet::from([from.to_owned()]);
    let known = |step: &Step| match step {
        Step::Directory { directory, .. } => directory.sample().map(str::to_owned),
        _ => None,
    };
    callers.extend(flow.nodes.iter().filter_map(|node| known(&node.step)));
    callers
}
