//! What waits to be written on one connection. It is bounded by octets, not by messages: a trunk's burst of calls is many small ones,
//! and all of them share one connection.
//!
//! Limit: [`MAX_WAITING`] octets.
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Octets that may wait to be written on one connection, also while it is being opened: a thousand messages of usual size.
pub(super) const MAX_WAITING: usize = 1 << 20;

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// The peer does not read, or not as fast as we write.
    Full,
    /// The connection is over.
    Closed,
}

/// The pump's end.
#[derive(Debug)]
pub(super) struct Sender {
    send: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// The connection's end.
pub(super) struct WriteQueue {
    receive: mpsc::UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// Both ends of a queue.
pub(super) fn write_queue() -> (Sender, WriteQueue) {
    let (send, receive) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    let sender = Sender {
        send,
        waiting: waiting.clone(),
    };
    (sender, WriteQueue { receive, waiting })
}

impl Sender {
    /// Queues a message without waiting.
    pub(super) fn send(&self, bytes: Bytes) -> Result<(), NotQueued> {
        let length = bytes.len();
        // Only this end adds, so what it reads can only have become less.
        if self.waiting.load(Ordering::Relaxed) + length > MAX_WAITING {
            return match self.send.is_closed() {
                true => Err(NotQueued::Closed),
                false => Err(NotQueued::Full),
            };
        }
        self.waiting.fetch_add(length, Ordering::Relaxed);
        self.send.send(bytes).map_err(|_| NotQueued::Closed)
    }
}

impl WriteQueue {
    /// The next message; `None` when the pump let the connection go.
    pub(super) async fn recv(&mut self) -> Option<Bytes> {
        let bytes = self.receive.recv().await?;
        self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
        Some(bytes)
    }

    /// Takes no more, and gives back what waits.
    pub(super) fn close(&mut self) -> Vec<Bytes> {
        self.receive.close();
        std::iter::from_fn(|| self.receive.try_recv().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn octets_are_bounded_and_given_back() {
        let (send, mut queue) = write_queue();
        let message = Bytes::from(vec![0; 1024]);
        let fit = MAX_WAITING / 1024;
        assert!((0..fit).all(|_| send.send(message.clone()).is_ok()));
        assert_eq!(send.send(message.clone()), Err(NotQueued::Full));
        assert!(queue.recv().await.is_some());
        assert_eq!(send.send(message.clone()), Ok(()));
        assert_eq!(queue.close().len(), fit);
        assert_eq!(send.send(message), Err(NotQueued::Closed));
    }
}
