//! Media shards: the hot loop, channels, prompts, players, recorders.

pub mod codec;
mod command;
mod event;
mod handle;
mod prompt;
mod stats;

pub use codec::Encoding;
pub use command::{Command, MediaAudio, StreamParams};
pub use event::{ChannelStats, KeySource, MediaEvent, RecordingEnd};
pub use handle::{Busy, Channel, Media, MediaConfig, MediaError, MediaEvents, OpenError};
pub use prompt::{Prompt, PromptError, PromptLibrary};
pub use stats::{Counter, Dropped, Lateness, MediaStats};
