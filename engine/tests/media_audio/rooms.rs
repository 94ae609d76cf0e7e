//! Rooms of phones with different codecs: everybody hears all others as loud as they are, and nobody itself.

use trunkline::media::{Edge, Encoding, RoomConfig};

use crate::sound::{WIDE_MS, assert_heard, level_of, sharpest, tolerance, voice};
use crate::wire::{Party, Rig};

/// One voice after the other in a room of as many as there are encodings; the first ones speak.
fn one_after_the_other(first_port: u16, encodings: &[Encoding], speakers: usize) {
    let mut rig = Rig::new(first_port);
    let (room, _events) = rig.media.room(RoomConfig::default()).unwrap();
    let mut parties: Vec<Party> = encodings
        .iter()
        .map(|encoding| Party::new(&rig.media, *encoding))
        .collect();
    for party in &parties {
        room.join(&party.channel, Edge::default()).unwrap();
    }
    rig.run(&mut parties, 400);
    let said = voice(encodings.len() as u32, 600);
    for speaker in 0..speakers {
        parties.iter_mut().for_each(Party::listen_anew);
        parties[speaker].say(&said);
        rig.run(&mut parties, 1000);
        for (n, party) in parties.iter().enumerate() {
            let [from, to] = [speaker, n].map(|n| encodings[n]);
            let name = format!(
                "{} members, {speaker} {from:?} to {n} {to:?}",
                encodings.len()
            );
            let heard = party.sound();
            if n == speaker {
                let loudest = heard.iter().map(|sample| sample.unsigned_abs()).max();

                assert!(loudest < Some(1000), "{name} hears itself: {loudest:?}");
            } else {
                // Laws are decoded and coded again: no table between them.
                assert_heard(&name, &heard, &said, &[from, Encoding::L16Narrow, to]);
            }
        }
    }
}

#[test]
fn two_of_any_codecs_hear_each_other() {
    for (n, a) in Encoding::ALL.into_iter().enumerate() {
        for b in &Encoding::ALL[n..] {
            one_after_the_other(27_200, &[a, *b], 2);
        }
    }
}

#[test]
fn three_of_different_codecs_hear_one_another() {
    one_after_the_other(27_400, &[Encoding::Pcmu, Encoding::Opus, Encoding::G722], 3);
    one_after_the_other(
        27_400,
        &[Encoding::L16Wide, Encoding::Opus, Encoding::G722],
        3,
    );
    one_after_the_other(
        27_400,
        &[Encoding::L16Narrow, Encoding::Pcma, Encoding::Pcmu],
        3,
    );
}

#[test]
fn fifty_of_all_codecs_hear_the_one_who_speaks() {
    let encodings: Vec<_> = Encoding::ALL.into_iter().cycle().take(50).collect();
    one_after_the_other(27_600, &encodings, 4);
}

/// Who speaks at the same time is added up: each as loud as alone.
#[test]
fn of_fifty_three_at_once_are_all_heard() {
    const HZ: [f64; 3] = [437.3, 911.7, 1613.9];
    let mut rig = Rig::new(27_800);
    let (room, _events) = rig.media.room(RoomConfig::default()).unwrap();
    let mut parties: Vec<Party> = (Encoding::ALL.into_iter().cycle().take(50))
        .map(|encoding| Party::new(&rig.media, encoding))
        .collect();
    for party in &parties {
        room.join(&party.channel, Edge::default()).unwrap();
    }
    rig.run(&mut parties, 400);
    let tones = HZ.map(|hz| {
        let turn = hz / 8000.0 * std::f64::consts::TAU;
        let sample = |n| ((turn * f64::from(n)).sin() * 5000.0) as i16;
        (0..1200 * 8).map(sample).collect::<Vec<i16>>()
    });
    for (party, tone) in parties.iter_mut().zip(&tones) {
        party.say(tone);
    }
    parties[3..].iter_mut().for_each(Party::listen_anew);
    rig.run(&mut parties, 1200);
    for (n, party) in parties.iter().enumerate() {
        let heard = party.sound();
        let middle = &heard[500 * WIDE_MS..1000 * WIDE_MS];
        for (speaker, hz) in HZ.into_iter().enumerate() {
            let codecs = [parties[speaker].encoding, party.encoding];
            let name = format!("{speaker} to {n}, {codecs:?}");
            let sent: Vec<i16> = crate::sound::coded(&tones[speaker], &codecs[..1]);
            let sent = level_of(&sent[500 * WIDE_MS..1000 * WIDE_MS], hz);
            let db = level_of(middle, hz) - sent;
            match n == speaker {
                true => assert!(db < -30.0, "{name} hears itself: {db:.1} dB"),
                false => {
                    let (_, most) = tolerance(&codecs);
                    assert!(db.abs() < most, "{name}: {db:.2} dB");
                }
            }
        }
        let bend = 15_000.0 * (HZ[2] / 16_000.0 * std::f64::consts::TAU).powi(2);
        assert!(sharpest(middle).0 < bend as i32 + 2000, "{n}");
    }
}
