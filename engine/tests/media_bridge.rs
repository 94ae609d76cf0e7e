//! Bridged channels over real sockets on loopback: what one phone sends the other gets, as the same packets or as the same sound.
//!
//! Waits for packets with a generous limit and never asserts on time.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::sync::Arc;
use std::time::Instant;

use trunkline::media::{
    BridgeError, Carriage, Channel, Command, Encoding, Law, Media, MediaAudio, MediaEvent,
    MediaEvents, Prompt, RecordingSpec, StreamParams,
};
use trunkline::rtp::packet::Header;
use trunkline::rtp::telephone_event::Payload;
use trunkline_dsp::dtmf;

mod phone;
use phone::{
    EVENTS, Heard, PATIENCE, Phone, call, close, correlation, decoded, media, stream, tone, wait,
};

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
    muted: false,
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
    let media = media(21_500..=21_519);
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
    let media = media(21_520..=21_539);
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
    let media = media(21_540..=21_559);
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
    let markers = markers.concat();
    // A machine that stands still for half a second adds one.
    for n in [0, 6, 13, 18] {
        assert!(markers.contains(&marked(n).to_vec()), "{n}: {markers:?}");
    }
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
    let media = media(21_560..=21_579);
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
    let media = media(21_580..=21_599);
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
    let (here, there) = (media(21_600..=21_609), media(21_610..=21_619));
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

/// The side's stream with something else in it.
fn restream(side: &Side, change: impl FnOnce(&mut StreamParams)) {
    let mut params = stream(side.phone.address());
    change(&mut params);
    side.channel
        .send(Command::Stream(Box::new(params)))
        .unwrap();
}

#[test]
fn another_law_is_another_table() {
    let media = media(21_620..=21_639);
    let (mut a, b) = bridged(&media, EVENTS_CARRIED);
    restream(&b, |params| {
        (params.encoding, params.payload_send, params.payload_recv) = (Encoding::Pcma, 8, 8);
    });
    let spoken = tone(700.0, 400);
    let mut octets = vec![0; spoken.len()];
    Law::Mu.encode(&spoken, &mut octets);
    let mut heard = Vec::new();
    for chunk in octets.chunks(160) {
        a.phone.send(chunk);
        heard.push(b.phone.hear());
    }
    // What was on the way before the change is skipped by the search.
    let octets: Vec<u8> = heard
        .iter()
        .filter(|packet| packet.header.payload_type == 8)
        .flat_map(|packet| packet.payload.clone())
        .collect();
    let mut samples = vec![0; octets.len()];
    Law::A.decode(&octets, &mut samples);
    assert!(correlation(&samples, &spoken[800..2400]) > 0.999);
    assert_eq!(media.stats().decoded.value(), 0);
}

#[test]
fn packets_of_another_length_are_framed_anew() {
    let media = media(21_640..=21_659);
    let (mut a, mut b) = bridged(&media, EVENTS_CARRIED);
    let spoken = tone(500.0, 1800);
    let mut octets = vec![0; spoken.len()];
    Law::Mu.encode(&spoken, &mut octets);
    let mut heard = Vec::new();
    for (n, chunk) in octets.chunks(240).enumerate() {
        a.phone.send(chunk);
        // 30 ms each, as time goes by at the other end: two packets for three
        (0..1 + n % 2).for_each(|_| heard.push(b.phone.hear()));
    }
    let lengths: Vec<_> = heard.iter().map(|packet| packet.payload.len()).collect();
    assert!(
        lengths[20..].iter().all(|length| *length == 160),
        "{lengths:?}"
    );
    assert_one_stream(&heard);
    let samples: Vec<i16> = heard[25..]
        .iter()
        .flat_map(|packet| decoded(&packet.payload))
        .collect();
    assert!(correlation(&samples, &spoken[..4000]) > 0.999);
    // The far side wants them as they are.
    restream(&b, |params| params.ptime_ms = 30);
    let (mut relayed, end) = (0, Instant::now() + PATIENCE);
    while relayed <= 10 {
        assert!(Instant::now() < end, "{relayed}");
        a.phone.send(&[9; 240]);
        relayed += usize::from(b.phone.hear().payload.len() == 240);
    }
    let stats = close(b.channel, &mut b.events);
    assert!(stats.decoded > 20 && stats.relayed > 10, "{stats:?}");
}

