//! The pool of RTP ports: pairs of an even port for RTP and the next odd one for RTCP (RFC 3550 section 11).
//!
//! The pair that was given back longest ago is taken first, so late packets of an ended call hit nobody for as long as possible. Pairs are
//! bound outside the pool, which others wait for.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::ops::RangeInclusive;

use crate::net::rtp_socket;

/// A bound pair: RTP, RTCP.
pub(crate) type Pair = (UdpSocket, UdpSocket);

/// The free pairs, by their even port.
#[derive(Debug)]
pub(crate) struct PortPool {
    free: VecDeque<u16>,
}

impl PortPool {
    /// All pairs of a range.
    pub(crate) fn new(range: &RangeInclusive<u16>) -> PortPool {
        let first = u32::from(*range.start()).next_multiple_of(2);
        let free = (first..u32::from(*range.end())).step_by(2);
        PortPool {
            free: free
                .filter_map(|port| u16::try_from(port).ok())
                .filter(|port| *port > 0)
                .collect(),
        }
    }

    /// Free pairs.
    pub(crate) fn len(&self) -> usize {
        self.free.len()
    }

    /// Takes the oldest free pair out; [`bind_pair`] binds it.
    pub(crate) fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Gives a pair back whose sockets are closed, or that another program holds.
    pub(crate) fn give_back(&mut self, port: u16) {
        self.free.push_back(port);
    }
}

/// Binds a pair.
///
/// # Errors
/// `AddrInUse` when another program holds one of the ports; otherwise what the system says.
pub(crate) fn bind_pair(address: IpAddr, port: u16, dscp: Option<u8>) -> io::Result<Pair> {
    Ok((
        rtp_socket::bind(address, port, dscp)?,
        rtp_socket::bind_rtcp(address, port + 1, dscp)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn ranges_hold_whole_pairs() {
        for (range, ports) in [
            (10_000..=10_003, vec![10_000, 10_002]),
            (10_001..=10_004, vec![10_002]),
            (10_001..=10_002, vec![]),
            (0..=3, vec![2]),
            (65_534..=65_535, vec![65_534]),
        ] {
            assert_eq!(PortPool::new(&range).free, ports, "{range:?}");
        }
    }

    /// Below the ports that the system gives to others.
    #[test]
    fn the_oldest_comes_first_and_a_port_that_is_held_is_refused() {
        let mut pool = PortPool::new(&(31_000..=31_007));
        let other = UdpSocket::bind((LOCAL, 31_003)).unwrap();
        let first = pool.take().unwrap();
        let _kept = bind_pair(LOCAL, first, None).unwrap();
        let held = bind_pair(LOCAL, pool.take().unwrap(), None).unwrap_err();
        assert_eq!(held.kind(), io::ErrorKind::AddrInUse);
        drop(other);
        pool.give_back(31_002);
        pool.give_back(first);
        let order: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(order, [31_004, 31_006, 31_002, 31_000]);
    }
}
