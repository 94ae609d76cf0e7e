//! Who rings for whom, in which order.
use super::*;

/// The agents who take one call after the other, each of a minute.
fn taken(office: &mut Office, calls: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for call in 0..calls {
        office.join(&format!("c-{call}"));
        let rung = office.one_rung();
        office.answer(&rung);
        office.pass(s(60));
        office.core.hung_up(office.now, rung.0);
        taken.push(rung.2);
    }
    taken
}

/// The agents who ring for one caller and do not answer.
fn tried(office: &mut Office, times: usize) -> Vec<String> {
    let mut tried = Vec::new();
    while tried.len() < times {
        tried.extend(office.rung().into_iter().flat_map(|(.., agents)| agents));
        let due = office.core.due().expect("something rings or rests");
        office.pass(due - office.now);
    }
    tried.truncate(times);
    tried
}

#[test]
fn each_strategy_hands_out_calls_in_its_order() {
    for (strategy, expected) in [
        (Strategy::Linear, ["a", "a", "a", "a", "a"]),
        (Strategy::RrMemory, ["a", "b", "c", "a", "b"]),
        (Strategy::LeastRecent, ["a", "b", "c", "a", "b"]),
        (Strategy::FewestCalls, ["a", "b", "c", "a", "b"]),
    ] {
        let mut office = Office::of(strategy, &["a", "b", "c"], |_| {});
        assert_eq!(taken(&mut office, 5), expected, "{strategy:?}");
    }
}

#[test]
fn strategies_differ_where_one_agent_was_away() {
    for (strategy, expected) in [
        // c had none: it catches up.
        (Strategy::FewestCalls, ["a", "b", "c", "c", "a"]),
        (Strategy::LeastRecent, ["a", "b", "c", "a", "b"]),
        (Strategy::RrMemory, ["a", "b", "c", "a", "b"]),
    ] {
        let mut office = Office::of(strategy, &["a", "b", "c"], |_| {});
        office.core.pause(office.now, "c", Some("lunch")).unwrap();
        assert_eq!(taken(&mut office, 4), ["a", "b", "a", "b"]);
        office.core.pause(office.now, "c", None).unwrap();
        let after = taken(&mut office, 3);
        assert_eq!(after[0], "c", "{strategy:?}");
        if strategy == Strategy::FewestCalls {
            assert_eq!(after[1], "c");
        }
        let _ = expected;
    }
}

#[test]
fn chance_reaches_everybody() {
    for strategy in [Strategy::Random, Strategy::WRandom] {
        let mut office = Office::of(strategy, &["a", "b", "c"], |_| {});
        let taken = taken(&mut office, 60);
        for agent in ["a", "b", "c"] {
            let times = taken.iter().filter(|taken| *taken == agent).count();
            assert!((8..=32).contains(&times), "{strategy:?} {agent}: {times}");
        }
    }
}

#[test]
fn all_ring_and_the_first_who_answers_has_the_call() {
    let mut office = Office::of(Strategy::RingAll, &["a", "b", "c"], |_| {});
    let (first, second) = (office.join("c-1"), office.join("c-2"));
    let rung = office.rung();
    assert_eq!(rung.len(), 1);
    assert_eq!(rung[0].2, ["a", "b", "c"]);
    assert!(office.core.answered(office.now, first, 1, "b"));
    // The two others ring for the second caller at once, and b is too late for a second call.
    let rung = office.rung();
    assert_eq!(
        (rung[0].0, &*rung[0].2),
        (second, &["a".to_owned(), "c".to_owned()][..])
    );
    assert!(!office.core.answered(office.now, second, 1, "b"));
    assert!(
        !office.core.answered(office.now, first, 1, "a"),
        "answered twice"
    );
}

#[test]
fn whoever_does_not_answer_is_followed_by_the_next_and_then_all_rest() {
    let mut office = Office::of(Strategy::Linear, &["a", "b"], |queue| queue.retry = s(5));
    office.join("c-1");
    let began = office.now;
    assert_eq!(tried(&mut office, 4), ["a", "b", "a", "b"]);
    // Four times 20 s of ringing, and one rest of 5 s between the rounds.
    assert_eq!(office.now - began, s(85));
}

#[test]
fn penalties_count_before_the_order() {
    let one = queue("q", Strategy::Linear, &[("a", 2), ("b", 0), ("c", 1)]);
    let mut office = Office::new(&[one], &["a", "b", "c"].map(agent));
    office.join("c-1");
    assert_eq!(tried(&mut office, 3), ["b", "c", "a"]);
    let mut one = queue("q", Strategy::RingAll, &[("a", 2), ("b", 0), ("c", 0)]);
    one.max_penalty = Some(1);
    let mut office = Office::new(&[one], &["a", "b", "c"].map(agent));
    office.join("c-1");
    assert_eq!(tried(&mut office, 4), ["b", "c", "b", "c"]);
}

