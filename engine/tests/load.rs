//! The load generator against a server that loses and delays frames: both are seen from outside.
#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trunkline::load::{LoadOptions, LoadReport, run_load};
use trunkline_sip::{Frame, HeaderId, MessageBuilder, Method, Sdp};

/// Calls placed.
const CALLS: u32 = 20;
/// One frame in so many is left out; one in so many comes 70 ms late.
const LOSE: u16 = 10;
const DELAY: u16 = 25;
const LATE: u32 = 70;

/// One stream of the server.
struct Stream {
    socket: UdpSocket,
    to: SocketAddr,
    id: Vec<u8>,
    sequence: u16,
}

/// Answers every call and sends it 50 frames a second, some not and some too late.
fn serve(sip: &UdpSocket, stop: &AtomicBool) {
    let mut streams: Vec<Stream> = Vec::new();
    let (start, mut frame) = (Instant::now(), 0u32);
    let mut delayed: Vec<(u32, usize, [u8; 172])> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = sip.recv_from(&mut buffer) {
            answer(
                sip,
                &mut streams,
                &Frame::parse(&buffer[..length]).unwrap(),
                from,
            );
        }
        if start.elapsed() < Duration::from_millis(u64::from(frame) * 10) {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        // Every 10 ms: half of the streams each time, so that what is delayed comes alone.
        for (_, stream, packet) in delayed.extract_if(.., |(due, ..)| *due <= frame) {
            if let Some(stream) = streams.get(stream) {
                let _ = stream.socket.send_to(&packet, stream.to);
            }
        }
        for (index, stream) in streams
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| (*index as u32 + frame).is_multiple_of(2))
        {
            let packet = rtp(stream.sequence);
            if stream.sequence % DELAY == 0 {
                delayed.push((frame + LATE / 10, index, packet));
            } else if stream.sequence % LOSE != 1 {
                let _ = stream.socket.send_to(&packet, stream.to);
            }
            stream.sequence = stream.sequence.wrapping_add(1);
        }
        frame += 1;
    }
}

fn rtp(sequence: u16) -> [u8; 172] {
    let mut packet = [0xff; 172];
    packet[..2].copy_from_slice(&[0x80, 0]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
    packet
}

fn answer(sip: &UdpSocket, streams: &mut Vec<Stream>, request: &Frame<'_>, from: SocketAddr) {
    let id = request.header(HeaderId::CallId).unwrap().to_vec();
    let response = MessageBuilder::response_to(request, 200, "OK", Some("far"), Some(from));
    let known = streams.iter().any(|stream| stream.id == id);
    let response = match request.method() {
        Some(Method::Invite) => {
            let body = if known {
                String::new()
            } else {
                begin(streams, request, id)
            };
            response
                .header(
                    "Contact",
                    format!("<sip:stub@{}>", sip.local_addr().unwrap()),
                )
                .body("application/sdp", body.as_bytes())
        }
        Some(Method::Ack) => return,
        _ => {
            streams.retain(|stream| stream.id != id);
            response
        }
    };
    sip.send_to(&response.finish(), from).unwrap();
}

fn begin(streams: &mut Vec<Stream>, request: &Frame<'_>, id: Vec<u8>) -> String {
    let offer = Sdp::parse(request.body()).unwrap();
    let ip = offer.connection_of(&offer.media[0]).unwrap().ip().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    streams.push(Stream {
        socket,
        to: SocketAddr::new(ip, offer.media[0].port),
        id,
        sequence: 1000,
    });
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}

fn run() -> LoadReport {
    let sip = UdpSocket::bind("127.0.0.1:0").unwrap();
    sip.set_nonblocking(true).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(&sip, &stop));
        let options = LoadOptions {
            calls: CALLS,
            rate: 200.0,
            settle: Duration::from_millis(500),
            duration: Duration::from_secs(4),
            ..LoadOptions::new("sip:stub@127.0.0.1", sip.local_addr().unwrap())
        };
        let report = run_load(&options, &AtomicBool::new(false));
        stop.store(true, Ordering::Relaxed);
        server.join().unwrap();
        report.unwrap()
    })
}

#[test]
fn frames_that_are_lost_and_late_are_counted() {
    let report = run();
    let calls = u64::from(CALLS);
    assert_eq!(
        (
            report.placed,
            report.answered,
            report.failed(),
            report.streams
        ),
        (calls, calls, 0, calls),
        "{report}"
    );
    // One in ten is lost, to the frame at each end of the window.
    let counts = report.counts;
    let sent = counts.received + counts.lost;
    let expected = sent / u64::from(LOSE);
    assert!(
        counts.lost.abs_diff(expected) <= 2 * calls,
        "{} lost of {sent}\n{report}",
        counts.lost
    );
    // One in 25 comes 70 ms late, behind three others: late and out of order, however busy this machine is.
    let delayed = sent / u64::from(DELAY);
    assert!(counts.reordered.abs_diff(delayed) <= 4 * calls, "{report}");
    assert!(
        counts.late + counts.excused + 2 * calls >= delayed * 9 / 10,
        "{report}"
    );
    assert_eq!(report.hang_up.count(), calls);
}
