//! Checks on the SIP and SDP parsers: they never panic, and what they accept has the properties named at each function.

use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};
use trunkline_sip::ice::IceCredentials;
use trunkline_sip::limits::MAX_MESSAGE;
use trunkline_sip::offer_answer::{LocalSrtp, accept, answer, offer};
use trunkline_sip::sdes::Suite;
use trunkline_sip::{
    Encoding, Frame, HeaderId, LocalMedia, Message, MessageBuilder, Method, Sdp, SrtpKey,
    SrtpPolicy, StartLine, StreamError, StreamFramer, StreamItem, Uri,
};

/// One datagram. Framing is idempotent, no accessor panics, a rebuilt message has the same parts, the response to a
/// valid request is valid and holds nothing but what was copied, a stream gives the same message, and rsip agrees
/// where it is right.
pub fn sip_message(octets: &[u8]) {
    let Ok(frame) = Frame::parse(octets) else {
        return;
    };
    let message = Message::from(&frame);
    let again = message.frame();
    assert_eq!(again.bytes(), frame.bytes());
    assert_eq!(again.validate(), frame.validate());
    assert!(again.headers().eq(frame.headers()));
    assert_eq!([frame.head(), frame.body()].concat(), frame.bytes());
    read_everything(&frame);
    // Names grow when compact forms are written out; stay clear of the limits with what is built from the message.
    let roomy = octets.len() < MAX_MESSAGE - 4_096
        && frame.headers().all(|header| header.value.len() < 8_000);
    if roomy && frame.headers().count() < 120 {
        rebuilt_is_equal(&frame);
        response_is_valid(&frame);
        stream_is_equal(&frame);
        let _ = rsip_agrees(&frame, octets);
    }
}

fn read_everything(frame: &Frame<'_>) {
    let _ = (
        frame
            .top_via()
            .map(|via| (via.branch(), via.received(), via.rport(), via.ttl())),
        frame.cseq(),
    );
    let _ = (
        frame.from().map(|from| (from.display_text(), from.tag())),
        frame.to(),
        frame.contact(),
        frame.call_id(),
    );
    if let Some(description) = frame.session_description() {
        assert!(description.len() <= frame.body().len());
    }
    let _ = (
        frame.max_forwards(),
        frame.content_type(),
        frame.retry_after(),
        frame.expires(),
    );
    let counts = [
        frame.contacts().count(),
        frame.record_routes().count(),
        frame.routes().count(),
        frame.reasons().count(),
        frame.unsupported(&["100rel"]).count(),
    ];
    assert!(counts.iter().sum::<usize>() <= frame.bytes().len());
    if let Some(Ok(uri)) = frame.request_uri().map(Uri::parse) {
        let _ = (
            uri.user_decoded(),
            uri.host_text(),
            uri.params.value("transport"),
        );
    }
}

fn unfolded(value: &[u8]) -> bool {
    !value.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0))
}

fn rebuilt_is_equal(frame: &Frame<'_>) {
    let StartLine::Request { method, uri } = frame.start() else {
        return;
    };
    let (Ok(method), Ok(uri)) = (
        std::str::from_utf8(method.as_bytes()),
        std::str::from_utf8(uri),
    ) else {
        return;
    };
    if frame.validate().is_err() {
        return;
    }
    let copied = || {
        frame
            .headers()
            .filter(|header| header.id != HeaderId::ContentLength && unfolded(header.value))
    };
    let mut builder = MessageBuilder::request(method, uri);
    for header in copied() {
        let name = std::str::from_utf8(header.name).expect("names are tokens");
        builder = builder.header(name, header.value);
    }
    let bytes = builder
        .octets(frame.body())
        .try_finish()
        .expect("parts of a valid message are writable");
    let built = Frame::parse(&bytes).expect("what is built is framed");
    assert_eq!(built.start(), frame.start());
    assert_eq!(built.body(), frame.body());
    let length =
        |header: &trunkline_sip::message::RawHeader<'_>| header.id != HeaderId::ContentLength;
    assert!(built.headers().filter(length).eq(copied()));
}

fn response_is_valid(frame: &Frame<'_>) {
    if frame.method().is_none() {
        return;
    }
    let source = "192.0.2.77:5099".parse().expect("an address");
    let bytes = MessageBuilder::response_to(frame, 200, "OK", Some("tag-1"), Some(source)).finish();
    let response = Frame::parse(&bytes).expect("a response is framed");
    let copied = |id| {
        use HeaderId::{CallId, ContentLength, Cseq, From, RecordRoute, To, Via};
        matches!(
            id,
            Via | From | To | CallId | Cseq | RecordRoute | ContentLength
        )
    };
    assert!(response.headers().all(|header| copied(header.id)));
    assert_eq!(response.field_count(HeaderId::ContentLength), 1);
    assert_eq!(
        response.field_count(HeaderId::Via),
        frame.field_count(HeaderId::Via)
    );
    if frame.validate().is_ok() {
        assert_eq!(response.validate(), Ok(()));
        assert_eq!(response.cseq(), frame.cseq());
        assert_eq!(response.call_id(), frame.call_id());
        assert_eq!(
            response.values(HeaderId::Via).count(),
            frame.values(HeaderId::Via).count()
        );
        let (ours, theirs) = (
            response.top_via().expect("valid"),
            frame.top_via().expect("valid"),
        );
        assert_eq!(
            (ours.branch(), ours.host, ours.port),
            (theirs.branch(), theirs.host, theirs.port)
        );
        assert!(response.to().expect("valid").params.has("tag"));
    }
}

