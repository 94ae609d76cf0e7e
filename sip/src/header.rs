//! Header names and the comma-separated list of header values. Names are recognised by length and first octet; the
//! compact forms of RFC 3261 section 7.3.3 and its extensions are the same header.

use crate::lex::{find_outside, trim};

/// A header field this crate knows by number; everything else is [`HeaderId::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // the variants are the headers of the same name
pub enum HeaderId {
    Via,
    From,
    To,
    CallId,
    Cseq,
    Contact,
    MaxForwards,
    ContentLength,
    ContentType,
    ContentEncoding,
    ContentDisposition,
    ContentLanguage,
    Route,
    RecordRoute,
    Require,
    ProxyRequire,
    Supported,
    Unsupported,
    Allow,
    Accept,
    AcceptEncoding,
    AcceptLanguage,
    AcceptContact,
    RejectContact,
    RequestDisposition,
    Expires,
    MinExpires,
    Subject,
    Date,
    Timestamp,
    UserAgent,
    Server,
    Warning,
    RetryAfter,
    Reason,
    ReferTo,
    ReferredBy,
    Replaces,
    Join,
    TargetDialog,
    Event,
    AllowEvents,
    SubscriptionState,
    SessionExpires,
    MinSe,
    Rseq,
    Rack,
    Authorization,
    ProxyAuthorization,
    WwwAuthenticate,
    ProxyAuthenticate,
    AuthenticationInfo,
    PAssertedIdentity,
    PPreferredIdentity,
    RemotePartyId,
    Privacy,
    Diversion,
    HistoryInfo,
    Identity,
    Path,
    ServiceRoute,
    MimeVersion,
    Organization,
    Priority,
    InReplyTo,
    ReplyTo,
    AlertInfo,
    CallInfo,
    ErrorInfo,
    InfoPackage,
    RecvInfo,
    UserToUser,
    SipEtag,
    SipIfMatch,
    PEarlyMedia,
    Geolocation,
    PChargingVector,
    /// Not known to this crate; compare the name as written.
    Other,
}

