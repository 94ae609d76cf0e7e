//! Every codec through offer and answer: numbers, clocks, parameters, and what peers write.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use trunkline_sip::Direction::SendRecv;
use trunkline_sip::Encoding::{self, G722, L16Narrow, L16Wide, Opus, Pcma, Pcmu};
use trunkline_sip::offer_answer::{LocalSrtp, OpusFormat, accept, answer, offer};
use trunkline_sip::{LocalMedia, Negotiated, Sdp, SrtpPolicy};

fn local(codecs: &[Encoding]) -> LocalMedia {
    LocalMedia {
        address: "198.51.100.7".parse().unwrap(),
        port: 40_000,
        session_id: 1,
        session_version: 1,
        codecs: codecs.to_vec(),
        telephone_event: true,
        comfort_noise: true,
        ptime_ms: 20,
        direction: SendRecv,
        srtp: LocalSrtp::default(),
        ice: None,
    }
}

/// What is answered to an audio line with these formats and attributes.
fn answered(codecs: &[Encoding], formats: &str, attributes: &[&str]) -> (String, Negotiated) {
    let lines: String = attributes.iter().map(|a| format!("a={a}\r\n")).collect();
    let text = format!(
        "v=0\r\no=x 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\nm=audio 5004 RTP/AVP {formats}\r\n{lines}"
    );
    let (sdp, negotiated) = answer(&Sdp::parse(text.as_bytes()).unwrap(), &local(codecs)).unwrap();
    (sdp.to_string(), negotiated)
}

#[test]
fn a_browser_that_offers_opus_gets_it() {
    let (sdp, negotiated) = answered(
        &[Opus, Pcmu],
        "111 63 9 0 8 13 110 126",
        &[
            "rtpmap:111 opus/48000/2",
            "fmtp:111 minptime=10;useinbandfec=1; usedtx=1;maxaveragebitrate=20000;maxplaybackrate=16000",
            "rtpmap:63 red/48000/2",
            "fmtp:63 111/111",
            "rtpmap:110 telephone-event/48000",
            "rtpmap:126 telephone-event/8000",
        ],
    );
    assert_eq!((negotiated.encoding, negotiated.payload_send), (Opus, 111));
    assert_eq!(negotiated.also, [(Pcmu, 0)]);
    assert_eq!(
        (
            negotiated.telephone_event_recv,
            negotiated.telephone_event_clock
        ),
        (Some(110), 48_000)
    );
    assert_eq!(negotiated.comfort_noise, None, "CN at 8000 is none of Opus");
    let expected = OpusFormat {
        fec: true,
        dtx: true,
        max_average_bps: Some(20_000),
        max_playback_hz: 16_000,
        ..OpusFormat::default()
    };
    assert_eq!(negotiated.opus, expected);
    for line in [
        "m=audio 40000 RTP/AVP 111 110\r\n",
        "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n",
        "a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\n",
    ] {
        assert!(sdp.contains(line), "{sdp}");
    }
}

#[test]
fn the_codec_decides_which_events_and_noise() {
    let attributes = [
        "rtpmap:9 G722/8000",
        "rtpmap:97 L16/16000",
        "rtpmap:98 L16/8000/1",
        "rtpmap:101 telephone-event/8000",
        "rtpmap:102 telephone-event/16000",
        "rtpmap:105 CN/16000",
    ];
    for (codec, payload, events, clock, noise) in [
        (G722, 9, 101, 8_000, 13),
        (L16Wide, 97, 102, 16_000, 105),
        (L16Narrow, 98, 101, 8_000, 13),
    ] {
        let (sdp, negotiated) = answered(&[codec], "0 9 97 98 13 105 101 102", &attributes);
        assert_eq!(
            (
                negotiated.encoding,
                negotiated.payload_recv,
                negotiated.telephone_event_send,
                negotiated.telephone_event_clock,
                negotiated.comfort_noise,
            ),
            (codec, payload, Some(events), clock, Some(noise))
        );
        let line = format!("m=audio 40000 RTP/AVP {payload} {noise} {events}\r\n");
        assert!(sdp.contains(&line), "{sdp}");
        let line = format!("a=rtpmap:{payload} {}\r\n", codec.rtpmap());
        assert!(sdp.contains(&line), "{sdp}");
    }
}

#[test]
fn what_peers_write_otherwise() {
    // G.722's audio rate for its clock; Opus without channels; G.722 without an rtpmap.
    let with = |formats, attributes: &[&str]| {
        let (_, negotiated) = answered(&[Opus, G722], formats, attributes);
        (negotiated.encoding, negotiated.payload_send)
    };
    assert_eq!(with("96", &["rtpmap:96 G722/16000"]), (G722, 96));
    assert_eq!(with("96", &["rtpmap:96 OPUS/48000"]), (Opus, 96));
    assert_eq!(with("9", &[]), (G722, 9));
    // Events of 8000 Hz beside Opus are all that some have.
    let (_, negotiated) = answered(
        &[Opus],
        "96 101",
        &["rtpmap:96 opus/48000/2", "rtpmap:101 telephone-event/8000"],
    );
    assert_eq!(
        (
            negotiated.telephone_event_send,
            negotiated.telephone_event_clock
        ),
        (Some(101), 8_000)
    );
}

#[test]
fn what_we_offer_is_what_we_accept() {
    let codecs = [Pcmu, Pcma, G722, Opus, L16Narrow, L16Wide];
    let ours = offer(&local(&codecs));
    let text = ours.to_string();
    for line in [
        "m=audio 40000 RTP/AVP 0 8 9 111 118 119 101 113 110\r\n",
        "a=rtpmap:9 G722/8000\r\n",
        "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n",
        "a=rtpmap:119 L16/16000\r\n",
        "a=rtpmap:113 telephone-event/16000\r\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    for (codec, clock) in [(G722, 8_000), (Opus, 48_000), (L16Wide, 16_000)] {
        let (theirs, _) = answer(&ours, &local(&[codec])).unwrap();
        let negotiated = accept(&ours, &theirs, SrtpPolicy::Never).unwrap();
        assert_eq!(negotiated.encoding, codec);
        assert_eq!(negotiated.payload_recv, codec.payload_type());
        assert_eq!(negotiated.also.len(), 5, "what was offered may come");
        assert_eq!(negotiated.telephone_event_clock, clock);
        assert!(negotiated.telephone_event_recv.is_some());
    }
}

#[test]
fn parameters_out_of_range_are_taken_as_the_nearest() {
    let (_, negotiated) = answered(
        &[Opus],
        "96",
        &[
            "rtpmap:96 opus/48000/2",
            "fmtp:96 maxaveragebitrate=1;maxplaybackrate=4000000;stereo=1;cbr=1;useinbandfec=x;=;;",
        ],
    );
    let expected = OpusFormat {
        cbr: true,
        stereo: true,
        max_average_bps: Some(6_000),
        ..OpusFormat::default()
    };
    assert_eq!(negotiated.opus, expected);
    assert_eq!(
        negotiated.opus.to_string(),
        "cbr=1;stereo=1;maxaveragebitrate=6000"
    );
}
