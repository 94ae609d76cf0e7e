//! Both sides of a call in one recording.

use trunkline::media::{Command, Encoding, RecordingSpec, Tracks};

use crate::sound::{WIDE_MS, assert_heard, voice, wide};
use crate::wire::{Party, Rig};

/// Silence at the beginning.
const BEFORE: usize = 600 * WIDE_MS;

/// The sides of a stereo WAV file, and its rate.
fn sides(file: &[u8]) -> ([Vec<i16>; 2], u32) {
    let rate = u32::from_le_bytes(file[24..28].try_into().unwrap());
    let samples: Vec<i16> = file[44..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let side = |n: usize| samples.iter().skip(n).step_by(2).copied().collect();
    ([side(0), side(1)], rate)
}

#[test]
fn a_recording_holds_both_sides_as_they_were() {
    use trunkline::media::AudioRate;
    for (n, [a, b]) in [
        [Encoding::Pcmu, Encoding::Pcmu],
        [Encoding::Pcmu, Encoding::Opus],
        [Encoding::G722, Encoding::Pcma],
        [Encoding::Opus, Encoding::L16Wide],
    ]
    .into_iter()
    .enumerate()
    {
        let mut rig = Rig::new(48_000 + 20 * n as u16);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("both.wav");
        let mut parties = [a, b].map(|encoding| Party::new(&rig.media, encoding));
        rig.bridge(&parties[0], &parties[1]);
        let spec = RecordingSpec {
            tracks: Tracks::Stereo,
            ..RecordingSpec::new(3, path.clone())
        };
        parties[0]
            .channel
            .send(Command::Record(Box::new(spec)))
            .unwrap();
        rig.run(&mut parties, 600);
        let said = [voice(1, 800), voice(2, 800)];
        for (party, said) in parties.iter_mut().zip(&said) {
            party.say(said);
        }
        rig.run(&mut parties, 1200);
        let [first, second] = parties;
        rig.close(first);
        rig.close(second);
        // What was before they spoke is passed over.
        let ([left, right], rate) = sides(&std::fs::read(&path).unwrap());
        let rate = match rate {
            8000 => AudioRate::Narrow,
            16_000 => AudioRate::Wide,
            other => panic!("{other} Hz"),
        };
        let name = format!("{a:?} and {b:?}");
        let said_by = assert_heard(
            &format!("{name}, left"),
            &wide(&left, rate)[BEFORE..],
            &said[0],
            &[a],
        );
        let heard = assert_heard(
            &format!("{name}, right"),
            &wide(&right, rate)[BEFORE..],
            &said[1],
            &[b],
        );
        // They spoke at the same time.
        let apart_ms = said_by.at.abs_diff(heard.at) / WIDE_MS;
        assert!(apart_ms < 120, "{name}: {apart_ms} ms apart");
    }
}

/// Over a relayed bridge, where each packet goes on as it comes, a recording that begins in the middle of the call has both sides in time with
/// each other, whichever leg it is on: the playouts of the two sides differ by up to a frame, and the phones' own packets by half of one.
#[test]
fn both_sides_of_a_relayed_call_are_in_time_within_two_frames() {
    let mut port = 30_100;
    for encoding in [Encoding::Pcmu, Encoding::G722, Encoding::Opus] {
        for leg in [0, 1] {
            let name = format!("{encoding:?}, leg {leg}");
            let mut rig = Rig::new(port);
            port += 20;
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("both.wav");
            let mut parties = [(); 2].map(|()| Party::new(&rig.media, encoding));
            rig.bridge(&parties[0], &parties[1]);
            // The second begins to send in the middle of a frame, and much is said before anything is recorded.
            parties[1].begin_at(310_000);
            rig.run(&mut parties, 2315);
            for (n, party) in parties.iter_mut().enumerate() {
                party.say(&voice(n as u32 + 5, 700));
            }
            rig.run(&mut parties, 700);
            let relayed = rig.media.stats().relayed.value();
            let spec = RecordingSpec {
                tracks: Tracks::Stereo,
                ..RecordingSpec::new(3, path.clone())
            };
            let record = Command::Record(Box::new(spec));
            parties[leg].channel.send(record).unwrap();
            rig.run(&mut parties, 600);
            let said = [voice(1, 800), voice(2, 800)];
            for (party, said) in parties.iter_mut().zip(&said) {
                party.say(said);
            }
            rig.run(&mut parties, 1200);
            assert!(rig.media.stats().relayed.value() > relayed + 150, "{name}");
            let [first, second] = parties;
            rig.close(first);
            rig.close(second);
            let (sides, rate) = sides(&std::fs::read(&path).unwrap());
            let rate = match rate {
                8000 => trunkline::media::AudioRate::Narrow,
                _ => trunkline::media::AudioRate::Wide,
            };
            let at = [0, 1].map(|side| {
                let heard = wide(&sides[side], rate);
                let who = side ^ leg;
                let name = format!("{name}, side {side}");
                assert_heard(&name, &heard[BEFORE..], &said[who], &[encoding]).at
            });
            let apart_ms = at[0].abs_diff(at[1]) / WIDE_MS;
            assert!(apart_ms <= 40, "{name}: {apart_ms} ms apart");
        }
    }
}
