//! Facts in, causes out, and what their sentences name.

use super::*;

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

/// A call of 20 s with audio both ways.
fn well() -> Facts {
    Facts {
        answered_for: Duration::from_secs(20),
        ours: at("203.0.113.1:10000"),
        ports: 10_000..=19_999,
        theirs: at("192.0.2.9:4000"),
        signalling: at("192.0.2.9:5060"),
        heard_from: Some(at("192.0.2.9:4000")),
        we_send: true,
        they_send: true,
        codec: "PCMU",
        payload_type: 0,
        encrypted: false,
        tone: None,
        stats: ChannelStats {
            packets_in: 1000,
            packets_out: 1000,
            path: PathFacts {
                sounded: true,
                reports: 4,
                reports_on_us: 4,
                reported_lost: 3,
                sent_at_report: 900,
                ..PathFacts::default()
            },
            ..ChannelStats::default()
        },
    }
}

/// The same, with nothing from them.
fn deaf() -> Facts {
    let mut facts = well();
    facts.heard_from = None;
    facts.stats.packets_in = 0;
    facts.stats.path = PathFacts::default();
    facts
}

/// What changes the facts, the causes found, and what their sentences must name.
type Row = (
    fn() -> Facts,
    fn(&mut Facts),
    &'static [&'static str],
    &'static [&'static str],
);

const ROWS: &[Row] = &[
    (well, |_| {}, &[], &[]),
    // Its network answered.
    (
        well,
        |facts| facts.tone = Some("busy"),
        &["network-tone"],
        &["busy", "progress = true"],
    ),
    // Nothing comes.
    (
        deaf,
        |_| {},
        &["nothing-arrives"],
        &[
            "port 10000",
            "10000-19999",
            "[media] ports",
            "192.0.2.9:4000",
        ],
    ),
    (
        deaf,
        |f| f.answered_for = Duration::from_millis(1999),
        &[],
        &[],
    ),
    (
        deaf,
        |f| f.ours = at("10.0.0.5:10000"),
        &["advertised-private"],
        &["10.0.0.5:10000", "[media] advertise", "192.0.2.9:5060"],
    ),
    (
        deaf,
        |f| f.ours = at("[fd00::1]:10000"),
        &["advertised-private"],
        &[],
    ),
    (
        deaf,
        |f| {
            f.ours = at("127.0.0.1:10000");
            f.theirs = at("192.168.1.7:4000");
            f.signalling = at("192.168.1.7:5060");
        },
        &["advertised-private"],
        &["127.0.0.1:10000"],
    ),
    // Both in one private network.
    (
        deaf,
        |f| {
            f.ours = at("10.0.0.5:10000");
            f.theirs = at("10.0.0.9:4000");
            f.signalling = at("10.0.0.9:5060");
        },
        &["nothing-arrives"],
        &[],
    ),
    // A phone behind NAT, and we too.
    (
        deaf,
        |f| {
            f.ours = at("10.0.0.5:10000");
            f.theirs = at("192.168.1.7:4000");
        },
        &["advertised-private"],
        &[],
    ),
    // From elsewhere.
    (
        deaf,
        |f| {
            f.stats.stranger = 900;
            f.stats.path.stranger_from = Some(at("198.51.100.3:6000"));
        },
        &["peer-elsewhere"],
        &[
            "192.0.2.9:4000",
            "198.51.100.3:6000",
            "900 packets",
            "external address",
        ],
    ),
    (
        deaf,
        |f| {
            f.theirs = at("192.168.1.7:4000");
            f.stats.path.stranger_from = Some(at("198.51.100.3:6000"));
        },
        &["peer-elsewhere"],
        &["5 s"],
    ),
    (
        deaf,
        |f| f.stats.path.stranger_from = Some(at("192.0.2.9:4002")),
        &["peer-elsewhere"],
        &["too few"],
    ),
    // Of no use.
    (
        deaf,
        |f| {
            f.stats.path.wrong_payload = 400;
            f.stats.path.wrong_payload_type = Some(18);
        },
        &["wrong-codec"],
        &[
            "payload type 18",
            "PCMU as payload type 0",
            "400 packets",
            "codecs",
        ],
    ),
    (
        well,
        |f| {
            f.stats.packets_in = 5;
            f.stats.path.wrong_payload = 400;
            f.stats.path.wrong_payload_type = Some(9);
        },
        &["wrong-codec"],
        &["payload type 9"],
    ),
    (
        deaf,
        |f| {
            f.encrypted = true;
            f.stats.path.srtp_failed = 700;
        },
        &["srtp-keys"],
        &["700 packets", "a=crypto", "srtp = \"never\""],
    ),
    (
        well,
        |f| f.stats.path.sounded = false,
        &["silence"],
        &["192.0.2.9:4000", "1000 packets", "muted"],
    ),
    (
        well,
        |f| {
            f.stats.path.sounded = false;
            f.stats.packets_in = 499;
        },
        &[],
        &[],
    ),
    (
        well,
        |f| {
            f.stats.path.sounded = false;
            f.stats.path.keys = true;
        },
        &[],
        &[],
    ),
    // Hold.
    (deaf, |f| f.they_send = false, &["hold"], &["a=recvonly"]),
    (
        well,
        |f| {
            f.we_send = false;
            f.stats.packets_out = 0;
        },
        &["held"],
        &["a=sendonly"],
    ),
    (well, |f| f.we_send = false, &[], &[]),
    (
        deaf,
        |f| {
            f.they_send = false;
            f.we_send = false;
            f.stats.packets_out = 0;
        },
        &["hold", "held"],
        &[],
    ),
    // They hear nothing.
    (
        well,
        |f| f.stats.path.reports_on_us = 0,
        &["not-heard"],
        &["4 RTCP reports", "900 packets", "192.0.2.9:4000"],
    ),
    (
        well,
        |f| f.stats.path.reported_lost = 900,
        &["not-heard"],
        &[],
    ),
    (
        well,
        |f| f.stats.path.reported_lost = 225,
        &["heard-badly"],
        &["25 %"],
    ),
    (
        well,
        |f| {
            f.stats.path.reports_on_us = 0;
            f.stats.path.sent_at_report = 99;
        },
        &[],
        &[],
    ),
    (
        deaf,
        |f| f.stats.path.refused = 3,
        &["refused"],
        &["192.0.2.9:4000", "ICMP"],
    ),
    (well, |f| f.stats.path.refused = 3, &[], &[]), // it hung up a moment before its BYE came
    (well, |f| f.stats.path.refused = 300, &["refused"], &[]),
    (
        deaf,
        |f| f.stats.path.unreachable = 30,
        &["unreachable"],
        &["192.0.2.9:4000", "route"],
    ),
    (
        deaf,
        |f| f.theirs = at("0.0.0.0:4000"),
        &["nothing-arrives", "no-address"],
        &["0.0.0.0:4000"],
    ),
];

