//! Each bad configuration gives its exact sentence; the default file is complete.
use super::*;
use std::time::Duration;

fn refused(text: &str) -> String {
    Config::from_str("t.toml", text)
        .expect_err(text)
        .to_string()
}

#[test]
fn bad_values_are_told_exactly() {
    for (text, expected) in [
        (
            "[sip]\nlisten = [\"tsl:0.0.0.0:5061\"]",
            r#"t.toml:2:11 sip.listen[0]: the transport must be "udp", "tcp", "tls", "ws" or "wss", but is "tsl"; did you mean "tls"?"#,
        ),
        (
            "[sip]\nlisten = [\"udp:5060\"]",
            r#"t.toml:2:11 sip.listen[0]: must be "udp:ADDRESS:PORT" (or tcp, tls, ws, wss), IPv6 in brackets, but is text, "udp:5060""#,
        ),
        (
            "[sip]\nlisten = []",
            r#"t.toml:2:10 sip.listen: must be a list of at least one socket such as "udp:0.0.0.0:5060", but is an empty list"#,
        ),
        (
            "[sip]\nlisten = [\"udp:[::]:5060\", \"udp:[::]:5060\"]",
            "t.toml:2:28 sip.listen[1]: is given twice",
        ),
        (
            "[sip]\nadvertise = \"0.0.0.0\"",
            r#"t.toml:2:13 sip.advertise: must be the name or IP address of one machine, to which others can send, with or without ":PORT", but is text, "0.0.0.0""#,
        ),
        (
            "[media]\nadvertise = \"example.com\"",
            r#"t.toml:2:13 media.advertise: must be an IP address such as "192.0.2.1" or "2001:db8::1", but is text, "example.com""#,
        ),
        (
            "[sip]\nserver_name = \"a\\r\\nb\"",
            "t.toml:2:15 sip.server_name: must be at most 64 printable ASCII characters, but is text, \"a\\r\\nb\"",
        ),
        (
            "[sip]\nmax_calls = 0",
            "t.toml:2:13 sip.max_calls: must be a whole number from 1 to 100000, but is the number 0",
        ),
        (
            "[sip]\nmax_calls = \"many\"",
            r#"t.toml:2:13 sip.max_calls: must be a whole number from 1 to 100000, but is text, "many""#,
        ),
        (
            "[media]\nports = \"16385-20000\"",
            r#"t.toml:2:9 media.ports: must be a range that begins with an even port (RTP is even, RTCP the odd one above), but is text, "16385-20000""#,
        ),
        (
            "[media]\nports = \"16384-16384\"",
            r#"t.toml:2:9 media.ports: must be a range of at least two ports, the lower one first, but is text, "16384-16384""#,
        ),
        (
            "[media]\nports = \"80-90\"",
            r#"t.toml:2:9 media.ports: must be a range of ports from 1024 to 65535, but is text, "80-90""#,
        ),
        (
            "[media]\nports = 16384",
            r#"t.toml:2:9 media.ports: must be text in quotes, but is the number 16384"#,
        ),
        (
            "[media]\nports = \"16384-70000\"",
            r#"t.toml:2:9 media.ports: must be a range of ports such as "16384-32767", each from 1024 to 65535, but is text, "16384-70000""#,
        ),
        (
            "[media]\ncodecs = [\"pcm\"]",
            r#"t.toml:2:11 media.codecs[0]: must be "pcmu", "pcma", "g722", "opus", "l16" or "l16-16k", but is "pcm"; did you mean "pcmu"?"#,
        ),
        (
            "[media]\ncodecs = [\"pcmu\", \"pcmu\"]",
            "t.toml:2:19 media.codecs[1]: is given twice",
        ),
        (
            "[media]\ndtmf = \"rfc2833\"",
            r#"t.toml:2:8 media.dtmf: must be "auto", "rfc4733", "inband", "info" or "off", but is "rfc2833"; did you mean "rfc4733"?"#,
        ),
        (
            "[[endpoint]]\nuser = \"a\"\npassword = \"0123456789abcdef\"\ndtmf_profile = \"japan\"",
            r#"t.toml:4:16 endpoint[0].dtmf_profile: must be "default", "relaxed", "strict", "ntt", "australia" or "brazil", but is "japan""#,
        ),
        (
            "[http]\nlisten = \"8080\"",
            r#"t.toml:2:10 http.listen: must be "ADDRESS:PORT" such as "127.0.0.1:8080", or "off", but is text, "8080""#,
        ),
        (
            "[log]\nformat = \"text\"",
            r#"t.toml:2:10 log.format: must be "human" or "json", but is "text""#,
        ),
        (
            "[log]\nlevel = \"warning\"",
            r#"t.toml:2:9 log.level: must be "error", "warn", "info", "debug" or "trace", but is "warning""#,
        ),
        (
            "[log]\nlevl = \"warn\"",
            r#"t.toml:2:1 log.levl: unknown key; did you mean "level"? known here: format, level"#,
        ),
        (
            "[run]\ncolour = 1",
            "t.toml:2:1 run.colour: unknown key; known here: drain_s",
        ),
        (
            "[sipp]\n",
            r#"t.toml:1:2 sipp: unknown key; did you mean "sip"? known here: agent, api, cdr, dtmf, endpoint, fetch, flow, http, log, mail, media, music, number, queue, recognition, recordings, ring_group, run, security, sip, speech, store, tls, tones, transfer, trunk, voicemail, webhook"#,
        ),
        (
            "sip = 3\n",
            "t.toml:1:7 sip: must be a table of keys, but is the number 3",
        ),
        (
            "[[number]]\nto = \"1\"",
            r#"t.toml:1:1 number[0]: leads nowhere: one of "flow", "endpoint", "ring_group", "queue", "agent", "trunk", "voicemail", "voicemail_access" or "webhook" is missing"#,
        ),
        (
            "[[number]]\nto = \"1\"\nflow = \"builtin:demmo\"",
            r#"t.toml:3:8 number[0].flow: there is no built-in flow "demmo"; there is "demo", "load-answer" or "load-ivr"; did you mean "demo"?"#,
        ),
        (
            "[[number]]\nto = \"1\"\nflow = \"a.json\"\n[[number]]\nto = \"1\"\nflow = \"b.json\"",
            r#"t.toml:5:6 number[1].to: "1" is already given in line 2 for the same callers: a call can go to one place only"#,
        ),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_order() {
    let text = "[sip]\nmax_calls = 0\n[log]\nlevel = 3\n[media]\nprots = \"1-2\"\n";
    let told: Vec<String> = Config::from_str("t.toml", text)
        .expect_err("bad")
        .lines()
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].starts_with("t.toml:2:13 sip.max_calls: "),
        "{told:?}"
    );
    assert!(told[1].starts_with("t.toml:4:9 log.level: "), "{told:?}");
    assert!(
        told[2].starts_with("t.toml:6:1 media.prots: unknown key; did you mean \"ports\"?"),
        "{told:?}"
    );
}

