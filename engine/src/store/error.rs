//! Why the store could not do something.
use std::sync::Arc;

/// What went wrong, as the log and the metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// No room on the disk.
    Full,
    /// Another process holds the file.
    Busy,
    /// The file is no database, another program's, or broken.
    Corrupt,
    /// The disk refuses.
    Disk,
    /// More waits to be written than may.
    QueueFull,
    /// The store is closed.
    Closed,
    /// A defect of Trunkline.
    Defect,
}

impl Cause {
    /// All, in the order of the metrics.
    pub const ALL: [Cause; 7] = [
        Cause::Full,
        Cause::Busy,
        Cause::Corrupt,
        Cause::Disk,
        Cause::QueueFull,
        Cause::Closed,
        Cause::Defect,
    ];

    /// Its name in metrics and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Full => "disk-full",
            Cause::Busy => "busy",
            Cause::Corrupt => "corrupt",
            Cause::Disk => "disk",
            Cause::QueueFull => "queue-full",
            Cause::Closed => "closed",
            Cause::Defect => "defect",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Cause::Full => "the disk is full",
            Cause::Busy => "another process holds the file",
            Cause::Corrupt => "the file cannot be understood",
            Cause::Disk => "the disk refuses",
            Cause::QueueFull => "more waits to be written than the disk takes",
            Cause::Closed => "it is closed",
            Cause::Defect => "a defect of Trunkline",
        }
    }
}

/// See the module's text.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store {file}: {} ({text}); its file is [store] file in the configuration", cause.sentence())]
pub struct StoreError {
    /// Its class.
    pub cause: Cause,
    file: Arc<str>,
    text: Arc<str>,
}

impl StoreError {
    /// One whose file is told by the store that hands it out.
    pub fn new(cause: Cause, text: impl AsRef<str>) -> StoreError {
        StoreError {
            cause,
            file: Arc::from(""),
            text: Arc::from(text.as_ref()),
        }
    }

    /// The same, of this file.
    #[must_use]
    pub(super) fn of(mut self, file: &Arc<str>) -> StoreError {
        self.file = file.clone();
        self
    }
}
