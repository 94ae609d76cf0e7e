//! Trunks, endpoints, groups and numbers: each slip gives its exact sentence.
use super::*;

fn refused(text: &str) -> String {
    Config::from_str("t", text).expect_err(text).to_string()
}

const PHONES: &str = "[[endpoint]]\nuser = \"alice\"\npassword = \"a\"\nextension = \"201\"\n";
const CARRIER: &str = "[[trunk]]\nname = \"carrier\"\ntarget = \"sip:192.0.2.1\"\n";

#[test]
fn slips_are_told_exactly() {
    for (before, text, expected) in [
        (
            "",
            "[[trunk]]\nname = \"a b\"\ntarget = \"h\"",
            r#"t:2:8 trunk[0].name: must be a name of 1 to 64 letters, digits, "-", "_", "." or "+", but is text, "a b""#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"http://x\"",
            r#"t:3:10 trunk[0].target: must be "sip:HOST", with or without ":PORT" and ";transport=udp" (or tcp, tls, ws, wss), or "sips:HOST", but is text, "http://x""#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"sip:h;transport=tlss\"",
            r#"t:3:10 trunk[0].target: the transport must be "udp", "tcp", "tls", "ws" or "wss", but is "tlss"; did you mean "tls"?"#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"sips:h;transport=udp\"",
            r#"t:3:10 trunk[0].target: must be "sips:" with a transport that can be secure: tls or wss, but is text, "sips:h;transport=udp""#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\nacl = [\"192.0.2.1/24\"]",
            r#"t:3:8 trunk[0].acl[0]: must be a network whose address ends where its bits end, such as "203.0.113.0/24", but is text, "192.0.2.1/24""#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\nacl = [\"carrier\"]",
            r#"t:3:8 trunk[0].acl[0]: must be an IP address or network such as "203.0.113.0/24" or "2001:db8::/32", but is text, "carrier""#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"h\"\nregister = true",
            "t:1:1 trunk[0]: register = true needs username and password",
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"h\"\nusername = \"u\"",
            "t:1:1 trunk[0]: username and password go together: \"password\" is missing",
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"h\"\nauth_realm = \"r\"",
            "t:1:1 trunk[0]: auth_realm is the realm of a password, and there is none",
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\nacl = [\"::/0\"]\nauthenticate_inbound = true",
            "t:1:1 trunk[0]: authenticate_inbound = true needs username and password",
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"h\"\ncaller_id = \"fixed:me\"",
            r#"t:4:13 trunk[0].caller_id: must be "passthrough", or "fixed:NUMBER" such as "fixed:+4930123456", but is text, "fixed:me""#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"h\"\ncountry_code = \"+49\"",
            r#"t:4:16 trunk[0].country_code: must be a country code without "+", such as "49", but is text, "+49""#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"h\"\nrewrite = [{ prefix = \"+49\" }]",
            r#"t:4:12 trunk[0].rewrite[0]: the key "replace" is missing"#,
        ),
        (
            "",
            "[[trunk]]\nname = \"a\"\ntarget = \"h\"\npass_headers = [\"V*\"]",
            "t:4:17 trunk[0].pass_headers[0]: would pass Via, which each leg has of its own",
        ),
        (
            CARRIER,
            "[[trunk]]\nname = \"carrier\"\ntarget = \"h\"",
            "t:5:8 trunk[1].name: \"carrier\" is already given in line 2",
        ),
        (
            "",
            "[[endpoint]]\nuser = \"a\"",
            "t:1:1 endpoint[0]: needs \"password\" or \"password_file\"",
        ),
        (
            "",
            "[[endpoint]]\nuser = \"a\"\npassword = \"\"",
            "t:3:12 endpoint[0].password: must be 1 to 256 characters without control characters",
        ),
        (
            "",
            "[[endpoint]]\nuser = \"a\"\npassword = \"b\"\npassword_file = \"c\"",
            "t:4:17 endpoint[0].password_file: \"password\" and \"password_file\" are both given; keep one",
        ),
        (
            PHONES,
            "[[endpoint]]\nuser = \"bob\"\npassword = \"b\"\nextension = \"201\"",
            "t:8:13 endpoint[1].extension: \"201\" is already given in line 2",
        ),
        (
            PHONES,
            "[[ring_group]]\nname = \"g\"\nmembers = [\"alise\"]",
            "t:7:12 ring_group[0].members[0]: there is no [[endpoint]] \"alise\"; did you mean \"alice\"?",
        ),
        (
            PHONES,
            "[[ring_group]]\nname = \"g\"\nmembers = []",
            "t:7:11 ring_group[0].members: must be a list of at least one user of an [[endpoint]], but is an empty list",
        ),
        (
            PHONES,
            "[[ring_group]]\nname = \"201\"\nmembers = [\"alice\"]",
            "t:6:8 ring_group[0].name: \"201\" is already given in line 2",
        ),
        (
            CARRIER,
            "[[number]]\nto = \"+*\"\ntrunk = \"carier\"",
            "t:6:9 number[0].trunk: there is no [[trunk]] \"carier\"; did you mean \"carrier\"?",
        ),
        (
            CARRIER,
            "[[number]]\nto = \"+*\"\nfrom = [\"anyone\"]\ntrunk = \"carrier\"",
            "t:6:8 number[0].from: opens a trunk to everybody: a number that leads to a trunk may be called by \"endpoint\" and \"trunk\" only",
        ),
        (
            CARRIER,
            "[[number]]\nto = \"+*\"\nfrom = [\"stranger\", \"trunk\"]\ntrunk = \"carrier\"",
            "t:6:8 number[0].from: opens a trunk to everybody: a number that leads to a trunk may be called by \"endpoint\" and \"trunk\" only",
        ),
        (
            CARRIER,
            "[[number]]\nto = \"1\"\nfrom = [\"trunk:other\"]\nflow = \"builtin:demo\"",
            "t:6:9 number[0].from[0]: there is no [[trunk]] \"other\"",
        ),
        (
            "",
            "[[number]]\nto = \"1\"\nfrom = [\"anyon\"]\nflow = \"builtin:demo\"",
            r#"t:3:9 number[0].from[0]: must be "anyone", "stranger", "trunk", "endpoint", "trunk:NAME" or "endpoint:USER", but is "anyon"; did you mean "anyone"?"#,
        ),
        (
            "",
            "[[number]]\nto = \"1\"\nwebhook = \"ftp://x\"",
            r#"t:3:11 number[0].webhook: must be an address such as "https://example.com/hook", but is text, "ftp://x""#,
        ),
        (
            "",
            "[[number]]\nto = \"1\"\nflow = \"builtin:demo\"\nfallback = \"[]\"",
            r#"t:4:12 number[0].fallback: is for a number that leads to a "webhook""#,
        ),
        (
            "",
            "[[number]]\nto = \"1\"\napp = \"x\"",
            r#"t:3:7 number[0].app: leads to a kind of program that is not built yet in this version; use "flow", "endpoint", "ring_group", "queue", "agent", "trunk", "voicemail", "voicemail_access" or "webhook""#,
        ),
        (
            PHONES,
            "[[number]]\nto = \"1\"\nendpoint = \"alice\"\nflow = \"x\"",
            "t:7:12 number[0].endpoint: is one destination too many: keep \"flow\" or \"endpoint\"",
        ),
        (
            "",
            "[[number]]\nto = \"200-100\"\nflow = \"builtin:demo\"",
            "t:2:6 number[0].to: \"200-100\" is a range whose first end is the greater",
        ),
        (
            "",
            "[sip]\nlisten = [\"tls:0.0.0.0:5061\"]",
            "t:1:1 sip.listen: listens on tls and needs [tls] certificate and key",
        ),
        (
            "",
            "[tls]\nkey = \"x\"",
            "t:1:1 tls: \"certificate\" and \"key\" go together: \"certificate\" is missing",
        ),
        (
            "",
            "[sip]\nsession_expires_s = 30",
            "t:2:21 sip.session_expires_s: must be 0 (no session timer) or at least 90 (RFC 4028), but is the number 30",
        ),
    ] {
        let text = format!("{before}{text}");
        assert_eq!(refused(&text), expected, "{text}");
    }
}

#[test]
fn a_name_has_one_password() {
    let text = format!(
        "{PHONES}[[trunk]]\nname = \"t\"\nacl = [\"192.0.2.1\"]\nusername = \"alice\"\npassword = \"b\"\nauthenticate_inbound = true"
    );
    assert_eq!(
        refused(&text),
        "t:2:8 endpoint: \"alice\" is the username of trunk \"t\" (line 6) as well: whose password would it be?"
    );
}

#[test]
fn defaults_are_closed_and_trunks_are_for_endpoints() {
    let text = format!(
        "{CARRIER}[[number]]\nto = \"1\"\nflow = \"builtin:demo\"\n[[number]]\nto = \"+*\"\ntrunk = \"carrier\"\n"
    );
    let config = Config::from_str("t", &text).expect("good");
    let from: Vec<_> = config.numbers.iter().map(|number| &*number.from).collect();
    assert_eq!(
        from,
        [
            &[Callers::AnyTrunk, Callers::AnyEndpoint][..],
            &[Callers::AnyEndpoint]
        ]
    );
    let embedded = Config::embedded().expect("good");
    assert_eq!(embedded.numbers.len(), 1);
    assert_eq!(embedded.numbers[0].from, [Callers::Anyone]);
}

#[test]
fn one_number_may_lead_elsewhere_for_other_callers() {
    let number = |from: &str| {
        format!("[[number]]\nto = \"1\"\nfrom = [\"{from}\"]\nflow = \"builtin:demo\"\n")
    };
    let both = number("trunk") + &number("endpoint");
    assert!(Config::from_str("t", &both).is_ok());
    let twice = number("trunk") + &number("anyone");
    assert!(refused(&twice).contains("is already given in line 2 for the same callers"));
}

#[test]
fn a_trunk_is_read_whole() {
    let text = r#"
        [media]
        codecs = ["pcma"]
        [[trunk]]
        name = "carrier"
        targets = ["sip:b.example", { uri = "sips:[2001:db8::1]:5071", priority = 0 }, { uri = "c.example;transport=ws", priority = 2, weight = 0 }]
        username = "u"
        password = "p"
        register = true
        prefix_max_calls = [{ prefix = "+1", calls = 5 }]
        privacy = "strip"
        caller_id = "fixed:+49301"
        options_interval_s = 0
    "#;
    let config = Config::from_str("t", text).expect("good");
    let trunk = config.trunk("carrier").expect("is there");
    let uris: Vec<String> = trunk
        .targets
        .iter()
        .map(|target| target.uri.to_string())
        .collect();
    assert_eq!(
        uris,
        [
            "sips:[2001:db8::1]:5071",
            "sip:b.example",
            "sip:c.example;transport=ws"
        ]
    );
    let registrar = trunk
        .register
        .as_ref()
        .map(|register| register.registrar.to_string());
    assert_eq!(registrar.as_deref(), Some("sips:[2001:db8::1]:5071"));
    assert_eq!(
        (&*trunk.codecs, trunk.options_interval),
        (&[Codec::Pcma][..], None)
    );
    assert_eq!(trunk.limits.prefix_max_calls[0].calls, 5);
    assert_eq!(trunk.identity.privacy, PrivacyPolicy::Strip);
    assert_eq!(trunk.numbering.international_prefix, "00");
    let shown = format!("{config:?}");
    assert!(!shown.contains("\"p\""), "the password is in {shown}");
}

#[test]
fn a_password_file_is_one_line_that_others_may_not_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("scratch folder");
    let (file, secret) = (
        folder.path().join("c.toml"),
        folder.path().join("alice.password"),
    );
    std::fs::write(
        &file,
        "[[endpoint]]\nuser = \"alice\"\npassword_file = \"alice.password\"\n",
    )
    .expect("write");
    let absent = Config::load(&file).expect_err("absent").to_string();
    assert!(
        absent.contains("alice.password cannot be read: No such file"),
        "{absent}"
    );
    std::fs::write(&secret, "opensesame\n").expect("write");
    let mode = |mode| {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).expect("chmod")
    };
    mode(0o644);
    let config = Config::load(&file).expect("good");
    assert_eq!(config.endpoints[0].password.expose(), "opensesame");
    let warned = config
        .warnings
        .iter()
        .any(|warning| warning.contains("may be read by every user"));
    assert!(warned, "{:?}", config.warnings);
    mode(0o600);
    let config = Config::load(&file).expect("good");
    assert!(
        !config
            .warnings
            .iter()
            .any(|warning| warning.contains("may be read"))
    );
    std::fs::write(&secret, "two\nlines\n").expect("write");
    let two = Config::load(&file).expect_err("two lines").to_string();
    assert!(
        two.contains("must hold one line") && !two.contains("lines\\n"),
        "{two}"
    );
}
