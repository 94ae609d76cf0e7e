//! A reader of SSML 1.1, as far as it is understood: speak, p, s, break, say-as, prosody, emphasis, sub, lang, voice, w, phoneme (its text). Other
//! elements are left out and their text is said, with a warning. Text that is no XML is said without its tags, with a warning.
//!
//! A document type is refused, and no entities are expanded but the five of XML and characters by number. Limits: [`MAX_DEPTH`] levels, and those
//! of a [`Script`].
use super::said;
use super::script::{Part, Script, Utterance};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// The deepest element.
pub const MAX_DEPTH: usize = 32;
/// The longest pause of one `break`, in ms.
const MAX_BREAK_MS: u32 = 10_000;
/// All pauses together, in ms.
const MAX_SILENCE_MS: u32 = 300_000;
/// After a paragraph, in ms.
const PARAGRAPH_MS: u32 = 500;

/// Reads `text` in the manner of `base` into `script`.
pub fn read(text: &str, base: &Utterance, script: &mut Script) {
    let mut reading = Reading::new(base, script);
    if let Err(wrong) = reading.document(text) {
        script.parts.clear();
        script.warn(format!(
            "SSML is not understood and said without its tags: {wrong}"
        ));
        script.say(&without_tags(text), base);
    }
}

/// One open element.
struct Open {
    manner: Utterance,
    /// How its text is said, by `say-as`.
    said_as: Option<(String, String)>,
    /// Its text is replaced by something that was said already.
    hidden: bool,
    /// A pause comes behind it, in ms.
    pause_ms: u32,
    /// What comes before and behind it are sentences of their own.
    apart: bool,
    /// Where its text begins in what is collected.
    from: usize,
}

struct Reading<'s> {
    script: &'s mut Script,
    open: Vec<Open>,
    base: Utterance,
    /// Text that was not said yet, and how.
    text: String,
    silence_ms: u32,
}

