//! A session: the single owner of one call, from the INVITE to the summary line. Everybody else sends it messages.
//!
//! It admits or refuses the call, opens the media channel, runs the program, and accounts for everything at the end.
use super::caller::Caller;
use super::causes::q850_of;
use super::context::CallContext;
use super::control::{Orders, Parting};
use super::counters::{Active, PanicWatch};
use super::events::{EventKind, cut};
use super::executor::{Executor, Recordings, file_unfinished};
use super::leg::{End, Leg, LegSettings, hangup_reason};
use super::negotiation::Negotiation;
use super::place::place;
use super::program::{CallInfo, Direction, Program};
use super::{Calls, Refusal};
use crate::media::{ChannelStats, OpenError};
use crate::net::sip::{Command, Incoming};
use crate::route::{OutboundLeg, Place, retry_after_value};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::Instrument;
use trunkline_sip::{Flow, LegId, Origin, Uri};

/// After this time a caller refused with 503 may try again, where the refusal does not say.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Runs one inbound call to its end. `active` holds it in the gauge. What came in is boxed: a future keeps room for it on each way it goes.
pub(super) async fn inbound(calls: Arc<Calls>, incoming: Box<Incoming>, active: Active) {
    let (info, caller) = {
        let frame = incoming.request.frame();
        let origin = incoming.origin.clone();
        let identity = calls.routes.identity(&origin, &frame);
        let caller = Caller::of(&frame, &incoming.flow, origin, identity);
        let info = CallInfo {
            id: calls.fresh_id(),
            direction: Direction::Inbound,
            from: caller.shown(&frame),
            to: party(frame.request_uri()),
        };
        (info, caller)
    };
    let span = tracing::info_span!("call", id = %info.id);
    let rank = active.rank;
    let (call, orders) = CallContext::begin(calls, info, caller, active);
    run_inbound(call, orders, incoming, rank)
        .instrument(span)
        .await;
}

async fn run_inbound(call: Arc<CallContext>, orders: Orders, incoming: Box<Incoming>, rank: usize) {
    let (calls, info) = (&call.calls, &call.info);
    let _watch = PanicWatch(calls.counters.clone());
    let began = Instant::now();
    // What the far end wrote is logged as a quoted string, never bare: it cannot forge a line.
    tracing::info!(
        from = info.from,
        to = info.to,
        source = %incoming.flow.remote,
        transport = ?incoming.flow.transport,
        sip_call_id = &*String::from_utf8_lossy(incoming.request.frame().call_id().unwrap_or_default()),
        "call in"
    );
    tell_started(&call);
    let id = incoming.leg;
    if let Some(old) = incoming.replaces {
        return Box::pin(replace(&call, *incoming, old)).await;
    }
    let (mut leg, program) = match admit(&call, *incoming, rank) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            let end = refused_end(&refusal);
            call.record(&end);
            tell_ended(&call, &end, false, began);
            return refuse(calls, id, &refusal);
        }
    };
    call.begun();
    let mut recordings = Recordings::new(&call.in_force.settings.recordings_dir, &info.id);
    let mut executor = Executor::new(&mut leg, &call, &mut recordings, program, orders);
    let end = executor.run(calls.stop.subscribe()).await;
    // No more orders are taken.
    drop(executor);
    account(&call, &mut leg, &end, began, Some(&recordings)).await;
    recordings.delete_unkept().await;
}

type Admitted = (Leg, Box<dyn Program>);

/// Decides on an inbound call: its program, its media channel, and our half of the offer/answer exchange.
/// `rank` counts the calls in progress, this one included.
fn admit(call: &Arc<CallContext>, incoming: Incoming, rank: usize) -> Result<Admitted, Refusal> {
    let calls = &call.calls;
    // The SIP side learns of it a moment later, when trunks may be gone already.
    if calls.is_draining() {
        return Err(Refusal::draining());
    }
    let limit = call.in_force.settings.max_calls;
    if rank > limit {
        let text = format!("{limit} calls are in progress; see [sip] max_calls");
        return Err(Refusal::new(503, "max-calls", text));
    }
    let place = calls.directory.admit(&call.caller)?;
    let routed = calls.routes.program(&call.info, &call.caller)?;
    let (rule, program) = (routed.rule, routed.program);
    tracing::info!(rule, program = program.name(), "routed");
    call.tell(
        EventKind::CallRouted,
        || json!({"rule": rule, "program": program.name(), "to": call.info.to}),
    );
    let _ = call.routed.set((rule, program.name().to_owned()));
    Ok((inbound_leg(call, incoming, place)?, program))
}

