//! baresip, a real phone, against the real binary: headless, audio from and to files, driven over its control socket.
use crate::audio;
use crate::server::{PATIENCE, Server, Settings};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use trunkline_dsp::resample::{Down2, Down6};

/// Modules of the package baresip-core.
const MODULES: &str = "/usr/lib/baresip/modules";

pub(crate) struct Baresip {
    child: Child,
    control: TcpStream,
    buffer: Vec<u8>,
    events: Vec<serde_json::Value>,
    scratch: tempfile::TempDir,
}

impl Baresip {
    /// A phone that says `says` (once, then silence) and keeps what it hears.
    fn start(says: &[i16]) -> Self {
        Self::start_with(says, "")
    }

    /// The same with more in its account's parameters, each after a semicolon.
    fn start_with(says: &[i16], account: &str) -> Self {
        let ip = Ipv4Addr::LOCALHOST;
        Self::with_account(
            says,
            &format!("<sip:phone@{ip};transport=udp>;regint=0{account}"),
            "",
        )
    }

    /// A phone that registers a user at `server`, an address with a transport, and trusts the certificates of `ca`.
    pub(crate) fn registering(
        user: &str,
        server: &str,
        says: &[i16],
        account: &str,
        ca: &Path,
    ) -> Self {
        Self::with_account(
            says,
            &format!("<sip:{user}@{server}>;auth_pass=secret-of-{user};regint=60{account}"),
            &format!("sip_cafile {}\n", ca.display()),
        )
    }

