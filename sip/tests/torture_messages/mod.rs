//! Messages of our own writing, at least one for each class of RFC 4475 (torture tests) and RFC 5118 (IPv6), with the verdict of
//! framing and validation. The RFC's name of the class stands first. The framing tests judge the verdicts; the engine's tests send
//! the same messages to a running server and judge its answers.

#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(dead_code)] // not every user needs all of it

use trunkline_sip::FrameError;

/// What becomes of the octets.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Valid,
    /// Answered with this status and reason; a response is dropped instead.
    Refused(u16, &'static str),
    /// Not a message.
    NoFrame(FrameError),
}
use Verdict::{NoFrame, Refused, Valid};

/// Name of the class, octets, verdict.
pub(crate) type Case = (&'static str, String, Verdict);

const VIA: &str = "Via: SIP/2.0/UDP t1.example.org;branch=z9hG4bKt1";
const FROM: &str = "From: <sip:ann@example.org>;tag=f1";
const TO: &str = "To: <sip:ben@example.org>";
const CALL_ID: &str = "Call-ID: torture.1@example.org";
const CONTACT: &str = "Contact: <sip:ann@t1.example.org>";

/// `start` and header lines joined; a blank line and `body` after them.
pub(crate) fn message(start: &str, lines: &[&str], body: &str) -> String {
    format!("{start}\r\n{}\r\n\r\n{body}", lines.join("\r\n"))
}

/// An OPTIONS with `extra` lines.
pub(crate) fn options(extra: &[&str]) -> String {
    let base = [
        VIA,
        FROM,
        TO,
        CALL_ID,
        "CSeq: 7 OPTIONS",
        "Max-Forwards: 70",
    ];
    message(
        "OPTIONS sip:ben@example.org SIP/2.0",
        &[&base, extra].concat(),
        "",
    )
}

/// An OPTIONS in which the line starting with the name of `line` is replaced by it.
pub(crate) fn options_with(line: &str) -> String {
    let name = format!("{}:", line.split(':').next().unwrap());
    let base = options(&["Content-Length: 0"]);
    let mut found = 0;
    let lines = base.split("\r\n").map(|old| {
        if old.starts_with(&name) {
            found += 1;
            line
        } else {
            old
        }
    });
    let replaced = lines.collect::<Vec<_>>().join("\r\n");
    assert_eq!(found, 1, "{name}");
    replaced
}

fn options_start(start: &str) -> String {
    options(&[]).replace("OPTIONS sip:ben@example.org SIP/2.0", start)
}

/// Folds, odd spacing, compact names in odd case, escapes and an empty header, all legal at once.
pub(crate) const SHORT_TORTUOUS: &str = "INVITE sip:vivek:pass;x=1@example.org;unknownparam SIP/2.0\r\n\
    TO :\r\n sip:ben@example.org ;   tag\t = 1918n\r\n\
    f: \"J \\\\\\\"R\"       <sip:jr@example.org>\r\n  ;\r\n  tag = 98asjd8\r\n\
    MaX-fOrWaRdS: 0068\r\nCall-ID: torture.2@example.org\r\nContent-Length   : 3\r\ncseq: 0009\r\n  INVITE\r\n\
    Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\nNewHeader:  newer ;,;  value\r\n\
    v:  SIP  / 2.0  / TCP     edge.example.org   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
    m:\"Quoted string \\\"\\\"\" <sip:jr@example.org> ; newparam =\r\n newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\nv=0";

/// Odd, and to be understood.
pub(crate) fn valid() -> Vec<Case> {
    let deep = "a".repeat(4_000);
    vec![
        ("wsinv", SHORT_TORTUOUS.into(), Valid),
        (
            "intmeth",
            message(
                "!in-t.%*_+`'~er SIP:1_%2f~-.!*'():&=+$,;?/%20x@example.org SIP/2.0",
                &[
                    VIA,
                    "To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <sip:x@example.org>",
                    FROM,
                    CALL_ID,
                    "CSeq: 9 !in-t.%*_+`'~er",
                ],
                "",
            ),
            Valid,
        ),
        (
            "esc01",
            options_start("OPTIONS sip:sips%3Auser%40example.com@example.net SIP/2.0"),
            Valid,
        ),
        (
            "escnull",
            options_start("OPTIONS sip:null-%00-null@example.org SIP/2.0"),
            Valid,
        ),
        (
            "esc02 (escapes are no part of a method)",
            {
                message(
                    "RE%47IST%45R sip:example.org SIP/2.0",
                    &[VIA, FROM, TO, CALL_ID, "CSeq: 2 RE%47IST%45R"],
                    "",
                )
            },
            Valid,
        ),
        (
            "lwsdisp (no space before <)",
            options_with("From: ann<sip:ann@example.org>;tag=1"),
            Valid,
        ),
        (
            "longreq",
            options_with(&format!(
                "From: \"{deep}\" <sip:{deep}@example.org>;p={}",
                &deep[..100]
            )),
            Valid,
        ),
        (
            "dblreq (octets after Content-Length)",
            options(&["l: 0"]) + "OPTIONS sip:again SIP/2.0\r\n\r\n",
            Valid,
        ),
        (
            "semiuri",
            options_start("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"),
            Valid,
        ),
        (
            "transports",
            options_with("Via: SIP/2.0/NEWTRANSPORT t1.example.org;branch=z9hG4bKn"),
            Valid,
        ),
        (
            "unreason",
            message(
                "SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}",
                &[VIA, FROM, TO, CALL_ID, "CSeq: 3 BYE"],
                "",
            ),
            Valid,
        ),
        (
            "noreason",
            message(
                "SIP/2.0 100 ",
                &[VIA, FROM, TO, CALL_ID, "CSeq: 3 INVITE"],
                "",
            ),
            Valid,
        ),
        (
            "noreason, no space either",
            message(
                "SIP/2.0 100",
                &[VIA, FROM, TO, CALL_ID, "CSeq: 3 INVITE"],
                "",
            ),
            Valid,
        ),
        (
            "unkscm",
            options_start("OPTIONS nobodyKnows:totally//off SIP/2.0"),
            Valid,
        ),
        ("novelsc", options_with("To: <isbn:2983792873>"), Valid),
        ("zeromf", options_with("Max-Forwards: 0"), Valid),
        (
            "inv2543",
            message(
                "INVITE sip:u@example.org SIP/2.0",
                &[
                    "Via: SIP/2.0/UDP old.example.org",
                    "From: <sip:u@old.example.org>",
                    TO,
                    CALL_ID,
                    "CSeq: 1 INVITE",
                    CONTACT,
                ],
                "",
            ),
            Valid,
        ),
        (
            "baddate",
            options(&["Date: Fri, 01 Jan 2010 16:00:00 EST"]),
            Valid,
        ),
        (
            "bcast",
            message(
                "SIP/2.0 200 OK",
                &[
                    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
                    "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKb",
                    FROM,
                    TO,
                    CALL_ID,
                    "CSeq: 3 INVITE",
                ],
                "",
            ),
            Valid,
        ),
        (
            "escruri (liberal)",
            options_start("OPTIONS sip:u@example.org?Route=%3Csip:h%3E SIP/2.0"),
            Valid,
        ),
        (
            "baddn (liberal)",
            options_with("From: Bell, Alexander <sip:a.g.bell@example.org>;tag=43"),
            Valid,
        ),
        (
            "leading line ends",
            format!("\r\n\r\n{}", options(&[])),
            Valid,
        ),
        ("bare LF", options(&[]).replace("\r\n", "\n"), Valid),
        (
            "regaut and other headers unknown to a UAS",
            options(&["Authorization: NoOneKnowsThisScheme opaque=data,here"]),
            Valid,
        ),
        (
            "latin-1 header value",
            options(&["Subject: caf\u{e9}"]),
            Valid,
        ),
        (
            "REGISTER *",
            message(
                "REGISTER sip:example.org SIP/2.0",
                &[
                    VIA,
                    FROM,
                    TO,
                    CALL_ID,
                    "CSeq: 4 REGISTER",
                    "Contact: *",
                    "Expires: 0",
                ],
                "",
            ),
            Valid,
        ),
    ]
}

/// To be answered with 400.
pub(crate) fn refused() -> Vec<Case> {
    let invite = |lines: &[&str]| message("INVITE sip:ben@example.org SIP/2.0", lines, "");
    vec![
        (
            "empty To tag",
            options_with("To: <sip:ben@example.org>;tag="),
            Refused(400, "Malformed Tag"),
        ),
        (
            "To tag without a value",
            options_with("To: <sip:ben@example.org>;tag"),
            Refused(400, "Malformed Tag"),
        ),
        (
            "From tag of two words",
            options_with("From: <sip:ann@example.org>;tag=a b"),
            Refused(400, "Malformed Tag"),
        ),
        (
            "NUL in Call-ID, hidden behind a backslash",
            options_with("Call-ID: a\\\0b"),
            Refused(400, "Malformed Call-ID"),
        ),
        (
            "badinv01 (junk in Via)",
            options_with("Via: SIP/2.0/UDP 192.0.2.15;;,;,,"),
            Valid,
        ),
        (
            "badinv01 (junk in Contact)",
            invite(&[
                VIA,
                FROM,
                TO,
                CALL_ID,
                "CSeq: 1 INVITE",
                "Contact: \"Joe\" <sip:joe@example.org>;;;;,,\"x",
            ]),
            Valid,
        ),
        (
            "clerr",
            options(&["Content-Length: 9999"]),
            Refused(400, "Content-Length Beyond End Of Message"),
        ),
        (
            "ncl",
            options(&["Content-Length: -999"]),
            Refused(400, "Malformed Content-Length"),
        ),
        (
            "mcl01",
            options(&["Content-Length: 8", "l: 5"]),
            Refused(400, "Different Content-Length Values"),
        ),
        (
            "Content-Length not a number",
            options(&["Content-Length: 0x10"]),
            Refused(400, "Malformed Content-Length"),
        ),
        (
            "scalar02 CSeq",
            options_with("CSeq: 36893488147419103232 OPTIONS"),
            Refused(400, "Malformed CSeq"),
        ),
        (
            "scalar02 CSeq at the limit",
            options_with("CSeq: 2147483648 OPTIONS"),
            Refused(400, "Malformed CSeq"),
        ),
        (
            "scalar02 Max-Forwards",
            options_with("Max-Forwards: 300"),
            Refused(400, "Malformed Max-Forwards"),
        ),
        (
            "Max-Forwards abc",
            options_with("Max-Forwards: abc"),
            Refused(400, "Malformed Max-Forwards"),
        ),
        (
            "quotbal",
            options_with("To: \"Mr. J. User <sip:j.user@example.org>"),
            Refused(400, "Malformed To"),
        ),
        (
            "ltgtruri",
            options_start("OPTIONS <sip:ben@example.org> SIP/2.0"),
            Refused(400, "Malformed Request-URI"),
        ),
        (
            "lwsruri",
            options_start("OPTIONS sip:ben@example.org; lr SIP/2.0"),
            Refused(400, "Malformed Request-URI"),
        ),
        (
            "lwsstart (liberal)",
            options_start("OPTIONS  sip:ben@example.org  SIP/2.0"),
            Valid,
        ),
        (
            "trws (liberal)",
            options_start("OPTIONS sip:ben@example.org SIP/2.0  "),
            Valid,
        ),
        (
            "mismatch01",
            options_with("CSeq: 8 INVITE"),
            Refused(400, "CSeq Method Does Not Match"),
        ),
        (
            "methods are case-sensitive",
            options_with("CSeq: 8 options"),
            Refused(400, "CSeq Method Does Not Match"),
        ),
        (
            "multi01",
            options(&["From: <sip:other@example.org>;tag=2"]),
            Refused(400, "More than one From"),
        ),
        (
            "two CSeq",
            options(&["CSeq: 8 OPTIONS"]),
            Refused(400, "More than one CSeq"),
        ),
        (
            "two Call-ID, one compact",
            options(&["i: other"]),
            Refused(400, "More than one Call-ID"),
        ),
        (
            "insuf Call-ID",
            options(&[]).replace(&format!("{CALL_ID}\r\n"), ""),
            Refused(400, "Missing Call-ID"),
        ),
        (
            "insuf From",
            options(&[]).replace(&format!("{FROM}\r\n"), ""),
            Refused(400, "Missing From"),
        ),
        (
            "insuf To",
            options(&[]).replace(&format!("{TO}\r\n"), ""),
            Refused(400, "Missing To"),
        ),
        (
            "insuf CSeq",
            options(&[]).replace("CSeq: 7 OPTIONS\r\n", ""),
            Refused(400, "Missing CSeq"),
        ),
        (
            "insuf Via",
            options(&[]).replace(&format!("{VIA}\r\n"), ""),
            Refused(400, "Missing Via"),
        ),
        (
            "INVITE without Contact",
            invite(&[VIA, FROM, TO, CALL_ID, "CSeq: 1 INVITE"]),
            Refused(400, "Missing Contact"),
        ),
        (
            "Contact: * in INVITE",
            invite(&[VIA, FROM, TO, CALL_ID, "CSeq: 1 INVITE", "Contact: *"]),
            Refused(400, "Contact * Outside REGISTER"),
        ),
        (
            "regbadct (? without brackets)",
            options(&["Contact: sip:u@example.org?Route=%3Csip:h%3E"]),
            Refused(400, "Malformed Contact"),
        ),
        (
            "header line without colon",
            options(&["Nonsense"]),
            Refused(400, "Malformed Header Line"),
        ),
        (
            "header name with space",
            options(&["Non sense: 1"]),
            Refused(400, "Malformed Header Line"),
        ),
        (
            "fold right after the start line",
            options(&[]).replacen("Via", " Via", 1),
            Refused(400, "Malformed Header Line"),
        ),
        (
            "NUL in a header",
            options(&["Subject: a\0b"]),
            Refused(400, "Control Character In Header"),
        ),
        (
            "bare CR in a header",
            options(&["Subject: a\rVia: b"]),
            Refused(400, "Control Character In Header"),
        ),
        (
            "port out of range",
            options_start("OPTIONS sip:b@example.org:65536 SIP/2.0"),
            Refused(400, "Malformed Request-URI"),
        ),
        (
            "71 Via in one line",
            options(&[&format!("Via: {}", ["SIP/2.0/UDP h"; 71].join(","))]),
            Refused(400, "More than 70 Via"),
        ),
        (
            "70 Via",
            options(&[&format!("Via: {}", ["SIP/2.0/UDP h"; 69].join(","))]),
            Valid,
        ),
        (
            "Via without sent-by",
            options_with("Via: SIP/2.0/UDP ;branch=z9hG4bKx"),
            Refused(400, "Malformed Via"),
        ),
        (
            "Call-ID of two words",
            options_with("Call-ID: a b"),
            Refused(400, "Malformed Call-ID"),
        ),
    ]
}

/// Other answers, and what is no message.
pub(crate) fn others() -> Vec<Case> {
    let response = |start: &str| message(start, &[VIA, FROM, TO, CALL_ID, "CSeq: 3 INVITE"], "");
    vec![
        (
            "badvers",
            options_start("OPTIONS sip:t@example.org SIP/7.0"),
            Refused(505, "Version Not Supported"),
        ),
        (
            "badvers, long",
            options_start("OPTIONS sip:t@example.org SIP/2.00000000000001"),
            Refused(505, "Version Not Supported"),
        ),
        (
            "bigcode",
            response("SIP/2.0 4294967301 better not break"),
            NoFrame(FrameError::StatusCode),
        ),
        (
            "status 99",
            response("SIP/2.0 099 low"),
            NoFrame(FrameError::StatusCode),
        ),
        (
            "status 700",
            response("SIP/2.0 700 high"),
            NoFrame(FrameError::StatusCode),
        ),
        (
            "scalarlg",
            message(
                "SIP/2.0 503 Overload",
                &[
                    VIA,
                    FROM,
                    TO,
                    CALL_ID,
                    "CSeq: 9292394834772304023312 OPTIONS",
                ],
                "",
            ),
            Refused(400, "Malformed CSeq"),
        ),
        (
            "HTTP",
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            NoFrame(FrameError::StartLine),
        ),
        (
            "binary",
            "\u{1}\u{2}\u{3}\r\n\r\n".into(),
            NoFrame(FrameError::StartLine),
        ),
        ("keep-alive", "\r\n\r\n".into(), NoFrame(FrameError::Empty)),
        ("nothing", String::new(), NoFrame(FrameError::Empty)),
        (
            "cut in the headers",
            options(&[]).trim_end().into(),
            NoFrame(FrameError::NoHeaderEnd),
        ),
        (
            "method is no token",
            options_start("OPT(IONS sip:a@b SIP/2.0"),
            NoFrame(FrameError::StartLine),
        ),
        (
            "129 headers",
            options(&["X: 1"; 123]),
            NoFrame(FrameError::TooManyHeaders),
        ),
        ("128 headers", options(&["X: 1"; 122]), Valid),
        (
            "long header",
            options(&[&format!("X: {}", "a".repeat(8_190))]),
            NoFrame(FrameError::LineTooLong),
        ),
        (
            "long folded header",
            options(&[&format!("X: {}", "a\r\n ".repeat(2_048))]),
            NoFrame(FrameError::LineTooLong),
        ),
        (
            "long datagram",
            "a".repeat(65_536),
            NoFrame(FrameError::MessageTooLong),
        ),
    ]
}

/// The classes of RFC 5118.
pub(crate) fn ipv6() -> Vec<Case> {
    let via = |value: &str| options_with(&format!("Via: {value}"));
    vec![
        (
            "4.1 valid reference",
            options_start("OPTIONS sip:[2001:db8::10] SIP/2.0"),
            Valid,
        ),
        (
            "4.2 no brackets",
            options_start("OPTIONS sip:2001:db8::10 SIP/2.0"),
            Refused(400, "Malformed Request-URI"),
        ),
        (
            "4.3 port inside the brackets is another address",
            options_start("OPTIONS sip:[2001:db8::10:5070] SIP/2.0"),
            Valid,
        ),
        (
            "4.4 port outside",
            options_start("OPTIONS sip:[2001:db8::10]:5070 SIP/2.0"),
            Valid,
        ),
        (
            "4.5 received without brackets",
            via("SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKa"),
            Valid,
        ),
        (
            "4.5 received with brackets",
            via("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKa"),
            Valid,
        ),
        (
            "4.9 mapped IPv4",
            options_start("OPTIONS sip:u@[::ffff:192.0.2.10]:19823 SIP/2.0"),
            Valid,
        ),
        (
            "4.10 too many colons",
            options_start("OPTIONS sip:u@[2001:db8:::192.0.2.1] SIP/2.0"),
            Refused(400, "Malformed Request-URI"),
        ),
        (
            "zone in a reference",
            options_start("OPTIONS sip:u@[fe80::1%25eth0] SIP/2.0"),
            Refused(400, "Malformed Request-URI"),
        ),
    ]
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    [valid(), refused(), others(), ipv6()]
        .into_iter()
        .flatten()
        .collect()
}
