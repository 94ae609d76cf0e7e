//! Call-progress and fax tones: what exchanges and fax machines say without words, made ([`Player`]) and heard ([`Listener`]).
//!
//! A tone is a [`Sound`] in a rhythm of [`Beat`]s. The values of each country are in a [`Plan`] (ITU-T E.180 supplement 2, national
//! standards where they are newer); special information tones are those of ITU-T E.180 clause 8 and Telcordia SR-2275, fax tones those of
//! ITU-T T.30 clause 4 and V.8 clause 3.

mod bank;
mod cadence;
mod hops;
mod information;
mod listener;
mod plan;
mod player;
mod table;

#[cfg(test)]
mod false_alarms;
#[cfg(test)]
mod tests;

pub use information::Information;
pub use listener::{Heard, Listener};
pub use plan::{Beat, Kind, Plan, Signal, Sound};
pub use player::{Player, Step};
pub use table::{ANYWHERE, COUNTRIES};
