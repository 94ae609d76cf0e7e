//! A script of octets played against an [`Endpoint`]: a hand-made peer, an application and the clock take turns.
//!
//! Checked: no panic; every message sent is valid; tables stay within their limits; each leg has exactly one last
//! event and none after it; and once everything is hung up and time has passed, nothing is left.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_sip::{
    Counts, Credentials, Endpoint, EndpointConfig, Event, Flow, Frame, HeaderId, Invite, LegId,
    Method, Notifies, Origin, OutContact, OutRequest, Realm, ReferId, ReferTo, Reliability,
    RequestId, SessionTimer, StartLine, Transport,
};

/// Longest script in octets; more adds time, not cases.
const MAX_SCRIPT: usize = 4_096;
const MAX_LEGS: usize = 4;
const MAX_TRANSACTIONS: usize = 32;
const MAX_SUBSCRIPTIONS: usize = 3;
/// BYE, CANCEL and the taking back of forks go out whatever the load: per leg and per INVITE a bounded number.
const SLACK: usize = 256;
const SDP: &[u8] = b"v=0\r\n";
const METHODS: [&str; 13] = [
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "JUMP", "REGISTER", "MESSAGE",
    "PRACK", "REFER", "NOTIFY",
];
const STATUSES: [u16; 14] = [
    100, 180, 183, 200, 202, 302, 401, 408, 481, 486, 491, 500, 405, 422,
];
/// What a peer's request may say besides.
const EXTRAS: [&str; 8] = [
    "",
    "Supported: 100rel, timer\r\nAllow: INVITE, UPDATE\r\n",
    "Require: 100rel\r\n",
    "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n",
    "Session-Expires: 100;refresher=uas\r\nAllow: INVITE, UPDATE\r\n",
    "Supported: timer\r\nSession-Expires: 5\r\n",
    "Refer-To: <sip:c@h?Replaces=x%3Bto-tag%3Da%3Bfrom-tag%3Db>\r\nEvent: refer\r\n",
    "Refer-To: <sip:c@h>\r\nRefer-Sub: false\r\nEvent: refer\r\nSubscription-State: terminated\r\n",
];

/// Plays one script. Each step is one octet of what to do, followed by the octets it takes.
pub fn endpoint(script: &[u8]) {
    let mut play = Play::new(&script[..script.len().min(MAX_SCRIPT)]);
    while let Some(step) = play.octet() {
        play.step(step);
        play.settle();
    }
    play.finish();
}

struct Play<'a> {
    script: &'a [u8],
    endpoint: Endpoint,
    now: Instant,
    flow: Flow,
    legs: HashMap<LegId, bool>,
    live: Vec<LegId>,
    asked: HashSet<RequestId>,
    credentials: Arc<Credentials>,
    infos: Vec<(LegId, trunkline_sip::InfoId)>,
    refers: Vec<(LegId, ReferId)>,
    /// The latest RSeq the endpoint sent.
    rseq: u32,
    /// Requests the endpoint sent and the peer may answer.
    requests: Vec<Vec<u8>>,
    /// The latest To tag the endpoint gave to a call of the peer.
    tags: HashMap<u8, String>,
    branch: u32,
}

impl<'a> Play<'a> {
    fn new(script: &'a [u8]) -> Self {
        let config = EndpointConfig {
            max_legs: MAX_LEGS,
            max_transactions: MAX_TRANSACTIONS,
            notifies: Some(Notifies {
                package: "message-summary",
                content_type: "text/plain",
                most: MAX_SUBSCRIPTIONS,
            }),
            session_timer: script
                .first()
                .is_some_and(|octet| octet & 2 == 2)
                .then_some(SessionTimer {
                    expires_s: 120,
                    min_se_s: 90,
                }),
            ..EndpointConfig::new("Trunkline", [7; 32])
        };
        let transport = if script.first().is_some_and(|octet| octet & 1 == 1) {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        Self {
            script: script.get(1..).unwrap_or_default(),
            endpoint: Endpoint::new(config),
            now: Instant::now(),
            flow: Flow {
                transport,
                local: SocketAddr::from(([10, 0, 0, 2], 5060)),
                remote: SocketAddr::from(([10, 0, 0, 1], 5060)),
                connection: 1,
            },
            legs: HashMap::new(),
            live: Vec::new(),
            asked: HashSet::new(),
            credentials: Arc::new(Credentials::new("b", "secret", Realm::first_seen())),
            infos: Vec::new(),
            refers: Vec::new(),
            rseq: 0,
            requests: Vec::new(),
            tags: HashMap::new(),
            branch: 0,
        }
    }

    fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.script.split_first()?;
        self.script = rest;
        Some(*first)
    }

