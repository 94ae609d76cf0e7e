//! A session: the single owner of one call, from the INVITE to the summary line. Everybody else sends it messages.
//!
//! It admits or refuses the call, opens the media channel, runs the program, and accounts for everything at the end.
use super::executor::Executor;
use super::leg::{End, Leg, LegSettings};
use super::program::{CallInfo, Direction, Program};
use super::{Calls, Refusal};
use crate::media::{ChannelStats, OpenError};
use crate::net::sip::{Command, Incoming, LegEvents};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tracing::Instrument;
use trunkline_sip::offer_answer;
use trunkline_sip::{Flow, Frame, Invite, LegId, Uri};

/// Seconds after which a refused caller may try again.
const RETRY_AFTER_S: &str = "5";

/// Runs one inbound call to its end.
pub(super) async fn inbound(calls: Arc<Calls>, incoming: Incoming) {
    let info = {
        let frame = incoming.request.frame();
        CallInfo {
            id: calls.fresh_id(),
            direction: Direction::Inbound,
            from: party(frame.from().ok().map(|from| from.uri.as_bytes())),
            to: party(frame.request_uri()),
        }
    };
    let span = tracing::info_span!("call", id = %info.id);
    run_inbound(calls, incoming, info).instrument(span).await;
}

async fn run_inbound(calls: Arc<Calls>, incoming: Incoming, info: CallInfo) {
    let began = Instant::now();
    let _active = calls.counters.begin(Direction::Inbound);
    let Incoming {
        leg,
        request,
        flow,
        events,
    } = incoming;
    let frame = request.frame();
    let sip_call_id = String::from_utf8_lossy(frame.call_id().unwrap_or_default()).into_owned();
    tracing::info!(from = %info.from, to = %info.to, source = %flow.remote, transport = ?flow.transport, %sip_call_id, "call in");
    let (mut leg, answer, mut program) = match admit(&calls, leg, events, &flow, &frame, &info) {
        Ok(admitted) => admitted,
        Err((leg, refusal)) => {
            refuse(&calls, leg, &refusal);
            return;
        }
    };
    let recordings = calls.settings.recordings_dir.clone();
    let mut executor = Executor::new(&mut leg, &info, &calls.prompts, recordings, Some(answer));
    let end = executor.run(program.as_mut(), calls.stop.subscribe()).await;
    account(&calls, &mut leg, &end, began).await;
}

type Admitted = (Leg, Vec<u8>, Box<dyn Program>);

/// Decides on an inbound call: its program, its media channel, and our half of the offer/answer exchange.
fn admit(
    calls: &Calls,
    id: LegId,
    events: LegEvents,
    flow: &Flow,
    frame: &Frame<'_>,
    info: &CallInfo,
) -> Result<Admitted, (LegId, Refusal)> {
    let refused = |refusal| (id, refusal);
    if calls.counters.active.load(Ordering::Relaxed) > calls.settings.max_calls {
        return Err(refused(Refusal::new(
            503,
            "max-calls",
            format!(
                "{} calls are in progress; see [sip] max_calls",
                calls.settings.max_calls
            ),
        )));
    }
    let program = calls.routes.program(info).map_err(refused)?;
    let media = calls.media.open().map_err(|error| {
        let rule = match error {
            OpenError::NoPorts { .. } => "no-rtp-ports",
            _ => "no-media-channel",
        };
        refused(Refusal::new(503, rule, error.to_string()))
    })?;
    let settings = leg_settings(calls, flow.local.ip(), &info.id);
    let local = settings.local_media(media.0.rtp_port(), calls.fresh_session_id());
    let mut leg = Leg::new(id, calls.sip.clone(), events, media, settings, local);
    let answer = match frame.session_description() {
        // RFC 3264 §5: an INVITE without an offer is answered with ours.
        None => leg.make_offer(),
        Some(body) => match leg.take_offer(body) {
            Ok(answer) => answer,
            Err((status, text)) => {
                leg.disown();
                return Err(refused(Refusal::new(status, "offer-refused", text)));
            }
        },
    };
    Ok((leg, answer, program))
}

