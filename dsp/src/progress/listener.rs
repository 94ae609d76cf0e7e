//! Hearing call-progress and fax tones.
//!
//! Each window of 20 ms is silence, a tone of the plan (most of its energy lies at the tone's frequencies) or something else. Windows make
//! pieces, pieces and the silences between them make rhythms ([`super::cadence`]). A tone is told when its rhythm has been heard for a
//! whole cycle and 1.4 s, one without a rhythm after 2 s or what else could be one beat of it. Silence costs a sum of squares.

use core::f32::consts::TAU;

use super::bank::{BINS, Complex};
use super::cadence::{self, History, Piece, Rhythm};
use super::hops::{Family, Hops, SETS, Window};
use super::information::Information;
use super::plan::{Beat, Kind, Plan, Signal, Sound};
use crate::level;

/// The share of a window's energy that a tone must have, and on the mean of a piece.
const SHARE: f32 = 0.68;
const MEAN_SHARE: f32 = 0.78;
/// The same where a tone lies somewhere between two filters.
const MEAN_SHARE_BETWEEN: f32 = 0.72;
/// Windows within a piece that may fail: packets that were lost, phase reversals.
const BRIDGE: u32 = 3;
/// Shortest piece, windows.
const SHORTEST: u32 = 3;
/// A window this far below the loudest of its piece has only remains of the tone, as a ratio of powers: 20 dB.
const REMAINS: f32 = 0.01;
/// A silence is at least this far below the tone before it, dB ...
const SILENCE_DB: f32 = 8.0;
/// ... but for so many windows, and a share of it.
const LOUD_WINDOWS: u32 = 5;
const LOUD_SHARE: u32 = 8;
/// A piece that runs is looked at once it has lasted for so long.
const LOOK_AT: u32 = 6;
/// The three tones of an information tone follow one another within this time, and each lasts that long.
const INFORMATION_GAP: u32 = 6;
const INFORMATION_HOPS: core::ops::RangeInclusive<u32> = 20..=48;
/// Rings of one frequency last 1 s and longer.
const RING_HOPS: u32 = 85;
/// An answering fax is told after 1 s: 15 whole swings of ANSam.
const ANSWER_HOPS: u32 = 100;
const ANSWER_TOLERANCE_HZ: f32 = 18.0;
/// Least swing of the amplitude (V.8 clause 3.1: 20 %).
const SWING: f32 = 0.11;
/// A reversal is looked for across 40 ms.
const ACROSS: usize = 4;
/// What was told is not told again within this time, unless something else was in between.
const FORGET_HOPS: u32 = 1700;

/// CNG: 0.5 s of 1100 Hz, then 3 s of silence (T.30 clause 4.2.1).
static CALLING: Signal = Signal {
    kind: Kind::FaxCalling,
    sound: Sound::One(1100.0),
    dbm0: -10.0,
    beats: &[Beat {
        on_ms: 500,
        off_ms: 3000,
        down_db: 0,
    }],
};

/// A tone that was heard, with its evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// What it means.
    pub kind: Kind,
    /// Its first frequency in Hz; measured to about 1 Hz where it has only one.
    pub hz: f32,
    /// Its level in dBm0.
    pub dbm0: f32,
    /// The length of its newest sound in ms.
    pub on_ms: u32,
}

/// The ears of one direction, for audio at 8 or 16 kHz.
#[derive(Clone, Debug)]
pub struct Listener {
    plan: &'static Plan,
    hops: Hops,
    /// The filter at 2100 Hz.
    answer_bin: usize,
    /// Windows so far.
    now: u32,
    running: Option<Running>,
    history: History,
    /// Loud windows since the last piece, and their number in all.
    loud: u32,
    told: Option<(Kind, u32)>,
}

/// A piece in the making.
#[derive(Clone, Debug)]
struct Running {
    family: Family,
    start: u32,
    /// The last window that was of it.
    last: u32,
    windows: u32,
    loudest: f32,
    power: f32,
    shares: [f32; SETS],
    /// Sums of each window's turn against the one before.
    turns: [Complex; BINS],
    before: Option<(u32, [Complex; BINS])>,
    broken: bool,
    /// It was told as one without a rhythm, or as an answering fax.
    told: bool,
    answer: Answer,
}

