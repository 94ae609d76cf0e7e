//! Calls from the first datagram to the last: the real SIP pump, media engine and executor on loopback, driven by a telephone of
//! the test's own and by programs that do one thing. After each test every gauge
//! of calls, legs and channels is 0, and after one of each kind those of transactions, which take 64·T1.
//!
//! Waits for messages, packets and outcomes with a generous limit; never asserts on time.
#![allow(clippy::unwrap_used)] // a test may panic
mod bridge;
mod callbacks;
mod conference;
mod control;
mod dial;
mod disk;
mod events;
mod keys;
mod listening;
mod message;
mod phone;
mod programs;
mod queue;
mod races;
mod rig;
mod saying;
mod secure;
mod stored;
mod streaming;
mod tones;
mod transfer;
mod voicemail;

use phone::{PATIENCE, Phone, audio_port, direction, header, status};
use rig::{Plan, Rig};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use trunkline::call::*;

fn tone() -> Vec<Audio> {
    let (hz, dbm0) = ([400.0, 0.0], -10.0);
    vec![Audio::Tone(ToneSpec { hz, dbm0, ms: 1000 })]
}

/// Plays until a `#` or the end of the call.
fn music() -> Verb {
    Verb::Play(Play {
        audio: tone(),
        repeat: Repeat::Forever,
        stop_keys: "#".to_owned(),
        manner: Manner::default(),
    })
}

fn gather(typeahead: bool, timeout_ms: u32) -> Verb {
    Verb::Gather(Gather {
        prompts: vec![],
        repeat: Repeat::Times(1),
        timeout_ms,
        inter_digit_ms: timeout_ms,
        max_digits: 5,
        finish_on: None,
        barge_in: true,
        typeahead,
        sensitive: false,
        speech: None,
    })
}

fn hang_up(cause: HangupCause) -> Verb {
    Verb::Hangup(Hangup { cause })
}

fn ringing() -> Plan {
    Plan::of([Verb::Wait(Wait { ms: u32::MAX }), Verb::Answer])
}

fn playing() -> Plan {
    Plan::of([Verb::Answer, music()])
}

/// A program whose every step fails.
fn broken() -> Plan {
    let audio = vec![Audio::Prompt("nowhere".to_owned())];
    let (repeat, stop_keys) = (Repeat::Times(1), String::new());
    Plan {
        for_ever: Some(Verb::Play(Play {
            audio,
            repeat,
            stop_keys,
            manner: Manner::default(),
        })),
        ..Plan::of([Verb::Answer])
    }
}

