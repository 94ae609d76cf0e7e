//! Prompts as phones of each codec hear them.

use std::sync::Arc;

use trunkline::media::{AudioRate, Command, Encoding, MediaAudio, MediaEvent, Prompt};

use crate::sound::{WIDE_MS, assert_heard, assert_smooth, at_rate, coded, find_from, voice};
use crate::wire::{Party, Rig};

fn play(party: &Party, prompts: &[&Arc<Prompt>]) {
    let audio = prompts
        .iter()
        .map(|prompt| MediaAudio::Prompt((*prompt).clone()));
    let play = Command::Play {
        id: 7,
        audio: audio.collect(),
        repeat: Some(1),
    };
    party.channel.send(play).unwrap();
}

#[test]
fn a_prompt_of_either_rate_is_heard_in_every_codec() {
    let mut rig = Rig::new(26_000);
    let said = voice(1, 600);
    let wide = at_rate(&said, AudioRate::Wide);
    for prompt in [
        Prompt::from_samples("narrow", &said),
        Prompt::from_wide("wide", &wide),
    ] {
        let prompt = Arc::new(prompt);
        let mut parties = Encoding::ALL.map(|encoding| Party::new(&rig.media, encoding));
        rig.run(&mut parties, 200);
        for party in &mut parties {
            play(party, &[&prompt]);
            party.listen_anew();
        }
        rig.run(&mut parties, 900);
        for mut party in parties {
            let name = format!("{} in {:?}", prompt.key, party.encoding);
            assert_heard(&name, &party.sound(), &said, &[party.encoding]);
            party.assert_one_stream(&name, 1);
            let done = std::iter::from_fn(|| party.events.try_recv().ok())
                .any(|event| matches!(event, MediaEvent::PlayDone { id: 7 }));
            assert!(done, "{name}");
            rig.close(party);
        }
    }
}

/// A prompt cut in pieces of odd lengths is the whole prompt when they are played one after the other.
#[test]
fn pieces_of_a_prompt_join_without_a_seam() {
    let mut rig = Rig::new(26_200);
    let said = voice(2, 900);
    let whole = at_rate(&said, AudioRate::Wide);
    let narrow: Vec<Arc<Prompt>> = [&said[..1234], &said[1234..4007], &said[4007..]]
        .map(|piece| Arc::new(Prompt::from_samples("piece", piece)))
        .into();
    let wide: Vec<Arc<Prompt>> = [&whole[..2468], &whole[2468..8014], &whole[8014..]]
        .map(|piece| Arc::new(Prompt::from_wide("piece", piece)))
        .into();
    let mut parties = Encoding::ALL.map(|encoding| Party::new(&rig.media, encoding));
    rig.run(&mut parties, 200);
    for party in &mut parties {
        let pieces = match party.encoding.audio() {
            AudioRate::Narrow => &narrow,
            AudioRate::Wide => &wide,
        };
        play(party, &pieces.iter().collect::<Vec<_>>());
        party.listen_anew();
    }
    rig.run(&mut parties, 1200);
    for party in &parties {
        let name = format!("pieces in {:?}", party.encoding);
        assert_heard(&name, &party.sound(), &said, &[party.encoding]);
    }
}

/// What is stopped fades instead of breaking off, and what comes next begins as it should.
#[test]
fn a_prompt_that_is_stopped_or_replaced_does_not_click() {
    let mut rig = Rig::new(26_400);
    let said = [voice(3, 2000), voice(4, 600)];
    let prompts = [&said[0], &said[1]].map(|said| Arc::new(Prompt::from_samples("p", said)));
    let mut parties = Encoding::ALL.map(|encoding| Party::new(&rig.media, encoding));
    rig.run(&mut parties, 200);
    for stops in [true, false] {
        for party in &mut parties {
            play(party, &[&prompts[0]]);
            party.listen_anew();
        }
        rig.run(&mut parties, 500);
        for party in &parties {
            if stops {
                party.channel.send(Command::StopPlay).unwrap();
            } else {
                play(party, &[&prompts[1]]);
            }
        }
        rig.run(&mut parties, 900);
        for party in &parties {
            let name = format!("stopped {stops}, {:?}", party.encoding);
            let heard = party.sound();
            if !stops {
                let part = &coded(&said[1], &[party.encoding])[200 * WIDE_MS..400 * WIDE_MS];
                let found = find_from(&heard, 400 * WIDE_MS, heard.len(), part);
                assert!(found.like > 0.95, "{name}: {found:?}");
            }
            let usual = coded(&said[0], &[party.encoding]);
            let other = coded(&said[1], &[party.encoding]);
            assert_smooth(&name, &heard, &[usual, other].concat());
        }
    }
}
