//! A user agent made of template text, with an address of its own: it says what a test tells it to, right or wrong, and keeps whatever it
//! is sent. It waits for messages, never for time.
use crate::server::{PATIENCE, own_address};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use trunkline_sip::{Credentials, Frame, Realm};

/// Payload type of telephone events.
pub(crate) const EVENTS: u8 = 101;

/// Something no other call has.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{what}{}x{number}", std::process::id())
}

/// The first value of a header.
pub(crate) fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let head = message.split("\r\n\r\n").next().unwrap_or("");
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let found = lines.find(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value.trim())
}

/// The status of a response, 0 of a request.
pub(crate) fn status(message: &str) -> u16 {
    let code = message.strip_prefix("SIP/2.0 ");
    code.map_or(0, |rest| rest[..3].parse().expect("a status"))
}

/// The tag of a From or To value.
pub(crate) fn tag(value: &str) -> &str {
    let after = value.split(";tag=").nth(1).unwrap_or("");
    after.split(';').next().unwrap_or("")
}

/// The URI between angle brackets.
pub(crate) fn uri(value: &str) -> &str {
    value
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(value, |(uri, _)| uri)
}

/// Where a description wants its audio.
pub(crate) fn audio_at(message: &str) -> SocketAddr {
    let value = |start: &str| {
        let line = message.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no {start} in {message}"))
    };
    let port = value("m=audio ").split(' ').next().expect("a port");
    SocketAddr::new(
        value("c=IN IP4 ").trim().parse().expect("an address"),
        port.parse().expect("a port"),
    )
}

/// One dialog as a party sees it.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// From of our requests, with our tag.
    pub(crate) local: String,
    /// To of our requests, with the server's tag.
    pub(crate) remote: String,
    /// Request-URI of our requests.
    pub(crate) target: String,
    pub(crate) cseq: u32,
}

/// See the module's text.
pub(crate) struct Party {
    pub(crate) ip: Ipv4Addr,
    pub(crate) user: String,
    /// What answers challenges.
    pub(crate) password: Option<String>,
    pub(crate) rtp: UdpSocket,
    sip: UdpSocket,
    pub(crate) server: SocketAddr,
    /// Came while something else was waited for.
    unread: Vec<String>,
    /// Everything that ever came.
    pub(crate) captured: Vec<String>,
    /// Header lines of the next request.
    pub(crate) extra: String,
}

impl Party {
    pub(crate) fn new(server: SocketAddr, user: &str) -> Party {
        Party::at(server, user, own_address())
    }

    pub(crate) fn at(server: SocketAddr, user: &str, ip: Ipv4Addr) -> Party {
        let sip = UdpSocket::bind((ip, 0)).expect("bind");
        let rtp = UdpSocket::bind((ip, 0)).expect("bind");
        sip.set_read_timeout(Some(Duration::from_millis(100)))
            .expect("timeout");
        rtp.set_read_timeout(Some(PATIENCE)).expect("timeout");
        Party {
            ip,
            user: user.to_owned(),
            password: None,
            rtp,
            sip,
            server,
            unread: Vec::new(),
            captured: Vec::new(),
            extra: String::new(),
        }
    }

    /// As [`Party::new`], with a password.
    pub(crate) fn known(server: SocketAddr, user: &str, password: &str) -> Party {
        Party {
            password: Some(password.to_owned()),
            ..Party::new(server, user)
        }
    }

