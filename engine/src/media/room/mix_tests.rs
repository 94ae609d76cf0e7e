use super::super::MemberId;
use super::super::member::Edge;
use super::*;
use crate::media::command::MediaAudio;
use crate::media::prompt::Prompt;
use crate::media::retire::ChannelId;
use crate::media::room::rooms::RoomPlaces;
use trunkline_dsp::tone::Tone;

/// A room and those in it, driven round by round.
struct Scene {
    room: RoomState,
    events: mpsc::Receiver<RoomEvent>,
    seats: Vec<u32>,
    round: u64,
}

fn scene(config: RoomConfig) -> Scene {
    let place = RoomPlaces::new(1).take().expect("a place");
    let (sender, events) = mpsc::channel(256);
    Scene {
        room: RoomState::new(place, config, Arc::default(), sender),
        events,
        seats: Vec::new(),
        round: 7,
    }
}

fn of(members: usize) -> Scene {
    let mut scene = scene(RoomConfig::default());
    (0..members).for_each(|_| _ = scene.join(Edge::default()));
    scene
}

impl Scene {
    /// Returns the member's place in `seats`.
    fn join(&mut self, edge: Edge) -> usize {
        let number = self.seats.len() as u32;
        let channel = ChannelId {
            index: number,
            generation: 0,
        };
        let member = Box::new(Member::new(MemberId(number), channel, edge));
        self.seats.push(self.room.join(member).expect("a seat"));
        self.seats.len() - 1
    }

    fn leave(&mut self, place: usize) {
        assert!(self.room.leave(self.seats[place]).is_some());
        self.seats[place] = u32::MAX;
    }

    /// One round, the members one after the other; returns what each is sent.
    fn round(&mut self, said: &[Option<Vec<i16>>]) -> Vec<Vec<i16>> {
        self.round += 1;
        let seats = self.seats.clone();
        let mut heard = Vec::new();
        for (place, seat) in seats.into_iter().enumerate() {
            if seat == u32::MAX {
                heard.push(vec![0; 160]);
                continue;
            }
            self.room.advance(self.round);
            let mut frame = said.get(place).cloned().flatten();
            self.room.contribute(seat, frame.as_deref_mut());
            heard.push(self.sent(seat));
        }
        heard
    }

    fn sent(&mut self, seat: u32) -> Vec<i16> {
        let mut out = vec![0; 160];
        match self.room.mix(seat, &mut out) {
            Heard::Silence | Heard::Quiet => out.fill(0),
            Heard::Own => {}
            Heard::Shared => {
                let octets = self.room.shared(Law::Mu).0.to_vec();
                Law::Mu.decode(&octets, &mut out);
            }
        }
        out
    }

    /// So many rounds of the same; returns what was heard in the last.
    fn rounds(&mut self, count: usize, said: &[Option<Vec<i16>>]) -> Vec<Vec<i16>> {
        (0..count).fold(Vec::new(), |_, _| self.round(said))
    }

    fn edge(&mut self, place: usize, edge: Edge) {
        self.room.set_edge(self.seats[place], edge);
    }

    fn told(&mut self) -> Vec<RoomEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

fn flat(value: i16) -> Option<Vec<i16>> {
    Some(vec![value; 160])
}

/// Samples that are told from all others.
fn noise(seed: u32, round: u32) -> Vec<i16> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) ^ round.wrapping_mul(0x85EB_CA6B) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 16) as i16 / 8
    };
    std::iter::repeat_with(next).take(160).collect()
}

/// Equal but for the rounding of µ-law, which is between the room and those who only listen.
fn near(a: i16, b: i16) -> bool {
    a.abs_diff(b) <= b.unsigned_abs() / 16
}

fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let dot = |a: &[i16], b: &[i16]| {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1.0)
}

#[test]
fn each_of_two_gets_exactly_what_the_other_said() {
    let mut scene = of(2);
    let mut before = [noise(1, 0), noise(2, 0)];
    for round in 0..100 {
        let said = [noise(1, round), noise(2, round)];
        let heard = scene.round(&said.clone().map(Some));
        if round > 1 {
            assert_eq!(heard, [before[1].clone(), before[0].clone()], "{round}");
        }
        before = said;
    }
}

