use super::*;
use crate::fetch::FetchLimits;
use std::time::Duration;

fn spec(port: u16, allow: &[&str]) -> StreamSpec {
    let limits = FetchLimits {
        allow: allow
            .iter()
            .map(|network| network.parse().unwrap())
            .collect(),
        max_octets: 0,
        timeout: Duration::from_secs(60),
    };
    StreamSpec {
        address: Address::parse(&format!("ws://localhost:{port}/")).unwrap(),
        within: Some(Fetcher::new(&limits).unwrap()),
        token: None,
        call: CallFacts {
            id: "c-1".into(),
            direction: "inbound",
            from: String::new(),
            to: String::new(),
        },
        rate_hz: 8000,
        received: true,
        sent: false,
        playback: false,
        framing: Framing::Json,
        parameters: Vec::new(),
    }
}

#[tokio::test]
async fn a_strangers_address_is_reached_within_the_limits_of_fetches_only() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = || Err("no TLS".to_owned());
    let refused = connect::connect(&spec(port, &[]), tls).await.err();
    let refused = refused.unwrap();
    assert!(refused.contains("not public"), "{refused}");
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        tokio_tungstenite::accept_async(socket).await.unwrap();
    });
    let admitted = connect::connect(&spec(port, &["127.0.0.0/8"]), tls).await;
    assert!(admitted.is_ok(), "{:?}", admitted.err());
}

#[test]
fn a_token_is_what_a_header_can_carry() {
    for (token, good) in [
        ("eyJhbGciOi.J9.abc-_", true),
        (&*"x".repeat(4096), true),
        (&*"x".repeat(4097), false),
        ("", false),
        ("a b", false),
        ("a\r\nX: y", false),
        ("ü", false),
    ] {
        assert_eq!(is_token(token), good, "{token}");
    }
}

#[test]
fn what_is_logged_of_an_address_holds_no_secret() {
    let address = Address::parse("wss://user:pass@bot.example:8443/v1/audio?key=s3cret").unwrap();
    assert_eq!(address.to_string(), "wss://bot.example:8443/v1/audio");
    assert_eq!(format!("{address:?}"), address.to_string());
    for (text, error) in [
        ("http://bot.example/", AddressError::Form),
        ("ws:///audio", AddressError::Form),
        ("bot.example", AddressError::Form),
        ("", AddressError::Form),
        (
            &format!("ws://x/{}", "a".repeat(2048)),
            AddressError::Length,
        ),
    ] {
        assert_eq!(Address::parse(text), Err(error), "{text}");
    }
    let port = |text| Address::parse(text).unwrap().to_string();
    assert_eq!(port("ws://[::1]/a"), "ws://::1:80/a");
    assert_eq!(port("wss://x"), "wss://x:443/");
}
