//! A telephone of the tests' own: a plain UDP user agent made of template text. One call at a time.
use crate::audio;
use crate::call::Call;
use crate::message::Message;
use crate::phone_media::{EVENT_PAYLOAD, Media};
use crate::server::{PATIENCE, Server};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use trunkline_sip::Frame;
use trunkline_sip::digest::{Credentials, Realm};

/// What a phone says it can do.
#[derive(Clone)]
pub(crate) struct Abilities {
    /// Static payload types offered, in order: 0 µ-law, 8 A-law; others are offered as they are.
    pub(crate) payloads: Vec<u8>,
    /// Whether telephone-event is offered.
    pub(crate) telephone_event: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            payloads: vec![0, 8],
            telephone_event: true,
        }
    }
}

/// A phone that is not in a call.
pub(crate) struct Phone {
    socket: UdpSocket,
    rtp: UdpSocket,
    ip: Ipv4Addr,
    /// The address in its SDP.
    described: Ipv4Addr,
    abilities: Abilities,
    pub(crate) tag: String,
    /// Who it says it is: From without tag.
    from: String,
    /// Its user's name and password, when it has one.
    login: Option<Credentials>,
    /// The route set of its call: the proxies its requests go by, nearest first (RFC 3261 §12.1).
    routes: Vec<String>,
}

pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "{what}{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

impl Phone {
    /// A phone with all abilities.
    pub(crate) fn new() -> Self {
        Self::with(Abilities::default())
    }

    /// A phone with some.
    pub(crate) fn with(abilities: Abilities) -> Self {
        let ip = crate::server::own_address();
        let socket = UdpSocket::bind((ip, 0)).expect("bind");
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("timeout");
        let rtp = UdpSocket::bind((ip, 0)).expect("bind");
        Self {
            socket,
            rtp,
            ip,
            described: ip,
            abilities,
            tag: unique("tag"),
            from: format!("<sip:phone@{ip}>"),
            login: None,
            routes: Vec::new(),
        }
    }

    /// A phone of a user of `server`.
    pub(crate) fn of(server: &Server, user: &str, password: &str) -> Self {
        Self {
            from: format!("<sip:{user}@{}>", server.sip()),
            login: Some(Credentials::new(user, password, Realm::first_seen())),
            ..Self::new()
        }
    }

    /// Registers for an hour.
    #[track_caller]
    pub(crate) fn register(&self, server: &Server) {
        let uri = format!("sip:{}", server.sip());
        let dialog = (&*unique("call"), Some(&*self.from), &mut 1);
        let answer = self.ask(server, "REGISTER", &uri, dialog, "Expires: 3600\r\n");
        assert_eq!(answer.status(), 200, "{}", answer.start);
    }

