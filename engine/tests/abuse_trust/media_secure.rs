//! A bridged call with one encrypted leg: whatever comes in the clear, with a wrong tag or twice ends nothing and is passed to nobody.
//! What such packets do to one channel, in every suite, is in `engine/tests/media_secure.rs`.
use crate::party::{Dialog, Party, audio_at, header, status, uri};
use crate::server::PATIENCE;
use crate::world::{PASSWORD, World};
use std::time::{Duration, Instant};
use trunkline::rtp::srtp::{MasterKey, Sender, Suite};
use trunkline_sip::sdes::Crypto;

const KEY: &str = "AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const WRONG: &str = "AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn sender(key: &str) -> Sender {
    let crypto = Crypto::parse(&format!("1 {key}")).expect("a key");
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, crypto.key.key_and_salt());
    Sender::new(&key.expect("a key"))
}

fn plain(sequence: u16, octet: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend([0, 0, 0, 9]);
    packet.extend([octet; 160]);
    packet
}

fn protected(sender: &mut Sender, sequence: u16, octet: u8) -> Vec<u8> {
    let mut packet = plain(sequence, octet);
    let length = packet.len();
    packet.extend([0; 14]);
    let length = sender.protect_rtp(&mut packet, length).expect("protected");
    packet.truncate(length);
    packet
}

#[test]
fn no_packet_without_the_key_ends_or_enters_an_encrypted_call() {
    let mut world = World::with(&format!(
        "[[endpoint]]\nuser = \"carol\"\npassword = \"{PASSWORD}\"\nsrtp = \"required\"\n\
         [[number]]\nto = \"vault\"\nendpoint = \"carol\"\nfrom = [\"anyone\"]\n"
    ));
    let mut carol = Party::known(world.server.sip(), "carol", PASSWORD);
    carol.register();
    let mut caller = world.stranger();
    let (mut asked, text) = caller.begin("vault");
    let invite = carol.request_of("INVITE");
    let secure = carol.sdp().replace("RTP/AVP", "RTP/SAVP") + &format!("a=crypto:1 {KEY}\r\n");
    let accepted = carol.response(&invite, "200 OK", "carols", "", &secure);
    carol.send(&accepted);
    carol.request_of("ACK");
    let mut called = Dialog {
        call_id: header(&invite, "Call-ID").to_owned(),
        local: header(&accepted, "To").to_owned(),
        remote: header(&invite, "From").to_owned(),
        target: uri(header(&invite, "Contact")).to_owned(),
        cseq: 100,
    };
    let answer = caller.final_response(header(&text, "Call-ID"), header(&text, "CSeq"));
    assert_eq!(status(&answer), 200, "{answer}");
    caller.confirm(&mut asked, &answer);
    caller.rtp.set_nonblocking(true).expect("a socket");
    let to = audio_at(&invite);
    let mut right = sender(KEY);
    let mut sequence = 1;
    // What carol says is heard; of the flood nothing is, before she said anything and after.
    let mut says = |octet: u8| {
        let patience = Instant::now() + PATIENCE;
        loop {
            carol.rtp(to, &protected(&mut right, sequence, octet));
            sequence += 1;
            std::thread::park_timeout(Duration::from_millis(5));
            let mut packet = [0; 2048];
            while let Ok(length) = caller.rtp.recv(&mut packet) {
                assert!(
                    !packet[12..length].starts_with(&[0x33; 40]),
                    "the flood is passed on"
                );
                if packet[12..length].starts_with(&[octet; 160]) {
                    return sequence;
                }
            }
            assert!(Instant::now() < patience, "{octet} is not heard");
        }
    };
    let hello = [
        &[0x16, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1][..],
        &[0; 39],
    ]
    .concat();
    let flood = |from: u16| {
        let mut wrong = sender(WRONG);
        for ahead in 0..300 {
            let number = from.wrapping_add(ahead);
            carol.rtp(to, &plain(number, 0x33));
            carol.rtp(to, &protected(&mut wrong, number, 0x33));
            carol.rtp(to, &hello);
        }
    };
    flood(1);
    let next = says(0x11);
    flood(next);
    says(0x12);
    let metrics = world.server.metrics();
    let dropped = metrics.labelled("trunkline_rtp_packets_dropped_total", "srtp_auth_failed");
    assert!(dropped > 0.0, "{metrics:#?}");
    assert_eq!(caller.came("BYE") + carol.came("BYE"), 0);
    carol.hang_up(&mut called);
    caller.is_hung_up(&asked);
    world.rests();
    world.alice.came("INVITE");
}
