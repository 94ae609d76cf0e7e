//! Bridged channels over real sockets on loopback: what one phone sends the other gets, as the same packets or as the same sound.
//!
//! Waits for packets with a generous limit and never asserts on time.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::time::Instant;

use trunkline::media::{BridgeError, Carriage, Channel, Command, Media, MediaEvents};
use trunkline::rtp::packet::Header;
use trunkline::rtp::telephone_event::Payload;

mod phone;
use phone::{EVENTS, Heard, PATIENCE, Phone, call, close, media};

/// Octets that are told from silence and from each other.
fn marked(n: usize) -> [u8; 160] {
    std::array::from_fn(|place| ((n * 7 + place) % 120) as u8)
}

/// One side of a bridged call.
struct Side {
    channel: Channel,
    events: MediaEvents,
    phone: Phone,
}

fn side(media: &Media) -> Side {
    let (channel, events, phone) = call(media);
    Side {
        channel,
        events,
        phone,
    }
}

const EVENTS_CARRIED: Carriage = Carriage {
    events: true,
    mute_inband_keys: false,
};

fn bridged(media: &Media, carriage: Carriage) -> (Side, Side) {
    let (a, mut b) = (side(media), side(media));
    b.phone.header.ssrc = 0x5678;
    media
        .bridge(&a.channel, &b.channel, carriage, carriage)
        .unwrap();
    (a, b)
}

/// Everything the phone hears until there are so many packets that are wanted. All together must be one stream.
fn hear_until(phone: &Phone, count: usize, wanted: impl Fn(&Heard) -> bool) -> Vec<Heard> {
    let (mut heard, mut found) = (Vec::new(), 0);
    let end = Instant::now() + PATIENCE;
    while found < count {
        assert!(Instant::now() < end, "{found} of {count}");
        let packet = phone.hear();
        found += usize::from(wanted(&packet));
        heard.push(packet);
    }
    heard
}

fn is_marked(packet: &Heard) -> bool {
    packet.payload.first().is_some_and(|octet| *octet < 120) && packet.header.payload_type != EVENTS
}

/// One SSRC, rising sequence numbers without gaps, timestamps that never go back.
fn assert_one_stream(packets: &[Heard]) {
    for pair in packets.windows(2) {
        let (before, after) = (pair[0].header, pair[1].header);
        assert_eq!(before.ssrc, after.ssrc);
        assert_eq!(
            after.sequence,
            before.sequence.wrapping_add(1),
            "{before:?} {after:?}"
        );
        let step = after.timestamp.wrapping_sub(before.timestamp) as i32;
        assert!((0..16_000).contains(&step), "{before:?} {after:?}");
        if step > 480 {
            assert!(after.marker, "{before:?} {after:?}");
        }
    }
}

#[test]
fn packets_are_relayed_octet_for_octet_under_our_numbers() {
    let media = media(43_000..=43_019);
    let (mut a, mut b) = bridged(&media, EVENTS_CARRIED);
    let sent: Vec<_> = (0..50).map(marked).collect();
    for payload in &sent {
        a.phone.send(payload);
    }
    let heard = hear_until(&b.phone, 50, is_marked);
    assert_one_stream(&heard);
    let relayed: Vec<_> = heard.iter().filter(|packet| is_marked(packet)).collect();
    for (n, packet) in relayed.iter().enumerate() {
        assert_eq!(packet.payload, sent[n], "{n}");
        let expected = relayed[0].header;
        assert_eq!(
            packet.header,
            Header {
                marker: n == 0,
                sequence: expected.sequence.wrapping_add(n as u16),
                timestamp: expected.timestamp.wrapping_add(n as u32 * 160),
                ..expected
            }
        );
        assert_ne!(packet.header.ssrc, a.phone.header.ssrc);
    }
    // And the other way.
    b.phone.send(&marked(1));
    assert_eq!(
        hear_until(&a.phone, 1, is_marked).last().unwrap().payload,
        marked(1)
    );
    let (of_a, of_b) = (
        close(a.channel, &mut a.events),
        close(b.channel, &mut b.events),
    );
    assert_eq!((of_a.relayed, of_b.relayed), (1, 50));
    assert_eq!((of_b.decoded, of_b.bridge_dropped), (0, 0));
    assert_eq!(media.stats().relayed.value(), 51);
}

#[test]
fn loss_and_order_are_passed_on_and_duplicates_are_not() {
    let media = media(43_020..=43_039);
    let (a, b) = bridged(&media, EVENTS_CARRIED);
    let at = |n: u16| Header {
        sequence: a.phone.header.sequence.wrapping_add(n),
        timestamp: a.phone.header.timestamp.wrapping_add(u32::from(n) * 160),
        ..a.phone.header
    };
    // 3 and 4 are lost, 6 comes after 7, 1 and 8 come twice
    let order = [0, 1, 1, 2, 5, 7, 6, 8, 8, 9];
    for n in order {
        a.phone.send_as(at(n), &marked(usize::from(n)));
    }
    let heard = hear_until(&b.phone, 8, is_marked);
    let relayed: Vec<_> = heard.iter().filter(|packet| is_marked(packet)).collect();
    let first = relayed[0].header;
    let numbers: Vec<_> = relayed
        .iter()
        .map(|packet| {
            let header = packet.header;
            let sequence = header.sequence.wrapping_sub(first.sequence);
            assert_eq!(packet.payload, marked(usize::from(sequence)));
            assert_eq!(
                header.timestamp.wrapping_sub(first.timestamp),
                u32::from(sequence) * 160
            );
            sequence
        })
        .collect();
    assert_eq!(numbers, [0, 1, 2, 5, 7, 6, 8, 9]);
}

