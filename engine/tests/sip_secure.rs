//! SIP over TLS, WebSocket and both, on loopback: calls are answered, certificates and subprotocols judged, slow handshakes ended.
#![allow(clippy::unwrap_used)] // a test may panic
use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use trunkline::net::sip::{
    Command, GuardSettings, Guards, Hop, Sip, TcpLimits, Tls, TlsSettings, Transports,
};
use trunkline_sip::{AdmitAll, EndpointConfig, Event, Invite, Transport};

/// Long enough for any machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const DOMAIN: &str = "pbx.example";

/// A certificate authority, and a certificate for [`DOMAIN`] that it signed, as files and in memory.
struct Authority {
    folder: tempfile::TempDir,
    root: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = ca.self_signed(&ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("root.pem", root.pem()),
            ("certificate.pem", leaf.pem()),
            ("key.pem", key.serialize_pem()),
        ] {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        Authority {
            folder,
            root: root.der().clone(),
            leaf: leaf.der().clone(),
            key,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self) -> TlsSettings {
        TlsSettings {
            identity: Some((self.file("certificate.pem"), self.file("key.pem"))),
            ca: Some(self.file("root.pem")),
            ..TlsSettings::default()
        }
    }

    /// A client that believes this authority, with its certificate or without.
    fn client(&self, shows_certificate: bool) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows_certificate {
            true => builder
                .with_client_auth_cert(vec![self.leaf.clone()], self.private_key())
                .unwrap(),
            false => builder.with_no_client_auth(),
        };
        TlsConnector::from(Arc::new(config))
    }

    /// A server with this certificate.
    fn server(&self) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.leaf.clone()], self.private_key())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

async fn start(listen: &[Transport], tls: &TlsSettings, guards: GuardSettings) -> Sip {
    let (sip, _) = start_reloadable(listen, tls, Guards::new(guards)).await;
    sip
}

async fn start_reloadable(
    listen: &[Transport],
    tls: &TlsSettings,
    guards: Arc<Guards>,
) -> (Sip, Arc<Tls>) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let tls = Tls::load(tls).unwrap();
    let transports = Transports {
        listen: listen.iter().map(|transport| (*transport, any)).collect(),
        limits: TcpLimits {
            max_connections: 10,
            idle: PATIENCE,
        },
        tls: Some(tls.clone()),
        guards,
    };
    let config = EndpointConfig::new("Trunkline", [7; 32]);
    let sip = Sip::start_on(transports, config, Box::new(AdmitAll)).await;
    (sip.unwrap(), tls)
}

fn invite(transport: &str) -> String {
    format!(
        "INVITE sip:trunkline@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{transport} client.invalid;rport;branch=z9hG4bK-{transport}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{DOMAIN}>;tag=a\r\nTo: <sip:trunkline@{DOMAIN}>\r\nCall-ID: call-{transport}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:a@client.invalid;transport={}>\r\nContent-Length: 0\r\n\r\n",
        transport.to_ascii_lowercase()
    )
}

async fn tls_to(
    address: SocketAddr,
    connector: &TlsConnector,
) -> std::io::Result<client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(DOMAIN).unwrap();
    connector.connect(name, stream).await
}

/// Reads until the head of a message is complete.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    let mut octet = [0];
    while !text.ends_with("\r\n\r\n") {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut octet)).await;
        let read = read.expect("a message in time").unwrap();
        assert_eq!(read, 1, "connection closed after {text:?}");
        text.push(char::from(octet[0]));
    }
    text
}

/// Waits for the call and answers it.
async fn answer(sip: &mut Sip, secure: bool) {
    let call = tokio::time::timeout(PATIENCE, sip.incoming.recv()).await;
    let call = call.unwrap().unwrap();
    assert_eq!(call.flow.transport.is_secure(), secure);
    sip.handle
        .send(Command::Answer(call.leg, b"v=0\r\n".to_vec(), Vec::new()));
}

