//! A telephone made of template text: one dialog over UDP on loopback, with an RTP socket. It waits for messages, never for time.
use std::time::Duration;
use tokio::net::UdpSocket;

/// Far beyond what any of this takes; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Payload type of telephone events.
pub(crate) const EVENTS: u8 = 101;

pub(crate) struct Phone {
    sip: UdpSocket,
    pub(crate) rtp: UdpSocket,
    server: std::net::SocketAddr,
    name: String,
    user: String,
    call_id: String,
    /// The From value of requests.
    from: String,
    /// The To value of requests: with the server's tag once there is one.
    to: String,
    cseq: u32,
    branch: u32,
    /// Branch of the INVITE, for ACK of a refusal and CANCEL.
    invite_branch: String,
    /// Header lines of the next request.
    extra: String,
    /// Messages that came while another was waited for.
    unread: Vec<String>,
    sequence: u16,
}

impl Phone {
    pub(crate) async fn new(server: std::net::SocketAddr, user: &str) -> Phone {
        let sip = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let name = format!("{}-{user}", sip.local_addr().unwrap().port());
        Phone {
            sip,
            rtp,
            server,
            call_id: name.clone(),
            from: format!("<sip:phone@127.0.0.1>;tag=t{name}"),
            name,
            user: user.to_owned(),
            to: format!("<sip:{user}@127.0.0.1>"),
            cseq: 0,
            branch: 0,
            invite_branch: String::new(),
            extra: String::new(),
            unread: Vec::new(),
            sequence: 1,
        }
    }

