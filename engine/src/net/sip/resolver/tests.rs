//! Look-ups in made-up zones.
use super::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Made-up zones, and what was asked of them. What is not in them does not exist; `servfail` cannot be asked for, `hang` never answers.
#[derive(Default, Clone)]
struct Zone {
    naptr: HashMap<String, Vec<Naptr>>,
    srv: HashMap<String, Vec<Srv>>,
    hosts: HashMap<String, Vec<IpAddr>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Zone {
    fn naptr(mut self, name: &str, order: u16, service: &str, replacement: &str) -> Zone {
        self.naptr.entry(name.to_owned()).or_default().push(Naptr {
            order,
            preference: 0,
            flags: "s".to_owned(),
            service: service.to_owned(),
            replacement: replacement.to_owned(),
        });
        self
    }

    fn srv(mut self, name: &str, priority: u16, port: u16, target: &str) -> Zone {
        self.srv.entry(name.to_owned()).or_default().push(Srv {
            priority,
            weight: 0,
            port,
            target: target.to_owned(),
        });
        self
    }

    fn host(mut self, name: &str, addresses: &[&str]) -> Zone {
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        self.hosts.insert(name.to_owned(), addresses.collect());
        self
    }

    fn answer<'a, T: Clone + Send + Sync>(
        &'a self,
        kind: &str,
        name: &'a str,
        records: &'a HashMap<String, Vec<T>>,
    ) -> Asked<'a, T> {
        self.asked.lock().unwrap().push(format!("{kind} {name}"));
        Box::pin(async move {
            if name.contains("hang") {
                std::future::pending::<()>().await;
            }
            match name.contains("servfail") {
                true => Err("SERVFAIL".to_owned()),
                false => Ok(records.get(name).cloned().unwrap_or_default()),
            }
        })
    }
}

impl Zones for Zone {
    fn naptr<'a>(&'a self, name: &'a str) -> Asked<'a, Naptr> {
        self.answer("NAPTR", name, &self.naptr)
    }

    fn srv<'a>(&'a self, name: &'a str) -> Asked<'a, Srv> {
        self.answer("SRV", name, &self.srv)
    }

    fn addresses<'a>(&'a self, name: &'a str) -> Asked<'a, IpAddr> {
        self.answer("A", name, &self.hosts)
    }
}

/// Hops as text: `udp 192.0.2.1:5060`.
async fn look(
    zone: &Zone,
    host: &str,
    port: Option<u16>,
    transport: Option<Transport>,
    secure: bool,
) -> Result<Vec<String>, ResolveError> {
    let resolver = Resolver::new(Box::new(zone.clone()), Box::new(|_| 0));
    let hops = resolver.resolve(host, port, transport, secure).await?;
    Ok(hops
        .iter()
        .map(|hop| {
            assert_eq!(hop.server_name, host.trim_end_matches('.'));
            format!("{} {}", hop.transport.uri_param(), hop.address)
        })
        .collect())
}

fn carrier() -> Zone {
    Zone::default()
        .naptr(
            "carrier.example",
            20,
            "SIP+D2U",
            "_sip._udp.carrier.example",
        )
        .naptr(
            "carrier.example",
            10,
            "SIPS+D2T",
            "_sips._tcp.carrier.example",
        )
        .srv("_sip._udp.carrier.example", 20, 5062, "b.carrier.example")
        .srv("_sip._udp.carrier.example", 10, 5060, "a.carrier.example")
        .srv("_sips._tcp.carrier.example", 10, 5061, "a.carrier.example")
        .host("a.carrier.example", &["192.0.2.1", "2001:db8::1"])
        .host("b.carrier.example", &["192.0.2.2"])
        .host("carrier.example", &["192.0.2.9"])
}

#[tokio::test]
async fn naptr_leads_to_srv_leads_to_addresses() {
    let zone = carrier();
    let found = look(&zone, "carrier.example", None, None, false).await;
    assert_eq!(
        found.unwrap(),
        [
            "tls 192.0.2.1:5061",
            "tls [2001:db8::1]:5061",
            "udp 192.0.2.1:5060",
            "udp [2001:db8::1]:5060",
            "udp 192.0.2.2:5062",
        ]
    );
    let secure = look(&zone, "carrier.example.", None, None, true).await;
    assert_eq!(
        secure.unwrap(),
        ["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061"]
    );
}

