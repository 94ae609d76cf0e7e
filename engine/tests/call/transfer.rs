//! Transfers: who is with whom afterwards, and what the transferor is told.
use crate::bridge::{Pair, heard};
use crate::dial::{joined, joined_with};
use crate::phone::{Phone, audio_port, status};
use crate::rig::{Plan, Rig};
use trunkline::call::*;

fn uri(rig: &Rig, name: &str) -> String {
    format!("<sip:{name}@{}>", rig.address)
}

/// Both hear each other.
async fn talk(one: &mut Phone, one_to: u16, other: &mut Phone, other_to: u16) {
    heard(one, one_to, other, 0, 0x33).await;
    heard(other, other_to, one, 0, 0x44).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn either_party_transfers_the_other_to_a_third() {
    for by_caller in [true, false] {
        let mut pair = Pair::new().await;
        let mut carol = pair.rig.phone("carol").await;
        let to = uri(&pair.rig, "carol");
        let (by, stays, port) = match by_caller {
            true => (&mut pair.ann, &mut pair.bob, pair.bob_to),
            false => (&mut pair.bob, &mut pair.ann, pair.ann_to),
        };
        let answer = by.refer(&to).await;
        assert_eq!(status(&answer), 202, "{answer}");
        by.notified(100).await;
        let invite = carol.called().await;
        carol.respond(&invite, "180 Ringing", "").await;
        by.notified(180).await;
        carol.pick_up(&invite).await;
        by.notified(200).await;
        by.bye().await;
        talk(stays, port, &mut carol, audio_port(&invite)).await;
        carol.bye().await;
        stays.expect("BYE").await;
        pair.rig.rests().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_fails_leaves_both_with_each_other() {
    let mut pair = Pair::new().await;
    let mut carol = pair.rig.phone("carol").await;
    let to = uri(&pair.rig, "carol");
    assert_eq!(status(&pair.bob.refer(&to).await), 202);
    let invite = carol.called().await;
    carol.refuse(&invite, "486 Busy Here").await;
    pair.bob.notified(486).await;
    talk(&mut pair.ann, pair.ann_to, &mut pair.bob, pair.bob_to).await;
    let nowhere = uri(&pair.rig, "nobody");
    assert_eq!(status(&pair.bob.refer(&nowhere).await), 404);
    talk(&mut pair.ann, pair.ann_to, &mut pair.bob, pair.bob_to).await;
    pair.ann.bye().await;
    pair.bob.expect("BYE").await;
    pair.rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_transfers_need_not_wait() {
    for (by_caller, answers) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut pair = Pair::new().await;
        let mut carol = pair.rig.phone("carol").await;
        let to = uri(&pair.rig, "carol");
        let (by, stays, port) = match by_caller {
            true => (&mut pair.ann, &mut pair.bob, pair.bob_to),
            false => (&mut pair.bob, &mut pair.ann, pair.ann_to),
        };
        assert_eq!(status(&by.refer(&to).await), 202);
        let invite = carol.called().await;
        by.bye().await;
        if answers {
            carol.pick_up(&invite).await;
            talk(stays, port, &mut carol, audio_port(&invite)).await;
            stays.bye().await;
            carol.expect("BYE").await;
        } else {
            carol.refuse(&invite, "486 Busy Here").await;
            stays.expect("BYE").await;
        }
        pair.rig.rests().await;
    }
}

/// A `Refer-To` with the dialog of another call.
fn with_dialog(rig: &Rig, name: &str, of: &Phone) -> String {
    let dialog = of.dialog().replace(';', "%3B").replace('=', "%3D");
    format!("<sip:{name}@{}?Replaces={dialog}>", rig.address)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attended_transfer_joins_the_parties_of_both_calls() {
    // The transferor is the caller or the callee of its first call, and calls out for the second.
    for by_caller in [true, false] {
        let mut pair = Pair::new().await;
        let mut carol = pair.rig.phone("carol").await;
        let mut second = Phone::new(pair.rig.address, "dial-carol").await;
        let (offer, answer) = (second.sdp("sendrecv"), carol.sdp("sendrecv"));
        let (_, invite) = joined_with(&mut second, &mut carol, &offer, &answer).await;
        let to = with_dialog(&pair.rig, "carol", &second);
        let (by, stays, port) = match by_caller {
            true => (&mut pair.ann, &mut pair.bob, pair.bob_to),
            false => (&mut pair.bob, &mut pair.ann, pair.ann_to),
        };
        // Phones put their first call on hold: whoever is transferred out of it must not go on hearing the music.
        let hold = by.sdp("sendonly");
        assert_eq!(status(&by.reinvite(&hold, "").await), 200);
        assert_eq!(status(&by.refer(&to).await), 202);
        by.notified(200).await;
        by.bye().await;
        second.expect("BYE").await;
        talk(stays, port, &mut carol, audio_port(&invite)).await;
        carol.bye().await;
        stays.expect("BYE").await;
        pair.rig.is_empty().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attended_transfer_to_a_call_that_came_in() {
    let mut pair = Pair::new().await;
    // Carol has called bob's other line.
    let mut second = pair.rig.phone("line2").await;
    let mut carol = Phone::new(pair.rig.address, "dial-line2").await;
    let (offer, answer) = (carol.sdp("sendrecv"), second.sdp("sendrecv"));
    let (answer, _) = joined_with(&mut carol, &mut second, &offer, &answer).await;
    let to = with_dialog(&pair.rig, "carol", &second);
    assert_eq!(status(&pair.bob.refer(&to).await), 202);
    pair.bob.notified(200).await;
    second.expect("BYE").await;
    talk(&mut pair.ann, pair.ann_to, &mut carol, audio_port(&answer)).await;
    // It does not hang up by itself.
    pair.bob.expect("BYE").await;
    pair.ann.bye().await;
    carol.expect("BYE").await;
    pair.rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_with_replaces_takes_a_legs_place() {
    let mut pair = Pair::new().await;
    let mut dave = Phone::new(pair.rig.address, "anything").await;
    let header = format!("Replaces: {}", pair.bob.dialog());
    let sdp = dave.sdp("sendrecv");
    dave.saying(&header).invite(&sdp).await;
    let answer = dave.last_response("INVITE").await;
    assert_eq!(status(&answer), 200, "{answer}");
    dave.ack(&answer, "").await;
    pair.bob.expect("BYE").await;
    talk(&mut pair.ann, pair.ann_to, &mut dave, audio_port(&answer)).await;
    pair.ann.bye().await;
    dave.expect("BYE").await;
    pair.rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_a_program_has_nobody_to_transfer() {
    let wait = Verb::Wait(Wait { ms: u32::MAX });
    let mut rig = Rig::start(vec![("wait", Plan::of([Verb::Answer, wait]))]).await;
    let mut ann = Phone::calling(rig.address, "wait").await;
    let to = uri(&rig, "wait");
    assert_eq!(status(&ann.refer(&to).await), 403);
    ann.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_sends_its_caller_elsewhere() {
    let refer = Verb::Refer(Refer {
        uri: "sip:elsewhere@192.0.2.1".to_owned(),
    });
    for (line, done) in [("200 OK", true), ("486 Busy Here", false)] {
        let plan = Plan::of([Verb::Answer, refer.clone()]);
        let mut rig = Rig::start(vec![("refer", plan)]).await;
        let mut ann = Phone::calling(rig.address, "refer").await;
        let request = ann.wait("REFER", |text| text.starts_with("REFER ")).await;
        assert!(
            request.contains("Refer-To: <sip:elsewhere@192.0.2.1>"),
            "{request}"
        );
        ann.reply(&request, "202 Accepted", "").await;
        ann.saying("Event: refer\r\nSubscription-State: terminated;reason=noresource");
        ann.request("NOTIFY", "x", &format!("SIP/2.0 {line}\r\n"))
            .await;
        let answer = ann.last_response("NOTIFY").await;
        assert_eq!(status(&answer), 200, "{answer}");
        if !done {
            let failed = rig.outcome().await;
            assert!(matches!(failed, Outcome::Failed(_)), "{failed:?}");
        }
        ann.expect("BYE").await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.rests().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_server_hangs_up_both_parties() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let mut ann = joined(&rig, "dial-bob", &mut bob).await;
    let calls = rig.calls.clone();
    let drained = tokio::spawn(async move { calls.drain(std::time::Duration::ZERO).await });
    for phone in [&mut ann, &mut bob] {
        phone.expect("BYE").await;
    }
    drained.await.unwrap();
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_held_before_the_transfer_talks_after_it() {
    let mut pair = Pair::new().await;
    let mut carol = pair.rig.phone("carol").await;
    let hold = pair.bob.sdp("sendonly");
    pair.bob.reinvite(&hold, "").await;
    let to = uri(&pair.rig, "carol");
    assert_eq!(status(&pair.bob.refer(&to).await), 202);
    let invite = carol.called().await;
    carol.refuse(&invite, "486 Busy Here").await;
    pair.bob.notified(486).await;
    let resume = pair.bob.sdp("sendrecv");
    pair.bob.reinvite(&resume, "").await;
    talk(&mut pair.ann, pair.ann_to, &mut pair.bob, pair.bob_to).await;
    pair.bob.reinvite(&hold, "").await;
    assert_eq!(status(&pair.bob.refer(&to).await), 202);
    let invite = carol.called().await;
    carol.pick_up(&invite).await;
    pair.bob.notified(200).await;
    talk(&mut pair.ann, pair.ann_to, &mut carol, audio_port(&invite)).await;
    // It does not hang up by itself.
    pair.bob.expect("BYE").await;
    pair.ann.bye().await;
    carol.expect("BYE").await;
    pair.rig.rests().await;
}
