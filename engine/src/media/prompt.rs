//! Prompts: audio files decoded once and encoded once per codec, shared by all calls.
//!
//! Headerless files tell their rate by their extension: `.sln16`, `.slin16` are 16-bit 16 kHz; `.sln`, `.slin`, `.raw` are 16-bit 8 kHz, both
//! little-endian. Other files (`audio_file`) tell it themselves. Limits: 30 minutes per file, and 64 MiB.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use trunkline_dsp::resample::Down2;

use super::audio_file::{self, EXTENSIONS};
use super::codec::Law;
use super::tone_source::{self, TONE};
use super::wav;

/// Largest file.
const MAX_OCTETS: u64 = 64 << 20;

/// A piece of audio ready to be played on any channel. All forms have the same length in time.
pub struct Prompt {
    /// The key it was loaded by.
    pub key: String,
    /// 16-bit linear samples at 8 kHz.
    pub slin8: Arc<[i16]>,
    /// The same at 16 kHz, where the source has as much: for channels that can carry it.
    pub slin16: Option<Arc<[i16]>>,
    /// The same in G.711 µ-law.
    pub ulaw: Arc<[u8]>,
    /// The same in G.711 A-law.
    pub alaw: Arc<[u8]>,
}

impl Prompt {
    /// A prompt of linear samples at 8 kHz.
    pub fn from_samples(key: impl Into<String>, samples: &[i16]) -> Prompt {
        let encoded = |law: Law| {
            let mut octets = vec![0; samples.len()];
            law.encode(samples, &mut octets);
            octets.into()
        };
        Prompt {
            key: key.into(),
            slin8: samples.into(),
            slin16: None,
            ulaw: encoded(Law::Mu),
            alaw: encoded(Law::A),
        }
    }

    /// A prompt of linear samples at 16 kHz.
    pub fn from_wide(key: impl Into<String>, samples: &[i16]) -> Prompt {
        let mut narrow = vec![0; samples.len().div_ceil(2)];
        let written = Down2::new().process(samples, &mut narrow);
        narrow.truncate(written);
        Prompt {
            slin16: Some(samples.into()),
            ..Prompt::from_samples(key, &narrow)
        }
    }

    fn from_audio(key: impl Into<String>, audio: &wav::Audio) -> Prompt {
        match audio.rate_hz {
            8000 => Prompt::from_samples(key, &audio.samples),
            _ => Prompt::from_wide(key, &audio.samples),
        }
    }

    /// The audio of a file; `extension` tells the rate of headerless ones. Blocks while it decodes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn from_file(
        key: impl Into<String>,
        extension: &str,
        content: &[u8],
    ) -> Result<Prompt, PromptError> {
        let key = key.into();
        match audio_file::read(extension, content) {
            Ok(audio) => Ok(Prompt::from_audio(key, &audio)),
            Err(reason) => Err(PromptError::Unusable { key, reason }),
        }
    }

    /// The same, so much louder; what is too loud is cut.
    pub fn louder(&self, db: f32) -> Prompt {
        let ratio = trunkline_dsp::level::db_to_ratio(db);
        let change = |samples: &[i16]| {
            let changed = samples
                .iter()
                .map(|sample| (f32::from(*sample) * ratio) as i16);
            changed.collect::<Vec<_>>()
        };
        match &self.slin16 {
            Some(wide) => Prompt::from_wide(self.key.clone(), &change(wide)),
            None => Prompt::from_samples(self.key.clone(), &change(&self.slin8)),
        }
    }

    /// Its samples at 16 kHz, made from those at 8 kHz where there are no others.
    pub fn wide_samples(&self) -> Vec<i16> {
        if let Some(wide) = &self.slin16 {
            return wide.to_vec();
        }
        let mut wide = vec![0; self.slin8.len() * 2];
        trunkline_dsp::resample::Up2::new().process(&self.slin8, &mut wide);
        wide
    }

    /// Its audio as a WAV file, at 16 kHz where there is as much.
    pub fn to_wav(&self) -> Vec<u8> {
        let (rate_hz, samples) = match &self.slin16 {
            Some(wide) => (16_000, wide),
            None => (8000, &self.slin8),
        };
        wav::file(rate_hz, samples)
    }

    /// The same with a comment behind the audio.
    pub fn to_wav_with(&self, comment: &str) -> Vec<u8> {
        let comment = wav::comment(comment);
        let mut file = self.to_wav();
        let length = (file.len() + comment.len() - 8) as u32;
        file[4..8].copy_from_slice(&length.to_le_bytes());
        file.extend(comment);
        file
    }

    /// Memory of its samples, in octets.
    pub fn octets(&self) -> usize {
        let wide = self.slin16.as_ref().map_or(0, |samples| samples.len());
        (self.slin8.len() + wide) * 2 + self.ulaw.len() + self.alaw.len()
    }

    /// Length in ms.
    pub fn duration_ms(&self) -> u32 {
        (self.slin8.len() / 8) as u32
    }

    /// The audio as it goes on the wire.
    pub fn encoded(&self, law: Law) -> &[u8] {
        match law {
            Law::Mu => &self.ulaw,
            Law::A => &self.alaw,
        }
    }
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prompt")
            .field("key", &self.key)
            .field("samples", &self.slin8.len())
            .finish()
    }
}

