//! The step `voicemail`: its keys and defaults.
use super::super::model::{Destination, Messaging, Step};
use super::Reader;
use crate::call::{VoicemailEnd, VoicemailPurpose};
use crate::config::document::field::{Field, Table};
use std::collections::BTreeMap;

impl Reader<'_> {
    /// `voicemail`: a message is left, or those there are heard.
    pub(super) fn voicemail_step(&self, table: &mut Table<'_>) -> Option<Step> {
        let listens = table
            .field("action")
            .and_then(|field| field.choice(&[("leave", false), ("listen", true)]));
        let listens = listens == Some(true);
        let busy = table.field("greeting");
        let busy = busy.and_then(|field| {
            field.choice(&[("unavailable", false), ("busy", true), ("normal", false)])
        });
        let skip_instructions = self.flag(table, "skip_instructions", false);
        // A phone has a box of its own.
        let named = table.has("voicemail") || table.has("voicemail_id") || !listens;
        let mailbox = match named {
            true => Some(self.named(table, "voicemail", "voicemail_id")),
            false => None,
        };
        // Wazo's: there is one context here.
        let _known = table.field("context");
        let exit_keys = self.stop_keys(table, "exit_keys", "");
        let prompt = table.field("prompt");
        let prompt = prompt.and_then(|field| self.prompt(&field, false));
        let fallbacks = table.field("fallbacks");
        let fallbacks = fallbacks.map(|field| self.voicemail_ends(&field));
        if let Some(field) = table.field("error_destination") {
            let _checked = self.then(&field);
        }
        let then = table.field("then").map(|field| self.then(&field));
        Some(Step::Voicemail(Box::new(Messaging {
            mailbox: match mailbox {
                Some(mailbox) => Some(mailbox?),
                None => None,
            },
            purpose: match listens {
                true => VoicemailPurpose::Listen,
                false => VoicemailPurpose::Leave {
                    busy: busy == Some(true),
                    skip_instructions,
                },
            },
            prompt: prompt.unwrap_or_default(),
            exit_keys,
            fallbacks: fallbacks.unwrap_or_default(),
            then: match then {
                Some(then) => Some(then?),
                None => None,
            },
        })))
    }

    fn voicemail_ends(&self, field: &Field<'_>) -> BTreeMap<String, Destination> {
        let mut found = BTreeMap::new();
        let Some(mut table) = field.table() else {
            return found;
        };
        for end in VoicemailEnd::ALL
            .map(|(name, _)| name)
            .into_iter()
            .chain(["key"])
        {
            if let Some(to) = table.field(end).and_then(|field| self.then(&field)) {
                found.insert(end.to_owned(), to);
            }
        }
        table.finish();
        found
    }
}
