//! The far ends of a measurement: sockets that send what callers say, press keys, and count what comes back.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use trunkline_dsp::dtmf::{Generator, Key};

use super::super::codec::opus::OpusSettings;
use super::super::codec::{Encoder, Encoding, FRAME_SAMPLES};
use super::super::command::{Command, MediaAudio, StreamParams};
use super::super::handle::{Channel, Media, MediaEvents};
use super::super::prompt::Prompt;
use super::super::{KeySource, MediaEvent};
use super::Work;
use crate::rtp::packet::{self, HEADER_LEN, Header};
use crate::rtp::telephone_event::Payload;

/// Frames between the keys of a caller: 5 s, as long as what it says.
const KEY_EVERY: u32 = 250;
/// Frames a key is down.
const KEY_FRAMES: u32 = 5;
const EVENTS: u8 = 101;
/// Octets of the longest payload: linear audio at 16 kHz.
const PAYLOAD: usize = 640;

/// A payload for each frame.
type Payloads = Arc<Vec<Vec<u8>>>;

/// What is heard and said in a measurement, encoded once.
pub(super) struct Sound {
    pub(super) prompt: Arc<Prompt>,
    speech: [Payloads; Encoding::ALL.len()],
    silence: [Payloads; Encoding::ALL.len()],
    key: Payloads,
}

impl Sound {
    /// Made for the given encodings.
    ///
    /// # Errors
    /// When a codec cannot be made.
    pub(super) fn new(encodings: &[Encoding]) -> io::Result<Sound> {
        let (mut speech, mut silence) = (
            Encoding::ALL.map(|_| Payloads::default()),
            Encoding::ALL.map(|_| Payloads::default()),
        );
        for (index, encoding) in Encoding::ALL.into_iter().enumerate() {
            if encodings.contains(&encoding) {
                speech[index] = Arc::new(payloads(encoding, KEY_EVERY as usize, &voice)?);
                silence[index] = Arc::new(payloads(encoding, KEY_EVERY as usize, &|_, count| {
                    vec![0; count]
                })?);
            }
        }
        Ok(Sound {
            prompt: Arc::new(Prompt::from_samples(
                "bench",
                &voice(8000, 50 * FRAME_SAMPLES),
            )),
            speech,
            silence,
            key: Arc::new(payloads(
                Encoding::Pcmu,
                KEY_FRAMES as usize,
                &|_, count| key(count),
            )?),
        })
    }

    fn said(&self, encoding: Encoding, talks: bool) -> Payloads {
        let index = Encoding::ALL
            .iter()
            .position(|other| *other == encoding)
            .unwrap_or(0);
        if talks {
            self.speech[index].clone()
        } else {
            self.silence[index].clone()
        }
    }
}

/// A caller and its channel.
pub(super) struct Call {
    pub(super) channel: Channel,
    events: MediaEvents,
    socket: UdpSocket,
    header: Header,
    /// Timestamps of one frame.
    step: u32,
    said: Payloads,
    key: Payloads,
}

impl Call {
    /// Opens a channel that does its work. `talks`: otherwise the caller sends silence.
    pub(super) fn new(
        media: &Media,
        work: Work,
        encoding: Encoding,
        talks: bool,
        sound: &Sound,
    ) -> io::Result<Call> {
        let (channel, events) = media.open().map_err(io::Error::other)?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(("127.0.0.1", channel.rtp_port()))?;
        socket.set_nonblocking(true)?;
        let mut commands = vec![Command::Stream(Box::new(stream(encoding, &socket)?))];
        match work {
            Work::Echo => commands.push(Command::Echo(true)),
            Work::Relay | Work::Transcode(_) | Work::Room(_) => {}
            Work::Decoded => commands.push(Command::Detect { inband: true }),
            Work::Events | Work::InBand => {
                commands.push(Command::Play {
                    id: 1,
                    audio: vec![MediaAudio::Prompt(sound.prompt.clone())],
                    repeat: None,
                });
                commands.push(Command::Detect {
                    inband: work == Work::InBand,
                });
            }
        }
        commands
            .into_iter()
            .try_for_each(|command| channel.send(command))
            .map_err(io::Error::other)?;
        let header = Header {
            marker: false,
            payload_type: payload_type(encoding),
            sequence: 0,
            timestamp: 0,
            ssrc: u32::from(channel.rtp_port()),
        };
        Ok(Call {
            channel,
            events,
            socket,
            header,
            step: encoding.clock().hz() / 50,
            said: sound.said(encoding, talks),
            key: sound.key.clone(),
        })
    }

