//! Who is served: the gate in front of the SIP endpoint, by access lists, passwords and what the file opens to strangers.
//!
//! It decides before anything is remembered and answers cheaply. What an unknown source is told never depends on whether a user
//! exists: every refusal of its kind is the same. It opens no socket and reads no clock. Limits: see `sources`.
mod peers;
mod rules;
mod sources;
#[cfg(test)]
mod tests;

pub use peers::LearnedPeers;

use crate::config::{Config, DigestAlgorithm, Strangers};
use arc_swap::ArcSwap;
use rules::{Rules, Who};
use sources::Sources;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_sip::{
    Admission, Algorithm, DigestServer, Flow, Frame, Gate, HeaderId, Method, Origin, Transport,
    Uri, Verdict,
};

/// Bans a source for so long. Called only for sources that proved their address; it must not block. The gate itself forgets about it:
/// whoever is banned is to be kept away from it.
pub type OnBan = Box<dyn Fn(IpAddr, Duration) + Send>;

/// The gate of a configuration that may change while it serves.
pub struct TrustGate {
    config: Arc<ArcSwap<Config>>,
    rules: Rules,
    digest: DigestServer,
    sources: Sources,
    learned: Arc<LearnedPeers>,
    secret: [u8; 32],
    on_ban: OnBan,
}

impl TrustGate {
    /// A gate by `config`. `secret` signs challenges: 32 random octets.
    pub fn new(
        config: Arc<ArcSwap<Config>>,
        secret: [u8; 32],
        learned: Arc<LearnedPeers>,
        on_ban: OnBan,
    ) -> Self {
        let now = config.load_full();
        Self {
            digest: digest(&now, secret),
            sources: Sources::new(secret),
            rules: Rules::new(now),
            config,
            learned,
            secret,
            on_ban,
        }
    }

    /// Takes up a configuration that was exchanged meanwhile.
    fn follow(&mut self) {
        let current = self.config.load();
        if Arc::ptr_eq(&current, &self.rules.config) {
            return;
        }
        let (old, new) = (self.rules.config.security.clone(), current.clone());
        drop(current);
        let security = &new.security;
        let same = (&old.realm, &old.digest, old.nonce_life)
            == (&security.realm, &security.digest, security.nonce_life);
        if !same {
            self.digest = digest(&new, self.secret);
        }
        self.rules = Rules::new(new);
    }

    fn judge(&mut self, now: Instant, flow: &Flow, request: &Frame<'_>) -> Admission {
        let source = flow.remote.ip().to_canonical();
        let method = request.method().unwrap_or(Method::Other(b""));
        let peer = self.peer(source, request);
        if let Some(peer) = &peer
            && !peer.password
            && method != Method::Register
        {
            return Admission::Admit(Origin::Peer(peer.name.clone()));
        }
        let limit = self.rules.config.security.requests_per_second_per_source;
        if !self.sources.within_rate(source, now, limit) {
            return Admission::Drop {
                rule: "source-rate",
            };
        }
        let peer = peer.filter(|peer| peer.password).map(|peer| peer.name);
        if self.is_guessing(now, flow, source, request) {
            return self.challenge(now, source, true);
        }
        let rules = &self.rules;
        match self
            .digest
            .verify(now, request, |user| rules.secret(user).cloned())
        {
            Verdict::Authenticated(user) => self.known(now, flow, source, method, &user),
            Verdict::NoCredentials => self.unknown(now, flow, request, method, peer.is_some()),
            Verdict::Stale | Verdict::Replayed => self.challenge(now, source, true),
            Verdict::Malformed(rule) => refuse(400, rule, Vec::new()),
            Verdict::Wrong { .. } => {
                self.failed(now, flow, source, request);
                refuse(403, "wrong-password", Vec::new())
            }
        }
    }

    fn peer(&self, source: IpAddr, request: &Frame<'_>) -> Option<rules::Peer> {
        let target = request.request_uri().and_then(|uri| Uri::parse(uri).ok());
        let user = target
            .and_then(|uri| uri.user_decoded())
            .unwrap_or_default();
        let user = String::from_utf8_lossy(&user);
        let listed = self.rules.peer(source, &user);
        listed.or_else(|| self.rules.learned(&self.learned.trunks_at(source), &user))
    }

    /// The password was right.
    fn known(
        &mut self,
        now: Instant,
        flow: &Flow,
        source: IpAddr,
        method: Method<'_>,
        user: &str,
    ) -> Admission {
        self.sources.authenticated(source, now);
        match self.rules.who(user) {
            Some(Who::Trunk { name, acl }) => {
                let from_there = acl.is_empty() || acl.iter().any(|net| net.contains(source));
                match from_there && method != Method::Register {
                    true => Admission::Admit(Origin::Peer(name.clone())),
                    false => refuse(403, "trunk-elsewhere", Vec::new()),
                }
            }
            Some(Who::Endpoint { user, transports }) => {
                let allowed = transports
                    .iter()
                    .any(|each| super::terms::transport(*each) == flow.transport);
                match allowed {
                    true => Admission::Admit(Origin::User(user.clone())),
                    false => refuse(403, "endpoint-transport", Vec::new()),
                }
            }
            // Cannot be: the secret came from there.
            None => refuse(403, "wrong-password", Vec::new()),
        }
    }

