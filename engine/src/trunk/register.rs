//! Keeps a trunk registered: sends REGISTER where the timetable says, moves on to the next address when one fails, registers
//! anew when the connection is lost, and takes the binding back at the end.
//!
//! Limits: one REGISTER at a time; [`MAX_ADDRESSES`] addresses per round.
use super::counters::TrunkCounters;
use super::identity::escaped;
use super::outcome_heard;
use super::registration::{Answer, Meaning, Timetable};
use super::state::{Binding, Registration, ShownHop, TrunkState};
use super::targets::Probe;
use super::{Hop, TrunkNet};
use crate::config::Register;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use trunkline_sip::{Flow, OutContact, OutRequest, Series};

/// Most addresses tried before waiting.
const MAX_ADDRESSES: usize = 16;
/// The longest a registrar may take for one address when there is no other: a whole transaction with its retries.
const PATIENCE: Duration = Duration::from_secs(100);
/// How long a registrar may take to let us go.
const FAREWELL: Duration = Duration::from_secs(5);
/// A connection that is lost sooner than this after it was registered on is not made anew at once.
const STEADY: Duration = Duration::from_secs(60);
/// The longest wait after connections that are lost again and again.
const LOSS_MOST: Duration = Duration::from_secs(120);

/// The registration of one trunk.
pub(super) struct Registrar {
    state: Arc<TrunkState>,
    net: TrunkNet,
    timetable: Option<Timetable>,
    series: Option<Series>,
    /// User part of our Contact.
    user: String,
    closed: broadcast::Receiver<Flow>,
    /// The path of the registration in force.
    path: Option<(Flow, Hop)>,
    /// What was said last about why there is none.
    said: Option<String>,
    /// Connections lost soon after registering on them, in a row.
    losses: u32,
}

/// Why a whole round failed.
struct Failed {
    why: String,
    refused: bool,
}

impl Registrar {
    pub(super) fn new(state: Arc<TrunkState>, net: TrunkNet) -> Self {
        let register = state.config.register.as_ref();
        let login = state.config.login.as_ref();
        // A binding of before a reload is ours to refresh, and to take back.
        let path = state.binding().and_then(|binding| {
            let flow = net.sip.flow_to(&binding.hop).ok()?;
            Some((flow, binding.hop))
        });
        Registrar {
            timetable: register.map(|register| Timetable::new(register.expires)),
            user: login
                .map(|login| escaped(&login.username))
                .unwrap_or_default(),
            closed: net.sip.closed_flows(),
            series: None,
            path,
            said: None,
            losses: 0,
            state,
            net,
        }
    }