/// A web server of one file: a second of a square wave.
async fn web_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let samples = (0..8000).map(|n: i16| if n / 8 % 2 == 0 { 8000 } else { -8000i16 });
    let body: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            let found = request.starts_with(b"GET /square.sln ");
            let (status, body) = if found {
                ("200 OK", &body[..])
            } else {
                ("404 Not Found", &[][..])
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            socket
                .write_all(&[head.as_bytes(), body].concat())
                .await
                .unwrap();
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_is_played_from_a_web_server() {
    let web = web_server().await;
    let play = |file: &str| {
        Verb::Play(Play {
            audio: vec![Audio::Prompt(format!("http://{web}/{file}"))],
            repeat: Repeat::Times(1),
            stop_keys: String::new(),
            manner: Manner::default(),
        })
    };
    let plan = Plan::of([Verb::Answer, play("square.sln"), play("none.sln")]);
    let mut rig = Rig::start(vec![("web", plan)]).await;
    let mut phone = Phone::calling(rig.address, "web").await;
    // 8000 and -8000 in µ-law, sixteen samples of each wave.
    let levels = [0xA0, 0x20];
    let heard_it = async {
        let mut packets = 0;
        while packets < 40 {
            let heard = phone.heard_now().await;
            let square = |octets: &Vec<u8>| octets.iter().all(|octet| levels.contains(octet));
            packets += usize::from(heard.is_some_and(|heard| square(&heard.payload)));
        }
    };
    let heard_it = tokio::time::timeout(PATIENCE, heard_it).await;
    assert!(heard_it.is_ok(), "40 packets of the file");
    assert!(
        matches!(rig.outcome().await, Outcome::Failed(reason) if reason.reason.contains("404"))
    );
    phone.expect("BYE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_without_an_offer_is_answered_with_ours() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut phone = Phone::new(rig.address, "music").await;
    phone.invite("").await;
    let offer = phone.last_response("INVITE").await;
    assert!(status(&offer) == 200 && audio_port(&offer) > 0, "{offer}");
    phone.ack(&offer, &phone.sdp("sendrecv")).await;
    phone.hear().await;
    phone.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_used_ends_the_call() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    for sdp in ["", "v=0\r\n"] {
        let mut phone = Phone::new(rig.address, "music").await;
        phone.invite("").await;
        let offer = phone.last_response("INVITE").await;
        phone.ack(&offer, sdp).await;
        let bye = phone.expect("BYE").await;
        assert!(header(&bye, "Reason").contains("answer-unusable"), "{bye}");
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    assert_eq!(rig.rests().await[&("us", "bad-answer")], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_while_ringing_ends_the_call() {
    let mut rig = Rig::start(vec![("ring", ringing())]).await;
    let mut phone = Phone::new(rig.address, "ring").await;
    phone.invite(&phone.sdp("sendrecv")).await;
    phone.response("INVITE", |status| status == 180).await;
    phone.cancel().await;
    let cancelled = phone.last_response("CANCEL").await;
    assert_eq!(status(&cancelled), 200, "{cancelled}");
    let refused = phone.last_response("INVITE").await;
    assert_eq!(status(&refused), 487, "{refused}");
    phone.ack(&refused, "").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_that_meets_the_answer_changes_nothing() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut phone = Phone::new(rig.address, "music").await;
    phone.invite(&phone.sdp("sendrecv")).await;
    let answer = phone.last_response("INVITE").await;
    phone.cancel().await;
    let cancelled = phone.last_response("CANCEL").await;
    assert_eq!(status(&cancelled), 200, "{cancelled}");
    phone.ack(&answer, "").await;
    phone.hear().await;
    phone.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bye_ends_the_call_during_playback_and_before_the_ack() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut phone = Phone::calling(rig.address, "music").await;
    phone.hear().await;
    phone.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);

    let mut hasty = Phone::new(rig.address, "music").await;
    hasty.invite(&hasty.sdp("sendrecv")).await;
    let answer = hasty.last_response("INVITE").await;
    hasty.answered_by(&answer);
    hasty.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    assert_eq!(rig.rests().await[&("far-end", "bye")], 2);
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_ack_the_call_ends() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut phone = Phone::new(rig.address, "music").await;
    phone.invite(&phone.sdp("sendrecv")).await;
    phone.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    assert_eq!(rig.rests().await[&("network", "no-ack")], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_and_resume_by_re_invite() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut phone = Phone::calling(rig.address, "music").await;
    phone.hear().await;
    let old_hold = phone
        .sdp("sendrecv")
        .replace("c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0");
    let changes = [
        (phone.sdp("sendonly"), "recvonly"),
        (phone.sdp("sendrecv"), "sendrecv"),
        (old_hold, "recvonly"),
        (phone.sdp("inactive"), "inactive"),
        (phone.sdp("recvonly"), "sendonly"),
        (phone.sdp("sendrecv"), "sendrecv"),
    ];
    for (offer, expected) in changes {
        let answer = phone.reinvite(&offer, "").await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert_eq!(direction(&answer), expected, "to {offer}");
    }
    phone.hear().await;
    phone.bye().await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn re_invites_without_an_offer_or_with_one_we_cannot_take() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut phone = Phone::calling(rig.address, "music").await;
    let sdp = phone.sdp("sendrecv");
    let offer = phone.reinvite("", &sdp).await;
    assert!(status(&offer) == 200 && audio_port(&offer) > 0, "{offer}");
    let refused = phone
        .reinvite(&sdp.replace("RTP/AVP 0", "RTP/AVP 18"), "")
        .await;
    assert_eq!(status(&refused), 488, "{refused}");
    phone.hear().await;
    let unanswered = phone.reinvite("", "").await;
    assert_eq!(status(&unanswered), 200, "{unanswered}");
    let bye = phone.expect("BYE").await;
    assert!(header(&bye, "Reason").contains("answer-unusable"), "{bye}");
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_pressed_ahead_are_kept_or_dropped_as_the_gather_says() {
    for (typeahead, expected) in [(true, "12"), (false, "")] {
        let plan = Plan::of([Verb::Answer, music(), gather(typeahead, 50)]);
        let mut rig = Rig::start(vec![("ahead", plan)]).await;
        let mut phone = Phone::calling(rig.address, "ahead").await;
        phone.hear().await;
        for key in ['1', '2', '#'] {
            phone.info(key).await;
        }
        let stopped = rig.outcome().await;
        assert!(
            matches!(stopped, Outcome::Interrupted(key) if key.digit == '#'),
            "{stopped:?}"
        );
        let Outcome::Gathered(gathered) = rig.outcome().await else {
            panic!("no gather");
        };
        assert_eq!(gathered.digits, expected, "typeahead {typeahead}");
        phone.expect("BYE").await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.rests().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_press_by_info_and_by_events_is_one_key() {
    let plan = Plan::of([Verb::Answer, gather(true, 1000)]);
    let mut rig = Rig::start(vec![("keys", plan)]).await;
    let mut phone = Phone::new(rig.address, "keys").await;
    phone.invite(&phone.sdp("sendrecv")).await;
    let answer = phone.last_response("INVITE").await;
    phone.ack(&answer, "").await;
    phone.event(audio_port(&answer), 5).await;
    phone.info('5').await;
    let Outcome::Gathered(gathered) = rig.outcome().await else {
        panic!("no gather");
    };
    assert_eq!((gathered.digits.as_str(), gathered.keys.len()), ("5", 1));
    phone.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_info_is_answered_by_what_it_carries() {
    let mut rig = Rig::start(vec![("play", playing())]).await;
    let mut phone = Phone::calling(rig.address, "play").await;
    for (kind, body, expected) in [
        ("dtmf-relay", "Signal=7\r\n", 200),
        ("dtmf", "7", 200),
        ("dtmf-relay", "Signal=seven\r\n", 400),
        ("media_control+xml", "<vc_primitive/>", 415),
        // RFC 2976 section 2.2: only a question whether we are there.
        ("dtmf-relay", "", 200),
    ] {
        phone.request("INFO", kind, body).await;
        let answer = phone.last_response("INFO").await;
        assert_eq!(status(&answer), expected, "{kind} {body:?}: {answer}");
    }
    phone.request("BYE", "sdp", "").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_loop_or_last_too_long_are_ended() {
    let long = Plan {
        limit: Some(Duration::from_millis(300)),
        ..playing()
    };
    let mut rig = Rig::start(vec![("loop", broken()), ("long", long)]).await;
    for (number, rule) in [("loop", "program-loop"), ("long", "max-call-duration")] {
        let mut phone = Phone::calling(rig.address, number).await;
        let bye = phone.expect("BYE").await;
        assert!(header(&bye, "Reason").contains(rule), "{bye}");
        let mut failures = 0;
        while rig.outcome().await != Outcome::HungUp {
            failures += 1;
        }
        // The answer is a step without media, too, and the last failure is not told any more.
        assert_eq!(failures, if number == "loop" { 999 } else { 0 });
    }
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_program_ends_its_call_and_no_other() {
    let panics = Plan {
        panics: true,
        ..Plan::of([Verb::Answer])
    };
    let mut rig = Rig::start(vec![("music", playing()), ("panic", panics)]).await;
    let mut alive = Phone::calling(rig.address, "music").await;
    let mut victim = Phone::calling(rig.address, "panic").await;
    let bye = victim.expect("BYE").await;
    assert!(header(&bye, "Reason").contains("program-panic"), "{bye}");
    alive.hear().await;
    alive.info('#').await;
    let stopped = rig.outcome().await;
    assert!(matches!(stopped, Outcome::Interrupted(_)), "{stopped:?}");
    alive.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    assert_eq!(rig.rests().await[&("us", "program-panic")], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_leave_nothing_behind() {
    let busy = Plan::of([hang_up(HangupCause::Busy)]);
    let (status_code, reason) = (603, "no".to_owned());
    let declined = Plan::of([Verb::Reject(Reject {
        status: status_code,
        reason,
        cause: None,
        retry_after: Some(Duration::from_secs(7)),
    })]);
    let panics = Plan {
        panics: true,
        ..Plan::default()
    };
    let plans = vec![
        ("music", playing()),
        ("busy", busy),
        ("no", declined),
        ("panic", panics),
    ];
    let mut rig = Rig::start(plans).await;
    let good = Phone::new(rig.address, "x").await.sdp("sendrecv");
    let g729 = good.replace("RTP/AVP 0", "RTP/AVP 18");
    let cases = [
        ("nobody", &good, 404, false),
        ("music", &g729, 488, false),
        ("busy", &good, 486, true),
        ("no", &good, 603, true),
        ("panic", &good, 500, false),
    ];
    for (number, sdp, expected, told) in cases {
        let refusal = Phone::refused(rig.address, number, sdp).await;
        assert_eq!(status(&refusal), expected, "{number}: {refusal}");
        if number == "no" {
            assert_eq!(header(&refusal, "Retry-After"), "7", "{refusal}");
        }
        if told {
            assert_eq!(rig.outcome().await, Outcome::HungUp, "{number}");
        }
    }
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_too_many_is_refused_and_the_others_go_on() {
    let mut rig = Rig::limited(vec![("music", playing())], 2).await;
    let mut calls = [
        Phone::calling(rig.address, "music").await,
        Phone::calling(rig.address, "music").await,
    ];
    let sdp = calls[0].sdp("sendrecv");
    let refusal = Phone::refused(rig.address, "music", &sdp).await;
    assert_eq!(status(&refusal), 503, "{refusal}");
    assert!(!header(&refusal, "Retry-After").is_empty(), "{refusal}");
    for phone in &mut calls {
        phone.hear().await;
        phone.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    rig.rests().await;
}

/// A media thread at its limit: here any load counts as too much from two calls on.
#[tokio::test(flavor = "multi_thread")]
async fn media_at_its_limit_refuses_new_calls_and_the_others_go_on() {
    let mut rig = Rig::admitting(vec![("music", playing())], 2).await;
    let mut calls = [
        Phone::calling(rig.address, "music").await,
        Phone::calling(rig.address, "music").await,
    ];
    let sdp = calls[0].sdp("sendrecv");
    for _ in 0..2 {
        let refusal = Phone::refused(rig.address, "music", &sdp).await;
        assert_eq!(status(&refusal), 503, "{refusal}");
        assert!(!header(&refusal, "Retry-After").is_empty(), "{refusal}");
        assert!(refusal.contains("media-overloaded"), "{refusal}");
    }
    for phone in &mut calls {
        phone.hear().await;
        phone.hear().await;
        phone.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_refuses_new_calls_and_waits_for_the_others() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut phone = Phone::calling(rig.address, "music").await;
    let calls = rig.calls.clone();
    let drained = tokio::spawn(async move { calls.drain(PATIENCE).await });
    phone.hear().await;
    // Until the pump has taken the order, a call may still come in; the one after the first refusal cannot.
    let sdp = phone.sdp("sendrecv");
    loop {
        let mut late = Phone::new(rig.address, "music").await;
        late.invite(&sdp).await;
        let answer = late.last_response("INVITE").await;
        late.ack(&answer, "").await;
        if status(&answer) == 503 {
            assert!(!header(&answer, "Retry-After").is_empty(), "{answer}");
            break;
        }
        late.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    assert!(!drained.is_finished(), "a call is in progress");
    let bob = DialTarget::Endpoint("bob".to_owned());
    let placed = rig
        .calls
        .originate(Originate::to(bob, rig.program(Plan::of([]))));
    let refused = placed.await.expect_err("no call is placed either");
    assert!(
        matches!(&refused, OrderError::Refused(refusal) if refusal.rule == "draining"),
        "{refused}"
    );
    phone.bye().await;
    tokio::time::timeout(PATIENCE, drained)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_draining_hangs_up_whatever_is_left() {
    let mut rig = Rig::start(vec![("music", playing()), ("ring", ringing())]).await;
    let mut playing = Phone::calling(rig.address, "music").await;
    let mut ringing = Phone::new(rig.address, "ring").await;
    ringing.invite(&ringing.sdp("sendrecv")).await;
    ringing.response("INVITE", |status| status == 180).await;
    let calls = rig.calls.clone();
    let drained = tokio::spawn(async move { calls.drain(Duration::ZERO).await });
    let bye = playing.expect("BYE").await;
    assert!(header(&bye, "Reason").contains("shutdown"), "{bye}");
    let refused = ringing.last_response("INVITE").await;
    assert_eq!(status(&refused), 503, "{refused}");
    ringing.ack(&refused, "").await;
    drained.await.unwrap();
    for _ in 0..2 {
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    assert_eq!(rig.rests().await[&("us", "shutdown")], 2);
    rig.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_gives_up_a_call_out_that_rings() {
    let mut rig = Rig::start(vec![]).await;
    let mut callee = Phone::new(rig.address, "callee").await;
    let call = Outbound {
        flow: rig.flow_to(callee.address()),
        target: format!("sip:callee@{}", callee.address()),
        from: "sip:trunkline@127.0.0.1".to_owned(),
        program: rig.program(playing()),
    };
    let running = tokio::spawn(outbound(rig.calls.clone(), call));
    let invite = callee
        .wait("INVITE", |text| text.starts_with("INVITE "))
        .await;
    callee.reply(&invite, "180 Ringing", "").await;
    let calls = rig.calls.clone();
    let drained = tokio::spawn(async move { calls.drain(Duration::ZERO).await });
    callee.expect("CANCEL").await;
    callee.reply(&invite, "487 Request Terminated", "").await;
    let (end, _) = running.await.unwrap().unwrap();
    assert_eq!((end.by, end.cause), ("us", "shutdown"));
    drained.await.unwrap();
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_media_channel_ends_the_call() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut phone = Phone::calling(rig.address, "music").await;
    phone.hear().await;
    let media = rig.media.clone();
    tokio::task::spawn_blocking(move || media.shutdown())
        .await
        .unwrap();
    let bye = phone.expect("BYE").await;
    assert!(header(&bye, "Reason").contains("media-lost"), "{bye}");
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_not_kept_goes_with_its_call() {
    let record = |keep| {
        let verb = Verb::Record(Record {
            beep: false,
            max_ms: 600_000,
            silence_ms: 0,
            stop_keys: "#".to_owned(),
            keep,
            tracks: trunkline::media::Tracks::Received,
            format: trunkline::media::RecordingFormat::Wav,
        });
        Plan::of([Verb::Answer, verb])
    };
    for (keep, files) in [(false, 0), (true, 1)] {
        let mut rig = Rig::start(vec![("record", record(keep))]).await;
        let mut phone = Phone::calling(rig.address, "record").await;
        phone.info('1').await; // the verb before this key has begun
        phone.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        let folder = rig.recordings.path().to_owned();
        let calls = rig.calls.clone();
        calls.counters.idle().await;
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), files);
        let records = rig.records(2).await;
        let call = records.iter().find(|record| record["type"] == "call");
        let named = call.unwrap()["recordings"].as_array().unwrap();
        assert_eq!(named.len(), files, "{named:?}");
        for file in named {
            assert!(std::path::Path::new(file["file"].as_str().unwrap()).is_file());
            assert_eq!(
                (&file["format"], &file["lost_ms"]),
                (&"wav".into(), &0.into())
            );
            assert_eq!(file["ended"], "stopped");
        }
        rig.rests().await;
    }
}
