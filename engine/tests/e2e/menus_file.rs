//! A file of menus, prompts and languages, as it is, called by real phones: each option, wrong keys, silence, hours, languages, a queue with
//! two agents, recording.
use crate::call_centre::{answer, folder, recordings, registered, rests, serving, wazo_phones};
use crate::customer::{Customer, customer, seconds_of_voice, talking};
use crate::server::Server;

pub(crate) const CLINIC: &str = r#"
id: animal-clinic
tenant: 6d0b
entry_context: from-extern
tts_backend: local
languages: [{code: en_US}, {code: es_ES}]
prompts:
  welcome: {text: {en_US: "Animal clinic. For an appointment, press 1.", es_ES: "Clínica de animales. Para una cita, pulse 1."}}
  more: {text: {en_US: "For opening times, press 1. For the pharmacy, press 2.", es_ES: "Para el horario, pulse 1. Para la farmacia, pulse 2."}}
  in_spanish: {text: {en_US: "In Spanish.", es_ES: "Seguimos en español."}}
  times: {text: {en_US: "We are open every day. Goodbye.", es_ES: "Abrimos todos los días. Adiós."}}
menus:
  root:
    id: root
    prompt: welcome
    timeout_sec: 1
    max_retries: 2
    options:
      "1": {action: queue, queue_ref: counter}
      "2": {action: menu, menu_ref: more}
      "3": {action: extension, context: default, extension: "1001"}
      "4": {action: transfer, destination: "1002", timeout: 20}
      "5": {action: language, language: es_ES, prompt: in_spanish}
      "6": {action: voicemail, voicemail_box: office, context: default}
    fallback_action: queue
  more:
    id: more
    prompt: more
    timeout_sec: 2
    max_retries: 1
    options:
      "1": {action: hangup, prompt: times}
      "2": {action: extension, context: default, extension: "1002"}
    fallback_action: menu
    parent_menu: root
voicemail_fallback: {voicemail_box: office, context: default}
call_recording: {enabled: true, format: wav}
max_call_duration: 600
created_at: "2026-01-02T03:04:05Z"
"#;

const WELCOME: &str = "Animal clinic. For an appointment, press 1.";
const MORE: &str = "For opening times, press 1. For the pharmacy, press 2.";

fn clinic(more: &str) -> (tempfile::TempDir, Server) {
    let (kept, path) = folder();
    let server = serving(
        &path,
        "clinic.yaml",
        &format!("{CLINIC}{more}"),
        &wazo_phones(),
    );
    (kept, server)
}

/// A call in the first menu.
#[track_caller]
fn welcomed(server: &Server) -> Customer {
    let call = customer(server);
    call.hears(WELCOME, "en-US", 0);
    call
}

#[test]
fn each_option_of_a_menus_file_leads_where_it_says() {
    let (_kept, server) = clinic("");
    let mut first = registered(&server, "1001", "secret-of-1001");
    let mut second = registered(&server, "1002", "secret-of-1002");
    for (keys, to_first) in [("3", true), ("4", false), ("22", false)] {
        let phone = if to_first { &mut first } else { &mut second };
        let mut call = customer(&server);
        let mut at = call.hears(WELCOME, "en-US", 0);
        for (place, key) in keys.chars().enumerate() {
            if place > 0 {
                at = call.hears(MORE, "en-US", at);
            }
            call.press(key);
        }
        answer(phone);
        call.hang_up();
        phone.wait_event("CALL_CLOSED");
    }
    let mut call = talking(&server, "300");
    let at = call.hears(WELCOME, "en-US", 0);
    call.press('6');
    call.leaves_a_message(&server, at);
    // In the other language, from its own words on to the last.
    let mut call = welcomed(&server);
    let at = call.position();
    call.press('5');
    let at = call.hears("Seguimos en español.", "es-ES", at);
    let at = call.hears("Clínica de animales. Para una cita, pulse 1.", "es-ES", at);
    call.press('2');
    let more = "Para el horario, pulse 1. Para la farmacia, pulse 2.";
    let at = call.hears(more, "es-ES", at);
    call.press('1');
    call.hears("Abrimos todos los días. Adiós.", "es-ES", at);
    call.wait_hang_up();
    rests(&server);
    // The file says that each call is recorded, from its beginning to its end; one of them talked.
    let recordings = recordings(&server);
    assert_eq!(recordings.len(), 5);
    let voices = recordings.iter().map(|file| seconds_of_voice(file));
    assert_eq!(voices.filter(|voice| *voice >= 3.0).count(), 1);
}

#[test]
fn a_queue_of_a_menus_file_has_two_agents_and_takes_who_gives_up() {
    let (_kept, server) = clinic("");
    let mut first = registered(&server, "1001", "secret-of-1001");
    let mut second = registered(&server, "1002", "secret-of-1002");
    let mut by_key = welcomed(&server);
    by_key.press('1');
    answer(&mut first);
    // A wrong key and silence are two tries: the fallback is the first queue of the menu.
    let mut by_fallback = welcomed(&server);
    let at = by_fallback.position();
    by_fallback.press('9');
    by_fallback.hears(WELCOME, "en-US", at);
    answer(&mut second);
    let mut third = welcomed(&server);
    third.press('1');
    server.wait_log_times("three in the queue", 3, |line| {
        line.contains("verb=\"enqueue\"")
    });
    for call in [&mut third, &mut by_key, &mut by_fallback] {
        call.hang_up();
    }
    first.wait_event("CALL_CLOSED");
    second.wait_event("CALL_CLOSED");
    rests(&server);
}

#[test]
fn silence_in_a_menu_of_a_menus_file_leads_to_its_parent() {
    let (_kept, server) = clinic("");
    let mut call = welcomed(&server);
    let at = call.position();
    call.press('2');
    let at = call.hears(MORE, "en-US", at);
    call.hears(WELCOME, "en-US", at);
    call.hang_up();
    rests(&server);
}

#[test]
fn hours_of_a_menus_file_are_looked_at_when_the_call_comes() {
    const DAYS: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let hours = |days: &[&str]| {
        let frames: Vec<String> = days
            .iter()
            .map(|day| format!("{day}: [\"00:00-24:00\"]"))
            .collect();
        format!(
            "business_hours: {{name: clinic, timezone: Pacific/Auckland, timeframes: {{{}}}}}\n",
            frames.join(", ")
        )
    };
    let (_kept, open) = clinic(&hours(&DAYS));
    welcomed(&open).hang_up();
    rests(&open);
    let (_kept, closed) = clinic(&hours(&[]));
    talking(&closed, "300").leaves_a_message(&closed, 0);
    rests(&closed);
}
