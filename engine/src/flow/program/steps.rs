//! What nodes do: the verb of each, and what follows its outcome.
use super::super::model::{
    Callee, Destination, Dialling, Flow, Prompt, ScheduleId, Step as NodeStep,
};
use super::super::schedule::Verdict;
use super::super::template::{MAX_TEXT, Template};
use super::menu::gather;
use super::notes::Entry;
use super::{FlowProgram, Move, Note, StepRef, Waiting};
use crate::call::{
    CallInfo, Conference, Dial, DialTarget, HangupCause, Listen, Manner, Outcome, RecordingControl,
    Repeat, SendDigits, Stream, Verb, WaitForTone,
};

impl FlowProgram {
    pub(super) fn enter_step<'f>(
        &mut self,
        flow: &'f Flow,
        call: &CallInfo,
        step: &'f NodeStep,
        place: StepRef,
    ) -> Move<'f> {
        match step {
            NodeStep::Set { variables, then } => {
                for (name, value) in variables {
                    let value = self.expand(call, value);
                    self.set(name, value);
                }
                Move::To(then)
            }
            NodeStep::Branch {
                on,
                cases,
                otherwise,
            } => {
                let value = self.expand(call, on);
                Move::To(cases.get(&value).unwrap_or(otherwise))
            }
            NodeStep::Schedule {
                schedule,
                open,
                closed,
            } => self.by_time(flow, *schedule, open, closed),
            NodeStep::Directory {
                directory,
                find,
                set,
                then,
                otherwise,
            } => {
                let value = self.expand(call, find);
                let row = directory.find(&value);
                for (name, column) in set {
                    let found = row.map_or("", |row| row.value(column));
                    self.set(name, found.chars().take(MAX_TEXT).collect());
                }
                let found = row.is_some();
                self.note(|| Note::Looked { value, found });
                Move::To(if found { then } else { otherwise })
            }
            NodeStep::Hangup { cause, prompt } => Move::Part(*cause, prompt),
            NodeStep::NotServed { what, .. } => {
                self.note(|| Note::NotServed(what.clone()));
                Move::Do(self.end(HangupCause::Congestion))
            }
            NodeStep::Play {
                prompt,
                repeat,
                interrupt,
                manner,
                then,
            } => match self.play(call, prompt, *repeat, interrupt, *manner) {
                None => Move::To(then),
                Some(verb) => self.await_step(place, verb),
            },
            NodeStep::Language { code, prompt, then } => {
                let code = self.expand(call, code);
                self.note(|| Note::Language(code.clone()));
                self.language = code;
                match self.play(call, prompt, Repeat::Times(1), "", Manner::default()) {
                    None => Move::To(then),
                    Some(verb) => self.await_step(place, verb),
                }
            }
            NodeStep::Hours {
                schedule,
                by_hand,
                prompt,
                then,
            } => {
                let id = &flow.schedules[schedule.0].id;
                self.hand.set(id, *by_hand);
                self.note(|| Note::Hours {
                    id: id.clone(),
                    by_hand: *by_hand,
                });
                match self.play(call, prompt, Repeat::Times(1), "", Manner::default()) {
                    None => Move::To(then),
                    Some(verb) => self.await_step(place, verb),
                }
            }
            NodeStep::Collect { .. } => self.collect(flow, call, place, 0),
            step => match self.verb(flow, call, step) {
                Some((prompt, verb)) => self.after_prompt(call, prompt, verb, place),
                None => Move::Do(self.end(HangupCause::Congestion)),
            },
        }
    }

    /// The verb of a step that is nothing but one, and what is said before it.
    fn verb<'f>(
        &self,
        flow: &'f Flow,
        call: &CallInfo,
        step: &'f NodeStep,
    ) -> Option<(&'f Prompt, Verb)> {
        const NOTHING: &Prompt = &Prompt(Vec::new());
        let verb = match step {
            NodeStep::Echo { echo, .. } => Verb::Echo(echo.clone()),
            NodeStep::SendDigits {
                digits,
                tone_ms,
                gap_ms,
                ..
            } => Verb::SendDigits(SendDigits {
                digits: self.expand(call, digits),
                tone_ms: *tone_ms,
                gap_ms: *gap_ms,
            }),
            NodeStep::Conference {
                room, conference, ..
            } => Verb::Conference(Conference {
                room: self.expand(call, room),
                ..conference.clone()
            }),
            NodeStep::RecordCall { record, .. } => Verb::RecordCall(record.clone()),
            NodeStep::RecordingControl { control, .. } => Verb::RecordingControl(*control),
            NodeStep::Stream {
                stream, parameters, ..
            } => {
                let parameters = parameters.iter();
                let parameters =
                    parameters.map(|(name, value)| (name.clone(), self.expand(call, value)));
                Verb::Stream(Box::new(Stream {
                    parameters: parameters.collect(),
                    ..(**stream).clone()
                }))
            }
            NodeStep::Listen { prompt, listen, .. } => Verb::Listen(Listen {
                prompts: self.audio(call, prompt),
                ..listen.clone()
            }),
            NodeStep::WaitForTone { prompt, wait, .. } => {
                Verb::WaitForTone(Box::new(WaitForTone {
                    prompts: self.audio(call, prompt),
                    ..(**wait).clone()
                }))
            }
            NodeStep::DetectMachine { detect, .. } => Verb::DetectMachine(detect.clone()),
            NodeStep::StopStream { .. } => Verb::StopStream,
            NodeStep::Record { record, .. } => Verb::Record(record.clone()),
            NodeStep::Dial(dialling) => return Some((&dialling.prompt, self.dial(call, dialling))),
            NodeStep::Queue(queueing) => {
                return Some((&queueing.prompt, self.enqueue(call, queueing)));
            }
            NodeStep::Voicemail(messaging) => {
                return Some((&messaging.prompt, self.voicemail(call, messaging)));
            }
            NodeStep::Webhook(asking) => return Some((&asking.prompt, self.fetch(call, asking))),
            NodeStep::Recording {
                control, prompt, ..
            } => {
                let record = || Verb::RecordCall(flow.recording.record.clone());
                let verb = control.map_or_else(record, Verb::RecordingControl);
                // Nobody is recorded unawares where the flow has words for it.
                let consent = control.is_none() && prompt.0.is_empty();
                return Some((
                    if consent {
                        &flow.recording.consent
                    } else {
                        prompt
                    },
                    verb,
                ));
            }
            _ => return None,
        };
        Some((NOTHING, verb))
    }

    fn after_prompt<'f>(
        &mut self,
        call: &CallInfo,
        prompt: &Prompt,
        verb: Verb,
        place: StepRef,
    ) -> Move<'f> {
        match &verb {
            Verb::RecordCall(_) | Verb::RecordingControl(RecordingControl::Resume) => {
                self.recorded = true
            }
            Verb::RecordingControl(_) => self.recorded = false,
            _ => {}
        }
        match self.play(call, prompt, Repeat::Times(1), "", Manner::default()) {
            None => self.await_step(place, verb),
            Some(first) => {
                self.queue.push_back(verb);
                self.await_step(place, first)
            }
        }
    }

    fn dial(&self, call: &CallInfo, dialling: &Dialling) -> Verb {
        let target = match &dialling.to {
            Callee::Number(number) => DialTarget::Number(self.expand(call, number)),
            Callee::User(user) => DialTarget::Endpoint(self.expand(call, user)),
            Callee::Group(name) => DialTarget::RingGroup(self.expand(call, name)),
            Callee::Trunk { trunk, number } => DialTarget::Trunk {
                trunk: trunk.clone(),
                number: self.expand(call, number),
            },
        };
        Verb::Dial(Dial {
            ring_timeout_ms: dialling.ring_ms,
            on_machine: dialling.on_machine,
            ..Dial::one(target)
        })
    }

    fn by_time<'f>(
        &mut self,
        flow: &'f Flow,
        id: ScheduleId,
        open: &'f Destination,
        closed: &'f Destination,
    ) -> Move<'f> {
        let schedule = &flow.schedules[id.0];
        let by_hand = self.hand.of(&schedule.id);
        let (verdict, why, to) = match schedule.at(self.now, by_hand) {
            Verdict::Open(why) => ("open", why, open),
            Verdict::Closed(why) => ("closed", why, closed),
            Verdict::To(destination, why) => ("exception", why, destination),
        };
        self.note(|| Note::Schedule {
            id: schedule.id.clone(),
            verdict,
            why: why.to_owned(),
        });
        Move::To(to)
    }

    pub(super) fn collect<'f>(
        &mut self,
        flow: &'f Flow,
        call: &CallInfo,
        place: StepRef,
        entries: u32,
    ) -> Move<'f> {
        let verb = match place.step(flow) {
            NodeStep::Collect {
                prompt,
                repeat,
                input,
                ..
            } => gather(
                self.audio(call, prompt),
                *repeat,
                input,
                &[],
                &self.language,
            ),
            _ => self.end(HangupCause::Congestion),
        };
        self.waiting = Waiting::Step(place, entries);
        Move::Do(verb)
    }

    fn await_step<'f>(&mut self, place: StepRef, verb: Verb) -> Move<'f> {
        self.waiting = Waiting::Step(place, 0);
        Move::Do(verb)
    }

    pub(super) fn after_step<'f>(
        &mut self,
        flow: &'f Flow,
        call: &CallInfo,
        place: &'f StepRef,
        entries: u32,
        outcome: Outcome,
    ) -> Move<'f> {
        let step = place.step(flow);
        if let NodeStep::Collect { .. } = step {
            return self.after_collect(call, step, place, entries, outcome);
        }
        if let (NodeStep::Dial(dialling), Outcome::Dialled(dialled)) = (step, &outcome) {
            let fallback = self.note_dial(dialled);
            let fallback = fallback.and_then(|name| dialling.fallbacks.get(name));
            return match fallback.or(dialling.then.as_ref()) {
                Some(to) => Move::To(to),
                None => Move::Do(self.end(HangupCause::Q850(dialled.cause))),
            };
        }
        if let (NodeStep::Queue(queueing), Outcome::Queued(queued)) = (step, &outcome) {
            return self.after_queue(flow, call, queueing, queued);
        }
        if let (NodeStep::Voicemail(messaging), Outcome::Voicemailed(done)) = (step, &outcome) {
            return self.after_voicemail(messaging, done);
        }
        if let (NodeStep::Webhook(asking), Outcome::Fetched(fetched)) = (step, &outcome) {
            return Move::To(self.after_fetch(flow, asking, fetched));
        }
        Move::To(self.after_verb(step, outcome))
    }

    fn after_verb<'f>(&mut self, step: &'f NodeStep, outcome: Outcome) -> &'f Destination {
        match (step, outcome) {
            (NodeStep::Record { set, then, .. }, outcome) => {
                if let Outcome::Recorded(recorded) = outcome {
                    self.note_recording(set, recorded);
                }
                then
            }
            (NodeStep::Listen { then, timeout, .. }, outcome) => {
                let in_vain = self.note_listened(outcome);
                timeout.as_ref().filter(|_| in_vain).unwrap_or(then)
            }
            (NodeStep::WaitForTone { then, timeout, .. }, outcome) => {
                let in_vain = self.note_tone(outcome);
                timeout.as_ref().filter(|_| in_vain).unwrap_or(then)
            }
            (NodeStep::DetectMachine { then, .. }, outcome) => {
                self.note_answerer(outcome);
                then
            }
            (NodeStep::Conference { then, .. }, outcome) => {
                if let Outcome::Conferenced(conferenced) = outcome {
                    self.note_conference(conferenced);
                }
                then
            }
            (NodeStep::Play { then, .. } | NodeStep::Echo { then, .. }, outcome) => {
                let key = if let Outcome::Interrupted(key) = outcome {
                    Some(key)
                } else {
                    None
                };
                self.note_key(key);
                then
            }
            (step, _) => match step {
                NodeStep::RecordCall { then, .. }
                | NodeStep::RecordingControl { then, .. }
                | NodeStep::Recording { then, .. }
                | NodeStep::Language { then, .. }
                | NodeStep::Hours { then, .. }
                | NodeStep::Stream { then, .. }
                | NodeStep::SendDigits { then, .. }
                | NodeStep::StopStream { then } => then,
                // These give no verb, so no outcome is theirs; and what a dial says is looked at before.
                _ => &Destination::Repeat,
            },
        }
    }

    fn after_collect<'f>(
        &mut self,
        call: &CallInfo,
        step: &'f NodeStep,
        place: &'f StepRef,
        entries: u32,
        outcome: Outcome,
    ) -> Move<'f> {
        let NodeStep::Collect {
            set,
            input,
            confirm,
            then,
            no_input,
            ..
        } = step
        else {
            return Move::Do(self.end(HangupCause::Congestion));
        };
        let entry = match self.note_entry(input, outcome) {
            Entry::Silence => String::new(),
            // What words are no digits count as they were said.
            Entry::Words(_) if self.value("digits").is_empty() => self.value("speech").to_owned(),
            Entry::Keys(_) | Entry::Words(_) => self.value("digits").to_owned(),
        };
        if let Some(name) = set {
            self.set(name, entry.clone());
        }
        if entry.is_empty() {
            return Move::To(no_input.as_ref().unwrap_or(then));
        }
        let Some(confirm) = confirm else {
            return Move::To(then);
        };
        let mut asked = confirm.input.clone();
        asked.sensitive |= input.sensitive;
        let prompts = self.audio(call, &confirm.prompt);
        let verb = gather(prompts, Repeat::Times(1), &asked, &[], &self.language);
        self.waiting = Waiting::Confirm(place.clone(), entries, entry);
        Move::Do(verb)
    }

    /// The key that accepts goes on; any other, and silence, asks for the entry again.
    pub(super) fn after_confirm<'f>(
        &mut self,
        flow: &'f Flow,
        place: &'f StepRef,
        entries: u32,
        digits: &str,
        outcome: Outcome,
    ) -> Move<'f> {
        let NodeStep::Collect {
            confirm: Some(confirm),
            then,
            ..
        } = place.step(flow)
        else {
            return Move::Do(self.end(HangupCause::Congestion));
        };
        self.note_entry(&confirm.input, outcome);
        let accepted = self.value("digits").starts_with(confirm.accept);
        // `digits` is what was confirmed, not the key that did it.
        self.set("digits", digits.to_owned());
        if accepted {
            return Move::To(then);
        }
        if entries + 1 < confirm.max_tries {
            return Move::Again(place.clone(), entries + 1);
        }
        Move::To(&confirm.failed)
    }

    pub(super) fn expand(&self, call: &CallInfo, template: &Template) -> String {
        template.expand(|name| self.look_up(call, name))
    }
}