    /// Sends one request of Call-ID, To and CSeq with further headers, again where it is challenged; returns the final answer. The number that follows is left in CSeq.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        server: &Server,
        method: &str,
        uri: &str,
        (call_id, to, cseq): (&str, Option<&str>, &mut u32),
        headers: &str,
    ) -> Message {
        let mut authorization = String::new();
        loop {
            let at = server.sip();
            let text = self.text(at, method, uri, call_id, *cseq, to, &self.tag, "");
            let headers = format!("{headers}{authorization}Content-Length");
            self.send(at, &text.replacen("Content-Length", &headers, 1));
            let ours = format!("{cseq} {method}");
            let answer = self.wait(&format!("an answer to {method}"), |message| {
                message.status() >= 200
                    && message.header("Call-ID") == Some(call_id)
                    && message.header("CSeq") == Some(&ours)
            });
            *cseq += 1;
            if answer.status() != 401 || !authorization.is_empty() {
                return answer;
            }
            authorization = self.authorization(&answer, method, uri);
        }
    }

    /// The Authorization header that answers a challenge, or nothing.
    fn authorization(&self, challenge: &Message, method: &str, uri: &str) -> String {
        let (Some(login), Some(asked)) = (&self.login, challenge.header("WWW-Authenticate")) else {
            return String::new();
        };
        let text = format!("SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: {asked}\r\n\r\n");
        let frame = Frame::parse(text.as_bytes()).expect("a message");
        let (_, value) = login
            .answer(&frame, method, uri, "cnonce")
            .unwrap_or_else(|refused| panic!("{refused}: {asked}"));
        format!("Authorization: {value}\r\n")
    }

    /// A phone whose SDP names another address than it sends from.
    pub(crate) fn claiming(described: Ipv4Addr) -> Self {
        Self {
            described,
            ..Self::new()
        }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("bound").port()
    }

    pub(crate) fn sdp(&self, version: u32, direction: &str) -> String {
        let (ip, port) = (self.described, self.rtp.local_addr().expect("bound").port());
        let mut payloads: Vec<String> = self.abilities.payloads.iter().map(u8::to_string).collect();
        let mut lines = String::new();
        if self.abilities.telephone_event {
            payloads.push(EVENT_PAYLOAD.to_string());
            lines = format!(
                "a=rtpmap:{EVENT_PAYLOAD} telephone-event/8000\r\na=fmtp:{EVENT_PAYLOAD} 0-15\r\n"
            );
        }
        format!(
            "v=0\r\no=phone 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {}\r\n{lines}a=ptime:20\r\na={direction}\r\n",
            payloads.join(" ")
        )
    }

    /// Sends a whole message.
    pub(crate) fn send(&self, to: SocketAddr, text: &str) {
        self.socket.send_to(text.as_bytes(), to).expect("send");
    }

    /// The next message, or `None` after a tenth of a second.
    pub(crate) fn receive(&self) -> Option<Message> {
        let mut buffer = [0; 65536];
        let (length, _) = self.socket.recv_from(&mut buffer).ok()?;
        // RTCP goes to the port after that of the audio, which may be this one.
        (buffer[0] < 0x80).then(|| Message::parse(&buffer[..length]))
    }

    /// The next message that satisfies `wanted`; others are passed over.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let patience = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while Instant::now() < patience {
            if let Some(message) = self.receive() {
                if wanted(&message) {
                    return message;
                }
                seen.push(message.start);
            }
        }
        panic!("{what} did not come; these did: {seen:?}");
    }

    /// Sends one request outside a dialog and returns the final answer. `edit` may change the text.
    #[track_caller]
    pub(crate) fn request(
        &self,
        server: SocketAddr,
        method: &str,
        user: &str,
        body: &str,
        edit: impl Fn(String) -> String,
    ) -> Message {
        let call_id = unique("call");
        let text = self.text(
            server,
            method,
            &format!("sip:{user}@{server}"),
            &call_id,
            1,
            None,
            &self.tag,
            body,
        );
        self.send(server, &edit(text));
        let answer = self.wait(&format!("an answer to {method}"), |message| {
            message.status() >= 200 && message.header("Call-ID") == Some(&call_id)
        });
        if method == "INVITE" {
            self.send(server, &self.ack_of_refusal(server, user, &answer));
        }
        answer
    }

    /// What a refusal of an INVITE gets (RFC 3261 §17.1.1.3).
    pub(crate) fn ack_of_refusal(
        &self,
        server: SocketAddr,
        user: &str,
        refusal: &Message,
    ) -> String {
        let header = |name: &str| refusal.header(name).expect(name);
        let (via, to, call_id) = (header("Via"), header("To"), header("Call-ID"));
        let cseq = header("CSeq").replace("INVITE", "ACK");
        format!(
            "ACK sip:{user}@{server} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {};tag={}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n",
            self.from, self.tag
        )
    }

    #[allow(clippy::too_many_arguments)] // the fields of a request
    pub(crate) fn text(
        &self,
        server: SocketAddr,
        method: &str,
        uri: &str,
        call_id: &str,
        cseq: u32,
        to: Option<&str>,
        tag: &str,
        body: &str,
    ) -> String {
        let (ip, port, branch) = (self.ip, self.port(), unique("z9hG4bK"));
        // Only requests within a call have a To with a tag, and a route.
        let routes = to.map_or(&[][..], |_| &self.routes).iter();
        let routes: String = routes.map(|route| format!("Route: {route}\r\n")).collect();
        let to = to.map_or_else(
            || {
                format!(
                    "<sip:{}@{server}>",
                    uri.trim_start_matches("sip:")
                        .split('@')
                        .next()
                        .unwrap_or("")
                )
            },
            str::to_owned,
        );
        let content = match method {
            "INFO" => "Content-Type: application/dtmf-relay\r\n",
            _ if body.is_empty() => "",
            _ => "Content-Type: application/sdp\r\n",
        };
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{port};branch={branch};rport\r\nMax-Forwards: 70\r\n{routes}From: {};tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:phone@{ip}:{port}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            self.from,
            body.len()
        )
    }

    /// The text of an INVITE with this phone's offer, for tests that change it.
    pub(crate) fn invite_text(&self, server: SocketAddr, user: &str) -> String {
        self.text(
            server,
            "INVITE",
            &format!("sip:{user}@{server}"),
            &unique("call"),
            1,
            None,
            &self.tag,
            &self.sdp(1, "sendrecv"),
        )
    }

    /// Places a call and returns it answered; a refusal is `Err`.
    #[track_caller]
    pub(crate) fn try_call(self, server: &Server, user: &str) -> Result<Call, Message> {
        self.dial(server.sip(), user)
    }

    /// As [`try_call`](Self::try_call), to any address.
    #[track_caller]
    pub(crate) fn dial(mut self, at: SocketAddr, user: &str) -> Result<Call, Message> {
        let (call_id, uri) = (unique("call"), format!("sip:{user}@{at}"));
        let (mut cseq, mut authorization) = (1, String::new());
        let answer = loop {
            let sdp = self.sdp(1, "sendrecv");
            let text = self.text(at, "INVITE", &uri, &call_id, cseq, None, &self.tag, &sdp);
            let headers = format!("{authorization}Content-Length");
            self.send(at, &text.replacen("Content-Length", &headers, 1));
            let ours = format!("{cseq} INVITE");
            let answer = self.wait("a final answer to INVITE", |message| {
                message.status() >= 200 && message.header("CSeq") == Some(&ours)
            });
            if answer.status() < 300 {
                break answer;
            }
            let ack = self.ack_of_refusal(at, user, &answer);
            self.send(at, &ack);
            if cseq > 1 || answer.status() != 401 || self.login.is_none() {
                return Err(answer);
            }
            authorization = self.authorization(&answer, "INVITE", &uri);
            cseq += 1;
        };
        let to = answer.header("To").expect("To").to_owned();
        self.routes = record_routes(&answer);
        self.routes.reverse();
        let mut call = self.connected(at, &answer, to);
        call.cseq = cseq;
        call.ack(cseq);
        Ok(call)
    }

    /// Waits for a call by way of the proxy at `proxy`, lets it ring and takes it.
    #[track_caller]
    pub(crate) fn take_call(self, proxy: SocketAddr) -> Call {
        let invite = self.wait("INVITE", |message| message.method() == "INVITE");
        self.respond(proxy, &invite, "180 Ringing", "");
        self.answer(proxy, &invite)
    }

    /// Answers an INVITE that came by way of the proxy at `proxy`.
    #[track_caller]
    pub(crate) fn answer(mut self, proxy: SocketAddr, invite: &Message) -> Call {
        self.respond(proxy, invite, "200 OK", &self.sdp(1, "sendrecv"));
        self.wait("ACK", |message| message.method() == "ACK");
        self.routes = record_routes(invite);
        self.from = invite.header("To").expect("To").to_owned();
        let caller = invite.header("From").expect("From").to_owned();
        self.connected(proxy, invite, caller)
    }

    /// The call as it is once `theirs`, the message with the far end's Contact and description, is here.
    fn connected(self, at: SocketAddr, theirs: &Message, to: String) -> Call {
        let contact = theirs.header("Contact").expect("Contact");
        let uri = contact.split(['<', '>']).nth(1).unwrap_or(contact);
        let (rtp, payload) = (rtp_of(&theirs.body), payload_of(&theirs.body));
        Call {
            server: at,
            call_id: theirs.header("Call-ID").expect("Call-ID").to_owned(),
            to,
            contact: uri.to_owned(),
            cseq: 1,
            version: 1,
            media: Media::start(self.rtp.try_clone().expect("clone"), rtp, payload),
            phone: self,
        }
    }

    /// Answers a request with what it must have of it (RFC 3261 §8.2.6).
    pub(crate) fn respond(&self, at: SocketAddr, request: &Message, status: &str, sdp: &str) {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for (name, value) in &request.headers {
            let copied = ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"];
            if copied.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                let new_to = name.eq_ignore_ascii_case("To") && !value.contains(";tag=");
                let tag = if new_to {
                    format!(";tag={}", self.tag)
                } else {
                    String::new()
                };
                text.push_str(&format!("{name}: {value}{tag}\r\n"));
            }
        }
        if !sdp.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!(
            "Contact: <sip:phone@{}:{}>\r\nContent-Length: {}\r\n\r\n{sdp}",
            self.ip,
            self.port(),
            sdp.len()
        ));
        self.send(at, &text);
    }

    /// Where it takes SIP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Places a call that is answered.
    #[track_caller]
    pub(crate) fn call(self, server: &Server, user: &str) -> Call {
        self.try_call(server, user)
            .unwrap_or_else(|refusal| panic!("refused: {}", refusal.start))
    }
}

