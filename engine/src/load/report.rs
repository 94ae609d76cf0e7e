//! What a run showed, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::histogram::Histogram;
use super::meter::Counts;

/// Above this share of its core the generator itself may be what is late.
const OWN_LIMIT: f64 = 0.7;
/// A run counts only if so little of what was late is due to the machine having stood still.
const EXCUSED_LIMIT: f64 = 0.01;

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Calls placed, answered, and not answered: refusals by status, without any final answer, with an unusable session.
    pub placed: u64,
    /// Answered calls.
    pub answered: u64,
    /// Refusals by status.
    pub refused: BTreeMap<u16, u64>,
    /// Calls without a final answer.
    pub timeouts: u64,
    /// Calls answered with a session that cannot be used, and why the last one cannot.
    pub unusable: u64,
    /// The last reason.
    pub unusable_reason: String,
    /// Requests and answers of ours that were sent again.
    pub retransmissions: u64,
    /// Calls that the server hung up.
    pub ended_by_server: u64,
    /// Calls answered here, for the server's far legs.
    pub uas_calls: u64,
    /// INVITE to 2xx.
    pub set_up: Histogram,
    /// BYE to its answer.
    pub hang_up: Histogram,
    /// Whether it was a set-up run: without streams.
    pub set_up_only: bool,
    /// The measured time in s.
    pub seconds: f64,
    /// Streams received.
    pub streams: u64,
    /// Sums over all streams.
    pub counts: Counts,
    /// Streams with more than one missed frame in a thousand.
    pub bad_streams: u64,
    /// Streams of which nothing came.
    pub silent_streams: u64,
    /// Lateness of frames.
    pub lateness: Histogram,
    /// Keys pressed.
    pub keys: u64,
    /// From a key's end to the steady tone that answers it.
    pub reaction: Histogram,
    /// The server.
    pub server: ServerUse,
    /// This tool.
    pub generator: Generator,
    /// Whether it was stopped before its time.
    pub interrupted: bool,
}

/// What the server used in the measured time.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServerUse {
    /// CPU time of the process in s, user and system; `None`: not asked for.
    pub cpu_s: Option<f64>,
    /// System alone.
    pub system_s: f64,
    /// Busy part of its CPU, interrupts included.
    pub cpu_busy: Option<f64>,
    /// Resident memory in KiB, before the first call and with all of them.
    pub rss_kib: Option<(u64, u64)>,
}

/// What the generator itself did and lacked.
#[derive(Debug, Clone, Default)]
pub struct Generator {
    /// Part of its core it used in the measured time.
    pub cpu: f64,
    /// Frames sent.
    pub sent: u64,
    /// How late it sent them.
    pub lateness: Histogram,
    /// Sends the kernel refused.
    pub send_errors: u64,
    /// Datagrams that did not fit into its buffers.
    pub dropped: u64,
    /// Packets from addresses that no call has.
    pub strangers: u64,
    /// Times it was held up for more than 4 ms, and for how long in ms.
    pub standstills: (u64, f64),
}

impl LoadReport {
    /// Calls that were not answered usably.
    pub fn failed(&self) -> u64 {
        self.refused.values().sum::<u64>() + self.timeouts + self.unusable
    }

    /// Frames that should have come.
    pub fn expected(&self) -> u64 {
        (self.streams as f64 * self.seconds * 50.0) as u64
    }

    /// Frames that never came although no number is missing: the server left them out. Streams begin and end within a frame of the measured
    /// time, so that one for each stream says nothing.
    pub fn short(&self) -> u64 {
        self.expected()
            .saturating_sub(self.counts.received + self.counts.lost)
    }

    /// Frames that a listener missed, in percent of those expected.
    pub fn missed_percent(&self) -> f64 {
        percent(self.counts.missed(), self.expected())
    }

    /// CPU time of the server in µs for each second of a call, or for each call of a set-up run.
    pub fn us_per_call(&self) -> Option<f64> {
        let seconds = if self.set_up_only { 1.0 } else { self.seconds };
        let work = self.answered as f64 * seconds;
        self.server.cpu_s.map(|cpu| cpu * 1e6 / work.max(1e-9))
    }

    /// Memory of the server for each call in KiB.
    pub fn kib_per_call(&self) -> Option<f64> {
        let (before, with) = self.server.rss_kib?;
        Some(with.saturating_sub(before) as f64 / self.answered.max(1) as f64)
    }

