//! The queues' and agents' part of the metrics page.
use crate::queue::{AgentState, Counts, QueueView, Queues};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt::Error;

/// Name, help and value of a gauge.
type Gauge = (&'static str, &'static str, fn(&QueueView) -> f64);
/// Name, help and value of a counter.
type Counter = (&'static str, &'static str, fn(&Counts) -> f64);

const GAUGES: [Gauge; 3] = [
    (
        "trunkline_queue_waiting",
        "Callers who wait, those included who are to be called back",
        |queue| queue.waiting as f64,
    ),
    (
        "trunkline_queue_talking",
        "Callers who talk with an agent",
        |queue| queue.talking as f64,
    ),
    (
        "trunkline_queue_longest_wait_seconds",
        "How long the first of those who wait has waited",
        |queue| queue.longest_wait.map_or(0.0, |wait| wait.as_secs_f64()),
    ),
];

const COUNTERS: [Counter; 4] = [
    (
        "trunkline_queue_offered",
        "Callers who wanted to wait",
        |counts| counts.offered as f64,
    ),
    (
        "trunkline_queue_within",
        "Callers who were answered within the queue's service level",
        |counts| counts.within as f64,
    ),
    (
        "trunkline_queue_hold_seconds",
        "How long those waited who were answered, in all",
        |counts| counts.held.as_secs_f64(),
    ),
    (
        "trunkline_queue_talk_seconds",
        "How long those talked who were answered, in all",
        |counts| counts.talked.as_secs_f64(),
    ),
];

pub(super) fn encode(encoder: &mut DescriptorEncoder, queues: &Queues) -> Result<(), Error> {
    let views = queues.list_queues();
    for (name, help, value) in GAUGES {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for queue in &views {
            let labels = [("queue", queue.name.as_str())];
            ConstGauge::new(value(queue)).encode(metric.encode_family(&labels)?)?;
        }
    }
    for (name, help, value) in COUNTERS {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for queue in &views {
            let labels = [("queue", queue.name.as_str())];
            ConstCounter::new(value(&queue.total)).encode(metric.encode_family(&labels)?)?;
        }
    }
    let (name, help) = (
        "trunkline_queue_ended",
        "Waits that are over, by how they ended",
    );
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for queue in &views {
        let total = &queue.total;
        for (end, count) in [
            ("answered", total.answered),
            ("abandoned", total.abandoned),
            ("timeout", total.timed_out),
            ("left", total.left),
            ("refused", total.refused),
        ] {
            let labels = [("queue", queue.name.as_str()), ("end", end)];
            ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
        }
    }
    let agents = queues.list_agents();
    let (name, help) = ("trunkline_agents", "Agents, by how they stand");
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for state in AgentState::NAMES {
        let there = agents.iter().filter(|agent| agent.state.name() == state);
        let gauge = ConstGauge::new(i64::try_from(there.count()).unwrap_or(i64::MAX));
        gauge.encode(metric.encode_family(&[("state", state)])?)?;
    }
    Ok(())
}
