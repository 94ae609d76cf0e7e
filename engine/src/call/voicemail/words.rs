//! What callers of a box are told: in Spanish where the language is that, else in English. Pure.
use super::super::verb::Audio;
use crate::speech::Speech;
use crate::store::{VoicemailRow, VoicemailState};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Absent,
    Busy,
    Instructions,
    Thanks,
    Empty,
    Full,
    NoBox,
    Failed,
    AskBox,
    AskPin,
    WrongPin,
    Refused,
    Menu,
    Deleted,
    Saved,
    NoMore,
    Goodbye,
}

impl Words {
    fn english(self) -> &'static str {
        match self {
            Words::Absent => "The person you are calling is not available.",
            Words::Busy => "The person you are calling is on the phone.",
            Words::Instructions => {
                "Please leave a message after the tone. When you have finished, hang up or press hash."
            }
            Words::Thanks => "Thank you. Your message has been saved.",
            Words::Empty => "No message was recorded.",
            Words::Full => "This mailbox is full. It cannot take any more messages.",
            Words::NoBox => "There is no such mailbox.",
            Words::Failed => "We are sorry. Your message could not be saved.",
            Words::AskBox => "Please enter the number of the mailbox, then hash.",
            Words::AskPin => "Please enter your PIN, then hash.",
            Words::WrongPin => "That is not right.",
            Words::Refused => "These messages cannot be heard from here.",
            Words::Menu => {
                "Press 5 to hear the message again, 6 for the next one, 4 for the one before, 7 to delete it, 9 to save it, or hash to end."
            }
            Words::Deleted => "Deleted.",
            Words::Saved => "Saved.",
            Words::NoMore => "There are no more messages.",
            Words::Goodbye => "Goodbye.",
        }
    }

    fn spanish(self) -> &'static str {
        match self {
            Words::Absent => "La persona a la que llama no está disponible.",
            Words::Busy => "La persona a la que llama está hablando por teléfono.",
            Words::Instructions => {
                "Deje su mensaje después de la señal. Al terminar, cuelgue o pulse almohadilla."
            }
            Words::Thanks => "Gracias. Su mensaje se ha guardado.",
            Words::Empty => "No se ha grabado ningún mensaje.",
            Words::Full => "Este buzón está lleno. No admite más mensajes.",
            Words::NoBox => "Ese buzón no existe.",
            Words::Failed => "Lo sentimos. Su mensaje no se ha podido guardar.",
            Words::AskBox => "Introduzca el número del buzón y pulse almohadilla.",
            Words::AskPin => "Introduzca su clave y pulse almohadilla.",
            Words::WrongPin => "No es correcto.",
            Words::Refused => "Estos mensajes no se pueden oír desde aquí.",
            Words::Menu => {
                "Pulse 5 para volver a oír el mensaje, 6 para el siguiente, 4 para el anterior, 7 para borrarlo, 9 para guardarlo, o almohadilla para terminar."
            }
            Words::Deleted => "Borrado.",
            Words::Saved => "Guardado.",
            Words::NoMore => "No hay más mensajes.",
            Words::Goodbye => "Adiós.",
        }
    }
}

/// The language of what is said, and how it is known to the voices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tongue {
    spanish: bool,
    tag: Option<String>,
}

impl Tongue {
    /// That of the box, else of the call.
    pub(super) fn of(mailbox: Option<&str>, call: &str) -> Tongue {
        let wanted = mailbox.unwrap_or(call);
        let base = wanted.split(['-', '_']).next().unwrap_or_default();
        let spanish = base.eq_ignore_ascii_case("es");
        let known = spanish || base.eq_ignore_ascii_case("en");
        let tag = match (known, wanted) {
            (true, tag) => Some(tag.replace('_', "-")),
            (false, _) => Some("en-US".to_owned()),
        };
        Tongue { spanish, tag }
    }

    /// The sentence as audio.
    pub(super) fn say(&self, words: Words) -> Audio {
        let text = match self.spanish {
            true => words.spanish(),
            false => words.english(),
        };
        self.speech(text.to_owned(), false)
    }

    fn speech(&self, text: String, ssml: bool) -> Audio {
        Audio::Speech(Box::new(Speech {
            ssml,
            language: self.tag.clone(),
            ..Speech::plain(text)
        }))
    }

