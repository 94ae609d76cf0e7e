//! The streaming back end against a made-up service that notes what it is told.
use super::super::super::backend::fake;
use super::super::Spoken;
use super::super::tests::common;
use super::*;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// What a service was told.
#[derive(Debug, PartialEq)]
enum Told {
    Key(Option<String>),
    Text(Value),
    Samples(usize),
}

/// A service that answers the first message with the first of `answers`, each binary one with the next, and the end with the rest.
async fn service(answers: Vec<&'static str>) -> (String, mpsc::UnboundedReceiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/listen", listener.local_addr().unwrap());
    let (note, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let key = note.clone();
        #[allow(clippy::result_large_err)] // as tungstenite has it
        let look = move |request: &Request, response: Response| {
            let value = request.headers().get("authorization");
            let value = value.map(|value| value.to_str().unwrap().to_owned());
            key.send(Told::Key(value)).unwrap();
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(tcp, look).await;
        let mut socket = socket.unwrap();
        let mut answers = answers.into_iter();
        while let Some(Ok(message)) = socket.next().await {
            let over = match message {
                Message::Text(text) => {
                    let value: Value = serde_json::from_str(&text).unwrap();
                    let over = value["event"] == "end";
                    let _ = note.send(Told::Text(value));
                    over
                }
                Message::Binary(octets) => {
                    let _ = note.send(Told::Samples(octets.len() / 2));
                    false
                }
                _ => continue,
            };
            let count = if over { usize::MAX } else { 1 };
            for answer in answers.by_ref().take(count).filter(|it| !it.is_empty()) {
                let _ = socket.send(Message::text(answer)).await;
            }
        }
    });
    (url, told)
}

fn live(url: &str, key: Option<&str>) -> Live {
    let common = common(Duration::from_secs(20));
    Live::new(common, fake::fetcher(), url, key.map(Secret::new))
}

#[tokio::test]
async fn speech_is_heard_while_it_is_spoken_and_each_message_is_as_documented() {
    let (url, mut told) = service(vec![
        "",
        r#"{"event":"partial","text":"I want"}"#,
        "",
        r#"{"event":"final","text":"I want sales","confidence":0.75}"#,
    ])
    .await;
    let live = live(&url, Some("sk-live"));
    let (mouth, spoken) = Spoken::live();
    let (so_far, mut heard) = watch::channel(String::new());
    let wanted = Wanted {
        hints: ["sales".to_owned()].to_vec().into(),
        so_far: Some(so_far),
        ..Wanted::of(spoken, None)
    };
    let understanding = tokio::spawn(async move { live.ask(&wanted, "en-GB").await });
    mouth.say(&[1; 320]);
    // Told before the speech is over.
    heard.wait_for(|text| text == "I want").await.unwrap();
    mouth.say(&[2; CHUNK]);
    drop(mouth);
    let words = understanding.await.unwrap().unwrap();
    assert_eq!(
        (words.text.as_str(), words.confidence),
        ("I want sales", Some(0.75))
    );
    let mut all = Vec::new();
    while let Some(one) = told.recv().await {
        all.push(one);
    }
    let start = json!({
        "event": "start", "version": 1, "language": "en-GB", "media": {"encoding": "l16", "rate": 16_000},
        "hints": ["sales"], "partial": true,
    });
    assert_eq!(
        all,
        [
            Told::Key(Some("Bearer sk-live".to_owned())),
            Told::Text(start),
            Told::Samples(320),
            Told::Samples(CHUNK),
            Told::Text(json!({"event": "end"})),
        ]
    );
}

#[tokio::test]
async fn a_service_may_know_before_the_speech_is_over() {
    let (url, _told) = service(vec![r#"{"event":"final","text":"sales"}"#]).await;
    let (_mouth, spoken) = Spoken::live();
    let words = live(&url, None).ask(&Wanted::of(spoken, None), "en").await;
    assert_eq!(words.unwrap().text, "sales");
}

#[tokio::test]
async fn what_a_service_says_wrong_is_an_error() {
    for (answer, says, refuses) in [
        (r#"{"event":"error","reason":"no Latin"}"#, "no Latin", true),
        (r#"{"event":"begin"}"#, "must be partial", false),
        ("[", "not a JSON object", false),
    ] {
        let (url, _told) = service(vec![answer]).await;
        let wanted = Wanted::of(Spoken::whole(vec![0; 100]), None);
        let error = live(&url, None).ask(&wanted, "la").await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(matches!(error, SpeechError::Refused(_)), refuses, "{error}");
    }
}

#[tokio::test]
async fn a_service_that_is_silent_absent_or_not_allowed_is_an_error() {
    let (url, _told) = service(Vec::new()).await;
    let silent = Live {
        common: common(Duration::from_millis(200)),
        ..live(&url, None)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    for (live, says) in [
        (silent, "no answer within 0.2 s"),
        (live(&gone, None), "refused"),
        (live("ws://10.255.255.1/", None), "not public"),
        (live("http://127.0.0.1/", None), "ws://host"),
    ] {
        let wanted = Wanted::of(Spoken::whole(vec![0; 100]), None);
        let error = live.ask(&wanted, "en").await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
