//! The DTMF arbiter of a leg: in-band tones, RFC 4733 events and SIP INFO in, one digit per key press out.
//!
//! A press begins with the first report of it and ends when the best source that reports it says so: events before tones, tones before
//! INFO. A report is a repeat of an earlier press when that press has the same digit, was not reported by this source yet, is recent
//! enough, and comes after what this source reported before; then it only adds its evidence. Two reports of one source are two presses, so
//! fast repeats of a key stay two digits; only a tone that breaks off and comes back while the telephone event goes on is one.
//! Sans-IO. Limits: remembers the last 8 presses; a press without an end is a press for 70 s.
use super::key_press::{DigitSource, KeyPress, Sources};
use crate::media::{KeySource, MediaEvent};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use trunkline_dsp::dtmf::Measured;

/// How long after a press another media source may still report that it began, by its own account of when: jitter, a hole at the
/// beginning, and an estimate of the jitter buffer.
const MEDIA_WINDOW: Duration = Duration::from_millis(300);
/// The same for SIP INFO, which travels by another path and is often sent at the end of the press.
const INFO_WINDOW: Duration = Duration::from_millis(1500);
/// No source lets a key be down for so long.
const DOWN_WINDOW: Duration = Duration::from_secs(70);
/// Presses remembered.
const MEMORY: usize = 8;
const SOURCES: usize = DigitSource::ALL.len();

/// A source says that a key went down.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// `0-9*#A-D`.
    pub digit: char,
    /// Who says so.
    pub source: DigitSource,
    /// When, as near as the source can tell.
    pub began: Instant,
    /// How loud, in dBm0.
    pub level_dbm0: Option<f32>,
    /// What the tones were like.
    pub tone: Option<Measured>,
}

/// What a report came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Heard {
    /// It says nothing new.
    Nothing,
    /// A key went down, as this source says; its `Press` follows.
    Down(char, DigitSource),
    /// A key was pressed and released.
    Press(KeyPress),
}

/// What one source said of a press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Down,
    Up,
}

#[derive(Debug)]
struct Press {
    /// Counts presses.
    serial: u64,
    digit: char,
    first: DigitSource,
    /// Whose word on the end counts.
    judge: DigitSource,
    began: Instant,
    ended: Option<Instant>,
    said: [Said; SOURCES],
    level_dbm0: Option<f32>,
    tone: Option<Measured>,
}

/// See the module's text.
#[derive(Debug)]
pub struct Arbiter {
    epoch: Instant,
    presses: VecDeque<Press>,
    next_serial: u64,
    /// The newest press that each source reported.
    reported: [u64; SOURCES],
    duplicates: u64,
}

impl Arbiter {
    /// One whose times count from `epoch`.
    pub fn new(epoch: Instant) -> Arbiter {
        Arbiter {
            epoch,
            presses: VecDeque::with_capacity(MEMORY),
            next_serial: 1,
            reported: [0; SOURCES],
            duplicates: 0,
        }
    }

    /// Takes a key of the media channel; other events are nothing.
    pub fn hear(&mut self, event: &MediaEvent) -> Heard {
        match *event {
            MediaEvent::KeyBegin {
                key: digit,
                source,
                at: began,
                level_dbm0,
                tone,
            } => {
                let report = Report {
                    digit,
                    source: source.into(),
                    began,
                    level_dbm0,
                    tone,
                };
                match self.begin(&report) {
                    true => Heard::Down(digit, report.source),
                    false => Heard::Nothing,
                }
            }
            MediaEvent::KeyEnd {
                key,
                source,
                at,
                duration_ms,
            } => self
                .end(at, key, source.into(), duration_ms)
                .map_or(Heard::Nothing, Heard::Press),
            _ => Heard::Nothing,
        }
    }

    /// A source reports that a key went down. Whether that is a new press.
    pub fn begin(&mut self, report: &Report) -> bool {
        let slot = report.source as usize;
        if let Some(press) = self.known(report) {
            press.add(report);
            self.reported[slot] = press.serial;
            self.duplicates += 1;
            return false;
        }
        if self.is_drop_out(report) {
            self.duplicates += 1;
            return false;
        }
        if self.presses.len() == MEMORY {
            self.presses.pop_front();
        }
        self.reported[slot] = self.next_serial;
        self.presses.push_back(Press::new(self.next_serial, report));
        self.next_serial += 1;
        true
    }