    /// Registers for ever; a trunk that does not register waits for ever.
    pub(super) async fn keep(&mut self) {
        let Some(register) = self.state.config.register.clone() else {
            return std::future::pending().await;
        };
        loop {
            match self.round(&register).await {
                Ok(refresh_at) => self.hold(refresh_at).await,
                Err(failed) => {
                    let timetable = self.timetable.as_mut();
                    let wait = timetable.map_or(PATIENCE, |t| t.wait(failed.refused, lot()));
                    self.missing(&failed.why, wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Takes the binding back (RFC 3261 §10.2.2), if there is one.
    pub(super) async fn take_back(&mut self) {
        let (Some(register), Some((flow, hop))) =
            (self.state.config.register.clone(), self.path.take())
        else {
            return;
        };
        let request = self.request(&register, flow, 0);
        let farewell = tokio::time::timeout(FAREWELL, self.net.sip.request(request)).await;
        let trunk = self.state.name();
        match farewell {
            Ok(Ok(outcome)) if (200..300).contains(&outcome.status) => {
                tracing::info!(trunk, registrar = %ShownHop(&hop), "registration taken back");
            }
            _ => {
                tracing::info!(trunk, registrar = %ShownHop(&hop), "registration could not be taken back; it runs out by itself")
            }
        }
    }

    /// Waits until it is time to refresh, or the connection is lost.
    async fn hold(&mut self, refresh_at: Instant) {
        let begun = Instant::now();
        let Some((flow, hop)) = self.path.clone() else {
            return;
        };
        let lost = async {
            loop {
                match self.closed.recv().await {
                    Ok(closed) if closed == flow => return,
                    Ok(_) => {}
                    // What was missed may have been ours.
                    Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(refresh_at.into()) => {
                self.losses = 0;
                return;
            }
            () = lost, if flow.transport.is_reliable() => {}
        }
        if begun.elapsed() > STEADY {
            self.losses = 0;
        }
        let wait = match self.losses {
            0 => Duration::ZERO,
            losses => Duration::from_secs(1 << losses.min(10)).min(LOSS_MOST) / 2,
        };
        self.losses += 1;
        tracing::info!(trunk = self.state.name(), registrar = %ShownHop(&hop), wait_s = wait.as_secs(), "connection to the registrar is lost; registering anew");
        tokio::time::sleep(wait).await;
    }

    /// Tries every address once. When to refresh.
    async fn round(&mut self, register: &Register) -> Result<Instant, Failed> {
        let mut failed = Failed {
            why: "its name stands for no address".to_owned(),
            refused: false,
        };
        let mut hops = self.hops(register).await.map_err(|why| Failed {
            why,
            refused: false,
        })?;
        while !hops.is_empty() {
            let hop = hops.remove(0);
            let limit = match hops.is_empty() {
                true => PATIENCE,
                false => self.state.config.failover_timeout,
            };
            match self.at(register, &hop, limit).await {
                Meaning::Held {
                    until,
                    refresh_at,
                    service_route,
                } => {
                    let binding = Binding {
                        hop,
                        service_route,
                        until,
                    };
                    self.held(binding);
                    return Ok(refresh_at);
                }
                Meaning::AskLonger => hops.insert(0, hop),
                Meaning::Elsewhere(why) => {
                    failed.why = format!("{}: {why}", ShownHop(&hop));
                }
                // All addresses of a registrar know the same users.
                Meaning::Refused(why) => {
                    let why = format!("{}: {why}", ShownHop(&hop));
                    return Err(Failed { why, refused: true });
                }
            }
        }
        Err(failed)
    }

    /// One REGISTER and what its answer means.
    async fn at(&mut self, register: &Register, hop: &Hop, limit: Duration) -> Meaning {
        let Some(timetable) = &mut self.timetable else {
            return Meaning::Refused("not configured".to_owned());
        };
        let flow = match self.net.sip.flow_to(hop) {
            Ok(flow) => flow,
            Err(error) => return Meaning::Elsewhere(error.to_string()),
        };
        let expires = timetable.expires();
        let request = self.request(register, flow, expires);
        // One that is given up leaves its numbers unknown: the next REGISTER begins a series of its own.
        self.series = None;
        let sent = tokio::time::timeout(limit, self.net.sip.request(request)).await;
        let now = Instant::now();
        let outcome = match sent {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => return Meaning::Elsewhere(format!("not sent: {error}")),
            Err(_) => return Meaning::Elsewhere("no answer".to_owned()),
        };
        let (status, response) = (outcome.status, outcome.response.as_ref());
        self.state
            .heard(now, hop, Probe::Register, outcome_heard(status, response));
        self.series = Some(outcome.series);
        let answer = Answer {
            status,
            response,
            refused: outcome.refused.as_ref(),
        };
        let meaning = match &mut self.timetable {
            Some(timetable) => timetable.learn(now, &answer, &self.user, lot()),
            None => Meaning::Refused("not configured".to_owned()),
        };
        if matches!(meaning, Meaning::Held { .. }) {
            self.path = Some((flow, hop.clone()));
        }
        meaning
    }

    fn request(&mut self, register: &Register, flow: Flow, expires: u32) -> OutRequest {
        let own = self.state.own_address();
        let params = if expires == 0 { ";expires=0" } else { "" };
        OutRequest {
            contact: Some(OutContact {
                user: Some(self.user.clone()),
                params: params.to_owned(),
            }),
            headers: vec![("Expires".to_owned(), expires.to_string())],
            credentials: self.state.credentials.clone(),
            series: self.series.clone(),
            ..OutRequest::new(
                flow,
                "REGISTER",
                register.registrar.to_string(),
                own.clone(),
                own,
            )
        }
    }

    /// The addresses to try: the one in use, those of the registrar, and where that is one of the targets, those of the others.
    async fn hops(&self, register: &Register) -> Result<Vec<Hop>, String> {
        let looked_up = self.net.hops(&register.registrar).await;
        let targets = &self.state.config.targets;
        let mut hops = looked_up.as_ref().cloned().unwrap_or_default();
        if targets
            .iter()
            .any(|target| target.uri == register.registrar)
        {
            for target in targets.iter().filter(|to| to.uri != register.registrar) {
                hops.extend(self.net.hops(&target.uri).await.unwrap_or_default());
            }
        }
        if let Some((_, current)) = &self.path {
            hops.sort_by_key(|hop| hop != current);
        }
        hops.dedup();
        hops.truncate(MAX_ADDRESSES);
        match (hops.is_empty(), looked_up) {
            (true, Err(error)) => Err(format!("{} is not found: {error}", register.registrar)),
            _ => Ok(hops),
        }
    }

    fn held(&mut self, binding: Binding) {
        let trunk = self.state.name();
        let valid_s = binding
            .until
            .saturating_duration_since(Instant::now())
            .as_secs();
        let registrar = ShownHop(&binding.hop).to_string();
        let before = {
            let mut live = self.state.live();
            std::mem::replace(&mut live.registration, Registration::Held(binding.clone()))
        };
        match before {
            Registration::Held(before) if before.hop == binding.hop && self.said.is_none() => {
                tracing::debug!(trunk, registrar, valid_s, "registration refreshed");
            }
            _ => tracing::info!(trunk, registrar, valid_s, "registered"),
        }
        self.said = None;
        self.state.teach();
        self.state.changed();
    }

    fn missing(&mut self, why: &str, wait: Duration) {
        TrunkCounters::count(&self.state.counters.registrations_failed);
        let (trunk, next_s) = (self.state.name(), wait.as_secs());
        let left = {
            let mut live = self.state.live();
            match &live.registration {
                Registration::Held(binding) if binding.until > Instant::now() => {
                    Some(binding.until.saturating_duration_since(Instant::now()))
                }
                _ => {
                    live.registration = Registration::Missing(why.to_owned());
                    None
                }
            }
        };
        let state = left.map_or("not registered", |_| "registration could not be refreshed");
        let news = format!("{state}: {why}");
        // One line per change, not one per try.
        if self.said.as_ref() != Some(&news) {
            match left {
                Some(left) => {
                    let left_s = left.as_secs();
                    tracing::warn!(
                        trunk,
                        rule = "registration-failed",
                        next_s,
                        left_s,
                        "{news}; calls go on until it runs out"
                    );
                }
                None => {
                    tracing::warn!(
                        trunk,
                        rule = "registration-failed",
                        next_s,
                        "{news}; calls out are refused until it succeeds"
                    );
                }
            }
            self.said = Some(news);
        }
        self.state.changed();
    }
}

/// A random number.
fn lot() -> u32 {
    getrandom::u32().unwrap_or_default()
}
