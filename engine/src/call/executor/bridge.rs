//! Two legs joined: what one far end does, and what the other gets of it, until one is gone.
use super::super::dial::{DialEnd, Dialled};
use super::super::leg::{End, Input, Leg};
use super::super::see_off::Escorted;
use super::super::verb::{KeyPress, Outcome};
use super::dial::passed_on;
use super::{Executor, VerbResult};
use std::time::Instant;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The call's own leg.
    Own,
    /// The dialled one.
    Peer,
}

impl Executor<'_> {
    /// Joins the call's leg with `peer` until one of them is gone.
    pub(super) async fn bridge(&mut self, mut peer: Escorted, label: String) -> VerbResult {
        let joined = Instant::now();
        tracing::info!(
            with = label,
            codec = self.leg.codec(),
            peer_codec = peer.codec(),
            "joined"
        );
        self.leg.join(&mut peer);
        loop {
            let (side, input) = tokio::select! {
                biased;
                input = self.leg.next() => (Side::Own, input),
                input = peer.next() => (Side::Peer, input),
            };
            match (side, input) {
                (Side::Own, Input::Ended(end)) => {
                    peer.see_off("other-party", Some(passed_on(&end)));
                    return Err(end);
                }
                (Side::Peer, Input::Ended(end)) => {
                    self.leg.part();
                    return Ok(Outcome::Dialled(after(&end, label, joined)));
                }
                (Side::Own, input) => across(self.leg, &mut peer, input),
                (Side::Peer, input) => across(&mut peer, self.leg, input),
            }
        }
    }
}

/// What one side did, brought to the other.
fn across(from: &mut Leg, to: &mut Leg, input: Input) {
    match input {
        Input::Key(key) => pass_key(from, to, key),
        // The answer to a late offer comes with the ACK.
        Input::MediaChanged | Input::Confirmed | Input::Replaced => {
            from.join(to);
            to.music(from.is_held());
            from.music(to.is_held());
        }
        _ => {}
    }
}

fn pass_key(from: &mut Leg, to: &mut Leg, key: KeyPress) {
    if from.crosses(to, key.source) {
        tracing::info!(source = ?key.source, by = ?to.key_path(), "key passed on");
        to.press(key.digit, key.duration_ms);
    }
}

/// Somebody answered, and is gone.
fn after(end: &End, target: String, joined: Instant) -> Dialled {
    let seconds = joined.elapsed().as_secs() as u32;
    tracing::info!(
        by = end.by,
        cause = end.cause,
        q850 = end.q850,
        seconds,
        "callee is gone"
    );
    Dialled {
        how: DialEnd::Answered { seconds },
        target,
        status: 200,
        cause: end
            .q850
            .unwrap_or(if end.by == "network" { 41 } else { 16 }),
    }
}
