//! Targets with made-up time and drawn lots.
use super::*;
use trunkline_sip::Transport;

fn hop(number: u8) -> Hop {
    Hop {
        transport: Transport::Udp,
        address: ([192, 0, 2, number], 5060).into(),
        server_name: "carrier.example".to_owned(),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Targets by (priority, weight); target n has the hops n·10 and n·10+1.
fn targets(now: Instant, targets: &[(u16, u16)]) -> Targets {
    let mut made = Targets::new(targets.iter().copied(), Some(seconds(60)));
    for number in 0..targets.len() {
        let first = number as u8 * 10;
        made.resolved(now, number, vec![hop(first), hop(first + 1)]);
    }
    made
}

fn order(targets: &Targets, now: Instant, lot: u32) -> Vec<u8> {
    let choices = targets.order(now, None, &mut |below| lot.min(below - 1));
    let last = |choice: Choice| match choice.hop.address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(_) => unreachable!(),
    };
    choices.into_iter().map(last).collect()
}

#[test]
fn lower_priority_first_then_by_weight() {
    let now = Instant::now();
    let made = targets(now, &[(2, 0), (1, 10), (1, 30)]);
    // In priority 1: weights 10 and 30. Lots to 10 draw target 1, from 11 target 2.
    assert_eq!(order(&made, now, 0), [10, 11, 20, 21, 0, 1]);
    assert_eq!(order(&made, now, 10), [10, 11, 20, 21, 0, 1]);
    assert_eq!(order(&made, now, 11), [20, 21, 10, 11, 0, 1]);
    assert_eq!(order(&made, now, u32::MAX), [20, 21, 10, 11, 0, 1]);
}

#[test]
fn the_hop_of_the_registration_comes_first_where_it_is_usable() {
    let now = Instant::now();
    let made = targets(now, &[(1, 1); 10]);
    let firsts = |hop: &Hop| made.order(now, Some(hop), &mut |_| 0)[0].hop.clone();
    assert_eq!(firsts(&hop(91)), hop(91));
    assert_eq!(firsts(&hop(200)), hop(0), "not one of ours");
}

#[test]
fn weights_share_the_calls() {
    let now = Instant::now();
    let made = targets(now, &[(1, 10), (1, 30), (1, 0)]);
    let mut firsts = [0; 3];
    for lot in 0..=40 {
        let first = made.order(now, None, &mut |below| lot % below)[0].target;
        firsts[first] += 1;
    }
    // RFC 2782: weight 0 is drawn by lot 0 only.
    assert_eq!(firsts, [10, 30, 1]);
}

#[test]
fn a_call_tries_a_limited_number_of_hops() {
    let now = Instant::now();
    let made = targets(now, &[(1, 1); 10]);
    assert_eq!(order(&made, now, 0).len(), MAX_ATTEMPTS);
    let mut many = Targets::new([(1, 1)], None);
    many.resolved(now, 0, (0..200).map(hop).collect());
    assert_eq!(many.status(now).len(), MAX_HOPS);
}

#[test]
fn two_silent_health_checks_take_a_hop_down_and_any_response_brings_it_back() {
    let now = Instant::now();
    let mut made = targets(now, &[(1, 1)]);
    let heard = |made: &mut Targets, heard| made.heard(now, &hop(0), Probe::Options, heard);
    assert_eq!(heard(&mut made, Heard::Response), Some(Change::Up));
    assert_eq!(heard(&mut made, Heard::Response), None);
    assert_eq!(heard(&mut made, Heard::Silence), None);
    assert_eq!(order(&made, now, 0), [0, 1]);
    assert_eq!(heard(&mut made, Heard::Silence), Some(Change::Down));
    assert_eq!(heard(&mut made, Heard::Silence), None);
    assert_eq!(order(&made, now, 0), [1]);
    assert_eq!(heard(&mut made, Heard::Response), Some(Change::Up));
    assert_eq!(order(&made, now, 0), [0, 1]);
    // One failure between answers is forgotten.
    assert_eq!(heard(&mut made, Heard::Silence), None);
    assert_eq!(heard(&mut made, Heard::Response), None);
    assert_eq!(heard(&mut made, Heard::Silence), None);
    assert_eq!(order(&made, now, 0), [0, 1]);
}

#[test]
fn silence_of_one_who_never_answered_options_means_nothing() {
    let now = Instant::now();
    let mut made = targets(now, &[(1, 1)]);
    let mut probe = |heard| made.heard(now, &hop(0), Probe::Options, heard);
    assert_eq!(probe(Heard::Silence), None);
    assert_eq!(probe(Heard::Silence), Some(Change::MuteToOptions));
    assert_eq!(probe(Heard::Silence), None, "said once");
    assert_eq!(order(&made, now, 0), [0, 1]);
    // A connection that cannot be made is a fact all the same.
    let broken = Heard::TransportError;
    let change = made.heard(now, &hop(0), Probe::Options, broken);
    assert_eq!(change, Some(Change::Down));
    assert_eq!(order(&made, now, 0), [1]);
}

#[test]
fn a_silent_call_cools_a_hop_down_longer_each_time() {
    let mut now = Instant::now();
    let mut made = targets(now, &[(1, 1)]);
    for expected in [30, 60, 120, 240, 480, 480] {
        let change = made.heard(now, &hop(0), Probe::Call, Heard::Silence);
        let cooling = Change::Cooling(seconds(expected), Heard::Silence);
        assert_eq!(change, Some(cooling));
        // A second call that was on its way does not double it again.
        let second = made.heard(now, &hop(0), Probe::Call, Heard::Silence);
        assert_eq!(second, None);
        let end = now + seconds(expected);
        assert!(!made.usable(end - Duration::from_millis(1), &hop(0)));
        assert!(made.usable(end, &hop(0)));
        // Health checks that are answered do not end it: calls are what fails.
        made.heard(now, &hop(0), Probe::Options, Heard::Response);
        assert_eq!(order(&made, now, 0), [1]);
        now = end;
    }
    made.heard(now, &hop(0), Probe::Call, Heard::Response);
    let change = made.heard(now, &hop(0), Probe::Call, Heard::TransportError);
    let cooling = Change::Cooling(seconds(30), Heard::TransportError);
    assert_eq!(change, Some(cooling), "an answered call starts anew");
}

#[test]
fn retry_after_of_a_503_is_honoured_and_its_absence_is_about_one_call() {
    let now = Instant::now();
    let mut made = targets(now, &[(1, 1)]);
    let change = made.heard(now, &hop(0), Probe::Call, Heard::Unavailable(None));
    assert_eq!(change, Some(Change::Up), "it answers");
    assert_eq!(order(&made, now, 0), [0, 1]);
    for (said, kept) in [(7, 7), (100_000, 3600)] {
        let heard = Heard::Unavailable(Some(seconds(said)));
        let change = made.heard(now, &hop(0), Probe::Call, heard);
        assert_eq!(change, Some(Change::Cooling(seconds(kept), heard)));
        assert_eq!(order(&made, now, 0), [1]);
        assert_eq!(order(&made, now + seconds(kept), 0), [0, 1]);
    }
}

#[test]
fn what_is_known_outlives_a_new_look_at_the_name() {
    let now = Instant::now();
    let mut made = targets(now, &[(1, 1)]);
    for heard in [Heard::Response, Heard::Silence, Heard::Silence] {
        made.heard(now, &hop(0), Probe::Options, heard);
    }
    made.resolved(now, 0, vec![hop(5), hop(0), hop(5)]);
    assert_eq!(order(&made, now, 0), [5]);
    made.resolved(now, 0, vec![hop(5)]);
    made.resolved(now, 0, vec![hop(0), hop(5)]);
    assert_eq!(order(&made, now, 0), [0, 5], "what was gone begins anew");
    made.resolved(now, 99, vec![hop(1)]);
}

#[test]
fn options_are_due_at_their_interval_and_sooner_while_something_is_wrong() {
    let start = Instant::now();
    let at = |s| start + seconds(s);
    let mut made = Targets::new([(1, 1), (1, 1)], Some(seconds(60)));
    assert_eq!(made.next_probe(), None);
    made.resolved(start, 0, vec![hop(0)]);
    made.resolved(start, 1, vec![hop(0)]);
    assert_eq!(made.next_probe(), Some(start));
    assert_eq!(
        made.due(start).len(),
        1,
        "two targets, one hop, one OPTIONS"
    );
    assert_eq!((made.due(at(500)).len(), made.next_probe()), (0, None));
    for (now, heard, next) in [
        (1, Heard::Response, 61),
        (61, Heard::Silence, 71),
        (71, Heard::Silence, 81),
        (81, Heard::Silence, 91),
        (91, Heard::Response, 151),
    ] {
        made.heard(at(now), &hop(0), Probe::Options, heard);
        assert_eq!(made.next_probe(), Some(at(next)), "after {now}");
        assert_eq!(made.due(at(next)).len(), 1);
    }
    // A call that fails asks at once.
    made.heard(at(151), &hop(0), Probe::Options, Heard::Response);
    made.heard(at(160), &hop(0), Probe::Call, Heard::Silence);
    assert_eq!(made.next_probe(), Some(at(160)));
    let mut off = Targets::new([(1, 1)], None);
    off.resolved(start, 0, vec![hop(0)]);
    assert_eq!((off.due(at(9)).len(), off.next_probe()), (0, None));
}

#[test]
fn retry_after_is_the_next_moment_something_may_change() {
    let now = Instant::now();
    let mut made = targets(now, &[(1, 1)]);
    for number in [0, 1] {
        let heard = Heard::Unavailable(Some(seconds(20 + u64::from(number))));
        made.heard(now, &hop(number), Probe::Call, heard);
    }
    assert!(order(&made, now, 0).is_empty());
    assert_eq!(made.retry_after(now), seconds(20));
    assert_eq!(made.retry_after(now + seconds(20)), seconds(1));
    assert_eq!(Targets::new([(1, 1)], None).retry_after(now), seconds(10));
}

#[test]
fn what_is_known_outlives_a_reload() {
    let now = Instant::now();
    let mut made = targets(now, &[(1, 1)]);
    made.due(now);
    for heard in [Heard::Response, Heard::Silence, Heard::Silence] {
        made.heard(now, &hop(0), Probe::Options, heard);
    }
    let mut carried = made.carried(now, Some(seconds(5)));
    assert_eq!(order(&carried, now, 0), [1]);
    assert_eq!(
        carried.due(now).len(),
        2,
        "also the one that was on its way"
    );
    let silent = made.carried(now, None);
    assert_eq!(
        (order(&silent, now, 0), silent.next_probe()),
        (vec![1], None)
    );
}
