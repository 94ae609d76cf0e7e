//! Calls that dial: to one phone and to many, answered, refused, given up, from both ends.
use crate::phone::{Phone, audio_port, header, status};
use crate::rig::{Plan, Rig};
use trunkline::call::*;

/// A caller of `number`, and the INVITE its callee got.
async fn calling(rig: &Rig, number: &str, callee: &mut Phone) -> (Phone, String) {
    let mut caller = Phone::new(rig.address, number).await;
    caller.invite(&caller.sdp("sendrecv")).await;
    let invite = callee.called().await;
    (caller, invite)
}

/// A call through to a phone that has answered.
pub(crate) async fn joined(rig: &Rig, number: &str, callee: &mut Phone) -> Phone {
    let (mut caller, invite) = calling(rig, number, callee).await;
    callee.pick_up(&invite).await;
    let answer = caller.last_response("INVITE").await;
    assert_eq!(status(&answer), 200, "{answer}");
    caller.ack(&answer, "").await;
    caller
}

/// As told by both descriptions; the answer to the caller, and the callee's INVITE.
pub(crate) async fn joined_with(
    caller: &mut Phone,
    callee: &mut Phone,
    offer: &str,
    answer: &str,
) -> (String, String) {
    caller.invite(offer).await;
    let invite = callee.called().await;
    callee.respond(&invite, "200 OK", answer).await;
    callee.wait("ACK", |text| text.starts_with("ACK ")).await;
    let answer = caller.last_response("INVITE").await;
    assert_eq!(status(&answer), 200, "{answer}");
    caller.ack(&answer, "").await;
    (answer, invite)
}

