//! The file of tokens: JSON, readable by its owner only, replaced as a whole. `trunkline token` and the server may both have it open:
//! changes are made under a lock on a file beside it.
use super::{MOST_TOKENS, Scope, Token};
use rustix::fs::OFlags;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Largest file, in octets.
const MAX_FILE: u64 = 4 << 20;

/// Why the tokens could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file system said no.
    #[error("{path}: {cause}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        cause: std::io::Error,
    },
    /// The file is not one of ours.
    #[error("{path} is no file of tokens: {reason}")]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no room.
    #[error("there are {MOST_TOKENS} tokens, the limit: revoke some with trunkline token revoke")]
    Full,
}

/// Where tokens are kept.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The file at `path`; it need not exist.
    pub fn new(path: impl Into<PathBuf>) -> TokenFile {
        TokenFile { path: path.into() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// All tokens; none when there is no file.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn read(&self) -> Result<Vec<Token>, FileError> {
        let text = match std::fs::metadata(&self.path) {
            Ok(meta) if meta.len() > MAX_FILE => return Err(self.broken("it is too large")),
            Ok(_) => std::fs::read(&self.path).map_err(|cause| self.io(cause))?,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(self.io(cause)),
        };
        let value: Value =
            serde_json::from_slice(&text).map_err(|error| self.broken(&error.to_string()))?;
        let list = value["tokens"].as_array();
        let list = list.ok_or_else(|| self.broken("it has no list of tokens"))?;
        let tokens: Option<Vec<Token>> = list.iter().map(token).collect();
        tokens.ok_or_else(|| self.broken("a token lacks its id, digest, scopes or times"))
    }

    /// Changes the tokens under the lock; returns what `change` returns.
    ///
    /// # Errors
    /// See [`FileError`]; then nothing has changed.
    pub fn change<T>(&self, change: impl FnOnce(&mut Vec<Token>) -> T) -> Result<T, FileError> {
        let lock = self.open(&self.path.with_extension("lock"), false)?;
        lock.lock().map_err(|cause| self.io(cause))?;
        let mut tokens = self.read()?;
        let result = change(&mut tokens);
        if tokens.len() > MOST_TOKENS {
            return Err(FileError::Full);
        }
        let list: Vec<Value> = tokens.iter().map(value).collect();
        let text = format!("{:#}\n", json!({ "version": 1, "tokens": list }));
        self.replace(&self.path, text.as_bytes())?;
        Ok(result)
    }

    /// Writes a token's text to a file of its own beside this one, readable by its owner only; returns where.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn write_secret(&self, name: &str, text: &str) -> Result<PathBuf, FileError> {
        let path = self.path.with_file_name(name);
        self.replace(&path, format!("{text}\n").as_bytes())?;
        Ok(path)
    }

    fn replace(&self, path: &Path, text: &[u8]) -> Result<(), FileError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let staged = path.with_file_name(name);
        // One that was left behind may have other rights.
        let _ = std::fs::remove_file(&staged);
        let mut file = self.open(&staged, true)?;
        let written = file.write_all(text).and_then(|()| file.sync_all());
        let renamed = written.and_then(|()| std::fs::rename(&staged, path));
        renamed.map_err(|cause| self.io(cause))
    }

    fn open(&self, path: &Path, new: bool) -> Result<File, FileError> {
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        // Who owns the folder need not be who calls: a link is not followed, least of all by root.
        options.custom_flags(OFlags::NOFOLLOW.bits() as i32);
        match new {
            true => options.create_new(true),
            false => options.create(true).truncate(false),
        };
        let file = options.open(path).map_err(|cause| FileError::Io {
            path: path.to_owned(),
            cause,
        })?;
        self.give(&file);
        Ok(file)
    }

    /// Gives a file to whom the tokens belong, else the folder: root makes tokens for a server that is not root. Nobody else can, or has to.
    fn give(&self, file: &File) {
        let folder = self.path.parent().filter(|of| !of.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let owner = std::fs::symlink_metadata(&self.path).or_else(|_| std::fs::metadata(folder));
        let is_plain = file
            .metadata()
            .is_ok_and(|of| of.is_file() && of.nlink() == 1);
        if let (Ok(owner), true) = (owner, is_plain) {
            let _ = fchown(file, Some(owner.uid()), Some(owner.gid()));
        }
    }

    fn io(&self, cause: std::io::Error) -> FileError {
        FileError::Io {
            path: self.path.clone(),
            cause,
        }
    }

    fn broken(&self, reason: &str) -> FileError {
        FileError::Broken {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn value(token: &Token) -> Value {
    json!({
        "id": token.id,
        "digest": token.digest,
        "label": token.label,
        "scopes": token.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>(),
        "created": token.created.to_string(),
        "expires": token.expires.map(|at| at.to_string()),
    })
}

/// Scopes that this version does not know are left out: a token may lose rights by a downgrade, never gain some.
fn token(value: &Value) -> Option<Token> {
    let text = |key: &str| Some(value[key].as_str()?.to_owned());
    let scopes = value["scopes"].as_array()?.iter();
    Some(Token {
        id: text("id")?,
        digest: text("digest").filter(|digest| digest.len() == 64)?,
        label: text("label")?,
        scopes: scopes
            .filter_map(|name| Scope::named(name.as_str()?))
            .collect(),
        created: text("created")?.parse().ok()?,
        expires: match &value["expires"] {
            Value::Null => None,
            at => Some(at.as_str()?.parse().ok()?),
        },
    })
}
