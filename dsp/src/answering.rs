//! Who answered a call: a human, a machine that plays a greeting, a fax machine, nobody.
//!
//! A human says a word or two and waits; a machine speaks at length, and then beeps. That is all there is to it, so the answer is a guess;
//! the names and defaults of its limits are those of Asterisk's AMD. Blocks of 10 ms are voice, tone or silence. Tones of the network and
//! of fax machines are told as such and are never taken for a voice.

use crate::beep::BeepDetector;
use crate::blocks::Blocks;
use crate::progress::{Heard, Kind, Listener, Plan};

/// Length of a block in ms.
const BLOCK_MS: u32 = 10;
/// Voice is this far above the noise, dB, and the noise is never taken to be above that, dBm0.
const ABOVE_NOISE_DB: f32 = 10.0;
const NOISE_MAX_DBM0: f32 = -40.0;
/// A beep may be the first of the tones of an exchange: it counts when no other has come for this long, ms.
const BEEP_ALONE_MS: u32 = 1600;

/// The limits, in ms where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Silence before anything is said that is longer: [`Answerer::Silence`].
    pub initial_silence_ms: u32,
    /// Voice in all that is longer: a machine.
    pub greeting_ms: u32,
    /// Silence after a voice that is as long: a human, who waits.
    pub after_greeting_silence_ms: u32,
    /// When nothing is known after this time: [`Answerer::NotSure`].
    pub total_analysis_ms: u32,
    /// A voice that is shorter is no word.
    pub min_word_ms: u32,
    /// A single word that is longer: a machine.
    pub max_word_ms: u32,
    /// Silence that is as long ends a word.
    pub between_words_silence_ms: u32,
    /// More words than so many: a machine.
    pub max_words: u32,
    /// Voice is louder than this, dBm0.
    pub silence_threshold_dbm0: i32,
    /// After a machine was found: whether its greeting is listened to until the beep.
    pub wait_for_beep: bool,
    /// Then silence that is as long ends the greeting too,
    pub end_silence_ms: u32,
    /// and it lasts that long at most.
    pub max_message_ms: u32,
}

impl Default for Settings {
    /// Those of Asterisk's `amd.conf`; its threshold of 256 is about -34 dBm0, we listen more closely.
    fn default() -> Settings {
        Settings {
            initial_silence_ms: 2500,
            greeting_ms: 1500,
            after_greeting_silence_ms: 800,
            total_analysis_ms: 5000,
            min_word_ms: 100,
            max_word_ms: 5000,
            between_words_silence_ms: 50,
            max_words: 3,
            silence_threshold_dbm0: -38,
            wait_for_beep: false,
            end_silence_ms: 2500,
            max_message_ms: 60_000,
        }
    }
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answerer {
    /// A human.
    Human,
    /// A machine that plays a greeting.
    Machine,
    /// A fax machine.
    Fax,
    /// The network: busy, congestion, an information tone.
    Tone(Kind),
    /// Nobody said anything.
    Silence,
    /// It cannot be told.
    NotSure,
}

impl Answerer {
    /// Its name: `human`, `machine`, `fax`, `silence`, `notsure`; the tone's where the network answered.
    pub fn name(self) -> &'static str {
        match self {
            Answerer::Human => "human",
            Answerer::Machine => "machine",
            Answerer::Fax => "fax",
            Answerer::Tone(kind) => kind.name(),
            Answerer::Silence => "silence",
            Answerer::NotSure => "notsure",
        }
    }
}

/// Which limit decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Because {
    /// [`Settings::initial_silence_ms`].
    InitialSilence,
    /// [`Settings::greeting_ms`].
    LongGreeting,
    /// [`Settings::max_words`].
    MaxWords,
    /// [`Settings::max_word_ms`].
    MaxWordLength,
    /// [`Settings::after_greeting_silence_ms`].
    SilenceAfterGreeting,
    /// [`Settings::total_analysis_ms`].
    TooLong,
    /// A beep.
    Beep,
    /// A tone of the network or of a fax machine.
    Tone,
}

impl Because {
    /// Its name, as Asterisk's `AMDCAUSE` begins: `LONGGREETING`.
    pub fn name(self) -> &'static str {
        match self {
            Because::InitialSilence => "INITIALSILENCE",
            Because::LongGreeting => "LONGGREETING",
            Because::MaxWords => "MAXWORDS",
            Because::MaxWordLength => "MAXWORDLENGTH",
            Because::SilenceAfterGreeting => "HUMAN",
            Because::TooLong => "TOOLONG",
            Because::Beep => "BEEP",
            Because::Tone => "TONE",
        }
    }
}

