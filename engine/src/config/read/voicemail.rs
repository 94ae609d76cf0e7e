//! Reads `[[voicemail]]` and `[mail]`.
use super::login::from_file;
use super::value::{DAY, count, flag, key_of, list_of, name, not_empty, seconds};
use super::value::{seconds_or_none, split_host_port};
use super::{Field, Sources, Table, entries, repeated, unknown};
use crate::config::Secret;
use crate::config::types::*;
use std::path::Path;
use std::time::Duration;

/// The fewest digits of a PIN: a box is tried day and night.
const LEAST_PIN: usize = 4;
/// The longest text of a greeting, in characters.
const MAX_GREETING: usize = 2000;
/// The most receivers of a box's mail.
const MAX_RECEIVERS: usize = 16;

/// Every `[[voicemail]]`.
pub(super) fn boxes(
    root: &mut Table<'_>,
    endpoints: &[Endpoint],
    mail: &Mail,
    sources: &Sources<'_>,
) -> Vec<VoicemailBox> {
    let mut boxes: Vec<VoicemailBox> = Vec::new();
    for field in entries(root, "voicemail") {
        let Some(table) = field.table() else { continue };
        let Some((named, one)) = voicemail_box(table, endpoints, mail, sources) else {
            continue;
        };
        let called = |each: &&VoicemailBox| each.number.is_some() && each.number == one.number;
        if let Some(earlier) = boxes.iter().find(|each| each.name == one.name) {
            repeated(&named, &one.name, earlier.at);
        } else if let Some(earlier) = boxes.iter().find(called) {
            let number = one.number.as_deref().unwrap_or_default();
            repeated(&named, number, earlier.at);
        } else {
            boxes.push(one);
        }
    }
    boxes
}

fn voicemail_box<'a>(
    mut table: Table<'a>,
    endpoints: &[Endpoint],
    mail: &Mail,
    sources: &Sources<'_>,
) -> Option<(Field<'a>, VoicemailBox)> {
    let named = table.required("name");
    let number = table.field("number").and_then(|field| digits(&field));
    let pin = super::queue::pin(&mut table, sources);
    if pin
        .as_ref()
        .is_some_and(|pin| (1..LEAST_PIN).contains(&pin.expose().len()))
    {
        // The value itself is not shown.
        table.error(format!(
            "has a \"pin\" that is soon guessed: it is {LEAST_PIN} digits or more"
        ));
    }
    let own = table.field("endpoints");
    let own = own.map_or_else(Vec::new, |field| {
        list_of(&field, |item| user(item, endpoints))
    });
    let language = table.field("language").and_then(|f| not_empty(&f));
    let greeting = greeting(&mut table, "greeting", "greeting_text", sources.base);
    let greeting_busy = self::greeting(
        &mut table,
        "greeting_busy",
        "greeting_busy_text",
        sources.base,
    );
    let usual = VoicemailBox::named("");
    let max = count(&mut table, "max_s", 5..=3600, usual.max.as_secs() as usize);
    let max = Duration::from_secs(max as u64);
    let min = seconds(&mut table, "min_s", 0, usual.min.as_secs());
    let silence = seconds_or_none(&mut table, "silence_s", 5);
    let max_messages = count(&mut table, "max_messages", 1..=1000, usual.max_messages);
    let keep = count(&mut table, "keep_days", 0..=36_500, 0) as u64;
    let email_field = table.field("email");
    let email = email_field
        .as_ref()
        .map_or_else(Vec::new, |field| list_of(field, address));
    if let Some(field) = &email_field {
        if email.len() > MAX_RECEIVERS {
            field.error(format!(
                "has more than {MAX_RECEIVERS} addresses, the limit"
            ));
        }
        if mail.by.is_none() && !email.is_empty() {
            field.error("needs [mail] with \"from\" and \"by\": nothing sends mail");
        }
    }
    let attach = flag(&mut table, "email_audio", true);
    let transcribe = flag(&mut table, "transcribe", true);
    table.finish();
    let named = named?;
    let one = VoicemailBox {
        name: name(&named)?.to_owned(),
        number,
        pin,
        endpoints: own,
        language: language.map(str::to_owned),
        greeting,
        greeting_busy,
        max,
        min,
        silence,
        max_messages,
        keep: (keep > 0).then(|| Duration::from_secs(keep * DAY as u64)),
        email,
        attach,
        transcribe,
        at: named.at(),
    };
    Some((named, one))
}

/// What is keyed in: 1 to 16 digits.
fn digits(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    if (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.to_owned());
    }
    field.expected("1 to 16 digits in quotes")
}

fn user(field: &Field<'_>, endpoints: &[Endpoint]) -> Option<String> {
    let user = field.string()?;
    let called = |each: &&Endpoint| each.user == user || each.extension.as_deref() == Some(user);
    let found = endpoints.iter().find(called);
    if found.is_none() {
        let users = endpoints.iter().map(|each| each.user.as_str());
        unknown(field, "endpoint", user, users);
    }
    Some(found?.user.clone())
}