#[tokio::test]
async fn a_call_over_tls_is_answered() {
    let authority = Authority::new(DOMAIN);
    let listen = [Transport::Tls];
    let mut sip = start(&listen, &authority.settings(), GuardSettings::default()).await;
    let address = sip.listening[0].1;
    let mut stream = tls_to(address, &authority.client(false)).await.unwrap();
    stream.write_all(invite("TLS").as_bytes()).await.unwrap();
    assert!(head(&mut stream).await.starts_with("SIP/2.0 100 "));
    answer(&mut sip, true).await;
    let ok = head(&mut stream).await;
    assert!(ok.starts_with("SIP/2.0 200 "), "{ok}");
    let contact = format!("@{address};transport=tls>").replace('@', "");
    assert!(ok.contains(&contact), "{ok}");
}

#[tokio::test]
async fn calls_over_ws_and_wss_are_answered() {
    let authority = Authority::new(DOMAIN);
    let listen = [Transport::Ws, Transport::Wss];
    let mut sip = start(&listen, &authority.settings(), GuardSettings::default()).await;
    let (ws, wss) = (sip.listening[0].1, sip.listening[1].1);
    let plain = TcpStream::connect(ws).await.unwrap();
    answered_over_websocket(&mut sip, plain, "WS").await;
    let secure = tls_to(wss, &authority.client(false)).await.unwrap();
    answered_over_websocket(&mut sip, secure, "WSS").await;
}

async fn answered_over_websocket(
    sip: &mut Sip,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    transport: &str,
) {
    let mut request = format!("ws://{DOMAIN}/").into_client_request().unwrap();
    let protocols = "foo, sip".parse().unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocols);
    let (mut socket, response) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
    // A keep-alive in a frame of its own, and a message without Content-Length, which frames make needless (RFC 7118 §5).
    socket.send(Message::text("\r\n\r\n")).await.unwrap();
    let request = invite(transport).replace("Content-Length: 0\r\n", "");
    let frame = match transport {
        "WS" => Message::text(request),
        _ => Message::binary(request.into_bytes()),
    };
    socket.send(frame).await.unwrap();
    socket.send(Message::Ping(vec![1, 2].into())).await.unwrap();
    answer(sip, transport == "WSS").await;
    let (mut seen, mut pong) = (Vec::new(), false);
    while seen.len() < 2 || !pong {
        let next = tokio::time::timeout(PATIENCE, socket.next()).await;
        match next.unwrap().unwrap().unwrap() {
            Message::Text(text) => seen.push(text.to_string()),
            Message::Pong(payload) => pong = payload[..] == [1, 2],
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(seen[0].starts_with("SIP/2.0 100 "), "{seen:?}");
    assert!(seen[1].starts_with("SIP/2.0 200 "), "{seen:?}");
    // RFC 7118 §5.1 has no parameter for WebSocket under TLS.
    assert!(seen[1].contains(";transport=ws>"), "{seen:?}");
}

#[tokio::test]
async fn a_websocket_must_speak_sip_and_keep_to_the_limits() {
    let authority = Authority::new(DOMAIN);
    let listen = [Transport::Ws];
    let sip = start(&listen, &authority.settings(), GuardSettings::default()).await;
    let address = sip.listening[0].1;
    let url = format!("ws://{DOMAIN}/");
    let stream = TcpStream::connect(address).await.unwrap();
    let refused = tokio_tungstenite::client_async(url.as_str(), stream).await;
    match refused.unwrap_err() {
        tungstenite::Error::Http(response) => assert_eq!(response.status(), 400),
        other => panic!("{other}"),
    }
    let mut request = url.into_client_request().unwrap();
    let protocol = "sip".parse().unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", protocol);
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let _ = socket.send(Message::text("x".repeat(65_536))).await;
    let end = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(frame)) = socket.next().await {
            assert!(!matches!(frame, Message::Text(_)), "{frame}");
        }
    });
    end.await.expect("closed in time");
}

