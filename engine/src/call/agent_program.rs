//! The program behind a number that is a service for agents or supervisors. It speaks in tones: one beep asks for the agent's id, two for the
//! PIN, a rising pair says that it is done, a low tone that it is not. A voice says the same after each, where there is one.
//!
//! Limit: three wrong entries end the call.
use super::agent_words::Words;
use super::enqueue::{AgentOrder, AgentReply};
use super::program::{CallInfo, Program, Step};
use super::verb::{
    Audio, Gather, GatherEnd, Hangup, HangupCause, Manner, Outcome, Play, Repeat, ToneSpec, Verb,
};
use crate::config::{AgentService, Secret};

/// Wrong entries of one call.
const MAX_TRIES: u32 = 3;
/// How long an entry is waited for, in ms.
const ENTRY_MS: u32 = 10_000;

/// See the module's text.
pub struct AgentProgram {
    service: AgentService,
    agent: Option<String>,
    tries: u32,
    asked: Asked,
    /// What was keyed in last.
    keyed: Asked,
    /// The language it speaks; `None`: it does not, or cannot.
    language: Option<String>,
    /// What is said at the end.
    last: Option<Words>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    Nothing,
    Id,
    Pin,
    Order,
    Over,
}

impl AgentProgram {
    /// Serves whoever calls.
    pub fn new(service: AgentService) -> AgentProgram {
        AgentProgram {
            service,
            agent: None,
            tries: 0,
            asked: Asked::Nothing,
            keyed: Asked::Nothing,
            language: None,
            last: None,
        }
    }

    /// The same with words after the tones.
    #[must_use]
    pub fn speaking(self, language: &str) -> AgentProgram {
        AgentProgram {
            language: Some(language.to_owned()),
            ..self
        }
    }

    /// Tones, and the words for them.
    fn with_words(&self, mut tones: Vec<Audio>, words: Option<Words>) -> Vec<Audio> {
        if let (Some(language), Some(words)) = (&self.language, words) {
            tones.push(words.said(language));
        }
        tones
    }

    /// Serves whoever calls in the name of that agent, or joins it with that agent's call: nothing is keyed in but a PIN.
    pub fn of(service: AgentService, agent: &str) -> AgentProgram {
        AgentProgram {
            agent: Some(agent.to_owned()),
            ..AgentProgram::new(service)
        }
    }

    fn order(&mut self, pin: Option<Secret>) -> Verb {
        self.asked = Asked::Order;
        Verb::Agent(AgentOrder {
            service: self.service,
            agent: self.agent.clone(),
            pin,
        })
    }

    fn ask(&mut self, what: Asked) -> Verb {
        self.asked = what;
        let beeps = if what == Asked::Pin { 2 } else { 1 };
        let beep = [tone(640.0, 150), Audio::Silence { ms: 100 }];
        let words = match what {
            Asked::Pin => Words::Pin,
            _ => Words::Id,
        };
        let beeps = beep.iter().cycle().take(beeps * 2).cloned().collect();
        Verb::Gather(Gather {
            prompts: self.with_words(beeps, Some(words)),
            repeat: Repeat::Times(1),
            timeout_ms: ENTRY_MS,
            inter_digit_ms: 4000,
            max_digits: 32,
            finish_on: Some('#'),
            barge_in: true,
            typeahead: true,
            sensitive: what == Asked::Pin,
            speech: None,
        })
    }

    fn entered(&mut self, digits: String, end: GatherEnd) -> Verb {
        if end == GatherEnd::NoInput || digits.is_empty() {
            return self.part(Some(Words::NotDone));
        }
        self.keyed = self.asked;
        match self.asked {
            Asked::Pin => self.order(Some(Secret::new(digits))),
            _ => {
                self.agent = Some(digits);
                self.order(None)
            }
        }
    }

    fn replied(&mut self, reply: AgentReply) -> Verb {
        match reply {
            AgentReply::Done if self.service.supervises() => self.part(None),
            AgentReply::Done => self.part(Some(Words::Done(self.service))),
            AgentReply::Locked | AgentReply::NoCall => self.part(Some(Words::NotDone)),
            AgentReply::Unknown | AgentReply::Pin => {
                let what = match reply {
                    AgentReply::Pin => Asked::Pin,
                    _ => Asked::Id,
                };
                // Only who was asked for it can have keyed a wrong one.
                self.tries += u32::from(self.keyed == what);
                if self.tries >= MAX_TRIES {
                    return self.part(Some(Words::NotDone));
                }
                self.ask(what)
            }
        }
    }

    fn part(&mut self, words: Option<Words>) -> Verb {
        (self.asked, self.last) = (Asked::Over, words);
        let tones = match words {
            Some(Words::Done(_)) => vec![tone(480.0, 150), tone(640.0, 300)],
            _ => vec![tone(260.0, 700)],
        };
        Verb::Play(Play {
            audio: self.with_words(tones, words),
            repeat: Repeat::Times(1),
            stop_keys: String::new(),
            manner: Manner::default(),
        })
    }
}

