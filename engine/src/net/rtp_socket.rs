//! UDP sockets for RTP and RTCP: bound with the right options, connected to the peer once it is known, and disconnected again.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Receive buffer asked for. The kernel doubles it; holds about 80 packets of 20 ms.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// A non-blocking socket for RTP on that address and port, with room for many packets. `dscp` is the DiffServ code point of what it sends.
///
/// # Errors
/// `AddrInUse` when the port is taken; otherwise what the system says.
pub fn bind(address: IpAddr, port: u16, dscp: Option<u8>) -> io::Result<UdpSocket> {
    let socket = bind_rtcp(address, port, dscp)?;
    // A wish: a container may forbid it and audio works without.
    let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
}

/// A non-blocking socket for RTCP, which comes seldom: the receive buffer is the system's.
///
/// # Errors
/// As [`bind`].
pub fn bind_rtcp(address: IpAddr, port: u16, dscp: Option<u8>) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(address, port);
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    // A wish as well.
    if let Some(dscp) = dscp {
        let class = u32::from(dscp & 63) << 2;
        let _ = match address {
            SocketAddr::V4(_) => socket.set_tos_v4(class),
            SocketAddr::V6(_) => socket.set_tclass_v6(class),
        };
    }
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Undoes `connect`: the socket receives from anyone again. It keeps its port if that was asked for by number (a port the system chose is lost).
///
/// # Errors
/// What the system says.
pub fn disconnect(socket: &UdpSocket) -> io::Result<()> {
    Ok(rustix::net::connect_unspec(socket)?)
}

/// Whether nothing waits to be read.
pub fn is_empty(socket: &UdpSocket) -> bool {
    let looked = socket.peek(&mut [0]);
    looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// The form of `peer` that a socket bound to `local` can send to: IPv4 as mapped IPv6 address on an IPv6 socket (RFC 4291 section 2.5.5.2).
pub fn reachable_from(local: IpAddr, peer: SocketAddr) -> SocketAddr {
    match (local, peer.ip()) {
        (IpAddr::V6(_), IpAddr::V4(ip)) => SocketAddr::new(ip.to_ipv6_mapped().into(), peer.port()),
        _ => peer,
    }
}

/// The plain form of a source address: mapped IPv6 becomes IPv4, scope and flow label go.
pub fn plain(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connects_and_disconnects_with_its_port() {
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let socket = bind(local, 22_100, Some(46)).unwrap();
        let address = socket.local_addr().unwrap();
        let (friend, stranger) = (bind(local, 0, None).unwrap(), bind(local, 0, None).unwrap());
        socket.connect(friend.local_addr().unwrap()).unwrap();
        assert!(stranger.send_to(b"x", address).is_ok());
        assert_eq!(
            socket.recv(&mut [0; 9]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        disconnect(&socket).unwrap();
        assert_eq!(socket.local_addr().unwrap().port(), address.port());
        stranger.send_to(b"x", address).unwrap();
        assert_eq!(socket.recv(&mut [0; 9]).unwrap(), 1);
        assert_eq!(
            bind(local, address.port(), None).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }

    #[test]
    fn addresses_change_form_and_back() {
        let v4: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let mapped = reachable_from("::".parse().unwrap(), v4);
        assert_eq!(mapped, "[::ffff:192.0.2.1]:5000".parse().unwrap());
        assert_eq!(plain(mapped), v4);
        assert_eq!(reachable_from("0.0.0.0".parse().unwrap(), v4), v4);
    }
}
