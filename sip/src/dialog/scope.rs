//! How far the addresses that a peer names reach, and which of them it may name.

use crate::flow::Flow;
use crate::uri::{Host, Uri};
use std::net::IpAddr;

/// Whether a target lies in a network of its own and the peer was heard from outside it.
pub(super) fn is_hidden(target: &[u8], path: &Flow) -> bool {
    match Uri::parse(target).map(|uri| uri.host) {
        Ok(Host::Ip(address)) => {
            let scope = Scope::of(address);
            scope != Scope::Nowhere && !scope.is_open_to(Scope::of(path.remote.ip()))
        }
        _ => false,
    }
}

/// How far an address reaches. What a peer names in Contact or Record-Route may lie in its own network or in a wider
/// one, never in a narrower one: it must not aim our requests at this machine, at the metadata service of a cloud
/// (169.254.169.254), or at the network behind us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// No host: unspecified ("this network"), multicast, broadcast, reserved.
    Nowhere,
    /// This machine.
    Loopback,
    /// This link (RFC 3927; RFC 4291 §2.5.6).
    Link,
    /// A private network (RFC 1918, RFC 4193), or one of a carrier's translator (RFC 6598).
    Private,
    Global,
}

impl Scope {
    fn of(address: IpAddr) -> Scope {
        match address.to_canonical() {
            IpAddr::V4(v4) => match v4.octets() {
                [0 | 224..=255, ..] => Scope::Nowhere,
                [127, ..] => Scope::Loopback,
                [169, 254, ..] => Scope::Link,
                [100, 64..=127, ..] => Scope::Private,
                _ if v4.is_private() => Scope::Private,
                _ => Scope::Global,
            },
            IpAddr::V6(v6) if v6.is_unspecified() || v6.is_multicast() => Scope::Nowhere,
            IpAddr::V6(v6) if v6.is_loopback() => Scope::Loopback,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Scope::Link,
            IpAddr::V6(v6) if v6.is_unique_local() => Scope::Private,
            IpAddr::V6(_) => Scope::Global,
        }
    }

    /// Whether a peer that was heard from `peer` may name an address of this scope.
    fn is_open_to(self, peer: Scope) -> bool {
        match self {
            Scope::Nowhere => false,
            Scope::Loopback | Scope::Link => peer == self,
            Scope::Private => peer != Scope::Global,
            Scope::Global => true,
        }
    }
}

/// Whether an address can be reached from the socket of `path`, is one host, and may be named by who is heard there.
pub(super) fn is_reachable(address: IpAddr, path: &Flow) -> bool {
    Scope::of(address).is_open_to(Scope::of(path.remote.ip()))
        && address.is_ipv4() == path.local.is_ipv4()
}
