//! Lamps of phones: NOTIFY of message-summary (RFC 3842) to every registered phone of a user, whether it has asked or not. Makes the requests; who
//! knows the counts sends them.
use super::Location;
use crate::route::CallerIdentity;
use trunkline_sip::{OutContact, OutRequest, Uri};

/// What a lamp shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Messages that nobody has heard.
    pub new: u64,
    /// Messages that were heard.
    pub saved: u64,
    /// The number by which they are heard; `None`: there is none.
    pub number: Option<String>,
}

impl Location {
    /// A NOTIFY for each phone of `user`; empty: none is registered.
    pub fn lamps(&self, user: &str, waiting: &Waiting) -> Vec<OutRequest> {
        let legs = self.legs(user, &CallerIdentity::default());
        let notify = |leg: crate::route::OutboundLeg| OutRequest {
            routes: leg.routes,
            contact: Some(OutContact::default()),
            headers: vec![
                ("Event".to_owned(), "message-summary".to_owned()),
                ("Subscription-State".to_owned(), "active".to_owned()),
            ],
            body: Some((
                "application/simple-message-summary".to_owned(),
                summary(&leg.to, waiting).into_bytes(),
            )),
            ..OutRequest::new(leg.flow, "NOTIFY", leg.target, leg.to.clone(), leg.to)
        };
        legs.into_iter().map(notify).collect()
    }
}

/// RFC 3842 §5.2.
fn summary(aor: &str, waiting: &Waiting) -> String {
    let is_lit = if waiting.new > 0 { "yes" } else { "no" };
    let host = Uri::parse(aor.as_bytes()).map(|uri| uri.host_text());
    let account = match (&waiting.number, host) {
        (Some(number), Ok(host)) if !host.is_empty() => format!("sip:{number}@{host}"),
        _ => aor.to_owned(),
    };
    format!(
        "Messages-Waiting: {is_lit}\r\nMessage-Account: {account}\r\nVoice-Message: {}/{} (0/0)\r\n",
        waiting.new, waiting.saved
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_how_many_wait_and_where_they_are_heard() {
        let waiting = Waiting {
            new: 2,
            saved: 1,
            number: Some("*97".to_owned()),
        };
        let text = summary("sip:ann@pbx.example", &waiting);
        assert_eq!(
            text,
            "Messages-Waiting: yes\r\nMessage-Account: sip:*97@pbx.example\r\nVoice-Message: 2/1 (0/0)\r\n"
        );
        let none = Waiting {
            new: 0,
            number: None,
            ..waiting
        };
        let text = summary("sip:ann@pbx.example", &none);
        assert!(
            text.starts_with("Messages-Waiting: no\r\nMessage-Account: sip:ann@pbx.example\r\n")
        );
    }
}
