//! The recogniser over made-up back ends: who is asked, what is told, and what it hears.
use super::super::asked::Failed;
use super::*;
use crate::config::At;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the back ends of tests have of a configuration.
pub(super) fn common(timeout: Duration) -> Common {
    Common {
        config: RecognitionBackend {
            name: "test".to_owned(),
            kind: RecognitionKind::Command {
                command: Vec::new(),
            },
            languages: Vec::new(),
            timeout,
            at: At::START,
        },
        turns: Arc::new(Semaphore::new(1)),
    }
}

/// Answers with how many samples it heard, or fails.
#[derive(Debug)]
struct Counts {
    name: &'static str,
    language: &'static str,
    error: Mutex<Option<SpeechError>>,
    asked: AtomicU64,
}

impl Counts {
    fn new(name: &'static str, language: &'static str) -> Arc<Counts> {
        Arc::new(Counts {
            name,
            language,
            error: Mutex::new(None),
            asked: AtomicU64::new(0),
        })
    }

    fn fails(&self, error: SpeechError) {
        *self.error.lock().unwrap() = Some(error);
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Backend for Counts {
    fn name(&self) -> &str {
        self.name
    }

    fn understands(&self, language: &str) -> bool {
        covers(self.language, language)
    }

    fn understand<'a>(&'a self, wanted: &'a Wanted, _: &'a str) -> Understanding<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if let Some(error) = self.error.lock().unwrap().clone() {
                return Err(error);
            }
            let count = wanted.spoken.all().await.len();
            let text = match count {
                0 => " \n".to_owned(),
                count => format!("{count}\n\n words\u{7}"),
            };
            Ok(Words {
                text,
                confidence: Some(0.5),
            })
        })
    }
}

fn recogniser(backends: &[&Arc<Counts>]) -> Recogniser {
    let backends = backends
        .iter()
        .map(|each| Arc::clone(each) as Arc<dyn Backend>);
    Recogniser::with("en-US", backends.collect(), None)
}

fn counts(recogniser: &Recogniser) -> [u64; 3] {
    let counters = recogniser.counters();
    [&counters.understood, &counters.wordless, &counters.lost]
        .map(|counter| counter.load(Ordering::SeqCst))
}

#[tokio::test]
async fn what_fails_is_told_and_the_next_hears_the_same_from_its_beginning() {
    let (first, second) = (Counts::new("first", "en"), Counts::new("second", "en"));
    let recogniser = recogniser(&[&first, &second]);
    let told: Arc<Mutex<Vec<Failed>>> = Arc::default();
    let notes = told.clone();
    recogniser.on_failed(move |failed| notes.lock().unwrap().push(failed.clone()));
    first.fails(SpeechError::Refused("not this".to_owned()));
    let (mouth, spoken) = Spoken::live();
    mouth.say(&[1; 300]);
    let wanted = Wanted {
        call: Some("c-1".to_owned()),
        ..Wanted::of(spoken, None)
    };
    let asking = recogniser.clone();
    let understanding = tokio::spawn(async move { asking.understand(&wanted).await });
    while second.asked() == 0 {
        tokio::task::yield_now().await;
    }
    mouth.say(&[2; 20]);
    drop(mouth);
    let expected = Transcript {
        text: "320 words".to_owned(),
        confidence: Some(0.5),
        language: "en-US".to_owned(),
        backend: "second".to_owned(),
    };
    assert_eq!(understanding.await.unwrap(), Ok(expected));
    let failed = Failed {
        task: "recognise",
        backend: "first".to_owned(),
        reason: "not this".to_owned(),
        next: Some("second".to_owned()),
        call: Some("c-1".to_owned()),
    };
    assert_eq!(*told.lock().unwrap(), [failed]);
    // What was refused says nothing of the next piece; what failed rests.
    first.fails(SpeechError::Failed("broken".to_owned()));
    for _ in 0..3 {
        let text = recogniser.transcribe(vec![0; 5], Some("en-GB")).await;
        assert_eq!(text.unwrap().text, "5 words");
    }
    assert_eq!(first.asked(), 2);
    second.fails(SpeechError::Failed("broken too".to_owned()));
    let error = recogniser.transcribe(vec![0; 5], None).await.unwrap_err();
    assert_eq!(error.to_string(), "second: broken too");
    assert_eq!(counts(&recogniser), [4, 0, 1]);
}

#[tokio::test]
async fn languages_files_and_silence() {
    let english = Counts::new("english", "en");
    let recogniser = recogniser(&[&english]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message.wav");
    std::fs::write(&file, crate::media::wav_file(8000, &[5; 80])).unwrap();
    let text = recogniser.transcribe_file(&file, None).await.unwrap();
    assert_eq!(text.text, "160 words");
    let silent = recogniser.transcribe(Vec::new(), None).await.unwrap();
    assert_eq!(silent.text, "");
    let error = recogniser.transcribe(vec![0], Some("es-ES")).await;
    assert_eq!(error, Err(RecogniserError::Language("es-ES".to_owned())));
    std::fs::write(&file, "no audio").unwrap();
    let error = recogniser.transcribe_file(&file, None).await;
    assert!(matches!(error, Err(RecogniserError::Unreadable(_))));
    assert_eq!(counts(&recogniser), [1, 1, 1]);
    assert!(recogniser.hears() && !self::recogniser(&[]).hears());
    let nobody = self::recogniser(&[]).transcribe(vec![0], None).await;
    assert_eq!(nobody, Err(RecogniserError::Nobody));
}
