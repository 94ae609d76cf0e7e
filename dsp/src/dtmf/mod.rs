//! DTMF in the audio: sending ([`Generator`]) the sixteen [`Key`]s of ITU-T Q.23.
mod generator;
mod key;
pub use generator::Generator;
pub use key::{COLUMNS_HZ, Key, ROWS_HZ};