#[test]
fn listening_takes_a_copy_and_muting_keys_takes_the_samples() {
    let media = media(21_660..=21_679);
    let (mut a, mut b) = bridged(&media, EVENTS_CARRIED);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    a.channel.send(Command::Detect { inband: true }).unwrap();
    a.channel
        .send(Command::Record(Box::new(RecordingSpec::new(
            1,
            path.clone(),
        ))))
        .unwrap();
    let mut key = vec![0; 3200];
    dtmf::Generator::new(8000, dtmf::Key::from_char('7').unwrap(), -10.0, -10.0).fill(&mut key);
    let spoken = [tone(500.0, 400), key.clone(), vec![0; 3200]].concat();
    let say = |a: &mut Side, b: &Side| -> Vec<i16> {
        let mut octets = vec![0; spoken.len()];
        Law::Mu.encode(&spoken, &mut octets);
        a.phone.drain();
        b.phone.drain();
        for chunk in octets.chunks(160) {
            a.phone.send(chunk);
            // The pace: B is silent, so that A hears silence every 20 ms.
            a.phone.hear();
        }
        let heard = b.phone.drain();
        assert_one_stream(&heard);
        let samples = heard.iter().map(|packet| decoded(&packet.payload));
        samples.flatten().collect()
    };
    let heard = say(&mut a, &b);
    let began = |event: &MediaEvent| matches!(event, MediaEvent::KeyBegin { key: '7', .. });
    wait(&mut a.events, began);
    assert!(correlation(&heard, &key[..1600]) > 0.99);
    assert_eq!(media.stats().decoded.value(), 0);

    let mute = Carriage {
        mute_inband_keys: true,
        ..EVENTS_CARRIED
    };
    media
        .bridge(&a.channel, &b.channel, mute, EVENTS_CARRIED)
        .unwrap();
    let heard = say(&mut a, &b);
    wait(&mut a.events, began);
    assert!(correlation(&heard, &tone(500.0, 200)) > 0.99);
    // The tone is heard for the time it takes to tell it is one.
    let tone_frames = heard
        .chunks(160)
        .filter(|frame| correlation(&key, frame) > 0.9)
        .filter(|frame| frame.iter().any(|sample| sample.unsigned_abs() > 8000))
        .count();
    assert!(tone_frames <= 4, "{tone_frames} of 20");
    // The other direction is relayed as ever. What came while the test was counting may fill the socket.
    a.phone.drain();
    b.phone.send(&marked(1));
    hear_until(&a.phone, 1, is_marked);
    let (of_a, of_b) = (
        close(a.channel, &mut a.events),
        close(b.channel, &mut b.events),
    );
    assert_eq!((of_a.relayed, of_a.decoded), (1, 0));
    assert!(of_b.decoded > 40, "{of_b:?}");
    assert!(std::fs::metadata(path).unwrap().len() > 16_000);
}

