//! What a channel notes about its path to the peer, for the day that somebody hears nothing. Nothing here changes what is sent or taken.
//!
//! UDP sockets are told of ICMP errors only while they are connected, and a channel connects when it knows its peer. One that hears nothing
//! therefore connects to the signalled address for [`LISTENING`], twice: a peer that begins just then from another port loses its first packets.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use super::channel::ChannelState;
use super::codec::{Encoding, Law};
use super::event::{MediaEvent, PathFacts};
use crate::net::rtp_socket;

/// Without audio for this long, the call is told.
const UNHEARD: Duration = Duration::from_secs(5);
/// After this long without audio the channel listens for ICMP errors.
const PROBES: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(4)];
/// How long it does: a long round trip.
const LISTENING: Duration = Duration::from_millis(300);
/// G.711 codes up to this magnitude (of 127) are line noise: about -50 dBm0.
const NOISE: u8 = 8;
/// The loudest sample of noise in linear audio.
const LINEAR_NOISE: u16 = 32;
/// The longest Opus packet that is silence for sure.
const OPUS_NOISE: usize = 10;

/// What the sockets were told about sending; counted where a socket is used.
#[derive(Debug, Default)]
pub(crate) struct SendErrors {
    refused: Cell<u32>,
    unreachable: Cell<u32>,
}

impl SendErrors {
    /// Counts what tells of the path.
    pub(crate) fn note(&self, error: &io::Error) {
        let counter = match error.kind() {
            io::ErrorKind::ConnectionRefused => &self.refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => &self.unreachable,
            _ => return,
        };
        counter.set(counter.get().saturating_add(1));
    }
}

/// Of one description: what was done because nothing comes.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    told: bool,
    probes: usize,
    until: Option<Instant>,
}

/// The facts, and what is being done to learn them.
#[derive(Debug, Default)]
pub(crate) struct Path {
    pub(crate) facts: PathFacts,
    pub(crate) watch: Watch,
}

impl Path {
    /// Looks at the peer's audio until something is heard in it.
    pub(crate) fn listen(&mut self, encoding: Encoding, payload: &[u8]) {
        if !self.facts.sounded {
            self.facts.sounded = sounds(encoding, payload);
        }
    }

    pub(crate) fn wrong_payload(&mut self, payload_type: u8) {
        self.facts.wrong_payload += 1;
        self.facts.wrong_payload_type = Some(payload_type);
    }
}

/// Whether a payload is more than silence and line noise; what cannot be told without decoding is.
fn sounds(encoding: Encoding, payload: &[u8]) -> bool {
    match encoding {
        Encoding::Pcmu => payload.iter().any(|code| magnitude(Law::Mu, *code) > NOISE),
        Encoding::Pcma => payload.iter().any(|code| magnitude(Law::A, *code) > NOISE),
        Encoding::L16Narrow | Encoding::L16Wide => {
            let mut samples = payload.as_chunks::<2>().0.iter();
            samples.any(|pair| i16::from_be_bytes(*pair).unsigned_abs() > LINEAR_NOISE)
        }
        Encoding::G722 => true,
        Encoding::Opus => payload.len() > OPUS_NOISE,
    }
}

/// The magnitude bits of a G.711 code: 0 is silence, 127 the loudest.
fn magnitude(law: Law, code: u8) -> u8 {
    match law {
        Law::Mu => !code & 0x7f,
        Law::A => (code ^ 0x55) & 0x7f,
    }
}

impl ChannelState {
    /// The facts so far.
    pub(crate) fn path_facts(&self) -> PathFacts {
        PathFacts {
            refused: self.sockets.errors.refused.get(),
            unreachable: self.sockets.errors.unreachable.get(),
            ..self.path.facts
        }
    }

    /// Nothing of the peer's has been taken for `quiet` since the description came. Tells the call once, and listens for ICMP errors.
    pub(crate) fn watch_path(&mut self, now: Instant, quiet: Duration) {
        if !self.path.watch.told && quiet >= UNHEARD {
            self.path.watch.told = true;
            self.tell(MediaEvent::Unheard(Box::new(self.stats())));
        }
        match self.path.watch.until {
            Some(until) if now >= until => self.end_probe(),
            Some(_) => {}
            None => {
                let due = PROBES.get(self.path.watch.probes);
                if due.is_some_and(|after| quiet >= *after) {
                    self.path.watch.probes += 1;
                    self.probe(now);
                }
            }
        }
    }

    fn probe(&mut self, now: Instant) {
        let Some(stream) = &self.stream else { return };
        let to = stream.latch.destination();
        let nobody = to.ip().is_unspecified() || to.port() == 0;
        let known = stream.latch.is_settled() || stream.params.ice.is_some();
        // Who is heard, if only as a stranger, is not to be kept out.
        if nobody || known || self.path.facts.stranger_from.is_some() || self.outgoing.packets == 0
        {
            return;
        }
        let to = rtp_socket::reachable_from(self.sockets.local_ip(), to);
        self.sockets.connected = self.sockets.rtp.connect(to).is_ok();
        self.path.watch.until = self.sockets.connected.then(|| now + LISTENING);
    }

    fn end_probe(&mut self) {
        self.path.watch.until = None;
        let settled = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.latch.is_settled());
        if !settled && self.sockets.connected {
            // On failure the signalled address stays connected, from where the peer should come anyway.
            self.sockets.connected = rtp_socket::disconnect(&self.sockets.rtp).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_noise_do_not_sound_and_speech_does() {
        for (encoding, law) in [(Encoding::Pcmu, Law::Mu), (Encoding::Pcma, Law::A)] {
            let mut codes = [0; 4];
            law.encode(&[0, 8, -8, 24], &mut codes);
            let mut path = Path::default();
            path.listen(encoding, &codes);
            assert!(!path.facts.sounded, "{law:?} {codes:?}");
            law.encode(&[0, 0, -1000, 0], &mut codes);
            path.listen(encoding, &codes);
            assert!(path.facts.sounded);
            path.listen(encoding, &[law.silence(); 4]);
            assert!(path.facts.sounded, "once is enough");
        }
    }
}
