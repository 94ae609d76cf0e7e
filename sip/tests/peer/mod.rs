//! A hand-made peer of a client endpoint: it answers the INVITE, and whatever follows, as a test likes.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses its own part

use crate::network::{SDP, config};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_sip::{
    Counts, Endpoint, EndpointConfig, Event, Flow, Frame, HeaderId, Invite, LegId, Transport,
};

/// A client endpoint under test.
pub struct Peer {
    pub endpoint: Endpoint,
    pub now: Instant,
    pub flow: Flow,
    pub leg: LegId,
    pub invite: String,
}

impl Peer {
    /// An endpoint that calls, and its INVITE.
    pub fn called(sdp: bool) -> Self {
        let flow = Flow {
            transport: Transport::Udp,
            local: SocketAddr::from(([10, 0, 0, 1], 5060)),
            remote: SocketAddr::from(([10, 0, 0, 2], 5060)),
            connection: 0,
        };
        let to = "sip:b@10.0.0.2";
        let invite = Invite {
            sdp: sdp.then(|| SDP.to_vec()),
            routes: vec!["<sip:10.0.0.2;lr>".into()],
            ..Invite::new(flow, to, "sip:a@10.0.0.1", "<sip:b@10.0.0.2>")
        };
        Self::calling(config(1), invite)
    }

    /// An endpoint that makes this call.
    pub fn calling(config: EndpointConfig, invite: Invite) -> Self {
        let mut endpoint = Endpoint::new(config);
        let (now, flow) = (Instant::now(), invite.flow);
        let leg = endpoint.invite(now, invite).unwrap();
        let sent = endpoint.poll_transmit().unwrap();
        let invite = String::from_utf8_lossy(&sent.bytes).into_owned();
        Self {
            endpoint,
            now,
            flow,
            leg,
            invite,
        }
    }

    /// A response of the fork `tag` to our INVITE.
    pub fn respond(&mut self, status: u16, tag: &str, extra: &str) -> Vec<String> {
        let invite = self.invite.clone();
        self.respond_to(&invite, status, tag, extra)
    }

    pub fn respond_to(
        &mut self,
        request: &str,
        status: u16,
        tag: &str,
        extra: &str,
    ) -> Vec<String> {
        let frame = Frame::parse(request.as_bytes()).unwrap();
        let value = |id| String::from_utf8_lossy(frame.header(id).unwrap_or_default()).into_owned();
        let to = if tag.is_empty() {
            String::new()
        } else {
            format!(";tag={tag}")
        };
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: {}\r\nFrom: {}\r\nTo: {}{to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{extra}\
             Contact: <sip:{tag}@10.0.0.2:5062>\r\nContent-Length: 0\r\n\r\n",
            value(HeaderId::Via),
            value(HeaderId::From),
            value(HeaderId::To),
            value(HeaderId::CallId),
            value(HeaderId::Cseq),
        );
        self.endpoint.receive(self.now, self.flow, text.as_bytes());
        self.sent()
    }

    pub fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|transmit| String::from_utf8_lossy(&transmit.bytes).into_owned())
            .collect()
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    pub fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(next) = self.endpoint.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = end;
    }

    pub fn drain(mut self) {
        self.pass(400_000);
        assert_eq!(self.endpoint.counts(), Counts::default());
    }
}

pub fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
