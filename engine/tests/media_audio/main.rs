//! What goes in comes out: the sound of every codec over bridges, echo, prompts, rooms and recordings, with lines that lose, reorder,
//! repeat and drift. Sockets are real, on loopback; time is made up, so that seconds of audio take no seconds.
//!
//! What a coder does to the sound by itself is no fault of ours: what is heard is measured against the same coders in a row without a
//! channel between them, its level to 0.1 dB (0.6 dB where Opus codes it, up to 0.3 dB each time, by where its frames begin).

#![allow(clippy::unwrap_used)] // helpers of tests, too

mod bridges;
mod codecs;
mod lines;
mod prompts;
mod recordings;
mod rooms;
mod secrets;
mod sound;
mod wire;