#[test]
fn each_of_fifty_hears_the_talkers_and_never_itself() {
    let config = RoomConfig {
        max_talkers: 5,
        ..RoomConfig::default()
    };
    let mut scene = scene(config);
    (0..50).for_each(|_| _ = scene.join(Edge::default()));
    let talkers = [3, 17, 18, 33, 49];
    let mut before: Vec<Option<Vec<i16>>> = Vec::new();
    for round in 0..20 {
        let said: Vec<_> = (0..50)
            .map(|n| talkers.contains(&n).then(|| noise(n as u32 + 1, round)))
            .collect();
        let heard = scene.round(&said);
        for (listener, heard) in heard.iter().enumerate().filter(|_| round > 1) {
            for talker in talkers {
                let share = correlation(heard, before[talker].as_deref().unwrap_or(&[]));
                match talker == listener {
                    true => assert!(share.abs() < 0.3, "{listener} hears itself: {share}"),
                    false => assert!(share > 0.3, "{listener} of {talker}: {share}"),
                }
            }
            let others: Vec<i16> = (0..160)
                .map(|at| {
                    let others = talkers.iter().filter(|talker| **talker != listener);
                    let parts = others.map(|talker| {
                        i32::from(before[*talker].as_ref().map_or(0, |said| said[at]))
                    });
                    parts.sum::<i32>().clamp(-32_768, 32_767) as i16
                })
                .collect();
            match talkers.contains(&listener) {
                true => assert_eq!(*heard, others, "{listener}"),
                false => assert!(correlation(heard, &others) > 0.999, "{listener}"),
            }
        }
        before = said;
    }
}

#[test]
fn listeners_share_one_encoding_in_a_round() {
    let mut scene = of(50);
    scene.rounds(3, &[flat(1000)]);
    scene.round += 1;
    let (mut fresh, mut own) = (0, 0);
    for seat in scene.seats.clone() {
        scene.room.advance(scene.round);
        scene.room.contribute(
            seat,
            (seat == scene.seats[0]).then_some(&mut [1000; 160][..]),
        );
        match scene.room.mix(seat, &mut [0; 160]) {
            Heard::Shared => fresh += usize::from(scene.room.shared(Law::A).1),
            Heard::Own => own += 1,
            Heard::Silence | Heard::Quiet => {
                assert_eq!(seat, scene.seats[0], "the only talker hears nobody")
            }
        }
    }
    assert_eq!((fresh, own), (1, 0));
}

#[test]
fn sums_are_clipped_and_do_not_wrap() {
    let mut scene = of(3);
    for loud in [30_000, -30_000] {
        let heard = scene.rounds(3, &[flat(loud), flat(loud), flat(loud)]);
        let clipped = if loud > 0 { i16::MAX } else { i16::MIN };
        assert!(heard.iter().all(|heard| *heard == vec![clipped; 160]));
    }
    // One's own part is taken out of the sum before it is clipped.
    let heard = scene.rounds(3, &[flat(30_000), flat(20_000), flat(-25_000)]);
    assert_eq!(
        (heard[0][9], heard[1][9], heard[2][9]),
        (-5000, 5000, i16::MAX)
    );
}

#[test]
fn mute_deaf_hold_and_gain() {
    let mut scene = of(3);
    let said = [flat(1000), flat(100), flat(10)];
    let firsts = |heard: Vec<Vec<i16>>| heard.iter().map(|heard| heard[159]).collect::<Vec<_>>();
    assert_eq!(firsts(scene.rounds(3, &said)), [110, 1010, 1100]);
    let edge = Edge::default();
    for (changed, expected) in [
        (Edge { mute: true, ..edge }, [110, 10, 100]),
        (Edge { deaf: true, ..edge }, [0, 1010, 1100]),
        (Edge { hold: true, ..edge }, [0, 10, 100]),
        (
            Edge {
                gain_in_db: 6.0206,
                ..edge
            },
            [110, 2010, 2100],
        ),
        (
            Edge {
                gain_out_db: -6.0206,
                ..edge
            },
            [55, 1010, 1100],
        ),
        (edge, [110, 1010, 1100]),
    ] {
        scene.edge(0, changed);
        let heard = firsts(scene.rounds(3, &said));
        let right = heard.iter().zip(expected).all(|(a, b)| near(*a, b));
        assert!(right, "{changed:?}: {heard:?}");
    }
    // Nothing changes by a step that would be heard as a click.
    scene.edge(0, Edge { mute: true, ..edge });
    scene.round(&said);
    let fading = &scene.round(&said)[1];
    assert!(
        fading.windows(2).all(|pair| pair[0] - pair[1] <= 26) && fading[0] > 980,
        "{fading:?}"
    );
}

