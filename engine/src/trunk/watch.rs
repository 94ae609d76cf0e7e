//! The watch over one trunk's targets: looks their names up again and again, and asks each hop for life by OPTIONS.
//!
//! It decides nothing; [`Targets`](super::targets::Targets) says what is due and learns from the answers. Limits: one look-up per
//! target and one OPTIONS per hop at a time.
use super::state::{ShownHop, TrunkState, host_of};
use super::targets::{Choice, Heard, Probe};
use super::{Hop, TrunkNet, outcome_heard};
use crate::config::TrunkUri;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use trunkline_sip::OutRequest;

/// How often a name is looked up; the resolver answers from its cache while the records live.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);
/// A moment that does not come.
const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// What one of the watch's errands brought home.
enum Errand {
    LookedUp(usize, Result<Vec<Hop>, String>),
    Asked(Hop, Option<Heard>),
}

/// Watches until it is dropped.
pub(super) async fn watch(state: Arc<TrunkState>, net: TrunkNet) {
    let mut watch = Watch {
        failing: vec![false; state.config.targets.len()],
        errands: JoinSet::new(),
        look_up_at: Some(Instant::now()),
        state,
        net,
    };
    loop {
        watch.begin(Instant::now());
        let wake = watch.next_deadline();
        tokio::select! {
            Some(done) = watch.errands.join_next() => {
                // A look-up or question that panicked says nothing; it is asked again at its time.
                if let Ok(errand) = done {
                    watch.learn(errand);
                }
            }
            () = tokio::time::sleep_until(wake.into()) => {}
            () = watch.state.sooner.notified() => {}
        }
    }
}

struct Watch {
    state: Arc<TrunkState>,
    net: TrunkNet,
    errands: JoinSet<Errand>,
    /// When names are looked up next; `None`: look-ups are on their way.
    look_up_at: Option<Instant>,
    /// Targets whose last look-up failed.
    failing: Vec<bool>,
}

impl Watch {
    /// Starts what is due.
    fn begin(&mut self, now: Instant) {
        if self.look_up_at.is_some_and(|at| at <= now) {
            self.look_up_at = None;
            for (index, target) in self.state.config.targets.iter().enumerate() {
                let (net, uri) = (self.net.clone(), target.uri.clone());
                self.errands
                    .spawn(async move { Errand::LookedUp(index, net.hops(&uri).await) });
            }
        }
        let due = self.state.live().targets.due(now);
        for Choice { target, hop } in due {
            let (net, state) = (self.net.clone(), self.state.clone());
            let uri = self.state.config.targets[target].uri.clone();
            self.errands.spawn(async move {
                let heard = ask(&net, &state, &uri, &hop).await;
                Errand::Asked(hop, heard)
            });
        }
    }

    fn next_deadline(&self) -> Instant {
        let probe = self.state.live().targets.next_probe();
        let next = probe.into_iter().chain(self.look_up_at).min();
        next.unwrap_or_else(|| Instant::now() + NEVER)
    }

    fn learn(&mut self, errand: Errand) {
        let now = Instant::now();
        match errand {
            Errand::LookedUp(target, hops) => self.looked_up(now, target, hops),
            Errand::Asked(hop, Some(heard)) => self.state.heard(now, &hop, Probe::Options, heard),
            Errand::Asked(hop, None) => self.state.live().targets.unasked(now, &hop),
        }
    }

    fn looked_up(&mut self, now: Instant, target: usize, hops: Result<Vec<Hop>, String>) {
        self.look_up_at = Some(now + LOOK_UP_EVERY);
        let (trunk, uri) = (self.state.name(), &self.state.config.targets[target].uri);
        let failed_before = std::mem::replace(&mut self.failing[target], hops.is_err());
        match hops {
            Ok(hops) => {
                if failed_before {
                    tracing::info!(trunk, target = %uri, "target's name is found again");
                }
                self.state.live().targets.resolved(now, target, hops);
                self.state.teach();
                self.state.changed();
            }
            // What was found before stays in use.
            Err(error) if !failed_before => {
                tracing::warn!(trunk, target = %uri, rule = "target-not-found", error, "target's name is not found; addresses found before stay in use");
            }
            Err(_) => {}
        }
    }
}
/// One OPTIONS (RFC 3261 §11): any response is a sign of life. It carries no credentials.
async fn ask(net: &TrunkNet, state: &TrunkState, uri: &TrunkUri, hop: &Hop) -> Option<Heard> {
    let flow = match net.sip.flow_to(hop) {
        Ok(flow) => flow,
        Err(error) => {
            tracing::debug!(trunk = state.name(), target = %ShownHop(hop), %error, "no path for OPTIONS");
            return Some(Heard::TransportError);
        }
    };
    let to = format!("<sip:{}>", host_of(uri));
    let request = OutRequest::new(flow, "OPTIONS", uri.to_string(), state.own_address(), to);
    let answer = net.sip.request(request);
    match tokio::time::timeout(state.config.failover_timeout, answer).await {
        Ok(Ok(outcome)) => Some(outcome_heard(outcome.status, outcome.response.as_ref())),
        Ok(Err(error)) => {
            tracing::debug!(trunk = state.name(), target = %ShownHop(hop), %error, "OPTIONS not sent");
            None
        }
        Err(_) => Some(Heard::Silence),
    }
}
