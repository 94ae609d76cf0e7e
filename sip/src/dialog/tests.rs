//! Where requests go, and their numbers.

use super::*;
use crate::flow::Transport;
use crate::identity::Identity;
use std::net::IpAddr;

fn flow(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: "203.0.113.1:5060".parse().unwrap(),
        remote: remote.parse().unwrap(),
        connection: 0,
    }
}

fn dialog(contact: &str, via: &str, extra: &str, path: Flow) -> Dialog {
    let text = format!(
        "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=f\r\n\
         To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContact: {contact}\r\n{extra}\r\n"
    );
    Dialog::uas(&Frame::parse(text.as_bytes()).unwrap(), b"ours", path).unwrap()
}

#[test]
fn where_requests_go() {
    let proxy = "Record-Route: <sip:198.51.100.9:5090;lr>\r\n";
    let table = [
        (
            "contact",
            "<sip:a@198.51.100.2:5070>",
            "198.51.100.1",
            "",
            "198.51.100.2:5070",
        ),
        (
            "default port",
            "<sip:a@198.51.100.2>",
            "198.51.100.1",
            "",
            "198.51.100.2:5060",
        ),
        (
            "route",
            "<sip:a@198.51.100.2>",
            "198.51.100.1",
            proxy,
            "198.51.100.9:5090",
        ),
        (
            "a name",
            "<sip:a@phone.example>",
            "198.51.100.1",
            "",
            "198.51.100.1:5062",
        ),
        (
            "translated",
            "<sip:a@10.0.0.5>",
            "10.0.0.5",
            "",
            "198.51.100.1:5062",
        ),
        (
            "translated by Contact",
            "<sip:a@10.0.0.5>",
            "198.51.100.1",
            "",
            "198.51.100.1:5062",
        ),
        (
            "translated by a carrier",
            "<sip:a@100.64.3.4>",
            "198.51.100.1",
            "",
            "198.51.100.1:5062",
        ),
        (
            "translated, then a proxy",
            "<sip:a@10.0.0.5>",
            "10.0.0.9",
            proxy,
            "198.51.100.9:5090",
        ),
        (
            "no host at all",
            "<tel:+123>",
            "198.51.100.1",
            "",
            "198.51.100.1:5062",
        ),
        (
            "unspecified",
            "<sip:a@0.0.0.0>",
            "198.51.100.1",
            "",
            "198.51.100.1:5062",
        ),
        (
            "multicast",
            "<sip:a@224.0.0.1>",
            "198.51.100.1",
            "",
            "198.51.100.1:5062",
        ),
        (
            "other family",
            "<sip:a@[2001:db8::1]>",
            "198.51.100.1",
            "",
            "198.51.100.1:5062",
        ),
    ];
    for (name, contact, via, extra, hop) in table {
        let dialog = dialog(contact, via, extra, flow("198.51.100.1:5062"));
        assert_eq!(dialog.next_hop().remote, hop.parse().unwrap(), "{name}");
    }
}

/// Nobody steers our requests to this machine, this link, the network behind us or to many hosts, but who is there.
#[test]
fn no_peer_steers_requests_into_a_network_it_is_not_in() {
    let global = "198.51.100.1:5062";
    let table = [
        (global, "127.0.0.1", false),
        (global, "127.8.9.10", false),
        (global, "169.254.169.254", false),
        (global, "10.0.0.5", false),
        (global, "192.168.1.1", false),
        (global, "100.64.3.4", false),
        (global, "0.0.0.0", false),
        (global, "0.0.0.1", false),
        (global, "224.0.0.1", false),
        (global, "239.255.255.250", false),
        (global, "255.255.255.255", false),
        (global, "198.51.100.9", true),
        ("10.0.0.9:5062", "127.0.0.1", false),
        ("10.0.0.9:5062", "169.254.169.254", false),
        ("10.0.0.9:5062", "224.0.0.1", false),
        ("10.0.0.9:5062", "10.0.0.5", true),
        ("10.0.0.9:5062", "192.168.1.1", true),
        ("10.0.0.9:5062", "198.51.100.9", true),
        ("127.0.0.1:5062", "127.0.0.2", true),
        ("127.0.0.1:5062", "169.254.169.254", false),
        ("127.0.0.1:5062", "0.0.0.0", false),
        ("127.0.0.1:5062", "10.0.0.5", true),
        ("169.254.7.7:5062", "169.254.8.8", true),
        ("169.254.7.7:5062", "127.0.0.1", false),
        ("[2001:db8::1]:5062", "[::1]", false),
        ("[2001:db8::1]:5062", "[::]", false),
        ("[2001:db8::1]:5062", "[fe80::1]", false),
        ("[2001:db8::1]:5062", "[fd00::1]", false),
        ("[2001:db8::1]:5062", "[ff02::1]", false),
        ("[2001:db8::1]:5062", "[::ffff:127.0.0.1]", false),
        ("[2001:db8::1]:5062", "[::ffff:169.254.169.254]", false),
        ("[2001:db8::1]:5062", "[2001:db8::2]", true),
        ("[::1]:5062", "[::1]", true),
    ];
    for (peer, named, goes_there) in table {
        let peer: SocketAddr = peer.parse().unwrap();
        let there: SocketAddr = format!("{named}:11211").parse().unwrap();
        let hop = if goes_there { there } else { peer };
        let path = Flow {
            local: match peer.is_ipv4() {
                true => "203.0.113.1:5060".parse().unwrap(),
                false => "[2001:db8::ff]:5060".parse().unwrap(),
            },
            ..flow(&peer.to_string())
        };
        let via = match peer.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let (contact, same) = (format!("<sip:a@{named}:11211>"), format!("<sip:a@{peer}>"));
        let record = format!("Record-Route: <sip:{named}:11211;lr>\r\n");
        let mut each = [
            dialog(&contact, &via, "", path),
            dialog(&same, &via, &record, path),
            dialog(&same, &via, "", path),
        ];
        let again = format!("INVITE sip:b@h SIP/2.0\r\nContact: {contact}\r\n\r\n");
        each[2].refresh(&Frame::parse(again.as_bytes()).unwrap());
        for (dialog, what) in each
            .iter_mut()
            .zip(["Contact", "Record-Route", "re-INVITE"])
        {
            assert_eq!(dialog.next_hop().remote, hop, "{what} {named} of {peer}");
            // The same where a stream was lost and another one is asked for.
            dialog.path.transport = Transport::Tcp;
            dialog.path.connection = 3;
            dialog.disconnected();
            assert_eq!(
                dialog.next_hop().remote,
                hop,
                "{what} {named} of {peer}, anew"
            );
        }
    }
}

