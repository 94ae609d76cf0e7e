//! Callers who wait in queues, and agents who serve them.
use crate::bridge::heard;
use crate::callbacks::callback;
use crate::phone::{PATIENCE, Phone, audio_port, header};
use crate::rig::{Plan, Rig};
use std::time::Duration;
use trunkline::call::*;
use trunkline::config::{Agent, Announce, Queue, QueueMember, Secret, Strategy};
use trunkline::queue::AgentState;
use trunkline_dsp::g711;

pub(crate) fn agent(id: &str) -> Agent {
    Agent::at_endpoint(id, id)
}

pub(crate) fn queue(agents: &[&str]) -> Queue {
    let member = |agent: &&str| QueueMember {
        agent: (*agent).to_owned(),
        penalty: 0,
    };
    Queue {
        members: agents.iter().map(member).collect(),
        strategy: Strategy::Linear,
        ring: Duration::from_secs(60),
        ..Queue::named("sales")
    }
}

fn enqueue() -> Plan {
    let wait = Verb::Enqueue(Box::new(Enqueue::queue("sales")));
    Plan::of([Verb::Answer, wait])
}

/// A server with these queues and agents; `300` leads to the queue.
pub(crate) async fn office(
    queue: Queue,
    agents: &[Agent],
    mut plans: Vec<(&'static str, Plan)>,
) -> Rig {
    plans.push(("300", enqueue()));
    let rig = Rig::start(plans).await;
    rig.calls.queues.apply(&[queue], agents);
    rig
}

/// A phone in a call, and where it sends its audio.
async fn calling(rig: &Rig, number: &str) -> (Phone, u16) {
    let mut phone = Phone::new(rig.address, number).await;
    phone.invite(&phone.sdp("sendrecv")).await;
    let answer = phone.last_response("INVITE").await;
    phone.ack(&answer, "").await;
    (phone, audio_port(&answer))
}

/// Picks up; where the agent sends its audio.
async fn takes(agent: &mut Phone) -> u16 {
    let invite = agent.called().await;
    agent.pick_up(&invite).await;
    audio_port(&invite)
}

pub(crate) async fn until(rig: &Rig, agent: &str, state: AgentState) {
    let limit = tokio::time::Instant::now() + PATIENCE;
    loop {
        let view = rig.calls.queues.agent(agent).unwrap();
        if view.state == state {
            return;
        }
        assert!(tokio::time::Instant::now() < limit, "{view:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn until_waiting(rig: &Rig, callers: usize) {
    let limit = tokio::time::Instant::now() + PATIENCE;
    loop {
        let view = rig.calls.queues.queue("sales").unwrap();
        if view.waiting == callers {
            return;
        }
        assert!(tokio::time::Instant::now() < limit, "{view:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Until so many are in rooms: a supervisor is with the two then.
async fn until_heard_by(rig: &Rig, members: u64) {
    let limit = tokio::time::Instant::now() + PATIENCE;
    loop {
        let there = rig.media.stats().rooms.members.value();
        if there == members {
            return;
        }
        assert!(tokio::time::Instant::now() < limit, "{there} members");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn queued(rig: &mut Rig) -> QueueEnd {
    match rig.outcome().await {
        Outcome::Queued(queued) => queued.end,
        other => panic!("{other:?}"),
    }
}

/// The program hangs up.
pub(crate) async fn parted(rig: &mut Rig, phone: &mut Phone) {
    phone.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
}

/// How much of what a phone hears in 20 ms frames is a wave of that frequency: 0 to 1, the best of 100 frames.
async fn best_match(phone: &mut Phone, hz: f64) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..100 {
        if let Some(packet) = phone.heard_now().await {
            best = best.max(correlation(&packet.payload, hz));
        }
    }
    best
}

fn correlation(payload: &[u8], hz: f64) -> f64 {
    let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
    for (at, octet) in payload.iter().enumerate() {
        let sample = f64::from(g711::ulaw_decode(*octet));
        let angle = std::f64::consts::TAU * hz * at as f64 / 8000.0;
        sine += sample * angle.sin();
        cosine += sample * angle.cos();
        energy += sample * sample;
    }
    let count = payload.len().max(1) as f64;
    if energy / count < 100.0 {
        return 0.0;
    }
    2.0 * (sine * sine + cosine * cosine) / (count * energy)
}

/// The first note of the music that is played where none is configured.
const MUSIC_HZ: f64 = 392.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_hears_music_until_an_agent_takes_the_call() {
    let mut rig = office(queue(&["ann"]), &[agent("ann")], vec![]).await;
    let mut ann = rig.phone("ann").await;
    let (mut caller, port) = calling(&rig, "300").await;
    let invite = ann.called().await;
    ann.respond(&invite, "180 Ringing", "").await;
    assert!(best_match(&mut caller, MUSIC_HZ).await > 0.9);
    ann.pick_up(&invite).await;
    heard(&mut caller, port, &mut ann, 0, 0x31).await;
    heard(&mut ann, audio_port(&invite), &mut caller, 0, 0x42).await;
    assert_eq!(
        rig.calls.queues.agent("ann").unwrap().state,
        AgentState::Talking
    );
    ann.bye().await;
    let end = queued(&mut rig).await;
    assert!(
        matches!(&end, QueueEnd::Answered { agent, .. } if agent == "ann"),
        "{end:?}"
    );
    parted(&mut rig, &mut caller).await;
    until(&rig, "ann", AgentState::Free).await;
    let figures = rig.calls.queues.queue("sales").unwrap().today;
    assert_eq!(
        (figures.answered, figures.within, figures.completed),
        (1, 1, 1)
    );
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_served_in_order_by_two_agents_who_rest_between_calls() {
    let mut one = queue(&["ann", "bob"]);
    one.wrap_up = Duration::from_secs(3600);
    let mut rig = office(one, &[agent("ann"), agent("bob")], vec![]).await;
    let (mut ann, mut bob) = (rig.phone("ann").await, rig.phone("bob").await);
    let (mut first, first_port) = calling(&rig, "300").await;
    let ann_port = takes(&mut ann).await;
    heard(&mut first, first_port, &mut ann, 0, 0x31).await;
    let (mut second, second_port) = calling(&rig, "300").await;
    let _bob_port = takes(&mut bob).await;
    heard(&mut second, second_port, &mut bob, 0, 0x32).await;
    let (mut third, third_port) = calling(&rig, "300").await;
    until_waiting(&rig, 1).await;
    first.bye().await;
    ann.expect("BYE").await;
    until(&rig, "ann", AgentState::WrapUp).await;
    assert_eq!(
        rig.calls.queues.queue("sales").unwrap().waiting,
        1,
        "ann rests"
    );
    rig.calls.queues.end_wrap_up("ann").unwrap();
    let _port = takes(&mut ann).await;
    heard(&mut third, third_port, &mut ann, 0, 0x33).await;
    assert_ne!(ann_port, 0);
    for phone in [&mut second, &mut third] {
        phone.bye().await;
    }
    ann.expect("BYE").await;
    bob.expect("BYE").await;
    for _ in 0..3 {
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_agents_are_passed_over_and_who_gives_up_stops_the_ringing() {
    let agents = [agent("ann"), agent("bob"), agent("eve")];
    let mut rig = office(queue(&["ann", "nobody", "eve", "bob"]), &agents, vec![]).await;
    let (mut ann, mut bob) = (rig.phone("ann").await, rig.phone("bob").await);
    let (mut caller, _) = calling(&rig, "300").await;
    let invite = ann.called().await;
    ann.refuse(&invite, "486 Busy Here").await;
    // eve has no phone: the next is bob.
    let invite = bob.called().await;
    bob.respond(&invite, "180 Ringing", "").await;
    assert_eq!(
        rig.calls.queues.agent("ann").unwrap().state,
        AgentState::Busy
    );
    assert_eq!(
        rig.calls.queues.agent("eve").unwrap().state,
        AgentState::Unavailable
    );
    caller.bye().await;
    bob.cancelled(&invite).await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    until(&rig, "bob", AgentState::Free).await;
    let figures = rig.calls.queues.queue("sales").unwrap().today;
    assert_eq!((figures.abandoned, figures.answered), (1, 0));
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_sent_elsewhere_while_waiting_has_not_given_up() {
    let mut rig = office(queue(&["ann"]), &[agent("ann")], vec![]).await;
    rig.calls.queues.pause("ann", "lunch").unwrap();
    let (mut caller, _) = calling(&rig, "300").await;
    until_waiting(&rig, 1).await;
    let elsewhere = Plan::of([Verb::Hangup(Hangup {
        cause: HangupCause::Normal,
    })]);
    let parting = Parting::program(rig.program(elsewhere), "elsewhere");
    let transfer = Transfer {
        own: Some(parting),
        peer: None,
    };
    let call = rig.calls.control.list().remove(0).id;
    let ordered = rig.calls.order(&call, Order::Transfer(transfer)).await;
    ordered.unwrap();
    caller.expect("BYE").await;
    let figures = rig.calls.queues.queue("sales").unwrap().today;
    assert_eq!((figures.abandoned, figures.left), (0, 1));
    while rig.outcome().await != Outcome::HungUp {}
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ring_and_the_others_are_told_that_it_was_answered_elsewhere() {
    let mut one = queue(&["ann", "bob"]);
    one.strategy = Strategy::RingAll;
    let mut rig = office(one, &[agent("ann"), agent("bob")], vec![]).await;
    let (mut ann, mut bob) = (rig.phone("ann").await, rig.phone("bob").await);
    let (mut caller, port) = calling(&rig, "300").await;
    let (first, second) = (ann.called().await, bob.called().await);
    ann.respond(&first, "180 Ringing", "").await;
    bob.respond(&second, "180 Ringing", "").await;
    bob.pick_up(&second).await;
    let cancel = ann.cancelled(&first).await;
    assert!(header(&cancel, "Reason").contains("cause=200"), "{cancel}");
    heard(&mut caller, port, &mut bob, 0, 0x31).await;
    until(&rig, "ann", AgentState::Free).await;
    caller.bye().await;
    bob.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_at_its_limit_when_full_when_empty_and_by_a_key() {
    let mut one = queue(&["ann"]);
    one.max_length = Some(1);
    one.max_wait = Some(Duration::from_millis(300));
    one.exit_keys = "*".to_owned();
    let mut rig = office(one.clone(), &[agent("ann")], vec![]).await;
    rig.calls.queues.pause("ann", "lunch").unwrap();
    let (mut caller, _) = calling(&rig, "300").await;
    assert_eq!(queued(&mut rig).await, QueueEnd::Timeout);
    parted(&mut rig, &mut caller).await;
    one.max_wait = None;
    rig.calls.queues.apply(&[one.clone()], &[agent("ann")]);
    let (mut first, _) = calling(&rig, "300").await;
    until_waiting(&rig, 1).await;
    let (mut second, _) = calling(&rig, "300").await;
    assert_eq!(queued(&mut rig).await, QueueEnd::Full);
    parted(&mut rig, &mut second).await;
    first.info('*').await;
    assert_eq!(queued(&mut rig).await, QueueEnd::Key('*'));
    parted(&mut rig, &mut first).await;
    one.leave_when_empty = Some(trunkline::config::Absent::USUAL);
    rig.calls.queues.unpause("ann").unwrap();
    rig.calls.queues.apply(&[one], &[agent("ann")]);
    rig.calls.queues.logout("ann").unwrap();
    let (mut third, _) = calling(&rig, "300").await;
    assert_eq!(queued(&mut rig).await, QueueEnd::Empty);
    parted(&mut rig, &mut third).await;
    rig.rests().await;
}

/// A headerless file of one wave at 8 kHz.
fn wave(folder: &std::path::Path, name: &str, hz: f64, ms: usize) -> String {
    let samples = (0..ms * 8).map(|at| {
        let angle = std::f64::consts::TAU * hz * at as f64 / 8000.0;
        (8000.0 * angle.sin()) as i16
    });
    let octets: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let path = folder.join(format!("{name}.sln"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, octets).unwrap();
    folder.join(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_are_told_their_place_in_their_language_and_the_music_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    wave(folder.path(), "queue_next", 700.0, 400);
    wave(folder.path(), "es/queue_next", 1300.0, 400);
    let mut one = queue(&["ann"]);
    one.announce = Announce {
        position: true,
        first: Duration::from_millis(300),
        every: Duration::from_secs(3600),
        prompts: Some(folder.path().display().to_string()),
        ..Announce::default()
    };
    let spanish = Enqueue {
        language: "es-ES".to_owned(),
        ..Enqueue::queue("sales")
    };
    let plan = Plan::of([Verb::Answer, Verb::Enqueue(Box::new(spanish))]);
    let mut rig = office(one, &[agent("ann")], vec![("301", plan)]).await;
    rig.calls.queues.logout("ann").unwrap();
    for (number, hz, other) in [("300", 700.0, 1300.0), ("301", 1300.0, 700.0)] {
        let (mut caller, _) = calling(&rig, number).await;
        let (mut told, mut wrong) = (0, 0);
        for _ in 0..300 {
            if let Some(packet) = caller.heard_now().await {
                told += usize::from(correlation(&packet.payload, hz) > 0.95);
                wrong += usize::from(correlation(&packet.payload, other) > 0.95);
            }
            if told >= 15 {
                break;
            }
        }
        assert!(told >= 15 && wrong == 0, "{number}: {told} {wrong}");
        assert!(
            best_match(&mut caller, MUSIC_HZ).await > 0.9,
            "the music goes on"
        );
        caller.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_who_calls_before_both_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = queue(&["ann"]);
    one.whisper = Some(wave(folder.path(), "sales", 1300.0, 400));
    let mut rig = office(one, &[agent("ann")], vec![]).await;
    let mut ann = rig.phone("ann").await;
    let (mut caller, port) = calling(&rig, "300").await;
    let _port = takes(&mut ann).await;
    assert!(best_match(&mut ann, 1300.0).await > 0.95);
    heard(&mut caller, port, &mut ann, 0, 0x31).await;
    caller.bye().await;
    ann.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outside_number_presses_a_key_to_take_a_call() {
    let mut ann = agent("ann");
    ann.confirm = true;
    let mut rig = office(queue(&["ann", "bob"]), &[ann, agent("bob")], vec![]).await;
    let (mut ann, mut bob) = (rig.phone("ann").await, rig.phone("bob").await);
    let (mut caller, port) = calling(&rig, "300").await;
    let _port = takes(&mut ann).await;
    assert!(best_match(&mut ann, 640.0).await > 0.95, "two beeps");
    // The made-up voice climbs through this one; the words may come with the second round.
    let mut said = 0.0_f64;
    for _ in 0..3 {
        said = said.max(best_match(&mut ann, 1100.0).await);
    }
    // It climbs by 48 Hz in a frame; of the beeps next to nothing is of this pitch.
    assert!(said > 0.4, "{said}");
    // What picked up hangs up: it was no human being.
    ann.bye().await;
    let _port = takes(&mut bob).await;
    heard(&mut caller, port, &mut bob, 0, 0x31).await;
    bob.bye().await;
    queued(&mut rig).await;
    parted(&mut rig, &mut caller).await;
    rig.calls.queues.logout("bob").unwrap();
    let (mut caller, port) = calling(&rig, "300").await;
    let mut ann = {
        rig.calls.queues.apply(
            &[queue(&["eve"])],
            &[Agent {
                confirm: true,
                ..agent("eve")
            }],
        );
        let phone = rig.phone("eve").await;
        drop(ann);
        phone
    };
    let _port = takes(&mut ann).await;
    ann.info('1').await;
    heard(&mut caller, port, &mut ann, 0, 0x31).await;
    caller.bye().await;
    ann.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

fn service(service: trunkline::config::AgentService, agent: &str, pin: &str) -> Plan {
    let pin = (!pin.is_empty()).then(|| Secret::new(pin));
    let agent = Some(agent.to_owned()).filter(|agent| !agent.is_empty());
    let order = AgentOrder {
        service,
        agent,
        pin,
    };
    Plan::of([Verb::Answer, Verb::Agent(order)])
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_log_in_and_out_by_a_call() {
    use trunkline::config::AgentService::*;
    let mut ann = agent("ann");
    ann.pin = Some(Secret::new("4711"));
    let plans = vec![
        ("in", service(Login, "ann", "4711")),
        ("wrong", service(Login, "ann", "0000")),
        ("pin", service(Login, "ann", "")),
        ("who", service(Login, "eve", "")),
        ("own", service(Pause, "", "")),
        ("out", service(Logout, "ann", "4711")),
    ];
    let mut rig = office(queue(&["ann"]), &[ann], plans).await;
    rig.calls.queues.logout("ann").unwrap();
    for (number, reply, state) in [
        ("pin", AgentReply::Pin, AgentState::LoggedOut),
        ("wrong", AgentReply::Pin, AgentState::LoggedOut),
        ("who", AgentReply::Unknown, AgentState::LoggedOut),
        ("in", AgentReply::Done, AgentState::Free),
        ("own", AgentReply::Done, AgentState::Paused(String::new())),
        ("out", AgentReply::Done, AgentState::LoggedOut),
    ] {
        let mut phone = Phone::new(rig.address, number).await;
        phone.saying("X-User: ann");
        phone.invite(&phone.sdp("sendrecv")).await;
        let answer = phone.last_response("INVITE").await;
        phone.ack(&answer, "").await;
        assert_eq!(rig.outcome().await, Outcome::AgentDone(reply), "{number}");
        assert_eq!(
            rig.calls.queues.agent("ann").unwrap().state,
            state,
            "{number}"
        );
        parted(&mut rig, &mut phone).await;
    }
    rig.rests().await;
}

fn supervisor(service: trunkline::config::AgentService) -> Plan {
    let order = AgentOrder {
        service,
        agent: Some("ann".to_owned()),
        pin: None,
    };
    Plan::of([Verb::Answer, Verb::Agent(order)])
}

/// Sends waves of their own frequency from each phone for a while; how much of what each phone hears last is each of the waves.
async fn hears(phones: &mut [(&mut Phone, u16, f64)]) -> Vec<Vec<f64>> {
    let mut energies = vec![vec![0.0; phones.len()]; phones.len()];
    let tones: Vec<f64> = phones.iter().map(|(.., hz)| *hz).collect();
    for frame in 0..100_u32 {
        for (phone, port, hz) in phones.iter_mut() {
            let wave: Vec<u8> = (0..160)
                .map(|at| {
                    let time = f64::from(frame * 160 + at) / 8000.0;
                    let angle = std::f64::consts::TAU * *hz * time;
                    g711::ulaw_encode((4000.0 * angle.sin()) as i16)
                })
                .collect();
            phone.rtp(*port, 0, 160_000 + frame * 160, &wave).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        for (index, (phone, ..)) in phones.iter_mut().enumerate() {
            while let Some(packet) = phone.already_heard() {
                // The first second is what was before.
                for (tone, energy) in tones.iter().zip(&mut energies[index]) {
                    if frame > 50 {
                        *energy += power(&packet.payload, *tone);
                    }
                }
            }
        }
    }
    energies
}

/// The power of one frequency in a frame.
fn power(payload: &[u8], hz: f64) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (at, octet) in payload.iter().enumerate() {
        let sample = f64::from(g711::ulaw_decode(*octet)) / 4000.0;
        let angle = std::f64::consts::TAU * hz * at as f64 / 8000.0;
        sine += sample * angle.sin();
        cosine += sample * angle.cos();
    }
    (sine * sine + cosine * cosine) / payload.len().max(1) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_listens_whispers_and_speaks_with_both() {
    use trunkline::config::AgentService::Listen;
    let plans = vec![("boss", supervisor(Listen))];
    let mut rig = office(queue(&["ann"]), &[agent("ann")], plans).await;
    let mut ann = rig.phone("ann").await;
    // Nobody to listen to yet.
    let (mut early, _) = calling(&rig, "boss").await;
    assert_eq!(rig.outcome().await, Outcome::AgentDone(AgentReply::NoCall));
    parted(&mut rig, &mut early).await;
    let (mut caller, caller_port) = calling(&rig, "300").await;
    let ann_port = takes(&mut ann).await;
    heard(&mut caller, caller_port, &mut ann, 0, 0x31).await;
    let (mut boss, boss_port) = calling(&rig, "boss").await;
    // Whole waves fit into a frame: what is not sent is not measured.
    let (caller_hz, ann_hz, boss_hz) = (500.0, 900.0, 1300.0);
    for (key, to_caller, to_ann) in [
        (None, false, false),
        (Some('2'), false, true),
        (Some('3'), true, true),
    ] {
        if let Some(key) = key {
            boss.info(key).await;
        }
        let all = hears(&mut [
            (&mut caller, caller_port, caller_hz),
            (&mut ann, ann_port, ann_hz),
            (&mut boss, boss_port, boss_hz),
        ])
        .await;
        let loud = |energy: f64| energy > 100.0;
        let heard: Vec<Vec<bool>> = all
            .iter()
            .map(|each| each.iter().copied().map(loud).collect())
            .collect();
        assert_eq!(
            heard[0],
            [false, true, to_caller],
            "caller {key:?}: {all:?}"
        );
        assert_eq!(heard[1], [true, false, to_ann], "agent {key:?}: {all:?}");
        assert_eq!(heard[2], [true, true, false], "supervisor {key:?}: {all:?}");
    }
    // An order that cannot be carried out changes nothing; who is put on hold neither hears the others nor is heard.
    let mut calls = rig.calls.control.list().into_iter();
    let call = calls.find(|call| call.to == "300").unwrap().id;
    let nobody = Order::Transfer(Transfer::default());
    assert!(rig.calls.order(&call, nobody).await.is_err());
    for (held, to_ann) in [(true, false), (false, true)] {
        let ordered = rig.calls.order(&call, Order::Hold(Side::Peer, held));
        let (wanted, answers) = match held {
            true => ("sendonly", "recvonly"),
            false => ("sendrecv", "sendrecv"),
        };
        let changed = ann.reoffered(wanted, answers);
        let (ordered, ()) = tokio::join!(ordered, changed);
        ordered.unwrap();
        let all = hears(&mut [
            (&mut caller, caller_port, caller_hz),
            (&mut ann, ann_port, ann_hz),
            (&mut boss, boss_port, boss_hz),
        ])
        .await;
        let loud = |energy: f64| energy > 100.0;
        assert!(loud(all[0][2]) && loud(all[2][0]), "{all:?}");
        assert_eq!((loud(all[0][1]), loud(all[2][1])), (to_ann, to_ann));
        assert_eq!(loud(all[1][2]), to_ann, "{all:?}");
    }
    // It leaves by another key; the two go on octet for octet.
    boss.info('#').await;
    assert_eq!(rig.outcome().await, Outcome::AgentDone(AgentReply::Done));
    parted(&mut rig, &mut boss).await;
    heard(&mut caller, caller_port, &mut ann, 0, 0x35).await;
    heard(&mut ann, ann_port, &mut caller, 0, 0x36).await;
    // One who is there when the call ends is told so.
    let (mut boss, _) = calling(&rig, "boss").await;
    boss.hear().await;
    until_heard_by(&rig, 3).await;
    caller.bye().await;
    ann.expect("BYE").await;
    boss.expect("BYE").await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(rig.outcome().await);
    }
    told.retain(|outcome| *outcome != Outcome::HungUp);
    assert_eq!(told, [Outcome::AgentDone(AgentReply::Done)]);
    rig.rests().await;
    let rooms = &rig.media.stats().rooms;
    assert_eq!((rooms.open.value(), rooms.members.value()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_keeps_its_place_and_is_called_back() {
    let mut one = queue(&["ann"]);
    one.callback = Some(callback());
    let mut rig = office(one, &[agent("ann")], vec![]).await;
    rig.calls.queues.pause("ann", "lunch").unwrap();
    let mut ann = rig.phone("ann").await;
    let mut home = rig.phone("+491").await;
    // Whom the list does not name is not called back.
    let (mut abroad, _) = calling(&rig, "300").await;
    until_waiting(&rig, 1).await;
    abroad.info('2').await;
    abroad.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    let mut caller = Phone::calling_as(rig.address, "300", "+491").await;
    until_waiting(&rig, 1).await;
    caller.info('2').await;
    assert_eq!(queued(&mut rig).await, QueueEnd::Callback);
    parted(&mut rig, &mut caller).await;
    let view = rig.calls.queues.queue("sales").unwrap();
    assert_eq!((view.waiting, view.callbacks), (1, 1));
    rig.calls.queues.unpause("ann").unwrap();
    let home_port = takes(&mut home).await;
    let _port = takes(&mut ann).await;
    heard(&mut home, home_port, &mut ann, 0, 0x31).await;
    ann.bye().await;
    home.expect("BYE").await;
    until(&rig, "ann", AgentState::Free).await;
    rig.rests().await;
    assert_eq!(rig.calls.queues.queue("sales").unwrap().waiting, 0);
}
