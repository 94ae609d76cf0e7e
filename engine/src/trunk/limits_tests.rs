//! Limits with made-up time.
use super::*;
use crate::config::PrefixLimit;

fn meter(limits: TrunkLimits) -> Arc<Meter> {
    let meter = Meter::new("carrier".into());
    meter.set(limits);
    meter
}

fn rule(result: Result<Permit, Refused>) -> &'static str {
    result.expect_err("refused").rule
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_place_is_given_back_when_the_permit_goes() {
    let meter = meter(TrunkLimits {
        max_calls: Some(2),
        ..TrunkLimits::default()
    });
    let now = Instant::now();
    let first = meter.take(now, "+491").expect("a place");
    let second = meter.take_inbound(now).expect("a place: both ways count");
    let refused = meter.take(now, "+492").expect_err("full");
    assert_eq!((refused.status, refused.rule), (503, "trunk-max-calls"));
    assert!(refused.retry_after.is_some());
    assert_eq!(rule(meter.take_inbound(now)), "trunk-max-calls");
    drop(first);
    assert_eq!(meter.calls(), 1);
    let third = meter.take(now, "+492").expect("a place");
    drop((second, third));
    assert_eq!(meter.calls(), 0);
}

#[test]
fn no_second_holds_more_calls_than_allowed() {
    let meter = meter(TrunkLimits {
        max_cps: Some(3),
        ..TrunkLimits::default()
    });
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    for ms in (0..5000).step_by(10) {
        match meter.take(at(ms), "1") {
            Ok(permit) => {
                taken.push(ms);
                kept.push(permit);
            }
            Err(refused) => assert_eq!(refused.rule, "trunk-max-cps"),
        }
    }
    assert_eq!(taken.len(), 15, "{taken:?}");
    for window in taken.windows(4) {
        assert!(window[3] - window[0] >= 1000, "{window:?}");
    }
    drop(kept);
    // A call that ended still counts for its second; a refused one does not.
    assert!(meter.take(at(5005), "1").is_ok());
    assert_eq!(meter.lock().begun.len(), 3);
}

#[test]
fn destinations_are_allowed_or_denied() {
    let none: &[&str] = &[];
    for (allowed, denied, number, expected) in [
        (none, none, "anything", "ok"),
        (&["+49", "+1"], none, "+4930123", "ok"),
        (&["+49", "+1"], none, "+33123", "trunk-prefix-not-allowed"),
        (&["+49", "+1"], none, "0049301", "trunk-prefix-not-allowed"),
        (&["+1"], &["+1900"], "+1212555", "ok"),
        (&["+1"], &["+1900"], "+1900555", "trunk-prefix-denied"),
        // The longer allowed one does not open what is denied.
        (&["+19005"], &["+1900"], "+1900555", "trunk-prefix-denied"),
        (none, &["+1900"], "+4930", "ok"),
        (
            none,
            &["+1900"],
            "001900555",
            "trunk-number-not-international",
        ),
        (
            none,
            &["+1900"],
            "1900555",
            "trunk-number-not-international",
        ),
        (
            none,
            &["+1900"],
            "+1~900555",
            "trunk-number-not-international",
        ),
        (
            &["+"],
            &["+1900"],
            "+1.9*00555",
            "trunk-number-not-international",
        ),
        (&["+"], none, "+1~900555", "ok"),
        (&["+", "110"], &["+1900"], "110", "ok"),
        (
            &["+", "110"],
            &["+1900"],
            "1900555",
            "trunk-number-not-international",
        ),
        (none, &["0900"], "110", "ok"),
        (none, &["0900"], "0900123", "trunk-prefix-denied"),
        (&["+49"], none, "", "trunk-prefix-not-allowed"),
    ] {
        let meter = meter(TrunkLimits {
            allowed_prefixes: strings(allowed),
            denied_prefixes: strings(denied),
            ..TrunkLimits::default()
        });
        let found = match meter.take(Instant::now(), number) {
            Ok(_) => "ok",
            Err(refused) => {
                assert_eq!(refused.status, 403, "{number}");
                refused.rule
            }
        };
        assert_eq!(found, expected, "{allowed:?} {denied:?} {number}");
    }
}

#[test]
fn calls_to_a_prefix_are_limited_by_the_longest_entry() {
    let limit = |prefix: &str, calls| PrefixLimit {
        prefix: prefix.to_owned(),
        calls,
    };
    let meter = meter(TrunkLimits {
        prefix_max_calls: vec![limit("+1", 2), limit("+1900", 0), limit("+44", 1)],
        ..TrunkLimits::default()
    });
    let now = Instant::now();
    let held = [meter.take(now, "+1212"), meter.take(now, "+1213")];
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(rule(meter.take(now, "+1214")), "trunk-prefix-max-calls");
    assert_eq!(rule(meter.take(now, "+1900")), "trunk-prefix-max-calls");
    let britain = meter.take(now, "+4420").expect("a place of its own");
    assert_eq!(rule(meter.take(now, "+4421")), "trunk-prefix-max-calls");
    drop((held, britain));
    assert!(meter.lock().by_prefix.is_empty(), "no residue");
    assert!(meter.take(now, "+4421").is_ok());
}

#[test]
fn limits_change_while_calls_go_on() {
    let meter = meter(TrunkLimits::default());
    let now = Instant::now();
    let calls: Vec<_> = (0..3).map(|_| meter.take(now, "+1")).collect();
    meter.set(TrunkLimits {
        max_calls: Some(2),
        ..TrunkLimits::default()
    });
    assert_eq!(rule(meter.take(now, "+1")), "trunk-max-calls");
    drop(calls);
    assert!(meter.take(now, "+1").is_ok());
}
