//! Replays the fuzz corpora on stable Rust: every seed and every input that once broke a check.

#![allow(clippy::unwrap_used)] // a test fails by panicking

#[allow(unreachable_pub)] // public for the fuzz crate
#[path = "../../fuzz/src/sip.rs"]
mod checks;
#[allow(unreachable_pub)] // public for the fuzz crate
#[path = "../../fuzz/src/sdes.rs"]
mod sdes_checks;
#[allow(unreachable_pub)]
#[path = "../../fuzz/src/services.rs"]
mod services;

use std::path::Path;

use trunkline_sip::Frame;

/// Names and contents of `fuzz/corpus/<target>`; a missing folder fails.
fn seeds(target: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let files =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.map(|file| {
        let file = file.unwrap();
        (
            file.file_name().to_string_lossy().into_owned(),
            std::fs::read(file.path()).unwrap(),
        )
    })
}

/// Runs `check` on each seed; a thin corpus fails.
fn replay(target: &str, check: fn(&[u8])) {
    let mut replayed = 0;
    for (name, octets) in seeds(target) {
        let outcome = std::panic::catch_unwind(|| check(&octets));
        assert!(outcome.is_ok(), "{target}/{name} breaks a check");
        replayed += 1;
    }
    assert!(
        replayed >= 20,
        "the corpus of {target} holds only {replayed} files"
    );
}

#[test]
fn sip_message() {
    replay("sip_message", checks::sip_message);
}

#[test]
fn sip_stream() {
    replay("sip_stream", checks::sip_stream);
}

#[test]
fn sdp() {
    replay("sdp", checks::sdp);
}

#[test]
fn sdes() {
    replay("sdes", sdes_checks::sdes);
}

#[test]
fn digest() {
    replay("digest", services::digest);
}

#[test]
fn registrar() {
    replay("registrar", services::registrar);
}

#[test]
fn refer() {
    replay("refer", services::refer);
}

/// Each seed cut short at many places, and with octets changed: what libFuzzer does first, in a fixed order.
#[test]
fn damaged_seeds() {
    for (target, check) in [
        ("sip_message", checks::sip_message as fn(&[u8])),
        ("sip_stream", checks::sip_stream),
        ("sdp", checks::sdp),
        ("digest", services::digest),
        ("refer", services::refer),
        ("registrar", services::registrar),
        ("sdes", sdes_checks::sdes),
    ] {
        for (name, seed) in seeds(target) {
            let mut state = 0x9e37_79b9_u32;
            let mut next = |bound: usize| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as usize % bound
            };
            let run = |octets: &[u8]| {
                let outcome = std::panic::catch_unwind(|| check(octets));
                assert!(
                    outcome.is_ok(),
                    "{target}/{name} damaged: {}",
                    octets.escape_ascii()
                );
            };
            (0..seed.len()).step_by(5).for_each(|end| run(&seed[..end]));
            for _ in 0..100.min(seed.len()) {
                let mut damaged = seed.clone();
                for _ in 0..=next(3) {
                    let at = next(damaged.len());
                    damaged[at] = b"\r\n \t:;,<>\"\\@[]0\0\xff"[next(17)];
                }
                run(&damaged);
            }
        }
    }
}

/// The comparison with rsip is worth something only if it takes place: these seeds must be compared.
#[test]
fn rsip_is_asked() {
    let compared: Vec<String> = seeds("sip_message")
        .filter(|(_, seed)| Frame::parse(seed).is_ok_and(|frame| checks::rsip_agrees(&frame, seed)))
        .map(|(name, _)| name)
        .collect();
    for name in [
        "invite",
        "ack",
        "bye_reason",
        "info_dtmf",
        "options",
        "prack",
        "r180",
        "r200",
        "register_list",
    ] {
        assert!(
            compared.iter().any(|compared| compared == name),
            "{name} is not among {compared:?}"
        );
    }
}
