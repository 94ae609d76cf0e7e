//! Destinations and what may follow them. Owns the list of destination types and which are built.
use super::super::model::{Destination, Prompt};
use super::Reader;
use crate::call::HangupCause;
use crate::config::document::field::{Field, Table};

/// The types that run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Goto,
    Menu,
    Repeat,
    Back,
    Hangup,
    Sound,
}

const KINDS: [(&str, Kind); 6] = [
    ("goto", Kind::Goto),
    ("menu", Kind::Menu),
    ("repeat", Kind::Repeat),
    ("back", Kind::Back),
    ("hangup", Kind::Hangup),
    ("sound", Kind::Sound),
];

/// Types of the schema, for destinations and nodes, that this version knows of and cannot run yet.
pub(super) const NOT_BUILT: &[&str] = &[
    "agent",
    "application",
    "custom",
    "directory",
    "extension",
    "group",
    "ivr",
    "language",
    "none",
    "outcall",
    "queue",
    "recording",
    "schedule",
    "switchboard",
    "transfer",
    "user",
    "voicemail",
    "webhook",
    "xml",
];

impl Reader<'_> {
    /// A destination object.
    pub(super) fn destination(&self, field: &Field<'_>) -> Option<Destination> {
        self.destination_then(field, None)
    }

    /// A destination object whose `then` may stand beside it, as in a menu's choice.
    pub(super) fn destination_then(
        &self,
        field: &Field<'_>,
        beside: Option<&Field<'_>>,
    ) -> Option<Destination> {
        let mut table = field.table()?;
        let kind = table.required("type")?;
        if not_built(&kind) {
            return None;
        }
        if kind.text() == Some("conference") {
            kind.error(
                "a conference is a node: write a node of that type and go there by \"goto\"",
            );
            return None;
        }
        let kind = kind.choice(&KINDS)?;
        if let (Some(beside), true) = (beside, kind != Kind::Sound) {
            beside.error("only \"sound\" goes on to something else: remove \"then\"");
        }
        let read = match kind {
            Kind::Goto => table
                .required("node")
                .and_then(|f| self.node_id(&f))
                .map(Destination::Goto),
            Kind::Menu => table
                .required("menu")
                .and_then(|f| self.menu_id(&f))
                .map(Destination::Menu),
            Kind::Repeat => Some(Destination::Repeat),
            Kind::Back => Some(Destination::Back),
            Kind::Hangup => Some(self.hangup(&mut table)),
            Kind::Sound => self.sound(&mut table, beside),
        };
        table.finish();
        read
    }

    fn hangup(&self, table: &mut Table<'_>) -> Destination {
        let (cause, prompt) = self.ending(table);
        Destination::Hangup { cause, prompt }
    }

    /// The keys of a hangup.
    pub(super) fn ending(&self, table: &mut Table<'_>) -> (HangupCause, Prompt) {
        let causes = [
            ("normal", HangupCause::Normal),
            ("busy", HangupCause::Busy),
            ("congestion", HangupCause::Congestion),
        ];
        let cause = table.field("cause").and_then(|field| field.choice(&causes));
        let prompt = table
            .field("prompt")
            .and_then(|field| self.prompt(&field, false));
        (
            cause.unwrap_or(HangupCause::Normal),
            prompt.unwrap_or_default(),
        )
    }

    fn sound(&self, table: &mut Table<'_>, beside: Option<&Field<'_>>) -> Option<Destination> {
        let prompt = table
            .required("prompt")
            .and_then(|field| self.prompt(&field, false));
        let inside = table.field("then");
        if let (Some(inside), Some(_)) = (&inside, beside) {
            inside.error("\"then\" is given beside the destination as well: give one of them");
        }
        let then = match inside.as_ref().or(beside) {
            Some(field) => self.then(field)?,
            None => Destination::Repeat,
        };
        Some(Destination::Sound {
            prompt: prompt?,
            then: Box::new(then),
        })
    }

    /// `then: stay | return | <destination>`.
    pub(super) fn then(&self, field: &Field<'_>) -> Option<Destination> {
        if field.text().is_some() {
            return field
                .choice(&[("stay", ()), ("return", ())])
                .map(|()| Destination::Repeat);
        }
        self.destination(field)
    }

    /// The key `then`; without it the call goes on in the menu that led here.
    pub(super) fn then_key(&self, table: &mut Table<'_>) -> Option<Destination> {
        table
            .field("then")
            .map_or(Some(Destination::Repeat), |field| self.then(&field))
    }
}

/// Refuses a type that is part of the schema and not built; says whether it did.
pub(super) fn not_built(kind: &Field<'_>) -> bool {
    let known = kind.text().filter(|kind| NOT_BUILT.contains(kind));
    if let Some(known) = known {
        kind.error(format!(
            "the type \"{known}\" is part of the flow schema, but not built into this version"
        ));
    }
    known.is_some()
}
