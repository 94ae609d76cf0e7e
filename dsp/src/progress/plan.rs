//! What a tone is made of, and the tones of a country.

use super::information::Information;
use super::table::COUNTRIES;

/// What a tone means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Dial a number.
    Dial,
    /// The called party's phone rings.
    Ringback,
    /// The called party is busy.
    Busy,
    /// The network is busy: congestion or reorder tone.
    Congestion,
    /// Somebody else calls.
    CallWaiting,
    /// No such number.
    Unobtainable,
    /// The special information tone: three tones, then an announcement.
    Information(Information),
    /// A fax machine that calls (CNG, T.30 clause 4.2.1).
    FaxCalling,
    /// A fax machine or modem that answers (CED, ANS, ANSam).
    FaxAnswer {
        /// Its phase is reversed every 450 ms (V.25).
        reversals: bool,
        /// Its level swings at 15 Hz (V.8 ANSam).
        modulated: bool,
    },
}

impl Kind {
    /// Its name: `busy`, `ringback`, `fax_calling`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Dial => "dial",
            Kind::Ringback => "ringback",
            Kind::Busy => "busy",
            Kind::Congestion => "congestion",
            Kind::CallWaiting => "call_waiting",
            Kind::Unobtainable => "unobtainable",
            Kind::Information(_) => "information",
            Kind::FaxCalling => "fax_calling",
            Kind::FaxAnswer { .. } => "fax_answer",
        }
    }
}

/// What sounds while a tone is on; frequencies in Hz.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sound {
    /// A sine.
    One(f32),
    /// Two sines of one level.
    Two(f32, f32),
    /// A sine whose amplitude swings by 90 % in the rhythm of another.
    Swinging(f32, f32),
}

impl Sound {
    /// The frequencies it consists of, and the level of each against the tone's as a ratio; 0 Hz: none.
    pub(super) fn parts(self) -> [(f32, f32); 3] {
        match self {
            Sound::One(hz) => [(hz, 1.0), (0.0, 0.0), (0.0, 0.0)],
            Sound::Two(one, other) => [(one, 1.0), (other, 1.0), (0.0, 0.0)],
            Sound::Swinging(hz, by) => [(hz - by, 0.45), (hz, 1.0), (hz + by, 0.45)],
        }
    }
}

/// A stretch of sound and the silence behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Length of the sound in ms.
    pub on_ms: u16,
    /// Length of the silence in ms.
    pub off_ms: u16,
    /// So many dB below the level of the tone.
    pub down_db: u8,
}

/// A tone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// What it means.
    pub kind: Kind,
    /// What sounds.
    pub sound: Sound,
    /// Level of each sine in dBm0; of [`Sound::Swinging`] the level of the carrier.
    pub dbm0: f32,
    /// Its rhythm, which repeats; none: it goes on evenly.
    pub beats: &'static [Beat],
}

/// The tones of a country.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// ISO 3166-1 code in small letters (`uk` for the United Kingdom), or `itu` for what E.180 recommends.
    pub code: &'static str,
    /// The country's name.
    pub name: &'static str,
    /// Its tones.
    pub signals: &'static [Signal],
    /// The frequency is not part of what tells its tones apart.
    pub(super) by_rhythm: bool,
}

/// By its code.
impl PartialEq for Plan {
    fn eq(&self, other: &Plan) -> bool {
        self.code == other.code
    }
}

impl Eq for Plan {}

impl Plan {
    /// The tones of the country of that code; `gb` is `uk`, `ca` is `us`.
    pub fn of(code: &str) -> Option<&'static Plan> {
        let same = match code {
            "gb" => "uk",
            "ca" => "us",
            code => code,
        };
        COUNTRIES.iter().find(|plan| plan.code == same)
    }

    /// What E.180 recommends where nothing else is said.
    pub fn recommended() -> &'static Plan {
        &COUNTRIES[0]
    }

    /// The tones to listen for: those of a country, or of `any`.
    pub fn to_hear(code: &str) -> Option<&'static Plan> {
        match code {
            "any" => Some(&super::table::ANYWHERE),
            code => Plan::of(code),
        }
    }

    /// Its first tone of that name, see [`Kind::name`].
    pub fn signal(&self, name: &str) -> Option<&Signal> {
        self.signals.iter().find(|one| one.kind.name() == name)
    }
}

impl Signal {
    /// The length of its rhythm in ms; 0 where it goes on evenly.
    pub fn cycle_ms(&self) -> u32 {
        let beats = self.beats.iter();
        beats
            .map(|beat| u32::from(beat.on_ms) + u32::from(beat.off_ms))
            .sum()
    }
}