/// Known headers, ascending by length of the long name: id, name as it is sent, compact form.
const KNOWN: [(HeaderId, &str, Option<u8>); 77] = [
    (HeaderId::To, "To", Some(b't')),
    (HeaderId::Via, "Via", Some(b'v')),
    (HeaderId::From, "From", Some(b'f')),
    (HeaderId::Cseq, "CSeq", None),
    (HeaderId::Date, "Date", None),
    (HeaderId::Join, "Join", None),
    (HeaderId::Rseq, "RSeq", None),
    (HeaderId::Rack, "RAck", None),
    (HeaderId::Path, "Path", None),
    (HeaderId::Route, "Route", None),
    (HeaderId::Allow, "Allow", None),
    (HeaderId::Event, "Event", Some(b'o')),
    (HeaderId::Accept, "Accept", None),
    (HeaderId::Server, "Server", None),
    (HeaderId::Reason, "Reason", None),
    (HeaderId::MinSe, "Min-SE", None),
    (HeaderId::CallId, "Call-ID", Some(b'i')),
    (HeaderId::Contact, "Contact", Some(b'm')),
    (HeaderId::Require, "Require", None),
    (HeaderId::Expires, "Expires", None),
    (HeaderId::Subject, "Subject", Some(b's')),
    (HeaderId::Warning, "Warning", None),
    (HeaderId::Privacy, "Privacy", None),
    (HeaderId::ReferTo, "Refer-To", Some(b'r')),
    (HeaderId::Replaces, "Replaces", None),
    (HeaderId::Identity, "Identity", Some(b'y')),
    (HeaderId::Priority, "Priority", None),
    (HeaderId::ReplyTo, "Reply-To", None),
    (HeaderId::SipEtag, "SIP-ETag", None),
    (HeaderId::Supported, "Supported", Some(b'k')),
    (HeaderId::Timestamp, "Timestamp", None),
    (HeaderId::Diversion, "Diversion", None),
    (HeaderId::CallInfo, "Call-Info", None),
    (HeaderId::RecvInfo, "Recv-Info", None),
    (HeaderId::UserAgent, "User-Agent", None),
    (HeaderId::AlertInfo, "Alert-Info", None),
    (HeaderId::ErrorInfo, "Error-Info", None),
    (HeaderId::Unsupported, "Unsupported", None),
    (HeaderId::MinExpires, "Min-Expires", None),
    (HeaderId::RetryAfter, "Retry-After", None),
    (HeaderId::ReferredBy, "Referred-By", Some(b'b')),
    (HeaderId::InReplyTo, "In-Reply-To", None),
    (HeaderId::Geolocation, "Geolocation", None),
    (HeaderId::MaxForwards, "Max-Forwards", None),
    (HeaderId::ContentType, "Content-Type", Some(b'c')),
    (HeaderId::RecordRoute, "Record-Route", None),
    (HeaderId::AllowEvents, "Allow-Events", Some(b'u')),
    (HeaderId::HistoryInfo, "History-Info", None),
    (HeaderId::MimeVersion, "MIME-Version", None),
    (HeaderId::Organization, "Organization", None),
    (HeaderId::InfoPackage, "Info-Package", None),
    (HeaderId::UserToUser, "User-to-User", None),
    (HeaderId::SipIfMatch, "SIP-If-Match", None),
    (HeaderId::ProxyRequire, "Proxy-Require", None),
    (HeaderId::TargetDialog, "Target-Dialog", None),
    (HeaderId::Authorization, "Authorization", None),
    (HeaderId::ServiceRoute, "Service-Route", None),
    (HeaderId::PEarlyMedia, "P-Early-Media", None),
    (HeaderId::ContentLength, "Content-Length", Some(b'l')),
    (HeaderId::AcceptContact, "Accept-Contact", Some(b'a')),
    (HeaderId::RejectContact, "Reject-Contact", Some(b'j')),
    (HeaderId::AcceptEncoding, "Accept-Encoding", None),
    (HeaderId::AcceptLanguage, "Accept-Language", None),
    (HeaderId::SessionExpires, "Session-Expires", Some(b'x')),
    (HeaderId::RemotePartyId, "Remote-Party-ID", None),
    (HeaderId::ContentEncoding, "Content-Encoding", Some(b'e')),
    (HeaderId::ContentLanguage, "Content-Language", None),
    (HeaderId::WwwAuthenticate, "WWW-Authenticate", None),
    (HeaderId::PChargingVector, "P-Charging-Vector", None),
    (HeaderId::SubscriptionState, "Subscription-State", None),
    (HeaderId::ProxyAuthenticate, "Proxy-Authenticate", None),
    (HeaderId::ContentDisposition, "Content-Disposition", None),
    (
        HeaderId::RequestDisposition,
        "Request-Disposition",
        Some(b'd'),
    ),
    (HeaderId::ProxyAuthorization, "Proxy-Authorization", None),
    (HeaderId::AuthenticationInfo, "Authentication-Info", None),
    (HeaderId::PAssertedIdentity, "P-Asserted-Identity", None),
    (HeaderId::PPreferredIdentity, "P-Preferred-Identity", None),
];

/// Longest known name, in octets.
const LONGEST: usize = KNOWN[KNOWN.len() - 1].1.len();

/// `STARTS[n]..STARTS[n + 1]` are the rows of [`KNOWN`] whose name has `n` octets.
const STARTS: [u8; LONGEST + 2] = starts();

const fn starts() -> [u8; LONGEST + 2] {
    let mut starts = [KNOWN.len() as u8; LONGEST + 2];
    let mut row = KNOWN.len();
    let mut length = LONGEST + 1;
    while length > 0 {
        length -= 1;
        while row > 0 && KNOWN[row - 1].1.len() >= length {
            row -= 1;
        }
        starts[length] = row as u8;
    }
    starts
}

/// Compact forms by letter, `a` first.
const COMPACT: [HeaderId; 26] = compact();

