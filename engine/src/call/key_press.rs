//! A key press and its evidence, as a program is given it.
use trunkline_dsp::dtmf::Measured;

/// Where a digit came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigitSource {
    /// Tones in the audio.
    InBand,
    /// RTP telephone events.
    Rfc4733,
    /// SIP INFO.
    Info,
}

impl DigitSource {
    /// All of them.
    pub const ALL: [DigitSource; 3] = [Self::InBand, Self::Rfc4733, Self::Info];

    /// Its name in logs, counters and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::InBand => "inband",
            Self::Rfc4733 => "rfc4733",
            Self::Info => "info",
        }
    }
}

/// The sources that reported one press.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sources(u8);

impl Sources {
    /// Whether that source is among them.
    pub fn contains(self, source: DigitSource) -> bool {
        self.0 & (1 << source as u8) != 0
    }

    /// Adds one.
    pub fn insert(&mut self, source: DigitSource) {
        self.0 |= 1 << source as u8;
    }
}

impl From<DigitSource> for Sources {
    fn from(source: DigitSource) -> Sources {
        Sources(1 << source as u8)
    }
}

/// Their names, the most exact first, joined by `+`.
impl std::fmt::Display for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use DigitSource::{InBand, Info, Rfc4733};
        let among = [Rfc4733, InBand, Info].into_iter();
        for (n, source) in among.filter(|of| self.contains(*of)).enumerate() {
            f.write_str(if n == 0 { "" } else { "+" })?;
            f.write_str(source.name())?;
        }
        Ok(())
    }
}

/// One key press with its evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyPress {
    /// `0-9*#A-D`.
    pub digit: char,
    /// The source that reported it first.
    pub source: DigitSource,
    /// All that had reported it when it was released.
    pub sources: Sources,
    /// When it went down, in ms since the leg began.
    pub began_ms: u32,
    /// Length in ms, where it is known; the press ended that long after it began.
    pub duration_ms: Option<u32>,
    /// Level in dBm0: of both tones together where they were heard, else what the telephone event states.
    pub level_dbm0: Option<f32>,
    /// What the tones were like, where they were heard.
    pub tone: Option<Measured>,
}

impl KeyPress {
    /// A press of which nothing more is known.
    pub fn new(digit: char, source: DigitSource) -> KeyPress {
        KeyPress {
            digit,
            source,
            sources: source.into(),
            began_ms: 0,
            duration_ms: None,
            level_dbm0: None,
            tone: None,
        }
    }

    /// When it went up, in ms since the leg began, where that is known.
    pub fn ended_ms(&self) -> Option<u32> {
        self.duration_ms.map(|ms| self.began_ms.saturating_add(ms))
    }
}
