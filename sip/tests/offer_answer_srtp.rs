//! Who may speak in the clear: policies, profiles and keys of offers and answers (RFC 4568, RFC 3264).

#![allow(clippy::unwrap_used)] // a test fails by panicking

use trunkline_sip::SrtpPolicy::{self, Never, Optional, Required};
use trunkline_sip::ice::{IceCredentials, OfferedIce};
use trunkline_sip::offer_answer::{LocalSrtp, Profile, accept, answer, offer};
use trunkline_sip::sdes::{Crypto, Suite};
use trunkline_sip::{Direction, Encoding, LocalMedia, Negotiated, Refusal, Sdp, SrtpKey};

const K30: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const K46: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLQ==";

fn key(suite: Suite, octet: u8) -> SrtpKey {
    SrtpKey::new(suite, &[octet; 46][..suite.key_and_salt_len()]).unwrap()
}

fn local(policy: SrtpPolicy) -> LocalMedia {
    LocalMedia {
        address: "198.51.100.7".parse().unwrap(),
        port: 40_000,
        session_id: 11,
        session_version: 2,
        codecs: vec![Encoding::Pcmu],
        telephone_event: false,
        comfort_noise: false,
        ptime_ms: 20,
        direction: Direction::SendRecv,
        srtp: LocalSrtp {
            policy,
            keys: Suite::ALL.map(|suite| key(suite, 0x11)).into(),
            profile: None,
        },
        ice: None,
    }
}

fn sdp(media: &str) -> Sdp {
    let text =
        format!("v=0\r\no=x 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n{media}");
    Sdp::parse(text.as_bytes()).unwrap()
}

fn media(profile: &str, cryptos: &[String]) -> Sdp {
    let lines: String = cryptos
        .iter()
        .map(|crypto| format!("a=crypto:{crypto}\r\n"))
        .collect();
    sdp(&format!("m=audio 5004 {profile} 0\r\n{lines}"))
}

fn good(tag: u32) -> String {
    format!("{tag} AES_CM_128_HMAC_SHA1_80 inline:{K30}")
}

/// The answer's crypto, if it has one.
fn crypto(sdp: &Sdp, line: usize) -> Option<Crypto> {
    let value = sdp.media[line].attribute("crypto")?;
    Some(Crypto::parse(value.unwrap()).unwrap())
}

#[test]
fn which_offers_are_taken_and_how() {
    let unusable = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{K30} UNENCRYPTED_SRTP");
    // policy, profile of the offer, its crypto, encrypted or plain; None: refused with 302
    let rows: [(SrtpPolicy, &str, Option<&str>, Option<bool>); 21] = [
        (Never, "RTP/AVP", None, Some(false)),
        (Never, "RTP/AVP", Some(&good(1)), Some(false)),
        (Never, "RTP/SAVP", Some(&good(1)), None),
        (Never, "RTP/SAVPF", Some(&good(1)), None),
        (Optional, "RTP/AVP", None, Some(false)),
        (Optional, "RTP/AVPF", None, Some(false)),
        (Optional, "RTP/AVP", Some(&good(1)), Some(true)),
        (Optional, "RTP/AVP", Some(&unusable), Some(false)),
        (Optional, "RTP/SAVP", Some(&good(1)), Some(true)),
        (Optional, "rtp/savpf", Some(&good(1)), Some(true)),
        (Optional, "RTP/SAVP", None, None),
        (Optional, "RTP/SAVP", Some(&unusable), None),
        (Required, "RTP/AVP", None, None),
        (Required, "RTP/AVPF", None, None),
        (Required, "RTP/AVP", Some(&unusable), None),
        (Required, "RTP/AVP", Some(&good(1)), Some(true)),
        (Required, "RTP/SAVP", Some(&good(1)), Some(true)),
        (Required, "RTP/SAVPF", Some(&good(1)), Some(true)),
        (Required, "RTP/SAVP", None, None),
        (Required, "UDP/TLS/RTP/SAVPF", Some(&good(1)), None),
        (Required, "UDP/TLS/RTP/SAVP", None, None),
    ];
    for (policy, profile, offered, expected) in rows {
        let row = format!("{policy:?} {profile} {offered:?}");
        let cryptos: Vec<String> = offered.iter().map(|text| (*text).to_owned()).collect();
        match (answer(&media(profile, &cryptos), &local(policy)), expected) {
            (Ok((sdp, agreed)), Some(encrypted)) => {
                assert_eq!(agreed.srtp.is_some(), encrypted, "{row}");
                assert_eq!(crypto(&sdp, 0).is_some(), encrypted, "{row}");
                assert_eq!(sdp.media[0].protocol, profile, "{row}");
            }
            (Err(refusal), None) => assert_eq!(refusal.warning, 302, "{row}"),
            (other, _) => panic!("{row}: {other:?}"),
        }
    }
}

