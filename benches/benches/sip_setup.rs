//! A call through two endpoints, without sockets: INVITE, 100, 200, ACK, BYE, 200. Time moves 1 ms for each call, so the tables hold what
//! lingers at 1000 calls a second when 33 s of calls have gone by, as they have before the measurement.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline_sip::{Endpoint, EndpointConfig, Event, Flow, Invite, LegId, Transport};

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
/// Calls until the tables no longer grow.
const PLATEAU: usize = 33_000;

/// Both ends and the clock.
struct Pair {
    now: Instant,
    caller: (Endpoint, Flow),
    callee: (Endpoint, Flow),
}

fn end(seed: u8, local: [u8; 4], remote: [u8; 4]) -> (Endpoint, Flow) {
    let config = EndpointConfig {
        max_transactions: 1_000_000,
        ..EndpointConfig::new("bench", [seed; 32])
    };
    let flow = Flow {
        transport: Transport::Udp,
        local: SocketAddr::from((local, 5060)),
        remote: SocketAddr::from((remote, 5060)),
        connection: 0,
    };
    (Endpoint::new(config), flow)
}

impl Pair {
    fn new() -> Pair {
        let (a, b) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        Pair {
            now: Instant::now(),
            caller: end(1, a, b),
            callee: end(2, b, a),
        }
    }

    /// Carries messages both ways until nobody has any; answers the call, and the callee hangs up when it is confirmed.
    fn settle(&mut self) -> usize {
        let mut ended = 0;
        loop {
            let mut quiet = true;
            while let Some(out) = self.caller.0.poll_transmit() {
                quiet = false;
                let (endpoint, flow) = &mut self.callee;
                endpoint.receive(self.now, *flow, &out.bytes);
            }
            while let Some(event) = self.callee.0.poll_event() {
                ended += usize::from(self.serve(event));
            }
            while let Some(out) = self.callee.0.poll_transmit() {
                quiet = false;
                let (endpoint, flow) = &mut self.caller;
                endpoint.receive(self.now, *flow, &out.bytes);
            }
            while self.caller.0.poll_event().is_some() {}
            if quiet {
                return ended;
            }
        }
    }

    /// What the callee does; whether its call is over.
    fn serve(&mut self, event: Event) -> bool {
        let endpoint = &mut self.callee.0;
        match event {
            Event::Invite { leg, .. } => endpoint.answer(self.now, leg, SDP, &[]),
            Event::Confirmed { leg, .. } => endpoint.hangup(self.now, leg, None),
            Event::Ended { .. } => return true,
            _ => {}
        }
        false
    }

    fn call(&mut self) -> Option<LegId> {
        self.now += Duration::from_millis(1);
        self.caller.0.handle_timeout(self.now);
        self.callee.0.handle_timeout(self.now);
        let invite = Invite {
            sdp: Some(SDP.to_vec()),
            ..Invite::new(
                self.caller.1,
                "sip:100@192.0.2.2",
                "sip:a@192.0.2.1",
                "sip:100@192.0.2.2",
            )
        };
        let leg = self.caller.0.invite(self.now, invite).ok()?;
        (self.settle() == 1).then_some(leg)
    }
}

fn setup(criterion: &mut Criterion) {
    let mut pair = Pair::new();
    for _ in 0..PLATEAU {
        pair.call().expect("a call from its INVITE to its end");
    }
    let counts = pair.callee.0.counts();
    assert!(counts.server_transactions > 31_000, "{counts:?}");
    let mut group = criterion.benchmark_group("sip set-up");
    group.bench_function("a call, both ends", |b| b.iter(|| pair.call()));
    group.finish();
}

criterion_group!(benches, setup);
criterion_main!(benches);
