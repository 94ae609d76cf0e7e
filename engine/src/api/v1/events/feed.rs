//! What one watcher gets: first what it missed while it was away, then what happens. And the latest events, kept for that.
use super::{EventName, EventShown, KEPT};
use crate::api::v1::problem::{Kind, Problem};
use crate::call::events::Numbered;
use crate::call::{Event, EventKind, EventSink, Events, Watched, Watcher};
use crate::config::document::problem::did_you_mean;
use crate::store::stamp;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Which events are wanted.
#[derive(Debug, Default, Clone)]
pub(super) struct Filter {
    /// `None`: all.
    kinds: Option<Vec<EventKind>>,
    call: Option<String>,
}

impl Filter {
    pub(super) fn new(names: Option<&str>, call: Option<String>) -> Result<Filter, Problem> {
        let mut kinds: Option<Vec<EventKind>> = None;
        for name in names
            .iter()
            .flat_map(|names| names.split(','))
            .map(str::trim)
        {
            kinds.get_or_insert_default().extend(named(name)?);
        }
        Ok(Filter { kinds, call })
    }

    pub(super) fn wants(&self, event: &Event) -> bool {
        let kind = self
            .kinds
            .as_ref()
            .is_none_or(|kinds| kinds.contains(&event.kind));
        kind && (self.call.is_none() || self.call == event.call)
    }
}

/// Those of that name, or that begin as `call.*` says.
fn named(name: &str) -> Result<Vec<EventKind>, Problem> {
    let all = || EventKind::ALL.iter().copied();
    let found: Vec<EventKind> = match name.strip_suffix('*') {
        Some(begin) => all()
            .filter(|kind| kind.name().starts_with(begin))
            .collect(),
        None => all().filter(|kind| kind.name() == name).collect(),
    };
    if found.is_empty() {
        let shown: String = name.chars().take(64).collect();
        let hint = did_you_mean(name, all().map(EventKind::name));
        return Err(Problem::new(
            Kind::BadParameter,
            format!("there is no event {shown:?}{hint}"),
        ));
    }
    Ok(found)
}

/// The latest events.
#[derive(Debug)]
pub(in super::super) struct Recent {
    /// Tells the ids of this run from those of others.
    boot: u32,
    kept: Mutex<VecDeque<Numbered>>,
}

impl EventSink for Recent {
    fn take(&self, number: u64, event: &Arc<Event>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        // Two that happen at once may come in the other order.
        let later = kept
            .iter()
            .rev()
            .take_while(|(other, _)| *other > number)
            .count();
        let at = kept.len() - later;
        kept.insert(at, (number, event.clone()));
    }
}

impl Recent {
    pub(in super::super) fn new(boot: u32) -> Arc<Recent> {
        Arc::new(Recent {
            boot: boot & 0xff_ffff,
            kept: Mutex::default(),
        })
    }

    /// An event's id.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{:06x}-{number}", self.boot)
    }

    /// The number of an id of this run; 0 for one of another run.
    pub(super) fn number(&self, id: &str) -> Result<u64, Problem> {
        let refused = || Problem::new(Kind::BadParameter, "that is no id of an event");
        let (boot, number) = id.split_once('-').ok_or_else(refused)?;
        let boot = u32::from_str_radix(boot, 16).map_err(|_| refused())?;
        let number = number.parse().map_err(|_| refused())?;
        Ok(if boot == self.boot { number } else { 0 })
    }

    /// The first `most` that are wanted after that number.
    pub(super) fn after(&self, number: u64, filter: &Filter, most: usize) -> Vec<Numbered> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = kept.partition_point(|(of, _)| *of <= number);
        let wanted = kept.range(begin..).filter(|(_, event)| filter.wants(event));
        wanted.take(most).cloned().collect()
    }

    /// The latest `most` that are wanted, oldest first.
    pub(super) fn latest(&self, filter: &Filter, most: usize) -> Vec<Numbered> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = kept.iter().rev().filter(|(_, event)| filter.wants(event));
        let mut found: Vec<Numbered> = wanted.take(most).cloned().collect();
        found.reverse();
        found
    }

    /// How many after that number are not kept any more.
    fn lost_after(&self, number: u64) -> u64 {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let next = number.saturating_add(1);
        let oldest = kept.front().map_or(next, |(oldest, _)| *oldest);
        oldest.saturating_sub(next)
    }

    pub(super) fn shown(&self, (number, event): &Numbered) -> EventShown {
        EventShown {
            id: self.id(*number),
            event: EventName(event.kind.name()),
            at: stamp(event.at),
            call: event.call.clone(),
            data: event.data.clone(),
        }
    }
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// An event.
    Event(Numbered),
    /// So many were lost while the watcher was away; `None`: nobody knows how many.
    Away(Option<u64>),
    /// It is too slow: so many are lost.
    TooSlow(u64),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Feed {
    watcher: Watcher,
    recent: Arc<Recent>,
    filter: Filter,
    away: Option<Option<u64>>,
    before: VecDeque<Numbered>,
    /// Told from what was kept; the live ones of these numbers are the same.
    told: BTreeSet<u64>,
}

impl Feed {
    /// Begins now, or after the event of the id `last`.
    pub(super) fn new(
        events: &Arc<Events>,
        recent: Arc<Recent>,
        filter: Filter,
        last: Option<&str>,
    ) -> Feed {
        // First the live ones, so that none falls between.
        let watcher = events.watch();
        let mut feed = Feed {
            watcher,
            recent,
            filter,
            away: None,
            before: VecDeque::new(),
            told: BTreeSet::new(),
        };
        match last.map(|last| feed.recent.number(last)) {
            None => {}
            Some(Ok(number)) if number > 0 => {
                feed.away = Some(feed.recent.lost_after(number))
                    .filter(|lost| *lost > 0)
                    .map(Some);
                feed.before = feed.recent.after(number, &feed.filter, KEPT).into();
                feed.told = feed.before.iter().map(|(number, _)| *number).collect();
            }
            // Of another run, or made up.
            Some(_) => feed.away = Some(None),
        }
        feed
    }

    /// The next. Can be dropped at any await without losing one.
    pub(super) async fn next(&mut self) -> Next {
        if let Some(lost) = self.away.take() {
            return Next::Away(lost);
        }
        if let Some(event) = self.before.pop_front() {
            return Next::Event(event);
        }
        loop {
            match self.watcher.next().await {
                Watched::Missed(missed) => return Next::TooSlow(missed),
                Watched::Event(number, event) => {
                    if !self.told.remove(&number) && self.filter.wants(&event) {
                        return Next::Event((number, event));
                    }
                }
            }
        }
    }

    pub(super) fn shown(&self, event: &Numbered) -> EventShown {
        self.recent.shown(event)
    }
}