/// Why a prompt cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// There is no such file or embedded prompt.
    #[error("prompt {key:?} not found (looked for {looked_for})")]
    NotFound {
        /// The key asked for.
        key: String,
        /// Where it was looked for.
        looked_for: String,
    },
    /// It is there but cannot be used.
    #[error("prompt {key:?}: {reason}")]
    Unusable {
        /// The key asked for.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Loads prompts by key and keeps them. Cheap to look up again; file access blocks, so load before the audio is due.
#[derive(Debug)]
pub struct PromptLibrary {
    base: PathBuf,
    embedded: &'static [(&'static str, &'static [u8])],
    loaded: Mutex<HashMap<String, Loaded>>,
}

/// A prompt and the file it was read from.
#[derive(Debug, Clone)]
struct Loaded {
    prompt: Arc<Prompt>,
    /// `None`: embedded.
    file: Option<(PathBuf, Version)>,
}

/// What tells that a file has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    modified: Option<std::time::SystemTime>,
    length: u64,
}

impl Version {
    fn of(path: &Path) -> std::io::Result<Version> {
        let found = std::fs::metadata(path)?;
        Ok(Version {
            modified: found.modified().ok(),
            length: found.len(),
        })
    }
}

impl PromptLibrary {
    /// A library over the files under `base` and a table of embedded files: name with extension (`"welcome.sln16"`) and content,
    /// reached by `builtin:welcome`.
    pub fn new(
        base: impl Into<PathBuf>,
        embedded: &'static [(&'static str, &'static [u8])],
    ) -> PromptLibrary {
        PromptLibrary {
            base: base.into(),
            embedded,
            loaded: Mutex::default(),
        }
    }