fn stream_is_equal(frame: &Frame<'_>) {
    if frame.validate().is_err() || frame.field_count(HeaderId::ContentLength) == 0 {
        return;
    }
    let (head, tail) = frame.bytes().split_at(frame.bytes().len() / 2);
    let mut framer = StreamFramer::new();
    framer.push(head);
    assert_eq!(framer.next_item(), Ok(None));
    framer.push(tail);
    assert_eq!(
        framer.next_item(),
        Ok(Some(StreamItem::Message(frame.bytes().to_vec().into())))
    );
    assert_eq!(framer.next_item(), Ok(None));
}

/// Whether a message is of the kind that rsip 0.4 reads right. Left out, because rsip rejects or misreads it: octets
/// that are not UTF-8, lines ending in bare LF, folds, line ends before the start line, white space round header names,
/// compact names, Content-Length that differs from the body, schemes other than sip, IPv6 references, `?` in the
/// Request-URI, unknown and lower-case methods, versions other than 2.0, and anything `validate` refuses.
fn rsip_is_right_about(frame: &Frame<'_>, octets: &[u8]) -> bool {
    let plain_head = std::str::from_utf8(frame.head()).is_ok_and(|head| {
        !head.replace("\r\n", "").contains(['\r', '\n'])
            && !head.contains("\r\n ")
            && !head.contains("\r\n\t")
    });
    let plain_start = match frame.start() {
        StartLine::Request { method, uri } => {
            let Ok(parsed) = Uri::parse(uri) else {
                return false;
            };
            !matches!(method, Method::Other(_))
                && matches!(parsed.scheme, trunkline_sip::Scheme::Sip)
                && parsed.headers.is_none()
                && parsed.password.is_none()
                && parsed
                    .user
                    .is_none_or(|user| user.iter().all(u8::is_ascii_alphanumeric))
                && !uri.contains(&b'[')
                && frame
                    .bytes()
                    .starts_with(&[method.as_bytes(), b" ", uri, b" SIP/2.0\r\n"].concat())
        }
        StartLine::Response { .. } => frame.bytes().starts_with(b"SIP/2.0 "),
    };
    let plain_names = frame.headers().all(|header| header.name.len() > 1)
        && !frame
            .head()
            .windows(2)
            .any(|pair| matches!(pair, [b' ' | b'\t', b':']));
    frame.validate().is_ok() && plain_head && plain_start && plain_names && frame.bytes() == octets
}

/// Compares with rsip; false when the message is not of the kind rsip reads right, or rsip rejects it.
pub fn rsip_agrees(frame: &Frame<'_>, octets: &[u8]) -> bool {
    if !rsip_is_right_about(frame, octets) {
        return false;
    }
    let Ok(theirs) = rsip::SipMessage::try_from(octets) else {
        return false;
    };
    let headers = match (&theirs, frame.start()) {
        (rsip::SipMessage::Request(request), StartLine::Request { method, uri }) => {
            assert_eq!(request.method.to_string().as_bytes(), method.as_bytes());
            let uri = Uri::parse(uri).expect("checked");
            assert_eq!(request.uri.host().to_string(), uri.host_text());
            assert_eq!(request.uri.user().map(str::as_bytes), uri.user);
            assert_eq!(request.uri.port().map(|port| *port.value()), uri.port);
            &request.headers
        }
        (rsip::SipMessage::Response(response), StartLine::Response { status, .. }) => {
            assert_eq!(response.status_code.code(), status);
            &response.headers
        }
        _ => panic!("one says request, the other response"),
    };
    assert_eq!(headers.iter().count(), frame.headers().count());
    for (theirs, ours) in headers.iter().zip(frame.headers()) {
        let line = theirs.to_string();
        let (name, value) = line.split_once(':').expect("rsip writes a colon");
        assert!(name.as_bytes().eq_ignore_ascii_case(ours.name), "{name}");
        assert_eq!(value.trim_matches([' ', '\t']).as_bytes(), ours.value);
    }
    assert_eq!(theirs.body().as_slice(), frame.body());
    if let (Ok(theirs), Ok(ours)) = (
        theirs.cseq_header().and_then(|cseq| cseq.typed()),
        frame.cseq(),
    ) {
        assert_eq!(theirs.seq, ours.number);
    }
    assert_eq!(
        theirs
            .call_id_header()
            .map(|id| id.value().trim().as_bytes().to_vec())
            .ok(),
        frame.call_id().ok().map(<[u8]>::to_vec)
    );
    true
}

