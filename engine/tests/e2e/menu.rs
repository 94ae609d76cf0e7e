//! Each path through the demo, judged by ear: what the caller hears is correlated with the prompt files.
use crate::audio::{self, Reference};
use crate::call::Call;
use crate::phone::{Abilities, Phone};
use crate::server::{Server, Settings};

/// A call that has heard the beginning of the welcome.
#[track_caller]
fn greeted(server: &Server) -> Call {
    greeted_on(Phone::new(), server)
}

#[track_caller]
fn greeted_on(phone: Phone, server: &Server) -> Call {
    let call = phone.call(server, "demo");
    call.wait_begin("welcome", &crate::prompt("welcome"), 0);
    call
}

/// Ends a call with the hash key: goodbye, then Trunkline's BYE.
#[track_caller]
fn end_with_hash(call: &Call, from: usize) {
    call.press('#');
    call.wait_prompt("goodbye", from);
    call.wait_hang_up();
}

#[test]
fn greeting_and_menu_are_spoken() {
    let server = Server::start();
    let mut call = Phone::new().call(&server, "demo");
    let welcomed = call.wait_prompt("welcome", 0);
    call.wait_prompt("menu", welcomed);
    call.hang_up();
    server.wait_idle();
    assert_eq!(call.lost(), 0, "packets lost on loopback");
}

#[test]
fn key_1_says_the_key_and_the_information() {
    let server = Server::start();
    let call = greeted(&server);
    call.press('1');
    let said = call.wait_prompt("digit_1", 0);
    let informed = call.wait_prompt("info", said);
    end_with_hash(&call, informed);
    server.wait_idle();
    assert_eq!(server.keys('1', "rfc4733"), 1);
}

#[test]
fn key_1_in_a_law() {
    let server = Server::start();
    let phone = Phone::with(Abilities {
        payloads: vec![8],
        telephone_event: true,
    });
    let call = greeted_on(phone, &server);
    call.press('1');
    let said = call.wait_prompt("digit_1", 0);
    let informed = call.wait_prompt("info", said);
    end_with_hash(&call, informed);
    server.wait_idle();
}

#[test]
fn key_2_plays_music_until_a_key() {
    let server = Server::start();
    let call = greeted(&server);
    call.press('2');
    let once = call.wait_prompt("music", 0);
    // It loops: the beginning comes again.
    call.wait_begin(
        "music",
        &crate::prompt("music"),
        once.saturating_sub(audio::RATE / 10),
    );
    call.press('*');
    let back = call.wait_prompt("menu", once);
    end_with_hash(&call, back);
    server.wait_idle();
}

#[test]
fn key_3_echoes_the_caller() {
    let server = Server::start();
    let call = greeted(&server);
    call.press('3');
    let introduced = call.wait_prompt("echo_intro", 0);
    // A sound unlike any prompt: chirps that cannot be mistaken for each other.
    let said: Vec<i16> = (0..12)
        .flat_map(|step| audio::tone(&[500.0 + 90.0 * step as f32], 6000.0, 125))
        .collect();
    call.say(&said);
    let echoed = call.wait_sound("echo", &Reference::narrow(&said), introduced);
    call.press('*');
    let done = call.wait_prompt("echo_done", echoed);
    end_with_hash(&call, done);
    server.wait_idle();
}

#[test]
fn key_4_records_and_plays_back() {
    let server = Server::start();
    let call = greeted(&server);
    call.press('4');
    let introduced = call.wait_prompt("record_intro", 0);
    server.wait_log("the recording's beginning", |line| {
        line.contains("at=record verb")
    });
    // The beep comes first: 1.5 s of speech begin well after it.
    call.wait_position(introduced + audio::RATE);
    let said: Vec<i16> = (0..12)
        .flat_map(|step| audio::tone(&[1500.0 - 80.0 * step as f32], 6000.0, 125))
        .collect();
    call.say(&said);
    call.wait_said();
    call.press('#');
    let announced = call.wait_prompt("playback_intro", introduced);
    let played = call.wait_sound("the recording", &Reference::narrow(&said), announced);
    end_with_hash(&call, played);
    server.wait_idle();
}

#[test]
fn key_9_repeats_the_menu() {
    let server = Server::start();
    let call = greeted(&server);
    let first = call.wait_begin("menu", &crate::prompt("menu"), 0);
    call.press('9');
    let again = call.wait_prompt("menu", first + audio::RATE / 2);
    end_with_hash(&call, again);
    server.wait_idle();
}

#[test]
fn hash_says_goodbye_and_hangs_up() {
    let server = Server::start();
    let call = greeted(&server);
    end_with_hash(&call, 0);
    server.wait_idle();
}

