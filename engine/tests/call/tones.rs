//! Tones of the network and answering machines: what a far end plays, and what becomes of the call.
use crate::phone::{Phone, audio_port, header, status};
use crate::rig::{Plan, Rig};
use std::time::Duration;
use trunkline::call::*;
use trunkline_dsp::answering::{Answerer, Settings};
use trunkline_dsp::g711::ulaw_encode;
use trunkline_dsp::progress::{self, Kind, Player, Sound, Step};

const US: &str = "us";

fn us() -> &'static progress::Plan {
    progress::Plan::of(US).unwrap()
}

/// Plays audio to the server in real time, in PCMU.
async fn play(phone: &mut Phone, to: u16, mut player: Player, ms: u32) {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    for frame in 0..ms / 20 {
        clock.tick().await;
        let mut samples = [0; 160];
        player.fill(&mut samples);
        let octets = samples.map(ulaw_encode);
        phone.rtp(to, 0, frame * 160, &octets).await;
    }
}

fn tone(name: &str) -> Player {
    Player::of(8000, us().signal(name).unwrap())
}

fn steps(steps: &[(f32, u32)]) -> Player {
    let steps: Vec<Step> = steps
        .iter()
        .map(|(hz, ms)| Step {
            sound: (*hz > 0.0).then_some(Sound::One(*hz)),
            dbm0: -12.0,
            ms: *ms,
        })
        .collect();
    Player::new(8000, &steps)
}

