//! Encrypted lines: what is said is heard in every suite, over wraps of the sequence numbers and changes of keys.

use trunkline::media::{Command, Encoding, SrtpParams};
use trunkline::rtp::srtp::{MasterKey, Suite};

use crate::sound::{assert_heard, voice};
use crate::wire::{Party, Rig};

fn key(suite: Suite, octet: u8) -> MasterKey {
    MasterKey::new(suite, &[octet; 46][..suite.key_and_salt_len()]).unwrap()
}

fn keys(suite: Suite, receive: u8) -> SrtpParams {
    SrtpParams {
        send: key(suite, 1),
        receive: key(suite, receive),
    }
}

/// An echo that it hears whole.
fn echoes(rig: &mut Rig, parties: &mut [Party], name: &str) {
    let said = voice(1, 600);
    parties.iter_mut().for_each(|party| party.say(&said));
    rig.run(parties, 900);
    for party in &*parties {
        let coders = [party.encoding, party.encoding];
        assert_heard(name, &party.sound(), &said, &coders);
        party.assert_one_stream(name, 1);
    }
}

#[test]
fn audio_goes_both_ways_in_every_suite_and_over_a_wrap() {
    let suites = [
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
        Suite::Aes256CmHmacSha1_80,
        Suite::Aes256CmHmacSha1_32,
    ];
    for suite in suites {
        let mut rig = Rig::new(29_200);
        let mut parties = Encoding::ALL.map(|encoding| {
            let mut party = Party::new(&rig.media, encoding);
            party.encrypt(keys(suite, 2));
            party.channel.send(Command::Echo(true)).unwrap();
            party
        });
        rig.run(&mut parties, 400);
        echoes(&mut rig, &mut parties, &format!("{suite:?}"));
        for party in parties {
            assert!(party.header.sequence < 100, "it has wrapped");
            let stats = rig.close(party);
            assert_eq!((stats.invalid, stats.lost), (0, 0), "{suite:?}");
        }
        let dropped = rig.media.stats().dropped.by_cause();
        assert!(dropped.iter().all(|(_, count)| *count == 0), "{dropped:?}");
    }
}

#[test]
fn a_description_with_the_same_keys_keeps_the_roll_over_counters() {
    let suite = Suite::Aes256CmHmacSha1_80;
    let mut rig = Rig::new(29_400);
    let mut parties = [Encoding::Pcmu, Encoding::Opus].map(|encoding| {
        let mut party = Party::new(&rig.media, encoding);
        party.encrypt(keys(suite, 2));
        party.channel.send(Command::Echo(true)).unwrap();
        party
    });
    rig.run(&mut parties, 1000);
    for party in &mut parties {
        assert!(party.header.sequence < 100, "it has wrapped");
        party.agree(true, true);
    }
    rig.run(&mut parties, 200);
    echoes(&mut rig, &mut parties, "described again");
    // Now the phone changes its key, and its counter begins anew; ours goes on.
    parties
        .iter_mut()
        .for_each(|party| party.encrypt(keys(suite, 7)));
    rig.run(&mut parties, 200);
    echoes(&mut rig, &mut parties, "with another key");
    assert_eq!(rig.media.stats().dropped.srtp_auth_failed.value(), 0);
    for party in parties {
        assert_eq!(rig.close(party).lost, 0);
    }
}

#[test]
fn a_bridge_joins_a_secure_leg_and_a_plain_one() {
    for pair in [[Encoding::Pcmu; 2], [Encoding::Opus, Encoding::G722]] {
        let mut rig = Rig::new(29_600);
        let mut parties = pair.map(|encoding| Party::new(&rig.media, encoding));
        parties[0].encrypt(keys(Suite::AesCm128HmacSha1_80, 2));
        rig.bridge(&parties[0], &parties[1]);
        rig.run(&mut parties, 400);
        let said = voice(1, 600);
        parties.iter_mut().for_each(|party| party.say(&said));
        rig.run(&mut parties, 900);
        let mut coders = pair.to_vec();
        coders.dedup();
        let name = format!("{pair:?}");
        assert_heard(&name, &parties[1].sound(), &said, &coders);
        coders.reverse();
        assert_heard(&name, &parties[0].sound(), &said, &coders);
        let relayed = rig.media.stats().relayed.value() > 100;
        assert_eq!(relayed, coders.len() == 1, "{name}");
    }
}
