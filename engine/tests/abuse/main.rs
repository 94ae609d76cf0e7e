//! Abuse: what enemies, broken devices and scanners send, to the running binary on loopback, and floods from a million addresses
//! through the real guards, gate and endpoint in this process. Judged are the answers, that others are served meanwhile, that memory
//! stays within what is stated, and that nothing is left afterwards. Nothing here depends on speed.
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod caller;
mod connections;
mod counting_alloc;
mod flood;
mod linear;
mod parsing;
mod passwords;
#[path = "../e2e/server.rs"]
#[allow(dead_code)] // not every test binary uses all of it
mod server;
mod spoofed;
mod torture;
#[path = "../../../sip/tests/torture_messages/mod.rs"]
mod torture_messages;
mod wire;
