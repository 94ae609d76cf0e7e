//! The verb enqueue: the caller waits with music and announcements, agents ring, and whoever is ready is joined with it.
use super::super::announcement::{self, Sentence};
use super::super::enqueue::{Enqueue, QueueEnd, Queued};
use super::super::leg::{Input, hangup_reason};
use super::super::rings::{Rings, Told};
use super::super::see_off::Escorted;
use super::super::verb::{Audio, KeyPress, Manner, Outcome, Repeat};
use super::dial::passed_on;
use super::saying::Unplayed;
use super::{End, Executor, VerbResult};
use crate::config::{Announce, Queue};
use crate::media::{Command, MediaAudio};
use crate::queue::{Joining, Leaving, Order, Place, Refused};
use crate::speech::Speech;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A caller in a queue.
struct Waiting<'v> {
    verb: &'v Enqueue,
    settings: Arc<Queue>,
    place: Place,
    rings: Rings,
    music: Vec<MediaAudio>,
    /// The announcement that plays.
    speaking: Option<u32>,
}

/// How a wait went.
enum Served {
    /// By that agent, who is ready.
    By {
        agent: String,
        leg: Escorted,
        label: String,
    },
    Not(QueueEnd),
}

enum Next {
    Input(Input),
    Order(Order),
    Told(Told),
}

