//! Writes the G.711 tables of `g711.rs` from audio-codec-algorithms, whose functions the compiler cannot call for a constant.
#![allow(clippy::print_stdout)] // that is how a build script speaks to cargo

use audio_codec_algorithms as g711;
use std::fmt::Display;
use std::{env, fs, path::PathBuf};

fn table<T: Display>(name: &str, kind: &str, values: impl Iterator<Item = T>) -> String {
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    let length = values.len();
    format!(
        "static {name}: [{kind}; {length}] = [{}];\n",
        values.join(",")
    )
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The codes do not depend on the low 2 (µ-law) or 4 (A-law) bits of a 16-bit sample.
    let ulaw = (0..=u16::MAX).step_by(4);
    let alaw = (0..=u16::MAX).step_by(16);
    let tables = [
        table(
            "ULAW_ENCODE",
            "u8",
            ulaw.map(|s| g711::encode_ulaw(s as i16)),
        ),
        table(
            "ALAW_ENCODE",
            "u8",
            alaw.map(|s| g711::encode_alaw(s as i16)),
        ),
        table("ULAW_DECODE", "i16", (0..=255).map(g711::decode_ulaw)),
        table("ALAW_DECODE", "i16", (0..=255).map(g711::decode_alaw)),
        table(
            "ULAW_TO_ALAW",
            "u8",
            (0..=255).map(g711::convert_ulaw_to_alaw),
        ),
        table(
            "ALAW_TO_ULAW",
            "u8",
            (0..=255).map(g711::convert_alaw_to_ulaw),
        ),
    ];
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(folder.join("g711_tables.rs"), tables.concat()).expect("OUT_DIR can be written");
}
