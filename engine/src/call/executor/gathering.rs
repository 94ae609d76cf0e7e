//! The verb that asks: keys, and speech where it counts. What each input means is the state machine's (`gather.rs`); what is heard and understood comes
//! from an ear (`ear.rs`).
use super::super::ear::{Ear, News};
use super::super::events::{EventKind, cut};
use super::super::gather::{Gathering, Next, Phase};
use super::super::leg::Input;
use super::super::verb::{Gather, GatherEnd, Gathered, Manner, Outcome};
use super::{Executor, VerbResult};
use crate::call::End;
use crate::media::{Command, Listening};
use crate::speech::{RecogniserError, Transcript};
use serde_json::json;
use std::time::Instant;

/// What happens to a gather.
enum Happening {
    /// `None`: the deadline.
    Input(Option<Input>),
    News(News),
}

/// What hears speech while it is wanted.
const SPEECH: Listening = Listening {
    speech: true,
    beep: false,
};

impl Executor<'_> {
    pub(super) async fn gather(&mut self, gather: Gather) -> VerbResult {
        self.leg.keys_are_secret(gather.sensitive);
        let ear = self.ear(&gather);
        if ear.is_some() {
            self.leg.program_hears(SPEECH);
        }
        let listened = ear.is_some();
        let outcome = self.gather_entry(&gather, ear).await;
        if listened {
            self.leg.program_hears(Listening::default());
        }
        self.leg.keys_are_secret(false);
        outcome
    }

    /// What hears the far end, where speech counts and somebody understands it.
    fn ear(&mut self, gather: &Gather) -> Option<Ear> {
        let speech = gather.speech.as_ref()?;
        let recogniser = self.call.calls.recogniser.as_ref();
        let Some(recogniser) = recogniser.filter(|recogniser| recogniser.hears()) else {
            tracing::warn!(
                rule = "no-recogniser",
                "speech does not count: {}",
                RecogniserError::Nobody
            );
            return None;
        };
        match self.leg.hear() {
            Ok(tap) => Some(Ear::new(
                tap,
                recogniser.clone(),
                speech,
                &self.call.info.id,
            )),
            Err(reason) => {
                tracing::warn!(rule = "no-ear", reason, "speech does not count");
                None
            }
        }
    }

    async fn gather_entry(&mut self, gather: &Gather, mut ear: Option<Ear>) -> VerbResult {
        if !gather.typeahead {
            self.leg.drop_ahead();
        }
        let mut state = Gathering::new(gather, Instant::now(), !gather.prompts.is_empty());
        if ear.is_some() {
            state.listens();
            state.voice(Instant::now(), self.leg.is_speaking());
        }
        let mut next = state.next();
        while matches!(next, Next::Wait(_)) && state.takes_keys() {
            let Some(key) = self.leg.take_ahead() else {
                break;
            };
            self.leg.say_key(&key, gather.sensitive);
            next = state.key(Instant::now(), key);
        }
        let mut playing = None;
        if state.prompting() && matches!(next, Next::Wait(_)) {
            match self
                .start_playing(&gather.prompts, gather.repeat, Manner::default())
                .await
            {
                Ok(id) => playing = Some(id),
                Err(why) => return why.of("gather"),
            }
        }
        loop {
            let deadline = match next {
                Next::Wait(deadline) => deadline,
                Next::Done(gathered) => {
                    if playing.is_some() {
                        let _ = self.leg.media(Command::StopPlay);
                    }
                    self.tell_gathered(&gathered, gather.sensitive);
                    return Ok(Outcome::Gathered(gathered));
                }
            };
            next = match self.happening(deadline, &mut ear).await? {
                Happening::News(news) => self.news(news, &mut state, gather.sensitive),
                Happening::Input(Some(Input::Replaced)) => {
                    if ear.is_some() {
                        self.leg.program_hears(SPEECH);
                        ear = self.ear(gather);
                    }
                    state.unheard(Instant::now())
                }
                Happening::Input(Some(Input::Key(key))) if !state.takes_keys() => {
                    self.leg.keep(key);
                    state.next()
                }
                Happening::Input(input) => {
                    if let Some(Input::Key(key)) = &input {
                        self.leg.say_key(key, gather.sensitive);
                    }
                    hear(&mut state, input, &mut playing)
                }
            };
            follow(&mut ear, state.phase());
            if !state.prompting() && playing.take().is_some() {
                let _ = self.leg.media(Command::StopPlay);
            }
        }
    }

    async fn happening(
        &mut self,
        deadline: Option<Instant>,
        ear: &mut Option<Ear>,
    ) -> Result<Happening, End> {
        let news = async {
            match ear {
                Some(ear) => ear.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = self.input_until(deadline) => input.map(Happening::Input),
            news = news => Ok(Happening::News(news)),
        }
    }

    fn news(&self, news: News, state: &mut Gathering<'_>, sensitive: bool) -> Next {
        match news {
            News::SoFar(text) => {
                self.call.tell(
                    EventKind::SpeechPartial,
                    || json!({"text": (!sensitive).then(|| cut(&text))}),
                );
                state.next()
            }
            News::Understood(Ok(transcript)) => state.understood(Some(transcript)),
            News::Understood(Err(error)) => {
                tracing::warn!(%error, rule = "speech-not-understood", "nobody can tell what was said");
                state.understood(None)
            }
        }
    }

    fn tell_gathered(&self, gathered: &Gathered, sensitive: bool) {
        let shown = |text: &str| match sensitive {
            true => "hidden".to_owned(),
            false => text.to_owned(),
        };
        match &gathered.speech {
            Some(speech) if gathered.end == GatherEnd::Speech => {
                let Transcript {
                    text,
                    confidence,
                    language,
                    backend,
                } = speech;
                tracing::info!(text = shown(text), ?confidence, backend, "understood");
                if !backend.is_empty() {
                    self.call.tell(EventKind::SpeechRecognised, || {
                        json!({
                            "text": (!sensitive).then(|| cut(text)),
                            "confidence": confidence,
                            "language": language,
                            "backend": backend,
                        })
                    });
                }
            }
            _ => tracing::info!(digits = shown(&gathered.digits), end = ?gathered.end, "gathered"),
        }
    }
}

/// Tells the ear how far the speech is.
fn follow(ear: &mut Option<Ear>, phase: Phase) {
    match (phase, ear.as_mut()) {
        (Phase::Deaf, Some(_)) => *ear = None,
        (Phase::Speaking(_), Some(ear)) => ear.begin(),
        (Phase::Spoken, Some(ear)) => ear.end(),
        _ => {}
    }
}

/// What an input means to a gather; `None` is the deadline.
fn hear(state: &mut Gathering<'_>, input: Option<Input>, playing: &mut Option<u32>) -> Next {
    let now = Instant::now();
    match input {
        None => state.time(now),
        Some(Input::KeyDown(..)) => state.key_down(),
        Some(Input::Key(key)) => state.key(now, key),
        Some(Input::Speech(on)) => state.voice(now, on),
        Some(Input::PlayDone(id)) if *playing == Some(id) => {
            *playing = None;
            state.prompts_done(now)
        }
        Some(_) => state.next(),
    }
}
