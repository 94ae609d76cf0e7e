//! The media engine over real sockets on loopback: what goes in as packets comes out as audio, keys and files.
//!
//! Waits for packets and events with a generous limit and never asserts on time.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use trunkline::media::{
    Command, Encoding, KeySource, Media, MediaAudio, MediaConfig, MediaEvent, OpenError, Prompt,
    PromptLibrary, RecordingEnd, RecordingSpec, StreamParams,
};
use trunkline::rtp::packet::Header;
use trunkline::rtp::rtcp::{self, RtcpPacket};
use trunkline::rtp::telephone_event::Payload;
use trunkline::rtp::xr::XrBlock;
use trunkline_dsp::dtmf;

mod phone;
use phone::{
    EVENTS, Heard, PATIENCE, Phone, call, close, correlation, decoded, media, stream, tone, wait,
};

#[test]
fn a_prompt_is_heard_whole_and_its_end_is_told() {
    let media = media(21_000..=21_009);
    let (channel, mut events, phone) = call(&media);
    let prompt = Arc::new(Prompt::from_samples("tone", &tone(700.0, 300)));
    let audio = vec![
        MediaAudio::Prompt(prompt.clone()),
        MediaAudio::Silence { ms: 50 },
        MediaAudio::Tone {
            hz: [4000.0, 0.0],
            dbm0: -10.0,
            ms: 100,
        },
    ];
    channel
        .send(Command::Play {
            id: 5,
            audio,
            repeat: Some(2),
        })
        .unwrap();
    let packets: Vec<Heard> = (0..60).map(|_| phone.hear()).collect();
    wait(&mut events, |event| {
        *event == MediaEvent::PlayDone { id: 5 }
    });
    for pair in packets.windows(2) {
        assert_eq!(
            pair[1].header.sequence,
            pair[0].header.sequence.wrapping_add(1)
        );
        assert_eq!(
            pair[1]
                .header
                .timestamp
                .wrapping_sub(pair[0].header.timestamp)
                % 160,
            0
        );
        assert_eq!(
            (pair[1].header.ssrc, pair[1].header.marker),
            (pair[0].header.ssrc, false)
        );
    }
    let samples: Vec<i16> = packets
        .iter()
        .flat_map(|packet| decoded(&packet.payload))
        .collect();
    // Octet for octet, without a gap or a click at either joint.
    let octets: Vec<u8> = packets
        .iter()
        .flat_map(|packet| packet.payload.clone())
        .collect();
    let expected = [&prompt.ulaw[..], &[0xFF; 400]].concat();
    let places: Vec<usize> = (0..octets.len() - expected.len())
        .filter(|&at| octets[at..].starts_with(&expected))
        .collect();
    assert!(
        matches!(places[..], [first, second] if second - first == expected.len() + 800),
        "{places:?}"
    );
    let alternating = samples
        .windows(2)
        .filter(|pair| pair[0] == -pair[1] && pair[0].unsigned_abs() > 5000)
        .count();
    assert!((2 * 799..=2 * 800).contains(&alternating), "{alternating}");
    let stats = close(channel, &mut events);
    assert!(
        stats.packets_out >= 60
            && stats.first_rtp_out_ms.is_some()
            && stats.first_rtp_in_ms.is_some(),
        "{stats:?}"
    );
}

