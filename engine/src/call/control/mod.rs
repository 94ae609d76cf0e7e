//! Control from outside: the calls in progress by their id, what is known of each, and orders to them.
//!
//! A call has one owner, its session. Whoever wants something of it sends an [`Order`] and gets an outcome or an [`OrderError`]; nothing here
//! touches a leg. What the session knows is copied into [`Snapshot`]s, which may be a moment old.
//! Limits: `MAX_ORDERS` orders wait for one call, further ones are refused as `busy`; `MAX_TAGS` tags of `MAX_TAG` characters,
//! [`MAX_METADATA`] entries of metadata with names of `MAX_TAG` and values of [`MAX_VALUE`] characters.
mod order;
mod snapshot;
#[cfg(test)]
mod tests;

pub use order::{Done, Order, OrderError, Parting, PlayOrder, Side, Transfer, When};
pub(super) use snapshot::Facts;
pub use snapshot::{Annotation, CallState, LegSnapshot, Snapshot};

use super::Calls;
use super::context::CallContext;
use super::events::EventKind;
use super::sounds;
use crate::media::MediaAudio;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{mpsc, oneshot};

/// Orders that wait for one call.
const MAX_ORDERS: usize = 32;
/// Tags of one call.
pub const MAX_TAGS: usize = 32;
/// Longest tag, and longest name of metadata, in characters.
pub const MAX_TAG: usize = 64;
/// Entries of metadata of one call.
pub const MAX_METADATA: usize = 32;
/// Longest value of metadata, in characters.
pub const MAX_VALUE: usize = 1024;

/// All calls in progress.
#[derive(Default)]
pub struct Control(Mutex<BTreeMap<String, Entry>>);

struct Entry {
    orders: mpsc::Sender<Box<Ordered>>,
    call: Weak<CallContext>,
}

/// An order on its way, its audio ready to be played.
pub(super) struct Ordered {
    pub(super) order: Order,
    pub(super) audio: Vec<MediaAudio>,
    reply: oneshot::Sender<Result<Done, OrderError>>,
}

impl Ordered {
    /// The order, and where its outcome goes.
    pub(super) fn open(self) -> (Order, Vec<MediaAudio>, Reply) {
        (self.order, self.audio, Reply(self.reply))
    }
}

/// Where the outcome of an order goes.
pub(super) struct Reply(oneshot::Sender<Result<Done, OrderError>>);

impl Reply {
    pub(super) fn send(self, outcome: Result<Done, OrderError>) {
        // Who does not wait any more does not want to know.
        let _ = self.0.send(outcome);
    }
}

/// The orders to one call; while it lives, the call is among those in progress. Boxed on their way: the queue makes room for 32 at once in each
/// call, most of which never gets any.
pub(super) struct Orders {
    receiver: mpsc::Receiver<Box<Ordered>>,
    control: Arc<Control>,
    call: String,
}

impl Orders {
    /// The next order. Can be dropped at any await without losing one.
    pub(super) async fn next(&mut self) -> Ordered {
        match self.receiver.recv().await {
            Some(ordered) => *ordered,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        self.control.calls().remove(&self.call);
    }
}

impl Control {
    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a call, which is in progress until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>, call: &Arc<CallContext>) -> Orders {
        let (orders, receiver) = mpsc::channel(MAX_ORDERS);
        let id = call.info.id.clone();
        let entry = Entry {
            orders,
            call: Arc::downgrade(call),
        };
        self.calls().insert(id.clone(), entry);
        Orders {
            receiver,
            control: self.clone(),
            call: id,
        }
    }

    fn call(&self, id: &str) -> Option<Arc<CallContext>> {
        self.calls().get(id)?.call.upgrade()
    }

    /// How many calls are in progress.
    pub fn len(&self) -> usize {
        self.calls().len()
    }

    /// Whether no call is in progress.
    pub fn is_empty(&self) -> bool {
        self.calls().is_empty()
    }

    /// All calls in progress, by id.
    pub fn list(&self) -> Vec<Snapshot> {
        let calls: Vec<_> = self
            .calls()
            .values()
            .filter_map(|entry| entry.call.upgrade())
            .collect();
        calls.iter().map(|call| call.snapshot()).collect()
    }

    /// One call; `None`: it is not in progress.
    pub fn get(&self, id: &str) -> Option<Snapshot> {
        self.call(id).map(|call| call.snapshot())
    }

    /// Sets tags and metadata of a call.
    ///
    /// # Errors
    /// There is no such call, or a limit is reached; then nothing has changed.
    pub fn annotate(&self, id: &str, annotation: Annotation) -> Result<Snapshot, OrderError> {
        let call = self.call(id).ok_or(OrderError::NoSuchCall)?;
        call.facts(|facts| facts.annotate(annotation))
            .map_err(OrderError::Invalid)?;
        let snapshot = call.snapshot();
        call.tell(
            EventKind::CallChanged,
            || json!({"tags": snapshot.tags, "metadata": snapshot.metadata}),
        );
        Ok(snapshot)
    }
}

impl Calls {
    /// Sends an order to a call and waits until its session has taken it. What it begins (a prompt, a recording) goes on after that.
    ///
    /// # Errors
    /// See [`OrderError`]; nothing has been done then.
    pub async fn order(&self, call: &str, order: Order) -> Result<Done, OrderError> {
        let orders = match self.control.calls().get(call) {
            Some(entry) => entry.orders.clone(),
            None => return Err(OrderError::NoSuchCall),
        };
        let audio = match &order {
            Order::Play(play) => self.sounds_of(play).await?,
            _ => Vec::new(),
        };
        let name = order.name();
        tracing::info!(call, order = name, "ordered from outside");
        let (reply, outcome) = oneshot::channel();
        let ordered = Box::new(Ordered {
            order,
            audio,
            reply,
        });
        orders.try_send(ordered).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                tracing::warn!(
                    call,
                    rule = "too-many-orders",
                    limit = MAX_ORDERS,
                    "order refused: too many wait for this call"
                );
                OrderError::Busy
            }
            mpsc::error::TrySendError::Closed(_) => OrderError::Gone,
        })?;
        let outcome = outcome.await.unwrap_or(Err(OrderError::Gone));
        if let Err(error) = &outcome {
            tracing::info!(call, order = name, rule = error.rule(), %error, "order not carried out");
        }
        outcome
    }

    async fn sounds_of(&self, play: &PlayOrder) -> Result<Vec<MediaAudio>, OrderError> {
        let mut audio = Vec::with_capacity(play.audio.len());
        for piece in &play.audio {
            let sound = sounds::load(self, piece).await;
            audio.push(sound.map_err(OrderError::Audio)?);
        }
        Ok(audio)
    }
}
