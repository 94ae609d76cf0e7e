//! What is known about one trunk, shared by its task, which learns it, and the calls, which use it.
//!
//! Its one lock is held for look-ups and notes only, never while anything is awaited.
use super::counters::TrunkCounters;
use super::identity::{escaped, identity};
use super::limits::Meter;
use super::numbers::rewritten;
use super::targets::{Change, Choice, Heard, Probe, Targets};
use super::{Hop, Refused, TrunkCall};
use crate::config::{Target, Trunk, TrunkUri};
use crate::net::sip::SipHandle;
use crate::route::numbering::normalised;
use crate::route::terms::encodings;
use crate::route::{CallerIdentity, LearnedPeers, OutboundLeg, Place};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use trunkline_sip::digest::Credentials;

/// Longest number or name that is dialled.
const MAX_NUMBER: usize = 64;
/// What callers are told to wait while we are not registered.
const REGISTER_RETRY: Duration = Duration::from_secs(10);

/// One trunk.
pub(super) struct TrunkState {
    pub(super) config: Trunk,
    pub(super) credentials: Option<Arc<Credentials>>,
    pub(super) meter: Arc<Meter>,
    pub(super) counters: Arc<TrunkCounters>,
    /// Told from where the trunk may call us.
    learned: Arc<LearnedPeers>,
    /// Wakes the task: an OPTIONS may be due sooner than it thought.
    pub(super) sooner: Notify,
    /// Counts what changed.
    changes: watch::Sender<u64>,
    live: Mutex<Live>,
}

/// What a trunk keeps when its configuration changes.
pub(super) struct Kept {
    pub(super) credentials: Option<Arc<Credentials>>,
    pub(super) meter: Arc<Meter>,
    pub(super) counters: Arc<TrunkCounters>,
    /// What is known about its targets, when they are the same.
    pub(super) targets: Option<Targets>,
    /// Its registration in force, when it is the same.
    pub(super) binding: Option<Binding>,
}

impl std::fmt::Debug for TrunkState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("TrunkState");
        shown
            .field("name", &self.config.name)
            .finish_non_exhaustive()
    }
}

/// What changes.
pub(super) struct Live {
    pub(super) targets: Targets,
    pub(super) registration: Registration,
}

/// Whether the far end knows where we are.
#[derive(Debug, Clone)]
pub(super) enum Registration {
    /// It need not.
    NotUsed,
    /// It does not, and why.
    Missing(String),
    /// It does.
    Held(Binding),
}

/// A registration in force.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    /// The hop that took it: calls go there first.
    pub(super) hop: Hop,
    /// Route headers of requests to the registrar's domain (RFC 3608).
    pub(super) service_route: Vec<String>,
    pub(super) until: Instant,
}

