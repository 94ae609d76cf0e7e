//! What ends a wait, what callers are told meanwhile, callbacks, members, reload and figures.
use super::*;
use crate::config::{Absent, Announce, Callback, Secret};

#[test]
fn a_wait_ends_at_its_limit_but_not_while_it_rings() {
    let mut office = Office::of(Strategy::Linear, &["a"], |queue| {
        queue.max_wait = Some(s(30));
        queue.retry = s(15);
    });
    let caller = office.join("c-1");
    office.pass(s(20));
    // Rings again from 35 s on, but the limit comes before.
    assert_eq!(office.core.due(), Some(office.now + s(10)));
    office.pass(s(10));
    assert_eq!(office.left(), [(caller, Leaving::Timeout)]);
    assert_eq!(office.figures().timed_out, 1);
    assert_eq!(office.state("a"), AgentState::Free);
    let mut office = Office::of(Strategy::Linear, &["a"], |queue| {
        queue.max_wait = Some(s(10));
    });
    let caller = office.join("c-1");
    office.pass(s(15));
    assert!(office.left().is_empty(), "it rings");
    office.pass(s(5));
    assert_eq!(office.left(), [(caller, Leaving::Timeout)]);
}

#[test]
fn a_full_queue_lets_nobody_in() {
    let mut office = Office::of(Strategy::Linear, &[], |queue| queue.max_length = Some(2));
    let first = office.join("c-1");
    office.join("c-2");
    assert_eq!(office.try_join("c-3", 99), Err(Refused::Full));
    office.core.leave(office.now, first, Leaving::Abandoned);
    assert!(office.try_join("c-4", 0).is_ok());
    let figures = office.figures();
    assert_eq!(
        (figures.offered, figures.refused, figures.abandoned),
        (4, 1, 1)
    );
}

#[test]
fn who_counts_as_absent_is_for_the_queue_to_say() {
    type Change = fn(&mut Office);
    let ringing: Change = |office| _ = office.join("c-0");
    let talking: Change = |office| {
        office.join("c-0");
        let rung = office.one_rung();
        office.answer(&rung);
    };
    let wrap_up: Change = |office| {
        office.join("c-0");
        let rung = office.one_rung();
        office.answer(&rung);
        office.core.hung_up(office.now, rung.0);
    };
    let out: Change = |office| office.core.logout(office.now, "a").unwrap();
    let paused: Change = |office| office.core.pause(office.now, "a", Some("")).unwrap();
    let free: Change = |_| {};
    // Whether the queue is empty by each rule: loose, usual, strict, whoever is not free.
    for (name, change, expected) in [
        ("free", free, [false, false, false, false]),
        ("logged out", out, [true, true, true, true]),
        ("paused", paused, [false, true, true, true]),
        ("ringing", ringing, [false, false, false, true]),
        ("talking", talking, [false, false, false, true]),
        ("wrap-up", wrap_up, [false, false, false, true]),
    ] {
        let rules = [
            Absent::LOOSE,
            Absent::USUAL,
            Absent::STRICT,
            Absent::NOT_FREE,
        ];
        for (rule, expected) in rules.into_iter().zip(expected) {
            let mut office = Office::of(Strategy::Linear, &["a"], |queue| {
                queue.wrap_up = s(9);
            });
            change(&mut office);
            assert_eq!(office.core.is_empty("q", rule), expected, "{name} {rule:?}");
            let mut one = queue("q", Strategy::Linear, &[("a", 0)]);
            one.join_when_empty = Some(rule);
            office.core.apply(office.now, &[one], &[agent("a")]);
            let refused = office.try_join("c-1", 0) == Err(Refused::Empty);
            assert_eq!(refused, expected, "{name} {rule:?}");
        }
    }
}

#[test]
fn callers_go_on_when_the_last_agent_leaves() {
    let mut office = Office::of(Strategy::Linear, &["a", "b"], |queue| {
        queue.leave_when_empty = Some(Absent::USUAL);
    });
    for agent in ["a", "b"] {
        office.join(&format!("c-{agent}"));
        let rung = office.one_rung();
        office.answer(&rung);
    }
    let waits = office.join("c-2");
    office.core.pause(office.now, "a", Some("")).unwrap();
    assert!(office.left().is_empty());
    office.core.logout(office.now, "b").unwrap();
    assert_eq!(office.left(), [(waits, Leaving::Empty)]);
    assert_eq!(office.figures().left, 1);
}

