//! The call centre of `examples/call-centre` and files written for Wazo, called by real phones: every option, wrong keys, silence, after
//! hours, languages, queues with two agents, recordings.
use crate::baresip::Baresip;
use crate::call::Call;
use crate::phone::Phone;
use crate::server::{Server, Settings};
use crate::spoken::spoken;
use std::path::{Path, PathBuf};

/// A file as it is found on a web page: Markdown's escapes and trailing spaces included.
const WAZO: &str = r#"{  
    "main\_menu": {  
        "prompt": "Welcome to the ferry office. Press 1 for tickets, 2 for freight, or 9 to hear this again.",  
        "options": {  
            "1": {"action": "route\_to\_queue", "target": "ticket\_queue"},  
            "2": {"action": "route\_to\_queue", "target": "freight\_queue"},  
            "3": {"action": "language\_selection", "target": "es\_ES"},  
            "4": {"action": "call\_recording\_trigger", "target": "start"},  
            "5": {"action": "call\_recording\_trigger", "target": "stop"},  
            "6": {"action": "route\_to\_queue", "target": "counter"},  
            "9": {"action": "repeat\_menu"}  
        },  
        "fallback": {"action": "repeat\_menu"}  
    },  
    "ticket\_queue": {  
        "prompt": "Connecting you to tickets. Please hold.",  
        "action": "transfer\_to\_extension",  
        "target": "1001"  
    },  
    "freight\_queue": {  
        "prompt": "Connecting you to freight.",  
        "action": "transfer\_to\_extension",  
        "target": "1002"  
    },  
    "voicemail\_menu": {  
        "prompt": "Our offices are closed.",  
        "action": "transfer\_to\_extension",  
        "target": "voicemail\_ext"  
    }  
}
"#;

/// Whoever calls.
const CUSTOMER: &str = "[[endpoint]]\nuser = \"customer\"\npassword = \"secret-of-customer\"\n";

const MENU: &str =
    "Welcome to the ferry office. Press 1 for tickets, 2 for freight, or 9 to hear this again.";

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
    let before = server.count_log(|line| is_registration(line, user));
    let account = format!(
        "<sip:{user}@{}>;auth_pass={password};regint=60",
        server.sip()
    );
    let phone = Baresip::with_account(&[], &account, "");
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

/// A call of a customer.
#[track_caller]
pub(crate) fn customer(server: &Server) -> Call {
    Phone::of(server, "customer", "secret-of-customer").call(server, "300")
}

/// How many calls were recorded.
pub(crate) fn recordings(server: &Server) -> usize {
    let folder = std::fs::read_dir(server.scratch.path().join("recordings")).expect("a folder");
    let files = folder.map(|file| file.expect("a file").path());
    files.filter(|path| path.is_file()).count()
}

/// Waits until no call is left; registrations stay.
#[track_caller]
pub(crate) fn rests(server: &Server) {
    server.wait_metrics("no call is left", |metrics| {
        metrics.sum("trunkline_calls_active") == 0.0
            && metrics.sum("trunkline_media_channels") == 0.0
    });
}

/// A caller who comes to a voicemail box leaves a message and hangs up.
#[track_caller]
pub(crate) fn leaves_a_message(server: &Server, mut call: Call, from: usize) {
    let words =
        "Please leave a message after the tone. When you have finished, hang up or press hash.";
    hears(&call, words, "en-US", from);
    let left = |line: &str| line.contains("a message was left");
    let messages = server.count_log(left) + 1;
    // The greeting's end; the tone.
    call.press('#');
    call.wait_said();
    call.say(&crate::audio::tone(&[440.0], 8000.0, 4000));
    call.wait_said();
    call.hang_up();
    server.wait_log_times("the message", messages, left);
}

#[track_caller]
pub(crate) fn hears(call: &Call, text: &str, language: &str, from: usize) -> usize {
    call.wait_begin(text, &spoken(text, language), from)
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
    let at = hears(&ana, "Bienvenido a Bicicletas del Puerto.", "es-ES", 0);
    ana.press('7');
    let at = hears(&ana, "Esa tecla no lleva a ninguna parte.", "es-ES", at);
    ana.press('1');
    hears(
        &ana,
        "Le pasamos con ventas. Esta llamada puede ser grabada.",
        "es-ES",
        at,
    );
    answer(&mut first);

    // In English, to the other agent: the first talks.
    let mut ben = customer(&server);
    ben.press('1');
    let at = hears(&ben, "Welcome to Harbour Bicycles.", "en-US", 0);
    ben.press('1');
    hears(
        &ben,
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
    assert_eq!(recordings(&server), 2);
}

#[test]
fn the_front_desk_takes_messages_after_hours() {
    let (_kept, path) = folder();
    let flow =
        example("front-desk.yaml").replace("  office:\n", "  office:\n    override: closed\n");
    let server = serving(&path, "front-desk.yaml", &flow, &phones());
    let call = customer(&server);
    let at = hears(&call, "We are closed.", "en-US", 0);
    leaves_a_message(&server, call, at);
    rests(&server);
    let folder = server.scratch.path().join("recordings/voicemail");
    let files: Vec<u64> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|file| file.expect("a file").metadata().expect("its size").len())
        .collect();
    // Most of four seconds of 16-bit audio at 8 kHz: a part of it fell into the tone.
    assert!(files.len() == 1 && files[0] > 40_000, "{files:?}");
}

