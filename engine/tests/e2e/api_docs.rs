//! Every command line of docs/api.md and docs/ctl.md is run against a server on which there is what it speaks of.
use super::api::{admin, quick, with};
use super::api_calls::{await_event, await_json, registered};
use crate::phone::Phone;
use crate::server::{BINARY, Server, Settings, free_port, own_address};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const FLOW: &str = "flow_version: 1\nentry: m\nschedules: {office: {timezone: UTC, open_periods: [{week_days: [1]}]}}\nmenus: {m: {menu_prompt: {silence_ms: 10}, choices: [{exten: '1', destination: {type: hangup}}]}}\n";

/// What the pages name, and what it is here.
struct Stage {
    server: Server,
    admin: String,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let flow = folder.path().join("desk.yaml");
        std::fs::write(&flow, FLOW).expect("written");
        let ip = own_address();
        let users = ["ann", "bob", "boss"].map(|user| {
            format!("[[endpoint]]\nuser = {user:?}\npassword = \"secret-of-{user}\"\n")
        });
        let lines: String = (0..80)
            .map(|n| {
                format!(
                    "[[endpoint]]\nuser = \"u{n}\"\npassword = \"secret\"\n\
                     [[number]]\nto = \"line{n}\"\nendpoint = \"u{n}\"\n"
                )
            })
            .collect();
        let dead = free_port(ip);
        let quick = quick();
        let more = format!(
            "[fetch]\nallow = [\"127.0.0.0/8\"]\n{}{}{lines}\
             [[ring_group]]\nname = \"office\"\nmembers = [\"ann\", \"bob\"]\n\
             [[agent]]\nid = \"2001\"\nendpoint = \"ann\"\nlogged_in = false\n\
             [[queue]]\nname = \"sales\"\nmembers = [\"2001\"]\n[[queue]]\nname = \"support\"\nmembers = []\n\
             [[webhook]]\nname = \"crm\"\nurl = \"http://{ip}:{dead}/\"\nsecret = \"s\"\nevents = [\"call.*\"]\n\
             [[number]]\nto = \"+4930123456\"\nendpoint = \"bob\"\n\
             [[number]]\nto = \"sales\"\nqueue = \"sales\"\n",
            quick.callers,
            users.concat()
        );
        let server = Server::with(Settings {
            callers: more,
            numbers: vec![("desk".into(), flow.display().to_string())],
            ip,
            sip_port: free_port(ip),
            http_port: free_port(ip),
            ..quick
        });
        let admin = admin(&server);
        Stage {
            server,
            admin,
            folder,
        }
    }

    fn get(&self, path: &str) -> Value {
        with(&self.server, &self.admin, "GET", path, "").json()
    }
}

/// The command lines of a page, those that end with `\` put together, without what stands behind `  #`.
fn commands(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(page);
    let text = std::fs::read_to_string(path).expect("a page");
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix("    "));
    let known = ["curl ", "trunkline ctl ", "trunkline token "];
    lines
        .filter(|line| known.iter().any(|known| line.starts_with(known)))
        .map(|line| line.split("  #").next().unwrap_or(line).trim().to_owned())
        .collect()
}

/// Two who talk; kept until the command is done.
struct Talk {
    _phones: [crate::call::Call; 2],
    id: String,
}

impl Stage {
    fn talk(&self, number: usize) -> Talk {
        let line = format!("line{number}");
        let callee = Phone::of(&self.server, &format!("u{number}"), "secret");
        callee.register(&self.server);
        let sip = self.server.sip();
        let callee = std::thread::spawn(move || callee.take_call(sip));
        let caller = Phone::new().call(&self.server, &line);
        let callee = callee.join().expect("taken");
        let list = self.get(&format!("/api/v1/calls?number={line}"));
        let id = list["items"][0]["id"].as_str().expect("an id").to_owned();
        await_json(
            &self.server,
            &self.admin,
            &format!("/api/v1/calls/{id}"),
            |call| call["bridged_with"].is_string(),
        );
        Talk {
            _phones: [caller, callee],
            id,
        }
    }

    /// A recording that is complete, the newest.
    fn record(&self, number: usize) {
        let talk = self.talk(number);
        self.run(&format!("trunkline ctl calls record {} start", talk.id));
        self.run(&format!("trunkline ctl calls hangup {}", talk.id));
        let path = format!("/api/v1/recordings?call={}", talk.id);
        await_json(&self.server, &self.admin, &path, |list| {
            list["items"][0]["state"] == "complete"
        });
    }

    /// The ids that the pages make up, as they are here, and the moments to come.
    fn real(&self, line: &str, talk: Option<&Talk>, caller: Option<&str>) -> String {
        let mut line = line.to_owned();
        let id = |path: &str| {
            let list = self.get(path);
            let id = list["items"][0]["id"].as_str();
            id.unwrap_or_else(|| panic!("{path}: {list}")).to_owned()
        };
        let mut replace = |from: &str, to: &dyn Fn() -> String| {
            if line.contains(from) {
                line = line.replace(from, &to());
            }
        };
        replace("c-4f2a91-7", &|| {
            talk.map_or_else(String::new, |talk| talk.id.clone())
        });
        replace("c-9a01cc-3", &|| caller.unwrap_or_default().to_owned());
        replace("r-5f0c2a9913bd4e76", &|| id("/api/v1/recordings"));
        replace("s-5f0c2a9913bd4e76", &|| self.scheduled());
        replace("evt-0123456789abcdef01234567", &|| {
            id("/api/v1/webhooks/deliveries")
        });
        replace("5f2b...", &|| {
            let flow = self.get("/api/v1/flows/desk");
            flow["version"].as_str().expect("a version").to_owned()
        });
        replace("4f1d9c02a7be", &|| self.token());
        let next_week = std::time::SystemTime::now() + std::time::Duration::from_secs(7 * 86_400);
        let day = trunkline::store::stamp(next_week)[..10].to_owned();
        replace("2026-12-24", &|| day.clone());
        replace("http://127.0.0.1:8080", &|| self.url());
        // Nobody outside is asked.
        replace("https://example.com/sorry.wav", &|| {
            "builtin:prompts/goodbye.sln16".to_owned()
        });
        line
    }

