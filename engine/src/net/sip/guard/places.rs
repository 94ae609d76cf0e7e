//! How many connections peers may have: in all, from one source, and in the middle of a handshake.
//!
//! Limit: one table entry per open connection at most.
use super::source::Source;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Handshakes that may go on at once, however few connections are allowed.
const MIN_HANDSHAKES: usize = 16;

/// Counts open connections.
pub(in crate::net::sip) struct Places {
    max: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: usize,
    handshakes: usize,
    by_source: HashMap<Source, usize>,
}

/// One connection, counted until this is dropped.
#[must_use]
pub(in crate::net::sip) struct Place {
    places: Arc<Places>,
    source: Source,
    /// It is not limited per source, which is how trunks come.
    trusted: bool,
}

/// One handshake, counted until this is dropped.
#[must_use]
pub(in crate::net::sip) struct Handshake(Arc<Places>);

impl Places {
    /// `max` connections in all; a quarter of them may be in a handshake.
    pub(in crate::net::sip) fn new(max: usize) -> Arc<Places> {
        Arc::new(Places {
            max,
            table: Mutex::default(),
        })
    }

    /// Takes a place; the error is the rule that refuses it. Without a limit `per_source`, which is how trunks come, there is a place
    /// also where others have taken all: as many again.
    pub(in crate::net::sip) fn take(
        self: &Arc<Places>,
        address: IpAddr,
        per_source: Option<usize>,
    ) -> Result<Place, &'static str> {
        let source = Source::of(address);
        let mut table = self.table();
        let max = match per_source {
            Some(_) => self.max,
            None => self.max.saturating_mul(2),
        };
        if table.open >= max {
            return Err("tcp-max-connections");
        }
        let own = table.by_source.get(&source).copied().unwrap_or(0);
        if per_source.is_some_and(|limit| own >= limit) {
            return Err("tcp-per-source");
        }
        table.open += 1;
        table.by_source.insert(source, own + 1);
        Ok(Place {
            places: self.clone(),
            source,
            trusted: per_source.is_none(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts a handshake; the error is the rule that refuses it. That of a trunk is never one too many: strangers who begin
    /// handshakes and do not end them must not keep it out.
    pub(in crate::net::sip) fn handshake(&self) -> Result<Handshake, &'static str> {
        let mut table = self.places.table();
        if !self.trusted && table.handshakes >= (self.places.max / 4).max(MIN_HANDSHAKES) {
            return Err("half-open-connections");
        }
        table.handshakes += 1;
        Ok(Handshake(self.places.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table();
        table.open -= 1;
        if let Some(own) = table.by_source.get_mut(&self.source) {
            *own -= 1;
            if *own == 0 {
                table.by_source.remove(&self.source);
            }
        }
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.table().handshakes -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_in_all_and_per_source_and_given_back() {
        let places = Places::new(3);
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let first = places
            .take(address(1), Some(2))
            .unwrap_or_else(|rule| panic!("{rule}"));
        let second = places
            .take(address(1), Some(2))
            .unwrap_or_else(|rule| panic!("{rule}"));
        assert_eq!(
            places.take(address(1), Some(2)).err(),
            Some("tcp-per-source")
        );
        let trusted = places
            .take(address(1), None)
            .unwrap_or_else(|rule| panic!("{rule}"));
        assert_eq!(
            places.take(address(2), Some(2)).err(),
            Some("tcp-max-connections")
        );
        drop((first, second, trusted));
        assert!(places.table().by_source.is_empty());
        assert!(places.take(address(2), Some(2)).is_ok());
    }

    #[test]
    fn a_trunk_finds_a_place_when_others_took_all() {
        let places = Places::new(2);
        let trunk = IpAddr::from([192, 0, 2, 1]);
        let take = |last: u8, limit| places.take(IpAddr::from([198, 51, 100, last]), limit);
        let mut open: Vec<_> = (0..2).map(|last| take(last, Some(1)).ok()).collect();
        assert_eq!(take(3, Some(1)).err(), Some("tcp-max-connections"));
        open.extend((0..2).map(|_| places.take(trunk, None).ok()));
        assert!(open.iter().all(Option::is_some));
        assert_eq!(places.take(trunk, None).err(), Some("tcp-max-connections"));
    }

    #[test]
    fn handshakes_leave_room_for_connections() {
        let places = Places::new(100);
        let take = |per_source| places.take(IpAddr::from([192, 0, 2, 1]), per_source);
        let (Ok(stranger), Ok(trunk)) = (take(Some(9)), take(None)) else {
            panic!("no place");
        };
        let open: Vec<_> = (0..25).map(|_| stranger.handshake().ok()).collect();
        assert!(open.iter().all(Option::is_some));
        assert_eq!(stranger.handshake().err(), Some("half-open-connections"));
        assert!(trunk.handshake().is_ok());
        drop(open);
        assert!(stranger.handshake().is_ok());
    }
}
