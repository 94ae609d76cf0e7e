//! Media shards: the hot loop, channels, rooms, prompts, players, recorders.
//!
//! ```text
//!  Media ──open──► Channel ──commands──► Shard (one thread) ──events──► the call
//!                                        │ slab of ChannelState, 20 ms wheel
//!                                        ├──samples──► writer (recordings)
//!                                        └──closed channels──► reaper
//! ```

mod admission;
mod attention;
mod audio_file;
pub mod bench;
mod both_sides;
mod bridge;
mod channel;
pub mod codec;
mod command;
mod convert;
mod crossing;
#[cfg(test)]
mod digit_receivers_tests;
mod digit_text;
mod digits;
mod ears;
mod emit;
mod engine;
mod event;
pub mod frame;
mod handle;
mod hearing;
mod ice;
mod intake;
mod key_delay;
mod keys;
mod latch;
mod life;
mod path;
mod pcm_queue;
mod player;
pub mod playout;
mod ports;
mod prompt;
mod quality;
mod receive;
mod recorder;
mod relay;
mod retire;
mod room;
mod rtcp_session;
mod secure;
mod shard;
mod stats;
mod stock;
mod tap;
pub mod tone_source;
mod voice;
mod wav;
mod wheel;

pub use admission::{AdmissionLimits, Pulse};
pub use attention::Attention;
pub use bridge::Carriage;
pub use codec::opus::OpusSettings;
pub use codec::{AudioRate, ClockRate, Encoding, Law};
pub use command::{Command, Manner, MediaAudio, PlayChange, SrtpParams, StreamParams};
pub use digit_text::{DigitPiece, DigitText};
pub use ears::Listening;
pub use event::{ChannelStats, KeySource, MediaEvent, PathFacts, RecordDone, RecordingEnd};
pub use frame::Frame;
pub use handle::{
    BridgeError, Busy, Channel, Media, MediaConfig, MediaError, MediaEvents, OpenError,
};
pub use keys::event_key;
pub use prompt::{Prompt, PromptError, PromptLibrary};
pub use quality::{LiveFigures, LiveQuality, Marks, Quality};
pub use recorder::{
    Pause, RecordingFormat, RecordingGap, RecordingSpec, RecordingStats, Repaired, Tracks,
    repair_recording,
};
pub use room::{Edge, JoinError, MemberId, Room, RoomConfig, RoomError, RoomEvent, RoomEvents};
pub use shard::Shard;
pub use stats::{BridgeDropped, Counter, Dropped, Lateness, MOS_BOUNDS, MediaStats, MosSpread};
pub use stock::StockCounts;
pub use tap::{TapEnds, TapFrame, TapSide, TapSpec, TapStats};
pub use wav::file as wav_file;
