//! End-to-end tests: the real binary on loopback, called by sipp, by baresip and linphone, by a telephone of our own and by `trunkline call`, with
//! Kamailio as its carrier. They judge what is heard, not only status codes. Nothing here depends on speed: tests wait for events.
mod agents;
mod api;
mod api_calls;
mod api_docs;
mod api_programs;
mod api_queues;
mod api_schedule;
mod api_tls;
mod audio;
mod baresip;
mod call;
mod call_centre;
mod callbacks;
mod clock;
mod command_line;
mod customer;
mod directory;
mod disk_full;
mod doctor;
mod flows;
mod hours;
mod installation;
mod kamailio;
mod kamailio_calls;
mod keys;
mod killed;
mod lamps;
mod lifecycle;
mod linphone;
mod load;
mod menu;
mod menus_file;
mod message;
mod operations;
mod phone;
mod phone_codecs;
mod phone_media;
mod phones;
mod recognition;
mod reload;
mod retention;
mod schemathesis;
mod secure;
mod server;
mod sip_answers;
mod sipp;
mod sipp_menus;
mod spoken;
mod trunks;
mod voicemail;
mod webhook_programs;

use std::path::{Path, PathBuf};

/// The examples folder of the repository.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// A prompt of the demo, by its id.
fn prompt(name: &str) -> audio::Reference {
    audio::Reference::sln16(&examples().join("prompts").join(format!("{name}.sln16")))
}
