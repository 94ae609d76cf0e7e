//! The claim of a server on its store: a lock on a file beside it, free again when the process ends, however that comes.
//!
//! Two servers on one store would each take the other's calls for those of a process that was killed. `trunkline token` and its like claim nothing.
use super::error::{Cause, StoreError};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Held as long as the value lives.
#[derive(Debug)]
pub struct Claim(#[allow(dead_code, reason = "the lock is the open file")] File);

impl Claim {
    /// Claims the store at `path`.
    ///
    /// # Errors
    /// Another server has it, or the lock file cannot be opened.
    pub fn take(path: &Path) -> Result<Claim, StoreError> {
        let shown = path.display().to_string().into();
        let failed = |cause, text: String| StoreError::new(cause, text).of(&shown);
        let disk = |error: std::io::Error| failed(Cause::Disk, error.to_string());
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        if let Some(folder) = lock.parent().filter(|of| !of.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(disk)?;
        }
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&lock).map_err(disk)?;
        match file.try_lock() {
            Ok(()) => Ok(Claim(file)),
            Err(TryLockError::WouldBlock) => {
                let text = "another trunkline run has it; give each a store of its own";
                Err(failed(Cause::Busy, text.to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(disk(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub").join("store.db");
        let first = Claim::take(&path).unwrap();
        let second = Claim::take(&path).unwrap_err();
        assert_eq!(second.cause, Cause::Busy);
        assert!(
            second.to_string().contains("store.db: another process"),
            "{second}"
        );
        drop(first);
        Claim::take(&path).unwrap();
    }
}
