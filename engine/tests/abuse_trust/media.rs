//! Audio that is none, audio of somebody else, and too much of it, in a call with a program and in a bridged one. What single packets do
//! to a channel is tested in `media.rs`, `media_bridge.rs` and `media_secure.rs`; here whole calls must survive everything at once.
use crate::party::{Dialog, EVENTS, Party, audio_at, header, status};
use crate::server::PATIENCE;
use crate::world::World;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

const OURS: u32 = 0x0A0B_0C0D;
/// Octets of audio that no honest packet here has.
const JUNK: [u8; 160] = [0x33; 160];

fn rtp(kind: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, kind];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// An RTCP packet whose length field says what `words` says.
fn rtcp(count: u8, kind: u8, words: u16, content: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80 | count, kind];
    packet.extend(words.to_be_bytes());
    packet.extend(content);
    packet
}

/// Everything that is not RTP of this call, or not RTP at all.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let ssrc = OURS.to_be_bytes();
    let first = |octet: u8| {
        let mut packet = rtp(0, 9000, 1_440_000, OURS, &JUNK);
        packet[0] = octet;
        packet
    };
    let padded = |count: u8| {
        let mut packet = first(0xA0);
        *packet.last_mut().expect("octets") = count;
        packet
    };
    let mut overrun = first(0x90);
    overrun[12..16].copy_from_slice(&[0xBE, 0xDE, 0xFF, 0xFF]);
    let bye_of_all = rtcp(31, 203, 1, &ssrc);
    let xr = |block: &[u8]| {
        rtcp(
            0,
            207,
            1 + block.len() as u16 / 4,
            &[&ssrc[..], block].concat(),
        )
    };
    vec![
        ("one octet", vec![0x80]),
        ("eleven octets", first(0x80)[..11].to_vec()),
        ("a header alone", first(0x80)[..12].to_vec()),
        ("64 KB", rtp(0, 9000, 0, OURS, &[0x33; 65_000])),
        ("version 1", first(0x40)),
        ("padding beyond the packet", padded(255)),
        ("padding of nothing", padded(0)),
        (
            "15 sources and no room for them",
            first(0x8F)[..20].to_vec(),
        ),
        ("an extension beyond the packet", overrun),
        ("an extension cut off", first(0x90)[..14].to_vec()),
        ("an unknown payload type", rtp(77, 9000, 0, OURS, &JUNK)),
        ("an event of one octet", rtp(EVENTS, 9000, 0, OURS, &[5])),
        ("an event of none", rtp(EVENTS, 9000, 0, OURS, &[])),
        (
            "an unknown event",
            rtp(EVENTS, 9000, 0, OURS, &[200, 0x8A, 1, 0]),
        ),
        ("BYE of our source", rtcp(1, 203, 1, &ssrc)),
        ("BYE of 31 sources in room for one", bye_of_all),
        (
            "BYE with a reason beyond the packet",
            rtcp(1, 203, 2, &[&ssrc[..], &[255, b'x', b'x', b'x']].concat()),
        ),
        (
            "a report of 31 blocks in room for none",
            rtcp(31, 200, 6, &[0; 24]),
        ),
        ("a length of 65535 words", rtcp(1, 201, 0xFFFF, &ssrc)),
        ("XR cut off", rtcp(0, 207, 9, &ssrc)),
        (
            "XR block beyond the packet",
            xr(&[4, 0, 0xFF, 0xFF, 0, 0, 0, 0]),
        ),
        ("XR block of nothing", xr(&[7, 0, 0, 0])),
        (
            "DTLS ClientHello",
            [
                &[0x16, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1][..],
                &[0; 39],
            ]
            .concat(),
        ),
        (
            "STUN without integrity",
            [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat(),
        ),
        (
            "STUN that is too long",
            [&[0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat(),
        ),
        (
            "TURN channel data",
            [&[0x40, 0, 0xFF, 0xFF][..], &[0; 40]].concat(),
        ),
        ("zeroes", vec![0; 172]),
        ("ones", vec![0xFF; 172]),
    ]
}

/// A party in a call: where its audio goes, and the stream it sends.
struct Talker<'p> {
    party: &'p Party,
    to: SocketAddr,
    sequence: u16,
}

impl<'p> Talker<'p> {
    fn new(party: &'p Party, answer: &str) -> Self {
        party.rtp.set_nonblocking(true).expect("a socket");
        Self {
            party,
            to: audio_at(answer),
            sequence: 100,
        }
    }

    fn rtcp_at(&self) -> SocketAddr {
        SocketAddr::new(self.to.ip(), self.to.port() + 1)
    }

    /// The next packet of honest audio.
    fn say(&mut self, octet: u8) {
        let timestamp = u32::from(self.sequence) * 160;
        self.party.rtp(
            self.to,
            &rtp(0, self.sequence, timestamp, OURS, &[octet; 160]),
        );
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Everything heard until now. Each must be an honest packet.
    fn heard(&self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 65_536];
        let mut heard = Vec::new();
        while let Ok((length, from)) = self.party.rtp.recv_from(&mut buffer) {
            assert_eq!(from, self.to, "audio comes from where the description says");
            let packet = buffer[..length].to_vec();
            assert!(length <= 172 && packet[0] == 0x80, "{length}: {packet:?}");
            assert!(!packet.ends_with(&JUNK[..40]), "junk is not passed on");
            heard.push(packet);
        }
        heard
    }

    /// Waits until so many packets were heard that satisfy `wanted`; `meanwhile` is done again and again.
    #[track_caller]
    fn hears(
        &self,
        what: &str,
        count: usize,
        mut meanwhile: impl FnMut(),
        wanted: impl Fn(&[u8]) -> bool,
    ) {
        let patience = Instant::now() + PATIENCE;
        let mut found = 0;
        while found < count {
            assert!(Instant::now() < patience, "{what}: {found} of {count}");
            meanwhile();
            std::thread::park_timeout(std::time::Duration::from_millis(5));
            found += self.heard().iter().filter(|packet| wanted(packet)).count();
        }
    }
}

/// A call to alice: both dialogs, and both answers.
#[track_caller]
fn bridged(world: &mut World, caller: &mut Party) -> (Dialog, String, Dialog, String) {
    let (mut asked, text) = caller.begin("reception");
    let invite = world.alice.request_of("INVITE");
    let called = world.alice.pick_up(&invite, "");
    let answer = caller.final_response(header(&text, "Call-ID"), header(&text, "CSeq"));
    assert_eq!(status(&answer), 200, "{answer}");
    caller.confirm(&mut asked, &answer);
    (asked, answer, called, invite)
}

fn deaf(address: std::net::Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).expect("bind");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

fn nothing_came(socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => panic!("{length} octets from {from}: {:?}", &buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            // A closed port answers by ICMP, which is the system's word and holds nothing of a call.
            Err(_) => {}
        }
    }
}

