//! Figures of the control API.
use super::metrics::{counter, family};
use super::v1::V1;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt::Error;

pub(super) fn encode(encoder: &mut DescriptorEncoder, v1: &V1) -> Result<(), Error> {
    let (requests, refused) = v1.counts();
    let refused: Vec<(&'static str, u64)> = refused.into_iter().collect();
    counter(
        encoder,
        "trunkline_api_requests",
        "Requests to the control API",
        requests,
    )?;
    family(
        encoder,
        "trunkline_api_refused",
        "Requests to the control API that were refused, by rule",
        "rule",
        &refused,
    )?;
    family(
        encoder,
        "trunkline_api_watchers_cut",
        "Watchers of events that were cut off, by reason",
        "reason",
        &v1.cut_by(),
    )
}