    /// How many there are.
    pub(super) fn count(&self, rows: &[VoicemailRow]) -> Audio {
        let new = rows.iter().filter(|row| row.state == VoicemailState::New);
        let (new, saved) = (new.clone().count(), rows.len() - new.count());
        let plural = |number: usize, one: &str, more: &str| match number {
            1 => one.to_owned(),
            number => format!("{number} {more}"),
        };
        let text = match (self.spanish, new, saved) {
            (false, 0, 0) => "You have no messages.".to_owned(),
            (true, 0, 0) => "No tiene mensajes.".to_owned(),
            (false, 0, saved) => {
                format!(
                    "You have {}.",
                    plural(saved, "one saved message", "saved messages")
                )
            }
            (true, 0, saved) => format!(
                "Tiene {}.",
                plural(saved, "un mensaje guardado", "mensajes guardados")
            ),
            (false, new, 0) => {
                format!(
                    "You have {}.",
                    plural(new, "one new message", "new messages")
                )
            }
            (true, new, 0) => {
                format!(
                    "Tiene {}.",
                    plural(new, "un mensaje nuevo", "mensajes nuevos")
                )
            }
            (false, new, saved) => format!(
                "You have {} and {}.",
                plural(new, "one new message", "new messages"),
                plural(saved, "one saved", "saved")
            ),
            (true, new, saved) => format!(
                "Tiene {} y {}.",
                plural(new, "un mensaje nuevo", "mensajes nuevos"),
                plural(saved, "uno guardado", "guardados")
            ),
        };
        self.speech(text, false)
    }

    /// Which message it is, from whom and of when.
    pub(super) fn about(&self, number: usize, row: &VoicemailRow, zone: &TimeZone) -> Audio {
        let at = Timestamp::from_millisecond(row.at_ms).unwrap_or_default();
        let at = at.to_zoned(zone.clone());
        let (day, time) = (at.strftime("%m-%d"), at.strftime("%H:%M"));
        let day = format!("<say-as interpret-as=\"date\" format=\"md\">{day}</say-as>");
        let who = caller(row);
        let text = match (self.spanish, who.is_empty()) {
            (false, true) => format!("Message {number}, {day}, {time}."),
            (false, false) => format!("Message {number}, from {who}, {day}, {time}."),
            (true, true) => format!("Mensaje {number}, {day}, {time}."),
            (true, false) => format!("Mensaje {number}, de {who}, {day}, {time}."),
        };
        self.speech(format!("<speak>{text}</speak>"), true)
    }
}

/// What a far end wrote, as far as it can be said: letters and digits.
fn caller(row: &VoicemailRow) -> String {
    let plain = |char: &char| char.is_alphanumeric() || *char == ' ' || *char == '+';
    let text: String = row.caller.chars().filter(plain).take(32).collect();
    match text.chars().any(char::is_alphabetic) || text.is_empty() {
        true => text,
        false => format!("<say-as interpret-as=\"telephone\">{text}</say-as>"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listen::tests::row;
    use super::*;

    fn said(audio: Audio) -> (String, Option<String>) {
        match audio {
            Audio::Speech(speech) => (speech.text, speech.language),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_box_has_its_language_before_the_call() {
        for (mailbox, call, begins, tag) in [
            (Some("es-ES"), "en-US", "Gracias", "es-ES"),
            (None, "es_MX", "Gracias", "es-MX"),
            (Some("en-GB"), "es", "Thank", "en-GB"),
            (Some("de-DE"), "", "Thank", "en-US"),
            (None, "", "Thank", "en-US"),
        ] {
            let (text, language) = said(Tongue::of(mailbox, call).say(Words::Thanks));
            assert!(text.starts_with(begins), "{mailbox:?} {call}: {text}");
            assert_eq!(language.as_deref(), Some(tag));
        }
    }

    #[test]
    fn messages_are_counted_and_told_apart() {
        let english = Tongue::of(None, "en");
        let (new, saved) = (
            row(1, "201"),
            VoicemailRow {
                state: VoicemailState::Saved,
                ..row(2, "Ann <b>")
            },
        );
        for (rows, text) in [
            (vec![], "You have no messages."),
            (vec![new.clone()], "You have one new message."),
            (vec![saved.clone(); 2], "You have 2 saved messages."),
            (
                vec![new.clone(), new.clone(), saved.clone()],
                "You have 2 new messages and one saved.",
            ),
        ] {
            assert_eq!(said(english.count(&rows)).0, text);
        }
        let about = said(english.about(1, &new, &TimeZone::UTC)).0;
        assert!(
            about.contains("\"telephone\">201<") && about.contains(">01-01<"),
            "{about}"
        );
        // Nothing of what a caller writes is SSML.
        let about = said(english.about(2, &saved, &TimeZone::UTC)).0;
        assert!(about.contains("from Ann b,"), "{about}");
    }
}
