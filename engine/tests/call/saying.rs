//! Texts in a call: what a back end makes is what the far end hears, sentence after sentence, and a back end that fails costs nothing.
use super::phone::{PATIENCE, Phone};
use super::rig::{Plan, Rig, VOICE_MS};
use trunkline::call::*;
use trunkline::media::Law;
use trunkline::speech::Speech;

const LONG: &str = "Welcome to the house of a thousand voices, where everything is said. \
    Sentence two is just as long as the first one was, and a little longer than that still.";

fn said(text: &str) -> Vec<Audio> {
    vec![Audio::Speech(Box::new(Speech::plain(text)))]
}

fn play(audio: Vec<Audio>, times: u32) -> Verb {
    Verb::Play(Play {
        audio,
        repeat: Repeat::Times(times),
        stop_keys: "#".to_owned(),
        manner: Manner::default(),
    })
}

/// Everything the phone hears until it is hung up, as samples.
async fn heard(phone: &mut Phone) -> Vec<i16> {
    let mut samples = Vec::new();
    let over = tokio::time::timeout(PATIENCE, phone.expect("BYE"));
    over.await.expect("a BYE in time");
    while let Some(packet) = phone.already_heard() {
        let from = samples.len();
        samples.resize(from + packet.payload.len(), 0);
        Law::Mu.decode(&packet.payload, &mut samples[from..]);
    }
    samples
}

/// The normalised correlation of the made-up voice with what was heard, at its best place, and that place.
fn found(heard: &[i16], voice: &[i16]) -> Vec<usize> {
    let energy = |samples: &[i16]| -> f64 { samples.iter().map(|s| f64::from(*s).powi(2)).sum() };
    let own = energy(voice);
    let mut places = Vec::new();
    let mut at = 0;
    while at + voice.len() <= heard.len() {
        let part = &heard[at..at + voice.len()];
        let dot: f64 = part
            .iter()
            .zip(voice)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum();
        if dot / (own * energy(part)).sqrt().max(1.0) > 0.98 {
            places.push(at);
            at += voice.len();
        } else {
            at += 1;
        }
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_is_what_is_heard_sentence_after_sentence() {
    for (text, times, sentences) in [("Hello.", 1, 1), (LONG, 1, 2), (LONG, 2, 4)] {
        let verbs = [Verb::Answer, play(said(text), times)];
        let mut rig = Rig::start(vec![("voice", Plan::of(verbs))]).await;
        let mut phone = Phone::calling(rig.address, "voice").await;
        let heard = heard(&mut phone).await;
        let places = found(&heard, &super::rig::voice());
        assert_eq!(
            places.len(),
            sentences,
            "{text} {times}: {places:?} of {}",
            heard.len()
        );
        // No gap between those that were there.
        if times == 2 {
            let gap = places[1] - places[0];
            assert!(gap.abs_diff(VOICE_MS * 8) <= 160, "{places:?}");
        }
        let failures = rig.calls.speech.as_ref().unwrap().failures();
        assert_eq!(failures[0], ("broken".to_owned(), 1), "it rests after that");
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.is_empty().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stops_a_text_and_a_language_that_nobody_speaks_is_left_out() {
    let spanish = Speech {
        language: Some("es-ES".to_owned()),
        ..Speech::plain("Hola")
    };
    let verbs = [
        Verb::Answer,
        play(vec![Audio::Speech(Box::new(spanish))], 1),
        play(said(LONG), 1000),
    ];
    let mut rig = Rig::start(vec![("voice", Plan::of(verbs))]).await;
    let mut phone = Phone::calling(rig.address, "voice").await;
    // Until the text begins: where nothing is said there is silence.
    loop {
        let packet = phone.heard_now().await;
        if packet.is_some_and(|packet| packet.payload.iter().any(|octet| octet & 0x7F != 0x7F)) {
            break;
        }
    }
    phone.info('#').await;
    assert!(matches!(rig.outcome().await, Outcome::Interrupted(_)));
    phone.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.is_empty().await;
}
