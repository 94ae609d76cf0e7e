//! The end of channels, away from the hot loop: sockets are closed, ports and places given back, the last event sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::channel::ChannelState;
use super::event::MediaEvent;
use super::ports::PortPool;
use super::recorder::RecordingLedger;

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

/// Completes the end of channels.
#[derive(Debug, Clone)]
pub(crate) struct Retirement {
    pub(crate) registry: Arc<Mutex<Registry>>,
}

impl Retirement {
    /// Completes the end of each channel until the shard has ended. A rest after each bout makes one wake-up of many where calls end quickly.
    pub(crate) fn run(&self, retired: &Receiver<Retired>) {
        while let Ok(first) = retired.recv() {
            self.complete(first);
            retired.try_iter().for_each(|gone| self.complete(gone));
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