/// Sends everything malformed to both ports of a call, as its far end and as a stranger, who gets nothing back.
fn barrage(talker: &mut Talker<'_>) {
    let stranger = deaf(crate::server::own_address());
    for (_, packet) in malformed() {
        for to in [talker.to, talker.rtcp_at()] {
            talker.party.rtp(to, &packet);
            let _ = stranger.send_to(&packet, to);
        }
        talker.say(0x55);
    }
    // A stranger who knows the stream: its source, the next numbers, its payload type.
    for ahead in 0..50 {
        let next = talker.sequence.wrapping_add(ahead);
        let packet = rtp(0, next, u32::from(next) * 160, OURS, &JUNK);
        let _ = stranger.send_to(&packet, talker.to);
    }
    nothing_came(&stranger);
    // Its own far end: other sources, jumps, and everything ten times and at once.
    for n in 0..20_u16 {
        let packet = rtp(
            0,
            n.wrapping_mul(7919),
            u32::from(n) << 27,
            u32::from(n),
            &[0x55; 160],
        );
        talker.party.rtp(talker.to, &packet);
    }
    for _ in 0..600 {
        talker.say(0x55);
    }
}

#[test]
fn a_call_with_a_program_survives_whatever_comes_to_its_ports() {
    let world = World::start();
    let mut caller = world.stranger();
    let (mut asked, answer) = caller.talk("demo");
    let mut talker = Talker::new(&caller, &answer);
    talker.say(0x55);
    talker.hears("the program", 3, || {}, |_| true);
    barrage(&mut talker);
    talker.hears("the program after it", 10, || {}, |_| true);
    // A key that never ends is pressed once.
    let begun = u32::from(talker.sequence) * 160;
    for duration in (160..=65_535_u16).step_by(640).chain([65_535; 40]) {
        let [high, low] = duration.to_be_bytes();
        let packet = rtp(EVENTS, talker.sequence, begun, OURS, &[9, 10, high, low]);
        talker.party.rtp(talker.to, &packet);
        talker.sequence = talker.sequence.wrapping_add(1);
    }
    world
        .server
        .wait_log("the key", |line| line.contains("key=9 "));
    talker.hears("the program after the key", 10, || {}, |_| true);
    assert_eq!(world.server.keys('9', "rfc4733"), 1);
    caller.hang_up(&mut asked);
    let metrics = world.rests();
    for cause in [
        "too_short",
        "version",
        "truncated",
        "padding",
        "payload_type",
        "rtcp",
        "stun",
    ] {
        let label = format!("\"{cause}\"");
        let dropped = metrics.labelled("trunkline_rtp_packets_dropped_total", &label);
        assert!(dropped > 0.0, "{cause}: {metrics:#?}");
    }
}