/// The proxies that want to see the rest of the call, in the order of the message.
fn record_routes(message: &Message) -> Vec<String> {
    let of_proxies = message.headers.iter();
    of_proxies
        .filter(|(name, _)| name.eq_ignore_ascii_case("Record-Route"))
        .flat_map(|(_, value)| value.split(','))
        .map(|route| route.trim().to_owned())
        .collect()
}

fn rtp_of(sdp: &str) -> SocketAddr {
    let field = |prefix: &str| {
        sdp.lines()
            .find_map(|line| line.strip_prefix(prefix))
            .unwrap_or_else(|| panic!("no {prefix} in {sdp}"))
    };
    let port = field("m=audio ").split(' ').next().expect("port");
    format!("{}:{port}", field("c=IN IP4 ").trim())
        .parse()
        .expect("an address")
}

fn payload_of(sdp: &str) -> u8 {
    let media = sdp
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))
        .expect("m=audio");
    media
        .split(' ')
        .nth(2)
        .expect("a payload type")
        .trim()
        .parse()
        .expect("a number")
}

/// The telephone itself, against sipp's echo: what it says comes back as it was said.
#[test]
fn the_phone_hears_what_it_says() {
    let ip = crate::server::own_address();
    let port = crate::server::free_port(ip);
    let mut echo = std::process::Command::new("sipp")
        .args([
            "-sn",
            "uas",
            "-rtp_echo",
            "-nostdin",
            "-i",
            &ip.to_string(),
            "-mi",
            &ip.to_string(),
            "-p",
            &port.to_string(),
            "-m",
            "1",
        ])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("sipp is needed: apt-get install sip-tester (make test does it)");
    // Its socket is open once the port is taken.
    let patience = Instant::now() + PATIENCE;
    while UdpSocket::bind((ip, port)).is_ok() {
        assert!(Instant::now() < patience, "sipp does not start");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let Ok(mut call) = Phone::new().dial(SocketAddr::from((ip, port)), "echo") else {
        panic!("sipp refuses the call");
    };
    let said: Vec<i16> = (0..8)
        .flat_map(|step| audio::tone(&[400.0 + 120.0 * step as f32], 6000.0, 125))
        .collect();
    call.say(&said);
    call.wait_said();
    call.wait_sound("the echo", &audio::Reference::narrow(&said), 0);
    call.hang_up();
    let status = crate::server::wait_end(&mut echo);
    let _ = echo.kill();
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}