    /// The prompt of that key if it is loaded already. Never blocks on a file.
    pub fn loaded(&self, key: &str) -> Option<Arc<Prompt>> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.get(key).map(|loaded| loaded.prompt.clone())
    }

    /// The prompt of that key: `builtin:NAME`, `tone:` and a tone (see [`tone_source`]), or a path below the base (any path where the base is empty), each with or
    /// without its extension. It is read once; [`refresh`](Self::refresh) sees that its file has changed.
    ///
    /// # Errors
    /// When there is none, when it cannot be read, or when the key leads out of the base folder.
    pub fn load(&self, key: &str) -> Result<Arc<Prompt>, PromptError> {
        if let Some(prompt) = self.loaded(key) {
            return Ok(prompt);
        }
        let made = |prompt| Loaded {
            prompt: Arc::new(prompt),
            file: None,
        };
        let loaded = match (key.strip_prefix("builtin:"), key.strip_prefix(TONE)) {
            (Some(name), _) => made(self.load_embedded(key, name)?),
            (_, Some(text)) => made(tone_source::prompt(text).map_err(|reason| {
                let key = key.to_owned();
                PromptError::Unusable { key, reason }
            })?),
            _ => read(key, self.file_below_base(key)?)?,
        };
        let mut all = self.all();
        Ok(all.entry(key.to_owned()).or_insert(loaded).prompt.clone())
    }

    /// Reads again the files that have changed since they were read, and returns the keys of those that are exchanged. What plays goes on with
    /// the audio it began with. A changed file that cannot be read, or is gone, leaves what was read before in force: its errors are returned.
    /// Blocks while it reads.
    pub fn refresh(&self) -> (Vec<String>, Vec<PromptError>) {
        let known: Vec<(String, PathBuf, Version)> = self
            .all()
            .iter()
            .filter_map(|(key, loaded)| {
                let (path, version) = loaded.file.clone()?;
                Some((key.clone(), path, version))
            })
            .collect();
        let (mut exchanged, mut errors) = (Vec::new(), Vec::new());
        for (key, path, version) in known {
            if Version::of(&path).is_ok_and(|now| now == version) {
                continue;
            }
            match read(&key, path) {
                Ok(loaded) => {
                    self.all().insert(key.clone(), loaded);
                    exchanged.push(key);
                }
                Err(error) => errors.push(error),
            }
        }
        (exchanged, errors)
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a file by its path, without keeping it: for recordings made during a call.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load_file(&self, path: &Path) -> Result<Arc<Prompt>, PromptError> {
        let key = path.display().to_string();
        read_file(&key, path).map(Arc::new)
    }

    fn load_embedded(&self, key: &str, name: &str) -> Result<Prompt, PromptError> {
        let entry = self
            .embedded
            .iter()
            .find(|(file, _)| *file == name || stem(file) == name);
        let Some((file, content)) = entry else {
            let looked_for = format!("the {} prompts built in", self.embedded.len());
            return Err(PromptError::NotFound {
                key: key.to_owned(),
                looked_for,
            });
        };
        decode(key, Path::new(file), content)
    }

    fn file_below_base(&self, key: &str) -> Result<PathBuf, PromptError> {
        // Without a base there is nothing to stay below: the keys are paths that a flow's loader has joined to its folder.
        let below_base = self.base.as_os_str().is_empty()
            || Path::new(key)
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if key.is_empty() || key.contains('\0') || !below_base {
            let reason = format!("the key must name a file below {}", self.base.display());
            return Err(PromptError::Unusable {
                key: key.to_owned(),
                reason,
            });
        }
        let path = self.base.join(key);
        if path.is_file() {
            return Ok(path);
        }
        let candidate = |extension: &&str| PathBuf::from(format!("{}.{extension}", path.display()));
        match EXTENSIONS.iter().map(candidate).find(|path| path.is_file()) {
            Some(path) => Ok(path),
            None => {
                let looked_for =
                    format!("{}, also with .{}", path.display(), EXTENSIONS.join(", ."));
                Err(PromptError::NotFound {
                    key: key.to_owned(),
                    looked_for,
                })
            }
        }
    }
}

fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// Reads a file that will be kept.
fn read(key: &str, path: PathBuf) -> Result<Loaded, PromptError> {
    // Before it is read: a change meanwhile is seen by the next refresh.
    let version = Version::of(&path).map_err(|error| PromptError::Unusable {
        key: key.to_owned(),
        reason: format!("{}: {error}", path.display()),
    })?;
    Ok(Loaded {
        prompt: Arc::new(read_file(key, &path)?),
        file: Some((path, version)),
    })
}

fn read_file(key: &str, path: &Path) -> Result<Prompt, PromptError> {
    let unusable = |reason: String| PromptError::Unusable {
        key: key.to_owned(),
        reason,
    };
    let length = std::fs::metadata(path)
        .map_err(|error| unusable(format!("{}: {error}", path.display())))?
        .len();
    if length > MAX_OCTETS {
        return Err(unusable(format!(
            "{} has {length} octets; at most {MAX_OCTETS} are played",
            path.display()
        )));
    }
    let content =
        std::fs::read(path).map_err(|error| unusable(format!("{}: {error}", path.display())))?;
    decode(key, path, &content)
}

fn decode(key: &str, path: &Path, content: &[u8]) -> Result<Prompt, PromptError> {
    let unusable = |reason: String| PromptError::Unusable {
        key: key.to_owned(),
        reason: format!("{}: {reason}", path.display()),
    };
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    let audio = audio_file::read(extension, content).map_err(unusable)?;
    Ok(Prompt::from_audio(key, &audio))
}

#[cfg(test)]
mod tests {
    use super::*;

    static EMBEDDED: [(&str, &[u8]); 2] =
        [("hello.sln16", &[0; 6400]), ("beep.sln", &[1, 0, 2, 0])];

