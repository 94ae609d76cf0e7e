//! Webhook programs: a web service decides. Each turn posts what happened as JSON and carries out the verbs that are answered; see
//! `docs/webhook-programs.md`. Pure: the posting is the verb fetch.
//!
//! Limits: those of [`verbs_json`](super::verbs_json); `MAX_OUTCOMES` outcomes of one answer are told.
use super::verbs_json::{Instruction, instructions, outcome_to_json};
use crate::call::{CallInfo, Fetch, Fetched, Hangup, HangupCause, Outcome, Program, Step, Verb};
use crate::config::Secret;
use serde_json::{Value, json};
use std::collections::VecDeque;

#[cfg(test)]
mod tests;

/// Outcomes of one answer that are told; of more, the last.
const MAX_OUTCOMES: usize = 100;

/// Where a webhook program is, and what happens when nobody is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Posted to.
    pub url: String,
    /// Posted to where the first does not answer well.
    pub fallback_url: Option<String>,
    /// Signs what is posted.
    pub secret: Option<Secret>,
    /// Limit for each try, ms.
    pub timeout_ms: u32,
    /// Further tries of each address.
    pub retries: u32,
    /// Done when no address answers well; then, or without any, the call ends with the cause for a temporary failure (Q.850 41).
    pub fallback: Vec<Verb>,
}

impl Webhook {
    /// One address; 5 s, one further try.
    pub fn at(url: impl Into<String>) -> Webhook {
        Webhook {
            url: url.into(),
            fallback_url: None,
            secret: None,
            timeout_ms: 5000,
            retries: 1,
            fallback: Vec::new(),
        }
    }
}

/// See the module's text.
pub struct WebhookProgram {
    webhook: Webhook,
    /// Asked at the next turn; a redirect changes it.
    url: String,
    /// What waits to be done of the last answer.
    verbs: VecDeque<Instruction>,
    /// What the last answer's verbs came to.
    outcomes: VecDeque<Value>,
    answered: bool,
    state: State,
    /// Counts the turns of this call.
    turn: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The next verb of the answer runs.
    Acting,
    /// An address was asked; `true`: the fallback address.
    Asking(bool),
    /// Nobody answers well: the fallback verbs run.
    Alone,
}

impl WebhookProgram {
    /// A call that this webhook drives.
    pub fn new(webhook: Webhook) -> WebhookProgram {
        WebhookProgram {
            url: webhook.url.clone(),
            webhook,
            verbs: VecDeque::new(),
            outcomes: VecDeque::new(),
            answered: false,
            state: State::Acting,
            turn: 0,
        }
    }

    fn ask(&mut self, call: &CallInfo, fallback: bool) -> Step {
        let url = match (&self.webhook.fallback_url, fallback) {
            (Some(url), true) => url.clone(),
            _ => self.url.clone(),
        };
        self.state = State::Asking(fallback);
        let said = json!({
            "turn": self.turn,
            "call": {
                "id": call.id,
                "direction": call.direction.word(),
                "from": call.from,
                "to": call.to,
            },
            "outcomes": self.outcomes,
        });
        let fetch = Fetch {
            body: Some(said.to_string()),
            secret: self.webhook.secret.clone(),
            timeout_ms: self.webhook.timeout_ms,
            retries: self.webhook.retries,
            ..Fetch::get(url)
        };
        Step {
            verb: Verb::Fetch(Box::new(fetch)),
            at: format!("turn {}", self.turn),
        }
    }

    /// What an address answered.
    fn hear(&mut self, call: &CallInfo, fetched: &Fetched, fallback: bool) -> Step {
        let read = match fetched.is_good() {
            true => instructions("answer", fetched.body.as_bytes()).map_err(|problems| {
                problems
                    .list
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default()
            }),
            false if fetched.status == 0 => Err(fetched.error.clone()),
            false => Err(format!("the answer has status {}", fetched.status)),
        };
        match read {
            Ok(instructions) => {
                self.turn += 1;
                self.outcomes.clear();
                self.verbs = instructions.into();
                self.state = State::Acting;
                match self.verbs.is_empty() {
                    true => end(HangupCause::Normal, "nothing more"),
                    false => self.act(call),
                }
            }
            Err(reason) if !fallback && self.webhook.fallback_url.is_some() => {
                tracing::warn!(
                    reason,
                    turn = self.turn,
                    rule = "webhook-fallback",
                    "the webhook does not answer well: asking its fallback"
                );
                self.ask(call, true)
            }
            Err(reason) => {
                tracing::warn!(
                    reason,
                    turn = self.turn,
                    rule = "webhook-dead",
                    "no webhook answers well: going on without"
                );
                self.state = State::Alone;
                let verbs = self.webhook.fallback.iter().cloned();
                self.verbs = verbs.map(Instruction::Verb).collect();
                self.act(call)
            }
        }
    }

    /// The next verb, or the next question.
    fn act(&mut self, call: &CallInfo) -> Step {
        let needs_answer =
            matches!(self.verbs.front(), Some(Instruction::Verb(verb)) if verb.needs_answer());
        if needs_answer && !self.answered {
            self.answered = true;
            return Step {
                verb: Verb::Answer,
                at: "answer".to_owned(),
            };
        }
        match self.verbs.pop_front() {
            Some(Instruction::Verb(verb)) => {
                self.answered |= verb == Verb::Answer;
                let at = verb.name().to_owned();
                Step { verb, at }
            }
            Some(Instruction::Redirect(url)) => {
                self.url = url;
                self.verbs.clear();
                self.ask(call, false)
            }
            None if self.state == State::Alone => end(HangupCause::Q850(41), "webhook dead"),
            None => self.ask(call, false),
        }
    }
}

impl Program for WebhookProgram {
    fn name(&self) -> &str {
        "webhook"
    }

    fn next(&mut self, call: &CallInfo, outcome: Outcome) -> Step {
        match (self.state, outcome) {
            (State::Asking(fallback), Outcome::Fetched(fetched)) => {
                self.hear(call, &fetched, fallback)
            }
            (_, Outcome::Begin) => self.ask(call, false),
            (_, outcome) => {
                if self.outcomes.len() == MAX_OUTCOMES {
                    self.outcomes.pop_front();
                }
                self.outcomes.push_back(outcome_to_json(&outcome));
                self.act(call)
            }
        }
    }
}

fn end(cause: HangupCause, at: &str) -> Step {
    Step {
        verb: Verb::Hangup(Hangup { cause }),
        at: at.to_owned(),
    }
}