#[test]
fn keys_are_heard_as_events_and_in_the_audio() {
    let media = media(21_010..=21_019);
    let (channel, mut events, mut phone) = call(&media);
    let key = |source| move |event: &MediaEvent| matches!(event, MediaEvent::KeyEnd { source: from, .. } if *from == source);
    let header = Header {
        payload_type: EVENTS,
        marker: true,
        ..phone.header
    };
    for (n, end) in [false, false, true, true, true].into_iter().enumerate() {
        let payload = Payload {
            code: 9,
            end,
            volume: 10,
            duration: 160 * (n as u16 + 1).min(3),
        };
        phone.send_as(
            Header {
                marker: n == 0,
                sequence: phone.header.sequence,
                ..header
            },
            &payload.to_bytes(),
        );
        phone.header.sequence = phone.header.sequence.wrapping_add(1);
    }
    phone.header.timestamp = phone.header.timestamp.wrapping_add(5 * 160);
    let heard = wait(&mut events, key(KeySource::Rfc4733));
    let nine = |event: &MediaEvent| {
        matches!(
            event,
            MediaEvent::KeyEnd {
                key: '9',
                duration_ms: 60,
                ..
            }
        )
    };
    assert!(nine(&heard), "{heard:?}");

    channel.send(Command::Detect { inband: true }).unwrap();
    let mut samples = vec![0; 800];
    dtmf::Generator::new(8000, dtmf::Key::from_char('#').unwrap(), -10.0, -10.0).fill(&mut samples);
    samples.extend([0; 2400]);
    phone.exchange(&samples);
    let MediaEvent::KeyEnd {
        key, duration_ms, ..
    } = wait(&mut events, key(KeySource::InBand))
    else {
        unreachable!()
    };
    assert_eq!(key, '#');
    assert!((80..=120).contains(&duration_ms), "{duration_ms}");

    // A key that is down when nobody looks any more goes up; looking twice changes nothing.
    channel.send(Command::Detect { inband: true }).unwrap();
    phone.exchange(&samples[..800].repeat(3));
    let began = |event: &MediaEvent| matches!(event, MediaEvent::KeyBegin { key: '#', .. });
    wait(&mut events, began);
    channel.send(Command::Detect { inband: true }).unwrap();
    channel.send(Command::Detect { inband: false }).unwrap();
    let ended = wait(&mut events, |_| true);
    assert!(
        matches!(
            ended,
            MediaEvent::KeyEnd {
                key: '#',
                source: KeySource::InBand,
                ..
            }
        ),
        "{ended:?}"
    );
}

#[test]
fn digits_are_sent_as_events_or_as_tones() {
    let media = media(21_020..=21_029);
    let (channel, mut events, phone) = call(&media);
    channel
        .send(Command::SendDigits {
            id: 3,
            digits: "4#".into(),
            tone_ms: 100,
            gap_ms: 60,
        })
        .unwrap();
    let mut keys: Vec<(u32, u8, u16)> = Vec::new();
    let mut ends = 0;
    while keys.len() < 2 || ends < 6 {
        let packet = phone.hear();
        if packet.header.payload_type == EVENTS {
            let payload = Payload::parse(&packet.payload).unwrap();
            if packet.header.marker {
                keys.push((packet.header.timestamp, payload.code, 0));
            }
            let last = keys.last_mut().expect("the first packet has the marker");
            assert!(packet.header.timestamp == last.0 && payload.duration >= last.2);
            last.2 = payload.duration;
            ends += usize::from(payload.end);
        }
    }
    assert_eq!(
        keys.iter().map(|key| (key.1, key.2)).collect::<Vec<_>>(),
        [(4, 800), (11, 800)]
    );
    wait(&mut events, |event| {
        *event == MediaEvent::DigitsSent { id: 3 }
    });

    channel
        .send(Command::Stream(Box::new(StreamParams {
            telephone_event_send: None,
            ..stream(phone.address())
        })))
        .unwrap();
    channel
        .send(Command::SendDigits {
            id: 4,
            digits: "7".into(),
            tone_ms: 100,
            gap_ms: 100,
        })
        .unwrap();
    let mut detector = dtmf::Detector::new(8000, dtmf::Profile::TELEPHONE);
    let mut heard = None;
    while heard.is_none() {
        detector.process(&decoded(&phone.hear().payload), |event| {
            if let dtmf::Event::End { key, .. } = event {
                heard = Some(key.to_char());
            }
        });
    }
    assert_eq!(heard, Some('7'));
}