async fn rig_with_callee(progress: bool) -> (Rig, Phone) {
    let rig = Rig::start(vec![]).await;
    let callee = rig
        .phone_with("bob", |leg| (leg.progress, leg.tones) = (progress, us()))
        .await;
    (rig, callee)
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_before_the_answer_is_a_486_for_the_caller() {
    let (mut rig, mut bob) = rig_with_callee(true).await;
    let mut caller = Phone::new(rig.address, "dial-bob").await;
    caller.invite(&caller.sdp("sendrecv")).await;
    let invite = bob.called().await;
    let sdp = bob.sdp("sendrecv");
    bob.respond(&invite, "183 Session Progress", &sdp).await;
    play(&mut bob, audio_port(&invite), tone("busy"), 3000).await;
    bob.cancelled(&invite).await;
    let answer = caller.last_response("INVITE").await;
    assert_eq!(status(&answer), 486, "{answer}");
    assert!(header(&answer, "Reason").contains("Q.850;cause=17"));
    caller.ack(&answer, "").await;
    rig.is_empty().await;
    let records = rig.records(3).await;
    let heard = records.iter().find(|record| record["tones"][0] == "busy");
    assert!(heard.is_some(), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn congestion_after_the_answer_ends_the_call_with_its_cause() {
    let (mut rig, mut bob) = rig_with_callee(true).await;
    let mut caller = Phone::new(rig.address, "dial-bob").await;
    caller.invite(&caller.sdp("sendrecv")).await;
    let invite = bob.called().await;
    bob.pick_up(&invite).await;
    let answer = caller.last_response("INVITE").await;
    caller.ack(&answer, "").await;
    play(&mut bob, audio_port(&invite), tone("congestion"), 3000).await;
    bob.expect("BYE").await;
    let bye = caller.expect("BYE").await;
    assert!(header(&bye, "Reason").contains("Q.850;cause=34"), "{bye}");
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_to_who_was_not_asked_to() {
    let (mut rig, mut bob) = rig_with_callee(false).await;
    let mut caller = Phone::new(rig.address, "dial-bob").await;
    caller.invite(&caller.sdp("sendrecv")).await;
    let invite = bob.called().await;
    bob.pick_up(&invite).await;
    let answer = caller.last_response("INVITE").await;
    caller.ack(&answer, "").await;
    play(&mut bob, audio_port(&invite), tone("busy"), 3000).await;
    bob.bye().await;
    let bye = caller.expect("BYE").await;
    assert!(header(&bye, "Reason").contains("Q.850;cause=16"), "{bye}");
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_waits_for_a_fax() {
    let wait = WaitForTone {
        prompts: Vec::new(),
        repeat: Repeat::Times(1),
        plan: progress::Plan::to_hear("any").unwrap(),
        kinds: vec!["fax_calling".to_owned()],
        stop_keys: String::new(),
        max_ms: 20_000,
    };
    let verbs = [Verb::Answer, Verb::WaitForTone(Box::new(wait))];
    let mut rig = Rig::start(vec![("fax", Plan::of(verbs))]).await;
    let mut fax = Phone::new(rig.address, "fax").await;
    let offer = fax.sdp("sendrecv");
    let answer = fax.reinvite(&offer, "").await;
    play(
        &mut fax,
        audio_port(&answer),
        steps(&[(1100.0, 500), (0.0, 3000)]),
        5000,
    )
    .await;
    let mut outcome = rig.outcome().await;
    while !matches!(outcome, Outcome::ToneWaited(_)) {
        outcome = rig.outcome().await;
    }
    let Outcome::ToneWaited(ToneEnd::Heard(heard)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(heard.kind, Kind::FaxCalling);
    fax.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.is_empty().await;
}

/// What an answering machine says, with its beep.
fn greeting() -> Player {
    // Words as a buzz of two tones that no exchange has, which is voice to whoever listens for one.
    let word = Step {
        sound: Some(Sound::Two(180.0, 1270.0)),
        dbm0: -14.0,
        ms: 300,
    };
    let pause = Step {
        sound: None,
        dbm0: 0.0,
        ms: 100,
    };
    let beep = Step {
        sound: Some(Sound::One(1000.0)),
        ..word
    };
    let before = Step { ms: 600, ..pause };
    let greeting = [
        before, word, pause, word, pause, word, pause, word, pause, word, before, beep,
    ];
    Player::new(8000, &greeting)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answering_machine_is_told_with_its_beep() {
    let detect = DetectMachine {
        plan: us(),
        settings: Settings {
            wait_for_beep: true,
            ..Settings::default()
        },
        background: false,
    };
    let verbs = [Verb::Answer, Verb::DetectMachine(Box::new(detect))];
    let mut rig = Rig::start(vec![("amd", Plan::of(verbs))]).await;
    let mut machine = Phone::new(rig.address, "amd").await;
    let offer = machine.sdp("sendrecv");
    let answer = machine.reinvite(&offer, "").await;
    let player = greeting();
    play(&mut machine, audio_port(&answer), player, 3600).await;
    let mut outcome = rig.outcome().await;
    while !matches!(outcome, Outcome::MachineDetected(_)) {
        // Silence follows, as it does while a machine records.
        outcome = rig.outcome().await;
    }
    let Outcome::MachineDetected(found) = outcome else {
        panic!("{outcome:?}");
    };
    let verdict = found.verdict.expect("audio came");
    assert_eq!(
        (verdict.answerer, found.beep),
        (Answerer::Machine, true),
        "{found:?}"
    );
    machine.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_from_no_audio_at_all() {
    let detect = DetectMachine {
        plan: us(),
        settings: Settings {
            initial_silence_ms: 200,
            total_analysis_ms: 400,
            ..Settings::default()
        },
        background: false,
    };
    let verbs = [Verb::Answer, Verb::DetectMachine(Box::new(detect))];
    let mut rig = Rig::start(vec![("amd", Plan::of(verbs))]).await;
    let mut mute = Phone::new(rig.address, "amd").await;
    let offer = mute.sdp("sendrecv");
    mute.reinvite(&offer, "").await;
    let found = loop {
        if let Outcome::MachineDetected(found) = rig.outcome().await {
            break found;
        }
    };
    assert!(found.verdict.is_none() && !found.beep, "{found:?}");
    mute.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_dialled_is_not_joined() {
    let dial = Dial {
        on_machine: Some(OnMachine::Hangup),
        ..Dial::one(DialTarget::Endpoint("bob".to_owned()))
    };
    let mut rig = Rig::start(vec![("amd", Plan::of([Verb::Dial(dial)]))]).await;
    let mut bob = rig.phone("bob").await;
    let mut caller = Phone::new(rig.address, "amd").await;
    caller.invite(&caller.sdp("sendrecv")).await;
    let invite = bob.called().await;
    bob.pick_up(&invite).await;
    play(&mut bob, audio_port(&invite), greeting(), 3600).await;
    let mut outcome = rig.outcome().await;
    while !matches!(outcome, Outcome::Dialled(_)) {
        outcome = rig.outcome().await;
    }
    let Outcome::Dialled(dialled) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((dialled.how, dialled.status), (DialEnd::Machine, 480));
    bob.expect("BYE").await;
    let answer = caller.last_response("INVITE").await;
    assert!(
        status(&answer) >= 300,
        "the caller was never answered: {answer}"
    );
    caller.ack(&answer, "").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_dialled_is_joined_when_it_has_beeped() {
    let dial = Dial {
        on_machine: Some(OnMachine::WaitForBeep),
        ..Dial::one(DialTarget::Endpoint("bob".to_owned()))
    };
    let mut rig = Rig::start(vec![("amd", Plan::of([Verb::Dial(dial)]))]).await;
    let mut bob = rig.phone("bob").await;
    let mut caller = Phone::new(rig.address, "amd").await;
    caller.invite(&caller.sdp("sendrecv")).await;
    let invite = bob.called().await;
    bob.pick_up(&invite).await;
    play(&mut bob, audio_port(&invite), greeting(), 3600).await;
    let answer = caller.last_response("INVITE").await;
    assert_eq!(status(&answer), 200, "{answer}");
    caller.ack(&answer, "").await;
    caller.bye().await;
    bob.expect("BYE").await;
    let mut outcome = rig.outcome().await;
    while outcome != Outcome::HungUp {
        assert!(!matches!(outcome, Outcome::Dialled(_)), "{outcome:?}");
        outcome = rig.outcome().await;
    }
    rig.is_empty().await;
}
