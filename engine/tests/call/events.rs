//! What calls tell as events, in which order.
use crate::phone::{PATIENCE, Phone};
use crate::rig::{Plan, Rig};
use crate::{gather, music, playing};
use serde_json::Value;
use trunkline::call::*;

/// The next event of that kind, and the names of what came before it.
pub(crate) async fn until(watcher: &mut Watcher, kind: EventKind) -> (Value, Vec<&'static str>) {
    let mut before = Vec::new();
    let watching = async {
        loop {
            match watcher.next().await {
                Watched::Event(_, event) if event.kind == kind => return event.data.clone(),
                Watched::Event(_, event) => before.push(event.kind.name()),
                Watched::Missed(missed) => panic!("{missed} missed"),
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, watching).await;
    match found {
        Ok(data) => (data, before),
        Err(_) => panic!("no {} after {before:?}", kind.name()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_tells_what_happens_to_it() {
    let mut rig = Rig::start(vec![("music", playing())]).await;
    let mut watcher = rig.calls.events.watch();
    let mut phone = Phone::calling(rig.address, "music").await;
    phone.hear().await;
    phone.info('#').await;
    let (digit, before) = until(&mut watcher, EventKind::Digit).await;
    assert_eq!(
        before,
        [
            "call.started",
            "call.routed",
            "leg.started",
            "program.step",
            "call.answered",
            "leg.answered",
            "program.step",
            "play.started"
        ]
    );
    assert_eq!(
        (&digit["digit"], &digit["source"]),
        (&"#".into(), &"info".into())
    );
    phone.expect("BYE").await;
    let (ended, _) = until(&mut watcher, EventKind::LegEnded).await;
    assert_eq!(
        (&ended["by"], &ended["cause"], &ended["q850"]),
        (&"us".into(), &"program".into(), &16.into())
    );
    let (ended, _) = until(&mut watcher, EventKind::CallEnded).await;
    assert_eq!(
        (&ended["answered"], &ended["cause"]),
        (&true.into(), &"program".into())
    );
    let stopped = rig.outcome().await;
    assert!(matches!(stopped, Outcome::Interrupted(_)), "{stopped:?}");
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_of_a_secret_are_not_told() {
    let Verb::Gather(gather) = gather(true, 5000) else {
        unreachable!()
    };
    let secret = Verb::Gather(Gather {
        sensitive: true,
        max_digits: 2,
        ..gather
    });
    let plan = Plan::of([Verb::Answer, music(), secret]);
    let mut rig = Rig::start(vec![("pin", plan)]).await;
    let mut watcher = rig.calls.events.watch();
    let mut phone = Phone::calling(rig.address, "pin").await;
    phone.hear().await;
    // One is pressed ahead, before anybody knows that it is a secret.
    for key in ['4', '#', '5'] {
        phone.info(key).await;
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        let (digit, _) = until(&mut watcher, EventKind::Digit).await;
        told.push(digit["digit"].clone());
    }
    assert_eq!(told, ["#".into(), Value::Null, Value::Null]);
    phone.expect("BYE").await;
    let mut gathered = rig.outcome().await;
    if let Outcome::Interrupted(_) = gathered {
        gathered = rig.outcome().await;
    }
    assert!(
        matches!(&gathered, Outcome::Gathered(g) if g.digits == "45"),
        "{gathered:?}"
    );
    assert_eq!(rig.outcome().await, Outcome::HungUp);
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_begins_and_ends() {
    let mut rig = Rig::start(vec![]).await;
    let mut watcher = rig.calls.events.watch();
    let mut phone = Phone::new(rig.address, "nobody").await;
    phone.invite(&phone.sdp("sendrecv")).await;
    phone.last_response("INVITE").await;
    let (ended, before) = until(&mut watcher, EventKind::CallEnded).await;
    assert_eq!(before, ["call.started"]);
    assert_eq!(
        (&ended["cause"], &ended["status"], &ended["answered"]),
        (&"no-such-number".into(), &404.into(), &false.into())
    );
    rig.rests().await;
}
