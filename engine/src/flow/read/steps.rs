//! Steps that dial, choose a language, record, go by the time or by a directory: their keys and defaults.
use super::super::directory::Directory;
use super::super::file_key;
use super::super::model::{
    Callee, DIAL_ENDS, Destination, Dialling, Prompt, ScheduleId, Step, same_language,
};
use super::super::pattern::KEYS;
use super::super::template::Template;
use super::Reader;
use super::schedule::OVERRIDES;
use crate::call::{OnMachine, RecordingControl};
use crate::config::document::field::{Field, Table, shown};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What `recording` does.
const ACTIONS: [(&str, Option<RecordingControl>); 4] = [
    ("start", None),
    ("stop", Some(RecordingControl::Stop)),
    ("pause", Some(RecordingControl::Pause)),
    ("resume", Some(RecordingControl::Resume)),
];

impl Reader<'_> {
    /// `extension`: a number, routed as if the caller had called it. `context` is Wazo's, where ours has one plan of numbers.
    pub(super) fn extension(&self, table: &mut Table<'_>) -> Option<Step> {
        let exten = table.required("exten");
        let _context = table.field("context").and_then(|field| field.string());
        let exten = exten?;
        let text = exten.string()?;
        if let Some(alias) = self.alias(text) {
            let step = self.dialling(table, Callee::Number(alias))?;
            return Some(step);
        }
        let number = self.template(&exten, text)?;
        self.warn_of_name(&exten, &number);
        self.dialling(table, Callee::Number(number))
    }

    /// What is no number, and no alias either, is most likely a mistake.
    fn warn_of_name(&self, field: &Field<'_>, number: &Template) {
        let dialled = |char: char| KEYS.contains(char) || "+-. ".contains(char);
        let name = number.fixed().filter(|number| !number.chars().all(dialled));
        if let Some(name) = name {
            field.warning(format!(
                "\"{}\" is no number and no alias: it is dialled as it is (aliases: the key \"aliases\" of the flow, [flow] of the configuration)",
                shown(name)
            ));
        }
    }

    pub(super) fn user(&self, table: &mut Table<'_>) -> Option<Step> {
        let user = self.named(table, "user", "user_id")?;
        self.dialling(table, Callee::User(user))
    }

    pub(super) fn group(&self, table: &mut Table<'_>) -> Option<Step> {
        let group = self.named(table, "group", "group_id")?;
        self.dialling(table, Callee::Group(group))
    }

    pub(super) fn outcall(&self, table: &mut Table<'_>) -> Option<Step> {
        let trunk = self.named(table, "trunk", "outcall_id");
        let number = table.required("exten");
        let number = number.and_then(|field| self.template(&field, field.string()?));
        let trunk = trunk?;
        let Some(trunk) = trunk.fixed() else {
            table.error("the trunk cannot be a variable");
            return None;
        };
        let to = Callee::Trunk {
            trunk: trunk.to_owned(),
            number: number?,
        };
        self.dialling(table, to)
    }

    /// `transfer`: as `extension`, by the names of `/transfers`.
    pub(super) fn transfer(&self, table: &mut Table<'_>) -> Option<Step> {
        let number = table.required("destination");
        if let Some(kind) = table.field("flow")
            && kind.choice(&[("blind", false), ("attended", true)]) == Some(true)
        {
            self.not_served(
                &kind,
                "an attended transfer is not served by this version; \"blind\" is".to_owned(),
            );
        }
        let number = number?;
        let text = number.string()?;
        let template = match self.alias(text) {
            Some(alias) => alias,
            None => self.template(&number, text)?,
        };
        self.dialling(table, Callee::Number(template))
    }

    /// The keys that all of these have.
    fn dialling(&self, table: &mut Table<'_>, to: Callee) -> Option<Step> {
        let prompt = self.prompt_of(table);
        let ring_ms = ["ring_time", "timeout"].map(|key| self.ms(table, key, 1.0, 600.0, 0));
        let _music = table.field("moh_uuid").and_then(|field| field.string());
        let on_machine = table.field("machine_detection");
        let on_machine = on_machine.and_then(|field| field.choice(&OnMachine::ALL));
        let mut fallbacks = BTreeMap::new();
        if let Some(mut ends) = table.field("fallbacks").and_then(|field| field.table()) {
            for end in DIAL_ENDS {
                let destination = ends.field(end).and_then(|field| self.then(&field));
                fallbacks.extend(destination.map(|destination| ((*end).to_owned(), destination)));
            }
            ends.finish();
        }
        let then = table.field("then").map(|field| self.then(&field));
        let then = match then {
            Some(None) => return None,
            Some(then) => then,
            None => None,
        };
        Some(Step::Dial(Dialling {
            to,
            prompt,
            ring_ms: ring_ms[0].max(ring_ms[1]),
            on_machine,
            fallbacks,
            then,
        }))
    }

    fn prompt_of(&self, table: &mut Table<'_>) -> Prompt {
        let field = table.field("prompt");
        field
            .and_then(|field| self.prompt(&field, false))
            .unwrap_or_default()
    }

    /// A name under our key or Wazo's, which may be a number there.
    pub(super) fn named(
        &self,
        table: &mut Table<'_>,
        key: &'static str,
        wazo: &'static str,
    ) -> Option<Template> {
        let (ours, theirs) = (table.field(key), table.field(wazo));
        let Some(field) = ours.or(theirs) else {
            table.error(format!("the key \"{key}\" is missing"));
            return None;
        };
        if let crate::config::document::Value::Int(number) = field.node.value {
            return self.template(&field, &number.to_string());
        }
        self.template(&field, field.string()?)
    }

    pub(super) fn language(&self, table: &mut Table<'_>) -> Option<Step> {
        let code = table.required("language");
        let code = code.and_then(|field| {
            let text = field.string()?;
            let template = self.template(&field, text)?;
            let listed = |code: &str| {
                self.languages
                    .iter()
                    .any(|language| same_language(&language.code, code))
            };
            let code = template.fixed();
            if code.is_some_and(|code| !super::is_language(code)) {
                return field.expected("a language such as \"en-US\"");
            }
            if let Some(code) = code
                && !self.languages.is_empty()
                && !listed(code)
            {
                let hint = self.hint(
                    code,
                    self.languages.iter().map(|language| language.code.as_str()),
                );
                field.error(format!("\"languages\" has no \"{}\"{hint}", shown(code)));
            }
            Some(template)
        });
        let prompt = self.prompt_of(table);
        let then = self.then_key(table);
        Some(Step::Language {
            code: code?,
            prompt,
            then: then?,
        })
    }

    pub(super) fn recording_step(&self, table: &mut Table<'_>) -> Option<Step> {
        let control = table
            .required("action")
            .and_then(|field| field.choice(&ACTIONS));
        let prompt = self.prompt_of(table);
        let then = self.then_key(table);
        Some(Step::Recording {
            control: control?,
            prompt,
            then: then?,
        })
    }

    pub(super) fn schedule_step(&self, table: &mut Table<'_>) -> Option<Step> {
        let schedule = table
            .required("schedule")
            .and_then(|field| self.schedule_id(&field));
        let open = table
            .required("open_destination")
            .and_then(|field| self.then(&field));
        let closed = table.field("closed_destination");
        let own = || {
            let schedule = self.schedules.get(schedule?.0)?;
            schedule.closed_destination.clone()
        };
        let closed = match closed {
            Some(field) => self.then(&field),
            None => own().or_else(|| {
                if schedule.is_some() {
                    table.error("the key \"closed_destination\" is missing, and the schedule has none either");
                }
                None
            }),
        };
        Some(Step::Schedule {
            schedule: schedule?,
            open: open?,
            closed: closed?,
        })
    }

    /// `hours`: sets a schedule by hand.
    pub(super) fn hours_step(&self, table: &mut Table<'_>) -> Option<Step> {
        let schedule = table.required("schedule");
        let schedule = schedule.and_then(|field| self.schedule_id(&field));
        let by_hand = table.required("override");
        let by_hand = by_hand.and_then(|field| field.choice(&OVERRIDES));
        let prompt = self.prompt_of(table);
        let then = self.then_key(table);
        Some(Step::Hours {
            schedule: schedule?,
            by_hand: by_hand?,
            prompt,
            then: then?,
        })
    }

    fn schedule_id(&self, field: &Field<'_>) -> Option<ScheduleId> {
        let id = field.string()?;
        let found = self.names.schedules.get(id).copied();
        if found.is_none() {
            let hint = self.hint(id, self.names.schedules.keys().map(String::as_str));
            field.error(format!("there is no schedule \"{}\"{hint}", shown(id)));
        }
        found
    }

    pub(super) fn directory(&self, table: &mut Table<'_>) -> Option<Step> {
        if table.field("url").is_some() {
            return self.directory_service(table);
        }
        let service = ["method", "body", "headers", "timeout_ms"];
        for key in service.into_iter().chain(["prompt", "error_destination"]) {
            if let Some(field) = table.field(key) {
                field.error("goes with a directory that a web service has: give its \"url\"");
            }
        }
        let file = table.required("file");
        let key = self
            .text(table, "key")
            .unwrap_or_else(|| "number".to_owned());
        let directory = file.and_then(|file| self.directory_file(&file, &key));
        let find = table.field("find");
        let find = match find {
            Some(field) => self.template(&field, field.string()?),
            None => Template::parse("${call.from}", &self.names.variables).ok(),
        };
        let set = table.field("set").and_then(|field| field.table());
        let set = set
            .iter()
            .flat_map(Table::entries)
            .filter_map(|(entry, field)| {
                let column = field.string()?;
                let known = directory
                    .as_ref()
                    .is_none_or(|directory| directory.has_column(column));
                if !known {
                    let columns = directory.iter().flat_map(|directory| directory.columns());
                    let hint = self.hint(column, columns.map(String::as_str));
                    field.error(format!(
                        "the directory has no column \"{}\"{hint}",
                        shown(column)
                    ));
                }
                Some((entry.key.clone(), column.to_owned()))
            });
        let set: Vec<_> = set.collect();
        let then = self.then_key(table);
        let otherwise = table.field("not_found").map(|field| self.then(&field));
        let otherwise: Option<Destination> = match otherwise {
            Some(given) => given,
            None => then.clone(),
        };
        Some(Step::Directory {
            directory: directory?,
            find: find?,
            set,
            then: then?,
            otherwise: otherwise?,
        })
    }

    fn directory_file(&self, field: &Field<'_>, key: &str) -> Option<Arc<Directory>> {
        let name = field.string()?;
        let path = file_key(self.base, name);
        if let Some(read) = self
            .directories
            .borrow()
            .get(&(path.clone(), key.to_owned()))
        {
            return Some(read.clone());
        }
        self.watched.borrow_mut().push(path.clone());
        let text = match self.around.text(&path) {
            Ok(text) => text,
            Err(message) => {
                field.error(format!("{} {message}", shown(&path)));
                return None;
            }
        };
        match Directory::parse(name, &text, key) {
            Ok(directory) => {
                let directory = Arc::new(directory);
                let kept = (path, key.to_owned());
                self.directories
                    .borrow_mut()
                    .insert(kept, directory.clone());
                Some(directory)
            }
            Err(wrong) => {
                field.error(format!(
                    "{}:{} {}",
                    shown(&path),
                    wrong.line,
                    shown(&wrong.message)
                ));
                None
            }
        }
    }
}
