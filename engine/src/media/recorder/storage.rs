//! Where a recording's octets go: a file, or what a test makes of it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Octets by their place, so that a write that failed half-way is simply done again.
pub(crate) trait Storage: std::fmt::Debug + Send {
    /// Writes all of `octets` at `at`.
    fn write_at(&mut self, octets: &[u8], at: u64) -> io::Result<()>;
}

impl Storage for File {
    fn write_at(&mut self, octets: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(octets, at)
    }
}

/// Makes the storage of a recording.
pub(crate) type Open = fn(&Path) -> io::Result<Box<dyn Storage>>;

/// Creates or truncates a file.
pub(crate) fn create(path: &Path) -> io::Result<Box<dyn Storage>> {
    Ok(Box::new(File::create(path)?))
}

/// Whether the disk has no room, which may pass.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
