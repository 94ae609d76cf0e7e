//! Telephony DSP without std: no allocation, no clock, no I/O.
#![no_std]
