//! The check behind target `stream_message`: what a service of an audio stream may say.
use trunkline::stream::protocol::{self, FromService, Malformed};

/// The octets are a text message where they are UTF-8, and a binary one in any case. Audio that is read is read again from what we write.
pub fn stream_message(octets: &[u8]) {
    match protocol::samples(octets) {
        Ok(samples) => {
            assert_eq!(samples.len() * 2, octets.len());
            same(&samples);
        }
        Err(malformed) => assert_eq!((malformed, octets.len() % 2), (Malformed::Odd, 1)),
    }
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    match protocol::parse(text) {
        Ok(FromService::Media(samples)) => same(&samples),
        Ok(FromService::Mark(name)) => {
            assert!((1..=protocol::MAX_NAME).contains(&name.len()));
            let again = protocol::parse(&protocol::mark(&name));
            assert_eq!(again, Ok(FromService::Mark(name)));
        }
        Ok(_) | Err(_) => {}
    }
}

fn same(samples: &[i16]) {
    let again = protocol::parse(&protocol::media("in", 0, samples));
    assert_eq!(again, Ok(FromService::Media(samples.to_vec())));
    let binary = protocol::binary_media(0, 0, samples);
    assert_eq!(protocol::samples(&binary[8..]).as_deref(), Ok(samples));
}
