//! Requests that belong to no call, over real sockets: both directions, and the end of a connection is told.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;
use trunkline::net::sip::{Hop, Sip, TcpLimits};
use trunkline_sip::{AdmitAll, EndpointConfig, HeaderId, Origin, OutRequest, Transport};

/// Long enough for any machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

async fn start() -> Sip {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let limits = TcpLimits {
        idle: PATIENCE,
        max_connections: 8,
    };
    let listen = [(Transport::Udp, any), (Transport::Tcp, any)];
    let config = EndpointConfig::new("Trunkline", [4; 32]);
    Sip::start(&listen, limits, config, Box::new(AdmitAll))
        .await
        .unwrap()
}

fn register(from: &Sip, transport: Transport, to: &Sip) -> OutRequest {
    let at = usize::from(transport == Transport::Tcp);
    let hop = Hop {
        transport,
        address: to.listening[at].1,
        server_name: "127.0.0.1".into(),
    };
    let flow = from.flow_to(&hop).unwrap();
    OutRequest::new(
        flow,
        "REGISTER",
        "sip:example.com",
        "sip:a@example.com",
        "sip:a@example.com",
    )
}

#[tokio::test]
async fn a_register_goes_there_and_its_answer_back() {
    let (phone, mut server) = (start().await, start().await);
    for transport in [Transport::Udp, Transport::Tcp] {
        let asking = phone.handle.request(register(&phone, transport, &server));
        let serving = async {
            let incoming = server.requests.recv().await.unwrap();
            assert_eq!(incoming.flow.transport, transport);
            assert_eq!(incoming.origin, Origin::Stranger);
            let headers = vec![("Contact".to_owned(), "<sip:a@b>;expires=60".to_owned())];
            server.handle.respond(incoming.id, 200, "", headers);
        };
        let (outcome, ()) = timeout(PATIENCE, async { tokio::join!(asking, serving) })
            .await
            .unwrap();
        let outcome = outcome.unwrap();
        assert_eq!(outcome.status, 200);
        let response = outcome.response.unwrap();
        assert_eq!(
            response.frame().header(HeaderId::Contact),
            Some(&b"<sip:a@b>;expires=60"[..])
        );
    }
}

#[tokio::test]
async fn where_nobody_takes_requests_they_are_not_served() {
    let (phone, mut server) = (start().await, start().await);
    server.requests.close();
    let request = register(&phone, Transport::Udp, &server);
    let outcome = timeout(PATIENCE, phone.handle.request(request))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome.status, 405);
}

#[tokio::test]
async fn the_end_of_a_connection_is_told() {
    use tokio::io::AsyncWriteExt;
    let mut server = start().await;
    let mut closed = server.handle.closed_flows();
    let mut peer = tokio::net::TcpStream::connect(server.listening[1].1)
        .await
        .unwrap();
    let text = "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:a@x>\r\n\
                Call-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n";
    peer.write_all(text.as_bytes()).await.unwrap();
    let incoming = timeout(PATIENCE, server.requests.recv())
        .await
        .unwrap()
        .unwrap();
    drop(peer);
    let flow = timeout(PATIENCE, closed.recv()).await.unwrap().unwrap();
    assert_eq!(flow, incoming.flow);
}
