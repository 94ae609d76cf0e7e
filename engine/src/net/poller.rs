//! The poller of RTP sockets: level-triggered epoll and a waker for commands. For one media thread; never a tokio task per channel.
//!
//! Level-triggered, because one `recv` per ready socket is enough then: what is left is reported again, and the EAGAIN that ends a drain
//! is not paid. Needs Linux 5.11 (`epoll_pwait2`, waits of less than a millisecond).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, mem::MaybeUninit};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

/// Ready sockets taken by one look: 24 KiB of the caller's stack.
const BATCH: usize = 2048;
/// The token of the waker.
const WAKE: u64 = u64::MAX;

/// Waits for many sockets at once.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    waker: Arc<Waker>,
}

/// Wakes a [`Poller`] from another thread; costs a system call only when it sleeps.
#[derive(Debug)]
pub struct Waker {
    event: OwnedFd,
    asleep: AtomicBool,
}

impl Waker {
    /// Makes the present or next blocking wait return.
    pub fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            // Fails only when 2^64-1 wakes are pending, and then it is awake anyway.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }
}

impl Poller {
    /// An empty poller.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub fn new() -> io::Result<Poller> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let data = epoll::EventData::new_u64(WAKE);
        epoll::add(&epoll, &event, data, epoll::EventFlags::IN)?;
        Ok(Poller {
            epoll,
            waker: Arc::new(Waker {
                event,
                asleep: AtomicBool::new(false),
            }),
        })
    }

    /// The handle that wakes it.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Watches a socket; `token` is reported when it has something to read. `u64::MAX` is taken.
    ///
    /// # Errors
    /// What the system says.
    pub fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            socket,
            epoll::EventData::new_u64(token),
            epoll::EventFlags::IN,
        )?)
    }

    /// Stops watching a socket. Closing it does the same, unless it was duplicated.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Sleeps until a socket is ready, the waker is used, `timeout` is over or a signal comes. `idle` is asked once more after the waker
    /// was armed, so that nothing sent before goes unseen: `false` returns at once.
    pub fn sleep(&mut self, timeout: Option<Duration>, idle: impl FnOnce() -> bool) {
        self.waker.asleep.store(true, Ordering::SeqCst);
        if idle() {
            let timeout = timeout.map(timespec);
            let mut one = [MaybeUninit::uninit(); 1];
            let _ = epoll::wait(&self.epoll, &mut one, timeout.as_ref());
        }
        self.waker.asleep.store(false, Ordering::SeqCst);
    }

    /// Hands the token of each ready socket to `on`, without waiting. At most 2048; the others come first next time.
    pub fn ready(&mut self, mut on: impl FnMut(u64)) {
        self.ready_with_next(|token, _| on(token));
    }

    /// The same with the tokens of the next and the third socket after it, for who can prepare for them. They may be `u64::MAX`.
    pub fn ready_with_next(&mut self, mut on: impl FnMut(u64, [Option<u64>; 2])) {
        let zero = timespec(Duration::ZERO);
        let mut space = [MaybeUninit::uninit(); BATCH];
        let Ok((events, _)) = epoll::wait(&self.epoll, &mut space, Some(&zero)) else {
            return; // a signal; the next turn asks again
        };
        for (place, event) in events.iter().enumerate() {
            let later = |by: usize| events.get(place + by).map(|event| event.data.u64());
            match event.data.u64() {
                WAKE => _ = rustix::io::read(&self.waker.event, &mut [0; 8]),
                token => on(token, [later(1), later(3)]),
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_ready_socket_is_reported_until_it_is_read() {
        let mut poller = Poller::new().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        poller.add(&socket, 7).unwrap();
        socket.send_to(b"a", socket.local_addr().unwrap()).unwrap();
        socket.send_to(b"b", socket.local_addr().unwrap()).unwrap();
        poller.sleep(None, || true);
        let mut seen = 0;
        for _ in 0..5 {
            poller.ready(|token| {
                assert_eq!(token, 7);
                socket.recv(&mut [0; 9]).unwrap();
                seen += 1;
            });
        }
        assert_eq!(seen, 2);
    }

    #[test]
    fn the_waker_ends_a_sleep_and_is_used_up() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker();
        let thread = std::thread::spawn(move || {
            while !waker.asleep.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            waker.wake();
        });
        poller.sleep(None, || true);
        thread.join().unwrap();
        poller.ready(|token| panic!("{token} is not ready"));
        poller.sleep(None, || false);
    }
}
