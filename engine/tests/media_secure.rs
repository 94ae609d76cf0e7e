//! Encrypted streams over real sockets on loopback: who is heard, who is not, and what a wrong packet may do, which is nothing.
//!
//! Waits for packets and events with a generous limit and never asserts on time.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline::media::{
    Channel, Command, Media, MediaConfig, MediaEvent, MediaEvents, SrtpParams, StreamParams,
};
use trunkline::rtp::packet::{self, Header};
use trunkline::rtp::rtcp::{self, RtcpPacket};
use trunkline::rtp::srtp::{MAX_TRAILER, MasterKey, Receiver, Sender, Suite};

mod phone;
use phone::{PATIENCE, Phone, close, media, stream, wait};

fn key(suite: Suite, octet: u8) -> MasterKey {
    MasterKey::new(suite, &[octet; 46][..suite.key_and_salt_len()]).unwrap()
}

/// A phone that speaks SRTP.
struct SecurePhone {
    phone: Phone,
    sender: Sender,
    receiver: Receiver,
}

impl SecurePhone {
    fn new(port: u16, suite: Suite) -> SecurePhone {
        SecurePhone {
            phone: Phone::new("127.0.0.1", port),
            sender: Sender::new(&key(suite, 2)),
            receiver: Receiver::new(&key(suite, 1)),
        }
    }

    /// The stream of a channel with this phone at its far end.
    fn stream(&self, suite: Suite) -> StreamParams {
        StreamParams {
            srtp: Some(Box::new(SrtpParams {
                send: key(suite, 1),
                receive: key(suite, 2),
            })),
            ..stream(self.phone.address())
        }
    }

    /// The next packet, protected.
    fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0; 12 + payload.len() + MAX_TRAILER];
        let length = packet::build(&self.phone.header, payload, &mut datagram).unwrap();
        let header = &mut self.phone.header;
        header.sequence = header.sequence.wrapping_add(1);
        header.timestamp = header.timestamp.wrapping_add(payload.len() as u32);
        let length = self.sender.protect_rtp(&mut datagram, length).unwrap();
        datagram.truncate(length);
        datagram
    }

    fn send_raw(&self, datagram: &[u8]) {
        let socket = &self.phone.socket;
        socket.send_to(datagram, self.phone.server).unwrap();
    }

    fn send(&mut self, payload: &[u8]) {
        let datagram = self.packet(payload);
        self.send_raw(&datagram);
    }

    /// The next packet of audio; everything that comes must be authentic.
    fn hear(&mut self) -> Vec<u8> {
        let mut datagram = [0; 1500];
        let length = self
            .phone
            .socket
            .recv(&mut datagram)
            .expect("the server sends");
        let datagram = &mut datagram[..length];
        let length = self.receiver.unprotect_rtp(datagram).expect("SRTP");
        packet::parse(&datagram[..length]).unwrap().payload.to_vec()
    }
}

fn secure_call(media: &Media, suite: Suite) -> (Channel, MediaEvents, SecurePhone) {
    let (channel, mut events) = media.open().unwrap();
    let mut phone = SecurePhone::new(channel.rtp_port(), suite);
    channel
        .send(Command::Stream(Box::new(phone.stream(suite))))
        .unwrap();
    phone.hear();
    phone.send(&[0xFF; 160]);
    latched(&mut events);
    (channel, events, phone)
}

fn latched(events: &mut MediaEvents) {
    wait(events, |event| matches!(event, MediaEvent::Latched { .. }));
}

/// Waits until a counter has this value.
fn counted(value: impl Fn() -> u64, expected: u64) {
    let end = Instant::now() + PATIENCE;
    while value() < expected && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(value(), expected);
}

#[test]
fn what_is_not_authentic_never_latches_and_never_counts() {
    let media = media(25_020..=25_029);
    let dropped = &media.shard_stats().next().unwrap().dropped;
    let (channel, mut events) = media.open().unwrap();
    let suite = Suite::AesCm128HmacSha1_80;
    let mut phone = SecurePhone::new(channel.rtp_port(), suite);
    channel
        .send(Command::Stream(Box::new(phone.stream(suite))))
        .unwrap();
    phone.hear();
    // From the signalled address itself: in the clear, with another key, and altered.
    for _ in 0..50 {
        phone.phone.send_silence();
    }
    phone.phone.header.sequence = 100;
    let mut stranger = SecurePhone {
        sender: Sender::new(&key(suite, 9)),
        ..SecurePhone::new(channel.rtp_port(), suite)
    };
    for _ in 0..50 {
        let wrong = stranger.packet(&[0x55; 160]);
        phone.send_raw(&wrong);
    }
    let mut altered = phone.packet(&[0xFF; 160]);
    altered[20] ^= 1;
    phone.send_raw(&altered);
    counted(|| dropped.srtp_auth_failed.value(), 101);
    assert!(events.try_recv().is_err(), "nothing has latched");
    assert_eq!(media.stats().packets_in.value(), 0);
    // The call lives, and the real peer is heard.
    phone.send(&[0xFF; 160]);
    latched(&mut events);
    let good = phone.packet(&[0xFF; 160]);
    for _ in 0..4 {
        phone.send_raw(&good);
    }
    counted(|| dropped.srtp_replayed.value(), 3);
    phone.hear();
    let stats = close(channel, &mut events);
    assert_eq!((stats.packets_in, stats.duplicate), (2, 0));
}

