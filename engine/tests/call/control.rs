//! Orders from outside: what far ends hear and are told of them, and that the call goes on as it should.
use crate::bridge::{Pair, heard, music as hears_music};
use crate::events::until;
use crate::phone::{PATIENCE, Phone, audio_port, header, status};
use crate::rig::{Plan, Rig};
use crate::{gather, music, playing};
use std::collections::BTreeMap;
use trunkline::call::control::Done;
use trunkline::call::*;
use trunkline::media::{Pause, RecordingFormat, Tracks};

/// The call in progress that came in, or went out.
fn only(rig: &Rig, wanted: Direction) -> Snapshot {
    let mut calls = rig.calls.control.list();
    calls.retain(|call| call.direction == wanted);
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0)
}

async fn order(rig: &Rig, order: Order) -> Result<Done, OrderError> {
    let call = only(rig, Direction::Inbound);
    rig.calls.order(&call.id, order).await
}

fn silence(ms: u32) -> PlayOrder {
    PlayOrder::once(vec![Audio::Silence { ms }])
}

/// Waits until ten packets in a row are silent, or not.
async fn hears(phone: &mut Phone, silent: bool) {
    let mut in_row = 0;
    let until = tokio::time::Instant::now() + PATIENCE;
    while in_row < 10 {
        assert!(tokio::time::Instant::now() < until, "silent: {silent}");
        let Some(packet) = phone.heard_now().await else {
            continue;
        };
        let is = packet
            .payload
            .iter()
            .all(|octet| matches!(octet, 0xFF | 0x7F));
        in_row = if is == silent { in_row + 1 } else { 0 };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_order_plays_interrupts_a_prompt_and_the_program_goes_on_after_it() {
    let once = Verb::Play(Play {
        audio: crate::tone(),
        repeat: Repeat::Times(1000),
        stop_keys: String::new(),
        manner: Manner::default(),
    });
    let plan = Plan::of([Verb::Answer, once, gather(false, 60_000)]);
    let mut rig = Rig::start(vec![("tone", plan)]).await;
    let mut watcher = rig.calls.events.watch();
    let mut phone = Phone::calling(rig.address, "tone").await;
    hears(&mut phone, false).await;
    let forever = PlayOrder {
        repeat: Repeat::Forever,
        ..silence(1000)
    };
    let played = order(&rig, Order::Play(forever)).await.unwrap();
    assert!(matches!(played, Done::Playing(_)));
    hears(&mut phone, true).await;
    // The order's own audio ends, and with it the prompt that it took the place of.
    order(&rig, Order::Play(silence(100))).await.unwrap();
    let steps = async {
        loop {
            let (step, _) = until(&mut watcher, EventKind::ProgramStep).await;
            if step["verb"] == "gather" {
                return;
            }
        }
    };
    steps.await;
    // What is stopped is over as well.
    order(&rig, Order::StopPlay(Side::Own)).await.unwrap();
    phone.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
    assert!(rig.calls.control.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_on_hold_is_told_so_and_hears_music() {
    let mut pair = Pair::new().await;
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
    let held = order(&pair.rig, Order::Hold(Side::Peer, true));
    let changed = pair.bob.reoffered("sendonly", "recvonly");
    let (held, ()) = tokio::join!(held, changed);
    assert_eq!(held, Ok(Done::Done));
    hears_music(&mut pair.ann, pair.ann_to, &mut pair.bob).await;
    let legs = only(&pair.rig, Direction::Inbound).legs;
    assert_eq!(legs.iter().filter(|leg| leg.held).count(), 1, "{legs:?}");
    let resumed = order(&pair.rig, Order::Hold(Side::Peer, false));
    let changed = pair.bob.reoffered("sendrecv", "sendrecv");
    let (resumed, ()) = tokio::join!(resumed, changed);
    assert_eq!(resumed, Ok(Done::Done));
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
    heard(&mut pair.bob, pair.bob_to, &mut pair.ann, 0, 0x42).await;
    pair.over().await;
}

/// Both offer at once (RFC 3261 section 14.1): ours goes out again by itself, and anew when theirs was answered meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_meets_an_offer_of_the_far_end_is_offered_again() {
    for theirs_first in [false, true] {
        let mut pair = Pair::new().await;
        let held = order(&pair.rig, Order::Hold(Side::Peer, true));
        let changed = async {
            let offer = pair.bob.offered().await;
            pair.bob.refuse(&offer, "491 Request Pending").await;
            if theirs_first {
                let sdp = pair.bob.sdp("sendrecv");
                let answer = pair.bob.reinvite(&sdp, "").await;
                assert_eq!(status(&answer), 200, "{answer}");
            }
            let cseq = header(&offer, "CSeq");
            let again = pair
                .bob
                .wait("another re-INVITE", |text| {
                    text.starts_with("INVITE ") && header(text, "CSeq") != cseq
                })
                .await;
            pair.bob.agree(&again, "sendonly", "recvonly").await;
        };
        let (held, ()) = tokio::join!(held, changed);
        assert_eq!(held, Ok(Done::Done));
        hears_music(&mut pair.ann, pair.ann_to, &mut pair.bob).await;
        let legs = only(&pair.rig, Direction::Inbound).legs;
        assert_eq!(legs.iter().filter(|leg| leg.held).count(), 1, "{legs:?}");
        pair.over().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_muted_is_not_heard_and_hears() {
    let mut pair = Pair::new().await;
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
    order(&pair.rig, Order::Mute(Side::Own, true))
        .await
        .unwrap();
    heard(&mut pair.bob, pair.bob_to, &mut pair.ann, 0, 0x42).await;
    // What was on its way is heard by then.
    let mut silent = 0;
    for frame in 0..500 {
        pair.ann
            .rtp(pair.ann_to, 0, frame * 160, &[0x33; 160])
            .await;
        if let Some(packet) = pair.bob.heard_now().await {
            assert!(
                silent < 5 || packet.payload != [0x33; 160],
                "after {silent}"
            );
            silent += usize::from(packet.payload != [0x33; 160]);
        }
        if silent > 20 {
            break;
        }
    }
    assert!(silent > 20, "{silent}");
    order(&pair.rig, Order::Mute(Side::Own, false))
        .await
        .unwrap();
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x34).await;
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_hung_up_and_orders_that_do_not_fit_are_refused() {
    let mut rig = Rig::start(vec![("music", playing()), ("ring", crate::ringing())]).await;
    let nobody = rig.calls.order("c-none", Order::StopStream).await;
    assert_eq!(nobody, Err(OrderError::NoSuchCall));
    let mut phone = Phone::calling(rig.address, "music").await;
    phone.hear().await;
    for (wrong, rule) in [
        (Order::Hold(Side::Own, true), "conflict"),
        (Order::Mute(Side::Peer, true), "conflict"),
        (Order::LeaveConference, "conflict"),
        (Order::Recording(RecordingControl::Stop), "conflict"),
        (Order::HangupPeer(HangupCause::Normal), "conflict"),
        (
            Order::SendDigits(
                Side::Both,
                SendDigits {
                    digits: "1".to_owned(),
                    tone_ms: 100,
                    gap_ms: 100,
                },
            ),
            "conflict",
        ),
        (Order::Transfer(Transfer::default()), "invalid"),
        (
            Order::Play(PlayOrder::once(vec![Audio::Prompt(
                "nowhere.wav".to_owned(),
            )])),
            "no-audio",
        ),
    ] {
        let name = wrong.name();
        let refused = order(&rig, wrong).await.unwrap_err();
        assert_eq!(refused.rule(), rule, "{name}: {refused}");
    }
    let tags = Annotation {
        tags: Some(["vip".to_owned()].into()),
        metadata: BTreeMap::from([("order".to_owned(), Some("17".to_owned()))]),
    };
    let id = only(&rig, Direction::Inbound).id;
    rig.calls.control.annotate(&id, tags).unwrap();
    let known = only(&rig, Direction::Inbound);
    assert!(known.tags.contains("vip") && known.metadata["order"] == "17");
    assert_eq!(
        (known.state, &*known.program),
        (CallState::Answered, "test")
    );
    let busy = Order::Hangup(HangupCause::Busy);
    assert_eq!(order(&rig, busy).await, Ok(Done::Done));
    let bye = phone.expect("BYE").await;
    assert!(header(&bye, "Reason").contains("cause=17"), "{bye}");
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    // Before the answer, the status says the same.
    let mut ringing = Phone::new(rig.address, "ring").await;
    ringing.invite(&ringing.sdp("sendrecv")).await;
    ringing.response("INVITE", |status| status == 180).await;
    assert_eq!(
        order(&rig, Order::Play(silence(1))).await,
        Err(OrderError::NotAnswered)
    );
    order(&rig, Order::Hangup(HangupCause::Busy)).await.unwrap();
    let refused = ringing.last_response("INVITE").await;
    assert_eq!(crate::status(&refused), 486, "{refused}");
    ringing.ack(&refused, "").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

fn to(rig: &Rig, plan: Plan) -> Parting {
    Parting::program(rig.program(plan), "elsewhere")
}

#[tokio::test(flavor = "multi_thread")]
async fn either_party_is_sent_elsewhere() {
    // The call's own: the other one is hung up.
    let mut pair = Pair::new().await;
    let own = Some(to(&pair.rig, Plan::of([Verb::Answer, music()])));
    let transfer = Order::Transfer(Transfer { own, peer: None });
    assert_eq!(order(&pair.rig, transfer).await, Ok(Done::Done));
    pair.bob.expect("BYE").await;
    hears(&mut pair.ann, false).await;
    assert_eq!(only(&pair.rig, Direction::Inbound).bridged_with, None);
    pair.ann.bye().await;
    assert_eq!(pair.rig.outcome().await, Outcome::HungUp);
    pair.rig.rests().await;
    // The other: the dial is over, the call ends by its program; who was sent elsewhere goes on.
    let mut pair = Pair::new().await;
    let peer = Some(to(&pair.rig, Plan::of([Verb::Answer, music()])));
    let transfer = Order::Transfer(Transfer { own: None, peer });
    let Ok(Done::Call(new)) = order(&pair.rig, transfer).await else {
        panic!("no new call")
    };
    pair.ann.expect("BYE").await;
    hears(&mut pair.bob, false).await;
    assert_eq!(only(&pair.rig, Direction::Outbound).id, new);
    let hang_up = Order::Hangup(HangupCause::Normal);
    pair.rig.calls.order(&new, hang_up).await.unwrap();
    pair.bob.expect("BYE").await;
    assert_eq!(pair.rig.outcome().await, Outcome::HungUp);
    pair.rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_joins_two_and_what_is_left_of_one_ends() {
    let mut pair = Pair::new().await;
    let mut carol = pair.rig.phone("carol").await;
    let call = only(&pair.rig, Direction::Inbound).id;
    let add = AddParticipant {
        to: DialTarget::Endpoint("carol".to_owned()),
        caller_id: None,
        as_endpoint: None,
        ring: None,
        mute: false,
    };
    let Ok(Done::Call(new)) = pair.rig.calls.add_participant(&call, add).await else {
        panic!("nobody is called")
    };
    let invite = carol.called().await;
    // Meanwhile the two talk.
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
    carol.pick_up(&invite).await;
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let there = pair.rig.calls.conferences.list();
        if there.first().is_some_and(|(_, there)| there.len() == 3) {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "{there:?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    heard(&mut pair.ann, pair.ann_to, &mut carol, 0, 0x10).await;
    heard(&mut carol, audio_port(&invite), &mut pair.bob, 0, 0x10).await;
    // Audio for all who are there.
    let both = PlayOrder {
        side: Side::Both,
        ..PlayOrder::once(crate::tone())
    };
    pair.rig.calls.order(&new, Order::Play(both)).await.unwrap();
    hears(&mut pair.bob, false).await;
    let hang_up = || Order::Hangup(HangupCause::Normal);
    pair.rig.calls.order(&new, hang_up()).await.unwrap();
    carol.expect("BYE").await;
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x10).await;
    pair.ann.bye().await;
    pair.bob.expect("BYE").await;
    pair.rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_are_added_send_the_call_to_its_conference_once() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut watcher = rig.calls.events.watch();
    let mut ann = Phone::calling(rig.address, "music").await;
    let call = only(&rig, Direction::Inbound).id;
    let mut added = Vec::new();
    for name in ["bob", "carol"] {
        let mut phone = rig.phone(name).await;
        let add = AddParticipant {
            to: DialTarget::Endpoint(name.to_owned()),
            caller_id: None,
            as_endpoint: None,
            ring: None,
            mute: false,
        };
        rig.calls.add_participant(&call, add).await.unwrap();
        let invite = phone.called().await;
        added.push((phone, invite));
    }
    for (phone, invite) in &mut added {
        phone.pick_up(invite).await;
    }
    for (phone, _) in &mut added {
        hears(phone, true).await;
    }
    let there = |rig: &Rig| {
        rig.calls
            .conferences
            .list()
            .first()
            .map(|(_, all)| all.len())
    };
    let limit = tokio::time::Instant::now() + PATIENCE;
    while there(&rig) != Some(3) {
        assert!(tokio::time::Instant::now() < limit, "{:?}", there(&rig));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    ann.bye().await;
    while rig.outcome().await != Outcome::HandedOver {}
    let mut joined = 0;
    loop {
        let Watched::Event(_, event) = watcher.next().await else {
            panic!("events are missed")
        };
        let ours = event.call.as_ref() == Some(&call);
        joined += u32::from(ours && event.kind == EventKind::ConferenceJoined);
        if ours && event.kind == EventKind::CallEnded {
            break;
        }
    }
    assert_eq!(joined, 1);
    for (phone, _) in &mut added {
        phone.bye().await;
    }
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_resumed_before_they_have_answered_the_hold_is_told_after_that() {
    let mut pair = Pair::new().await;
    let held = order(&pair.rig, Order::Hold(Side::Peer, true)).await;
    assert_eq!(held, Ok(Done::Done));
    let offer = pair.bob.offered().await;
    let resumed = order(&pair.rig, Order::Hold(Side::Peer, false)).await;
    assert_eq!(resumed, Ok(Done::Done));
    pair.bob.agree(&offer, "sendonly", "recvonly").await;
    pair.bob.reoffered("sendrecv", "sendrecv").await;
    heard(&mut pair.bob, pair.bob_to, &mut pair.ann, 0, 0x42).await;
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_placed_and_given_up_while_it_rings() {
    let mut rig = Rig::start(vec![]).await;
    let mut watcher = rig.calls.events.watch();
    let mut bob = rig.phone("bob").await;
    let target = || DialTarget::Endpoint("bob".to_owned());
    let program = rig.program(Plan::of([music()]));
    let order = Originate {
        caller_id: Some("4711".to_owned()),
        ..Originate::to(target(), program)
    };
    let placed = rig.calls.originate(order).await.unwrap();
    let invite = bob.called().await;
    assert!(header(&invite, "From").contains("sip:4711@"), "{invite}");
    bob.respond(&invite, "180 Ringing", "").await;
    until(&mut watcher, EventKind::CallRinging).await;
    let known = rig.calls.control.get(&placed.id).unwrap();
    assert_eq!(known.state, CallState::Ringing);
    assert!(!known.program.is_empty(), "it is known what will drive it");
    bob.pick_up(&invite).await;
    until(&mut watcher, EventKind::CallAnswered).await;
    assert!(placed.answered.await.is_ok());
    hears(&mut bob, false).await;
    bob.info('#').await;
    bob.expect("BYE").await;
    assert!(matches!(rig.outcome().await, Outcome::Interrupted(_)));
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    let (ended, _) = until(&mut watcher, EventKind::CallEnded).await;
    assert_eq!(
        (&ended["by"], &ended["cause"]),
        (&"us".into(), &"program".into())
    );
    // Given up.
    let program = rig.program(Plan::of([music()]));
    let placed = rig.calls.originate(Originate::to(target(), program)).await;
    let placed = placed.unwrap();
    let invite = bob.called().await;
    bob.respond(&invite, "180 Ringing", "").await;
    until(&mut watcher, EventKind::CallRinging).await;
    let known = rig.calls.control.get(&placed.id).unwrap().to_json();
    let hang_up = Order::Hangup(HangupCause::Normal);
    rig.calls.order(&placed.id, hang_up).await.unwrap();
    bob.cancelled(&invite).await;
    let (ended, _) = until(&mut watcher, EventKind::CallEnded).await;
    assert_eq!(ended["cause"], "ordered");
    assert!(placed.answered.await.is_err());
    rig.store.flush().await;
    let records = rig.store.cdrs_of_call(&placed.id).await.unwrap();
    let record = &records[0].record;
    assert_eq!(
        (
            &record["began"],
            record["origin"].as_str(),
            record["answered"].is_null()
        ),
        (&known["began"], Some("ourselves"), true),
        "{record}"
    );
    assert!(record["rang"].is_string(), "{record}");
    let nobody = DialTarget::Endpoint("nobody".to_owned());
    let program = rig.program(Plan::of([]));
    let refused = rig.calls.originate(Originate::to(nobody, program)).await;
    assert!(matches!(refused, Err(OrderError::Refused(refusal)) if refusal.status == 404));
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_meet_when_both_are_ready_and_neither_stays_alone() {
    let mut rig = Rig::start(vec![]).await;
    let (mut ann, mut bob) = (rig.phone("ann").await, rig.phone("bob").await);
    let parties = ["ann", "bob"].map(|name| DialTarget::Endpoint(name.to_owned()));
    let says = vec![Audio::Silence { ms: 100 }];
    rig.calls.two_party(parties, says, None).await.unwrap();
    let mut ports = Vec::new();
    for phone in [&mut ann, &mut bob] {
        let invite = phone.called().await;
        phone.pick_up(&invite).await;
        phone.hear().await;
        phone.info('1').await;
        ports.push(audio_port(&invite));
    }
    heard(&mut ann, ports[0], &mut bob, 0, 0x10).await;
    bob.bye().await;
    ann.expect("BYE").await;
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_while_its_program_goes_on() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut watcher = rig.calls.events.watch();
    let mut phone = Phone::calling(rig.address, "music").await;
    phone.hear().await;
    let record = || {
        Order::Record(RecordCall {
            path: None,
            tracks: Tracks::default(),
            format: RecordingFormat::Wav,
            pause: Pause::default(),
        })
    };
    let Ok(Done::Recording { number, file }) = order(&rig, record()).await else {
        panic!("not recorded")
    };
    assert_eq!(only(&rig, Direction::Inbound).recording, Some(number));
    for control in [RecordingControl::Pause, RecordingControl::Resume] {
        order(&rig, Order::Recording(control)).await.unwrap();
    }
    hears(&mut phone, false).await;
    order(&rig, Order::Recording(RecordingControl::Stop))
        .await
        .unwrap();
    let (done, _) = until(&mut watcher, EventKind::RecordingFinished).await;
    assert_eq!(done["file"], file.display().to_string());
    assert!(done["ms"].as_u64().unwrap() > 100, "{done}");
    assert_eq!(only(&rig, Direction::Inbound).recording, None);
    phone.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}