    #[test]
    fn embedded_prompts_are_found_by_name_and_kept() {
        let library = PromptLibrary::new("/nowhere", &EMBEDDED);
        let hello = library.load("builtin:hello").unwrap();
        assert_eq!(
            (
                hello.slin8.len(),
                hello.ulaw.len(),
                hello.alaw.len(),
                hello.duration_ms()
            ),
            (1600, 1600, 1600, 200)
        );
        assert!(Arc::ptr_eq(&hello, &library.load("builtin:hello").unwrap()));
        assert_eq!(library.load("builtin:beep.sln").unwrap().slin8[..], [1, 2]);
        assert_eq!(
            library.load("builtin:beep").unwrap().encoded(Law::A).len(),
            2
        );
        let error = library.load("builtin:bye").unwrap_err();
        assert_eq!(
            error.to_string(),
            "prompt \"builtin:bye\" not found (looked for the 2 prompts built in)"
        );
    }

    #[test]
    fn files_are_found_below_the_base_only() {
        let folder = tempfile::tempdir().unwrap();
        let shape = wav::Shape {
            rate_hz: 8000,
            channels: 1,
        };
        std::fs::write(folder.path().join("a.raw"), [1, 0, 2, 0]).unwrap();
        std::fs::write(
            folder.path().join("b.wav"),
            [&wav::header(shape, 2, 0)[..], &[7, 0]].concat(),
        )
        .unwrap();
        std::fs::write(folder.path().join("c.mp3"), "x").unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let library = PromptLibrary::new(folder.path().join("sub/../"), &[]);
        assert_eq!(library.load("a").unwrap().slin8[..], [1, 2]);
        assert_eq!(library.load("./b.wav").unwrap().slin8[..], [7]);
        assert_eq!(
            library
                .load_file(&folder.path().join("a.raw"))
                .unwrap()
                .slin8
                .len(),
            2
        );
        for (key, word) in [
            ("../a.raw", "below"),
            ("sub/../../x", "below"),
            ("/etc/passwd", "below"),
            ("", "below"),
            ("a\0", "below"),
            ("c.mp3", "not readable as MP3"),
            ("d", "not found"),
            ("sub", "not found"),
        ] {
            let error = library.load(key).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let anywhere = PromptLibrary::new("", &[]);
        let key = folder.path().join("sub/../a").display().to_string();
        assert_eq!(anywhere.load(&key).unwrap().slin8[..], [1, 2]);
    }

    #[test]
    fn changed_files_are_exchanged_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let shape = wav::Shape {
            rate_hz: 8000,
            channels: 1,
        };
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("a.raw"), [1, 0]).unwrap();
        std::fs::write(
            file("b.wav"),
            [&wav::header(shape, 2, 0)[..], &[7, 0]].concat(),
        )
        .unwrap();
        let library = PromptLibrary::new(folder.path(), &EMBEDDED);
        let first = library.load("a").unwrap();
        library.load("b").unwrap();
        library.load("builtin:hello").unwrap();
        assert!(
            matches!(library.refresh(), (keys, errors) if keys.is_empty() && errors.is_empty())
        );
        std::fs::write(file("a.raw"), [1, 0, 2, 0]).unwrap();
        std::fs::write(file("b.wav"), "broken").unwrap();
        let (keys, errors) = library.refresh();
        assert_eq!((keys, errors.len()), (vec!["a".to_owned()], 1));
        assert!(errors[0].to_string().contains("b.wav"), "{}", errors[0]);
        assert_eq!(library.load("a").unwrap().slin8[..], [1, 2]);
        assert_eq!(library.load("b").unwrap().slin8[..], [7]);
        assert_eq!(first.slin8[..], [1], "what plays goes on");
        std::fs::remove_file(file("a.raw")).unwrap();
        assert_eq!(library.refresh().1.len(), 2);
        assert_eq!(library.load("a").unwrap().slin8[..], [1, 2]);
    }

    #[test]
    fn half_the_rate_keeps_the_tone() {
        let mut samples = vec![0; 16_000];
        trunkline_dsp::tone::Tone::new(16_000, [440.0, 0.0], -10.0).fill(&mut samples);
        let prompt = Prompt::from_wide("tone", &samples);
        assert_eq!(prompt.slin16.as_deref(), Some(&samples[..]));
        let halved = &prompt.slin8;
        assert_eq!(halved.len(), 8000);
        let level = trunkline_dsp::level::dbm0(&halved[800..]);
        assert!((level + 10.0).abs() < 0.2, "{level}");
    }
}
