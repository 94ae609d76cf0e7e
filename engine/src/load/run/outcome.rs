//! What a run showed: sums of calls and streams, and what server and generator used in the measured time.

use super::super::process::{ProcessSample, cpu_busy_s};
use super::super::report::{Generator, LoadReport, ServerUse};
use super::{Before, MS, Run, SECOND};
use crate::net::thread::cpu_time;

impl Run<'_> {
    /// The measured time is over: what was used in it.
    pub(super) fn measure(&mut self, before: Before, now: u64) {
        let report = &mut self.report;
        report.seconds = (now - before.at_ns) as f64 / SECOND as f64;
        report.generator.cpu = (cpu_time() - before.own).as_secs_f64() / report.seconds.max(1e-9);
        let after = self.options.server_pid.and_then(ProcessSample::of);
        report.server = ServerUse {
            cpu_s: after
                .zip(before.server)
                .map(|(after, before)| after.cpu_s() - before.cpu_s()),
            system_s: after
                .zip(before.server)
                .map_or(0.0, |(after, before)| after.system_s - before.system_s),
            cpu_busy: self
                .options
                .server_cpu
                .and_then(cpu_busy_s)
                .zip(before.busy_s)
                .map(|(after, before)| (after - before) / report.seconds.max(1e-9)),
            rss_kib: self
                .idle_rss_kib
                .zip(after)
                .map(|(idle, after)| (idle, after.rss_kib)),
        };
    }

    /// The whole report.
    pub(super) fn finish(self) -> LoadReport {
        let (calls, media, mut report) =
            (self.callers.tally, self.plant.tally.clone(), self.report);
        report.placed = calls.placed;
        report.answered = calls.answered - calls.unusable;
        report.refused = calls.refused;
        report.timeouts = calls.timeouts;
        report.unusable = calls.unusable;
        report.unusable_reason = calls.last_reason;
        report.retransmissions = calls.retransmissions
            + self
                .callees
                .as_ref()
                .map_or(0, |callees| callees.retransmissions);
        report.ended_by_server = calls.ended_by_far_end;
        report.uas_calls = self
            .callees
            .as_ref()
            .map_or(0, |callees| callees.taken().into());
        (report.set_up, report.hang_up) = (calls.set_up, calls.hang_up);
        report.set_up_only = self.options.hold.is_some();
        report.streams = media.streams;
        report.counts = media.counts;
        (report.bad_streams, report.silent_streams) = (media.bad_streams, media.silent_streams);
        (report.lateness, report.keys, report.reaction) =
            (media.lateness, media.keys, media.reaction);
        report.generator = Generator {
            cpu: report.generator.cpu,
            sent: media.sent,
            lateness: media.own_lateness,
            send_errors: media.send_errors,
            dropped: if report.set_up_only {
                0
            } else {
                self.plant.dropped()
            },
            strangers: self.plant.strangers,
            standstills: (media.standstills, media.standstill_ns as f64 / MS as f64),
        };
        report
    }
}
