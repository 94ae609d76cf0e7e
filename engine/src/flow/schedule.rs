//! Opening hours: periods in a time zone, exceptional periods, and what somebody set by hand. Owns the texts of times and dates, and
//! the answer to "open at this moment?". The moment is an argument; no clock is read.
use super::model::Destination;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::time::SystemTime;

/// Minutes of a day.
const DAY: u16 = 1440;
/// The longest text of a time or date that is looked at.
const MAX_TEXT: usize = 64;

/// When a business is open.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// Where its hours count.
    pub zone: TimeZone,
    /// `false`: always open (confd's `enabled`).
    pub enabled: bool,
    /// When it is open.
    pub open: Vec<Period>,
    /// What comes before that, the first that covers the moment.
    pub exceptions: Vec<Exception>,
    /// Set by hand: it is open, or closed, whatever the hours say.
    pub forced: Option<bool>,
    /// Where a closed schedule leads when the node that asks says nothing.
    pub closed_destination: Option<Destination>,
}

/// A stretch of time that comes back: hours of some days.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// First minute of the day.
    pub start: u16,
    /// The minute after the last one; not after `start`: it goes on over midnight.
    pub end: u16,
    /// Monday is bit 0.
    pub weekdays: u8,
    /// The 1st is bit 1.
    pub month_days: u32,
    /// January is bit 1.
    pub months: u16,
    /// Dates; empty: every date.
    pub dates: Vec<Dates>,
}

/// Some dates, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// Of one year.
    Once(Date, Date),
    /// Of every year: month and day. The last before the first: over the turn of the year.
    Yearly((i8, i8), (i8, i8)),
}

/// A period with its own rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// When.
    pub period: Period,
    /// What counts then.
    pub rule: Rule,
    /// What it is called, as "Christmas".
    pub name: Option<String>,
}

/// What an exceptional period says.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// It is open.
    Open,
    /// It is closed.
    Closed,
    /// Calls go there.
    To(Destination),
}

/// What a schedule says of a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict<'s> {
    /// Open; and why, as an operator would say it.
    Open(&'s str),
    /// Closed; and why.
    Closed(&'s str),
    /// Calls go there; and the name of the exception.
    To(&'s Destination, &'s str),
}

impl Schedule {
    /// What it says of a moment; `by_hand` is what somebody set since the file was read.
    pub fn at(&self, now: SystemTime, by_hand: Option<bool>) -> Verdict<'_> {
        match by_hand.or(self.forced) {
            Some(true) => return Verdict::Open("set open by hand"),
            Some(false) => return Verdict::Closed("set closed by hand"),
            None if !self.enabled => return Verdict::Open("the schedule is not enabled"),
            None => {}
        }
        let moment = self.local(now);
        let exception = self
            .exceptions
            .iter()
            .find(|exception| exception.period.covers(moment));
        if let Some(Exception { rule, name, .. }) = exception {
            let name = name.as_deref().unwrap_or("an exceptional period");
            return match rule {
                Rule::Open => Verdict::Open(name),
                Rule::Closed => Verdict::Closed(name),
                Rule::To(destination) => Verdict::To(destination, name),
            };
        }
        if self.open.iter().any(|period| period.covers(moment)) {
            Verdict::Open("within the hours")
        } else {
            Verdict::Closed("outside the hours")
        }
    }

    /// The moment as a clock on the wall there shows it.
    pub fn local(&self, now: SystemTime) -> DateTime {
        let stamp = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        self.zone.to_datetime(stamp)
    }
}

impl Period {
    /// Every minute.
    pub const ALWAYS: Self = Self {
        start: 0,
        end: DAY,
        weekdays: 0x7f,
        month_days: u32::MAX,
        months: u16::MAX,
        dates: Vec::new(),
    };

    /// Whether the moment lies in it.
    pub fn covers(&self, moment: DateTime) -> bool {
        let minute = moment.hour() as u16 * 60 + moment.minute() as u16;
        if self.start < self.end {
            return (self.start..self.end).contains(&minute) && self.has_day(moment.date());
        }
        let yesterday = moment.date().yesterday().ok();
        (minute >= self.start && self.has_day(moment.date()))
            || (minute < self.end && yesterday.is_some_and(|date| self.has_day(date)))
    }

    /// Whether it begins on that day.
    fn has_day(&self, date: Date) -> bool {
        let weekday = date.weekday().to_monday_zero_offset();
        self.weekdays >> weekday & 1 == 1
            && self.month_days >> date.day() & 1 == 1
            && self.months >> date.month() & 1 == 1
            && (self.dates.is_empty() || self.dates.iter().any(|dates| dates.have(date)))
    }
}

impl Dates {
    fn have(&self, date: Date) -> bool {
        match *self {
            Self::Once(first, last) => (first..=last).contains(&date),
            Self::Yearly(first, last) => {
                let day = (date.month(), date.day());
                if first <= last {
                    (first..=last).contains(&day)
                } else {
                    day >= first || day <= last
                }
            }
        }
    }
}

