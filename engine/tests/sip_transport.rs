//! SIP over real sockets on loopback: datagrams, streams cut anywhere, keep-alives, broken framing, limits.
#![allow(clippy::unwrap_used)] // a test may panic
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use trunkline::net::sip::{Command, Hop, Sip, TcpLimits};
use trunkline_sip::{AdmitAll, EndpointConfig, Invite, Transport};

/// Long enough for any machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start(max_connections: usize, idle: Duration) -> (Sip, SocketAddr, SocketAddr) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let limits = TcpLimits {
        max_connections,
        idle,
    };
    let sip = Sip::start(
        &[(Transport::Udp, any), (Transport::Tcp, any)],
        limits,
        config(),
        Box::new(AdmitAll),
    )
    .await
    .unwrap();
    let (udp, tcp) = (sip.listening[0].1, sip.listening[1].1);
    (sip, udp, tcp)
}

fn config() -> EndpointConfig {
    EndpointConfig::new("Trunkline", [7; 32])
}

fn options(transport: &str, number: u32) -> String {
    format!(
        "OPTIONS sip:trunkline@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;rport;branch=z9hG4bK-o{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@127.0.0.1>;tag=a\r\nTo: <sip:trunkline@127.0.0.1>\r\nCall-ID: options-{number}\r\nCSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Reads until the head of a response is complete.
async fn response(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut octet = [0];
    while !text.ends_with("\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut octet))
            .await
            .expect("an answer in time")
            .unwrap();
        assert_eq!(read, 1, "connection closed after {text:?}");
        text.push(char::from(octet[0]));
    }
    text
}

async fn closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .is_ok()
}

#[tokio::test]
async fn a_datagram_is_answered_to_where_it_came_from() {
    let (_sip, udp, _) = start(10, PATIENCE).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(options("UDP", 1).as_bytes(), udp)
        .await
        .unwrap();
    let mut buffer = [0; 2048];
    let (length, from) = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert_eq!(from, udp);
    assert!(text.starts_with("SIP/2.0 200 "), "{text}");
    let port = socket.local_addr().unwrap().port();
    assert!(text.contains(&format!("rport={port}")), "RFC 3581: {text}");
}

#[tokio::test]
async fn a_stream_may_be_cut_anywhere() {
    let (_sip, _, tcp) = start(10, PATIENCE).await;
    let mut stream = TcpStream::connect(tcp).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for octet in options("TCP", 1).as_bytes() {
        stream.write_all(&[*octet]).await.unwrap();
        stream.flush().await.unwrap();
    }
    assert!(response(&mut stream).await.starts_with("SIP/2.0 200 "));
    let two = options("TCP", 2) + &options("TCP", 3);
    stream.write_all(two.as_bytes()).await.unwrap();
    for number in [2, 3] {
        let text = response(&mut stream).await;
        assert!(text.contains(&format!("CSeq: {number} OPTIONS")), "{text}");
    }
}

#[tokio::test]
async fn a_ping_gets_its_pong() {
    let (_sip, _, tcp) = start(10, PATIENCE).await;
    let mut stream = TcpStream::connect(tcp).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut pong))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&pong, b"\r\n");
}

#[tokio::test]
async fn a_stream_that_cannot_be_framed_is_answered_and_closed() {
    let (_sip, _, tcp) = start(10, PATIENCE).await;
    for broken in [
        options("TCP", 1).replace("Content-Length: 0", "Content-Length: -5"),
        options("TCP", 2).replace("Content-Length: 0\r\n", ""),
    ] {
        let mut stream = TcpStream::connect(tcp).await.unwrap();
        stream.write_all(broken.as_bytes()).await.unwrap();
        let text = response(&mut stream).await;
        assert!(text.starts_with("SIP/2.0 400 "), "{text}");
        assert!(closed(&mut stream).await);
    }
    let mut noise = TcpStream::connect(tcp).await.unwrap();
    noise
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(closed(&mut noise).await);
}

