//! Hearing messages: which box, the PIN, then one message after the other, by keys.
//!
//! Limits: three tries at box and PIN together, three silences in a row.
use super::super::verb::{Audio, Gather, Gathered, Outcome, Repeat};
use super::words::{Tongue, Words};
use super::{Ask, Told, Visit, Voicemail, VoicemailEnd};
use crate::config::VoicemailBox;
use crate::store::{VoicemailRow, VoicemailState};
use jiff::tz::TimeZone;
use std::sync::Arc;

/// Wrong entries that are borne.
const MAX_TRIES: u32 = 3;
/// Silences in a row that are borne.
const MAX_SILENCES: u32 = 3;
/// How long an entry is waited for, and the next digit of it, in ms.
const ENTRY_MS: u32 = 10_000;
const DIGIT_MS: u32 = 4000;
/// How long a key is waited for behind a message, in ms.
const KEY_MS: u32 = 6000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    AsksBox,
    AsksPin,
    Counts,
    Hears,
    Marks,
    Deletes,
    Parts(VoicemailEnd),
}

/// See the module's text.
#[derive(Debug)]
pub(in super::super) struct Listen {
    mailbox: Option<Arc<VoicemailBox>>,
    /// The call comes from a phone of the box.
    own: bool,
    /// A box was named, and there is none.
    missing: bool,
    /// Its number was keyed in: nothing tells it from a number that is no box's before the right PIN.
    keyed: bool,
    language: String,
    tongue: Tongue,
    zone: TimeZone,
    step: Step,
    tries: u32,
    silences: u32,
    rows: Vec<VoicemailRow>,
    at: usize,
    /// Where to go when what was heard is noted.
    to: usize,
    /// Said before the next message.
    before: Vec<Audio>,
}

impl Listen {
    /// Of a box; `own`: the call comes from one of its phones. Times are told in `zone`.
    pub(in super::super) fn new(
        mailbox: Option<Arc<VoicemailBox>>,
        own: bool,
        wanted: &Voicemail,
        zone: TimeZone,
    ) -> Listen {
        let mut listen = Listen {
            missing: wanted.mailbox.is_some() && mailbox.is_none(),
            mailbox: None,
            own,
            keyed: false,
            language: wanted.language.clone(),
            tongue: Tongue::of(None, &wanted.language),
            zone,
            step: Step::Begin,
            tries: 0,
            silences: 0,
            rows: Vec::new(),
            at: 0,
            to: 0,
            before: Vec::new(),
        };
        listen.enter(mailbox);
        listen
    }

    fn enter(&mut self, mailbox: Option<Arc<VoicemailBox>>) {
        let language = mailbox.as_ref().and_then(|of| of.language.as_deref());
        self.tongue = Tongue::of(language, &self.language);
        self.mailbox = mailbox;
    }

    fn say(&self, words: Words) -> Audio {
        self.tongue.say(words)
    }

    fn part(&mut self, end: VoicemailEnd, words: Option<Words>) -> Ask {
        self.step = Step::Parts(end);
        let words = words.into_iter().chain([Words::Goodbye]);
        Ask::Play {
            audio: words.map(|words| self.tongue.say(words)).collect(),
            stop_keys: String::new(),
        }
    }

    fn entry(&mut self, words: Words) -> Ask {
        let asked = self.say(words);
        let prompts = std::mem::take(&mut self.before).into_iter();
        Ask::Gather(Gather {
            prompts: prompts.chain([asked]).collect(),
            repeat: Repeat::Times(1),
            timeout_ms: ENTRY_MS,
            inter_digit_ms: DIGIT_MS,
            max_digits: 32,
            finish_on: Some('#'),
            barge_in: true,
            typeahead: true,
            sensitive: words == Words::AskPin,
            speech: None,
        })
    }

    fn wrong(&mut self) -> Option<Ask> {
        self.tries += 1;
        self.before = vec![self.say(Words::WrongPin)];
        (self.tries >= MAX_TRIES).then(|| self.part(VoicemailEnd::Refused, Some(Words::WrongPin)))
    }

    fn ask_box(&mut self) -> Ask {
        self.step = Step::AsksBox;
        self.entry(Words::AskBox)
    }

