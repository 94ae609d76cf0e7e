//! Agents who ring for one caller, each by itself: found, hunted, asked for a key where one is needed, told who calls.
//!
//! Dropping it gives all of them up. [`Rings::next`] can be dropped at any await without losing anything.
use super::context::CallContext;
use super::dial::{DialEnd, DialTarget};
use super::directory::{Boxed, Found};
use super::first_of::first_of;
use super::hunt::{Hunt, Hunted};
use super::leg::{Input, hangup_reason};
use super::see_off::Escorted;
use super::{Calls, agent_words::Words, sounds};
use crate::media::{Command, MediaAudio};
use crate::queue::{Missed, Rung};
use crate::route::Refusal;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use trunkline_sip::HangupReason;
use trunkline_sip::offer_answer::Encoding;

/// The longest that one agent rings; the queue gives up before.
const LONGEST: Duration = Duration::from_secs(600);
/// How long the key is waited for that takes a call.
const CONFIRM: Duration = Duration::from_secs(20);
/// The key that takes a call.
const CONFIRM_KEY: char = '1';
/// Names what an agent is told; nothing else plays to it before.
const BRIEFING: u32 = 1;

/// What became of an agent who rang.
pub(super) enum Told {
    /// It picked up; `sure`: it needs no key.
    PickedUp { agent: String, sure: bool },
    /// It is ready to be joined.
    Ready {
        agent: String,
        leg: Escorted,
        label: String,
    },
    /// It did not take the call.
    Missed { agent: String, why: Missed },
}

/// See the module's text.
pub(super) struct Rings {
    call: Arc<CallContext>,
    prefer: Option<Encoding>,
    /// What agents are told before they are joined.
    briefing: Vec<MediaAudio>,
    /// What asks for the key in words, once a voice has said it; `None`: nobody was asked yet.
    words: Option<Arc<OnceLock<MediaAudio>>>,
    /// The attempt that rings.
    pub(super) attempt: u64,
    list: Vec<Ring>,
}

struct Ring {
    agent: String,
    confirm: bool,
    state: State,
}

enum State {
    Finding(Boxed<'static, Result<Found, Refusal>>),
    Hunting(Box<Hunt>),
    /// Picked up: plays to it until the key, or until it was told everything.
    Told {
        leg: Escorted,
        label: String,
        until: Instant,
    },
    Over,
}

enum Event {
    Found(Result<Found, Refusal>),
    Hunted(Hunted),
    Leg(Option<Input>),
}

impl Rings {
    pub(super) fn new(call: Arc<CallContext>, briefing: Vec<MediaAudio>) -> Rings {
        Rings {
            call,
            prefer: None,
            briefing,
            words: None,
            attempt: 0,
            list: Vec::new(),
        }
    }

    /// Rings these and nobody else.
    pub(super) fn begin(&mut self, attempt: u64, agents: Vec<Rung>, prefer: Option<Encoding>) {
        self.cancel("queue-goes-on", None);
        (self.attempt, self.prefer) = (attempt, prefer);
        if self.words.is_none() && agents.iter().any(|rung| rung.confirm) {
            self.words = Some(spoken(self.call.calls.clone()));
        }
        for rung in agents {
            let target = DialTarget::from(rung.reach);
            let call = self.call.clone();
            let finding = async move {
                let directory = &call.calls.directory;
                directory
                    .find(&call.info, &call.caller, &target, None)
                    .await
            };
            self.list.push(Ring {
                agent: rung.agent,
                confirm: rung.confirm,
                state: State::Finding(Box::pin(finding)),
            });
        }
    }

    /// Gives all up, for a reason they are told.
    pub(super) fn cancel(&mut self, cause: &'static str, reason: Option<HangupReason>) {
        for ring in self.list.drain(..) {
            ring.give_up(cause, reason.clone());
        }
    }

    /// Gives all up but one: it was answered elsewhere.
    pub(super) fn keep_only(&mut self, agent: &str) {
        let others: Vec<Ring> = self
            .list
            .extract_if(.., |ring| ring.agent != agent)
            .collect();
        for ring in others {
            let reason = hangup_reason("SIP", 200, "Call completed elsewhere");
            ring.give_up("answered-elsewhere", Some(reason));
        }
    }

    /// Gives one up.
    pub(super) fn give_up(&mut self, agent: &str) {
        for ring in self.list.extract_if(.., |ring| ring.agent == agent) {
            ring.give_up("too-late", None);
        }
    }

    /// The next thing that happens to any of them.
    pub(super) async fn next(&mut self) -> Told {
        loop {
            let (index, event) = first_of(&mut self.list, Ring::event).await;
            if let Some(told) = self.event(index, event) {
                return told;
            }
        }
    }

    fn event(&mut self, index: usize, event: Event) -> Option<Told> {
        match event {
            Event::Found(Ok(found)) if found.program_of.is_none() => {
                let hunt = Hunt::new(self.call.clone(), found, Some(LONGEST), self.prefer);
                self.list[index].state = State::Hunting(Box::new(hunt));
                None
            }
            Event::Found(found) => {
                if let Err(refusal) = found {
                    let agent = &self.list[index].agent;
                    let (rule, reason) = (refusal.rule, refusal.text);
                    tracing::info!(agent, rule, reason, "an agent cannot be called");
                    self.call.calls.counters.refused(rule);
                    if refusal.status == 486 {
                        return Some(self.missed(index, Missed::Busy));
                    }
                }
                Some(self.missed(index, Missed::Unreachable))
            }
            Event::Hunted(Hunted::Progress { .. }) => None,
            Event::Hunted(Hunted::Nobody(dialled)) => {
                let why = match dialled.how {
                    DialEnd::Busy => Missed::Busy,
                    DialEnd::NoAnswer | DialEnd::Machine => Missed::NoAnswer,
                    DialEnd::Declined => Missed::Declined,
                    DialEnd::Answered { .. } | DialEnd::Unreachable | DialEnd::Refused(_) => {
                        Missed::Unreachable
                    }
                };
                Some(self.missed(index, why))
            }
            Event::Hunted(Hunted::Answered(leg, label)) => Some(self.picked_up(index, leg, label)),
            Event::Leg(input) => self.heard(index, input),
        }
    }

