//! A phone for media tests: a socket with an RTP stream of its own, and what tests ask of what it hears.
//!
//! Waits for packets and events with a generous limit and never asserts on time.

#![allow(dead_code)] // not every test file uses all of it

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use trunkline::media::{
    Channel, ChannelStats, Command, Encoding, Law, Media, MediaConfig, MediaEvent, MediaEvents,
    StreamParams,
};
use trunkline::rtp::packet::{self, Header};
use trunkline_dsp::tone::Tone;

/// Far beyond what any of this takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const EVENTS: u8 = 101;

/// A phone: a socket with a stream of its own.
pub(crate) struct Phone {
    pub(crate) socket: UdpSocket,
    pub(crate) header: Header,
    pub(crate) server: SocketAddr,
}

/// A packet the phone received.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

impl Phone {
    pub(crate) fn new(ip: &str, server_port: u16) -> Phone {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let header = Header {
            marker: false,
            payload_type: 0,
            sequence: 65_500,
            timestamp: 4_294_960_000,
            ssrc: 0x1234,
        };
        Phone {
            socket,
            header,
            server: ([127, 0, 0, 1], server_port).into(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub(crate) fn send_as(&self, header: Header, payload: &[u8]) {
        let mut datagram = [0; 1500];
        let length = packet::build(&header, payload, &mut datagram).unwrap();
        self.socket
            .send_to(&datagram[..length], self.server)
            .unwrap();
    }

    /// Sends the next packet of audio and moves on.
    pub(crate) fn send(&mut self, payload: &[u8]) {
        self.send_as(self.header, payload);
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(payload.len() as u32);
    }

    pub(crate) fn send_silence(&mut self) {
        self.send(&[0xFF; 160]);
    }

    pub(crate) fn hear(&self) -> Heard {
        let mut datagram = [0; 1500];
        let length = self
            .socket
            .recv(&mut datagram)
            .expect("the server sends RTP");
        let packet = packet::parse(&datagram[..length]).unwrap();
        Heard {
            header: packet.header,
            payload: packet.payload.to_vec(),
        }
    }

    /// Takes what has come already.
    pub(crate) fn drain(&self) -> Vec<Heard> {
        self.socket.set_nonblocking(true).unwrap();
        let mut heard = Vec::new();
        let mut datagram = [0; 1500];
        while let Ok(length) = self.socket.recv(&mut datagram) {
            let packet = packet::parse(&datagram[..length]).unwrap();
            heard.push(Heard {
                header: packet.header,
                payload: packet.payload.to_vec(),
            });
        }
        self.socket.set_nonblocking(false).unwrap();
        heard
    }

    /// Sends the samples in real time, a packet for each one heard, and returns the samples heard.
    pub(crate) fn exchange(&mut self, samples: &[i16]) -> Vec<i16> {
        // What came before would let the exchange run ahead of time.
        self.drain();
        let mut heard = Vec::new();
        for chunk in samples.chunks(160) {
            let mut octets = vec![0; chunk.len()];
            Law::Mu.encode(chunk, &mut octets);
            self.send(&octets);
            heard.extend(decoded(&self.hear().payload));
        }
        heard
    }
}

pub(crate) fn decoded(octets: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; octets.len()];
    Law::Mu.decode(octets, &mut samples);
    samples
}

pub(crate) fn media(ports: std::ops::RangeInclusive<u16>) -> Media {
    let bind = "127.0.0.1".parse().unwrap();
    Media::start(MediaConfig {
        bind,
        ports,
        max_channels: 16,
        dscp: None,
        ..MediaConfig::default()
    })
    .unwrap()
}

pub(crate) fn stream(remote_rtp: SocketAddr) -> StreamParams {
    StreamParams {
        telephone_event_send: Some(EVENTS),
        telephone_event_recv: Some(EVENTS),

        ..StreamParams::plain(Encoding::Pcmu, 0, remote_rtp)
    }
}

/// An open channel with a phone at the other end, latched.
pub(crate) fn call(media: &Media) -> (Channel, MediaEvents, Phone) {
    let (channel, mut events) = media.open().unwrap();
    let mut phone = Phone::new("127.0.0.1", channel.rtp_port());
    channel
        .send(Command::Stream(Box::new(stream(phone.address()))))
        .unwrap();
    phone.hear();
    phone.send_silence();
    wait(&mut events, |event| {
        matches!(event, MediaEvent::Latched { first: true, .. })
    });
    (channel, events, phone)
}

/// Waits for an event; others are passed over.
pub(crate) fn wait(events: &mut MediaEvents, wanted: impl Fn(&MediaEvent) -> bool) -> MediaEvent {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match events.try_recv() {
            Ok(event) if wanted(&event) => return event,
            Ok(_) => {}
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("the event did not come");
}

pub(crate) fn close(channel: Channel, events: &mut MediaEvents) -> ChannelStats {
    drop(channel);
    match wait(events, |event| matches!(event, MediaEvent::Closed(_))) {
        MediaEvent::Closed(stats) => *stats,
        _ => unreachable!(),
    }
}

pub(crate) fn tone(hz: f32, ms: usize) -> Vec<i16> {
    let mut samples = vec![0; ms * 8];
    Tone::new(8000, [hz, 0.0], -10.0).fill(&mut samples);
    samples
}

/// The best normalised correlation of `part` anywhere in `whole`, 0 to 1.
pub(crate) fn correlation(whole: &[i16], part: &[i16]) -> f64 {
    let energy = |samples: &[i16]| {
        samples
            .iter()
            .map(|s| f64::from(*s).powi(2))
            .sum::<f64>()
            .max(1.0)
    };
    let own = energy(part);
    let at = |window: &[i16]| {
        window
            .iter()
            .zip(part)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
            / (energy(window) * own).sqrt()
    };
    whole.windows(part.len()).map(at).fold(0.0, f64::max)
}
