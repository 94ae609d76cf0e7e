//! UDP sockets for SIP: options by socket2, one reader task per socket.
//!
//! A reader drops only what the guards turn away: when the pump is behind, datagrams wait in the kernel's buffer (4 MiB asked for).
use super::counters::count;
use super::flows::LocalAddresses;
use super::guard::Guards;
use super::{Inbound, PumpCounters};
use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
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
pub(super) async fn read(
    socket: UdpSocket,
    local: SocketAddr,
    guards: Arc<Guards>,
    counters: Arc<PumpCounters>,
    out: mpsc::Sender<Inbound>,
) {
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
        let now = Instant::now();
        if let Err(rule) = guards.datagram(now, remote.ip()) {
            count(&counters.dropped, rule);
            guards.log(now, rule, remote);
            continue;
        }
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