/// What is followed of a tone at 2100 Hz.
#[derive(Clone, Debug, Default)]
struct Answer {
    recent: [Complex; ACROSS],
    reversals: u32,
    last_reversal: u32,
    sum: f32,
    swing: Complex,
}

impl Listener {
    /// Listens to audio at `rate_hz` samples per second, up to 16,000, for the tones of `plan`, information and fax tones.
    pub fn new(rate_hz: u32, plan: &'static Plan) -> Listener {
        let hops = Hops::new(rate_hz, plan);
        let mut sets = hops.sets().iter();
        let answer = sets.find(|set| set.family == Family::Answer);
        Listener {
            plan,
            answer_bin: answer.map_or(0, |set| set.bins()[0]),
            hops,
            now: 0,
            running: None,
            history: History::default(),
            loud: 0,
            told: None,
        }
    }

    /// Whether something sounds that is a tone of the plan, for 50 ms or longer.
    pub fn hears_a_tone(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.windows >= LOOK_AT - 2)
    }

    /// Whether the newest sound that has ended may be one ring: a low tone of two frequencies, or one as long as rings are.
    pub fn may_have_rung(&self) -> bool {
        let newest = self.history.pieces().last();
        newest.is_some_and(|piece| {
            let set = &self.hops.sets()[piece.set];
            set.family == Family::Low && (!set.is_single() || piece.hops >= RING_HOPS)
        })
    }

    /// Takes `samples` and tells of each tone once it is known.
    pub fn process(&mut self, samples: &[i16], mut tell: impl FnMut(Heard)) {
        let mut rest = samples;
        while let Some(window) = self.hops.next(&mut rest) {
            self.now = self.now.wrapping_add(1);
            if let Some(heard) = self.take(&window) {
                tell(heard);
            }
        }
    }

    fn take(&mut self, window: &Window) -> Option<Heard> {
        let family = self.family_of(window);
        let mut heard = None;
        let ends = self.running.as_ref().is_some_and(|running| {
            self.now - running.last > BRIDGE
                || family.is_some_and(|family| family != running.family)
        });
        if ends {
            heard = self.end_piece();
        }
        match (family, &mut self.running) {
            (Some(family), None) => self.begin_piece(family, window),
            (Some(_), Some(running)) => {
                running.extend(self.now, window, self.answer_bin);
            }
            (None, None) => self.loud += u32::from(self.is_loud(window)),
            (None, Some(_)) => {}
        }
        heard.or_else(|| self.look_at_running())
    }

    /// The family of the tone that the window is.
    fn family_of(&self, window: &Window) -> Option<Family> {
        let sets = self.hops.sets().iter().zip(&window.shares);
        let (set, share) = sets.max_by(|one, other| one.1.total_cmp(other.1))?;
        let remains = |of: &Running| of.family == set.family && window.power < of.loudest * REMAINS;
        let is_tone = *share >= SHARE && !self.running.as_ref().is_some_and(remains);
        is_tone.then_some(set.family)
    }

    /// Whether a window between tones is too loud for a silence.
    fn is_loud(&self, window: &Window) -> bool {
        let newest = self.history.pieces().last();
        newest.is_some_and(|piece| level::power_to_dbm0(window.power) > piece.dbm0 - SILENCE_DB)
    }

    fn begin_piece(&mut self, family: Family, window: &Window) {
        let newest = self.history.pieces().last();
        let gap = newest.map_or(0, |piece| self.now.saturating_sub(piece.end()));
        let mut running = Running {
            family,
            start: self.now,
            last: self.now,
            windows: 0,
            loudest: 0.0,
            power: 0.0,
            shares: [0.0; SETS],
            turns: [Complex::default(); BINS],
            before: None,
            broken: self.loud > LOUD_WINDOWS + gap / LOUD_SHARE,
            told: false,
            answer: Answer::default(),
        };
        running.extend(self.now, window, self.answer_bin);
        self.running = Some(running);
        self.loud = 0;
    }

    /// The piece as far as it is known; `None`: it is no tone.
    fn piece(&self, running: &Running) -> Option<Piece> {
        let windows = running.windows as f32;
        let sets = self.hops.sets().iter().zip(&running.shares).enumerate();
        let (set, share) = sets
            .filter(|(_, (set, _))| set.family == running.family)
            .map(|(index, (_, share))| (index, share / windows))
            .max_by(|one, other| one.1.total_cmp(&other.1))?;
        let least = match running.family {
            Family::Low | Family::Answer => MEAN_SHARE,
            Family::Information(_) | Family::Calling => MEAN_SHARE_BETWEEN,
        };
        if share < least {
            return None;
        }
        Some(Piece {
            // A window counts where the tone fills most of it.
            start: running.start.saturating_sub(2),
            hops: running.last - running.start + 2,
            set,
            hz: self.hz_of(set, running),
            dbm0: level::power_to_dbm0(running.power / windows),
            broken: running.broken,
        })
    }

    fn hz_of(&self, set: usize, running: &Running) -> f32 {
        let set = &self.hops.sets()[set];
        let power = |bin: &&usize| running.turns[**bin].power();
        let bins = set.bins().iter();
        let Some(bin) = bins.max_by(|one, other| power(one).total_cmp(&power(other))) else {
            return 0.0;
        };
        if !set.is_single() {
            return self.hops.hz[set.bins()[0]];
        }
        // What it turned in 10 ms beyond what its filter's frequency does.
        let nominal = self.hops.hz[*bin];
        let turn = running.turns[*bin].times(Complex::turned(-TAU * nominal * 0.01));
        nominal + libm::atan2f(turn.im, turn.re) / TAU * 100.0
    }

    fn end_piece(&mut self) -> Option<Heard> {
        let running = self.running.take()?;
        let piece = (running.windows >= SHORTEST).then(|| self.piece(&running));
        let Some(piece) = piece.flatten() else {
            self.loud += running.windows;
            return None;
        };
        self.history.push(piece);
        self.loud = 0;
        match running.family {
            Family::Information(2) => self.information(),
            _ => {
                let kind = self.rhythm(None)?;
                self.tell(kind, &piece)
            }
        }
    }

    fn look_at_running(&mut self) -> Option<Heard> {
        let running = self.running.as_ref()?;
        let hops = running.last - running.start + 1;
        if running.last != self.now || running.told {
            return None;
        }
        let piece = match hops {
            LOOK_AT | ANSWER_HOPS.. => self.piece(running)?,
            _ => return None,
        };
        let kind = match running.family {
            Family::Answer if hops >= ANSWER_HOPS => self.answer(running, &piece),
            _ if hops == LOOK_AT => self.rhythm(Some(&piece)),
            Family::Low => self.evenly(&piece),
            _ => None,
        }?;
        if let Some(running) = &mut self.running {
            running.told = hops >= ANSWER_HOPS;
        }
        self.tell(kind, &piece)
    }

    /// Tells it, unless it is what was told last.
    fn tell(&mut self, kind: Kind, piece: &Piece) -> Option<Heard> {
        let again = self
            .told
            .is_some_and(|(told, at)| told == kind && self.now - at < FORGET_HOPS);
        self.told = Some((kind, self.now));
        (!again).then_some(Heard {
            kind,
            hz: piece.hz,
            dbm0: piece.dbm0,
            on_ms: piece.hops * 10,
        })
    }

    /// What the rhythm of the last pieces is.
    fn rhythm(&self, running: Option<&Piece>) -> Option<Kind> {
        let signals = self.plan.signals.iter().chain([&CALLING]);
        let fits = signals.filter_map(|signal| {
            let sounds = |piece: &Piece| self.can_be(piece, signal);
            let rhythm = Rhythm {
                signal,
                sounds: &sounds,
            };
            let fit = cadence::fit(&rhythm, self.history.pieces(), running)?;
            Some((fit, signal.kind))
        });
        let best = fits.reduce(|one, other| if other.0 < one.0 { other } else { one });
        best.map(|(_, kind)| kind)
    }

    fn can_be(&self, piece: &Piece, signal: &Signal) -> bool {
        let set = &self.hops.sets()[piece.set];
        match (set.family, signal.kind) {
            (Family::Calling, Kind::FaxCalling) => (piece.hz - 1100.0).abs() <= 44.0,
            (Family::Low, Kind::FaxCalling) => false,
            (Family::Low, _) => {
                self.plan.by_rhythm
                    || set.sound == Some(signal.sound)
                    || (set.is_single() && cadence::is_near(piece.hz, signal.sound))
            }
            _ => false,
        }
    }

    /// A tone without a rhythm that has gone on long enough.
    fn evenly(&self, piece: &Piece) -> Option<Kind> {
        let can_be = |signal: &&Signal| self.is_sound_of(piece, signal);
        let longest = match self.plan.by_rhythm {
            true => 2500,
            false => self.longest_beat(piece),
        };
        if piece.hops < cadence::evenly_after(longest) {
            return None;
        }
        let mut even = self.plan.signals.iter().filter(|one| one.beats.is_empty());
        even.find(can_be).map(|signal| signal.kind)
    }

    /// As [`can_be`](Self::can_be), whatever else the plan says.
    fn is_sound_of(&self, piece: &Piece, signal: &Signal) -> bool {
        let set = &self.hops.sets()[piece.set];
        set.sound == Some(signal.sound)
            || (set.is_single() && cadence::is_near(piece.hz, signal.sound))
    }

    fn longest_beat(&self, piece: &Piece) -> u16 {
        let signals = self.plan.signals.iter();
        let of_it = signals.filter(|signal| self.is_sound_of(piece, signal));
        let beats = of_it.flat_map(|signal| signal.beats);
        beats.map(|beat| beat.on_ms).max().unwrap_or(0)
    }

    /// The third of the three tones has ended.
    fn information(&mut self) -> Option<Heard> {
        let [.., first, second, third] = self.history.pieces() else {
            return None;
        };
        let family = |piece: &Piece| self.hops.sets()[piece.set].family;
        let all = [first, second, third];
        let in_row =
            |one: &Piece, other: &Piece| other.start.saturating_sub(one.end()) <= INFORMATION_GAP;
        let right = all
            .iter()
            .enumerate()
            .all(|(index, piece)| family(piece) == Family::Information(index as u8));
        let long = all
            .iter()
            .all(|piece| INFORMATION_HOPS.contains(&piece.hops));
        if !right || !long || !in_row(first, second) || !in_row(second, third) {
            return None;
        }
        let ms = [first.hops * 10, second.hops * 10];
        let kind = Kind::Information(Information::of([first.hz, second.hz], ms));
        let piece = *first;
        self.tell(kind, &piece)
    }

    fn answer(&self, running: &Running, piece: &Piece) -> Option<Kind> {
        let right = (piece.hz - 2100.0).abs() <= ANSWER_TOLERANCE_HZ;
        let swing = 2.0 * libm::sqrtf(running.answer.swing.power()) / running.answer.sum.max(1.0);
        right.then_some(Kind::FaxAnswer {
            reversals: running.answer.reversals > 0,
            modulated: swing > SWING,
        })
    }
}

