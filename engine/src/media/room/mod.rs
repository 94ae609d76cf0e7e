//! Rooms: conferences mixed in the shard. A member hears the others, never itself.
//!
//! ```text
//!  round r        member's step: heard frame ──► sum[r] (talkers only)       its part is kept: frames[r]
//!  round r + 1    member's step: sum[r] − frames[r] ──► its peer             one encoding for all who only listen
//! ```
//!
//! Members stay on their own slots of the wheel, so that sends stay spread over the frame: a round is 20 ms of the shard's clock, in which
//! each member steps once. What it heard goes into the sum of the round; what it is sent comes from the sum of the round before, which is
//! complete. `mix.rs` is the arithmetic, `sum.rs` what it adds up in, `seats.rs` who is there, `said.rs` announcements, recordings and
//! reports, `member.rs` one member, `talkers.rs` who is heard when many speak, `lines.rs`
//! packets that members share, `rooms.rs` the shard's rooms and what orders do to them, `turn.rs` a channel's step in its room, `handle.rs` what calls use.
//!
//! Limits: the room's members are limited by its configuration, announcements at the same time by 4.

mod event;
mod handle;
mod lines;
mod member;
mod mix;
mod rooms;
mod said;
mod seats;
mod sum;
mod talkers;
mod turn;

pub use event::{MemberId, RoomEvent, RoomEvents};
pub use handle::{JoinError, Room, RoomError};
pub use member::Edge;

pub(crate) use member::Seat;
pub(crate) use rooms::{RoomOrder, RoomPlaces, Rooms};
pub(crate) use turn::Mix;

/// How a room works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoomConfig {
    /// Members at the same time.
    pub max_members: usize,
    /// How many are heard at the same time; the loudest, with a margin for those who are heard already.
    pub max_talkers: usize,
    /// In rooms of more than three, what is quieter than this is not mixed, dBm0.
    pub gate_dbm0: f32,
    /// Whether [`RoomEvent::Speaking`] is sent.
    pub speakers: bool,
    /// How often [`RoomEvent::Level`] is sent for each who speaks, in ms, at least 100; 0: never.
    pub levels_ms: u32,
}

impl Default for RoomConfig {
    fn default() -> Self {
        RoomConfig {
            max_members: 100,
            max_talkers: 8,
            gate_dbm0: -50.0,
            speakers: false,
            levels_ms: 0,
        }
    }
}
