//! Callers who kept their place are called back when it is their turn, and go on in the queue as if they had stayed.
//!
//! Only over the trunk and to the beginnings of numbers that the queue names.
use super::caller::Caller;
use super::causes::q850_of;
use super::context::CallContext;
use super::control::Orders;
use super::dial::DialTarget;
use super::directory::Found;
use super::hunt::Hunt;
use super::leg::End;
use super::originate::{Ringing, not_answered, run};
use super::program::{CallInfo, Direction};
use super::queue_program::QueueProgram;
use super::session::tell_started;
use super::{CallerIdentity, Calls};
use crate::config::Callback;
use crate::queue::{DueCallback, KeptCallback};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;
use tracing::Instrument;

/// Makes callbacks from now on, unless somebody does.
pub(super) fn drive(calls: &Arc<Calls>) {
    let Some(mut due) = calls.queues.due_callbacks() else {
        return;
    };
    let calls = Arc::downgrade(calls);
    tokio::spawn(async move {
        while let Some(callback) = due.recv().await {
            let Some(calls) = calls.upgrade() else { return };
            if calls.is_draining() {
                tracing::info!(
                    rule = "draining",
                    queue = callback.queue,
                    "a callback is left to the next process"
                );
                calls.queues.callback_put_off(callback.caller);
                continue;
            }
            tokio::spawn(call_back(calls, callback));
        }
    });
}

impl Calls {
    /// Takes up those whom queues are to call back since before a restart.
    pub fn restore_callbacks(self: &Arc<Calls>, kept: &[KeptCallback]) {
        if !kept.is_empty() {
            drive(self);
            self.queues.restore_callbacks(kept);
        }
    }
}

async fn call_back(calls: Arc<Calls>, due: DueCallback) {
    let settings = calls.queues.settings(&due.queue);
    let Some(rule) = settings.and_then(|queue| queue.callback.clone()) else {
        return calls.queues.callback_failed(due.caller);
    };
    let info = CallInfo {
        id: calls.fresh_id(),
        direction: Direction::Outbound,
        from: due.number.clone(),
        to: format!("queue {}", due.queue),
    };
    let identity = CallerIdentity {
        number: rule.caller_id.clone().unwrap_or_default(),
        ..CallerIdentity::default()
    };
    let caller = Caller {
        identity,
        ..Caller::ourselves()
    };
    let span = tracing::info_span!("call", id = %info.id);
    let active = calls.counters.begin(Direction::Outbound);
    let (call, orders) = CallContext::begin(calls.clone(), info, caller, active);
    let _ = call
        .routed
        .set(("callback".to_owned(), format!("queue {}", due.queue)));
    let serving = ring_and_serve(&call, orders, &rule, &due);
    match serving.instrument(span).await {
        Ok(()) => {}
        // We stop, and the next process calls.
        Err(end) if end.cause == "shutdown" => calls.queues.callback_put_off(due.caller),
        Err(_) => calls.queues.callback_failed(due.caller),
    }
}

async fn ring_and_serve(
    call: &Arc<CallContext>,
    orders: Orders,
    rule: &Callback,
    due: &DueCallback,
) -> Result<(), End> {
    tracing::info!(queue = due.queue, number = due.number, "calls back");
    let began = Instant::now();
    tell_started(call);
    call.begun();
    let found = match find(call, rule, due).await {
        Ok(found) => found,
        Err(end) => {
            drop(orders);
            not_answered(call, &end, began);
            return Err(end);
        }
    };
    let (answered, _) = oneshot::channel();
    let ringing = Ringing {
        hunt: Hunt::new(call.clone(), found, Some(rule.ring), None),
        program: Box::new(QueueProgram::resume(&due.queue, due.caller)),
        // The queue would not learn that its caller was reached.
        replaceable: false,
        answered,
    };
    run(call, orders, ringing).await
}

/// The ways to the customer.
async fn find(call: &Arc<CallContext>, rule: &Callback, due: &DueCallback) -> Result<Found, End> {
    let target = DialTarget::Trunk {
        trunk: rule.trunk.clone(),
        number: due.number.clone(),
    };
    let shown = rule.caller_id.as_deref();
    let directory = &call.calls.directory;
    let found = directory
        .find(&call.info, &call.caller, &target, shown)
        .await;
    found.map_err(|refusal| {
        call.calls.counters.refused(refusal.rule);
        tracing::warn!(
            rule = refusal.rule,
            reason = refusal.text,
            "cannot call back"
        );
        End {
            status: Some(refusal.status),
            q850: q850_of(refusal.status),
            ..End::by("us", "not-reached")
        }
    })
}
