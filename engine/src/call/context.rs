//! What all legs of one call share: its name, the server's parts, and its place in the gauge of calls, which is free when the last leg is gone.
use super::caller::Caller;
use super::cdr::{CallRecord, ConferenceStay, MAX_CONFERENCES, Times};
use super::counters::Active;
use super::events::EventKind;
use super::leg::End;
use super::program::CallInfo;
use super::recorded::RecordedFiles;
use super::{Calls, InForce};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

/// See the module's text.
pub(super) struct CallContext {
    pub(super) calls: Arc<Calls>,
    /// What was in force when it began.
    pub(super) in_force: Arc<InForce>,
    pub(super) info: CallInfo,
    pub(super) caller: Caller,
    /// What routed the call, and the name of its program.
    pub(super) routed: OnceLock<(String, String)>,
    /// The media thread its first leg was opened on.
    pub(super) shard: OnceLock<usize>,
    /// What it has recorded.
    pub(super) recorded: RecordedFiles,
    conferences: Mutex<Vec<ConferenceStay>>,
    _active: Active,
}

impl CallContext {
    pub(super) fn new(
        calls: Arc<Calls>,
        info: CallInfo,
        caller: Caller,
        active: Active,
    ) -> Arc<CallContext> {
        Arc::new(CallContext {
            in_force: calls.in_force.load_full(),
            calls,
            info,
            caller,
            routed: OnceLock::new(),
            shard: OnceLock::new(),
            recorded: RecordedFiles::default(),
            conferences: Mutex::default(),
            _active: active,
        })
    }

    /// Tells an event of this call.
    pub(super) fn tell(&self, kind: EventKind, data: impl FnOnce() -> Value) {
        self.calls.events.tell(kind, Some(&self.info.id), data);
    }

    fn stays(&self) -> MutexGuard<'_, Vec<ConferenceStay>> {
        let stays = self.conferences.lock();
        stays.unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a conference it was in.
    pub(super) fn left_conference(&self, stay: ConferenceStay) {
        let mut stays = self.stays();
        if stays.len() < MAX_CONFERENCES {
            stays.push(stay);
        }
    }

    /// Writes the call's record.
    pub(super) fn record(&self, times: &Times, end: &End) {
        let Some(cdr) = &self.calls.cdr else { return };
        let routed = self.routed.get();
        let stays = self.stays();
        let record = CallRecord {
            info: &self.info,
            caller: &self.caller,
            rule: routed.map(|(rule, _)| rule.as_str()),
            program: routed.map(|(_, program)| program.as_str()),
            recordings: self.recorded.as_json(),
            conferences: &stays,
            times,
            end,
        };
        cdr.write(record.line(SystemTime::now()));
    }
}