#[test]
fn the_echo_is_what_was_said() {
    let media = media(21_030..=21_039);
    let (channel, mut events, mut phone) = call(&media);
    channel.send(Command::Echo(true)).unwrap();
    let spoken = [tone(500.0, 200), tone(1100.0, 200), vec![0; 4000]].concat();
    let heard = phone.exchange(&spoken);
    assert!(correlation(&heard, &spoken[800..2400]) > 0.95);
    channel.send(Command::Echo(false)).unwrap();
    close(channel, &mut events);
}

#[test]
fn a_recording_holds_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let media = media(21_040..=21_049);
    let (channel, mut events, mut phone) = call(&media);
    let path = folder.path().join("said.wav");
    channel
        .send(Command::Record(Box::new(RecordingSpec::new(
            8,
            path.clone(),
        ))))
        .unwrap();
    let spoken = [tone(600.0, 400), vec![0; 1600]].concat();
    phone.exchange(&spoken);
    channel.send(Command::StopRecord { id: 8 }).unwrap();
    let done = wait(&mut events, |event| {
        matches!(event, MediaEvent::RecordDone(_))
    });
    let MediaEvent::RecordDone(done) = done else {
        panic!("{done:?}");
    };
    assert_eq!(
        (done.id, &done.end, done.lost_ms),
        (8, &RecordingEnd::Stopped, 0)
    );
    let recorded = PromptLibrary::new("/", &[]).load_file(&path).unwrap();
    assert_eq!(recorded.duration_ms(), done.duration_ms);
    assert!(correlation(&recorded.slin8, &spoken[400..2800]) > 0.95);

    // One that runs when the channel closes is complete before the channel is said to be closed.
    let path = folder.path().join("cut.wav");
    channel
        .send(Command::Record(Box::new(RecordingSpec::new(
            9,
            path.clone(),
        ))))
        .unwrap();
    phone.exchange(&tone(600.0, 400));
    drop(channel);
    let last = wait(&mut events, |event| {
        matches!(event, MediaEvent::RecordDone(done) if done.id == 9)
            || matches!(event, MediaEvent::Closed(_))
    });
    assert!(matches!(last, MediaEvent::RecordDone(_)), "{last:?}");
    assert!(
        PromptLibrary::new("/", &[])
            .load_file(&path)
            .unwrap()
            .duration_ms()
            > 100
    );
    wait(&mut events, |event| matches!(event, MediaEvent::Closed(_)));
}

#[test]
fn a_recording_that_cannot_be_written_does_not_harm_the_call() {
    let media = media(21_050..=21_059);
    let (channel, mut events, mut phone) = call(&media);
    channel
        .send(Command::Record(Box::new(RecordingSpec::new(
            1,
            "/nonexistent/x.wav",
        ))))
        .unwrap();
    phone.exchange(&vec![0; 1600]);
    let done = wait(&mut events, |event| {
        matches!(event, MediaEvent::RecordDone(_))
    });
    assert!(
        matches!(&done, MediaEvent::RecordDone(done) if matches!(done.end, RecordingEnd::WriteFailed(_))),
        "{done:?}"
    );
    phone.exchange(&vec![0; 1600]);
}

#[test]
fn strangers_are_not_heard_and_get_nothing() {
    let media = media(21_060..=21_069);
    let (channel, mut events) = media.open().unwrap();
    let mut phone = Phone::new("127.0.0.1", channel.rtp_port());
    let mut stranger = Phone::new("127.0.0.9", channel.rtp_port());
    stranger
        .socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    // Nobody gets anything from a port that has no stream.
    for _ in 0..5 {
        stranger.send_silence();
    }
    assert!(stranger.socket.recv(&mut [0; 10]).is_err());
    channel
        .send(Command::Stream(Box::new(stream(phone.address()))))
        .unwrap();
    phone.hear();
    channel.send(Command::Detect { inband: false }).unwrap();
    for _ in 0..10 {
        stranger.send_silence();
    }
    let event = Payload {
        code: 1,
        end: true,
        volume: 10,
        duration: 800,
    };
    stranger.send_as(
        Header {
            payload_type: EVENTS,
            ..stranger.header
        },
        &event.to_bytes(),
    );
    phone.exchange(&vec![0; 1600]);
    // After the peer is known as well.
    for _ in 0..10 {
        stranger.send_as(
            Header {
                payload_type: EVENTS,
                ..stranger.header
            },
            &event.to_bytes(),
        );
    }
    phone.exchange(&vec![0; 1600]);
    assert!(stranger.socket.recv(&mut [0; 10]).is_err());
    let latched = wait(&mut events, |event| {
        !matches!(event, MediaEvent::DigitsSent { .. })
    });
    assert_eq!(
        latched,
        MediaEvent::Latched {
            remote: phone.address(),
            first: true
        }
    );
    let stats = close(channel, &mut events);
    assert!(stats.stranger >= 11, "{stats:?}");
    assert_eq!(stats.packets_in, 20, "{stats:?}");
    assert!(media.stats().dropped.stranger.value() >= 11);
}

