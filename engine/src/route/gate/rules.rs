//! A configuration as the gate looks things up in it.
use crate::config::{Config, Network, Transport, Trunk};
use crate::route::Router;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use trunkline_sip::Secret;

/// A trunk known by address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) name: Arc<str>,
    /// Whether its address alone is not enough.
    pub(super) password: bool,
    /// The user we are at its registrar, whom its calls ask for.
    account: Option<String>,
}

impl Peer {
    fn of(trunk: &Trunk) -> Self {
        let login = trunk.login.as_ref().filter(|_| trunk.register.is_some());
        Peer {
            name: trunk.name.as_str().into(),
            password: trunk.authenticate_inbound,
            account: login.map(|login| login.username.clone()),
        }
    }
}

/// Whose password it is.
pub(super) enum Who {
    Trunk {
        name: Arc<str>,
        acl: Vec<Network>,
    },
    Endpoint {
        user: Arc<str>,
        transports: Vec<Transport>,
    },
}

/// See the module's text.
pub(super) struct Rules {
    pub(super) config: Arc<Config>,
    pub(super) router: Router,
    pub(super) has_open_numbers: bool,
    /// Whether there is anybody with a password.
    pub(super) has_users: bool,
    peers: Vec<(Network, Peer)>,
    users: HashMap<String, (Who, Secret)>,
}

impl Rules {
    pub(super) fn new(config: Arc<Config>) -> Self {
        let router = Router::new(config.clone());
        let users = users(&config);
        Self {
            has_open_numbers: router.has_open_numbers(),
            has_users: !users.is_empty(),
            peers: peers(&config),
            users,
            router,
            config,
        }
    }

    /// The trunk that calls `user` from there: of several networks the narrowest, of several accounts with one carrier the one that
    /// is called, else the first of the file.
    pub(super) fn peer(&self, source: IpAddr, user: &str) -> Option<Peer> {
        let mut fitting = self.peers.iter().filter(|(net, _)| net.contains(source));
        let (narrowest, first) = fitting.next()?;
        let equal = fitting.take_while(|(net, _)| net.bits() == narrowest.bits());
        let all = std::iter::once(first).chain(equal.map(|(_, peer)| peer));
        called(all, user).cloned()
    }

    /// One of the trunks whose address was learned by name: only where it registers and has no access list of its own.
    pub(super) fn learned(&self, names: &[Arc<str>], user: &str) -> Option<Peer> {
        let trunks = names.iter().filter_map(|name| self.config.trunk(name));
        let trusted = trunks.filter(|trunk| trunk.register.is_some() && trunk.acl.is_empty());
        let peers: Vec<Peer> = trusted.map(Peer::of).collect();
        called(peers.iter(), user).cloned()
    }

    pub(super) fn secret(&self, user: &[u8]) -> Option<&Secret> {
        let user = std::str::from_utf8(user).ok()?;
        self.users.get(user).map(|(_, secret)| secret)
    }

    pub(super) fn who(&self, user: &str) -> Option<&Who> {
        self.users.get(user).map(|(who, _)| who)
    }
}

/// The one whose account is called, else the first.
fn called<'p>(mut peers: impl Iterator<Item = &'p Peer>, user: &str) -> Option<&'p Peer> {
    let is_called = |peer: &Peer| peer.account.as_deref() == Some(user);
    let first = peers.next()?;
    match is_called(first) {
        true => Some(first),
        false => Some(peers.find(|peer| is_called(peer)).unwrap_or(first)),
    }
}

fn peers(config: &Config) -> Vec<(Network, Peer)> {
    let mut peers = Vec::new();
    for trunk in &config.trunks {
        let peer = Peer::of(trunk);
        peers.extend(trunk.acl.iter().map(|network| (*network, peer.clone())));
        if trunk.register.is_some() && trunk.acl.is_empty() {
            let targets = trunk.targets.iter().map(|target| &target.uri);
            let uris = targets.chain(trunk.register.iter().map(|register| &register.registrar));
            let addresses = uris.filter_map(|uri| uri.address.host.parse::<Network>().ok());
            peers.extend(addresses.map(|network| (network, peer.clone())));
        }
    }
    // Stable: of two as narrow the first of the file counts.
    peers.sort_by_key(|(network, _)| std::cmp::Reverse(network.bits()));
    peers
}

fn users(config: &Config) -> HashMap<String, (Who, Secret)> {
    let realm = &config.security.realm;
    let mut users = HashMap::new();
    for trunk in config.trunks.iter().filter(|t| t.authenticate_inbound) {
        let Some(login) = &trunk.login else { continue };
        let who = Who::Trunk {
            name: trunk.name.as_str().into(),
            acl: trunk.acl.clone(),
        };
        add(&mut users, realm, &login.username, &login.password, who);
    }
    for endpoint in &config.endpoints {
        let who = Who::Endpoint {
            user: endpoint.user.as_str().into(),
            transports: endpoint.transports.clone(),
        };
        add(&mut users, realm, &endpoint.user, &endpoint.password, who);
    }
    users
}

fn add(
    users: &mut HashMap<String, (Who, Secret)>,
    realm: &str,
    user: &str,
    password: &crate::config::Secret,
    who: Who,
) {
    // One that was not read lets nobody in.
    if !password.is_empty() {
        let secret = Secret::new(user, realm, password.expose());
        users.insert(user.to_owned(), (who, secret));
    }
}