impl<'s> Reading<'s> {
    fn new(base: &Utterance, script: &'s mut Script) -> Reading<'s> {
        Reading {
            script,
            open: Vec::new(),
            base: base.clone(),
            text: String::new(),
            silence_ms: 0,
        }
    }

    fn document(&mut self, text: &str) -> Result<(), String> {
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => self.begin(&start)?,
                Event::Empty(start) => {
                    self.begin(&start)?;
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => self.add(&text.xml10_content()),
                Event::CData(text) => self.add(&text),
                Event::GeneralRef(of) => {
                    let char = match of.resolve_char_ref() {
                        Ok(Some(char)) => char.to_string(),
                        Ok(None) => predefined(&of)
                            .ok_or_else(|| format!("there is no entity \"{}\"", short(&of)))?
                            .to_owned(),
                        Err(error) => return Err(error.to_string()),
                    };
                    self.add(&char);
                }
                Event::DocType(_) => return Err("a document type is not read".to_owned()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        if !self.open.is_empty() {
            return Err("an element is not closed".to_owned());
        }
        self.say();
        Ok(())
    }

    fn add(&mut self, text: &str) {
        if !self.open.last().is_some_and(|open| open.hidden) {
            self.text.push_str(text);
        }
    }

    fn manner(&self) -> &Utterance {
        self.open.last().map_or(&self.base, |open| &open.manner)
    }

    /// What was collected is said in the present manner.
    fn say(&mut self) {
        let text = std::mem::take(&mut self.text);
        let manner = self.manner().clone();
        self.script.say(&text, &manner);
    }

    fn pause(&mut self, ms: u32) {
        let left = MAX_SILENCE_MS.saturating_sub(self.silence_ms);
        if ms > left {
            self.script.warn(format!(
                "pauses are cut at {} s in all",
                MAX_SILENCE_MS / 1000
            ));
        }
        let ms = ms.min(left);
        self.silence_ms += ms;
        if ms > 0 {
            self.script.push(Part::Pause { ms });
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("elements are nested more than {MAX_DEPTH} deep"));
        }
        let attributes = attributes(start)?;
        let value = |name: &str| {
            let found = attributes.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let hidden = self.open.last().is_some_and(|open| open.hidden);
        let mut open = Open {
            manner: self.manner().clone(),
            said_as: None,
            hidden,
            pause_ms: 0,
            apart: true,
            from: 0,
        };
        if let Some(language) = value("xml:lang").filter(|tag| is_language(tag)) {
            language.clone_into(&mut open.manner.language);
        }
        match start.name().as_ref() {
            "speak" | "s" | "lang" => {}
            "p" => open.pause_ms = PARAGRAPH_MS,
            "break" => {
                self.say();
                let ms = self.break_ms(value("time"), value("strength"));
                self.pause(ms);
            }
            "say-as" => {
                // A number amid a sentence is said in its breath.
                open.apart = false;
                let of = |name| value(name).unwrap_or_default().to_owned();
                open.said_as = Some((of("interpret-as"), of("format")));
            }
            "sub" => {
                open.apart = false;
                let alias = value("alias").unwrap_or_default().to_owned();
                self.add(&alias);
                open.hidden = true;
            }
            "w" | "phoneme" => open.apart = false,
            "mark" => open.apart = false,
            "prosody" => self.prosody(&mut open.manner, value),
            "emphasis" => emphasise(&mut open.manner, value("level").unwrap_or("moderate")),
            "voice" => {
                if let Some(name) = value("name").filter(|name| !name.is_empty()) {
                    short(name).clone_into(&mut open.manner.voice);
                }
            }
            other => {
                open.apart = false;
                let other = short(other);
                self.script
                    .warn(format!("<{other}> is not understood and left out"));
            }
        }
        if open.apart {
            self.say();
        }
        open.from = self.text.len();
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.last() else { return };
        if let Some((kind, format)) = open.said_as.clone() {
            let (from, language) = (open.from, open.manner.language.clone());
            // A break inside has said what came before it.
            let inside = self.text.split_off(from.min(self.text.len()));
            let said = said::said_as(&kind, &format, inside.trim(), &language);
            if said.is_none() {
                let kind = short(&kind);
                self.script.warn(format!(
                    "say-as \"{kind}\" is not understood here: the text is said as it is"
                ));
            }
            self.text.push_str(&said.unwrap_or(inside));
        }
        let Some(open) = self.open.last() else { return };
        let (apart, pause_ms) = (open.apart, open.pause_ms);
        if apart {
            self.say();
        }
        self.open.pop();
        self.pause(pause_ms);
    }

    fn break_ms(&mut self, time: Option<&str>, strength: Option<&str>) -> u32 {
        if let Some(time) = time {
            match ms(time) {
                Some(ms) if ms <= MAX_BREAK_MS => return ms,
                Some(_) => {
                    self.script
                        .warn(format!("a break is cut at {} s", MAX_BREAK_MS / 1000));
                    return MAX_BREAK_MS;
                }
                None => self
                    .script
                    .warn(format!("break time \"{}\" is no time", short(time))),
            }
        }
        match strength.unwrap_or("medium") {
            "none" => 0,
            "x-weak" => 100,
            "weak" => 250,
            "strong" => 750,
            "x-strong" => 1250,
            _ => 500,
        }
    }

    fn prosody<'v>(&mut self, manner: &mut Utterance, value: impl Fn(&str) -> Option<&'v str>) {
        for (name, apply) in [
            ("rate", rate as fn(&mut Utterance, &str) -> Option<()>),
            ("pitch", pitch),
            ("volume", volume),
        ] {
            if let Some(text) = value(name)
                && apply(manner, text.trim()).is_none()
            {
                let text = short(text);
                self.script
                    .warn(format!("prosody {name} \"{text}\" is not understood"));
            }
        }
        for name in ["range", "contour", "duration"] {
            if value(name).is_some() {
                self.script
                    .warn(format!("prosody {name} is not understood and left out"));
            }
        }
    }
}

/// The attributes by name.
fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    let each = start.attributes().map(|attribute| {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| error.to_string())?;
        Ok((attribute.key.as_ref().to_owned(), value.into_owned()))
    });
    each.take(32).collect()
}

/// The five entities of XML 1.0 (section 4.6).
fn predefined(name: &str) -> Option<&'static str> {
    Some(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "apos" => "'",
        "quot" => "\"",
        _ => return None,
    })
}

/// Whether it looks like an IETF tag, or a locale's name with `_`.
pub(super) fn is_language(tag: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (2..=35).contains(&tag.len())
        && tag.starts_with(|first: char| first.is_ascii_alphabetic())
        && tag.bytes().all(fits)
}

/// A time of CSS: `500ms`, `1.5s`.
fn ms(text: &str) -> Option<u32> {
    let text = text.trim();
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (text.strip_suffix('s')?, 1000.0),
    };
    let ms = number.trim().parse::<f64>().ok()? * factor;
    (0.0..=f64::from(u32::MAX))
        .contains(&ms)
        .then_some(ms as u32)
}

