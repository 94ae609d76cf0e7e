//! Voicemail: the verb, and what follows each end of the visit.
use super::super::model::Messaging;
use super::{FlowProgram, Move};
use crate::call::{CallInfo, HangupCause, Verb, Voicemail, VoicemailEnd, Voicemailed};

impl FlowProgram {
    pub(super) fn voicemail(&self, call: &CallInfo, messaging: &Messaging) -> Verb {
        let mailbox = messaging.mailbox.as_ref();
        Verb::Voicemail(Box::new(Voicemail {
            mailbox: mailbox.map(|name| self.expand(call, name)),
            purpose: messaging.purpose,
            language: self.language.clone(),
            exit_keys: messaging.exit_keys.clone(),
        }))
    }

    /// The step's way for that end, what follows otherwise; else the call ends.
    pub(super) fn after_voicemail<'f>(
        &mut self,
        messaging: &'f Messaging,
        done: &Voicemailed,
    ) -> Move<'f> {
        let end = done.end.name();
        let key = match done.end {
            VoicemailEnd::Key(key) => key.to_string(),
            _ => String::new(),
        };
        self.set("voicemail_status", end.to_owned());
        self.set("voicemail_key", key);
        self.set(
            "voicemail_message",
            done.message.clone().unwrap_or_default(),
        );
        let to = messaging.fallbacks.get(end).or(messaging.then.as_ref());
        match (to, done.end) {
            (Some(to), _) => Move::To(to),
            (None, VoicemailEnd::Unknown | VoicemailEnd::Full | VoicemailEnd::Failed) => {
                Move::Do(self.end(HangupCause::Congestion))
            }
            (None, _) => Move::Do(self.end(HangupCause::Normal)),
        }
    }
}
