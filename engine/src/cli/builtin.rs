//! The prompts embedded in the binary: those of `examples/prompts`, so that the default configuration needs no file.
//!
//! A test holds this table equal to the folder.

macro_rules! prompts {
    ($($name:literal),* $(,)?) => {
        &[$((concat!("prompts/", $name, ".sln16"), include_bytes!(concat!("../../../examples/prompts/", $name, ".sln16")).as_slice())),*]
    };
}

/// Name and content of each embedded prompt; the name is what follows `builtin:` in a prompt's key.
pub(crate) const PROMPTS: &[(&str, &[u8])] = prompts![
    "digit_0",
    "digit_1",
    "digit_2",
    "digit_3",
    "digit_4",
    "digit_5",
    "digit_6",
    "digit_7",
    "digit_8",
    "digit_9",
    "digit_hash",
    "digit_star",
    "echo_done",
    "echo_intro",
    "goodbye",
    "info",
    "invalid",
    "key_a",
    "key_b",
    "key_c",
    "key_d",
    "menu",
    "music",
    "playback_intro",
    "record_intro",
    "silence",
    "sorry",
    "welcome",
    "you_pressed",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_prompt_of_the_examples_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/prompts");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sln16"))
            .map(|name| format!("prompts/{name}"))
            .collect();
        let here: BTreeSet<String> = PROMPTS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(here, there);
    }
}