#[test]
fn thresholds_send_callers_on() {
    let mut office = Office::of(Strategy::Linear, &["a"], |queue| {
        queue.hold_threshold = Some(s(100));
    });
    office.join("c-1");
    let rung = office.one_rung();
    office.answer(&rung);
    office.pass(s(60));
    office.core.hung_up(office.now, rung.0);
    office.core.pause(office.now, "a", Some("")).unwrap();
    assert!(office.try_join("c-2", 0).is_ok());
    assert_eq!(office.try_join("c-3", 0), Err(Refused::Hold), "twice 60 s");
    let mut office = Office::of(Strategy::Linear, &["a", "b"], |queue| {
        queue.ratio_threshold = Some(1.5);
        queue.ring = s(600);
    });
    office.core.logout(office.now, "b").unwrap();
    assert!(office.try_join("c-1", 0).is_ok());
    assert_eq!(office.try_join("c-2", 0), Err(Refused::Ratio));
    office.core.login(office.now, "b").unwrap();
    for call in ["c-3", "c-4"] {
        assert!(office.try_join(call, 0).is_ok());
    }
    assert_eq!(office.try_join("c-5", 0), Err(Refused::Ratio));
}

#[test]
fn callers_are_told_their_place_and_how_long_it_may_take() {
    let mut office = Office::of(Strategy::Linear, &["a"], |queue| {
        queue.announce = Announce {
            position: true,
            first: s(10),
            every: s(30),
            ..Announce::default()
        };
    });
    let first = office.join("c-0");
    let rung = office.one_rung();
    office.answer(&rung);
    office.pass(s(40));
    office.core.hung_up(office.now, first);
    office.core.pause(office.now, "a", Some("")).unwrap();
    let callers = [office.join("c-1"), office.join("c-2")];
    office.pass(s(10));
    let told = |position, hold| Order::Announce {
        position,
        hold: Some(s(hold)),
    };
    // Nobody serves: as long as if one did.
    assert_eq!(
        office.orders(),
        [(callers[0], told(1, 40)), (callers[1], told(2, 80))]
    );
    office
        .core
        .leave(office.now, callers[0], Leaving::Abandoned);
    office.pass(s(29));
    assert!(office.orders().is_empty());
    office.pass(s(1));
    assert_eq!(office.orders(), [(callers[1], told(1, 40))]);
}

#[test]
fn a_caller_who_gives_up_frees_the_agents_who_ring() {
    let mut office = Office::of(Strategy::RingAll, &["a", "b"], |_| {});
    let caller = office.join("c-1");
    office.core.leave(office.now, caller, Leaving::Abandoned);
    for agent in ["a", "b"] {
        assert_eq!(office.state(agent), AgentState::Free);
    }
    assert!(
        !office.core.answered(office.now, caller, 1, "a"),
        "too late"
    );
    assert_eq!(office.figures().abandoned, 1);
    assert_eq!(office.core.due(), None);
}

#[test]
fn an_answer_that_needs_a_key_keeps_the_others_ringing() {
    let mut office = Office::of(Strategy::RingAll, &["a", "b"], |_| {});
    let caller = office.join("c-1");
    assert!(office.core.picked_up(office.now, caller, 1, "a", false));
    assert_eq!(office.state("b"), AgentState::Ringing);
    // What picked up was a voicemail box.
    office
        .core
        .missed(office.now, caller, 1, "a", Missed::NoAnswer);
    assert!(office.core.picked_up(office.now, caller, 1, "b", true));
    office.pass(s(30));
    assert!(
        office.core.answered(office.now, caller, 1, "b"),
        "it was being told who calls"
    );
    let mut office = Office::of(Strategy::RingAll, &["a", "b"], |_| {});
    let caller = office.join("c-1");
    assert!(office.core.picked_up(office.now, caller, 1, "a", true));
    assert_eq!(office.state("b"), AgentState::Free);
    assert!(!office.core.picked_up(office.now, caller, 1, "b", true));
}

fn calling_back() -> Office {
    Office::of(Strategy::Linear, &["a"], |queue| {
        queue.callback = Some(Callback {
            key: '2',
            trunk: "out".to_owned(),
            allow: Vec::new(),
            caller_id: None,
            ring: s(30),
            attempts: 2,
            retry: s(300),
        });
    })
}

