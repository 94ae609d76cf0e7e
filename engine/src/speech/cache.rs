//! Audio that was made, on disk: one WAV file for each key. Written whole or not at all, kept over restarts, and bounded: what was used longest ago
//! goes first. A file that cannot be read is made anew. Blocks: for threads that may.
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// The most files, whatever their size.
const MAX_FILES: usize = 100_000;
/// The ending of a file that is being written.
const UNFINISHED: &str = "part";

/// See the module's text.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    max_octets: u64,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    files: HashMap<String, Kept>,
    octets: u64,
    /// Counts uses and names of unfinished files.
    count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    octets: u64,
    used: u64,
}

impl Cache {
    /// What the folder holds; makes it where it is not there.
    pub(super) fn open(folder: &Path, max_octets: u64) -> std::io::Result<Cache> {
        fs::create_dir_all(folder)?;
        let mut found: Vec<(SystemTime, String, u64)> = Vec::new();
        for entry in fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|ending| ending == UNFINISHED) {
                let _ = fs::remove_file(&path);
                continue;
            }
            let key = path.file_stem().and_then(|stem| stem.to_str());
            let (Some(key), Ok(meta)) = (key.filter(|key| is_key(key)), entry.metadata()) else {
                continue;
            };
            let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push((used, key.to_owned(), meta.len()));
        }
        found.sort();
        let mut index = Index::default();
        for (_, key, octets) in found {
            index.add(key, octets);
        }
        let cache = Cache {
            folder: folder.to_owned(),
            max_octets,
            index: Mutex::new(index),
        };
        cache.make_room(0);
        Ok(cache)
    }

    /// The file of that key.
    pub(super) fn read(&self, key: &str) -> Option<Vec<u8>> {
        {
            let mut index = self.index();
            index.count += 1;
            let now = index.count;
            index.files.get_mut(key)?.used = now;
        }
        let path = self.path(key);
        match fs::read(&path) {
            Ok(content) => {
                // The order of use is to outlive a restart.
                let touched = File::options().append(true).open(&path);
                let _ = touched.and_then(|file| file.set_modified(SystemTime::now()));
                Some(content)
            }
            Err(_) => {
                self.index().remove(key);
                None
            }
        }
    }

    /// Keeps a file; a larger one than fits at all is not kept.
    pub(super) fn write(&self, key: &str, content: &[u8]) -> std::io::Result<()> {
        let octets = content.len() as u64;
        if octets > self.max_octets {
            return Ok(());
        }
        let count = {
            let mut index = self.index();
            index.count += 1;
            index.count
        };
        let unfinished = self.folder.join(format!("{key}-{count}.{UNFINISHED}"));
        let written = File::create(&unfinished)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, self.path(key)));
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        self.make_room(octets);
        self.index().add(key.to_owned(), octets);
        Ok(())
    }

    /// Forgets a file that is of no use.
    pub(super) fn remove(&self, key: &str) {
        self.index().remove(key);
        let _ = fs::remove_file(self.path(key));
    }

    /// Octets and files.
    pub(super) fn size(&self) -> (u64, usize) {
        let index = self.index();
        (index.octets, index.files.len())
    }

    fn make_room(&self, octets: u64) {
        let mut gone = Vec::new();
        {
            let mut index = self.index();
            if index.octets + octets <= self.max_octets && index.files.len() < MAX_FILES {
                return;
            }
            // A tenth more than is needed: the table is sorted for many writes at a time.
            let goal = self.max_octets.saturating_sub(octets) / 10 * 9;
            let mut files: Vec<_> = index
                .files
                .iter()
                .map(|(key, kept)| (kept.used, key.clone()))
                .collect();
            files.sort_unstable();
            for (_, key) in files {
                if index.octets <= goal && index.files.len() < MAX_FILES / 10 * 9 {
                    break;
                }
                index.remove(&key);
                gone.push(key);
            }
        }
        for key in gone {
            let _ = fs::remove_file(self.path(&key));
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.wav"))
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn add(&mut self, key: String, octets: u64) {
        self.count += 1;
        let used = self.count;
        if let Some(before) = self.files.insert(key, Kept { octets, used }) {
            self.octets -= before.octets;
        }
        self.octets += octets;
    }

    fn remove(&mut self, key: &str) {
        if let Some(kept) = self.files.remove(key) {
            self.octets -= kept.octets;
        }
    }
}

/// Nothing else in the folder is ours.
fn is_key(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> String {
        format!("{number:064x}")
    }

    #[test]
    fn what_is_written_is_there_after_a_restart_and_what_was_not_finished_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1000).unwrap();
        assert_eq!(cache.read(&key(1)), None);
        cache.write(&key(1), b"one").unwrap();
        cache.write(&key(1), b"uno").unwrap();
        fs::write(folder.path().join(format!("{}-9.part", key(2))), "half").unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let again = Cache::open(folder.path(), 1000).unwrap();
        assert_eq!(again.read(&key(1)), Some(b"uno".to_vec()));
        assert_eq!(again.size(), (3, 1));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        fs::remove_file(folder.path().join(format!("{}.wav", key(1)))).unwrap();
        assert_eq!((again.read(&key(1)), again.size()), (None, (0, 0)));
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1000).unwrap();
        for number in 0..10 {
            cache.write(&key(number), &[0; 100]).unwrap();
        }
        assert_eq!(cache.size(), (1000, 10));
        assert!(cache.read(&key(0)).is_some());
        cache.write(&key(10), &[0; 100]).unwrap();
        assert!(cache.read(&key(0)).is_some() && cache.read(&key(10)).is_some());
        assert!(cache.read(&key(1)).is_none());
        assert!(cache.size().0 <= 1000);
        cache.write(&key(11), &[0; 1001]).unwrap();
        assert_eq!(cache.read(&key(11)), None);
        let smaller = Cache::open(folder.path(), 250).unwrap();
        assert!(smaller.size().0 <= 250);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_and_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1000).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        assert!(cache.write(&key(1), b"x").is_err());
        assert_eq!(cache.size(), (0, 0));
    }
}
