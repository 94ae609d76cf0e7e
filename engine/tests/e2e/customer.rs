//! A customer with a real phone, baresip: dials the number of the flow, presses keys as RFC 4733 events, speaks, and is asked what was heard.
use crate::audio::{self, RATE};
use crate::baresip::Baresip;
use crate::server::Server;
use crate::spoken::spoken;

/// What the server knows of whoever calls.
pub(crate) const CUSTOMER: &str =
    "[[endpoint]]\nuser = \"customer\"\npassword = \"secret-of-customer\"\n";

/// What a customer's voice is, in Hz.
const VOICE: f32 = 440.0;

pub(crate) struct Customer {
    phone: Baresip,
}

/// A call that was answered, of a customer who says nothing.
#[track_caller]
pub(crate) fn customer(server: &Server) -> Customer {
    calling(server, "customer", "300", &[])
}

/// A call to a number that was answered, of a customer who never stops talking.
#[track_caller]
pub(crate) fn talking(server: &Server, number: &str) -> Customer {
    let voice = audio::tone(&[VOICE], 8000.0, 60_000);
    calling(server, "customer", number, &voice)
}

/// The same of any user, whose password is `secret-of-` and the name, to any number.
#[track_caller]
pub(crate) fn calling(server: &Server, user: &str, number: &str, says: &[i16]) -> Customer {
    let at = server.sip();
    let account = format!("<sip:{user}@{at}>;auth_pass=secret-of-{user};regint=0");
    let mut phone = Baresip::with_account(says, &account, "");
    phone.command("dial", &format!("sip:{number}@{at}"));
    phone.wait_event("CALL_ESTABLISHED");
    Customer { phone }
}

impl Customer {
    /// The number of samples heard so far: a position for the other methods.
    pub(crate) fn position(&self) -> usize {
        self.phone.heard().len()
    }

    /// Presses a key. Before the phone's audio runs it would take it and send nothing.
    #[track_caller]
    pub(crate) fn press(&mut self, key: char) {
        let runs = |heard: &[i16]| (heard.len() >= RATE / 4).then_some(());
        self.phone.wait_heard("anything", 0, runs);
        self.phone.command("sndcode", &key.to_string());
    }

    /// Waits until a text begins in that language's voice, at or after `from`; returns where.
    #[track_caller]
    pub(crate) fn hears(&self, text: &str, language: &str, from: usize) -> usize {
        self.phone.wait_begin(text, &spoken(text, language), from)
    }

    /// Waits until it has heard the whole of a prompt from a position on; returns where that ends.
    #[track_caller]
    pub(crate) fn wait_prompt(&self, name: &str, from: usize) -> usize {
        self.phone.wait_prompt(name, from)
    }

    #[track_caller]
    pub(crate) fn hang_up(&mut self) {
        self.phone.command("hangup", "");
        self.phone.wait_event("CALL_CLOSED");
    }

    #[track_caller]
    pub(crate) fn wait_hang_up(&mut self) {
        self.phone.wait_event("CALL_CLOSED");
    }

    /// Comes to a voicemail box, leaves a message and hangs up; the server has it then, with the voice in it.
    #[track_caller]
    pub(crate) fn leaves_a_message(mut self, server: &Server, from: usize) {
        let words =
            "Please leave a message after the tone. When you have finished, hang up or press hash.";
        self.hears(words, "en-US", from);
        let left = |line: &str| line.contains("a message was left");
        let ends = |line: &str| line.contains("key=# source=Rfc4733");
        let (messages, ended) = (server.count_log(left), server.count_log(ends));
        self.press('#');
        server.wait_log_times("the greeting's end", ended + 1, ends);
        let packets = server.metrics().sum("trunkline_rtp_packets_in_total");
        server.wait_metrics("the tone and three seconds of a message", |metrics| {
            metrics.sum("trunkline_rtp_packets_in_total") >= packets + 200.0
        });
        self.hang_up();
        server.wait_log_times("the message", messages + 1, left);
        let folder = server.scratch.path().join("recordings/voicemail");
        let files = std::fs::read_dir(folder).expect("a folder");
        let newest = files
            .map(|file| file.expect("a file").path())
            .max_by_key(|path| {
                path.metadata()
                    .and_then(|of| of.modified())
                    .expect("a time")
            })
            .expect("a message");
        let voice = seconds_of_voice(&std::fs::read(newest).expect("a message"));
        assert!(voice >= 2.0, "{voice} s");
    }
}

/// For how long a WAV file holds a customer's voice.
pub(crate) fn seconds_of_voice(file: &[u8]) -> f32 {
    let samples = crate::baresip::narrow(file);
    let parts = samples.chunks_exact(RATE / 10);
    let spoken = parts.filter(|part| audio::share_at(part, VOICE) > 0.5);
    spoken.count() as f32 / 10.0
}
