//! Networks of access lists: `203.0.113.0/24`, `2001:db8::/32`, or one address. Pure; resolves nothing.
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address with the number of leading bits that count. Host bits are zero; IPv4-mapped IPv6 is kept as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` lies within. An IPv4-mapped IPv6 address counts as the IPv4 address it stands for (RFC 4291 §2.5.5.2).
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()) & mask4(self.bits) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()) & mask6(self.bits) == 0
            }
            _ => false,
        }
    }

    /// How many leading bits count.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether any address of one lies in the other.
    pub fn overlaps(&self, other: &Network) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

fn mask4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

fn mask6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

/// Why text is no network, to follow "must be a network such as …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkError {
    /// No address, or no number of bits after the slash.
    Form,
    /// More bits than the family has.
    Bits,
    /// The address has bits set beyond the prefix: probably a slip.
    HostBits,
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let address = written.to_canonical();
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => widest,
            Some(bits) => bits.parse::<u8>().map_err(|_| NetworkError::Form)?,
        };
        let bits = match (written, address) {
            (IpAddr::V6(_), IpAddr::V4(_)) if text.contains('/') => {
                bits.checked_sub(96).ok_or(NetworkError::Bits)?
            }
            _ => bits,
        };
        if bits > widest {
            return Err(NetworkError::Bits);
        }
        let host_bits = match address {
            IpAddr::V4(address) => address.to_bits() & !mask4(bits) != 0,
            IpAddr::V6(address) => address.to_bits() & !mask6(bits) != 0,
        };
        if host_bits {
            return Err(NetworkError::HostBits);
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    fn inside(net: &str, address: &str) -> bool {
        network(net).contains(address.parse().expect("an address"))
    }

    #[test]
    fn addresses_lie_in_or_out() {
        assert!(inside("203.0.113.0/24", "203.0.113.255"));
        assert!(!inside("203.0.113.0/24", "203.0.114.0"));
        assert!(inside("203.0.113.7", "203.0.113.7") && !inside("203.0.113.7", "203.0.113.8"));
        assert!(inside("0.0.0.0/0", "8.8.8.8") && !inside("0.0.0.0/0", "2001:db8::1"));
        assert!(inside("::/0", "2001:db8::1"));
        assert!(inside("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!inside("2001:db8::/33", "2001:db8:8000::1"));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_one() {
        assert!(inside("203.0.113.0/24", "::ffff:203.0.113.9"));
        assert!(inside("::ffff:203.0.113.0/120", "203.0.113.9"));
        assert!(!inside("::/0", "::ffff:203.0.113.9"));
    }

    #[test]
    fn overlap_goes_both_ways() {
        assert!(network("10.0.0.0/8").overlaps(&network("10.1.0.0/16")));
        assert!(network("10.1.0.0/16").overlaps(&network("10.0.0.0/8")));
        assert!(!network("10.0.0.0/8").overlaps(&network("11.0.0.0/8")));
    }

    #[test]
    fn slips_are_refused() {
        for (text, error) in [
            ("", NetworkError::Form),
            ("carrier.example", NetworkError::Form),
            ("10.0.0.0/", NetworkError::Form),
            ("10.0.0.0/33", NetworkError::Bits),
            ("::/129", NetworkError::Bits),
            ("10.0.0.1/8", NetworkError::HostBits),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }
}
