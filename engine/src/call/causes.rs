//! Why calls end, in the words of both worlds: SIP status codes and Q.850 causes, mapped by RFC 3398 §7.2.4.1 and §8.2.6.1, and what a
//! Reason header says (RFC 3326). Pure tables.
use trunkline_sip::{Frame, HangupReason};

/// Reason values of one message that are read; further ones are ignored.
const MAX_REASONS: usize = 8;

/// The causes a message gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Causes {
    /// SIP status.
    pub sip: Option<u16>,
    /// Q.850 cause, 1 to 127.
    pub q850: Option<u8>,
}

impl Causes {
    /// What the Reason headers of a message say.
    pub fn of(frame: &Frame<'_>) -> Causes {
        let mut causes = Causes::default();
        for reason in frame.reasons().take(MAX_REASONS) {
            let Some(cause) = reason.cause else { continue };
            if reason.protocol.eq_ignore_ascii_case(b"Q.850") {
                let cause = u8::try_from(cause).ok().filter(|q| (1..=127).contains(q));
                causes.q850 = causes.q850.or(cause);
            } else if reason.protocol.eq_ignore_ascii_case(b"SIP") && (300..700).contains(&cause) {
                causes.sip = causes.sip.or(Some(cause));
            }
        }
        causes
    }

    /// The Q.850 cause, said or mapped.
    pub fn as_q850(self) -> Option<u8> {
        self.q850.or_else(|| self.sip.and_then(q850_of))
    }
}

/// The Q.850 cause that says the same as a SIP status (RFC 3398 §8.2.6.1); `None` for 487, which is a clearing and no failure,
/// and for what is no refusal.
pub fn q850_of(status: u16) -> Option<u8> {
    Some(match status {
        400 | 481 | 500 | 503 => 41,
        401..=403 | 407 | 603 => 21,
        404 | 485 | 604 => 1,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        410 => 22,
        480 => 18,
        482 | 483 => 25,
        484 => 28,
        486 | 600 => 17,
        488 | 606 => 65,
        502 => 38,
        487 => return None,
        300..=399 => 23,
        400..=699 => 127,
        _ => return None,
    })
}

/// The SIP status that says the same as a Q.850 cause (RFC 3398 §7.2.4.1).
pub fn status_of(q850: u8) -> u16 {
    match q850 {
        1..=3 | 26 => 404,
        17 => 486,
        18 => 408,
        16 | 19 | 20 | 31 => 480,
        21 | 55 | 57 | 87 => 403,
        22 | 23 => 410,
        25 => 483,
        27 | 38 => 502,
        28 => 484,
        29 | 63 | 79 => 501,
        65 | 70 => 488,
        102 => 504,
        34 | 41 | 42 | 47 | 58 | 88 => 503,
        _ => 500,
    }
}

/// The name of a Q.850 cause, for people.
pub fn name_of(q850: u8) -> &'static str {
    match q850 {
        1 => "Unallocated number",
        2 | 3 => "No route",
        16 => "Normal call clearing",
        17 => "User busy",
        18 => "No user responding",
        19 => "No answer",
        20 => "Subscriber absent",
        21 => "Call rejected",
        22 => "Number changed",
        23 => "Redirected",
        25 => "Exchange routing error",
        27 => "Destination out of order",
        28 => "Address incomplete",
        31 => "Normal, unspecified",
        34 => "No circuit available",
        38 => "Network out of order",
        41 => "Temporary failure",
        42 => "Congestion",
        47 => "Resource unavailable",
        65 => "Bearer capability not implemented",
        102 => "Timer expired",
        127 => "Interworking",
        _ => "Cause",
    }
}

/// A Reason header with a Q.850 cause.
pub(super) fn q850_reason(cause: u8) -> HangupReason {
    HangupReason {
        protocol: "Q.850".to_owned(),
        cause: cause.into(),
        text: name_of(cause).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_rfc_3398() {
        for (status, cause) in [
            (404, 1),
            (486, 17),
            (480, 18),
            (603, 21),
            (503, 41),
            (484, 28),
        ] {
            assert_eq!(q850_of(status), Some(cause), "{status}");
        }
        for (cause, status) in [
            (1, 404),
            (17, 486),
            (18, 408),
            (19, 480),
            (28, 484),
            (34, 503),
        ] {
            assert_eq!(status_of(cause), status, "{cause}");
        }
        assert_eq!((q850_of(487), q850_of(200)), (None, None));
    }

    #[test]
    fn every_refusal_has_a_cause_and_every_cause_a_refusal() {
        for status in (300..700).filter(|status| *status != 487) {
            assert!(q850_of(status).is_some(), "{status}");
        }
        for cause in 0..=u8::MAX {
            assert!((400..700).contains(&status_of(cause)), "{cause}");
        }
    }

    #[test]
    fn reason_headers_are_read_whatever_is_in_them() {
        let read = |reason: &str| {
            let text = format!("BYE sip:x SIP/2.0\r\nReason: {reason}\r\n\r\n");
            Causes::of(&Frame::parse(text.as_bytes()).unwrap())
        };
        let causes = |sip, q850| Causes { sip, q850 };
        let both = "SIP;cause=486, Q.850;cause=17;text=\"User busy\"";
        assert_eq!(read(both), causes(Some(486), Some(17)));
        // RFC 8606: a location beside the cause.
        assert_eq!(read("q.850;cause=19;location=LN"), causes(None, Some(19)));
        for nonsense in [
            "Q.850;cause=128",
            "Q.850;cause=x",
            "SIP;cause=200",
            "X;cause=16",
            ";;=",
        ] {
            assert_eq!(read(nonsense), Causes::default(), "{nonsense}");
        }
        assert_eq!(read("SIP;cause=486").as_q850(), Some(17));
    }
}
