//! Who pretends to be somebody, and who wants our requests or passwords sent elsewhere.
use crate::party::{Dialog, Party, header, status, tag};
use crate::world::{PASSWORD, World};

fn same(text: String) -> String {
    text
}

#[test]
fn the_address_of_a_trunk_with_a_password_is_not_enough() {
    let mut world = World::start();
    let sip = world.server.sip();
    // Whoever writes the trunk's address on a datagram gets a challenge that goes to the trunk.
    let mut spoof = Party::at(sip, "spoof", world.peer.ip);
    for number in ["demo", "reception", "+4930123"] {
        let (_, answer) = spoof.call(number);
        assert_eq!(status(&answer), 401, "{number}: {answer}");
    }
    // The trunk's name with another password, and the right password from another address.
    spoof.user = "peer".into();
    spoof.password = Some("guess".into());
    assert_eq!(status(&spoof.call("demo").1), 403);
    let mut elsewhere = Party::known(sip, "peer", PASSWORD);
    assert_eq!(status(&elsewhere.call("+4930123").1), 403);
    // A register has no business there, not even with the password.
    let mut dialog = world.peer.fresh("peer");
    let answer = world.peer.ask(&mut dialog, "REGISTER", "", same);
    assert_eq!(status(&answer), 403, "{answer}");
    let (mut dialog, _) = world.peer.talk("demo");
    world.peer.hang_up(&mut dialog);
    world.rests();
}

#[test]
fn no_unauthenticated_invite_reaches_a_trunk() {
    let mut world = World::start();
    let carrier_at = world.carrier.address();
    let sip = world.server.sip();
    let route = format!("Route: <sip:{carrier_at};lr>\r\n");
    let replaced = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |text: String| text.replacen(&from, &to, 1)
    };
    let mut stranger = world.stranger();
    let own = format!("sip:stranger@{}>", stranger.ip);
    let start = format!("INVITE sip:+4930123@{sip} ");
    type Edit = Box<dyn Fn(String) -> String>;
    let ways: Vec<(&str, Edit)> = vec![
        ("plainly", Box::new(same)),
        (
            "a phone's name in From",
            Box::new(replaced(&own, "sip:alice@pbx>")),
        ),
        (
            "its extension in From",
            Box::new(replaced(&own, "sip:201@pbx>")),
        ),
        (
            "a phone's asserted identity",
            Box::new(replaced(
                "Contact:",
                "P-Asserted-Identity: <sip:alice@pbx>\r\nContact:",
            )),
        ),
        (
            "a preloaded route",
            Box::new(replaced("Contact:", &format!("{route}Contact:"))),
        ),
        (
            "the carrier in the Request-URI",
            Box::new(replaced(
                &start,
                &format!("INVITE sip:+4930123@{carrier_at} "),
            )),
        ),
        (
            "a tel: URI",
            Box::new(replaced(&start, "INVITE tel:+4930123 ")),
        ),
        (
            "escapes",
            Box::new(replaced(&start, &format!("INVITE sip:%2B4930123@{sip} "))),
        ),
        (
            "separators",
            Box::new(replaced(&start, &format!("INVITE sip:+49-30-123@{sip} "))),
        ),
        (
            "a dialog that is none",
            Box::new(replaced(
                "Contact:",
                "Replaces: x;to-tag=a;from-tag=b\r\nContact:",
            )),
        ),
        (
            "the carrier's address as Via",
            Box::new(move |text: String| {
                text.replacen(
                    "Via: SIP/2.0/UDP ",
                    &format!("Via: SIP/2.0/UDP {carrier_at};x="),
                    1,
                )
            }),
        ),
    ];
    for (way, edit) in &ways {
        let (_, answer) = stranger.call_as("+4930123", edit);
        assert!((400..=481).contains(&status(&answer)), "{way}: {answer}");
    }
    // Where a route leads nowhere else: to whom the number says.
    world.alice.register();
    let (_, text) = {
        stranger.extra.clone_from(&route);
        stranger.begin("reception")
    };
    let invite = world.alice.request_of("INVITE");
    assert_eq!(header(&invite, "Route"), "");
    // And the phone it leads to cannot lead it further.
    let moved = format!("Contact: <sip:+4930123@{carrier_at}>\r\n");
    let redirect = world
        .alice
        .response(&invite, "302 Moved", "theirs", &moved, "");
    world.alice.send(&redirect);
    let answer = stranger.final_response(header(&text, "Call-ID"), header(&text, "CSeq"));
    assert!(status(&answer) >= 300, "{answer}");
    // Passwords that are wrong, of those who are there and those who are not.
    for user in ["alice", "nobody", "ourlogin", "carrier"] {
        let mut guess = Party::known(sip, user, "guess");
        assert_eq!(status(&guess.call("+4930123").1), 403, "{user}");
    }
    // Those who are known but may not: a trunk, phones without that prefix.
    for (party, number, expected) in [
        (&mut world.carrier, "+4930123", 404),
        (&mut world.peer, "+4930123", 404),
        (&mut world.bob, "+4930123", 403),
        (&mut world.alice, "+1900123", 403),
    ] {
        let (_, answer) = party.call(number);
        assert_eq!(status(&answer), expected, "{}: {answer}", party.user);
    }
    assert_eq!(world.carrier.came("INVITE"), 0);
    // Who may gets there: the carrier was listening.
    reaches_carrier(&mut world, "+4930999");
    world.rests();
}

