//! Offers in, answers out: RFC 3264 for one G.711 stream, and what real peers send.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::net::SocketAddr;

use trunkline_sip::Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
use trunkline_sip::Encoding::{Pcma, Pcmu};
use trunkline_sip::ice::OfferedIce;
use trunkline_sip::offer_answer::{LocalSrtp, OpusFormat, Profile, answer, offer};
use trunkline_sip::sdp::SdpError;
use trunkline_sip::{Direction, LocalMedia, Negotiated, Refusal, Sdp};

fn local() -> LocalMedia {
    LocalMedia {
        address: "198.51.100.7".parse().unwrap(),
        port: 40_000,
        session_id: 11,
        session_version: 2,
        codecs: vec![Pcmu, Pcma],
        telephone_event: true,
        comfort_noise: false,
        ptime_ms: 20,
        direction: SendRecv,
        srtp: LocalSrtp::default(),
        ice: None,
    }
}

/// A description with one session-level address and these media lines.
fn sdp(media: &str) -> Sdp {
    let text =
        format!("v=0\r\no=x 1 1 IN IP4 192.0.2.5\r\ns=-\r\nc=IN IP4 192.0.2.5\r\nt=0 0\r\n{media}");
    Sdp::parse(text.as_bytes()).unwrap()
}

fn agreed(media: &str) -> (Sdp, Negotiated) {
    answer(&sdp(media), &local()).unwrap_or_else(|refusal| panic!("{media}: {refusal}"))
}

fn refusal(media: &str) -> Refusal {
    answer(&sdp(media), &local()).expect_err(media)
}

fn accept(ours: &Sdp, theirs: &Sdp) -> Result<Negotiated, Refusal> {
    trunkline_sip::offer_answer::accept(ours, theirs, trunkline_sip::SrtpPolicy::Never)
}