impl TrunkState {
    /// A trunk of which nothing is known yet.
    pub(super) fn new(
        config: Trunk,
        kept: Kept,
        learned: Arc<LearnedPeers>,
        changes: watch::Sender<u64>,
    ) -> Self {
        let weights = config.targets.iter().map(|to| (to.priority, to.weight));
        let targets = match kept.targets {
            Some(targets) => targets.carried(Instant::now(), config.options_interval),
            None => Targets::new(weights, config.options_interval),
        };
        let registration = match (&config.register, kept.binding) {
            (None, _) => Registration::NotUsed,
            (Some(_), Some(binding)) => Registration::Held(binding),
            (Some(_), None) => Registration::Missing("no answer yet".to_owned()),
        };
        TrunkState {
            credentials: kept.credentials,
            meter: kept.meter,
            counters: kept.counters,
            learned,
            sooner: Notify::new(),
            changes,
            live: Mutex::new(Live {
                targets,
                registration,
            }),
            config,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        // Nothing that panics runs under the lock.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registration in force.
    pub(super) fn binding(&self) -> Option<Binding> {
        match &self.live().registration {
            Registration::Held(binding) => Some(binding.clone()),
            _ => None,
        }
    }

    /// Our address of record there, for requests that are about us.
    pub(super) fn own_address(&self) -> String {
        let config = &self.config;
        let registrar = config.register.as_ref().map(|register| &register.registrar);
        let first = config.targets.first().map(|target| &target.uri);
        let host = registrar.or(first).map(host_of).unwrap_or_default();
        let domain = config.identity.from_domain.as_deref().unwrap_or(&host);
        let user = match &config.login {
            Some(login) => escaped(&login.username),
            None => "trunkline".to_owned(),
        };
        format!("<sip:{user}@{domain}>")
    }

    /// Tells those who wait for it that something changed.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Tells the gate from where this trunk may call us: where its targets and its registrar are.
    pub(super) fn teach(&self) {
        let addresses: Vec<_> = {
            let live = self.live();
            let targets = live.targets.hops().map(|hop| hop.address.ip());
            let registrar = match &live.registration {
                Registration::Held(binding) => Some(binding.hop.address.ip()),
                _ => None,
            };
            registrar.into_iter().chain(targets).collect()
        };
        self.learned.set(self.name(), &addresses);
    }

    /// Notes what became of a request to `hop`, and says what changed.
    pub(super) fn heard(&self, now: Instant, hop: &Hop, probe: Probe, heard: Heard) {
        let (change, left) = {
            let mut live = self.live();
            let change = live.targets.heard(now, hop, probe, heard);
            let left = live.targets.order(now, None, &mut |_| 0).len();
            (change, left)
        };
        if let Some(change) = change {
            self.say(hop, change, left);
            self.sooner.notify_one();
            self.changed();
        }
    }

    /// One line per change of a target.
    fn say(&self, hop: &Hop, change: Change, left: usize) {
        let (trunk, at) = (self.name(), ShownHop(hop));
        let calls = match left {
            0 => "no target is left: calls to this trunk are refused until one answers".to_owned(),
            left => format!("calls go to the other targets ({left} left)"),
        };
        match change {
            Change::Up => tracing::info!(trunk, target = %at, "target answers and takes calls"),
            Change::Down => {
                tracing::warn!(trunk, target = %at, rule = "target-down", "target is down, it does not answer OPTIONS; {calls}");
            }
            Change::Cooling(time, why) => {
                let time_s = time.as_secs();
                tracing::warn!(trunk, target = %at, rule = "target-cool-down", time_s, "target gets no calls for {time_s} s: {why}; {calls}");
            }
            Change::MuteToOptions => {
                tracing::info!(trunk, target = %at, "target never answered OPTIONS, so they cannot tell whether it is alive; calls will. Set options_interval_s = 0 to send none");
            }
        }
    }

    /// A call to `number`, in whatever form it was dialled.
    ///
    /// # Errors
    /// The rule that is against it.
    pub(super) fn dial(
        self: &Arc<Self>,
        sip: &SipHandle,
        draw: &mut dyn FnMut(u32) -> u32,
        number: &str,
        caller: &CallerIdentity,
    ) -> Result<TrunkCall, Refused> {
        let now = Instant::now();
        let refused = |refused: Refused| {
            self.counters.refused(refused.rule);
            refused
        };
        self.dialable(number).map_err(refused)?;
        let number = &*normalised(&self.config.numbering, number);
        let (choices, binding) = self.choices(now, draw).map_err(refused)?;
        let permit = self.meter.take(now, number).map_err(refused)?;
        let service_route = binding.map(|held| held.service_route).unwrap_or_default();
        let place = Place::new(permit);
        let mut legs = VecDeque::new();
        let mut no_flow = String::new();
        for Choice { target, hop } in choices {
            match sip.flow_to(&hop) {
                Ok(flow) => {
                    let mut leg = self.leg(&self.config.targets[target], flow, number, caller);
                    leg.routes = service_route.clone();
                    leg.place = Some(place.clone());
                    legs.push_back((hop, leg));
                }
                Err(error) => no_flow = error.to_string(),
            }
        }
        if legs.is_empty() {
            let text = format!("trunk {}: {no_flow}", self.name());
            return Err(refused(Refused::new(503, "trunk-no-path", text)));
        }
        TrunkCounters::count(&self.counters.calls);
        Ok(TrunkCall::new(self.clone(), legs))
    }

    fn dialable(&self, number: &str) -> Result<(), Refused> {
        let name = self.name();
        if self.config.targets.is_empty() {
            let text = format!("trunk {name} has no target, so nothing can be dialled on it");
            return Err(Refused::new(404, "trunk-without-target", text));
        }
        let printable = |byte: u8| byte.is_ascii_alphanumeric() || b"+*#-._~".contains(&byte);
        if number.is_empty() || number.len() > MAX_NUMBER || !number.bytes().all(printable) {
            let shown: String = number.escape_debug().take(MAX_NUMBER).collect();
            let text = format!("trunk {name}: \"{shown}\" is no number that can be dialled");
            return Err(Refused::new(404, "trunk-number-malformed", text));
        }
        Ok(())
    }

    /// Where a call goes, in order, and the registration it uses.
    fn choices(
        &self,
        now: Instant,
        draw: &mut dyn FnMut(u32) -> u32,
    ) -> Result<(Vec<Choice>, Option<Binding>), Refused> {
        let name = self.name();
        let live = self.live();
        let binding = match &live.registration {
            Registration::NotUsed => None,
            Registration::Held(binding) if binding.until > now => Some(binding.clone()),
            Registration::Held(_) => {
                let text = format!("trunk {name} is not registered: the registration ran out");
                return Err(Refused::new(503, "trunk-not-registered", text).after(REGISTER_RETRY));
            }
            Registration::Missing(why) => {
                let text = format!("trunk {name} is not registered: {why}");
                return Err(Refused::new(503, "trunk-not-registered", text).after(REGISTER_RETRY));
            }
        };
        // A registrar knows our calls by the path of the registration.
        let preferred = binding.as_ref().map(|binding| &binding.hop);
        let choices = live.targets.order(now, preferred, draw);
        if choices.is_empty() {
            let retry_after = live.targets.retry_after(now);
            let (rule, text) = match live.targets.is_unresolved() {
                true => (
                    "trunk-unresolved",
                    format!("trunk {name}: none of its targets has an address yet"),
                ),
                false => (
                    "trunk-down",
                    format!("trunk {name}: no target takes calls at present"),
                ),
            };
            return Err(Refused::new(503, rule, text).after(retry_after));
        }
        Ok((choices, binding))
    }

    fn leg(
        &self,
        target: &Target,
        flow: trunkline_sip::Flow,
        number: &str,
        caller: &CallerIdentity,
    ) -> OutboundLeg {
        let config = &self.config;
        let dialled = rewritten(&config.numbering, number);
        let host = host_of(&target.uri);
        let uri = request_uri(&target.uri, &escaped(&dialled));
        let to = format!("<sip:{}@{host}>", escaped(&dialled));
        let identity = identity(config, caller, &host);
        let label = format!("trunk {} ({})", config.name, target.uri);
        OutboundLeg {
            headers: identity.headers,
            credentials: self.credentials.clone(),
            contact_user: config.login.as_ref().map(|login| escaped(&login.username)),
            codecs: encodings(&config.codecs),
            dtmf: config.dtmf,
            dtmf_profile: config.dtmf_profile,
            srtp: config.srtp,
            tones: config.tones,
            progress: config.progress,
            ..OutboundLeg::new(flow, uri, identity.from, to, label)
        }
    }
}

/// `Hop` as an operator writes it.
pub(super) struct ShownHop<'a>(pub(super) &'a Hop);

impl std::fmt::Display for ShownHop<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Hop {
            transport,
            address,
            server_name,
        } = self.0;
        write!(f, "{server_name} ({}:{address})", transport.uri_param())
    }
}

/// The host of a URI; IPv6 in brackets.
pub(super) fn host_of(uri: &TrunkUri) -> String {
    match uri.address.host.contains(':') {
        true => format!("[{}]", uri.address.host),
        false => uri.address.host.clone(),
    }
}

/// The Request-URI of a user at a target.
pub(super) fn request_uri(target: &TrunkUri, user: &str) -> String {
    let uri = target.to_string();
    match uri.split_once(':') {
        Some((scheme, rest)) if !user.is_empty() => format!("{scheme}:{user}@{rest}"),
        _ => uri,
    }
}
