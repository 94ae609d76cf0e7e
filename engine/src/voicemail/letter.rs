//! The mail about a message: who called, when, what was said, and the audio. Pure.
use crate::config::VoicemailBox;
use crate::store::VoicemailRow;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

/// What stands in a mail.
struct Words {
    subject: &'static str,
    from: &'static str,
    at: &'static str,
    length: &'static str,
    mailbox: &'static str,
    said: &'static str,
    unknown: &'static str,
}

const ENGLISH: Words = Words {
    subject: "Voice message from",
    from: "From",
    at: "Received",
    length: "Length",
    mailbox: "Mailbox",
    said: "What was said",
    unknown: "an unknown number",
};
const SPANISH: Words = Words {
    subject: "Mensaje de voz de",
    from: "De",
    at: "Recibido",
    length: "Duración",
    mailbox: "Buzón",
    said: "Lo que se dijo",
    unknown: "un número desconocido",
};

/// The mail; `audio` is the file, where it is to be part of it.
///
/// # Errors
/// A sentence: an address is none.
pub(super) fn letter(
    from: &str,
    mailbox: &VoicemailBox,
    row: &VoicemailRow,
    zone: &TimeZone,
    audio: Option<Vec<u8>>,
) -> Result<Message, String> {
    let spanish = mailbox.language.as_deref().unwrap_or_default();
    let words = match spanish.starts_with("es") {
        true => &SPANISH,
        false => &ENGLISH,
    };
    let who = who(row, words);
    let mut mail = Message::builder()
        .from(from.parse::<Mailbox>().map_err(|error| error.to_string())?)
        .subject(format!("{} {who}", words.subject))
        .message_id(Some(format!("<{}@{}>", row.id, domain(from))));
    for receiver in &mailbox.email {
        mail = mail.to(receiver
            .parse()
            .map_err(|error| format!("{receiver}: {error}"))?);
    }
    let text = text(words, &who, mailbox, row, zone);
    let text = SinglePart::plain(text);
    let built = match audio {
        None => mail.singlepart(text),
        Some(audio) => {
            let name = format!("{}.wav", row.id);
            let kind = ContentType::parse("audio/wav").map_err(|error| error.to_string())?;
            let audio = Attachment::new(name).body(audio, kind);
            mail.multipart(MultiPart::mixed().singlepart(text).singlepart(audio))
        }
    };
    built.map_err(|error| error.to_string())
}

/// Far ends write what they like: nothing of it ends a line.
fn who(row: &VoicemailRow, words: &Words) -> String {
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|char| !char.is_control());
        kept.take(64).collect()
    };
    let number = match row.caller.is_empty() {
        true => words.unknown.to_owned(),
        false => plain(&row.caller),
    };
    match row.caller_name.as_deref().map(plain) {
        Some(name) if !name.is_empty() && name != number => format!("{name} ({number})"),
        _ => number,
    }
}

fn text(
    words: &Words,
    who: &str,
    mailbox: &VoicemailBox,
    row: &VoicemailRow,
    zone: &TimeZone,
) -> String {
    let at = Timestamp::from_millisecond(row.at_ms).unwrap_or_default();
    let at = at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z");
    let seconds = (row.ms + 500) / 1000;
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let mut text = format!(
        "{}: {who}\r\n{}: {at}\r\n{}: {minutes}:{seconds:02}\r\n{}: {}\r\n",
        words.from, words.at, words.length, words.mailbox, mailbox.name
    );
    if let Some(said) = row.transcript.as_deref().filter(|said| !said.is_empty()) {
        text += &format!("\r\n{}:\r\n{said}\r\n", words.said);
    }
    text
}

fn domain(from: &str) -> String {
    let address = from.parse::<Mailbox>().map(|mailbox| mailbox.email);
    address.as_ref().map_or_else(
        |_| "localhost".to_owned(),
        |of: &Address| of.domain().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::VoicemailState;

    fn row() -> VoicemailRow {
        VoicemailRow {
            number: 1,
            id: "v-1".to_owned(),
            mailbox: "sales".to_owned(),
            call: "c-1".to_owned(),
            caller: "+49301".to_owned(),
            caller_name: Some("Ann\r\nBcc: all@example.com".to_owned()),
            state: VoicemailState::New,
            path: "/v/v-1.wav".into(),
            at_ms: 0,
            ms: 74_600,
            octets: 4,
            keep_until_ms: None,
            transcript: Some("Please call back.".to_owned()),
            attempts: 0,
        }
    }

    #[test]
    fn it_says_who_called_and_carries_the_audio() {
        let mut mailbox = VoicemailBox::named("sales");
        mailbox.email = vec!["Sales <sales@example.com>".to_owned()];
        let mail = letter(
            "PBX <pbx@example.com>",
            &mailbox,
            &row(),
            &TimeZone::UTC,
            Some(b"RIFF\xff".to_vec()),
        );
        let mail = mail.unwrap();
        let text = String::from_utf8(mail.formatted()).unwrap();
        for line in [
            "Subject: Voice message from AnnBcc: all@example.com (+49301)",
            "To: Sales <sales@example.com>",
            "Message-ID: <v-1@example.com>",
            "From: AnnBcc: all@example.com (+49301)",
            "Received: 1970-01-01 00:00 UTC",
            "Length: 1:15",
            "Please call back.",
            "Content-Type: audio/wav",
            "UklGRv8=",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("\nBcc:"), "{text}");
        assert_eq!(mail.envelope().to().len(), 1);
    }

    #[test]
    fn it_speaks_spanish_where_the_box_does() {
        let mailbox = VoicemailBox {
            language: Some("es-ES".to_owned()),
            email: vec!["ventas@example.com".to_owned()],
            ..VoicemailBox::named("ventas")
        };
        let of = VoicemailRow {
            caller: String::new(),
            caller_name: None,
            ..row()
        };
        let mail = letter("pbx@example.com", &mailbox, &of, &TimeZone::UTC, None).unwrap();
        let text = String::from_utf8(mail.formatted()).unwrap();
        assert!(
            text.contains("ventas") && !text.contains("multipart"),
            "{text}"
        );
        let wrong = letter("nobody", &mailbox, &of, &TimeZone::UTC, None);
        assert!(wrong.is_err());
    }
}
