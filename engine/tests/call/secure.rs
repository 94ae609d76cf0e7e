//! Encrypted calls: which offers are taken under which policy, what is heard with the keys that were exchanged, and that no description
//! leads from there into the clear.
use crate::phone::{Phone, audio_port, header, status};
use crate::rig::Rig;
use crate::{PATIENCE, playing};
use trunkline::call::Outcome;
use trunkline::config::SrtpPolicy;
use trunkline::rtp::srtp::{MasterKey, Receiver, Sender, Suite};
use trunkline_sip::sdes::Crypto;

const OURS: &str = "AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

/// A description with a key of the phone's.
fn secure(sdp: &str, profile: &str, tag: u32) -> String {
    format!(
        "{}a=crypto:{tag} {OURS}\r\n",
        sdp.replace("RTP/AVP", profile)
    )
}

/// The key of a description, as the media side takes it. All of them here are AES-128 with a tag of 80 bits.
fn key(sdp: &str) -> MasterKey {
    let line = sdp.lines().find_map(|line| line.strip_prefix("a=crypto:"));
    let crypto = Crypto::parse(line.expect("a key")).unwrap();
    MasterKey::new(Suite::AesCm128HmacSha1_80, crypto.key.key_and_salt()).unwrap()
}

fn phones_key() -> MasterKey {
    key(&format!("a=crypto:1 {OURS}"))
}

/// Waits for a packet of audio that this key opens, and returns its payload.
async fn hear(phone: &Phone, receiver: &mut Receiver) -> Vec<u8> {
    let mut packet = [0; 1500];
    let got = tokio::time::timeout(PATIENCE, phone.rtp.recv_from(&mut packet)).await;
    let (length, _) = got.expect("audio in time").unwrap();
    let length = receiver.unprotect_rtp(&mut packet[..length]).expect("SRTP");
    packet[12..length].to_vec()
}

