//! Leaving a message: greeting, tone, recording, thanks.
use super::super::verb::{Audio, Outcome, RecordEnd, ToneSpec};
use super::words::{Tongue, Words};
use super::{Ask, Told, Visit, Voicemail, VoicemailEnd, VoicemailPurpose};
use crate::config::{Greeting, VoicemailBox};
use crate::speech::Speech;
use crate::voicemail::{Filed, NoTake};
use std::sync::Arc;

/// Keys that end a message.
const STOP_KEYS: &str = "#";
/// Heard where nothing else may be: it takes time, and tells that something is wrong.
const LOW: Audio = Audio::Tone(ToneSpec {
    hz: [260.0, 0.0],
    dbm0: -16.0,
    ms: 700,
});

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Greets,
    Records,
    Files,
    Parts(VoicemailEnd),
}

/// See the module's text.
#[derive(Debug)]
pub(in super::super) struct Leave {
    mailbox: Result<Arc<VoicemailBox>, NoTake>,
    wanted: Voicemail,
    tongue: Tongue,
    step: Step,
    /// It could not be recorded.
    broken: bool,
}

impl Leave {
    /// Of a box, or why there is none.
    pub(in super::super) fn new(
        mailbox: Result<Arc<VoicemailBox>, NoTake>,
        wanted: &Voicemail,
    ) -> Leave {
        let own = mailbox.as_ref().ok();
        let own = own.and_then(|mailbox| mailbox.language.as_deref());
        Leave {
            tongue: Tongue::of(own, &wanted.language),
            mailbox,
            wanted: wanted.clone(),
            step: Step::Begin,
            broken: false,
        }
    }

    fn greet(&mut self, mailbox: &VoicemailBox) -> Ask {
        self.step = Step::Greets;
        let (busy, skip) = match self.wanted.purpose {
            VoicemailPurpose::Leave {
                busy,
                skip_instructions,
            } => (busy, skip_instructions),
            VoicemailPurpose::Listen => (false, false),
        };
        let own = match (busy, &mailbox.greeting_busy) {
            (false, _) | (true, Greeting::Usual) => &mailbox.greeting,
            (true, own) => own,
        };
        let audio = match own {
            Greeting::File(key) => vec![Audio::Prompt(key.clone())],
            Greeting::Text(text) => {
                let language = mailbox.language.as_deref().unwrap_or(&self.wanted.language);
                let speech = Speech::plain(text).in_voice(Some(language), None);
                vec![Audio::Speech(Box::new(speech))]
            }
            Greeting::Usual => {
                let who = if busy { Words::Busy } else { Words::Absent };
                let what = (!skip).then(|| self.tongue.say(Words::Instructions));
                [self.tongue.say(who)].into_iter().chain(what).collect()
            }
        };
        Ask::Play {
            audio,
            stop_keys: STOP_KEYS.to_owned() + &self.wanted.exit_keys,
        }
    }

    fn record(&mut self, mailbox: &VoicemailBox) -> Ask {
        self.step = Step::Records;
        let ms = |time: std::time::Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Ask::Record {
            max_ms: ms(mailbox.max),
            silence_ms: mailbox.silence.map_or(0, ms),
            stop_keys: STOP_KEYS,
        }
    }

    fn part(&mut self, end: VoicemailEnd) -> Ask {
        self.step = Step::Parts(end);
        let words = match end {
            VoicemailEnd::Left => Words::Thanks,
            VoicemailEnd::Empty => Words::Empty,
            VoicemailEnd::Full => Words::Full,
            VoicemailEnd::Unknown => Words::NoBox,
            _ => Words::Failed,
        };
        let wrong = matches!(
            end,
            VoicemailEnd::Full | VoicemailEnd::Unknown | VoicemailEnd::Failed
        );
        let audio = wrong.then_some(LOW).into_iter();
        Ask::Play {
            audio: audio.chain([self.tongue.say(words)]).collect(),
            stop_keys: String::new(),
        }
    }
}