    /// A source reports that a key went up. Returns the key press, once for each.
    pub fn end(
        &mut self,
        at: Instant,
        digit: char,
        source: DigitSource,
        duration_ms: u32,
    ) -> Option<KeyPress> {
        let slot = source as usize;
        let press = self
            .presses
            .iter_mut()
            .find(|press| press.digit == digit && press.said[slot] == Said::Down)?;
        press.said[slot] = Said::Up;
        if press.judge != source || press.ended.is_some() {
            return None;
        }
        press.ended = Some(at);
        Some(press.told(self.epoch, Some(duration_ms)))
    }

    /// A press by SIP INFO, which knows no up and down. Returns it if it is a new one.
    pub fn info(
        &mut self,
        now: Instant,
        digit: char,
        duration_ms: Option<u32>,
    ) -> Option<KeyPress> {
        let report = Report {
            digit,
            source: DigitSource::Info,
            began: now,
            level_dbm0: None,
            tone: None,
        };
        if !self.begin(&report) {
            return None;
        }
        let press = self.presses.back_mut()?;
        press.said[DigitSource::Info as usize] = Said::Up;
        press.ended = Some(now);
        Some(press.told(self.epoch, duration_ms))
    }

    /// Reports that were recognised as repeats so far.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// The oldest press that the report may be a repeat of.
    fn known(&mut self, report: &Report) -> Option<&mut Press> {
        let after = self.reported[report.source as usize];
        self.presses
            .iter_mut()
            .filter(|press| press.serial > after)
            .find(|press| press.digit == report.digit && press.may_repeat(report))
    }

    /// Whether it is a tone that broke off and comes back while the telephone event goes on.
    fn is_drop_out(&self, report: &Report) -> bool {
        let said = |press: &Press, source: DigitSource| press.said[source as usize];
        report.source == DigitSource::InBand
            && self.presses.back().is_some_and(|press| {
                press.digit == report.digit
                    && said(press, DigitSource::Rfc4733) == Said::Down
                    && said(press, DigitSource::InBand) == Said::Up
            })
    }
}

impl Press {
    fn new(serial: u64, report: &Report) -> Press {
        let mut said = [Said::Nothing; SOURCES];
        said[report.source as usize] = Said::Down;
        Press {
            serial,
            digit: report.digit,
            first: report.source,
            judge: report.source,
            began: report.began,
            ended: None,
            said,
            level_dbm0: report.level_dbm0,
            tone: report.tone,
        }
    }

    fn add(&mut self, report: &Report) {
        self.said[report.source as usize] = match report.source {
            DigitSource::Info => Said::Up,
            DigitSource::InBand | DigitSource::Rfc4733 => Said::Down,
        };
        if self.ended.is_none() && rank(report.source) > rank(self.judge) {
            self.judge = report.source;
        }
        self.began = self.began.min(report.began);
        if report.tone.is_some() || self.level_dbm0.is_none() {
            self.level_dbm0 = report.level_dbm0.or(self.level_dbm0);
        }
        self.tone = self.tone.or(report.tone);
    }

    fn may_repeat(&self, report: &Report) -> bool {
        let by_info = report.source == DigitSource::Info || self.first == DigitSource::Info;
        let window = if by_info { INFO_WINDOW } else { MEDIA_WINDOW };
        match self.ended {
            Some(ended) => report.began.saturating_duration_since(ended) <= window,
            None => report.began.saturating_duration_since(self.began) <= DOWN_WINDOW,
        }
    }

    fn told(&self, epoch: Instant, duration_ms: Option<u32>) -> KeyPress {
        let mut sources = Sources::default();
        for source in DigitSource::ALL {
            if self.said[source as usize] != Said::Nothing {
                sources.insert(source);
            }
        }
        let began = self.began.saturating_duration_since(epoch);
        KeyPress {
            digit: self.digit,
            source: self.first,
            sources,
            began_ms: u32::try_from(began.as_millis()).unwrap_or(u32::MAX),
            duration_ms,
            level_dbm0: self.level_dbm0,
            tone: self.tone,
        }
    }
}

/// How well a source knows when a key goes up: what was negotiated for keys is believed before what is guessed from audio.
fn rank(source: DigitSource) -> u8 {
    match source {
        DigitSource::Info => 0,
        DigitSource::InBand => 1,
        DigitSource::Rfc4733 => 2,
    }
}

impl From<KeySource> for DigitSource {
    fn from(source: KeySource) -> DigitSource {
        match source {
            KeySource::InBand => DigitSource::InBand,
            KeySource::Rfc4733 => DigitSource::Rfc4733,
        }
    }
}

#[cfg(test)]
#[path = "arbiter_tests.rs"]
mod tests;
