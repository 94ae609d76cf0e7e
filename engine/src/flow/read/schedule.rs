//! The section `schedules`. Owns the names of its keys (confd's), and which hours are warned of.
use super::super::model::Destination;
use super::super::schedule::{self, Dates, Exception, Period, Rule, Schedule};
use super::Reader;
use crate::config::document::Value;
use crate::config::document::field::{Field, Table};
use jiff::tz::TimeZone;

/// What `override` says.
pub(super) const OVERRIDES: [(&str, Option<bool>); 3] = [
    ("auto", None),
    ("open", Some(true)),
    ("closed", Some(false)),
];
/// Days by name; Monday is 1.
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// The most periods of a schedule that are compared with each other.
const MAX_COMPARED: usize = 100;

impl Reader<'_> {
    pub(super) fn schedule_definitions(&self, root: &mut Table<'_>) -> Vec<Schedule> {
        let table = root.field("schedules").and_then(|field| field.table());
        let entries = table.iter().flat_map(Table::entries);
        entries
            .map(|(entry, field)| {
                self.schedule(&entry.key, &field)
                    .unwrap_or_else(|| Schedule {
                        id: entry.key.clone(),
                        zone: TimeZone::UTC,
                        enabled: true,
                        open: Vec::new(),
                        exceptions: Vec::new(),
                        forced: None,
                        closed_destination: None,
                    })
            })
            .collect()
    }

    fn schedule(&self, id: &str, field: &Field<'_>) -> Option<Schedule> {
        let mut table = field.table()?;
        let _label = self.text(&mut table, "name");
        let zone = table.required("timezone").and_then(|field| {
            schedule::zone(field.string()?)
                .map_err(|message| field.error(message))
                .ok()
        });
        let enabled = self.flag(&mut table, "enabled", true);
        let open = table.required("open_periods").and_then(|field| {
            let periods = field.list()?;
            if periods.is_empty() {
                field.warning("is empty: this schedule is never open");
            }
            let read = periods
                .iter()
                .filter_map(|period| Some((self.open_period(period)?, period)));
            let read: Vec<(Period, &Field<'_>)> = read.collect();
            warn_of_gaps(&read);
            Some(read.into_iter().map(|(period, _)| period).collect())
        });
        let exceptions = table
            .field("exceptional_periods")
            .and_then(|field| field.list());
        let exceptions = exceptions.unwrap_or_default();
        let exceptions = exceptions
            .iter()
            .filter_map(|field| self.exception(field))
            .collect();
        let forced = table.field("override").and_then(|field| {
            let forced = field.choice(&OVERRIDES)?;
            if forced.is_some() {
                field.warning("is not \"auto\": the hours do not count");
            }
            forced
        });
        let closed_destination = table
            .field("closed_destination")
            .and_then(|field| self.then(&field));
        table.finish();
        Some(Schedule {
            id: id.to_owned(),
            zone: zone.unwrap_or(TimeZone::UTC),
            enabled,
            open: open.unwrap_or_default(),
            exceptions,
            forced,
            closed_destination,
        })
    }

    fn open_period(&self, field: &Field<'_>) -> Option<Period> {
        let mut table = field.table()?;
        let period = self.period(&mut table);
        table.finish();
        period
    }

    fn exception(&self, field: &Field<'_>) -> Option<Exception> {
        let mut table = field.table()?;
        let name = self.text(&mut table, "name");
        let period = self.period(&mut table);
        let open = table.field("open").and_then(|field| field.boolean());
        let destination = table
            .field("destination")
            .map(|field| (self.then(&field), field));
        if let (Some(_), Some((_, field))) = (open, &destination) {
            field.error("\"open\" is given as well: give one of them");
        }
        let rule = match (open, destination) {
            (Some(true), _) => Rule::Open,
            (_, Some((Some(destination), _))) => rule_of(destination),
            _ => Rule::Closed,
        };
        table.finish();
        Some(Exception {
            period: period?,
            rule,
            name,
        })
    }

    fn period(&self, table: &mut Table<'_>) -> Option<Period> {
        let time = |field: Option<Field<'_>>, default| match field {
            None => Some(default),
            Some(field) => schedule::time(field.string()?)
                .map_err(|message| field.error(message))
                .ok(),
        };
        let start = time(table.field("hours_start"), 0);
        let end_field = table.field("hours_end");
        let end = time(end_field.clone(), 1440);
        let hours = match (start, end) {
            (Some(start), Some(end)) => match (schedule::between(start, end), end_field) {
                (Ok(hours), _) => Some(hours),
                (Err(message), Some(field)) => {
                    field.error(message);
                    None
                }
                (Err(message), None) => {
                    table.error(message);
                    None
                }
            },
            _ => None,
        };
        let weekdays = set(table.field("week_days"), 1..=7, &DAYS);
        let month_days = set(table.field("month_days"), 1..=31, &[]);
        let months = set(table.field("months"), 1..=12, &[]);
        let dates = table
            .field("dates")
            .and_then(|field| field.list())
            .unwrap_or_default();
        let dates: Vec<Dates> = dates
            .iter()
            .filter_map(|field| {
                schedule::dates(field.string()?)
                    .map_err(|message| field.error(message))
                    .ok()
            })
            .collect();
        let (start, end) = hours?;
        Some(Period {
            start,
            end,
            weekdays: weekdays.map_or(Period::ALWAYS.weekdays, |days| (days >> 1) as u8),
            month_days: month_days.unwrap_or(u32::MAX),
            months: months.map_or(u16::MAX, |months| months as u16),
            dates,
        })
    }
}

