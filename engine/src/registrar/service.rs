//! The task that answers requests which belong to no call: REGISTER by the table of phones; the others go on to
//! whoever takes them, a SUBSCRIBE only of a phone that may.
use super::counters::RegistrarCounters;
use super::lamps;
use super::location::Location;
use crate::net::sip::{Headers, IncomingRequest, SipHandle};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc};
use trunkline_sip::registrar::{Binding, Registered};
use trunkline_sip::{ALLOW, Flow, Method, Origin, Uri};

/// Who takes what is no REGISTER.
#[derive(Debug)]
pub struct Others {
    /// SUBSCRIBEs of phones for boxes of their own.
    pub subscriptions: mpsc::Sender<IncomingRequest>,
    /// All others.
    pub texts: mpsc::Sender<IncomingRequest>,
}

/// Answers until the SIP side ends.
pub async fn serve(
    location: Arc<Location>,
    sip: SipHandle,
    mut requests: mpsc::Receiver<IncomingRequest>,
    others: Others,
) {
    let mut closed = sip.closed_flows();
    let service = Service {
        location,
        sip,
        others,
    };
    loop {
        let deadline = service.location.table().next_timeout();
        tokio::select! {
            request = requests.recv() => match request {
                Some(request) => service.answer(request),
                None => return,
            },
            flow = closed.recv() => match flow {
                Ok(flow) => service.closed(flow),
                Err(RecvError::Closed) => return,
                Err(RecvError::Lagged(missed)) => service.missed(missed, &mut closed),
            },
            () = until(deadline) => service.expire(Instant::now()),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

struct Service {
    location: Arc<Location>,
    sip: SipHandle,
    others: Others,
}

impl Service {
    fn answer(&self, incoming: IncomingRequest) {
        match incoming.request.frame().method() {
            Some(Method::Register) => return self.register(&incoming),
            Some(Method::Subscribe) => return self.subscribe(incoming),
            _ => {}
        }
        match self.others.texts.try_send(incoming) {
            Ok(()) => {}
            Err(TrySendError::Full(incoming)) => {
                self.refuse(&incoming, 503, "message-queue-full", Vec::new());
            }
            Err(TrySendError::Closed(incoming)) => {
                self.refuse(&incoming, 405, "message-not-taken", allow());
            }
        }
    }

    fn subscribe(&self, incoming: IncomingRequest) {
        let Origin::User(user) = &incoming.origin else {
            return self.refuse(&incoming, 403, "subscribe-without-user", Vec::new());
        };
        let frame = incoming.request.frame();
        let target = frame.request_uri().and_then(|uri| Uri::parse(uri).ok());
        let target = target.and_then(|uri| uri.user_decoded());
        let target = String::from_utf8_lossy(&target.unwrap_or_default()).into_owned();
        let config = self.location.config();
        if let Err((status, rule)) = lamps::may_watch(&config, user, &target) {
            return self.refuse(&incoming, status, rule, Vec::new());
        }
        if let Err(lost) = self.others.subscriptions.try_send(incoming) {
            let (TrySendError::Full(lost) | TrySendError::Closed(lost)) = lost;
            self.refuse(&lost, 503, "subscribe-queue-full", Vec::new());
        }
    }

    fn register(&self, incoming: &IncomingRequest) {
        let frame = incoming.request.frame();
        let Origin::User(user) = &incoming.origin else {
            return self.refuse(incoming, 403, "register-without-user", Vec::new());
        };
        match self.location.register(user, incoming.flow, &frame) {
            Ok(done) => self.registered(incoming, user, done),
            Err(refused) => {
                let headers = owned(refused.headers);
                self.refuse(incoming, refused.status, refused.rule, headers);
            }
        }
    }

    fn registered(&self, incoming: &IncomingRequest, of: &Arc<str>, done: Registered) {
        let user: &str = of;
        let (added, removed) = (done.added, done.removed);
        let flow = &incoming.flow;
        if added + done.refreshed == 0 && removed > 0 {
            tracing::info!(user, remote = %flow.remote, transport = flow.transport.uri_param(), removed, "phone unregistered");
        } else if added + removed > 0 {
            tracing::info!(user, remote = %flow.remote, transport = flow.transport.uri_param(), added, removed, "phone registered");
        }
        if added + done.refreshed > 0 {
            self.sip.hold(incoming.flow);
        }
        RegistrarCounters::add(&self.location.counters.served, 1);
        self.sip.respond(incoming.id, 200, "", owned(done.headers));
        if added + done.refreshed > 0 {
            self.location.has_registered(of);
        }
        self.release_idle();
    }

    fn refuse(
        &self,
        incoming: &IncomingRequest,
        status: u16,
        rule: &'static str,
        headers: Headers,
    ) {
        self.location
            .refuse(&self.sip, incoming, status, rule, headers);
    }

    fn closed(&self, flow: Flow) {
        let lost = self.location.table().flow_closed(flow);
        RegistrarCounters::add(&self.location.counters.lost, lost.len());
        tell(
            &lost,
            "phone cannot be reached until it registers again: its connection ended",
        );
        // The connection is gone, and with it whatever held it.
        self.location.table().take_idle_flows();
    }

    /// Ends of connections were told faster than they were heard. Which ones is not known; calls over them fail at once, and their
    /// bindings end by time.
    fn missed(&self, missed: u64, closed: &mut broadcast::Receiver<Flow>) {
        tracing::warn!(
            missed,
            rule = "closed-flows-missed",
            "some phones whose connection ended are called in vain until they register again"
        );
        *closed = self.sip.closed_flows();
    }

    fn expire(&self, now: Instant) {
        let over = self.location.table().expire(now);
        RegistrarCounters::add(&self.location.counters.expired, over.len());
        tell(&over, "registration ran out: the phone did not refresh it");
        self.release_idle();
    }

    fn release_idle(&self) {
        let idle = self.location.table().take_idle_flows();
        idle.into_iter().for_each(|flow| self.sip.release(flow));
    }
}

fn tell(gone: &[Binding], why: &str) {
    for binding in gone {
        tracing::info!(user = %binding.user, remote = %binding.flow.remote, "{why}");
    }
}

fn owned(headers: Vec<(&'static str, String)>) -> Headers {
    headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn allow() -> Headers {
    vec![("Allow".to_owned(), ALLOW.to_owned())]
}
