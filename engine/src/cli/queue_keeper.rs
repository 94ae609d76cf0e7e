//! Keeps what of queues outlives the process: who is logged in or has a break, who was made or unmade a member, and who is to be called back.
//!
//! It is written a moment after it changed, and at the end, as one document; a process that is killed within that moment comes back with what
//! was before.
use crate::call::Calls;
use crate::queue::{AgentStanding, KeptCallback, KeptMember, Queues};
use crate::store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// Where it is kept.
const SPACE: &str = "queues";
const KEY: &str = "standing";
/// How long changes are gathered.
const MOMENT: Duration = Duration::from_millis(200);

/// Keeps it until it is told that all is over.
pub(super) struct QueueKeeper {
    over: oneshot::Sender<()>,
    keeping: JoinHandle<()>,
}

impl QueueKeeper {
    fn of(queues: Arc<Queues>, store: Store) -> QueueKeeper {
        let changed = Arc::new(Notify::new());
        let told = changed.clone();
        queues.listen(Box::new(move |_| told.notify_one()));
        let (over, is_over) = oneshot::channel();
        let kept = standing(&queues);
        let keeping = tokio::spawn(keep(queues, store, kept, changed, is_over));
        QueueKeeper { over, keeping }
    }

    /// Writes what has changed up to now, and keeps nothing from then on.
    pub(super) async fn finish(self) {
        let _ = self.over.send(());
        if let Err(error) = self.keeping.await {
            tracing::error!(%error, rule = "queues-not-kept", "a restart may not know how agents stand now");
        }
    }
}

/// Takes up what was kept, and keeps it from now on. Queues and agents are known by then.
pub(super) async fn start(calls: &Arc<Calls>, store: &Store) -> QueueKeeper {
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
    QueueKeeper::of(calls.queues.clone(), store.clone())
}

/// How all stand, as it is written.
fn standing(queues: &Queues) -> Value {
    write(
        &queues.standing(),
        &queues.callbacks(),
        &queues.changed_members(),
    )
}

async fn keep(
    queues: Arc<Queues>,
    store: Store,
    mut kept: Value,
    changed: Arc<Notify>,
    mut over: oneshot::Receiver<()>,
) {
    loop {
        let a_moment_after_a_change = async {
            changed.notified().await;
            tokio::time::sleep(MOMENT).await;
        };
        let last = tokio::select! {
            () = a_moment_after_a_change => false,
            _ = &mut over => true,
        };
        let now = standing(&queues);
        if now != kept {
            match store.put_document(SPACE, KEY, &now, None).await {
                Ok(()) => kept = now,
                Err(error) => {
                    tracing::error!(%error, rule = "queues-not-kept", "a restart would not know how agents stand now");
                }
            }
        }
        if last {
            return;
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

    #[tokio::test]
    async fn what_changed_at_the_very_end_is_written_and_nothing_else() {
        let store = Store::in_memory().unwrap();
        let queues = Queues::new(1);
        queues.apply(&[], &[crate::config::Agent::at_endpoint("ann", "ann")]);
        let kept = async || store.document(SPACE, KEY).await.unwrap();
        QueueKeeper::of(queues.clone(), store.clone())
            .finish()
            .await;
        assert!(kept().await.is_none(), "nothing has changed");
        let keeper = QueueKeeper::of(queues.clone(), store.clone());
        queues.pause("ann", "lunch").unwrap();
        keeper.finish().await;
        let (agents, _, _) = read(&kept().await.unwrap().body);
        assert_eq!(agents, queues.standing());
        assert_eq!(agents[0].paused.as_deref(), Some("lunch"));
    }

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
