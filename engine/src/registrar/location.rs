//! The table of phones, shared by the task that answers REGISTERs and by whoever calls a phone.
use super::counters::RegistrarCounters;
use crate::config::{Config, Endpoint};
use crate::net::sip::{Headers, IncomingRequest, SipHandle};
use crate::route::address::{ANONYMOUS, name_addr};
use crate::route::{CallerIdentity, OutboundLeg, terms};
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;
use trunkline_sip::registrar::{Binding, RegisterRefused, Registered, Registrar, RegistrarConfig};
use trunkline_sip::{Flow, Frame, Transport, Uri};

/// Registrations that a listener may be behind.
const REGISTRATIONS: usize = 1024;

/// Where the phones are. See the module above.
pub struct Location {
    /// The one in force, exchanged as a whole at reload.
    config: Arc<ArcSwap<Config>>,
    registrar: Mutex<Registrar>,
    /// Users whose phones have just registered.
    registered: broadcast::Sender<Arc<str>>,
    /// For the metrics page.
    pub counters: RegistrarCounters,
}

/// One registered phone, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneStatus {
    /// The user of its `[[endpoint]]`.
    pub user: String,
    /// The contact as registered.
    pub contact: String,
    /// What carries its messages.
    pub transport: Transport,
    /// Where they really come from.
    pub remote: SocketAddr,
    /// What it calls itself.
    pub user_agent: Option<String>,
    /// For how long the registration still holds.
    pub valid_for: Duration,
}

impl Location {
    /// A table without phones.
    pub fn new(config: Arc<ArcSwap<Config>>) -> Arc<Location> {
        Arc::new(Location {
            config,
            registrar: Mutex::new(Registrar::new(RegistrarConfig::default())),
            registered: broadcast::Sender::new(REGISTRATIONS),
            counters: RegistrarCounters::default(),
        })
    }

    /// The configuration was exchanged: phones of users who are no more are forgotten, all others stay.
    pub fn reloaded(&self) {
        let config = self.config();
        self.table()
            .retain_users(|user| config.endpoint(user).is_some());
    }

    /// How to call the phones of `user` on behalf of `caller`: highest preference first, then the one that registered last. An
    /// instance with several flows is called over its latest one only (RFC 5626 §5.3). Empty: nobody is registered, or there is no
    /// such user.
    pub fn legs(&self, user: &str, caller: &CallerIdentity) -> Vec<OutboundLeg> {
        let config = self.config();
        let Some(endpoint) = config.endpoint(user) else {
            return Vec::new();
        };
        let table = self.table();
        let mut instances: Vec<&str> = Vec::new();
        let mut legs = Vec::new();
        for binding in table.bindings(Instant::now(), user) {
            if let Some(instance) = &binding.instance {
                if instances.contains(&instance.as_str()) {
                    continue;
                }
                instances.push(instance);
            }
            legs.push(leg(endpoint, binding, caller));
        }
        legs
    }

    /// Whether a phone of `user` is registered.
    pub fn is_registered(&self, user: &str) -> bool {
        !self.table().bindings(Instant::now(), user).is_empty()
    }

    /// Users whose phones register, from now on, also again. A listener that is more than 1024 behind is told so and loses the oldest.
    pub fn registrations(&self) -> broadcast::Receiver<Arc<str>> {
        self.registered.subscribe()
    }

    /// A phone of that user has registered.
    pub(super) fn has_registered(&self, user: &Arc<str>) {
        // An error says that nobody listens.
        let _ = self.registered.send(user.clone());
    }

    /// How many phones are registered.
    pub fn len(&self) -> usize {
        self.table().len()
    }

    /// Whether no phone is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All phones, in the order of the configuration.
    pub fn status(&self) -> Vec<PhoneStatus> {
        let (config, now) = (self.config(), Instant::now());
        let table = self.table();
        let of = |endpoint: &Endpoint| {
            let bindings = table.bindings(now, &endpoint.user);
            bindings
                .into_iter()
                .map(|binding| status(binding, now))
                .collect::<Vec<_>>()
        };
        config.endpoints.iter().flat_map(of).collect()
    }

    /// Serves a REGISTER of a user whom the gate has authenticated.
    pub(super) fn register(
        &self,
        user: &Arc<str>,
        flow: Flow,
        request: &Frame<'_>,
    ) -> Result<Registered, RegisterRefused> {
        let config = self.config();
        let Some(endpoint) = config.endpoint(user) else {
            // The file changed between the gate and here.
            let (rule, headers) = ("no-such-endpoint", Vec::new());
            return Err(RegisterRefused {
                status: 403,
                rule,
                headers,
            });
        };
        let most = endpoint.max_contacts;
        self.table()
            .register(Instant::now(), user, most, flow, request)
    }

    /// Refuses a request that belongs to no call: answered, counted and told in the log.
    pub fn refuse(
        &self,
        sip: &SipHandle,
        incoming: &IncomingRequest,
        status: u16,
        rule: &'static str,
        headers: Headers,
    ) {
        let flow = &incoming.flow;
        let user = incoming.origin.name();
        tracing::info!(user, remote = %flow.remote, transport = flow.transport.uri_param(), status, rule, "request refused");
        self.counters.count_refused(rule);
        sip.respond(incoming.id, status, rule, headers);
    }

    pub(super) fn table(&self) -> MutexGuard<'_, Registrar> {
        self.registrar
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Location")
            .field("phones", &self.len())
            .finish_non_exhaustive()
    }
}

fn status(binding: &Binding, now: Instant) -> PhoneStatus {
    PhoneStatus {
        user: binding.user.to_string(),
        contact: binding.contact.clone(),
        transport: binding.flow.transport,
        remote: binding.flow.remote,
        user_agent: binding.user_agent.clone(),
        valid_for: binding.until.saturating_duration_since(now),
    }
}

/// The INVITE to one phone. From is at the domain the phone registered with, so that it can call back.
fn leg(endpoint: &Endpoint, binding: &Binding, caller: &CallerIdentity) -> OutboundLeg {
    let domain = domain(&binding.aor);
    let from = match caller.private || caller.number.is_empty() {
        true => ANONYMOUS.to_owned(),
        false => name_addr(caller.name.as_deref(), &caller.number, &domain),
    };
    let label = format!("endpoint {}", endpoint.user);
    let leg = OutboundLeg::new(
        binding.flow,
        binding.contact.clone(),
        from,
        binding.aor.clone(),
        label,
    );
    OutboundLeg {
        routes: binding.path.clone(),
        codecs: terms::encodings(&endpoint.codecs),
        dtmf: endpoint.dtmf,
        dtmf_profile: endpoint.dtmf_profile,
        srtp: endpoint.srtp,
        ..leg
    }
}

/// Host and port of an address of record.
fn domain(aor: &str) -> String {
    let Ok(uri) = Uri::parse(aor.as_bytes()) else {
        return "anonymous.invalid".to_owned();
    };
    match (uri.host_text(), uri.port) {
        (host, _) if host.is_empty() => "anonymous.invalid".to_owned(),
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host,
    }
}
