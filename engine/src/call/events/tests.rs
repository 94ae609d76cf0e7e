use super::*;

const PAGE: &str = include_str!("../../../../docs/events.md");

#[test]
fn the_page_of_events_is_the_list() {
    let rows: Vec<(&str, &str)> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .filter_map(|row| row.split_once("` | "))
        .collect();
    let declared: Vec<_> = EventKind::ALL
        .iter()
        .map(|kind| (kind.name(), kind.doc()))
        .collect();
    let wanted: Vec<String> = declared
        .iter()
        .map(|(name, doc)| format!("| `{name}` | {doc} |"))
        .collect();
    assert_eq!(
        rows,
        declared,
        "docs/events.md must have these rows:\n{}",
        wanted.join("\n")
    );
}

#[test]
fn names_are_unique_and_plain() {
    let mut names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
    let plain = |name: &&str| name.chars().all(|c| matches!(c, 'a'..='z' | '.' | '_'));
    assert!(names.iter().all(plain));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), EventKind::ALL.len());
}

fn event(n: usize) -> Event {
    Event::now(EventKind::Digit, Some("c-1"), json!({ "n": n }))
}

#[test]
fn a_slow_watcher_is_told_what_it_missed_and_the_others_get_all() {
    let events = Arc::<Events>::default();
    let (mut slow, mut quick) = (events.watch(), events.watch());
    let mut got = 0;
    for n in 0..RING + 10 {
        events.emit(event(n));
        while let Some(Watched::Event(number, event)) = quick.try_next() {
            got += 1;
            assert_eq!((number, &event.data["n"]), (got, &json!(n)));
        }
    }
    assert_eq!(got as usize, RING + 10);
    assert_eq!(slow.try_next(), Some(Watched::Missed(10)));
    assert!(matches!(slow.try_next(), Some(Watched::Event(11, _))));
    assert_eq!((events.emitted(), events.missed()), (RING as u64 + 10, 10));
}

#[test]
fn a_sink_loses_nothing_and_data_nobody_wants_is_not_made() {
    #[derive(Default)]
    struct Noted(std::sync::Mutex<Vec<u64>>);
    impl EventSink for Noted {
        fn take(&self, number: u64, _: &Arc<Event>) {
            self.0.lock().unwrap().push(number);
        }
    }
    let events = Arc::<Events>::default();
    events.tell(EventKind::Digit, None, || panic!("nobody listens"));
    let noted = Arc::<Noted>::default();
    events.sink(noted.clone());
    for n in 0..2 * RING {
        events.emit(event(n));
    }
    let noted = noted.0.lock().unwrap();
    assert!(noted.iter().copied().eq(2..=2 * RING as u64 + 1));
}

#[test]
fn an_event_says_what_when_and_to_which_call() {
    let event = Event {
        at: SystemTime::UNIX_EPOCH,
        ..event(1)
    };
    let said = json!({"event": "digit", "at": "1970-01-01T00:00:00.000Z", "call": "c-1", "data": {"n": 1}});
    assert_eq!(event.to_json(), said);
}
