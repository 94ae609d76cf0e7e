//! Phones that subscribe to their voicemail box (RFC 3842): told at once, of each change and at the end, in that dialog and nowhere else.
use crate::baresip::Baresip;
use crate::message::Message;
use crate::phone::{Phone, unique};
use crate::reload::write;
use crate::server::Server;
use crate::voicemail::{leaves_a_message, serving};

const EVENT: &str = "Event: message-summary\r\n";

/// A phone and its subscription.
struct Subscription<'a> {
    server: &'a Server,
    phone: &'a Phone,
    uri: String,
    call_id: String,
    cseq: u32,
}

impl<'a> Subscription<'a> {
    fn of(server: &'a Server, phone: &'a Phone, target: &str) -> Self {
        Self {
            server,
            phone,
            uri: format!("sip:{target}@{}", server.sip()),
            call_id: unique("call"),
            cseq: 1,
        }
    }

    /// A SUBSCRIBE, the first without the To of an answer.
    #[track_caller]
    fn ask(&mut self, to: Option<&str>, headers: &str) -> Message {
        let dialog = (&*self.call_id, to, &mut self.cseq);
        self.phone
            .ask(self.server, "SUBSCRIBE", &self.uri, dialog, headers)
    }

    /// Waits until the phone is told, and answers. It is told nowhere else.
    #[track_caller]
    fn told(&self, state: &str, counts: &str) -> Message {
        let notify = self
            .phone
            .wait("NOTIFY", |message| message.method() == "NOTIFY");
        self.phone.respond(self.server.sip(), &notify, "200 OK", "");
        assert_eq!(notify.header("Call-ID"), Some(&*self.call_id));
        assert_eq!(notify.header("Event"), Some("message-summary"));
        let said = notify.header("Subscription-State").expect("a state");
        assert!(said.starts_with(state), "{said}");
        let body = &notify.body;
        assert!(
            body.contains(&format!("Voice-Message: {counts} ")),
            "{body}"
        );
        assert!(body.contains("Message-Account: sip:*97@"), "{body}");
        notify
    }
}

#[test]
fn a_phone_that_subscribes_is_told_in_its_dialog_until_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serving(folder.path());
    let ann = Phone::of(&server, "ann", "secret-of-ann");
    let mut subscription = Subscription::of(&server, &ann, "ann");
    let answer = subscription.ask(None, &format!("{EVENT}Expires: 600\r\n"));
    assert_eq!(answer.status(), 200, "{}", answer.start);
    assert_eq!(answer.header("Expires"), Some("600"));
    let to = answer.header("To").expect("To").to_owned();
    assert!(to.contains(";tag="), "{to}");
    let notify = subscription.told("active;expires=", "0/0");
    assert_eq!(notify.header("From"), Some(&*to));

    // A lamp that is told in a dialog is not told besides.
    ann.register(&server);
    let mut bob = leaves_a_message(&server, "bob");
    bob.wait_said();
    bob.hang_up();
    subscription.told("active;expires=", "1/0");
    server.wait_metrics("one subscription", |metrics| {
        metrics.sum("trunkline_sip_subscriptions") == 1.0
    });

    let brief = subscription.ask(Some(&to), &format!("{EVENT}Expires: 30\r\n"));
    assert_eq!(brief.status(), 423, "{}", brief.start);
    assert_eq!(brief.header("Min-Expires"), Some("60"));
    let longer = subscription.ask(Some(&to), &format!("{EVENT}Expires: 7200\r\n"));
    assert_eq!(longer.header("Expires"), Some("3600"), "{}", longer.start);
    subscription.told("active;expires=3600", "1/0");
    let ended = subscription.ask(Some(&to), &format!("{EVENT}Expires: 0\r\n"));
    assert_eq!(ended.status(), 200, "{}", ended.start);
    subscription.told("terminated;reason=timeout", "1/0");
    let late = subscription.ask(Some(&to), EVENT);
    assert_eq!(late.status(), 481, "{}", late.start);
    server.wait_metrics("no subscription", |metrics| {
        let ended = "trunkline_sip_subscriptions_ended_total";
        metrics.sum("trunkline_sip_subscriptions") == 0.0
            && metrics.labelled(ended, "reason=\"timeout\"") == 1.0
    });

    // The box is given to somebody else.
    let mut subscription = Subscription::of(&server, &ann, "sales");
    assert_eq!(subscription.ask(None, EVENT).status(), 200);
    subscription.told("active;expires=", "1/0");
    write(&server, |text| {
        text.replace("endpoints = [\"ann\"]", "endpoints = [\"bob\"]")
    });
    subscription.told("terminated;reason=noresource", "1/0");
}

#[test]
fn nobody_watches_the_box_of_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serving(folder.path());
    let of = |user: &str| Phone::of(&server, user, &format!("secret-of-{user}"));
    for (user, target, headers, status) in [
        ("ann", "100", EVENT, 200),
        ("ann", "*97", EVENT, 200),
        ("ann", "bob", EVENT, 403),
        ("bob", "bob", EVENT, 404),
        ("ann", "ann", "Event: presence\r\n", 489),
    ] {
        let phone = of(user);
        let answer = Subscription::of(&server, &phone, target).ask(None, headers);
        assert_eq!(answer.status(), status, "{user} {target}: {}", answer.start);
    }
    // Without a password there is nothing.
    let stranger = Phone::new();
    let answer = stranger.request(server.sip(), "SUBSCRIBE", "ann", "", |text| {
        text.replace("Content-Length", &format!("{EVENT}Content-Length"))
    });
    assert_eq!(answer.status(), 401, "{}", answer.start);
    let metrics = server.metrics();
    for rule in ["mailbox-of-another", "no-mailbox"] {
        let refused = "trunkline_phone_requests_refused_total";
        let label = format!("rule=\"{rule}\"");
        assert_eq!(metrics.labelled(refused, &label), 1.0, "{rule}");
    }
}

#[test]
fn baresip_shows_how_many_messages_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serving(folder.path());
    let account = format!(
        "<sip:ann@{};transport=udp>;auth_pass=secret-of-ann;regint=60;mwi=yes",
        server.sip()
    );
    // Its module walks the list it adds to when an account has registered within its first millisecond: this one comes later.
    let none = "<sip:none@127.0.0.1>;regint=0;mwi=no";
    let mut ann = Baresip::with_account(&[], none, "module_app mwi.so\n");
    ann.command("uanew", &account);
    let mut shows = |counts: &str| {
        ann.wait_event_with("MWI_NOTIFY", &format!("Voice-Message: {counts} "));
    };
    shows("0/0");
    let mut bob = leaves_a_message(&server, "bob");
    bob.wait_said();
    bob.hang_up();
    shows("1/0");
    let metrics = server.metrics();
    assert_eq!(metrics.sum("trunkline_sip_subscriptions"), 1.0);
    ann.quit();
    server.wait_metrics("the end of the subscription", |metrics| {
        metrics.sum("trunkline_sip_subscriptions") == 0.0
    });
}