fn refuse(calls: &Calls, leg: LegId, refusal: &Refusal) {
    tracing::info!(status = refusal.status, rule = refusal.rule, reason = %refusal.text, "call refused");
    calls.counters.refused(refusal.rule);
    let mut extra = Vec::new();
    if refusal.status == 503 {
        extra.push(("Retry-After", RETRY_AFTER_S.to_owned()));
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
    run_outbound(calls, outbound, info).instrument(span).await
}

async fn run_outbound(
    calls: Arc<Calls>,
    outbound: Outbound,
    info: CallInfo,
) -> Result<(End, Option<ChannelStats>), String> {
    let began = Instant::now();
    let _active = calls.counters.begin(Direction::Outbound);
    let media = calls.media.open().map_err(|error| error.to_string())?;
    let settings = leg_settings(&calls, outbound.flow.local.ip(), &info.id);
    let local = settings.local_media(media.0.rtp_port(), calls.fresh_session_id());
    let offer = offer_answer::offer(&local);
    let invite = Invite {
        flow: outbound.flow,
        target: outbound.target,
        from: outbound.from,
        to: info.to.clone(),
        sdp: Some(offer.to_bytes()),
        headers: Vec::new(),
    };
    let new = calls
        .sip
        .invite(invite)
        .await
        .map_err(|error| error.to_string())?;
    let mut leg = Leg::new(
        new.leg,
        calls.sip.clone(),
        new.events,
        media,
        settings,
        local,
    );
    leg.offered(offer);
    tracing::info!(to = %info.to, "call out");
    let mut program = outbound.program;
    let recordings = calls.settings.recordings_dir.clone();
    let mut executor = Executor::new(&mut leg, &info, &calls.prompts, recordings, None);
    let end = match executor.until_answered().await {
        Ok(()) => executor.run(program.as_mut(), calls.stop.subscribe()).await,
        Err(end) => end,
    };
    let stats = account(&calls, &mut leg, &end, began).await;
    Ok((end, stats))
}

fn leg_settings(calls: &Calls, local: IpAddr, call: &str) -> LegSettings {
    LegSettings {
        media_address: calls.settings.media_address.unwrap_or(local),
        codecs: calls.settings.codecs.clone(),
        dtmf: calls.settings.dtmf,
        ptime_ms: 20,
        call: call.to_owned(),
    }
}

/// Closes the media channel and writes the call's last line.
async fn account(calls: &Calls, leg: &mut Leg, end: &End, began: Instant) -> Option<ChannelStats> {
    let stats = leg.close().await;
    calls.counters.ended(end);
    let s = stats.unwrap_or_default();
    tracing::info!(
        by = end.by,
        cause = end.cause,
        status = end.status,
        answered = leg.answered,
        seconds = format_args!("{:.1}", began.elapsed().as_secs_f32()),
        codec = leg.codec(),
        rtp_in = s.packets_in,
        rtp_out = s.packets_out,
        lost = s.lost,
        late = s.late,
        jitter_ms = format_args!("{:.1}", s.jitter_ms),
        repeated_keys = leg.duplicates(),
        "call over"
    );
    if leg.answered && s.packets_in == 0 {
        tracing::warn!(expected_from = ?leg.remote(), "no audio arrived in this call: is the path to our RTP port blocked, or our advertised address wrong?");
    }
    stats
}

/// The user part of a URI, or all of it where it has none.
fn party(uri: Option<&[u8]>) -> String {
    let uri = uri.unwrap_or_default();
    match Uri::parse(uri).ok().and_then(|uri| {
        uri.user_decoded()
            .map(|user| String::from_utf8_lossy(&user).into_owned())
    }) {
        Some(user) => user,
        None => String::from_utf8_lossy(uri).into_owned(),
    }
}