#[test]
fn a_whisper_reaches_one_alone_who_still_hears_the_others() {
    let mut scene = of(3);
    let coach = Edge {
        whisper_to: Some(MemberId(1)),
        ..Edge::default()
    };
    let whisperer = scene.join(coach);
    let said = [flat(1000), flat(300), flat(150), flat(5000)];
    let heard = scene.rounds(3, &said);
    let firsts: Vec<_> = heard.iter().map(|heard| heard[159]).collect();
    assert_eq!(firsts[..3], [450, 6150, 1300], "exact for those who speak");
    assert!(
        (1450 - 40..=1450 + 40).contains(&firsts[3]),
        "the coach hears all: {firsts:?}"
    );
    scene.leave(1);
    let heard = scene.rounds(3, &said);
    assert_eq!(
        (heard[0][159], heard[2][159]),
        (150, 1000),
        "nobody else hears it then"
    );
    scene.edge(whisperer, Edge::default());
    assert_eq!(scene.rounds(3, &said)[0][159], 5150);
}

#[test]
fn in_a_large_room_the_loudest_are_heard_and_the_quiet_cost_nothing() {
    let config = RoomConfig {
        max_talkers: 2,
        ..RoomConfig::default()
    };
    let mut scene = scene(config);
    (0..10).for_each(|_| _ = scene.join(Edge::default()));
    let mut said: Vec<_> = (0..10).map(|_| flat(3)).collect();
    scene.rounds(3, &said);
    assert_eq!(
        scene.room.sums.iter().map(|sum| sum.parts).sum::<u32>(),
        0,
        "line noise is not mixed"
    );
    said[1] = flat(500);
    said[2] = flat(1000);
    said[3] = flat(8000);
    let heard = scene.rounds(20, &said);
    assert_eq!((heard[2][9], heard[3][9]), (8000, 1000));
    assert!(
        near(heard[1][9], 9000) && near(heard[0][9], 9000),
        "too quiet to be heard"
    );
    said[3] = None;
    assert!(near(scene.rounds(30, &said)[3][9], 1500), "a place is free");
}

#[test]
fn who_leaves_in_the_middle_of_a_round_disturbs_nobody() {
    let mut scene = of(3);
    let said = [flat(1000), flat(100), flat(10)];
    scene.rounds(3, &said);
    // The first has stepped in this round, the others have not.
    scene.round += 1;
    scene.room.advance(scene.round);
    let first = scene.seats[0];
    scene.room.contribute(first, Some(&mut [1000; 160]));
    scene.leave(0);
    for (place, expected) in [(1, 1010), (2, 1100)] {
        let seat = scene.seats[place];
        scene
            .room
            .contribute(seat, Some(&mut [[100; 160], [10; 160]][place - 1]));
        assert_eq!(scene.sent(seat)[9], expected);
    }
    assert_eq!(scene.round(&said)[1][9], 1010, "its last word is heard");
    assert_eq!(scene.round(&said)[1][9], 10);
    // Who comes in its seat is not taken for it.
    let place = scene.join(Edge::default());
    assert_eq!(scene.seats[place], first);
    assert!(scene.round(&said)[place][0] < 10, "fades in");
    assert!(near(scene.rounds(2, &said)[place][159], 110));
}

#[test]
fn a_room_whose_members_stood_still_begins_afresh() {
    let mut scene = of(2);
    scene.rounds(3, &[flat(1000), flat(2000)]);
    scene.round += 50;
    assert_eq!(scene.round(&[None, None]), vec![vec![0; 160]; 2]);
}

#[test]
fn announcements_are_mixed_for_all_or_for_one() {
    let mut scene = of(3);
    let player = |id, value: i16, ms: usize| {
        let prompt = Prompt::from_samples("test", &vec![value; ms * 8]);
        Box::new(Player::new(
            id,
            vec![MediaAudio::Prompt(Arc::new(prompt))],
            Some(1),
        ))
    };
    scene.rounds(3, &[flat(1000)]);
    assert!(scene.room.play(player(5, 7000, 40)).is_none());
    let seat = scene.seats[2];
    scene.room.member(seat).expect("a member").player = Some(player(6, 400, 60));
    let heard: Vec<Vec<i16>> = (0..4)
        .map(|_| {
            scene
                .round(&[flat(1000)])
                .iter()
                .map(|heard| heard[9])
                .collect()
        })
        .collect();
    for (round, expected) in [
        [7000, 8000, 8400],
        [7000, 8000, 8400],
        [0, 1000, 1400],
        [0, 1000, 1000],
    ]
    .into_iter()
    .enumerate()
    {
        let right = heard[round].iter().zip(expected).all(|(a, b)| near(*a, b));
        assert!(right, "{round}: {:?}", heard[round]);
    }
    let told = scene.told();
    assert!(
        told.contains(&RoomEvent::PlayDone { id: 5 })
            && told.contains(&RoomEvent::PlayDone { id: 6 })
    );
    assert_eq!(scene.room.spent.len(), 2);
}

