//! Owns subscriptions of peers (RFC 6665): their dialogs, how long they last, and the NOTIFYs that tell what is new. Who may subscribe and what there is to
//! tell is the application's.
//!
//! NOTIFYs go over the path of the latest SUBSCRIBE, whatever its Contact says: nobody can point us at a third party, and phones behind address translators are reached. One
//! NOTIFY is on its way at a time; of what is new meanwhile only the latest is told.
//! Limits: [`Notifies::most`](super::Notifies::most) at a time, [`MOST_OF_ONE`] of one origin to one topic; each lasts [`LEAST_S`] to [`MOST_S`] and is forgotten with its connection.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::Event;
use super::gate::Origin;
use super::io::{TxId, Wake};
use super::outside::RequestId;
use super::requests::Request;
use super::screening::Refusal;
use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::header::HeaderId;
use crate::lex::{is_token, split_once, trim};
use crate::message::Frame;
use crate::method::Method;
use crate::params::Params;
use crate::timer::TimerKey;
use crate::transaction::key::Key;
use crate::wire::{contact, phrase};
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Shortest subscription, seconds; shorter ones get 423.
const LEAST_S: u32 = 60;
/// Longest subscription, seconds, and one that names no time (RFC 3842 §4.4).
const MOST_S: u32 = 3600;
/// Most subscriptions of one origin to one topic.
const MOST_OF_ONE: usize = 16;
/// Longest `id` of an Event header, octets.
const MAX_EVENT_ID: usize = 64;

/// One who has subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The name of the subscription: that of the request which began it.
    pub id: RequestId,
    /// Who it is; its refreshes come from nobody else.
    pub origin: Origin,
    /// The To URI of the first request.
    pub resource: String,
    /// The path of its latest SUBSCRIBE.
    pub flow: Flow,
    /// Its Contact URI.
    pub contact: String,
}

/// One subscription.
#[derive(Debug)]
struct Subscription {
    dialog: Dialog,
    origin: Origin,
    resource: String,
    topic: String,
    /// The Event header of its requests.
    event: String,
    body: Vec<u8>,
    until: Instant,
    timer: Option<TimerKey>,
    /// The NOTIFY on its way.
    notify: Option<TxId>,
    /// There is more to tell once that is answered.
    news: bool,
    /// Why it is over; what is still to be told is its end.
    over: Option<&'static str>,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_id: HashMap<TxId, Subscription>,
    /// Those that can be refreshed, by their dialog.
    by_dialog: HashMap<Key, TxId>,
    by_notify: HashMap<TxId, TxId>,
    by_topic: HashMap<String, BTreeSet<TxId>>,
    by_flow: BTreeSet<(Flow, TxId)>,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Entries of the indexes by topic and path.
    pub(super) fn indexed(&self) -> usize {
        self.by_topic.len() + self.by_flow.len()
    }

    pub(super) fn find(&self, dialog: &[u8]) -> Option<TxId> {
        self.by_dialog.get(dialog).copied()
    }

    /// Whether the dialog is one that goes on, and that number follows.
    pub(super) fn is_next(&self, id: TxId, number: u32) -> bool {
        let known = self.by_id.get(&id);
        known.is_some_and(|known| known.dialog.is_next(number))
    }