    fn pick(&mut self) -> usize {
        usize::from(self.octet().unwrap_or_default())
    }

    fn step(&mut self, step: u8) {
        match step % 16 {
            0..=3 => self.peer_requests(),
            4 | 5 => self.peer_responds(),
            6 => self.callee_requests(),
            7 => self.peer_raves(),
            8 => self.pass(Duration::from_millis(
                self.script
                    .first()
                    .copied()
                    .map_or(1, |octet| u64::from(octet) * 10),
            )),
            9 => self.pass(Duration::from_secs(
                self.script.first().copied().map_or(1, u64::from),
            )),
            10 => self.call(),
            12 => self.ask(),
            13 => self.peer_subscribes(),
            11 => {
                self.endpoint.transport_failed(self.now, self.flow);
            }
            _ => self.application(),
        }
    }

    /// A well-formed request of one of the peer's calls; its CSeq and branch may be old or new.
    fn peer_requests(&mut self) {
        let (method, call, turn) = (
            METHODS[self.pick() % METHODS.len()],
            (self.pick() % 6) as u8,
            self.pick(),
        );
        if turn & 1 == 0 {
            self.branch += 1;
        }
        let to = match self.tags.get(&call).filter(|_| turn & 2 == 0) {
            Some(tag) => format!(";tag={tag}"),
            None => String::new(),
        };
        let extra = EXTRAS[self.pick() % EXTRAS.len()];
        let described = ["INVITE", "UPDATE", "PRACK"].contains(&method);
        let body = if described && turn & 4 == 0 {
            "v=0\r\n"
        } else {
            ""
        };
        let text = format!(
            "{method} sip:x@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{}\r\nFrom: <sip:a@h>;tag=f\r\n\
             To: <sip:b@h>{to}\r\nCall-ID: c{call}\r\nCSeq: {} {method}\r\nContact: <sip:a@10.0.0.1>\r\n{extra}\
             RAck: {} 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            self.branch,
            turn >> 3,
            self.rseq,
            body.len()
        );
        self.endpoint.receive(self.now, self.flow, text.as_bytes());
    }

    /// A SUBSCRIBE of one of four dialogs, or news for those who subscribed.
    fn peer_subscribes(&mut self) {
        let (call, turn) = ((self.pick() % 4) as u8 + 6, self.pick());
        if turn & 1 == 1 {
            for each in self.endpoint.subscribers("t") {
                let body = (turn & 2 == 0).then(|| vec![b'0' + call]);
                self.endpoint.notify(self.now, each.id, body);
            }
            return;
        }
        let to = match self.tags.get(&call).filter(|_| turn & 2 == 0) {
            Some(tag) => format!(";tag={tag}"),
            None => String::new(),
        };
        self.branch += 1;
        let expires = ["0", "59", "60", "x"][turn >> 2 & 3];
        let text = format!(
            "SUBSCRIBE sip:x@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{}\r\nFrom: <sip:a@h>;tag=f\r\n\
             To: <sip:b@h>{to}\r\nCall-ID: c{call}\r\nCSeq: {} SUBSCRIBE\r\nContact: <sip:a{}@10.0.0.1>\r\n\
             Event: message-summary;id=7\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n",
            self.branch,
            self.branch,
            turn >> 4
        );
        self.endpoint.receive(self.now, self.flow, text.as_bytes());
    }

