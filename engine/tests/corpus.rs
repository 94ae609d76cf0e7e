//! Replays the fuzz corpora of the engine on stable Rust: every seed and every input that once broke a check.
#![allow(unreachable_pub)] // the checks are public for the fuzz crate

#[path = "../../fuzz/src/audio.rs"]
mod audio;
#[path = "../../fuzz/src/byte_range.rs"]
mod byte_range;
#[path = "../../fuzz/src/codec.rs"]
mod codec_checks;
#[path = "../../fuzz/src/flow.rs"]
mod documents;
#[path = "../../fuzz/src/info.rs"]
mod info;
#[path = "../../fuzz/src/rtp.rs"]
mod rtp_checks;
#[path = "../../fuzz/src/speech.rs"]
mod speech;
#[path = "../../fuzz/src/stream.rs"]
mod stream;
#[path = "../../fuzz/src/stun.rs"]
mod stun_checks;

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
    replay("rtp", rtp_checks::rtp);
}

#[test]
fn rtcp() {
    replay("rtcp", rtp_checks::rtcp);
}

#[test]
fn stun() {
    replay("stun", stun_checks::stun);
}

#[test]
fn jitter() {
    replay("jitter", rtp_checks::jitter);
}

#[test]
fn rfc4733() {
    replay("rfc4733", rtp_checks::rfc4733);
}

#[test]
fn arbiter() {
    replay("arbiter", rtp_checks::arbiter);
}

#[test]
fn opus() {
    replay("opus", codec_checks::opus);
}

#[test]
fn comfort_noise() {
    replay("comfort_noise", codec_checks::comfort_noise);
}

#[test]
fn audio_file() {
    replay("audio_file", audio::audio_file);
}

#[test]
fn byte_range() {
    replay("byte_range", byte_range::byte_range);
}

#[test]
fn flow() {
    replay("flow", documents::flow);
}

#[test]
fn foreign_flow() {
    replay("foreign_flow", documents::foreign_flow);
}

#[test]
fn flow_test() {
    replay("flow_test", documents::flow_test);
}

#[test]
fn flow_texts() {
    replay("flow_texts", documents::flow_texts);
}

#[test]
fn verbs_json() {
    replay("verbs_json", documents::verbs_json);
}

#[test]
fn config() {
    replay("config", documents::config);
}

#[test]
fn info_dtmf() {
    replay("info_dtmf", info::info_dtmf);
}

#[test]
fn ssml() {
    replay("ssml", speech::ssml);
}

#[test]
fn recognition_message() {
    replay("recognition_message", speech::recognition_message);
}

#[test]
fn stream_message() {
    replay("stream_message", stream::stream_message);
}

/// Each seed cut short everywhere and with octets changed, in a fixed order: what libFuzzer does first.
#[test]
fn damaged_seeds() {
    let targets: [(&str, fn(&[u8])); 15] = [
        ("verbs_json", documents::verbs_json),
        ("arbiter", rtp_checks::arbiter),
        ("flow_texts", documents::flow_texts),
        ("jitter", rtp_checks::jitter),
        ("stream_message", stream::stream_message),
        ("ssml", speech::ssml),
        ("recognition_message", speech::recognition_message),
        ("opus", codec_checks::opus),
        ("comfort_noise", codec_checks::comfort_noise),
        ("stun", stun_checks::stun),
        ("info_dtmf", info::info_dtmf),
        ("byte_range", byte_range::byte_range),
        ("rtp", rtp_checks::rtp),
        ("rtcp", rtp_checks::rtcp),
        ("rfc4733", rtp_checks::rfc4733),
    ];
    let mut random = 1u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below.max(1)
    };
    for (target, check) in targets {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../fuzz/corpus")
            .join(target);
        for file in std::fs::read_dir(&folder).expect("the corpus is there") {
            let seed = std::fs::read(file.expect("a file").path()).expect("a seed");
            (0..seed.len().min(200)).for_each(|end| check(&seed[..end]));
            for _ in 0..100 {
                let mut damaged = seed.clone();
                for _ in 0..=next(4) {
                    let at = next(damaged.len());
                    if let Some(octet) = damaged.get_mut(at) {
                        *octet = next(256) as u8;
                    }
                }
                check(&damaged);
            }
        }
    }
}
