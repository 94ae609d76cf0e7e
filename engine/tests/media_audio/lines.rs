//! Lines that lose, reorder and repeat packets, and phones whose clocks are not ours. The echo of each phone is heard without loss, so that
//! what the line does is done once.

use trunkline::media::{Command, Encoding};

use crate::sound::{
    Fill, WIDE_MS, assert_smooth, coded, coded_losing, find_from, sharpest, tolerance, voice,
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

/// The energy of what should be heard of each lost frame and the two after it, and that of what is wrong with it.
fn around_losses(heard: &[i16], expected: &[i16], lost: &[bool]) -> Vec<[f64; 2]> {
    const FRAME: usize = 20 * WIDE_MS;
    // Not where the jitter buffer still learns that the line loses, nor where the speech ends.
    let places = (20..lost.len() - 20).filter(|n| lost[*n]);
    let energies = places.map(|n| {
        // Where it is, the sound around it tells: stretching may have moved it.
        let from = (n - 4) * FRAME;
        let part = &expected[from..from + 2 * PART];
        let found = find_from(heard, from.saturating_sub(MOST / 4), from + MOST, part);
        let pieces = (4 * FRAME..7 * FRAME).map(|at| (part[at], heard[found.at + at]));
        pieces.fold([0.0, 1.0], |[signal, error], (is, was)| {
            let (is, was) = (f64::from(is), f64::from(was));
            [signal + is * is, error + (is - was).powi(2)]
        })
    });
    energies.collect()
}

/// Mean of the ratios of signal to error in dB, each from -10 to 35.
fn mean_db(energies: &[[f64; 2]]) -> f64 {
    let ratios = energies.iter().map(|[signal, error]| {
        let db = 10.0 * (signal / error).log10();
        db.clamp(-10.0, 35.0)
    });
    ratios.sum::<f64>() / energies.len() as f64
}

/// Lines that lose so many packets of 1000 each, with what is said by all of them; each of these has heard what comes with each loss.
fn losing(rig: &mut Rig, kinds: &[(Encoding, bool)], losses: &[u32], said: &[i16]) -> Vec<Party> {
    let lines = losses.iter().flat_map(|loss| {
        kinds.iter().map(move |(encoding, _)| {
            let faults = Faults {
                loss: *loss,
                seed: 7 + loss,
                ..Faults::default()
            };
            (*encoding, faults)
        })
    });
    let mut parties = echoes(rig, &lines.collect::<Vec<_>>());
    for (party, (_, repeats)) in parties.iter_mut().zip(kinds.iter().cycle()) {
        if *repeats {
            party.expect_loss();
        }
        party.say(said);
    }
    rig.run(&mut parties, said.len() as u64 / 8 + 400);
    parties
}

#[test]
fn what_is_lost_is_made_up_for() {
    const MS: usize = 6000;
    const LOSSES: [u32; 5] = [0, 10, 30, 50, 100];
    let kinds = [
        (Encoding::Pcmu, false),
        (Encoding::G722, false),
        (Encoding::L16Wide, false),
        (Encoding::Opus, false),
    ];
    let said = voice(1, MS);
    let mut rig = Rig::new(26_600);
    let parties = losing(&mut rig, &kinds, &LOSSES, &said);
    // What is heard of the lines that lose nothing comes first.
    let whole: Vec<_> = parties[..kinds.len()].iter().map(Party::sound).collect();
    for (n, party) in parties.iter().enumerate().skip(kinds.len()) {
        let (encoding, expected) = (party.encoding, &whole[n % whole.len()]);
        let lost = &party.lost[..MS / 20];
        let coders = [encoding, encoding];
        let sound = coded(&said, &coders);
        let filled = |fill| coded_losing(&said, &coders, lost, fill);
        let ours = mean_db(&around_losses(&party.sound(), expected, lost));
        let [silence, repeat] = [Fill::Silence, Fill::Repeat]
            .map(|fill| mean_db(&around_losses(&filled(fill), &sound, lost)));
        let (most, usual) = (sharpest(&party.sound()).0, sharpest(expected).0);
        // The edge of a hole would bend by what the voice is at, up to 7000. What is made up of G.711 and L16 bends no more than the voice.
        // A decoder of G.722 that missed some octets is off until its steps are those of the coder again; one of Opus joins what it made up
        // to what comes as it does without us.
        let (more, bend) = match encoding {
            Encoding::Opus => (10.0, sharpest(&filled(Fill::Own)).0 * 5 / 4),
            Encoding::G722 => (15.0, usual * 4),
            _ => (20.0, usual * 3 / 2),
        };
        let count = lost.iter().filter(|lost| **lost).count();
        let name = format!("{encoding:?}, {count} of {} lost", lost.len());
        assert!(
            ours > silence.max(repeat) + more,
            "{name}: {ours:.1} dB, silence {silence:.1}, repeated {repeat:.1}"
        );
        assert!(most < bend, "{name}: bends by {most}, at most {bend}");
    }
}

/// While packets are lost, one codec after the other, in packets of other lengths.
#[test]
fn codecs_and_packet_times_change_in_the_midst_of_loss() {
    const MS: usize = 1600;
    let faults = Faults {
        loss: 50,
        seed: 3,
        ..Faults::default()
    };
    let mut rig = Rig::new(30_200);
    let mut parties = echoes(&mut rig, &[(Encoding::Pcmu, faults)]);
    let ssrc = parties[0].got[0].header.ssrc;
    for (n, (encoding, ms)) in [
        (Encoding::G722, 20),
        (Encoding::Opus, 40),
        (Encoding::Pcmu, 10),
        (Encoding::L16Wide, 30),
        (Encoding::Opus, 20),
        (Encoding::Pcma, 60),
        (Encoding::L16Narrow, 20),
        (Encoding::G722, 60),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("{encoding:?} in {ms} ms");
        parties[0].change(encoding);
        parties[0].frame_anew(ms);
        let said = voice(n as u32, MS);
        parties[0].say(&said);
        rig.run(&mut parties, MS as u64 + 600);
        let (heard, expected) = (parties[0].sound(), coded(&said, &[encoding; 2]));
        let parts: Vec<_> = expected.chunks_exact(PART).enumerate().skip(1).collect();
        let found = parts.iter().map(|(n, part)| {
            let from = (n * PART).saturating_sub(MOST / 4);
            find_from(&heard, from, n * PART + MOST, part)
        });
        let (like, db) = found.fold((0.0, 0.0), |(like, db), found| {
            (like + found.like, db + found.db.abs())
        });
        let [like, db] = [like, db].map(|sum| sum / parts.len() as f64);
        assert!(like > 0.9 && db < 0.8, "{name}: {like:.3}, {db:.2} dB");
        assert_eq!(parties[0].got.last().unwrap().header.ssrc, ssrc, "{name}");
    }
}

/// Opus that we send says again what the far side reports to lose, and stops when nothing is lost any more.
#[test]
fn opus_repeats_what_the_peer_reports_to_lose() {
    let mut rig = Rig::new(30_000);
    let mut party = Party::new(&rig.media, Encoding::Opus);
    party.mux = true;
    party.agree(true, true);
    party.channel.send(Command::Echo(true)).unwrap();
    let mut parties = [party];
    let said = voice(4, 3000);
    parties[0].say(&said);
    rig.run(&mut parties, 500);
    let repeats = |party: &mut Party| {
        let got = std::mem::take(&mut party.got);
        (got.iter().filter(|got| got.repeats).count(), got.len())
    };
    assert_eq!(repeats(&mut parties[0]).0, 0, "nothing is lost");
    rig.run(&mut parties, 100);
    parties[0].report_loss(26);
    rig.run(&mut parties, 1000);
    let (count, of) = repeats(&mut parties[0]);
    assert!(count * 3 > of, "{count} of {of}");
    rig.run(&mut parties, 20);
    for _ in 0..20 {
        parties[0].report_loss(0);
        rig.run(&mut parties, 10);
    }
    parties[0].got.clear();
    rig.run(&mut parties, 500);
    assert_eq!(repeats(&mut parties[0]).0, 0, "nothing is lost any more");
}

#[test]
fn what_comes_in_another_order_or_twice_is_heard_once_and_in_order() {
    let faults = Faults {
        swaps: Some(7),
        twice: Some(5),
        ..Faults::default()
    };
    let lines = Encoding::ALL.map(|encoding| (encoding, faults));
    let mut rig = Rig::new(26_800);
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
            Encoding::ALL.map(|encoding| (encoding, faults))
        })
        .collect();
    let mut rig = Rig::new(27_000);
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