impl Program for AgentProgram {
    fn name(&self) -> &str {
        "agent service"
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        let verb = match (outcome, self.asked) {
            (Outcome::Begin, _) => Verb::Answer,
            (Outcome::Done, Asked::Nothing)
                if self.service.supervises() && self.agent.is_none() =>
            {
                self.ask(Asked::Id)
            }
            (Outcome::Done, Asked::Nothing) => self.order(None),
            (Outcome::Gathered(gathered), _) => self.entered(gathered.digits, gathered.end),
            (Outcome::AgentDone(reply), _) => self.replied(reply),
            // There is no voice: the tones say it all.
            (Outcome::Failed(_), asked) if self.language.take().is_some() => match asked {
                Asked::Id | Asked::Pin => self.ask(asked),
                _ => self.part(self.last),
            },
            (_, Asked::Over) => Verb::Hangup(Hangup {
                cause: HangupCause::Normal,
            }),
            _ => self.part(Some(Words::NotDone)),
        };
        let at = self.service.name().to_owned();
        Step { verb, at }
    }
}

fn tone(hz: f32, ms: u32) -> Audio {
    Audio::Tone(ToneSpec {
        hz: [hz, 0.0],
        dbm0: -16.0,
        ms,
    })
}

#[cfg(test)]
mod tests {
    use super::super::verb::Gathered;
    use super::*;
    use crate::call::Direction;

    fn call() -> CallInfo {
        CallInfo {
            id: "c-1".to_owned(),
            direction: Direction::Inbound,
            from: "100".to_owned(),
            to: "*45".to_owned(),
        }
    }

    fn keyed(digits: &str) -> Outcome {
        let end = match digits.is_empty() {
            true => GatherEnd::NoInput,
            false => GatherEnd::FinishKey,
        };
        Outcome::Gathered(Gathered {
            digits: digits.to_owned(),
            end,
            keys: Vec::new(),
            speech: None,
        })
    }

    fn order(verb: &Verb) -> (Option<&str>, Option<&str>) {
        match verb {
            Verb::Agent(order) => (
                order.agent.as_deref(),
                order.pin.as_ref().map(Secret::expose),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_phone_is_asked_first_then_the_id_then_the_pin() {
        let mut program = AgentProgram::new(AgentService::Login);
        let mut next = |outcome| program.next(&call(), outcome).verb;
        assert_eq!(next(Outcome::Begin), Verb::Answer);
        assert_eq!(order(&next(Outcome::Done)), (None, None));
        let asked = next(Outcome::AgentDone(AgentReply::Unknown));
        assert!(
            matches!(&asked, Verb::Gather(gather) if !gather.sensitive),
            "{asked:?}"
        );
        assert_eq!(order(&next(keyed("2001"))), (Some("2001"), None));
        let asked = next(Outcome::AgentDone(AgentReply::Pin));
        assert!(
            matches!(&asked, Verb::Gather(gather) if gather.sensitive),
            "{asked:?}"
        );
        assert_eq!(order(&next(keyed("4711"))), (Some("2001"), Some("4711")));
        assert!(matches!(
            next(Outcome::AgentDone(AgentReply::Done)),
            Verb::Play(_)
        ));
        assert!(matches!(next(Outcome::Done), Verb::Hangup(_)));
    }

    #[test]
    fn words_follow_the_tones_until_no_voice_says_them() {
        let mut program = AgentProgram::new(AgentService::Login).speaking("es-ES");
        let mut next = |outcome| program.next(&call(), outcome).verb;
        next(Outcome::Begin);
        next(Outcome::Done);
        let text = |verb: &Verb| {
            let audio = match verb {
                Verb::Gather(gather) => &gather.prompts,
                Verb::Play(play) => &play.audio,
                other => panic!("{other:?}"),
            };
            audio.iter().find_map(|audio| match audio {
                Audio::Speech(speech) => Some(speech.text.clone()),
                _ => None,
            })
        };
        let asked = next(Outcome::AgentDone(AgentReply::Unknown));
        assert!(text(&asked).unwrap().starts_with("Introduzca el número"));
        let failed = Outcome::Failed(super::super::verb::Failure {
            verb: "gather",
            reason: "no voice".to_owned(),
        });
        assert_eq!(text(&next(failed)), None);
        assert!(matches!(next(keyed("2001")), Verb::Agent(_)));
        assert_eq!(text(&next(Outcome::AgentDone(AgentReply::Done))), None);
        let mut spoken = AgentProgram::of(AgentService::Logout, "1").speaking("en-US");
        let mut next = |outcome| spoken.next(&call(), outcome).verb;
        next(Outcome::Begin);
        next(Outcome::Done);
        let done = next(Outcome::AgentDone(AgentReply::Done));
        assert_eq!(text(&done).unwrap(), "You are logged out.");
        assert!(matches!(next(Outcome::Done), Verb::Hangup(_)));
    }

    #[test]
    fn wrong_entries_and_silence_come_to_an_end() {
        let mut program = AgentProgram::new(AgentService::Pause);
        let mut next = |outcome| program.next(&call(), outcome).verb;
        next(Outcome::Begin);
        let mut verb = next(Outcome::Done);
        let mut asked = 0;
        while matches!(verb, Verb::Agent(_)) {
            verb = next(Outcome::AgentDone(AgentReply::Pin));
            if matches!(verb, Verb::Gather(_)) {
                asked += 1;
                verb = next(keyed("0"));
            }
        }
        assert_eq!(asked, 3);
        assert!(matches!(next(Outcome::Done), Verb::Hangup(_)));
        let mut program = AgentProgram::new(AgentService::Listen);
        let mut next = |outcome| program.next(&call(), outcome).verb;
        next(Outcome::Begin);
        assert!(matches!(next(Outcome::Done), Verb::Gather(_)));
        assert!(matches!(next(keyed("")), Verb::Play(_)));
    }
}
