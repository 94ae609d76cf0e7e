//! The end of channels, away from the hot loop: sockets are closed, ports and places given back, the last event sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::channel::ChannelState;
use super::event::MediaEvent;
use super::ports::PortPool;
use super::recorder::RecordingLedger;

/// Things on their way to the reaper that there is room for from the start.
const ON_THE_WAY: usize = 4096;
/// Between two bouts of [`Retirement::run`]: nobody misses a port for so long.
const REST: Duration = Duration::from_millis(2);

/// Free ports and free places in the shard's slab.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) ports: PortPool,
    /// Free places, each with the generation of its next channel.
    pub(crate) places: Vec<ChannelId>,
}

/// The place of a channel in the slab. The generation tells it from earlier channels in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChannelId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// What left the shard.
#[derive(Debug)]
pub(crate) enum Retired {
    /// A channel.
    Channel(Box<ChannelState>),
    /// Something that only has to be freed.
    Left(Box<dyn Left>),
}

/// Anything that can be freed by another thread.
pub(crate) trait Left: std::fmt::Debug + Send {}

impl<T: std::fmt::Debug + Send> Left for T {}

impl Retired {
    pub(crate) fn recordings_complete(&self) -> bool {
        match self {
            Retired::Channel(channel) => channel.recordings_complete(),
            Retired::Left(_) => true,
        }
    }
}

impl Retired {
    /// The end of those that are not complete is told as it is.
    pub(crate) fn give_up_recordings(&self) {
        if let Retired::Channel(channel) = self {
            channel.ledgers.iter().for_each(RecordingLedger::give_up);
        }
    }
}

/// The shard's way to the thread that frees what left the loop. Allocates only while [`ON_THE_WAY`] things wait there already.
#[derive(Debug, Clone)]
pub(crate) struct Reaper {
    ring: Sender<Retired>,
    overflow: Sender<Retired>,
}

impl Reaper {
    pub(crate) fn new() -> (Reaper, Reaped) {
        let (ring, from_ring) = crossbeam_channel::bounded(ON_THE_WAY);
        let (overflow, overflown) = crossbeam_channel::unbounded();
        let reaped = Reaped {
            ring: from_ring,
            overflow: overflown,
        };
        (Reaper { ring, overflow }, reaped)
    }

    /// Nothing waits, and nothing is freed here: the reaper lives until no shard is left.
    pub(crate) fn send(&self, gone: Retired) {
        if let Err(TrySendError::Full(gone)) = self.ring.try_send(gone) {
            let _ = self.overflow.send(gone);
        }
    }
}

/// What left the shards.
#[derive(Debug)]
pub(crate) struct Reaped {
    ring: Receiver<Retired>,
    overflow: Receiver<Retired>,
}

impl Reaped {
    /// The next of it, whenever it comes; none when no shard is left.
    fn next(&self) -> Option<Retired> {
        let first = crossbeam_channel::select! {
            recv(self.ring) -> gone => gone,
            recv(self.overflow) -> gone => gone,
        };
        first.ok().or_else(|| self.waiting().next())
    }

    /// What is there already.
    fn waiting(&self) -> impl Iterator<Item = Retired> {
        self.ring.try_iter().chain(self.overflow.try_iter())
    }
}

/// Completes the end of channels.
#[derive(Debug, Clone)]
pub(crate) struct Retirement {
    pub(crate) registry: Arc<Mutex<Registry>>,
}

impl Retirement {
    /// Completes the end of each channel until the shard has ended. A rest after each bout makes one wake-up of many where calls end quickly.
    pub(crate) fn run(&self, reaped: &Reaped) {
        while let Some(first) = reaped.next() {
            self.complete(first);
            reaped.waiting().for_each(|gone| self.complete(gone));
            std::thread::sleep(REST);
        }
    }

    /// Closes the sockets, gives ports and place back, and sends the last event, in this order: who has seen the event can rely on the rest.
    pub(crate) fn complete(&self, retired: Retired) {
        let state = match retired {
            Retired::Channel(state) => state,
            Retired::Left(left) => return drop(left),
        };
        let (id, port, events, stats) = (state.id, state.port, state.events.clone(), state.stats());
        drop(state);
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.ports.give_back(port);
        registry.places.push(ChannelId {
            generation: id.generation.wrapping_add(1),
            ..id
        });
        drop(registry);
        // Nobody may listen any more.
        let _ = events.send(MediaEvent::Closed(Box::new(stats)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// More than there is room for, before anybody takes it: each is freed, and the thread ends with the last shard.
    #[test]
    fn all_that_leaves_is_freed() {
        let (reaper, reaped) = Reaper::new();
        let freed = Arc::new(AtomicUsize::new(0));
        let count = ON_THE_WAY * 2 + 7;
        let send = |reaper: &Reaper| {
            let gone = Box::new(Counted(freed.clone()));
            reaper.send(Retired::Left(gone));
        };
        (0..count).for_each(|_| send(&reaper));
        assert_eq!(reaped.overflow.len(), count - ON_THE_WAY);
        let retirement = Retirement {
            registry: Arc::new(Mutex::new(Registry {
                ports: PortPool::new(&(23_400..=23_401)),
                places: Vec::new(),
            })),
        };
        let another = reaper.clone();
        drop(reaper);
        std::thread::scope(|scope| {
            scope.spawn(|| retirement.run(&reaped));
            send(&another);
            drop(another);
        });
        assert_eq!(freed.load(Ordering::SeqCst), count + 1);
    }
}
