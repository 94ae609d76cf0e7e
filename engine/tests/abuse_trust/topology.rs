//! Topology hiding: both legs of a call are captured whole, and nothing that names one of them occurs in the other.
use crate::party::{Dialog, Party, header, status, tag};
use crate::world::World;

/// What must not cross: everything a party's messages say about itself, its dialog and its network.
fn secrets(party: &Party, dialog: &Dialog, captured_by_server_side: &[&str]) -> Vec<String> {
    let mut secrets = vec![
        party.ip.to_string(),
        party.address().port().to_string(),
        party.rtp.local_addr().expect("bound").port().to_string(),
        dialog.call_id.clone(),
        tag(&dialog.local).to_owned(),
        tag(&dialog.remote).to_owned(),
    ];
    for text in captured_by_server_side {
        let via = header(text, "Via");
        let branch = via.split("branch=").nth(1).unwrap_or("");
        secrets.push(branch.split(';').next().unwrap_or("").to_owned());
        let origin = text.lines().find_map(|line| line.strip_prefix("o="));
        let session = origin.and_then(|line| line.split(' ').nth(1));
        secrets.extend(session.filter(|id| id.len() > 4).map(str::to_owned));
    }
    secrets.retain(|secret| !secret.is_empty());
    secrets
}

/// A description with everything in it that tells of a network.
fn talkative(party: &Party, mark: &str) -> String {
    let ip = party.ip;
    party
        .sdp()
        .replace("o=- 4711 1 ", &format!("o={mark}user 77{mark}77 1 "))
        .replace("s=-\r\n", &format!("s={mark}session\r\ni={mark}info\r\nu=http://{mark}.example/\r\ne={mark}@example\r\np=+{mark}\r\n"))
        + &format!(
            "a=ice-ufrag:{mark}ufrag\r\na=ice-pwd:{mark}pwd0123456789012345678\r\na=candidate:1 1 UDP 2130706431 {ip} 9 typ host\r\na=candidate:2 1 UDP 1694498815 192.0.2.77 10 typ srflx raddr {ip} rport 9\r\n\
             a=rtcp:9999 IN IP4 192.0.2.78\r\na=ssrc:99887766 cname:{mark}cname\r\na=tool:{mark}tool\r\na=label:{mark}label\r\na=mid:{mark}mid\r\na=x-{mark}:1\r\n"
        )
}

/// Header lines that tell of a network.
fn chatty(party: &Party, mark: &str) -> String {
    format!(
        "User-Agent: {mark}agent\r\nServer: {mark}server\r\nOrganization: {mark}org\r\nWarning: 399 {0} \"{mark}\"\r\nAllow-Events: {mark}events\r\n\
         Call-Info: <http://{0}/{mark}>\r\nIn-Reply-To: {mark}@{0}\r\nX-Trace: ok\r\n",
        party.ip
    )
}

#[test]
fn nothing_of_one_leg_occurs_in_the_other() {
    let mut world = World::start();
    world.alice.register();
    let mut caller = world.stranger();
    // An INVITE that says too much, answered by one that does, too; then holds, keys and a hang-up both ways.
    let mut asked = caller.fresh("reception");
    let sdp = talkative(&caller, "callermark");
    caller.extra = chatty(&caller, "callermark");
    let text = caller.text(&mut asked, "INVITE", &sdp).replace(
        "Via: ",
        "Via: SIP/2.0/UDP proxy.callermark;branch=z9hG4bKcallermark\r\nVia: ",
    );
    // The topmost Via is the sender's own.
    let text = {
        let own = text
            .lines()
            .filter(|line| line.starts_with("Via: "))
            .nth(1)
            .expect("ours")
            .to_owned();
        let proxied = "Via: SIP/2.0/UDP proxy.callermark;branch=z9hG4bKcallermark".to_owned();
        text.replace(
            &format!("{proxied}\r\n{own}\r\n"),
            &format!("{own}\r\n{proxied}\r\n"),
        )
    };
    caller.send(&text);
    let invite = world.alice.request_of("INVITE");
    let ringing = world.alice.response(
        &invite,
        "180 Calleemark Rings",
        "calleetag",
        &chatty(&world.alice, "calleemark"),
        "",
    );
    world.alice.send(&ringing);
    let answer = world.alice.response(
        &invite,
        "200 Calleemark",
        "calleetag",
        &chatty(&world.alice, "calleemark"),
        &talkative(&world.alice, "calleemark"),
    );
    world.alice.send(&answer);
    world.alice.request_of("ACK");
    let mut called = Dialog {
        call_id: header(&invite, "Call-ID").to_owned(),
        local: header(&answer, "To").to_owned(),
        remote: header(&invite, "From").to_owned(),
        target: crate::party::uri(header(&invite, "Contact")).to_owned(),
        cseq: 100,
    };
    let taken = caller.final_response(&asked.call_id.clone(), "1 INVITE");
    assert_eq!(status(&taken), 200, "{taken}");
    caller.confirm(&mut asked, &taken);
    for direction in ["sendonly", "sendrecv"] {
        let sdp = talkative(&caller, "callermark").replace("a=sendrecv", &format!("a={direction}"));
        caller.extra = chatty(&caller, "callermark");
        let answer = caller.ask(&mut asked, "INVITE", &sdp, |text| text);
        assert_eq!(status(&answer), 200, "{answer}");
        caller.confirm(&mut asked, &answer);
    }
    let keys = "Signal=5\r\nDuration=100\r\n";
    caller.extra = chatty(&caller, "callermark");
    assert_eq!(
        status(&caller.ask(&mut asked, "INFO", keys, |text| text)),
        200
    );
    world.alice.extra =
        chatty(&world.alice, "calleemark") + "Reason: SIP;cause=200;text=\"calleemark\"\r\n";
    world.alice.hang_up(&mut called);
    caller.is_hung_up(&asked);
    world.rests();
    world.alice.came("BYE");
    caller.came("BYE");

    let of_caller = secrets(&caller, &asked, &[&text, &taken]);
    let of_callee = secrets(&world.alice, &called, &[&invite, &answer]);
    let side = |captured: &[String], call_id: &str| -> String {
        let of_call = captured
            .iter()
            .filter(|text| header(text, "Call-ID") == call_id);
        of_call.cloned().collect::<Vec<_>>().join("\n----\n")
    };
    let at_callee = side(&world.alice.captured, &called.call_id);
    let at_caller = side(&caller.captured, &asked.call_id);
    assert!(at_callee.contains("INVITE ") && at_caller.contains("BYE "));
    let marks = ["mark", "192.0.2.7", "99887766"].map(str::to_owned);
    for secret in of_caller.iter().chain(&marks) {
        assert!(
            !at_callee.to_lowercase().contains(&secret.to_lowercase()),
            "{secret} of the caller in:\n{at_callee}"
        );
    }
    // The caller's own Via comes back to it in responses.
    for secret in of_callee.iter().chain(&marks) {
        for line in at_caller.lines() {
            let echoed = line.starts_with("Via:") && secret == "mark";
            let names = line.to_lowercase().contains(&secret.to_lowercase());
            assert!(
                echoed || !names,
                "{secret} of the callee in {line}:\n{at_caller}"
            );
        }
    }
}
