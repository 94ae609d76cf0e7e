//! Calls go on to the next target, and learn from one another; health by OPTIONS.
use crate::carrier::{Carrier, Request, reply};
use crate::rig::{Rig, config};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use trunkline::config::TrunkUri;
use trunkline::net::sip::Hop;
use trunkline::trunk::{LookUp, Resolve, State};
use trunkline_sip::Transport;

/// Answers OPTIONS, and INVITE with `status`; 0: silence.
fn answering(status: u16) -> impl FnMut(&Request) -> Option<String> + Send + 'static {
    move |request| match (request.method.as_str(), status) {
        ("ACK", _) | (_, 0) => None,
        ("INVITE", status) => reply(status, &[("Contact", "<sip:127.0.0.1:9>")]),
        _ => reply(200, &[]),
    }
}

fn two_targets(first: &Carrier, second: &Carrier, more: &str) -> trunkline::config::Config {
    config(&format!(
        "targets = [{{ uri = \"sip:{}\", priority = 1 }}, {{ uri = \"sip:{}\", priority = 2 }}]\n{more}",
        first.address, second.address
    ))
}

#[tokio::test]
async fn a_503_sends_the_call_on_and_its_retry_after_spares_the_next_one() {
    let mut first = Carrier::start(|request| match request.method.as_str() {
        "ACK" => None,
        "INVITE" => reply(503, &[("Retry-After", "60")]),
        _ => reply(200, &[]),
    })
    .await;
    let mut second = Carrier::start(answering(486)).await;
    let rig = Rig::start(&two_targets(&first, &second, "")).await;
    rig.until(|status| {
        status.targets.len() == 2 && status.targets.iter().all(|to| to.state == State::Up)
    })
    .await;
    let mut call = rig.dial("+4930123").unwrap();
    assert_eq!(rig.call(&mut call).await, 486);
    let invite = first.next("INVITE").await;
    assert_eq!(invite.uri(), format!("sip:+4930123@{}", first.address));
    assert_eq!(
        invite.header("P-Asserted-Identity"),
        Some("<sip:+49301@127.0.0.1>")
    );
    second.next("INVITE").await;
    assert_eq!(rig.status().failovers, 1);
    let mut call = rig.dial("+4930124").unwrap();
    assert_eq!(rig.call(&mut call).await, 486);
    second.next("INVITE").await;
    let spared = first.so_far();
    assert!(spared.iter().all(|request| request.method != "INVITE"));
}

#[tokio::test]
async fn busy_is_busy() {
    for status in [486, 404, 500, 603] {
        let first = Carrier::start(answering(status)).await;
        let mut second = Carrier::start(answering(200)).await;
        let rig = Rig::start(&two_targets(&first, &second, "options_interval_s = 0")).await;
        rig.until(|status| status.targets.len() == 2).await;
        let mut call = rig.dial("1").unwrap();
        assert_eq!(rig.call(&mut call).await, status);
        assert!(call.next_leg().is_none());
        assert!(second.so_far().is_empty());
        assert_eq!(rig.status().failovers, 0);
    }
}

#[tokio::test]
async fn silence_sends_the_call_on_after_the_failover_time() {
    let mut first = Carrier::start(answering(0)).await;
    let mut second = Carrier::start(answering(200)).await;
    let rig = Rig::start(&two_targets(&first, &second, "options_interval_s = 0")).await;
    rig.until(|status| status.targets.len() == 2).await;
    let mut call = rig.dial("1").unwrap();
    assert_eq!(rig.call(&mut call).await, 200);
    first.next("INVITE").await;
    second.next("INVITE").await;
    let status = rig.status();
    assert!(status.targets[0].cooling.is_some(), "{status:#?}");
    assert!(status.targets[1].cooling.is_none(), "{status:#?}");
}

#[tokio::test]
async fn a_leg_keeps_the_place_of_its_call() {
    let carrier = Carrier::start(answering(200)).await;
    let rig = Rig::start(&config(&format!(
        "options_interval_s = 0\ntarget = \"sip:{}\"",
        carrier.address
    )))
    .await;
    rig.until(|status| status.usable()).await;
    let mut call = rig.dial("1").unwrap();
    let leg = call.next_leg().unwrap();
    assert!(call.next_leg().is_none());
    drop(call);
    assert_eq!(rig.status().calls, 1);
    drop(leg.clone());
    assert_eq!(rig.status().calls, 1);
    drop(leg);
    assert_eq!(rig.status().calls, 0);
}

