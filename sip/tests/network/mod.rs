//! A network in memory between endpoints, with made-up time: it delays, loses, doubles and reorders by a seed.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test file uses its own part

use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use trunkline_sip::{
    Counts, Endpoint, EndpointConfig, Event, Flow, Invite, LegId, Reliability, Transmit, Transport,
};

pub const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A small generator of its own, so that runs repeat on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

pub struct End {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    pub events: Vec<Event>,
}

pub struct Network {
    pub now: Instant,
    pub transport: Transport,
    pub ends: Vec<End>,
    pub random: Random,
    pub loss: u64,
    pub duplicates: u64,
    /// The longest delay in milliseconds; 1 keeps the order.
    pub delay: u64,
    /// Everything sent, with the sender.
    pub log: Vec<(usize, String)>,
    /// Messages whose first line starts with one of these are lost, as often as the number says.
    pub lose: Vec<(&'static str, usize)>,
    queue: BTreeMap<(Instant, u64), (usize, Flow, Bytes)>,
    sequence: u64,
}

pub fn config(seed: u8) -> EndpointConfig {
    EndpointConfig::new("Trunkline", [seed; 32])
}

impl Network {
    pub fn new(transport: Transport) -> Self {
        let ends = (1..=2)
            .map(|n| End {
                endpoint: Endpoint::new(config(n)),
                address: SocketAddr::from(([10, 0, 0, n], 5060)),
                events: Vec::new(),
            })
            .collect();
        Self {
            now: Instant::now(),
            transport,
            ends,
            random: Random(0x9E37_79B9_7F4A_7C15),
            loss: 0,
            duplicates: 0,
            delay: 1,
            log: Vec::new(),
            lose: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
        }
    }

    pub fn flow(&self, from: usize, to: usize) -> Flow {
        let connection = u64::from(self.transport.is_reliable());
        Flow {
            transport: self.transport,
            local: self.ends[from].address,
            remote: self.ends[to].address,
            connection,
        }
    }

    /// A call from the first to the second end.
    pub fn call(&mut self, sdp: Option<&[u8]>) -> LegId {
        let from = "\"A\" <sip:a@10.0.0.1>";
        let (flow, to) = (self.flow(0, 1), "sip:demo@10.0.0.2");
        let invite = Invite {
            sdp: sdp.map(<[u8]>::to_vec),
            headers: vec![("Subject".into(), "test".into())],
            ..Invite::new(flow, to, from, to)
        };
        self.ends[0].endpoint.invite(self.now, invite).unwrap()
    }

    /// A call up to the INVITE event: both legs.
    pub fn ring(&mut self, sdp: Option<&[u8]>) -> (LegId, LegId) {
        let caller = self.call(sdp);
        self.run_for(10);
        let Some(Event::Invite { leg, .. }) = self.ends[1].events.pop() else {
            panic!("no INVITE arrived")
        };
        (caller, leg)
    }

    /// A call up to the INVITE event, with this said about reliable provisional responses: both legs.
    pub fn ring_with(&mut self, sdp: Option<&[u8]>, reliable: Reliability) -> (LegId, LegId) {
        let (flow, to) = (self.flow(0, 1), "sip:demo@10.0.0.2");
        let invite = Invite {
            sdp: sdp.map(<[u8]>::to_vec),
            reliable: Some(reliable),
            ..Invite::new(flow, to, "sip:a@10.0.0.1", to)
        };
        let caller = self.ends[0].endpoint.invite(self.now, invite).unwrap();
        self.run_for(10);
        let Some(Event::Invite { leg, .. }) = self.ends[1].events.pop() else {
            panic!("no INVITE arrived")
        };
        (caller, leg)
    }

    /// A network whose ends are told this.
    pub fn with(transport: Transport, change: impl Fn(&mut EndpointConfig)) -> Self {
        let mut net = Self::new(transport);
        for (n, end) in (1..).zip(&mut net.ends) {
            let mut config = config(n);
            change(&mut config);
            end.endpoint = Endpoint::new(config);
        }
        net
    }