/// What was found, with its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who answered.
    pub answerer: Answerer,
    /// What says so.
    pub because: Because,
    /// Since listening began.
    pub after_ms: u32,
    /// Words that were heard.
    pub words: u32,
    /// Voice in all.
    pub voice_ms: u32,
    /// The machine has beeped: it records now.
    pub beep: bool,
}

/// What the detector tells: one verdict, and where it was asked for, the end of the machine's greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Who answered.
    Verdict(Verdict),
    /// The machine's greeting is over; `beep`: by a beep.
    GreetingOver {
        /// Else it fell silent, or spoke too long.
        beep: bool,
        /// Since listening began.
        after_ms: u32,
    },
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{ANYWHERE, Plan, Player};
    use crate::test_signals::{Random, speech};
    use std::vec::Vec;

    /// What is said in a row: voice, silence and beeps, in ms.
    enum Said {
        Voice(usize),
        Pause(usize),
        Beep(f32, usize),
        Tone(&'static str, usize),
        Answering(usize),
    }
    use Said::{Answering, Beep, Pause, Tone, Voice};

    fn audio(rate_hz: u32, parts: &[Said]) -> Vec<i16> {
        let mut random = Random::new(4);
        let per_ms = rate_hz as usize / 1000;
        // A vowel: without pauses of its own.
        let mut vowel = |ms: usize| -> Vec<i16> {
            let mut phase = 0.0;
            (0..ms * per_ms)
                .map(|n| {
                    phase += (120.0 + 20.0 * (n as f64 / 9000.0).sin()) / f64::from(rate_hz);
                    let wave = (phase % 1.0 - 0.5) + 0.3 * random.normal();
                    (wave * 4000.0) as i16
                })
                .collect()
        };
        let tone = |hz, ms: usize| {
            let mut out = std::vec![0; ms * per_ms];
            crate::tone::Tone::new(rate_hz, [hz, 0.0], -14.0).fill(&mut out);
            out
        };
        let mut out = Vec::new();
        for part in parts {
            out.extend(match *part {
                Voice(ms) => vowel(ms),
                Pause(ms) => std::vec![0; ms * per_ms],
                Beep(hz, ms) => tone(hz, ms),
                Answering(ms) => tone(2100.0, ms),
                Said::Tone(name, ms) => {
                    let mut out = std::vec![0; ms * per_ms];
                    let plan = Plan::of("us").unwrap();
                    let mut player = match name {
                        "information" => {
                            Player::information(rate_hz, crate::progress::Information::VacantCode)
                        }
                        name => Player::of(rate_hz, plan.signal(name).unwrap()),
                    };
                    player.fill(&mut out);
                    out
                }
            });
        }
        out.extend(std::vec![0; 6000 * per_ms]);
        out
    }

    fn findings(rate_hz: u32, settings: Settings, samples: &[i16]) -> Vec<Finding> {
        let (mut detector, mut all) = (Detector::new(rate_hz, &ANYWHERE, settings), Vec::new());
        for frame in samples.chunks(rate_hz as usize / 50) {
            detector.process(frame, |finding| all.push(finding));
        }
        all
    }

    #[test]
    fn the_truth_table() {
        let usual = Settings::default();
        let (machine, human) = (Answerer::Machine, Answerer::Human);
        let table: [(&str, &[Said], Answerer, Because); 16] = [
            ("nothing", &[], Answerer::Silence, Because::InitialSilence),
            (
                "late",
                &[Pause(2700), Voice(300)],
                Answerer::Silence,
                Because::InitialSilence,
            ),
            (
                "hello",
                &[Pause(400), Voice(350)],
                human,
                Because::SilenceAfterGreeting,
            ),
            (
                "at once",
                &[Voice(350)],
                human,
                Because::SilenceAfterGreeting,
            ),
            (
                "two words",
                &[Pause(900), Voice(300), Pause(120), Voice(400)],
                human,
                Because::SilenceAfterGreeting,
            ),
            (
                "a click",
                &[Pause(300), Voice(40)],
                Answerer::Silence,
                Because::InitialSilence,
            ),
            (
                "long",
                &[Pause(300), Voice(1700)],
                machine,
                Because::LongGreeting,
            ),
            (
                "four words",
                &[
                    Voice(200),
                    Pause(100),
                    Voice(200),
                    Pause(100),
                    Voice(200),
                    Pause(100),
                    Voice(200),
                ],
                machine,
                Because::MaxWords,
            ),
            (
                "slow",
                &[
                    Voice(200),
                    Pause(700),
                    Voice(200),
                    Pause(700),
                    Voice(200),
                    Pause(700),
                ],
                human,
                Because::SilenceAfterGreeting,
            ),
            (
                "beep after a word",
                &[Pause(300), Voice(500), Pause(300), Beep(1000.0, 400)],
                machine,
                Because::Beep,
            ),
            (
                "beep alone",
                &[Pause(500), Beep(1000.0, 400)],
                machine,
                Because::Beep,
            ),
            (
                "fax",
                &[Pause(1000), Answering(2900)],
                Answerer::Fax,
                Because::Tone,
            ),
            (
                "busy",
                &[Pause(300), Tone("busy", 4000)],
                Answerer::Tone(Kind::Busy),
                Because::Tone,
            ),
            (
                "congestion",
                &[Pause(300), Tone("congestion", 4000)],
                Answerer::Tone(Kind::Congestion),
                Because::Tone,
            ),
            (
                "ringing",
                &[Tone("ringback", 9000)],
                Answerer::Silence,
                Because::InitialSilence,
            ),
            (
                "information",
                &[Pause(300), Tone("information", 1034)],
                Answerer::Tone(Kind::Information(crate::progress::Information::VacantCode)),
                Because::Tone,
            ),
        ];
        for (name, parts, answerer, because) in table {
            for rate_hz in [8000, 16_000] {
                let all = findings(rate_hz, usual, &audio(rate_hz, parts));
                let [Finding::Verdict(verdict)] = all[..] else {
                    panic!("{name}: {all:?}");
                };
                let found = (verdict.answerer, verdict.because);
                assert_eq!(found, (answerer, because), "{name} {rate_hz}: {verdict:?}");
            }
        }
    }

    #[test]
    fn every_limit_can_be_moved() {
        let usual = Settings::default();
        let hello = [Pause(400), Voice(350)];
        let long = [Pause(300), Voice(1700)];
        let words = [
            Voice(200),
            Pause(100),
            Voice(200),
            Pause(100),
            Voice(200),
            Pause(100),
            Voice(200),
        ];
        let cases: [(Settings, &[Said], Answerer); 6] = [
            (
                Settings {
                    initial_silence_ms: 300,
                    ..usual
                },
                &hello,
                Answerer::Silence,
            ),
            (
                Settings {
                    greeting_ms: 2000,
                    ..usual
                },
                &long,
                Answerer::Human,
            ),
            (
                Settings {
                    max_words: 4,
                    ..usual
                },
                &words,
                Answerer::Human,
            ),
            (
                Settings {
                    max_word_ms: 1000,
                    greeting_ms: 9000,
                    ..usual
                },
                &long,
                Answerer::Machine,
            ),
            (
                Settings {
                    total_analysis_ms: 1000,
                    ..usual
                },
                &hello,
                Answerer::NotSure,
            ),
            (
                Settings {
                    min_word_ms: 400,
                    ..usual
                },
                &hello,
                Answerer::Silence,
            ),
        ];
        for (index, (settings, parts, answerer)) in cases.into_iter().enumerate() {
            let all = findings(8000, settings, &audio(8000, parts));
            let [Finding::Verdict(verdict)] = all[..] else {
                panic!("{index}: {all:?}");
            };
            assert_eq!(verdict.answerer, answerer, "{index}: {verdict:?}");
        }
    }

    #[test]
    fn the_greeting_of_a_machine_is_over_at_its_beep_or_when_it_falls_silent() {
        let settings = Settings {
            wait_for_beep: true,
            ..Settings::default()
        };
        let greeting = || Voice(4000);
        for (parts, beep) in [
            (
                &[Pause(300), greeting(), Pause(600), Beep(1400.0, 500)][..],
                true,
            ),
            (
                &[Pause(300), greeting(), Pause(600), Beep(440.0, 250)],
                true,
            ),
            (&[Pause(300), greeting()], false),
        ] {
            let all = findings(8000, settings, &audio(8000, parts));
            let [
                Finding::Verdict(verdict),
                Finding::GreetingOver { beep: found, .. },
            ] = all[..]
            else {
                panic!("{all:?}");
            };
            assert_eq!((verdict.answerer, found), (Answerer::Machine, beep));
        }
    }

    #[test]
    fn a_voice_is_no_fax_and_does_not_beep() {
        for seed in 0..20 {
            let all = findings(8000, Settings::default(), &speech(seed, 8.0));
            let [Finding::Verdict(verdict)] = all[..] else {
                panic!("{all:?}");
            };
            assert_ne!(verdict.answerer, Answerer::Fax, "{seed}");
            assert!(!verdict.beep, "{seed}");
        }
    }
}
