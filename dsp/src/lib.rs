//! Telephony DSP without std: no allocation, no clock, no I/O.
//!
//! Owns sample arithmetic at 8 and 16 kHz: G.711, tones, DTMF, levels, voice activity, rate conversion, mixing,
//! loss concealment.
//! Every detector and filter is a plain struct fed with slices of any length; how the audio is cut into
//! frames never changes the result. Levels are dBm0 where a full-scale sine is +3.14 dBm0 (ITU-T G.711, table 5
//! note: A-law overload point; µ-law's is 3.17).
#![no_std]

#[cfg(test)]
extern crate std;

pub mod answering;
pub mod beep;
pub mod comfort;
pub mod dtmf;
pub mod g711;
pub mod g722;
pub mod level;
pub mod mix;
pub mod plc;
pub mod progress;
pub mod resample;
pub mod speech;
pub mod stretch;
pub mod tone;
pub mod vad;

mod blocks;
mod oscillator;
mod simd;
#[cfg(test)]
mod test_signals;