/// Alice calls over the carrier, which answers; she hangs up.
#[track_caller]
pub(crate) fn reaches_carrier(world: &mut World, number: &str) {
    let (mut ours, mut theirs, _) = alice_over_carrier(world, number, "");
    world.alice.hang_up(&mut ours);
    world.carrier.is_hung_up(&theirs);
    theirs.cseq += 1;
}

/// Alice calls over the carrier, which answers with these header lines: her dialog, the carrier's, and the INVITE it got.
#[track_caller]
pub(crate) fn alice_over_carrier(
    world: &mut World,
    number: &str,
    extra: &str,
) -> (Dialog, Dialog, String) {
    let alice = &mut world.alice;
    let mut ours = alice.fresh(number);
    let sdp = alice.sdp();
    let challenge = alice.ask_unproven(&mut ours, &sdp);
    alice.begin_proven(&mut ours, &sdp, &challenge);
    let carrier = &mut world.carrier;
    let invite = carrier.wait("the INVITE of alice", |text| {
        text.starts_with(&format!("INVITE sip:{number}@"))
    });
    carrier.respond(&invite, "180 Ringing");
    let theirs = carrier.answer(&invite, extra);
    let cseq = format!("{} INVITE", ours.cseq);
    let answer = world.alice.final_response(&ours.call_id.clone(), &cseq);
    assert_eq!(status(&answer), 200, "{answer}");
    world.alice.confirm(&mut ours, &answer);
    (ours, theirs, invite)
}