#[tokio::test]
async fn with_a_client_authority_only_its_certificates_are_let_in() {
    let authority = Authority::new(DOMAIN);
    let settings = TlsSettings {
        client_ca: Some(authority.file("root.pem")),
        ..authority.settings()
    };
    let listen = [Transport::Tls];
    let sip = start(&listen, &settings, GuardSettings::default()).await;
    let address = sip.listening[0].1;
    for (shows, admitted) in [(true, true), (false, false)] {
        // In TLS 1.3 the client learns of its refusal only when it reads.
        let mut stream = tls_to(address, &authority.client(shows)).await.unwrap();
        let options = invite("TLS").replace("INVITE", "OPTIONS");
        let _ = stream.write_all(options.as_bytes()).await;
        let mut octet = [0];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut octet)).await;
        assert_eq!(matches!(read.unwrap(), Ok(1)), admitted, "shows {shows}");
    }
    let rules = sip.counters.dropped_by();
    assert!(rules.contains(&("tls-handshake", 1)), "{rules:?}");
}

#[tokio::test]
async fn a_certificate_is_exchanged_while_connections_stay() {
    let (old, new) = (Authority::new(DOMAIN), Authority::new(DOMAIN));
    let listen = [Transport::Tls];
    let guards = Guards::new(GuardSettings::default());
    let (sip, tls) = start_reloadable(&listen, &old.settings(), guards).await;
    let address = sip.listening[0].1;
    let mut open = tls_to(address, &old.client(false)).await.unwrap();
    tls.reload(&new.settings()).unwrap();
    assert!(tls_to(address, &old.client(false)).await.is_err());
    tls_to(address, &new.client(false)).await.unwrap();
    open.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    open.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
}

/// Peers that connect and say nothing must not hold their places for long.
#[tokio::test]
async fn half_open_handshakes_are_few() {
    let authority = Authority::new(DOMAIN);
    let listen = [Transport::Tls];
    let guards = GuardSettings {
        connections_per_source: 3,
        ..GuardSettings::default()
    };
    let sip = start(&listen, &authority.settings(), guards).await;
    let address = sip.listening[0].1;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut fourth = TcpStream::connect(address).await.unwrap();
    let mut octet = [0];
    let read = tokio::time::timeout(PATIENCE, fourth.read(&mut octet)).await;
    assert!(matches!(read.expect("closed in time"), Ok(0) | Err(_)));
    // None of the silent ones outlives its 10 s.
    for mut stream in silent {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut octet)).await;
        assert!(matches!(read.expect("closed in time"), Ok(0) | Err(_)));
    }
    let rules = sip.counters.dropped_by();
    let expected = [("tcp-per-source", 1), ("tls-handshake", 3)];
    assert_eq!(rules, expected, "{rules:?}");
    tls_to(address, &authority.client(false)).await.unwrap();
}

async fn call(sip: &Sip, address: SocketAddr) -> trunkline::net::sip::NewLeg {
    let hop = Hop {
        transport: Transport::Tls,
        address,
        server_name: DOMAIN.to_owned(),
    };
    let target = format!("sip:you@{DOMAIN};transport=tls");
    let invite = Invite {
        sdp: Some(b"v=0\r\n".to_vec()),
        ..Invite::new(
            sip.flow_to(&hop).unwrap(),
            target.clone(),
            "sip:me@localhost",
            target,
        )
    };
    sip.handle.invite(invite).await.unwrap()
}

async fn accept(
    listener: &TcpListener,
    acceptor: &TlsAcceptor,
) -> std::io::Result<server::TlsStream<TcpStream>> {
    let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
    let (stream, _) = accepted.expect("a connection in time")?;
    acceptor.accept(stream).await
}

