//! What a message must have before a transaction looks at it: RFC 3261 sections 8.1.1, 8.2 and 20, and the verdicts of
//! RFC 4475. Linear in the length of the message. Unknown schemes (416), methods (405, 501), options (420) and body
//! types (415) are the endpoint's to judge.

use crate::header::HeaderId;
use crate::limits::{MAX_MESSAGE, MAX_VIAS};
use crate::message::{ContentLength, Frame, StartLine};
use crate::method::Method;
use crate::name_addr::{Contact, NameAddr};
use crate::typed::HeaderError;
use crate::uri::Uri;

/// Why a framed message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The status a request is answered with; a response is dropped whatever it says.
    pub status: u16,
    /// The rule that was broken, fit for a reason phrase, a log line and a counter.
    pub reason: &'static str,
}

const fn bad(reason: &'static str) -> Rejection {
    Rejection {
        status: 400,
        reason,
    }
}

/// Headers that may stand only once (RFC 3261 section 7.3.1), with the rule to name.
const SINGLE: [(HeaderId, &str); 7] = [
    (HeaderId::From, "More than one From"),
    (HeaderId::To, "More than one To"),
    (HeaderId::CallId, "More than one Call-ID"),
    (HeaderId::Cseq, "More than one CSeq"),
    (HeaderId::MaxForwards, "More than one Max-Forwards"),
    (HeaderId::ContentType, "More than one Content-Type"),
    (HeaderId::Expires, "More than one Expires"),
];

impl Frame<'_> {
    /// Checks what every message must fulfil. For a request the rejection is the answer to send; a rejected response
    /// is dropped.
    pub fn validate(&self) -> Result<(), Rejection> {
        if !self.version().eq_ignore_ascii_case(b"SIP/2.0") {
            return Err(Rejection {
                status: 505,
                reason: "Version Not Supported",
            });
        }
        if self.has_malformed_line() {
            return Err(bad("Malformed Header Line"));
        }
        if has_control_octet(self.head()) {
            return Err(bad("Control Character In Header"));
        }
        if let Some((_, rule)) = SINGLE.iter().find(|(id, _)| self.field_count(*id) > 1) {
            return Err(bad(rule));
        }
        self.validate_routing()?;
        self.validate_dialog_headers()?;
        self.validate_length()
    }

    /// Via and Request-URI.
    fn validate_routing(&self) -> Result<(), Rejection> {
        if let StartLine::Request { uri, .. } = self.start()
            && Uri::parse(uri).is_err()
        {
            return Err(bad("Malformed Request-URI"));
        }
        // The count stops at the limit, so that the walk stays short.
        if self.values(HeaderId::Via).take(MAX_VIAS + 1).count() > MAX_VIAS {
            return Err(bad("More than 70 Via"));
        }
        self.top_via()
            .map_err(|error| named(&error, "Missing Via", "Malformed Via"))?;
        self.max_forwards()
            .map_err(|_| bad("Malformed Max-Forwards"))?;
        Ok(())
    }

    /// What names a dialog and a transaction.
    fn validate_dialog_headers(&self) -> Result<(), Rejection> {
        let from = self
            .from()
            .map_err(|error| named(&error, "Missing From", "Malformed From"))?;
        let to = self
            .to()
            .map_err(|error| named(&error, "Missing To", "Malformed To"))?;
        if !has_sound_tag(&from) || !has_sound_tag(&to) {
            return Err(bad("Malformed Tag"));
        }
        self.call_id()
            .map_err(|error| named(&error, "Missing Call-ID", "Malformed Call-ID"))?;
        let cseq = self
            .cseq()
            .map_err(|error| named(&error, "Missing CSeq", "Malformed CSeq"))?;
        let Some(method) = self.method() else {
            return Ok(());
        };
        if cseq.method != method {
            return Err(bad("CSeq Method Does Not Match"));
        }
        match self.contacts().next() {
            None if matches!(method, Method::Invite) => Err(bad("Missing Contact")),
            Some(Err(_)) => Err(bad("Malformed Contact")),
            Some(Ok(Contact::Star)) if !matches!(method, Method::Register) => {
                Err(bad("Contact * Outside REGISTER"))
            }
            _ => Ok(()),
        }
    }

    fn validate_length(&self) -> Result<(), Rejection> {
        match self.content_length() {
            ContentLength::Absent => Ok(()),
            ContentLength::Octets(length) if length as usize == self.body().len() => Ok(()),
            ContentLength::Octets(length) if length as usize > MAX_MESSAGE => Err(Rejection {
                status: 513,
                reason: "Content-Length Beyond 65535",
            }),
            ContentLength::Octets(_) => Err(bad("Content-Length Beyond End Of Message")),
            ContentLength::Malformed => Err(bad("Malformed Content-Length")),
            ContentLength::Contradictory => Err(bad("Different Content-Length Values")),
        }
    }
}

/// No tag at all (RFC 2543 peers), or one word: an empty or broken one would name no dialog.
fn has_sound_tag(address: &NameAddr<'_>) -> bool {
    address.params.find("tag").is_none()
        || address
            .tag()
            .is_some_and(|tag| tag.iter().all(|&octet| octet > b' ' && octet != 0x7f))
}

fn named(error: &HeaderError, missing: &'static str, malformed: &'static str) -> Rejection {
    bad(if error.is_missing() {
        missing
    } else {
        malformed
    })
}

/// Control characters other than HT, line ends, and octets escaped by a backslash (legal in quoted strings).
fn has_control_octet(head: &[u8]) -> bool {
    // Almost no message has any: one branch-free pass over the octets and one look behind each CR decide.
    let suspicious = head.iter().fold(false, |found, &octet| {
        found
            | ((octet < b' ') & (octet != b'\t') & (octet != b'\r') & (octet != b'\n'))
            | (octet == 0x7f)
    });
    if memchr::memchr_iter(b'\r', head).any(|at| head.get(at + 1) != Some(&b'\n')) {
        return true;
    }
    suspicious && has_bare_control_octet(head)
}

fn has_bare_control_octet(head: &[u8]) -> bool {
    let mut escaped = false;
    head.iter().any(|&octet| {
        let control = match octet {
            b'\t' | b'\r' | b'\n' => false,
            0..=0x1f | 0x7f => !escaped,
            _ => false,
        };
        escaped = octet == b'\\' && !escaped;
        control
    })
}
