//! Checks on what comes to an RTP port: packets, RTCP, telephone events, and the jitter buffer behind them.

use std::time::{Duration, Instant};

use trunkline::rtp::octet_ring::{FRAME, JitterBuffer};
use trunkline::rtp::packet;
use trunkline::rtp::reception::Reception;
use trunkline::rtp::rtcp::{self, RtcpPacket};
use trunkline::rtp::telephone_event::{KeyEvent, Receiver};

/// The octets as one datagram, and as datagrams each after an octet with its length: what is read can be built and read again; statistics
/// and jitter buffer take any sequence of packets.
pub fn rtp(octets: &[u8]) {
    round_trip(octets);
    let now = Instant::now();
    let mut jitter = JitterBuffer::new(0xFF);
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
        jitter.insert(
            header.sequence,
            header.timestamp,
            header.marker,
            packet.payload,
        );
        jitter.pull(&mut [0; FRAME]);
    }
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
    });
    assert_eq!(result.is_ok(), packets > 0);
    assert!(packets <= rtcp::MAX_PACKETS && blocks <= 31 * packets && blocks * 24 <= octets.len());
}

/// Records of ms since the last one (1 octet), sequence (2), timestamp (4), marker (1) and payload (4): every key that goes down goes up,
/// one at a time.
pub fn rfc4733(octets: &[u8]) {
    let mut now = Instant::now();
    let mut receiver = Receiver::default();
    let mut down = None;
    let mut check = |event: KeyEvent| match event {
        KeyEvent::Begin { code } => {
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
