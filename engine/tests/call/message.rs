//! Text messages: within calls to the program, outside calls to a fresh program or to phones; strangers send none.
use crate::dial::joined;
use crate::phone::{Phone, header, status};
use crate::rig::{Plan, Rig};
use trunkline::call::*;

fn waiting(verdict: Option<Verdict>) -> Plan {
    Plan {
        verdict,
        ..Plan::of([Verb::Answer, Verb::Wait(Wait { ms: u32::MAX })])
    }
}

fn number(verdict: Verdict) -> Vec<(&'static str, Plan)> {
    vec![("inbox", waiting(Some(verdict)))]
}

/// Sends a MESSAGE as `user`; the final response.
async fn send(phone: &mut Phone, user: &str, text: &str) -> String {
    if !user.is_empty() {
        phone.saying(&format!("X-User: {user}"));
    }
    phone.request("MESSAGE", "x-note", text).await;
    phone.last_response("MESSAGE").await
}

/// A call of ann's that is answered.
async fn call(rig: &Rig, user: &str) -> Phone {
    let mut phone = Phone::new(rig.address, "inbox").await;
    let sdp = phone.sdp("sendrecv");
    phone.saying(&format!("X-{user}: ann")).invite(&sdp).await;
    let answer = phone.last_response("INVITE").await;
    phone.ack(&answer, "").await;
    phone
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_call_the_program_decides() {
    for (verdict, expected, rule) in [
        (Verdict::Taken, 200, None),
        (Verdict::NotTaken, 405, Some("message-not-taken")),
        (Verdict::OtherType, 415, Some("message-type")),
    ] {
        let mut rig = Rig::start(number(verdict)).await;
        let mut ann = call(&rig, "User").await;
        let answer = send(&mut ann, "", "hello").await;
        assert_eq!(status(&answer), expected, "{answer}");
        let text = rig.texts.recv().await.unwrap();
        assert_eq!(
            (&*text.content_type, &*text.body),
            ("application/x-note", &b"hello"[..])
        );
        match rule {
            None => assert_eq!(rig.calls.counters.messages_by()[0], ("program", 1)),
            Some(rule) => assert_eq!(rig.calls.counters.refused_by()[rule], 1),
        }
        ann.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.rests().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_send_nothing() {
    let mut rig = Rig::start(number(Verdict::Taken)).await;
    let mut ann = call(&rig, "Stranger").await;
    let within = send(&mut ann, "", "hello").await;
    let mut other = Phone::new(rig.address, "inbox").await;
    let outside = send(&mut other, "", "hello").await;
    assert_eq!((status(&within), status(&outside)), (403, 403));
    assert_eq!(rig.calls.counters.refused_by()["message-from-stranger"], 2);
    ann.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
    assert!(rig.texts.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_panics_over_a_message_ends_its_call_only() {
    let plans = vec![("inbox", waiting(None))];
    let mut rig = Rig::start(plans).await;
    let mut other = Phone::new(rig.address, "inbox").await;
    assert_eq!(status(&send(&mut other, "ann", "x").await), 500);
    let mut ann = call(&rig, "User").await;
    assert_eq!(status(&send(&mut ann, "", "x").await), 500);
    ann.expect("BYE").await;
    let ended = rig.rests().await;
    assert_eq!(ended[&("us", "program-panic")], 1, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_calls_a_fresh_program_of_the_number_is_asked() {
    let mut rig = Rig::start(number(Verdict::Taken)).await;
    let mut ann = Phone::new(rig.address, "inbox").await;
    let answer = send(&mut ann, "ann", "hello").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(rig.texts.recv().await.unwrap().body, b"hello");
    let mut ann = Phone::new(rig.address, "nowhere").await;
    assert_eq!(status(&send(&mut ann, "ann", "x").await), 404);
    let mut ann = Phone::new(rig.address, "dial-bob").await;
    let refused = send(&mut ann, "ann", "x").await;
    assert_eq!(status(&refused), 405);
    assert!(header(&refused, "Allow").contains("MESSAGE"), "{refused}");
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_user_goes_to_every_phone() {
    let mut rig = Rig::start(vec![]).await;
    let (mut desk, mut cell) = (rig.phone("bob").await, rig.phone("bob").await);
    for (first, second, expected) in [
        ("486 Busy Here", "200 OK", 200),
        ("202 Accepted", "404 Not Found", 202),
        (
            "415 Unsupported Media Type",
            "415 Unsupported Media Type",
            415,
        ),
        (
            "407 Proxy Authentication Required",
            "407 Proxy Authentication Required",
            480,
        ),
    ] {
        let mut ann = Phone::new(rig.address, "phone-bob").await;
        ann.saying("X-User: ann");
        // What is sent again for want of an answer in time is not taken for the next.
        let body = format!("hello {first}");
        ann.request("MESSAGE", "x-note", &body).await;
        for (phone, line) in [(&mut desk, first), (&mut cell, second)] {
            let is_this = |text: &str| {
                text.starts_with("MESSAGE ") && text.ends_with(&format!("\r\n\r\n{body}"))
            };
            let message = phone.wait("MESSAGE", is_this).await;
            let at = ann.address().port().to_string();
            assert!(
                !message.contains(&at) && !message.contains("X-User"),
                "{message}"
            );
            phone.reply(&message, line, "").await;
        }
        let answer = ann.last_response("MESSAGE").await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
    assert_eq!(rig.calls.counters.messages_by()[1], ("phone", 2));
    assert_eq!(rig.calls.counters.refused_by()["message-not-delivered"], 2);
    let mut ann = Phone::new(rig.address, "phone-carol").await;
    assert_eq!(status(&send(&mut ann, "ann", "x").await), 480);
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_a_bridge_loses_its_call_over_a_message() {
    let mut rig = Rig::start(vec![]).await;
    let mut bob = rig.phone("bob").await;
    let mut ann = joined(&rig, "dial-bob", &mut bob).await;
    assert_eq!(status(&send(&mut ann, "", "x").await), 403);
    // Dialled as a user; the program behind the number takes no messages.
    assert_eq!(status(&send(&mut bob, "", "x").await), 405);
    ann.bye().await;
    bob.expect("BYE").await;
    rig.rests().await;
}
