//! Places an outbound leg: a media channel, our offer, the INVITE.
use super::context::CallContext;
use super::leg::{Leg, LegSettings};
use super::negotiation::Negotiation;
use super::session::no_channel;
use crate::route::identity::number_of;
use crate::route::{CallerIdentity, OutboundLeg};
use std::sync::Arc;
use trunkline_sip::offer_answer::Encoding;
use trunkline_sip::{Invite, LegError, NameAddr, Origin};

/// Why a leg was not placed: the status that says the same, and why.
#[derive(Debug)]
pub(super) struct Unplaced {
    pub(super) status: u16,
    pub(super) text: String,
}

/// Sends the INVITE for `to` with our offer, the codec `prefer` first where the leg may carry it.
pub(super) async fn place(
    call: &Arc<CallContext>,
    to: OutboundLeg,
    party: Origin,
    prefer: Option<Encoding>,
) -> Result<Leg, Unplaced> {
    let calls = &call.calls;
    let opened = match call.shard.get() {
        Some(shard) => calls.media.open_near(*shard),
        None => calls.media.open(),
    };
    let media = opened.map_err(|error| Unplaced {
        status: 503,
        text: no_channel(&error).text,
    })?;
    let mut codecs = match to.codecs.is_empty() {
        true => call.in_force.settings.codecs.clone(),
        false => to.codecs.clone(),
    };
    if let Some(prefer) = prefer {
        // Stable: the rest keeps its order.
        codecs.sort_by_key(|codec| *codec != prefer);
    }
    let local = to.flow.local.ip();
    let settings = LegSettings {
        media_address: call.in_force.settings.media_address.unwrap_or(local),
        signalling: to.flow.remote,
        codecs,
        dtmf: to.dtmf,
        dtmf_profile: to.dtmf_profile,
        srtp: to.srtp,
        tones: to.tones,
        ptime_ms: 20,
        label: to.label.clone(),
        call: call.clone(),
        _place: to.place.clone(),
    };
    let mut negotiation =
        Negotiation::new(settings.local_media(media.0.rtp_port(), calls.fresh_session_id()));
    let address = NameAddr::parse(to.to.as_bytes()).ok();
    let identity = CallerIdentity {
        number: address.map_or(String::new(), |address| number_of(&address.uri)),
        ..CallerIdentity::default()
    };
    let invite = Invite {
        max_forwards: Some(call.caller.hops_left),
        ..to.invite(Some(negotiation.offer()))
    };
    let new = calls.sip.invite(invite).await.map_err(|error| Unplaced {
        status: match error {
            LegError::AtCapacity => 503,
            _ => 500,
        },
        text: error.to_string(),
    })?;
    tracing::info!(to = to.label, leg = %new.leg, "calling");
    let sip = calls.sip.clone();
    let mut leg = Leg::new(new.leg, sip, new.events, media, settings, negotiation);
    leg.party = party;
    leg.identity = identity;
    leg.follow_progress(to.progress.then_some(to.tones));
    Ok(leg)
}