    /// Whoever calls from the box's own phone is asked for a PIN where there is one; anybody else needs one.
    fn ask_pin(&mut self, mailbox: Arc<VoicemailBox>) -> Ask {
        match (&mailbox.pin, self.own) {
            (None, true) => self.count(mailbox),
            // A caller is not told which boxes have none.
            _ => {
                self.step = Step::AsksPin;
                self.entry(Words::AskPin)
            }
        }
    }

    fn count(&mut self, mailbox: Arc<VoicemailBox>) -> Ask {
        self.step = Step::Counts;
        Ask::Messages(mailbox)
    }

    /// The message where it stands now.
    fn hear(&mut self) -> Ask {
        let Some(row) = self.rows.get(self.at).cloned() else {
            let before = std::mem::take(&mut self.before);
            let more = [self.say(Words::NoMore), self.say(Words::Goodbye)];
            self.step = Step::Parts(VoicemailEnd::Heard);
            return Ask::Play {
                audio: before.into_iter().chain(more).collect(),
                stop_keys: String::new(),
            };
        };
        self.step = Step::Hears;
        let mut prompts = std::mem::take(&mut self.before);
        prompts.push(self.tongue.about(self.at + 1, &row, &self.zone));
        let gather = Gather {
            prompts,
            repeat: Repeat::Times(1),
            timeout_ms: KEY_MS,
            inter_digit_ms: 0,
            max_digits: 1,
            finish_on: None,
            barge_in: true,
            typeahead: true,
            sensitive: false,
            speech: None,
        };
        let behind = vec![self.say(Words::Menu)];
        Ask::Hear(Box::new(row), gather, behind)
    }

    /// A key was pressed in the midst of a message or behind it, or none was.
    fn heard(&mut self, key: Option<char>) -> Ask {
        self.silences = if key.is_some() { 0 } else { self.silences + 1 };
        if self.silences >= MAX_SILENCES || key == Some('#') {
            return self.part(VoicemailEnd::Heard, None);
        }
        let row = self.rows.get(self.at).cloned();
        self.to = match key {
            Some('4') => self.at.saturating_sub(1),
            Some('6' | '9') | None => self.at + 1,
            _ => self.at,
        };
        match (key, row) {
            (Some('7'), Some(row)) => {
                self.rows.remove(self.at);
                self.before = vec![self.say(Words::Deleted)];
                self.step = Step::Deletes;
                Ask::Delete(Box::new(row))
            }
            (_, Some(row)) => {
                if key == Some('9') {
                    self.before = vec![self.say(Words::Saved)];
                }
                self.rows[self.at].state = VoicemailState::Saved;
                self.step = Step::Marks;
                Ask::Mark(Box::new(row))
            }
            (_, None) => self.hear(),
        }
    }

    fn entered(&mut self, gathered: Gathered) -> Ask {
        if gathered.digits.is_empty() {
            let end = VoicemailEnd::Refused;
            return self.wrong().unwrap_or_else(|| match self.step {
                Step::AsksPin => self.entry(Words::AskPin),
                Step::AsksBox => self.entry(Words::AskBox),
                _ => Ask::Over(end),
            });
        }
        match (self.step, &self.mailbox) {
            (Step::AsksPin, Some(mailbox)) => Ask::Pin(mailbox.clone(), gathered.digits),
            _ => Ask::Find(gathered.digits),
        }
    }
}

