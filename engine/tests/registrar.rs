//! Phones register over real sockets: the gate asks for the password, the table knows where they are, connections that end
//! take their phones along.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use trunkline::config::Config;
use trunkline::net::sip::{Hop, Outcome, Sip, TcpLimits};
use trunkline::registrar::{self, Location};
use trunkline::route::{CallerIdentity, TrustGate};
use trunkline_sip::{
    AdmitAll, Credentials, EndpointConfig, Gate, HeaderId, Invite, OutContact, OutRequest, Realm,
    Transport,
};

/// Long enough for any machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
[sip]
listen = ["udp:127.0.0.1:5060"]

[security]
realm = "pbx.example"

[[endpoint]]
user = "alice"
password = "correct horse battery"
max_contacts = 2
codecs = ["pcma"]
"#;

async fn start(gate: Box<dyn Gate>) -> Sip {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let limits = TcpLimits {
        max_connections: 8,
        idle: PATIENCE,
    };
    let listen = [(Transport::Udp, any), (Transport::Tcp, any)];
    let config = EndpointConfig::new("Trunkline", [4; 32]);
    Sip::start(&listen, limits, config, gate).await.unwrap()
}

/// A server with its table of phones, and a phone.
struct Rig {
    server: Sip,
    phone: Sip,
    location: Arc<Location>,
}

impl Rig {
    async fn new() -> Rig {
        let config = Arc::new(Config::from_str("test.toml", CONFIG).unwrap());
        let shared = Arc::new(ArcSwap::new(config));
        let gate = TrustGate::new(shared.clone(), [1; 32], Arc::default(), Box::new(|_, _| {}));
        let mut server = start(Box::new(gate)).await;
        let location = Location::new(shared);
        let (_, none) = tokio::sync::mpsc::channel(1);
        let requests = std::mem::replace(&mut server.requests, none);
        tokio::spawn(registrar::serve(
            location.clone(),
            server.handle.clone(),
            requests,
            registrar::Others {
                subscriptions: tokio::sync::mpsc::channel(1).0,
                texts: tokio::sync::mpsc::channel(1).0,
            },
        ));
        let phone = start(Box::new(AdmitAll)).await;
        Rig {
            server,
            phone,
            location,
        }
    }

    async fn register(
        &self,
        transport: Transport,
        user: &str,
        password: &str,
        params: &str,
    ) -> Outcome {
        let at = usize::from(transport == Transport::Tcp);
        let hop = Hop {
            transport,
            address: self.server.listening[at].1,
            server_name: "127.0.0.1".into(),
        };
        let aor = format!("sip:{user}@pbx.example");
        let request = OutRequest {
            contact: Some(OutContact {
                user: Some(user.to_owned()),
                params: params.to_owned(),
            }),
            credentials: Some(Arc::new(Credentials::new(
                user,
                password,
                Realm::Exactly("pbx.example".into()),
            ))),
            ..OutRequest::new(
                self.phone.flow_to(&hop).unwrap(),
                "REGISTER",
                "sip:pbx.example",
                aor.clone(),
                aor,
            )
        };
        timeout(PATIENCE, self.phone.handle.request(request))
            .await
            .unwrap()
            .unwrap()
    }
}

fn caller() -> CallerIdentity {
    CallerIdentity {
        number: "+4930123".into(),
        name: Some("Bob \"B\"".into()),
        ..CallerIdentity::default()
    }
}

#[tokio::test]
async fn a_phone_registers_is_called_and_leaves() {
    let mut rig = Rig::new().await;
    for transport in [Transport::Udp, Transport::Tcp] {
        let outcome = rig
            .register(transport, "alice", "correct horse battery", ";expires=60")
            .await;
        assert_eq!(outcome.status, 200);
        let response = outcome.response.unwrap();
        let contact = response.frame().contact().unwrap().unwrap();
        let expires = contact.params.value("expires").unwrap();
        assert!([&b"60"[..], b"59"].contains(&expires));

        let legs = rig.location.legs("alice", &caller());
        assert_eq!(legs.len(), 1, "{legs:?}");
        let leg = &legs[0];
        assert_eq!(leg.flow.transport, transport);
        assert_eq!(leg.from, "\"Bob \\\"B\\\"\" <sip:+4930123@pbx.example>");
        assert_eq!(leg.to, "sip:alice@pbx.example");
        assert_eq!(leg.codecs, [trunkline_sip::Encoding::Pcma]);

        // The call arrives where the phone is, over the path of its REGISTER.
        let invite: Invite = leg.invite(Some(b"v=0\r\n".to_vec()));
        let call = rig.server.handle.invite(invite).await.unwrap();
        let incoming = timeout(PATIENCE, rig.phone.incoming.recv())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(incoming.flow.transport, transport);
        let frame = incoming.request.frame();
        assert_eq!(frame.request_uri(), Some(leg.target.as_bytes()));
        assert_eq!(
            frame.header(HeaderId::To),
            Some(&b"<sip:alice@pbx.example>"[..])
        );
        drop(call);

        let outcome = rig
            .register(transport, "alice", "correct horse battery", ";expires=0")
            .await;
        assert_eq!(outcome.status, 200);
        assert!(rig.location.legs("alice", &caller()).is_empty());
    }
    assert!(rig.location.is_empty());
}

#[tokio::test]
async fn without_the_password_nobody_registers_and_the_answer_is_the_same_for_all() {
    let rig = Rig::new().await;
    let mut answers = Vec::new();
    for user in ["alice", "nobody"] {
        let outcome = rig.register(Transport::Udp, user, "guess", "").await;
        let response = outcome.response.unwrap();
        let frame = response.frame();
        let told: Vec<String> = [HeaderId::Reason, HeaderId::WwwAuthenticate]
            .iter()
            .map(|id| frame.header(*id).is_some().to_string())
            .collect();
        answers.push((outcome.status, told));
        assert!(outcome.status >= 400);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(rig.location.is_empty());
}

#[tokio::test]
async fn rules_of_the_registrar_reach_the_phone_and_the_counters() {
    let rig = Rig::new().await;
    let outcome = rig
        .register(
            Transport::Udp,
            "alice",
            "correct horse battery",
            ";expires=5",
        )
        .await;
    assert_eq!(outcome.status, 423);
    let response = outcome.response.unwrap();
    assert_eq!(
        response.frame().header(HeaderId::MinExpires),
        Some(&b"60"[..])
    );
    assert_eq!(
        rig.location.counters.refused(),
        [("expiry below the minimum", 1)]
    );
}

#[tokio::test]
async fn a_connection_that_ends_takes_its_phone_along() {
    let rig = Rig::new().await;
    let outcome = rig
        .register(Transport::Tcp, "alice", "correct horse battery", "")
        .await;
    assert_eq!(outcome.status, 200);
    assert_eq!(rig.location.status().len(), 1);
    let mut closed = rig.server.handle.closed_flows();
    drop(rig.phone);
    timeout(PATIENCE, closed.recv()).await.unwrap().unwrap();
    // The service hears of it by the same channel, if later.
    let gone = async {
        while !rig.location.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
}
