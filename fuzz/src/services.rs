//! Checks on what serves phones and trunks: digest authentication, transfers and bindings.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_sip::refer::{ReferTarget, Replaces, referred_by, sipfrag_status};
use trunkline_sip::registrar::{Registrar, RegistrarConfig};
use trunkline_sip::{
    Credentials, DigestServer, Flow, Frame, Message, Realm, Secret, Transport, Uri, Verdict,
};

/// One message. As a request it never authenticates; as a response its challenge is answered on one line that can be
/// read again. And whatever realm the octets are, both sides agree about the right password and no other.
pub fn digest(octets: &[u8]) {
    let now = Instant::now();
    if let Ok(frame) = Frame::parse(octets) {
        let mut server = DigestServer::new([7; 32], "example.com", &[], Duration::from_secs(60));
        let secret = |_: &[u8]| Some(Secret::new("alice", "example.com", "unknown"));
        let verdict = server.verify(now, &frame, secret);
        assert!(!matches!(verdict, Verdict::Authenticated(_)));
        let credentials = Credentials::new("alice", "secret", Realm::first_seen());
        if let Ok((_, value)) = credentials.answer(&frame, "REGISTER", "sip:example.com", "c") {
            assert!(
                value.bytes().all(|octet| octet >= b' ' && octet != 0x7f),
                "{value:?}"
            );
        }
    }
    let realm = String::from_utf8_lossy(&octets[..octets.len().min(1_000)]);
    for (password, right) in [("secret", true), ("guess", false)] {
        agree(now, &realm, password, right);
    }
}

fn agree(now: Instant, realm: &str, password: &str, right: bool) {
    let mut server = DigestServer::new([7; 32], realm, &[], Duration::from_secs(60));
    let realm = server.realm().to_owned();
    let lines: String = server
        .challenge(now, false)
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let text = format!("SIP/2.0 401 X\r\n{lines}\r\n");
    let challenge = Message::parse(text.into()).expect("a challenge is a message");
    let credentials = Credentials::new("alice", password, Realm::first_seen());
    let (_, answer) = credentials
        .answer(&challenge.frame(), "INVITE", "sip:b@example.com", "c")
        .expect("our own challenge is answered");
    let text = format!("INVITE sip:b@example.com SIP/2.0\r\nAuthorization: {answer}\r\n\r\n");
    let request = Message::parse(text.into()).expect("an answer is a header value");
    let verdict = server.verify(now, &request.frame(), |_| {
        Some(Secret::new("alice", &realm, "secret"))
    });
    assert_eq!(
        matches!(verdict, Verdict::Authenticated(_)),
        right,
        "{verdict:?}"
    );
}

/// A Refer-To value, a Replaces value, a REFER, and a progress report. What is read can be written and read again; what
/// is called is a URI without headers.
pub fn refer(octets: &[u8]) {
    if let Ok(target) = ReferTarget::from_value(octets) {
        let uri = Uri::parse(target.uri.as_bytes()).expect("a target is a URI");
        assert!(uri.headers.is_none() && uri.params.value("method").is_none());
        let value = target.value().expect("a target can be written");
        assert_eq!(ReferTarget::from_value(value.as_bytes()), Ok(target));
    }
    if let Ok(replaces) = Replaces::parse(octets) {
        assert_eq!(
            Replaces::parse(replaces.to_string().as_bytes()),
            Ok(replaces)
        );
    }
    if let Ok(frame) = Frame::parse(octets) {
        let _ = (ReferTarget::parse(&frame), Replaces::of(&frame));
        if let Ok(Some(by)) = referred_by(&frame) {
            assert!(!by.contains(['\r', '\n']));
        }
    }
    assert!(sipfrag_status(octets).is_none_or(|status| (100..700).contains(&status)));
}

/// REGISTERs one after the other, each a message after an octet that picks the flow and lets time pass. Limits hold, and
/// what one is told is what the next query sees.
pub fn registrar(octets: &[u8]) {
    let config = RegistrarConfig {
        max_bindings: 6,
        ..RegistrarConfig::default()
    };
    let mut registrar = Registrar::new(config);
    let mut now = Instant::now();
    let user: Arc<str> = "alice".into();
    for piece in octets.split(|octet| *octet == 0).take(64) {
        let Some((step, message)) = piece.split_first() else {
            continue;
        };
        now += Duration::from_secs(u64::from(*step >> 2) * 60);
        let flow = flow(u16::from(*step & 3));
        let before = registrar.bindings(now, &user).len();
        let Ok(frame) = Frame::parse(message) else {
            registrar.flow_closed(flow);
            continue;
        };
        match registrar.register(now, &user, 3, flow, &frame) {
            Ok(done) => {
                let told = done.headers.iter().filter(|(name, _)| *name == "Contact");
                assert_eq!(told.count(), registrar.bindings(now, &user).len());
                for (_, value) in &done.headers {
                    assert!(
                        value.bytes().all(|octet| (b' '..0x7f).contains(&octet)),
                        "{value:?}"
                    );
                }
            }
            Err(refused) => {
                assert!((400..700).contains(&refused.status));
                assert_eq!(
                    registrar.bindings(now, &user).len(),
                    before,
                    "{}",
                    refused.rule
                );
            }
        }
        assert!(registrar.bindings(now, &user).len() <= 3);
    }
    now += Duration::from_secs(3_601);
    registrar.expire(now);
    assert!(registrar.is_empty() && registrar.next_timeout().is_none());
}

fn flow(port: u16) -> Flow {
    Flow {
        transport: Transport::Tcp,
        local: SocketAddr::from(([10, 0, 0, 2], 5060)),
        remote: SocketAddr::from(([10, 0, 0, 1], port)),
        connection: u64::from(port) + 1,
    }
}
