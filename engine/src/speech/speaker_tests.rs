//! The speaker over made-up back ends: what is asked for how often, and what happens when one fails.
use super::super::backend::Speaking;
use super::super::backend::fake::said;
use super::super::{Sound, SpeechError};
use super::*;
use std::sync::atomic::AtomicBool;

/// Says each text as so many samples as it has octets, each with the value given.
#[derive(Debug)]
struct Made {
    name: &'static str,
    sample: i16,
    language: Option<&'static str>,
    fails: AtomicBool,
    asked: AtomicU64,
    /// Speaks only when it may.
    gate: Semaphore,
}

impl Made {
    fn new(name: &'static str, sample: i16) -> Arc<Made> {
        Arc::new(Made {
            name,
            sample,
            language: None,
            fails: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            gate: Semaphore::new(1000),
        })
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Backend for Made {
    fn name(&self) -> &str {
        self.name
    }

    fn speaks(&self, language: &str) -> bool {
        self.language.is_none_or(|of| language.starts_with(of))
    }

    fn tells(&self, _: &Utterance) -> String {
        self.name.to_owned()
    }

    fn speak<'a>(&'a self, said: &'a Utterance) -> Speaking<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            if self.fails.load(Ordering::SeqCst) {
                return Err(SpeechError::Failed("broken".to_owned()));
            }
            let samples = vec![self.sample; said.text.len()];
            let content = samples.iter().flat_map(|sample| sample.to_le_bytes());
            Ok(Sound {
                extension: "sln".to_owned(),
                content: content.collect(),
            })
        })
    }
}

fn config(folder: Option<&std::path::Path>) -> config::Speech {
    config::Speech {
        language: "en-US".to_owned(),
        voice: None,
        cache_dir: folder.map(std::path::Path::to_owned),
        cache_octets: 1 << 20,
        parallel: 2,
        backends: Vec::new(),
    }
}

fn speaker(folder: Option<&std::path::Path>, backends: &[&Arc<Made>]) -> Speaker {
    let backends = backends
        .iter()
        .map(|each| Arc::clone(each) as Arc<dyn Backend>);
    Speaker::with(&config(folder), backends.collect(), None)
}

fn counts(speaker: &Speaker) -> [u64; 4] {
    let counters = speaker.counters();
    [
        &counters.memory,
        &counters.disk,
        &counters.made,
        &counters.unspoken,
    ]
    .map(|counter| counter.load(Ordering::SeqCst))
}

#[tokio::test]
async fn memory_comes_before_disk_and_disk_before_making_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let voice = Made::new("voice", 7);
    let first = speaker(Some(folder.path()), &[&voice]);
    for _ in 0..3 {
        assert_eq!(first.utter(&said("hello")).await.unwrap().slin8[..], [7; 5]);
    }
    assert_eq!((voice.asked(), counts(&first)), (1, [2, 0, 1, 0]));
    let again = speaker(Some(folder.path()), &[&voice]);
    assert_eq!(again.utter(&said("hello")).await.unwrap().slin8[..], [7; 5]);
    assert_eq!((voice.asked(), counts(&again)), (1, [0, 1, 0, 0]));
    // Another rate, voice or language is another sound; another volume is made from the same.
    for other in [
        Utterance {
            rate_percent: 50,
            ..said("hello")
        },
        Utterance {
            voice: "x".to_owned(),
            ..said("hello")
        },
        Utterance {
            language: "es".to_owned(),
            ..said("hello")
        },
    ] {
        again.utter(&other).await.unwrap();
    }
    assert_eq!(voice.asked(), 4);
    let loud = Utterance {
        volume_db: 6,
        ..said("hello")
    };
    assert_eq!(again.utter(&loud).await.unwrap().slin8[..], [13; 5]);
    assert_eq!(voice.asked(), 4);
    // A file that is no audio is made anew.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::write(file.unwrap().path(), "garbage").unwrap();
    }
    let third = speaker(Some(folder.path()), &[&voice]);
    assert_eq!(third.utter(&said("hello")).await.unwrap().slin8[..], [7; 5]);
    assert_eq!((voice.asked(), counts(&third)), (5, [0, 0, 1, 0]));
}

#[tokio::test]
async fn many_who_want_the_same_wait_for_one_and_it_is_made_though_all_leave() {
    let mut voice = Made::new("voice", 7);
    Arc::get_mut(&mut voice).unwrap().gate = Semaphore::new(0);
    let speaker = speaker(None, &[&voice]);
    let waits: Vec<_> = (0..50)
        .map(|_| {
            let speaker = speaker.clone();
            tokio::spawn(async move { speaker.utter(&said("hello")).await.is_ok() })
        })
        .collect();
    while voice.asked() == 0 {
        tokio::task::yield_now().await;
    }
    waits[..25].iter().for_each(tokio::task::JoinHandle::abort);
    voice.gate.add_permits(1);
    let mut done = 0;
    for wait in waits.into_iter().skip(25) {
        assert!(wait.await.unwrap());
        done += 1;
    }
    assert_eq!((done, voice.asked()), (25, 1));
    assert!(speaker.in_memory(&said("hello")).is_some());
}