#[test]
fn a_request_with_the_call_id_of_a_call_and_wrong_tags_finds_no_call() {
    let mut world = World::start();
    world.alice.register();
    let mut stranger = world.stranger();
    let (mut asked, text) = stranger.begin("reception");
    let invite = world.alice.request_of("INVITE");
    let called = world.alice.pick_up(&invite, "");
    let answer = stranger.final_response(header(&text, "Call-ID"), header(&text, "CSeq"));
    stranger.confirm(&mut asked, &answer);
    let mut mallory = world.stranger();
    mallory.user = "mallory".into();
    let wrong = |dialog: &Dialog, ours: bool, theirs: bool| Dialog {
        local: match ours {
            true => dialog.local.clone(),
            false => format!("{}x", dialog.local),
        },
        remote: match theirs {
            true => dialog.remote.clone(),
            false => dialog
                .remote
                .replace(&format!(";tag={}", tag(&dialog.remote)), ";tag=guess"),
        },
        cseq: 900,
        ..dialog.clone()
    };
    for (dialog, side) in [(&asked, "caller"), (&called, "callee")] {
        for (ours, theirs) in [(false, true), (true, false), (false, false)] {
            for method in ["BYE", "INVITE", "UPDATE", "INFO", "PRACK", "REFER"] {
                let mut guess = wrong(dialog, ours, theirs);
                let body = match method {
                    "INVITE" | "UPDATE" => mallory.sdp(),
                    "INFO" => "Signal=9\r\nDuration=100\r\n".to_owned(),
                    _ => String::new(),
                };
                mallory.extra = match method {
                    "REFER" => "Refer-To: <sip:+4930123@127.0.0.1>\r\n".into(),
                    "PRACK" => "RAck: 1 1 INVITE\r\n".into(),
                    _ => String::new(),
                };
                let answer = mallory.ask(&mut guess, method, &body, same);
                assert_eq!(status(&answer), 481, "{method} as {side}: {answer}");
            }
        }
        // Without our tag there is no dialog at all.
        let mut outside = Dialog {
            remote: dialog
                .remote
                .split(";tag=")
                .next()
                .expect("an address")
                .to_owned(),
            ..dialog.clone()
        };
        let answer = mallory.ask(&mut outside, "BYE", "", same);
        assert!(matches!(status(&answer), 401 | 481), "{answer}");
    }
    // Somebody known finds nothing either.
    let mut guess = wrong(&asked, false, true);
    guess.cseq = 950;
    world.bob.extra = "Refer-To: <sip:201@127.0.0.1>\r\n".into();
    let answer = world.bob.ask(&mut guess, "REFER", "", same);
    assert_eq!(status(&answer), 481, "{answer}");
    // Nobody noticed, and the call is there.
    assert_eq!(world.alice.came("BYE") + stranger.came("BYE"), 0);
    stranger.hang_up(&mut asked);
    world.alice.is_hung_up(&called);
    world.rests();
}

#[test]
fn nobody_steers_our_requests_to_the_metadata_address() {
    let mut world = World::start();
    world.alice.register();
    for (contact, extra) in [
        ("sip:x@169.254.169.254:80", ""),
        ("sip:x@0.0.0.0:5060", ""),
        ("sip:x@224.0.0.1:5060", ""),
        ("", "Record-Route: <sip:169.254.169.254:80;lr>\r\n"),
    ] {
        let mut stranger = world.stranger();
        let own = stranger.contact();
        let contact = if contact.is_empty() {
            own.clone()
        } else {
            contact.to_owned()
        };
        let mut asked = stranger.fresh("reception");
        let sdp = stranger.sdp();
        stranger.extra = extra.into();
        let text = stranger.text(&mut asked, "INVITE", &sdp).replace(
            &format!("Contact: <{own}>"),
            &format!("Contact: <{contact}>"),
        );
        stranger.send(&text);
        let invite = world.alice.request_of("INVITE");
        let mut called = world.alice.pick_up(&invite, "");
        let answer = stranger.final_response(header(&text, "Call-ID"), header(&text, "CSeq"));
        stranger.confirm(&mut asked, &answer);
        world.alice.hang_up(&mut called);
        // Where the BYE goes is where the caller is.
        stranger.is_hung_up(&asked);
    }
    // As callee: a phone that registers such a Contact is called where it registered from.
    let own = world.bob.contact();
    let mut dialog = world.bob.fresh("bob");
    world.bob.ask(&mut dialog, "REGISTER", "", |text| {
        text.replace(&own, "sip:bob@169.254.169.254:80")
    });
    world.alice.extra = String::new();
    let mut ours = world.alice.fresh("202");
    let sdp = world.alice.sdp();
    let challenge = world.alice.ask_unproven(&mut ours, &sdp);
    world.alice.begin_proven(&mut ours, &sdp, &challenge);
    let invite = world.bob.request_of("INVITE");
    world.bob.respond(&invite, "486 Busy Here");
    let cseq = format!("{} INVITE", ours.cseq);
    let answer = world.alice.final_response(&ours.call_id.clone(), &cseq);
    assert_eq!(status(&answer), 486, "{answer}");
    world.rests();
}

