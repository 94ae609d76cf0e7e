//! Calls whose audio does not flow: what the log, `GET /diagnosis` and `trunkline doctor` say of them.
use crate::phone::Phone;
use crate::server::{PATIENCE, Server, Settings, trunkline};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// A call of a phone that sends no audio itself, with its offer changed.
struct Mute {
    phone: Phone,
    contact: String,
    call_id: String,
    to: String,
}

impl Mute {
    fn call(server: &Server, edit: impl Fn(&str) -> String) -> Mute {
        let phone = Phone::new();
        let invite = phone.invite_text(server.sip(), "demo");
        let (head, body) = invite.split_once("\r\n\r\n").expect("a head");
        let edited = edit(body);
        let head = head.replace(
            &format!("Content-Length: {}", body.len()),
            &format!("Content-Length: {}", edited.len()),
        );
        phone.send(server.sip(), &format!("{head}\r\n\r\n{edited}"));
        let answer = phone.wait("200", |message| message.status() == 200);
        let field = |name| answer.header(name).expect("in every 200").to_owned();
        let call = Mute {
            contact: field("Contact").trim_matches(['<', '>']).to_owned(),
            call_id: field("Call-ID"),
            to: field("To"),
            phone,
        };
        call.request(server, "ACK", 1);
        call
    }

    fn request(&self, server: &Server, method: &str, cseq: u32) {
        let (to, tag) = (Some(&*self.to), &self.phone.tag);
        let text = self.phone.text(
            server.sip(),
            method,
            &self.contact,
            &self.call_id,
            cseq,
            to,
            tag,
            "",
        );
        self.phone.send(server.sip(), &text);
    }

    fn hang_up(&self, server: &Server) {
        self.request(server, "BYE", 2);
        self.phone
            .wait("200 to BYE", |message| message.status() == 200);
    }
}

/// The findings of `GET /diagnosis`, once `wanted` of them are there: cause and sentence.
fn findings(server: &Server, wanted: usize) -> Vec<(String, String)> {
    let patience = Instant::now() + PATIENCE;
    loop {
        let (status, body) = server.http("/diagnosis").expect("/diagnosis answers");
        assert_eq!(status, 200, "{body}");
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let legs = json["audio"]["legs"].as_array().expect("legs");
        let findings = legs
            .iter()
            .flat_map(|leg| leg["findings"].as_array().expect("findings"));
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        let found: Vec<_> = findings
            .map(|finding| (text(&finding["cause"]), text(&finding["sentence"])))
            .collect();
        if found.len() >= wanted {
            return found;
        }
        assert!(Instant::now() < patience, "{body}\n{}", server.log_text());
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn one_way_audio_is_explained_while_the_call_is_up_and_afterwards() {
    let server = Server::with(Settings::default());
    // One describes another address than it sends from, one sends nothing, and one describes a port where nobody listens.
    let claimed = crate::server::own_address();
    let mut elsewhere = Phone::claiming(claimed).call(&server, "demo");
    let mute = Mute::call(&server, str::to_owned);
    let closed = {
        let socket = UdpSocket::bind((claimed, 0)).expect("bind");
        socket.local_addr().expect("bound").port()
    };
    let deaf = Mute::call(&server, |sdp| {
        let lines = sdp.split_inclusive("\r\n").map(|line| {
            if line.starts_with("c=") {
                return format!("c=IN IP4 {claimed}\r\n");
            }
            match line
                .strip_prefix("m=audio ")
                .and_then(|rest| rest.split_once(' '))
            {
                Some((_, rest)) => format!("m=audio {closed} {rest}"),
                None => line.to_owned(),
            }
        });
        lines.collect()
    });
    let found = findings(&server, 3);
    let sentence = |cause: &str| {
        let finding = found.iter().find(|(found, _)| found == cause);
        &finding
            .unwrap_or_else(|| panic!("no {cause} in {found:?}"))
            .1
    };
    assert!(sentence("peer-elsewhere").contains(&format!("SDP says {claimed}:")));
    let (first, last) = server.settings.rtp_ports;
    assert!(
        sentence("nothing-arrives").contains(&format!("UDP ports {first}-{last} ([media] ports)"))
    );
    assert!(sentence("refused").contains(&format!("{claimed}:{closed}")));
    elsewhere.hang_up();
    mute.hang_up(&server);
    deaf.hang_up(&server);
    server.wait_idle();
    // The same, with what came until the end.
    let found = findings(&server, 3);
    assert_eq!(found.len(), 3, "each is there once: {found:?}");
    assert_eq!(server.count_log(|line| line.contains("one-way audio:")), 3);
    for (cause, _) in &found {
        let name = format!("trunkline_audio_trouble_total{{cause=\"{cause}\"}}");
        let metrics = server.http("/metrics").expect("/metrics").1;
        assert!(metrics.contains(&format!("{name} 1")), "{name}: {metrics}");
    }
    let (status, said) = doctor(&server);
    assert!(!status, "{said}");
    for (cause, sentence) in &found {
        assert!(said.contains(&format!("{cause}: {sentence}")), "{said}");
    }
    assert!(said.contains("3 things are wrong"), "{said}");
}

/// Whether `trunkline doctor` is content, and what it says.
fn doctor(server: &Server) -> (bool, String) {
    let config = server.scratch.path().join("trunkline.toml");
    let (status, said) = trunkline(&["doctor", "--config", &config.display().to_string()]);
    (status.success(), said)
}

#[test]
fn the_doctor_finds_nothing_wrong_with_a_server_that_is_well_and_much_with_one_that_is_not() {
    let mut server = Server::start();
    let mut call = Phone::new().call(&server, "demo");
    // On a slow machine the call lasts, and somebody who never says a word is found to be mute.
    call.say(&crate::audio::tone(&[440.0], 3000.0, 500));
    call.wait_prompt("menu", 0);
    call.hang_up();
    server.wait_idle();
    let (well, said) = doctor(&server);
    assert!(well, "{said}");
    assert!(
        said.contains("audio flowed both ways in all 1 answered legs"),
        "{said}"
    );
    server.terminate();
    server.wait_end();
    // Nobody answers any more, and the configuration is for another machine.
    let config = server.scratch.path().join("trunkline.toml");
    let mut text = std::fs::read_to_string(&config).expect("read");
    text = text.replace(&format!("udp:{}", server.settings.ip), "udp:192.0.2.77");
    text.push_str("[[trunk]]\nname = \"lost\"\ntarget = \"sip:no-such-host.invalid\"\n");
    std::fs::write(&config, text).expect("write");
    let (well, said) = doctor(&server);
    assert!(!well, "{said}");
    for wrong in [
        "192.0.2.77 is no address of this machine",
        "no server answers at http://",
        "trunk lost: sip:no-such-host.invalid",
    ] {
        let found = said
            .lines()
            .any(|line| line.contains("WRONG") && line.contains(wrong));
        assert!(found, "{wrong:?} is not in {said}");
    }
}