#[test]
fn audio_survives_a_new_source_loss_doubles_and_disorder() {
    let media = media(21_070..=21_079);
    let (channel, mut events, mut phone) = call(&media);
    channel.send(Command::Echo(true)).unwrap();
    phone.exchange(&tone(500.0, 200));
    // The first 40 packets crossed the wraps of sequence and timestamp.
    phone.header = Header {
        ssrc: 0x9999,
        sequence: 7,
        timestamp: 1_000_000,
        ..phone.header
    };
    let spoken = tone(800.0, 400);
    let heard = phone.exchange(&[spoken.clone(), vec![0; 3200]].concat());
    assert!(correlation(&heard, &spoken[800..]) > 0.95);
    // One lost, one twice, two swapped.
    phone.header.sequence += 1;
    phone.header.timestamp += 160;
    let again = phone.header;
    phone.send_silence();
    phone.send_as(again, &[0xFF; 160]);
    let swapped = phone.header;
    phone.header.sequence += 1;
    phone.header.timestamp += 160;
    phone.send_silence();
    phone.send_as(swapped, &[0xFF; 160]);
    phone.exchange(&vec![0; 1600]);
    // Rubbish.
    for datagram in [
        &[0u8; 3][..],
        &[0x80; 11],
        &[0; 40],
        &[0x8F; 13],
        &[0xA0; 12],
        &[0x8A; 1400],
    ] {
        phone.socket.send_to(datagram, phone.server).unwrap();
    }
    phone.exchange(&vec![0; 1600]);
    let stats = close(channel, &mut events);
    assert_eq!(
        (stats.lost, stats.duplicate, stats.reordered),
        (1, 1, 1),
        "{stats:?}"
    );
    assert_eq!(stats.invalid, 6, "{stats:?}");
}

#[test]
fn a_new_description_moves_the_stream() {
    let media = media(21_080..=21_089);
    let (channel, mut events, mut phone) = call(&media);
    let mut other = Phone::new("127.0.0.1", channel.rtp_port());
    let held = StreamParams {
        send: false,
        receive: false,
        ..stream(phone.address())
    };
    channel.send(Command::Stream(Box::new(held))).unwrap();
    channel
        .send(Command::Stream(Box::new(StreamParams {
            encoding: Encoding::Pcma,
            payload_send: 8,
            payload_recv: 8,
            ..stream(other.address())
        })))
        .unwrap();
    let packet = other.hear();
    assert_eq!((packet.header.payload_type, packet.payload[0]), (8, 0xD5));
    other.header.payload_type = 8;
    other.send(&[0xD5; 160]);
    let latched = wait(&mut events, |event| {
        matches!(event, MediaEvent::Latched { .. })
    });
    assert_eq!(
        latched,
        MediaEvent::Latched {
            remote: other.address(),
            first: false
        }
    );
    phone.send_silence();
    phone.send_silence();
    channel.send(Command::Echo(true)).unwrap();
    let marked = [0x11; 160];
    while other.hear().payload != marked {
        other.send(&marked);
    }
}

