//! A stream to a real WebSocket service on loopback: what the phone says reaches the service bit for bit, and the other way round.
//!
//! Waits for messages and packets with a generous limit and never asserts on time.

#![allow(clippy::unwrap_used)] // helpers of tests, too
#![allow(dead_code)] // of the phone, which other tests use too

mod phone;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use trunkline::media::{Law, TapSpec};
use trunkline::stream::protocol::{self, CallFacts, Framing, FromService};
use trunkline::stream::{Address, StreamEnd, StreamHandle, StreamSpec, Streams};

type Service = WebSocketStream<TcpStream>;

fn spec(port: u16) -> StreamSpec {
    StreamSpec {
        address: Address::parse(&format!("ws://127.0.0.1:{port}/audio?a=1")).unwrap(),
        within: None,
        token: Some(trunkline::config::Secret::new("opensesame")),
        call: CallFacts {
            id: "c-1".into(),
            direction: "inbound",
            from: "100".into(),
            to: "200".into(),
        },
        rate_hz: 8000,
        received: true,
        sent: false,
        playback: true,
        framing: Framing::Json,
        parameters: vec![("language".into(), "en".into())],
    }
}

/// Takes one connection, whose token must be right.
async fn accept(listener: &TcpListener) -> Service {
    let (socket, _) = listener.accept().await.unwrap();
    #[allow(clippy::result_large_err)] // the crate's signature
    let check = |request: &Request, response: Response| {
        assert_eq!(request.uri().query(), Some("a=1"));
        let token = request.headers().get("authorization").unwrap();
        assert_eq!(token, "Bearer opensesame");
        Ok(response)
    };
    tokio_tungstenite::accept_hdr_async(socket, check)
        .await
        .unwrap()
}

async fn text(service: &mut Service, event: &str) -> Value {
    loop {
        let message = tokio::time::timeout(phone::PATIENCE, service.next()).await;
        let Message::Text(text) = message.unwrap().unwrap().unwrap() else {
            continue;
        };
        let value: Value = serde_json::from_str(&text).unwrap();
        if value["event"] == event {
            return value;
        }
    }
}

async fn say(service: &mut Service, text: String) {
    service.send(Message::text(text)).await.unwrap();
}

/// Samples that the law carries as they are.
fn exact(count: usize, seed: usize) -> Vec<i16> {
    let octets: Vec<u8> = (0..count)
        .map(|n| ((n * 31 + seed * 7) % 100) as u8)
        .collect();
    let mut samples = vec![0; count];
    Law::Mu.decode(&octets, &mut samples);
    samples
}

fn begin(channel: &trunkline::media::Channel, spec: StreamSpec) -> (Arc<Streams>, StreamHandle) {
    let tap = TapSpec {
        rate_hz: spec.rate_hz,
        received: spec.received,
        sent: spec.sent,
    };
    let streams = Arc::new(Streams::default());
    let handle = streams.begin(spec, channel.tap(tap).unwrap());
    (streams, handle)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_goes_both_ways_bit_for_bit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let media = phone::media(21_300..=21_309);
    let (channel, _events, mut phone) = phone::call(&media);
    let (streams, mut handle) = begin(&channel, spec(listener.local_addr().unwrap().port()));
    let mut service = accept(&listener).await;
    let start = text(&mut service, "start").await;
    assert_eq!(start["call"]["id"], "c-1");
    assert_eq!(start["media"]["tracks"], serde_json::json!(["in"]));
    assert_eq!(start["parameters"]["language"], "en");

    // In: the phone's samples are in what the service gets.
    let said = exact(4000, 1);
    let speaking = said.clone();
    let phone = tokio::task::spawn_blocking(move || {
        let heard = phone.exchange(&[&[0; 800][..], &speaking, &[0; 3200]].concat());
        (phone, heard)
    });
    let mut got: Vec<i16> = Vec::new();
    while !got.windows(said.len()).any(|window| window == said) {
        let frame = text(&mut service, "media").await.to_string();
        let Ok(FromService::Media(samples)) = protocol::parse(&frame) else {
            panic!("{frame}");
        };
        got.extend(samples);
        assert!(got.len() < 400_000, "the samples do not come");
    }
    let (mut phone, _) = phone.await.unwrap();

    // Out: the service's samples are in what the phone gets, then the mark is told.
    let answer = exact(8000, 2);
    service
        .send(Message::binary(octets(&answer[..3001])))
        .await
        .unwrap();
    say(&mut service, protocol::media("in", 0, &answer[3001..])).await;
    say(&mut service, protocol::mark("end")).await;
    let phone = tokio::task::spawn_blocking(move || {
        let heard = phone.exchange(&[0; 16_000]);
        (phone, heard)
    });
    assert_eq!(text(&mut service, "mark").await["name"], "end");
    let (_phone, heard) = phone.await.unwrap();
    assert!(heard.windows(answer.len()).any(|window| window == answer));

    handle.key('5', Some(100));
    assert_eq!(text(&mut service, "dtmf").await["digit"], "5");
    say(&mut service, "nonsense".into()).await;
    text(&mut service, "error").await;
    say(&mut service, protocol::stop("")).await;
    assert_eq!(handle.ended().await, StreamEnd::ByService);
    assert_eq!(text(&mut service, "stop").await["reason"], "by-service");
    assert_eq!(streams.stats.active(), 0);
    assert_eq!(streams.stats.malformed(), 1);
}

