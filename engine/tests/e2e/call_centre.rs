//! The call centre of `examples/call-centre` and files written for Wazo, called by real phones: every option, wrong keys, silence, after
//! hours, languages, queues with two agents, recordings.
use crate::baresip::Baresip;
use crate::customer::{CUSTOMER, customer, seconds_of_voice, talking};
use crate::server::{Server, Settings};
use crate::spoken::spoken;
use std::path::{Path, PathBuf};

/// The plugin's own example as its page prints it: Markdown's escapes and trailing spaces included.
const WAZO: &str = r#"{  
    "main\_menu": {  
        "prompt": "Welcome to our automated service. Press 1 for sales, 2 for support, or 9 to repeat this menu.",  
        "options": {  
            "1": {"action": "route\_to\_queue", "target": "sales\_queue"},  
            "2": {"action": "route\_to\_queue", "target": "support\_queue"},  
            "9": {"action": "repeat\_menu"}  
        },  
        "fallback": {"action": "repeat\_menu"}  
    },  
    "sales\_queue": {  
        "prompt": "Connecting you to sales. Please hold.",  
        "action": "transfer\_to\_extension",  
        "target": "1001"  
    },  
    "support\_queue": {  
        "prompt": "Connecting you to support. Your call is important to us.",  
        "action": "transfer\_to\_extension",  
        "target": "1002"  
    },  
    "voicemail\_menu": {  
        "prompt": "Our offices are currently closed. Please leave a message after the tone.",  
        "action": "transfer\_to\_extension",  
        "target": "voicemail\_ext"  
    }  
}
"#;
const CLOSED: &str = "Our offices are currently closed. Please leave a message after the tone.";
const MENU: &str =
    "Welcome to our automated service. Press 1 for sales, 2 for support, or 9 to repeat this menu.";

