//! Each class of RFC 4475 and RFC 5118, sent to the running server: the answer over UDP, over TCP, and over TCP split at every octet. After
//! each message the server lives and answers an OPTIONS.
use crate::server::{Server, Settings, own_address};
use crate::torture_messages::{Case, Verdict, all};
use crate::wire::Answer::{Closed, Silence, Status};
use crate::wire::{Answer, Connection, Datagrams, number, numbered, probe};

/// Messages up to this long are split at every octet; longer ones (they are long in one place) within [`ENDS`] octets of both ends, and at
/// each [`STRIDE`]th octet between.
const EVERY: usize = 1000;
const ENDS: usize = 300;
const STRIDE: usize = 997;
/// What UDP over IPv4 can carry.
const LONGEST_DATAGRAM: usize = 65_507;
/// Connections that are in the middle of a message at the same time.
const WAVE: usize = 256;

fn server() -> Server {
    let settings = Settings::default();
    Server::with(Settings {
        numbers: Vec::new(),
        sip_extra: "t1_ms = 10".into(),
        // A trunk's REGISTER counts as anybody's; we send hundreds.
        callers: settings.callers.clone() + "[security]\nrequests_per_second_per_source = 0\n",
        ..settings
    })
}

/// What is answered over UDP and over TCP. What is valid is an OPTIONS and gets 200, what is refused gets its status, but for those named.
fn expected(case: &Case) -> (Answer, Answer) {
    let (name, octets, verdict) = case;
    let both = |answer| (answer, answer);
    match *name {
        // A body of no stated type, in a call that we do not know.
        "wsinv" => both(Status(415)),
        "intmeth" | "esc02 (escapes are no part of a method)" => both(Status(501)),
        "unkscm" => both(Status(416)),
        // The calls of this list are for numbers that are not there.
        "inv2543" | "badinv01 (junk in Contact)" => both(Status(404)),
        // From a trunk: trunks do not register here.
        "REGISTER *" => both(Status(403)),
        // What follows the message is none.
        "dblreq (octets after Content-Length)" => (Status(200), Closed(Some(200))),
        // No way back, or nothing to tell the sender what is answered.
        "insuf Call-ID" | "insuf From" | "insuf To" | "insuf CSeq" | "insuf Via" => both(Silence),
        "Via without sent-by" | "fold right after the start line" | "71 Via in one line" => {
            both(Silence)
        }
        // Where the next message begins, nobody knows.
        "ncl" | "mcl01" | "Content-Length not a number" => (Status(400), Closed(Some(400))),
        // A stream has no end of message: the rest is waited for, and here it comes.
        "clerr" | "cut in the headers" => (Status(400), Status(200)),
        "129 headers" | "long header" | "long folded header" => (Status(513), Closed(Some(513))),
        "keep-alive" | "nothing" => both(Silence),
        // A response to nothing of ours.
        _ if octets.starts_with("SIP/2.0 ") && !matches!(verdict, Verdict::NoFrame(_)) => {
            both(Silence)
        }
        _ => match verdict {
            Verdict::Valid => both(Status(200)),
            Verdict::Refused(status, _) => both(Status(*status)),
            Verdict::NoFrame(_) => (Silence, Closed(None)),
        },
    }
}

/// A message as it goes over a stream: with a Content-Length, unless it is about that, and with the rest of it where it is about that.
fn streamed(case: &Case) -> Vec<u8> {
    let (name, octets, _) = case;
    match *name {
        "clerr" => return [octets.as_bytes(), &[b'x'; 9_999]].concat(),
        "cut in the headers" => return format!("{octets}\r\nContent-Length: 0\r\n\r\n").into(),
        _ => {}
    }
    // The Content-Length makes one more.
    let octets = match *name {
        "128 headers" => octets.replacen("X: 1\r\n", "", 1),
        _ => octets.clone(),
    };
    let start = octets.len() - octets.trim_start_matches(['\r', '\n']).len();
    let text = &octets[start..];
    let Some(head) = text.find("\r\n\r\n").or_else(|| text.find("\n\n")) else {
        return octets.into();
    };
    let told = text[..head].to_ascii_lowercase().lines().any(|line| {
        let name = line.split(':').next().unwrap().trim();
        matches!(name, "content-length" | "l")
    });
    if told {
        return octets.into();
    }
    let (before, after) = octets.split_at(start + head);
    format!("{before}\r\nContent-Length: 0{after}").into()
}

#[test]
fn each_message_has_its_answer_over_udp() {
    let server = server();
    let mut peer = Datagrams::new(own_address(), server.sip());
    let mut sent = Vec::new();
    for case in &all() {
        let (answer, _) = expected(case);
        if case.1.len() > LONGEST_DATAGRAM {
            continue;
        }
        let number = peer.exchange(case.0, case.1.as_bytes(), answer);
        sent.push((case.0, number, answer));
    }
    server.wait_idle();
    peer.drain();
    for (name, number, answer) in sent {
        peer.book.check(name, number, answer);
    }
}

#[test]
fn each_message_has_its_answer_over_tcp_in_one_segment_with_the_next() {
    let server = server();
    let mut peer = Connection::new(&server);
    for case in &all() {
        let (_, answer) = expected(case);
        let (own, after) = (number(), number());
        let mut octets = numbered(&streamed(case), own);
        octets.extend(probe(after));
        peer.send(&octets);
        if !peer.judge(case.0, own, after, answer) {
            peer = Connection::new(&server);
        }
    }
    drop(peer);
    server.wait_idle();
}

/// Where a message of this length is split.
fn splits(length: usize) -> Vec<usize> {
    let everywhere = length <= EVERY;
    let is_place =
        |at: &usize| everywhere || *at < ENDS || length - at < ENDS || at.is_multiple_of(STRIDE);
    (1..length).filter(is_place).collect()
}

#[test]
fn each_message_has_its_answer_over_tcp_split_at_every_octet() {
    let server = server();
    let mut free: Vec<Connection> = Vec::new();
    for case in &all() {
        // Numbers are all of one length.
        let octets = streamed(case);
        for wave in splits(numbered(&octets, 0).len()).chunks(WAVE) {
            split(&server, &mut free, case, &octets, wave);
        }
    }
    drop(free);
    server.wait_idle();
}

/// One message on as many connections as there are places to split it: first all first parts, then all second ones, each with an OPTIONS in
/// the same segment; so the server has mostly read the first when the second comes.
fn split(
    server: &Server,
    free: &mut Vec<Connection>,
    case: &Case,
    octets: &[u8],
    places: &[usize],
) {
    let (_, answer) = expected(case);
    let mut going = Vec::new();
    for place in places {
        let mut peer = free.pop().unwrap_or_else(|| Connection::new(server));
        let (own, after) = (number(), number());
        let mut octets = numbered(octets, own);
        let rest = octets.split_off(*place);
        peer.send(&octets);
        going.push((peer, own, after, rest, *place));
    }
    for (peer, _, after, rest, _) in &mut going {
        rest.extend(probe(*after));
        peer.send(rest);
    }
    for (mut peer, own, after, _, place) in going {
        let what = format!("{} split after {place} octets", case.0);
        if peer.judge(&what, own, after, answer) {
            free.push(peer);
        }
    }
}
