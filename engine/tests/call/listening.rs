//! A program that listens to the caller: speech, silence, beeps, and what else ends it; and what is said, understood.
use super::events::until;
use super::phone::{Phone, audio_port};
use super::rig::{Plan, Rig};
use super::tone;
use std::time::Duration;
use trunkline::call::*;
use trunkline::media::Law;

fn listen(until: Until) -> Listen {
    Listen {
        prompts: Vec::new(),
        repeat: Repeat::Times(1),
        until,
        stop_keys: "#".to_owned(),
        max_ms: 30_000,
    }
}

const SPEECH: Until = Until {
    speech: true,
    silence_ms: 0,
    beep: false,
};

/// Harmonics of a pitch that glides.
fn voice(n: u32) -> i16 {
    let t = f64::from(n) / 8000.0;
    let phase = std::f64::consts::TAU * (140.0 * t + 4.0 * (3.0 * t).sin());
    let sum: f64 = (1..8)
        .map(|k| (f64::from(k) * phase).sin() / f64::from(k))
        .sum();
    (sum * 4000.0 * (0.6 + 0.4 * (25.0 * t).sin())) as i16
}

fn whistle(n: u32) -> i16 {
    let phase = std::f64::consts::TAU * 1000.0 * f64::from(n) / 8000.0;
    (phase.sin() * 8000.0) as i16
}

/// A caller who sends what it is told in its own time.
struct Caller {
    phone: Phone,
    port: u16,
    frame: u32,
}

impl Caller {
    async fn calling(rig: &Rig) -> Caller {
        let mut phone = Phone::new(rig.address, "ears").await;
        phone.invite(&phone.sdp("sendrecv")).await;
        let answer = phone.last_response("INVITE").await;
        phone.ack(&answer, "").await;
        let port = audio_port(&answer);
        Caller {
            phone,
            port,
            frame: 0,
        }
    }

    async fn send(&mut self, sample: impl Fn(u32) -> i16) {
        let samples: Vec<i16> = (0..160).map(|n| sample(self.frame * 160 + n)).collect();
        let mut octets = [0; 160];
        Law::Mu.encode(&samples, &mut octets);
        self.phone
            .rtp(self.port, 0, self.frame * 160, &octets)
            .await;
        self.frame += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    async fn frames(&mut self, count: u32, sample: impl Fn(u32) -> i16) {
        for _ in 0..count {
            self.send(&sample).await;
        }
    }

    /// Sends until the program was told something.
    async fn until_told(&mut self, rig: &mut Rig, sample: impl Fn(u32) -> i16) -> Listened {
        loop {
            tokio::select! {
                biased;
                outcome = rig.outcome() => match outcome {
                    Outcome::Listened(listened) => return listened,
                    other => panic!("{other:?}"),
                },
                () = self.send(&sample) => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_silence_and_a_beep_are_told_one_after_the_other() {
    let silence = Until {
        speech: false,
        silence_ms: 600,
        ..SPEECH
    };
    let beep = Until {
        speech: false,
        beep: true,
        ..SPEECH
    };
    let prompted = Listen {
        prompts: tone(),
        repeat: Repeat::Forever,
        ..listen(SPEECH)
    };
    let verbs = [
        Verb::Answer,
        Verb::Listen(prompted),
        Verb::Listen(listen(silence)),
        Verb::Listen(listen(beep)),
    ];
    let mut rig = Rig::start(vec![("ears", Plan::of(verbs))]).await;
    let mut caller = Caller::calling(&rig).await;
    // While the prompt plays, nothing is said.
    caller.frames(25, |_| 0).await;
    let spoken = caller.until_told(&mut rig, voice).await;
    assert_eq!(spoken.end, ListenEnd::Speech);
    assert!(spoken.after_ms >= 300, "{spoken:?}");
    // It goes on speaking: that is no silence.
    caller.frames(40, voice).await;
    let silent = caller.until_told(&mut rig, |_| 0).await;
    assert_eq!(silent.end, ListenEnd::Silence);
    assert!(silent.after_ms >= 1200, "{silent:?}");
    caller.frames(30, whistle).await;
    let beeped = caller.until_told(&mut rig, |_| 0).await;
    assert_eq!(beeped.end, ListenEnd::Beep);
    caller.phone.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_the_limit_end_it_too() {
    let short = Listen {
        max_ms: 200,
        ..listen(SPEECH)
    };
    let verbs = [
        Verb::Answer,
        Verb::Listen(listen(SPEECH)),
        Verb::Listen(short),
    ];
    let mut rig = Rig::start(vec![("ears", Plan::of(verbs))]).await;
    let mut caller = Caller::calling(&rig).await;
    caller.phone.hear().await;
    caller.phone.info('5').await;
    caller.phone.info('#').await;
    let Outcome::Listened(Listened {
        end: ListenEnd::Key(key),
        ..
    }) = rig.outcome().await
    else {
        panic!("no key");
    };
    assert_eq!(key.digit, '#');
    let limited = rig.outcome().await;
    assert!(
        matches!(limited, Outcome::Listened(Listened { end: ListenEnd::TimeLimit, after_ms }) if after_ms >= 200),
        "{limited:?}"
    );
    caller.phone.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

fn ask(end_ms: u32) -> Verb {
    Verb::Gather(Gather {
        prompts: tone(),
        repeat: Repeat::Forever,
        timeout_ms: 60_000,
        inter_digit_ms: 60_000,
        max_digits: 1,
        finish_on: None,
        barge_in: true,
        typeahead: false,
        sensitive: false,
        speech: Some(Box::new(SpeechInput {
            end_ms,
            hints: vec!["sales".to_owned()],
            ..SpeechInput::usual()
        })),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_says_over_the_prompt_is_understood_and_a_key_comes_before_it() {
    let verbs = [Verb::Answer, ask(600), ask(10_000)];
    let mut rig = Rig::start(vec![("ears", Plan::of(verbs))]).await;
    let mut watcher = rig.calls.events.watch();
    let mut caller = Caller::calling(&rig).await;
    caller.frames(25, |_| 0).await;
    caller.frames(60, voice).await;
    let said = loop {
        tokio::select! {
            biased;
            outcome = rig.outcome() => match outcome {
                Outcome::Gathered(gathered) => break gathered,
                other => panic!("{other:?}"),
            },
            () = caller.send(|_| 0) => {}
        }
    };
    let speech = said.speech.expect("speech");
    assert_eq!((said.end, said.digits.as_str()), (GatherEnd::Speech, ""));
    // Of a second and more: it was heard from its beginning, though the first back end had failed.
    assert_eq!(
        (speech.text.as_str(), speech.confidence),
        ("sales", Some(0.75))
    );
    let (told, _) = until(&mut watcher, EventKind::SpeechRecognised).await;
    assert_eq!(
        (&told["text"], &told["backend"]),
        (&"sales".into(), &"known".into())
    );
    caller.frames(30, voice).await;
    caller.phone.info('5').await;
    let Outcome::Gathered(keyed) = rig.outcome().await else {
        panic!("no entry");
    };
    assert_eq!((keyed.digits.as_str(), keyed.speech), ("5", None));
    caller.phone.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}
