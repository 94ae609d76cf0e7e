//! The pasted Wazo file and the file of menus, called over a trunk by sipp: one call for each of several keys, one with a wrong key, one that presses
//! none. What each came to is read from its record.
use crate::baresip::Baresip;
use crate::call_centre::{answer, folder, grown, registered, rests, wazo_phones};
use crate::menus_file::CLINIC;
use crate::server::{Server, Settings, free_port, own_address};
use crate::sipp::{Sipp, needs_raw_socket};
use std::collections::BTreeMap;
use std::path::Path;

/// A server whose numbers, each with the name of a key, lead all to one flow.
fn serving(folder: &Path, name: &str, flow: &str, keys: &[&str]) -> Server {
    let file = folder.join(name);
    std::fs::write(&file, flow).expect("write the flow");
    // The addresses of this process.
    let [a, b, c, _] = own_address().octets();
    let number = |key: &&str| ((*key).to_owned(), file.display().to_string());
    Server::with(Settings {
        callers: format!(
            "[cdr]\nfile = \"cdr.jsonl\"\n{}[[trunk]]\nname = \"sipp\"\nacl = [\"{a}.{b}.{c}.0/24\"]\n[flow]\naliases = [\"voicemail_ext=8000\"]\n",
            wazo_phones()
        ),
        numbers: keys.iter().map(number).collect(),
        ..Settings::default()
    })
}

/// The number that a caller dials is the name of the key it presses; `silent` presses none.
fn play(server: &Server, key: &str) {
    let run = match key {
        "silent" => Sipp::own("silent.xml"),
        key => Sipp::pressing(key),
    };
    let ip = own_address();
    run.at(ip, free_port(ip)).run(server, key).assert_all(1);
}

/// One call after the other, each with the agent who answers it and hangs up.
fn play_each(server: &Server, served: Vec<(&str, &mut Baresip)>) {
    for (key, agent) in served {
        std::thread::scope(|scope| {
            scope.spawn(move || play(server, key));
            answer(agent);
            agent.command("hangup", "");
        });
    }
}

/// The verbs of each call, by the number it called.
fn verbs(server: &Server) -> BTreeMap<String, Vec<String>> {
    let lines = std::fs::read_to_string(server.scratch.path().join("cdr.jsonl")).expect("records");
    // The last line may not be whole yet.
    let records = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let calls = records.filter(|record| record["type"] == "call");
    let verbs = |record: &serde_json::Value| {
        let steps = record["steps"].as_array().expect("steps").iter();
        steps
            .map(|step| step["verb"].as_str().expect("a verb").to_owned())
            .collect()
    };
    calls
        .map(|call| {
            (
                call["to"].as_str().expect("a number").to_owned(),
                verbs(&call),
            )
        })
        .collect()
}

/// Waits for the records of so many calls, and compares how often each did what it was to do.
#[track_caller]
fn did(server: &Server, expected: &[(&str, &[(&str, usize)])]) {
    server.wait_metrics("the records are written", |_| {
        server.scratch.path().join("cdr.jsonl").exists() && verbs(server).len() == expected.len()
    });
    let verbs = verbs(server);
    for (key, of) in expected {
        let steps = &verbs[*key];
        for (verb, times) in *of {
            let found = steps.iter().filter(|step| step == verb).count();
            assert_eq!(found, *times, "{key}: {verb} in {steps:?}");
        }
    }
}

#[test]
fn sipp_walks_a_pasted_wazo_file() {
    needs_raw_socket();
    let (_kept, path) = folder();
    let keys = ["1", "2", "6", "star"];
    let server = serving(&path, "ivr_flows.json", &grown(), &keys);
    let mut sales = registered(&server, "1001", "secret-of-1001");
    let mut support = registered(&server, "1002", "secret-of-1002");
    // While a wrong key and silence take their time.
    std::thread::scope(|scope| {
        scope.spawn(|| play(&server, "star"));
        let served = vec![("1", &mut sales), ("2", &mut support)];
        play_each(&server, served);
        play_each(&server, vec![("6", &mut sales)]);
    });
    rests(&server);
    did(
        &server,
        &[
            ("1", &[("gather", 1), ("dial", 1)]),
            ("2", &[("gather", 1), ("dial", 1)]),
            ("6", &[("gather", 1), ("enqueue", 1)]),
            ("star", &[("gather", 3), ("dial", 0), ("hangup", 1)]),
        ],
    );
}

#[test]
fn sipp_walks_a_file_of_menus() {
    needs_raw_socket();
    let (_kept, path) = folder();
    let keys = ["1", "3", "4", "silent"];
    let server = serving(&path, "clinic.yaml", CLINIC, &keys);
    let mut first = registered(&server, "1001", "secret-of-1001");
    let mut second = registered(&server, "1002", "secret-of-1002");
    play_each(&server, vec![("3", &mut first), ("4", &mut second)]);
    // Two agents of a queue: who has served one rests for an hour.
    play_each(&server, vec![("1", &mut first), ("silent", &mut second)]);
    rests(&server);
    did(
        &server,
        &[
            ("1", &[("gather", 1), ("enqueue", 1), ("dial", 0)]),
            ("3", &[("gather", 1), ("enqueue", 0), ("dial", 1)]),
            ("4", &[("gather", 1), ("enqueue", 0), ("dial", 1)]),
            ("silent", &[("gather", 2), ("enqueue", 1), ("dial", 0)]),
        ],
    );
}
