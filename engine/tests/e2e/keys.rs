//! Keys of a real phone (baresip), as events and as tones into a menu, and over a bridge to a phone that gets events, tones or INFO. This
//! baresip sends no INFO itself: `sipp` and `menu` do.
use crate::audio;
use crate::baresip::Baresip;
use crate::phones::Office;
use crate::server::PATIENCE;
use std::time::{Duration, Instant};
use trunkline_dsp::dtmf::{Detector, Event, Profile};

/// How a phone sends or hears keys: our mode for it, what baresip is told, and what our log calls the source.
#[derive(Debug, Clone, Copy)]
struct Way {
    dtmf: &'static str,
    account: &'static str,
    source: &'static str,
}

const EVENTS: Way = Way {
    dtmf: "auto",
    account: "",
    source: "rfc4733",
};
const TONES: Way = Way {
    dtmf: "inband",
    account: "",
    source: "inband",
};
const INFO: Way = Way {
    dtmf: "info",
    account: "",
    source: "info",
};

/// A server with two phones, ann and bob.
fn office(caller: Way, callee: Way) -> Office {
    Office::open_with("", |user| match user {
        "ann" => format!("dtmf = {:?}\n", caller.dtmf),
        _ => format!("dtmf = {:?}\n", callee.dtmf),
    })
}

fn phone(office: &Office, user: &str, way: Way, says: &[i16]) -> Baresip {
    office.baresip(user, "udp", says, way.account)
}

/// What a phone says that presses a key that way: the tones of it, after two seconds, if it does so itself.
fn sound(way: Way, key: char) -> Vec<i16> {
    match way.source {
        "inband" => [vec![0; 2 * audio::RATE], audio::dtmf(key, 150)].concat(),
        _ => Vec::new(),
    }
}

fn press(phone: &mut Baresip, way: Way, key: char) {
    if way.source != "inband" {
        // Before its audio runs, it takes keys and sends nothing.
        let patience = Instant::now() + PATIENCE;
        while phone.heard().len() < 4 * audio::RATE {
            assert!(Instant::now() < patience, "it hears nothing");
            std::thread::park_timeout(Duration::from_millis(50));
        }
        phone.command("sndcode", &key.to_string());
    }
}

/// The keys that are heard as tones: each `+` where it begins and its digit where it ends.
fn tones(heard: &[i16]) -> String {
    let mut keys = String::new();
    Detector::new(8000, Profile::TELEPHONE).process(heard, |event| match event {
        Event::Begin { .. } => keys.push('+'),
        Event::End { key, .. } => keys.push(key.to_char()),
    });
    keys
}

#[test]
fn events_and_tones_into_the_menu() {
    for way in [EVENTS, TONES] {
        let office = office(way, EVENTS);
        let server = &office.server;
        let mut ann = phone(&office, "ann", way, &sound(way, '1'));
        ann.command("dial", &format!("sip:demo@{}", office.at("udp")));
        ann.wait_event("CALL_ESTABLISHED");
        press(&mut ann, way, '1');
        server.wait_log("the key", |line| line.contains("key=1"));
        ann.command("hangup", "");
        ann.wait_event("CALL_CLOSED");
        office.rests();
        for source in ["rfc4733", "inband", "info"] {
            let expected = usize::from(source == way.source);
            assert_eq!(server.keys('1', source), expected, "{way:?} {source}");
        }
    }
}

#[test]
fn over_a_bridge_from_events_and_tones_to_each_way() {
    for caller in [EVENTS, TONES] {
        for callee in [EVENTS, TONES, INFO] {
            let office = office(caller, callee);
            let mut bob = phone(&office, "bob", callee, &[]);
            let mut ann = phone(&office, "ann", caller, &sound(caller, '5'));
            ann.command("dial", &format!("sip:202@{}", office.at("udp")));
            bob.wait_event("CALL_INCOMING");
            bob.command("accept", "");
            ann.wait_event("CALL_ESTABLISHED");
            press(&mut ann, caller, '5');
            if callee.source == "inband" {
                let patience = Instant::now() + PATIENCE;
                while tones(&bob.heard()) != "+5" {
                    let heard = tones(&bob.heard());
                    assert!(
                        Instant::now() < patience,
                        "{caller:?} to {callee:?}: {heard}"
                    );
                    std::thread::park_timeout(Duration::from_millis(200));
                }
            } else {
                bob.wait_event("CALL_DTMF_START");
            }
            // Anything more would come now.
            let heard = bob.heard().len();
            let patience = Instant::now() + PATIENCE;
            while bob.heard().len() < heard + audio::RATE && Instant::now() < patience {
                std::thread::park_timeout(Duration::from_millis(100));
            }
            let by_tone = tones(&bob.heard());
            let expected = if callee.source == "inband" { "+5" } else { "" };
            assert_eq!(by_tone, expected, "{caller:?} to {callee:?}");
            // Its answer comes behind what it had to tell.
            bob.command("listcalls", "");
            let further = bob.count_events("CALL_DTMF_START");
            assert_eq!(further, 0, "{caller:?} to {callee:?}");
            ann.command("hangup", "");
            bob.wait_event("CALL_CLOSED");
            office.rests();
        }
    }
}
