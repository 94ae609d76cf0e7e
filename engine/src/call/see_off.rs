//! The last of a leg that its call needs no more: it is hung up, its end is waited for, and its channel is closed, in a task of its own, so that
//! the call can go on.
use super::leg::Leg;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tracing::Instrument;
use trunkline_sip::HangupReason;

/// A leg beside the call's first one: seen off when it is dropped, whatever the reason.
pub(super) struct Escorted(Option<Box<Leg>>);

impl Escorted {
    pub(super) fn new(leg: impl Into<Box<Leg>>) -> Escorted {
        Escorted(Some(leg.into()))
    }

    /// Hangs it up and lets it go.
    pub(super) fn see_off(mut self, cause: &'static str, reason: Option<HangupReason>) {
        self.hang_up(cause, reason);
    }

    /// The leg, for somebody else to keep.
    pub(super) fn into_leg(mut self) -> Box<Leg> {
        self.0
            .take()
            .expect("local invariant: taken only by what consumes it")
    }

    /// Gives the far end so much time to hang up by itself, then does it.
    pub(super) fn see_off_after(mut self, patience: Duration, cause: &'static str) {
        if let Some(leg) = self.0.take() {
            see_off(leg, patience, cause);
        }
    }
}

impl Deref for Escorted {
    type Target = Leg;

    fn deref(&self) -> &Leg {
        self.0
            .as_ref()
            .expect("local invariant: taken only by what consumes it")
    }
}

impl DerefMut for Escorted {
    fn deref_mut(&mut self) -> &mut Leg {
        self.0
            .as_mut()
            .expect("local invariant: taken only by what consumes it")
    }
}

impl Drop for Escorted {
    fn drop(&mut self) {
        if let Some(leg) = self.0.take() {
            see_off(leg, Duration::ZERO, "call-over");
        }
    }
}

/// Without a runtime (the process ends) the leg's own drop hangs it up.
fn see_off(mut leg: Box<Leg>, patience: Duration, cause: &'static str) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let farewell = async move {
        let end = match tokio::time::timeout(patience, leg.ended()).await {
            Ok(end) => end,
            Err(_) => {
                leg.hang_up(cause, None);
                leg.farewell().await
            }
        };
        leg.finish(&end).await;
    };
    runtime.spawn(farewell.in_current_span());
}