    /// A response to one of the endpoint's requests.
    fn peer_responds(&mut self) {
        let (which, status, tag) = (
            self.pick(),
            STATUSES[self.pick() % STATUSES.len()],
            self.pick() % 20,
        );
        if self.requests.is_empty() {
            return;
        }
        let request = self.requests[self.requests.len() - 1 - which % self.requests.len()].clone();
        let Ok(frame) = Frame::parse(&request) else {
            return;
        };
        let tag = frame
            .to()
            .ok()
            .filter(|to| to.tag().is_none())
            .map(|_| format!(";tag=t{tag}"))
            .unwrap_or_default();
        let value = |id| String::from_utf8_lossy(frame.header(id).unwrap_or_default()).into_owned();
        let challenge = match status {
            401 => {
                "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", stale=true\r\n"
            }
            _ => "",
        };
        let extra = match self.pick() % 6 {
            1 => "Allow: INVITE, UPDATE\r\nSession-Expires: 90;refresher=uac\r\n".to_owned(),
            2 => "Session-Expires: 120;refresher=uas\r\nRefer-Sub: false\r\n".to_owned(),
            3 => "Min-SE: 1000\r\n".to_owned(),
            4 | 5 => format!(
                "Require: 100rel\r\nRSeq: {}\r\nAllow: UPDATE\r\n",
                which % 8
            ),
            _ => String::new(),
        };
        let body = if status < 300 && which & 8 == 8 {
            "v=0\r\n"
        } else {
            ""
        };
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:t@10.0.0.1>\r\n{challenge}{extra}\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            value(HeaderId::Via),
            value(HeaderId::From),
            value(HeaderId::To),
            value(HeaderId::CallId),
            value(HeaderId::Cseq),
            body.len(),
        );
        self.endpoint.receive(self.now, self.flow, text.as_bytes());
    }

    /// A request of the peer within a call the endpoint placed, from one of its forks.
    fn callee_requests(&mut self) {
        let (method, which, tag) = (
            METHODS[self.pick() % METHODS.len()],
            self.pick(),
            self.pick() % 20,
        );
        let invites: Vec<_> = self
            .requests
            .iter()
            .filter(|request| request.starts_with(b"INVITE"))
            .cloned()
            .collect();
        let Some(invite) = invites.get(which % invites.len().max(1)) else {
            return;
        };
        let Ok(frame) = Frame::parse(invite) else {
            return;
        };
        let value = |id| String::from_utf8_lossy(frame.header(id).unwrap_or_default()).into_owned();
        let to = value(HeaderId::To);
        let from = if to.contains("tag=") {
            to
        } else {
            format!("{to};tag=t{tag}")
        };
        self.branch += 1;
        let extra = EXTRAS[which % EXTRAS.len()];
        let body = if ["INVITE", "UPDATE"].contains(&method) && tag & 1 == 1 {
            "v=0\r\n"
        } else {
            ""
        };
        let text = format!(
            "{method} sip:a@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{branch}\r\nFrom: {from}\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {branch} {method}\r\nContact: <sip:b@10.0.0.1>\r\n{extra}\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            value(HeaderId::From),
            value(HeaderId::CallId),
            body.len(),
            branch = self.branch,
        );
        self.endpoint.receive(self.now, self.flow, text.as_bytes());
    }

    /// Octets of the script as they are.
    fn peer_raves(&mut self) {
        let length = (self.pick() * 8).min(self.script.len());
        let (octets, rest) = self.script.split_at(length);
        self.script = rest;
        self.endpoint.receive(self.now, self.flow, octets);
    }

    fn call(&mut self) {
        let kind = self.pick();
        let sdp = (kind & 1 == 0).then(|| SDP.to_vec());
        let to = "sip:b@10.0.0.1";
        let invite = Invite {
            sdp,
            credentials: (kind & 2 == 2).then(|| Arc::clone(&self.credentials)),
            reliable: (kind & 4 == 4).then_some(Reliability::Required),
            ..Invite::new(self.flow, to, "sip:a@10.0.0.2", to)
        };
        if let Ok(leg) = self.endpoint.invite(self.now, invite) {
            self.legs.insert(leg, false);
            self.live.push(leg);
        }
    }

    /// A request of the application's own.
    fn ask(&mut self) {
        let to = "sip:b@10.0.0.1";
        let request = OutRequest {
            contact: Some(OutContact::default()),
            credentials: Some(Arc::clone(&self.credentials)),
            ..OutRequest::new(self.flow, "REGISTER", "sip:10.0.0.1", to, to)
        };
        if let Ok(id) = self.endpoint.request(self.now, request) {
            assert!(self.asked.insert(id), "a name used twice");
        }
    }

    /// One thing the application does to one of its legs.
    fn application(&mut self) {
        let (what, which) = (self.pick(), self.pick());
        if self.live.is_empty() {
            return;
        }
        let (now, leg) = (self.now, self.live[which % self.live.len()]);
        match what % 20 {
            0 | 1 => self.endpoint.answer(now, leg, SDP, &[]),
            2 => self.endpoint.reject(now, leg, 486, "Busy", &[]),
            3 => drop(
                self.endpoint
                    .provisional(now, leg, 180, "Ringing", None, &[]),
            ),
            4 => self.endpoint.hangup(now, leg, None),
            5 => self.endpoint.reinvite(now, leg, SDP),
            6 => self.endpoint.answer_reinvite(now, leg, SDP),
            7 => self.endpoint.reject_reinvite(now, leg, 488, "No"),
            12 => self.endpoint.update(now, leg, SDP),
            13 => drop(self.endpoint.prack(now, leg, (what >> 5) as u8, SDP)),
            14 => {
                let replaces = self.live.get(what >> 5).copied();
                let to = ReferTo {
                    uri: "sip:c@10.0.0.3".into(),
                    replaces,
                    referred_by: None,
                };
                drop(self.endpoint.refer(now, leg, to));
            }
            15 | 16 => {
                let sdp = (what & 64 == 0).then_some(SDP);
                drop(self.endpoint.provisional(now, leg, 183, "", sdp, &[]));
            }
            17..20 => self.transfer(what),
            8 => self.endpoint.info(now, leg, "text/plain", b"x"),
            9 => self.endpoint.ack(now, leg, Some(SDP)),
            10 => self
                .endpoint
                .set_draining((which & 1 == 1).then_some(Duration::from_secs(1))),
            _ => {
                if let Some((leg, id)) = self.infos.pop() {
                    self.endpoint.respond_info(now, leg, id, 200);
                }
            }
        }
    }

    /// One thing the application does about a REFER of the peer.
    fn transfer(&mut self, what: usize) {
        let now = self.now;
        let Some((leg, id)) = self.refers.last().copied() else {
            return;
        };
        match what >> 5 & 3 {
            0 => self.endpoint.accept_refer(now, leg, id),
            1 => self.endpoint.notify_refer(now, leg, id, 180, "Ringing"),
            2 => self.endpoint.notify_refer(now, leg, id, 200, "OK"),
            _ => self.endpoint.reject_refer(now, leg, id, 603, "no"),
        }
        if what & 1 == 1 {
            self.refers.pop();
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.endpoint.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// Takes what came out and checks it.
    fn settle(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.check_sent(&transmit.bytes);
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.check_event(&event);
        }
        let counts = self.endpoint.counts();
        assert!(counts.legs <= MAX_LEGS, "{counts:?}");
        assert!(counts.subscriptions <= MAX_SUBSCRIPTIONS, "{counts:?}");
        assert!(
            counts.server_transactions <= MAX_TRANSACTIONS + SLACK,
            "{counts:?}"
        );
        assert!(
            counts.client_transactions <= MAX_TRANSACTIONS + SLACK * MAX_LEGS,
            "{counts:?}"
        );
    }

    fn check_sent(&mut self, bytes: &[u8]) {
        let Ok(frame) = Frame::parse(bytes) else {
            panic!("sent something that is no message")
        };
        match frame.start() {
            StartLine::Request { method, .. } => {
                assert_eq!(
                    frame.validate(),
                    Ok(()),
                    "{}",
                    String::from_utf8_lossy(bytes)
                );
                if method != Method::Ack && self.requests.len() < 64 {
                    self.requests.push(bytes.to_vec());
                }
            }
            StartLine::Response { .. } => {
                let rseq = frame.header(HeaderId::Rseq);
                let rseq = rseq.and_then(|rseq| std::str::from_utf8(rseq).ok()?.parse().ok());
                self.rseq = rseq.unwrap_or(self.rseq);
                let call = frame
                    .call_id()
                    .ok()
                    .and_then(|id| id.strip_prefix(b"c")?.first().map(|digit| digit - b'0'));
                let tag = frame.to().ok().and_then(|to| {
                    to.tag()
                        .map(|tag| String::from_utf8_lossy(tag).into_owned())
                });
                if let (Some(call), Some(tag)) = (call, tag) {
                    self.tags.insert(call, tag);
                }
            }
        }
    }

    fn check_event(&mut self, event: &Event) {
        let leg = match event {
            Event::Refused { .. } | Event::Dropped { .. } | Event::SubscriptionEnded { .. } => {
                return;
            }
            Event::Request {
                id, leg, request, ..
            } if request.frame().method() == Some(Method::Subscribe) => {
                assert_eq!(*leg, None);
                let (topic, body) = ("t".to_owned(), b"x".to_vec());
                self.endpoint
                    .accept_subscription(self.now, *id, Origin::Stranger, topic, body);
                return;
            }
            Event::Request { id, leg, .. } => {
                self.endpoint.respond(self.now, *id, 200, "", &[], None);
                match leg {
                    Some(leg) => *leg,
                    None => return,
                }
            }
            Event::Response { id, .. } => {
                assert!(self.asked.remove(id), "an outcome nobody waits for");
                return;
            }
            Event::Invite { leg, .. } => {
                assert!(self.legs.insert(*leg, false).is_none(), "a leg used twice");
                self.live.push(*leg);
                return;
            }
            Event::Refer { leg, id, .. } => {
                self.refers.push((*leg, *id));
                *leg
            }
            Event::Info { leg, id, .. } => {
                self.infos.push((*leg, *id));
                *leg
            }
            Event::Cancelled { leg, .. }
            | Event::Rejected { leg, .. }
            | Event::Ended { leg, .. } => {
                self.live.retain(|live| live != leg);
                assert_eq!(
                    self.legs.insert(*leg, true),
                    Some(false),
                    "{event:?}: not the first last event"
                );
                return;
            }
            Event::Confirmed { leg, .. }
            | Event::Trying { leg }
            | Event::Progress { leg, .. }
            | Event::Answered { leg, .. }
            | Event::Reinvite { leg, .. }
            | Event::ReinviteAnswered { leg, .. }
            | Event::ReinviteRejected { leg, .. }
            | Event::Prack { leg, .. }
            | Event::ReferProgress { leg, .. } => *leg,
        };
        assert_eq!(
            self.legs.get(&leg),
            Some(&false),
            "{event:?} outside the life of its leg"
        );
    }

    fn finish(mut self) {
        for each in self.endpoint.subscribers("t") {
            self.endpoint.notify(self.now, each.id, None);
        }
        for _ in 0..3 {
            for leg in self.live.clone() {
                self.endpoint.hangup(self.now, leg, None);
            }
            self.pass(Duration::from_secs(400));
        }
        assert!(self.asked.is_empty(), "{:?} without an outcome", self.asked);
        assert!(self.live.is_empty(), "{:?} never ended", self.live);
        assert_eq!(
            self.endpoint.counts(),
            Counts::default(),
            "something is left"
        );
    }
}
