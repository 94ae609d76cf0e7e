//! Keeps what of queues outlives the process: who is logged in or has a break, who was made or unmade a member, and who is to be called back.
//!
//! It is written a moment after it changed, as one document; a process that is killed within that moment comes back with what was before.
use crate::call::Calls;
use crate::queue::{AgentStanding, KeptCallback, KeptMember};
use crate::store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Where it is kept.
const SPACE: &str = "queues";
const KEY: &str = "standing";
/// How long changes are gathered.
const MOMENT: Duration = Duration::from_millis(200);

/// Takes up what was kept, and keeps it from now on. Queues and agents are known by then.
pub(super) async fn start(calls: &Arc<Calls>, store: &Store) {
    match store.document(SPACE, KEY).await {
        Ok(Some(kept)) => {
            let (agents, callbacks, members) = read(&kept.body);
            tracing::info!(
                agents = agents.len(),
                callbacks = callbacks.len(),
                "queues go on where they were"
            );
            calls.queues.restore_members(&members);
            calls.queues.restore(&agents);
            calls.restore_callbacks(&callbacks);
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(%error, rule = "queues-not-restored", "agents stand as at the first start");
        }
    }
    let changed = Arc::new(Notify::new());
    let told = changed.clone();
    calls.queues.listen(Box::new(move |_| told.notify_one()));
    tokio::spawn(keep(calls.clone(), store.clone(), changed));
}

async fn keep(calls: Arc<Calls>, store: Store, changed: Arc<Notify>) {
    let mut kept = Value::Null;
    loop {
        changed.notified().await;
        tokio::time::sleep(MOMENT).await;
        let queues = &calls.queues;
        let now = write(
            &queues.standing(),
            &queues.callbacks(),
            &queues.changed_members(),
        );
        if now == kept {
            continue;
        }
        match store.put_document(SPACE, KEY, &now, None).await {
            Ok(()) => kept = now,
            Err(error) => {
                tracing::error!(%error, rule = "queues-not-kept", "a restart would not know how agents stand now");
            }
        }
    }
}

fn write(agents: &[AgentStanding], callbacks: &[KeptCallback], members: &[KeptMember]) -> Value {
    let agent = |agent: &AgentStanding| json!({ "id": agent.id, "logged_in": agent.logged_in, "paused": agent.paused });
    let callback = |back: &KeptCallback| {
        json!({
            "queue": back.queue, "number": back.number, "priority": back.priority,
            "attempts": back.attempts,
        })
    };
    let member =
        |of: &KeptMember| json!({ "queue": of.queue, "agent": of.agent, "penalty": of.penalty });
    json!({
        "agents": agents.iter().map(agent).collect::<Vec<_>>(),
        "callbacks": callbacks.iter().map(callback).collect::<Vec<_>>(),
        "members": members.iter().map(member).collect::<Vec<_>>(),
    })
}

/// What is not as it was written is passed over.
fn read(kept: &Value) -> (Vec<AgentStanding>, Vec<KeptCallback>, Vec<KeptMember>) {
    let list = |key: &str| kept[key].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let agent = |value: &Value| {
        Some(AgentStanding {
            id: text(&value["id"])?,
            logged_in: value["logged_in"].as_bool()?,
            paused: text(&value["paused"]),
        })
    };
    let callback = |value: &Value| {
        Some(KeptCallback {
            queue: text(&value["queue"])?,
            number: text(&value["number"])?,
            priority: i32::try_from(value["priority"].as_i64()?).ok()?,
            attempts: u32::try_from(value["attempts"].as_u64()?).ok()?,
        })
    };
    let member = |value: &Value| {
        Some(KeptMember {
            queue: text(&value["queue"])?,
            agent: text(&value["agent"])?,
            penalty: match &value["penalty"] {
                Value::Null => None,
                penalty => Some(u32::try_from(penalty.as_u64()?).ok()?),
            },
        })
    };
    (
        list("agents").iter().filter_map(agent).collect(),
        list("callbacks").iter().filter_map(callback).collect(),
        list("members").iter().filter_map(member).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nonsense_is_passed_over() {
        let agents = [
            AgentStanding {
                id: "1".to_owned(),
                logged_in: false,
                paused: None,
            },
            AgentStanding {
                id: "2".to_owned(),
                logged_in: true,
                paused: Some("lunch".to_owned()),
            },
        ];
        let callbacks = [KeptCallback {
            queue: "q".to_owned(),
            number: "+491".to_owned(),
            priority: -3,
            attempts: 1,
        }];
        let members = [Some(3), None].map(|penalty| KeptMember {
            queue: "q".to_owned(),
            agent: "1".to_owned(),
            penalty,
        });
        let read_back = read(&write(&agents, &callbacks, &members));
        let kept = (agents.to_vec(), callbacks.to_vec(), members.to_vec());
        assert_eq!(read_back, kept);
        let odd =
            json!({ "agents": [3, {"id": "x"}], "callbacks": {}, "members": [{"queue": "q"}] });
        assert_eq!(read(&odd), (Vec::new(), Vec::new(), Vec::new()));
    }
}