#[test]
fn wrong_packets_do_not_keep_a_silent_call_alive() {
    let bind = "127.0.0.1".parse().unwrap();
    let media = Media::start(MediaConfig {
        bind,
        ports: 25_030..=25_039,
        max_channels: 1,
        rtp_timeout: Duration::from_millis(300),
        dscp: None,
        ..MediaConfig::default()
    })
    .unwrap();
    let (_channel, mut events, phone) = secure_call(&media, Suite::AesCm128HmacSha1_80);
    let end = Instant::now() + PATIENCE;
    loop {
        phone.phone.send_as(phone.phone.header, &[0xFF; 160]);
        match events.try_recv() {
            Ok(MediaEvent::RtpTimeout) => break,
            Ok(_) => {}
            Err(_) => assert!(Instant::now() < end, "the timeout was refreshed"),
        }
        phone.phone.socket.recv(&mut [0; 1500]).unwrap();
    }
    assert!(media.stats().dropped.srtp_auth_failed.value() > 2);
}

#[test]
fn rtcp_is_encrypted_and_the_last_word_is_bye() {
    let media = media(25_050..=25_059);
    let suite = Suite::AesCm128HmacSha1_32;
    let (channel, mut events, mut phone) = secure_call(&media, suite);
    let mux = StreamParams {
        rtcp_mux: true,
        ..phone.stream(suite)
    };
    channel.send(Command::Stream(Box::new(mux))).unwrap();
    phone.send(&[0xFF; 160]);
    latched(&mut events);
    // A report in the clear is not believed.
    phone.send_raw(&[0x80, 201, 0, 1, 0, 0, 0x12, 0x34]);
    let dropped = &media.shard_stats().next().unwrap().dropped;
    counted(|| dropped.srtp_auth_failed.value(), 1);
    close(channel, &mut events);
    loop {
        let mut datagram = [0; 1500];
        let length = phone.phone.socket.recv(&mut datagram).expect("a BYE");
        let datagram = &mut datagram[..length];
        if !packet::is_rtcp(datagram) {
            continue;
        }
        assert!(rtcp::parse(datagram, |_| ()).is_err(), "it is encrypted");
        let length = phone.receiver.unprotect_rtcp(datagram).expect("SRTCP");
        let mut bye = false;
        let read = rtcp::parse(&datagram[..length], |packet| {
            bye |= matches!(packet, RtcpPacket::Bye { .. });
        });
        assert_eq!(read, Ok(()));
        if bye {
            return;
        }
    }
}

mod ice {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use trunkline::rtp::stun::IceLite;

    const PWD: &str = "the password of this leg";
    const USE_CANDIDATE: &[u8] = &[0, 0x25, 0, 0];