fn dial(names: &[&str], order: DialOrder, ring_timeout_ms: u32) -> Verb {
    let each = names
        .iter()
        .map(|name| DialTarget::Endpoint((*name).to_owned()));
    Verb::Dial(Dial {
        targets: each.collect(),
        order,
        ring_timeout_ms,
        caller_id: None,
        on_machine: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn ringing_and_answer_pass_and_either_end_hangs_up() {
    for caller_hangs_up in [true, false] {
        let mut rig = Rig::start(vec![]).await;
        let mut bob = rig.phone("bob").await;
        let (mut caller, invite) = calling(&rig, "dial-bob", &mut bob).await;
        bob.respond(&invite, "180 Ringing", "").await;
        caller.response("INVITE", |status| status == 180).await;
        bob.pick_up(&invite).await;
        let answer = caller.last_response("INVITE").await;
        assert_eq!(status(&answer), 200, "{answer}");
        caller.ack(&answer, "").await;
        let (first, second) = match caller_hangs_up {
            true => (&mut caller, &mut bob),
            false => (&mut bob, &mut caller),
        };
        first.bye().await;
        let bye = second.expect("BYE").await;
        assert!(header(&bye, "Reason").contains("Q.850;cause=16"), "{bye}");
        let ended = rig.rests().await;
        let expected = if caller_hangs_up {
            ("far-end", "bye")
        } else {
            ("us", "program")
        };
        assert_eq!(ended[&expected], 1, "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_leg_is_seen_on_the_other() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let (mut caller, invite) = calling(&rig, "dial-bob", &mut bob).await;
    let at = caller.address().port().to_string();
    let rtp = caller.rtp.local_addr().unwrap().port().to_string();
    assert!(!invite.contains(&at) && !invite.contains(&rtp), "{invite}");
    bob.pick_up(&invite).await;
    let answer = caller.last_response("INVITE").await;
    let at = bob.address().port().to_string();
    let rtp = bob.rtp.local_addr().unwrap().port().to_string();
    assert!(!answer.contains(&at) && !answer.contains(&rtp), "{answer}");
    caller.ack(&answer, "").await;
    caller.bye().await;
    bob.expect("BYE").await;
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_passed_back_with_its_cause() {
    for (line, expected, cause) in [
        ("486 Busy Here", 486, "17"),
        ("603 Decline", 603, "21"),
        ("404 Not Found", 404, "1"),
        ("401 Unauthorized", 503, "21"),
        ("302 Moved Temporarily", 480, "23"),
    ] {
        let mut rig = Rig::start(vec![]).await;
        let mut bob = rig.phone("bob").await;
        let (mut caller, invite) = calling(&rig, "dial-bob", &mut bob).await;
        bob.refuse(&invite, line).await;
        let answer = caller.last_response("INVITE").await;
        assert_eq!(status(&answer), expected, "{line}: {answer}");
        let reason = format!("\r\nReason: Q.850;cause={cause};");
        assert!(answer.contains(&reason), "{line}: {answer}");
        caller.ack(&answer, "").await;
        rig.rests().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_found_is_not_called() {
    let mut rig = Rig::start(vec![]).await;
    let sdp = Phone::new(rig.address, "x").await.sdp("sendrecv");
    let refusal = Phone::refused(rig.address, "dial-nobody", &sdp).await;
    assert_eq!(status(&refusal), 404, "{refusal}");
    assert_eq!(rig.calls.counters.refused_by()["no-such-endpoint"], 1);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_goes_through_also_when_it_meets_the_answer() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let (mut caller, invite) = calling(&rig, "dial-bob", &mut bob).await;
    bob.respond(&invite, "180 Ringing", "").await;
    caller.response("INVITE", |status| status == 180).await;
    caller.cancel().await;
    let refused = caller.last_response("INVITE").await;
    assert_eq!(status(&refused), 487, "{refused}");
    caller.ack(&refused, "").await;
    bob.cancelled(&invite).await;

    let (mut caller, invite) = calling(&rig, "dial-bob", &mut bob).await;
    bob.respond(&invite, "180 Ringing", "").await;
    caller.response("INVITE", |status| status == 180).await;
    caller.cancel().await;
    bob.expect("CANCEL").await;
    // Both cross: bob has answered, and must not stay in a call without anybody.
    bob.pick_up(&invite).await;
    bob.expect("BYE").await;
    let refused = caller.last_response("INVITE").await;
    caller.ack(&refused, "").await;
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers_in_time() {
    let plan = Plan::of([dial(&["bob"], DialOrder::All, 300)]);
    let mut rig = Rig::start(vec![("ring", plan)]).await;
    let mut bob = rig.phone("bob").await;
    let (mut caller, invite) = calling(&rig, "ring", &mut bob).await;
    bob.respond(&invite, "180 Ringing", "").await;
    bob.cancelled(&invite).await;
    let Outcome::Dialled(dialled) = rig.outcome().await else {
        panic!("not dialled");
    };
    assert_eq!((dialled.how, dialled.cause), (DialEnd::NoAnswer, 19));
    let refused = caller.last_response("INVITE").await;
    caller.ack(&refused, "").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ring_and_the_first_who_answers_has_the_call() {
    let mut rig = Rig::start(vec![]).await;
    let (mut ann, mut bob) = (rig.phone("all").await, rig.phone("all").await);
    let (mut caller, first) = calling(&rig, "dial-all", &mut ann).await;
    let second = bob.called().await;
    ann.respond(&first, "180 Ringing", "").await;
    bob.respond(&second, "180 Ringing", "").await;
    bob.pick_up(&second).await;
    let cancel = ann.cancelled(&first).await;
    assert!(
        header(&cancel, "Reason").contains("SIP;cause=200"),
        "{cancel}"
    );
    let answer = caller.last_response("INVITE").await;
    caller.ack(&answer, "").await;
    bob.bye().await;
    caller.expect("BYE").await;
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_both_answer_the_loser_is_hung_up() {
    let mut rig = Rig::start(vec![]).await;
    let (mut ann, mut bob) = (rig.phone("all").await, rig.phone("all").await);
    let (mut caller, first) = calling(&rig, "dial-all", &mut ann).await;
    let second = bob.called().await;
    let (ann_sdp, bob_sdp) = (ann.sdp("sendrecv"), bob.sdp("sendrecv"));
    ann.respond(&first, "200 OK", &ann_sdp).await;
    bob.respond(&second, "200 OK", &bob_sdp).await;
    let answer = caller.last_response("INVITE").await;
    caller.ack(&answer, "").await;
    for phone in [&mut ann, &mut bob] {
        phone.wait("ACK", |text| text.starts_with("ACK ")).await;
    }
    caller.bye().await;
    for phone in [&mut ann, &mut bob] {
        phone.expect("BYE").await;
    }
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_after_the_other_until_somebody_answers() {
    let plan = Plan::of([dial(&["ann", "bob"], DialOrder::OneByOne, 20_000)]);
    let mut rig = Rig::start(vec![("ring", plan)]).await;
    let (mut ann, mut bob) = (rig.phone("ann").await, rig.phone("bob").await);
    let (mut caller, first) = calling(&rig, "ring", &mut ann).await;
    ann.refuse(&first, "486 Busy Here").await;
    let second = bob.called().await;
    bob.pick_up(&second).await;
    let answer = caller.last_response("INVITE").await;
    caller.ack(&answer, "").await;
    bob.bye().await;
    let Outcome::Dialled(dialled) = rig.outcome().await else {
        panic!("not dialled");
    };
    assert!(matches!(dialled.how, DialEnd::Answered { .. }));
    assert_eq!(dialled.target, "endpoint bob");
    caller.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn early_media_is_announced_with_a_description() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let (mut caller, invite) = calling(&rig, "dial-bob", &mut bob).await;
    let sdp = bob.sdp("sendrecv");
    bob.respond(&invite, "183 Session Progress", &sdp).await;
    let early = caller.response("INVITE", |status| status == 183).await;
    let port = audio_port(&early);
    bob.pick_up(&invite).await;
    let answer = caller.last_response("INVITE").await;
    assert_eq!(audio_port(&answer), port, "{answer}");
    caller.ack(&answer, "").await;
    caller.bye().await;
    bob.expect("BYE").await;
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_an_offer_gets_ours_with_the_answer() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let mut caller = Phone::new(rig.address, "dial-bob").await;
    caller.invite("").await;
    let invite = bob.called().await;
    let sdp = bob.sdp("sendrecv");
    bob.respond(&invite, "183 Session Progress", &sdp).await;
    caller.response("INVITE", |status| status == 180).await;
    bob.pick_up(&invite).await;
    let offer = caller.last_response("INVITE").await;
    assert!(audio_port(&offer) > 0, "{offer}");
    caller.ack(&offer, &caller.sdp("sendrecv")).await;
    caller.bye().await;
    bob.expect("BYE").await;
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_by_info_reach_the_other_end_in_its_way() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig
        .phone_with("bob", |leg| leg.dtmf = trunkline::config::DtmfMode::Info)
        .await;
    let mut caller = joined(&rig, "dial-bob", &mut bob).await;
    caller.info('7').await;
    let info = bob.expect("INFO").await;
    assert!(info.contains("Signal=7\r\n"), "{info}");
    caller.bye().await;
    bob.expect("BYE").await;
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_and_leg_leaves_a_record() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let mut caller = joined(&rig, "dial-bob", &mut bob).await;
    caller.bye().await;
    bob.expect("BYE").await;
    rig.rests().await;
    let sdp = caller.sdp("sendrecv");
    Phone::refused(rig.address, "nobody-here", &sdp).await;
    let records = rig.records(4).await;
    let of = |kind: &str, party: &str| {
        let found = records.iter().find(|record| {
            record["type"] == kind
                && (kind == "call" || record["party"].as_str().unwrap().starts_with(party))
        });
        found.unwrap_or_else(|| panic!("{kind} {party}: {records:?}"))
    };
    let (call, own, peer) = (
        of("call", ""),
        of("leg", "caller"),
        of("leg", "endpoint bob"),
    );
    assert_eq!(
        (call["rule"].as_str(), call["cause"].as_str()),
        (Some("test"), Some("bye"))
    );
    assert_eq!(
        (own["call"].as_str(), peer["call"].as_str()),
        (call["call"].as_str(), call["call"].as_str())
    );
    assert_eq!(
        (own["ended_by"].as_str(), peer["ended_by"].as_str()),
        (Some("far-end"), Some("us"))
    );
    assert_eq!(
        (own["codec"].as_str(), own["q850"].as_u64()),
        (Some("PCMU"), Some(16))
    );
    assert!(
        own["answered"].is_string() && peer["sip_call_id"].is_string(),
        "{records:?}"
    );
    assert_ne!(own["sip_call_id"], peer["sip_call_id"]);
    let refused = records
        .iter()
        .find(|record| record["status"] == 404)
        .unwrap();
    assert_eq!(
        (refused["cause"].as_str(), refused["q850"].as_u64()),
        (Some("no-such-number"), Some(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_tell_what_a_refused_caller_was_told() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let (mut caller, invite) = calling(&rig, "dial-bob", &mut bob).await;
    bob.refuse(
        &invite,
        "480 Temporarily Unavailable\r\nReason: Q.850;cause=20",
    )
    .await;
    let answer = caller.last_response("INVITE").await;
    caller.ack(&answer, "").await;
    assert_eq!(status(&answer), 480, "{answer}");
    assert!(answer.contains("\r\nReason: Q.850;cause=20;"), "{answer}");
    for record in rig.records(3).await {
        let told = (record["status"].as_u64(), record["q850"].as_u64());
        assert_eq!(told, (Some(480), Some(20)), "{record}");
    }
    rig.rests().await;
}
