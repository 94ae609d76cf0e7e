//! The TOML configuration file: its types, its defaults and the rules a value must obey.
//!
//! Owns `trunkline.toml`, from text to a [`Config`] in which every value is typed and checked. It opens no socket, reads no
//! flow and no prompt. Limits: 1 MiB of text. All mistakes of a file are reported at once, each with line and column.
pub mod document;
mod read;
mod types;

#[cfg(test)]
mod tests;

pub use document::problem::{At, Problem, Problems};
pub use types::{
    BUILTIN_FLOWS, Codec, Config, DtmfMode, FlowSource, Http, Listen, Log, LogFormat, LogLevel,
    Media, Number, PortRange, Run, Sip, Transport,
};

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
        let mut config = read::config(&name, base, &text)?;
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

    /// Checks text that came from elsewhere; `name` stands for the file in messages. Looks at nothing but the text.
    ///
    /// # Errors
    /// As [`Config::load`].
    #[allow(clippy::should_implement_trait)] // it takes the name that the errors need
    pub fn from_str(name: &str, text: &str) -> Result<Self, Problems> {
        read::config(name, Path::new(""), text)
    }

    /// The entry for a called user part: the exact one, else the one for `*`.
    pub fn number(&self, user: &str) -> Option<&Number> {
        self.numbers
            .iter()
            .find(|number| number.to == user)
            .or_else(|| self.numbers.iter().find(|number| number.to == "*"))
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
