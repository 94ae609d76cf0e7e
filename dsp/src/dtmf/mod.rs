//! DTMF in the audio: sending ([`Generator`]) and receiving ([`Detector`]) the sixteen [`Key`]s of ITU-T Q.23.

mod bank;
mod detector;
mod evidence;
mod generator;
mod high_pass;
mod history;
mod key;
mod leak;
mod profile;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

pub use detector::{Detector, Event};
pub use evidence::Measured;
pub use generator::Generator;
pub use key::{COLUMNS_HZ, Key, ROWS_HZ};
pub use profile::Profile;
