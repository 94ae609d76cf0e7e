//! What meets in the middle of a bridge: hold, transfers, pick-ups, hang-ups of both ends, and a program that breaks.
use crate::bridge::{Pair, heard, music};
use crate::dial::joined_with;
use crate::phone::{Phone, audio_port, direction, header, status};
use crate::rig::{Plan, Rig};
use trunkline::call::*;

async fn update(phone: &mut Phone, direction: &str) -> String {
    let sdp = phone.sdp(direction);
    phone.request("UPDATE", "sdp", &sdp).await;
    phone.last_response("UPDATE").await
}

#[tokio::test(flavor = "multi_thread")]
async fn update_holds_and_resumes() {
    let mut pair = Pair::new().await;
    let answer = update(&mut pair.ann, "sendonly").await;
    assert_eq!(
        (status(&answer), direction(&answer)),
        (200, "recvonly"),
        "{answer}"
    );
    music(&mut pair.ann, pair.ann_to, &mut pair.bob).await;
    let answer = update(&mut pair.ann, "sendrecv").await;
    assert_eq!(
        (status(&answer), direction(&answer)),
        (200, "sendrecv"),
        "{answer}"
    );
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
    heard(&mut pair.bob, pair.bob_to, &mut pair.ann, 0, 0x42).await;
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_target_is_tried_after_early_audio_of_the_first() {
    let mut rig = Rig::start(vec![]).await;
    let (mut first, mut second) = (rig.phone("first").await, rig.phone("second").await);
    let mut ann = Phone::new(rig.address, "dial-failover-first&second").await;
    ann.invite(&ann.sdp("sendrecv")).await;
    let invite = first.called().await;
    let sdp = first.sdp("sendrecv");
    first.respond(&invite, "183 Session Progress", &sdp).await;
    let early = ann.response("INVITE", |status| status == 183).await;
    heard(&mut first, audio_port(&invite), &mut ann, 0, 0x21).await;
    first.refuse(&invite, "503 Service Unavailable").await;
    let invite = second.called().await;
    let sdp = second.sdp("sendrecv");
    second.respond(&invite, "183 Session Progress", &sdp).await;
    heard(&mut second, audio_port(&invite), &mut ann, 0, 0x22).await;
    second.pick_up(&invite).await;
    let answer = ann.last_response("INVITE").await;
    assert_eq!(
        (status(&answer), audio_port(&answer)),
        (200, audio_port(&early))
    );
    ann.ack(&answer, "").await;
    heard(&mut ann, audio_port(&answer), &mut second, 0, 0x23).await;
    ann.bye().await;
    second.expect("BYE").await;
    rig.is_empty().await;
}

/// An INVITE with Replaces; its final response.
async fn replacing(rig: &Rig, dialog: &str) -> (Phone, String) {
    let mut dave = Phone::new(rig.address, "anything").await;
    let sdp = dave.sdp("sendrecv");
    dave.saying(&format!("Replaces: {dialog}"))
        .invite(&sdp)
        .await;
    let answer = dave.last_response("INVITE").await;
    dave.ack(&answer, "").await;
    (dave, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ringing_phone_is_picked_up_by_another() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let mut ann = Phone::new(rig.address, "dial-bob").await;
    ann.invite(&ann.sdp("sendrecv")).await;
    let invite = bob.called().await;
    bob.respond(&invite, "180 Ringing", "").await;
    let ringing = ann.response("INVITE", |status| status == 180).await;
    // RFC 3891 section 3: an early dialog that its peer began is nobody's to take.
    ann.answered_by(&ringing);
    let (_, refused) = replacing(&rig, &ann.dialog()).await;
    assert_eq!(status(&refused), 481, "{refused}");
    let (mut dave, answer) = replacing(&rig, &format!("{};early-only", bob.dialog())).await;
    assert_eq!(status(&answer), 200, "{answer}");
    bob.cancelled(&invite).await;
    let answered = ann.last_response("INVITE").await;
    assert_eq!(status(&answered), 200, "{answered}");
    ann.ack(&answered, "").await;
    heard(&mut ann, audio_port(&answered), &mut dave, 0, 0x31).await;
    heard(&mut dave, audio_port(&answer), &mut ann, 0, 0x42).await;
    // Both talk now: who wants ringing calls only is too late.
    let (_, busy) = replacing(&rig, &format!("{};early-only", dave.dialog())).await;
    assert_eq!(status(&busy), 486, "{busy}");
    ann.bye().await;
    dave.expect("BYE").await;
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialog_elsewhere_is_passed_on_with_who_transfers() {
    let mut pair = Pair::new().await;
    let mut carol = pair.rig.phone("carol").await;
    let there = "Replaces=far%40away%3Bto-tag%3Da%3Bfrom-tag%3Db";
    let to = format!("<sip:carol@{}?{there}>", pair.rig.address);
    assert_eq!(status(&pair.bob.refer(&to).await), 202);
    let invite = carol.called().await;
    assert_eq!(header(&invite, "Replaces"), "far@away;to-tag=a;from-tag=b");
    assert_eq!(header(&invite, "Referred-By"), "<sip:bob@127.0.0.1>");
    carol.pick_up(&invite).await;
    pair.bob.notified(200).await;
    pair.bob.bye().await;
    heard(&mut pair.ann, pair.ann_to, &mut carol, 0, 0x31).await;
    pair.ann.bye().await;
    carol.expect("BYE").await;
    pair.rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_breaks_under_a_bridge_leaves_nobody_in_it() {
    let bob = DialTarget::Endpoint("bob".to_owned());
    let plan = Plan::of([Verb::Dial(Dial::one(bob))]);
    let mut rig = Rig::start(vec![("breaks", plan)]).await;
    let mut bob = rig.phone("bob").await;
    let mut ann = Phone::new(rig.address, "breaks").await;
    let (offer, answer) = (ann.sdp("sendrecv"), bob.sdp("sendrecv"));
    joined_with(&mut ann, &mut bob, &offer, &answer).await;
    bob.request("MESSAGE", "x-note", "x").await;
    assert_eq!(status(&bob.last_response("MESSAGE").await), 500);
    ann.expect("BYE").await;
    bob.expect("BYE").await;
    let ended = rig.rests().await;
    assert_eq!(ended[&("us", "program-panic")], 1, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_breaks_after_the_bridge_ends_the_other_leg_too() {
    let bob = DialTarget::Endpoint("bob".to_owned());
    let plan = Plan {
        panics: true,
        ..Plan::of([Verb::Dial(Dial::one(bob))])
    };
    let mut rig = Rig::start(vec![("breaks", plan)]).await;
    let mut bob = rig.phone("bob").await;
    let mut ann = Phone::new(rig.address, "breaks").await;
    let (offer, answer) = (ann.sdp("sendrecv"), bob.sdp("sendrecv"));
    joined_with(&mut ann, &mut bob, &offer, &answer).await;
    bob.bye().await;
    ann.expect("BYE").await;
    assert!(matches!(rig.outcome().await, Outcome::Dialled(_)));
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_may_hang_up_at_once() {
    let mut pair = Pair::new().await;
    pair.ann.request("BYE", "sdp", "").await;
    pair.bob.request("BYE", "sdp", "").await;
    for phone in [&mut pair.ann, &mut pair.bob] {
        let answer = phone.last_response("BYE").await;
        assert!(matches!(status(&answer), 200 | 481), "{answer}");
    }
    let ended = pair.rig.rests().await;
    assert_eq!(ended.values().sum::<u64>(), 1, "{ended:?}");
    pair.rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_transferred_may_hold_and_resume_meanwhile() {
    let mut pair = Pair::new().await;
    let mut carol = pair.rig.phone("carol").await;
    let to = format!("<sip:carol@{}>", pair.rig.address);
    let (hold, resume) = (pair.ann.sdp("sendonly"), pair.ann.sdp("sendrecv"));
    pair.ann.reinvite(&hold, "").await;
    assert_eq!(status(&pair.bob.refer(&to).await), 202);
    let invite = carol.called().await;
    // While it rings: another change, by either.
    let answer = pair.ann.reinvite(&resume, "").await;
    assert_eq!((status(&answer), direction(&answer)), (200, "sendrecv"));
    let answer = pair.bob.reinvite(&pair.bob.sdp("sendonly"), "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    pair.ann.reinvite(&hold, "").await;
    carol.pick_up(&invite).await;
    pair.bob.notified(200).await;
    pair.bob.expect("BYE").await;
    // Still held by whoever was transferred.
    music(&mut pair.ann, pair.ann_to, &mut carol).await;
    pair.ann.reinvite(&resume, "").await;
    heard(&mut pair.ann, pair.ann_to, &mut carol, 0, 0x31).await;
    heard(&mut carol, audio_port(&invite), &mut pair.ann, 0, 0x42).await;
    carol.bye().await;
    pair.ann.expect("BYE").await;
    pair.rig.rests().await;
}
