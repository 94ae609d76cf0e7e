//! Connections that we open, on loopback: one per peer, messages that wait for it, its loss, and a new one.
#![allow(clippy::unwrap_used)] // a test may panic
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use trunkline::net::sip::{Hop, NewLeg, Sip, TcpLimits};
use trunkline_sip::{AdmitAll, EndpointConfig, Event, Flow, Invite, Transport};

/// Long enough for any machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start(listen: &[(Transport, SocketAddr)]) -> Sip {
    let limits = TcpLimits {
        max_connections: 10,
        idle: PATIENCE,
    };
    Sip::start(
        listen,
        limits,
        EndpointConfig::new("Trunkline", [7; 32]),
        Box::new(AdmitAll),
    )
    .await
    .unwrap()
}

fn tcp(address: SocketAddr) -> Hop {
    Hop {
        transport: Transport::Tcp,
        address,
        server_name: address.ip().to_string(),
    }
}

async fn invite(sip: &Sip, flow: Flow) -> NewLeg {
    let target = format!("sip:you@{}", flow.remote);
    let invite = Invite {
        sdp: Some(b"v=0\r\n".to_vec()),
        ..Invite::new(flow, target.clone(), "sip:me@localhost", target)
    };
    sip.handle.invite(invite).await.unwrap()
}

/// One message with its body.
async fn message(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut octet = [0];
    while !text.ends_with("\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut octet)).await;
        assert_eq!(read.expect("a message in time").unwrap(), 1, "{text}");
        text.push(char::from(octet[0]));
    }
    let length: usize = value(&text, "Content-Length").parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    text + &String::from_utf8_lossy(&body)
}

fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// A final response to `request`, as a user agent would send it.
fn response(request: &str, status: &str, contact: SocketAddr) -> String {
    let copied: String = ["Via", "From", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", value(request, name)))
        .concat();
    let to = value(request, "To");
    format!(
        "SIP/2.0 {status}\r\n{copied}To: {to};tag=callee\r\nContact: <sip:you@{contact};transport=tcp>\r\nContent-Length: 0\r\n\r\n"
    )
}

async fn accept(listener: &TcpListener) -> TcpStream {
    let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
    accepted.expect("a connection in time").unwrap().0
}

async fn event(leg: &mut NewLeg) -> Event {
    let event = tokio::time::timeout(PATIENCE, leg.events.recv()).await;
    event.expect("an event in time").expect("an event")
}

#[tokio::test]
async fn calls_to_one_peer_share_a_connection_and_name_our_listener() {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let sip = start(&[(Transport::Tcp, any)]).await;
    let listener = TcpListener::bind(any).await.unwrap();
    let peer = listener.local_addr().unwrap();
    let flow = sip.flow_to(&tcp(peer)).unwrap();
    // Both are sent before the connection can be up.
    let (mut first, mut second) = tokio::join!(invite(&sip, flow), invite(&sip, flow));
    let mut stream = accept(&listener).await;
    let requests = [message(&mut stream).await, message(&mut stream).await];
    for request in &requests {
        let ours = format!("{};", sip.listening[0].1);
        assert!(value(request, "Via").contains(&ours), "{request}");
        assert!(value(request, "Contact").contains(&ours), "{request}");
        let busy = response(request, "486 Busy Here", peer);
        stream.write_all(busy.as_bytes()).await.unwrap();
        let ack = message(&mut stream).await;
        assert!(ack.starts_with("ACK "), "{ack}");
    }
    for leg in [&mut first, &mut second] {
        assert!(matches!(event(leg).await, Event::Rejected { .. }));
    }
    let other = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(other.is_err(), "a second connection was opened");
}

#[tokio::test]
async fn without_a_listener_contact_names_the_connection_itself() {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let sip = start(&[(Transport::Udp, any)]).await;
    let listener = TcpListener::bind(any).await.unwrap();
    let flow = sip.flow_to(&tcp(listener.local_addr().unwrap())).unwrap();
    let _leg = invite(&sip, flow).await;
    let (mut stream, from) = listener.accept().await.unwrap();
    let request = message(&mut stream).await;
    assert!(
        value(&request, "Contact").contains(&format!("{from};transport=tcp")),
        "{request} from {from}"
    );
}

#[tokio::test]
async fn a_peer_that_refuses_connections_fails_the_call_at_once() {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let sip = start(&[(Transport::Udp, any)]).await;
    let listener = TcpListener::bind(any).await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let flow = sip.flow_to(&tcp(gone)).unwrap();
    for flow in [
        flow,
        Flow {
            connection: 0,
            ..flow
        },
    ] {
        let mut leg = invite(&sip, flow).await;
        let end = event(&mut leg).await;
        assert!(
            matches!(end, Event::Ended { .. } | Event::Rejected { .. }),
            "{end:?}"
        );
    }
}

/// The in-dialog request of a call whose connection the peer has closed meanwhile leaves on a new one.
#[tokio::test]
async fn a_call_survives_its_connection() {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let sip = start(&[(Transport::Tcp, any)]).await;
    let listener = TcpListener::bind(any).await.unwrap();
    let peer = listener.local_addr().unwrap();
    let mut leg = invite(&sip, sip.flow_to(&tcp(peer)).unwrap()).await;
    let mut stream = accept(&listener).await;
    let request = message(&mut stream).await;
    let ok = response(&request, "200 OK", peer);
    stream.write_all(ok.as_bytes()).await.unwrap();
    assert!(matches!(event(&mut leg).await, Event::Answered { .. }));
    assert!(message(&mut stream).await.starts_with("ACK "));
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    sip.handle
        .send(trunkline::net::sip::Command::Hangup(leg.leg, None));
    let mut anew = accept(&listener).await;
    let bye = message(&mut anew).await;
    assert!(bye.starts_with("BYE "), "{bye}");
}

/// A trunk's calls share one connection: a burst of them must wait for it, not fail it.
#[tokio::test]
async fn a_burst_over_one_connection_is_answered_in_full() {
    const BURST: usize = 500;
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let sip = start(&[(Transport::Tcp, any)]).await;
    let mut stream = TcpStream::connect(sip.listening[0].1).await.unwrap();
    let options = |number: usize| {
        format!(
            "OPTIONS sip:you@localhost SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{number}\r\n\
             From: <sip:me@h>;tag=1\r\nTo: <sip:you@localhost>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n\
             Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let burst: String = (0..BURST).map(options).collect();
    let (mut read, mut write) = stream.split();
    let asking = write.write_all(burst.as_bytes());
    let mut text = String::new();
    let listening = async {
        let mut chunk = [0; 65_536];
        while text.matches("SIP/2.0 200").count() < BURST {
            let length = tokio::time::timeout(PATIENCE, read.read(&mut chunk)).await;
            let length = length.expect("an answer in time").unwrap();
            assert_ne!(
                length,
                0,
                "closed after {} answers",
                text.matches("SIP/2.0 200").count()
            );
            text.push_str(&String::from_utf8_lossy(&chunk[..length]));
        }
    };
    let (asked, ()) = tokio::join!(asking, listening);
    asked.unwrap();
}
