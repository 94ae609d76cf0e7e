//! Requests and responses from a million made-up addresses through the real gate and the real endpoint, with made-up time. What they hold is
//! counted octet by octet, and nothing is left when time has passed.
use crate::counting_alloc::Held;
use arc_swap::ArcSwap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline::config::Config;
use trunkline::route::gate::{LearnedPeers, TrustGate};
use trunkline_sip::{Counts, Endpoint, EndpointConfig, Event, Flow, Transport};

const SOURCES: u32 = 1_000_000;
/// Calls and transactions of this endpoint at most.
const MAX_LEGS: usize = 500;
const MAX_TRANSACTIONS: usize = 5_000;
/// What all of it may take at most: 5,000 transactions with their request or answer, and 500 calls.
const MOST: isize = 16 << 20;

/// Open to strangers, and with a phone, so that each kind of message is served as far as it ever is.
const OPEN: &str = "[[endpoint]]\nuser = \"alice\"\npassword = \"alice secret\"\n\
    [[number]]\nto = \"demo\"\nfrom = [\"anyone\"]\nflow = \"builtin:demo\"\n";

fn endpoint() -> Endpoint {
    let config = Config::from_str("t", OPEN).unwrap_or_else(|problems| panic!("{problems}"));
    let config = Arc::new(ArcSwap::from_pointee(config));
    let nobody = |source, _| panic!("{source} is banned, and never proved its address");
    let learned = Arc::new(LearnedPeers::default());
    let gate = TrustGate::new(config, [7; 32], learned, Box::new(nobody));
    let limits = EndpointConfig {
        max_legs: MAX_LEGS,
        max_transactions: MAX_TRANSACTIONS,
        ..EndpointConfig::new("Trunkline", [7; 32])
    };
    Endpoint::with_gate(limits, Box::new(gate))
}

/// The kinds of messages; in each, `0000000` is for the number of its source.
fn kinds() -> Vec<Vec<u8>> {
    let text = |start: &str, method: &str| {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK0000000\r\nFrom: <sip:a@h>;tag=0000000\r\nTo: <sip:demo@h>\r\n\
             Call-ID: 0000000\r\nCSeq: 1 {method}\r\nContact: <sip:a@h>\r\nContent-Length: 0\r\n\r\n"
        );
        text.into_bytes()
    };
    let methods = ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "CANCEL", "BYE"];
    let requests = methods.map(|method| text(&format!("{method} sip:demo@h SIP/2.0"), method));
    let stray = text("SIP/2.0 200 OK", "INVITE");
    requests.into_iter().chain([stray]).collect()
}

/// Puts a number where another of as many digits is.
fn renumber(octets: &mut [u8], places: &[usize], number: u32) {
    let digits = format!("{number:07}");
    for place in places {
        octets[*place..place + 7].copy_from_slice(digits.as_bytes());
    }
}

/// Each kind of request comes from one source in 32, the rest are stray responses.
fn kind(number: u32) -> usize {
    (number as usize % 32).min(6)
}

fn flow(number: u32) -> Flow {
    let source = Ipv4Addr::from_bits(0x0b00_0000 + number);
    Flow {
        transport: Transport::Udp,
        local: ([192, 0, 2, 1], 5060).into(),
        remote: SocketAddr::new(source.into(), 5060),
        connection: 0,
    }
}

/// What came out.
#[derive(Debug, Default)]
struct Seen {
    calls: u32,
    answers: u32,
    busy: u32,
    dropped: u32,
}

/// Takes all that the endpoint has to say; calls are answered, and never confirmed.
fn take(endpoint: &mut Endpoint, now: Instant, seen: &mut Seen) {
    loop {
        while let Some(out) = endpoint.poll_transmit() {
            seen.answers += 1;
            seen.busy += u32::from(out.bytes.starts_with(b"SIP/2.0 503"));
        }
        match endpoint.poll_event() {
            Some(Event::Invite { leg, .. }) => {
                seen.calls += 1;
                endpoint.answer(now, leg, b"v=0\r\n", &[]);
            }
            Some(Event::Dropped { .. }) => seen.dropped += 1,
            Some(_) => {}
            None => return,
        }
    }
}

#[test]
fn a_million_made_up_sources_hold_no_more_than_is_allowed() {
    let mut endpoint = endpoint();
    let (start, mut seen, mut kinds) = (Instant::now(), Seen::default(), kinds());
    let places: Vec<Vec<usize>> = kinds
        .iter()
        .map(|text| memchr::memmem::find_iter(text, "0000000").collect())
        .collect();
    let mut now = start;
    let held = Held::now();
    let mut most = 0;
    for number in 0..SOURCES {
        // 20,000 a second, so that some transactions end while others begin.
        now = start + Duration::from_micros(50) * number;
        let kind = kind(number);
        renumber(&mut kinds[kind], &places[kind], number);
        endpoint.receive(now, flow(number), &kinds[kind]);
        if number % 32 == 0 {
            endpoint.handle_timeout(now);
        }
        take(&mut endpoint, now, &mut seen);
        most = most.max(held.more());
    }
    println!("{seen:?}, at most {most} octets held");
    assert!(most < MOST, "{most} octets held for made-up sources");
    assert!(seen.calls as usize >= MAX_LEGS && seen.busy > 0, "{seen:?}");
    assert!(seen.dropped >= SOURCES / 2, "stray responses: {seen:?}");
    // Nobody ever confirms a call or answers a BYE; it all ends by itself.
    while let Some(at) = endpoint.next_timeout() {
        now = now.max(at);
        endpoint.handle_timeout(now);
        take(&mut endpoint, now, &mut seen);
        assert!(
            now < start + Duration::from_secs(600),
            "{:?}",
            endpoint.counts()
        );
    }
    assert_eq!(endpoint.counts(), Counts::default());
}