#[tokio::test]
async fn what_fails_is_told_passed_over_and_rests() {
    let (first, second) = (Made::new("first", 1), Made::new("second", 2));
    let speaker = speaker(None, &[&first, &second]);
    let told: Arc<Mutex<Vec<Failed>>> = Arc::default();
    let notes = told.clone();
    speaker.on_failed(move |failed| notes.lock().unwrap().push(failed.clone()));
    first.fails.store(true, Ordering::SeqCst);
    assert_eq!(speaker.utter(&said("one")).await.unwrap().slin8[0], 2);
    // It rests: the second is asked at once.
    assert_eq!(speaker.utter(&said("two")).await.unwrap().slin8[0], 2);
    assert_eq!((first.asked(), second.asked()), (1, 2));
    let expected = Failed {
        task: "speak",
        backend: "first".to_owned(),
        reason: "broken".to_owned(),
        next: Some("second".to_owned()),
        call: None,
    };
    assert_eq!(*told.lock().unwrap(), [expected]);
    second.fails.store(true, Ordering::SeqCst);
    let error = speaker.utter(&said("three")).await.unwrap_err();
    assert_eq!(error.to_string(), "second: broken");
    assert_eq!(
        speaker.failures(),
        [("first".to_owned(), 1), ("second".to_owned(), 1)]
    );
    assert_eq!(counts(&speaker)[3], 1);
}

#[tokio::test]
async fn whom_a_text_names_is_asked_first_and_another_configuration_counts_from_the_next_text() {
    let (first, second) = (Made::new("first", 1), Made::new("second", 2));
    let speaker = speaker(None, &[&first, &second]);
    for (by, sample) in [("", 1), ("second", 2), ("made", 1), ("nobody", 1)] {
        let by = by.to_owned();
        let said = Utterance { by, ..said("x") };
        assert_eq!(
            speaker.utter(&said).await.unwrap().slin8[0],
            sample,
            "{said:?}"
        );
    }
    let third = Made::new("third", 3);
    speaker.apply_with(&config(None), vec![third.clone()]);
    assert_eq!(speaker.utter(&said("x")).await.unwrap().slin8[0], 3);
    assert_eq!(speaker.failures(), [("third".to_owned(), 0)]);
}

#[tokio::test]
async fn what_an_exchanged_configuration_has_made_is_not_kept() {
    let mut slow = Made::new("slow", 1);
    Arc::get_mut(&mut slow).unwrap().gate = Semaphore::new(0);
    let (speaker, new) = (speaker(None, &[&slow]), Made::new("new", 2));
    let first = speaker.clone();
    let waits = tokio::spawn(async move { first.utter(&said("x")).await.unwrap().slin8[0] });
    while slow.asked() == 0 {
        tokio::task::yield_now().await;
    }
    speaker.apply_with(&config(None), vec![new.clone()]);
    slow.gate.add_permits(1);
    assert_eq!(waits.await.unwrap(), 1);
    assert_eq!(speaker.utter(&said("x")).await.unwrap().slin8[0], 2);
}

#[tokio::test]
async fn languages_that_nobody_speaks_and_no_voice_at_all_are_told() {
    let mut english = Made::new("english", 1);
    Arc::get_mut(&mut english).unwrap().language = Some("en");
    let spanish = Utterance {
        language: "es-ES".to_owned(),
        ..said("hola")
    };
    let some = speaker(None, &[&english]);
    let error = some.utter(&spanish).await.unwrap_err();
    assert_eq!(error, SpeakerError::Language("es-ES".to_owned()));
    let nobody = speaker(None, &[]).utter(&spanish).await.unwrap_err();
    assert_eq!(nobody, SpeakerError::Nobody);
}

#[tokio::test]
async fn a_whole_text_is_its_parts_and_their_pauses() {
    let voice = Made::new("voice", 7);
    let speaker = speaker(None, &[&voice]);
    let speech = Speech {
        ssml: true,
        ..Speech::plain("<speak>abcd<break time='10ms'/>ef</speak>")
    };
    let whole = speaker.whole(&speech).await.unwrap();
    assert_eq!(whole.slin8.len(), 4 + 80 + 2);
    speaker.prepare(vec![Speech::plain("later")]);
    while voice.asked() < 3 {
        tokio::task::yield_now().await;
    }
}