/// A service that takes the connection and reads nothing of it, while it sends more than is kept: what is too much is counted on both ways, and
/// the call goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_never_reads_costs_frames_and_nothing_else() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let media = phone::media(21_330..=21_339);
    let (channel, _events, mut phone) = phone::call(&media);
    let spec = StreamSpec {
        rate_hz: 16_000,
        sent: true,
        ..spec(listener.local_addr().unwrap().port())
    };
    let (streams, handle) = begin(&channel, spec);
    let mut service = accept(&listener).await;
    // Eleven minutes of audio, of which ten are kept.
    let second = octets(&exact(16_000, 3));
    for _ in 0..660 {
        service.send(Message::binary(second.clone())).await.unwrap();
    }
    let phone = tokio::task::spawn_blocking(move || {
        let until = std::time::Instant::now() + phone::PATIENCE;
        let mut heard = Vec::new();
        while streams.stats.lost_frames() < 50 {
            assert!(std::time::Instant::now() < until, "nothing is lost");
            heard = phone.exchange(&[0; 1600]);
        }
        heard.extend(phone.exchange(&[0; 8000]));
        (streams, heard)
    });
    let (streams, heard) = phone.await.unwrap();
    // The service is heard all the while.
    assert!(heard.iter().filter(|sample| **sample != 0).count() > heard.len() / 2);
    let refused = media.taps().refused_samples();
    assert!(
        (16_000 * 50..16_000 * 60 + 1).contains(&refused),
        "{refused}"
    );
    assert_eq!((streams.stats.active(), streams.stats.connected()), (1, 1));
    drop(handle);
    let until = std::time::Instant::now() + phone::PATIENCE;
    while streams.stats.active() > 0 {
        assert!(std::time::Instant::now() < until, "the stream does not end");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(service);
}

/// The roots that services are trusted by can be named by the environment (`SSL_CERT_FILE`), which only a process of its own can be given.
#[test]
fn an_encrypted_service_is_trusted_by_its_certificate_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let paths = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], issued.cert.pem()).unwrap();
    std::fs::write(&paths[1], issued.signing_key.serialize_pem()).unwrap();
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "encrypted_in_a_process_of_its_own"])
        .env("SSL_CERT_FILE", &paths[0])
        .env("TEST_TLS_FOLDER", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by an_encrypted_service_is_trusted_by_its_certificate_and_name"]
async fn encrypted_in_a_process_of_its_own() {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let folder = std::path::PathBuf::from(std::env::var("TEST_TLS_FOLDER").unwrap());
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let media = phone::media(21_340..=21_349);
    let (channel, _events, _phone) = phone::call(&media);
    let at = |host: &str| StreamSpec {
        address: Address::parse(&format!("wss://{host}:{port}/audio?a=1")).unwrap(),
        ..spec(port)
    };
    let (_streams, mut handle) = begin(&channel, at("localhost"));
    let (socket, _) = listener.accept().await.unwrap();
    let mut service = tokio_tungstenite::accept_async(acceptor.accept(socket).await.unwrap())
        .await
        .unwrap();
    let first = service.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(first.contains("\"start\""), "{first}");
    service.close(None).await.unwrap();
    assert_eq!(handle.ended().await, StreamEnd::ByService);
    // Another name than the certificate's.
    let (_streams, mut handle) = begin(&channel, at("127.0.0.1"));
    let refusing = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            assert!(acceptor.accept(socket).await.is_err(), "it is trusted");
        }
    });
    let StreamEnd::Failed(reason) = handle.ended().await else {
        panic!("it is trusted");
    };
    assert!(reason.contains("ertificate"), "{reason}");
    refusing.abort();
}

fn octets(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clear_drops_what_waits_and_a_break_is_mended() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let media = phone::media(21_310..=21_319);
    let (channel, _events, _phone) = phone::call(&media);
    let (streams, handle) = begin(&channel, spec(listener.local_addr().unwrap().port()));
    let mut service = accept(&listener).await;
    for (n, name) in ["a", "b"].into_iter().enumerate() {
        let seconds = vec![1000; 80_000 * (n + 1)];
        service
            .send(Message::binary(octets(&seconds)))
            .await
            .unwrap();
        say(&mut service, protocol::mark(name)).await;
    }
    say(&mut service, r#"{"event":"clear"}"#.into()).await;
    assert_eq!(
        text(&mut service, "cleared").await["marks"],
        serde_json::json!(["a", "b"])
    );
    say(&mut service, protocol::mark("c")).await;
    assert_eq!(text(&mut service, "mark").await["name"], "c");

    drop(service);
    let mut service = accept(&listener).await;
    assert_eq!(text(&mut service, "start").await["connection"], 2);
    text(&mut service, "media").await;
    drop(handle);
    assert_eq!(text(&mut service, "stop").await["reason"], "stopped");
    assert_eq!(streams.stats.connected(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_there_fails_the_stream_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let media = phone::media(21_320..=21_329);
    let (channel, _events, mut phone) = phone::call(&media);
    let (streams, mut handle) = begin(&channel, spec(port));
    assert!(matches!(handle.ended().await, StreamEnd::Failed(_)));
    assert_eq!(streams.stats.ended()[3], ("failed", 1));
    tokio::task::spawn_blocking(move || phone.exchange(&[0; 1600]))
        .await
        .unwrap();
}
