//! What a player plays, sample by sample.

use super::super::prompt::Prompt;
use super::*;
use std::sync::Arc;

fn prompt(samples: &[i16]) -> MediaAudio {
    MediaAudio::Prompt(Arc::new(Prompt::from_samples("test", samples)))
}

/// Plays to the end and returns the linear samples and the number of frames.
fn play(audio: Vec<MediaAudio>, repeat: Option<u32>, at_most: usize) -> (Vec<i16>, usize) {
    let mut player = Player::new(7, audio, repeat);
    let (mut samples, mut frames) = (Vec::new(), 0);
    while !player.is_done() && frames < at_most {
        let (mut octets, mut frame) = ([0; 160], [0; 160]);
        assert!(player.fill(Law::Mu, &mut octets));
        Law::Mu.decode(&octets, &mut frame);
        samples.extend(frame);
        frames += 1;
    }
    (samples, frames)
}

#[test]
fn items_follow_without_gaps_and_the_list_repeats() {
    let (samples, frames) = play(
        vec![
            prompt(&[1000; 100]),
            MediaAudio::Silence { ms: 5 },
            prompt(&[-1000; 100]),
        ],
        Some(3),
        100,
    );
    assert_eq!(frames, (3usize * 240).div_ceil(160));
    let round: Vec<i16> = [[1000i16; 100].as_slice(), &[0; 40], &[-1000; 100]].concat();
    let expected: Vec<i16> = round
        .repeat(3)
        .into_iter()
        .chain(std::iter::repeat(0))
        .take(samples.len())
        .collect();
    assert!(
        samples
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.abs_diff(*b) < 30),
        "{samples:?}"
    );
}

#[test]
fn ends_with_the_frame_that_holds_the_last_sample() {
    for (samples, frames) in [(159, 1), (160, 1), (161, 2), (320, 2)] {
        assert_eq!(
            play(vec![prompt(&vec![1; samples])], Some(1), 100).1,
            frames,
            "{samples} samples"
        );
        assert_eq!(
            play(vec![prompt(&vec![1; samples]), prompt(&[])], Some(1), 100).1,
            frames
        );
    }
    assert_eq!(play(vec![prompt(&[1; 160])], None, 100).1, 100);
}

#[test]
fn nothing_to_play_is_done_at_once() {
    for (audio, repeat) in [
        (vec![], None),
        (vec![prompt(&[])], None),
        (vec![MediaAudio::Silence { ms: 0 }], Some(5)),
        (vec![prompt(&[1])], Some(0)),
    ] {
        let mut player = Player::new(1, audio, repeat);
        assert!(player.is_done());
        assert!(!player.fill(Law::A, &mut [0; 160]));
    }
}

#[test]
fn a_tone_of_4000_hz_alternates_over_frames() {
    let (samples, _) = play(
        vec![MediaAudio::Tone {
            hz: [4000.0, 0.0],
            dbm0: -10.0,
            ms: 100,
        }],
        Some(1),
        100,
    );
    assert_eq!(samples.len(), 800);
    assert!(
        samples
            .windows(2)
            .all(|pair| pair[0] == -pair[1] && pair[0].unsigned_abs() > 5000),
        "{:?}",
        &samples[..8]
    );
}

/// The samples of so many frames.
fn frames(player: &mut Player, count: usize) -> Vec<i16> {
    let mut samples = Vec::new();
    for _ in 0..count {
        let (mut octets, mut frame) = ([0; 160], [0; 160]);
        player.fill(Law::Mu, &mut octets);
        Law::Mu.decode(&octets, &mut frame);
        samples.extend(frame);
    }
    samples
}

/// Returns the id of a list that is refused.
fn append(
    player: &mut Player,
    id: u32,
    audio: Vec<MediaAudio>,
    repeat: Option<u32>,
) -> Option<u32> {
    let refused = player.append(Box::new(List::new(id, audio, repeat)));
    refused.map(|list| list.id())
}

fn ended(player: &mut Player) -> Option<u32> {
    player.take_ended().map(|list| list.id())
}

fn about(samples: &[i16], level: i16) -> bool {
    samples.iter().all(|sample| sample.abs_diff(level) < 40)
}

#[test]
fn lists_follow_each_other_within_a_frame() {
    let mut player = Player::new(1, vec![prompt(&[1000; 100])], Some(1));
    assert_eq!(append(&mut player, 2, vec![], Some(1)), None);
    assert_eq!(
        append(&mut player, 3, vec![prompt(&[-1000; 100])], Some(1)),
        None
    );
    let samples = frames(&mut player, 1);
    assert!(about(&samples[..100], 1000) && about(&samples[100..], -1000));
    assert_eq!(
        [ended(&mut player), ended(&mut player), ended(&mut player)],
        [Some(1), Some(2), None]
    );
    assert!(!player.is_done() && player.id() == 3);
    frames(&mut player, 1);
    assert!(player.is_done() && player.tells_its_end());
}