    /// Sends one packet and takes what has come. Returns how many packets that were, and whether a key began.
    fn frame(&mut self, frame: u32, work: Work) -> (u64, bool) {
        let place = frame % KEY_EVERY;
        let down = work.has_keys() && place < KEY_FRAMES;
        let mut datagram = [0; HEADER_LEN + PAYLOAD];
        let header = Header {
            timestamp: frame.wrapping_mul(self.step),
            ..self.header
        };
        self.header.sequence = self.header.sequence.wrapping_add(1);
        let built = if down && work == Work::Events {
            let header = Header {
                payload_type: EVENTS,
                marker: place == 0,
                timestamp: (frame - place).wrapping_mul(self.step),
                ..header
            };
            packet::build(&header, &event(place).to_bytes(), &mut datagram)
        } else {
            let said = if down { &self.key } else { &self.said };
            packet::build(&header, &said[place as usize], &mut datagram)
        };
        // A packet the kernel refuses shows as one not delivered.
        let _ = self.socket.send(&datagram[..built.unwrap_or(0)]);
        let (mut received, mut buffer) = (0, [0; HEADER_LEN + PAYLOAD]);
        while self.socket.recv(&mut buffer).is_ok() {
            received += u64::from(!packet::is_rtcp(&buffer));
        }
        (received, down && place == 0)
    }

    /// Keys that began, of those that are looked for.
    fn keys(&mut self, work: Work) -> u64 {
        let wanted = if work == Work::InBand {
            KeySource::InBand
        } else {
            KeySource::Rfc4733
        };
        let mut keys = 0;
        while let Ok(event) = self.events.try_recv() {
            keys +=
                u64::from(matches!(event, MediaEvent::KeyBegin { source, .. } if source == wanted));
        }
        keys
    }
}

fn stream(encoding: Encoding, socket: &UdpSocket) -> io::Result<StreamParams> {
    Ok(StreamParams {
        telephone_event_send: Some(EVENTS),
        telephone_event_recv: Some(EVENTS),
        rtcp_mux: true,
        ..StreamParams::plain(encoding, payload_type(encoding), socket.local_addr()?)
    })
}

fn payload_type(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Pcmu => 0,
        Encoding::Pcma => 8,
        Encoding::G722 => 9,
        _ => 96,
    }
}

/// The event of a key that has been down for so many frames.
fn event(place: u32) -> Payload {
    Payload {
        code: 5,
        end: place + 1 == KEY_FRAMES,
        volume: 10,
        duration: ((place + 1) * FRAME_SAMPLES as u32) as u16,
    }
}

/// Plays all callers in real time. Returns packets received, keys pressed and keys heard in the measured part.
pub(super) fn generate(
    calls: &mut [Call],
    work: Work,
    seconds: u32,
    settled: &AtomicBool,
) -> (u64, u64, u64) {
    let settling = work.settling_frames();
    let total = settling + seconds * 50;
    let (mut received, mut pressed, mut heard) = (0, 0, 0);
    let start = Instant::now();
    let count = calls.len();
    for ms in 0..total * 20 {
        if ms == settling * 20 {
            settled.store(true, Ordering::Release);
            (received, pressed, heard) = (0, 0, 0);
        }
        let slot = |part: u32| count * part as usize / 20;
        let (first, after) = (slot(ms % 20), slot(ms % 20 + 1));
        for (index, call) in calls[first..after].iter_mut().enumerate() {
            // Callers press at different times.
            let own = ms / 20 + ((first + index) as u32 * 23) % KEY_EVERY;
            let (packets, began) = call.frame(own, work);
            received += packets;
            pressed += u64::from(began);
            heard += call.keys(work);
        }
        let next = start + Duration::from_millis(u64::from(ms) + 1);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    (received, pressed, heard)
}

/// `frames` payloads of what `samples` gives for a rate in Hz and a count.
pub(super) fn payloads(
    encoding: Encoding,
    frames: usize,
    samples: &dyn Fn(u32, usize) -> Vec<i16>,
) -> io::Result<Vec<Vec<u8>>> {
    let mut encoder = Encoder::new(encoding, OpusSettings::default()).map_err(io::Error::other)?;
    let rate = encoder.rate();
    let samples = samples(rate.hz(), frames * rate.samples_per_frame());
    let encode = |frame: &[i16]| {
        let mut octets = vec![0; PAYLOAD];
        let length = encoder.encode(frame, &mut octets);
        octets.truncate(length);
        octets
    };
    Ok(samples
        .chunks_exact(rate.samples_per_frame())
        .map(encode)
        .collect())
}

fn key(count: usize) -> Vec<i16> {
    let mut samples = vec![0; count];
    if let Some(five) = Key::from_char('5') {
        Generator::new(8000, five, -10.0, -10.0).fill(&mut samples);
    }
    samples
}

/// Something as loud and busy as a voice: a buzz of 130 Hz with its harmonics in syllables, and noise.
pub(super) fn voice(hz: u32, count: usize) -> Vec<i16> {
    let mut noise = 1u32;
    let sample = |n: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let time = n as f32 / hz as f32;
        let syllable = (time * 4.0 * std::f32::consts::PI).sin().abs();
        let buzz: f32 = (1u8..12)
            .map(|h| (time * 130.0 * std::f32::consts::TAU * f32::from(h)).sin() / f32::from(h))
            .sum();
        (buzz * syllable * 4000.0) as i16 + ((noise >> 24) as i16 - 128)
    };
    (0..count).map(sample).collect()
}
