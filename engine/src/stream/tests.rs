use super::*;

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
