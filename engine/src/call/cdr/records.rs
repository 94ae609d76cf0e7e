//! Where records go: to the store, and as lines to the file of `[cdr]`. Both or either; without any they are made in vain.
use super::CdrWriter;
use crate::store::Store;
use serde_json::Value;
use std::path::Path;
use std::time::SystemTime;

/// See the module's text.
#[derive(Debug)]
pub(in super::super) struct Records {
    file: Option<CdrWriter>,
    store: Option<Store>,
}

impl Records {
    pub(in super::super) fn new(file: Option<CdrWriter>, store: Option<Store>) -> Records {
        Records { file, store }
    }

    /// Whether anybody keeps them.
    pub(in super::super) fn wanted(&self) -> bool {
        self.file.is_some() || self.store.is_some()
    }

    /// A call has begun: only the store knows of it, in case the process is killed.
    pub(in super::super) fn begun(&self, record: impl FnOnce() -> Value) {
        if let Some(store) = &self.store {
            store.post_cdr_begun(record());
        }
    }

    /// A call in progress was answered.
    pub(in super::super) fn answered(&self, call: &str, at: SystemTime) {
        if let Some(store) = &self.store {
            store.post_cdr_answered(call.to_owned(), at);
        }
    }

    /// A recording was only for its call.
    pub(in super::super) fn recording_gone(&self, path: &Path) {
        if let Some(store) = &self.store {
            store.post_recording_gone(path);
        }
    }

    /// A record is complete.
    pub(in super::super) fn write(&self, record: Value) {
        if let Some(file) = &self.file {
            file.write(record.to_string());
        }
        if let Some(store) = &self.store {
            store.post_cdr(record);
        }
    }
}