#[test]
fn a_pasted_wazo_file_answers_calls() {
    let (_kept, path) = folder();
    let server = serving(&path, "ivr_flows.json", WAZO, &wazo_phones());
    let mut tickets = registered(&server, "1001", "secret-of-1001");
    let mut freight = registered(&server, "1002", "secret-of-1002");
    for (key, text, phone) in [
        ('1', "Connecting you to tickets. Please hold.", &mut tickets),
        ('2', "Connecting you to freight.", &mut freight),
    ] {
        let mut call = customer(&server);
        hears(&call, MENU, "en-US", 0);
        let at = call.position();
        call.press('9');
        let at = hears(&call, MENU, "en-US", at);
        call.press(key);
        hears(&call, text, "en-US", at);
        answer(phone);
        call.hang_up();
        phone.wait_event("CALL_CLOSED");
    }
    rests(&server);
}

#[test]
fn a_wazo_file_sends_callers_to_two_agents_of_a_queue_and_records_on_request() {
    let (_kept, path) = folder();
    let server = serving(&path, "ivr_flows.json", WAZO, &wazo_phones());
    let mut first = registered(&server, "1001", "secret-of-1001");
    let mut second = registered(&server, "1002", "secret-of-1002");

    let mut recorded = customer(&server);
    hears(&recorded, MENU, "en-US", 0);
    let at = recorded.position();
    recorded.press('4');
    server.wait_log("a recording", |line| line.contains("verb=\"record_call\""));
    hears(&recorded, MENU, "en-US", at);
    let at = recorded.position();
    recorded.press('5');
    server.wait_log("its end", |line| {
        line.contains("verb=\"recording_control\"")
    });
    hears(&recorded, MENU, "en-US", at);
    recorded.press('6');
    answer(&mut first);

    let mut other = customer(&server);
    hears(&other, MENU, "en-US", 0);
    other.press('6');
    answer(&mut second);

    // Both are busy: a third waits.
    let mut third = customer(&server);
    hears(&third, MENU, "en-US", 0);
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
    assert_eq!(recordings(&server), 1);
}

#[test]
fn a_wazo_file_changes_the_voice_and_lets_files_win() {
    let (_kept, path) = folder();
    std::fs::create_dir(path.join("prompts")).expect("a folder");
    let recorded = crate::examples().join("prompts/goodbye.sln16");
    std::fs::copy(recorded, path.join("prompts/freight_queue.sln16")).expect("a prompt");
    let server = serving(&path, "ivr_flows.json", WAZO, &wazo_phones());
    let mut freight = registered(&server, "1002", "secret-of-1002");
    let mut call = customer(&server);
    hears(&call, MENU, "en-US", 0);
    let at = call.position();
    // The text is one for all languages: the voice is another.
    call.press('3');
    let at = hears(&call, MENU, "es-ES", at);
    call.press('2');
    call.wait_prompt("goodbye", at);
    answer(&mut freight);
    call.hang_up();
    freight.wait_event("CALL_CLOSED");
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
    for (open_in_days, said) in [(3, "Our offices are closed."), (0, MENU)] {
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
        let mut call = customer(&server);
        let at = hears(&call, said, "en-US", 0);
        match open_in_days {
            0 => call.hang_up(),
            _ => leaves_a_message(&server, call, at),
        }
        rests(&server);
    }
}

#[test]
fn a_wazo_file_bears_wrong_keys_and_silence() {
    let (_kept, path) = folder();
    let server = serving(&path, "ivr_flows.json", WAZO, &wazo_phones());
    let call = customer(&server);
    hears(&call, MENU, "en-US", 0);
    let at = call.position();
    call.press('8');
    let at = hears(&call, MENU, "en-US", at) + spoken(MENU, "en-US").len();
    // Silence: counted with the wrong key; after three tries the caller is let go.
    hears(&call, MENU, "en-US", at);
    call.wait_hang_up();
    rests(&server);
}