impl Visit for Listen {
    fn next(&mut self, told: Told) -> Ask {
        match (self.step, told) {
            (Step::Parts(end), _) => Ask::Over(end),
            (Step::Begin, _) => match self.mailbox.clone() {
                _ if self.missing => self.part(VoicemailEnd::Unknown, Some(Words::NoBox)),
                Some(mailbox) => self.ask_pin(mailbox),
                None => self.ask_box(),
            },
            (Step::AsksBox | Step::AsksPin, Told::Outcome(Outcome::Gathered(gathered))) => {
                self.entered(gathered)
            }
            // A number that is no box's is asked for its PIN all the same: nobody learns which there are.
            (Step::AsksBox, Told::Box(found)) => {
                self.own = false;
                self.keyed = true;
                self.mailbox = found;
                self.step = Step::AsksPin;
                self.entry(Words::AskPin)
            }
            (Step::AsksPin, Told::Box(_)) => match self.wrong() {
                Some(parting) => parting,
                None => self.ask_box(),
            },
            (Step::AsksPin, Told::Pin(Err(_))) if self.keyed => match self.wrong() {
                Some(parting) => parting,
                None => self.ask_box(),
            },
            (Step::AsksPin, Told::Pin(Ok(()))) => match self.mailbox.clone() {
                Some(mailbox) => {
                    self.enter(Some(mailbox.clone()));
                    self.count(mailbox)
                }
                None => self.part(VoicemailEnd::Refused, Some(Words::Refused)),
            },
            (Step::AsksPin, Told::Pin(Err(true))) => match self.wrong() {
                Some(parting) => parting,
                None => self.entry(Words::AskPin),
            },
            (Step::AsksPin, Told::Pin(Err(false))) => {
                self.part(VoicemailEnd::Refused, Some(Words::Refused))
            }
            (Step::Counts, Told::Messages(Some(rows))) => {
                self.before = vec![self.tongue.count(&rows)];
                self.rows = rows;
                match self.rows.is_empty() {
                    true => {
                        self.step = Step::Parts(VoicemailEnd::Heard);
                        let goodbye = self.say(Words::Goodbye);
                        let count = std::mem::take(&mut self.before).into_iter();
                        Ask::Play {
                            audio: count.chain([goodbye]).collect(),
                            stop_keys: String::new(),
                        }
                    }
                    false => self.hear(),
                }
            }
            (Step::Hears, Told::Outcome(Outcome::Gathered(gathered))) => {
                self.heard(gathered.digits.chars().next())
            }
            // Its file is gone: the next one.
            (Step::Hears, _) => {
                self.at += 1;
                self.hear()
            }
            (Step::Marks | Step::Deletes, _) => {
                self.at = self.to;
                self.hear()
            }
            _ => self.part(VoicemailEnd::Failed, None),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::verb::GatherEnd;
    use super::*;
    use crate::config::Secret;

    pub(in super::super) fn row(number: i64, caller: &str) -> VoicemailRow {
        VoicemailRow {
            number,
            id: format!("v-{number}"),
            mailbox: "sales".to_owned(),
            call: "c-1".to_owned(),
            caller: caller.to_owned(),
            caller_name: None,
            state: VoicemailState::New,
            path: "/v/a.wav".into(),
            at_ms: 0,
            ms: 5000,
            octets: 80_044,
            keep_until_ms: None,
            transcript: None,
            attempts: 0,
        }
    }

    fn mailbox(pin: Option<&str>) -> Arc<VoicemailBox> {
        Arc::new(VoicemailBox {
            pin: pin.map(Secret::new),
            ..VoicemailBox::named("sales")
        })
    }

    fn keyed(digits: &str) -> Told {
        Told::Outcome(Outcome::Gathered(Gathered {
            digits: digits.to_owned(),
            end: GatherEnd::MaxDigits,
            keys: Vec::new(),
            speech: None,
        }))
    }

    fn visit(mailbox: Option<Arc<VoicemailBox>>, own: bool) -> Listen {
        let wanted = Voicemail::listen(None);
        Listen::new(mailbox, own, &wanted, TimeZone::UTC)
    }

    /// The message that is heard, and what is said before it.
    fn hears(ask: &Ask) -> (String, usize) {
        match ask {
            Ask::Hear(row, gather, _) => (row.id.clone(), gather.prompts.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_phone_hears_its_own_messages_one_after_the_other() {
        let mut visit = visit(Some(mailbox(None)), true);
        assert!(matches!(visit.next(Told::Begin), Ask::Messages(_)));
        let rows = vec![row(1, "201"), row(2, "202"), row(3, "203")];
        let first = visit.next(Told::Messages(Some(rows)));
        assert_eq!(hears(&first), ("v-1".to_owned(), 2));
        // Again, the next, the one before.
        for (key, then) in [("5", "v-1"), ("6", "v-2"), ("4", "v-1")] {
            assert!(matches!(visit.next(keyed(key)), Ask::Mark(_)), "{key}");
            assert_eq!(hears(&visit.next(Told::Done)).0, then);
        }
        // Deleted: the next one takes its place.
        let deleted = visit.next(keyed("7"));
        assert!(
            matches!(&deleted, Ask::Delete(row) if row.id == "v-1"),
            "{deleted:?}"
        );
        assert_eq!(hears(&visit.next(Told::Done)), ("v-2".to_owned(), 2));
        visit.next(keyed("9"));
        assert_eq!(hears(&visit.next(Told::Done)).0, "v-3");
        // Its file is gone.
        let none = Outcome::Done;
        assert!(matches!(visit.next(Told::Outcome(none)), Ask::Play { .. }));
        assert_eq!(visit.next(Told::Done), Ask::Over(VoicemailEnd::Heard));
    }

    #[test]
    fn others_need_the_pin_and_may_not_guess_for_ever() {
        let with_pin = mailbox(Some("4711"));
        let mut visit = visit(Some(with_pin.clone()), false);
        let asked = visit.next(Told::Begin);
        assert!(
            matches!(&asked, Ask::Gather(gather) if gather.sensitive),
            "{asked:?}"
        );
        let pin = Ask::Pin(with_pin, "4711".to_owned());
        assert_eq!(visit.next(keyed("4711")), pin);
        assert!(matches!(visit.next(Told::Pin(Err(true))), Ask::Gather(_)));
        visit.next(keyed("1"));
        assert!(matches!(visit.next(Told::Pin(Err(true))), Ask::Gather(_)));
        visit.next(keyed("2"));
        assert!(matches!(visit.next(Told::Pin(Err(true))), Ask::Play { .. }));
        assert_eq!(visit.next(Told::Done), Ask::Over(VoicemailEnd::Refused));
    }

    #[test]
    fn a_box_is_keyed_in_and_nobody_learns_which_there_are() {
        let mut other = visit(None, false);
        let asked = other.next(Told::Begin);
        assert!(
            matches!(&asked, Ask::Gather(gather) if !gather.sensitive),
            "{asked:?}"
        );
        assert_eq!(other.next(keyed("100")), Ask::Find("100".to_owned()));
        let asked = other.next(Told::Box(None));
        assert!(
            matches!(&asked, Ask::Gather(gather) if gather.sensitive),
            "{asked:?}"
        );
        // The same entry is looked for in vain, and everything is asked again.
        assert_eq!(other.next(keyed("4711")), Ask::Find("4711".to_owned()));
        let asked = other.next(Told::Box(None));
        assert!(
            matches!(&asked, Ask::Gather(gather) if !gather.sensitive),
            "{asked:?}"
        );
        // So it is with a box's number, whether its PIN was wrong or is locked.
        for wrong in [true, false] {
            let mut own = visit(None, false);
            own.next(Told::Begin);
            own.next(keyed("100"));
            own.next(Told::Box(Some(mailbox(Some("4711")))));
            assert!(matches!(own.next(keyed("9999")), Ask::Pin(..)));
            assert_eq!(own.next(Told::Pin(Err(wrong))), asked);
        }
        // A box without a PIN is heard from its own phones only.
        let mut closed = visit(Some(mailbox(None)), false);
        assert!(matches!(closed.next(Told::Begin), Ask::Gather(_)));
    }

    #[test]
    fn silence_comes_to_an_end() {
        let mut visit = visit(Some(mailbox(None)), true);
        visit.next(Told::Begin);
        let rows = (1..9).map(|number| row(number, "201")).collect();
        visit.next(Told::Messages(Some(rows)));
        for _ in 1..MAX_SILENCES {
            assert!(matches!(visit.next(keyed("")), Ask::Mark(_)));
            visit.next(Told::Done);
        }
        assert!(matches!(visit.next(keyed("")), Ask::Play { .. }));
        assert_eq!(visit.next(Told::Done), Ask::Over(VoicemailEnd::Heard));
        let mut missing = Listen::new(
            None,
            false,
            &Voicemail::listen(Some("x".to_owned())),
            TimeZone::UTC,
        );
        assert!(matches!(missing.next(Told::Begin), Ask::Play { .. }));
        assert_eq!(missing.next(Told::Done), Ask::Over(VoicemailEnd::Unknown));
    }
}
