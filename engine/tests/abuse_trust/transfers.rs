//! Toll fraud by transfer: who may send whom where, and who may take over whose call.
use crate::party::{Dialog, Party, header, status, tag};
use crate::trust::alice_over_carrier;
use crate::world::World;

fn same(text: String) -> String {
    text
}

/// The stranger calls alice at the reception: the stranger's dialog, and hers.
#[track_caller]
fn stranger_with_alice(world: &mut World, stranger: &mut Party) -> (Dialog, Dialog) {
    let (mut asked, text) = stranger.begin("reception");
    let invite = world.alice.request_of("INVITE");
    let called = world.alice.pick_up(&invite, "");
    let answer = stranger.final_response(header(&text, "Call-ID"), header(&text, "CSeq"));
    assert_eq!(status(&answer), 200, "{answer}");
    stranger.confirm(&mut asked, &answer);
    (asked, called)
}

/// Asks for a transfer and returns the status that ends it: of the response when it is refused at once, else of the last NOTIFY.
#[track_caller]
fn refer(party: &mut Party, dialog: &mut Dialog, refer_to: &str) -> u16 {
    party.extra = format!("Refer-To: {refer_to}\r\n");
    let answer = party.ask(dialog, "REFER", "", same);
    if status(&answer) >= 300 {
        return status(&answer);
    }
    loop {
        let notify = party.request_of("NOTIFY");
        party.respond(&notify, "200 OK");
        let fragment = notify.split("\r\n\r\n").nth(1).expect("a body");
        let status = status(fragment.trim_start());
        if status >= 200 {
            return status;
        }
    }
}

#[test]
fn a_strangers_refer_is_refused_and_the_call_goes_on() {
    let mut world = World::start();
    world.alice.register();
    let mut stranger = world.stranger();
    let (mut asked, called) = stranger_with_alice(&mut world, &mut stranger);
    let sip = world.server.sip();
    for target in [
        format!("<sip:+4930123@{sip}>"),
        "<tel:+4930123>".to_owned(),
        format!("<sip:202@{sip}>"),
        format!("<sip:+4930123@{}>", world.carrier.address()),
    ] {
        let refused = refer(&mut stranger, &mut asked, &target);
        assert!(matches!(refused, 401 | 403), "{target}: {refused}");
    }
    // Outside a call nobody transfers anything.
    for party in [&mut stranger, &mut world.bob, &mut world.carrier] {
        let mut outside = party.fresh("reception");
        let refused = refer(party, &mut outside, "<tel:+4930123>");
        assert!(matches!(refused, 401 | 403), "{}: {refused}", party.user);
    }
    assert_eq!(world.carrier.came("INVITE"), 0);
    assert_eq!(world.alice.came("BYE"), 0);
    stranger.hang_up(&mut asked);
    world.alice.is_hung_up(&called);
    world.rests();
}

#[test]
fn a_phone_transfers_only_where_it_may_call_itself() {
    let mut world = World::start();
    world.alice.register();
    let mut stranger = world.stranger();
    let (asked, mut called) = stranger_with_alice(&mut world, &mut stranger);
    let sip = world.server.sip();
    let evil = Party::new(sip, "evil");
    for target in [
        format!("<sip:+1900666@{sip}>"),
        "<tel:+1900666>".to_owned(),
        format!("<sip:%2B1900666@{sip}>"),
        format!("<sip:+4930123@{}>", evil.address()),
        format!("<sip:+4930123@{}>", world.carrier.address()),
        format!("<sip:demo@{}>", evil.address()),
    ] {
        let refused = refer(&mut world.alice, &mut called, &target);
        assert!(matches!(refused, 403 | 404), "{target}: {refused}");
    }
    assert_eq!(world.carrier.came("INVITE"), 0);
    // Where it may, it does, and nothing of the URI but the number comes along.
    let smuggled = format!(
        "<sip:+4930777@{sip}?Route=%3Csip%3A{0}%3Blr%3E&P-Asserted-Identity=%3Csip%3A%2B49110%40x%3E&X-Evil=1&Via=x&From=%3Csip%3Aboss%40x%3E>",
        evil.address()
    );
    world.alice.extra = format!("Refer-To: {smuggled}\r\n");
    let answer = world.alice.ask(&mut called, "REFER", "", same);
    assert_eq!(status(&answer), 202, "{answer}");
    let invite = world.carrier.request_of("INVITE");
    assert!(invite.starts_with("INVITE sip:+4930777@"), "{invite}");
    for part in [
        "Evil",
        "49110",
        "boss",
        "Route:",
        &evil.address().to_string(),
    ] {
        assert!(!invite.contains(part), "{part}: {invite}");
    }
    world.carrier.respond(&invite, "486 Busy Here");
    let asked_call = asked.call_id.clone();
    assert_eq!(stranger.came("BYE"), 0, "{asked_call} goes on");
    world.alice.hang_up(&mut called);
    stranger.is_hung_up(&asked);
    world.rests();
}

#[test]
fn nobody_unknown_takes_over_a_call() {
    let mut world = World::start();
    world.alice.register();
    let (mut ours, theirs, _) = alice_over_carrier(&mut world, "+4930123", "");
    let mut mallory = world.stranger();
    let sip = world.server.sip();
    // Mallory knows everything about the call; both ends and both orders of tags are tried.
    for (dialog, of) in [(&ours, "alice"), (&theirs, "carrier")] {
        for (to_tag, from_tag) in [
            (tag(&dialog.remote), tag(&dialog.local)),
            (tag(&dialog.local), tag(&dialog.remote)),
        ] {
            for (number, expected) in [("demo", [403, 481]), ("+4930123", [401, 481])] {
                let call_id = &dialog.call_id;
                mallory.extra =
                    format!("Replaces: {call_id};to-tag={to_tag};from-tag={from_tag}\r\n");
                let (_, answer) = mallory.call(number);
                assert!(
                    expected.contains(&status(&answer)),
                    "{of} {number}: {answer}"
                );
            }
            // The same by a transfer of a call of mallory's own.
            let (mut own, answer) = mallory.call("demo");
            assert_eq!(status(&answer), 200, "{answer}");
            let target = format!(
                "<sip:201@{sip}?Replaces={}%3Bto-tag%3D{to_tag}%3Bfrom-tag%3D{from_tag}>",
                dialog.call_id
            );
            let refused = refer(&mut mallory, &mut own, &target);
            assert!(matches!(refused, 401 | 403), "{of}: {refused}");
            mallory.hang_up(&mut own);
        }
    }
    assert_eq!(world.alice.came("BYE") + world.carrier.came("BYE"), 0);
    // With the right name of the dialog a phone takes the call over: what is refused above is not refused for being wrong.
    let (to_tag, from_tag) = (tag(&ours.remote), tag(&ours.local));
    let mut picked = world.bob.fresh("alice");
    let sdp = world.bob.sdp();
    let challenge = world.bob.ask_unproven(&mut picked, &sdp);
    world.bob.extra = format!(
        "Replaces: {};to-tag={to_tag};from-tag={from_tag}\r\n",
        ours.call_id
    );
    world.bob.begin_proven(&mut picked, &sdp, &challenge);
    let cseq = format!("{} INVITE", picked.cseq);
    let answer = world.bob.final_response(&picked.call_id.clone(), &cseq);
    assert_eq!(status(&answer), 200, "{answer}");
    world.bob.confirm(&mut picked, &answer);
    world.alice.is_hung_up(&ours);
    ours.cseq += 1;
    world.bob.hang_up(&mut picked);
    world.carrier.is_hung_up(&theirs);
    world.rests();
}