    /// Why the run says nothing about the server; `None`: it counts.
    pub fn does_not_count(&self) -> Option<String> {
        let own = &self.generator;
        let excused = percent(self.counts.excused, self.expected());
        if own.cpu > OWN_LIMIT {
            return Some(format!(
                "the generator used {:.2} of its core; above {OWN_LIMIT} what is late may be its own",
                own.cpu
            ));
        }
        if own.dropped > 0 {
            return Some(format!(
                "{} packets did not fit into the generator's buffers; raise net.core.rmem_max",
                own.dropped
            ));
        }
        if excused > EXCUSED_LIMIT {
            return Some(format!(
                "{excused:.3} % of the frames were late while the generator's own core stood still"
            ));
        }
        self.interrupted
            .then(|| "it was stopped before its time".to_owned())
    }

    /// The same as one JSON object; times in ms.
    pub fn json(&self) -> Value {
        let counts = &self.counts;
        let refused: serde_json::Map<String, Value> = self
            .refused
            .iter()
            .map(|(status, calls)| (status.to_string(), json!(calls)))
            .collect();
        json!({
            "counts": self.does_not_count().is_none(),
            "does_not_count": self.does_not_count(),
            "calls": {
                "placed": self.placed, "answered": self.answered, "failed": self.failed(), "refused": refused, "timeouts": self.timeouts,
                "unusable": self.unusable, "ended_by_server": self.ended_by_server, "uas": self.uas_calls, "retransmissions": self.retransmissions,
            },
            "set_up_ms": times(&self.set_up),
            "hang_up_ms": times(&self.hang_up),
            "seconds": rounded(self.seconds),
            "streams": {
                "streams": self.streams, "expected": self.expected(), "received": counts.received, "lost": counts.lost, "late": counts.late,
                "late_excused": counts.excused, "stopped": counts.stopped, "short": self.short(), "reordered": counts.reordered, "repeated": counts.repeated,
                "restarts": counts.restarts, "missed_percent": self.missed_percent(), "bad_streams": self.bad_streams,
                "silent_streams": self.silent_streams, "lateness_ms": times(&self.lateness),
            },
            "keys": { "pressed": self.keys, "answered": self.reaction.count(), "reaction_ms": times(&self.reaction) },
            "server": {
                "cpu_s": self.server.cpu_s, "system_s": self.server.system_s, "cpu_busy": self.server.cpu_busy, "us_per_call_second": self.us_per_call().filter(|_| !self.set_up_only),
                "us_per_call": self.us_per_call().filter(|_| self.set_up_only), "rss_kib": self.server.rss_kib.map(|(_, with)| with),
                "rss_before_kib": self.server.rss_kib.map(|(before, _)| before), "kib_per_call": self.kib_per_call(),
            },
            "generator": {
                "cpu": rounded(self.generator.cpu), "sent": self.generator.sent, "send_errors": self.generator.send_errors, "dropped": self.generator.dropped,
                "strangers": self.generator.strangers, "lateness_ms": times(&self.generator.lateness),
                "standstills": self.generator.standstills.0, "standstill_ms": rounded(self.generator.standstills.1),
            },
        })
    }

    fn write_streams(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(
            f,
            "Streams:   {} for {:.1} s; {} of {} frames came, {} were never sent",
            self.streams,
            self.seconds,
            counts.received,
            self.expected(),
            self.short()
        )?;
        writeln!(
            f,
            "  missed   {:.4} %: {} late by more than 20 ms, {} lost, {} stopped; {} streams with more than 0.1 %, {} silent",
            self.missed_percent(),
            counts.late,
            counts.lost,
            counts.stopped,
            self.bad_streams,
            self.silent_streams
        )?;
        writeln!(
            f,
            "  besides  {} out of order, {} repeated, {} begun anew, {} late while this machine stood still",
            counts.reordered, counts.repeated, counts.restarts, counts.excused
        )?;
        write_times(f, "  late by ", &self.lateness)?;
        if self.keys > 0 {
            writeln!(
                f,
                "Keys:      {} pressed, {} answered with a tone",
                self.keys,
                self.reaction.count()
            )?;
            write_times(f, "  within  ", &self.reaction)?;
        }
        Ok(())
    }