#[test]
fn who_is_called_back_keeps_its_place_and_has_an_agent() {
    let mut office = calling_back();
    office.core.pause(office.now, "a", Some("")).unwrap();
    let first = office.join("c-1");
    let second = office.join("c-2");
    assert!(office.core.ask_callback(office.now, first, "+491"));
    assert_eq!(office.core.position(second), Some(2));
    office.core.pause(office.now, "a", None).unwrap();
    let ordered = Order::CallBack {
        number: "+491".to_owned(),
        queue: "q".to_owned(),
    };
    assert_eq!(office.orders(), [(first, ordered)]);
    assert_eq!(office.state("a"), AgentState::Ringing, "kept free for it");
    assert!(office.core.called_back(office.now, first, "c-9"));
    let rung = office.one_rung();
    assert_eq!((rung.0, &*rung.2), (first, "a"));
    office.answer(&rung);
    let view = &office.core.list_callers(office.now, "q").unwrap()[1];
    assert_eq!((&*view.call, view.stage), ("c-9", "talking"));
}

#[test]
fn a_callback_that_fails_is_tried_again_and_given_up() {
    let mut office = calling_back();
    let caller = office.join("c-1");
    assert!(office.core.ask_callback(office.now, caller, "+491"));
    assert_eq!(office.state("a"), AgentState::Ringing);
    office.core.callback_failed(office.now, caller);
    assert_eq!(office.state("a"), AgentState::Free);
    assert_eq!(office.core.due(), Some(office.now + s(300)));
    // Others go before meanwhile.
    let other = office.join("c-2");
    office.orders();
    office.core.leave(office.now, other, Leaving::Abandoned);
    office.pass(s(300));
    assert!(matches!(office.orders()[..], [(_, Order::CallBack { .. })]));
    // Nobody says how it went: the agent is not kept for ever.
    office.pass(s(60));
    assert_eq!(office.state("a"), AgentState::Free);
    let callers = office.core.list_callers(office.now, "q").unwrap();
    assert!(
        callers.is_empty(),
        "given up after two attempts: {callers:?}"
    );
    let waits = office.join("c-3");
    let plain = Office::of(Strategy::Linear, &[], |_| {})
        .core
        .ask_callback(office.now, waits, "1");
    assert!(!plain, "a queue that calls nobody back");
}

#[test]
fn a_callback_that_is_put_off_counts_as_no_attempt() {
    let mut office = calling_back();
    let caller = office.join("c-1");
    assert!(office.core.ask_callback(office.now, caller, "+491"));
    while office.core.poll_event().is_some() {}
    for _ in 0..3 {
        let orders = office.orders();
        let last = orders.last();
        assert!(
            matches!(last, Some((_, Order::CallBack { .. }))),
            "{orders:?}"
        );
        assert_eq!(office.core.callbacks()[0].attempts, 1);
        office.core.callback_put_off(office.now, caller);
        assert_eq!(office.core.callbacks()[0].attempts, 0);
        assert_eq!(office.state("a"), AgentState::Free);
        assert_eq!(office.core.due(), Some(office.now + s(300)));
        office.pass(s(300));
    }
    let events = std::iter::from_fn(|| office.core.poll_event());
    let failed = |event: &Event| matches!(event, Event::CallbackFailed { .. });
    assert_eq!(events.filter(failed).count(), 0);
}

#[test]
fn callbacks_outlive_a_restart() {
    let mut office = calling_back();
    office.core.logout(office.now, "a").unwrap();
    for (call, number) in [("c-1", "+491"), ("c-2", "+492")] {
        let caller = office.join(call);
        assert!(office.core.ask_callback(office.now, caller, number));
    }
    let kept = office.core.callbacks();
    let mut after = calling_back();
    after.core.restore_callbacks(after.now, &kept);
    let orders = after.orders();
    assert!(
        matches!(&orders[..], [(_, Order::CallBack { number, .. })] if number == "+491"),
        "{orders:?}"
    );
    assert_eq!(after.core.callbacks().len(), 2);
    let mut plain = Office::of(Strategy::Linear, &["a"], |_| {});
    plain.core.restore_callbacks(plain.now, &kept);
    assert!(plain.core.callbacks().is_empty());
}