/// Warns of periods that end a minute before another begins, as where the last minute was meant and not the end.
fn warn_of_gaps(periods: &[(Period, &Field<'_>)]) {
    let shared = |a: &Period, b: &Period| {
        a.weekdays & b.weekdays != 0 && a.months & b.months != 0 && a.month_days & b.month_days != 0
    };
    let dated =
        |a: &Period, b: &Period| a.dates.is_empty() || b.dates.is_empty() || a.dates == b.dates;
    // All days that two others share.
    let covers = |each: &Period, a: &Period, b: &Period| {
        let (weekdays, months) = (a.weekdays & b.weekdays, a.months & b.months);
        let month_days = a.month_days & b.month_days;
        weekdays & !each.weekdays == 0
            && months & !each.months == 0
            && month_days & !each.month_days == 0
            && (each.dates.is_empty() || each.dates == a.dates || each.dates == b.dates)
    };
    let periods = &periods[..periods.len().min(MAX_COMPARED)];
    for (first, field) in periods {
        let minute = first.end;
        let open = |each: &Period, next: &Period| {
            each.start <= minute && minute < each.end && covers(each, first, next)
        };
        let follows =
            |next: &Period| next.start == minute + 1 && shared(first, next) && dated(first, next);
        let gap =
            |next: &Period| follows(next) && !periods.iter().any(|(each, _)| open(each, next));
        if periods.iter().any(|(next, _)| gap(next)) {
            let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let (end, next) = (clock(first.end), clock(first.end + 1));
            field.warning(format!(
                "ends at {end}, and the next period begins at {next}: in this minute it is closed"
            ));
        }
    }
}

fn rule_of(destination: Destination) -> Rule {
    Rule::To(destination)
}

/// A list of whole numbers, or of names that stand for 1 and up, as bits.
fn set(
    field: Option<Field<'_>>,
    range: std::ops::RangeInclusive<i64>,
    names: &[&str],
) -> Option<u32> {
    let items = field?.list()?;
    let mut bits = 0;
    for item in items {
        let named = item.text().and_then(|text| {
            let text = text.to_ascii_lowercase();
            let short =
                |name: &&str| **name == text || (text.len() >= 3 && name.starts_with(&text));
            names.iter().position(short).map(|place| place as i64 + 1)
        });
        let number = match (&item.node.value, named) {
            (_, Some(number)) => Some(number),
            (Value::Int(_), None) => item.integer(range.clone()),
            _ if names.is_empty() => item.integer(range.clone()),
            _ => item.expected("a day: 1 (Monday) to 7, or its name"),
        };
        bits |= number.map_or(0, |number| 1 << number);
    }
    Some(bits)
}
