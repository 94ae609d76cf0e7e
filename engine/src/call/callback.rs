//! Callers who kept their place are called back when it is their turn, and go on in the queue as if they had stayed.
//!
//! Only over the trunk and to the beginnings of numbers that the queue names.
use super::caller::Caller;
use super::causes::q850_of;
use super::context::CallContext;
use super::control::Orders;
use super::dial::DialTarget;
use super::events::EventKind;
use super::executor::{Executor, Recordings};
use super::hunt::{Hunt, Hunted};
use super::leg::End;
use super::program::{CallInfo, Direction};
use super::queue_program::QueueProgram;
use super::see_off::Escorted;
use super::session::{account, tell_ended, tell_started};
use super::{CallerIdentity, Calls};
use crate::config::Callback;
use crate::queue::{DueCallback, KeptCallback};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

/// Makes callbacks from now on, unless somebody does.
pub(super) fn drive(calls: &Arc<Calls>) {
    let Some(mut due) = calls.queues.due_callbacks() else {
        return;
    };
    let calls = Arc::downgrade(calls);
    tokio::spawn(async move {
        while let Some(callback) = due.recv().await {
            // The next process calls back whom this one has not.
            let calls = calls.upgrade().filter(|calls| !calls.is_draining());
            let Some(calls) = calls else { return };
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
    serving.instrument(span).await;
}

async fn ring_and_serve(
    call: &Arc<CallContext>,
    orders: Orders,
    rule: &Callback,
    due: &DueCallback,
) {
    let calls = &call.calls;
    tracing::info!(queue = due.queue, number = due.number, "calls back");
    let began = Instant::now();
    tell_started(call);
    call.begun();
    let leg = match reach(call, rule, due).await {
        Ok(leg) => leg,
        Err(end) => {
            call.record(&end);
            tell_ended(call, &end, false, began);
            return calls.queues.callback_failed(due.caller);
        }
    };
    let mut leg = leg.into_leg();
    call.came_up();
    call.tell(EventKind::CallAnswered, || json!({"codec": leg.codec()}));
    let mut recordings = Recordings::new(&call.in_force.settings.recordings_dir, &call.info.id);
    let program = Box::new(QueueProgram::resume(&due.queue, due.caller));
    let mut executor = Executor::new(&mut leg, call, &mut recordings, program, orders);
    let end = executor.run(calls.stop.subscribe()).await;
    drop(executor);
    account(call, &mut leg, &end, began, Some(&recordings)).await;
    recordings.delete_unkept().await;
}

/// The customer's phone, once it is answered.
async fn reach(
    call: &Arc<CallContext>,
    rule: &Callback,
    due: &DueCallback,
) -> Result<Escorted, End> {
    let target = DialTarget::Trunk {
        trunk: rule.trunk.clone(),
        number: due.number.clone(),
    };
    let shown = rule.caller_id.as_deref();
    let directory = &call.calls.directory;
    let found = directory
        .find(&call.info, &call.caller, &target, shown)
        .await;
    let not_reached = |status| End {
        status: Some(status),
        q850: q850_of(status),
        ..End::by("us", "not-reached")
    };
    let found = found.map_err(|refusal| {
        call.calls.counters.refused(refusal.rule);
        tracing::warn!(
            rule = refusal.rule,
            reason = refusal.text,
            "cannot call back"
        );
        not_reached(refusal.status)
    })?;
    let mut hunt = Hunt::new(call.clone(), found, Some(rule.ring), None);
    loop {
        match hunt.next().await {
            Hunted::Progress { status, .. } if status >= 180 => {
                call.rings();
                call.tell(EventKind::CallRinging, || json!({ "status": status }));
            }
            Hunted::Progress { .. } => {}
            Hunted::Answered(leg, _) => return Ok(leg),
            Hunted::Nobody(dialled) => {
                tracing::info!(status = dialled.status, "nobody answers the callback");
                return Err(not_reached(dialled.status));
            }
        }
    }
}
