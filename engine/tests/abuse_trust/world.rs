//! The server of these tests and who is known to it: two carriers, a peer with a password, two phones.
use crate::party::Party;
use crate::server::{Metrics, Server, Settings, own_address};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// The password of everybody here, but for those who have it wrong.
pub(crate) const PASSWORD: &str = "correct-horse";

/// A port below those that the system gives to outgoing connections, so that it stays free until the server takes it.
fn own_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 6000 + (std::process::id().wrapping_mul(37) + next) % 5000;
        let at = (Ipv4Addr::LOCALHOST, u16::try_from(port).expect("a port"));
        if UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok() {
            return at.1;
        }
    }
}

/// See the module's text.
pub(crate) struct World {
    pub(crate) server: Server,
    /// A carrier: calls to `+…` go there. Its address is enough for it to call in.
    pub(crate) carrier: Party,
    /// A trunk whose address is not enough.
    pub(crate) peer: Party,
    /// A phone, extension 201, that may dial +49 only.
    pub(crate) alice: Party,
    /// A phone, extension 202, that may dial nothing outside.
    pub(crate) bob: Party,
}

impl World {
    pub(crate) fn start() -> World {
        World::with("")
    }

    /// With further sections of the configuration.
    pub(crate) fn with(more: &str) -> World {
        let ip = Ipv4Addr::LOCALHOST; // a trunk listens on the address it sends from
        let port = own_port();
        let server = (ip, port).into();
        let mut carrier = Party::new(server, "carrier");
        carrier.user = "+4930555".into();
        let peer = Party::known(server, "peer", PASSWORD);
        let callers = format!(
            r#"
[[trunk]]
name = "carrier"
target = "sip:{}"
acl = ["{}"]
username = "ourlogin"
password = "{PASSWORD}"
auth_realm = "carrier.example"
options_interval_s = 0
pass_headers = ["X-*", "D*", "P-*", "Subject", "User-to-User"]
[[trunk]]
name = "peer"
target = "sip:{}"
acl = ["{}"]
username = "peer"
password = "{PASSWORD}"
authenticate_inbound = true
options_interval_s = 0
[[endpoint]]
user = "alice"
extension = "201"
password = "{PASSWORD}"
allow_outbound = ["+49"]
[[endpoint]]
user = "bob"
extension = "202"
password = "{PASSWORD}"
allow_outbound = []
[[ring_group]]
name = "desk"
members = ["alice", "bob"]
[[number]]
to = "+*"
trunk = "carrier"
from = ["endpoint"]
[[number]]
to = "reception"
endpoint = "alice"
from = ["anyone"]
[[number]]
to = "demo"
flow = "builtin:demo"
from = ["anyone"]
[cdr]
file = "cdr.jsonl"
{more}
"#,
            carrier.address(),
            carrier.ip,
            peer.address(),
            peer.ip,
        );
        let started = Server::with(Settings {
            ip,
            sip_port: port,
            http_port: own_port(),
            rtp_ports: (13_000, 13_999),
            callers,
            numbers: Vec::new(),
            ..Settings::default()
        });
        World {
            carrier,
            peer,
            alice: Party::known(server, "alice", PASSWORD),
            bob: Party::known(server, "bob", PASSWORD),
            server: started,
        }
    }

    /// Somebody nobody knows.
    pub(crate) fn stranger(&self) -> Party {
        Party::at(self.server.sip(), "stranger", own_address())
    }

    /// Waits until no call, leg or channel is left. Transactions go by themselves, later.
    #[track_caller]
    pub(crate) fn rests(&self) -> Metrics {
        self.server.wait_metrics("nothing left", |metrics| {
            metrics.busy_gauges().iter().all(|(name, _)| {
                name.contains("transactions") || name.starts_with("trunkline_phones_")
            })
        })
    }
}
