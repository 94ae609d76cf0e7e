//! Lines that lose, reorder and repeat packets, and phones whose clocks are not ours. The echo of each phone is heard without loss, so that
//! what the line does is done once.

use trunkline::media::{Command, Encoding};

use crate::sound::{
    WIDE_MS, assert_smooth, coded, coded_losing, find_from, sharpest, tolerance, voice,
};
use crate::wire::{Faults, Party, Rig};

/// Length of what is compared at once: the jitter buffer may have moved it.
const PART: usize = 200 * WIDE_MS;
/// How far an echo is moved at most.
const MOST: usize = 400 * WIDE_MS;

fn echoes(rig: &mut Rig, lines: &[(Encoding, Faults)]) -> Vec<Party> {
    let mut parties: Vec<Party> = lines
        .iter()
        .map(|(encoding, faults)| {
            let mut party = Party::new(&rig.media, *encoding);
            party.channel.send(Command::Echo(true)).unwrap();
            party.faults = *faults;
            party
        })
        .collect();
    rig.run(&mut parties, 1000);
    parties
}

/// Mean correlation of the parts of what should be heard with what is, and the mean difference of their levels.
fn likeness(heard: &[i16], expected: &[i16]) -> (f64, f64) {
    let mut parts: Vec<_> = expected.chunks_exact(PART).enumerate().skip(1).collect();
    parts.pop();
    let found = parts
        .iter()
        .map(|(n, part)| find_from(heard, n * PART - MOST / 4, n * PART + MOST, part));
    let (like, db) = found.fold((0.0, 0.0), |(like, db), found| {
        (like + found.like, db + found.db.abs())
    });
    let count = parts.len() as f64;
    (like / count, db / count)
}

#[test]
fn what_is_lost_is_made_up_for_better_than_by_silence() {
    const MS: usize = 4000;
    let encodings = [
        Encoding::Pcmu,
        Encoding::G722,
        Encoding::L16Wide,
        Encoding::Opus,
    ];
    let lines: Vec<_> = [0, 10, 30, 50, 100]
        .into_iter()
        .flat_map(|loss| encodings.map(|encoding| (encoding, loss)))
        .map(|(encoding, loss)| {
            let seed = 7 + loss;
            let faults = Faults {
                loss,
                seed,
                ..Faults::default()
            };
            (encoding, faults)
        })
        .collect();
    let mut rig = Rig::new(46_600);
    let mut parties = echoes(&mut rig, &lines);
    parties.iter_mut().for_each(Party::expect_loss);
    let said = voice(1, MS);
    parties.iter_mut().for_each(|party| party.say(&said));
    rig.run(&mut parties, MS as u64 + 400);
    // What is heard of the lines that lose nothing comes first.
    let whole: Vec<_> = parties[..encodings.len()]
        .iter()
        .map(Party::sound)
        .collect();
    for (n, (party, (encoding, _))) in parties.iter().zip(lines).enumerate() {
        let expected = &whole[n % whole.len()];
        let lost = &party.lost[..MS / 20];
        let coders = [encoding, encoding];
        let holes = coded_losing(&said, &coders, lost);
        let (like, db) = likeness(&party.sound(), expected);
        let (least, most_db) = likeness(&holes, &coded(&said, &coders));
        let lost = lost.iter().filter(|lost| **lost).count();
        let name = format!("{encoding:?}, {lost} of {} lost", MS / 20);
        // A coder with a memory is off for a while after each loss, whatever fills the hole: its level is held here, and its likeness loosely.
        let (share, rest) = match encoding {
            Encoding::G722 | Encoding::Opus => (2.0, 0.02),
            _ => (0.6, 0.001),
        };
        assert!(
            1.0 - like <= (1.0 - least) * share + rest,
            "{name}: {like}, silence {least}"
        );
        assert!(db <= most_db + 0.1, "{name}: {db} dB, silence {most_db}");
        // The edge of a hole would bend by what the voice is at, up to 7000.
        let (most, usual) = (sharpest(&party.sound()).0, sharpest(expected).0);
        assert!(most < usual * 3, "{name}: {most} where {usual} is usual");
    }
}

#[test]
fn what_comes_in_another_order_or_twice_is_heard_once_and_in_order() {
    let faults = Faults {
        swaps: Some(7),
        twice: Some(5),
        ..Faults::default()
    };
    let lines = Encoding::ALL.map(|encoding| (encoding, faults));
    let mut rig = Rig::new(46_800);
    let mut parties = echoes(&mut rig, &lines);
    let said = voice(2, 1000);
    parties.iter_mut().for_each(|party| party.say(&said));
    rig.run(&mut parties, 1500);
    for party in parties {
        let (encoding, heard) = (party.encoding, party.sound());
        let name = format!("{encoding:?}");
        let expected = coded(&said, &[encoding, encoding]);
        let part = &expected[100 * WIDE_MS..900 * WIDE_MS];
        let found = find_from(&heard, 0, heard.len(), part);
        let (least, most_db) = tolerance(&[encoding]);
        assert!(found.like > least, "{name}: {found:?}");
        assert!(found.db.abs() < most_db, "{name}: {found:?}");
        assert_smooth(&name, &heard[found.at..found.at + part.len()], part);
        let stats = rig.close(party);
        assert!(
            stats.reordered > 10 && stats.duplicate > 20,
            "{name}: {stats:?}"
        );
        assert_eq!((stats.lost, stats.late), (0, 0), "{name}");
    }
}

#[test]
fn a_clock_that_drifts_is_followed_for_a_minute() {
    const MS: usize = 60_000;
    let lines: Vec<_> = [-200, 200]
        .into_iter()
        .flat_map(|slow_ppm| {
            let faults = Faults {
                slow_ppm,
                ..Faults::default()
            };
            [Encoding::Pcma, Encoding::L16Wide, Encoding::Opus].map(|encoding| (encoding, faults))
        })
        .collect();
    let mut rig = Rig::new(47_000);
    let mut parties = echoes(&mut rig, &lines);
    let said = voice(3, MS);
    for party in &mut parties {
        party.say(&said);
        party.got.clear();
    }
    rig.run_in_steps(&mut parties, MS as u64, 1000);
    for (party, (encoding, faults)) in parties.into_iter().zip(lines) {
        let name = format!("{encoding:?}, {} ppm", faults.slow_ppm);
        let (heard, got) = (party.sound(), party.got.len());
        party.assert_one_stream(&name, 1);
        let expected = coded(&said, &[encoding, encoding]);
        // One part of every five seconds.
        for (n, part) in expected.chunks_exact(PART).enumerate().skip(5).step_by(25) {
            let from = (n * PART).saturating_sub(30 * WIDE_MS);
            let found = find_from(&heard, from, from + MOST, part);
            assert!(found.like > 0.9, "{name} after {} s: {found:?}", n / 5);
            assert!(found.db.abs() < 0.8, "{name} after {} s: {found:?}", n / 5);
        }
        assert_smooth(&name, &heard, &expected);
        assert!(got.abs_diff(MS / 20) <= 1, "{name}: {got} packets");
        let stats = rig.close(party);
        assert_eq!((stats.lost, stats.late), (0, 0), "{name}");
    }
}
