//! Two phones and a bridge between them; one phone and its echo.

use trunkline::media::{Command, Encoding};

use crate::sound::{assert_heard, voice};
use crate::wire::{Party, Rig};

const SPEECH_MS: usize = 600;

#[test]
fn every_pair_keeps_the_level_and_makes_no_clicks() {
    let mut rig = Rig::new(45_000);
    let (mut parties, mut pairs) = (Vec::new(), Vec::new());
    for (n, a) in Encoding::ALL.into_iter().enumerate() {
        for b in &Encoding::ALL[n..] {
            let [a, b] = [a, *b].map(|encoding| Party::new(&rig.media, encoding));
            rig.bridge(&a, &b);
            pairs.push([a.encoding, b.encoding]);
            parties.extend([a, b]);
        }
    }
    rig.run(&mut parties, 400);
    let said = [voice(1, SPEECH_MS), voice(2, SPEECH_MS)];
    for (n, party) in parties.iter_mut().enumerate() {
        party.say(&said[n % 2]);
    }
    rig.run(&mut parties, SPEECH_MS as u64 + 300);
    for (parties, [a, b]) in parties.chunks(2).zip(pairs) {
        let name = format!("{a:?} in {b:?}");
        assert_heard(&name, &parties[1].sound(), &said[0], &through(a, b));
        let name = format!("{b:?} in {a:?}");
        assert_heard(&name, &parties[0].sound(), &said[1], &through(b, a));
        for party in parties {
            // The first half second is that of a bridge that begins.
            party.assert_one_stream(&name, party.got.len() - 40);
        }
    }
}

/// The coders between two phones: packets of one codec are not coded again.
fn through(from: Encoding, to: Encoding) -> Vec<Encoding> {
    let mut coders = vec![from, to];
    coders.dedup();
    coders
}

#[test]
fn every_packet_time_keeps_the_level_and_makes_no_clicks() {
    for encodings in [
        [Encoding::Pcmu, Encoding::Pcmu],
        [Encoding::G722, Encoding::L16Wide],
        [Encoding::Opus, Encoding::Pcma],
    ] {
        let mut rig = Rig::new(45_200);
        let mut parties = Vec::new();
        for ptime_ms in [10, 20, 30, 40, 50, 60] {
            for (n, wants_ms) in [70 - ptime_ms, 20].into_iter().enumerate() {
                let encoding = encodings[n];
                let sent_ms = encoding.sendable_ms([ptime_ms, 20][n]).into();
                parties.push(Party::framing(&rig.media, encoding, sent_ms, wants_ms));
            }
            let [.., a, b] = &parties[..] else {
                unreachable!()
            };
            rig.bridge(a, b);
        }
        rig.run(&mut parties, 600);
        let said = voice(3, SPEECH_MS);
        parties.iter_mut().for_each(|party| party.say(&said));
        rig.run(&mut parties, SPEECH_MS as u64 + 400);
        let [a, b] = encodings;
        for (n, pair) in parties.chunks(2).enumerate() {
            let name = format!("{a:?}, {} ms", 10 * (n + 1));
            assert_heard(&name, &pair[1].sound(), &said, &through(a, b));
            assert_heard(&name, &pair[0].sound(), &said, &through(b, a));
            for party in pair {
                party.assert_one_stream(&name, party.got.len() - 8);
            }
        }
    }
}

#[test]
fn an_echo_is_what_was_said() {
    let mut rig = Rig::new(45_400);
    let mut parties = Encoding::ALL.map(|encoding| Party::new(&rig.media, encoding));
    for party in &parties {
        party.channel.send(Command::Echo(true)).unwrap();
    }
    rig.run(&mut parties, 400);
    let said = voice(4, SPEECH_MS);
    parties.iter_mut().for_each(|party| party.say(&said));
    rig.run(&mut parties, SPEECH_MS as u64 + 300);
    for party in &parties {
        let encoding = party.encoding;
        let name = format!("{encoding:?}");
        assert_heard(&name, &party.sound(), &said, &[encoding, encoding]);
        party.assert_one_stream(&name, 1);
    }
}

