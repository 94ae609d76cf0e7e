//! How far an address reaches.

use std::net::IpAddr;

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nowhere: no address at all (0.0.0.0 or ::).
    Nowhere,
    /// This host.
    Host,
    /// The networks around it: RFC 1918, RFC 6598, RFC 4193, link-local.
    Site,
    /// The Internet.
    World,
}

/// How far an address reaches.
pub fn reach(address: IpAddr) -> Reach {
    let site = match address.to_canonical() {
        ip if ip.is_unspecified() => return Reach::Nowhere,
        ip if ip.is_loopback() => return Reach::Host,
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    if site { Reach::Site } else { Reach::World }
}
