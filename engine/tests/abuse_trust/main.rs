//! Abuse of trust and of media, against the real server on loopback: who pretends to be another, who steers us elsewhere, who puts more
//! into a message than belongs there, and who sends audio that is none. `docs/security.md` has the table of cases. Each test ends with
//! proof that honest callers are still served.
mod injection;
mod media;
mod media_secure;
mod party;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "../e2e/server.rs"]
mod server;
mod topology;
mod transfers;
mod trust;
mod world;
