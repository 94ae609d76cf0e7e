//! Many datagrams in one system call, with the kernel's time of arrival: for the load generator, whose few sockets carry thousands of streams.
//!
//! Never used by the shards: each of their channels has a socket of its own, where batches do not pay. Linux only. Buffers are made once.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{SystemTime, UNIX_EPOCH};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Octets of control data taken with each datagram, in words: the stamp and the drop counter need 56.
const CONTROL_WORDS: usize = 16;

/// The time of the kernel's arrival stamps: ns since 1970.
pub fn wall_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

/// A non-blocking UDP socket that stamps what arrives and counts what did not fit into `buffer` octets.
///
/// # Errors
/// `AddrInUse` when the port is taken; otherwise what the system says.
pub fn bind_stamped(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    let size = libc::c_int::try_from(buffer).unwrap_or(libc::c_int::MAX);
    // Beyond the system's limit for those who may (CAP_NET_ADMIN), up to it for all others.
    if set(&socket, libc::SO_RCVBUFFORCE, size).is_err() {
        set(&socket, libc::SO_RCVBUF, size)?;
    }
    if set(&socket, libc::SO_SNDBUFFORCE, size).is_err() {
        set(&socket, libc::SO_SNDBUF, size)?;
    }
    set(&socket, libc::SO_TIMESTAMPNS, 1)?;
    set(&socket, libc::SO_RXQ_OVFL, 1)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn set(socket: &Socket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the option is a c_int that outlives the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Message headers that point into buffers on the heap, which never move or grow while they live.
struct Slots {
    headers: Vec<libc::mmsghdr>,
    /// Pointed at by `headers`.
    _vectors: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_storage>,
    octets: Vec<u8>,
    /// Octets of each slot.
    size: usize,
}

impl Slots {
    fn new(count: usize, size: usize) -> Slots {
        let mut octets = vec![0; count * size];
        // SAFETY: a storage of zeros is an address of no family.
        let mut names = vec![unsafe { std::mem::zeroed::<libc::sockaddr_storage>() }; count];
        let mut vectors: Vec<_> = octets
            .chunks_exact_mut(size)
            .map(|chunk| libc::iovec {
                iov_base: chunk.as_mut_ptr().cast(),
                iov_len: size,
            })
            .collect();
        let headers = names
            .iter_mut()
            .zip(&mut vectors)
            .map(|(name, vector)| {
                // SAFETY: a header of zeros is one without name, vectors and control data.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_name = (&raw mut *name).cast();
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Slots {
            headers,
            _vectors: vectors,
            names,
            octets,
            size,
        }
    }
}

/// Datagrams that leave together.
pub struct Outbox {
    slots: Slots,
    filled: usize,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// Room for `count` datagrams of up to `size` octets.
    pub fn new(count: usize, size: usize) -> Outbox {
        Outbox {
            slots: Slots::new(count.max(1), size.max(1)),
            filled: 0,
        }
    }

    /// Whether the next [`push`](Outbox::push) finds no room.
    pub fn is_full(&self) -> bool {
        self.filled == self.slots.headers.len()
    }

    /// Takes one more datagram for `to`: `write` fills the front of its buffer and says how many octets those are. `None`, and nothing is
    /// taken, when the box is full or `write` gives none.
    pub fn push(
        &mut self,
        to: &SockAddr,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<()> {
        if self.is_full() {
            return None;
        }
        let size = self.slots.size;
        let first = self.filled * size;
        let length = write(&mut self.slots.octets[first..first + size])?.min(size);
        // SAFETY: a socket2 address is a whole `sockaddr_storage` inside.
        self.slots.names[self.filled] = unsafe { *to.as_ptr().cast::<libc::sockaddr_storage>() };
        let header = &mut self.slots.headers[self.filled].msg_hdr;
        header.msg_namelen = to.len();
        // SAFETY: points at this slot's vector, which lives as long as the headers.
        unsafe { (*header.msg_iov).iov_len = length };
        self.filled += 1;
        Some(())
    }

    /// Sends all and empties the box. Returns how many the kernel refused.
    pub fn flush(&mut self, socket: &UdpSocket) -> usize {
        let (mut next, mut refused) = (0, 0);
        while next < self.filled {
            let rest = &mut self.slots.headers[next..self.filled];
            // SAFETY: every header points at a name and a vector of this box, and none of them is moved during the call.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    0,
                )
            };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => next += sent,
                _ => {
                    refused += 1;
                    next += 1;
                }
            }
        }
        self.filled = 0;
        refused
    }
}

/// Datagrams that came together.
pub struct Inbox {
    slots: Slots,
    /// Pointed at by the headers; words, so that it is aligned for `cmsghdr`.
    control: Vec<[u64; CONTROL_WORDS]>,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// What it holds; longer ones are cut.
    pub octets: &'a [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// When it arrived, by [`wall_ns`]; the present when the kernel did not stamp it.
    pub at_ns: u64,
    /// How many the socket has dropped before it because its buffer was full, wrapping.
    pub dropped: u32,
}

impl Inbox {
    /// Room for `count` datagrams of up to `size` octets.
    pub fn new(count: usize, size: usize) -> Inbox {
        let mut slots = Slots::new(count.max(1), size.max(1));
        let mut control = vec![[0; CONTROL_WORDS]; count.max(1)];
        for (header, control) in slots.headers.iter_mut().zip(&mut control) {
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
        }
        Inbox { slots, control }
    }

    /// How many fit.
    pub fn capacity(&self) -> usize {
        self.slots.headers.len()
    }

    /// Takes what has come, without waiting. Returns how many; read them with [`datagram`](Inbox::datagram).
    pub fn receive(&mut self, socket: &UdpSocket) -> usize {
        for header in &mut self.slots.headers {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
        }
        let headers = &mut self.slots.headers;
        // SAFETY: every header points at a name, a vector and control data of this box with their true sizes; no timeout is given.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(got).unwrap_or(0)
    }

    /// One of those that the last [`receive`](Inbox::receive) took. `None` for an index beyond them, or a source that is no IP address.
    pub fn datagram(&self, index: usize) -> Option<Datagram<'_>> {
        let header = self.slots.headers.get(index)?;
        let length = (header.msg_len as usize).min(self.slots.size);
        let first = index * self.slots.size;
        let (at_ns, dropped) = stamps(&self.control[index], header.msg_hdr.msg_controllen);
        Some(Datagram {
            octets: &self.slots.octets[first..first + length],
            from: address(&self.slots.names[index])?,
            at_ns: at_ns.unwrap_or_else(wall_ns),
            dropped,
        })
    }
}

/// An IPv4 or IPv6 address as the kernel wrote it.
fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is larger and aligned for any of them, holds a `sockaddr_in`.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(name.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::new(ip.into(), u16::from_be(name.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, a `sockaddr_in6`.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddr::new(ip.into(), u16::from_be(name.sin6_port)))
        }
        _ => None,
    }
}

