//! The part of the metrics page of voicemail.
use super::metrics::family;
use crate::voicemail::{Boxes, ClerkCounters};
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt::Error;
use std::sync::atomic::Ordering;

pub(super) fn encode(
    encoder: &mut DescriptorEncoder,
    boxes: &Boxes,
    mails: &ClerkCounters,
) -> Result<(), Error> {
    family(
        encoder,
        "trunkline_voicemail_visits",
        "Callers who were to leave a message in a voicemail box, by what came of it",
        "outcome",
        &boxes.outcomes(),
    )?;
    let tried = [
        ("sent", mails.sent.load(Ordering::Relaxed)),
        ("failed", mails.failed.load(Ordering::Relaxed)),
        ("given-up", mails.given_up.load(Ordering::Relaxed)),
    ];
    family(
        encoder,
        "trunkline_voicemail_mails",
        "Mails of voicemail that were tried, by what became of them",
        "outcome",
        &tried,
    )
}