fn greeting(
    table: &mut Table<'_>,
    file: &'static str,
    text: &'static str,
    base: &Path,
) -> Greeting {
    let (from_file, from_text) = (table.field(file), table.field(text));
    match (from_file, from_text) {
        (Some(_), Some(second)) => {
            second.error(format!(
                "\"{file}\" and \"{text}\" are both given; keep one"
            ));
            Greeting::Usual
        }
        (Some(field), None) => {
            not_empty(&field).map_or(Greeting::Usual, |path| Greeting::File(key_of(path, base)))
        }
        (None, Some(field)) => match not_empty(&field) {
            Some(text) if text.chars().count() <= MAX_GREETING => Greeting::Text(text.to_owned()),
            Some(_) => {
                field.error(format!(
                    "has more than {MAX_GREETING} characters, the limit"
                ));
                Greeting::Usual
            }
            None => Greeting::Usual,
        },
        (None, None) => Greeting::Usual,
    }
}

/// An address of mail, perhaps with a name before it.
fn address(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    if text.len() <= 320 && text.parse::<lettre::message::Mailbox>().is_ok() {
        return Some(text.to_owned());
    }
    field.expected("a mail address such as \"ann@example.com\" or \"Ann <ann@example.com>\"")
}

/// `[mail]`.
pub(super) fn mail(mut table: Table<'_>, sources: &Sources<'_>) -> Mail {
    let from = table.field("from");
    let by = table.field("by");
    let username = table.field("username").and_then(|f| not_empty(&f));
    let password = table.field("password_file");
    let password = password.and_then(|field| from_file(&field, sources));
    let timeout = seconds(&mut table, "timeout_s", 1, 30);
    if let (Some(by), None) = (&by, &from) {
        by.error("needs \"from\": the sender's address");
    }
    let login = username.map(str::to_owned).zip(password);
    let by = by.and_then(|field| mail_by(&field, login));
    table.finish();
    Mail {
        from: from.and_then(|field| address(&field)).unwrap_or_default(),
        by,
        timeout,
    }
}

fn mail_by(field: &Field<'_>, login: Option<(String, Secret)>) -> Option<MailBy> {
    const EXPECTED: &str = "\"tls:HOST\", \"starttls:HOST\", \"plain:HOST\", each with or without \":PORT\", or \"command:PROGRAM\"";
    let (kind, rest) = field.string()?.split_once(':').unwrap_or_default();
    if kind == "command" && !rest.is_empty() {
        return Some(MailBy::Command(rest.to_owned()));
    }
    let security = MailSecurity::ALL.iter().find(|(name, _)| *name == kind);
    let server = split_host_port(rest);
    match (security, server) {
        (Some((_, security)), Some(server)) => Some(MailBy::Smtp {
            server,
            security: *security,
            login,
        }),
        _ => field.expected(EXPECTED),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Greeting, MailBy, MailSecurity};

    const PHONES: &str = "[[endpoint]]\nuser = \"ann\"\npassword = \"x\"\nextension = \"201\"\n";
    const MAIL: &str = "[mail]\nfrom = \"PBX <pbx@example.com>\"\nby = \"plain:127.0.0.1:2525\"\n";

    fn config(text: &str) -> Result<Config, String> {
        Config::from_str("t", text).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_box_has_what_it_says_and_the_usual_else() {
        let text = format!(
            "{PHONES}{MAIL}[[voicemail]]\nname = \"sales\"\nnumber = \"100\"\npin = \"4711\"\nendpoints = [\"201\"]\n\
             greeting_text = \"Hello\"\ngreeting_busy = \"busy.wav\"\nmax_s = 60\nsilence_s = 0\nkeep_days = 2\nemail = [\"ann@example.com\"]\n\
             [[voicemail]]\nname = \"plain\"\n"
        );
        let config = config(&text).unwrap();
        let [sales, plain] = &config.voicemail[..] else {
            panic!("{:?}", config.voicemail)
        };
        assert_eq!(sales.endpoints, ["ann"]);
        assert_eq!(sales.greeting, Greeting::Text("Hello".to_owned()));
        assert_eq!(sales.greeting_busy, Greeting::File("busy.wav".to_owned()));
        assert_eq!((sales.max.as_secs(), sales.silence), (60, None));
        assert_eq!(sales.keep.unwrap().as_secs(), 2 * 86_400);
        assert_eq!((plain.max.as_secs(), plain.max_messages), (180, 100));
        assert!(plain.pin.is_none() && plain.greeting == Greeting::Usual);
        let smtp = config.mail.by.unwrap();
        assert!(matches!(
            smtp,
            MailBy::Smtp {
                security: MailSecurity::Plain,
                login: None,
                ..
            }
        ));
    }

    #[test]
    fn mistakes_are_told() {
        let one = |keys: &str| format!("{PHONES}[[voicemail]]\nname = \"sales\"\n{keys}\n");
        for (text, wrong) in [
            (one("number = \"1a\""), "1 to 16 digits"),
            (
                one("endpoints = [\"bob\"]"),
                "there is no [[endpoint]] \"bob\"",
            ),
            (one("email = [\"ann@example.com\"]"), "needs [mail]"),
            (one("greeting = \"a\"\ngreeting_text = \"b\""), "keep one"),
            (one("[[voicemail]]\nname = \"sales\""), "already given"),
            (
                one("number = \"1\"\n[[voicemail]]\nname = \"b\"\nnumber = \"1\""),
                "\"1\" is already given",
            ),
            (
                "[mail]\nby = \"smtp:mail\"\nfrom = \"a@b.c\"".to_owned(),
                "starttls:HOST",
            ),
            (
                "[mail]\nby = \"command:sendmail\"".to_owned(),
                "needs \"from\"",
            ),
            ("[mail]\nfrom = \"nobody\"".to_owned(), "a mail address"),
        ] {
            let error = config(&text).unwrap_err();
            assert!(error.contains(wrong), "{text}\n{error}");
        }
    }
}
