use super::*;
use std::collections::BTreeSet;

#[test]
fn annotations_are_bounded_and_change_all_or_nothing() {
    let mut facts = Facts::default();
    let of = |tags: usize, names: std::ops::Range<usize>| Annotation {
        tags: Some((0..tags).map(|n| format!("t{n}")).collect()),
        metadata: names
            .map(|n| (format!("m{n}"), Some("x".to_owned())))
            .collect(),
    };
    assert_eq!(facts.annotate(of(2, 0..MAX_METADATA)), Ok(()));
    for refused in [
        of(MAX_TAGS + 1, 0..0),
        of(1, 99..100),
        Annotation {
            tags: Some(BTreeSet::from([String::new()])),
            ..Annotation::default()
        },
        Annotation {
            tags: None,
            metadata: BTreeMap::from([("m1".to_owned(), Some("x".repeat(MAX_VALUE + 1)))]),
        },
    ] {
        assert!(facts.annotate(refused.clone()).is_err(), "{refused:?}");
    }
    let replaced = Annotation {
        tags: None,
        metadata: BTreeMap::from([
            ("m1".to_owned(), None),
            ("new".to_owned(), Some("y".to_owned())),
        ]),
    };
    assert_eq!(facts.annotate(replaced), Ok(()));
}

#[test]
fn every_error_has_a_status_of_its_kind() {
    for (error, status) in [
        (OrderError::NoSuchCall, 404),
        (OrderError::Gone, 409),
        (OrderError::Busy, 429),
        (OrderError::Conflict("x"), 409),
        (OrderError::Invalid(String::new()), 422),
    ] {
        assert_eq!(error.http_status(), status, "{error:?}");
    }
}
