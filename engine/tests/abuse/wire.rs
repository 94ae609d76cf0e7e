//! A peer that sends any octets at all and books each answer to the message that caused it.
//!
//! Messages carry a number in every branch and Call-ID; it comes back in the answer whatever else is broken.
use crate::server::{PATIENCE, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One final status, and the connection lives on.
    Status(u16),
    /// Nothing.
    Silence,
    /// The connection is closed, after this status if there is one. Never over UDP.
    Closed(Option<u16>),
}

impl Answer {
    fn status(self) -> Option<u16> {
        match self {
            Answer::Status(status) => Some(status),
            Answer::Silence => None,
            Answer::Closed(status) => status,
        }
    }
}

/// A number nobody else has.
pub(crate) fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Puts the number into every branch and Call-ID of a message of this suite (`z9hG4bK…`, `torture.…@`).
pub(crate) fn numbered(octets: &[u8], number: u32) -> Vec<u8> {
    let branch = format!("z9hG4bK{number:07}x");
    let mut marked = replaced(octets, b"z9hG4bK", branch.as_bytes());
    for call in ["torture.1@", "torture.2@"] {
        let own = format!("torture.{number:07}@");
        marked = replaced(&marked, call.as_bytes(), own.as_bytes());
    }
    marked
}

fn replaced(octets: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + 64);
    let mut rest = octets;
    while let Some(at) = find(rest, what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(by);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}

pub(crate) fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(octets, what)
}

/// The number a message of the server belongs to.
fn number_of(message: &[u8]) -> Option<u32> {
    [&b"torture."[..], b"z9hG4bK"].iter().find_map(|mark| {
        let at = find(message, mark)? + mark.len();
        std::str::from_utf8(message.get(at..at + 7)?)
            .ok()?
            .parse()
            .ok()
    })
}

fn status_of(message: &[u8]) -> u16 {
    let code = message
        .strip_prefix(b"SIP/2.0 ")
        .and_then(|rest| rest.get(..3));
    let code = code.unwrap_or_else(|| panic!("not a response: {}", message.escape_ascii()));
    std::str::from_utf8(code).unwrap().parse().unwrap()
}

/// Which final statuses came for which number.
#[derive(Debug, Default)]
pub(crate) struct Book(BTreeMap<u32, BTreeSet<u16>>);

impl Book {
    fn enter(&mut self, message: &[u8]) {
        if message.starts_with(b"BYE ") {
            return; // the end of a call that nobody confirmed
        }
        let status = status_of(message);
        if status >= 200 {
            let number = number_of(message)
                .unwrap_or_else(|| panic!("whose answer is this? {}", message.escape_ascii()));
            self.0.entry(number).or_default().insert(status);
        }
    }

    fn has(&self, number: u32) -> bool {
        self.0.contains_key(&number)
    }

    /// Exactly what was expected, and nothing else.
    #[track_caller]
    pub(crate) fn check(&self, what: &str, number: u32, expected: Answer) {
        let got: Vec<u16> = self.0.get(&number).into_iter().flatten().copied().collect();
        let wanted: Vec<u16> = expected.status().into_iter().collect();
        assert_eq!(got, wanted, "{what}");
    }
}

/// An OPTIONS that must be answered with 200.
pub(crate) fn probe(number: u32) -> Vec<u8> {
    let text = format!(
        "OPTIONS sip:probe@example.org SIP/2.0\r\nVia: SIP/2.0/UDP probe.example.org;branch=z9hG4bK{number:07}x;rport\r\n\
         From: <sip:probe@example.org>;tag=p\r\nTo: <sip:probe@example.org>\r\nCall-ID: torture.{number:07}@probe\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    text.into_bytes()
}

/// A UDP peer at port 5060, where answers go to whose Via says nothing else (RFC 3261 18.2.2).
pub(crate) struct Datagrams {
    socket: UdpSocket,
    server: SocketAddr,
    pub(crate) book: Book,
}

impl Datagrams {
    pub(crate) fn new(ip: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 5060)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            server,
            book: Book::default(),
        }
    }

    /// Sends a message and an OPTIONS after it; returns when the OPTIONS is answered, and the message too, if it shall be.
    #[track_caller]
    pub(crate) fn exchange(&mut self, what: &str, octets: &[u8], expected: Answer) -> u32 {
        let (own, after) = (number(), number());
        let message = numbered(octets, own);
        self.socket.send_to(&message, self.server).unwrap();
        self.socket.send_to(&probe(after), self.server).unwrap();
        let awaits = expected.status().is_some();
        while !self.book.has(after) || (awaits && !self.book.has(own)) {
            self.receive(what);
        }
        self.book.check(what, own, expected);
        self.book
            .check("the OPTIONS after it", after, Answer::Status(200));
        own
    }

    fn receive(&mut self, what: &str) {
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer);
        let length = length.unwrap_or_else(|error| panic!("{what}: no answer: {error}"));
        self.book.enter(&buffer[..length]);
    }

    /// Takes what has come late.
    pub(crate) fn drain(&mut self) {
        let mut buffer = vec![0; 65_536];
        self.socket.set_nonblocking(true).unwrap();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            self.book.enter(&buffer[..length]);
        }
        self.socket.set_nonblocking(false).unwrap();
    }
}

/// A TCP connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.sip()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Writes one segment. A server that has closed already is no error here.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets);
    }

    /// The next message; `None` at the end of the connection.
    fn receive(&mut self, what: &str) -> Option<Vec<u8>> {
        loop {
            while self.buffer.starts_with(b"\r\n") {
                self.buffer.drain(..2); // the answer to a ping
            }
            if let Some(head) = find(&self.buffer, b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
                let length = text.split("content-length: ").nth(1).unwrap();
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                if self.buffer.len() >= head + 4 + length {
                    return Some(self.buffer.drain(..head + 4 + length).collect());
                }
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{what}: no answer: {error}"),
            }
        }
    }

    /// Reads until the answer to `after`, and one to `own` if there shall be one, or the end; checks them. Whether it lives on.
    #[track_caller]
    pub(crate) fn judge(&mut self, what: &str, own: u32, after: u32, expected: Answer) -> bool {
        let mut book = Book::default();
        let awaits = expected.status().is_some();
        let mut alive = true;
        while alive && (!book.has(after) || (awaits && !book.has(own))) {
            match self.receive(what) {
                Some(message) => book.enter(&message),
                None => alive = false,
            }
        }
        book.check(what, own, expected);
        assert_eq!(
            alive,
            !matches!(expected, Answer::Closed(_)),
            "{what}: whether the connection lives on"
        );
        if alive {
            book.check("the OPTIONS after it", after, Answer::Status(200));
        }
        alive
    }
}
