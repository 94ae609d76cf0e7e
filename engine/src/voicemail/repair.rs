//! Messages that a killed process left half recorded are filed with what is there of them.
use super::{Boxes, Filed, Take};
use crate::config::VoicemailBox;
use crate::store::{Store, StoreError, VoicemailBegun, VoicemailRow, time_of};
use std::sync::Arc;
use std::time::Duration;

/// Messages that are put right at once.
const PORTION: usize = 1000;

/// Files what was left. To be called before there are new calls. Returns how many messages there were.
///
/// # Errors
/// Those of the store.
pub async fn repair(boxes: &Boxes, store: &Store) -> Result<usize, StoreError> {
    let (mut count, mut after) = (0, 0);
    loop {
        let left = store.voicemails_begun(after, PORTION).await?;
        let Some(last) = left.last() else {
            return Ok(count);
        };
        after = last.number;
        for row in left {
            // The archive must not take it for a recording as well.
            store.post_recording_gone(&row.path);
            let take = take_of(boxes, row);
            if let Filed::Left(_) = boxes.file(take, Duration::ZERO).await {
                count += 1;
            }
        }
    }
}

/// As if it had just been recorded, by the rules of its box as far as that is still there.
fn take_of(boxes: &Boxes, row: VoicemailRow) -> Take {
    let found = boxes.find(&row.mailbox);
    let mailbox = found.unwrap_or_else(|| Arc::new(VoicemailBox::named(&row.mailbox)));
    let begun = VoicemailBegun {
        id: row.id,
        mailbox: row.mailbox,
        call: row.call,
        caller: row.caller,
        caller_name: row.caller_name,
        path: row.path.clone(),
        at: time_of(row.at_ms),
    };
    Take::again(mailbox, begun)
}