/// What is asked for, in order, and what comes out (RFC 3263 §4.1, §4.2).
#[tokio::test]
async fn a_transport_or_a_port_leaves_out_questions() {
    use Transport::{Tcp, Tls, Udp};
    let rows: [(Option<u16>, Option<Transport>, bool, &[&str], &[&str]); 6] = [
        (
            None,
            Some(Udp),
            false,
            &[
                "SRV _sip._udp.carrier.example",
                "A a.carrier.example",
                "A b.carrier.example",
            ],
            &[
                "udp 192.0.2.1:5060",
                "udp [2001:db8::1]:5060",
                "udp 192.0.2.2:5062",
            ],
        ),
        (
            None,
            Some(Tcp),
            false,
            &["SRV _sip._tcp.carrier.example", "A carrier.example"],
            &["tcp 192.0.2.9:5060"],
        ),
        (
            Some(5070),
            None,
            false,
            &["A carrier.example"],
            &["udp 192.0.2.9:5070"],
        ),
        (
            Some(5070),
            Some(Tls),
            false,
            &["A carrier.example"],
            &["tls 192.0.2.9:5070"],
        ),
        (
            Some(5070),
            None,
            true,
            &["A carrier.example"],
            &["tls 192.0.2.9:5070"],
        ),
        // TCP of a sips URI is TLS.
        (
            None,
            Some(Tcp),
            true,
            &["SRV _sips._tcp.carrier.example", "A a.carrier.example"],
            &["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061"],
        ),
    ];
    for (port, transport, secure, asked, found) in rows {
        let zone = carrier();
        let hops = look(&zone, "carrier.example", port, transport, secure).await;
        assert_eq!(hops.unwrap(), found, "{port:?} {transport:?} {secure}");
        assert_eq!(*zone.asked.lock().unwrap(), asked);
    }
}

#[tokio::test]
async fn without_naptr_the_services_are_asked_for_and_without_them_the_host() {
    let zone = Zone::default()
        .srv("_sip._tcp.pbx.example", 1, 5080, "h.example")
        .host("h.example", &["192.0.2.7"])
        .host("bare.example", &["192.0.2.8"]);
    let found = look(&zone, "pbx.example", None, None, false).await;
    assert_eq!(found.unwrap(), ["tcp 192.0.2.7:5080"]);
    let found = look(&zone, "bare.example", None, None, false).await;
    assert_eq!(found.unwrap(), ["udp 192.0.2.8:5060"]);
    let secure = look(&zone, "bare.example", None, None, true).await;
    assert_eq!(secure.unwrap(), ["tls 192.0.2.8:5061"]);
}

#[tokio::test]
async fn numeric_hosts_ask_nobody() {
    let zone = Zone::default();
    for (host, port, transport, secure, expected) in [
        ("192.0.2.1", None, None, false, "udp 192.0.2.1:5060"),
        (
            "192.0.2.1",
            Some(5070),
            Some(Transport::Tcp),
            false,
            "tcp 192.0.2.1:5070",
        ),
        ("192.0.2.1", None, None, true, "tls 192.0.2.1:5061"),
        ("[2001:db8::1]", None, None, false, "udp [2001:db8::1]:5060"),
    ] {
        let found = look(&zone, host, port, transport, secure).await;
        assert_eq!(found.unwrap(), [expected]);
    }
    assert!(zone.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn sips_never_leaves_in_the_clear() {
    // The zone offers nothing but UDP.
    let zone = Zone::default()
        .naptr("c.example", 1, "SIP+D2U", "_sip._udp.c.example")
        .srv("_sip._udp.c.example", 1, 5060, "h.example")
        .host("h.example", &["192.0.2.1"]);
    let found = look(&zone, "c.example", None, None, true).await;
    assert_eq!(found, Err(ResolveError::Unknown("c.example".to_owned())));
    let udp = look(&zone, "c.example", None, Some(Transport::Udp), true).await;
    assert_eq!(udp, Err(ResolveError::NotSecure("udp")));
}

#[tokio::test]
async fn broken_zones_end() {
    let zone = Zone::default()
        // NAPTR cannot be asked for, the host can.
        .host("good.example", &["192.0.2.1"])
        .srv("_sip._udp.half.example", 1, 5060, "servfail.example")
        .srv("_sip._udp.half.example", 2, 5060, "good.example")
        .host("wild.example", &["0.0.0.0", "224.0.0.1", "192.0.2.3"]);
    let half = look(&zone, "half.example", None, None, false).await;
    assert_eq!(half.unwrap(), ["udp 192.0.2.1:5060"]);
    let wild = look(&zone, "wild.example", Some(5060), None, false).await;
    assert_eq!(wild.unwrap(), ["udp 192.0.2.3:5060"]);
    for (host, said) in [
        (
            "servfail.example",
            "could not be asked for servfail.example: SERVFAIL",
        ),
        ("nothing.example", "knows no address of nothing.example"),
    ] {
        let error = look(&zone, host, None, None, false).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_zone_that_never_answers_is_given_up() {
    let mut resolver = Resolver::new(Box::new(Zone::default()), Box::new(|_| 0));
    resolver.patience = Duration::from_millis(10);
    let error = resolver.resolve("hang.example", None, None, false).await;
    assert_eq!(error, Err(ResolveError::Timeout("hang.example".to_owned())));
}

#[tokio::test]
async fn a_zone_without_end_is_cut() {
    let many: Vec<String> = (0..200).map(|last| format!("192.0.2.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut zone = Zone::default().host("h.example", &many);
    for priority in 0..500 {
        zone = zone.srv("_sip._udp.big.example", priority, 5060, "h.example");
    }
    let found = look(&zone, "big.example", None, None, false).await.unwrap();
    assert_eq!(found.len(), MAX_HOPS);
    assert!(zone.asked.lock().unwrap().len() < 100);
}

#[test]
fn draws_stay_within_their_limit() {
    for most in [0, 1, 7, u32::MAX] {
        assert!((0..100).all(|_| random_up_to(most) <= most));
    }
}