/// The arrival stamp and the drop counter in control data (`cmsghdr`: a word of length, the level, the type, then the value).
fn stamps(control: &[u64; CONTROL_WORDS], length: usize) -> (Option<u64>, u32) {
    let (mut at, mut dropped) = (None, 0);
    let end = (length / 8).min(CONTROL_WORDS);
    let mut word = 0;
    while word + 2 < end + 1 {
        let size = control[word] as usize;
        if size < 16 || word + 2 >= CONTROL_WORDS {
            break;
        }
        let kind = control[word + 1].to_ne_bytes();
        let half = |first: usize| {
            i32::from_ne_bytes([
                kind[first],
                kind[first + 1],
                kind[first + 2],
                kind[first + 3],
            ])
        };
        if half(0) == libc::SOL_SOCKET
            && half(4) == libc::SCM_TIMESTAMPNS
            && word + 3 < CONTROL_WORDS
        {
            at = Some(control[word + 2] * 1_000_000_000 + control[word + 3]);
        } else if half(0) == libc::SOL_SOCKET && half(4) == libc::SO_RXQ_OVFL {
            let value = control[word + 2].to_ne_bytes();
            dropped = u32::from_ne_bytes([value[0], value[1], value[2], value[3]]);
        }
        word += size.div_ceil(8);
    }
    (at, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_arrives_whole_and_stamped() {
        let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (a, b) = (
            bind_stamped(here, 1 << 16).unwrap(),
            bind_stamped(here, 1 << 16).unwrap(),
        );
        let to = SockAddr::from(b.local_addr().unwrap());
        let before = wall_ns();
        let mut out = Outbox::new(3, 8);
        for n in 0..3u8 {
            out.push(&to, |buffer| {
                buffer[0] = n;
                Some(1 + usize::from(n))
            })
            .unwrap();
        }
        assert!(out.is_full() && out.push(&to, |_| Some(1)).is_none());
        assert_eq!(out.flush(&a), 0);
        let mut inbox = Inbox::new(4, 8);
        assert_eq!(inbox.receive(&b), 3);
        for n in 0..3u8 {
            let datagram = inbox.datagram(n.into()).unwrap();
            assert_eq!(
                (datagram.octets[0], datagram.octets.len()),
                (n, 1 + usize::from(n))
            );
            assert_eq!(datagram.from, a.local_addr().unwrap());
            assert!(datagram.at_ns >= before && datagram.at_ns <= wall_ns());
        }
        assert_eq!(inbox.receive(&b), 0);
        assert_eq!(inbox.capacity(), 4);
    }

    #[test]
    fn what_did_not_fit_is_counted_and_what_is_refused_too() {
        let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (a, b) = (
            bind_stamped(here, 1 << 20).unwrap(),
            bind_stamped(here, 4096).unwrap(),
        );
        let to = SockAddr::from(b.local_addr().unwrap());
        let mut out = Outbox::new(1, 1024);
        for _ in 0..100 {
            out.push(&to, |_| Some(1000)).unwrap();
            out.flush(&a);
        }
        let mut inbox = Inbox::new(128, 1024);
        let got = inbox.receive(&b);
        assert!(got > 0 && got < 100, "{got}");
        out.push(&to, |_| Some(1)).unwrap();
        out.flush(&a);
        assert_eq!(inbox.receive(&b), 1);
        assert_eq!(inbox.datagram(0).unwrap().dropped as usize, 100 - got);
        out.push(
            &SockAddr::from("[::1]:9".parse::<SocketAddr>().unwrap()),
            |_| Some(1),
        )
        .unwrap();
        assert_eq!(out.flush(&a), 1);
    }
}