#[test]
fn the_offerers_first_usable_key_is_answered_under_its_tag() {
    let offer = media(
        "RTP/SAVP",
        &[
            "1 AEAD_AES_256_GCM inline:x".into(),
            format!("2 AES_CM_128_HMAC_SHA1_80 inline:{K30}|1:4"),
            format!("7 AES_CM_256_HMAC_SHA1_80 inline:{K46}"),
            good(9),
        ],
    );
    let (sdp, agreed) = answer(&offer, &local(Required)).unwrap();
    let srtp = agreed.srtp.unwrap();
    let theirs: Vec<u8> = (0..46).collect();
    assert_eq!(srtp.receive.key_and_salt(), theirs);
    assert_eq!(srtp.send, key(Suite::Aes256CmHmacSha1_80, 0x11));
    let text = sdp.to_string();
    assert!(text.contains("a=crypto:7 AES_CM_256_HMAC_SHA1_80 inline:ERER"));
    assert_eq!(text.matches("a=crypto").count(), 1);
    // Without a key of ours for that suite, the next one.
    let mut short = local(Required);
    short.srtp.keys = vec![key(Suite::AesCm128HmacSha1_80, 0x22)];
    let (_, agreed) = answer(&offer, &short).unwrap();
    assert_eq!(agreed.srtp.unwrap().send, short.srtp.keys[0]);
}

#[test]
fn of_two_audio_lines_the_encrypted_one_is_taken_where_it_may_be() {
    let plain_first = sdp(&format!(
        "m=audio 5002 RTP/AVP 0\r\nm=audio 5004 RTP/SAVP 0\r\na=crypto:{}\r\nm=audio 5006 RTP/SAVP 0\r\na=crypto:{}\r\n",
        good(1),
        good(2)
    ));
    for (policy, ports) in [
        (Never, [40_000, 0, 0]),
        (Optional, [0, 40_000, 0]),
        (Required, [0, 40_000, 0]),
    ] {
        let (sdp, agreed) = answer(&plain_first, &local(policy)).unwrap();
        let answered: Vec<u16> = sdp.media.iter().map(|media| media.port).collect();
        assert_eq!(answered, ports, "{policy:?}");
        assert_eq!(agreed.srtp.is_some(), policy != Never);
        // Nothing of the line that was taken is in the others.
        let keys = |line: usize| crypto(&sdp, line).is_some();
        assert_eq!([keys(0), keys(2)], [false, false]);
    }
}

#[test]
fn our_offers_by_policy() {
    for (policy, protocol, keys) in [
        (Never, "RTP/AVP", 0),
        (Optional, "RTP/AVP", 3),
        (Required, "RTP/SAVP", 3),
    ] {
        let ours = offer(&local(policy));
        let text = ours.to_string();
        assert!(
            text.contains(&format!("m=audio 40000 {protocol} 0\r\n")),
            "{text}"
        );
        assert_eq!(text.matches("a=crypto:").count(), keys, "{policy:?}");
    }
    let text = offer(&local(Required)).to_string();
    for line in [
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 ",
        "a=crypto:2 AES_256_CM_HMAC_SHA1_80 ",
        "a=crypto:3 AES_CM_128_HMAC_SHA1_32 ",
    ] {
        assert!(text.contains(line), "{line}");
    }
    let mut kept = local(Optional);
    kept.srtp.profile = Some(Profile::Savpf);
    assert!(offer(&kept).to_string().contains("RTP/SAVPF"));
}

fn accepted(policy: SrtpPolicy, profile: &str, crypto: &[&str]) -> Result<Negotiated, Refusal> {
    let cryptos: Vec<String> = crypto.iter().map(|text| (*text).to_owned()).collect();
    accept(&offer(&local(policy)), &media(profile, &cryptos), policy)
}

#[test]
fn an_answer_takes_one_of_our_keys_or_is_refused() {
    let second = format!("2 AES_256_CM_HMAC_SHA1_80 inline:{K46}");
    let wrong_suite = format!("2 AES_CM_128_HMAC_SHA1_80 inline:{K30}");
    let unknown_tag = good(8);
    let open = format!("{} UNENCRYPTED_SRTP", good(1));
    let echoed = Crypto::new(1, key(Suite::AesCm128HmacSha1_80, 0x11)).to_value();
    for (policy, profile, cryptos, encrypted) in [
        (Required, "RTP/SAVP", vec![good(1)], Some(true)),
        (Required, "RTP/SAVP", vec![second.clone()], Some(true)),
        (Required, "RTP/SAVP", vec![], None),
        (Required, "RTP/AVP", vec![good(1)], None),
        (Required, "RTP/AVP", vec![], None),
        (Required, "RTP/SAVPF", vec![good(1)], None),
        (Required, "RTP/SAVP", vec![wrong_suite], None),
        (Required, "RTP/SAVP", vec![unknown_tag.clone()], None),
        (Required, "RTP/SAVP", vec![open], None),
        (Required, "RTP/SAVP", vec![echoed], None),
        (Required, "RTP/SAVP", vec![good(1), second], None),
        (Optional, "RTP/AVP", vec![], Some(false)),
        (Optional, "RTP/AVP", vec![good(1)], Some(true)),
        (Optional, "RTP/AVP", vec![unknown_tag], None),
        (Never, "RTP/AVP", vec![], Some(false)),
        (Never, "RTP/AVP", vec![good(1)], None), // we offered none
    ] {
        let cryptos: Vec<&str> = cryptos.iter().map(String::as_str).collect();
        let result = accepted(policy, profile, &cryptos);
        let is = result.as_ref().map(|agreed| agreed.srtp.is_some()).ok();
        assert_eq!(is, encrypted, "{policy:?} {profile} {cryptos:?} {result:?}");
    }
    let agreed = accepted(Required, "RTP/SAVP", &[&good(1)]).unwrap();
    let srtp = agreed.srtp.unwrap();
    assert_eq!(srtp.send, key(Suite::AesCm128HmacSha1_80, 0x11));
    assert_ne!(srtp.receive, srtp.send);
    // RTP/AVP kept from an earlier description does not let a leg that must be encrypted become plain.
    let mut kept = local(Required);
    kept.srtp.profile = Some(Profile::Avp);
    let plain = media("RTP/AVP", &[]);
    assert_eq!(
        accept(&offer(&kept), &plain, Required).unwrap_err().warning,
        302
    );
}

