//! Two phones and a bridge between them; one phone and its echo.

use trunkline::media::{Command, Encoding};

use crate::sound::{assert_heard, voice};
use crate::wire::{Party, Rig};

const SPEECH_MS: usize = 600;

#[test]
fn every_pair_keeps_the_level_and_makes_no_clicks() {
    let mut rig = Rig::new(25_000);
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

/// The same where packets are of another length on the other side: octets of G.711 are put together anew, all else is coded again, which
/// between both laws is no conversion by tables.
fn framed_anew(from: Encoding, to: Encoding) -> Vec<Encoding> {
    match (from.law(), to.law()) {
        (Some(_), Some(_)) if from == to => vec![from],
        (Some(_), Some(_)) => vec![from, Encoding::L16Narrow, to],
        _ => vec![from, to],
    }
}

/// Every pair of codecs, where one side speaks and asks for each packet time and the other does in another order.
#[test]
fn every_packet_time_keeps_the_level_and_makes_no_clicks() {
    const MS: [u8; 6] = [10, 20, 30, 40, 50, 60];
    const OTHERS: [u8; 6] = [40, 20, 60, 10, 30, 50];
    for (n, a) in Encoding::ALL.into_iter().enumerate() {
        for b in &Encoding::ALL[n..] {
            every_packet_time_of([a, *b], [MS, OTHERS], 25_200);
        }
    }
}

fn every_packet_time_of([a, b]: [Encoding; 2], [ms, others]: [[u8; 6]; 2], first_port: u16) {
    let mut rig = Rig::new(first_port);
    let mut parties = Vec::new();
    for (ms, other) in ms.into_iter().zip(others) {
        for (encoding, ms, wants) in [(a, ms, 70 - ms), (b, other, 70 - other)] {
            let sent_ms = encoding.sendable_ms(ms).into();
            parties.push(Party::framing(&rig.media, encoding, sent_ms, wants));
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
    for (pair, (ms, other)) in parties.chunks(2).zip(ms.into_iter().zip(others)) {
        let name = format!("{a:?} in {ms} ms, {b:?} in {other} ms");
        assert_heard(&name, &pair[1].sound(), &said, &framed_anew(a, b));
        assert_heard(&name, &pair[0].sound(), &said, &framed_anew(b, a));
        for (party, asked) in pair.iter().zip([70 - ms, 70 - other]) {
            let late = party.got.len() - 8;
            party.assert_one_stream(&name, late);
            let wanted = u32::from(party.encoding.sendable_ms(asked));
            let mut late = party.got[late..].iter();
            assert!(late.all(|got| got.ms == wanted), "{name}: {wanted} ms");
        }
    }
}

#[test]
fn an_echo_is_what_was_said() {
    let mut rig = Rig::new(25_400);
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
    let mut rig = Rig::new(25_600);
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
    let mut rig = Rig::new(25_800);
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
        let nears = parties.iter().step_by(2);
        let before: Vec<_> = nears.map(|party| *party.got.last().unwrap()).collect();
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
        // The timestamps count in the new clock from where the old one's were.
        for (party, before) in parties.iter().step_by(2).zip(before) {
            let (last, units) = (party.got.last().unwrap(), encoding.clock());
            let passed = last.header.timestamp.wrapping_sub(before.header.timestamp);
            let real_ms = (last.at_us - before.at_us) / 1000;
            let passed_ms = u64::from(units.ms(passed));
            assert!(
                passed_ms.abs_diff(real_ms) <= real_ms / 10,
                "{encoding:?}: {passed_ms} in {real_ms}"
            );
        }
    }
}