/// A time of day, `9:00` or `17:30`, in minutes; `24:00` is the end of the day.
///
/// # Errors
/// A sentence: what is accepted.
pub fn time(text: &str) -> Result<u16, String> {
    let wrong = || "must be a time of day such as \"09:00\", up to \"24:00\"".to_owned();
    let (hours, minutes) = short(text)
        .and_then(|text| text.split_once(':'))
        .ok_or_else(wrong)?;
    let two = |digits: &str, least: usize| {
        let right = (least..=2).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit());
        right.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours, 1), two(minutes, 2));
    match (hours, minutes) {
        (Some(24), Some(0)) => Ok(DAY),
        (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => Ok(hours * 60 + minutes),
        _ => Err(wrong()),
    }
}

/// First minute and the one after the last, of `09:00-17:00`; `22:00-06:00` goes over midnight, and `23:59` at the end means the whole
/// last minute.
///
/// # Errors
/// A sentence: what is accepted.
pub fn hours(text: &str) -> Result<(u16, u16), String> {
    let ends = short(text).and_then(|text| text.split_once('-'));
    let (start, end) = ends.ok_or_else(|| "must be hours such as \"09:00-17:00\"".to_owned())?;
    between(time(start.trim())?, time(end.trim())?)
}

/// The same of two times.
///
/// # Errors
/// They are the same.
pub fn between(start: u16, end: u16) -> Result<(u16, u16), String> {
    let end = if end == DAY - 1 { DAY } else { end };
    if start == end || start == DAY {
        return Err(
            "no time lies between these: the whole day is \"00:00\" to \"24:00\"".to_owned(),
        );
    }
    Ok((start, end))
}

