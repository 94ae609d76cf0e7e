//! UDP sockets for SIP: options by socket2, one reader task per socket.
//!
//! A reader never drops: when the pump is behind, datagrams wait in the kernel's buffer (4 MiB asked for).
use super::Inbound;
use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use trunkline_sip::{Flow, Transport};

/// The largest datagram UDP can carry.
const MAX_DATAGRAM: usize = 65_536;
/// Receive and send buffer asked of the kernel, bytes.
const SOCKET_BUFFER: usize = 4 << 20;

/// Binds one UDP socket for SIP: its reading half, and a handle to send by. Sending asks the kernel at once; by way of the runtime,
/// what is sent before the runtime has first looked at the socket would count as refused.
pub(super) fn bind(address: SocketAddr) -> io::Result<(UdpSocket, std::net::UdpSocket)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // A smaller buffer than asked for still works, so a refusal is no error.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    let sender = socket.try_clone()?.into();
    Ok((UdpSocket::from_std(socket.into())?, sender))
}

/// Reads datagrams until the pump goes away.
pub(super) async fn read(socket: UdpSocket, local: SocketAddr, out: mpsc::Sender<Inbound>) {
    let mut buffer = vec![0u8; MAX_DATAGRAM];
    let mut locals = LocalAddresses::default();
    loop {
        let (length, remote) = match socket.recv_from(&mut buffer).await {
            Ok(got) => got,
            Err(error) => {
                // ICMP errors of earlier sends show up here; the socket itself is fine.
                tracing::debug!(%error, %local, "UDP receive");
                continue;
            }
        };
        let flow = Flow {
            transport: Transport::Udp,
            local: locals.towards(remote, local),
            remote,
            connection: 0,
        };
        if out
            .send(Inbound::Message(
                flow,
                Bytes::copy_from_slice(&buffer[..length]),
            ))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// The local addresses peers reach us by, for a socket that is bound to all of them. Asking the kernel costs three system
/// calls, so answers are kept; limit: 1024 peers, then it starts anew.
#[derive(Debug, Default)]
pub(super) struct LocalAddresses(HashMap<IpAddr, IpAddr>);

const REMEMBERED_PEERS: usize = 1024;

impl LocalAddresses {
    /// The local address towards `remote`: the bound one, or the one the kernel would send from.
    pub(super) fn towards(&mut self, remote: SocketAddr, bound: SocketAddr) -> SocketAddr {
        if !bound.ip().is_unspecified() {
            return bound;
        }
        if self.0.len() >= REMEMBERED_PEERS {
            self.0.clear();
        }
        let ip = self
            .0
            .entry(remote.ip())
            .or_insert_with(|| source_address(remote).unwrap_or(bound.ip()));
        SocketAddr::new(*ip, bound.port())
    }
}

/// The source address that the kernel's routing table picks towards `remote`.
fn source_address(remote: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if remote.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let probe = std::net::UdpSocket::bind(any).ok()?;
    // Connecting a UDP socket sends nothing; it only asks for a route.
    probe.connect(remote).ok()?;
    probe.local_addr().ok().map(|address| address.ip())
}
