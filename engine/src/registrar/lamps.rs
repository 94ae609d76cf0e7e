//! Lamps of phones: who may watch a box, and NOTIFY of message-summary (RFC 3842) to every registered phone of a user that has not asked for it. Makes the
//! requests; who knows the counts sends them.
use super::Location;
use crate::config::{Config, NumberDestination, VoicemailBox};
use crate::route::{CallerIdentity, OutboundLeg};
use trunkline_sip::{Flow, Notifies, Origin, OutContact, OutRequest, Subscriber, Uri};

/// What phones subscribe to. More subscriptions than phones of a large office have.
pub const MESSAGE_SUMMARY: Notifies = Notifies {
    package: "message-summary",
    content_type: "application/simple-message-summary",
    most: 10_000,
};

/// What a lamp shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Messages that nobody has heard.
    pub new: u64,
    /// Messages that were heard.
    pub saved: u64,
    /// The number by which they are heard; `None`: there is none.
    pub number: Option<String>,
}

impl Location {
    /// A NOTIFY for each phone of `user` that is none of `subscribers`; empty: none is registered.
    pub fn lamps(
        &self,
        user: &str,
        waiting: &Waiting,
        subscribers: &[Subscriber],
    ) -> Vec<OutRequest> {
        let mut legs = self.legs(user, &CallerIdentity::default());
        legs.retain(|leg| !subscribers.iter().any(|each| is_that(each, user, leg)));
        let notify = |leg: OutboundLeg| OutRequest {
            routes: leg.routes,
            contact: Some(OutContact::default()),
            headers: vec![
                ("Event".to_owned(), MESSAGE_SUMMARY.package.to_owned()),
                ("Subscription-State".to_owned(), "active".to_owned()),
            ],
            body: Some((
                MESSAGE_SUMMARY.content_type.to_owned(),
                waiting.summary(&leg.to).into_bytes(),
            )),
            ..OutRequest::new(leg.flow, "NOTIFY", leg.target, leg.to.clone(), leg.to)
        };
        legs.into_iter().map(notify).collect()
    }
}

/// Whether a phone has subscribed.
fn is_that(subscriber: &Subscriber, user: &str, leg: &OutboundLeg) -> bool {
    let own = matches!(&subscriber.origin, Origin::User(of) if **of == *user);
    own && is_from(leg, subscriber.flow, &subscriber.contact)
}

/// Whether a request comes from a phone: over the path of its REGISTER, unless that is a proxy's (RFC 3327), which others share; or from the same Contact.
fn is_from(leg: &OutboundLeg, flow: Flow, contact: &str) -> bool {
    (leg.routes.is_empty() && flow == leg.flow) || contact == leg.target
}

impl Waiting {
    /// RFC 3842 §5.2; the account is at the host of an address of record.
    pub fn summary(&self, aor: &str) -> String {
        let is_lit = if self.new > 0 { "yes" } else { "no" };
        let host = Uri::parse(aor.as_bytes()).map(|uri| uri.host_text());
        let account = match (&self.number, host) {
            (Some(number), Ok(host)) if !host.is_empty() => format!("sip:{number}@{host}"),
            _ => aor.to_owned(),
        };
        format!(
            "Messages-Waiting: {is_lit}\r\nMessage-Account: {account}\r\nVoice-Message: {}/{} (0/0)\r\n",
            self.new, self.saved
        )
    }
}

/// The number by which the messages of a box are heard.
pub fn access(config: &Config, mailbox: &str) -> Option<String> {
    let mut numbers = config.numbers.iter();
    let number = numbers.find(|number| leads_to(&number.destination, mailbox))?;
    let text = number.to.as_str();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'*' || byte == b'+';
    text.bytes().all(plain).then(|| text.to_owned())
}

fn leads_to(destination: &NumberDestination, mailbox: &str) -> bool {
    match destination {
        NumberDestination::VoicemailAccess(None) => true,
        NumberDestination::VoicemailAccess(Some(name)) => name == mailbox,
        _ => false,
    }
}