    fn write_server(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(cpu), Some(us)) = (self.server.cpu_s, self.us_per_call()) {
            let unit = if self.set_up_only {
                "call"
            } else {
                "call and second"
            };
            let system = self.server.system_s / cpu.max(1e-9) * 100.0;
            writeln!(
                f,
                "Server:    {cpu:.2} s of CPU, {us:.1} µs for each {unit}, {system:.0} % of it in the kernel"
            )?;
        }
        if let (Some((before, with)), Some(each)) = (self.server.rss_kib, self.kib_per_call()) {
            writeln!(
                f,
                "  memory   {before} KiB before, {with} KiB with all calls: {each:.1} KiB for each"
            )?;
        }
        if let Some(busy) = self.server.cpu_busy {
            writeln!(f, "  its CPU  {:.1} % busy", busy * 100.0)?;
        }
        let own = &self.generator;
        writeln!(
            f,
            "Generator: {:.2} of its core; {} frames sent, {} refused by the kernel; {} packets dropped, {} from strangers; held up {} times for {:.0} ms",
            own.cpu,
            own.sent,
            own.send_errors,
            own.dropped,
            own.strangers,
            own.standstills.0,
            own.standstills.1
        )?;
        write_times(f, "  late by ", &own.lateness)
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Calls:     {} placed, {} answered, {} failed",
            self.placed,
            self.answered,
            self.failed()
        )?;
        for (status, calls) in &self.refused {
            write!(f, "; {status}: {calls}")?;
        }
        if self.timeouts > 0 {
            write!(f, "; no answer: {}", self.timeouts)?;
        }
        if self.unusable > 0 {
            write!(
                f,
                "; unusable: {} ({})",
                self.unusable, self.unusable_reason
            )?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "  besides  {} hung up by the server, {} messages sent again, {} far legs answered here",
            self.ended_by_server, self.retransmissions, self.uas_calls
        )?;
        write_times(f, "  set up  ", &self.set_up)?;
        write_times(f, "  hung up ", &self.hang_up)?;
        if !self.set_up_only {
            self.write_streams(f)?;
        }
        self.write_server(f)?;
        match self.does_not_count() {
            Some(reason) => write!(f, "THIS RUN DOES NOT COUNT: {reason}."),
            None => write!(f, "The run counts."),
        }
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, name: &str, times: &Histogram) -> fmt::Result {
    if times.count() == 0 {
        return Ok(());
    }
    let [p50, p99, p999, p9999] = [0.5, 0.99, 0.999, 0.9999].map(|q| times.quantile_ms(q));
    writeln!(
        f,
        "{name} p50 {p50:.2} ms, p99 {p99:.2}, p99.9 {p999:.2}, p99.99 {p9999:.2}, at most {:.2}",
        times.max_ms()
    )
}

fn times(times: &Histogram) -> Value {
    let quantile = |q| rounded(times.quantile_ms(q));
    json!({
        "count": times.count(), "p50": quantile(0.5), "p99": quantile(0.99), "p99_9": quantile(0.999), "p99_99": quantile(0.9999),
        "max": rounded(times.max_ms()),
    })
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn percent(part: u64, of: u64) -> f64 {
    part as f64 * 100.0 / of.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> LoadReport {
        LoadReport {
            placed: 12,
            answered: 10,
            refused: BTreeMap::from([(503, 2)]),
            seconds: 10.0,
            streams: 10,
            counts: Counts {
                received: 4990,
                lost: 10,
                ..Counts::default()
            },
            server: ServerUse {
                cpu_s: Some(0.01),
                rss_kib: Some((1000, 1400)),
                ..ServerUse::default()
            },
            ..LoadReport::default()
        }
    }

    #[test]
    fn shares_are_of_what_should_have_come() {
        let report = report();
        assert_eq!(
            (report.expected(), report.missed_percent(), report.failed()),
            (5000, 0.2, 2)
        );
        assert_eq!(
            (report.us_per_call(), report.kib_per_call()),
            (Some(100.0), Some(40.0))
        );
        let text = report.to_string();
        for expected in [
            "12 placed, 10 answered, 2 failed; 503: 2",
            "0.2000 %",
            "100.0 µs",
            "40.0 KiB",
            "The run counts.",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        assert_eq!(report.json()["calls"]["refused"]["503"], 2);
        assert_eq!(report.json()["streams"]["lost"], 10);
        assert_eq!(report.json()["streams"]["short"], 0);
        let late = LoadReport {
            seconds: 11.0,
            ..report
        };
        assert_eq!(late.short(), 500);
    }

    #[test]
    fn a_generator_at_its_limit_does_not_count() {
        let mut report = report();
        report.generator.cpu = 0.69;
        assert_eq!(report.does_not_count(), None);
        report.generator.cpu = 0.71;
        assert!(
            report
                .to_string()
                .contains("DOES NOT COUNT: the generator used 0.71")
        );
        assert_eq!(report.json()["counts"], false);
        report.generator = Generator::default();
        report.counts.excused = 1;
        assert!(
            report
                .does_not_count()
                .is_some_and(|reason| reason.contains("stood still"))
        );
    }
}