impl Running {
    fn extend(&mut self, now: u32, window: &Window, answer_bin: usize) {
        for (sum, share) in self.shares.iter_mut().zip(&window.shares) {
            *sum += share;
        }
        if let Some((at, before)) = &self.before
            && *at + 1 == now
        {
            for (bin, turn) in self.turns.iter_mut().enumerate() {
                *turn = turn.plus(window.sums[bin].times(before[bin].conjugate()));
            }
        }
        self.before = Some((now, window.sums));
        self.last = now;
        self.windows += 1;
        self.power += window.power;
        self.loudest = self.loudest.max(window.power);
        if self.family == Family::Answer {
            let (sum, turn) = (window.sums[answer_bin], self.turns[answer_bin]);
            self.answer.follow(now - self.start, sum, turn);
        }
    }
}

impl Answer {
    /// The window so many hops after the first; `turn`: the mean turn from window to window.
    fn follow(&mut self, hop: u32, sum: Complex, turn: Complex) {
        let amplitude = libm::sqrtf(sum.power());
        self.sum += amplitude;
        let swing = Complex::turned(-TAU * 0.15 * hop as f32);
        self.swing = self.swing.plus(Complex {
            re: swing.re * amplitude,
            im: swing.im * amplitude,
        });
        let at = hop as usize % ACROSS;
        let across = sum.times(core::mem::replace(&mut self.recent[at], sum).conjugate());
        // So far it should have turned.
        let radians = libm::atan2f(turn.im, turn.re) * ACROSS as f32;
        let left = across.times(Complex::turned(-radians));
        let turned = left.re < -0.7 * libm::sqrtf(left.power()) && left.power() > 0.0;
        let rested = hop > self.last_reversal + 10;
        if turned && rested && hop > 2 * ACROSS as u32 {
            self.reversals += 1;
            self.last_reversal = hop;
        }
    }
}