    /// A confirmed call: both legs.
    pub fn talk(&mut self) -> (LegId, LegId) {
        let (caller, callee) = self.ring(Some(SDP));
        self.ends[1].endpoint.answer(self.now, callee, SDP, &[]);
        self.run_for(100);
        assert!(matches!(self.take(0)[..], [Event::Answered { .. }]));
        assert!(matches!(self.take(1)[..], [Event::Confirmed { .. }]));
        (caller, callee)
    }

    /// What happened at an end, but for `Trying`, which every call has.
    pub fn take(&mut self, end: usize) -> Vec<Event> {
        let mut events = self.take_all(end);
        events.retain(|event| !matches!(event, Event::Trying { .. }));
        events
    }

    pub fn take_all(&mut self, end: usize) -> Vec<Event> {
        self.collect();
        std::mem::take(&mut self.ends[end].events)
    }

    /// Puts octets on the wire as if `from` had sent them.
    pub fn inject(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let flow = self.flow(from, to);
        self.send(
            from,
            Transmit {
                flow,
                bytes: Bytes::copy_from_slice(bytes),
            },
        );
    }

    fn send(&mut self, from: usize, transmit: Transmit) {
        let first = transmit
            .bytes
            .split(|octet| *octet == b'\r')
            .next()
            .unwrap_or_default();
        let first = String::from_utf8_lossy(first).into_owned();
        self.log.push((from, first.clone()));
        if let Some((_, left)) = self
            .lose
            .iter_mut()
            .find(|(start, left)| *left > 0 && first.starts_with(start))
        {
            *left -= 1;
            return;
        }
        let remote = transmit.flow.remote;
        let Some(to) = self.ends.iter().position(|end| end.address == remote) else {
            return;
        };
        let copies = 1 + usize::from(self.random.percent(self.duplicates));
        for _ in 0..copies {
            if self.random.percent(self.loss) {
                continue;
            }
            let delay = Duration::from_millis(1 + self.random.next() % self.delay);
            self.sequence += 1;
            let flow = Flow {
                local: remote,
                remote: transmit.flow.local,
                ..transmit.flow
            };
            self.queue.insert(
                (self.now + delay, self.sequence),
                (to, flow, transmit.bytes.clone()),
            );
        }
    }

    pub fn collect(&mut self) {
        for index in 0..self.ends.len() {
            while let Some(event) = self.ends[index].endpoint.poll_event() {
                self.ends[index].events.push(event);
            }
            while let Some(transmit) = self.ends[index].endpoint.poll_transmit() {
                self.send(index, transmit);
            }
        }
    }

    /// Moves to the next thing that happens, at most to `limit`; `false` when nothing is left before it.
    pub fn step(&mut self, limit: Instant) -> bool {
        self.collect();
        let packet = self.queue.first_key_value().map(|((at, _), _)| *at);
        let timeout = self
            .ends
            .iter()
            .filter_map(|end| end.endpoint.next_timeout())
            .min();
        let Some(next) = packet
            .into_iter()
            .chain(timeout)
            .min()
            .filter(|next| *next <= limit)
        else {
            self.now = self.now.max(limit);
            return false;
        };
        self.now = self.now.max(next);
        if packet.is_some_and(|at| at <= self.now)
            && let Some((_, (to, flow, bytes))) = self.queue.pop_first()
        {
            self.ends[to].endpoint.receive(self.now, flow, &bytes);
        } else {
            for end in &mut self.ends {
                end.endpoint.handle_timeout(self.now);
            }
        }
        self.collect();
        true
    }

    pub fn run_for(&mut self, ms: u64) {
        let limit = self.now + Duration::from_millis(ms);
        while self.step(limit) {}
    }

    /// Runs until every timer is through, then demands empty tables at both ends.
    pub fn drain(&mut self) {
        self.run_for(400_000);
        for (index, end) in self.ends.iter().enumerate() {
            assert_eq!(
                end.endpoint.counts(),
                Counts::default(),
                "end {index} keeps something"
            );
        }
    }

    /// How many messages `from` sent whose first line starts so.
    pub fn sent(&self, from: usize, start: &str) -> usize {
        self.log
            .iter()
            .filter(|(end, line)| *end == from && line.starts_with(start))
            .count()
    }
}

/// Whether an event is the last of its leg.
pub fn is_last(event: &Event) -> bool {
    matches!(
        event,
        Event::Cancelled { .. } | Event::Rejected { .. } | Event::Ended { .. }
    )
}