#[test]
fn where_requests_of_a_caller_go() {
    let proxy = "Record-Route: <sip:198.51.100.9:5090;lr>\r\n";
    let inner = "Record-Route: <sip:10.9.9.9;lr>\r\n";
    let public = "198.51.100.1:5062";
    let table = [
        // name, Request-URI, Contact, Record-Route, path, where to
        (
            "contact",
            "b@h",
            "198.51.100.2",
            "",
            public,
            "198.51.100.2:5060",
        ),
        ("behind a translator", "b@h", "10.0.0.5", "", public, public),
        (
            "behind a proxy that stays",
            "b@h",
            "10.0.0.5",
            proxy,
            public,
            "198.51.100.9:5090",
        ),
        (
            "a proxy that hides",
            "b@h",
            "198.51.100.2",
            inner,
            public,
            public,
        ),
        (
            "a phone that registered through a translator of a private network",
            "b@192.168.1.5",
            "192.168.1.5",
            "",
            "172.17.0.1:40000",
            "172.17.0.1:40000",
        ),
        (
            "another host took the call",
            "b@192.168.1.5",
            "172.17.0.7",
            "",
            "172.17.0.1:5060",
            "172.17.0.7:5060",
        ),
    ];
    for (name, uri, contact, extra, path, hop) in table {
        let head = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>";
        let tail = "Call-ID: c\r\nCSeq: 7 INVITE\r\n";
        let invite = format!("INVITE sip:{uri} SIP/2.0\r\n{head}\r\n{tail}\r\n");
        let response = format!(
            "SIP/2.0 200 OK\r\n{head};tag=t\r\n{tail}{extra}Contact: <sip:b@{contact}>\r\n\r\n"
        );
        let (invite, response) = (
            Frame::parse(invite.as_bytes()).unwrap(),
            Frame::parse(response.as_bytes()).unwrap(),
        );
        let dialog = Dialog::uac(&invite, &response, flow(path)).unwrap();
        assert_eq!(dialog.next_hop().remote, hop.parse().unwrap(), "{name}");
    }
}

#[test]
fn a_stream_is_used_in_both_directions() {
    let path = Flow {
        transport: Transport::Tcp,
        connection: 4,
        ..flow("198.51.100.1:40000")
    };
    let mut dialog = dialog("<sip:a@198.51.100.2>", "198.51.100.1", "", path);
    assert_eq!(dialog.next_hop(), path);
    let anew = Flow {
        connection: 5,
        ..path
    };
    dialog.heard_on(anew);
    assert_eq!(dialog.next_hop(), anew);
}

#[test]
fn numbers_rise_on_both_sides() {
    let mut dialog = dialog(
        "<sip:a@198.51.100.2>",
        "198.51.100.1",
        "",
        flow("198.51.100.1:5060"),
    );
    let taken = [7, 6, 8, 8, 9].map(|number| {
        let next = dialog.is_next(number);
        if next {
            dialog.accept_cseq(number);
        }
        next
    });
    assert_eq!(taken, [false, false, true, false, true]);
    let branch = Identity::new([1; 32]).token();
    for (method, cseq, expected) in [
        ("INFO", None, 1),
        ("INVITE", None, 2),
        ("ACK", Some(2), 2),
        ("BYE", None, 3),
    ] {
        let bytes = dialog
            .request(method, cseq, &Advertise::default(), &branch)
            .0
            .finish();
        assert_eq!(
            Frame::parse(&bytes).unwrap().cseq().unwrap().number,
            expected,
            "{method}"
        );
    }
}

#[test]
fn a_contact_that_is_none_is_refused() {
    let text = b"INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>\r\n\
        Call-ID: c\r\nCSeq: 7 INVITE\r\nContact: *\r\n\r\n";
    assert!(
        Dialog::uas(
            &Frame::parse(text).unwrap(),
            b"ours",
            flow("198.51.100.1:5060")
        )
        .is_err()
    );
}
