//! One program after the other, and settings that change while calls are in progress.
use crate::bridge::{Pair, heard};
use crate::phone::{Phone, header, status};
use crate::playing;
use crate::rig::{Plan, Rig, settings};
use trunkline::call::*;
use trunkline::config::SrtpPolicy;
use trunkline_sip::offer_answer::Encoding;

fn dial(targets: Vec<DialTarget>) -> Plan {
    Plan::of([Verb::Dial(Dial {
        targets,
        ..Dial::one(DialTarget::Number(String::new()))
    })])
}

fn number(name: &str) -> DialTarget {
    DialTarget::Number(name.to_owned())
}

async fn until_dialled(rig: &mut Rig) -> (usize, Dialled) {
    let mut handed_over = 0;
    loop {
        match rig.outcome().await {
            Outcome::HandedOver => handed_over += 1,
            Outcome::Dialled(dialled) => return (handed_over, dialled),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_a_program_is_dialled_by_handing_it_the_call() {
    let front = dial(vec![number("program-ivr")]);
    let mut rig = Rig::start(vec![("front", front), ("ivr", playing())]).await;
    let mut ann = Phone::calling(rig.address, "front").await;
    assert_eq!(rig.outcome().await, Outcome::HandedOver);
    ann.hear().await;
    ann.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_not_dialled_beside_phones_nor_without_end() {
    let beside = dial(vec![
        DialTarget::Endpoint("nobody".to_owned()),
        number("program-ivr"),
    ]);
    let itself = dial(vec![number("program-itself")]);
    let nowhere = dial(vec![number("program-nowhere")]);
    for (plan, name, handed_over, expected, rule) in [
        (beside, "beside", 0, 501, "program-not-alone"),
        (itself, "itself", 32, 482, "too-many-programs"),
        (nowhere, "nowhere-yet", 0, 404, "no-such-number"),
    ] {
        let mut rig = Rig::start(vec![(name, plan)]).await;
        let sdp = Phone::new(rig.address, "x").await.sdp("sendrecv");
        let refused = Phone::refused(rig.address, name, &sdp).await;
        assert_eq!(status(&refused), 603, "{refused}");
        let (times, dialled) = until_dialled(&mut rig).await;
        assert_eq!((times, dialled.status), (handed_over, expected));
        assert_eq!(rig.calls.counters.refused_by()[rule], 1);
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.rests().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn either_party_transfers_the_other_to_a_program() {
    for by_caller in [true, false] {
        for waits in [true, false] {
            let mut pair = Pair::with_plans(vec![("ivr", playing())]).await;
            let to = format!("<sip:program-ivr@{}>", pair.rig.address);
            let (by, stays) = match by_caller {
                true => (&mut pair.ann, &mut pair.bob),
                false => (&mut pair.bob, &mut pair.ann),
            };
            assert_eq!(status(&by.refer(&to).await), 202);
            by.notified(200).await;
            match waits {
                true => drop(by.expect("BYE").await),
                false => by.bye().await,
            }
            stays.hear().await;
            stays.bye().await;
            assert_eq!(pair.rig.outcome().await, Outcome::HungUp);
            pair.rig.rests().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_to_a_program_that_is_not_there_changes_nothing() {
    let mut pair = Pair::new().await;
    let to = format!("<sip:program-ivr@{}>", pair.rig.address);
    assert_eq!(status(&pair.bob.refer(&to).await), 404);
    let elsewhere = format!(
        "<sip:program-ivr@{}?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>",
        pair.rig.address
    );
    assert_eq!(status(&pair.bob.refer(&elsewhere).await), 481);
    heard(&mut pair.ann, pair.ann_to, &mut pair.bob, 0, 0x31).await;
    heard(&mut pair.bob, pair.bob_to, &mut pair.ann, 0, 0x42).await;
    pair.over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_calls_go_by_new_settings_and_old_ones_by_theirs() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let both = |phone: &Phone| phone.sdp("sendrecv").replace("RTP/AVP 0 ", "RTP/AVP 0 8 ");
    let mut old = Phone::new(rig.address, "music").await;
    let answer = old.reinvite(&both(&old), "").await;
    assert!(answer.contains("RTP/AVP 0 "), "{answer}");
    let new = CallSettings {
        codecs: vec![Encoding::Pcma],
        ..settings("/nowhere".into(), 1, SrtpPolicy::Never)
    };
    rig.calls.apply(new, None);
    let answer = old.reinvite(&both(&old), "").await;
    assert!(answer.contains("RTP/AVP 0 "), "{answer}");
    // The limit of calls is not among what changes.
    let mut late = Phone::new(rig.address, "music").await;
    let answer = late.reinvite(&both(&late), "").await;
    assert!(
        status(&answer) == 200 && answer.contains("RTP/AVP 8 "),
        "{answer}"
    );
    for phone in [&mut old, &mut late] {
        phone.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn info_of_known_kinds_crosses_a_bridge_and_no_other() {
    let mut pair = Pair::new().await;
    for (kind, body, expected) in [
        ("media_control+xml", "<media_control/>".to_owned(), 200),
        ("x-secret", "<x/>".to_owned(), 415),
        ("media_control+xml", "x".repeat(2049), 415),
    ] {
        pair.ann.request("INFO", kind, &body).await;
        let answer = pair.ann.last_response("INFO").await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
    let info = pair.bob.expect("INFO").await;
    assert_eq!(
        header(&info, "Content-Type"),
        "application/media_control+xml"
    );
    assert!(info.ends_with("\r\n\r\n<media_control/>"), "{info}");
    assert_eq!(pair.rig.calls.counters.refused_by()["info-type"], 2);
    pair.over().await;

    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut alone = Phone::calling(rig.address, "music").await;
    alone.request("INFO", "media_control+xml", "<x/>").await;
    assert_eq!(status(&alone.last_response("INFO").await), 415);
    alone.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}
