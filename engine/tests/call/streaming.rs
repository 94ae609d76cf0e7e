//! A call's stream to a service.
use super::events::until;
use super::phone::{PATIENCE, Phone};
use super::rig::{Plan, Rig};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use trunkline::call::*;
use trunkline::media::Listening;
use trunkline::stream::Address;
use trunkline::stream::protocol::Framing;

fn gather(max_digits: usize, sensitive: bool) -> Verb {
    Verb::Gather(Gather {
        prompts: vec![],
        repeat: Repeat::Times(1),
        timeout_ms: 60_000,
        inter_digit_ms: 60_000,
        max_digits,
        finish_on: None,
        barge_in: true,
        typeahead: true,
        sensitive,
        speech: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_stream_goes_nowhere_private() {
    // Nobody listens there: what counts is that nobody is asked.
    let Verb::Stream(stream) = stream_at("ws://[::1]:9/") else {
        unreachable!()
    };
    let stream = Stream {
        foreign: true,
        background: false,
        ..*stream
    };
    let plan = Plan::of([Verb::Answer, Verb::Stream(Box::new(stream))]);
    let mut rig = Rig::start(vec![("bot", plan)]).await;
    let mut phone = Phone::calling(rig.address, "bot").await;
    let reason = loop {
        if let Outcome::Failed(failure) = rig.outcome().await {
            break failure.reason;
        }
    };
    assert!(reason.contains("not public"), "{reason}");
    phone.expect("BYE").await;
    while rig.outcome().await != Outcome::HungUp {}
    rig.rests().await;
}

fn stream_to(listener: &TcpListener) -> Verb {
    let port = listener.local_addr().unwrap().port();
    stream_at(&format!("ws://127.0.0.1:{port}/"))
}

fn stream_at(address: &str) -> Verb {
    Verb::Stream(Box::new(Stream {
        address: Address::parse(address).unwrap(),
        foreign: false,
        token: None,
        rate_hz: 8000,
        received: true,
        sent: false,
        playback: false,
        framing: Framing::Json,
        listen: Listening {
            speech: true,
            beep: true,
        },
        background: true,
        parameters: Vec::new(),
    }))
}

/// The next message of that kind.
async fn message(service: &mut WebSocketStream<TcpStream>, event: &str) -> Value {
    loop {
        let message = timeout(PATIENCE, service.next()).await.unwrap();
        let text = message.unwrap().unwrap().into_text().unwrap();
        match serde_json::from_str::<Value>(&text) {
            Ok(message) if message["event"] == event => return message,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_not_told_of_sensitive_keys() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let verbs = [
        Verb::Answer,
        stream_to(&listener),
        gather(2, true),
        gather(1, false),
    ];
    let mut rig = Rig::start(vec![("bot", Plan::of(verbs))]).await;
    let mut watcher = rig.calls.events.watch();
    let mut phone = Phone::calling(rig.address, "bot").await;
    let (socket, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut service = tokio_tungstenite::accept_async(socket).await.unwrap();
    let start = message(&mut service, "start").await;
    assert_eq!(start["media"]["rate"], 8000);
    for key in ['1', '2', '7'] {
        phone.info(key).await;
    }
    assert_eq!(message(&mut service, "dtmf").await["digit"], "7");
    phone.bye().await;
    let (ended, _) = until(&mut watcher, EventKind::StreamEnded).await;
    assert_eq!(ended["end"], "call-over");
    while rig.outcome().await != Outcome::HungUp {}
    rig.rests().await;
}
