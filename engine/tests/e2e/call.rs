//! A call of the tests' telephone: what is pressed, said and heard in it.
use crate::audio;
use crate::message::Message;
use crate::phone::Phone;
use crate::phone_media::{FRAME, Media, Outgoing};
use crate::server::PATIENCE;
use std::net::SocketAddr;
use std::time::Instant;

/// A call in progress.
pub(crate) struct Call {
    pub(crate) phone: Phone,
    pub(crate) server: SocketAddr,
    pub(crate) call_id: String,
    pub(crate) to: String,
    pub(crate) contact: String,
    pub(crate) cseq: u32,
    pub(crate) version: u32,
    pub(crate) media: Media,
}

impl Call {
    fn request(&mut self, method: &str, body: &str) {
        self.cseq += 1;
        let text = self.phone.text(
            self.server,
            method,
            &self.contact.clone(),
            &self.call_id,
            self.cseq,
            Some(&self.to),
            &self.phone.tag,
            body,
        );
        self.phone.send(self.server, &text);
    }

    pub(crate) fn ack(&self, cseq: u32) {
        let text = self.phone.text(
            self.server,
            "ACK",
            &self.contact,
            &self.call_id,
            cseq,
            Some(&self.to),
            &self.phone.tag,
            "",
        );
        self.phone.send(self.server, &text);
    }

    #[track_caller]
    fn wait_ok(&self, method: &str) -> Message {
        let cseq = format!("{} {method}", self.cseq);
        let answer = self.phone.wait(&format!("200 to {method}"), |m| {
            m.status() >= 200 && m.header("CSeq") == Some(&cseq)
        });
        assert_eq!(answer.status(), 200, "{method}: {}", answer.start);
        answer
    }

    /// Presses a key as SIP INFO with `application/dtmf-relay`.
    #[track_caller]
    pub(crate) fn press_info(&mut self, key: char) {
        self.request("INFO", &format!("Signal={key}\r\nDuration=160\r\n"));
        self.wait_ok("INFO");
    }

    /// Presses a key as an RFC 4733 event of 100 ms.
    pub(crate) fn press(&self, key: char) {
        self.media.queue(Outgoing::Event(key));
    }

    /// Presses a key as tones in the audio.
    pub(crate) fn press_in_band(&self, key: char) {
        self.say(&audio::dtmf(key, 120));
        self.say(&[0; FRAME * 3]);
    }

    /// Sends audio.
    pub(crate) fn say(&self, samples: &[i16]) {
        for frame in samples.chunks(FRAME) {
            let mut whole = frame.to_vec();
            whole.resize(FRAME, 0);
            self.media.queue(Outgoing::Audio(whole));
        }
    }

    /// Waits until everything queued by `say` and `press` is sent.
    #[track_caller]
    pub(crate) fn wait_said(&self) {
        self.media
            .wait_until("what was to be said is sent", |state| {
                state.outgoing.is_empty()
            });
    }

    /// The number of samples heard so far: a position for the other methods.
    pub(crate) fn position(&self) -> usize {
        self.media.lock().heard.len()
    }

    /// The audio heard from a position on.
    pub(crate) fn heard_from(&self, from: usize) -> Vec<i16> {
        self.media.lock().heard[from..].to_vec()
    }

    /// Waits until the call has heard that many samples.
    #[track_caller]
    pub(crate) fn wait_position(&self, position: usize) {
        self.media
            .wait_until("more audio", |state| state.heard.len() >= position);
    }

    /// Waits until a prompt begins, at or after `from`, and then for the whole of it; returns the position of its end.
    #[track_caller]
    pub(crate) fn wait_prompt(&self, name: &str, from: usize) -> usize {
        let reference = crate::prompt(name);
        self.wait_sound(name, &reference, from)
    }

    /// As [`wait_prompt`](Self::wait_prompt) for any sound.
    #[track_caller]
    pub(crate) fn wait_sound(
        &self,
        name: &str,
        reference: &audio::Reference,
        from: usize,
    ) -> usize {
        let start = self.wait_begin(name, reference, from);
        let mut position = start + reference.len();
        loop {
            self.wait_position(position);
            let agreement = reference.agreement(&self.heard_from(0), start);
            if agreement.is_whole() {
                return agreement.end;
            }
            // What stood still goes on later than it should.
            if position > start + reference.len() + audio::MOST_LATE {
                self.keep_heard();
                panic!("{name}, heard at {start}: {agreement:?}");
            }
            position += audio::RATE / 4;
        }
    }

    /// Waits until a sound begins, at or after `from`; returns where.
    #[track_caller]
    pub(crate) fn wait_begin(
        &self,
        name: &str,
        reference: &audio::Reference,
        from: usize,
    ) -> usize {
        let patience = Instant::now() + PATIENCE;
        let mut from = from;
        loop {
            let heard = self.heard_from(0);
            if let Some(start) = reference.search(&heard, &mut from) {
                return start;
            }
            if Instant::now() >= patience {
                self.keep_heard();
                panic!(
                    "{name} was not heard after {from} in {} samples",
                    heard.len()
                );
            }
            self.wait_position(heard.len() + audio::RATE / 4);
        }
    }

    /// Waits until more than `share` of a second is a tone; `say` is done before each second.
    #[track_caller]
    pub(crate) fn hears_tone(&self, hz: f32, share: f32, mut say: impl FnMut()) {
        let patience = Instant::now() + PATIENCE;
        loop {
            let from = self.position();
            say();
            self.wait_position(from + audio::RATE);
            if audio::share_at(&self.heard_from(from), hz) > share {
                return;
            }
            assert!(Instant::now() < patience, "{hz} Hz is not heard");
        }
    }

    /// Keeps what was heard for a person to listen to.
    fn keep_heard(&self) {
        let path = std::env::temp_dir().join("trunkline-e2e-heard.sln");
        let bytes: Vec<u8> = self
            .heard_from(0)
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        if std::fs::write(&path, bytes).is_ok() {
            eprintln!("what was heard: {}", path.display());
        }
    }

    /// Changes the direction with a re-INVITE (`sendonly` holds) and returns the answer's SDP.
    #[track_caller]
    pub(crate) fn reinvite(&mut self, direction: &str) -> String {
        self.version += 1;
        let sdp = self.phone.sdp(self.version, direction);
        self.request("INVITE", &sdp);
        let answer = self.wait_ok("INVITE");
        self.ack(self.cseq);
        answer.body
    }

    /// Hangs up.
    #[track_caller]
    pub(crate) fn hang_up(&mut self) {
        self.request("BYE", "");
        self.wait_ok("BYE");
    }

    /// Waits for the other side to hang up, and returns its BYE.
    #[track_caller]
    pub(crate) fn wait_hang_up(&self) -> Message {
        let bye = self.phone.wait("BYE", |message| message.method() == "BYE");
        self.phone.respond(self.server, &bye, "200 OK", "");
        bye
    }

    /// The telephone, once the call is over.
    pub(crate) fn into_phone(self) -> Phone {
        // Dropped here: its media would go on to take the packets of the next call.
        drop(self.media);
        self.phone
    }

    /// How many RTP packets have come.
    pub(crate) fn packets(&self) -> usize {
        self.media.lock().packets
    }

    /// Gaps in the sequence numbers that came.
    pub(crate) fn lost(&self) -> usize {
        self.media.lock().lost
    }
}