    /// Why there is no room for one more of that origin to that topic.
    fn is_full(&self, origin: &Origin, topic: &str, most: usize) -> Option<&'static str> {
        let own = self.on(topic).filter(|(_, each)| each.origin == *origin);
        match () {
            () if self.by_id.len() >= most => Some("subscription limit reached"),
            () if own.count() >= MOST_OF_ONE => Some("subscription limit of one origin reached"),
            () => None,
        }
    }

    /// Those to a topic, oldest first.
    fn on(&self, topic: &str) -> impl Iterator<Item = (TxId, &Subscription)> {
        let ids = self.by_topic.get(topic).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.by_id.get(id)?)))
    }

    /// Those that are told over `flow`, oldest first.
    fn on_flow(&self, flow: Flow) -> Vec<TxId> {
        let range = (flow, TxId(0))..=(flow, TxId(u64::MAX));
        self.by_flow.range(range).map(|(_, id)| *id).collect()
    }

    fn insert(&mut self, id: TxId, made: Subscription) {
        let topic = self.by_topic.entry(made.topic.clone()).or_default();
        topic.insert(id);
        self.by_flow.insert((made.dialog.path(), id));
        self.by_dialog.insert(made.dialog.key(), id);
        self.by_id.insert(id, made);
    }

    fn remove(&mut self, id: TxId) -> Option<Subscription> {
        let known = self.by_id.remove(&id)?;
        if let Some(topic) = self.by_topic.get_mut(&known.topic) {
            topic.remove(&id);
            if topic.is_empty() {
                self.by_topic.remove(&known.topic);
            }
        }
        self.by_flow.remove(&(known.dialog.path(), id));
        self.by_dialog.remove(&known.dialog.key());
        if let Some(notify) = known.notify {
            self.by_notify.remove(&notify);
        }
        Some(known)
    }
}

/// The Event header of a request when it names the package: as our NOTIFYs have it.
fn event(frame: &Frame<'_>, package: &str) -> Option<String> {
    let (named, params) = split_once(frame.header(HeaderId::Event)?, b';');
    if !trim(named).eq_ignore_ascii_case(package.as_bytes()) {
        return None;
    }
    let id = Params(params.unwrap_or_default()).value("id");
    match id {
        None => Some(package.to_owned()),
        Some(id) if is_token(id) && id.len() <= MAX_EVENT_ID => {
            Some(format!("{package};id={}", String::from_utf8_lossy(id)))
        }
        Some(_) => None,
    }
}

/// The Event header of our NOTIFYs, and for how many seconds it is asked; 0 ends it.
fn asked_for(frame: &Frame<'_>, package: &str) -> Result<(String, u32), Refusal> {
    let event = event(frame, package).ok_or_else(|| {
        let rule = "this event cannot be subscribed to";
        Refusal::with(489, rule, "Allow-Events", format!("{package}, refer"))
    })?;
    match frame.expires().unwrap_or(MOST_S).min(MOST_S) {
        1..LEAST_S => {
            let (rule, least) = ("subscription is too brief", LEAST_S.to_string());
            Err(Refusal::with(423, rule, "Min-Expires", least))
        }
        seconds => Ok((event, seconds)),
    }
}

/// RFC 6665 §8.2.3.
fn state(subscription: &Subscription, now: Instant) -> String {
    match subscription.over {
        Some(reason) => format!("terminated;reason={reason}"),
        None => {
            let left = subscription.until.saturating_duration_since(now);
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            format!("active;expires={seconds}")
        }
    }
}

impl Endpoint {
    /// Why a SUBSCRIBE without a dialog is not handed to the application.
    pub(super) fn not_subscribable(&self, frame: &Frame<'_>) -> Option<Refusal> {
        match &self.config.notifies {
            Some(notifies) => asked_for(frame, notifies.package).err(),
            // REFER within a call is the only way to subscribe to anything.
            None => Some(Refusal::with(
                489,
                "no event can be subscribed to",
                "Allow-Events",
                "refer",
            )),
        }
    }

