//! kill -9 in the middle of everything: what was accepted is accounted for by the next process.
use crate::server::{PATIENCE, Server, Settings};
use crate::sipp::Sipp;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use trunkline::store::Store;

const CALLS: usize = 50;
pub(crate) const SECRET: &str = "between us";
/// Octets of audio that each recording has on disk before the kill: half a second of stereo.
const ENOUGH: u64 = 16_000;

/// Where webhooks are posted: refuses all until it is open, then takes all whose signature is right.
#[derive(Default)]
pub(crate) struct Receiver {
    pub(crate) open: AtomicBool,
    taken: Mutex<Vec<Value>>,
}

impl Receiver {
    pub(crate) fn start(ip: Ipv4Addr) -> (Arc<Receiver>, SocketAddr) {
        let listener = TcpListener::bind((ip, 0)).expect("bind");
        let address = listener.local_addr().expect("bound");
        let receiver = Arc::<Receiver>::default();
        let served = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let receiver = served.clone();
                // A connection that is cut is the killed process's.
                std::thread::spawn(move || receiver.serve(stream));
            }
        });
        (receiver, address)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let (signature, body) = posted(&mut reader)?;
            let status = match self.open.load(Ordering::SeqCst) {
                false => "503 Service Unavailable",
                true if !genuine(SECRET, &signature, &body) => "403 Forbidden",
                true => {
                    let event = serde_json::from_slice(&body).ok()?;
                    self.taken.lock().expect("lock").push(event);
                    "200 OK"
                }
            };
            write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").ok()?;
        }
    }

    /// Waits until so many different events have come.
    #[track_caller]
    pub(crate) fn wait(&self, events: usize) -> Vec<Value> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let mut taken = self.taken.lock().expect("lock").clone();
            let mut seen = BTreeSet::new();
            taken.retain(|event| seen.insert(event["id"].to_string()));
            if taken.len() >= events {
                return taken;
            }
            assert!(
                Instant::now() < patience,
                "{} of {events} came",
                taken.len()
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// A request's signature and body; `None` where the connection ends.
pub(crate) fn posted(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut length, mut signature, mut line) = (0, String::new(), String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "trunkline-signature" => signature = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((signature, body))
}

/// As a receiver checks it.
pub(crate) fn genuine(secret: &str, signature: &str, body: &[u8]) -> bool {
    let Some((seconds, signed)) = signature
        .strip_prefix("t=")
        .and_then(|rest| rest.split_once(",v1="))
    else {
        return false;
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let expected = mac.finalize().into_bytes();
    let expected: String = expected
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    expected == signed
}

fn settings(scratch: &Path, hook: SocketAddr, ip: Ipv4Addr) -> Settings {
    let flow = scratch.join("tape.json");
    let prompt = crate::examples().join("prompts/welcome.sln16");
    let program = serde_json::json!({
        "flow_version": 1, "name": "tape", "entry": "tape",
        "prompts": {"welcome": {"file": prompt}},
        "nodes": {
            "tape": {"type": "record_call", "then": {
                "type": "play", "prompt": "welcome", "repeat": "forever", "then": {"type": "hangup"},
            }},
        },
    });
    std::fs::write(&flow, program.to_string()).expect("write the flow");
    let defaults = Settings::default();
    let extra = format!(
        "[fetch]\nallow = [\"127.0.0.0/8\"]\n[cdr]\nfile = \"cdr.jsonl\"\n\
         [[webhook]]\nname = \"test\"\nurl = \"http://{hook}/events\"\nsecret = \"{SECRET}\"\n\
         events = [\"call.started\", \"call.answered\", \"call.ended\"]\n"
    );
    Settings {
        ip,
        sip_port: crate::server::free_port(ip),
        http_port: crate::server::free_port(ip),
        callers: extra + &defaults.callers,
        numbers: vec![("tape".into(), flow.display().to_string())],
        ..defaults
    }
}

/// The WAV files in a folder that have at least so much audio.
fn recordings(folder: &Path, octets: u64) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let files = files.map(|file| file.expect("a file").path());
    let large = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.len() >= octets);
    files.filter(large).collect()
}

#[track_caller]
fn until(what: &str, wanted: impl Fn() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < patience, "{what} did not come true");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn nothing_that_was_accepted_is_lost() {
    let (ip, flows) = (
        crate::server::own_address(),
        tempfile::tempdir().expect("folder"),
    );
    let (receiver, hook) = Receiver::start(ip);
    let mut server = Server::with(settings(flows.path(), hook, ip));
    let folder = server.scratch.path().join("recordings");
    let callers = Sipp::built_in("uac")
        .calls(CALLS as u32, CALLS as u32)
        .with(&["-d", "3600000"])
        .start(Some((&server, "tape")));
    // Each call is begun and answered, and both wait to be told.
    server.wait_metrics("all are there", |metrics| {
        metrics.sum("trunkline_recordings_active") == CALLS as f64
            && metrics.sum("trunkline_webhooks_waiting") == 2.0 * CALLS as f64
    });
    until("audio is on the disk", || {
        recordings(&folder, ENOUGH).len() == CALLS
    });
    server.kill_and_start_again();
    drop(callers);

    let lines = std::fs::read_to_string(server.scratch.path().join("cdr.jsonl")).expect("records");
    let records: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("whole lines"))
        .collect();
    let calls: BTreeSet<_> = records
        .iter()
        .map(|record| record["call"].to_string())
        .collect();
    assert_eq!((records.len(), calls.len()), (CALLS, CALLS));
    for record in &records {
        assert_eq!(record["state"], "interrupted", "{record}");
        assert!(
            record["answered"].is_string() && record["ended"].is_null(),
            "{record}"
        );
    }

    for path in recordings(&folder, 0) {
        let file = std::fs::read(&path).expect("readable");
        let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four"));
        assert!(file.len() as u64 >= ENOUGH, "{}", path.display());
        assert_eq!(
            (word(4), word(40)),
            (file.len() as u32 - 8, file.len() as u32 - 44)
        );
    }
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let store = Store::open(&server.scratch.path().join("trunkline.db")).expect("the store");
    let rows = runtime
        .block_on(store.recordings(Default::default()))
        .expect("rows");
    assert_eq!(rows.len(), CALLS);
    assert!(
        rows.iter()
            .all(|row| row.state == "interrupted" && row.ms > Some(200)),
        "{rows:?}"
    );

    receiver.open.store(true, Ordering::SeqCst);
    let mut told = BTreeMap::<String, Vec<Value>>::new();
    for event in receiver.wait(3 * CALLS) {
        told.entry(event["call"].to_string())
            .or_default()
            .push(event);
    }
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), calls);
    for events in told.values() {
        let names: Vec<_> = events.iter().map(|event| event["event"].as_str()).collect();
        let order = ["call.started", "call.answered", "call.ended"].map(Some);
        assert_eq!(names, order);
        assert_eq!(events[2]["data"]["cause"], "interrupted");
    }
    server.wait_metrics("all is delivered", |metrics| {
        metrics.sum("trunkline_webhooks_waiting") == 0.0
    });
}
