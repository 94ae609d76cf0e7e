//! Calls that meet in a conference.
use crate::phone::{PATIENCE, Phone};
use crate::rig::{Plan, Rig};
use std::time::Duration;
use trunkline::call::conference::Wish;
use trunkline::call::*;
use trunkline::media::Edge;

/// What each who speaks sends, and nobody else: music and tones are not flat.
const LOUD: u8 = 0x10;

fn plan(conference: Conference) -> Plan {
    Plan::of([Verb::Answer, Verb::Conference(conference)])
}

/// Waits until so many are in the conference.
async fn until_there(rig: &Rig, name: &str, count: usize) {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = rig.calls.conferences.list();
        let there = list.iter().find(|(is, _)| is == name);
        if there.map_or(0, |(_, calls)| calls.len()) == count {
            return;
        }
        assert!(tokio::time::Instant::now() < until, "{list:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// `from` speaks until each of `to` has heard it; returns whether it heard itself meanwhile.
async fn speaks(from: &mut Phone, port: u16, to: &mut [&mut Phone]) -> bool {
    let mut heard = vec![0; to.len()];
    let mut itself = false;
    // What was said before is heard by then.
    tokio::time::sleep(Duration::from_millis(300)).await;
    while from.already_heard().is_some() {}
    for phone in to.iter_mut() {
        while phone.already_heard().is_some() {}
    }
    let until = tokio::time::Instant::now() + PATIENCE;
    for frame in 0.. {
        from.rtp(port, 0, 16_000 + frame * 160, &[LOUD; 160]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        for (phone, heard) in to.iter_mut().zip(&mut heard) {
            while let Some(packet) = phone.already_heard() {
                *heard += usize::from(packet.payload == [LOUD; 160]);
            }
        }
        while let Some(packet) = from.already_heard() {
            itself |= packet.payload == [LOUD; 160];
        }
        if heard.iter().all(|count| *count > 10) {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "{heard:?}");
    }
    itself
}

/// A phone in a call, and where it sends its audio.
async fn calling(rig: &Rig, number: &str) -> (Phone, u16) {
    let mut phone = Phone::new(rig.address, number).await;
    phone.invite(&phone.sdp("sendrecv")).await;
    let answer = phone.last_response("INVITE").await;
    phone.ack(&answer, "").await;
    (phone, crate::audio_port(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_callers_of_a_flow_hear_each_other_and_not_themselves() {
    let mut rig = Rig::start(vec![]).await;
    let mut phones = Vec::new();
    for count in 1..=3 {
        let (mut phone, port) = calling(&rig, "flow-conference").await;
        phone.hear().await;
        phone.info('1').await;
        until_there(&rig, "table", count).await;
        phones.push((phone, port));
    }
    for _ in 0..3 {
        phones.rotate_left(1);
        let [(a, port), (b, _), (c, _)] = &mut phones[..] else {
            unreachable!()
        };
        assert!(!speaks(a, *port, &mut [b, c]).await, "it hears itself");
    }
    // A key leads back to the menu, another into the conference again.
    phones[0].0.info('*').await;
    until_there(&rig, "table", 2).await;
    phones[0].0.info('1').await;
    until_there(&rig, "table", 3).await;
    for (mut phone, _) in phones {
        phone.bye().await;
    }
    rig.rests().await;
    assert_eq!(rig.calls.conferences.list(), []);
    let rooms = &rig.media.stats().rooms;
    assert_eq!((rooms.open.value(), rooms.members.value()), (0, 0));
    assert!(rooms.own_mixes.value() + rooms.shared_mixes.value() > 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conference_begins_and_ends_with_its_chair() {
    let guest = Conference {
        starts: false,
        ..Conference::of("board")
    };
    let chair = Conference {
        ends: true,
        record: true,
        record_tracks: true,
        ..Conference::of("board")
    };
    let mut rig = Rig::start(vec![("guest", plan(guest)), ("chair", plan(chair))]).await;
    let (mut guest, port) = calling(&rig, "guest").await;
    until_there(&rig, "board", 1).await;
    // Music while it waits.
    while guest
        .heard_now()
        .await
        .is_none_or(|packet| packet.payload == [0xFF; 160])
    {}
    let (mut chair, _) = calling(&rig, "chair").await;
    until_there(&rig, "board", 2).await;
    speaks(&mut guest, port, &mut [&mut chair]).await;
    chair.bye().await;
    let outcomes = [rig.outcome().await, rig.outcome().await];
    let over = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Conferenced(Conferenced {
                end: ConferenceEnd::Over,
                ..
            })
        )
    };
    assert!(
        outcomes.iter().any(over) && outcomes.contains(&Outcome::HungUp),
        "{outcomes:?}"
    );
    guest.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
    let files = std::fs::read_dir(rig.recordings.path()).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    // Two calls, two legs, and the conference.
    let records = rig.records(5).await;
    let of = |kind: &'static str| records.iter().filter(move |record| record["type"] == kind);
    let conference = of("conference").next().unwrap();
    assert_eq!(
        (&conference["room"], &conference["most"]),
        (&"board".into(), &2.into())
    );
    let files = conference["recordings"].as_array().unwrap();
    assert_eq!(files.len(), 3, "{conference}");
    let mut sides = Vec::new();
    for file in files {
        let name = std::path::Path::new(file["file"].as_str().unwrap()).file_name();
        assert!(
            names.iter().any(|there| Some(there.as_os_str()) == name),
            "{file}"
        );
        assert!(file["ms"].as_u64().unwrap() > 100, "{file}");
        assert_eq!(
            (&file["lost_ms"], &file["ended"]),
            (&0.into(), &"stopped".into())
        );
        sides.extend(file["call"].as_str());
    }
    // The mix is nobody's; each other is one call's.
    let calls: Vec<_> = of("call")
        .filter_map(|call| call["call"].as_str())
        .collect();
    assert_eq!(conference["calls"].as_array().unwrap().len(), 2);
    assert!(sides.len() == 2 && sides[0] != sides[1], "{files:?}");
    assert!(sides.iter().all(|side| calls.contains(side)), "{files:?}");
}

/// What events tell of the one who speaks: that it begins, how loud it is, that it stops; of the other nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_in_a_conference_and_how_loud_is_told_where_that_is_asked_for() {
    let hall = Conference {
        tones: false,
        speakers: true,
        levels_ms: 100,
        ..Conference::of("hall")
    };
    let mut rig = Rig::start(vec![("hall", plan(hall))]).await;
    let mut watcher = rig.calls.events.watch();
    let (mut ann, port) = calling(&rig, "hall").await;
    until_there(&rig, "hall", 1).await;
    let speaker = rig.calls.conferences.list()[0].1[0].call.clone();
    let (mut bob, _) = calling(&rig, "hall").await;
    until_there(&rig, "hall", 2).await;
    speaks(&mut ann, port, &mut [&mut bob]).await;
    let (mut told, mut loudest) = (Vec::new(), f64::MIN);
    while told != [true, false] {
        let next = tokio::time::timeout(PATIENCE, watcher.next()).await;
        let Ok(Watched::Event(_, event)) = next else {
            panic!("{told:?} and at most {loudest} dBm0 were told")
        };
        let of_hall = event.data["conference"] == "hall";
        match event.kind {
            EventKind::ConferenceSpeaking => told.push(event.data["speaking"] == true),
            EventKind::ConferenceLevel => {
                loudest = loudest.max(event.data["dbm0"].as_f64().unwrap());
            }
            _ => continue,
        }
        assert!(
            of_hall && event.call.as_ref() == Some(&speaker),
            "{event:?}"
        );
    }
    // 0x10 of µ-law is 15,996 of 32,767, all the time.
    assert!((-0.2..0.0).contains(&loudest), "{loudest}");
    ann.bye().await;
    bob.bye().await;
    let outcomes = [rig.outcome().await, rig.outcome().await];
    assert_eq!(outcomes, [Outcome::HungUp, Outcome::HungUp]);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attendees_are_muted_and_sent_away_from_outside_and_leave_when_alone() {
    let table = Conference {
        stay_alone: false,
        tones: false,
        max_members: 2,
        ..Conference::of("table")
    };
    let mut rig = Rig::start(vec![("table", plan(table))]).await;
    let (mut ann, ann_to) = calling(&rig, "table").await;
    until_there(&rig, "table", 1).await;
    let first = rig.calls.conferences.list()[0].1[0].call.clone();
    let (mut bob, bob_to) = calling(&rig, "table").await;
    until_there(&rig, "table", 2).await;
    let (mut carl, _) = calling(&rig, "table").await;
    let Outcome::Failed(failure) = rig.outcome().await else {
        panic!("the third is let in")
    };
    assert!(failure.reason.contains("full"), "{failure:?}");
    carl.expect("BYE").await;
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    speaks(&mut ann, ann_to, &mut [&mut bob]).await;
    let ask = |wish| assert!(rig.calls.conferences.ask("table", &first, wish));
    ask(Wish {
        edge: Edge {
            mute: true,
            ..Edge::default()
        },
        out: false,
    });
    speaks(&mut bob, bob_to, &mut [&mut ann]).await;
    ask(Wish {
        out: true,
        ..Wish::default()
    });
    let mut ends = Vec::new();
    while ends.len() < 2 {
        match rig.outcome().await {
            Outcome::Conferenced(conferenced) => ends.push(conferenced.end),
            Outcome::HungUp => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(
        ends.contains(&ConferenceEnd::Removed) && ends.contains(&ConferenceEnd::Alone),
        "{ends:?}"
    );
    ann.expect("BYE").await;
    bob.expect("BYE").await;
    while rig.media.stats().channels.value() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!rig.calls.conferences.ask("table", &first, Wish::default()));
    assert!(!rig.calls.conferences.end("table"));
}
