//! A SIP INVITE of about 1.1 kB as trunks send it: framing, the headers a call needs, and the whole message by `rsip`
//! (which types no header until asked either).

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use trunkline_sip::{Frame, HeaderId};

const INVITE: &str = "INVITE sip:+4930123456@198.51.100.7:5060;user=phone SIP/2.0\r\n\
Record-Route: <sip:203.0.113.9;lr;ftag=gK0c4f2a17>\r\n\
Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK7d1c.5f4a2e90d3b1c866.0\r\n\
Via: SIP/2.0/UDP 192.0.2.33:5060;received=192.0.2.33;branch=z9hG4bK0cB8f2e4d6a1c3557;rport=5060\r\n\
Max-Forwards: 68\r\n\
From: \"Erika Mustermann\" <sip:+491711234567@203.0.113.9;user=phone>;tag=gK0c4f2a17\r\n\
To: <sip:+4930123456@198.51.100.7;user=phone>\r\n\
Call-ID: 1347815203_89127734@192.0.2.33\r\n\
CSeq: 102 INVITE\r\n\
Contact: <sip:+491711234567@192.0.2.33:5060;transport=udp>\r\n\
Allow: INVITE,ACK,CANCEL,BYE,REGISTER,REFER,INFO,SUBSCRIBE,NOTIFY,PRACK,UPDATE,OPTIONS\r\n\
Supported: timer,100rel,precondition,replaces\r\n\
Session-Expires: 1800;refresher=uac\r\n\
Min-SE: 90\r\n\
P-Asserted-Identity: <sip:+491711234567@203.0.113.9;user=phone>\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 270\r\n\
\r\n\
v=0\r\n\
o=Sonus_UAC 521914 803175 IN IP4 192.0.2.33\r\n\
s=SIP Media Capabilities\r\n\
c=IN IP4 192.0.2.40\r\n\
t=0 0\r\n\
m=audio 17268 RTP/AVP 8 0 18 101\r\n\
a=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:0 PCMU/8000\r\n\
a=rtpmap:18 G729/8000\r\n\
a=rtpmap:101 telephone-event/8000\r\n\
a=fmtp:101 0-15\r\n\
a=sendrecv\r\n\
a=ptime:20\r\n";

fn invite(criterion: &mut Criterion) {
    let bytes = INVITE.as_bytes();
    let frame = Frame::parse(bytes).expect("the message of this bench is sound");
    assert_eq!(
        frame.header(HeaderId::ContentLength),
        Some(frame.body().len().to_string().as_bytes())
    );
    let mut group = criterion.benchmark_group("sip invite");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("frame", |b| {
        b.iter(|| Frame::parse(black_box(bytes)).is_ok())
    });
    group.bench_function("frame, validate, type the dialog headers", |b| {
        b.iter(|| {
            let frame = Frame::parse(black_box(bytes)).expect("sound");
            let typed = (
                frame.validate().is_ok(),
                frame.top_via().is_ok(),
                frame.from().is_ok(),
                frame.to().is_ok(),
            );
            (typed, frame.cseq().is_ok(), frame.contact().is_ok())
        });
    });
    group.bench_function("rsip", |b| {
        b.iter(|| rsip::SipMessage::try_from(black_box(bytes)).is_ok())
    });
    group.finish();
}

criterion_group!(benches, invite);
criterion_main!(benches);