/// The same with everything else that such a file can say in a menu.
pub(crate) fn grown() -> String {
    let more = r#""3": {"action": "language\_selection", "target": "es\_ES"},
            "4": {"action": "call\_recording\_trigger", "target": "start"},
            "5": {"action": "call\_recording\_trigger", "target": "stop"},
            "6": {"action": "route\_to\_queue", "target": "counter"},
            "9": {"#;
    WAZO.replacen("\"9\": {", more, 1)
}

fn example(name: &str) -> String {
    let path = crate::examples().join("call-centre").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A server whose number 300 leads to `flow`; `sections` are its phones and queues. Everybody on loopback may call.
pub(crate) fn serving(folder: &Path, name: &str, flow: &str, sections: &str) -> Server {
    let file = folder.join(name);
    std::fs::write(&file, flow).expect("write the flow");
    Server::with(Settings {
        callers: format!("{sections}\n{CUSTOMER}[flow]\naliases = [\"voicemail_ext=8000\"]\n"),
        numbers: vec![("300".into(), file.display().to_string())],
        ..Settings::default()
    })
}

/// The example's phones, agents and queues, as they are.
fn phones() -> String {
    let text = example("call-centre.toml");
    let from = text.find("[[endpoint]]").expect("phones");
    let to = text.find("# Everybody's way in").expect("the number");
    text[from..to].to_owned()
}

pub(crate) fn wazo_phones() -> String {
    let phone = |user: &str| {
        format!(
            "[[endpoint]]\nuser = {user:?}\npassword = \"secret-of-{user}\"\nextension = {user:?}\n"
        )
    };
    let agent = |id: &str, user: &str| format!("[[agent]]\nid = {id:?}\nendpoint = {user:?}\n");
    phone("1001")
        + &phone("1002")
        + &agent("71", "1001")
        + &agent("72", "1002")
        + "[[voicemail]]\nname = \"office\"\nnumber = \"100\"\n[[number]]\nto = \"8000\"\nvoicemail = \"office\"\n"
        + "[[queue]]\nname = \"counter\"\nmembers = [\"71\", \"72\"]\nstrategy = \"linear\"\nwrap_up_s = 3600\n"
}

/// A phone that is registered.
#[track_caller]
pub(crate) fn registered(server: &Server, user: &str, password: &str) -> Baresip {
    registered_saying(server, user, password, &[])
}

/// The same, of somebody who says something in each call.
#[track_caller]
pub(crate) fn registered_saying(
    server: &Server,
    user: &str,
    password: &str,
    says: &[i16],
) -> Baresip {
    let before = server.count_log(|line| is_registration(line, user));
    let account = format!(
        "<sip:{user}@{}>;auth_pass={password};regint=60",
        server.sip()
    );
    let phone = Baresip::with_account(says, &account, "");
    server.wait_log_times("a registration", before + 1, |line| {
        is_registration(line, user)
    });
    phone
}

fn is_registration(line: &str, user: &str) -> bool {
    line.contains("phone registered") && line.contains(&format!("user={user:?}"))
}

/// Waits until the phone rings, answers, and waits until it is in the call.
#[track_caller]
pub(crate) fn answer(phone: &mut Baresip) {
    phone.wait_event("CALL_INCOMING");
    phone.command("accept", "");
    phone.wait_event("CALL_ESTABLISHED");
}

/// The recordings of calls.
pub(crate) fn recordings(server: &Server) -> Vec<Vec<u8>> {
    let folder = std::fs::read_dir(server.scratch.path().join("recordings")).expect("a folder");
    let files = folder.map(|file| file.expect("a file").path());
    files
        .filter(|path| path.is_file())
        .map(|path| std::fs::read(path).expect("a recording"))
        .collect()
}

/// Waits until no call is left; registrations stay.
#[track_caller]
pub(crate) fn rests(server: &Server) {
    server.wait_metrics("no call is left", |metrics| {
        metrics.sum("trunkline_calls_active") == 0.0
            && metrics.sum("trunkline_media_channels") == 0.0
    });
}

pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("scratch folder");
    let path = folder.path().to_owned();
    (folder, path)
}

#[test]
fn the_front_desk_speaks_two_languages_and_leads_to_agents() {
    let (_kept, path) = folder();
    // By day, whatever the clock says.
    let flow = example("front-desk.yaml").replace("  office:\n", "  office:\n    override: open\n");
    let server = serving(&path, "front-desk.yaml", &flow, &phones());
    let mut first = registered(&server, "sales-1", "change-me-sales-1");
    let mut second = registered(&server, "sales-2", "change-me-sales-2");

    // In Spanish: a key that leads nowhere is told, then sales.
    let mut ana = customer(&server);
    ana.press('2');
    let at = ana.hears("Bienvenido a Bicicletas del Puerto.", "es-ES", 0);
    ana.press('7');
    let at = ana.hears("Esa tecla no lleva a ninguna parte.", "es-ES", at);
    ana.press('1');
    ana.hears(
        "Le pasamos con ventas. Esta llamada puede ser grabada.",
        "es-ES",
        at,
    );
    answer(&mut first);

    // In English, to the other agent: the first talks.
    let mut ben = customer(&server);
    ben.press('1');
    let at = ben.hears("Welcome to Harbour Bicycles.", "en-US", 0);
    ben.press('1');
    ben.hears(
        "Connecting you to sales. This call may be recorded.",
        "en-US",
        at,
    );
    answer(&mut second);

    ana.hang_up();
    first.wait_event("CALL_CLOSED");
    ben.hang_up();
    second.wait_event("CALL_CLOSED");
    rests(&server);
    // Both were recorded from there on.
    assert_eq!(recordings(&server).len(), 2);
}

#[test]
fn the_front_desk_takes_messages_after_hours() {
    let (_kept, path) = folder();
    let flow =
        example("front-desk.yaml").replace("  office:\n", "  office:\n    override: closed\n");
    let server = serving(&path, "front-desk.yaml", &flow, &phones());
    let call = talking(&server, "300");
    let at = call.hears("We are closed.", "en-US", 0);
    call.leaves_a_message(&server, at);
    rests(&server);
}

#[test]
fn a_pasted_wazo_file_answers_calls() {
    let (_kept, path) = folder();
    let server = serving(&path, "ivr_flows.json", WAZO, &wazo_phones());
    let mut sales = registered(&server, "1001", "secret-of-1001");
    let mut support = registered(&server, "1002", "secret-of-1002");
    for (key, text, phone) in [
        ('1', "Connecting you to sales. Please hold.", &mut sales),
        (
            '2',
            "Connecting you to support. Your call is important to us.",
            &mut support,
        ),
    ] {
        let mut call = customer(&server);
        call.hears(MENU, "en-US", 0);
        let at = call.position();
        call.press('9');
        let at = call.hears(MENU, "en-US", at);
        call.press(key);
        call.hears(text, "en-US", at);
        answer(phone);
        call.hang_up();
        phone.wait_event("CALL_CLOSED");
    }
    rests(&server);
}

#[test]
fn a_wazo_file_sends_callers_to_two_agents_of_a_queue_and_records_on_request() {
    let (_kept, path) = folder();
    let server = serving(&path, "ivr_flows.json", &grown(), &wazo_phones());
    let mut first = registered(&server, "1001", "secret-of-1001");
    let mut second = registered(&server, "1002", "secret-of-1002");

    let mut recorded = talking(&server, "300");
    recorded.hears(MENU, "en-US", 0);
    let at = recorded.position();
    recorded.press('4');
    server.wait_log("a recording", |line| line.contains("verb=\"record_call\""));
    recorded.hears(MENU, "en-US", at);
    let at = recorded.position();
    recorded.press('5');
    server.wait_log("its end", |line| {
        line.contains("verb=\"recording_control\"")
    });
    recorded.hears(MENU, "en-US", at);
    let until_stopped = recordings(&server);
    recorded.press('6');
    answer(&mut first);

    let mut other = customer(&server);
    other.hears(MENU, "en-US", 0);
    other.press('6');
    answer(&mut second);

    // Both are busy: a third waits.
    let mut third = customer(&server);
    third.hears(MENU, "en-US", 0);
    third.press('6');
    server.wait_log_times("three in the queue", 3, |line| {
        line.contains("verb=\"enqueue\"")
    });
    third.hang_up();
    recorded.hang_up();
    other.hang_up();
    first.wait_event("CALL_CLOSED");
    second.wait_event("CALL_CLOSED");
    rests(&server);
    let recordings = recordings(&server);
    assert!(recordings.len() == 1 && recordings == until_stopped);
    assert!(seconds_of_voice(&recordings[0]) >= 1.0);
}

#[test]
fn a_wazo_file_changes_the_voice_and_lets_files_win() {
    let (_kept, path) = folder();
    std::fs::create_dir(path.join("prompts")).expect("a folder");
    let recorded = crate::examples().join("prompts/goodbye.sln16");
    std::fs::copy(recorded, path.join("prompts/support_queue.sln16")).expect("a prompt");
    let server = serving(&path, "ivr_flows.json", &grown(), &wazo_phones());
    let mut support = registered(&server, "1002", "secret-of-1002");
    let mut call = customer(&server);
    call.hears(MENU, "en-US", 0);
    let at = call.position();
    // The text is one for all languages: the voice is another.
    call.press('3');
    let at = call.hears(MENU, "es-ES", at);
    call.press('2');
    call.wait_prompt("goodbye", at);
    answer(&mut support);
    call.hang_up();
    support.wait_event("CALL_CLOSED");
    rests(&server);
}

/// Monday is 1.
fn weekday_in_days(days: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let today = now.expect("after 1970").as_secs() / 86_400;
    // The first of them was a Thursday.
    (today + days + 3) % 7 + 1
}

#[test]
fn a_wazo_file_sends_callers_elsewhere_after_hours() {
    for (open_in_days, said) in [(3, CLOSED), (0, MENU)] {
        let (_kept, path) = folder();
        // Yesterday too, and tomorrow: it may be midnight soon.
        let days: Vec<u64> = match open_in_days {
            0 => (0..7).map(weekday_in_days).collect(),
            days => vec![weekday_in_days(days)],
        };
        let hours = format!(
            r#"{{"main_menu": {{"type": "time\_based\_routing", "action": "time\_based\_routing",
                "business\_hours\_target": "day_menu", "hours": "00:00-24:00", "week_days": {days:?}, "timezone": "UTC"}},
               "day_menu":"#
        );
        let flow = WAZO.replacen("{  \n    \"main\\_menu\":", &hours, 1);
        let server = serving(&path, "ivr_flows.json", &flow, &wazo_phones());
        let mut call = talking(&server, "300");
        let at = call.hears(said, "en-US", 0);
        match open_in_days {
            0 => call.hang_up(),
            // The greeting of the box ends with the same words.
            _ => call.leaves_a_message(&server, at + spoken(said, "en-US").len()),
        }
        rests(&server);
    }
}

#[test]
fn a_wazo_file_bears_wrong_keys_and_silence() {
    let (_kept, path) = folder();
    let server = serving(&path, "ivr_flows.json", &grown(), &wazo_phones());
    let mut call = customer(&server);
    call.hears(MENU, "en-US", 0);
    let at = call.position();
    call.press('8');
    let at = call.hears(MENU, "en-US", at) + spoken(MENU, "en-US").len();
    // Silence: counted with the wrong key; after three tries the caller is let go.
    call.hears(MENU, "en-US", at);
    call.wait_hang_up();
    rests(&server);
}