#[test]
fn syntax_errors_have_a_place() {
    assert!(
        refused("[sip\n").starts_with("t.toml:1:5 "),
        "{}",
        refused("[sip\n")
    );
    assert!(refused("[log]\nlevel = \"a\"\nlevel = \"b\"").starts_with("t.toml:3:1 duplicate key"));
}

#[test]
fn an_empty_file_is_the_default_without_numbers() {
    let empty = Config::from_str("x", "").expect("empty is allowed");
    assert_eq!(
        empty.warnings,
        ["x:1:1 number: there is no [[number]]: every call will be answered 404"]
    );
    let default = Config::from_str("x", DEFAULT_TOML).expect("the default is right");
    assert!(empty.fetch.allow.is_empty());
    assert_eq!(default.warnings, [""; 0]);
    let same = Config {
        numbers: default.numbers.clone(),
        // The default admits the machine itself; a file that says nothing admits nobody.
        fetch: Fetch {
            allow: default.fetch.allow.clone(),
            ..empty.fetch
        },
        warnings: Vec::new(),
        ..empty
    };
    assert_eq!(same, default);
}

#[test]
fn values_become_types() {
    let text = r#"
        [sip]
        listen = ["udp:[::1]:0", "tcp:10.0.0.1:5070"]
        advertise = "203.0.113.7"
        t1_ms = 100
        [media]
        ports = "20000-20003"
        rtp_timeout_s = 0
        codecs = ["pcma"]
        threads = 2
        pin = [1, 0]
        [http]
        listen = "off"
        [[number]]
        to = "*"
        flow = "front.yaml"
        [[number]]
        to = "100"
        flow = "builtin:demo"
    "#;
    let sources = read::Sources {
        base: Path::new("/etc/trunkline"),
        ..read::Sources::text_only()
    };
    let config = read::config("t.toml", &sources, text).expect("good");
    let first = config.sip.listen[0];
    assert_eq!(
        (first.transport, first.address.to_string()),
        (Transport::Udp, "[::1]:0".to_owned())
    );
    assert_eq!(config.sip.t1, Duration::from_millis(100));
    assert_eq!(config.media.advertise, config.sip.advertise.address());
    assert_eq!(config.media.ports.pairs(), 2);
    assert_eq!(config.media.rtp_timeout, None);
    assert_eq!(
        (config.media.codecs, config.media.pin),
        (vec![Codec::Pcma], vec![1, 0])
    );
    assert_eq!(config.http.listen, None);
    let [room, family] = config.warnings.as_slice() else {
        panic!("{:?}", config.warnings);
    };
    assert!(room.contains("media.ports has room for 2 calls"), "{room}");
    assert!(
        family.contains("calls over IPv6 ([sip] listen) will have no audio"),
        "{family}"
    );
}

