//! Taking one datagram of a connected socket together with the kernel's time of its arrival. For media threads that read a socket when it suits
//! them instead of when something comes. Linux only; where control data looks otherwise there is no stamp.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Control data that is taken, in words: a stamp needs four.
const CONTROL_WORDS: usize = 8;

/// A datagram that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its octets in the buffer; longer ones are cut to it.
    pub length: usize,
    /// When it arrived, by [`wall_ns`](super::batch::wall_ns); `None` for what came before the socket was to [`stamp`].
    pub at_ns: Option<u64>,
}

/// From now on what arrives is stamped. A wish: without stamps the time of taking is all there is.
pub fn stamp(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the option is a c_int that outlives the call.
    let _ = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
}

/// Takes the next datagram without waiting and without asking who sent it; `None` when there is none.
///
/// # Errors
/// What the system says, such as an ICMP error about what was sent.
pub fn take(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Option<Taken>> {
    let mut vector = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut control = [0u64; CONTROL_WORDS];
    // SAFETY: a header of zeros is one without name, vectors and control data.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
    // SAFETY: the header points at a vector over `buffer` and at control data, both with their true sizes and alive during the call.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    match usize::try_from(got) {
        Ok(length) => Ok(Some(Taken {
            length,
            at_ns: arrival(&control, header.msg_controllen as usize),
        })),
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            error => Err(error),
        },
    }
}

/// The stamp in control data (`cmsghdr`: a word of length, level and type in the next, then seconds and nanoseconds).
fn arrival(control: &[u64; CONTROL_WORDS], length: usize) -> Option<u64> {
    let kind = u64::from(libc::SOL_SOCKET as u32) | u64::from(libc::SCM_TIMESTAMPNS as u32) << 32;
    let kind = if cfg!(target_endian = "big") {
        kind.rotate_left(32)
    } else {
        kind
    };
    let [size, found, seconds, ns, ..] = *control;
    (length >= 32 && size == 32 && found == kind)
        .then(|| seconds.wrapping_mul(1_000_000_000).wrapping_add(ns))
}

#[cfg(test)]
mod tests {
    use super::super::batch::wall_ns;
    use super::*;

    #[test]
    fn datagrams_come_with_the_time_of_their_arrival() {
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        here.connect(there.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 4];
        assert_eq!(take(&here, &mut buffer).unwrap(), None);
        stamp(&here);
        let before = wall_ns();
        for datagram in [&b"abc"[..], b"abcdefgh"] {
            there.send_to(datagram, here.local_addr().unwrap()).unwrap();
        }
        let sent = wall_ns();
        for length in [3, 4] {
            let taken = take(&here, &mut buffer).unwrap().unwrap();
            assert_eq!((taken.length, &buffer[..3]), (length, &b"abc"[..]));
            let at_ns = taken.at_ns.unwrap();
            // Switching the stamps on takes a moment of the kernel's own; they are never late.
            assert!(at_ns <= sent.max(wall_ns()) && at_ns + 5_000_000_000 > before);
        }
        assert_eq!(take(&here, &mut buffer).unwrap(), None);
        drop(there);
        here.send(b"x").unwrap();
        let refused = take(&here, &mut buffer).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(take(&here, &mut buffer).unwrap(), None);
    }
}
