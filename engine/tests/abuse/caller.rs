//! A SIP peer at an address of its own that sends one request at a time and reads its answer.
use crate::server::PATIENCE;
use crate::wire::number;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use trunkline_sip::{Credentials, Frame, HeaderId, Realm};

/// See the module.
pub(crate) struct Caller {
    socket: UdpSocket,
    server: SocketAddr,
}

/// A request. The same one sent again has another branch and a higher CSeq, unless it is the very same text.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) to: String,
    pub(crate) from: String,
    /// Header lines.
    pub(crate) lines: String,
}

pub(crate) fn ask(method: &'static str, to: &str, from: &str) -> Ask {
    Ask {
        method,
        to: to.into(),
        from: from.into(),
        lines: String::new(),
    }
}

impl Ask {
    pub(crate) fn with(&self, line: &str) -> Ask {
        let mut more = self.clone();
        more.lines += line;
        more.lines += "\r\n";
        more
    }

    pub(crate) fn text(&self) -> String {
        let Ask {
            method,
            to,
            from,
            lines,
        } = self;
        let number = number();
        format!(
            "{method} sip:{to}@pbx SIP/2.0\r\nVia: SIP/2.0/UDP c;branch=z9hG4bK{number:07}x;rport\r\nFrom: <sip:{from}@pbx>;tag=f\r\n\
             To: <sip:{to}@pbx>\r\nCall-ID: torture.{number:07}@abuse\r\nCSeq: {number} {method}\r\nContact: <sip:{from}@127.0.0.1:9>\r\n\
             Max-Forwards: 70\r\n{lines}Content-Length: 0\r\n\r\n"
        )
    }
}

impl Caller {
    pub(crate) fn at(ip: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, server }
    }

    pub(crate) fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).unwrap();
    }

    /// The final answer to a text just sent.
    #[track_caller]
    pub(crate) fn answer(&self, text: &str) -> String {
        let call = text.split("Call-ID: ").nth(1).unwrap();
        let call = call.lines().next().unwrap();
        let mut buffer = [0; 65_536];
        loop {
            let length = self.socket.recv(&mut buffer);
            let length = length.unwrap_or_else(|error| panic!("no answer: {error}\n{text}"));
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if answer.contains(call) && !answer.starts_with("SIP/2.0 1") {
                return answer;
            }
        }
    }

    #[track_caller]
    pub(crate) fn asks(&self, ask: &Ask) -> String {
        let text = ask.text();
        self.send(&text);
        self.answer(&text)
    }

    /// Asks as a user agent does over a net that is flooded: again each half second, until there is an answer (RFC 3261 17.1.2.2).
    #[track_caller]
    pub(crate) fn asks_again(&self, ask: &Ask) -> String {
        let text = ask.text();
        let mut buffer = [0; 65_536];
        self.socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            self.send(&text);
            if let Ok(length) = self.socket.recv(&mut buffer) {
                return String::from_utf8_lossy(&buffer[..length]).into_owned();
            }
        }
        panic!("never answered: {text}");
    }

    /// Asks, answers the challenge; returns the line it answered with, and the answer to that.
    #[track_caller]
    pub(crate) fn asks_as(&self, ask: &Ask, user: &str, password: &str) -> (String, String) {
        let challenge = self.asks(ask);
        assert_eq!(status(&challenge), 401, "{challenge}");
        let line = authorization(&challenge, ask, user, password);
        let answer = self.asks(&ask.with(&line));
        (line, answer)
    }
}

/// The answer to a challenge.
pub(crate) fn authorization(challenge: &str, ask: &Ask, user: &str, password: &str) -> String {
    let credentials = Credentials::new(user, password, Realm::first_seen());
    let frame = Frame::parse(challenge.as_bytes()).unwrap();
    let uri = format!("sip:{}@pbx", ask.to);
    let (name, value) = credentials
        .answer(&frame, ask.method, &uri, "cnonce")
        .unwrap();
    assert_eq!(name, HeaderId::Authorization);
    format!("Authorization: {value}")
}

pub(crate) fn status(answer: &str) -> u16 {
    answer[8..11].parse().unwrap()
}