    fn crc32(octets: &[u8]) -> u32 {
        !octets.iter().fold(u32::MAX, |crc, octet| {
            (0..8).fold(crc ^ u32::from(*octet), |crc, _| {
                (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
            })
        })
    }

    /// A binding request of an ICE agent.
    fn check(priority: u32, pwd: &str, more: &[u8]) -> Vec<u8> {
        let mut octets = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        octets.extend([7; 12]);
        octets.extend([0, 6, 0, 8]);
        octets.extend(b"ours:you");
        octets.extend([0, 0x24, 0, 4]);
        octets.extend(priority.to_be_bytes());
        octets.extend(more);
        octets[3] = (octets.len() - 20 + 24) as u8;
        let mut mac: Hmac<sha1::Sha1> = Hmac::new_from_slice(pwd.as_bytes()).unwrap();
        mac.update(&octets);
        octets.extend([0, 8, 0, 20]);
        octets.extend(mac.finalize().into_bytes());
        octets[3] = (octets.len() - 20 + 8) as u8;
        let crc = crc32(&octets) ^ 0x5354_554E;
        octets.extend([0x80, 0x28, 0, 4]);
        octets.extend(crc.to_be_bytes());
        octets
    }

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Waits for a STUN message; audio is passed over.
    fn answer(socket: &UdpSocket) -> Vec<u8> {
        let mut datagram = [0; 1500];
        loop {
            let length = socket.recv(&mut datagram).expect("an answer");
            if datagram[0] < 4 {
                return datagram[..length].to_vec();
            }
        }
    }

    fn ice_stream(remote: &UdpSocket) -> StreamParams {
        StreamParams {
            ice: Some(IceLite {
                ufrag: "ours".into(),
                pwd: PWD.into(),
            }),
            ..stream(remote.local_addr().unwrap())
        }
    }

    #[test]
    fn checks_are_answered_and_media_goes_where_the_peer_nominates() {
        let media = media(25_070..=25_079);
        let (channel, mut events) = media.open().unwrap();
        let server = ("127.0.0.1", channel.rtp_port());
        // The signalled address is silent; the peer is somewhere else.
        let (signalled, peer, better) = (socket(), socket(), socket());
        channel
            .send(Command::Stream(Box::new(ice_stream(&signalled))))
            .unwrap();
        peer.send_to(&check(5, PWD, &[]), server).unwrap();
        let success = answer(&peer);
        assert_eq!(
            (&success[..2], &success[8..20]),
            (&[1, 1][..], &[7; 12][..])
        );
        let rtcp = ("127.0.0.1", channel.rtp_port() + 1);
        peer.send_to(&check(4, PWD, &[]), rtcp).unwrap();
        assert_eq!(answer(&peer)[..2], [1, 1]);
        assert!(events.try_recv().is_err(), "nothing was nominated");
        for (socket, priority) in [(&peer, 5), (&better, 6)] {
            let nominating = check(priority, PWD, USE_CANDIDATE);
            socket.send_to(&nominating, server).unwrap();
            assert_eq!(answer(socket)[..2], [1, 1]);
            let remote = socket.local_addr().unwrap();
            wait(
                &mut events,
                |event| matches!(event, MediaEvent::Latched { remote: at, .. } if *at == remote),
            );
            let mut datagram = [0; 1500];
            let length = socket.recv(&mut datagram).unwrap();
            assert!(packet::parse(&datagram[..length]).is_ok());
        }
        // Checks go on from every address; what was nominated stays.
        peer.send_to(&check(5, PWD, USE_CANDIDATE), server).unwrap();
        assert_eq!(answer(&peer)[..2], [1, 1]);
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: 1,
            timestamp: 1,
            ssrc: 5,
        };
        let mut datagram = [0; 172];
        packet::build(&header, &[0xFF; 160], &mut datagram).unwrap();
        signalled.send_to(&datagram, server).unwrap();
        better.send_to(&datagram, server).unwrap();
        counted(|| media.stats().packets_in.value(), 1);
        assert_eq!(close(channel, &mut events).stranger, 1);
    }

    #[test]
    fn who_does_not_know_the_password_and_who_was_offered_no_ice_get_no_answer() {
        let media = media(25_080..=25_089);
        let dropped = &media.shard_stats().next().unwrap().dropped;
        let (channel, mut events) = media.open().unwrap();
        let server = ("127.0.0.1", channel.rtp_port());
        let (signalled, stranger) = (socket(), socket());
        channel
            .send(Command::Stream(Box::new(ice_stream(&signalled))))
            .unwrap();
        let wrong = check(9, "a guess at the password", USE_CANDIDATE);
        let mut without = check(9, PWD, USE_CANDIDATE);
        without.truncate(without.len() - 32);
        without[3] = (without.len() - 20) as u8;
        for datagram in [&wrong, &without, &wrong] {
            stranger.send_to(datagram, server).unwrap();
        }
        counted(|| dropped.stun.value(), 3);
        channel
            .send(Command::Stream(Box::new(stream(
                signalled.local_addr().unwrap(),
            ))))
            .unwrap();
        // Carried out when the stream was set: a command later than it is, too.
        channel
            .send(Command::Play {
                id: 1,
                audio: Vec::new(),
                repeat: Some(1),
            })
            .unwrap();
        wait(&mut events, |event| {
            matches!(event, MediaEvent::PlayDone { .. })
        });
        stranger
            .send_to(&check(9, PWD, USE_CANDIDATE), server)
            .unwrap();
        counted(|| dropped.stun.value(), 4);
        stranger.set_nonblocking(true).unwrap();
        assert!(stranger.recv(&mut [0; 100]).is_err(), "no answer");
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, MediaEvent::Latched { .. }));
        }
        close(channel, &mut events);
    }
}
