//! The check behind target `audio_file`: files that prompts are made of.
use trunkline::media::Prompt;

/// The first octet chooses the extension, the rest is the file. What is read has the same length in every form.
pub fn audio_file(octets: &[u8]) {
    const EXTENSIONS: [&str; 8] = ["wav", "mp3", "flac", "ogg", "opus", "sln16", "raw", ""];
    let Some((choice, file)) = octets.split_first() else {
        return;
    };
    let extension = EXTENSIONS[usize::from(*choice) % EXTENSIONS.len()];
    match Prompt::from_file("fuzz", extension, file) {
        Ok(prompt) => {
            let samples = prompt.slin8.len();
            assert_eq!((prompt.ulaw.len(), prompt.alaw.len()), (samples, samples));
            let wide = prompt
                .slin16
                .as_ref()
                .map_or(2 * samples, |wide| wide.len());
            assert!((2 * samples).abs_diff(wide) <= 1);
        }
        Err(error) => assert!(
            !error.to_string().chars().any(char::is_control),
            "{error:?}"
        ),
    }
}