    /// Without a word about codecs in its account it speaks PCMU.
    pub(crate) fn with_account(says: &[i16], account: &str, more: &str) -> Self {
        let scratch = tempfile::tempdir().expect("scratch folder");
        // Its RTP sockets are bound to no address, and the kernel sends from 127.0.0.1 what goes to loopback: another address in its SDP
        // would make its audio that of a stranger.
        let ip = Ipv4Addr::LOCALHOST;
        let control_port = crate::server::free_port(ip);
        std::fs::write(scratch.path().join("says.wav"), wav(says)).expect("write");
        std::fs::write(
            scratch.path().join("config"),
            configuration(ip, control_port, &scratch) + more,
        )
        .expect("write");
        std::fs::write(
            scratch.path().join("accounts"),
            match account.contains("audio_codecs=") {
                true => format!("{account}\n"),
                false => format!("{account};audio_codecs=PCMU/8000/1\n"),
            },
        )
        .expect("write");
        std::fs::write(scratch.path().join("contacts"), "").expect("write");
        let child = Command::new("baresip")
            .args(["-f", &scratch.path().display().to_string()])
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(scratch.path().join("stdout.txt")).expect("create"))
            .stderr(std::fs::File::create(scratch.path().join("stderr.txt")).expect("create"))
            .spawn()
            .expect("baresip is needed: apt-get install baresip-core (make test does it)");
        let control = connect(ip, control_port, &scratch);
        control
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("timeout");
        Self {
            child,
            control,
            buffer: Vec::new(),
            events: Vec::new(),
            scratch,
        }
    }

    /// A command of its menu; returns the answer.
    #[track_caller]
    pub(crate) fn command(&mut self, name: &str, parameters: &str) -> serde_json::Value {
        let text =
            serde_json::json!({ "command": name, "params": parameters, "token": name }).to_string();
        write!(self.control, "{}:{text},", text.len()).expect("write to baresip");
        self.wait(&format!("answer to {name}"), |message| {
            message["response"] == true && message["token"] == name
        })
    }

    /// Lets it end in order: it unregisters.
    pub(crate) fn quit(&self) {
        crate::server::signal(self.child.id(), "TERM");
    }

    #[track_caller]
    pub(crate) fn wait_event(&mut self, kind: &str) {
        self.wait(kind, |message| {
            message["event"] == true && message["type"] == kind
        });
    }

    /// Waits for an event of a kind whose text has that in it.
    #[track_caller]
    pub(crate) fn wait_event_with(&mut self, kind: &str, part: &str) {
        self.wait(part, |message| {
            let text = message["param"].as_str().unwrap_or_default();
            message["type"] == kind && text.contains(part)
        });
    }

    /// How many events of a kind have come that nobody waited for.
    pub(crate) fn count_events(&self, kind: &str) -> usize {
        let of_kind = |message: &&serde_json::Value| message["type"] == kind;
        self.events.iter().filter(of_kind).count()
    }

    /// Waits for a message; what came before it stays for later.
    #[track_caller]
    fn wait(
        &mut self,
        what: &str,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.events.iter().position(&wanted) {
                return self.events.remove(at);
            }
            assert!(
                Instant::now() < patience,
                "baresip: {what} did not come; these did: {:#?}\n{}",
                self.events,
                self.output()
            );
            let mut chunk = [0; 4096];
            if let Ok(length) = self.control.read(&mut chunk) {
                assert!(length > 0, "baresip ended: {}", self.output());
                self.buffer.extend_from_slice(&chunk[..length]);
                self.take_netstrings();
            }
        }
    }

    fn take_netstrings(&mut self) {
        while let Some(colon) = self.buffer.iter().position(|byte| *byte == b':') {
            let length: usize = std::str::from_utf8(&self.buffer[..colon])
                .ok()
                .and_then(|digits| digits.parse().ok())
                .expect("a netstring");
            if self.buffer.len() < colon + length + 2 {
                return;
            }
            self.events.push(
                serde_json::from_slice(&self.buffer[colon + 1..colon + 1 + length]).expect("JSON"),
            );
            self.buffer.drain(..colon + length + 2);
        }
    }

    /// What it has heard so far, at 8 kHz: it begins another file after each change of the media.
    pub(crate) fn heard(&self) -> Vec<i16> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.scratch.path())
            .expect("scratch folder")
            .map(|entry| entry.expect("entry").path())
            .filter(|path| path.to_string_lossy().ends_with("-dec.wav"))
            .collect();
        files.sort();
        let files = files.iter().map(std::fs::read);
        files
            .flat_map(|bytes| narrow(&bytes.unwrap_or_default()))
            .collect()
    }

    /// Waits until it has heard the whole of a prompt from a position on; returns where that ends.
    #[track_caller]
    pub(crate) fn wait_prompt(&self, name: &str, from: usize) -> usize {
        self.wait_sound(name, &crate::prompt(name), from)
    }

    /// Waits until it hears the music of the demo, which is also that on hold; returns where.
    #[track_caller]
    pub(crate) fn wait_music(&self, from: usize) -> usize {
        let music = crate::prompt("music");
        self.wait_heard("music", from, |heard| music.find_start(heard, from))
    }

    /// Waits until a sound begins, at or after `from`; returns where.
    #[track_caller]
    pub(crate) fn wait_begin(
        &self,
        name: &str,
        reference: &audio::Reference,
        from: usize,
    ) -> usize {
        let mut search = from;
        self.wait_heard(name, from, |heard| reference.search(heard, &mut search))
    }

    /// Waits until what it hears satisfies `wanted`.
    #[track_caller]
    pub(crate) fn wait_heard<T>(
        &self,
        what: &str,
        from: usize,
        mut wanted: impl FnMut(&[i16]) -> Option<T>,
    ) -> T {
        let patience = Instant::now() + PATIENCE;
        loop {
            let heard = self.heard();
            if let Some(found) = wanted(&heard) {
                return found;
            }
            assert!(
                Instant::now() < patience,
                "baresip did not hear {what} after {from} in {} samples\n{}",
                heard.len(),
                self.output()
            );
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }

    /// The same for any sound.
    #[track_caller]
    pub(crate) fn wait_sound(
        &self,
        name: &str,
        reference: &audio::Reference,
        from: usize,
    ) -> usize {
        self.wait_heard(name, from, |heard| {
            let start = reference.find_start(heard, from)?;
            // The last packets before a BYE are not played any more.
            if heard.len() + audio::RATE / 4 < start + reference.len() {
                return None;
            }
            let agreement = reference.agreement(heard, start);
            // Its own jitter buffer may bend time.
            assert!(agreement.agree * 2 >= agreement.of, "{name}: {agreement:?}");
            Some(agreement.end)
        })
    }

    fn output(&self) -> String {
        ["stdout.txt", "stderr.txt"]
            .map(|name| std::fs::read_to_string(self.scratch.path().join(name)).unwrap_or_default())
            .join("\n")
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(ip: Ipv4Addr, port: u16, scratch: &tempfile::TempDir) -> TcpStream {
    let patience = Instant::now() + PATIENCE;
    loop {
        if let Ok(stream) = crate::server::connect((ip, port).into()) {
            return stream;
        }
        let output =
            || std::fs::read_to_string(scratch.path().join("stderr.txt")).unwrap_or_default();
        assert!(
            Instant::now() < patience,
            "baresip's control socket does not open: {}",
            output()
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Audio comes from a file (`aufile`); what is heard is kept by the filter `sndfile`, because this version's `aufile` only reads. The
/// bridge device is a player that needs no sound card.
fn configuration(ip: Ipv4Addr, control_port: u16, scratch: &tempfile::TempDir) -> String {
    let folder = scratch.path().display();
    format!(
        "sip_listen {ip}:0\nnet_interface {ip}\n\
         audio_source aufile,{folder}/says.wav\naudio_player aubridge,ear\n\
         ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
         module_path {MODULES}\nmodule g711.so\nmodule g722.so\nmodule opus.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule srtp.so\nmodule ice.so\nsnd_path {folder}\n\
         module_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen {ip}:{control_port}\n"
    )
}

/// The samples of a WAV file that is still being written, at 8 kHz: the first channel of what the codec made. The lengths in its header
/// are only right at the end, so they are passed over.
pub(crate) fn narrow(file: &[u8]) -> Vec<i16> {
    let Some((header, data)) = file.split_at_checked(44) else {
        return Vec::new();
    };
    let channels = usize::from(u16::from_le_bytes([header[22], header[23]]));
    let hz = u32::from_le_bytes([header[24], header[25], header[26], header[27]]);
    let samples: Vec<i16> = data
        .chunks_exact(2 * channels)
        .map(|frame| i16::from_le_bytes([frame[0], frame[1]]))
        .collect();
    let mut out = vec![0; samples.len()];
    let count = match hz {
        8000 => return samples,
        16_000 => Down2::new().process(&samples, &mut out),
        48_000 => Down6::new().process(&samples, &mut out),
        other => panic!("baresip heard {other} Hz"),
    };
    out.truncate(count);
    out
}

/// A WAV file of 8 kHz, 16-bit mono, padded with a minute of silence so that the source does not end.
pub(crate) fn wav(samples: &[i16]) -> Vec<u8> {
    let mut samples = samples.to_vec();
    samples.resize(samples.len() + 60 * audio::RATE, 0);
    let size = samples.len() as u32 * 2;
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + size).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16u32.to_le_bytes());
    bytes.extend_from_slice(&[1, 0, 1, 0]);
    bytes.extend_from_slice(&8000u32.to_le_bytes());
    bytes.extend_from_slice(&16000u32.to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 16, 0]);
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

#[test]
fn hears_the_menu_presses_1_and_hears_the_answer() {
    let server = Server::start();
    let mut phone = Baresip::start(&[]);
    phone.command("dial", &format!("sip:demo@{}", server.sip()));
    phone.wait_event("CALL_ESTABLISHED");
    let welcomed = phone.wait_prompt("welcome", 0);
    phone.command("sndcode", "1");
    let pressed = phone.wait_prompt("digit_1", welcomed);
    phone.wait_prompt("info", pressed);
    phone.command("hangup", "");
    phone.wait_event("CALL_CLOSED");
    server.wait_idle();
}

#[test]
fn hold_and_resume() {
    let server = Server::start();
    let mut phone = Baresip::start(&[]);
    phone.command("dial", &format!("sip:demo@{}", server.sip()));
    phone.wait_event("CALL_ESTABLISHED");
    let at = phone.wait_prompt("welcome", 0);
    phone.command("sndcode", "2");
    phone.wait_prompt("music", at);
    phone.command("hold", "");
    let change = |line: &str| line.contains("media changed by the far end");
    server.wait_log("hold", change);
    phone.command("resume", "");
    server.wait_log_times("resume", 2, change);
    // Its filter does not come back after a re-INVITE, so what it hears from here on is judged by what it gets (what a held and
    // resumed caller hears is judged in `menu`), and by a key that still counts.
    let sent = server.metrics().sum("trunkline_rtp_packets_out_total");
    server.wait_metrics("audio after the resume", |metrics| {
        metrics.sum("trunkline_rtp_packets_out_total") >= sent + 50.0
    });
    phone.command("sndcode", "*");
    server.wait_log("the key after the resume", |line| line.contains("key=*"));
    phone.command("hangup", "");
    phone.wait_event("CALL_CLOSED");
    server.wait_idle();
}

/// A server whose calls have this policy.
fn server_with(srtp: &str) -> Server {
    Server::with(Settings {
        media_extra: format!("srtp = {srtp:?}"),
        ..Settings::default()
    })
}

/// What encrypts, as `mediaenc` names it, and our policy: the phone offers RTP/SAVP, or RTP/AVP with keys.
#[test]
fn encrypted_calls_are_heard_and_stay_so_over_hold() {
    for (encryption, srtp) in [("srtp-mand", "required"), ("srtp", "optional")] {
        let server = server_with(srtp);
        let mut phone = Baresip::start_with(&[], &format!(";mediaenc={encryption}"));
        phone.command("dial", &format!("sip:demo@{}", server.sip()));
        phone.wait_event("CALL_ESTABLISHED");
        server.wait_log("an encrypted answer", |line| {
            line.contains("answered") && line.contains("srtp=\"AES")
        });
        let at = phone.wait_prompt("welcome", 0);
        phone.command("sndcode", "2");
        phone.wait_prompt("music", at);
        phone.command("hold", "");
        let change = |line: &str| line.contains("media changed by the far end");
        server.wait_log("hold", change);
        phone.command("resume", "");
        server.wait_log_times("resume", 2, change);
        phone.command("sndcode", "*");
        server.wait_log("the key after the resume", |line| line.contains("key=*"));
        phone.command("hangup", "");
        phone.wait_event("CALL_CLOSED");
        server.wait_idle();
        let dropped = |cause: &str| {
            let metric = "trunkline_rtp_packets_dropped_total";
            let label = format!("cause=\"{cause}\"");
            server.metrics().labelled(metric, &label)
        };
        // Its first and last RTCP are in the clear: an APP packet that opens NATs, and the BYE.
        assert!(dropped("srtp_auth_failed") <= 4.0);
        assert_eq!(dropped("srtp_replayed"), 0.0);
    }
}

#[test]
fn a_phone_that_does_not_encrypt_is_refused_where_that_is_required() {
    let server = server_with("required");
    let mut phone = Baresip::start(&[]);
    phone.command("dial", &format!("sip:demo@{}", server.sip()));
    phone.wait_event("CALL_CLOSED");
    server.wait_log("the rule", |line| {
        line.contains("call refused") && line.contains("srtp = required")
    });
    server.wait_idle();
}

#[test]
fn trunkline_hangs_up() {
    let server = Server::start();
    let mut phone = Baresip::start(&[]);
    phone.command("dial", &format!("sip:demo@{}", server.sip()));
    phone.wait_event("CALL_ESTABLISHED");
    let at = phone.wait_prompt("welcome", 0);
    phone.command("sndcode", "#");
    phone.wait_prompt("goodbye", at);
    phone.wait_event("CALL_CLOSED");
    server.wait_idle();
}
