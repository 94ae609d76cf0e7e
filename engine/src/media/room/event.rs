//! What a room tells whoever made it.

use tokio::sync::mpsc;

/// A member of a room: unique within it, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub(super) u32);

impl MemberId {
    /// The number, for logs.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Something that happened in a room. At most 256 wait to be read; what comes then is dropped and counted.
#[derive(Debug, Clone, PartialEq)]
pub enum RoomEvent {
    /// A member is in.
    Joined(MemberId),
    /// A member is out: it left, or its channel closed.
    Left(MemberId),
    /// A member began or ended to speak. Only with [`RoomConfig::speakers`](super::RoomConfig::speakers).
    Speaking {
        /// Who.
        member: MemberId,
        /// `true` at the begin; the end comes 300 ms after the last sound.
        on: bool,
    },
    /// How loud a speaker was in the last 20 ms. Only with [`RoomConfig::levels_ms`](super::RoomConfig::levels_ms).
    Level {
        /// Who.
        member: MemberId,
        /// Mean power in dBm0.
        dbm0: f32,
    },
    /// An announcement came to its end; not sent when it was stopped.
    PlayDone {
        /// The id given with it.
        id: u32,
    },
}

/// The events of one room; ends when the room is closed.
pub type RoomEvents = mpsc::Receiver<RoomEvent>;
