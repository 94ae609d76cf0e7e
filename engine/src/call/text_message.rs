//! Text messages of far ends (MESSAGE, RFC 3428): read, offered to a program, answered.
//!
//! Limits: 8 KiB of text, 128 octets of Content-Type. The text itself is never logged.
use super::Refusal;
use super::counters::CallCounters;
use crate::net::sip::SipHandle;
use std::sync::atomic::Ordering;
use trunkline_sip::{ALLOW, Frame, HeaderId, Message, Origin, RequestId};

/// Longest text, octets.
const MAX_BODY: usize = 8192;
/// Longest Content-Type, octets.
const MAX_CONTENT_TYPE: usize = 128;

/// A text message of a trunk or an endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct TextMessage {
    /// The number or user of the sender, as far as it is believed; empty: unknown.
    pub from: String,
    /// What the body is: `text/plain;charset=utf-8`. Empty only where the body is.
    pub content_type: String,
    /// The body as it came, at most 8 KiB.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for TextMessage {
    /// What people write to each other is nothing for logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextMessage")
            .field("from", &self.from)
            .field("content_type", &self.content_type)
            .field("octets", &self.body.len())
            .finish()
    }
}

/// What a program makes of a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has it: the sender gets 200.
    Taken,
    /// It takes none: 405.
    NotTaken,
    /// It takes none of this type: 415.
    OtherType,
}

impl TextMessage {
    /// Reads a MESSAGE of somebody of that origin who is known as `from`.
    ///
    /// # Errors
    /// The sender is a stranger, or the message is beyond a limit.
    pub(super) fn read(
        frame: &Frame<'_>,
        origin: &Origin,
        from: &str,
    ) -> Result<TextMessage, Refusal> {
        if *origin == Origin::Stranger {
            let text = "the sender is neither a trunk nor an endpoint".to_owned();
            return Err(Refusal::new(403, "message-from-stranger", text));
        }
        let body = frame.body();
        if body.len() > MAX_BODY {
            let text = format!("{} octets of text; the limit is {MAX_BODY}", body.len());
            return Err(Refusal::new(413, "message-too-long", text));
        }
        let content_type = frame.header(HeaderId::ContentType).unwrap_or_default();
        let content_type = std::str::from_utf8(content_type)
            .ok()
            .filter(|kind| kind.len() <= MAX_CONTENT_TYPE && !kind.contains(char::is_control))
            .filter(|kind| !kind.is_empty() || body.is_empty());
        let Some(content_type) = content_type else {
            let text = "the Content-Type is missing, too long, or no text".to_owned();
            return Err(Refusal::new(415, "message-type", text));
        };
        Ok(TextMessage {
            from: from.to_owned(),
            content_type: content_type.to_owned(),
            body: body.to_vec(),
        })
    }
}

/// A text message within a call that is not answered yet.
#[derive(Debug)]
pub(super) struct InCall {
    id: RequestId,
    pub(super) text: TextMessage,
}

impl InCall {
    /// Reads one of the party of a leg.
    pub(super) fn read(
        id: RequestId,
        request: &Message,
        party: &Origin,
        number: &str,
    ) -> Result<InCall, Refusal> {
        let text = TextMessage::read(&request.frame(), party, number)?;
        Ok(InCall { id, text })
    }

    /// Answers as the program decided; `None`: it has a defect.
    pub(super) fn answer(self, sip: &SipHandle, counters: &CallCounters, verdict: Option<Verdict>) {
        answer(sip, counters, self.id, &self.text, verdict);
    }
}

/// Answers as a program decided; `None`: it has a defect.
pub(super) fn answer(
    sip: &SipHandle,
    counters: &CallCounters,
    id: RequestId,
    text: &TextMessage,
    verdict: Option<Verdict>,
) {
    let refusal = match verdict {
        Some(Verdict::Taken) => {
            tracing::info!(
                from = text.from,
                content_type = text.content_type,
                octets = text.body.len(),
                "message taken by the program"
            );
            counters.messages[0].fetch_add(1, Ordering::Relaxed);
            return sip.respond(id, 200, "", Vec::new());
        }
        Some(Verdict::NotTaken) => {
            let text = "the program takes no messages".to_owned();
            Refusal::new(405, "message-not-taken", text)
        }
        Some(Verdict::OtherType) => {
            let text = format!("the program takes no {:?}", text.content_type);
            Refusal::new(415, "message-type", text)
        }
        None => Refusal::new(500, "program-panic", "the program has a defect".to_owned()),
    };
    refuse(sip, counters, id, &refusal);
}

/// Refuses a message.
pub(super) fn refuse(sip: &SipHandle, counters: &CallCounters, id: RequestId, refusal: &Refusal) {
    tracing::info!(
        status = refusal.status,
        rule = refusal.rule,
        reason = refusal.text,
        "message refused"
    );
    counters.refused(refusal.rule);
    let header = match refusal.status {
        405 => Some(("Allow".to_owned(), ALLOW.to_owned())),
        415 => Some(("Accept".to_owned(), "text/plain".to_owned())),
        _ => None,
    };
    sip.respond(
        id,
        refusal.status,
        refusal.rule,
        header.into_iter().collect(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        headers: &str,
        body: &[u8],
        origin: &Origin,
    ) -> Result<TextMessage, (u16, &'static str)> {
        let mut message = format!("MESSAGE sip:100@x SIP/2.0\r\n{headers}\r\n").into_bytes();
        message.extend(body);
        let frame = Frame::parse(&message).unwrap();
        TextMessage::read(&frame, origin, "201").map_err(|refusal| (refusal.status, refusal.rule))
    }

    #[test]
    fn messages_are_read_within_limits_and_of_nobody_unknown() {
        let ann = Origin::User("ann".into());
        let plain = "Content-Type: text/plain\r\n";
        let text = read(plain, b"hi", &ann).unwrap();
        assert_eq!(
            (&*text.from, &*text.content_type, &*text.body),
            ("201", "text/plain", &b"hi"[..])
        );
        assert!(!format!("{text:?}").contains("hi\""), "{text:?}");
        assert!(read(plain, &[b'x'; MAX_BODY], &ann).is_ok());
        assert!(read("", b"", &ann).is_ok());
        let long = format!("Content-Type: text/{}\r\n", "x".repeat(MAX_CONTENT_TYPE));
        for (headers, body, origin, expected) in [
            (
                plain,
                &b"hi"[..],
                &Origin::Stranger,
                (403, "message-from-stranger"),
            ),
            (
                plain,
                &[b'x'; MAX_BODY + 1],
                &ann,
                (413, "message-too-long"),
            ),
            ("", b"hi", &ann, (415, "message-type")),
            (&long, b"hi", &ann, (415, "message-type")),
        ] {
            assert_eq!(read(headers, body, origin), Err(expected), "{headers}");
        }
    }
}