/// Whether `user` may watch `target`, the user part of a Request-URI: itself, the name or number of a box of its own, or a number by which that is heard.
///
/// # Errors
/// The status and the rule; whether another box is there is nobody's business.
pub(super) fn may_watch(
    config: &Config,
    user: &str,
    target: &str,
) -> Result<(), (u16, &'static str)> {
    let is_own = |each: &&VoicemailBox| each.endpoints.iter().any(|own| own == user);
    let own: Vec<&VoicemailBox> = config.voicemail.iter().filter(is_own).collect();
    if own.is_empty() {
        return Err((404, "no-mailbox"));
    }
    let called = config.endpoint_called(target);
    let is_itself = called.is_some_and(|endpoint| endpoint.user == user);
    let heard_by = |mailbox: &str| {
        let mut numbers = config.numbers.iter();
        numbers.any(|number| number.to.as_str() == target && leads_to(&number.destination, mailbox))
    };
    let meant = |each: &&VoicemailBox| {
        each.name == target || each.number.as_deref() == Some(target) || heard_by(&each.name)
    };
    match is_itself || own.iter().any(meant) {
        true => Ok(()),
        false => Err((403, "mailbox-of-another")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::Transport;

    #[test]
    fn a_summary_says_how_many_wait_and_where_they_are_heard() {
        let waiting = Waiting {
            new: 2,
            saved: 1,
            number: Some("*97".to_owned()),
        };
        let text = waiting.summary("sip:ann@pbx.example");
        assert_eq!(
            text,
            "Messages-Waiting: yes\r\nMessage-Account: sip:*97@pbx.example\r\nVoice-Message: 2/1 (0/0)\r\n"
        );
        let none = Waiting {
            new: 0,
            number: None,
            ..waiting
        };
        let text = none.summary("sip:ann@pbx.example");
        assert!(
            text.starts_with("Messages-Waiting: no\r\nMessage-Account: sip:ann@pbx.example\r\n")
        );
    }

    #[test]
    fn a_phone_is_known_by_its_path_or_contact_and_behind_a_proxy_by_its_contact() {
        let flow = |remote: &str| Flow {
            transport: Transport::Udp,
            local: "10.0.0.2:5060".parse().unwrap(),
            remote: remote.parse().unwrap(),
            connection: 0,
        };
        let (path, elsewhere) = (flow("10.0.0.1:5060"), flow("10.0.0.9:5060"));
        let (own, other) = ("sip:ann@10.1.0.1", "sip:ann@10.1.0.2");
        let text = String::new;
        for (proxied, from, contact, is) in [
            (false, path, own, true),
            (false, path, other, true),
            (false, elsewhere, own, true),
            (false, elsewhere, other, false),
            (true, path, own, true),
            (true, path, other, false),
        ] {
            let mut leg = OutboundLeg::new(path, own.to_owned(), text(), text(), text());
            if proxied {
                leg.routes = vec!["<sip:10.0.0.1;lr>".to_owned()];
            }
            let case = (proxied, from, contact);
            assert_eq!(is_from(&leg, from, contact), is, "{case:?}");
        }
    }

    #[test]
    fn messages_are_heard_by_the_number_that_leads_to_them() {
        let text = "[[voicemail]]\nname = \"a\"\n[[voicemail]]\nname = \"b\"\n\
                    [[number]]\nto = \"98\"\nvoicemail_access = \"b\"\n[[number]]\nto = \"*97\"\nvoicemail_access = \"own\"\n";
        let config = Config::from_str("t", text).unwrap();
        assert_eq!(access(&config, "a").as_deref(), Some("*97"));
        assert_eq!(access(&config, "b").as_deref(), Some("98"));
    }

    #[test]
    fn a_phone_watches_its_own_box_only() {
        let phone = |user, extension| {
            format!(
                "[[endpoint]]\nuser = {user:?}\nextension = {extension:?}\npassword = \"a long password\"\n"
            )
        };
        let text = phone("ann", "201")
            + &phone("bob", "202")
            + &phone("cid", "203")
            + "[[voicemail]]\nname = \"sales\"\nnumber = \"100\"\nendpoints = [\"ann\"]\n\
               [[voicemail]]\nname = \"home\"\nendpoints = [\"bob\", \"ann\"]\n\
               [[number]]\nto = \"*97\"\nvoicemail_access = \"own\"\n[[number]]\nto = \"*98\"\nvoicemail_access = \"home\"\n";
        let config = Config::from_str("t", &text).unwrap();
        for target in ["ann", "201", "sales", "100", "home", "*97", "*98"] {
            assert_eq!(may_watch(&config, "ann", target), Ok(()), "{target}");
        }
        for target in ["bob", "home", "*97", "*98"] {
            assert_eq!(may_watch(&config, "bob", target), Ok(()), "{target}");
        }
        for target in ["ann", "sales", "100", "nobody", ""] {
            let refused = Err((403, "mailbox-of-another"));
            assert_eq!(may_watch(&config, "bob", target), refused, "{target}");
        }
        let none = Err((404, "no-mailbox"));
        assert_eq!(may_watch(&config, "cid", "cid"), none);
    }
}