#[test]
fn after_a_hold_it_is_the_same_stream_and_clean() {
    let mut rig = Rig::new(45_600);
    let mut parties: Vec<Party> = Encoding::ALL
        .into_iter()
        .flat_map(|encoding| [encoding, Encoding::Pcma])
        .map(|encoding| Party::new(&rig.media, encoding))
        .collect();
    for pair in parties.chunks(2) {
        rig.bridge(&pair[0], &pair[1]);
    }
    rig.run(&mut parties, 400);
    let before: Vec<_> = parties
        .iter()
        .map(|party| *party.got.last().unwrap())
        .collect();
    // Held: the first phones neither speak nor hear.
    for held in parties.iter().step_by(2) {
        held.agree(false, false);
    }
    rig.run(&mut parties, 20);
    parties.iter_mut().for_each(|party| party.got.clear());
    rig.run(&mut parties, 500);
    for (n, party) in parties.iter().enumerate() {
        let silent = n % 2 == 0;
        assert_eq!(party.got.is_empty(), silent, "{:?}", party.encoding);
    }
    for held in parties.iter().step_by(2) {
        held.agree(true, true);
    }
    rig.run(&mut parties, 300);
    let said = voice(5, SPEECH_MS);
    parties.iter_mut().for_each(|party| party.say(&said));
    rig.run(&mut parties, SPEECH_MS as u64 + 300);
    for (n, pair) in parties.chunks(2).enumerate() {
        let (encoding, other) = (pair[0].encoding, Encoding::Pcma);
        let name = format!("{encoding:?}");
        assert_heard(&name, &pair[0].sound(), &said, &through(other, encoding));
        assert_heard(&name, &pair[1].sound(), &said, &through(encoding, other));
        let (last, first) = (before[2 * n], pair[0].got[0]);
        assert_eq!(last.header.ssrc, first.header.ssrc, "{name}");
        assert!(first.header.marker, "{name}: a talkspurt begins");
        // Numbers go on; the clock went on by the time in between.
        let numbers = first.header.sequence.wrapping_sub(last.header.sequence);
        assert!((1..=2).contains(&numbers), "{name}: {numbers}");
        let passed = first.header.timestamp.wrapping_sub(last.header.timestamp);
        let passed_ms = u64::from(encoding.clock().ms(passed));
        let real_ms = (first.at_us - last.at_us) / 1000;
        assert!(
            passed_ms.abs_diff(real_ms) <= 40,
            "{name}: {passed_ms} in {real_ms}"
        );
    }
}

#[test]
fn a_change_of_codec_leaves_no_trace_in_the_sound() {
    let mut rig = Rig::new(45_800);
    let mut parties = [Encoding::Pcmu, Encoding::L16Wide, Encoding::Opus]
        .map(|far| [Encoding::Pcmu, far].map(|encoding| Party::new(&rig.media, encoding)))
        .into_iter()
        .flatten()
        .collect::<Vec<_>>();
    for pair in parties.chunks(2) {
        rig.bridge(&pair[0], &pair[1]);
    }
    rig.run(&mut parties, 400);
    let said = voice(6, SPEECH_MS);
    for encoding in [
        Encoding::G722,
        Encoding::Opus,
        Encoding::Pcma,
        Encoding::L16Wide,
        Encoding::L16Narrow,
        Encoding::Pcmu,
    ] {
        let ssrcs: Vec<_> = parties
            .iter()
            .map(|party| party.got[0].header.ssrc)
            .collect();
        for party in parties.iter_mut().step_by(2) {
            party.change(encoding);
        }
        rig.run(&mut parties, 300);
        parties.iter_mut().for_each(|party| party.say(&said));
        rig.run(&mut parties, SPEECH_MS as u64 + 300);
        for pair in parties.chunks(2) {
            let far = pair[1].encoding;
            let name = format!("{encoding:?} and {far:?}");
            assert_heard(&name, &pair[0].sound(), &said, &through(far, encoding));
            assert_heard(&name, &pair[1].sound(), &said, &through(encoding, far));
        }
        for (party, ssrc) in parties.iter().zip(ssrcs) {
            assert_eq!(party.got.last().unwrap().header.ssrc, ssrc);
        }
    }
}
