//! Callbacks that do not come about: the place of whoever is to be called back outlives them.
use crate::phone::{PATIENCE, Phone};
use crate::queue::{agent, office, parted, queue, queued, until, until_waiting};
use crate::rig::{Plan, Rig};
use std::time::Duration;
use trunkline::call::*;
use trunkline::config::Callback;
use trunkline::queue::{AgentState, KeptCallback};

/// One attempt only.
pub(crate) fn callback() -> Callback {
    Callback {
        key: '2',
        trunk: "out".to_owned(),
        allow: vec!["+49".to_owned()],
        caller_id: None,
        ring: PATIENCE,
        attempts: 1,
        retry: PATIENCE,
    }
}

/// Somebody waits to be called back until the agent is there again; the phone that is called then.
async fn asked() -> (Rig, Phone) {
    let mut one = queue(&["ann"]);
    one.callback = Some(callback());
    let mut rig = office(one, &[agent("ann")], vec![]).await;
    rig.calls.queues.pause("ann", "lunch").unwrap();
    let home = rig.phone("+491").await;
    let mut caller = Phone::calling_as(rig.address, "300", "+491").await;
    until_waiting(&rig, 1).await;
    caller.info('2').await;
    assert_eq!(queued(&mut rig).await, QueueEnd::Callback);
    parted(&mut rig, &mut caller).await;
    rig.rests().await;
    (rig, home)
}

/// The agent is there, and the phone rings.
async fn rings(rig: &Rig, home: &mut Phone) -> String {
    rig.calls.queues.unpause("ann").unwrap();
    let invite = home.called().await;
    home.respond(&invite, "180 Ringing", "").await;
    invite
}

/// As nobody has called yet.
fn untried() -> [KeptCallback; 1] {
    [KeptCallback {
        queue: "sales".to_owned(),
        number: "+491".to_owned(),
        priority: 0,
        attempts: 0,
    }]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_due_while_draining_is_left_to_the_next_process() {
    let (mut rig, _home) = asked().await;
    rig.calls.drain(PATIENCE).await;
    rig.calls.queues.unpause("ann").unwrap();
    until(&rig, "ann", AgentState::Free).await;
    assert_eq!(rig.calls.queues.callbacks(), untried());
    rig.rests().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_rings_when_the_server_stops_is_left_to_the_next_process() {
    let (mut rig, mut home) = asked().await;
    let invite = rings(&rig, &mut home).await;
    let calls = rig.calls.clone();
    let drained = tokio::spawn(async move { calls.drain(Duration::ZERO).await });
    home.cancelled(&invite).await;
    drained.await.unwrap();
    until(&rig, "ann", AgentState::Free).await;
    assert_eq!(rig.calls.queues.callbacks(), untried());
    assert_eq!(rig.rests().await[&("us", "shutdown")], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_rings_is_hung_up_by_an_order() {
    let (mut rig, mut home) = asked().await;
    let invite = rings(&rig, &mut home).await;
    let calls = rig.calls.control.list();
    assert_eq!(calls.len(), 1, "{calls:?}");
    let hang_up = Order::Hangup(HangupCause::Normal);
    rig.calls.order(&calls[0].id, hang_up).await.unwrap();
    home.cancelled(&invite).await;
    until(&rig, "ann", AgentState::Free).await;
    // It was the only attempt.
    assert_eq!(rig.calls.queues.callbacks(), []);
    assert_eq!(rig.rests().await[&("us", "ordered")], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_rings_goes_nowhere_else() {
    let (mut rig, mut home) = asked().await;
    let invite = rings(&rig, &mut home).await;
    let call = rig.calls.control.list().remove(0).id;
    let elsewhere = Plan::of([Verb::Answer]);
    let own = Some(Parting::program(rig.program(elsewhere), "elsewhere"));
    let transfer = Order::Transfer(Transfer { own, peer: None });
    let refused = rig.calls.order(&call, transfer).await;
    assert_eq!(refused, Err(OrderError::NotAnswered));
    rig.calls
        .order(&call, Order::Hangup(HangupCause::Normal))
        .await
        .unwrap();
    home.cancelled(&invite).await;
    until(&rig, "ann", AgentState::Free).await;
    rig.rests().await;
}