impl Visit for Leave {
    fn next(&mut self, told: Told) -> Ask {
        let mailbox = match &self.mailbox {
            Ok(mailbox) => mailbox.clone(),
            Err(why) => {
                let end = match why {
                    NoTake::Unknown => VoicemailEnd::Unknown,
                    NoTake::Full => VoicemailEnd::Full,
                    NoTake::Failed => VoicemailEnd::Failed,
                };
                return match self.step {
                    Step::Begin => self.part(end),
                    _ => Ask::Over(end),
                };
            }
        };
        match (self.step, told) {
            (Step::Begin, _) => self.greet(&mailbox),
            (Step::Greets, Told::Outcome(Outcome::Interrupted(key)))
                if self.wanted.exit_keys.contains(key.digit) =>
            {
                Ask::Over(VoicemailEnd::Key(key.digit))
            }
            (Step::Greets, _) => self.record(&mailbox),
            (Step::Records, told) => {
                self.step = Step::Files;
                self.broken = matches!(told, Told::Outcome(Outcome::Failed(..)));
                let silence_ms = match (told, mailbox.silence) {
                    (Told::Outcome(Outcome::Recorded(recorded)), Some(silence))
                        if recorded.end == RecordEnd::Silence =>
                    {
                        silence.as_millis() as u32
                    }
                    _ => 0,
                };
                Ask::File { silence_ms }
            }
            (Step::Files, Told::Filed(Filed::Left(_))) => self.part(VoicemailEnd::Left),
            (Step::Files, Told::Filed(Filed::Empty)) if !self.broken => {
                self.part(VoicemailEnd::Empty)
            }
            (Step::Files, _) => self.part(VoicemailEnd::Failed),
            (Step::Parts(end), _) => Ask::Over(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::verb::{DigitSource, KeyPress, Recorded, RecordingId};
    use super::*;
    use std::time::Duration;

    fn mailbox() -> VoicemailBox {
        VoicemailBox {
            max: Duration::from_secs(60),
            ..VoicemailBox::named("sales")
        }
    }

    fn texts(ask: &Ask) -> String {
        let Ask::Play { audio, .. } = ask else {
            panic!("{ask:?}")
        };
        let said = audio.iter().map(|piece| match piece {
            Audio::Speech(speech) => speech.text.clone(),
            Audio::Prompt(key) => format!("[{key}]"),
            _ => "[tone]".to_owned(),
        });
        said.collect::<Vec<_>>().join(" ")
    }

    fn recorded(end: RecordEnd) -> Told {
        Told::Outcome(Outcome::Recorded(Recorded {
            recording: RecordingId(1),
            duration_ms: 9000,
            lost_ms: 0,
            end,
        }))
    }

    #[test]
    fn a_message_is_left() {
        let mut visit = Leave::new(Ok(Arc::new(mailbox())), &Voicemail::leave("sales"));
        let greeting = texts(&visit.next(Told::Begin));
        assert!(greeting.contains("not available") && greeting.contains("after the tone"));
        let record = Ask::Record {
            max_ms: 60_000,
            silence_ms: 5000,
            stop_keys: "#",
        };
        let done = || Told::Outcome(Outcome::Done);
        assert_eq!(visit.next(done()), record);
        let silence_ms = 5000;
        assert_eq!(
            visit.next(recorded(RecordEnd::Silence)),
            Ask::File { silence_ms }
        );
        let thanks = visit.next(Told::Filed(Filed::Empty));
        assert_eq!(texts(&thanks), "No message was recorded.");
        assert_eq!(visit.next(done()), Ask::Over(VoicemailEnd::Empty));
    }

    #[test]
    fn the_greeting_is_the_boxs_own() {
        let own = VoicemailBox {
            greeting: Greeting::File("hello.wav".to_owned()),
            greeting_busy: Greeting::Text("Busy now.".to_owned()),
            ..mailbox()
        };
        let plain = Voicemail::leave("sales");
        let leave = |busy, skip_instructions| Voicemail {
            purpose: VoicemailPurpose::Leave {
                busy,
                skip_instructions,
            },
            ..plain.clone()
        };
        for (mailbox, wanted, said) in [
            (own.clone(), leave(false, false), "[hello.wav]"),
            (own, leave(true, false), "Busy now."),
            (
                mailbox(),
                leave(true, true),
                "The person you are calling is on the phone.",
            ),
        ] {
            let mut visit = Leave::new(Ok(Arc::new(mailbox)), &wanted);
            assert_eq!(texts(&visit.next(Told::Begin)), said);
        }
    }

    #[test]
    fn keys_skip_the_greeting_or_leave_it() {
        let wanted = Voicemail {
            exit_keys: "0".to_owned(),
            ..Voicemail::leave("sales")
        };
        for (key, on) in [('#', None), ('0', Some(Ask::Over(VoicemailEnd::Key('0'))))] {
            let mut visit = Leave::new(Ok(Arc::new(mailbox())), &wanted);
            visit.next(Told::Begin);
            let press = KeyPress::new(key, DigitSource::Rfc4733);
            let next = visit.next(Told::Outcome(Outcome::Interrupted(press)));
            match on {
                Some(on) => assert_eq!(next, on),
                None => assert!(matches!(next, Ask::Record { .. }), "{next:?}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_left_is_said() {
        for (why, words, end) in [
            (
                NoTake::Full,
                "[tone] This mailbox is full.",
                VoicemailEnd::Full,
            ),
            (
                NoTake::Unknown,
                "[tone] There is no such",
                VoicemailEnd::Unknown,
            ),
            (NoTake::Failed, "[tone] We are sorry.", VoicemailEnd::Failed),
        ] {
            let mut visit = Leave::new(Err(why), &Voicemail::leave("x"));
            let said = texts(&visit.next(Told::Begin));
            assert!(said.starts_with(words), "{said}");
            assert_eq!(visit.next(Told::Done), Ask::Over(end));
        }
        // A disk that takes nothing.
        let mut visit = Leave::new(Ok(Arc::new(mailbox())), &Voicemail::leave("sales"));
        visit.next(Told::Begin);
        visit.next(Told::Done);
        visit.next(Told::Done);
        let said = texts(&visit.next(Told::Filed(Filed::Failed)));
        assert!(said.contains("could not be saved"), "{said}");
        assert_eq!(visit.next(Told::Done), Ask::Over(VoicemailEnd::Failed));
    }
}
