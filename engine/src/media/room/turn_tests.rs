use std::sync::Arc;

use trunkline_dsp::tone::Tone;

use super::*;
use crate::media::codec::opus::OpusSettings;
use crate::media::codec::{Decoder, Encoding};
use crate::media::retire::ChannelId;
use crate::media::room::lines::Line;
use crate::media::room::member::{Edge, Member};
use crate::media::room::rooms::RoomPlaces;
use crate::media::room::{MemberId, RoomConfig};
use crate::media::voice::{LONGEST_PAYLOAD, Speech};

/// A member with its codec and its peer's decoder.
struct Peer {
    seat: u32,
    encoding: Encoding,
    voice: Voice,
    decoder: Decoder,
    heard: Vec<i16>,
}

struct Scene {
    room: RoomState,
    peers: Vec<Peer>,
    round: u64,
    counters: RoomStats,
}

fn voice(encoding: Encoding) -> Voice {
    Voice::equipped(encoding, OpusSettings::default(), FRAME_MS as u8).unwrap()
}

fn scene(encodings: &[Encoding]) -> Scene {
    let place = RoomPlaces::new(1).take().unwrap();
    let (sender, _) = tokio::sync::mpsc::channel(256);
    let mut room = RoomState::new(place, RoomConfig::default(), Arc::default(), sender);
    let mut peers = Vec::new();
    for (n, encoding) in encodings.iter().enumerate() {
        let id = ChannelId {
            index: n as u32,
            generation: 0,
        };
        let member = Member::new(MemberId(n as u32), id, Edge::default());
        let seat = room.join(Box::new(member)).unwrap();
        room.note_rate(seat, encoding.audio());
        peers.push(Peer {
            seat,
            encoding: *encoding,
            voice: voice(*encoding),
            decoder: Decoder::new(*encoding).unwrap(),
            heard: Vec::new(),
        });
    }
    Scene {
        room,
        peers,
        round: 7,
        counters: RoomStats::default(),
    }
}

impl Scene {
    fn add_line(&mut self, encoding: Encoding) {
        let line = Box::new(Line::new(voice(encoding)));
        assert!(self.room.add_line(line).is_none());
    }

    /// One round; each says its frame of 16 kHz, or nothing.
    fn round(&mut self, said: &[Option<Frame>]) {
        self.round += 1;
        for (n, peer) in self.peers.iter_mut().enumerate() {
            self.room.advance(self.round);
            match said.get(n) {
                Some(Some(frame)) => self.room.listen(peer.seat, frame),
                _ => self.room.contribute(peer.seat, None),
            }
            let law = peer.encoding.law();
            let mut space = [0; LONGEST_PAYLOAD];
            let mixed = self
                .room
                .mix_for(peer.seat, law, &mut peer.voice, &self.counters);
            let payload = match mixed {
                Mixed::Here(Mix::Linear(frame)) => {
                    peer.voice.take(Speech::Frame(&frame));
                    let cut = peer.voice.cut(&mut space).unwrap();
                    &space[..cut.octets]
                }
                Mixed::Here(Mix::Octets(octets)) => {
                    space[..octets.len()].copy_from_slice(&octets);
                    &space[..octets.len()]
                }
                Mixed::Here(Mix::Packet(_)) => unreachable!("packets come by their line"),
                Mixed::Line(line) => {
                    let (packet, fresh) = self.room.line_packet(line).unwrap();
                    self.counters.shared_mixes.add(u64::from(fresh));
                    packet.payload()
                }
            };
            let mut out = [0; 1920];
            let length = peer.decoder.decode(payload, &mut out).unwrap();
            peer.heard.extend(&out[..length]);
        }
    }

    fn encoded(&self) -> (u64, u64) {
        let counters = &self.counters;
        (counters.shared_mixes.value(), counters.own_mixes.value())
    }
}

/// Frames of a tone at 16 kHz.
fn frames(hz: f32, dbm0: f32, count: usize) -> Vec<Frame> {
    let mut tone = Tone::new(16_000, [hz, 0.0], dbm0);
    let frame = |_| {
        let mut frame = Frame::silence(AudioRate::Wide);
        tone.fill(frame.samples_mut());
        frame
    };
    (0..count).map(frame).collect()
}