#[test]
fn both_ends_of_one_negotiation_have_each_others_keys() {
    let mut peer = local(Optional);
    peer.address = "192.0.2.50".parse().unwrap();
    peer.srtp.keys = Suite::ALL.map(|suite| key(suite, 0x77)).into();
    for policy in [Optional, Required] {
        let ours = offer(&local(policy));
        let (theirs, at_peer) = answer(&Sdp::parse(&ours.to_bytes()).unwrap(), &peer).unwrap();
        let here = accept(&ours, &Sdp::parse(&theirs.to_bytes()).unwrap(), policy).unwrap();
        let (here, at_peer) = (here.srtp.unwrap(), at_peer.srtp.unwrap());
        assert_eq!(here.send, at_peer.receive);
        assert_eq!(here.receive, at_peer.send);
    }
}

#[test]
fn no_key_and_no_password_is_shown() {
    let ice = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n";
    let offer = sdp(&format!(
        "m=audio 5004 RTP/SAVP 0\r\na=crypto:{}\r\n{ice}",
        good(1)
    ));
    let (answer, agreed) = answer(&offer, &local(Required)).unwrap();
    let shown = format!("{offer:?} {answer:?} {agreed:?} {:?}", local(Required));
    assert!(!shown.contains(K30) && !shown.contains("ERER") && !shown.contains("asd88"));
}

#[test]
fn ice_is_answered_where_it_is_offered_with_our_address_alone() {
    let credentials = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n";
    let host = "a=candidate:1 1 UDP 2130706431 192.0.2.5 5004 typ host\r\n";
    let private =
        "a=candidate:2 1 UDP 1694498815 10.9.8.7 5004 typ srflx raddr 10.1.2.3 rport 9\r\n";
    let ours = IceCredentials::from_random(&[3; 32]);
    let with = LocalMedia {
        ice: Some(ours.clone()),
        ..local(Never)
    };
    let line = format!("m=audio 5004 RTP/AVP 0\r\n{credentials}{private}{host}");
    let (sdp1, agreed) = answer(&sdp(&line), &with).unwrap();
    assert!(matches!(agreed.ice, OfferedIce::Checks(of) if of.ufrag == "8hhY"));
    let text = sdp1.to_string();
    for expected in [
        "\r\na=ice-lite\r\n".to_owned(),
        format!("\r\na=ice-ufrag:{}\r\n", ours.ufrag),
        format!("\r\na=ice-pwd:{}\r\n", ours.pwd),
        "\r\na=candidate:1 1 UDP 2130706431 198.51.100.7 40000 typ host\r\n".to_owned(),
        "\r\na=candidate:1 2 UDP 2130706430 198.51.100.7 40001 typ host\r\n".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected} in {text}");
    }
    assert!(!text.contains("8hhY") && !text.contains("10.9") && !text.contains("10.1"));
    let (mux, _) = answer(&sdp(&format!("{line}a=rtcp-mux\r\n")), &with).unwrap();
    assert_eq!(mux.to_string().matches("a=candidate").count(), 1);
    let mismatch = format!("m=audio 5004 RTP/AVP 0\r\n{credentials}{private}");
    let (text, agreed) = answer(&sdp(&mismatch), &with).unwrap();
    assert_eq!(agreed.ice, OfferedIce::Mismatch);
    assert!(text.to_string().contains("a=ice-mismatch"));
    assert!(!text.to_string().contains("a=candidate"));
    for (line, local) in [
        ("m=audio 5004 RTP/AVP 0\r\n", &with),
        (&line, &local(Never)),
    ] {
        let text = answer(&sdp(line), local).unwrap().0.to_string();
        assert!(!text.contains("ice-") && !text.contains("candidate"));
    }
    assert!(!offer(&with).to_string().contains("ice-"));
}
