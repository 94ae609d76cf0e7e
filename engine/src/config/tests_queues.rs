//! Agents and queues: what is read, and the sentence that each slip gives.
use super::*;
use std::time::Duration;

const OFFICE: &str = "[[trunk]]\nname = \"carrier\"\ntarget = \"sip:192.0.2.1\"\n[[endpoint]]\nuser = \"alice\"\npassword = \"a\"\nextension = \"201\"\n";

fn refused(text: &str) -> String {
    let text = format!("{OFFICE}{text}");
    Config::from_str("t", &text).expect_err(&text).to_string()
}

#[test]
fn values_become_types() {
    let text = format!(
        "{OFFICE}[[agent]]\nid = \"1\"\nendpoint = \"201\"\npin = \"4711\"\nskills = [\"spanish:50\", \"billing\"]\n\
         [[agent]]\nid = \"2\"\nnumber = \"+491\"\ntrunk = \"carrier\"\nwrap_up_s = 0\n\
         [[queue]]\nname = \"sales\"\nmembers = [\"2:5\", \"1\"]\nstrategy = \"wrandom\"\nmax_wait_s = 60\n\
         join_when_empty = \"strict\"\nleave_when_empty = [\"paused\", \"in-use\"]\nratio_threshold = 1.5\n\
         callback_key = \"2\"\ncallback_trunk = \"carrier\"\ncallback_allow = [\"+49\"]\non_timeout = \"300\"\nmusic = \"hold.wav\"\n\
         [[number]]\nto = \"300\"\nqueue = \"sales\"\n[[number]]\nto = \"*45\"\nagent = \"login\"\n[[number]]\nto = \"*46\"\nfrom = [\"endpoint:alice\"]\nagent = \"listen\"\n"
    );
    let config = Config::from_str("t", &text).expect("good");
    let [one, two] = &config.agents[..] else {
        panic!("{:?}", config.agents)
    };
    assert_eq!(one.reach, Reach::Endpoint("alice".to_owned()));
    assert!(one.logged_in && !one.confirm && one.wrap_up.is_none());
    assert_eq!(
        one.skills,
        [("spanish".to_owned(), 50), ("billing".to_owned(), 1)]
    );
    assert!(two.confirm && two.wrap_up == Some(Duration::ZERO));
    let queue = &config.queues[0];
    let members: Vec<_> = queue
        .members
        .iter()
        .map(|each| (&*each.agent, each.penalty))
        .collect();
    assert_eq!(members, [("2", 5), ("1", 0)]);
    assert_eq!(
        (queue.strategy, queue.max_wait),
        (Strategy::WRandom, Some(Duration::from_secs(60)))
    );
    assert_eq!(queue.join_when_empty, Some(Absent::STRICT));
    let away = Absent {
        paused: true,
        in_use: true,
        ..Absent::default()
    };
    assert_eq!(queue.leave_when_empty, Some(away));
    assert_eq!(
        queue.callback.as_ref().map(|callback| callback.key),
        Some('2')
    );
    assert_eq!(queue.then, [("timeout".to_owned(), "300".to_owned())]);
    assert_eq!(queue.music.as_deref(), Some("hold.wav"));
    let from = |at: usize| &config.numbers[at].from;
    assert_eq!(
        from(1),
        &[Callers::AnyEndpoint],
        "agents' services are for phones"
    );
    assert_eq!(
        config.numbers[2].destination,
        NumberDestination::Agent(AgentService::Listen)
    );
}

#[test]
fn slips_are_told() {
    let agent = "[[agent]]\nid = \"1\"\nendpoint = \"alice\"\n";
    let in_queue = |line: &str| format!("{agent}[[queue]]\nname = \"q\"\n{line}");
    for (text, expected) in [
        (
            "[[agent]]\nid = \"1\"\nendpoint = \"alise\"".to_owned(),
            "there is no [[endpoint]] \"alise\"; did you mean \"alice\"?",
        ),
        (
            "[[agent]]\nid = \"1\"\nnumber = \"+491\"".to_owned(),
            "give one of these",
        ),
        (
            "[[agent]]\nid = \"1\"\nendpoint = \"alice\"\npin = \"secret\"".to_owned(),
            "it is 1 to 32 digits",
        ),
        (
            format!("{agent}{agent}"),
            "\"1\" is already given in line 9",
        ),
        (in_queue("members = [\"2\"]"), "there is no [[agent]] \"2\""),
        (
            in_queue("members = [\"1:x\"]"),
            "must be a name, or a name and a number from 0 to 10000",
        ),
        (in_queue("members = [\"1\", \"1:4\"]"), "is given twice"),
        (
            in_queue("strategy = \"roundrobin\""),
            "must be \"ringall\", \"linear\"",
        ),
        (
            in_queue("join_when_empty = [\"away\"]"),
            "must be \"paused\", \"in-use\", \"ringing\", \"wrap-up\", \"unavailable\" or \"penalty\"",
        ),
        (in_queue("callback_key = \"2\""), "needs \"callback_trunk\""),
        (
            in_queue("callback_key = \"2\"\ncallback_trunk = \"carrier\""),
            "needs \"callback_allow\"",
        ),
        (
            "[[number]]\nto = \"3\"\nqueue = \"q\"".to_owned(),
            "there is no [[queue]] \"q\"",
        ),
        (
            "[[number]]\nto = \"3\"\nagent = \"listen\"".to_owned(),
            "say with \"from\" who may",
        ),
        (
            "[[number]]\nto = \"3\"\nfrom = [\"anyone\"]\nagent = \"login\"".to_owned(),
            "opens agents' services to everybody",
        ),
    ] {
        let told = refused(&text);
        assert!(told.contains(expected), "{text}\n{told}");
        assert!(!told.contains("secret"), "{told}");
    }
}
