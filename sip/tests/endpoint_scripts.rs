//! Plays scripts against an endpoint on stable Rust: the fuzz corpus, and random ones by a fixed seed.

#[allow(unreachable_pub)] // public for the fuzz crate
#[path = "../../fuzz/src/endpoint.rs"]
mod script;

use std::path::Path;

#[test]
fn the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/endpoint");
    let mut replayed = 0;
    for file in std::fs::read_dir(&folder).expect("fuzz/corpus/endpoint is part of the repository")
    {
        let path = file.expect("a readable folder").path();
        let octets = std::fs::read(&path).expect("a readable file");
        let outcome = std::panic::catch_unwind(|| script::endpoint(&octets));
        assert!(outcome.is_ok(), "{} breaks a check", path.display());
        replayed += 1;
    }
    assert!(
        replayed >= 15,
        "{} holds only {replayed} files",
        folder.display()
    );
}

#[test]
fn random_scripts() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for round in 0..1_500 {
        let script: Vec<u8> = (0..round % 300 + 20)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Low numbers reach the calls that exist; high ones the far ends of every choice.
                if state >> 40 & 1 == 0 {
                    (state >> 32) as u8
                } else {
                    (state >> 32) as u8 % 16
                }
            })
            .collect();
        let outcome = std::panic::catch_unwind(|| script::endpoint(&script));
        assert!(outcome.is_ok(), "round {round}: {script:?}");
    }
}