/// How much of the samples is a tone of that frequency, 0 to 1, whatever its phase.
fn share(samples: &[i16], hz: f64) -> f64 {
    let step = std::f64::consts::TAU * hz / 16_000.0;
    let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (sample, at) = (f64::from(*sample), step * n as f64);
        sine += sample * at.sin();
        cosine += sample * at.cos();
        power += sample * sample;
    }
    ((sine * sine + cosine * cosine) * 2.0 / (samples.len() as f64 * power.max(1.0))).sqrt()
}

fn steepest(samples: &[i16]) -> u16 {
    let steps = samples.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
    steps.max().unwrap_or(0)
}

const STATEFUL: [Encoding; 3] = [Encoding::G722, Encoding::Opus, Encoding::L16Wide];

#[test]
fn listeners_of_every_codec_share_one_encoding_in_a_round() {
    for encoding in STATEFUL {
        let mut scene = scene(&[encoding; 12]);
        scene.add_line(encoding);
        let [a, b] = [440.0, 620.0].map(|hz| frames(hz, -10.0, 60));
        let talk = |scene: &mut Scene, from: usize| {
            (from..from + 20).for_each(|n| scene.round(&[Some(a[n].clone()), Some(b[n].clone())]));
        };
        talk(&mut scene, 0);
        let before = scene.encoded();
        talk(&mut scene, 20);
        let after = scene.encoded();
        let cost = (after.0 - before.0, after.1 - before.1);
        assert_eq!(cost, (20, 40), "{encoding:?}: one for ten, and two talkers");
        // Nobody speaks: still one encoding, of silence, for all.
        (0..40).for_each(|_| scene.round(&[]));
        let before = scene.encoded();
        (0..20).for_each(|_| scene.round(&[]));
        assert_eq!(scene.encoded(), (before.0 + 20, before.1), "{encoding:?}");
    }
}

#[test]
fn codecs_beside_each_other_have_a_line_each_and_one_alone_its_own_encoder() {
    let mut scene = scene(&[
        Encoding::Pcma,
        Encoding::G722,
        Encoding::G722,
        Encoding::Opus,
    ]);
    scene.add_line(Encoding::G722);
    let tone = frames(440.0, -10.0, 40);
    for frame in &tone {
        scene.round(&[Some(frame.clone())]);
    }
    let before = scene.encoded();
    for frame in &tone {
        scene.round(&[Some(frame.clone())]);
    }
    assert_eq!(scene.encoded(), (before.0 + 40, before.1 + 40));
    for peer in &scene.peers[1..] {
        let tail = &peer.heard[4 * 320..38 * 320];
        let share = share(tail, 440.0);
        assert!(share > 0.98, "{:?}: {share}", peer.encoding);
    }
    assert_eq!(scene.room.rate(), AudioRate::Narrow);
}

/// Who speaks now and then changes between the line and an encoder of its own: what it hears meanwhile has neither holes nor clicks.
#[test]
fn going_to_and_fro_between_the_line_and_an_own_mix_is_not_heard() {
    for encoding in STATEFUL {
        let mut scene = scene(&[encoding; 3]);
        scene.add_line(encoding);
        let tone = frames(440.0, -10.0, 400);
        // Another pitch, at the same time: heard by the third, never by itself.
        let word = frames(1300.0, -16.0, 400);
        let (mut shared, mut own) = (0, 0);
        for n in 0..400 {
            let speaks = n % 67 < 11;
            let before = scene.encoded();
            let frame = word[n].clone();
            scene.round(&[Some(tone[n].clone()), speaks.then_some(frame)]);
            let after = scene.encoded();
            shared += after.0 - before.0;
            own += after.1 - before.1;
        }
        assert!(shared > 350 && own > 0, "{encoding:?}: {shared} {own}");
        let heard = &scene.peers[1].heard[320 * 40..];
        let steady = steepest(tone[100].samples());
        let step = steepest(heard);
        // The past of an Opus encoder cannot be copied: one that took over without any made a step of 9 times the tone's.
        let (bound, least) = match encoding {
            Encoding::Opus => (1.75, 0.93),
            _ => (1.35, 0.97),
        };
        assert!(
            f32::from(step) < bound * f32::from(steady),
            "{encoding:?}: a step of {step} where the tone has {steady}"
        );
        for (n, part) in heard.chunks_exact(320 * 2).enumerate() {
            let share = share(part, 440.0);
            assert!(share > least, "{encoding:?}: {share} in part {n}");
        }
    }
}
