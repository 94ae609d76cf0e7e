//! A made-up network on one time line: packets with arrival times in, frames every 20 ms out.

use super::*;

/// Units of a frame: the tests run on a clock of 8 kHz where an octet is a unit.
pub(super) const FRAME: u32 = 160;

/// Begins to play 40 ms after the first packet.
const SOON: Aim = Aim {
    worth_ms: 2.5,
    usual: 0.93,
    half_life_ms: 20_000.0,
};

/// Plays a buffer without any sound: counts what it would have to play.
pub(super) struct Player {
    pub(super) buffer: JitterBuffer,
    /// Octets to play.
    pub(super) lead: Vec<u8>,
    /// Samples made up because nothing had come.
    pub(super) waited: u64,
    /// Mends the delay as a caller does that can stretch time.
    stretches: bool,
}

impl Player {
    pub(super) fn new(aim: Aim) -> Player {
        Player {
            buffer: JitterBuffer::new(ClockRate::HZ_8000, 8192, aim),
            lead: Vec::new(),
            waited: 0,
            stretches: true,
        }
    }

    /// One frame: octets, `x` for what is concealed, `_` for silence, `.` before the start.
    pub(super) fn pull(&mut self, now_us: u64) -> Vec<u8> {
        while self.lead.len() < FRAME as usize {
            let need = FRAME - self.lead.len() as u32;
            let (octet, units) = match self.buffer.next(now_us, self.lead.len() as u32, need) {
                Turn::Packet { payload, skip, .. } => {
                    self.lead.extend_from_slice(&payload[skip as usize..]);
                    continue;
                }
                Turn::Lost { units, .. } => (b'x', units),
                Turn::Silence | Turn::Wait { quiet: true } => (b'_', need),
                Turn::Wait { quiet: false } => {
                    self.waited += u64::from(need);
                    (b'x', need)
                }
                Turn::Idle => (b'.', need),
            };
            let to = self.lead.len() + units as usize;
            self.lead.resize(to, octet);
        }
        if self.stretches {
            self.stretch(now_us);
        }
        self.lead.drain(..FRAME as usize).collect()
    }

    /// Up to 10 ms less or more in a frame, exactly as wanted.
    fn stretch(&mut self, now_us: u64) {
        let lead = self.lead.len() as u32;
        let units = self.buffer.surplus_us(now_us, lead, FRAME) / 125;
        if units > 0 {
            let less = units.min(80) as usize;
            if self.lead.len() < FRAME as usize + less {
                let need = FRAME - self.lead.len().min(159) as u32;
                if !self.buffer.has_next() {
                    return;
                }
                if let Turn::Packet { payload, skip, .. } = self.buffer.next(now_us, lead, need) {
                    self.lead.extend_from_slice(&payload[skip as usize..]);
                }
            }
            if self.lead.len() >= FRAME as usize + less {
                self.lead.drain(..less);
            }
        } else if units < 0 {
            let again = self.lead[..units.unsigned_abs().min(80) as usize].to_vec();
            self.lead.splice(..0, again);
        }
    }
}

/// A packet: arrival in ms, sequence, timestamp, marker, samples, the octet it is filled with.
#[derive(Clone, Copy)]
struct Arriving(u64, u16, u32, bool, usize, u8);

/// Plays `frames` frames; each gives its first octet.
fn play(packets: &[Arriving], frames: u64) -> String {
    let mut player = Player::new(SOON);
    player.stretches = false;
    play_on(&mut player, packets, 0..frames)
}

fn play_on(player: &mut Player, packets: &[Arriving], frames: std::ops::Range<u64>) -> String {
    let mut line = String::new();
    for frame in frames {
        let due = packets
            .iter()
            .filter(|packet| (frame * 20..frame * 20 + 20).contains(&packet.0));
        for &Arriving(ms, sequence, timestamp, marker, samples, octet) in due {
            let arrived = Arrived {
                sequence,
                timestamp,
                marker,
                units: samples as u32,
                payload: &vec![octet; samples],
            };
            player.buffer.insert(ms * 1000, &arrived);
        }
        line.push(char::from(player.pull(frame * 20_000 + 19_000)[0]));
    }
    line
}

fn steady(letters: &str) -> Vec<Arriving> {
    let packet = |(n, octet): (usize, u8)| {
        Arriving(
            n as u64 * 20,
            100 + n as u16,
            5000 + n as u32 * 160,
            n == 0,
            160,
            octet,
        )
    };
    letters.bytes().enumerate().map(packet).collect()
}

