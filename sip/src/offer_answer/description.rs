//! What we write: our description, and one line for each line of an offer. Decides nothing.

use super::formats::{Events, add_codec, add_comfort_noise, add_events};
use super::{Direction, LocalMedia, Negotiated};
use crate::ice::{self, OfferedIce};
use crate::sdp::{Attribute, Connection, MediaDescription, Origin, Sdp};

pub(super) fn description(local: &LocalMedia) -> Sdp {
    let connection = Connection::new(local.address);
    Sdp {
        origin: Origin {
            username: "-".into(),
            session_id: local.session_id.to_string(),
            session_version: local.session_version.to_string(),
            address: connection.clone(),
        },
        session_name: "-".into(),
        connection: Some(connection),
        attributes: Vec::new(),
        lines: Vec::new(),
        media: Vec::new(),
    }
}

pub(super) fn audio_line(port: u16, protocol: &str) -> MediaDescription {
    MediaDescription {
        kind: "audio".into(),
        port,
        port_count: None,
        protocol: protocol.to_owned(),
        formats: Vec::new(),
        connection: None,
        attributes: Vec::new(),
        lines: Vec::new(),
    }
}

pub(super) fn finish_audio(media: &mut MediaDescription, ptime_ms: u8, direction: Direction) {
    media.attributes.push(Attribute::with("ptime", ptime_ms));
    media.attributes.push(Attribute::flag(direction.name()));
}

/// Our answer to the stream we take.
pub(super) fn accepted(
    theirs: &MediaDescription,
    local: &LocalMedia,
    agreed: &Negotiated,
) -> MediaDescription {
    let mut media = audio_line(local.port, &theirs.protocol);
    media.kind.clone_from(&theirs.kind);
    add_codec(&mut media, agreed.payload_recv, agreed.encoding);
    if let Some(number) = agreed.comfort_noise {
        add_comfort_noise(&mut media, number, agreed.encoding.clock_rate());
    }
    if let Some(number) = agreed.telephone_event_recv {
        let clock_rate = agreed.telephone_event_clock;
        add_events(&mut media, Events { clock_rate, number });
    }
    finish_audio(&mut media, agreed.ptime_ms, agreed.direction);
    if agreed.rtcp_mux {
        media.attributes.push(Attribute::flag("rtcp-mux"));
    }
    if let Some(srtp) = &agreed.srtp {
        srtp.answer(&mut media);
    }
    match (&agreed.ice, &local.ice) {
        (OfferedIce::Checks(_), Some(ours)) => {
            let (address, mux) = (local.address, agreed.rtcp_mux);
            media
                .attributes
                .extend(ice::answer_attributes(ours, address, local.port, mux));
        }
        (OfferedIce::Mismatch, Some(_)) => media.attributes.push(Attribute::flag("ice-mismatch")),
        _ => {}
    }
    media
}

/// Our answer to a stream we do not take: port 0, same protocol, its formats (RFC 3264 section 6).
pub(super) fn refused(theirs: &MediaDescription) -> MediaDescription {
    let mut media = audio_line(0, &theirs.protocol);
    media.kind.clone_from(&theirs.kind);
    media.formats.clone_from(&theirs.formats);
    if media.formats.is_empty() {
        media.formats.push("0".into());
    }
    media
}