#[tokio::test]
async fn connections_are_limited_and_idle_ones_closed() {
    let (_sip, _, tcp) = start(2, Duration::from_millis(200)).await;
    let mut streams = Vec::new();
    for number in 0..2 {
        let mut stream = TcpStream::connect(tcp).await.unwrap();
        stream
            .write_all(options("TCP", number + 1).as_bytes())
            .await
            .unwrap();
        assert!(response(&mut stream).await.starts_with("SIP/2.0 200 "));
        streams.push(stream);
    }
    // Which comes first, the refusal of the third or the idle end of the others, is the machine's choice; all must end.
    let mut third = TcpStream::connect(tcp).await.unwrap();
    assert!(closed(&mut third).await);
    for mut stream in streams {
        assert!(closed(&mut stream).await);
    }
    let mut again = TcpStream::connect(tcp).await.unwrap();
    again.write_all(options("TCP", 9).as_bytes()).await.unwrap();
    assert!(response(&mut again).await.starts_with("SIP/2.0 200 "));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let (_sip, udp, _) = start(1, PATIENCE).await;
    let limits = TcpLimits {
        max_connections: 1,
        idle: PATIENCE,
    };
    let Err(error) = Sip::start(
        &[(Transport::Udp, udp)],
        limits,
        config(),
        Box::new(AdmitAll),
    )
    .await
    else {
        panic!("bound twice")
    };
    let text = error.to_string();
    assert!(
        text.contains(&udp.to_string()) && text.contains("[sip] listen"),
        "{text}"
    );
}

/// Our BYE has to leave on it.
#[tokio::test]
async fn an_idle_connection_stays_while_a_call_uses_it() {
    let (mut sip, _, tcp) = start(10, Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(tcp).await.unwrap();
    let invite = options("TCP", 1).replace("OPTIONS", "INVITE").replace(
        "Content-Length",
        "Contact: <sip:a@127.0.0.1:9;transport=tcp>\r\nContent-Length",
    );
    stream.write_all(invite.as_bytes()).await.unwrap();
    assert!(response(&mut stream).await.starts_with("SIP/2.0 100 "));
    let call = sip.incoming.recv().await.unwrap();
    // Another one, opened later and without a call, is closed meanwhile.
    let mut other = TcpStream::connect(tcp).await.unwrap();
    assert!(closed(&mut other).await);
    sip.handle
        .send(Command::Reject(call.leg, 486, "busy".to_owned(), vec![]));
    assert!(response(&mut stream).await.starts_with("SIP/2.0 486 "));
    assert!(closed(&mut stream).await);
}

/// A call whose owner is gone without a word must not leave its far end waiting.
#[tokio::test]
async fn a_leg_nobody_listens_to_is_hung_up() {
    let (mut sip, udp, _) = start(1, PATIENCE).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let head = |method: &str, to: &str| {
        format!(
            "{method} sip:t@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch=z9hG4bK-{method}\r\nMax-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=a\r\n\
             To: {to}\r\nCall-ID: orphan\r\nCSeq: 1 {method}\r\nContact: <sip:a@{at}>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let invite = head("INVITE", "<sip:t@127.0.0.1>");
    socket.send_to(invite.as_bytes(), udp).await.unwrap();
    let call = sip.incoming.recv().await.unwrap();
    drop(call.events);
    sip.handle
        .send(Command::Answer(call.leg, b"v=0\r\n".to_vec(), vec![]));
    let mut buffer = [0; 4096];
    loop {
        let got = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await;
        let (length, _) = got.expect("BYE in time").unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with("BYE ") {
            return;
        }
        if text.starts_with("SIP/2.0 200 ") {
            let to = text.lines().find_map(|line| line.strip_prefix("To: "));
            let ack = head("ACK", to.unwrap());
            socket.send_to(ack.as_bytes(), udp).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_sent_first_leaves_at_once_in_either_family() {
    // Both families on one port: the socket must be the one of the peer's family.
    let all: SocketAddr = ([0, 0, 0, 0], 0).into();
    let limits = TcpLimits {
        max_connections: 1,
        idle: PATIENCE,
    };
    let probe = std::net::UdpSocket::bind("[::]:0").unwrap();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    let listen = [
        (Transport::Udp, SocketAddr::new(all.ip(), port)),
        (Transport::Udp, SocketAddr::new([0u16; 8].into(), port)),
    ];
    let sip = Sip::start(&listen, limits, config(), Box::new(AdmitAll))
        .await
        .unwrap();
    for peer in ["127.0.0.1:0", "[::1]:0"] {
        let socket = UdpSocket::bind(peer).await.unwrap();
        let remote = socket.local_addr().unwrap();
        let hop = Hop {
            transport: Transport::Udp,
            address: remote,
            server_name: remote.ip().to_string(),
        };
        let flow = sip.flow_to(&hop).unwrap();
        let target = format!("sip:you@{remote}");
        let invite = Invite {
            sdp: Some(b"v=0\r\n".to_vec()),
            ..Invite::new(flow, target.clone(), "sip:me@localhost", target)
        };
        let _leg = sip.handle.invite(invite).await.unwrap();
        let mut buffer = [0; 2048];
        let got = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await;
        assert!(got.unwrap().is_ok() && buffer.starts_with(b"INVITE "));
    }
    assert_eq!(sip.counters.send_failed.load(Ordering::Relaxed), 0);
}