fn changed(letters: &str, change: impl FnOnce(&mut Vec<Arriving>)) -> Vec<Arriving> {
    let mut packets = steady(letters);
    change(&mut packets);
    packets
}

#[test]
fn what_the_network_does_and_what_is_heard() {
    let cases: &[(&str, Vec<Arriving>, &str)] = &[
        ("in order", steady("abcdef"), "..abcdefxx"),
        (
            "one lost",
            changed("abcdef", |p| _ = p.remove(2)),
            "..abxdefxx",
        ),
        (
            "swapped",
            changed("abcdef", |p| (p[2].0, p[3].0) = (60, 40)),
            "..abcdefxx",
        ),
        (
            "doubled",
            changed("abcdef", |p| p.insert(2, p[1])),
            "..abcdefxx",
        ),
        (
            "one packet 30 ms late",
            changed("abcdef", |p| p[2].0 += 30),
            "..abcdefxx",
        ),
        (
            "one packet overtaken by its turn",
            changed("abcdef", |p| p[2].0 += 65),
            "..abxdefxx",
        ),
        (
            "a network that stands for 80 ms: the delay grows",
            changed("abcdef", |p| {
                p[2..].iter_mut().for_each(|p| p.0 = p.0.max(120))
            }),
            "..abxxcdefxx",
        ),
        (
            "one packet 300 ms late: dropped",
            changed("abcdefghijklmnopqrstuv", |p| p[2].0 += 300),
            "..abxdefghijklmnopqrstuv",
        ),
        (
            "sequence wraps",
            changed("abcdef", |p| {
                p.iter_mut().for_each(|p| p.1 = p.1.wrapping_add(65433))
            }),
            "..abcdefxx",
        ),
        (
            "timestamp wraps",
            changed("abcdef", |p| {
                p.iter_mut().for_each(|p| p.2 = p.2.wrapping_sub(5300))
            }),
            "..abcdefxx",
        ),
        (
            "silence left out by the peer",
            changed("abcdef", |p| {
                p[3..]
                    .iter_mut()
                    .for_each(|p| (p.0, p.2) = (p.0 + 40, p.2 + 320))
            }),
            "..abc__def",
        ),
        (
            "timestamp stands still",
            changed("abcdef", |p| p.iter_mut().for_each(|p| p.2 = 7)),
            "..abcdefxx",
        ),
        (
            "timestamp jumps an hour ahead",
            changed("abcdef", |p| {
                p[3..].iter_mut().for_each(|p| p.2 += 28_800_000)
            }),
            "..abcdefxx",
        ),
        (
            "both jump back",
            changed("abcdefgh", |p| {
                p[3..]
                    .iter_mut()
                    .for_each(|p| (p.1, p.2) = (p.1 - 90, p.2.wrapping_sub(90_000)))
            }),
            "..abcdefghxx",
        ),
    ];
    for (name, packets, expected) in cases {
        assert_eq!(play(packets, expected.len() as u64), *expected, "{name}");
    }
}

#[test]
fn every_packet_time_gives_every_sample_in_order() {
    for samples in [80usize, 160, 240, 320, 400, 480, 960, 100] {
        let mut player = Player::new(Aim::default());
        player.stretches = false;
        let (mut sent, mut heard) = (0usize, Vec::new());
        let octet = |n: usize| (n % 251) as u8;
        for tick in 0..400u64 {
            // A packet leaves when its last sample was taken.
            while (sent + 1) * samples <= tick as usize * 160 {
                let payload: Vec<u8> = (sent * samples..(sent + 1) * samples).map(octet).collect();
                let arrived = Arrived {
                    sequence: sent as u16,
                    timestamp: (sent * samples) as u32,
                    marker: sent == 0,
                    units: samples as u32,
                    payload: &payload,
                };
                player
                    .buffer
                    .insert((sent + 1) as u64 * samples as u64 * 125, &arrived);
                sent += 1;
            }
            let frame = player.pull(tick * 20_000);
            if !heard.is_empty() || frame[0] != b'.' {
                heard.extend_from_slice(&frame);
            }
        }
        assert_eq!(
            heard,
            (0..heard.len()).map(octet).collect::<Vec<_>>(),
            "{samples}"
        );
        assert!(heard.len() >= 385 * 160, "{samples}: {}", heard.len());
    }
}

