//! Destinations and what may follow them. Owns the list of destination types and which are built.
use super::super::model::{Destination, Piece, Prompt};
use super::Reader;
use crate::call::{Audio, HangupCause, ToneSpec};
use crate::config::document::field::{Field, Table};
use std::sync::Arc;

/// The types that are no step: they lead somewhere or end the call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Goto,
    Menu,
    Ivr,
    Repeat,
    Back,
    Hangup,
    None,
    Sound,
}

const WAYS: [(&str, Way); 8] = [
    ("goto", Way::Goto),
    ("menu", Way::Menu),
    ("ivr", Way::Ivr),
    ("repeat", Way::Repeat),
    ("back", Way::Back),
    ("hangup", Way::Hangup),
    ("none", Way::None),
    ("sound", Way::Sound),
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
        let way = WAYS.iter().find(|(name, _)| kind.text() == Some(name));
        let read = match way {
            Some((_, way)) => self.way(*way, &mut table, beside),
            None => self.unnamed(&kind, &mut table, beside),
        };
        table.finish();
        read
    }

    fn way(
        &self,
        way: Way,
        table: &mut Table<'_>,
        beside: Option<&Field<'_>>,
    ) -> Option<Destination> {
        if let (Some(beside), true) = (beside, way != Way::Sound) {
            beside.error("this type goes on to nothing else: remove \"then\"");
        }
        match way {
            Way::Goto => table
                .required("node")
                .and_then(|f| self.node_id(&f))
                .map(Destination::Goto),
            Way::Menu => table
                .required("menu")
                .and_then(|f| self.menu_id(&f))
                .map(Destination::Menu),
            Way::Ivr => table
                .required("ivr_id")
                .and_then(|f| self.menu_id(&f))
                .map(Destination::Menu),
            Way::Repeat => Some(Destination::Repeat),
            Way::Back => Some(Destination::Back),
            Way::Hangup => Some(self.hangup(table)),
            Way::None => Some(Destination::Hangup {
                cause: HangupCause::Normal,
                prompt: Prompt::default(),
            }),
            Way::Sound => self.sound(table, beside),
        }
    }

    /// A step that stands where a destination may: it needs no node of its own.
    fn unnamed(
        &self,
        kind: &Field<'_>,
        table: &mut Table<'_>,
        beside: Option<&Field<'_>>,
    ) -> Option<Destination> {
        let names = WAYS.iter().map(|(name, _)| *name);
        let mut step = self.step(kind, table, &names.collect::<Vec<_>>())?;
        if let Some(beside) = beside {
            if table.has("then") {
                beside.error("\"then\" is given inside the destination as well: give one of them");
            }
            let then = self.then(beside)?;
            if !step.go_on(then) {
                beside.error("this type goes on to nothing else: remove \"then\"");
            }
        }
        Some(Destination::Step(Arc::new(step)))
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
        let mut prompt = prompt.unwrap_or_default();
        let cause = cause.unwrap_or(HangupCause::Normal);
        if let Some(field) = table.field("timeout") {
            match (cause, field.integer(0..=60)) {
                (HangupCause::Normal, Some(_)) => {
                    field.error("goes with the causes \"busy\" and \"congestion\" only: it is how long their tone is heard");
                }
                (cause, Some(seconds)) => prompt.0.extend(engaged(cause, seconds)),
                (_, None) => {}
            }
        }
        (cause, prompt)
    }

    fn sound(&self, table: &mut Table<'_>, beside: Option<&Field<'_>>) -> Option<Destination> {
        let prompt = self.sound_prompt(table);
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

    /// The key `prompt`, or confd's `filename`.
    pub(super) fn sound_prompt(&self, table: &mut Table<'_>) -> Option<Prompt> {
        for key in ["skip", "no_answer"] {
            let field = table.field(key);
            if let Some(field) = field
                && field.boolean() == Some(true)
            {
                field.warning("has no effect: the call is answered when it is played");
            }
        }
        if let Some(file) = table.field("filename") {
            return self.prompt(&file, true);
        }
        let prompt = table.required("prompt")?;
        self.prompt(&prompt, false)
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

/// So many seconds of the tone that says the same: busy 0.5 s on and off, congestion 0.25 s (ITU-T E.180).
fn engaged(cause: HangupCause, seconds: i64) -> impl Iterator<Item = Piece> {
    let (ms, beats) = if cause == HangupCause::Busy {
        (500, seconds)
    } else {
        (250, seconds * 2)
    };
    (0..beats).flat_map(move |_| {
        let tone = ToneSpec {
            hz: [425.0, 0.0],
            dbm0: -10.0,
            ms,
        };
        [
            Piece::Fixed(Audio::Tone(tone)),
            Piece::Fixed(Audio::Silence { ms }),
        ]
    })
}
