//! A bare endpoint under test: octets in, octets out, made-up time. One peer at 10.0.0.1 sends to 10.0.0.2.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses its own part

use crate::network::{SDP, config};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_sip::{Counts, Endpoint, EndpointConfig, Event, Flow, LegId, Transport};

/// An endpoint and the octets it sends.
pub struct Probe {
    pub endpoint: Endpoint,
    pub now: Instant,
    pub flow: Flow,
}

impl Probe {
    pub fn new() -> Self {
        Self::with(config(1), Transport::Udp)
    }

    pub fn with(config: EndpointConfig, transport: Transport) -> Self {
        let flow = Flow {
            transport,
            local: SocketAddr::from(([10, 0, 0, 2], 5060)),
            remote: SocketAddr::from(([10, 0, 0, 1], 5060)),
            connection: u64::from(transport.is_reliable()),
        };
        Self {
            endpoint: Endpoint::new(config),
            now: Instant::now(),
            flow,
        }
    }

    /// Hands in a request; what is sent in return, 100 left out.
    pub fn tell(&mut self, request: &str) -> Vec<String> {
        self.endpoint
            .receive(self.now, self.flow, request.as_bytes());
        self.sent()
            .into_iter()
            .filter(|text| !text.starts_with("SIP/2.0 100"))
            .collect()
    }

    pub fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|transmit| String::from_utf8_lossy(&transmit.bytes).into_owned())
            .collect()
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    pub fn leg(&mut self) -> LegId {
        match &self.events()[..] {
            [Event::Invite { leg, .. }] => *leg,
            other => panic!("{other:?}"),
        }
    }

    pub fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(next) = self.endpoint.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// Answers a call and takes its ACK; the leg and the To tag.
    pub fn talk(&mut self, invite: &str) -> (LegId, String) {
        assert!(self.tell(invite).is_empty());
        let leg = self.leg();
        self.endpoint.answer(self.now, leg, SDP, &[]);
        let tag = tag_of(&self.sent()[0]);
        let ack = request("ACK", "z9hG4bKack", &format!(";tag={tag}"), 1, "", "");
        assert!(self.tell(&ack).is_empty());
        assert!(matches!(self.events()[..], [Event::Confirmed { .. }]));
        (leg, tag)
    }

    /// Lets all timers run out and demands empty tables.
    pub fn drain(mut self) {
        self.pass(400_000);
        assert_eq!(self.endpoint.counts(), Counts::default());
    }
}

pub fn request(
    method: &str,
    branch: &str,
    to_tag: &str,
    cseq: u32,
    extra: &str,
    body: &str,
) -> String {
    let kind = if body.is_empty() || extra.contains("Content-Type") {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "{method} sip:demo@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch={branch}\r\n\
         From: <sip:a@10.0.0.1>;tag=from\r\nTo: <sip:demo@10.0.0.2>{to_tag}\r\nCall-ID: call@10.0.0.1\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:a@10.0.0.1:5060>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn invite(extra: &str) -> String {
    request("INVITE", "z9hG4bK1", "", 1, extra, "v=0\r\n")
}

pub fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

pub fn tag_of(response: &str) -> String {
    field(response, "To")
        .and_then(|to| to.split(";tag=").nth(1))
        .unwrap()
        .to_owned()
}
