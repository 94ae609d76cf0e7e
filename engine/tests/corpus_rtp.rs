//! Replays the fuzz corpora of RTP, RTCP and telephone events on stable Rust: every seed and every input that once broke a check.

#[allow(unreachable_pub)] // public for the fuzz crate
#[path = "../../fuzz/src/rtp.rs"]
mod checks;

use std::path::Path;

/// Runs `check` on each file of `fuzz/corpus/<target>`; a missing or thin corpus fails.
fn replay(target: &str, check: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../fuzz/corpus").join(target);
    let files =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut replayed = 0;
    for file in files {
        let path = file
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .path();
        let octets =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let outcome = std::panic::catch_unwind(|| check(&octets));
        assert!(outcome.is_ok(), "{} breaks a check", path.display());
        replayed += 1;
    }
    assert!(
        replayed >= 20,
        "{} holds only {replayed} files",
        folder.display()
    );
}

#[test]
fn rtp() {
    replay("rtp", checks::rtp);
}

#[test]
fn rtcp() {
    replay("rtcp", checks::rtcp);
}

#[test]
fn rfc4733() {
    replay("rfc4733", checks::rfc4733);
}
