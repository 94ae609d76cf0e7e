//! Prompts: ids, inline forms, lists of them, and the files they name. Owns which files a flow can ask for.
use super::super::model::{Piece, Prompt, Spoken, SpokenManner, same_language, spoken_text};
use super::super::pattern::KEYS;
use super::super::template::{Template, TemplateError};
use super::super::{FlowText, PromptFile, file_key, key_prompt, made_file};
use super::Reader;
use crate::call::{Audio, ToneSpec};
use crate::config::document::Value;
use crate::config::document::field::{Field, Table, shown};
use crate::fetch;
use crate::media::tone_source::{self, TONE};
use crate::speech::{base_language, ssml};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The most pieces of one prompt.
const MAX_PIECES: usize = 100;
/// The longest tone or silence, in ms.
const MAX_MS: i64 = 600_000;
/// Level of a tone that names none, in dBm0.
const TONE_LEVEL: f32 = -10.0;

impl Reader<'_> {
    /// The section `prompts`. Definitions name no other prompts, so there is nothing to go round in.
    pub(super) fn prompt_definitions(&self, root: &mut Table<'_>) -> HashMap<String, Prompt> {
        let table = root.field("prompts").and_then(|field| field.table());
        let entries = table.iter().flat_map(Table::entries);
        entries
            .map(|(entry, field)| {
                let items = if field.is_list() {
                    field.list().unwrap_or_default()
                } else {
                    vec![field]
                };
                let one = |item| self.defined(item, Some(&entry.key).filter(|_| items.len() == 1));
                let pieces = items.iter().filter_map(one).collect();
                (entry.key.clone(), Prompt(pieces))
            })
            .collect()
    }

    /// A prompt value. `sound` says that text which is no id is a file's name, as confd's `*_sound` keys have it.
    pub(super) fn prompt(&self, field: &Field<'_>, sound: bool) -> Option<Prompt> {
        let items = if field.is_list() {
            field.list()?
        } else {
            vec![field.clone()]
        };
        let mut pieces = Vec::new();
        for item in items {
            match item.text() {
                Some(id) => pieces.extend(self.by_id(&item, id, sound)?.0),
                None => pieces.push(self.defined(&item, None)?),
            }
        }
        if pieces.len() > MAX_PIECES {
            field.error(format!("a prompt has at most {MAX_PIECES} pieces"));
        }
        Some(Prompt(pieces))
    }

    /// The key `*_prompt`, or its alias `*_sound`.
    pub(super) fn prompt_key(
        &self,
        table: &mut Table<'_>,
        key: &'static str,
        alias: &'static str,
    ) -> Option<Prompt> {
        let (prompt, sound) = (table.field(key), table.field(alias));
        if let (Some(_), Some(sound)) = (&prompt, &sound) {
            sound.error(format!(
                "is the same as \"{key}\", which is given as well: give one of them"
            ));
        }
        prompt
            .and_then(|f| self.prompt(&f, false))
            .or_else(|| self.prompt(&sound?, true))
    }

    fn by_id(&self, field: &Field<'_>, id: &str, sound: bool) -> Option<Prompt> {
        if let Some(prompt) = self.prompts.get(id) {
            return Some(prompt.clone());
        }
        if let Some(text) = id.strip_prefix(TONE) {
            return self
                .written_tone(field, text)
                .map(|piece| Prompt(vec![piece]));
        }
        let template = self.template(field, id)?;
        if template.fixed().is_some() && sound {
            return Some(Prompt(vec![self.file(field, id)?]));
        }
        if template.fixed().is_some() {
            let hint = self.hint(id, self.prompts.keys().map(String::as_str));
            field.error(format!("there is no prompt \"{}\"{hint}", shown(id)));
            return None;
        }
        self.check_candidates(field, &template);
        Some(Prompt(vec![Piece::Id(template)]))
    }

    /// Every id that the template can become must be there, as far as that can be known.
    fn check_candidates(&self, field: &Field<'_>, template: &Template) {
        let missing: Vec<String> = match self.candidates(template) {
            Some(ids) => ids
                .into_iter()
                .filter(|id| !self.prompts.contains_key(id))
                .collect(),
            None => Vec::new(),
        };
        if !missing.is_empty() {
            field.error(format!(
                "can become a prompt that is not there: {}",
                missing.join(", ")
            ));
        }
        let could = |id: &String| {
            template
                .single()
                .is_none_or(|(before, _, after)| id.starts_with(before) && id.ends_with(after))
        };
        if missing.is_empty() && !self.prompts.keys().any(could) {
            field.error("there is no prompt that this could become");
        }
    }

    /// What a template with one variable can become, where the values are a known list. An empty value becomes nothing.
    fn candidates(&self, template: &Template) -> Option<BTreeSet<String>> {
        let (before, name, after) = template.single()?;
        let values = self.names.values.get(name)?.as_ref()?;
        let values = values.iter().filter(|value| !value.is_empty());
        Some(
            values
                .map(|value| format!("{before}{value}{after}"))
                .collect(),
        )
    }

    /// A piece that is no id. `id` is the prompt's, where this is all of it: files made from its text are found by that.
    fn defined(&self, field: &Field<'_>, id: Option<&String>) -> Option<Piece> {
        if field.text().is_some() {
            return field.expected("a table such as {\"file\": \"welcome.wav\"}");
        }
        let mut table = field.table()?;
        let forms =
            ["file", "tone", "silence_ms", "recording", "url", "keys"].map(|key| table.field(key));
        let (text, say) = (table.field("text"), table.field("say"));
        if let (Some(_), Some(say)) = (&text, &say) {
            say.error("is the same as \"text\", which is given as well: give one of them");
        }
        let text = text.or(say);
        let manner = self.manner(&mut table);
        // Texts are made at load whether it is said or not.
        let _made_at_load = self.flag(&mut table, "prerender", false);
        table.finish();
        let [file, tone, silence, recording, url, keys] = &forms;
        if forms.iter().flatten().count() > 1 {
            return field.expected(
                "one of \"file\", \"url\", \"tone\", \"silence_ms\" or \"recording\" alone",
            );
        }
        if let Some(url) = url {
            return self.url(url);
        }
        let texts = match &text {
            Some(text) => self.texts(text)?,
            None => BTreeMap::new(),
        };
        match (file, tone, silence, recording, keys, text) {
            (Some(file), ..) => self.files(file, texts, manner),
            (_, Some(tone), ..) => self.tone(tone),
            (_, _, Some(silence), ..) => {
                let ms = silence.integer(1..=MAX_MS)? as u32;
                Some(Piece::Fixed(Audio::Silence { ms }))
            }
            (_, _, _, Some(recording), ..) => self.recording(recording),
            (.., Some(keys), _) => self.keys(keys),
            (.., Some(text)) => Some(self.spoken(&text, id, texts, manner)),
            _ => field.expected(
                "a prompt: one of \"file\", \"url\", \"text\", \"tone\", \"silence_ms\" or \"recording\"",
            ),
        }
    }

    /// Text, or text by language; the language `""` is any.
    fn texts(&self, field: &Field<'_>) -> Option<BTreeMap<String, Template>> {
        let template = |field: &Field<'_>| self.template(field, field.string()?);
        if field.text().is_some() {
            return Some(BTreeMap::from([(String::new(), template(field)?)]));
        }
        let table = field.table_or("text in quotes, or texts by language")?;
        let texts: Vec<_> = table
            .entries()
            .map(|(entry, field)| {
                self.check_language(&field, &entry.key);
                Some((entry.key.clone(), template(&field)?))
            })
            .collect();
        let texts: BTreeMap<_, _> = texts.into_iter().collect::<Option<_>>()?;
        let missing: Vec<&str> = self
            .languages
            .iter()
            .filter(|language| {
                !texts
                    .keys()
                    .any(|code| same_language(base_language(code), base_language(&language.code)))
            })
            .map(|language| language.code.as_str())
            .collect();
        if !missing.is_empty() {
            field.warning(format!("has no text in {}", missing.join(", ")));
        }
        Some(texts)
    }

    fn check_language(&self, field: &Field<'_>, code: &str) {
        // `es` may stand for every `es-…`.
        let known = self
            .languages
            .iter()
            .any(|language| same_language(base_language(&language.code), base_language(code)));
        if !known && !self.languages.is_empty() {
            let hint = self.hint(
                code,
                self.languages.iter().map(|language| language.code.as_str()),
            );
            field.error(format!("\"languages\" has no \"{}\"{hint}", shown(code)));
        }
    }

    /// A file, or files by language.
    fn files(
        &self,
        field: &Field<'_>,
        texts: BTreeMap<String, Template>,
        manner: SpokenManner,
    ) -> Option<Piece> {
        if !matches!(field.node.value, Value::Map(_)) {
            let piece = self.file(field, field.string()?)?;
            if let (Piece::Fixed(Audio::Prompt(key)), Some(text)) = (&piece, texts.values().next())
            {
                self.note_spoken(key, text, &manner);
            }
            return Some(piece);
        }
        let table = field.table()?;
        let mut files = BTreeMap::new();
        for (entry, field) in table.entries() {
            self.check_language(&field, &entry.key);
            let Some(name) = field.string() else { continue };
            match self.file(&field, name) {
                Some(Piece::Fixed(Audio::Prompt(key))) => {
                    let text = texts.iter().find(|(code, _)| same_language(code, &entry.key));
                    if let Some((_, text)) = text {
                        self.note_spoken(&key, text, &manner);
                    }
                    files.insert(entry.key.clone(), key);
                }
                Some(_) => field.error("cannot hold variables: give each its own prompt, and put the variable into the prompt's id"),
                None => {}
            }
        }
        if files.is_empty() {
            return field.expected("a file for at least one language");
        }
        let spoken = Spoken {
            files,
            texts,
            manner,
        };
        self.note_texts(None, &spoken);
        Some(Piece::Spoken(spoken))
    }

    /// How texts are spoken.
    fn manner(&self, table: &mut Table<'_>) -> SpokenManner {
        let rate = table
            .field("rate")
            .and_then(|field| field.number(0.2..=4.0));
        let language = table.field("language").and_then(|field| {
            let code = field.string()?;
            self.check_language(&field, code);
            Some(code.to_owned())
        });
        SpokenManner {
            ssml: self.flag(table, "ssml", false),
            voice: self.text(table, "voice"),
            language,
            rate_percent: rate.map_or(0, |rate| (rate * 100.0).round() as u16),
        }
    }

    /// Notes what can be spoken before any call: texts without variables that no file says.
    fn note_texts(&self, id: Option<&String>, spoken: &Spoken) {
        for (code, text) in &spoken.texts {
            let covered = |files: &BTreeMap<String, String>| {
                files
                    .keys()
                    .any(|file| file.is_empty() || same_language(file, code))
            };
            let Some(text) = text.fixed() else {
                continue;
            };
            let code = Some(code.clone()).filter(|code| !code.is_empty());
            let speech = spoken_text(
                text.to_owned(),
                &spoken.manner,
                code.as_deref(),
                &self.languages,
                self.default_language.as_deref(),
            );
            let list = match (covered(&spoken.files), id) {
                (true, None) => continue,
                (true, Some(_)) => &self.made_texts,
                (false, _) => &self.texts,
            };
            list.borrow_mut().push(FlowText {
                id: id.cloned(),
                code,
                speech,
            });
        }
    }

    fn note_spoken(&self, key: &str, text: &Template, manner: &SpokenManner) {
        let text = text.expand_made(|name| format!("${{{name}}}"));
        let text = if manner.ssml {
            ssml::without_tags(&text)
        } else {
            text
        };
        self.spoken.borrow_mut().insert(key.to_owned(), text);
    }

    /// Text alone. A file made from it is taken where it is: `prompts/ID`, or `prompts/ID.LANGUAGE`, beside the flow.
    fn spoken(
        &self,
        field: &Field<'_>,
        id: Option<&String>,
        texts: BTreeMap<String, Template>,
        manner: SpokenManner,
    ) -> Piece {
        let made = |code: &str| {
            let name = made_file(id?, code)?;
            let key = file_key(self.base, &name);
            self.around.is_there(&key).then_some((name, key))
        };
        let codes = texts
            .keys()
            .map(String::as_str)
            .chain(self.languages.iter().map(|language| language.code.as_str()));
        let mut files = BTreeMap::new();
        for code in codes.chain([""]).collect::<BTreeSet<_>>() {
            if let Some((name, key)) = made(code) {
                self.need(field, &name);
                let text = texts.get(code).or_else(|| texts.values().next());
                if let Some(text) = text {
                    self.note_spoken(&key, text, &manner);
                }
                files.insert(code.to_owned(), key);
            }
        }
        let spoken = Spoken {
            files,
            texts,
            manner,
        };
        self.note_texts(id, &spoken);
        Piece::Spoken(spoken)
    }

    fn keys(&self, field: &Field<'_>) -> Option<Piece> {
        let template = self.template(field, field.string()?)?;
        let missing: Vec<String> = KEYS[..12]
            .chars()
            .map(key_prompt)
            .filter(|id| !self.names.prompts.contains(id))
            .collect();
        if !missing.is_empty() {
            field.error(format!(
                "reads out prompts that are not there: {}",
                missing.join(", ")
            ));
        }
        Some(Piece::Keys(template))
    }

    fn file(&self, field: &Field<'_>, name: &str) -> Option<Piece> {
        if name.is_empty() {
            return field.expected("the name of a file");
        }
        let template = self.template(field, name)?;
        if template.fixed().is_some() {
            return Some(Piece::Fixed(Audio::Prompt(self.need(field, name))));
        }
        let Some(names) = self.candidates(&template) else {
            field.error("the files this can become cannot be told in advance: define each as a prompt and put the variable into the prompt's id");
            return None;
        };
        for name in &names {
            self.need(field, name);
        }
        Some(Piece::File {
            base: self.base.to_owned(),
            name: template,
        })
    }

    /// Fetched when it is first played. A variable may stand after the host only: who fills it in must not choose the server.
    fn url(&self, field: &Field<'_>) -> Option<Piece> {
        let url = field.string()?;
        let host = url.split_once("://").map(|(_, rest)| rest);
        let host = host.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
        if !fetch::is_url(url) || host.is_none_or(str::is_empty) {
            return field.expected("a URL such as \"https://example.com/welcome.wav\"");
        }
        if host.is_some_and(|host| host.contains('$')) {
            field.error("the host of a URL cannot be a variable");
            return None;
        }
        let template = self.template(field, url)?;
        Some(match template.fixed() {
            Some(url) => Piece::Fixed(Audio::Prompt(url.to_owned())),
            None => Piece::Url(template),
        })
    }

    /// Notes that a file is needed and gives its key.
    fn need(&self, field: &Field<'_>, name: &str) -> String {
        let key = file_key(self.base, name);
        let file = PromptFile {
            key: key.clone(),
            at: field.at(),
        };
        self.files.borrow_mut().entry(key.clone()).or_insert(file);
        key
    }

    /// As it stands behind `tone:`.
    fn written_tone(&self, field: &Field<'_>, text: &str) -> Option<Piece> {
        if let Err(wrong) = tone_source::check(text) {
            field.error(wrong);
            return None;
        }
        let key = format!("{TONE}{text}");
        let file = PromptFile {
            key: key.clone(),
            at: field.at(),
        };
        self.files.borrow_mut().entry(key.clone()).or_insert(file);
        Some(Piece::Fixed(Audio::Prompt(key)))
    }

    fn tone(&self, field: &Field<'_>) -> Option<Piece> {
        if let Some(text) = field.text() {
            return self.written_tone(field, text);
        }
        let mut table = field.table()?;
        let hz = table.required("hz").and_then(|hz| frequencies(&hz));
        let ms = table.required("ms").and_then(|ms| ms.integer(1..=MAX_MS));
        let dbm0 = table
            .field("dbm0")
            .and_then(|level| level.number(-60.0..=3.0));
        table.finish();
        let dbm0 = dbm0.map_or(TONE_LEVEL, |level| level as f32);
        Some(Piece::Fixed(Audio::Tone(ToneSpec {
            hz: hz?,
            dbm0,
            ms: ms? as u32,
        })))
    }

    fn recording(&self, field: &Field<'_>) -> Option<Piece> {
        let name = field.string()?;
        if self.names.recordings.contains(name) {
            return Some(Piece::Recording(name.to_owned()));
        }
        let hint = self.hint(name, self.names.recordings.iter().map(String::as_str));
        field.error(format!(
            "no record_message sets the recording \"{}\"{hint}",
            shown(name)
        ));
        None
    }

    /// Text with variables.
    pub(super) fn template(&self, field: &Field<'_>, text: &str) -> Option<Template> {
        match Template::parse(text, &self.names.variables) {
            Ok(template) => return Some(template),
            Err(TemplateError::Unclosed) => field.error("\"${\" has no \"}\""),
            Err(TemplateError::Unknown(name)) => {
                let hint = self.hint(&name, self.names.variables.iter().map(String::as_str));
                field.error(format!("there is no variable \"{}\"{hint}", shown(&name)));
            }
        }
        None
    }
}

fn frequencies(field: &Field<'_>) -> Option<[f32; 2]> {
    let one = |field: &Field<'_>| field.number(1.0..=4000.0).map(|hz| hz as f32);
    if !field.is_list() {
        return Some([one(field)?, 0.0]);
    }
    match &field.list()?[..] {
        [single] => Some([one(single)?, 0.0]),
        [first, second] => Some([one(first)?, one(second)?]),
        _ => field.expected("one or two frequencies in Hz"),
    }
}