#[test]
fn a_silent_peer_is_reported_once_and_not_while_on_hold() {
    let bind = "127.0.0.1".parse().unwrap();
    let config = MediaConfig {
        bind,
        ports: 21_090..=21_099,
        rtp_timeout: Duration::from_millis(60),
        ..MediaConfig::default()
    };
    let media = Media::start(config).unwrap();
    let (channel, mut events, phone) = call(&media);
    wait(&mut events, |event| *event == MediaEvent::RtpTimeout);
    channel
        .send(Command::Stream(Box::new(StreamParams {
            receive: false,
            ..stream(phone.address())
        })))
        .unwrap();
    // Ten timeouts long.
    (0..30).for_each(|_| _ = phone.hear());
    assert!(events.try_recv().is_err(), "told while on hold");
    // Off hold, the time begins anew: the next word is that it ran out again, and it is said once.
    let resumed = std::time::Instant::now();
    let stream = Command::Stream(Box::new(stream(phone.address())));
    channel.send(stream).unwrap();
    wait(&mut events, |event| *event == MediaEvent::RtpTimeout);
    assert!(resumed.elapsed() >= Duration::from_millis(60));
    (0..10).for_each(|_| _ = phone.hear());
    drop(channel);
    let next = wait(&mut events, |_| true);
    assert!(matches!(next, MediaEvent::Closed(_)), "{next:?}");
}

#[test]
fn rtcp_is_sent_with_a_bye_at_the_end() {
    let media = media(21_100..=21_109);
    let (channel, mut events) = media.open().unwrap();
    let mut phone = Phone::new("127.0.0.1", channel.rtp_port());
    let rtcp_socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    rtcp_socket.set_read_timeout(Some(PATIENCE)).unwrap();
    channel
        .send(Command::Stream(Box::new(StreamParams {
            remote_rtcp: rtcp_socket.local_addr().ok(),
            ..stream(phone.address())
        })))
        .unwrap();
    phone.exchange(&vec![0; 1600]);
    close(channel, &mut events);
    let mut datagram = [0; 1500];
    let (length, from) = rtcp_socket.recv_from(&mut datagram).unwrap();
    assert_eq!(from.port(), phone.server.port() + 1);
    let mut seen = (0, false, false);
    rtcp::parse(&datagram[..length], |packet| match packet {
        RtcpPacket::Report {
            sender: Some(sender),
            blocks,
            ..
        } => {
            assert!(sender.packets >= 10);
            seen.0 = blocks.iter().next().unwrap().ssrc;
        }
        RtcpPacket::Description { cname, .. } => {
            seen.1 = cname.is_some_and(|name| name.len() == 16)
        }
        RtcpPacket::Bye { .. } => seen.2 = true,
        other => panic!("{other:?}"),
    })
    .unwrap();
    assert_eq!(seen, (0x1234, true, true));
}