    /// No password was shown. `must` says that one is needed whatever is asked.
    fn unknown(
        &mut self,
        now: Instant,
        flow: &Flow,
        request: &Frame<'_>,
        method: Method<'_>,
        must: bool,
    ) -> Admission {
        let source = flow.remote.ip().to_canonical();
        if must {
            return self.challenge(now, source, false);
        }
        let proven = self.sources.has_authenticated(source, now);
        if self.is_open(request, method) && !(proven && self.claims_endpoint(request)) {
            return Admission::Admit(Origin::Stranger);
        }
        let silent = self.rules.config.security.strangers == Strangers::Drop;
        let phones = self.rules.has_users;
        match method {
            // A phone has to begin somewhere.
            Method::Register if phones => self.challenge(now, source, false),
            _ if phones && (proven || !silent) => self.challenge(now, source, false),
            _ if silent => Admission::Drop { rule: "stranger" },
            // With numbers open to all, a wrong number is nothing special.
            Method::Invite if self.rules.has_open_numbers => {
                refuse(404, "no-such-number", Vec::new())
            }
            _ => refuse(403, "stranger", Vec::new()),
        }
    }

    /// Whether the file lets anybody do this.
    fn is_open(&self, request: &Frame<'_>, method: Method<'_>) -> bool {
        match method {
            Method::Invite => {
                let target = request.request_uri().and_then(|uri| Uri::parse(uri).ok());
                let user = target.map(|uri| super::identity::number_of(&uri));
                user.is_some_and(|user| self.rules.router.is_open(&user))
            }
            Method::Options => self.rules.has_open_numbers,
            // Only a call that was let in can carry it.
            Method::Refer => {
                let in_call = request.to().is_ok_and(|to| to.tag().is_some());
                in_call && self.rules.config.transfer.strangers
            }
            _ => false,
        }
    }

    fn claims_endpoint(&self, request: &Frame<'_>) -> bool {
        let Ok(from) = request.from() else {
            return false;
        };
        let user = super::identity::number_of(&from.uri);
        self.rules.config.endpoint_called(&user).is_some()
    }

    fn challenge(&mut self, now: Instant, source: IpAddr, stale: bool) -> Admission {
        let mut headers = self.digest.challenge(now, stale);
        let opaque = self.sources.opaque(source);
        for (_, value) in &mut headers {
            value.push_str(&format!(", opaque=\"{opaque}\""));
        }
        let rule = match stale {
            true => "stale-nonce",
            false => "unauthenticated",
        };
        refuse(401, rule, headers)
    }

    /// Only a source that shows where it is can be banned: one on a stream, or one that returns what we sent to its address. Else
    /// anybody could have anybody else banned.
    fn failed(&mut self, now: Instant, flow: &Flow, source: IpAddr, request: &Frame<'_>) {
        if !self.is_proven(flow, source, request) {
            return self.sources.guessed(source, now);
        }
        let security = &self.rules.config.security;
        let Some(limit) = security.ban_after_failures else {
            return;
        };
        if self.sources.failed(source, now, limit) {
            (self.on_ban)(source, security.ban);
        }
    }
}

impl TrustGate {
    /// Whether the request is from where it says: it came on a stream, or returns what we sent there.
    fn is_proven(&self, flow: &Flow, source: IpAddr, request: &Frame<'_>) -> bool {
        if flow.transport != Transport::Udp {
            return true;
        }
        let opaque = self.sources.opaque(source);
        authorizations(request)
            .any(|value| memchr::memmem::find(value, opaque.as_bytes()).is_some())
    }

    /// Whether a password comes from an address in whose name others were tried, and without a sign that its sender is there.
    fn is_guessing(&self, now: Instant, flow: &Flow, source: IpAddr, request: &Frame<'_>) -> bool {
        let limit = self.rules.config.security.ban_after_failures;
        limit.is_some_and(|limit| self.sources.must_prove(source, now, limit))
            && authorizations(request).next().is_some()
            && !self.is_proven(flow, source, request)
    }
}

fn authorizations<'a>(request: &Frame<'a>) -> impl Iterator<Item = &'a [u8]> {
    let headers = request.headers();
    headers
        .filter(|header| header.id == HeaderId::Authorization)
        .map(|header| header.value)
}

impl Gate for TrustGate {
    fn admit(&mut self, now: Instant, flow: &Flow, request: &Frame<'_>) -> Admission {
        self.follow();
        self.judge(now, flow, request)
    }
}

/// The trunk that may call from an address without a password, by its access list.
pub fn peer_at(config: &Arc<Config>, source: IpAddr) -> Option<Arc<str>> {
    let peer = Rules::new(config.clone()).peer(source, "");
    peer.filter(|peer| !peer.password).map(|peer| peer.name)
}

fn digest(config: &Config, secret: [u8; 32]) -> DigestServer {
    let security = &config.security;
    let algorithms: Vec<Algorithm> = security.digest.iter().map(algorithm).collect();
    DigestServer::new(secret, &*security.realm, &algorithms, security.nonce_life)
}

fn algorithm(of: &DigestAlgorithm) -> Algorithm {
    match of {
        DigestAlgorithm::Md5 => Algorithm::Md5,
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
    }
}

fn refuse(status: u16, rule: &'static str, headers: Vec<(&'static str, String)>) -> Admission {
    Admission::Refuse {
        status,
        rule,
        headers,
    }
}