/// The leg of an INVITE, its offer taken and not yet answered.
fn inbound_leg(
    call: &Arc<CallContext>,
    incoming: Incoming,
    place: Option<Place>,
) -> Result<Leg, Refusal> {
    let calls = &call.calls;
    let media = calls.media.open().map_err(|error| no_channel(&error))?;
    let _ = call.shard.set(media.0.shard());
    let local = incoming.flow.local.ip();
    let terms = calls.routes.terms(&call.caller);
    let terms = terms.unwrap_or_else(|| call.in_force.settings.terms());
    let settings = LegSettings {
        media_address: call.in_force.settings.media_address.unwrap_or(local),
        signalling: incoming.flow.remote,
        codecs: terms.codecs,
        dtmf: terms.dtmf,
        dtmf_profile: terms.dtmf_profile,
        srtp: terms.srtp,
        tones: terms.tones,
        ptime_ms: 20,
        label: format!("caller {}", call.info.from),
        call: call.clone(),
        _place: place,
    };
    let negotiation =
        Negotiation::new(settings.local_media(media.0.rtp_port(), calls.fresh_session_id()));
    let (id, sip) = (incoming.leg, calls.sip.clone());
    let mut leg = Leg::new(id, sip, incoming.events, media, settings, negotiation);
    leg.direction = Direction::Inbound;
    leg.party = call.caller.origin.clone();
    leg.identity = call.caller.identity.clone();
    leg.note_call_id(&incoming.request);
    if let Err(refusal) = leg.take_offer(incoming.request.frame().session_description()) {
        leg.disown();
        return Err(refusal);
    }
    Ok(leg)
}

/// An INVITE that wants the place of another leg (RFC 3891): answered at once and handed to the call it is meant for.
async fn replace(call: &Arc<CallContext>, incoming: Incoming, old: LegId) {
    let calls = &call.calls;
    let id = incoming.leg;
    let refused = |refusal: Refusal| {
        let end = refused_end(&refusal);
        call.record(&end);
        tell_ended(call, &end, false, Instant::now());
        refuse(calls, id, &refusal);
    };
    if call
        .in_force
        .settings
        .transfer
        .refuses(&call.caller.origin, true)
    {
        let text = "this caller may not take over calls; see [transfer]".to_owned();
        return refused(Refusal::new(403, "replaces-not-allowed", text));
    }
    if !calls.places.is_free(old) {
        let text = "the call it wants is over".to_owned();
        return refused(Refusal::new(481, "replaces-gone", text));
    }
    let mut leg = match inbound_leg(call, incoming, None) {
        Ok(leg) => leg,
        Err(refusal) => return refused(refusal),
    };
    leg.answer(None);
    match calls.places.take(old, Box::new(leg)) {
        Ok(()) => {
            let end = End::by("us", "replaces");
            call.record(&end);
            tell_ended(call, &end, true, Instant::now());
        }
        Err(leg) => {
            let mut leg = *leg;
            leg.hang_up(
                "replaces-gone",
                Some(hangup_reason("SIP", 481, "replaces-gone")),
            );
            let end = leg.farewell().await;
            account(call, &mut leg, &end, Instant::now(), None).await;
        }
    }
}

pub(super) fn no_channel(error: &OpenError) -> Refusal {
    let (rule, advice) = match error {
        OpenError::NoPorts { .. } => ("no-rtp-ports", "; widen [media] ports"),
        OpenError::Overloaded => (
            "media-overloaded",
            "; see [media] late_limit_ms and busy_limit",
        ),
        OpenError::Sockets(error) if no_open_files(error) => (
            "no-open-files",
            "; raise LimitNOFILE= of the systemd unit, `ulimit -n`, or --ulimit nofile of the container",
        ),
        _ => ("no-media-channel", ""),
    };
    Refusal::new(503, rule, format!("{error}{advice}"))
}

