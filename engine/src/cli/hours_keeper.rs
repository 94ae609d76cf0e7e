//! Keeps what is set by hand of schedules beyond the process: it is written, as one document, when it changed.
use crate::flow::by_hand::HoursByHand;
use crate::store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Where it is kept.
const SPACE: &str = "hours";
const KEY: &str = "by_hand";
/// Until what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Takes up what was kept, and keeps it from now on. What is set for a schedule that is not there (`known`) is let go.
pub(super) async fn start(
    hours: &Arc<HoursByHand>,
    store: &Store,
    known: impl Fn(&str, &str) -> bool,
) {
    match store.document(SPACE, KEY).await {
        Ok(Some(kept)) => restore(hours, &kept.body, known),
        Ok(None) => {}
        Err(error) => {
            tracing::error!(%error, rule = "hours-not-restored", "no schedule is set by hand until the next start, and none set now is kept");
            return;
        }
    }
    tokio::spawn(keep(hours.clone(), store.clone()));
}

async fn keep(hours: Arc<HoursByHand>, store: Store) {
    loop {
        hours.changed.notified().await;
        if let Err(error) = store.put_document(SPACE, KEY, &written(&hours), None).await {
            tracing::error!(%error, rule = "hours-not-kept", "a restart would not know what is set by hand now; it is tried again");
            tokio::time::sleep(AGAIN).await;
            hours.changed.notify_one();
        }
    }
}

fn written(hours: &HoursByHand) -> Value {
    let all = hours.all().into_iter();
    all.map(|(flow, schedule, open)| json!({ "flow": flow, "schedule": schedule, "open": open }))
        .collect()
}

/// What is not as it was written is passed over.
fn restore(hours: &HoursByHand, kept: &Value, known: impl Fn(&str, &str) -> bool) {
    for set in kept.as_array().into_iter().flatten() {
        let (flow, schedule, open) = (&set["flow"], &set["schedule"], &set["open"]);
        if let (Some(flow), Some(schedule), Some(open)) =
            (flow.as_str(), schedule.as_str(), open.as_bool())
        {
            if known(flow, schedule) {
                hours.set(flow, schedule, Some(open));
            } else {
                tracing::warn!(
                    flow,
                    schedule,
                    open,
                    rule = "hours-let-go",
                    "this was set by hand, and there is no such schedule any more: it is forgotten"
                );
                hours.changed.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_taken_up_and_nonsense_is_passed_over() {
        let (before, after) = (HoursByHand::default(), HoursByHand::default());
        before.set("/f.yaml", "office", Some(true));
        before.set("/f.yaml", "shop", Some(false));
        let gone = HoursByHand::default();
        restore(&gone, &written(&before), |_, schedule| schedule == "shop");
        let shop = ("/f.yaml".to_owned(), "shop".to_owned(), false);
        assert_eq!(gone.all(), [shop]);
        let restore = |kept: &Value| restore(&after, kept, |_, _| true);
        restore(&written(&before));
        assert_eq!(after.all(), before.all());
        restore(&json!([1, {"flow": "x"}, {"flow": 1, "schedule": "s", "open": true}]));
        restore(&json!("x"));
        assert_eq!(after.all().len(), 2);
    }
}