    /// Our description.
    pub(crate) fn sdp(&self, direction: &str) -> String {
        let port = self.rtp.local_addr().unwrap().port();
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 {EVENTS}\r\na=rtpmap:{EVENTS} telephone-event/8000\r\na=ptime:20\r\na={direction}\r\n"
        )
    }

    fn request_text(&self, method: &str, branch: &str, kind: &str, body: &str) -> String {
        let (call_id, from, to, cseq) = (&self.call_id, &self.from, &self.to, self.cseq);
        let at = self.sip.local_addr().unwrap();
        let extra = &self.extra;
        let content = match body.is_empty() {
            true => String::new(),
            false => format!("Content-Type: application/{kind}\r\n"),
        };
        format!(
            "{method} sip:{}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {at};rport;branch={branch}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:phone@{at}>\r\n{extra}{content}Content-Length: {}\r\n\r\n{body}",
            self.user,
            body.len()
        )
    }

    async fn send(&self, text: &str) {
        self.sip
            .send_to(text.as_bytes(), self.server)
            .await
            .unwrap();
    }

    fn fresh_branch(&mut self) -> String {
        self.branch += 1;
        format!("z9hG4bK-{}-{}", self.name, self.branch)
    }

    /// Sends a new request of this dialog.
    pub(crate) async fn request(&mut self, method: &str, kind: &str, body: &str) {
        self.cseq += 1;
        let branch = self.fresh_branch();
        if method == "INVITE" {
            self.invite_branch.clone_from(&branch);
        }
        self.send(&self.request_text(method, &branch, kind, body))
            .await;
        self.extra.clear();
    }

    /// What the next request says besides.
    pub(crate) fn saying(&mut self, header: &str) -> &mut Phone {
        self.extra = format!("{header}\r\n");
        self
    }

    /// Asks for a transfer; the final response.
    pub(crate) async fn refer(&mut self, to: &str) -> String {
        self.saying(&format!("Refer-To: {to}"));
        self.request("REFER", "sdp", "").await;
        self.last_response("REFER").await
    }

    /// Waits for a NOTIFY that reports this status.
    pub(crate) async fn notified(&mut self, status: u16) {
        loop {
            let notify = self.expect("NOTIFY").await;
            if notify.contains(&format!("\r\n\r\nSIP/2.0 {status}")) {
                return;
            }
        }
    }

    /// Our dialog, as the server knows it: the value of Replaces.
    pub(crate) fn dialog(&self) -> String {
        let tag = |address: &str| address.split("tag=").nth(1).unwrap().to_owned();
        let (theirs, ours) = (tag(&self.to), tag(&self.from));
        format!("{};to-tag={theirs};from-tag={ours}", self.call_id)
    }

    pub(crate) async fn invite(&mut self, sdp: &str) {
        self.request("INVITE", "sdp", sdp).await;
    }

    /// ACK to a 2xx, or to a refusal.
    pub(crate) async fn ack(&mut self, answer: &str, sdp: &str) {
        self.to = header(answer, "To");
        let branch = match status(answer) < 300 {
            true => self.fresh_branch(),
            false => self.invite_branch.clone(),
        };
        self.send(&self.request_text("ACK", &branch, "sdp", sdp))
            .await;
    }

    /// Takes the server's tag from its answer, which an ACK does otherwise.
    pub(crate) fn answered_by(&mut self, answer: &str) {
        self.to = header(answer, "To");
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.sip.local_addr().unwrap()
    }

    pub(crate) async fn cancel(&mut self) {
        let text = self.request_text("CANCEL", &self.invite_branch.clone(), "sdp", "");
        self.send(&text).await;
    }

    /// The next message that satisfies `wanted`; others stay for later.
    pub(crate) async fn wait(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        if let Some(at) = self.unread.iter().position(|text| wanted(text)) {
            return self.unread.remove(at);
        }
        let mut buffer = vec![0; 65_536];
        loop {
            let Ok(got) = tokio::time::timeout(PATIENCE, self.sip.recv_from(&mut buffer)).await
            else {
                panic!("{what} did not come; these did: {:?}", self.unread);
            };
            let (length, from) = got.unwrap();
            self.server = from;
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if wanted(&text) {
                return text;
            }
            self.unread.push(text);
        }
    }

    /// The response to our last request of that method with a status the caller wants.
    pub(crate) async fn response(&mut self, method: &str, wanted: impl Fn(u16) -> bool) -> String {
        let cseq = format!("\r\nCSeq: {} {method}\r\n", self.cseq);
        let what = format!("a response to {method}");
        self.wait(&what, |text| {
            text.starts_with("SIP/2.0 ") && text.contains(&cseq) && wanted(status(text))
        })
        .await
    }

    pub(crate) async fn last_response(&mut self, method: &str) -> String {
        self.response(method, |status| status >= 200).await
    }

    /// A call that is answered and acknowledged.
    pub(crate) async fn calling(server: std::net::SocketAddr, user: &str) -> Phone {
        let mut phone = Phone::new(server, user).await;
        phone.invite(&phone.sdp("sendrecv")).await;
        let answer = phone.last_response("INVITE").await;
        assert_eq!(status(&answer), 200, "{answer}");
        phone.ack(&answer, "").await;
        phone
    }

    /// The same of a caller with that number.
    pub(crate) async fn calling_as(
        server: std::net::SocketAddr,
        user: &str,
        number: &str,
    ) -> Phone {
        let mut phone = Phone::new(server, user).await;
        phone.from = phone.from.replace("sip:phone@", &format!("sip:{number}@"));
        phone.invite(&phone.sdp("sendrecv")).await;
        let answer = phone.last_response("INVITE").await;
        phone.ack(&answer, "").await;
        phone
    }

    /// A call that is refused; returns the refusal.
    pub(crate) async fn refused(server: std::net::SocketAddr, user: &str, sdp: &str) -> String {
        let mut phone = Phone::new(server, user).await;
        phone.invite(sdp).await;
        let answer = phone.last_response("INVITE").await;
        assert!(status(&answer) >= 300, "{answer}");
        phone.ack(&answer, "").await;
        answer
    }

    /// A re-INVITE; returns its final response, acknowledged with `ack`.
    pub(crate) async fn reinvite(&mut self, sdp: &str, ack: &str) -> String {
        self.invite(sdp).await;
        let answer = self.last_response("INVITE").await;
        self.ack(&answer, ack).await;
        answer
    }

    pub(crate) async fn bye(&mut self) {
        self.request("BYE", "sdp", "").await;
        let answer = self.last_response("BYE").await;
        assert_eq!(status(&answer), 200, "{answer}");
    }

    /// Waits for the server's request and answers it 200.
    pub(crate) async fn expect(&mut self, method: &str) -> String {
        let start = format!("{method} ");
        let request = self.wait(method, |text| text.starts_with(&start)).await;
        self.reply(&request, "200 OK", "").await;
        request
    }

    /// Answers a request of the server.
    pub(crate) async fn reply(&mut self, request: &str, line: &str, extra: &str) {
        let (via, from) = (header(request, "Via"), header(request, "From"));
        let (mut to, id) = (header(request, "To"), header(request, "Call-ID"));
        if !to.contains(";tag=") {
            to += ";tag=callee";
        }
        let cseq = header(request, "CSeq");
        self.send(&format!(
            "SIP/2.0 {line}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq}\r\n{extra}Content-Length: 0\r\n\r\n"
        ))
        .await;
    }

    /// Waits for a call of the server; its dialog is ours from now on.
    pub(crate) async fn called(&mut self) -> String {
        let invite = self
            .wait("INVITE", |text| text.starts_with("INVITE "))
            .await;
        self.call_id = header(&invite, "Call-ID");
        self.from = header(&invite, "To") + ";tag=callee";
        self.to = header(&invite, "From");
        invite
    }

    /// Responds to the server's INVITE with a description.
    pub(crate) async fn respond(&mut self, invite: &str, line: &str, sdp: &str) {
        let at = self.address();
        let (via, from) = (header(invite, "Via"), header(invite, "From"));
        let (to, id) = (header(invite, "To"), header(invite, "Call-ID"));
        let cseq = header(invite, "CSeq");
        let kind = match sdp.is_empty() {
            true => "",
            false => "Content-Type: application/sdp\r\n",
        };
        self.send(&format!(
            "SIP/2.0 {line}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=callee\r\nCall-ID: {id}\r\nCSeq: {cseq}\r\nContact: <sip:callee@{at}>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        ))
        .await;
    }

    /// Answers the server's INVITE and waits for its ACK.
    pub(crate) async fn pick_up(&mut self, invite: &str) {
        let sdp = self.sdp("sendrecv");
        self.respond(invite, "200 OK", &sdp).await;
        self.wait("ACK", |text| text.starts_with("ACK ")).await;
    }

    /// Waits for the server's re-INVITE.
    pub(crate) async fn offered(&mut self) -> String {
        self.wait("re-INVITE", |text| text.starts_with("INVITE "))
            .await
    }

    /// Answers the server's re-INVITE, which has to be of the direction `wanted`, with another, and waits for its ACK.
    pub(crate) async fn agree(&mut self, offer: &str, wanted: &str, answers: &str) {
        assert_eq!(direction(offer), wanted, "{offer}");
        let answer = self.sdp(answers);
        self.respond(offer, "200 OK", &answer).await;
        self.wait("ACK", |text| text.starts_with("ACK ")).await;
    }

    /// Waits for the server's re-INVITE and answers it.
    pub(crate) async fn reoffered(&mut self, wanted: &str, answers: &str) {
        let offer = self.offered().await;
        self.agree(&offer, wanted, answers).await;
    }

    /// Refuses the server's INVITE and waits for its ACK.
    pub(crate) async fn refuse(&mut self, invite: &str, line: &str) {
        self.respond(invite, line, "").await;
        self.wait("ACK", |text| text.starts_with("ACK ")).await;
    }

    /// Waits to be cancelled, and gives up ringing.
    pub(crate) async fn cancelled(&mut self, invite: &str) -> String {
        let cancel = self.expect("CANCEL").await;
        self.refuse(invite, "487 Request Terminated").await;
        cancel
    }

    /// A key by SIP INFO. When this returns, the call has it.
    pub(crate) async fn info(&mut self, key: char) {
        let body = format!("Signal={key}\r\nDuration=100\r\n");
        self.request("INFO", "dtmf-relay", &body).await;
        let answer = self.last_response("INFO").await;
        assert_eq!(status(&answer), 200, "{answer}");
    }

    /// The next RTP packet of the next 100 ms.
    pub(crate) async fn heard_now(&mut self) -> Option<Heard> {
        let mut packet = [0; 1500];
        let wait = Duration::from_millis(100);
        let got = tokio::time::timeout(wait, self.rtp.recv_from(&mut packet)).await;
        let (length, _) = got.ok()?.unwrap();
        Some(Heard::of(&packet[..length]))
    }

    /// An RTP packet that is here already.
    pub(crate) fn already_heard(&mut self) -> Option<Heard> {
        let mut packet = [0; 1500];
        let (length, _) = self.rtp.try_recv_from(&mut packet).ok()?;
        Some(Heard::of(&packet[..length]))
    }

    /// The next RTP packet.
    pub(crate) async fn hear(&mut self) {
        let mut packet = [0; 1500];
        let got = tokio::time::timeout(PATIENCE, self.rtp.recv_from(&mut packet)).await;
        assert!(got.is_ok(), "no audio came");
    }

    pub(crate) async fn rtp(&mut self, to: u16, kind: u8, timestamp: u32, payload: &[u8]) {
        let mut packet = vec![0x80, kind];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(0x1234_u32.to_be_bytes());
        packet.extend(payload);
        self.sequence += 1;
        self.rtp.send_to(&packet, ("127.0.0.1", to)).await.unwrap();
    }

    /// A key by RFC 4733 events to the server's RTP port.
    pub(crate) async fn event(&mut self, to: u16, key: u8) {
        for frame in 0..5 {
            self.rtp(to, 0, frame * 160, &[0xFF; 160]).await;
        }
        for (end, length) in [(0, 160), (0, 320), (0, 480), (0x80, 640), (0x80, 640)] {
            let [high, low] = u16::to_be_bytes(length);
            self.rtp(to, EVENTS, 800, &[key, end | 10, high, low]).await;
        }
    }
}

/// An RTP packet.
pub(crate) struct Heard {
    pub(crate) kind: u8,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

impl Heard {
    fn of(packet: &[u8]) -> Heard {
        Heard {
            kind: packet[1] & 0x7F,
            timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()),
            payload: packet[12..].to_vec(),
        }
    }
}

/// The status of a response.
pub(crate) fn status(text: &str) -> u16 {
    text[8..11].parse().unwrap()
}

/// A header's value; empty where there is none.
pub(crate) fn header(text: &str, name: &str) -> String {
    let start = format!("{name}: ");
    let line = text.lines().find(|line| line.starts_with(&start));
    line.map_or(String::new(), |line| line[start.len()..].to_owned())
}

/// The `a=` direction of a description.
pub(crate) fn direction(text: &str) -> &str {
    ["sendrecv", "sendonly", "recvonly", "inactive"]
        .into_iter()
        .find(|direction| text.contains(&format!("\r\na={direction}\r\n")))
        .unwrap_or("sendrecv")
}

/// The port of the audio line.
pub(crate) fn audio_port(text: &str) -> u16 {
    let at = text.find("\r\nm=audio ").unwrap() + 10;
    text[at..].split(' ').next().unwrap().parse().unwrap()
}