#[test]
fn a_key_without_a_meaning_is_said() {
    let server = Server::start();
    let mut call = greeted(&server);
    call.press('7');
    let announced = call.wait_prompt("you_pressed", 0);
    let said = call.wait_prompt("digit_7", announced);
    call.wait_begin("menu", &crate::prompt("menu"), said);
    call.hang_up();
    server.wait_idle();
}

#[test]
fn three_silent_rounds_end_politely() {
    let server = Server::start();
    let call = Phone::new().call(&server, "demo");
    let mut from = 0;
    for _ in 0..2 {
        let asked = call.wait_prompt("menu", from);
        from = call.wait_prompt("silence", asked);
    }
    let asked = call.wait_prompt("menu", from);
    call.wait_prompt("goodbye", asked);
    call.wait_hang_up();
    server.wait_idle();
}

#[test]
fn keys_by_info_and_in_band_count() {
    let server = Server::start();
    let phone = Phone::with(Abilities {
        payloads: vec![0],
        telephone_event: false,
    });
    let mut call = greeted_on(phone, &server);
    call.press_info('1');
    let said = call.wait_prompt("digit_1", 0);
    let asked = call.wait_begin("menu", &crate::prompt("menu"), said);
    call.press_in_band('9');
    let again = call.wait_begin("menu", &crate::prompt("menu"), asked + audio::RATE / 2);
    call.press_in_band('#');
    call.wait_prompt("goodbye", again);
    call.wait_hang_up();
    server.wait_idle();
    assert_eq!(
        (
            server.keys('1', "info"),
            server.keys('9', "inband"),
            server.keys('#', "inband")
        ),
        (1, 1, 1),
        "{}",
        server.log_text()
    );
}

#[test]
fn one_press_reported_three_ways_is_one_key() {
    let server = Server::start();
    let mut call = greeted(&server);
    call.press('1');
    call.say(&audio::dtmf('1', 100));
    call.press_info('1');
    let said = call.wait_prompt("digit_1", 0);
    let informed = call.wait_prompt("info", said);
    end_with_hash(&call, informed);
    server.wait_idle();
    let ones: usize = ["rfc4733", "inband", "info"]
        .iter()
        .map(|source| server.keys('1', source))
        .sum();
    assert_eq!(ones, 1, "{}", server.log_text());
}

#[test]
fn a_key_interrupts_the_prompt() {
    let server = Server::start();
    let mut call = greeted(&server);
    let menu = call.wait_begin("menu", &crate::prompt("menu"), 0);
    call.press('1');
    let said = call.wait_begin("digit_1", &crate::prompt("digit_1"), menu);
    assert!(
        said < menu + crate::prompt("menu").len(),
        "the menu was spoken to its end first"
    );
    call.hang_up();
    server.wait_idle();
}

#[test]
fn hold_is_silent_and_resume_is_not() {
    let server = Server::start();
    let mut call = greeted(&server);
    call.press('2');
    call.wait_begin("music", &crate::prompt("music"), 0);
    let answer = call.reinvite("sendonly");
    assert!(answer.contains("a=recvonly"), "{answer}");
    let held = call.packets();
    let answer = call.reinvite("sendrecv");
    assert!(
        answer.contains("a=sendrecv") || !answer.contains("a=recvonly"),
        "{answer}"
    );
    let resumed = call.position();
    assert!(call.packets() <= held + 25, "audio went on during the hold");
    call.wait_begin("music", &crate::prompt("music"), resumed);
    call.hang_up();
    server.wait_idle();
}

#[test]
fn several_numbers_have_their_own_flows() {
    let settings = Settings {
        numbers: vec![
            ("demo".into(), "builtin:demo".into()),
            ("load".into(), "builtin:load-ivr".into()),
        ],
        ..Settings::default()
    };
    let server = Server::with(settings);
    let mut call = Phone::new().call(&server, "load");
    call.wait_position(audio::RATE);
    call.press('5');
    let four_khz = |call: &Call| {
        let heard = call.heard_from(0);
        // At half the sampling rate a sine alternates.
        heard.windows(400).step_by(40).any(|w| {
            w.iter().any(|s| s.abs() > 500)
                && w.windows(2)
                    .all(|pair| i32::from(pair[0]) * i32::from(pair[1]) < 0)
        })
    };
    let mut position = call.position();
    for _ in 0..100 {
        if four_khz(&call) {
            break;
        }
        position += audio::RATE / 10;
        call.wait_position(position);
    }
    assert!(
        four_khz(&call),
        "the key was not answered with a tone of 4 kHz"
    );
    call.hang_up();
    server.wait_idle();
}