const fn compact() -> [HeaderId; 26] {
    let mut letters = [HeaderId::Other; 26];
    let mut row = 0;
    while row < KNOWN.len() {
        if let Some(letter) = KNOWN[row].2 {
            letters[(letter - b'a') as usize] = KNOWN[row].0;
        }
        row += 1;
    }
    letters
}

impl HeaderId {
    /// The header of this name, long or compact, ASCII case ignored.
    pub fn from_name(name: &[u8]) -> Self {
        if let [letter] = name {
            let index = usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
            return COMPACT.get(index).copied().unwrap_or(Self::Other);
        }
        let (Some(&from), Some(&to)) = (STARTS.get(name.len()), STARTS.get(name.len() + 1)) else {
            return Self::Other;
        };
        KNOWN[usize::from(from)..usize::from(to)]
            .iter()
            .find(|(_, known, _)| {
                let known = known.as_bytes();
                // Nearly all names come as they are written here.
                known[0] | 0x20 == name[0] | 0x20
                    && (known == name || known.eq_ignore_ascii_case(name))
            })
            .map_or(Self::Other, |(id, ..)| *id)
    }

    /// The long name as it is sent; empty for [`HeaderId::Other`].
    pub fn name(self) -> &'static str {
        KNOWN
            .iter()
            .find(|(id, ..)| *id == self)
            .map_or("", |(_, name, _)| name)
    }
}

/// The values of a comma-separated header field. Commas inside quoted strings and `<...>` do not split; empty
/// elements are skipped; an unclosed quote or bracket makes the rest one value.
#[derive(Clone, Debug)]
pub struct CommaList<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> CommaList<'a> {
    /// The list of one field value.
    pub fn new(value: &'a [u8]) -> Self {
        Self { rest: Some(value) }
    }
}

impl<'a> Iterator for CommaList<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.rest?;
            let item = match find_outside(rest, b',', true) {
                Some(at) => {
                    self.rest = Some(&rest[at + 1..]);
                    &rest[..at]
                }
                None => self.rest.take()?,
            };
            let item = trim(item);
            if !item.is_empty() {
                return Some(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case_and_compact() {
        for (id, name, compact) in KNOWN {
            assert_eq!(HeaderId::from_name(name.as_bytes()), id, "{name}");
            assert_eq!(
                HeaderId::from_name(name.to_ascii_uppercase().as_bytes()),
                id,
                "{name}"
            );
            assert_eq!(
                HeaderId::from_name(name.to_ascii_lowercase().as_bytes()),
                id,
                "{name}"
            );
            assert_eq!(id.name(), name);
            if let Some(letter) = compact {
                assert_eq!(HeaderId::from_name(&[letter]), id);
                assert_eq!(HeaderId::from_name(&[letter.to_ascii_uppercase()]), id);
            }
        }
        for unknown in [
            "",
            "z",
            "X",
            "Vib",
            "X-Custom",
            "P-Charging-Vectox",
            &"a".repeat(300),
        ] {
            let expected = if unknown == "X" {
                HeaderId::SessionExpires
            } else {
                HeaderId::Other
            };
            assert_eq!(
                HeaderId::from_name(unknown.as_bytes()),
                expected,
                "{unknown}"
            );
        }
        assert_eq!(HeaderId::from_name(&[0xff]), HeaderId::Other);
    }

    #[test]
    fn lists() {
        let all = |text| CommaList::new(text).collect::<Vec<_>>();
        assert_eq!(all(b"a, b ,,c,"), [&b"a"[..], b"b", b"c"]);
        assert_eq!(
            all(br#""A, B" <sip:a@b>, <sip:c,d@e>;q=1"#),
            [&br#""A, B" <sip:a@b>"#[..], b"<sip:c,d@e>;q=1"]
        );
        assert_eq!(all(br#""open, a"#), [&br#""open, a"#[..]]);
        assert_eq!(all(b" , ,").len(), 0);
    }
}