    /// Accepts a SUBSCRIBE of [`Event::Request`]: 200, and a NOTIFY with `body` at once and after each [`Endpoint::notify`]. The request names the subscription from
    /// now on; `topic` is what [`Endpoint::subscribers`] finds it by. One that the same phone began before, and has forgotten, ends unheard.
    /// Answered by 400 or 503 where it cannot be; nothing happens when it is answered or forgotten.
    pub fn accept_subscription(
        &mut self,
        now: Instant,
        id: RequestId,
        origin: Origin,
        topic: String,
        body: Vec<u8>,
    ) {
        let tx = TxId(id.0);
        let (Some(entry), Some(notifies)) = (self.servers.of(tx), self.config.notifies) else {
            return;
        };
        let (request, flow, tag) = (entry.request.clone(), entry.flow, entry.tag);
        let frame = request.frame();
        let asked = asked_for(&frame, notifies.package);
        let dialog = Dialog::uas(&frame, tag.as_bytes(), flow);
        let (asked, dialog) = match (asked, dialog) {
            (Ok(asked), Ok(dialog)) => (asked, dialog),
            (Err(refusal), _) => return self.refuse_tx(now, tx, &refusal),
            (_, Err(rule)) => return self.refuse_tx(now, tx, &Refusal::new(400, rule)),
        };
        let resource = frame.to().map(|to| to.uri.as_bytes()).unwrap_or_default();
        let mut made = Subscription {
            origin,
            resource: String::from_utf8_lossy(resource).into_owned(),
            dialog,
            topic,
            event: asked.0,
            body,
            until: now,
            timer: None,
            notify: None,
            news: false,
            over: None,
        };
        made.dialog.stay_on_path();
        let is_same = |each: &Subscription| {
            each.origin == made.origin
                && each.dialog.target() == made.dialog.target()
                && each.dialog.path() == flow
        };
        let known = self.subscriptions.on(&made.topic);
        let same = known.filter(|(_, each)| is_same(each));
        for old in same.map(|(id, _)| id).collect::<Vec<_>>() {
            self.forget_subscription(old, "replaced");
        }
        let known = &mut self.subscriptions;
        if let Some(rule) = known.is_full(&made.origin, &made.topic, notifies.most) {
            let refusal = Refusal::with(503, rule, "Retry-After", LEAST_S.to_string());
            return self.refuse_tx(now, tx, &refusal);
        }
        known.insert(tx, made);
        self.grant(now, tx, tx, asked.1);
    }

    /// Those who have subscribed to a topic, in their order.
    pub fn subscribers(&self, topic: &str) -> Vec<Subscriber> {
        let known = self.subscriptions.on(topic);
        let of = |(id, each): (TxId, &Subscription)| Subscriber {
            id: RequestId(id.0),
            origin: each.origin.clone(),
            resource: each.resource.clone(),
            flow: each.dialog.path(),
            contact: each.dialog.target().to_owned(),
        };
        let live = known.filter(|(_, each)| each.over.is_none());
        live.map(of).collect()
    }

    /// Tells a subscriber what is true now, unless it knows; `None`: there is nothing to subscribe to any more. Nothing happens when the subscription is over.
    pub fn notify(&mut self, now: Instant, id: RequestId, body: Option<Vec<u8>>) {
        let id = TxId(id.0);
        let Some(body) = body else {
            return self.end_subscription(now, id, "noresource");
        };
        if let Some(known) = self.subscriptions.by_id.get_mut(&id)
            && known.over.is_none()
            && known.body != body
        {
            known.body = body;
            self.tell_state(now, id);
        }
    }

    /// A SUBSCRIBE of that number, which is the next, within the dialog of a subscription: it goes on, or ends (§4.2.1.4). Who sends it is asked each time.
    pub(super) fn resubscribe(
        &mut self,
        now: Instant,
        request: &Request<'_, '_>,
        id: TxId,
        number: u32,
    ) {
        let (flow, frame) = (request.flow, request.frame);
        let Some(origin) = self.pass_gate(now, flow, frame) else {
            return;
        };
        let package = self.config.notifies.map_or("", |notifies| notifies.package);
        let asked = asked_for(frame, package);
        let Subscriptions { by_id, by_flow, .. } = &mut self.subscriptions;
        let Some(known) = by_id.get_mut(&id) else {
            return;
        };
        let seconds = match asked {
            _ if known.origin != origin => {
                let refusal = Refusal::new(403, "subscription is another's");
                return self.refuse(flow, frame, &refusal);
            }
            Err(refusal) => return self.refuse(flow, frame, &refusal),
            Ok((_, seconds)) => seconds,
        };
        known.dialog.accept_cseq(number);
        by_flow.remove(&(known.dialog.path(), id));
        known.dialog.heard_on(flow);
        by_flow.insert((known.dialog.path(), id));
        known.dialog.refresh(frame);
        let tag = self.stateless_tag(frame);
        let tx = self.open_server(now, request, None, tag);
        self.grant(now, tx, id, seconds);
    }

