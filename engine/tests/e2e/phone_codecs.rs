//! Real phones that speak Opus and G.722: with the menu, with each other and with phones of another codec, encrypted too. The codec is told
//! by the records of the calls, the audio by what the phones hear.
use crate::audio::Reference;
use crate::baresip::Baresip;
use crate::phones::{Office, says, she_calls_bob, words};

/// A codec as each calls it.
#[derive(Clone, Copy)]
struct Codec {
    baresip: &'static str,
    linphone: &'static str,
    record: &'static str,
}

const OPUS: Codec = Codec {
    baresip: "opus/48000/2",
    linphone: "opus/48000/2",
    record: "opus",
};
/// baresip counts in samples, the others in the clock of RTP (RFC 3551 section 4.5.2).
const G722: Codec = Codec {
    baresip: "G722/16000/1",
    linphone: "G722/8000/1",
    record: "G722",
};
const PCMU: Codec = Codec {
    baresip: "PCMU/8000/1",
    linphone: "PCMU/8000/1",
    record: "PCMU",
};

#[test]
fn baresip_hears_the_menu_and_presses_keys_in_each_codec() {
    let office = Office::open("");
    let calls = [
        (OPUS, ""),
        (G722, ""),
        (OPUS, ";mediaenc=srtp"),
        (G722, ";mediaenc=srtp-mand"),
    ];
    for (n, (codec, encryption)) in calls.into_iter().enumerate() {
        let account = format!(";audio_codecs={}{encryption}", codec.baresip);
        let mut phone = office.baresip("bob", "udp", &[], &account);
        phone.command("dial", &format!("sip:demo@{}", office.at("udp")));
        phone.wait_event("CALL_ESTABLISHED");
        let welcomed = phone.wait_prompt("welcome", 0);
        phone.command("sndcode", "1");
        let pressed = phone.wait_prompt("digit_1", welcomed);
        phone.wait_prompt("info", pressed);
        phone.command("hangup", "");
        phone.wait_event("CALL_CLOSED");
        office.rests();
        office.assert_codecs(n + 1, [codec.record]);
        phone.quit();
        office.wait_registered(0.0);
    }
    let secret = |line: &str| line.contains(": answered") && line.contains("srtp=\"AES");
    assert_eq!(office.server.count_log(secret), 2);
}

/// Of each pair, the linphone calls: what it says is heard, and what is said to it, it understands.
#[test]
fn a_linphone_and_a_baresip_of_any_two_codecs() {
    let office = Office::open("");
    let calls = [
        (OPUS, OPUS, ""),
        (OPUS, PCMU, ""),
        (PCMU, OPUS, ""),
        (G722, G722, ""),
        (G722, OPUS, ";mediaenc=srtp"),
        (OPUS, G722, ""),
    ];
    for (n, (anns, bobs, encrypts)) in calls.into_iter().enumerate() {
        let mut ann = office.linphone("ann", "udp");
        ann.command("audio-codec-disable ALL");
        ann.command(&format!("audio-codec-enable {}", anns.linphone));
        let account = format!(";audio_codecs={}{encrypts}", bobs.baresip);
        let (call, mut bob) = she_calls_bob(&office, &mut ann, ["udp", "udp"], &account);
        says(&mut ann, &call, &bob, 400.0, 0);
        ann.command("terminate");
        bob.wait_event("CALL_CLOSED");
        ann.wait_call("Released");
        ann.assert_heard(50);
        office.rests();
        office.assert_codecs(2 * n + 2, [anns.record, bobs.record]);
        bob.quit();
        ann.command("unregister ALL");
        office.wait_registered(0.0);
    }
}

/// They speak all the time; each hears the other's words.
#[test]
fn two_baresips_hear_each_other_over_different_codecs() {
    let office = Office::open("");
    let calls = [
        (OPUS, PCMU, ""),
        (G722, OPUS, ";mediaenc=srtp"),
        (OPUS, OPUS, ""),
        (G722, PCMU, ""),
    ];
    for (n, (bobs, cats, encrypts)) in calls.into_iter().enumerate() {
        let said = [400.0, 700.0].map(words);
        let speaks = |user: &str, said: &[i16], codec: Codec, more: &str| -> Baresip {
            let account = format!(";audio_codecs={}{more}", codec.baresip);
            office.baresip(user, "udp", &said.repeat(15), &account)
        };
        let mut bob = speaks("bob", &said[0], bobs, encrypts);
        let mut cat = speaks("cat", &said[1], cats, "");
        bob.command("dial", &format!("sip:203@{}", office.at("udp")));
        cat.wait_event("CALL_INCOMING");
        cat.command("accept", "");
        bob.wait_event("CALL_ESTABLISHED");
        cat.wait_sound("bob", &Reference::narrow(&said[0]), 0);
        bob.wait_sound("cat", &Reference::narrow(&said[1]), 0);
        bob.command("hangup", "");
        cat.wait_event("CALL_CLOSED");
        office.rests();
        office.assert_codecs(2 * n + 2, [bobs.record, cats.record]);
        bob.quit();
        cat.quit();
        office.wait_registered(0.0);
    }
}