    /// Where it takes SIP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.sip.local_addr().expect("bound")
    }

    pub(crate) fn contact(&self) -> String {
        format!("sip:{}@{}", self.user, self.address())
    }

    /// Our description.
    pub(crate) fn sdp(&self) -> String {
        let (ip, port) = (self.ip, self.rtp.local_addr().expect("bound").port());
        format!(
            "v=0\r\no=- 4711 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 {EVENTS}\r\na=rtpmap:{EVENTS} telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        )
    }

    pub(crate) fn send(&self, text: &str) {
        let sent = self.sip.send_to(text.as_bytes(), self.server);
        sent.expect("send");
    }

    /// Takes what has come; waits a tenth of a second at most.
    fn take(&mut self) -> bool {
        let mut buffer = [0; 65_536];
        let Ok((length, from)) = self.sip.recv_from(&mut buffer) else {
            return false;
        };
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if from == self.server && !text.trim().is_empty() {
            self.captured.push(text.clone());
            self.unread.push(text);
        }
        true
    }

    /// The next message like this; others stay for later.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.unread.iter().position(|text| wanted(text)) {
                return self.unread.remove(at);
            }
            assert!(
                Instant::now() < patience,
                "{what} did not come to {}; these did: {:#?}",
                self.user,
                self.unread
            );
            self.take();
        }
    }

    /// The next request of this method.
    #[track_caller]
    pub(crate) fn request_of(&mut self, method: &str) -> String {
        let start = format!("{method} ");
        self.wait(method, |text| text.starts_with(&start))
    }

    /// Everything of this method that has come until now, without waiting for more.
    pub(crate) fn came(&mut self, method: &str) -> usize {
        while self.take() {}
        let start = format!("{method} ");
        let all = self.captured.iter();
        all.filter(|text| text.starts_with(&start)).count()
    }

    /// The final response to a request.
    #[track_caller]
    pub(crate) fn final_response(&mut self, call_id: &str, cseq: &str) -> String {
        self.wait(&format!("an answer to {cseq}"), |text| {
            status(text) >= 200
                && header(text, "Call-ID") == call_id
                && header(text, "CSeq") == cseq
        })
    }

    /// A dialog of ours that does not exist yet.
    pub(crate) fn fresh(&self, to: &str) -> Dialog {
        let target = format!("sip:{to}@{}", self.server);
        Dialog {
            call_id: unique("call"),
            local: format!("<sip:{}@{}>;tag={}", self.user, self.ip, unique("ours")),
            remote: format!("<{target}>"),
            target,
            cseq: 0,
        }
    }

    /// A request as text, with the next number of the dialog.
    pub(crate) fn text(&mut self, dialog: &mut Dialog, method: &str, body: &str) -> String {
        if method != "ACK" {
            dialog.cseq += 1;
        }
        let (at, branch, extra) = (
            self.address(),
            unique("z9hG4bK"),
            std::mem::take(&mut self.extra),
        );
        let kind = match method {
            _ if body.is_empty() => "",
            "INFO" => "Content-Type: application/dtmf-relay\r\n",
            _ => "Content-Type: application/sdp\r\n",
        };
        let Dialog {
            call_id,
            local,
            remote,
            target,
            cseq,
        } = dialog;
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch={branch}\r\nMax-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <{}>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
            self.contact(),
            body.len()
        )
    }

    /// Sends a request and returns its final answer; a challenge is answered where there is a password, and a refused INVITE gets its
    /// ACK. `edit` changes the text before it goes out.
    #[track_caller]
    pub(crate) fn ask(
        &mut self,
        dialog: &mut Dialog,
        method: &str,
        body: &str,
        edit: impl Fn(String) -> String,
    ) -> String {
        let extra = self.extra.clone();
        let text = edit(self.text(dialog, method, body));
        let answer = self.exchange(method, &text);
        let Some(password) = self.password.clone().filter(|_| status(&answer) == 401) else {
            return answer;
        };
        let uri = text.split(' ').nth(1).expect("a Request-URI");
        let proof = self.proof(&answer, method, uri, &password);
        self.extra = format!("{extra}{proof}");
        let text = edit(self.text(dialog, method, body));
        self.exchange(method, &text)
    }

    /// The header line that answers a challenge.
    fn proof(&self, challenge: &str, method: &str, uri: &str, password: &str) -> String {
        let login = Credentials::new(&self.user, password, Realm::first_seen());
        let frame = Frame::parse(challenge.as_bytes()).expect("a frame");
        let proof = login.answer(&frame, method, uri, &unique("cnonce"));
        let (_, value) = proof.expect("a challenge that can be answered");
        format!("Authorization: {value}\r\n")
    }

    /// Sends an INVITE without a password; the challenge it gets.
    #[track_caller]
    pub(crate) fn ask_unproven(&mut self, dialog: &mut Dialog, sdp: &str) -> String {
        let text = self.text(dialog, "INVITE", sdp);
        let challenge = self.exchange("INVITE", &text);
        assert_eq!(status(&challenge), 401, "{challenge}");
        challenge
    }

    /// Sends the INVITE again with the answer to its challenge, and does not wait.
    #[track_caller]
    pub(crate) fn begin_proven(&mut self, dialog: &mut Dialog, sdp: &str, challenge: &str) {
        let password = self.password.clone().expect("a password");
        let proof = self.proof(challenge, "INVITE", &dialog.target, &password);
        self.extra.push_str(&proof);
        let text = self.text(dialog, "INVITE", sdp);
        self.send(&text);
    }

    /// Sends a request as it stands, and returns its final answer.
    #[track_caller]
    pub(crate) fn exchange(&mut self, method: &str, text: &str) -> String {
        self.send(text);
        let answer = self.final_response(header(text, "Call-ID"), header(text, "CSeq"));
        if method == "INVITE" && status(&answer) >= 300 {
            let number = header(text, "CSeq").split(' ').next().expect("a number");
            let uri = text.split(' ').nth(1).expect("a Request-URI");
            self.send(&format!(
                "ACK {uri} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} ACK\r\nContent-Length: 0\r\n\r\n",
                header(text, "Via"),
                header(text, "From"),
                header(&answer, "To"),
                header(text, "Call-ID"),
            ));
        }
        answer
    }

    /// Calls a number and returns the final answer; a 2xx got its ACK.
    #[track_caller]
    pub(crate) fn call(&mut self, to: &str) -> (Dialog, String) {
        self.call_as(to, |text| text)
    }

    /// As [`Party::call`], the INVITE changed by `edit`.
    #[track_caller]
    pub(crate) fn call_as(
        &mut self,
        to: &str,
        edit: impl Fn(String) -> String,
    ) -> (Dialog, String) {
        let mut dialog = self.fresh(to);
        let sdp = self.sdp();
        let answer = self.ask(&mut dialog, "INVITE", &sdp, edit);
        if status(&answer) < 300 {
            self.confirm(&mut dialog, &answer);
        }
        (dialog, answer)
    }

    /// Takes a 2xx to our INVITE and sends its ACK.
    pub(crate) fn confirm(&mut self, dialog: &mut Dialog, answer: &str) {
        header(answer, "To").clone_into(&mut dialog.remote);
        uri(header(answer, "Contact")).clone_into(&mut dialog.target);
        let ack = self.text(dialog, "ACK", "");
        self.send(&ack);
    }

    /// A call that must succeed.
    #[track_caller]
    pub(crate) fn talk(&mut self, to: &str) -> (Dialog, String) {
        let (dialog, answer) = self.call(to);
        assert_eq!(status(&answer), 200, "{} to {to}: {answer}", self.user);
        (dialog, answer)
    }

    /// Sends an INVITE and does not wait; the dialog and the text.
    pub(crate) fn begin(&mut self, to: &str) -> (Dialog, String) {
        let mut dialog = self.fresh(to);
        let sdp = self.sdp();
        let text = self.text(&mut dialog, "INVITE", &sdp);
        self.send(&text);
        (dialog, text)
    }

    /// A response to a request that came, with `extra` header lines; a 2xx or 18x has our tag and Contact.
    pub(crate) fn response(
        &self,
        request: &str,
        line: &str,
        our_tag: &str,
        extra: &str,
        body: &str,
    ) -> String {
        let mut to = header(request, "To").to_owned();
        if tag(&to).is_empty() {
            to.push_str(&format!(";tag={our_tag}"));
        }
        let contact = match extra.contains("Contact:") {
            true => String::new(),
            false => format!("Contact: <{}>\r\n", self.contact()),
        };
        let kind = match body.is_empty() {
            true => "",
            false => "Content-Type: application/sdp\r\n",
        };
        let vias: String = request
            .split("\r\n")
            .filter(|line| line.starts_with("Via: "))
            .map(|line| format!("{line}\r\n"))
            .collect();
        format!(
            "SIP/2.0 {line}\r\n{vias}From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{contact}{extra}{kind}Content-Length: {}\r\n\r\n{body}",
            header(request, "From"),
            header(request, "Call-ID"),
            header(request, "CSeq"),
            body.len()
        )
    }

    pub(crate) fn respond(&self, request: &str, line: &str) {
        self.send(&self.response(request, line, "theirs", "", ""));
    }

    /// Answers an INVITE that came; the dialog, once its ACK is here.
    #[track_caller]
    pub(crate) fn pick_up(&mut self, invite: &str, extra: &str) -> Dialog {
        let dialog = self.answer(invite, extra);
        self.wait("ACK", |text| {
            text.starts_with("ACK ") && header(text, "Call-ID") == dialog.call_id
        });
        dialog
    }

    /// Answers an INVITE that came.
    pub(crate) fn answer(&self, invite: &str, extra: &str) -> Dialog {
        let our_tag = unique("picked");
        let answer = self.response(invite, "200 OK", &our_tag, extra, &self.sdp());
        self.send(&answer);
        Dialog {
            call_id: header(invite, "Call-ID").to_owned(),
            local: header(&answer, "To").to_owned(),
            remote: header(invite, "From").to_owned(),
            target: uri(header(invite, "Contact")).to_owned(),
            cseq: 100,
        }
    }

    /// Hangs up, and proves with it that the call was there until now.
    #[track_caller]
    pub(crate) fn hang_up(&mut self, dialog: &mut Dialog) {
        let answer = self.ask(dialog, "BYE", "", |text| text);
        assert_eq!(status(&answer), 200, "BYE of {}: {answer}", self.user);
    }

    /// Waits for the server's BYE and answers it.
    #[track_caller]
    pub(crate) fn is_hung_up(&mut self, dialog: &Dialog) -> String {
        let bye = self.wait("BYE", |text| {
            text.starts_with("BYE ") && header(text, "Call-ID") == dialog.call_id
        });
        self.respond(&bye, "200 OK");
        bye
    }

    /// Registers; it can be called then.
    #[track_caller]
    pub(crate) fn register(&mut self) {
        let mut dialog = self.fresh(&self.user.clone());
        dialog.target = format!("sip:{}", self.server);
        let answer = self.ask(&mut dialog, "REGISTER", "", |text| text);
        assert_eq!(status(&answer), 200, "REGISTER of {}: {answer}", self.user);
    }

    /// An RTP packet from our audio socket.
    pub(crate) fn rtp(&self, to: SocketAddr, packet: &[u8]) {
        self.rtp.send_to(packet, to).expect("send");
    }
}
