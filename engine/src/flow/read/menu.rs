//! Menus and the keys they share with `collect`. Owns the defaults, and that every choice can be reached.
use super::super::model::{Choice, Input, Menu};
use super::super::pattern::{KEYS, MAX_KEYS, Pattern};
use super::super::spoken;
use super::{DAY, Reader};
use crate::config::document::field::{Field, Table};
use std::cmp::Ordering;
use std::collections::HashMap;

/// To the first digit, in ms (confd).
const TIMEOUT_MS: u32 = 5000;
/// Between digits, in ms.
const INTER_DIGIT_MS: u32 = 2000;
/// Tries of a menu (confd).
const MAX_TRIES: i64 = 3;
/// The most patterns of a menu that are compared with each other.
const MAX_COMPARED: usize = 100;

impl Reader<'_> {
    pub(super) fn menu(&self, id: &str, field: &Field<'_>) -> Option<Menu> {
        let mut table = field.table()?;
        let choices = self.choices(&mut table);
        let input = self.input(&mut table, choices.as_deref().unwrap_or_default(), 0.0);
        let prompt = self.prompt_key(&mut table, "menu_prompt", "menu_sound");
        if table.field("menu_prompt").is_none() && table.field("menu_sound").is_none() {
            table.error("the key \"menu_prompt\" is missing");
        }
        let mut optional = |key, alias| self.prompt_key(&mut table, key, alias).unwrap_or_default();
        let greeting = optional("greeting_prompt", "greeting_sound");
        let invalid = optional("invalid_prompt", "invalid_sound");
        let timeout = optional("timeout_prompt", "timeout_sound");
        let abort = optional("abort_prompt", "abort_sound");
        let tries = table.field("max_tries").and_then(|f| f.integer(1..=100));
        let mut destination = |key| table.field(key).and_then(|f| self.destination(&f));
        let menu = Menu {
            id: id.to_owned(),
            invalid_destination: destination("invalid_destination"),
            timeout_destination: destination("timeout_destination"),
            abort_destination: destination("abort_destination"),
            max_tries: tries.unwrap_or(MAX_TRIES) as u32,
            prompt: prompt.unwrap_or_default(),
            choices: choices.unwrap_or_default(),
            greeting,
            invalid,
            timeout,
            abort,
            input,
        };
        table.finish();
        Some(menu)
    }

    fn choices(&self, table: &mut Table<'_>) -> Option<Vec<Choice>> {
        let field = table.required("choices")?;
        let items = field.list()?;
        if items.is_empty() {
            return field.expected("a list of at least one choice");
        }
        let mut seen: HashMap<String, u32> = HashMap::new();
        let mut choices: Vec<Choice> = items
            .iter()
            .filter_map(|item| self.choice(item, &mut seen))
            .collect();
        warn_of_crossings(&field, &choices);
        // A stable sort: of two equally narrow patterns the first in the file wins.
        choices.sort_by(|a, b| a.exten.narrower(&b.exten));
        Some(choices)
    }

    fn choice(&self, field: &Field<'_>, seen: &mut HashMap<String, u32>) -> Option<Choice> {
        let mut table = field.table()?;
        let exten = table.required("exten");
        let said = table.field("phrases");
        let phrases = said.and_then(|field| spoken::phrases(&field));
        let then = table.field("then");
        let destination = table
            .required("destination")
            .and_then(|f| self.destination_then(&f, then.as_ref()));
        table.finish();
        let exten = exten?;
        let text = exten.string()?;
        if let Some(line) = seen.insert(text.to_owned(), exten.at().line) {
            exten.error(format!("is already given in line {line}"));
        }
        let exten = Pattern::parse(text)
            .map_err(|message| exten.error(message))
            .ok()?;
        Some(Choice {
            exten,
            phrases: phrases.unwrap_or_default(),
            destination: destination?,
        })
    }

    /// The keys about collecting digits; `choices` is empty for `collect`.
    pub(super) fn input(
        &self,
        table: &mut Table<'_>,
        choices: &[Choice],
        least_timeout: f64,
    ) -> Input {
        let longest = choices
            .iter()
            .map(|choice| choice.exten.longest())
            .max()
            .unwrap_or(1);
        let max_digits = match table.field("max_digits") {
            None => longest,
            Some(field) => field
                .integer(1..=MAX_KEYS as i64)
                .map_or(longest, |digits| {
                    let most = choices.iter().max_by_key(|choice| choice.exten.shortest());
                    let beyond = most.filter(|most| most.exten.shortest() > digits as usize);
                    let Some(choice) = beyond else {
                        return digits as usize;
                    };
                    let (exten, keys) = (choice.exten.as_str(), choice.exten.shortest());
                    field.warning(format!(
                        "is {digits}, but the choice \"{exten}\" has more keys: {keys} are waited for"
                    ));
                    keys
                }),
        };
        Input {
            timeout_ms: self.ms(table, "timeout", least_timeout, 3600.0, TIMEOUT_MS),
            inter_digit_ms: self.ms(table, "inter_digit_timeout", 0.1, 3600.0, INTER_DIGIT_MS),
            max_digits,
            finish_on: self.finish_on(table, choices, max_digits),
            barge_in: self.flag(table, "barge_in", true),
            typeahead: self.flag(table, "typeahead", false),
            sensitive: self.flag(table, "sensitive", false),
            speech: spoken::hearing(
                table,
                choices.iter().any(|choice| !choice.phrases.is_empty()),
            ),
        }
    }

    /// Absent: `#`, unless one key is all that is asked for or a choice has `#` in it. Empty text: none.
    fn finish_on(
        &self,
        table: &mut Table<'_>,
        choices: &[Choice],
        max_digits: usize,
    ) -> Option<char> {
        let Some(field) = table.field("finish_on_key") else {
            let free = max_digits > 1
                && !choices.iter().any(|choice| {
                    !choice.exten.as_str().ends_with(['.', '!']) && choice.exten.contains('#')
                });
            return free.then_some('#');
        };
        let text = field.string()?;
        let mut keys = text.chars();
        let key = match (keys.next(), keys.next()) {
            (None, _) => return None,
            (Some(key), None) if KEYS.contains(key) => key,
            _ => return field.expected("one key, or \"\" for none"),
        };
        let hidden = choices
            .iter()
            .find(|choice| choice.exten.as_str().contains(key));
        if let Some(choice) = hidden {
            field.error(format!(
                "\"{key}\" ends the entry, so the choice \"{}\" could never be made",
                choice.exten.as_str()
            ));
        }
        Some(key)
    }

    /// Keys that stop something: each a key, or `any`.
    pub(super) fn stop_keys(
        &self,
        table: &mut Table<'_>,
        key: &'static str,
        default: &str,
    ) -> String {
        let Some(field) = table.field(key) else {
            return default.to_owned();
        };
        match field.string() {
            Some("any") => KEYS.to_owned(),
            Some(text) if text.chars().all(|key| KEYS.contains(key)) => text.to_owned(),
            Some(_) => field
                .expected("keys such as \"*#\" (of 0-9 * # A-D), or \"any\"")
                .unwrap_or_default(),
            None => String::new(),
        }
    }

    /// Seconds as ms, from a tenth of a second to a day.
    pub(super) fn limit_ms(&self, table: &mut Table<'_>, key: &'static str, default: u32) -> u32 {
        self.ms(table, key, 0.1, DAY, default)
    }
}

/// Warns of patterns that match the same keys where neither is plainly the exception to the other.
fn warn_of_crossings(field: &Field<'_>, choices: &[Choice]) {
    let is_pattern = |choice: &&Choice| choice.exten.as_str().starts_with('_');
    let patterns: Vec<&Choice> = choices
        .iter()
        .filter(is_pattern)
        .take(MAX_COMPARED)
        .collect();
    for (index, second) in patterns.iter().enumerate() {
        let earlier = patterns[..index].iter();
        for first in earlier.filter(|first| first.exten.crosses(&second.exten)) {
            let by_width = [first, second].map(|choice| choice.exten.as_str());
            let counts = match first.exten.narrower(&second.exten) {
                Ordering::Greater => by_width[1],
                Ordering::Less | Ordering::Equal => by_width[0],
            };
            field.warning(format!(
                "the patterns \"{}\" and \"{}\" match the same keys: of these \"{counts}\" counts",
                by_width[0], by_width[1]
            ));
        }
    }
}
