//! The media of the tests' telephone: G.711 and RFC 4733 in real time over a plain UDP socket. Pacing is the only use of time here.
use crate::audio;
use crate::server::PATIENCE;
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Samples of a packet.
pub(crate) const FRAME: usize = audio::RATE / 50;
/// Payload type under which the phone offers telephone-event.
pub(crate) const EVENT_PAYLOAD: u8 = 101;

pub(crate) enum Outgoing {
    Audio(Vec<i16>),
    Event(char),
}

#[derive(Default)]
pub(crate) struct MediaState {
    pub(crate) outgoing: VecDeque<Outgoing>,
    pub(crate) heard: Vec<i16>,
    pub(crate) packets: usize,
    pub(crate) lost: usize,
}

/// The phone's media: one thread that sends a packet every 20 ms and keeps what comes.
pub(crate) struct Media {
    state: Arc<(Mutex<MediaState>, Condvar)>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Media {
    pub(crate) fn start(socket: UdpSocket, remote: SocketAddr, payload: u8) -> Self {
        let state = Arc::new((Mutex::new(MediaState::default()), Condvar::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&state), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut sender = Sender {
                socket: &socket,
                remote,
                payload,
                sequence: 7,
                timestamp: 4711,
            };
            let mut receiver = Receiver::default();
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                next += Duration::from_millis(20);
                let due = shared
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .outgoing
                    .pop_front();
                match due {
                    Some(Outgoing::Event(key)) => sender.event(key, &mut next, |until| {
                        receiver.run(&socket, until, &shared)
                    }),
                    Some(Outgoing::Audio(samples)) => sender.audio(&samples, true),
                    None => sender.audio(&[0; FRAME], false),
                }
                shared.1.notify_all();
                receiver.run(&socket, next, &shared);
            }
        });
        Self {
            state,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, MediaState> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn queue(&self, outgoing: Outgoing) {
        self.lock().outgoing.push_back(outgoing);
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, wanted: impl Fn(&MediaState) -> bool) {
        let patience = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while !wanted(&state) {
            let left = patience.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{what}: did not come; {} packets, {} samples heard",
                state.packets,
                state.heard.len()
            );
            state = self
                .state
                .1
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Sender<'a> {
    socket: &'a UdpSocket,
    remote: SocketAddr,
    payload: u8,
    sequence: u16,
    timestamp: u32,
}

impl Sender<'_> {
    fn packet(&mut self, payload: u8, marker: bool, timestamp: u32, content: &[u8]) {
        let mut packet = vec![0x80, payload | if marker { 0x80 } else { 0 }];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&0xC0FF_EE01u32.to_be_bytes());
        packet.extend_from_slice(content);
        self.sequence = self.sequence.wrapping_add(1);
        let _ = self.socket.send_to(&packet, self.remote);
    }

    fn audio(&mut self, samples: &[i16], _voiced: bool) {
        let content = if self.payload == 8 {
            audio::to_alaw(samples)
        } else {
            audio::to_ulaw(samples)
        };
        self.packet(self.payload, false, self.timestamp, &content);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
    }

    /// RFC 4733: five updates 20 ms apart, the end three times, all with the timestamp of the beginning.
    fn event(&mut self, key: char, next: &mut Instant, mut receive: impl FnMut(Instant)) {
        let code = "0123456789*#ABCD".find(key).expect("a DTMF key") as u8;
        let began = self.timestamp;
        for step in 1..=5u16 {
            let [high, low] = (step * FRAME as u16).to_be_bytes();
            self.packet(EVENT_PAYLOAD, step == 1, began, &[code, 10, high, low]);
            if step == 5 {
                for _ in 0..3 {
                    self.packet(EVENT_PAYLOAD, false, began, &[code, 0x80 | 10, high, low]);
                }
            }
            receive(*next);
            *next += Duration::from_millis(20);
        }
        self.timestamp = self.timestamp.wrapping_add(5 * FRAME as u32);
        // Some silence, so that the next press of the same key is another one.
        for _ in 0..3 {
            self.audio(&[0; FRAME], false);
            receive(*next);
            *next += Duration::from_millis(20);
        }
    }
}

#[derive(Default)]
struct Receiver {
    expected: Option<u16>,
    /// Timestamp that belongs to position 0 of what was heard.
    origin: Option<u32>,
}

impl Receiver {
    /// Takes packets until `until`.
    fn run(&mut self, socket: &UdpSocket, until: Instant, shared: &(Mutex<MediaState>, Condvar)) {
        let mut buffer = [0; 2048];
        while let Some(left) = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            socket.set_read_timeout(Some(left)).expect("timeout");
            if let Ok((length, _)) = socket.recv_from(&mut buffer) {
                self.take(
                    &buffer[..length],
                    &mut shared.0.lock().unwrap_or_else(PoisonError::into_inner),
                );
                shared.1.notify_all();
            }
        }
    }

    /// Puts a packet's audio where its timestamp says.
    fn take(&mut self, packet: &[u8], state: &mut MediaState) {
        if packet.len() < 12 || packet[0] >> 6 != 2 {
            return;
        }
        let payload = packet[1] & 0x7F;
        if !matches!(payload, 0 | 8) {
            return;
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        state.packets += 1;
        if let Some(expected) = self.expected {
            state.lost += usize::from(sequence.wrapping_sub(expected)).min(1000)
                * usize::from(sequence.wrapping_sub(expected) < 1000);
        }
        self.expected = Some(sequence.wrapping_add(1));
        let samples = if payload == 8 {
            audio::from_alaw(&packet[12..])
        } else {
            audio::from_ulaw(&packet[12..])
        };
        let origin = *self
            .origin
            .get_or_insert_with(|| timestamp.wrapping_sub(state.heard.len() as u32));
        let mut at = timestamp.wrapping_sub(origin) as usize;
        if at > state.heard.len() + 60 * audio::RATE {
            // A new time line: goes on where the old one stopped.
            self.origin = Some(timestamp.wrapping_sub(state.heard.len() as u32));
            at = state.heard.len();
        }
        if state.heard.len() < at + samples.len() {
            state.heard.resize(at + samples.len(), 0);
        }
        state.heard[at..at + samples.len()].copy_from_slice(&samples);
    }
}
