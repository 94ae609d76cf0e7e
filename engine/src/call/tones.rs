//! The verbs that listen for tones of the network, and find out who answered; and what a tone says of a call in the words of SIP and Q.850.
use super::verb::{Audio, KeyPress, Repeat};
use crate::media::Attention;
use std::time::{Duration, Instant};
use trunkline_dsp::answering::{Answerer, Finding, Settings, Verdict};
use trunkline_dsp::progress::{Heard, Information, Kind, Plan};

/// [`Verb::WaitForTone`](super::Verb::WaitForTone).
#[derive(Debug, Clone, PartialEq)]
pub struct WaitForTone {
    /// Played meanwhile.
    pub prompts: Vec<Audio>,
    /// How often.
    pub repeat: Repeat,
    /// Whose tones.
    pub plan: &'static Plan,
    /// Only these, by the names of [`Kind::name`]; empty: all.
    pub kinds: Vec<String>,
    /// Keys that end it; others are kept for the next gather.
    pub stop_keys: String,
    /// Limit in ms.
    pub max_ms: u32,
}

/// How a wait for a tone ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ToneEnd {
    /// One was heard.
    Heard(Heard),
    /// A stop key.
    Key(KeyPress),
    /// None came in time.
    TimeLimit,
}

/// [`Verb::DetectMachine`](super::Verb::DetectMachine).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetectMachine {
    /// Whose tones the network has.
    pub plan: &'static Plan,
    /// The limits.
    pub settings: Settings,
    /// The program goes on meanwhile, and events tell who answered.
    pub background: bool,
}

impl DetectMachine {
    pub(super) fn attention(&self) -> Attention {
        Attention {
            tones: None,
            answering: Some((self.plan, self.settings)),
        }
    }
}

/// What is done once it is known who answered a call that we placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMachine {
    /// A machine is hung up on; nothing is said to it.
    Hangup,
    /// Nothing: the call goes on meanwhile, and events tell who answered.
    Continue,
    /// The call goes on at once with a human, and with a machine when it has beeped.
    WaitForBeep,
}

impl OnMachine {
    /// Every one by its name.
    pub const ALL: [(&'static str, OnMachine); 3] = [
        ("hangup", OnMachine::Hangup),
        ("continue", OnMachine::Continue),
        ("wait-for-beep", OnMachine::WaitForBeep),
    ];

    /// The usual limits.
    pub fn detect(self) -> DetectMachine {
        DetectMachine {
            plan: Plan::to_hear("any").expect("local invariant: a plan of its own"),
            settings: Settings {
                wait_for_beep: self == OnMachine::WaitForBeep,
                ..Settings::default()
            },
            background: self == OnMachine::Continue,
        }
    }
}

/// A first packet that is awaited, and a verdict that comes late, are not missed.
const GRACE: Duration = Duration::from_secs(2);

/// A detection under way.
pub(super) struct Vetting {
    settings: Settings,
    /// When it is given up.
    pub(super) deadline: Instant,
    /// Audio that begins later gets no time: a far end that changes its codec again and again begins anew each time.
    latest_begin: Instant,
    /// What is known so far.
    pub(super) found: MachineDetected,
}

impl Vetting {
    pub(super) fn new(now: Instant, detect: &DetectMachine) -> Vetting {
        Vetting {
            settings: detect.settings,
            deadline: latest(now, detect.settings),
            latest_begin: latest(now, detect.settings) + ms(detect.settings.total_analysis_ms),
            found: MachineDetected {
                verdict: None,
                beep: false,
            },
        }
    }

    /// The far end's audio begins, and the times run.
    pub(super) fn begin(&mut self, now: Instant) {
        if now <= self.latest_begin {
            self.deadline = self.deadline.max(latest(now, self.settings));
        }
    }

