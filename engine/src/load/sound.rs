//! What callers say and what they listen for: an encoded pattern as busy as a prompt, keys as tones, and the steady tone that answers a key.

use trunkline_dsp::dtmf::{Generator, Key};
use trunkline_dsp::g711;

/// Samples of 20 ms at 8 kHz.
pub(super) const FRAME: usize = 160;
/// Frames of a key in the audio: three of silence, five of the tones, three of silence.
pub(super) const KEY_FRAMES: usize = 11;
/// The last frame with tones.
pub(super) const KEY_LAST: usize = 7;
/// Keys that callers press, by number.
const KEYS: &str = "0123456789";

/// Which half of G.711.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// PCMU.
    Mu,
    /// PCMA.
    A,
}

impl Law {
    /// RFC 3551 section 6.
    pub fn payload_type(self) -> u8 {
        match self {
            Law::Mu => 0,
            Law::A => 8,
        }
    }

    /// The name in a session description.
    pub fn name(self) -> &'static str {
        match self {
            Law::Mu => "PCMU",
            Law::A => "PCMA",
        }
    }

    fn encode(self, samples: &[i16]) -> Vec<u8> {
        let one = match self {
            Law::Mu => g711::ulaw_encode,
            Law::A => g711::alaw_encode,
        };
        samples.iter().map(|sample| one(*sample)).collect()
    }

    fn decode(self, octet: u8) -> i16 {
        match self {
            Law::Mu => g711::ulaw_decode(octet),
            Law::A => g711::alaw_decode(octet),
        }
    }

    fn silence(self) -> u8 {
        match self {
            Law::Mu => g711::ULAW_SILENCE,
            Law::A => g711::ALAW_SILENCE,
        }
    }
}

/// Everything that is sent, encoded once and shared by all callers.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) law: Law,
    /// Whole frames, repeated without end.
    pattern: Vec<u8>,
    silence: [u8; FRAME],
    keys: Vec<Vec<u8>>,
}

impl Sound {
    /// `samples` at 8 kHz is what talkers say; without any, a pattern made here.
    pub(super) fn new(law: Law, samples: Option<&[i16]>) -> Sound {
        let mut pattern = match samples.filter(|samples| samples.len() >= FRAME) {
            Some(samples) => law.encode(samples),
            None => law.encode(&babble()),
        };
        pattern.truncate(pattern.len() / FRAME * FRAME);
        Sound {
            law,
            pattern,
            silence: [law.silence(); FRAME],
            keys: KEYS
                .chars()
                .map(|key| law.encode(&key_tones(key)))
                .collect(),
        }
    }

    /// A frame of the pattern; it repeats.
    pub(super) fn frame(&self, number: usize) -> &[u8] {
        let first = number % (self.pattern.len() / FRAME) * FRAME;
        &self.pattern[first..first + FRAME]
    }

    pub(super) fn silence(&self) -> &[u8] {
        &self.silence
    }

    /// A frame of a key's tones, 0 to [`KEY_FRAMES`].
    pub(super) fn key(&self, key: u8, frame: usize) -> &[u8] {
        let first = frame.min(KEY_FRAMES - 1) * FRAME;
        &self.keys[usize::from(key) % self.keys.len()][first..first + FRAME]
    }
}

/// Ten seconds of something like speech: syllables of a 130 Hz buzz with its harmonics, and pauses between phrases.
fn babble() -> Vec<i16> {
    let sample = |n: usize| {
        let time = n as f32 / 8000.0;
        let pause = time % 2.5 > 2.0;
        let syllable = (time * 4.0 * std::f32::consts::PI).sin().abs();
        let pitch = 130.0 + 15.0 * (time * 1.7).sin();
        let buzz: f32 = (1u8..12)
            .map(|h| (time * pitch * std::f32::consts::TAU * f32::from(h)).sin() / f32::from(h))
            .sum();
        if pause {
            0
        } else {
            (buzz * syllable * 4000.0) as i16
        }
    };
    (0..80_000).map(sample).collect()
}

fn key_tones(key: char) -> Vec<i16> {
    let mut samples = vec![0; KEY_FRAMES * FRAME];
    if let Some(key) = Key::from_char(key) {
        Generator::new(8000, key, -10.0, -10.0)
            .fill(&mut samples[3 * FRAME..(KEY_LAST + 1) * FRAME]);
    }
    samples
}

/// Whether a frame is one steady tone of 1 to 4 kHz, above about -40 dBm0: the answer of `builtin:load-ivr` to a key.
///
/// A sine obeys `x[n] + x[n-2] = c x[n-1]`; what is left over after the best `c` must be below 1 % of the frame's power. Differences of
/// neighbours are looked at, in which the low half of speech does not outweigh the rest.
pub(super) fn is_steady_tone(law: Law, payload: &[u8]) -> bool {
    if payload.len() < FRAME {
        return false;
    }
    let mut samples = [0.0f32; FRAME];
    for (sample, octet) in samples.iter_mut().zip(payload) {
        *sample = f32::from(law.decode(*octet));
    }
    let power: f32 = samples.iter().map(|sample| sample * sample).sum::<f32>() / FRAME as f32;
    if power < 230.0 * 230.0 / 2.0 {
        return false;
    }
    let (mut cross, mut middle, mut outer) = (0.0f32, 0.0f32, 0.0f32);
    for n in (1..FRAME).rev() {
        samples[n] -= samples[n - 1];
    }
    for three in samples[1..].windows(3) {
        let sides = three[0] + three[2];
        cross += sides * three[1];
        middle += three[1] * three[1];
        outer += sides * sides;
    }
    let left_over = outer - cross * cross / middle.max(1.0);
    left_over < 0.01 * middle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, amplitude: f32) -> Vec<i16> {
        let sample = |n: u16| {
            ((f32::from(n) * hz / 8000.0).fract() * std::f32::consts::TAU + 0.7).sin() * amplitude
        };
        (0..160).map(|n| sample(n) as i16).collect()
    }

    #[test]
    fn a_tone_is_told_from_speech_keys_and_silence() {
        for law in [Law::Mu, Law::A] {
            for hz in [1000.0, 2600.0, 4000.0] {
                assert!(
                    is_steady_tone(law, &law.encode(&tone(hz, 10_000.0))),
                    "{hz}"
                );
            }
            let sound = Sound::new(law, None);
            assert!(!is_steady_tone(law, sound.silence()));
            assert!(!is_steady_tone(law, &[]));
            for frame in 0..500 {
                assert!(!is_steady_tone(law, sound.frame(frame)), "{frame}");
            }
            for key in 0..10 {
                let heard = (0..KEY_FRAMES)
                    .filter(|frame| is_steady_tone(law, sound.key(key, *frame)))
                    .count();
                assert_eq!(heard, 0, "{key}");
            }
        }
    }

    #[test]
    fn a_given_pattern_repeats_in_whole_frames() {
        let samples: Vec<i16> = (0..500).map(|n| n * 16).collect();
        let sound = Sound::new(Law::Mu, Some(&samples));
        assert_eq!(sound.frame(0), sound.frame(3));
        assert_eq!(sound.frame(2)[0], g711::ulaw_encode(320 * 16));
        assert_eq!(sound.key(3, 0), sound.silence());
    }
}