/// Whether the process, or the whole system, has no file left to open.
fn no_open_files(error: &std::io::Error) -> bool {
    let [process, system] = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
    error
        .raw_os_error()
        .is_some_and(|code| code == process.raw_os_error() || code == system.raw_os_error())
}

fn refuse(calls: &Calls, leg: LegId, refusal: &Refusal) {
    tracing::info!(
        status = refusal.status,
        rule = refusal.rule,
        reason = refusal.text,
        "call refused"
    );
    calls.counters.refused(refusal.rule);
    let mut extra = Vec::new();
    let usual = (refusal.status == 503).then_some(RETRY_AFTER);
    if let Some(after) = refusal.retry_after.or(usual) {
        extra.push(("Retry-After", retry_after_value(after)));
    }
    if refusal.status == 488 {
        extra.push((
            "Warning",
            format!(
                "304 trunkline \"{}\"",
                refusal.text.replace(['"', '\\', '\r', '\n'], " ")
            ),
        ));
    }
    let own = |(name, value): (&str, String)| (name.to_owned(), value);
    let extra = extra.into_iter().map(own).collect();
    calls.sip.send(Command::Reject(
        leg,
        refusal.status,
        refusal.rule.to_owned(),
        extra,
    ));
}

/// An outbound call: what to dial and what drives it once it is answered.
pub struct Outbound {
    /// Where the INVITE leaves.
    pub flow: Flow,
    /// Request-URI and To.
    pub target: String,
    /// The From URI.
    pub from: String,
    /// Drives the call.
    pub program: Box<dyn Program>,
}

/// Places a call and runs its program; returns how it ended and what its audio path saw.
pub async fn outbound(
    calls: Arc<Calls>,
    outbound: Outbound,
) -> Result<(End, Option<ChannelStats>), String> {
    let info = CallInfo {
        id: calls.fresh_id(),
        direction: Direction::Outbound,
        from: outbound.from.clone(),
        to: outbound.target.clone(),
    };
    let span = tracing::info_span!("call", id = %info.id);
    let active = calls.counters.begin(Direction::Outbound);
    let (call, orders) = CallContext::begin(calls, info, Caller::ourselves(), active);
    run_outbound(call, orders, outbound).instrument(span).await
}

async fn run_outbound(
    call: Arc<CallContext>,
    orders: Orders,
    outbound: Outbound,
) -> Result<(End, Option<ChannelStats>), String> {
    let began = Instant::now();
    let (calls, info) = (&call.calls, &call.info);
    let _watch = PanicWatch(calls.counters.clone());
    let (to, from) = (outbound.target, outbound.from);
    let to = OutboundLeg {
        dtmf: call.in_force.settings.dtmf,
        ..OutboundLeg::new(outbound.flow, to.clone(), from, to.clone(), to)
    };
    let program = outbound.program;
    let rule = "placed by us".to_owned();
    tell_started(&call);
    let _ = call.routed.set((rule, program.name().to_owned()));
    let placed = place(&call, to, Origin::Stranger, None).await;
    let mut leg = placed.map_err(|error| {
        let end = End {
            status: Some(error.status),
            q850: q850_of(error.status),
            ..End::by("us", "not-placed")
        };
        tell_ended(&call, &end, false, began);
        call.record(&end);
        error.text
    })?;
    call.begun();
    tracing::info!(to = info.to, "call out");
    let mut stop = calls.stop.subscribe();
    let mut recordings = Recordings::new(&call.in_force.settings.recordings_dir, &info.id);
    let mut executor = Executor::new(&mut leg, &call, &mut recordings, program, orders);
    let end = match executor.until_answered(&mut stop).await {
        Ok(()) => executor.run(stop).await,
        Err(end) => end,
    };
    drop(executor);
    let stats = account(&call, &mut leg, &end, began, Some(&recordings)).await;
    recordings.delete_unkept().await;
    Ok((end, stats))
}

