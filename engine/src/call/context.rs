//! What all legs of one call share: its name, the server's parts, and its place in the gauge of calls, which is free when the last leg is gone.
use super::caller::Caller;
use super::cdr::{CallRecord, ConferenceStay, MAX_CONFERENCES, Times};
use super::control::{CallState, Facts, Orders};
use super::counters::Active;
use super::diary::Diary;
use super::events::EventKind;
use super::leg::End;
use super::program::CallInfo;
use super::recorded::RecordedFiles;
use super::{Calls, InForce};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

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
    /// What its program did.
    pub(super) diary: Diary,
    /// What is known of it outside.
    pub(super) facts: Mutex<Facts>,
    times: Mutex<Times>,
    conferences: Mutex<Vec<ConferenceStay>>,
    _active: Active,
}

impl CallContext {
    /// A call, and the orders to it.
    pub(super) fn begin(
        calls: Arc<Calls>,
        info: CallInfo,
        caller: Caller,
        active: Active,
    ) -> (Arc<CallContext>, Orders) {
        let call = Arc::new(CallContext {
            in_force: calls.in_force.load_full(),
            calls,
            info,
            caller,
            routed: OnceLock::new(),
            shard: OnceLock::new(),
            recorded: RecordedFiles::default(),
            diary: Diary::begin(Instant::now()),
            facts: Mutex::default(),
            times: Mutex::new(Times::begin()),
            conferences: Mutex::default(),
            _active: active,
        });
        let orders = call.calls.control.enter(&call);
        (call, orders)
    }

    /// It rings at the one whom it is for.
    pub(super) fn rings(&self) {
        self.facts(|facts| facts.state = CallState::Ringing);
        self.lock_times().ringing();
    }

    /// It is answered.
    pub(super) fn came_up(&self) {
        self.facts(|facts| facts.state = CallState::Answered);
        let first = {
            let mut times = self.lock_times();
            let first = times.answered.is_none();
            times.answer();
            times.answered.filter(|_| first)
        };
        if let Some(at) = first {
            self.calls.records.answered(&self.info.id, at);
        }
    }

    /// When it went through what.
    pub(super) fn times(&self) -> Times {
        self.lock_times().clone()
    }

    fn lock_times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The call is taken: from now on there is a record of it, whatever happens.
    pub(super) fn begun(&self) {
        self.calls.records.begun(|| self.as_json(None));
    }

    /// Writes the call's record.
    pub(super) fn record(&self, end: &End) {
        let records = &self.calls.records;
        if records.wanted() {
            records.write(self.as_json(Some(end)));
        }
    }

    fn as_json(&self, end: Option<&End>) -> Value {
        let times = self.times();
        let routed = self.routed.get();
        let stays = self.stays();
        let (tags, metadata) = self.facts(|facts| facts.annotations());
        let record = CallRecord {
            info: &self.info,
            caller: &self.caller,
            rule: routed.map(|(rule, _)| rule.as_str()),
            program: routed.map(|(_, program)| program.as_str()),
            recordings: self.recorded.as_json(),
            conferences: &stays,
            tags: &tags,
            metadata: &metadata,
            diary: &self.diary,
            times: &times,
            end,
        };
        record.value(times.now())
    }
}
