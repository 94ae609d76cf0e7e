//! What is played: pieces of prompts as audio, in the call's language.
use super::super::model::{Piece, Prompt, Spoken, same_language, spoken_text};
use super::super::{file_key, key_prompt};
use super::FlowProgram;
use crate::call::{Audio, CallInfo, Manner, Play, Repeat, Verb};
use crate::speech::{MAX_TEXT, Written, base_language, ssml, write};
use std::collections::BTreeMap;

impl FlowProgram {
    /// A play, unless there is nothing to play.
    pub(super) fn play(
        &self,
        call: &CallInfo,
        prompt: &Prompt,
        repeat: Repeat,
        stop_keys: &str,
        manner: Manner,
    ) -> Option<Verb> {
        let audio = self.audio(call, prompt);
        let stop_keys = stop_keys.to_owned();
        (!audio.is_empty()).then_some(Verb::Play(Play {
            audio,
            repeat,
            stop_keys,
            manner,
        }))
    }

    /// A piece whose variable is empty, or whose recording was not made, is left out. An id that is not there goes to the
    /// executor as a prompt it cannot find: that fails, is logged, and leads to the error destination.
    pub(super) fn audio(&self, call: &CallInfo, prompt: &Prompt) -> Vec<Audio> {
        let mut audio = Vec::new();
        for piece in &prompt.0 {
            match piece {
                Piece::Id(template) => {
                    let empty = template
                        .single()
                        .is_some_and(|(_, name, _)| self.look_up(call, name).is_empty());
                    let id = template.expand(|name| self.look_up(call, name));
                    if !empty {
                        self.by_id(call, &id, &mut audio);
                    }
                }
                Piece::Keys(template) => {
                    let keys = template.expand(|name| self.look_up(call, name));
                    let fit = |key: &char| super::super::pattern::KEYS[..12].contains(*key);
                    for key in keys.chars().filter(fit) {
                        self.by_id(call, &key_prompt(key), &mut audio);
                    }
                }
                piece => audio.extend(self.piece(call, piece)),
            }
        }
        audio
    }

    fn by_id(&self, call: &CallInfo, id: &str, audio: &mut Vec<Audio>) {
        match self.flow.prompts.get(id) {
            Some(prompt) => {
                audio.extend(prompt.0.iter().filter_map(|piece| self.piece(call, piece)));
            }
            // A far end may have written part of it: it must not become the path of a file.
            None => {
                let id = id.replace(['/', '\0'], "_");
                audio.push(Audio::Prompt(format!("no prompt {id}")));
            }
        }
    }

    fn piece(&self, call: &CallInfo, piece: &Piece) -> Option<Audio> {
        match piece {
            Piece::Fixed(audio) => Some(audio.clone()),
            Piece::Recording(name) => self.recordings.get(name).map(|id| Audio::Recording(*id)),
            Piece::File { base, name } => {
                let empty = name
                    .single()
                    .is_some_and(|(_, name, _)| self.look_up(call, name).is_empty());
                let key = || file_key(base, &name.expand(|name| self.look_up(call, name)));
                (!empty).then(|| Audio::Prompt(key()))
            }
            Piece::Url(url) => {
                let url = url.expand_made(|name| write(self.look_up(call, name), Written::Url));
                Some(Audio::Prompt(url))
            }
            Piece::Spoken(spoken) => self.spoken(call, spoken),
            // The definition of a prompt names no other prompt.
            Piece::Id(_) | Piece::Keys(_) => None,
        }
    }

    /// The file of the call's language, or of one that is near; else the text.
    fn spoken(&self, call: &CallInfo, spoken: &Spoken) -> Option<Audio> {
        if let Some((_, key)) = self.in_language(&spoken.files) {
            return Some(Audio::Prompt(key.clone()));
        }
        let (code, text) = self.in_language(&spoken.texts)?;
        let value = |name: &str| match spoken.manner.ssml {
            // What callers and services say is no tag.
            true => ssml::escaped(self.look_up(call, name)),
            false => self.look_up(call, name).to_owned(),
        };
        let text = match text.fixed() {
            Some(text) => text.to_owned(),
            None => text.expand_within(MAX_TEXT, value),
        };
        let usual = match &self.flow.languages[..] {
            [] => Some(self.language.as_str()).filter(|code| !code.is_empty()),
            _ => self.flow.default_language.as_deref(),
        };
        let code = Some(code.as_str()).filter(|code| !code.is_empty());
        let languages = &self.flow.languages;
        let speech = spoken_text(text, &spoken.manner, code, languages, usual);
        let silent = speech.text.trim().is_empty();
        (!silent).then(|| Audio::Speech(Box::new(speech)))
    }

    /// What is there for the call's language: that one, its base or another region of it; what is for any; the same of the
    /// flow's language; and else the first.
    fn in_language<'m, T>(&self, by_code: &'m BTreeMap<String, T>) -> Option<(&'m String, &'m T)> {
        let near = |wanted: &str| {
            let exact = by_code.iter().find(|(code, _)| same_language(code, wanted));
            let base = || {
                let base = base_language(wanted);
                let plain = by_code.iter().find(|(code, _)| same_language(code, base));
                plain.or_else(|| {
                    by_code.iter().find(|(code, _)| {
                        !code.is_empty() && same_language(base_language(code), base)
                    })
                })
            };
            if wanted.is_empty() {
                None
            } else {
                exact.or_else(base)
            }
        };
        let default = self.flow.default_language.as_deref().unwrap_or_default();
        near(&self.language)
            .or_else(|| by_code.get_key_value(""))
            .or_else(|| near(default))
            .or_else(|| by_code.iter().next())
    }
}
