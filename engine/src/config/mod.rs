//! The TOML configuration file: its types, its defaults and the rules a value must obey.
//!
//! Owns `trunkline.toml`, from text to a [`Config`] in which every value is typed and checked. It opens no socket, reads no
//! flow and no prompt. Limits: 1 MiB of text. All mistakes of a file are reported at once, each with line and column.
pub mod document;
mod network;
mod pattern;
mod pin;
mod read;
mod secret;
mod types;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_callers;
#[cfg(test)]
mod tests_queues;

pub use document::problem::{At, Problem, Problems};
pub use network::{Network, NetworkError};
pub use pattern::{NumberPattern, PatternError};
pub use pin::{LOCKED, MAX_WRONG_PINS, PinRefused, PinTries};
pub(crate) use read::{join_when_empty, leave_when_empty, read_callback};
pub use secret::Secret;
pub use types::*;

use std::ops::RangeInclusive;
use std::path::Path;

/// The embedded default configuration, which is also what `make install` puts in place.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// Where Linux says from which ports it takes those of outgoing connections.
const EPHEMERAL_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

impl Config {
    /// Reads and checks a file. Paths of flows are taken from the file's folder.
    ///
    /// # Errors
    /// Every mistake found, sorted by position; an unreadable file is one problem at 1:1.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let text = document::read_text(path, &name)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let sources = read::Sources {
            base,
            read_secret: &read_secret,
        };
        let mut config = read::config(&name, &sources, &text)?;
        config.warn_ephemeral(ephemeral_range());
        Ok(config)
    }

    /// The embedded default configuration. Paths are taken from the working folder.
    ///
    /// # Errors
    /// None as shipped (a test holds it); the type is that of [`Config::load`].
    pub fn embedded() -> Result<Self, Problems> {
        let mut config = Self::from_str("default.toml", DEFAULT_TOML)?;
        config.warn_ephemeral(ephemeral_range());
        Ok(config)
    }

    /// Checks text that came from elsewhere; `name` stands for the file in messages. Looks at nothing but the text: passwords in files of
    /// their own stay empty, and nobody can authenticate with an empty one.
    ///
    /// # Errors
    /// As [`Config::load`].
    #[allow(clippy::should_implement_trait)] // it takes the name that the errors need
    pub fn from_str(name: &str, text: &str) -> Result<Self, Problems> {
        read::config(name, &read::Sources::text_only(), text)
    }

    /// The trunk of that name.
    pub fn trunk(&self, name: &str) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.name == name)
    }

    /// The endpoint of that user.
    pub fn endpoint(&self, user: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.user == user)
    }

    /// The endpoint of that user or extension.
    pub fn endpoint_called(&self, name: &str) -> Option<&Endpoint> {
        let called = |endpoint: &&Endpoint| {
            endpoint.user == name || endpoint.extension.as_deref() == Some(name)
        };
        self.endpoints.iter().find(called)
    }

    /// The ring group of that name.
    pub fn ring_group(&self, name: &str) -> Option<&RingGroup> {
        self.ring_groups.iter().find(|group| group.name == name)
    }

    fn warn_ephemeral(&mut self, ephemeral: Option<RangeInclusive<u16>>) {
        let Some(ephemeral) = ephemeral else { return };
        let ports = self.media.ports;
        if ports.first <= *ephemeral.end() && *ephemeral.start() <= ports.last {
            self.warnings.push(format!(
                "{} media.ports: {}-{} overlaps the ports this machine takes for outgoing connections, {}-{} ({EPHEMERAL_RANGE}): \
                 a call may find its port taken; choose another range",
                self.source,
                ports.first,
                ports.last,
                ephemeral.start(),
                ephemeral.end(),
            ));
        }
    }
}

fn ephemeral_range() -> Option<RangeInclusive<u16>> {
    let text = std::fs::read_to_string(EPHEMERAL_RANGE).ok()?;
    let mut words = text.split_whitespace();
    Some(words.next()?.parse().ok()?..=words.next()?.parse().ok()?)
}

/// The largest password file, in bytes.
const MAX_SECRET_FILE: u64 = 4096;

fn read_secret(path: &Path) -> std::io::Result<read::ReadSecret> {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    let file = std::fs::File::open(path)?;
    let others_may_read = file.metadata()?.permissions().mode() & 0o004 != 0;
    let mut text = String::new();
    file.take(MAX_SECRET_FILE).read_to_string(&mut text)?;
    Ok(read::ReadSecret {
        text: Some(text),
        others_may_read,
    })
}
