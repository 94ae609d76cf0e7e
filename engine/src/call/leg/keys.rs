//! Keys that a call passes on to the far end of a leg, one after the other, in the way the leg carries them.
use super::{Input, Leg};
use crate::media::Command as MediaCommand;

/// Keys that may wait to be sent; nobody presses faster for long.
const WAITING: usize = 32;
/// The id of digits sent by [`Leg::press`]; those of verbs count from 1.
const PRESSES: u32 = 0;
/// Length of a key whose own is not known, and the bounds of what is sent, in ms.
const TONE_MS: u32 = 100;
const SHORTEST_MS: u32 = 60;
const LONGEST_MS: u32 = 60_000;
/// Pause after each key, in ms.
const GAP_MS: u32 = 60;

/// How keys reach a far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum KeyPath {
    /// RFC 4733 events.
    Events,
    /// Tones in the audio.
    InBand,
    /// SIP INFO.
    Info,
}

/// A key on its way to the far end.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutgoingKey {
    digit: char,
    /// Its length, once it is up.
    ms: Option<u32>,
}

impl Leg {
    /// How keys are sent on this leg.
    pub(in super::super) fn key_path(&self) -> KeyPath {
        let events = self
            .negotiation
            .agreed()
            .is_some_and(|agreed| agreed.telephone_event_send.is_some());
        match self.settings.dtmf {
            crate::config::DtmfMode::Info => KeyPath::Info,
            _ if events => KeyPath::Events,
            _ => KeyPath::InBand,
        }
    }

    /// Whether the far end can send keys as RFC 4733 events.
    pub(in super::super) fn hears_events(&self) -> bool {
        self.negotiation
            .agreed()
            .is_some_and(|agreed| agreed.telephone_event_recv.is_some())
    }

    /// Holds a key down at the far end until [`press`](Leg::press) lets it go. Where the leg cannot say so, nothing is sent before.
    pub(in super::super) fn press_down(&mut self, digit: char) {
        if self.key_path() != KeyPath::Info {
            self.queue(OutgoingKey { digit, ms: None });
        }
    }

    /// Whether a key is held down at the far end.
    pub(in super::super) fn is_pressed(&self, digit: char) -> bool {
        let mut keys = self.outgoing_keys.iter();
        keys.any(|key| key.digit == digit && key.ms.is_none())
    }

    /// Presses a key at the far end, or lets the one go that is held down.
    pub(in super::super) fn press(&mut self, digit: char, duration_ms: Option<u32>) {
        let ms = duration_ms
            .unwrap_or(TONE_MS)
            .clamp(SHORTEST_MS, LONGEST_MS);
        let held = |key: &OutgoingKey| key.digit == digit && key.ms.is_none();
        if let Some(at) = self.outgoing_keys.iter().position(held) {
            return self.let_go(at, ms);
        }
        if self.key_path() == KeyPath::Info {
            return self.inform(digit, ms);
        }
        self.queue(OutgoingKey {
            digit,
            ms: Some(ms),
        });
    }

    /// Sends a key as SIP INFO.
    pub(in super::super) fn inform(&self, digit: char, ms: u32) {
        let body = format!("Signal={digit}\r\nDuration={ms}\r\n");
        self.sip.send(crate::net::sip::Command::Info(
            self.id,
            "application/dtmf-relay".to_owned(),
            body.into_bytes(),
        ));
    }

    /// Lets all keys go that are held down: whoever pressed them is not heard any more.
    pub(super) fn let_keys_go(&mut self) {
        for at in 0..self.outgoing_keys.len() {
            if self.outgoing_keys[at].ms.is_none() {
                self.let_go(at, SHORTEST_MS);
            }
        }
    }

    fn let_go(&mut self, at: usize, ms: u32) {
        self.outgoing_keys[at].ms = Some(ms);
        if at == 0 {
            // A channel that is gone sends nothing any more.
            let _ = self.media(MediaCommand::ReleaseDigit {
                id: PRESSES,
                tone_ms: ms,
            });
        }
    }

    fn queue(&mut self, key: OutgoingKey) {
        if self.outgoing_keys.len() >= WAITING {
            tracing::info!(
                rule = "keys-waiting",
                limit = WAITING,
                "key dropped: too many wait to be sent"
            );
            return;
        }
        self.outgoing_keys.push_back(key);
        if self.outgoing_keys.len() == 1 {
            self.send_key();
        }
    }

    fn send_key(&mut self) {
        while let Some(&OutgoingKey { digit, ms }) = self.outgoing_keys.front() {
            let command = MediaCommand::SendDigits {
                id: PRESSES,
                digits: digit.to_string(),
                tone_ms: ms.unwrap_or(LONGEST_MS),
                gap_ms: GAP_MS,
            };
            match self.media(command) {
                Ok(()) => return,
                Err(error) => tracing::warn!(error, "key not sent"),
            }
            self.outgoing_keys.pop_front();
        }
    }

    pub(super) fn digits_sent(&mut self, id: u32) -> Option<Input> {
        if id != PRESSES {
            return Some(Input::DigitsSent(id));
        }
        self.outgoing_keys.pop_front();
        self.send_key();
        None
    }
}
