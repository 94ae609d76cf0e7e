//! What counts as one source: an IPv4 address, or the /64 of an IPv6 address, since a peer has that many addresses for nothing.
use std::net::IpAddr;

/// One source. IPv4-mapped IPv6 addresses are the IPv4 addresses they stand for (RFC 4291 §2.5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Source(pub(super) u64);

impl Source {
    pub(super) fn of(address: IpAddr) -> Source {
        match address.to_canonical() {
            // No /64 of IPv6 starts so: it is a multicast prefix.
            IpAddr::V4(v4) => Source(0xffff_ffff_0000_0000 | u64::from(v4.to_bits())),
            IpAddr::V6(v6) => Source((v6.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_the_ones_they_stand_for() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