/// A byte stream; the first octet is the size of the pieces. However it is cut, the same items and the same error come
/// out, every message is framed to its last octet, and the buffer stays bounded.
pub fn sip_stream(octets: &[u8]) {
    let Some((&size, stream)) = octets.split_first() else {
        return;
    };
    let whole = drained([stream].into_iter());
    let pieces = drained(stream.chunks(usize::from(size).max(1)));
    assert_eq!(whole, pieces);
    for item in &whole.0 {
        let StreamItem::Message(bytes) = item else {
            continue;
        };
        let frame = Frame::parse(bytes).expect("the framer checked the header");
        assert_eq!(frame.bytes(), &bytes[..]);
    }
}

fn drained<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<StreamItem>, Option<StreamError>) {
    let mut framer = StreamFramer::new();
    let mut items = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
        }
        assert!(framer.pending() <= MAX_MESSAGE);
    }
    (items, None)
}

/// A key for each suite.
fn srtp_keys() -> Vec<SrtpKey> {
    let key = |suite: Suite| SrtpKey::new(suite, &[7; 46][..suite.key_and_salt_len()]);
    Suite::ALL.into_iter().filter_map(key).collect()
}

/// A session description. Written and read again it is the same; an answer to it obeys RFC 3264 and is read by its
/// offerer.
pub fn sdp(octets: &[u8]) {
    let Ok(first) = Sdp::parse(octets) else {
        return;
    };
    let local = LocalMedia {
        address: "192.0.2.1".parse().expect("an address"),
        port: 20_000,
        session_id: 1,
        session_version: 1,
        codecs: vec![Encoding::Pcma, Encoding::Pcmu],
        telephone_event: true,
        comfort_noise: false,
        ptime_ms: 20,
        direction: trunkline_sip::Direction::SendRecv,
        srtp: LocalSrtp {
            policy: SrtpPolicy::Optional,
            keys: srtp_keys(),
            profile: None,
        },
        ice: Some(IceCredentials::from_random(&[7; 32])),
    };
    for policy in [SrtpPolicy::Optional, SrtpPolicy::Required] {
        if let Ok(agreed) = accept(&offer(&local), &first, policy) {
            assert!(agreed.srtp.is_some() || policy == SrtpPolicy::Optional);
        }
    }
    let answered = answer(&first, &local);
    // Replacement characters and added lines may pass the limits when read again.
    let lines = octets.split(|octet| matches!(octet, b'\r' | b'\n'));
    let roomy = octets.len() < 30_000
        && lines.clone().count() < 2_000
        && lines.clone().all(|line| line.len() < 4_000);
    if !roomy || std::str::from_utf8(octets).is_err() {
        return;
    }
    let second = Sdp::parse(&first.to_bytes()).expect("what is written is read");
    assert_eq!(Sdp::parse(&second.to_bytes()).as_ref(), Ok(&second));
    assert_eq!(
        (&second.origin, &second.connection),
        (&first.origin, &first.connection)
    );
    assert_eq!(
        (&second.session_name, &second.attributes),
        (&first.session_name, &first.attributes)
    );
    assert_eq!(second.media.len(), first.media.len());
    let Ok((answered, agreed)) = answered else {
        return;
    };
    assert_eq!(answered.media.len(), first.media.len());
    assert_eq!(
        answered
            .media
            .iter()
            .filter(|media| media.port != 0)
            .count(),
        1
    );
    for (ours, theirs) in answered.media.iter().zip(&first.media) {
        assert_eq!(
            (&ours.kind, &ours.protocol),
            (&theirs.kind, &theirs.protocol)
        );
        let numbers: Vec<u8> = theirs.payload_types().collect();
        assert!(ours.port == 0 || ours.payload_types().all(|number| numbers.contains(&number)));
    }
    assert!(
        agreed.payload_send < 128
            && agreed.ptime_ms.is_multiple_of(10)
            && (10..=60).contains(&agreed.ptime_ms)
    );
    assert!(!(agreed.held && agreed.direction.sends()));
    assert!(agreed.srtp.is_some() || !agreed.profile.is_secure());
    let keys = |sdp: &Sdp| sdp.to_string().matches("a=crypto:").count();
    assert_eq!(keys(&answered), usize::from(agreed.srtp.is_some()));
    assert_eq!(
        Sdp::parse(&answered.to_bytes())
            .expect("an answer is read")
            .media,
        answered.media
    );
}