fn emphasise(manner: &mut Utterance, level: &str) {
    let (rate, pitch, db) = match level {
        "strong" => (85, 10, 3),
        "reduced" => (110, -5, -3),
        "none" => (100, 0, 0),
        _ => (92, 5, 2),
    };
    let rate = u32::from(manner.rate_percent) * rate / 100;
    manner.rate_percent = rate.clamp(20, 400) as u16;
    manner.pitch_percent = manner.pitch_percent.saturating_add(pitch).clamp(-50, 100);
    manner.volume_db = manner.volume_db.saturating_add(db).clamp(-60, 12);
}

fn rate(manner: &mut Utterance, text: &str) -> Option<()> {
    let percent = match text {
        "x-slow" => 50.0,
        "slow" => 75.0,
        "medium" | "default" => 100.0,
        "fast" => 125.0,
        "x-fast" => 175.0,
        _ => match percent(text)? {
            // SSML 1.1: `+10%` is relative, `110%` is of the usual.
            change if text.starts_with(['+', '-']) => 100.0 + change,
            percent => percent,
        },
    };
    let rate = f64::from(manner.rate_percent) * percent / 100.0;
    manner.rate_percent = rate.clamp(20.0, 400.0) as u16;
    Some(())
}

fn pitch(manner: &mut Utterance, text: &str) -> Option<()> {
    let change = match text {
        "x-low" => -30.0,
        "low" => -15.0,
        "medium" | "default" => 0.0,
        "high" => 20.0,
        "x-high" => 40.0,
        _ => match text.strip_suffix("st") {
            // A semitone is a twelfth of an octave.
            Some(steps) => (2f64.powf(steps.parse::<f64>().ok()? / 12.0) - 1.0) * 100.0,
            None => percent(text)?,
        },
    };
    let pitch = f64::from(manner.pitch_percent) + change;
    manner.pitch_percent = pitch.clamp(-50.0, 100.0) as i8;
    Some(())
}

fn volume(manner: &mut Utterance, text: &str) -> Option<()> {
    let db = match text {
        "silent" => -60.0,
        "x-soft" => -12.0,
        "soft" => -6.0,
        "medium" | "default" => 0.0,
        "loud" => 6.0,
        "x-loud" => 10.0,
        _ => text.strip_suffix("dB")?.trim().parse::<f64>().ok()?,
    };
    let db = f64::from(manner.volume_db) + db;
    manner.volume_db = db.clamp(-60.0, 12.0) as i8;
    Some(())
}

fn percent(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim().parse::<f64>().ok()?;
    number.is_finite().then_some(number)
}

/// Text as it stands in a warning.
fn short(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(40)
        .collect()
}

/// Text as it has to stand in SSML so that nothing of it is a tag.
pub fn escaped(text: &str) -> String {
    super::placeholders::write(text, super::placeholders::Written::Xml)
}

