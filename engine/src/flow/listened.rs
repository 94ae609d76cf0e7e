//! What a flow knows after it has listened: `heard`, `heard_ms` and the key, if it was one.
use super::program::FlowProgram;
use crate::call::{ListenEnd, Listened, Outcome};

impl FlowProgram {
    /// Sets the variables; says whether nothing was heard in time.
    pub(super) fn note_listened(&mut self, outcome: Outcome) -> bool {
        let Outcome::Listened(Listened { end, after_ms }) = outcome else {
            return true;
        };
        let (heard, key) = match end {
            ListenEnd::Speech => ("speech", None),
            ListenEnd::Silence => ("silence", None),
            ListenEnd::Beep => ("beep", None),
            ListenEnd::Key(key) => ("key", Some(key)),
            ListenEnd::TimeLimit => ("timeout", None),
        };
        self.note_key(key);
        self.set("heard", heard.to_owned());
        self.set("heard_ms", after_ms.to_string());
        end == ListenEnd::TimeLimit
    }
}