/// Sends packets of audio, protected.
async fn speak(phone: &Phone, sender: &mut Sender, to: u16, first: u16, count: u16) {
    for sequence in first..first + count {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend((u32::from(sequence) * 160).to_be_bytes());
        packet.extend([0, 0, 0, 9]);
        packet.extend([0x55; 160]);
        packet.extend([0; 14]);
        let length = sender.protect_rtp(&mut packet, 172).unwrap();
        let target = ("127.0.0.1", to);
        phone.rtp.send_to(&packet[..length], target).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_call_is_heard_and_stays_encrypted() {
    for (policy, profile) in [
        (SrtpPolicy::Required, "RTP/SAVP"),
        (SrtpPolicy::Required, "RTP/AVP"),
        (SrtpPolicy::Optional, "RTP/SAVPF"),
        (SrtpPolicy::Optional, "RTP/AVP"),
    ] {
        let mut rig = Rig::secure(vec![("music", playing())], policy).await;
        let mut phone = Phone::new(rig.address, "music").await;
        let plain = phone.sdp("sendrecv");
        let offer = secure(&plain, profile, 5);
        phone.invite(&offer).await;
        let answer = phone.last_response("INVITE").await;
        assert_eq!(status(&answer), 200, "{answer}");
        phone.ack(&answer, "").await;
        assert!(answer.contains(&format!(" {profile} 0")), "{answer}");
        assert!(answer.contains("a=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:"));
        assert_ne!(key(&answer), phones_key());
        let mut receiver = Receiver::new(&key(&answer));
        hear(&phone, &mut receiver).await;
        // A change with the same key: the same key of ours, and counters that go on.
        let again = phone.reinvite(&offer, "").await;
        assert_eq!((status(&again), key(&again)), (200, key(&answer)));
        hear(&phone, &mut receiver).await;
        // Into the clear there is no way, and the attempt harms nothing.
        let refused = phone.reinvite(&plain, "").await;
        assert_eq!(status(&refused), 488, "{refused}");
        for _ in 0..3 {
            hear(&phone, &mut receiver).await;
        }
        let mut sender = Sender::new(&phones_key());
        speak(&phone, &mut sender, audio_port(&answer), 10, 5).await;
        phone.bye().await;
        assert_eq!(rig.outcome().await, Outcome::HungUp);
        rig.rests().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_excludes_is_refused() {
    for (policy, profile, with_key, rule) in [
        (SrtpPolicy::Never, "RTP/SAVP", true, "srtp-not-allowed"),
        (SrtpPolicy::Required, "RTP/AVP", false, "srtp-required"),
        (SrtpPolicy::Required, "RTP/SAVP", false, "srtp-key-unusable"),
        (SrtpPolicy::Optional, "RTP/SAVP", false, "srtp-key-unusable"),
        (
            SrtpPolicy::Optional,
            "UDP/TLS/RTP/SAVP",
            false,
            "offer-refused",
        ),
    ] {
        let mut rig = Rig::secure(vec![("music", playing())], policy).await;
        let phone = Phone::new(rig.address, "music").await;
        let plain = phone.sdp("sendrecv");
        let offer = match with_key {
            true => secure(&plain, profile, 1),
            false => plain.replace("RTP/AVP", profile),
        };
        let refused = Phone::refused(rig.address, "music", &offer).await;
        assert_eq!(status(&refused), 488, "{policy:?} {profile}: {refused}");
        assert!(header(&refused, "Warning").contains("S"), "{refused}");
        assert_eq!(rig.calls.counters.refused_by()[rule], 1);
        rig.rests().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_offer_needs_a_key_in_its_answer() {
    let mut rig = Rig::secure(vec![("music", playing())], SrtpPolicy::Required).await;
    for with_key in [false, true] {
        let mut phone = Phone::new(rig.address, "music").await;
        phone.invite("").await;
        let offer = phone.last_response("INVITE").await;
        assert!(offer.contains(" RTP/SAVP 0") && offer.matches("a=crypto:").count() >= 2);
        let plain = phone.sdp("sendrecv");
        if with_key {
            phone.ack(&offer, &secure(&plain, "RTP/SAVP", 1)).await;
            hear(&phone, &mut Receiver::new(&key(&offer))).await;
            phone.bye().await;
        } else {
            let answer = plain.replace("RTP/AVP", "RTP/SAVP");
            phone.ack(&offer, &answer).await;
            let bye = phone.expect("BYE").await;
            assert!(header(&bye, "Reason").contains("answer-unusable"), "{bye}");
        }
        assert_eq!(rig.outcome().await, Outcome::HungUp);
    }
    assert_eq!(rig.rests().await[&("us", "bad-answer")], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_caller_and_an_encrypted_callee_hear_each_other_and_share_no_key() {
    let mut rig = Rig::start(vec![]).await;
    let mut callee = rig
        .phone_with("bob", |leg| leg.srtp = SrtpPolicy::Required)
        .await;
    let mut caller = Phone::new(rig.address, "dial-bob").await;
    caller.invite(&caller.sdp("sendrecv")).await;
    let invite = callee.called().await;
    assert!(invite.contains(" RTP/SAVP 0"), "{invite}");
    let answer = secure(&callee.sdp("sendrecv"), "RTP/SAVP", 1);
    callee.respond(&invite, "200 OK", &answer).await;
    callee.wait("ACK", |text| text.starts_with("ACK ")).await;
    let answer = caller.last_response("INVITE").await;
    assert_eq!(status(&answer), 200, "{answer}");
    caller.ack(&answer, "").await;
    assert!(!answer.contains("crypto") && answer.contains(" RTP/AVP 0"));
    let (mut sender, mut receiver) = (Sender::new(&phones_key()), Receiver::new(&key(&invite)));
    let mut sequence = 1;
    loop {
        speak(&callee, &mut sender, audio_port(&invite), sequence, 1).await;
        sequence += 1;
        if caller
            .heard_now()
            .await
            .is_some_and(|heard| heard.payload == [0x55; 160])
        {
            break;
        }
        assert!(sequence < 200, "the caller never hears the callee");
    }
    for packet in 0..200 {
        let port = audio_port(&answer);
        caller.rtp(port, 0, packet * 160, &[0x2A; 160]).await;
        if hear(&callee, &mut receiver).await == [0x2A; 160] {
            break;
        }
        assert!(packet < 199, "the callee never hears the caller");
    }
    caller.bye().await;
    callee.expect("BYE").await;
    rig.rests().await;
}
