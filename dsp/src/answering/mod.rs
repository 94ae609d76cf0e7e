//! Who answered a call: a human, a machine that plays a greeting, a fax machine, nobody.
//!
//! A human says a word or two and waits; a machine speaks at length, and then beeps. That is all there is to it, so the answer is a guess;
//! the names and defaults of its limits are those of Asterisk's AMD. Blocks of 10 ms are voice, tone or silence. Tones of the network and
//! of fax machines are told as such and are never taken for a voice.

mod settings;
#[cfg(test)]
mod tests;
mod verdict;

use crate::beep::BeepDetector;
use crate::blocks::Blocks;
use crate::progress::{Heard, Kind, Listener, Plan};

pub use settings::Settings;
pub use verdict::{Answerer, Because, Finding, Verdict};

/// Length of a block in ms.
const BLOCK_MS: u32 = 10;
/// Voice is this far above the noise, dB, and the noise is never taken to be above that, dBm0.
const ABOVE_NOISE_DB: f32 = 10.0;
const NOISE_MAX_DBM0: f32 = -40.0;
/// A beep may be the first of the tones of an exchange: it counts when no other has come for this long, ms.
const BEEP_ALONE_MS: u32 = 1600;

/// The detector, for audio at 8 or 16 kHz.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: Settings,
    blocks: Blocks,
    tones: Listener,
    beeps: BeepDetector,
    noise_dbm0: f32,
    now_ms: u32,
    state: State,
    /// Voice and silence up to now, each since the other ended.
    voice_run_ms: u32,
    silence_run_ms: u32,
    voice_ms: u32,
    words: u32,
    /// The voice that runs was counted as a word.
    counted: bool,
    beep_at_ms: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Listening,
    /// It is a machine, whose greeting goes on.
    Greeting,
    Over,
}

impl Detector {
    /// Listens to audio at `rate_hz` samples per second, up to 16,000, with the tones of `plan`.
    pub fn new(rate_hz: u32, plan: &'static Plan, settings: Settings) -> Detector {
        Detector {
            settings,
            blocks: Blocks::new(rate_hz / 1000 * BLOCK_MS),
            tones: Listener::new(rate_hz, plan),
            beeps: BeepDetector::new(rate_hz),
            noise_dbm0: NOISE_MAX_DBM0,
            now_ms: 0,
            state: State::Listening,
            voice_run_ms: 0,
            silence_run_ms: 0,
            voice_ms: 0,
            words: 0,
            counted: false,
            beep_at_ms: None,
        }
    }

    /// Whether nothing more will be told.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes `samples` and tells what they show.
    pub fn process(&mut self, samples: &[i16], mut tell: impl FnMut(Finding)) {
        if self.is_over() {
            return;
        }
        let mut tone = None;
        self.tones.process(samples, |heard| tone = Some(heard));
        let mut beep = false;
        self.beeps.process(samples, |_| beep = true);
        let mut rest = samples;
        while let Some(level_dbm0) = self.blocks.next(&mut rest) {
            self.now_ms += BLOCK_MS;
            self.count(level_dbm0);
            if let Some(finding) = self.judge(tone.take(), core::mem::take(&mut beep)) {
                tell(finding);
            }
        }
    }

    /// Sorts a block into voice, silence and tone.
    fn count(&mut self, level_dbm0: f32) {
        let floor = self.noise_dbm0 + 0.02;
        self.noise_dbm0 = level_dbm0.clamp(-70.0, NOISE_MAX_DBM0).min(floor);
        let threshold = self.settings.silence_threshold_dbm0 as f32;
        let least = threshold.max(self.noise_dbm0 + ABOVE_NOISE_DB);
        if self.tones.hears_a_tone() || self.beeps.hears_a_tone() {
            // Its beginning was taken for a voice.
            self.voice_ms -= self.voice_run_ms.min(self.voice_ms);
            (self.voice_run_ms, self.silence_run_ms) = (0, 0);
        } else if level_dbm0 > least {
            self.voice_run_ms += BLOCK_MS;
            self.voice_ms += BLOCK_MS;
            self.silence_run_ms = 0;
            if self.voice_run_ms >= self.settings.min_word_ms && !self.counted {
                (self.words, self.counted) = (self.words + 1, true);
            }
        } else {
            self.silence_run_ms += BLOCK_MS;
            if self.silence_run_ms >= self.settings.between_words_silence_ms {
                if !self.counted {
                    self.voice_ms -= self.voice_run_ms.min(self.voice_ms);
                }
                (self.voice_run_ms, self.counted) = (0, false);
            }
        }
    }

    fn judge(&mut self, tone: Option<Heard>, beep: bool) -> Option<Finding> {
        match self.state {
            State::Listening => {
                let (answerer, because) = self.decide(tone, beep)?;
                let machine = answerer == Answerer::Machine && because != Because::Beep;
                self.state = match machine && self.settings.wait_for_beep {
                    true => State::Greeting,
                    false => State::Over,
                };
                Some(Finding::Verdict(Verdict {
                    answerer,
                    because,
                    after_ms: self.now_ms,
                    words: self.words,
                    voice_ms: self.voice_ms,
                    beep: because == Because::Beep,
                }))
            }
            State::Greeting => {
                let silent = self.silence_run_ms >= self.settings.end_silence_ms;
                if !beep && !silent && self.now_ms < self.settings.max_message_ms {
                    return None;
                }
                self.state = State::Over;
                Some(Finding::GreetingOver {
                    beep,
                    after_ms: self.now_ms,
                })
            }
            State::Over => None,
        }
    }

    /// The truth table.
    fn decide(&mut self, tone: Option<Heard>, beep: bool) -> Option<(Answerer, Because)> {
        let of = &self.settings;
        match tone.map(|heard| heard.kind) {
            Some(Kind::FaxCalling | Kind::FaxAnswer { .. }) => {
                return Some((Answerer::Fax, Because::Tone));
            }
            // It rings: nobody has answered yet.
            Some(Kind::Ringback | Kind::Dial | Kind::CallWaiting) | None => {}
            Some(kind) => return Some((Answerer::Tone(kind), Because::Tone)),
        }
        if beep {
            self.beep_at_ms = Some(self.now_ms);
        }
        if self.words == 0 && self.tones.may_have_rung() {
            self.beep_at_ms = None;
        }
        let sounds = self.tones.hears_a_tone() || self.beeps.hears_a_tone();
        let alone = |at| !sounds && self.now_ms - at >= BEEP_ALONE_MS;
        if let Some(at) = self.beep_at_ms {
            // After words it is a machine's; without any it may be the first tone of an exchange.
            return (self.words > 0 || alone(at)).then_some((Answerer::Machine, Because::Beep));
        }
        if self.voice_ms > of.greeting_ms {
            return Some((Answerer::Machine, Because::LongGreeting));
        }
        if self.words > of.max_words {
            return Some((Answerer::Machine, Because::MaxWords));
        }
        if self.counted && self.voice_run_ms > of.max_word_ms {
            return Some((Answerer::Machine, Because::MaxWordLength));
        }
        if self.words > 0 && self.silence_run_ms >= of.after_greeting_silence_ms {
            return Some((Answerer::Human, Because::SilenceAfterGreeting));
        }
        if self.words == 0 && self.silence_run_ms >= of.initial_silence_ms {
            return Some((Answerer::Silence, Because::InitialSilence));
        }
        (self.now_ms >= of.total_analysis_ms).then_some((Answerer::NotSure, Because::TooLong))
    }
}