/// A leg of `from` goes on as a call of its own, whose id is returned.
pub(super) fn adopt(from: &CallContext, mut leg: Box<Leg>, parting: Parting) -> String {
    let calls = from.calls.clone();
    let info = CallInfo {
        id: calls.fresh_id(),
        direction: Direction::Outbound,
        from: from.info.from.clone(),
        to: parting.to.clone(),
    };
    let id = info.id.clone();
    let span = tracing::info_span!("call", id = %id);
    let active = calls.counters.begin(Direction::Outbound);
    let caller = Caller::with_rights_of(None);
    let (call, orders) = CallContext::begin(calls, info, caller, active);
    leg.belong_to(&call);
    call.tell(
        EventKind::CallStarted,
        || json!({"direction": "outbound", "from": cut(&call.info.from), "to": cut(&call.info.to), "parted_from": from.info.id}),
    );
    tracing::info!(
        parted_from = from.info.id,
        call = id,
        "a party goes on as a call of its own"
    );
    let task = run_adopted(call, orders, leg, parting);
    tokio::spawn(task.instrument(span));
    id
}

async fn run_adopted(call: Arc<CallContext>, orders: Orders, leg: Box<Leg>, parting: Parting) {
    let _watch = PanicWatch(call.calls.counters.clone());
    let _ = call
        .routed
        .set((parting.rule, parting.program.name().to_owned()));
    call.came_up();
    call.begun();
    drive(call, orders, leg, parting.program, Instant::now()).await;
}

/// Runs a program on a leg that is answered, to the end of the call.
pub(super) async fn drive(
    call: Arc<CallContext>,
    orders: Orders,
    mut leg: Box<Leg>,
    program: Box<dyn Program>,
    began: Instant,
) {
    let mut recordings = Recordings::new(&call.in_force.settings.recordings_dir, &call.info.id);
    let mut executor = Executor::new(&mut leg, &call, &mut recordings, program, orders);
    let end = executor.run(call.calls.stop.subscribe()).await;
    // No more orders are taken.
    drop(executor);
    account(&call, &mut leg, &end, began, Some(&recordings)).await;
    recordings.delete_unkept().await;
}

/// Closes the media channel and writes the call's last lines.
pub(super) async fn account(
    call: &CallContext,
    leg: &mut Leg,
    end: &End,
    began: Instant,
    recordings: Option<&Recordings>,
) -> Option<ChannelStats> {
    let stats = leg.finish(end).await;
    if let Some(recordings) = recordings {
        Box::pin(file_unfinished(call, recordings)).await;
    }
    let unkept = recordings.into_iter().flat_map(Recordings::unkept);
    unkept.for_each(|path| {
        call.recorded.forget(path);
        call.calls.records.recording_gone(path);
    });
    call.calls.counters.ended(end);
    tracing::info!(
        by = end.by,
        cause = end.cause,
        status = end.status,
        q850 = end.q850,
        answered = leg.answered,
        seconds = format_args!("{:.1}", began.elapsed().as_secs_f32()),
        "call over"
    );
    call.record(end);
    tell_ended(call, end, leg.answered, began);
    stats
}

pub(super) fn tell_started(call: &CallContext) {
    let info = &call.info;
    call.tell(
        EventKind::CallStarted,
        || json!({"direction": info.direction.word(), "from": cut(&info.from), "to": cut(&info.to)}),
    );
}

pub(super) fn tell_ended(call: &CallContext, end: &End, answered: bool, began: Instant) {
    call.tell(EventKind::CallEnded, || {
        json!({
            "by": end.by,
            "cause": end.cause,
            "status": end.status,
            "q850": end.q850,
            "answered": answered,
            "seconds": (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        })
    });
}

/// How a call ended that never began.
fn refused_end(refusal: &Refusal) -> End {
    End {
        status: Some(refusal.status),
        q850: q850_of(refusal.status),
        ..End::by("us", refusal.rule)
    }
}

/// The user part of a URI, or all of it where it has none.
pub(super) fn party(uri: Option<&[u8]>) -> String {
    let uri = uri.unwrap_or_default();
    match Uri::parse(uri).ok().and_then(|uri| {
        uri.user_decoded()
            .map(|user| String::from_utf8_lossy(&user).into_owned())
    }) {
        Some(user) => user,
        None => String::from_utf8_lossy(uri).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what an async function returns.
    fn size_of_task<A, B, C, Task>(_: impl Fn(A, B, C) -> Task) -> usize {
        size_of::<Task>()
    }

    #[test]
    fn the_task_of_a_call_is_small() {
        let size = size_of_task(inbound);
        assert!(size < 8 * 1024, "{size}");
    }
}