#[test]
fn announcements_into_a_wide_room_are_wide() {
    let mut scene = of(2);
    let mut wide = vec![0; 320 * 10];
    Tone::new(16_000, [6000.0, 0.0], -10.0).fill(&mut wide);
    let prompt = Prompt::from_wide("test", &wide);
    let audio = vec![MediaAudio::Prompt(Arc::new(prompt))];
    let player = Box::new(Player::new(5, audio, Some(1)));
    let mut heard = Vec::new();
    for seat in scene.seats.clone() {
        scene.room.note_rate(seat, AudioRate::Wide);
    }
    scene.round(&[]);
    assert!(scene.room.play(player).is_none());
    for _ in 0..9 {
        scene.round += 1;
        scene.room.advance(scene.round);
        let mut out = vec![0; 320];
        scene.room.shared_linear(&mut out);
        heard.extend(out);
    }
    // Nothing of 6 kHz is left in what goes through the narrow band.
    let loud = level::dbm0(&heard[320..]);
    assert!((loud + 10.0).abs() < 0.5, "{loud}");
}

#[test]
fn speakers_and_levels_are_reported_when_asked_and_not_too_often() {
    let mut scene = scene(RoomConfig {
        speakers: true,
        levels_ms: 200,
        ..RoomConfig::default()
    });
    (0..2).for_each(|_| _ = scene.join(Edge::default()));
    let mut tone = vec![0; 160];
    Tone::new(8000, [500.0, 0.0], -10.0).fill(&mut tone);
    assert_eq!(scene.told().len(), 2, "joined");
    scene.rounds(50, &[Some(tone), None]);
    scene.rounds(50, &[flat(0), None]);
    let told = scene.told();
    let speaking: Vec<_> = told
        .iter()
        .filter(|event| matches!(event, RoomEvent::Speaking { .. }))
        .collect();
    let member = MemberId(0);
    assert_eq!(
        speaking,
        [true, false]
            .map(|on| RoomEvent::Speaking { member, on })
            .iter()
            .collect::<Vec<_>>()
    );
    let levels: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            RoomEvent::Level { member, dbm0 } => Some((*member, *dbm0)),
            _ => None,
        })
        .collect();
    assert!((5..=7).contains(&levels.len()), "{levels:?}");
    assert!(
        levels[0].0 == member && (levels[0].1 + 10.0).abs() < 0.5,
        "{levels:?}"
    );
}

#[test]
fn the_mix_is_wide_while_all_members_are() {
    let mut scene = of(3);
    let wide = |value: i16| vec![value; 320];
    let round = |scene: &mut Scene, rates: [AudioRate; 3]| {
        scene.round += 1;
        let mut heard = Vec::new();
        for (place, rate) in rates.into_iter().enumerate() {
            let seat = scene.seats[place];
            if seat == u32::MAX {
                continue;
            }
            scene.room.advance(scene.round);
            scene.room.note_rate(seat, rate);
            let mix_rate = scene.room.rate();
            let mut said = wide([1000, 300, 150][place]);
            let length = mix_rate.samples_per_frame();
            scene.room.contribute(seat, Some(&mut said[..length]));
            let mut out = vec![0; length];
            scene.room.mix(seat, &mut out);
            heard.push(out);
        }
        heard
    };
    use AudioRate::{Narrow, Wide};
    (0..3).for_each(|_| _ = round(&mut scene, [Wide; 3]));
    assert_eq!(
        round(&mut scene, [Wide; 3]),
        [wide(450), wide(1150), wide(1300)]
    );
    // A narrow one comes: the mix follows within a round, without a hole.
    round(&mut scene, [Wide, Wide, Narrow]);
    for _ in 0..3 {
        let heard = round(&mut scene, [Wide, Wide, Narrow]);
        assert_eq!(heard, [vec![450; 160], vec![1150; 160], vec![1300; 160]]);
    }
    scene.leave(2);
    round(&mut scene, [Wide; 3]);
    let heard = round(&mut scene, [Wide; 3]);
    assert_eq!(heard, [wide(300), wide(1000)]);
}

#[test]
fn nobody_is_let_in_beyond_the_limit() {
    let mut scene = scene(RoomConfig {
        max_members: 2,
        ..RoomConfig::default()
    });
    (0..2).for_each(|_| _ = scene.join(Edge::default()));
    let channel = ChannelId {
        index: 9,
        generation: 0,
    };
    let third = Box::new(Member::new(MemberId(9), channel, Edge::default()));
    assert!(scene.room.join(third).is_err());
}