impl Executor<'_> {
    pub(super) async fn enqueue(&mut self, verb: &Enqueue) -> VerbResult {
        let began = Instant::now();
        let queued = |end| {
            let waited_s = began.elapsed().as_secs() as u32;
            Ok(Outcome::Queued(Queued { end, waited_s }))
        };
        let queues = self.call.calls.queues.clone();
        let Some(settings) = queues.settings(&verb.queue) else {
            tracing::warn!(
                queue = verb.queue,
                rule = "no-such-queue",
                "there is no such queue"
            );
            return queued(QueueEnd::Unknown);
        };
        let place = match verb.resume {
            Some(caller) => queues
                .resume(caller, &self.call.info.id)
                .ok_or(Refused::NoQueue),
            None => queues.join(self.joining(verb)),
        };
        let mut place = match place {
            Ok(place) => place,
            Err(why) => return queued(refused(why)),
        };
        if let Some(number) = &verb.call_back {
            if self.ask_callback(&mut place, &settings, number) {
                return queued(QueueEnd::Callback);
            }
            place.leave(Leaving::Removed);
            return queued(QueueEnd::Removed);
        }
        let music = self.queue_music(&settings).await;
        let whisper = match &settings.whisper {
            Some(key) => self.loaded(key).await.into_iter().collect(),
            None => Vec::new(),
        };
        let mut waiting = Waiting {
            verb,
            place,
            rings: Rings::new(self.call.clone(), whisper),
            music,
            speaking: None,
            settings,
        };
        self.wait_music(&waiting.music);
        let served = self.wait_for_agent(&mut waiting).await;
        let _ = self.leg.media(Command::StopPlay);
        let Waiting { place, .. } = waiting;
        match served {
            Err(end) => {
                place.leave(if self.diverted {
                    Leaving::Removed
                } else {
                    Leaving::Abandoned
                });
                Err(end)
            }
            Ok(Served::Not(end)) => {
                let leaving = match end {
                    QueueEnd::Key(_) => Leaving::Key,
                    _ => Leaving::Removed,
                };
                place.leave(leaving);
                queued(end)
            }
            Ok(Served::By { agent, leg, label }) => {
                let waited_s = began.elapsed().as_secs() as u32;
                self.serving = Some(place);
                self.bridge_of = Some(agent.clone());
                let outcome = self.bridge(leg, label).await;
                self.bridge_of = None;
                self.serving = None;
                let Ok(Outcome::Dialled(dialled)) = &outcome else {
                    return outcome;
                };
                let seconds = match dialled.how {
                    super::super::dial::DialEnd::Answered { seconds } => seconds,
                    _ => 0,
                };
                let end = QueueEnd::Answered { agent, seconds };
                Ok(Outcome::Queued(Queued { end, waited_s }))
            }
        }
    }

    fn joining(&self, verb: &Enqueue) -> Joining {
        let time = |ms: u32| (ms > 0).then(|| Duration::from_millis(ms.into()));
        Joining {
            call: self.call.info.id.clone(),
            number: self.info.from.clone(),
            queue: verb.queue.clone(),
            priority: verb.priority,
            skills: verb.skills.clone(),
            max_wait: time(verb.max_wait_ms),
            ring: time(verb.ring_ms),
        }
    }

    async fn wait_for_agent(&mut self, waiting: &mut Waiting<'_>) -> Result<Served, End> {
        loop {
            let next = tokio::select! {
                biased;
                input = self.next() => Next::Input(input),
                order = waiting.place.order() => Next::Order(order),
                told = waiting.rings.next() => Next::Told(told),
            };
            let served = match next {
                Next::Input(Input::Ended(end)) => {
                    waiting.rings.cancel("caller-gone", Some(passed_on(&end)));
                    return Err(end);
                }
                Next::Input(input) => self.queue_input(waiting, input),
                Next::Order(order) => match self.obey(waiting, order).await {
                    Ok(served) => served,
                    Err(end) => {
                        waiting.rings.cancel("caller-gone", Some(passed_on(&end)));
                        return Err(end);
                    }
                },
                Next::Told(told) => rung(waiting, told),
            };
            if let Some(served) = served {
                return Ok(served);
            }
        }
    }

    fn queue_input(&mut self, waiting: &mut Waiting<'_>, input: Input) -> Option<Served> {
        match input {
            Input::PlayDone(id) if waiting.speaking == Some(id) => {
                waiting.speaking = None;
                self.wait_music(&waiting.music);
                None
            }
            Input::Key(key) => {
                self.leg.say_key(&key, false);
                self.queue_key(waiting, &key)
            }
            _ => None,
        }
    }

    fn queue_key(&mut self, waiting: &mut Waiting<'_>, key: &KeyPress) -> Option<Served> {
        let (verb, settings) = (waiting.verb, waiting.settings.clone());
        if verb.exit_keys.contains(key.digit) || settings.exit_keys.contains(key.digit) {
            return Some(Served::Not(QueueEnd::Key(key.digit)));
        }
        let asked = settings.callback.as_ref()?.key == key.digit;
        let number = self.info.from.as_str();
        if !asked || !self.ask_callback(&mut waiting.place, &settings, number) {
            return None;
        }
        waiting.rings.cancel("callback", None);
        Some(Served::Not(QueueEnd::Callback))
    }

    /// Whether the caller's place is kept for a call to that number.
    fn ask_callback(&self, place: &mut Place, settings: &Queue, number: &str) -> bool {
        let queue = &settings.name;
        let Some(rule) = &settings.callback else {
            tracing::warn!(
                queue,
                rule = "no-callback",
                "no callback: the queue has no callback_key, callback_trunk and callback_allow"
            );
            return false;
        };
        if !rule.allow.iter().any(|prefix| number.starts_with(prefix)) {
            tracing::info!(
                queue,
                number,
                rule = "callback-not-allowed",
                "no callback: the number begins with nothing in callback_allow"
            );
            return false;
        }
        let kept = place.ask_callback(number);
        if kept {
            super::super::callback::drive(&self.call.calls);
        }
        kept
    }

    async fn obey(
        &mut self,
        waiting: &mut Waiting<'_>,
        order: Order,
    ) -> Result<Option<Served>, End> {
        match order {
            Order::Ring { attempt, agents } => {
                let prefer = self.leg.encoding();
                waiting.rings.begin(attempt, agents, prefer);
            }
            Order::Cancel { attempt } if attempt == waiting.rings.attempt => {
                waiting.rings.cancel("no-answer", None);
            }
            Order::Cancel { .. } | Order::CallBack { .. } => {}
            Order::Announce { position, hold } => self.announce(waiting, position, hold).await?,
            Order::Leave(why) => {
                waiting.rings.cancel("queue-left", None);
                return Ok(Some(Served::Not(match why {
                    Leaving::Timeout => QueueEnd::Timeout,
                    Leaving::Empty => QueueEnd::Empty,
                    _ => QueueEnd::Removed,
                })));
            }
        }
        Ok(None)
    }

    /// Says how the caller stands, in its language; the music goes on after. What has no file and no voice is not said.
    async fn announce(
        &mut self,
        waiting: &mut Waiting<'_>,
        position: usize,
        hold: Option<Duration>,
    ) -> Result<(), End> {
        let settings = &waiting.settings.announce;
        let language = &waiting.verb.language;
        let mut audio = Vec::new();
        for sentence in announcement::sentences(settings, position, hold) {
            match self.sentence(settings, &sentence, language).await {
                Some(said) => audio.extend(said),
                None => tracing::warn!(
                    queue = waiting.verb.queue,
                    ?sentence,
                    rule = "no-queue-prompt",
                    "part of an announcement is not said: there is neither a prompt nor a voice"
                ),
            }
        }
        if audio.is_empty() {
            return Ok(());
        }
        match self
            .start_playing(&audio, Repeat::Times(1), Manner::default())
            .await
        {
            Ok(id) => waiting.speaking = Some(id),
            Err(Unplayed::Failed(error)) => {
                tracing::warn!(error, "an announcement is not said");
            }
            Err(Unplayed::Ended(end)) => return Err(end),
        }
        Ok(())
    }

    /// A sentence by its prompts, else by a voice.
    async fn sentence(
        &mut self,
        settings: &Announce,
        sentence: &Sentence,
        language: &str,
    ) -> Option<Vec<Audio>> {
        let mut said = Vec::new();
        for name in sentence.prompts() {
            let mut found = None;
            for key in announcement::keys(settings, language, &name) {
                let audio = Audio::Prompt(key);
                if self.media_audio(&audio).await.is_ok() {
                    found = Some(audio);
                    break;
                }
            }
            let Some(found) = found else {
                let text = sentence.text(language)?;
                self.call.calls.speech.as_ref()?;
                let language = (!language.is_empty()).then_some(language);
                let speech = Speech::plain(text).in_voice(language, None);
                return Some(vec![Audio::Speech(Box::new(speech))]);
            };
            said.push(found);
        }
        Some(said)
    }

    async fn loaded(&mut self, key: &str) -> Option<MediaAudio> {
        match self.media_audio(&Audio::Prompt(key.to_owned())).await {
            Ok(audio) => Some(audio),
            Err(error) => {
                tracing::warn!(
                    error,
                    rule = "no-queue-prompt",
                    "a queue's prompt is not played"
                );
                None
            }
        }
    }

    async fn queue_music(&mut self, settings: &Queue) -> Vec<MediaAudio> {
        if let Some(key) = &settings.music
            && let Some(audio) = self.loaded(key).await
        {
            return vec![audio];
        }
        self.call.in_force.music.clone()
    }

    fn wait_music(&mut self, music: &[MediaAudio]) {
        if let Err(error) = self.play_media(music.to_vec(), None) {
            tracing::warn!(error, "no music while waiting");
        }
    }
}