#[test]
fn a_full_queue_refuses_and_keeps_the_order() {
    let mut player = Player::new(0, vec![prompt(&[1; 160])], Some(1));
    for id in 1..=QUEUE as u32 {
        assert_eq!(
            append(&mut player, id, vec![prompt(&[1; 160])], Some(1)),
            None
        );
    }
    assert_eq!(append(&mut player, 99, vec![], None), Some(99));
    for id in 0..QUEUE as u32 {
        assert_eq!(player.id(), id);
        frames(&mut player, 1);
        assert!(!player.is_done());
        frames(&mut player, 0);
        player.turn();
        assert_eq!(ended(&mut player), Some(id));
    }
}

#[test]
fn seek_counts_from_the_beginning_of_the_list() {
    for (ms, rest, level) in [
        (0, 240, 1000),
        (10, 160, 1000),
        (15, 120, -1000),
        (25, 40, -1000),
        (30, 0, 0),
        (4000, 0, 0),
    ] {
        let audio = vec![prompt(&[1000; 100]), prompt(&[]), prompt(&[-1000; 140])];
        let mut player = Player::new(1, audio, Some(1));
        player.change(PlayChange::Seek { ms });
        let samples = frames(&mut player, 2);
        assert!(about(&samples[..20.min(rest)], level), "{ms} ms");
        assert!(about(&samples[rest..], 0), "{ms} ms");
        assert!(player.is_done());
    }
}

#[test]
fn volume_and_fades_change_evenly() {
    let mut player = Player::new(1, vec![prompt(&[8000; 8000])], Some(1));
    player.change(PlayChange::FadeIn { ms: 40 });
    let samples = frames(&mut player, 3);
    assert!(
        samples[0] < 100
            && about_share(samples[160], 4000)
            && samples[320..]
                .iter()
                .all(|sample| about_share(*sample, 8000))
    );
    player.change(PlayChange::Volume { db: -6.0206 });
    let samples = frames(&mut player, 2);
    assert!(
        about_share(samples[80], 6000)
            && samples[160..]
                .iter()
                .all(|sample| about_share(*sample, 4000))
    );
    player.change(PlayChange::FadeOut { ms: 30 });
    let samples = frames(&mut player, 2);
    assert!(about_share(samples[120], 2000) && about(&samples[240..], 0));
    assert!(player.is_done() && player.tells_its_end());
}

fn about_share(sample: i16, level: i16) -> bool {
    sample.abs_diff(level) < level as u16 / 20
}

#[test]
fn what_is_stopped_does_not_click_and_is_not_told() {
    let mut player = Player::new(1, vec![prompt(&[8000; 8000])], None);
    frames(&mut player, 1);
    append(&mut player, 2, vec![prompt(&[8000; 8000])], None);
    player.stop();
    let samples = frames(&mut player, 1);
    assert!(
        samples
            .windows(2)
            .all(|pair| pair[0].abs_diff(pair[1]) < 1000)
            && about(&samples[40..], 0)
    );
    assert!(player.is_done() && !player.tells_its_end() && player.take_ended().is_none());
}

#[test]
fn a_pause_keeps_the_place() {
    let mut player = Player::new(1, vec![prompt(&[1000; 160]), prompt(&[2000; 160])], Some(1));
    frames(&mut player, 1);
    player.change(PlayChange::Pause(true));
    assert!(about(&frames(&mut player, 50), 0) && !player.is_done());
    player.change(PlayChange::Pause(false));
    assert!(about(&frames(&mut player, 1), 2000) && player.is_done());
}

#[test]
fn wide_audio_stays_wide_and_narrow_audio_becomes_it() {
    let wide: Vec<i16> = (0..640)
        .map(|n| if n % 2 == 0 { 3000 } else { -3000 })
        .collect();
    let item = MediaAudio::Prompt(Arc::new(Prompt::from_wide("wide", &wide)));
    let tone = MediaAudio::Tone {
        hz: [1000.0, 0.0],
        dbm0: -10.0,
        ms: 20,
    };
    let mut player = Player::new(1, vec![item, tone, prompt(&[1000; 320])], Some(1));
    let mut frame = Frame::silence(AudioRate::Wide);
    for piece in wide.chunks(320) {
        assert!(player.fill_frame(&mut frame));
        assert_eq!(frame.samples(), piece);
    }
    assert!(player.fill_frame(&mut frame));
    assert!((trunkline_dsp::level::dbm0(frame.samples()) + 10.0).abs() < 0.1);
    assert!(player.fill_frame(&mut frame) && player.fill_frame(&mut frame));
    assert!(about(&frame.samples()[..300], 1000) && player.is_done());
}
