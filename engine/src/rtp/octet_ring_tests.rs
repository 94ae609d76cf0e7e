//! A made-up network on one time line: packets with arrival times in, frames every 20 ms out.

use super::*;

const SILENCE: u8 = 0xFF;

/// A packet: arrival in ms, sequence, timestamp, marker, samples, the octet it is filled with.
#[derive(Clone, Copy)]
struct Arriving(u64, u16, u32, bool, usize, u8);

/// Plays `frames` frames. Each gives the value of its first sample, `.` for idle, `x` for missing; values are letters.
fn play(packets: &[Arriving], frames: u64) -> String {
    let mut buffer = JitterBuffer::new(SILENCE);
    play_on(&mut buffer, packets, 0..frames)
}

fn play_on(
    buffer: &mut JitterBuffer,
    packets: &[Arriving],
    frames: std::ops::Range<u64>,
) -> String {
    let mut line = String::new();
    for frame in frames {
        let due = packets
            .iter()
            .filter(|packet| (frame * 20..frame * 20 + 20).contains(&packet.0));
        for Arriving(_, sequence, timestamp, marker, samples, octet) in due {
            buffer.insert(*sequence, *timestamp, *marker, &vec![*octet; *samples]);
        }
        let mut out = [0; FRAME];
        line.push(match buffer.pull(&mut out) {
            Pulled::Idle => '.',
            Pulled::Missing => 'x',
            Pulled::Audio { .. } if out[0] == SILENCE => '_',
            Pulled::Audio { .. } => out[0] as char,
        });
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
            "one packet 65 ms late: the delay grows",
            changed("abcdef", |p| p[2].0 += 65),
            "..abxcdefx",
        ),
        (
            "one packet 300 ms late: dropped",
            changed("abcdefghijklmnopqrstuv", |p| p[2].0 += 300),
            "..abxdefghijklmnopqrst",
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
            "..a..defxx",
        ),
        (
            "both jump back",
            changed("abcdefgh", |p| {
                p[3..]
                    .iter_mut()
                    .for_each(|p| (p.1, p.2) = (p.1 - 90, p.2.wrapping_sub(90_000)))
            }),
            "..a..defghxx",
        ),
    ];
    for (name, packets, expected) in cases {
        assert_eq!(play(packets, expected.len() as u64), *expected, "{name}");
    }
}

#[test]
fn every_packet_time_gives_every_sample_in_order() {
    for samples in [80usize, 160, 240, 320, 400, 480, 100] {
        let mut buffer = JitterBuffer::new(SILENCE);
        let (mut sent, mut heard) = (0usize, Vec::new());
        let octet = |n: usize| (n % 251) as u8;
        for tick in 0..400usize {
            while sent * samples <= tick * FRAME {
                let payload: Vec<u8> = (sent * samples..(sent + 1) * samples).map(octet).collect();
                buffer.insert(sent as u16, (sent * samples) as u32, sent == 0, &payload);
                sent += 1;
            }
            let mut out = [0; FRAME];
            if buffer.pull(&mut out) == (Pulled::Audio { missing: 0 }) {
                heard.extend_from_slice(&out);
            }
        }
        // Ample delay is given up once: samples come in order before and after it.
        let breaks = heard
            .windows(2)
            .filter(|pair| (usize::from(pair[0]) + 1) % 251 != usize::from(pair[1]))
            .count();
        assert!(breaks <= 2, "{samples} samples: {breaks} breaks");
        assert!(
            heard.len() >= 390 * FRAME,
            "{samples} samples: {} heard",
            heard.len()
        );
        assert_eq!(heard[..1000], (0..1000).map(octet).collect::<Vec<_>>());
    }
}

#[test]
fn a_pause_that_the_peers_clock_did_not_count() {
    // Then time goes on as if there had been none, without a marker.
    for pause in [400, 800] {
        let packets = changed("abcdefghij", |p| {
            p[4..].iter_mut().for_each(|p| p.0 += pause)
        });
        let heard = play(&packets, 56);
        assert!(heard.starts_with("..abcdxx"), "{heard}");
        assert!(heard.trim_end_matches('x').ends_with("..efghij"), "{heard}");
    }
    let packets = changed("abcdefghij", |p| {
        p[4].3 = true;
        p[4..].iter_mut().for_each(|p| p.0 += 800);
    });
    assert!(
        play(&packets, 56)
            .trim_end_matches('x')
            .ends_with("..efghij")
    );
}

#[test]
fn delay_grows_and_comes_back() {
    let mut buffer = JitterBuffer::new(SILENCE);
    let mut packets = steady(&"a".repeat(1200));
    packets[50].0 += 120;
    packets[51].0 += 100;
    packets[52].0 += 80;
    packets[53].0 += 60;
    let line = play_on(&mut buffer, &packets, 0..100);
    assert!(buffer.delay() >= 640, "{}", buffer.delay());
    assert_eq!(line.matches('x').count(), 4, "{line}");
    let line = play_on(&mut buffer, &packets, 100..1200);
    assert!(buffer.delay() <= 320, "{}", buffer.delay());
    assert!(!line.contains('x'), "{line}");
}

#[test]
fn odd_payloads_and_events_between_do_no_harm() {
    let mut buffer = JitterBuffer::new(SILENCE);
    assert_eq!(buffer.insert(1, 0, false, &[]), Inserted::Late);
    assert_eq!(buffer.insert(1, 0, false, &[0; 60_000]), Inserted::Late);
    assert_eq!(buffer.insert(1, 0, true, &[1; 160]), Inserted::Started);
    buffer.skip(2);
    // Two frames of an event went by: silence, no loss.
    assert_eq!(buffer.insert(3, 480, false, &[2; 160]), Inserted::Queued);
    let mut out = [0; FRAME];
    let frames: Vec<_> = (0..6)
        .map(|_| (buffer.pull(&mut out), out[0]))
        .skip(2)
        .collect();
    let audio = Pulled::Audio { missing: 0 };
    assert_eq!(
        frames,
        [(audio, 1), (audio, SILENCE), (audio, SILENCE), (audio, 2)]
    );
}

#[test]
fn random_packets_never_break_it() {
    let mut state = 1u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut buffer = JitterBuffer::new(SILENCE);
    let mut out = [0; FRAME];
    for _ in 0..200_000 {
        let length = [0, 1, 80, 160, 480, 2048][random() as usize % 6];
        let timestamp = if random() % 20 == 0 {
            random() << 8
        } else {
            random() % 8000
        };
        buffer.insert(
            (random() % 300) as u16,
            timestamp,
            random() % 10 == 0,
            &[0; 2048][..length],
        );
        if random() % 3 == 0 {
            buffer.pull(&mut out);
        }
        assert!(buffer.delay() <= LONGEST_DELAY as u32);
    }
}