    /// Takes a finding. Whether nothing else is to come.
    pub(super) fn take(&mut self, now: Instant, finding: Finding) -> bool {
        match finding {
            Finding::Verdict(verdict) => {
                self.found.verdict = Some(verdict);
                self.found.beep = verdict.beep;
                let waits = self.found.is_machine() && !verdict.beep && self.settings.wait_for_beep;
                if waits {
                    self.deadline = now + ms(self.settings.max_message_ms) + GRACE;
                }
                !waits
            }
            Finding::GreetingOver { beep, .. } => {
                self.found.beep = beep;
                true
            }
        }
    }
}

/// When a verdict on audio that begins now has come.
fn latest(now: Instant, settings: Settings) -> Instant {
    now + ms(settings.total_analysis_ms) + GRACE
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineDetected {
    /// `None`: no audio came.
    pub verdict: Option<Verdict>,
    /// The machine has beeped: what is said now is recorded.
    pub beep: bool,
}

impl MachineDetected {
    /// Whether it is sure to be a machine.
    pub fn is_machine(&self) -> bool {
        self.verdict
            .is_some_and(|verdict| verdict.answerer == Answerer::Machine)
    }
}

/// What a call is told whose far end gives a tone instead of an answer: SIP status and Q.850 cause; `None` where the tone is no refusal.
pub(super) fn refusal_of(kind: Kind) -> Option<(u16, u8)> {
    match kind {
        Kind::Busy => Some((486, 17)),
        Kind::Congestion => Some((503, 34)),
        Kind::Unobtainable => Some((404, 1)),
        Kind::Information(Information::VacantCode) => Some((404, 1)),
        // ANSI T1.113 and Q.850: number changed.
        Kind::Information(Information::Intercept) => Some((410, 22)),
        Kind::Information(Information::NoCircuit) => Some((503, 34)),
        Kind::Information(Information::Reorder) => Some((503, 42)),
        Kind::Information(Information::Announcement) => Some((480, 31)),
        Kind::Dial
        | Kind::Ringback
        | Kind::CallWaiting
        | Kind::FaxCalling
        | Kind::FaxAnswer { .. } => None,
    }
}

/// The tone's name with what it means: `information:vacant_code`.
pub(super) fn full_name(kind: Kind) -> String {
    match kind {
        Kind::Information(information) => format!("{}:{}", kind.name(), information.name()),
        kind => kind.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_dsp::answering::Because;

    #[test]
    fn audio_that_begins_late_has_its_whole_time() {
        let detect = OnMachine::WaitForBeep.detect();
        let analysis = ms(detect.settings.total_analysis_ms);
        let started = Instant::now();
        let mut vetting = Vetting::new(started, &detect);
        assert_eq!(vetting.deadline, started + analysis + GRACE);
        let late = started + Duration::from_secs(3);
        vetting.begin(late);
        assert_eq!(vetting.deadline, late + analysis + GRACE);
        let last = started + 2 * analysis + GRACE;
        let mut again_and_again = Vetting::new(started, &detect);
        for second in 1..100 {
            again_and_again.begin(started + Duration::from_secs(second));
        }
        assert_eq!(again_and_again.deadline, last + analysis + GRACE);
        again_and_again.begin(last + ms(1));
        assert_eq!(again_and_again.deadline, last + analysis + GRACE);
        // A greeting that is heard to its end is not cut short by a change of codec.
        let machine = Finding::Verdict(Verdict {
            answerer: Answerer::Machine,
            because: Because::LongGreeting,
            after_ms: 1600,
            words: 3,
            voice_ms: 1600,
            beep: false,
        });
        assert!(!vetting.take(late, machine));
        let over = late + ms(detect.settings.max_message_ms) + GRACE;
        vetting.begin(late + Duration::from_secs(1));
        assert_eq!(vetting.deadline, over);
    }

    #[test]
    fn a_tone_refuses_as_a_response_would() {
        let information = Kind::Information;
        for (kind, expected) in [
            (Kind::Busy, Some((486, 17))),
            (Kind::Congestion, Some((503, 34))),
            (information(Information::VacantCode), Some((404, 1))),
            (information(Information::NoCircuit), Some((503, 34))),
            (information(Information::Intercept), Some((410, 22))),
            (Kind::Ringback, None),
            (Kind::FaxCalling, None),
        ] {
            assert_eq!(refusal_of(kind), expected, "{kind:?}");
        }
        assert_eq!(
            full_name(information(Information::Reorder)),
            "information:reorder"
        );
        assert_eq!(full_name(Kind::Busy), "busy");
    }
}