#[test]
fn hold_with_music_and_back() {
    let media = media(21_680..=21_699);
    let (mut a, b) = bridged(&media, EVENTS_CARRIED);
    let mut all = Vec::new();
    b.phone.send_as(b.phone.header, &marked(0));
    all.extend(hear_until(&a.phone, 1, is_marked));
    // B holds: it gets nothing, A gets music, whatever B sends.
    restream(&b, |params| params.send = false);
    let music = MediaAudio::Prompt(Arc::new(Prompt::from_samples("music", &[12_345; 400])));
    let mut note = [0; 1];
    Law::Mu.encode(&[12_345], &mut note);
    a.channel
        .send(Command::Play {
            id: 1,
            audio: vec![music],
            repeat: None,
        })
        .unwrap();
    let is_music = |packet: &Heard| packet.payload == [note[0]; 160];
    all.extend(hear_until(&a.phone, 1, is_music));
    let mut header = b.phone.header;
    let mut b_says = |n: usize| {
        header.sequence = header.sequence.wrapping_add(1);
        header.timestamp = header.timestamp.wrapping_add(160);
        b.phone.send_as(header, &marked(n));
    };
    for n in 1..6 {
        b_says(n);
        a.phone.send(&marked(n));
        all.extend(hear_until(&a.phone, 1, is_music));
    }
    assert_eq!(all.iter().filter(|packet| is_marked(packet)).count(), 1);
    // Resumed.
    a.channel.send(Command::StopPlay).unwrap();
    restream(&b, |_| ());
    for n in 6..30 {
        b_says(n);
        all.push(a.phone.hear());
    }
    let marked_ones = all.iter().filter(|packet| is_marked(packet)).count();
    assert!(marked_ones > 10, "{marked_ones}");
    assert_one_stream(&all);
    a.phone.send(&marked(77));
    let first = hear_until(&b.phone, 1, is_marked);
    assert_eq!(first.last().unwrap().payload, marked(77));
    assert!(first.last().unwrap().header.marker);
    let dropped = &media.stats().bridge_dropped;
    assert_eq!(dropped.hold.value(), 5);
    assert!(dropped.own_audio.value() >= 4, "{dropped:?}");
}

#[test]
fn comfort_noise_goes_only_where_it_was_negotiated() {
    let media = media(21_700..=21_719);
    let (mut a, b) = bridged(&media, EVENTS_CARRIED);
    let noise = |a: &mut Side| {
        a.phone.send_as(
            Header {
                payload_type: 13,
                ..a.phone.header
            },
            &[60],
        );
        a.phone.header.sequence = a.phone.header.sequence.wrapping_add(1);
        a.phone.header.timestamp = a.phone.header.timestamp.wrapping_add(160);
    };
    a.phone.send(&marked(0));
    noise(&mut a);
    a.phone.send(&marked(1));
    let heard = hear_until(&b.phone, 2, is_marked);
    assert_one_stream(&heard);
    assert!(heard.iter().all(|packet| packet.header.payload_type == 0));
    restream(&b, |params| params.comfort_noise = Some(77));
    // Until the change has reached the shard, it is dropped.
    let heard = loop {
        noise(&mut a);
        a.phone.send(&marked(2));
        let heard = hear_until(&b.phone, 1, is_marked);
        assert_one_stream(&heard);
        if let Some(packet) = heard.iter().find(|packet| packet.header.payload_type == 77) {
            break packet.clone();
        }
    };
    assert_eq!(heard.payload, [60]);
    assert!(media.stats().bridge_dropped.comfort_noise.value() >= 1);
}

#[test]
fn a_flood_is_not_passed_on_and_neither_is_a_stranger() {
    let media = media(21_720..=21_739);
    let b = side(&media);
    let (a_channel, _a_events) = media.open().unwrap();
    let mut phone = Phone::new("127.0.0.1", a_channel.rtp_port());
    let mut stranger = Phone::new("127.0.0.2", a_channel.rtp_port());
    a_channel
        .send(Command::Stream(Box::new(stream(phone.address()))))
        .unwrap();
    media
        .bridge(&a_channel, &b.channel, EVENTS_CARRIED, EVENTS_CARRIED)
        .unwrap();
    phone.hear();
    (0..5).for_each(|_| stranger.send(&marked(9)));
    phone.send(&marked(1));
    let first = hear_until(&b.phone, 1, is_marked);
    assert_eq!(first.last().unwrap().payload, marked(1));
    // Ten times its pace for four seconds.
    for n in 0..2000u64 {
        phone.send(&marked(2));
        if n % 10 == 9 {
            b.phone.hear();
        }
    }
    let rate = || media.stats().bridge_dropped.rate.value();
    let end = Instant::now() + PATIENCE;
    while rate() == 0 && Instant::now() < end {
        phone.send(&marked(2));
        phone.hear();
    }
    assert!(rate() > 0);
    assert_eq!(media.stats().dropped.stranger.value(), 5);
}
