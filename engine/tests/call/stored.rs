//! What the store knows of a call: from its beginning, and when it is over.
use super::phone::Phone;
use super::rig::{Plan, Rig};
use super::{gather, music};
use serde_json::{Value, json};
use trunkline::call::*;

async fn record_of_the_call(rig: &Rig) -> Value {
    rig.store.flush().await;
    let calls = rig.store.cdrs(Default::default()).await.unwrap();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls[0].record.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_a_record_from_its_beginning_to_its_end() {
    let plan = Plan::of([Verb::Answer, gather(true, u32::MAX), music()]);
    let mut rig = Rig::start(vec![("menu", plan)]).await;
    let mut phone = Phone::calling(rig.address, "menu").await;
    phone.info('4').await;
    phone.info('2').await;
    let begun = record_of_the_call(&rig).await;
    assert_eq!(begun["state"], "in_progress", "{begun}");
    assert!(begun["answered"].is_string(), "{begun}");
    assert_eq!(
        (&begun["ended"], &begun["cause"]),
        (&Value::Null, &Value::Null)
    );
    phone.info('#').await;
    for _ in 0..10 {
        phone.hear().await;
    }
    phone.bye().await;
    while rig.outcome().await != Outcome::HungUp {}
    rig.rests().await;
    let ended = record_of_the_call(&rig).await;
    assert_eq!(ended["state"], "complete", "{ended}");
    assert_eq!(
        (&ended["call"], &ended["answered"]),
        (&begun["call"], &begun["answered"])
    );
    let verbs: Vec<_> = ended["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["verb"])
        .collect();
    assert_eq!(verbs[..2], ["answer", "gather"], "{ended}");
    assert_eq!(
        (&ended["keys"], &ended["steps_left_out"]),
        (&json!(3), &json!(0))
    );
    assert_eq!(ended["steps"][1]["keys"], 3, "{ended}");
    assert!(!ended.to_string().contains("42#"), "{ended}");
    let of_call = rig
        .store
        .cdrs_of_call(ended["call"].as_str().unwrap())
        .await;
    let leg = of_call.unwrap().pop().unwrap().record;
    assert_eq!(leg["type"], "leg", "{leg}");
    assert!(
        leg["first_audio_ms"].is_u64() && leg["first_heard_ms"].is_null(),
        "{leg}"
    );
}