    fn picked_up(&mut self, index: usize, mut leg: Escorted, label: String) -> Told {
        let audio = self.briefed(self.list[index].confirm);
        tell(&mut leg, audio);
        let ring = &mut self.list[index];
        ring.state = State::Told {
            leg,
            label,
            until: Instant::now() + CONFIRM,
        };
        Told::PickedUp {
            agent: ring.agent.clone(),
            sure: !ring.confirm,
        }
    }

    /// Who calls and, where a key is needed, what asks for it.
    fn briefed(&self, confirm: bool) -> Vec<MediaAudio> {
        let mut audio = self.briefing.clone();
        if confirm {
            let words = self.words.as_ref().and_then(|words| words.get());
            audio.extend(asks_for_key(words));
        }
        // Nothing to tell: a moment of silence brings the same event.
        if audio.is_empty() {
            audio.push(MediaAudio::Silence { ms: 20 });
        }
        audio
    }

    fn heard(&mut self, index: usize, input: Option<Input>) -> Option<Told> {
        let confirm = self.list[index].confirm;
        match input {
            // Time is up: whoever is told for so long has heard enough, and whoever presses no key is not there.
            None if confirm => Some(self.missed(index, Missed::NoAnswer)),
            None => self.ready(index),
            Some(Input::Ended(_)) => Some(self.missed(index, Missed::NoAnswer)),
            Some(Input::PlayDone(BRIEFING)) if !confirm => self.ready(index),
            Some(Input::PlayDone(BRIEFING)) => {
                let audio = self.briefed(confirm);
                if let State::Told { leg, .. } = &mut self.list[index].state {
                    tell(leg, audio);
                }
                None
            }
            Some(Input::Key(key)) if confirm && key.digit == CONFIRM_KEY => self.ready(index),
            Some(Input::Message(message)) => {
                message.answer(&self.call.calls.sip, &self.call.calls.counters, None);
                None
            }
            Some(_) => None,
        }
    }

    fn ready(&mut self, index: usize) -> Option<Told> {
        let ring = self.list.swap_remove(index);
        let State::Told { mut leg, label, .. } = ring.state else {
            return None;
        };
        let _ = leg.media(Command::StopPlay);
        Some(Told::Ready {
            agent: ring.agent,
            leg,
            label,
        })
    }

    fn missed(&mut self, index: usize, why: Missed) -> Told {
        let ring = self.list.swap_remove(index);
        let agent = ring.agent.clone();
        ring.give_up("no-answer", None);
        Told::Missed { agent, why }
    }
}

impl Ring {
    fn give_up(self, cause: &'static str, reason: Option<HangupReason>) {
        match self.state {
            State::Hunting(hunt) => hunt.cancel(cause, reason),
            State::Told { leg, .. } => leg.see_off(cause, reason),
            State::Finding(_) | State::Over => {}
        }
    }

    async fn event(&mut self) -> Event {
        match &mut self.state {
            State::Finding(finding) => {
                let found = finding.await;
                // It is not asked again.
                self.state = State::Over;
                Event::Found(found)
            }
            State::Hunting(hunt) => Event::Hunted(hunt.next().await),
            State::Told { leg, until, .. } => {
                let input = tokio::time::timeout_at((*until).into(), leg.next()).await;
                Event::Leg(input.ok())
            }
            State::Over => std::future::pending().await,
        }
    }
}

fn tell(leg: &mut Escorted, audio: Vec<MediaAudio>) {
    let (id, repeat) = (BRIEFING, Some(1));
    if let Err(error) = leg.media(Command::Play { id, audio, repeat }) {
        tracing::warn!(error, "an agent is not told who calls");
    }
}

/// Two beeps, the words that say the same, and a pause.
fn asks_for_key(words: Option<&MediaAudio>) -> Vec<MediaAudio> {
    let beep = MediaAudio::Tone {
        hz: [640.0, 0.0],
        dbm0: -16.0,
        ms: 150,
    };
    let silence = |ms| MediaAudio::Silence { ms };
    let mut audio = vec![beep.clone(), silence(100), beep, silence(200)];
    audio.extend(words.cloned());
    audio.push(silence(1300));
    audio
}

/// Has a voice say what asks for the key, while the agent rings. Stays empty where there is none.
fn spoken(calls: Arc<Calls>) -> Arc<OnceLock<MediaAudio>> {
    let words = Arc::new(OnceLock::new());
    let made = words.clone();
    if let Some(speaker) = &calls.speech {
        let text = Words::Take.said(&speaker.language());
        tokio::spawn(async move {
            match sounds::load(&calls, &text).await {
                Ok(audio) => _ = made.set(audio),
                Err(error) => {
                    tracing::warn!(
                        error,
                        rule = "text-not-spoken",
                        "an agent hears two beeps alone where a key takes the call"
                    );
                }
            }
        });
    }
    words
}