    fn url(&self) -> String {
        let Settings { ip, http_port, .. } = self.server.settings;
        format!("http://{ip}:{http_port}")
    }

    fn scheduled(&self) -> String {
        let body = json!({"to": {"endpoint": "ann"}, "verbs": [{"hangup": {}}], "at": "2099-01-01T00:00:00Z"});
        let day = trunkline::store::stamp(
            std::time::SystemTime::now() + std::time::Duration::from_secs(86_400),
        );
        let body = body.to_string().replace("2099-01-01T00:00:00Z", &day);
        let made = with(&self.server, &self.admin, "POST", "/api/v1/calls", &body).json();
        made["id"].as_str().expect("an id").to_owned()
    }

    /// The id of a token that may be revoked.
    fn token(&self) -> String {
        let run = |arguments: &[&str]| {
            let (good, out) = super::api::trunkline_in(self.server.scratch.path(), arguments);
            assert!(good, "{out}");
            out
        };
        run(&[
            "token",
            "create",
            "--scope",
            "calls:read",
            "--label",
            "spare",
        ]);
        let list = run(&["token", "list"]);
        let line = list
            .lines()
            .find(|line| line.contains("spare"))
            .expect("listed");
        let word = |word: &&str| word.len() == 12 && word.chars().all(|c| c.is_ascii_hexdigit());
        line.split_whitespace()
            .find(word)
            .expect("an id")
            .to_owned()
    }

    /// Runs a line as a shell would; what never ends is ended.
    fn run(&self, line: &str) -> String {
        // What never ends is ended after two seconds.
        let line = match line.strip_prefix("curl ") {
            Some(rest) if rest.starts_with("-sN") => {
                format!("curl -w '\\nHTTP %{{http_code}}' --max-time 2 {rest}")
            }
            Some(rest) => format!("curl -w '\\nHTTP %{{http_code}}' {rest}"),
            None if line.contains("--follow") => format!("timeout 2 {line}; [ $? = 124 ]"),
            None => line.to_owned(),
        };
        let binaries = Path::new(BINARY)
            .parent()
            .expect("a folder")
            .display()
            .to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let done = Command::new("bash")
            .args(["-c", &line])
            .current_dir(self.server.scratch.path())
            .env("PATH", format!("{binaries}:{path}"))
            .env("TOKEN", &self.admin)
            .env("TRUNKLINE_URL", self.url())
            .output()
            .expect("bash runs");
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        let good = match line.contains("curl ") {
            true => said.contains("\nHTTP 20"),
            false => done.status.success(),
        };
        assert!(good, "{line}\n{said}\n{}", self.server.log_text());
        said
    }
}

#[test]
fn the_command_lines_of_the_pages_do_what_they_say() {
    let stage = Stage::new();
    let server = &stage.server;
    let (_ann, _bob) = (registered(server, "ann"), registered(server, "bob"));
    std::fs::copy(
        stage.folder.path().join("desk.yaml"),
        server.scratch.path().join("desk.yaml"),
    )
    .expect("copied");
    // A recording, and deliveries that wait.
    stage.record(0);
    await_json(
        server,
        &stage.admin,
        "/api/v1/webhooks/deliveries",
        |list| list["items"][1]["id"].is_string(),
    );
    let mut lines = commands("api.md");
    lines.extend(commands("ctl.md"));
    assert!(lines.len() >= 45, "{lines:#?}");
    for (number, line) in lines.iter().enumerate() {
        let talk = line.contains("c-4f2a91-7").then(|| stage.talk(number + 1));
        let waiting = line
            .contains("c-9a01cc-3")
            .then(|| Phone::new().call(server, "sales"));
        let caller = waiting.is_some().then(|| {
            let list = await_json(
                server,
                &stage.admin,
                "/api/v1/queues/sales/callers",
                |list| list["items"][0]["call"].is_string(),
            );
            let items = list["items"].as_array().expect("a list");
            items.last().expect("one")["call"]
                .as_str()
                .expect("an id")
                .to_owned()
        });
        if ["recordings delete", "recordings save"]
            .iter()
            .any(|word| line.contains(word))
            || line.contains("DELETE http://127.0.0.1:8080/api/v1/recordings")
        {
            stage.record(number + 1);
        }
        let real = stage.real(line, talk.as_ref(), caller.as_deref());
        if let Some(talk) = talk.as_ref().filter(|_| line.contains("kick")) {
            stage.run(&format!("trunkline ctl calls join {} monday", talk.id));
            await_event(server, &stage.admin, "conference.joined", &talk.id);
        }
        if let Some(talk) = talk.as_ref().filter(|_| line.contains("calls remove")) {
            stage.run(&format!(
                "trunkline ctl calls add {} --to endpoint:bob",
                talk.id
            ));
        }
        stage.run(&real);
    }
}