#[test]
fn each_finding_has_its_facts_and_names_what_to_change() {
    for (number, (start, change, causes, words)) in ROWS.iter().enumerate() {
        let mut facts = start();
        change(&mut facts);
        let found = explain(&facts);
        let found_causes: Vec<_> = found.iter().map(|finding| finding.cause).collect();
        assert_eq!(found_causes, *causes, "row {number}: {found:?}");
        let text: Vec<_> = found.iter().map(|finding| &*finding.sentence).collect();
        let text = text.join(" ");
        for word in *words {
            assert!(
                text.contains(word),
                "row {number}: {word:?} is not in {text:?}"
            );
        }
        assert!(!text.contains("  "), "row {number}: {text:?}");
    }
}

#[test]
fn how_far_addresses_reach() {
    for (address, expected) in [
        ("0.0.0.0", Reach::Nowhere),
        ("::", Reach::Nowhere),
        ("127.3.2.1", Reach::Host),
        ("::1", Reach::Host),
        ("::ffff:127.0.0.1", Reach::Host),
        ("10.1.2.3", Reach::Site),
        ("100.64.0.1", Reach::Site),
        ("100.128.0.1", Reach::World),
        ("169.254.1.1", Reach::Site),
        ("fd00::1", Reach::Site),
        ("fe80::1", Reach::Site),
        ("2001:db8::1", Reach::World),
        ("192.0.2.1", Reach::World),
    ] {
        assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
    }
}