/// The text without its tags. A `<` that nothing closes ends it.
pub fn without_tags(text: &str) -> String {
    let mut parts = text.split('<');
    let first = parts.next().unwrap_or_default().to_owned();
    let said = |part: &str| part.split_once('>').map_or("", |(_, said)| said).to_owned();
    let text = parts.fold(first, |text, part| text + " " + &said(part));
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&apos;", "'")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::super::Speech;
    use super::super::script::Usual;
    use super::*;

    fn script(ssml: &str) -> Script {
        let speech = Speech {
            ssml: true,
            ..Speech::plain(ssml)
        };
        let usual = Usual {
            language: "en-US".to_owned(),
            voice: None,
        };
        Script::of(&speech, &usual)
    }

    /// One line: text with what differs from the usual, and pauses.
    fn shown(script: &Script) -> String {
        let parts = script.parts.iter().map(|part| match part {
            Part::Pause { ms } => format!("[{ms}]"),
            Part::Say(said) => {
                let mut text = said.text.clone();
                for (name, value, usual) in [
                    ("rate", i64::from(said.rate_percent), 100),
                    ("pitch", i64::from(said.pitch_percent), 0),
                    ("dB", i64::from(said.volume_db), 0),
                ] {
                    if value != usual {
                        text += &format!(" {name}={value}");
                    }
                }
                if said.language != "en-US" {
                    text += &format!(" {}", said.language);
                }
                text
            }
        });
        parts.collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn elements_mean_what_they_say() {
        for (ssml, expected) in [
            (
                "<speak>Hello &amp; good &#98;ye</speak>",
                "Hello & good bye",
            ),
            ("Hello", "Hello"),
            (
                "<speak>One<break time=\"500ms\"/>two<break/>three</speak>",
                "One | [500] | two | [500] | three",
            ),
            (
                "<speak>a<break time='1.5s'/>b<break strength='x-strong'/>c<break strength='none'/>d</speak>",
                "a | [1500] | b | [1250] | c | d",
            ),
            (
                "<speak><p>One.</p><p><s>Two.</s><s>Three.</s></p></speak>",
                "One. | [500] | Two. | Three. | [500]",
            ),
            (
                "<speak>Code <say-as interpret-as=\"digits\">1234</say-as> please</speak>",
                "Code 1 2 3 4 please",
            ),
            (
                "<speak>The <sub alias=\"World Wide Web\">WWW</sub> is big</speak>",
                "The World Wide Web is big",
            ),
            (
                "<speak><prosody rate=\"slow\">slow <prosody rate='50%' pitch='+10%' volume='loud'>slower</prosody></prosody> end</speak>",
                "slow rate=75 | slower rate=37 pitch=10 dB=6 | end",
            ),
            (
                "<speak><prosody rate=\"+20%\" pitch='-2st' volume='-6dB'>x</prosody></speak>",
                "x rate=120 pitch=-10 dB=-6",
            ),
            (
                "<speak>It is <emphasis level='strong'>very</emphasis> good</speak>",
                "It is | very rate=85 pitch=10 dB=3 | good",
            ),
            (
                "<speak>Say <lang xml:lang=\"es-ES\">hola</lang> now</speak>",
                "Say | hola es-ES | now",
            ),
            ("<speak xml:lang='es-ES'>hola</speak>", "hola es-ES"),
            (
                "<speak><w role='x'>read</w> <phoneme alphabet='ipa' ph='x'>pecan</phoneme></speak>",
                "read pecan",
            ),
            (
                "<?xml version=\"1.0\"?><!-- no --><speak><![CDATA[a < b]]></speak>",
                "a < b",
            ),
        ] {
            let script = script(ssml);
            assert_eq!(shown(&script), expected, "{ssml}");
            assert_eq!(script.warnings, [""; 0], "{ssml}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_and_the_rest_is_said() {
        for (ssml, expected, warning) in [
            (
                "<speak>a <amazon:effect name='whispered'>b</amazon:effect></speak>",
                "a b",
                "<amazon:effect>",
            ),
            (
                "<speak><audio src='http://x/y.wav'>else</audio></speak>",
                "else",
                "<audio>",
            ),
            (
                "<speak><say-as interpret-as='expletive'>x</say-as></speak>",
                "x",
                "say-as \"expletive\"",
            ),
            (
                "<speak><prosody rate='quick' contour='x'>x</prosody></speak>",
                "x",
                "prosody rate \"quick\"",
            ),
            (
                "<speak>a<break time='1h'/>b</speak>",
                "a | [500] | b",
                "break time \"1h\"",
            ),
            (
                "<speak>a<break time='60s'/>b</speak>",
                "a | [10000] | b",
                "cut at 10 s",
            ),
            ("<speak>a <b>c", "a c", "without its tags"),
            (
                "<speak>a &nbsp; b</speak>",
                "a &nbsp; b",
                "without its tags",
            ),
            (
                "<!DOCTYPE x [<!ENTITY a \"b\">]><speak>&a;</speak>",
                "]> &a;",
                "document type",
            ),
            ("<speak></p>a</speak>", "a", "without its tags"),
        ] {
            let script = script(ssml);
            assert_eq!(shown(&script), expected, "{ssml}");
            let told = script.warnings.join("; ");
            assert!(told.contains(warning), "{ssml}: {told}");
        }
    }

    #[test]
    fn depth_and_silence_have_limits() {
        let deep = "<s>".repeat(MAX_DEPTH + 1) + "x" + &"</s>".repeat(MAX_DEPTH + 1);
        let told = script(&deep).warnings.join("; ");
        assert!(told.contains("nested"), "{told}");
        let pauses = "<break time='10s'/>".repeat(60);
        let script = script(&format!("<speak>{pauses}x</speak>"));
        let silence: u32 = script
            .parts
            .iter()
            .map(|part| match part {
                Part::Pause { ms } => *ms,
                Part::Say(_) => 0,
            })
            .sum();
        assert_eq!(silence, MAX_SILENCE_MS);
    }
}
