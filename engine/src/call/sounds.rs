//! Audio that is named, made ready to be played: by key from the library, by URL from elsewhere, or generated.
use super::Calls;
use super::verb::Audio;
use crate::fetch;
use crate::media::{MediaAudio, Prompt};
use std::path::PathBuf;
use std::sync::Arc;

/// Makes a piece of audio ready. Never blocks a worker: files are read elsewhere.
///
/// # Errors
/// It cannot be had; the text says why. A recording is known only to the call that made it.
pub(super) async fn load(calls: &Calls, piece: &Audio) -> Result<MediaAudio, String> {
    Ok(match piece {
        Audio::Prompt(url) if fetch::is_url(url) => MediaAudio::Prompt(by_url(calls, url).await?),
        Audio::Prompt(key) => MediaAudio::Prompt(match calls.prompts.loaded(key) {
            Some(prompt) => prompt,
            None => read(calls, Source::Key(key.clone())).await?,
        }),
        Audio::Recording(_) => return Err("a recording of the call cannot be named here".into()),
        Audio::Tone(tone) => MediaAudio::Tone {
            hz: tone.hz,
            dbm0: tone.dbm0,
            ms: tone.ms,
        },
        Audio::Silence { ms } => MediaAudio::Silence { ms: *ms },
        // All of it at once; what a program plays comes sentence by sentence.
        Audio::Speech(speech) => {
            let Some(speaker) = &calls.speech else {
                return Err("nothing speaks texts here".into());
            };
            let spoken = speaker.whole(speech).await;
            MediaAudio::Prompt(Arc::new(spoken.map_err(|error| error.to_string())?))
        }
    })
}

/// A file that a call has recorded.
pub(super) async fn file(calls: &Calls, path: PathBuf) -> Result<MediaAudio, String> {
    read(calls, Source::File(path))
        .await
        .map(MediaAudio::Prompt)
}

async fn by_url(calls: &Calls, url: &str) -> Result<Arc<Prompt>, String> {
    let Some(web_audio) = &calls.web_audio else {
        return Err("audio cannot be fetched by URL here".into());
    };
    // Boxed: a call that fetches nothing is not to carry what fetching takes.
    let loaded = Box::pin(web_audio.load(url)).await;
    loaded.map_err(|error| error.to_string())
}

enum Source {
    Key(String),
    File(PathBuf),
}

/// Reads audio from disk, where it may block.
async fn read(calls: &Calls, source: Source) -> Result<Arc<Prompt>, String> {
    let prompts = calls.prompts.clone();
    let read = move || match source {
        Source::Key(key) => prompts.load(&key),
        Source::File(path) => prompts.load_file(&path),
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(loaded) => loaded.map_err(|error| error.to_string()),
        Err(_) => Err("reading the audio was interrupted".to_owned()),
    }
}
