//! What all legs of one call share: its name, the server's parts, and its place in the gauge of calls, which is free when the last leg is gone.
use super::Calls;
use super::caller::Caller;
use super::counters::Active;
use super::program::CallInfo;
use std::sync::Arc;

/// See the module's text.
pub(super) struct CallContext {
    pub(super) calls: Arc<Calls>,
    pub(super) info: CallInfo,
    pub(super) caller: Caller,
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
            calls,
            info,
            caller,
            _active: active,
        })
    }
}