#[tokio::test]
async fn calls_leave_over_tls_to_those_whose_certificate_speaks_for_the_domain() {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let believed = Authority::new(DOMAIN);
    let settings = TlsSettings {
        identity: None,
        ..believed.settings()
    };
    let sip = start(&[Transport::Udp], &settings, GuardSettings::default()).await;
    // The right one: SNI names the domain, the INVITE arrives, and the Contact names our end of the connection.
    let listener = TcpListener::bind(any).await.unwrap();
    let _leg = call(&sip, listener.local_addr().unwrap()).await;
    let mut stream = accept(&listener, &believed.server()).await.unwrap();
    assert_eq!(stream.get_ref().1.server_name(), Some(DOMAIN));
    let request = head(&mut stream).await;
    assert!(request.starts_with("INVITE "), "{request}");
    let from = stream.get_ref().0.peer_addr().unwrap();
    assert!(
        request.contains(&format!("<sip:{from};transport=tls>")),
        "{request} from {from}"
    );
    // Another issuer, and the right issuer with another name: the call fails, and nothing of it was sent.
    let strange = Authority::new(DOMAIN);
    let listener = TcpListener::bind(any).await.unwrap();
    let mut leg = call(&sip, listener.local_addr().unwrap()).await;
    assert!(accept(&listener, &strange.server()).await.is_err());
    let event = tokio::time::timeout(PATIENCE, leg.events.recv()).await;
    let event = event.expect("told in time").unwrap();
    assert!(
        matches!(event, Event::Ended { .. } | Event::Rejected { .. }),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_flood_from_one_source_gets_no_answer_past_its_rate() {
    let authority = Authority::new(DOMAIN);
    let guards = GuardSettings {
        datagrams_per_second: Some(10),
        ..GuardSettings::default()
    };
    let sip = start(&[Transport::Udp], &authority.settings(), guards).await;
    let address = sip.listening[0].1;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let options = invite("UDP").replace("INVITE", "OPTIONS");
    for _ in 0..500 {
        socket.send_to(options.as_bytes(), address).await.unwrap();
    }
    // Another source is served meanwhile; when it is, the flood has been read.
    let other = tokio::net::UdpSocket::bind("127.0.0.2:0").await.unwrap();
    other.send_to(options.as_bytes(), address).await.unwrap();
    let mut buffer = [0; 2048];
    let got = tokio::time::timeout(PATIENCE, other.recv_from(&mut buffer)).await;
    assert!(got.is_ok(), "the other source got no answer");
    let rules = sip.counters.dropped_by();
    let (rule, dropped) = rules[0];
    assert_eq!(rule, "rate-limit");
    // 20 pass at once, and those for which a token came back while they were read.
    assert!(dropped > 0 && dropped <= 480, "{dropped}");
}

async fn from(source: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .is_ok()
}

/// Its open connection ends with its next message; another source is served.
#[tokio::test]
async fn a_banned_source_is_cut_off() {
    let guards = Guards::new(GuardSettings::default());
    let tls = TlsSettings::default();
    let (sip, _) = start_reloadable(&[Transport::Tcp], &tls, guards.clone()).await;
    let address = sip.listening[0].1;
    let options = invite("TCP").replace("INVITE", "OPTIONS");
    let mut open = from([127, 0, 0, 77], address).await;
    open.write_all(options.as_bytes()).await.unwrap();
    assert!(head(&mut open).await.starts_with("SIP/2.0 200 "));
    let minute = Duration::from_secs(60);
    let source = [127, 0, 0, 77].into();
    guards.bans().ban(std::time::Instant::now(), source, minute);
    open.write_all(options.as_bytes()).await.unwrap();
    assert!(is_closed(&mut open).await);
    assert!(is_closed(&mut from([127, 0, 0, 77], address).await).await);
    let mut other = from([127, 0, 0, 78], address).await;
    other.write_all(options.as_bytes()).await.unwrap();
    assert!(head(&mut other).await.starts_with("SIP/2.0 200 "));
    let rules = sip.counters.dropped_by();
    assert_eq!(rules, [("banned", 2)]);
    guards.bans().lift(source);
    let mut again = from([127, 0, 0, 77], address).await;
    again.write_all(options.as_bytes()).await.unwrap();
    assert!(head(&mut again).await.starts_with("SIP/2.0 200 "));
}

/// What ends a connection has a counter with the rule's name.
#[tokio::test]
async fn what_is_no_sip_ends_the_connection_and_is_counted() {
    let guards = GuardSettings::default();
    let sip = start(&[Transport::Tcp], &TlsSettings::default(), guards).await;
    let mut noise = TcpStream::connect(sip.listening[0].1).await.unwrap();
    noise
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    assert!(is_closed(&mut noise).await);
    let counted = async {
        while !sip.counters.dropped_by().contains(&("tcp-framing", 1)) {
            tokio::task::yield_now().await;
        }
    };
    let counted = tokio::time::timeout(PATIENCE, counted).await;
    assert!(counted.is_ok(), "{:?}", sip.counters.dropped_by());
}
