//! The check behind target `sdes`: keys in session descriptions.

use trunkline_sip::ice::OfferedIce;
use trunkline_sip::offer_answer::{LocalSrtp, answer};
use trunkline_sip::sdes::{Crypto, Suite};
use trunkline_sip::{Encoding, LocalMedia, Sdp, SrtpKey, SrtpPolicy};

/// The value of one `a=crypto`. What is read is read again from what is written, is answered within RTP/SAVP with our key under the same
/// tag, and is never shown.
pub fn sdes(octets: &[u8]) {
    let Ok(value) = std::str::from_utf8(octets) else {
        return;
    };
    let read = Crypto::parse(value);
    if let Ok(crypto) = &read {
        let written = crypto.to_value();
        assert_eq!(Crypto::parse(&written).as_ref(), Ok(crypto));
        let (_, key) = written.split_once("inline:").expect("an inline key");
        assert!(!format!("{crypto:?}").contains(key));
    }
    if value.chars().any(char::is_control) || value.len() > 4_000 {
        return;
    }
    let offer =
        format!("v=0\r\nc=IN IP4 192.0.2.5\r\nm=audio 5004 RTP/SAVP 0\r\na=crypto:{value}\r\n");
    let offer = Sdp::parse(offer.as_bytes()).expect("a session description");
    match (answer(&offer, &local()), read) {
        (Ok((answer, agreed)), Ok(crypto)) => {
            let srtp = agreed.srtp.expect("RTP/SAVP is never plain");
            assert_eq!(srtp.receive, crypto.key);
            assert_ne!(srtp.send, crypto.key);
            assert_eq!(agreed.ice, OfferedIce::None);
            let ours = answer.media[0].attribute("crypto").flatten();
            let ours = Crypto::parse(ours.expect("our key")).expect("what we write is read");
            assert_eq!((ours.tag, ours.key), (crypto.tag, srtp.send));
        }
        (Err(_), Err(_)) => {}
        (answer, read) => panic!("{read:?}, but {answer:?}"),
    }
}

fn local() -> LocalMedia {
    let keys = Suite::ALL.map(|suite| SrtpKey::new(suite, &[7; 46][..suite.key_and_salt_len()]));
    LocalMedia {
        address: [192, 0, 2, 1].into(),
        port: 20_000,
        session_id: 1,
        session_version: 1,
        codecs: vec![Encoding::Pcmu],
        telephone_event: false,
        comfort_noise: false,
        ptime_ms: 20,
        direction: trunkline_sip::Direction::SendRecv,
        srtp: LocalSrtp {
            policy: SrtpPolicy::Required,
            keys: keys.into_iter().flatten().collect(),
            profile: None,
        },
        ice: None,
    }
}