#[test]
fn another_source_goes_on_in_the_same_stream() {
    let media = media(43_040..=43_059);
    let (mut a, b) = bridged(&media, EVENTS_CARRIED);
    let mut markers = Vec::new();
    for n in 0..4 {
        match n {
            1 => a.phone.header.ssrc = 0x9999_0001,
            // A restart is believed with its second packet.
            2 => a.phone.header.sequence = a.phone.header.sequence.wrapping_add(20_000),
            3 => a.phone.header.timestamp = a.phone.header.timestamp.wrapping_add(3_000_000_000),
            _ => {}
        }
        for packet in 0..6 {
            a.phone.send(&marked(n * 6 + packet));
        }
        let count = if n == 2 { 5 } else { 6 };
        let heard = hear_until(&b.phone, count, is_marked);
        assert_one_stream(&heard);
        let relayed: Vec<_> = heard.iter().filter(|packet| is_marked(packet)).collect();
        assert_eq!(relayed.last().unwrap().payload, marked(n * 6 + 5));
        markers.push(
            relayed
                .iter()
                .filter(|packet| packet.header.marker)
                .map(|packet| packet.payload.clone())
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(markers.concat(), [0, 6, 13, 18].map(|n| marked(n).to_vec()));
}

/// One press of `code` as the phone sends it, its end thrice.
fn press(phone: &mut Phone, code: u8) {
    let timestamp = phone.header.timestamp;
    for n in 0..7u16 {
        let payload = Payload {
            code,
            end: n >= 4,
            volume: 10,
            duration: 160 * (n + 1).min(5),
        };
        phone.send_as(
            Header {
                payload_type: EVENTS,
                marker: n == 0,
                timestamp,
                ..phone.header
            },
            &payload.to_bytes(),
        );
        phone.header.sequence = phone.header.sequence.wrapping_add(1);
    }
    phone.header.timestamp = timestamp.wrapping_add(7 * 160);
}

#[test]
fn one_key_press_is_one_key_press() {
    let media = media(43_060..=43_079);
    let (mut a, b) = bridged(&media, EVENTS_CARRIED);
    a.phone.send(&marked(0));
    press(&mut a.phone, 5);
    a.phone.send(&marked(1));
    press(&mut a.phone, 5);
    a.phone.send(&marked(2));
    let heard = hear_until(&b.phone, 3, is_marked);
    let from = heard.iter().position(is_marked).unwrap();
    let heard = &heard[from..];
    let steps: Vec<_> = heard
        .windows(2)
        .map(|pair| {
            pair[1]
                .header
                .timestamp
                .wrapping_sub(pair[0].header.timestamp)
        })
        .collect();
    let press_steps = [[160].as_slice(), &[0; 6], &[7 * 160]].concat();
    assert_eq!(steps, press_steps.repeat(2));
    let events: Vec<_> = heard
        .iter()
        .filter(|packet| packet.header.payload_type == EVENTS)
        .collect();
    assert_eq!(events.len(), 14);
    for (n, packet) in events.iter().enumerate() {
        assert_eq!(packet.header.marker, n % 7 == 0);
        assert_eq!(
            Payload::parse(&packet.payload).unwrap().duration,
            160 * (n as u16 % 7 + 1).min(5)
        );
    }
    // Carried no more, they leave no gap.
    media
        .bridge(&a.channel, &b.channel, Carriage::default(), EVENTS_CARRIED)
        .unwrap();
    a.phone.send(&marked(3));
    press(&mut a.phone, 5);
    a.phone.send(&marked(4));
    let heard = hear_until(&b.phone, 2, is_marked);
    assert!(
        heard
            .iter()
            .all(|packet| packet.header.payload_type != EVENTS)
    );
    assert_one_stream(&heard);
    assert_eq!(media.stats().bridge_dropped.event.value(), 7);
}

#[test]
fn unbridging_and_closing_leave_the_other_with_its_stream() {
    let media = media(43_080..=43_099);
    let (mut a, mut b) = bridged(&media, EVENTS_CARRIED);
    let mut all = Vec::new();
    for round in 0..2 {
        a.phone.send(&marked(1));
        all.extend(hear_until(&b.phone, 1, is_marked));
        if round == 0 {
            a.channel.send(Command::Unbridge).unwrap();
            all.extend(hear_until(&b.phone, 5, |packet| !is_marked(packet)));
            a.phone.send(&marked(2));
            media
                .bridge(&b.channel, &a.channel, EVENTS_CARRIED, EVENTS_CARRIED)
                .unwrap();
        }
    }
    close(a.channel, &mut a.events);
    all.extend(hear_until(&b.phone, 5, |packet| !is_marked(packet)));
    assert_one_stream(&all);
    b.phone.send(&marked(3));
    let stats = close(b.channel, &mut b.events);
    assert!(stats.relayed >= 2, "{stats:?}");
}

#[test]
fn what_cannot_be_bridged_is_refused() {
    let (here, there) = (media(43_100..=43_109), media(43_110..=43_119));
    let (a, b) = (side(&here), side(&there));
    let refused = |x: &Side, y: &Side| {
        here.bridge(
            &x.channel,
            &y.channel,
            Carriage::default(),
            Carriage::default(),
        )
        .unwrap_err()
    };
    assert_eq!(refused(&a, &a), BridgeError::Itself);
    assert_eq!(refused(&a, &b), BridgeError::Elsewhere);
}