/// `2026-12-25`, `12-25` (every year), or two of a kind with `..` or `/` between them.
///
/// # Errors
/// A sentence: what is accepted.
pub fn dates(text: &str) -> Result<Dates, String> {
    let wrong = || {
        "must be a date such as \"2026-12-25\", \"12-25\" (every year), or two with \"..\" between them"
            .to_owned()
    };
    let text = short(text).ok_or_else(wrong)?;
    let both = text.split_once("..").or_else(|| text.split_once('/'));
    let (first, last) = both.map_or((text, text), |(first, last)| (first.trim(), last.trim()));
    match (date(first), date(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Dates::Once(first, last)),
        (Some(_), Some(_)) => Err("the last date is before the first".to_owned()),
        (None, None) => match (yearly(first), yearly(last)) {
            (Some(first), Some(last)) => Ok(Dates::Yearly(first, last)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn short(text: &str) -> Option<&str> {
    (text.len() <= MAX_TEXT).then(|| text.trim())
}

fn date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once('-')?;
    let year: i16 = (year.len() == 4).then(|| number(year))??;
    let (month, day) = yearly(rest)?;
    Date::new(year, month, day).ok()
}

/// Month and day; the 29th of February is a day.
fn yearly(text: &str) -> Option<(i8, i8)> {
    let (month, day) = text.split_once('-')?;
    let right = month.len() <= 2 && day.len() <= 2;
    let (month, day) = right.then(|| Some((number(month)?, number(day)?)))??;
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Date::new(2024, month, day).ok()?;
    Some((month, day))
}

fn number(digits: &str) -> Option<i16> {
    let right = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    right.then(|| digits.parse().ok()).flatten()
}

/// A time zone of the database in this binary.
///
/// # Errors
/// There is none of that name: a sentence, with the nearest one.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    use crate::config::document::field::shown;
    use crate::config::document::problem::did_you_mean;
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    let found = short(name).and_then(|name| jiff::tz::db().get(name).ok());
    found.ok_or_else(|| {
        let known: Vec<String> = jiff::tz::db()
            .available()
            .map(|zone| zone.to_string())
            .collect();
        let hint = did_you_mean(name, known.iter().map(String::as_str));
        format!("there is no time zone \"{}\"{hint}", shown(name))
    })
}

/// `2026-12-24 18:30 Europe/Berlin`, also with `T` between date and time; the zone may be left out (UTC).
///
/// # Errors
/// A sentence: what is accepted.
pub fn moment(text: &str) -> Result<SystemTime, String> {
    let wrong = || "must be a moment such as \"2026-12-24 18:30 Europe/Berlin\"".to_owned();
    let text = short(text)
        .ok_or_else(wrong)?
        .replacen('T', " ", usize::from(!text.contains(' ')));
    let mut words = text.splitn(3, ' ');
    let date = words.next().and_then(date).ok_or_else(wrong)?;
    let minutes = words.next().map_or(Ok(0), |clock| {
        // Seconds are of no account.
        let clock = clock.trim_end_matches('Z');
        let clock = if clock.matches(':').count() == 2 {
            clock.rsplit_once(':').map_or(clock, |(clock, _)| clock)
        } else {
            clock
        };
        time(clock)
    })?;
    let zone = words
        .next()
        .map_or(Ok(TimeZone::UTC), |name| zone(name.trim()))?;
    let minutes = minutes.min(DAY - 1);
    let (hour, minute) = ((minutes / 60) as i8, (minutes % 60) as i8);
    let zoned = date
        .at(hour, minute, 0, 0)
        .to_zoned(zone)
        .map_err(|_| wrong())?;
    Ok(zoned.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(zone_name: &str, open: Vec<Period>) -> Schedule {
        Schedule {
            id: "s".to_owned(),
            zone: zone(zone_name).expect(zone_name),
            enabled: true,
            open,
            exceptions: Vec::new(),
            forced: None,
            closed_destination: None,
        }
    }

    fn is_open(schedule: &Schedule, at: &str) -> bool {
        matches!(schedule.at(moment(at).expect(at), None), Verdict::Open(_))
    }

    fn office() -> Period {
        let (start, end) = hours("09:00-17:00").expect("hours");
        Period {
            start,
            end,
            weekdays: 0b1_1111,
            ..Period::ALWAYS
        }
    }

    #[test]
    fn hours_count_where_the_business_is_also_when_clocks_change() {
        let berlin = schedule("Europe/Berlin", vec![office()]);
        for (at, open) in [
            ("2026-11-20 08:59 Europe/Berlin", false),
            ("2026-11-20 09:00 Europe/Berlin", true),
            ("2026-11-20 16:59 Europe/Berlin", true),
            ("2026-11-20 17:00 Europe/Berlin", false),
            ("2026-11-21 12:00 Europe/Berlin", false),
            // Winter: 9 there is 8 in UTC. Summer: 7.
            ("2026-11-20 08:00", true),
            ("2026-11-20 07:59", false),
            ("2026-07-20 07:00", true),
            ("2026-07-20 06:59", false),
            ("2026-11-20 18:00 America/New_York", false),
        ] {
            assert_eq!(is_open(&berlin, at), open, "{at}");
        }
    }

    #[test]
    fn a_night_shift_belongs_to_the_day_it_begins_on() {
        let (start, end) = hours("22:00-06:00").expect("hours");
        let friday = Period {
            start,
            end,
            weekdays: 0b1_0000,
            ..Period::ALWAYS
        };
        let night = schedule("UTC", vec![friday]);
        for (at, open) in [
            ("2026-11-20 21:59", false),
            ("2026-11-20 22:00", true),
            ("2026-11-21 05:59", true),
            ("2026-11-21 06:00", false),
            ("2026-11-20 05:00", false),
        ] {
            assert_eq!(is_open(&night, at), open, "{at}");
        }
    }

    #[test]
    fn exceptions_come_first_and_a_hand_before_all() {
        let mut berlin = schedule("Europe/Berlin", vec![Period::ALWAYS]);
        let on = |text: &str| Period {
            dates: vec![dates(text).expect(text)],
            ..Period::ALWAYS
        };
        let exception = |text: &str, rule| Exception {
            period: on(text),
            rule,
            name: Some(text.to_owned()),
        };
        berlin.exceptions = vec![
            exception("12-24..01-01", Rule::Closed),
            exception("2026-08-03/2026-08-14", Rule::To(Destination::Back)),
        ];
        let verdict = |schedule: &Schedule, at: &str| {
            format!("{:?}", schedule.at(moment(at).expect(at), None))
        };
        assert_eq!(verdict(&berlin, "2026-12-24"), "Closed(\"12-24..01-01\")");
        assert_eq!(
            verdict(&berlin, "2027-01-01 12:00"),
            "Closed(\"12-24..01-01\")"
        );
        assert_eq!(
            verdict(&berlin, "2027-01-02 12:00"),
            "Open(\"within the hours\")"
        );
        assert!(verdict(&berlin, "2026-08-14 21:59").starts_with("To(Back"));
        assert!(
            verdict(&berlin, "2026-08-14 22:00").starts_with("Open"),
            "it is the 15th there"
        );
        berlin.forced = Some(true);
        assert_eq!(verdict(&berlin, "2026-12-24"), "Open(\"set open by hand\")");
        berlin.forced = Some(false);
        assert_eq!(
            verdict(&berlin, "2026-11-24"),
            "Closed(\"set closed by hand\")"
        );
    }

    #[test]
    fn texts_are_read_strictly() {
        assert_eq!(hours("00:00-23:59"), Ok((0, 1440)));
        assert_eq!(hours(" 9:30 - 24:00 "), Ok((570, 1440)));
        for text in [
            "",
            "9",
            "9-17",
            "09:00-09:00",
            "25:00-26:00",
            "09:0-10:00",
            "+9:00-10:00",
            "24:00-06:00",
        ] {
            assert!(hours(text).is_err(), "{text}");
        }
        for text in [
            "",
            "2026-13-01",
            "2026-02-29",
            "12-25-26",
            "2026-12-25..12-26",
            "2026-12-26..2026-12-25",
            "é-é",
        ] {
            assert!(dates(text).is_err(), "{text}");
        }
        assert!(dates("02-29").is_ok());
        for text in [
            "",
            "now",
            "2026-12-24 25:00",
            "2026-12-24 18:30 Europe/Nowhere",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
        assert_eq!(moment("2026-12-24T18:30:00Z"), moment("2026-12-24 18:30"));
        assert_eq!(
            zone("Europe/Berln").expect_err("misspelt"),
            "there is no time zone \"Europe/Berln\"; did you mean \"Europe/Berlin\"?"
        );
    }
}