#[test]
fn skills_are_needed_until_the_queue_relaxes() {
    let mut one = queue("q", Strategy::Linear, &[("a", 0), ("b", 0)]);
    one.skills = vec![("spanish".to_owned(), 50)];
    one.skills_relax = Some(s(90));
    let (mut a, mut b) = (agent("a"), agent("b"));
    a.skills = vec![("spanish".to_owned(), 49)];
    b.skills = vec![("spanish".to_owned(), 50)];
    let mut office = Office::new(&[one], &[a, b]);
    office.core.pause(office.now, "b", Some("")).unwrap();
    office.join("c-1");
    assert!(office.rung().is_empty());
    assert_eq!(office.core.due(), Some(office.now + s(90)));
    office.pass(s(90));
    assert_eq!(office.one_rung().2, "a");
}

#[test]
fn who_has_priority_comes_first_and_others_keep_their_order() {
    let mut office = Office::of(Strategy::Linear, &["a"], |_| {});
    office.core.pause(office.now, "a", Some("")).unwrap();
    let plain = [office.join("c-1"), office.join("c-2")];
    let vip = office.try_join("c-3", 10).unwrap();
    let late = office.join("c-4");
    let places =
        [plain[0], plain[1], vip, late].map(|caller| office.core.position(caller).unwrap());
    assert_eq!(places, [2, 3, 1, 4]);
    office.core.pause(office.now, "a", None).unwrap();
    let mut served = Vec::new();
    for _ in 0..4 {
        let rung = office.one_rung();
        office.answer(&rung);
        office.core.hung_up(office.now, rung.0);
        served.push(rung.0);
    }
    assert_eq!(served, [vip, plain[0], plain[1], late]);
}

#[test]
fn a_queue_of_more_weight_is_served_first_by_agents_of_both() {
    let light = queue("q", Strategy::Linear, &[("a", 0)]);
    let mut heavy = queue("gold", Strategy::Linear, &[("a", 0)]);
    heavy.weight = 5;
    let mut office = Office::new(&[light, heavy], &[agent("a")]);
    office.core.logout(office.now, "a").unwrap();
    let first = office.join("c-1");
    let joining = Joining {
        queue: "gold".to_owned(),
        ..Joining::default()
    };
    let gold = office.core.join(office.now, joining).unwrap();
    office.core.login(office.now, "a").unwrap();
    let rung = office.one_rung();
    assert_eq!(rung.0, gold);
    office.answer(&rung);
    office.core.hung_up(office.now, gold);
    assert_eq!(office.one_rung().0, first);
}

#[test]
fn an_agent_rests_after_a_call() {
    let mut office = Office::of(Strategy::Linear, &["a"], |queue| queue.wrap_up = s(15));
    office.join("c-1");
    let rung = office.one_rung();
    office.answer(&rung);
    office.join("c-2");
    office.core.hung_up(office.now, rung.0);
    assert_eq!(office.state("a"), AgentState::WrapUp);
    assert_eq!(office.core.due(), Some(office.now + s(15)));
    office.pass(s(14));
    assert!(office.rung().is_empty());
    office.pass(s(1));
    assert_eq!(office.one_rung().2, "a");
}

#[test]
fn a_busy_agent_and_one_out_of_reach_are_left_alone_for_a_while() {
    for (why, state) in [
        (Missed::Busy, AgentState::Busy),
        (Missed::Unreachable, AgentState::Unavailable),
    ] {
        let mut office = Office::of(Strategy::Linear, &["a"], |queue| queue.retry = s(7));
        let caller = office.join("c-1");
        let (_, attempt, _) = office.one_rung();
        office.core.missed(office.now, caller, attempt, "a", why);
        assert_eq!(office.state("a"), state);
        assert!(office.rung().is_empty());
        office.pass(s(7));
        assert_eq!(office.state("a"), AgentState::Ringing);
    }
}

#[test]
fn who_lets_it_ring_is_paused_where_the_queue_says_so() {
    let mut office = Office::of(Strategy::Linear, &["a", "b"], |queue| {
        queue.auto_pause = true;
    });
    office.join("c-1");
    assert_eq!(office.one_rung().2, "a");
    office.pass(s(20));
    assert_eq!(
        office.state("a"),
        AgentState::Paused("no answer".to_owned())
    );
    assert_eq!(office.one_rung().2, "b");
    let caller = office.core.list_callers(office.now, "q").unwrap()[0].id;
    office
        .core
        .missed(office.now, caller, 2, "b", Missed::Declined);
    assert_eq!(
        office.state("b"),
        AgentState::Free,
        "it did answer, in a way"
    );
}

#[test]
fn an_agent_is_called_alone_and_only_when_free() {
    let mut office = Office::of(Strategy::RingAll, &["a", "b"], |_| {});
    let direct = |office: &mut Office| {
        let joining = Joining {
            queue: "agent:b".to_owned(),
            ring: Some(s(12)),
            ..Joining::default()
        };
        office.core.join(office.now, joining)
    };
    let caller = direct(&mut office).unwrap();
    assert_eq!(office.one_rung().2, "b");
    assert_eq!(direct(&mut office), Err(Refused::Empty), "b rings");
    office.pass(s(12));
    assert_eq!(office.left(), [(caller, Leaving::Timeout)]);
    assert!(direct(&mut office).is_ok());
    assert_eq!(office.core.list_queues(office.now).len(), 1);
}
