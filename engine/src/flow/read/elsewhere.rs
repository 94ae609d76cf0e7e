//! Destinations that are read in full, and that this version does not serve yet: other programs. Owns their keys, so that a flow for a later version is checked today; a server refuses the flow and says which.
use super::super::model::Step;
use super::Reader;
use super::queue_node::name_of;
use crate::config::document::field::{Field, Table};

/// Types that are read and not served.
pub(super) const NOT_BUILT: &[&str] = &["application", "custom", "switchboard", "xml"];

/// Keys of each, with those of which one must be there.
const KEYS: &[(&str, &[&str], &[&str])] = &[
    (
        "application",
        &["application"],
        &["context", "email", "exten", "pin"],
    ),
    ("custom", &["command"], &[]),
    ("switchboard", &["switchboard_uuid"], &["ring_time"]),
    ("xml", &["url"], &["dialect"]),
];

/// What does the same here, or comes near it.
fn instead(kind: &str) -> &'static str {
    match kind {
        "application" => {
            ": \"directory\", \"conference\", \"extension\" or \"webhook\" does what it was for"
        }
        "custom" => {
            ": it is a command of Asterisk; \"webhook\" asks a program of yours, and \"extension\" leads to another number"
        }
        "switchboard" => ": callers wait in a \"queue\", whose agents take them",
        "xml" => {
            ": a [[number]] with \"webhook\" lets a program of yours drive the call, and \"extension\" leads there"
        }
        _ => "",
    }
}

impl Reader<'_> {
    /// Notes what this version does not serve.
    pub(super) fn not_served(&self, field: &Field<'_>, message: String) {
        let mut list = self.not_served.borrow_mut();
        if list.len() < crate::config::document::field::MAX_PROBLEMS {
            list.push(crate::config::Problem {
                at: field.at(),
                path: field.path.clone(),
                message,
            });
        }
    }

    /// A step of a type that is not served; `None`: it is of another type.
    pub(super) fn elsewhere(&self, kind: &Field<'_>, table: &mut Table<'_>) -> Option<Step> {
        let name = kind.text().filter(|name| NOT_BUILT.contains(name))?;
        self.not_served(
            kind,
            format!(
                "the type \"{name}\" is part of the flow schema, but not built into this version{}",
                instead(name)
            ),
        );
        let (_, either, further) = KEYS.iter().find(|(kind, ..)| *kind == name)?;
        let named: Vec<Field<'_>> = either.iter().filter_map(|key| table.field(key)).collect();
        if named.is_empty() {
            table.error(format!("the key \"{}\" is missing", either[0]));
        }
        for key in *further {
            let _known = table.field(key);
        }
        for key in ["prompt", "then", "error_destination", "fallbacks"] {
            self.on_the_way(table, key);
        }
        let which = named.first().and_then(name_of).unwrap_or_default();
        Some(Step::NotServed {
            kind: name.to_owned(),
            what: format!("{name} {which}").trim_end().to_owned(),
        })
    }

    fn on_the_way(&self, table: &mut Table<'_>, key: &'static str) {
        let Some(field) = table.field(key) else {
            return;
        };
        match key {
            "prompt" => {
                let _checked = self.prompt(&field, false);
            }
            "fallbacks" => {
                for (_, field) in field.table().iter().flat_map(Table::entries) {
                    let _checked = self.then(&field);
                }
            }
            _ => {
                let _checked = self.then(&field);
            }
        }
    }
}