#[tokio::test]
async fn a_refused_connection_sends_the_call_on() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let mut second = Carrier::start(answering(200)).await;
    let rig = Rig::start(&config(&format!(
        "options_interval_s = 0\ntargets = [{{ uri = \"sip:{address};transport=tcp\", priority = 1 }}, {{ uri = \"sip:{}\", priority = 2 }}]",
        second.address
    )))
    .await;
    rig.until(|status| status.targets.len() == 2).await;
    let mut call = rig.dial("1").unwrap();
    assert_eq!(rig.call(&mut call).await, 200);
    second.next("INVITE").await;
    assert!(rig.status().targets[0].cooling.is_some());
}

#[tokio::test]
async fn a_target_that_stops_answering_options_goes_down_and_comes_back() {
    let carrier = Carrier::start(answering(200)).await;
    let target = format!(
        "target = \"sip:{}\"\noptions_interval_s = 10",
        carrier.address
    );
    let rig = Rig::start(&config(&target)).await;
    rig.until(|status| {
        status
            .targets
            .first()
            .is_some_and(|to| to.state == State::Up)
    })
    .await;
    assert!(rig.status().usable());
    carrier.behave(answering(0));
    rig.until(|status| status.targets[0].state == State::Down)
        .await;
    assert!(!rig.status().usable());
    assert_eq!(rig.dial("1").unwrap_err(), "trunk-down");
    // Any response will do.
    carrier.behave(|request| match request.method.as_str() {
        "OPTIONS" => reply(405, &[]),
        _ => None,
    });
    rig.until(|status| status.targets[0].state == State::Up)
        .await;
    assert!(rig.dial("1").is_ok());
}

#[tokio::test]
async fn what_the_configuration_refuses_never_leaves() {
    let mut carrier = Carrier::start(answering(200)).await;
    let rig = Rig::start(&config(&format!(
        "target = \"sip:{}\"\nmax_calls = 1\ndenied_prefixes = [\"+1900\"]\ncountry_code = \"1\"\nnational_prefix = \"1\"\ninternational_prefix = \"011\"",
        carrier.address
    )))
    .await;
    rig.until(|status| status.usable()).await;
    for (number, rule) in [
        ("+1900555", "trunk-prefix-denied"),
        ("1900555", "trunk-prefix-denied"),
        ("0111900555", "trunk-prefix-denied"),
        ("411", "trunk-number-not-international"),
        ("1212\r\nX: y", "trunk-number-malformed"),
        ("", "trunk-number-malformed"),
    ] {
        assert_eq!(rig.dial(number).err(), Some(rule), "{number}");
    }
    let call = rig.dial("+1212555").unwrap();
    assert_eq!(rig.dial("+1212555").err(), Some("trunk-max-calls"));
    let inbound = rig.trunks.admit("carrier").map_err(|refused| refused.rule);
    assert_eq!(inbound.err(), Some("trunk-max-calls"), "both ways count");
    drop(call);
    assert!(rig.trunks.admit("carrier").is_ok());
    let unknown = rig.trunks.admit("other").unwrap_err();
    assert_eq!((unknown.status, unknown.rule), (404, "no-such-trunk"));
    let refused = rig.status().refused;
    assert!(refused.contains(&("trunk-prefix-denied", 3)), "{refused:?}");
    let sent = carrier.so_far();
    assert!(sent.iter().all(|request| request.method == "OPTIONS"));
}

/// Knows a carrier with an address in either family.
struct DualStack(u16);

impl Resolve for DualStack {
    fn resolve<'a>(&'a self, _: &'a TrunkUri) -> LookUp<'a> {
        let hop = |ip: IpAddr| Hop {
            transport: Transport::Udp,
            address: SocketAddr::new(ip, self.0),
            server_name: "dual.example".to_owned(),
        };
        let hops = vec![
            hop(Ipv6Addr::LOCALHOST.into()),
            hop(Ipv4Addr::LOCALHOST.into()),
        ];
        Box::pin(async { Ok(hops) })
    }
}

#[tokio::test]
async fn an_address_of_a_family_we_have_no_socket_for_is_no_target() {
    let carrier = Carrier::start(answering(486)).await;
    let resolver = Arc::new(DualStack(carrier.address.port()));
    let rig = Rig::with(&config("target = \"sip:dual.example\""), resolver).await;
    let status = rig.until(|status| !status.targets.is_empty()).await;
    assert_eq!(status.targets.len(), 1, "{status:?}");
}