#[test]
fn a_carriers_far_end_gets_no_answer_to_its_challenge() {
    let mut world = World::start();
    // The callee says that requests go to itself, and asks there for the password of the trunk by its right realm.
    let mut mallory = world.stranger();
    mallory.user = "mallory".into();
    let contact = format!("Contact: <{}>\r\n", mallory.contact());
    let (mut ours, _, _) = alice_over_carrier(&mut world, "+4930123", &contact);
    world.alice.hang_up(&mut ours);
    let bye = mallory.request_of("BYE");
    assert!(!bye.contains("Authorization"), "{bye}");
    let challenge =
        "WWW-Authenticate: Digest realm=\"carrier.example\", nonce=\"mine\", qop=\"auth\"\r\n";
    let refusal = mallory.response(&bye, "401 Unauthorized", "x", challenge, "");
    mallory.send(&refusal);
    let metrics = world.rests();
    assert_eq!(
        mallory.captured.len(),
        mallory
            .captured
            .iter()
            .filter(|text| text.starts_with("ACK ") || text.starts_with("BYE "))
            .count()
    );
    assert!(
        mallory
            .captured
            .iter()
            .all(|text| !text.contains("Authorization"))
    );
    let dropped = metrics.labelled("trunkline_sip_messages_dropped_total", "another host");
    assert_eq!(dropped, 1.0, "{metrics:#?}");
    // The carrier itself is answered, for its realm only.
    for (realm, answered) in [("other.example", false), ("carrier.example", true)] {
        let mut ours = world.alice.fresh("+4930321");
        let sdp = world.alice.sdp();
        let asked = world.alice.ask_unproven(&mut ours, &sdp);
        world.alice.begin_proven(&mut ours, &sdp, &asked);
        let invite = world.carrier.request_of("INVITE");
        let challenge =
            format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\"\r\n");
        let refusal = world
            .carrier
            .response(&invite, "401 Unauthorized", "x", &challenge, "");
        world.carrier.send(&refusal);
        if answered {
            let again = world.carrier.request_of("INVITE");
            assert!(
                again.contains("Authorization: Digest username=\"ourlogin\""),
                "{again}"
            );
            world.carrier.respond(&again, "486 Busy Here");
        }
        let cseq = format!("{} INVITE", ours.cseq);
        let answer = world.alice.final_response(&ours.call_id.clone(), &cseq);
        assert!(status(&answer) >= 400, "{realm}: {answer}");
    }
    assert_eq!(
        world
            .carrier
            .captured
            .iter()
            .filter(|text| text.contains("other.example"))
            .count(),
        0
    );
    world.rests();
}

#[test]
fn a_redirect_is_not_followed() {
    let mut world = World::start();
    let mut premium = world.stranger();
    let contact = format!(
        "Contact: <sip:+1900666@{}>, <sip:+1900666@{}>\r\n",
        premium.address(),
        world.carrier.address()
    );
    for line in [
        "302 Moved Temporarily",
        "300 Multiple Choices",
        "305 Use Proxy",
        "380 Alternative",
    ] {
        let mut ours = world.alice.fresh("+4930123");
        let sdp = world.alice.sdp();
        let challenge = world.alice.ask_unproven(&mut ours, &sdp);
        world.alice.begin_proven(&mut ours, &sdp, &challenge);
        let invite = world.carrier.request_of("INVITE");
        let redirect = world.carrier.response(&invite, line, "x", &contact, "");
        world.carrier.send(&redirect);
        let cseq = format!("{} INVITE", ours.cseq);
        let answer = world.alice.final_response(&ours.call_id.clone(), &cseq);
        assert!(status(&answer) >= 300, "{line}: {answer}");
        assert!(!answer.contains("1900666"), "{line}: {answer}");
    }
    world.rests();
    assert_eq!(premium.came("INVITE"), 0);
    world.carrier.came("INVITE");
    assert!(
        world
            .carrier
            .captured
            .iter()
            .all(|text| !text.contains("1900666"))
    );
}
