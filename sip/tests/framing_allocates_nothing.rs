//! Framing, reading the headers of a call and validating an INVITE touch no heap.

#![allow(unsafe_code)] // the counting allocator below

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use trunkline_sip::{Frame, HeaderId};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed to the system allocator unchanged; the counter is a plain thread-local cell without a
// destructor, so touching it neither allocates nor runs after the thread is gone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

const INVITE: &[u8] = b"INVITE sip:+493012345@gw.example.com:5060;transport=udp SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-524287-1---a1;rport, SIP/2.0/TCP [2001:db8::1];branch=z9hG4bK2\r\n\
    Via: SIP/2.0/UDP edge.example.net;branch=z9hG4bK3;received=192.0.2.9\r\n\
    Max-Forwards: 69\r\nContact: <sip:100@192.0.2.1:5060>\r\n\
    To: \"+49 30 12345\" <sip:+493012345@gw.example.com>\r\nFrom: \"A, \\\"B\\\"\" <sip:100@example.com>;tag=8f3c\r\n\
    Call-ID: 89234-ab@192.0.2.1\r\nCSeq: 1 INVITE\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO\r\n\
    Supported: replaces, timer\r\nRecord-Route: <sip:p1.example.com;lr>,<sip:p2.example.com;lr>\r\n\
    P-Asserted-Identity: <tel:+4930999>\r\nUser-Agent: Test\r\nX-Note: a\r\n folded\r\n\
    Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";

#[test]
fn an_invite_is_read_without_the_heap() {
    let counted = |work: &dyn Fn()| {
        let before = ALLOCATIONS.get();
        work();
        ALLOCATIONS.get() - before
    };
    assert!(
        counted(&|| drop(std::hint::black_box(vec![1u8]))) > 0,
        "the counter counts"
    );
    let allocations = counted(&|| {
        let frame = Frame::parse(std::hint::black_box(INVITE)).unwrap();
        frame.validate().unwrap();
        assert_eq!(frame.values(HeaderId::Via).count(), 3);
        assert_eq!(
            frame.top_via().unwrap().branch(),
            Some(&b"z9hG4bK-524287-1---a1"[..])
        );
        assert_eq!(frame.from().unwrap().tag(), Some(&b"8f3c"[..]));
        assert!(frame.to().unwrap().tag().is_none());
        assert!(frame.contact().unwrap().is_some());
        assert_eq!(frame.cseq().unwrap().number, 1);
        assert_eq!(frame.max_forwards().unwrap(), Some(69));
        assert_eq!(frame.record_routes().filter_map(Result::ok).count(), 2);
        assert!(
            frame
                .content_type()
                .unwrap()
                .unwrap()
                .is("application", "sdp")
        );
        assert!(frame.lists(HeaderId::Allow, "BYE"));
        assert_eq!(frame.body(), b"v=0\r\n");
    });
    assert_eq!(allocations, 0);
}
