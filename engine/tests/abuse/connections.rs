//! Connections that nobody needs: thousands of idle ones, TLS handshakes that stop half-way, messages that come an octet at a time.
use crate::caller::{Caller, ask, status};
use crate::flood::{dropped, rss_kib, source};
use crate::server::{PATIENCE, Server, Settings, free_port, own_address};
use crate::wire::Answer::Status;
use crate::wire::{Connection, number, probe};
use rcgen::{CertificateParams, KeyPair};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What one idle connection may hold: its task, a buffer to read into, and what the system's allocator rounds up.
const CONNECTION_KIB: i64 = 24;
/// Descriptors of this process and of the server that are for other things.
const OTHER_DESCRIPTORS: usize = 500;

/// Connects from an address.
fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::new(from.into(), 0).into())
        .unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the server has closed it; waits until it knows.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Whether an OPTIONS on a connection is answered.
fn serves(server: &Server) {
    let mut peer = Connection::new(server);
    let (own, after) = (number(), number());
    peer.send(&[probe(own), probe(after)].concat());
    assert!(peer.judge("an OPTIONS over TCP", own, after, Status(200)));
}

/// As many as descriptors allow, up to 10,000.
fn many() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let allowed = limit.current.map_or(usize::MAX, |limit| limit as usize);
    allowed.saturating_sub(OTHER_DESCRIPTORS).min(10_000)
}

#[test]
fn thousands_of_idle_connections_are_bounded_in_all_and_per_source() {
    let many = many();
    let places = many / 2;
    let server = Server::with(Settings {
        sip_extra: format!("t1_ms = 10\ntcp_max_connections = {places}"),
        callers: "[security]\ntcp_per_source = 50\n[[number]]\nto = \"open\"\nfrom = [\"anyone\"]\nflow = \"builtin:demo\"\n".into(),
        ..Settings::default()
    });
    let before = rss_kib(server.pid());
    let sip = server.sip();
    // One source with more than its share.
    let mut own: Vec<TcpStream> = (0..60).map(|_| connect(source(60_000), sip)).collect();
    server.wait_metrics("ten are turned away", |metrics| {
        dropped(metrics, "tcp-per-source") == 10.0
    });
    // Many sources with little each.
    let mut open: Vec<TcpStream> = (0..many - 60)
        .map(|number| connect(source(number as u32 / 40), sip))
        .collect();
    let refused = (many - 60 + 50 - places) as f64;
    let metrics = server.wait_metrics("the rest is turned away", |metrics| {
        dropped(metrics, "tcp-max-connections") == refused
    });
    assert_eq!(metrics.sum("trunkline_sip_connections"), places as f64);
    let grown = rss_kib(server.pid()) - before;
    assert!(
        grown < places as i64 * CONNECTION_KIB,
        "{grown} KiB for {places} idle connections"
    );
    // Those that were turned away know it, and UDP is served as ever.
    assert!(is_closed(own.last_mut().unwrap()) && is_closed(open.last_mut().unwrap()));
    let answer = Caller::at(own_address(), sip).asks(&ask("OPTIONS", "open", "x"));
    assert_eq!(status(&answer), 200, "{answer}");
    // When some go, others are served.
    open.truncate(10);
    own.clear();
    server.wait_metrics("places are free", |metrics| {
        metrics.sum("trunkline_sip_connections") <= 10.0
    });
    serves(&server);
    drop(open);
    server.wait_idle();
}

/// A server with TLS and room for 40 connections, so for 16 handshakes at once.
fn tls_server(folder: &std::path::Path) -> (Server, SocketAddr) {
    let ip = own_address();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([ip.to_string()]).unwrap();
    let (certificate, secret) = (folder.join("sip.pem"), folder.join("sip.key"));
    std::fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&secret, key.serialize_pem()).unwrap();
    let port = free_port(ip);
    let settings = Settings::default();
    let server = Server::with(Settings {
        ip,
        listen_extra: vec![format!("tls:{ip}:{port}")],
        sip_extra: "t1_ms = 10\ntcp_max_connections = 40".into(),
        // Strangers: the handshakes of trunks are not counted.
        callers: format!(
            "[tls]\ncertificate = {certificate:?}\nkey = {secret:?}\n[security]\ntcp_per_source = 100\n\
             [[number]]\nto = \"open\"\nfrom = [\"anyone\"]\nflow = \"builtin:demo\"\n"
        ),
        ..settings
    });
    (server, SocketAddr::new(ip.into(), port))
}

#[test]
fn half_open_tls_and_octets_one_by_one_are_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let (server, tls) = tls_server(folder.path());
    // A message that is never complete, an octet now and then.
    let mut slow = TcpStream::connect(server.sip()).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    slow.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nX: ").unwrap();
    // Thirty that begin a handshake, some with the first octets of a ClientHello.
    let mut half: Vec<TcpStream> = (0..30).map(|_| TcpStream::connect(tls).unwrap()).collect();
    for stream in half.iter_mut().step_by(2) {
        let _ = stream.write_all(&[22, 3, 1, 0, 200, 1, 0]);
    }
    server.wait_metrics("those beyond sixteen are turned away", |metrics| {
        dropped(metrics, "half-open-connections") == 14.0
    });
    serves(&server);
    // What is no TLS at all ends at once, once there is room; the others when their 10 s are over.
    server.wait_metrics("the handshakes end", |metrics| {
        dropped(metrics, "tls-handshake") == 16.0
    });
    for stream in &mut half {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(is_closed(stream));
    }
    let begun = Instant::now();
    while !is_closed(&mut slow) {
        assert!(begun.elapsed() < PATIENCE, "the slow one is still there");
        if slow.write_all(b"a").is_err() {
            break;
        }
    }
    let metrics = server.wait_metrics("the slow one is let go", |metrics| {
        dropped(metrics, "message-time") == 1.0
    });
    assert_eq!(dropped(&metrics, "tls-handshake"), 16.0);
    serves(&server);
    server.wait_idle();
}
