//! Replays the corpus of fuzz target `info_dtmf` on stable.
#[allow(unreachable_pub)] // public for the fuzz crate
#[path = "../../fuzz/src/info.rs"]
mod info;

#[test]
fn every_seed_of_info_dtmf_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/info_dtmf");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        for cut in 0..=octets.len() {
            info::info_dtmf(&octets[..cut]);
        }
        replayed += 1;
    }
    assert!(replayed >= 20, "{replayed} seeds in {folder}");
}
