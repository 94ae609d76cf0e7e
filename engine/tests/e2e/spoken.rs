//! What a voice says, for the ear: the same text spoken by the same back end.
use crate::audio::Reference;
use crate::server::trunkline;

/// The text as a call without a voice of its own hears it.
#[track_caller]
pub(crate) fn spoken(text: &str, language: &str) -> Reference {
    let folder = tempfile::tempdir().expect("scratch folder");
    let file = folder.path().join("spoken.wav").display().to_string();
    let (status, said) = trunkline(&["say", text, "--language", language, "--output", &file]);
    assert!(
        status.success(),
        "espeak-ng is needed (make test installs it): {said}"
    );
    let bytes = std::fs::read(&file).expect("spoken");
    Reference::narrow(&crate::baresip::narrow(&bytes))
}
