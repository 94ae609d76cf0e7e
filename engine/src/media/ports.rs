//! The pool of RTP ports: pairs of an even port for RTP and the next odd one for RTCP (RFC 3550 section 11).
//!
//! The pair that was given back longest ago is taken first, so late packets of an ended call hit nobody for as long as possible.

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

    /// Binds the oldest free pair, passing over those that other programs hold. `Ok(None)`: none is free.
    pub(crate) fn take(
        &mut self,
        address: IpAddr,
        dscp: Option<u8>,
    ) -> io::Result<Option<(u16, Pair)>> {
        for _ in 0..self.free.len() {
            let Some(port) = self.free.pop_front() else {
                break;
            };
            match bind_pair(address, port, dscp) {
                Ok(pair) => return Ok(Some((port, pair))),
                Err(error) => {
                    self.free.push_back(port);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        return Err(error);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Gives a pair back whose sockets are closed.
    pub(crate) fn give_back(&mut self, port: u16) {
        self.free.push_back(port);
    }
}

fn bind_pair(address: IpAddr, port: u16, dscp: Option<u8>) -> io::Result<Pair> {
    Ok((
        rtp_socket::bind(address, port, dscp)?,
        rtp_socket::bind(address, port + 1, dscp)?,
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

    #[test]
    fn taken_ports_are_passed_over_and_the_oldest_comes_first() {
        let mut pool = PortPool::new(&(42_000..=42_007));
        let other = UdpSocket::bind((LOCAL, 42_003)).unwrap();
        let (first, pair) = pool.take(LOCAL, None).unwrap().unwrap();
        let (second, _kept) = pool.take(LOCAL, None).unwrap().unwrap();
        assert_eq!((first, second), (42_000, 42_004));
        drop(pair);
        pool.give_back(first);
        let (third, _kept) = pool.take(LOCAL, None).unwrap().unwrap();
        assert_eq!(third, 42_006);
        drop(other);
        let order: Vec<_> = (0..2)
            .map(|_| pool.take(LOCAL, None).unwrap().unwrap())
            .map(|(port, _)| port)
            .collect();
        assert_eq!(order, [42_002, 42_000]);
        assert!(pool.take(LOCAL, None).unwrap().is_none());
    }
}