#[test]
fn an_overlap_with_outgoing_ports_is_a_warning() {
    let mut config = Config::from_str("t", DEFAULT_TOML).expect("good");
    config.warn_ephemeral(Some(32_768..=60_999));
    assert_eq!(config.warnings, [""; 0]);
    config.warn_ephemeral(Some(32_767..=60_999));
    assert!(
        config.warnings[0].starts_with("t media.ports: 16384-32767 overlaps "),
        "{:?}",
        config.warnings
    );
}

/// The default file with the lines switched on that are switched off.
pub(super) fn everything_on() -> String {
    let on = |line: &str| {
        let key = line.strip_prefix("# ").filter(|rest| {
            if rest.starts_with("[[") && rest.ends_with("]]") {
                return true;
            }
            rest.split_once(" = ").is_some_and(|(key, _)| {
                key.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            })
        });
        key.unwrap_or(line).to_owned() + "\n"
    };
    let text: String = DEFAULT_TOML.lines().map(on).collect();
    // A variable that is there while tests run.
    ["MIRROR_SECRET", "CALLS_SECRET"]
        .iter()
        .fold(text, |text, name| text.replace(name, "CARGO_MANIFEST_DIR"))
}

#[test]
fn a_secret_of_the_environment_is_read_and_one_that_is_not_there_is_told() {
    let hook = |secret: &str| {
        let text = format!("[[webhook]]\nname = \"a\"\nurl = \"https://a.example/\"\n{secret}\n");
        Config::from_str("t", &text)
    };
    let good = hook("secret_env = \"CARGO_MANIFEST_DIR\"").expect("good");
    let there = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs this");
    assert_eq!(good.webhooks[0].secret.expose(), there);
    for (secret, told) in [
        (
            "secret_env = \"TRUNKLINE_HAS_NO_SUCH\"",
            "names no variable",
        ),
        ("secret_env = \"PATH\"\nsecret = \"s\"", "keep one"),
        ("", "secret_env"),
    ] {
        let error = hook(secret).expect_err(secret).to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn every_key_of_the_default_file_is_accepted_and_every_known_key_stands_in_it() {
    let text = everything_on();
    let config = Config::from_str("default.toml", &text).expect("each documented key is known");
    assert!(!config.media.pin.is_empty() && !config.sip.advertise.is_empty());
    let tree = document::toml::parse("default.toml", &text).expect("TOML");
    let mut stands = Vec::new();
    keys(&tree, "", &mut stands);
    stands.sort();
    stands.dedup();
    assert_eq!(stands, read::known_keys(&text));
}

fn keys(node: &document::Node, path: &str, found: &mut Vec<String>) {
    match &node.value {
        document::Value::Map(entries) => {
            for entry in entries {
                let path = if path.is_empty() {
                    entry.key.clone()
                } else {
                    format!("{path}.{}", entry.key)
                };
                found.push(path.clone());
                keys(&entry.value, &path, found);
            }
        }
        document::Value::List(items) => items
            .iter()
            .for_each(|item| keys(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

#[test]
fn an_unreadable_file_is_one_sentence() {
    let error = Config::load(Path::new("/nonexistent/trunkline.toml")).expect_err("absent");
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/trunkline.toml:1:1 cannot be read: No such file"),
        "{error}"
    );
}
