//! How calls sound, on the metrics page: histograms over all legs, never a series per call.
use crate::media::{Lateness, MOS_BOUNDS, MediaStats, MosSpread};
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt::Error;
use std::ops::RangeInclusive;

pub(super) fn encode(encoder: &mut DescriptorEncoder, media: &MediaStats) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(
        "trunkline_rtp_mos",
        "Estimated MOS of listening in stretches of 5 s, as heard from peers and as heard by them",
        None,
        MetricType::Histogram,
    )?;
    for (side, spread) in [("heard", &media.mos_heard), ("sent", &media.mos_sent)] {
        let labels = [("side", side)];
        encode_mos(metric.encode_family(&labels)?, spread)?;
    }
    for (name, help, times) in [
        (
            "trunkline_rtp_jitter_seconds",
            "Interarrival jitter of received audio, every 5 s of each leg",
            &media.jitter,
        ),
        (
            "trunkline_rtp_round_trip_seconds",
            "Round trips, from the RTCP reports of peers",
            &media.round_trips,
        ),
    ] {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        // From 1 ms to 1 s.
        encode_times(metric, times, 10..=20)?;
    }
    Ok(())
}

fn encode_mos(mut encoder: MetricEncoder, spread: &MosSpread) -> Result<(), Error> {
    let bounds = MOS_BOUNDS.map(|bound| (f64::from(bound) * 100.0).round() / 100.0);
    let bounds = bounds.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(spread.buckets()).collect();
    encoder.encode_histogram::<NoLabelSet>(spread.sum(), spread.count(), &buckets, None)
}

/// Buckets of powers of two of 1 µs.
pub(super) fn encode_times(
    mut encoder: MetricEncoder,
    times: &Lateness,
    exponents: RangeInclusive<u32>,
) -> Result<(), Error> {
    let mut buckets = Vec::new();
    let mut below = 0;
    for exponent in exponents {
        let bound = (1u64 << exponent) - 1;
        let at_most = times.at_most(bound).max(below);
        buckets.push(((bound + 1) as f64 / 1e6, at_most - below));
        below = at_most;
    }
    let count = times.count().max(below);
    buckets.push((f64::INFINITY, count - below));
    encoder.encode_histogram::<NoLabelSet>(times.sum_us() as f64 / 1e6, count, &buckets, None)
}
