//! A hook's courier: takes what is due from the spool and sends it, several calls at a time, each call's in its order.
use super::{Drop, Hook, WebhookCounters};
use crate::fetch::backoff::{LONGEST, delay};
use crate::fetch::signature;
use crate::fetch::{Fetcher, Request};
use crate::store::{Spooled, Store, StoreError, ms_of, time_of};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Deliveries of a hook that are under way.
const UNDER_WAY: usize = 8;
/// Heads that are looked at.
const HEADS: usize = 64;
/// How long a store that fails is left alone.
const STORE_REST: Duration = Duration::from_secs(5);
/// What a sleep is at most: a clock that was put back does not stop the courier.
const NAP: Duration = Duration::from_secs(60);

/// See the module's text.
#[derive(Clone)]
pub(super) struct Courier {
    pub(super) hook: Arc<Hook>,
    pub(super) store: Store,
    pub(super) fetcher: Fetcher,
    /// The host's places.
    pub(super) host: Arc<Semaphore>,
    pub(super) counters: Arc<WebhookCounters>,
}

impl Courier {
    /// Goes on as long as the process.
    pub(super) async fn work(self) {
        let mut under_way = JoinSet::new();
        let mut numbers = HashSet::new();
        loop {
            let nap = if numbers.len() < UNDER_WAY {
                let looked = self.send_due(&mut under_way, &mut numbers).await;
                looked.unwrap_or(STORE_REST)
            } else {
                NAP
            };
            tokio::select! {
                () = self.hook.spooled.notified() => {}
                Some(done) = under_way.join_next() => {
                    // A delivery that panicked stays under way, and is sent after the next start.
                    if let Ok(number) = done {
                        numbers.remove(&number);
                    }
                }
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    /// Sends what is due and has a place; returns when to look again.
    async fn send_due(
        &self,
        under_way: &mut JoinSet<i64>,
        numbers: &mut HashSet<i64>,
    ) -> Result<Duration, StoreError> {
        let heads = self
            .store
            .webhook_heads(&self.hook.config.name, HEADS)
            .await?;
        let now = SystemTime::now();
        let mut nap = NAP;
        for head in heads {
            if numbers.contains(&head.number) {
                continue;
            }
            let wait = until_due(&head, now);
            if !wait.is_zero() {
                nap = nap.min(wait);
                continue;
            }
            if numbers.len() >= UNDER_WAY {
                break;
            }
            numbers.insert(head.number);
            let courier = self.clone();
            under_way.spawn(async move { courier.deliver(head).await });
        }
        Ok(nap)
    }

    /// Tries one delivery and notes what came of it; returns its number.
    async fn deliver(self, head: Spooled) -> i64 {
        let answer = {
            // The host's places are never closed.
            let _place = self.host.acquire().await;
            self.post(&head).await
        };
        let settled = match answer {
            Ok(200..=299) => {
                self.counters.delivered.fetch_add(1, Ordering::Relaxed);
                self.settle(&head).await.map(|_| ())
            }
            Ok(410) => self.give_up(&head, Drop::Gone).await,
            failed => self.put_off(&head, failed).await,
        };
        if settled.is_err() {
            // It is sent again then: better twice than not at all.
            tokio::time::sleep(STORE_REST).await;
        }
        head.number
    }

    async fn post(&self, head: &Spooled) -> Result<u16, String> {
        let config = &self.hook.config;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.unwrap_or_default().as_secs();
        let own = |name: &str, value: String| (name.to_owned(), value);
        let signed = signature(config.secret.expose().as_bytes(), seconds, &head.body);
        let headers = [
            own("Content-Type", "application/json".to_owned()),
            own("Trunkline-Event", head.event.clone()),
            own("Trunkline-Delivery", head.id.clone()),
            own("Trunkline-Attempt", (head.attempts + 1).to_string()),
            own("Trunkline-Signature", signed),
        ];
        let request = Request {
            post: true,
            url: &config.url,
            headers: &headers,
            body: head.body.clone().into_bytes(),
            timeout: config.timeout,
            max_octets: 0,
        };
        let sent = self.fetcher.notify(&request).await;
        sent.map_err(|error| error.to_string())
    }

    async fn put_off(&self, head: &Spooled, answer: Result<u16, String>) -> Result<(), StoreError> {
        self.counters.failed.fetch_add(1, Ordering::Relaxed);
        let reason = answer.map_or_else(|reason| reason, |status| format!("it answered {status}"));
        let now = SystemTime::now();
        let age = now
            .duration_since(time_of(head.created_ms))
            .unwrap_or_default();
        let (hook, id) = (&self.hook.config.name, &head.id);
        if age > self.hook.config.give_up {
            tracing::warn!(
                rule = "webhook-too-old",
                hook,
                id,
                attempts = head.attempts + 1,
                reason,
                "a webhook's delivery is given up"
            );
            return self.give_up(head, Drop::TooOld).await;
        }
        let mut random = [0; 4];
        // Without random numbers nothing is spread.
        let _ = getrandom::fill(&mut random);
        let wait = delay(head.attempts + 1, u32::from_be_bytes(random));
        tracing::info!(
            rule = "webhook-failed",
            hook,
            id,
            attempt = head.attempts + 1,
            reason,
            again_s = wait.as_secs_f32(),
            "a webhook's delivery failed"
        );
        self.store.webhook_put_off(head.number, now + wait).await
    }

    async fn give_up(&self, head: &Spooled, why: Drop) -> Result<(), StoreError> {
        if self.settle(head).await? {
            self.counters.dropped(why, &self.hook.config.name, 1);
        }
        Ok(())
    }

    /// It waits no more. Whether it did: it may have been given up from outside meanwhile.
    async fn settle(&self, head: &Spooled) -> Result<bool, StoreError> {
        let waited = self.store.webhook_settled(head.number).await?;
        if waited {
            self.hook.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(waited)
    }
}

/// How long it is to wait. What is due later than any wait allows was put off by a clock that has been put back since: it is due.
pub(super) fn until_due(head: &Spooled, now: SystemTime) -> Duration {
    let ms = head.due_ms.saturating_sub(ms_of(now));
    let wait = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    if wait > LONGEST { Duration::ZERO } else { wait }
}