#[test]
fn a_bridged_call_survives_it_too_and_passes_nothing_on() {
    let mut world = World::start();
    world.alice.register();
    let mut caller = world.stranger();
    let (mut asked, answer, called, invite) = bridged(&mut world, &mut caller);
    {
        let mut here = Talker::new(&caller, &answer);
        let there = Talker::new(&world.alice, &invite);
        there.hears(
            "the caller",
            3,
            || here.say(0x11),
            |packet| packet.ends_with(&[0x11; 160]),
        );
        barrage(&mut here);
        there.hears(
            "the caller after it",
            3,
            || here.say(0x22),
            |packet| packet.ends_with(&[0x22; 160]),
        );
        let mut back = Talker::new(&world.alice, &invite);
        here.hears(
            "the callee",
            3,
            || back.say(0x44),
            |packet| packet.ends_with(&[0x44; 160]),
        );
    }
    let dropped = world
        .server
        .metrics()
        .labelled("trunkline_bridge_dropped_total", "rate");
    assert!(dropped > 0.0, "600 packets at once are not passed on");
    caller.hang_up(&mut asked);
    world.alice.is_hung_up(&called);
    world.rests();
}

/// RTP to every port, three times: before the far end sent anything, while it talks, and when the call is over. Nobody but the far end
/// ever gets a packet.
#[test]
fn a_probe_of_all_ports_hears_nothing() {
    let mut world = World::start();
    world.alice.register();
    let mut caller = world.stranger();
    let (mut asked, answer, called, invite) = bridged(&mut world, &mut caller);
    let (mut in_menu, menu) = world.bob.talk("demo");
    let ports = world.server.settings.rtp_ports;
    let probes = [
        deaf(crate::server::own_address()),
        deaf(std::net::Ipv4Addr::LOCALHOST),
    ];
    let probe = |ssrc: u32| {
        for port in ports.0..=ports.1 {
            let to = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
            for (socket, number) in probes.iter().flat_map(|socket| [(socket, 1), (socket, 2)]) {
                let _ = socket.send_to(&rtp(0, number, 160, ssrc, &JUNK), to);
            }
        }
    };
    let silent = || probes.iter().for_each(nothing_came);
    probe(1);
    {
        let mut here = Talker::new(&caller, &answer);
        let there = Talker::new(&world.alice, &invite);
        there.hears(
            "the caller",
            5,
            || here.say(0x11),
            |packet| packet.ends_with(&[0x11; 160]),
        );
        let mut hearer = Talker::new(&world.bob, &menu);
        hearer.say(0x55);
        hearer.hears("the program", 5, || {}, |_| true);
        silent();
        probe(OURS);
        there.hears(
            "the caller",
            5,
            || here.say(0x12),
            |packet| packet.ends_with(&[0x12; 160]),
        );
        hearer.hears("the program", 5, || {}, |_| true);
        silent();
    }
    caller.hang_up(&mut asked);
    world.alice.is_hung_up(&called);
    world.bob.hang_up(&mut in_menu);
    world.rests();
    probe(2);
    // The ended calls' own far ends get nothing either; a new call is proof that time went by.
    let mut later = world.stranger();
    let (mut again, answer) = later.talk("demo");
    Talker::new(&later, &answer).hears("the program", 5, || {}, |_| true);
    silent();
    later.hang_up(&mut again);
    world.rests();
}
