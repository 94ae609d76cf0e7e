//! Asks the running server for its diagnosis and reads it.
//!
//! Limits: 4 MiB of answer, 5 s for each step.
use super::Finding::{self, Good, Note, Wrong};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_ANSWER: u64 = 4 << 20;
/// Trouble of calls before that is told and does not count.
const RECENT: Duration = Duration::from_secs(3600);

/// The page of `GET /diagnosis`, or a sentence that says why there is none.
pub(super) fn ask(url: &str) -> Result<Value, String> {
    let authority = url.strip_prefix("http://").ok_or_else(|| {
        format!("{url:?} is no address of a Trunkline: write it like http://127.0.0.1:8080")
    })?;
    let authority = authority.trim_end_matches('/');
    let answer = get(authority).map_err(|error| {
        format!("no server answers at {url}: {error}; start it with `trunkline run`, or name its [http] listen with --url")
    })?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err(format!("what answers at {url} does not speak HTTP"));
    };
    match head.split(' ').nth(1) {
        Some("200") => serde_json::from_str(body)
            .map_err(|_| format!("what answers at {url} is no Trunkline of this version")),
        Some("403") => Err(format!(
            "the server at {url} shows its diagnosis on its own machine only: run trunkline doctor there, with --url and a loopback address"
        )),
        Some(status) => Err(format!(
            "the server at {url} answers {status} to GET /diagnosis: is it a Trunkline of this version?"
        )),
        None => Err(format!("what answers at {url} does not speak HTTP")),
    }
}

fn get(authority: &str) -> std::io::Result<String> {
    let address: SocketAddr = authority
        .to_socket_addrs()?
        .next()
        .ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the body is neither chunked nor kept open.
    write!(
        stream,
        "GET /diagnosis HTTP/1.0\r\nHost: {authority}\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("?")
}

/// The state of each trunk.
pub(super) fn trunks(page: &Value) -> Vec<Finding> {
    list(page, "trunks").iter().flat_map(trunk).collect()
}

fn trunk(trunk: &Value) -> Vec<Finding> {
    let name = text(trunk, "name");
    let mut findings = Vec::new();
    if trunk["registers"] == true {
        findings.push(match trunk["registered_for_s"].as_u64() {
            Some(left) => Good(format!(
                "trunk {name}: registered for {left} s more, {}",
                text(trunk, "registration")
            )),
            None => Wrong(format!(
                "trunk {name}: not registered: {}",
                text(trunk, "registration")
            )),
        });
    }
    let targets = list(trunk, "targets");
    let usable = |target: &&Value| target["state"] != "down" && target["cooling_s"].is_null();
    for target in targets.iter().filter(|target| !usable(target)) {
        let why = match target["cooling_s"].as_u64() {
            Some(left) => format!("it asked for no calls for {left} s more"),
            None => "it does not answer".to_owned(),
        };
        findings.push(Note(format!(
            "trunk {name}: {} at {}: {why}",
            text(target, "uri"),
            text(target, "address")
        )));
    }
    match (targets.len(), targets.iter().filter(usable).count()) {
        (0, _) => findings.push(Note(format!("trunk {name}: has no target it calls"))),
        (_, 0) => findings.push(Wrong(format!(
            "trunk {name}: none of its targets takes calls"
        ))),
        (all, up) => findings.push(Good(format!(
            "trunk {name}: {up} of {all} addresses take calls"
        ))),
    }
    findings
}

/// The findings of recent calls, the newest first.
pub(super) fn audio(page: &Value, now: SystemTime) -> Vec<Finding> {
    let audio = &page["audio"];
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut findings = Vec::new();
    for leg in list(audio, "legs").iter().rev() {
        let age = now.saturating_sub(leg["at"].as_u64().unwrap_or(now));
        let up = if leg["up"] == true { ", still up" } else { "" };
        for finding in list(leg, "findings") {
            let told = format!(
                "call {} with {} ({} ago{up}), {}: {}",
                text(leg, "call"),
                text(leg, "party"),
                shown(age),
                text(finding, "cause"),
                text(finding, "sentence")
            );
            findings.push(match age < RECENT.as_secs() {
                true => Wrong(told),
                false => Note(told),
            });
        }
    }
    if findings.is_empty() {
        let legs = audio["legs_examined"].as_u64().unwrap_or(0);
        findings.push(Good(format!(
            "audio flowed both ways in all {legs} answered legs since the start"
        )));
    }
    findings
}

fn shown(age_s: u64) -> String {
    match age_s {
        0..=119 => format!("{age_s} s"),
        120..=7199 => format!("{} min", age_s / 60),
        _ => format!("{} h", age_s / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.parts().0).collect()
    }

    #[test]
    fn trunks_that_are_well_and_not() {
        let target = |state: &str, cooling: Option<u64>| json!({"uri": "sip:a", "address": "1.2.3.4", "state": state, "cooling_s": cooling});
        for (trunk, expected) in [
            (
                json!({"registers": true, "registered_for_s": 90, "registration": "at x", "targets": [target("up", None)]}),
                &["ok", "ok"][..],
            ),
            (
                json!({"registers": true, "registered_for_s": null, "registration": "403", "targets": [target("unknown", None)]}),
                &["WRONG", "ok"],
            ),
            (
                json!({"registers": false, "targets": [target("up", None), target("down", None)]}),
                &["note", "ok"],
            ),
            (
                json!({"registers": false, "targets": [target("up", Some(5)), target("down", None)]}),
                &["note", "note", "WRONG"],
            ),
            (json!({"registers": false, "targets": []}), &["note"]),
            (json!(null), &["note"]),
        ] {
            assert_eq!(words(&super::trunk(&trunk)), expected, "{trunk}");
        }
    }

    #[test]
    fn calls_count_for_an_hour() {
        let leg = |at: u64| json!({"call": "c-1", "party": "p", "at": at, "up": false, "findings": [{"cause": "hold", "sentence": "s"}]});
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        let page = json!({"audio": {"legs_examined": 3, "legs": [leg(1), leg(9_000)]}});
        let found = audio(&page, now);
        assert_eq!(words(&found), ["WRONG", "note"]);
        assert_eq!(found[0].parts().1, "call c-1 with p (16 min ago), hold: s");
        assert_eq!(words(&audio(&json!({}), now)), ["ok"]);
    }

    #[test]
    fn nobody_answers() {
        for url in ["https://127.0.0.1:1", "http://127.0.0.1:1", "x"] {
            assert!(ask(url).unwrap_err().contains(url), "{url}");
        }
    }
}