    /// 200, and what is true now.
    fn grant(&mut self, now: Instant, tx: TxId, id: TxId, seconds: u32) {
        if let Some(builder) = self.dialog_response(tx, 200, phrase(200)) {
            let bytes = builder.header("Expires", seconds.to_string()).finish();
            self.servers.respond(&mut self.io, now, tx, 200, bytes);
        }
        if seconds == 0 {
            return self.end_subscription(now, id, "timeout");
        }
        let Some(known) = self.subscriptions.by_id.get_mut(&id) else {
            return;
        };
        let life = Duration::from_secs(seconds.into());
        known.until = now + life;
        let timer = self.io.timers.arm(now, life, Wake::Subscription(id));
        if let Some(old) = known.timer.replace(timer) {
            self.io.timers.cancel(old);
        }
        self.tell_state(now, id);
    }

    /// It was not refreshed.
    pub(super) fn subscription_expired(&mut self, now: Instant, id: TxId) {
        if let Some(known) = self.subscriptions.by_id.get_mut(&id) {
            known.timer = None;
        }
        self.end_subscription(now, id, "timeout");
    }

    /// It ends with a last NOTIFY.
    fn end_subscription(&mut self, now: Instant, id: TxId, reason: &'static str) {
        let Some(known) = self.subscriptions.by_id.get_mut(&id) else {
            return;
        };
        if known.over.is_some() {
            return;
        }
        known.over = Some(reason);
        let key = known.dialog.key();
        if let Some(timer) = known.timer.take() {
            self.io.timers.cancel(timer);
        }
        self.subscriptions.by_dialog.remove(&key);
        self.tell_state(now, id);
    }

    /// Sends a NOTIFY, unless one is on its way.
    fn tell_state(&mut self, now: Instant, id: TxId) {
        let (Some(known), Some(notifies)) =
            (self.subscriptions.by_id.get_mut(&id), self.config.notifies)
        else {
            return;
        };
        known.news = known.notify.is_some();
        if known.news {
            return;
        }
        let branch = self.io.identity.token();
        let advertise = &self.config.advertise;
        let (builder, flow) = known.dialog.request("NOTIFY", None, advertise, &branch);
        let bytes = builder
            .header("Contact", contact(advertise, &flow, None))
            .header("Event", &known.event)
            .header("Subscription-State", state(known, now))
            .header("User-Agent", &self.config.server_name)
            .body(notifies.content_type, &known.body)
            .finish();
        let send = Send {
            method: Method::Notify,
            branch,
            bytes,
            flow,
            purpose: Purpose::Subscription,
            leg: None,
        };
        known.notify = self.clients.open(&mut self.io, now, send);
        match known.notify {
            Some(notify) => drop(self.subscriptions.by_notify.insert(notify, id)),
            None => self.forget_subscription(id, "unfit"),
        }
    }

    /// A NOTIFY has its final response, or none in time (`status` 408): after a refused one there is nobody to tell (§4.2.2).
    pub(super) fn subscriber_told(&mut self, now: Instant, notify: TxId, status: u16) {
        if status < 200 {
            return;
        }
        let Some(id) = self.subscriptions.by_notify.remove(&notify) else {
            return;
        };
        let Some(known) = self.subscriptions.by_id.get_mut(&id) else {
            return;
        };
        known.notify = None;
        match known.over {
            _ if status >= 300 => self.forget_subscription(id, "refused"),
            _ if known.news => self.tell_state(now, id),
            Some(reason) => self.forget_subscription(id, reason),
            None => {}
        }
    }

    /// Those whose connection is gone cannot be told: they subscribe anew.
    pub(super) fn subscribers_unreachable(&mut self, flow: Flow) {
        for id in self.subscriptions.on_flow(flow) {
            self.forget_subscription(id, "unreachable");
        }
    }

    fn forget_subscription(&mut self, id: TxId, reason: &'static str) {
        let Some(known) = self.subscriptions.remove(id) else {
            return;
        };
        if let Some(timer) = known.timer {
            self.io.timers.cancel(timer);
        }
        self.io.tell(Event::SubscriptionEnded {
            origin: known.origin,
            flow: known.dialog.path(),
            reason,
        });
    }
}