fn remote(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_plain_offer() {
    let offer = "m=audio 5004 RTP/AVP 8 0 18 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:18 G729/8000\r\n\
        a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\na=ptime:30\r\n";
    let (sdp, negotiated) = agreed(offer);
    let expected = Negotiated {
        encoding: Pcmu, // our preference, though the offerer names A-law first; static, without rtpmap
        payload_send: 0,
        payload_recv: 0,
        also: vec![(Pcma, 8)],
        opus: OpusFormat::default(),
        comfort_noise: None,
        telephone_event_send: Some(96),
        telephone_event_recv: Some(96),
        telephone_event_clock: 8000,
        remote_rtp: remote("192.0.2.5:5004"),
        remote_rtcp: Some(remote("192.0.2.5:5005")),
        rtcp_mux: false,
        direction: SendRecv,
        ptime_ms: 30,
        held: false,
        profile: Profile::Avp,
        srtp: None,
        ice: OfferedIce::None,
    };
    assert_eq!(negotiated, expected);
    let text = "v=0\r\no=- 11 2 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
        m=audio 40000 RTP/AVP 0 96\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n\
        a=ptime:30\r\na=sendrecv\r\n";
    assert_eq!(sdp.to_string(), text);
}

#[test]
fn payload_numbers_are_the_offers() {
    let (sdp, negotiated) = agreed(
        "m=audio 9 RTP/AVP 100 101 102\r\na=rtpmap:100 pcma/8000/1\r\na=rtpmap:101 G726-32/8000\r\n\
        a=rtpmap:102 Telephone-Event/8000\r\n",
    );
    assert_eq!(
        (
            negotiated.encoding,
            negotiated.payload_send,
            negotiated.payload_recv
        ),
        (Pcma, 100, 100)
    );
    assert_eq!(negotiated.telephone_event_recv, Some(102));
    assert_eq!(sdp.media[0].formats, ["100", "102"]);
    // An rtpmap outranks the static table; 48 kHz events do not fit an 8 kHz codec.
    let (_, negotiated) = agreed(
        "m=audio 9 RTP/AVP 0 8 97\r\na=rtpmap:0 L16/8000\r\na=rtpmap:97 telephone-event/48000\r\n",
    );
    assert_eq!(
        (negotiated.encoding, negotiated.telephone_event_send),
        (Pcma, None)
    );
    // The same codec twice: the offerer's first.
    let (_, negotiated) = agreed("m=audio 9 RTP/AVP 98 0\r\na=rtpmap:98 PCMU/8000\r\n");
    assert_eq!(negotiated.payload_send, 98);
}

#[test]
fn our_preference_decides_and_events_can_be_off() {
    let alaw = LocalMedia {
        codecs: vec![Pcma, Pcmu],
        telephone_event: false,
        ..local()
    };
    let (sdp, negotiated) = answer(
        &sdp("m=audio 9 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"),
        &alaw,
    )
    .unwrap();
    assert_eq!(negotiated.encoding, Pcma);
    assert_eq!(negotiated.telephone_event_send, None);
    assert_eq!(sdp.media[0].formats, ["8"]);
}

#[test]
fn every_line_is_answered_and_refused_ones_keep_their_protocol() {
    let (sdp, _) = agreed(
        "m=video 6000 RTP/AVPF 96 97\r\na=rtpmap:96 VP8/90000\r\nm=audio 5006 RTP/SAVP 0\r\n\
        m=audio 5004 RTP/AVP 0\r\nm=audio 5010 RTP/AVP 0\r\nm=image 7000 udptl t38\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
    );
    let lines: Vec<String> = sdp
        .media
        .iter()
        .map(|media| {
            format!(
                "{} {} {} {}",
                media.kind,
                media.port,
                media.protocol,
                media.formats.join(" ")
            )
        })
        .collect();
    let expected = [
        "video 0 RTP/AVPF 96 97",
        "audio 0 RTP/SAVP 0",
        "audio 40000 RTP/AVP 0",
        "audio 0 RTP/AVP 0",
        "image 0 udptl t38",
        "application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn refusals_name_the_cause() {
    for (media, warning) in [
        ("", 304),
        ("m=video 6000 RTP/AVP 31\r\n", 304),
        ("m=audio 0 RTP/AVP 0\r\n", 304),
        (
            "m=audio 5004 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
            302,
        ),
        ("m=audio 5004 UDP/TLS/RTP/SAVPF 0\r\n", 302),
        (
            "m=video 6000 RTP/AVP 31\r\nm=audio 5004 RTP/SAVP 0\r\n",
            302,
        ),
        ("m=audio 5004 RTP/AVP 18 3\r\n", 305),
        ("m=audio 5004 RTP/AVP\r\n", 305),
        ("m=audio 5004 RTP/AVP 300 4294967296 -1 x\r\n", 305),
        (
            "m=audio 5004 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
            305,
        ),
        ("m=audio 5004 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n", 301),
        (
            "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 media.example.org\r\n",
            301,
        ),
        ("m=audio 5004 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127\r\n", 330),
        (
            "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 255.255.255.255\r\n",
            330,
        ),
    ] {
        assert_eq!(refusal(media).warning, warning, "{media}");
    }
    let without_address = Sdp::parse(b"v=0\r\nm=audio 5004 RTP/AVP 0\r\n").unwrap();
    assert_eq!(answer(&without_address, &local()).unwrap_err().warning, 301);
}

#[test]
fn direction_table() {
    // offered, ours, answered, held
    for (offered, ours, answered, held) in [
        (SendRecv, SendRecv, SendRecv, false),
        (SendRecv, SendOnly, SendOnly, false),
        (SendRecv, RecvOnly, RecvOnly, false),
        (SendRecv, Inactive, Inactive, false),
        (SendOnly, SendRecv, RecvOnly, true),
        (SendOnly, SendOnly, Inactive, true),
        (SendOnly, RecvOnly, RecvOnly, true),
        (SendOnly, Inactive, Inactive, true),
        (RecvOnly, SendRecv, SendOnly, false),
        (RecvOnly, SendOnly, SendOnly, false),
        (RecvOnly, RecvOnly, Inactive, false),
        (RecvOnly, Inactive, Inactive, false),
        (Inactive, SendRecv, Inactive, true),
        (Inactive, SendOnly, Inactive, true),
        (Inactive, RecvOnly, Inactive, true),
        (Inactive, Inactive, Inactive, true),
    ] {
        let offer = sdp(&format!(
            "m=audio 5004 RTP/AVP 0\r\na={}\r\n",
            offered.name()
        ));
        let (sdp, negotiated) = answer(
            &offer,
            &LocalMedia {
                direction: ours,
                ..local()
            },
        )
        .unwrap();
        assert_eq!(
            (negotiated.direction, negotiated.held),
            (answered, held),
            "{offered:?} {ours:?}"
        );
        assert_eq!(sdp.media[0].attribute(answered.name()), Some(None));
    }
}

#[test]
fn hold_by_address_and_direction_of_the_session() {
    for address in ["IN IP4 0.0.0.0", "IN IP6 ::"] {
        let (sdp, negotiated) = agreed(&format!(
            "m=audio 5004 RTP/AVP 0\r\nc={address}\r\na=sendrecv\r\n"
        ));
        assert!(negotiated.held, "{address}");
        assert_eq!(
            (negotiated.direction, negotiated.remote_rtcp),
            (RecvOnly, None)
        );
        assert_eq!(sdp.media[0].attribute("recvonly"), Some(None));
        assert_eq!(sdp.media[0].port, 40_000);
        let (_, negotiated) = agreed(&format!(
            "m=audio 5004 RTP/AVP 0\r\nc={address}\r\na=inactive\r\n"
        ));
        assert_eq!(negotiated.direction, Inactive);
    }
    let text = b"v=0\no=x 1 1 IN IP4 192.0.2.5\nc=IN IP4 192.0.2.5\na=sendonly\nm=audio 4 RTP/AVP 0\nm=audio 6 RTP/AVP 0\na=sendrecv";
    let (_, negotiated) = answer(&Sdp::parse(text).unwrap(), &local()).unwrap();
    assert_eq!((negotiated.direction, negotiated.held), (RecvOnly, true));
}

#[test]
fn packet_durations() {
    for (attributes, ptime) in [
        ("", 20),
        ("a=ptime:10\r\n", 10),
        ("a=ptime:60\r\n", 60),
        ("a=ptime:20.0\r\n", 20),
        ("a=ptime:120\r\n", 20), // longer than we packetise
        ("a=ptime:25\r\n", 20),  // not whole frames
        ("a=ptime:0\r\n", 20),
        ("a=ptime:99999999999\r\n", 20),
        ("a=ptime:x\r\n", 20),
        ("a=ptime\r\n", 20),
        ("a=maxptime:10\r\n", 10),
        ("a=maxptime:15\r\n", 10),
        ("a=maxptime:3\r\n", 10),
        ("a=ptime:60\r\na=maxptime:40\r\n", 40),
        ("a=maxptime:150\r\n", 20),
    ] {
        let (_, negotiated) = agreed(&format!("m=audio 5004 RTP/AVP 0\r\n{attributes}"));
        assert_eq!(negotiated.ptime_ms, ptime, "{attributes}");
    }
}

#[test]
fn rtcp_addresses() {
    for (attributes, rtcp, mux) in [
        ("", Some("192.0.2.5:5005"), false),
        ("a=rtcp:6001\r\n", Some("192.0.2.5:6001"), false),
        (
            "a=rtcp:6001 IN IP4 192.0.2.99\r\n",
            Some("192.0.2.99:6001"),
            false,
        ),
        ("a=rtcp:6001 IN IP6 2001:db8::1\r\n", None, false),
        ("a=rtcp:6001 IN IP4 224.2.1.1\r\n", None, false),
        ("a=rtcp:0\r\n", None, false),
        (
            "a=rtcp-mux\r\na=rtcp:6001\r\n",
            Some("192.0.2.5:5004"),
            true,
        ),
    ] {
        let (sdp, negotiated) = agreed(&format!("m=audio 5004 RTP/AVP 0\r\n{attributes}"));
        assert_eq!(negotiated.remote_rtcp, rtcp.map(remote), "{attributes}");
        assert_eq!(negotiated.rtcp_mux, mux);
        assert_eq!(sdp.media[0].attribute("rtcp-mux").is_some(), mux);
    }
    assert_eq!(agreed("m=audio 65535 RTP/AVP 0\r\n").1.remote_rtcp, None);
}

#[test]
fn ipv6_and_media_level_addresses() {
    let v6 = LocalMedia {
        address: "2001:db8::7".parse().unwrap(),
        ..local()
    };
    let offer = sdp("m=audio 5004 RTP/AVP 0\r\nc=IN IP6 2001:db8::99\r\n");
    let (sdp, negotiated) = answer(&offer, &v6).unwrap();
    assert_eq!(negotiated.remote_rtp, remote("[2001:db8::99]:5004"));
    assert!(sdp.to_string().contains("c=IN IP6 2001:db8::7\r\n"));
}

#[test]
fn our_offer_and_its_answers() {
    let ours = offer(&local());
    let text = "v=0\r\no=- 11 2 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
        m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
    assert_eq!(ours.to_string(), text);
    // The peer's first codec, its number for events, ours for receiving.
    let theirs = sdp(
        "m=audio 5004 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=rtcp-mux\r\na=sendonly\r\n",
    );
    let negotiated = accept(&ours, &theirs).unwrap();
    assert_eq!(
        (
            negotiated.encoding,
            negotiated.payload_send,
            negotiated.payload_recv
        ),
        (Pcma, 8, 8)
    );
    assert_eq!(
        (
            negotiated.telephone_event_send,
            negotiated.telephone_event_recv
        ),
        (Some(96), Some(101))
    );
    assert!(!negotiated.rtcp_mux, "we did not offer it");
    assert_eq!(negotiated.remote_rtcp, Some(remote("192.0.2.5:5005")));
    assert_eq!((negotiated.direction, negotiated.held), (RecvOnly, true));
    let without_events = accept(&ours, &sdp("m=audio 5004 RTP/AVP 0\r\n")).unwrap();
    assert_eq!(
        (
            without_events.telephone_event_send,
            without_events.telephone_event_recv
        ),
        (None, None)
    );
    for (media, warning) in [
        ("", 399),
        ("m=audio 0 RTP/AVP 0\r\n", 305),
        ("m=video 5004 RTP/AVP 0\r\n", 304),
        ("m=audio 5004 RTP/SAVP 0\r\n", 302),
        ("m=audio 5004 RTP/AVP 18\r\n", 305),
    ] {
        assert_eq!(
            accept(&ours, &sdp(media)).unwrap_err().warning,
            warning,
            "{media}"
        );
    }
}

#[test]
fn both_ends_of_one_negotiation_agree() {
    let peer = LocalMedia {
        address: "192.0.2.50".parse().unwrap(),
        port: 30_000,
        codecs: vec![Pcma],
        ..local()
    };
    for direction in [SendRecv, SendOnly, RecvOnly, Inactive] {
        let ours = offer(&LocalMedia {
            direction,
            ..local()
        });
        let (theirs, at_peer) = answer(&Sdp::parse(&ours.to_bytes()).unwrap(), &peer).unwrap();
        let here = accept(&ours, &Sdp::parse(&theirs.to_bytes()).unwrap()).unwrap();
        assert_eq!(
            (here.encoding, here.payload_send),
            (at_peer.encoding, at_peer.payload_recv)
        );
        assert_eq!(
            Direction::new(here.direction.receives(), here.direction.sends()),
            at_peer.direction
        );
        assert_eq!(here.remote_rtp, remote("192.0.2.50:30000"));
    }
}

#[test]
fn lenient_reading() {
    let sdp = Sdp::parse(b"\nv=0\ns=\xff\n a = note : x \nm=audio 5004/2 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127/3\nb=\nz9\n");
    assert_eq!(sdp, Err(SdpError::Line(7)));
    let sdp = Sdp::parse(b"v=0\ns=\xff\n a = note : x \nm=audio 5004/2 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127/3\nb=\ny=?").unwrap();
    assert_eq!(sdp.session_name, "\u{fffd}");
    assert_eq!(sdp.attribute("note"), Some(Some("x")));
    assert_eq!(sdp.media[0].port_count, Some(2));
    assert_eq!(
        sdp.media[0].connection.as_ref().unwrap().address,
        "224.2.1.1"
    );
    assert_eq!(
        Sdp::parse(&sdp.to_bytes()).unwrap(),
        Sdp {
            lines: vec![('t', "0 0".into())],
            ..sdp
        }
    );
}

#[test]
fn limits_and_nonsense() {
    let many = |line: &str, count| format!("v=0\r\n{}", line.repeat(count));
    let formats = format!("m=audio 1 RTP/AVP{}\r\n", " 0".repeat(129));
    for (text, error) in [
        (String::new(), SdpError::Version),
        ("v=1\r\n".into(), SdpError::Version),
        ("s=-\r\nv=0\r\n".into(), SdpError::Version),
        ("v=0\r\nv=0\r\n".into(), SdpError::Version),
        (
            "v=0\r\na=fmtp:0 a\0b\r\n".into(),
            SdpError::ControlCharacter(2),
        ),
        ("v=0\r\nmm=audio\r\n".into(), SdpError::Line(2)),
        ("v=0\r\nm=audio\r\n".into(), SdpError::Media(2)),
        (
            "v=0\r\nm=audio 65536 RTP/AVP 0\r\n".into(),
            SdpError::Media(2),
        ),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n".into(), SdpError::Media(2)),
        ("v=0\r\nc=IN IP4\r\n".into(), SdpError::Address(2)),
        ("v=0\r\no=x 1\r\n".into(), SdpError::Address(2)),
        (
            many("m=audio 1 RTP/AVP 0\r\n", 33),
            SdpError::Limit("m= lines"),
        ),
        (many("a=x\r\n", 257), SdpError::Limit("attributes")),
        (many("b=AS:1\r\n", 2_048), SdpError::Limit("lines")),
        (many("a=x\r\n", 10_000), SdpError::Limit("octets")),
        (
            format!("v=0\r\na={}\r\n", "x".repeat(4_095)),
            SdpError::Limit("octets on a line"),
        ),
        (many(&formats, 1), SdpError::Limit("formats on an m= line")),
    ] {
        assert_eq!(Sdp::parse(text.as_bytes()), Err(error), "{:.60}", text);
    }
}