#[test]
fn a_pause_that_the_peers_clock_did_not_count() {
    // Then time goes on as if there had been none, without a marker.
    for pause in [400, 800, 8_000] {
        let packets = changed("abcdefghij", |p| {
            p[4..].iter_mut().for_each(|p| p.0 += pause)
        });
        let heard = play(&packets, 16 + pause / 20);
        assert!(heard.starts_with("..abcdxx"), "{heard}");
        assert!(heard.trim_end_matches('x').ends_with("efghij"), "{heard}");
        assert!(!heard.contains("xf"), "{heard}");
    }
    let packets = changed("abcdefghij", |p| {
        p[4].3 = true;
        p[4..].iter_mut().for_each(|p| p.0 += 800);
    });
    let heard = play(&packets, 56);
    assert!(heard.trim_end_matches('x').ends_with("..efghij"), "{heard}");
}

#[test]
fn a_talkspurt_after_a_long_pause_starts_at_the_target() {
    // Twelve seconds of silence that the timestamps count, with and without a marker.
    for marker in [true, false] {
        let packets = changed("abcdefghij", |p| {
            p[4].3 = marker;
            p[4..]
                .iter_mut()
                .for_each(|p| (p.0, p.2) = (p.0 + 12_000, p.2 + 96_000));
        });
        let heard = play(&packets, 616);
        assert!(heard.trim_end_matches('x').ends_with("_efghij"), "{heard}");
    }
}

#[test]
fn delay_grows_at_once_and_comes_back() {
    let mut player = Player::new(Aim::default());
    let mut packets = steady(&"a".repeat(1500));
    // The network stands for 160 ms.
    packets[50..58].iter_mut().for_each(|p| p.0 = 1160);
    let line = play_on(&mut player, &packets, 0..60);
    assert!(line.matches('x').count() <= 8, "{line}");
    let lead = player.lead.len() as u32;
    let delay = player.buffer.delay_us(60 * 20_000, lead);
    assert!(delay >= 100_000, "{delay}");
    let line = play_on(&mut player, &packets, 60..1500);
    assert!(!line.contains('x'), "{line}");
    let lead = player.lead.len() as u32;
    let delay = player.buffer.delay_us(1499 * 20_000 + 19_000, lead);
    let target = player.buffer.target_us();
    assert!(delay <= 40_000, "{delay} {target}");
    assert_eq!(player.buffer.tally().late, 0);
}

#[test]
fn odd_payloads_and_events_between_do_no_harm() {
    let mut buffer = JitterBuffer::new(ClockRate::HZ_8000, 4096, SOON);
    let packet = |sequence, timestamp, marker, payload| Arrived {
        sequence,
        timestamp,
        marker,
        units: 160,
        payload,
    };
    let mut insert = |packet| buffer.insert(0, &packet);
    assert_eq!(insert(packet(1, 0, false, &[])), Inserted::Refused);
    assert_eq!(insert(packet(1, 0, false, &[0; 60_000])), Inserted::Refused);
    assert_eq!(insert(packet(1, 0, true, &[1; 160])), Inserted::Started);
    // Two frames of an event went by: silence, no loss.
    buffer.skip(2);
    let after = packet(3, 480, false, &[2; 160]);
    assert_eq!(buffer.insert(60_000, &after), Inserted::Queued);
    let is_first = |turn: Turn<'_>| matches!(turn, Turn::Packet { payload, .. } if payload[0] == 1);
    assert!(is_first(buffer.next(60_000, 0, 160)));
    assert_eq!(buffer.next(80_000, 0, 160), Turn::Silence);
    assert_eq!(buffer.next(80_000, 0, 160), Turn::Silence);
    assert!(matches!(
        buffer.next(103_000, 0, 160),
        Turn::Packet {
            payload: [2, ..],
            ..
        }
    ));
    assert_eq!(buffer.tally(), Tally::default());
    buffer.quieten(4);
    assert_eq!(buffer.next(120_000, 0, 160), Turn::Wait { quiet: true });
}

#[test]
fn random_packets_never_break_it() {
    let mut state = 1u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut player = Player::new(Aim::default());
    let mut now_us = 0;
    for _ in 0..200_000 {
        let length = [0, 1, 80, 160, 480, 960][random() as usize % 6];
        let timestamp = if random() % 20 == 0 {
            random() << 8
        } else {
            random() % 8000
        };
        let arrived = Arrived {
            sequence: (random() % 300) as u16,
            timestamp,
            marker: random() % 10 == 0,
            units: length as u32,
            payload: &[0; 960][..length],
        };
        now_us += u64::from(random() % 30_000);
        player.buffer.insert(now_us, &arrived);
        if random() % 3 == 0 {
            assert_eq!(player.pull(now_us).len(), FRAME as usize);
        }
        assert!(player.lead.len() < 2000);
    }
}