#[test]
fn members_come_and_go_and_stay_so_over_a_reload() {
    let mut office = Office::of(Strategy::Linear, &["a"], |_| {});
    let both = [agent("a"), agent("b")];
    let one = queue("q", Strategy::Linear, &[("a", 0)]);
    office
        .core
        .apply(office.now, std::slice::from_ref(&one), &both);
    let (core, now) = (&mut office.core, office.now);
    assert_eq!(core.add_member(now, "q", "c", 0), Err(Unknown::Agent));
    assert_eq!(core.add_member(now, "p", "a", 0), Err(Unknown::Queue));
    core.add_member(now, "q", "b", 3).unwrap();
    core.remove_member(now, "q", "a").unwrap();
    assert_eq!(core.remove_member(now, "q", "a"), Err(Unknown::Agent));
    let caller = office.join("c-1");
    assert_eq!(office.one_rung().2, "b");
    office.core.apply(office.now, &[one], &both);
    assert_eq!(
        office.core.position(caller),
        Some(1),
        "whoever waits keeps waiting"
    );
    let members = office.core.queue(office.now, "q").unwrap().members;
    assert_eq!(members.len(), 1);
    assert_eq!((&*members[0].agent, members[0].penalty), ("b", 3));
}

#[test]
fn a_queue_that_is_gone_lets_its_callers_go_and_an_agent_finishes_its_call() {
    let mut office = Office::of(Strategy::Linear, &["a"], |_| {});
    let talks = office.join("c-1");
    let rung = office.one_rung();
    office.answer(&rung);
    let waits = office.join("c-2");
    office.core.apply(office.now, &[], &[]);
    assert_eq!(office.left(), [(waits, Leaving::Removed)]);
    assert_eq!(office.state("a"), AgentState::Talking);
    assert!(office.core.list_agents(office.now).is_empty());
    office.core.hung_up(office.now, talks);
    assert_eq!(office.core.agent_state("a"), None);
}

#[test]
fn figures_say_how_well_callers_are_served() {
    let mut office = Office::of(Strategy::Linear, &["a"], |queue| {
        queue.ring = s(60);
        queue.service_level = s(10);
    });
    for wait in [5, 10, 11, 30] {
        office.join("c");
        let rung = office.one_rung();
        office.pass(s(wait));
        office.answer(&rung);
        office.pass(s(100));
        office.core.hung_up(office.now, rung.0);
    }
    let gives_up = office.join("c");
    office.core.leave(office.now, gives_up, Leaving::Abandoned);
    let figures = office.figures();
    assert_eq!(
        (
            figures.offered,
            figures.answered,
            figures.within,
            figures.abandoned
        ),
        (5, 4, 2, 1)
    );
    assert_eq!(figures.service_level(), Some(0.4));
    assert_eq!(figures.mean_hold(), Some(s(14)));
    assert_eq!(
        (figures.longest, figures.mean_talk()),
        (s(30), Some(s(100)))
    );
    let agent = office.core.agent(office.now, "a").unwrap().today;
    assert_eq!(
        (agent.offered, agent.answered, agent.talked),
        (5, 4, s(400))
    );
    office.core.new_day();
    assert_eq!(office.figures(), Counts::default());
}

#[test]
fn wrong_pins_lock_an_agent_for_a_while() {
    let mut office = Office::of(Strategy::Linear, &["b"], |_| {});
    let mut own = agent("a");
    own.pin = Some(Secret::new("1234"));
    office.core.apply(office.now, &[], &[own, agent("b")]);
    let (core, now) = (&mut office.core, office.now);
    assert_eq!(core.check_pin(now, "a", "1234"), Ok(()));
    assert_eq!(core.check_pin(now, "b", ""), Ok(()));
    assert!(core.needs_pin("a") && !core.needs_pin("b"));
    for _ in 0..5 {
        assert_eq!(core.check_pin(now, "a", "0000"), Err(Unknown::Pin));
    }
    assert_eq!(core.check_pin(now, "a", "1234"), Err(Unknown::Locked));
    assert_eq!(core.check_pin(now + s(300), "a", "1234"), Ok(()));
}

#[test]
fn agents_stand_after_a_restart_as_before() {
    let mut office = Office::of(Strategy::Linear, &["a", "b", "c"], |_| {});
    office.core.logout(office.now, "a").unwrap();
    office.core.pause(office.now, "b", Some("lunch\n")).unwrap();
    let kept = office.core.standing();
    let mut after = Office::of(Strategy::Linear, &["a", "b"], |_| {});
    after.core.restore(after.now, &kept);
    assert_eq!(after.state("a"), AgentState::LoggedOut);
    assert_eq!(after.state("b"), AgentState::Paused("lunch".to_owned()));
}