/// What an agent who rang did.
fn rung(waiting: &mut Waiting<'_>, told: Told) -> Option<Served> {
    let attempt = waiting.rings.attempt;
    match told {
        Told::PickedUp { agent, sure } => {
            match waiting.place.picked_up(attempt, &agent, sure) {
                true if sure => waiting.rings.keep_only(&agent),
                true => {}
                // The queue has given the attempt up; its order to stop is under way.
                false => waiting.rings.give_up(&agent),
            }
            None
        }
        Told::Missed { agent, why } => {
            waiting.place.missed(attempt, &agent, why);
            None
        }
        Told::Ready { agent, leg, label } => {
            if !waiting.place.answered(attempt, &agent) {
                leg.see_off("too-late", None);
                return None;
            }
            let reason = hangup_reason("SIP", 200, "Call completed elsewhere");
            waiting.rings.cancel("answered-elsewhere", Some(reason));
            Some(Served::By { agent, leg, label })
        }
    }
}

fn refused(why: Refused) -> QueueEnd {
    match why {
        Refused::NoQueue => QueueEnd::Unknown,
        Refused::Full => QueueEnd::Full,
        Refused::Empty => QueueEnd::Empty,
        Refused::Hold => QueueEnd::Hold,
        Refused::Ratio => QueueEnd::Ratio,
    }
}