#[test]
fn the_peer_answers_and_is_answered_by_rtcp() {
    let media = media(21_170..=21_179);
    let (channel, mut events) = media.open().unwrap();
    let mut phone = Phone::new("127.0.0.1", channel.rtp_port());
    let rtcp_socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    rtcp_socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let params = StreamParams {
        remote_rtcp: rtcp_socket.local_addr().ok(),
        ..stream(phone.address())
    };
    let set = Command::Stream(Box::new(params));
    channel.send(set).unwrap();
    phone.exchange(&vec![0; 1600]);
    let mut datagram = [0; 1500];
    let (length, from) = rtcp_socket.recv_from(&mut datagram).unwrap();
    let (mut ours, mut answered) = (0, 0);
    rtcp::parse(&datagram[..length], |packet| match packet {
        RtcpPacket::Report {
            ssrc,
            sender: Some(sender),
            ..
        } => (ours, answered) = (ssrc, (sender.ntp >> 16) as u32),
        RtcpPacket::Extended { .. } => panic!("nobody asked for extended reports"),
        _ => {}
    })
    .unwrap();
    let mut out = [0; rtcp::MAX_BUILT];
    let report = rtcp::Report {
        ssrc: 0x1234,
        sender: None,
        block: Some(rtcp::ReportBlock {
            ssrc: ours,
            cumulative_lost: 3,
            jitter: 80,
            last_sr: answered,
            ..rtcp::ReportBlock::default()
        }),
        cname: b"phone",
        reference: Some(0x1_2345_6789_ABCD),
        delay: None,
        bye: false,
    };
    let length = rtcp::build(&report, &mut out);
    rtcp_socket.send_to(&out[..length], from).unwrap();
    // What was heard meanwhile waits in the socket; what comes after that is later.
    phone.exchange(&vec![0; 1600]);
    let stats = close(channel, &mut events);
    let quality = stats.quality;
    let trip = quality.round_trip_ms.unwrap();
    assert!((0.0..5_000.0).contains(&trip), "{trip}");
    assert_eq!(
        (quality.remote_lost, quality.remote_jitter_ms),
        (Some(3), Some(10.0))
    );
    assert!(quality.sent.worst.is_some() && quality.heard.worst.is_some());
    // The last word, and what may have been on its way before.
    let mut delay = None;
    while delay.is_none() {
        let (length, _) = rtcp_socket.recv_from(&mut datagram).unwrap();
        rtcp::parse(&datagram[..length], |packet| {
            if let RtcpPacket::Extended { blocks, .. } = packet {
                for block in blocks.iter() {
                    if let XrBlock::Delays(delays) = block {
                        delay = delays.iter().next();
                    }
                }
            }
        })
        .unwrap();
    }
    let delay = delay.unwrap();
    assert_eq!((delay.ssrc, delay.last_rr), (0x1234, 0x2345_6789));
}

#[test]
fn closed_channels_are_silent_and_leave_nothing() {
    let media = media(21_110..=21_113);
    let (channel, mut events, phone) = call(&media);
    let (second, _second_events) = media.open().unwrap();
    assert!(matches!(media.open(), Err(OpenError::NoPorts { .. })));
    let port = channel.rtp_port();
    close(channel, &mut events);
    assert!(events.try_recv().is_err());
    // What was sent before is still to be read; then there is no more, whatever comes in.
    phone
        .socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    while phone.socket.recv(&mut [0; 1500]).is_ok() {}
    let _ = phone.socket.send_to(&[0x80; 172], phone.server);
    assert!(phone.socket.recv(&mut [0; 1500]).is_err());
    // The port that was used last comes back when no other is left.
    let (third, _third_events) = media.open().unwrap();
    assert_eq!(third.rtp_port(), port);
    drop((second, third));
    media.shutdown();
    assert_eq!(media.stats().channels.value(), 0);
    assert!(matches!(media.open(), Err(OpenError::Stopped)));
}

#[test]
fn many_short_calls_use_the_same_places_and_leave_nothing() {
    let media = media(21_130..=21_149);
    for round in 0..30 {
        let mut calls: Vec<_> = (0..8).map(|_| media.open().unwrap()).collect();
        for (channel, _) in &calls {
            let remote = ([127, 0, 0, 1], 9).into();
            channel
                .send(Command::Stream(Box::new(stream(remote))))
                .unwrap();
        }
        let closed = calls
            .drain(..)
            .map(|(channel, mut events)| close(channel, &mut events));
        assert_eq!(closed.count(), 8, "round {round}");
    }
    assert_eq!(media.stats().channels.value(), 0);
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    let refused = |config| {
        Media::start(config)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let base = MediaConfig {
        bind: "127.0.0.1".parse().unwrap(),
        ..MediaConfig::default()
    };
    assert!(
        refused(MediaConfig {
            ports: 10_001..=10_002,
            ..base.clone()
        })
        .contains("10001-10002")
    );
    assert!(
        refused(MediaConfig {
            bind: "192.0.2.1".parse().unwrap(),
            ..base.clone()
        })
        .contains("192.0.2.1")
    );
    let media = Media::start(MediaConfig {
        ports: 21_120..=21_129,
        max_channels: 1,
        ..base
    })
    .unwrap();
    let _open = media.open().unwrap();
    assert!(matches!(
        media.open(),
        Err(OpenError::AtCapacity { limit: 1 })
    ));
}
