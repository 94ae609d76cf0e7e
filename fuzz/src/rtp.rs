//! Checks on what comes to an RTP port: packets, RTCP, telephone events, and the jitter buffer behind them.

use std::time::{Duration, Instant};

use trunkline::call::arbiter::Heard;
use trunkline::call::{Arbiter, DigitSource};
use trunkline::media::{KeySource, MediaEvent, event_key};
use trunkline::rtp::clock::ClockRate;
use trunkline::rtp::jitter::{Aim, Arrived, Inserted, JitterBuffer, Turn};
use trunkline::rtp::packet;
use trunkline::rtp::reception::Reception;
use trunkline::rtp::rtcp::{self, RtcpPacket};
use trunkline::rtp::telephone_event::{KeyEvent, Receiver};
use trunkline::rtp::xr::XrBlock;

/// The octets as one datagram, and as datagrams each after an octet with its length: what is read can be built and read again; statistics
/// and jitter buffer take any sequence of packets.
pub fn rtp(octets: &[u8]) {
    round_trip(octets);
    let now = Instant::now();
    let mut jitter = JitterBuffer::new(ClockRate::HZ_8000, 4096, Aim::default());
    let mut now_us = 0;
    let mut reception: Option<Reception> = None;
    let mut rest = octets;
    while let Some((&length, after)) = rest.split_first() {
        let (datagram, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        let Ok(packet) = packet::parse(datagram) else {
            continue;
        };
        let header = packet.header;
        let of =
            reception.get_or_insert_with(|| Reception::new(header.ssrc, header.sequence, 8000));
        of.receive(header.sequence);
        of.time(now, header.timestamp);
        assert!(of.report(0, 0).cumulative_lost.abs() <= 0x80_0000);
        now_us += 20_000;
        jitter.insert(
            now_us,
            &Arrived {
                sequence: header.sequence,
                timestamp: header.timestamp,
                marker: header.marker,
                units: packet.payload.len() as u32,
                payload: packet.payload,
            },
        );
        pull(&mut jitter, now_us, &mut 0);
    }
}

/// Records of what happens (1 octet), ms since the last one (1), sequence (1), timestamp (2, in frames of 10 ms), length (1, in ms): any
/// order of packets, pulls and time gives whole frames, and a bounded delay.
pub fn jitter(octets: &[u8]) {
    let mut jitter = JitterBuffer::new(ClockRate::HZ_8000, 4096, Aim::default());
    let (mut now_us, mut lead) = (0u64, 0u32);
    for [what, ms, sequence, high, low, length] in octets.as_chunks::<6>().0 {
        now_us += u64::from(*ms) * 1000;
        let payload = vec![*sequence; usize::from(*length) * 8];
        let arrived = Arrived {
            sequence: u16::from(*sequence),
            timestamp: u32::from(u16::from_be_bytes([*high, *low])).wrapping_mul(80),
            marker: what & 0x80 != 0,
            units: payload.len() as u32,
            payload: &payload,
        };
        match what % 8 {
            0..=3 => {
                let inserted = jitter.insert(now_us, &arrived);
                let refused = length == &0 || *length > 120;
                assert_eq!(inserted == Inserted::Refused, refused);
            }
            4 => jitter.skip(arrived.sequence),
            5 => jitter.quieten(arrived.sequence),
            6 if what & 0x70 == 0x70 => jitter.reset(ClockRate::HZ_8000),
            _ => {
                pull(&mut jitter, now_us, &mut lead);
                let surplus = jitter.surplus_us(now_us, lead + 160, 160);
                assert!(surplus.abs() < 60_000_000);
                now_us += 20_000;
            }
        }
        assert!(jitter.target_us() <= 410_000);
    }
}

/// One frame: what the buffer hands out is never more than it was given, and it comes to an end.
fn pull(jitter: &mut JitterBuffer, now_us: u64, lead: &mut u32) {
    let mut turns = 0;
    while *lead < 160 {
        turns += 1;
        assert!(turns < 1000, "a frame of endless turns");
        let need = 160 - *lead;
        *lead += match jitter.next(now_us, *lead, need) {
            Turn::Packet {
                payload,
                units,
                skip,
            } => {
                assert!(payload.len() as u32 == units && skip < units);
                units - skip
            }
            Turn::Lost { units, .. } => {
                assert!((1..=480).contains(&units));
                units
            }
            Turn::Silence | Turn::Wait { .. } | Turn::Idle => need,
        };
    }
    *lead -= 160;
}

fn round_trip(octets: &[u8]) {
    let Ok(read) = packet::parse(octets) else {
        return;
    };
    let mut built = vec![0; octets.len() + packet::HEADER_LEN];
    let length = packet::build(&read.header, read.payload, &mut built).expect("it fits");
    assert_eq!(packet::parse(&built[..length]), Ok(read));
}

/// A compound datagram: all or nothing is handed out, within the limits.
pub fn rtcp(octets: &[u8]) {
    let (mut packets, mut blocks) = (0, 0);
    let result = rtcp::parse(octets, |packet| {
        packets += 1;
        if let RtcpPacket::Report { blocks: of, .. } = packet {
            blocks += of.iter().count();
        }
        if let RtcpPacket::Extended { blocks: of, .. } = packet {
            let read: usize = of.iter().map(extended).sum();
            assert!(read <= octets.len());
        }
    });
    assert_eq!(result.is_ok(), packets > 0);
    assert!(packets <= rtcp::MAX_PACKETS && blocks <= 31 * packets && blocks * 24 <= octets.len());
}

/// Octets a block of an extended report takes at least. Scores are within their bounds.
fn extended(block: XrBlock<'_>) -> usize {
    match block {
        XrBlock::ReferenceTime(_) => 12,
        XrBlock::Delays(delays) => 4 + 12 * delays.iter().count(),
        XrBlock::Summary(_) => 40,
        XrBlock::Voip(metrics) => {
            assert!(metrics.r_factor.is_none_or(|r| r <= 100));
            let mut scores = [metrics.mos_lq, metrics.mos_cq].into_iter().flatten();
            assert!(scores.all(|mos| (10..=50).contains(&mos)));
            36
        }
        XrBlock::Other(_) => 4,
    }
}

/// Records of ms since the last one (1 octet), sequence (2), timestamp (4), marker (1) and payload (4): every key that goes down goes up,
/// one at a time.
pub fn rfc4733(octets: &[u8]) {
    let mut now = Instant::now();
    let mut receiver = Receiver::default();
    let mut down = None;
    let mut check = |event: KeyEvent| match event {
        KeyEvent::Begin { code, .. } => {
            assert!(code <= 15 && down.is_none());
            down = Some(code);
        }
        KeyEvent::End { code, duration } => {
            assert_eq!(down.take(), Some(code));
            assert!(duration <= 60 * 8000 + 2 * 0x1_0000);
        }
    };
    let (records, tail) = octets.as_chunks::<12>();
    for [ms, s1, s2, t1, t2, t3, t4, marker, payload @ ..] in records {
        now += Duration::from_millis(u64::from(*ms));
        let timestamp = u32::from_be_bytes([*t1, *t2, *t3, *t4]);
        receiver.receive(
            now,
            u16::from_be_bytes([*s1, *s2]),
            timestamp,
            marker & 1 == 1,
            payload,
            &mut check,
        );
    }
    receiver.receive(now, 0, 0, false, tail, &mut check);
    receiver.expire(now + Duration::from_secs(1), &mut check);
    assert_eq!(receiver.next_timeout(), None);
    assert_eq!(down, None);
}

/// Records of ms since the last one (1 octet), what happens (1) and what that needs (10): packets of telephone events, tones, INFO, changes
/// of clock and restarts of the source, in any order. Every press follows a key that went down, once; INFO alone has none; presses are at
/// most as many as were reported, and the same whenever they are replayed.
pub fn arbiter(octets: &[u8]) {
    assert_eq!(pressed(octets), pressed(octets));
}

fn pressed(octets: &[u8]) -> String {
    const KEYS: &[u8; 16] = b"0123456789*#ABCD";
    let start = Instant::now();
    let (mut now, mut receiver, mut arbiter) = (start, Receiver::default(), Arbiter::new(start));
    let (mut tone, mut reports) = (None, 0u64);
    let mut out = Presses::default();
    for [ms, what, s1, s2, t1, t2, t3, t4, payload @ ..] in octets.as_chunks::<12>().0 {
        now += Duration::from_millis(u64::from(*ms));
        let key = char::from(KEYS[usize::from(payload[0] & 15)]);
        let clock = receiver.clock();
        let mut events = Vec::new();
        let mut on = |event| events.extend(event_key(clock, now, event));
        receiver.expire(now, &mut on);
        match what % 8 {
            0..=2 => receiver.receive(
                now,
                u16::from_be_bytes([*s1, *s2]),
                u32::from_be_bytes([*t1, *t2, *t3, *t4]),
                what & 0x80 != 0,
                payload,
                &mut on,
            ),
            3 | 4 => events.extend(toned(&mut tone, now, key, u64::from(*s1))),
            5 => {
                reports += 1;
                let press = arbiter.info(now, key, Some(u32::from(*s1)));
                out.take(press.map_or(Heard::Nothing, Heard::Press));
            }
            6 => receiver.set_clock(
                [ClockRate::HZ_8000, ClockRate::HZ_48000][usize::from(s1 & 1)],
                &mut on,
            ),
            _ => receiver.reset(&mut on),
        }
        for event in events {
            reports += u64::from(matches!(event, MediaEvent::KeyBegin { .. }));
            out.take(arbiter.hear(&event));
        }
    }
    assert!(out.count + arbiter.duplicates() <= reports);
    out.text
}

/// What came out of an arbiter.
#[derive(Default)]
struct Presses {
    down: Vec<char>,
    text: String,
    count: u64,
}

impl Presses {
    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Nothing => {}
            Heard::Down(key, _) => self.down.push(key),
            Heard::Press(press) => {
                self.count += 1;
                self.text.push(press.digit);
                assert!(press.sources.contains(press.source));
                if press.source == DigitSource::Info {
                    return;
                }
                let down = self.down.iter().position(|key| *key == press.digit);
                let down = down.expect("a press follows its key down");
                self.down.remove(down);
            }
        }
    }
}

/// A tone begins, or the one that sounds ends.
fn toned(tone: &mut Option<char>, now: Instant, key: char, ms: u64) -> Option<MediaEvent> {
    let source = KeySource::InBand;
    match tone.take() {
        Some(key) => Some(MediaEvent::KeyEnd {
            key,
            source,
            at: now,
            duration_ms: ms as u32,
        }),
        None => {
            *tone = Some(key);
            Some(MediaEvent::KeyBegin {
                key,
                source,
                at: now.checked_sub(Duration::from_millis(ms))?,
                level_dbm0: None,
                tone: None,
            })
        }
    }
}
