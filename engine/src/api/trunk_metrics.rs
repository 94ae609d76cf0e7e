//! The trunks' part of the metrics page: each metric once, with one line per trunk.
use crate::trunk::{State, TrunkStatus};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt::Error;

/// Name, help and value of a gauge; a trunk without it has no line.
type Gauge = (&'static str, &'static str, fn(&TrunkStatus) -> Option<u64>);
/// Name, help and value of a counter.
type Counter = (&'static str, &'static str, fn(&TrunkStatus) -> u64);

const GAUGES: [Gauge; 5] = [
    (
        "trunkline_trunk_usable",
        "Whether a call out would be tried now, limits aside",
        |trunk| Some(u64::from(trunk.usable())),
    ),
    (
        "trunkline_trunk_registered",
        "Whether the registration is in force, of trunks that register",
        |trunk| {
            let registration = trunk.registration.as_ref()?;
            Some(u64::from(registration.valid_for.is_some()))
        },
    ),
    (
        "trunkline_trunk_targets",
        "Addresses that the trunk's targets stand for",
        |trunk| Some(trunk.targets.len() as u64),
    ),
    (
        "trunkline_trunk_targets_up",
        "Addresses that answer and take calls",
        |trunk| {
            let up = trunk.targets.iter();
            let up = up.filter(|to| to.state == State::Up && to.cooling.is_none());
            Some(up.count() as u64)
        },
    ),
    (
        "trunkline_trunk_calls",
        "Calls in progress, both ways",
        |trunk| Some(trunk.calls as u64),
    ),
];

const COUNTERS: [Counter; 3] = [
    (
        "trunkline_trunk_dialled",
        "Calls out that the trunk took",
        |trunk| trunk.dialled,
    ),
    (
        "trunkline_trunk_failovers",
        "Attempts that failed and were followed by another",
        |trunk| trunk.failovers,
    ),
    (
        "trunkline_trunk_registrations_failed",
        "Registrations that were refused or not answered",
        |trunk| trunk.registrations_failed,
    ),
];

pub(super) fn encode(encoder: &mut DescriptorEncoder, trunks: &[TrunkStatus]) -> Result<(), Error> {
    for (name, help, value) in GAUGES {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for trunk in trunks {
            let Some(value) = value(trunk) else { continue };
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(metric.encode_family(&[("trunk", trunk.name.as_str())])?)?;
        }
    }
    for (name, help, value) in COUNTERS {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for trunk in trunks {
            let labels = [("trunk", trunk.name.as_str())];
            ConstCounter::new(value(trunk)).encode(metric.encode_family(&labels)?)?;
        }
    }
    let (name, help) = (
        "trunkline_trunk_refused",
        "Calls that the trunk did not take, by the rule",
    );
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for trunk in trunks {
        for &(rule, count) in &trunk.refused {
            let labels = [("trunk", trunk.name.as_str()), ("rule", rule)];
            ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
