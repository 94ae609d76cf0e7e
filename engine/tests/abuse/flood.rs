//! Floods on the running server: from thousands of source addresses, on thousands of connections. Its memory stays within what is stated,
//! others are served meanwhile, and afterwards every gauge is 0.
use crate::caller::{Caller, ask, status};
use crate::server::{Metrics, Server, Settings, own_address};
use std::net::Ipv4Addr;

/// Resident memory of a process.
pub(crate) fn rss_kib(pid: u32) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1))
        .unwrap()
        .parse()
        .unwrap()
}

/// The `number`th address of a network of this process alone.
pub(crate) fn source(number: u32) -> Ipv4Addr {
    let own = 16 + (std::process::id() & 0x7f);
    Ipv4Addr::from_bits(0x7f00_0000 | (own << 16) | (number & 0xffff))
}

pub(crate) fn dropped(metrics: &Metrics, rule: &str) -> f64 {
    metrics.labelled(
        "trunkline_sip_messages_dropped_total",
        &format!("rule=\"{rule}\""),
    )
}

/// Open to strangers for `demo`, with few calls at a time, and one honest trunk.
fn open_server(honest: Ipv4Addr) -> Server {
    Server::with(Settings {
        sip_extra: "t1_ms = 10\nmax_calls = 20".into(),
        callers: format!(
            "[[trunk]]\nname = \"honest\"\nacl = [\"{honest}\"]\n[[endpoint]]\nuser = \"alice\"\npassword = \"alice secret\"\n\
             [[number]]\nto = \"open\"\nfrom = [\"anyone\"]\nflow = \"builtin:demo\"\n"
        ),
        ..Settings::default()
    })
}

/// What may be added by 4,000 sources with all kinds of messages and 20 calls: each call has its channel, and buffers grow to their size.
const FLOOD_KIB: i64 = 64 * 1024;

#[test]
fn thousands_of_sources_are_answered_or_not_and_the_honest_one_always() {
    let honest = own_address();
    let server = open_server(honest);
    let honest = Caller::at(honest, server.sip());
    let before = rss_kib(server.pid());
    let methods = [
        "INVITE",
        "REGISTER",
        "OPTIONS",
        "MESSAGE",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "CANCEL",
    ];
    for number in 0..4_000u32 {
        let caller = Caller::at(source(number), server.sip());
        let method = methods[number as usize % methods.len()];
        let text = ask(method, "open", "x").text();
        caller.send(&text);
        // Never an ACK to what an INVITE gets; half of them are cancelled, and cancelled again.
        if method == "INVITE" && number % 16 == 0 {
            let cancel = text.replace("INVITE", "CANCEL");
            (0..5).for_each(|_| caller.send(&cancel));
        }
        let stray = text
            .lines()
            .skip(1)
            .map(|line| format!("{line}\r\n"))
            .collect::<String>();
        caller.send(&format!("SIP/2.0 200 OK\r\n{stray}"));
        if number % 20 == 0 {
            let answer = honest.asks(&ask("OPTIONS", "open", "honest"));
            assert_eq!(status(&answer), 200, "{answer}");
        }
    }
    let grown = rss_kib(server.pid()) - before;
    assert!(grown < FLOOD_KIB, "{grown} KiB more for a flood");
    let metrics = server.wait_idle();
    assert!(metrics.labelled("trunkline_calls_total", "inbound") > 0.0);
    assert!(
        dropped(&metrics, "response without a request") > 0.0
            || metrics.sum("trunkline_sip_messages_dropped_total") > 0.0
    );
    assert_eq!(metrics.sum("trunkline_media_panics_total"), 0.0);
}

#[test]
fn one_source_that_floods_is_limited_and_the_others_are_not() {
    let server = open_server(own_address());
    let flooder = Caller::at(own_address(), server.sip());
    for _ in 0..20_000 {
        flooder.send(&ask("OPTIONS", "open", "x").text());
    }
    server.wait_metrics("the flood is limited", |metrics| {
        dropped(metrics, "source-rate") + dropped(metrics, "rate-limit") > 0.0
    });
    let other = Caller::at(own_address(), server.sip());
    assert_eq!(status(&other.asks_again(&ask("OPTIONS", "open", "x"))), 200);
    server.wait_idle();
}

#[test]
fn what_needs_a_password_never_gets_through_without() {
    let server = open_server(own_address());
    let caller = Caller::at(own_address(), server.sip());
    for method in [
        "MESSAGE",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "REGISTER",
        "REFER",
    ] {
        let answer = caller.asks(&ask(method, "alice", "x"));
        assert_eq!(status(&answer), 401, "{method}: {answer}");
        let answer = caller.asks(&ask(method, "open", "alice").with("Event: presence"));
        assert_eq!(status(&answer), 401, "{method}: {answer}");
    }
    let metrics = server.wait_idle();
    assert_eq!(metrics.labelled("trunkline_calls_total", "inbound"), 0.0);
}
