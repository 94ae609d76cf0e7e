//! What the server's process and CPU have used, as /proc says (proc(5)).

use std::fs;

/// Ticks of /proc in a second (USER_HZ, 100 on every Linux this runs on).
const TICKS: f64 = 100.0;

/// One look at a process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessSample {
    /// CPU time in s, user and system.
    pub user_s: f64,
    /// System only.
    pub system_s: f64,
    /// Resident memory in KiB.
    pub rss_kib: u64,
}

impl ProcessSample {
    /// `None` when there is no such process.
    pub fn of(pid: u32) -> Option<ProcessSample> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        ProcessSample::parse(&stat, &status)
    }

    fn parse(stat: &str, status: &str) -> Option<ProcessSample> {
        // The name may hold spaces and parentheses; the last one ends it. utime and stime are the 14th and 15th field.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
        let seconds =
            |index: usize| -> Option<f64> { Some(fields.get(index)?.parse::<f64>().ok()? / TICKS) };
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Some(ProcessSample {
            user_s: seconds(11)?,
            system_s: seconds(12)?,
            rss_kib: rss
                .and_then(|rss| rss.split_whitespace().next()?.parse().ok())
                .unwrap_or(0),
        })
    }

    /// CPU time in s.
    pub fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

/// Busy time of a CPU in s since the machine started, interrupts included. `None` when there is no such CPU.
pub fn cpu_busy_s(cpu: usize) -> Option<f64> {
    busy(&fs::read_to_string("/proc/stat").ok()?, cpu)
}

fn busy(stat: &str, cpu: usize) -> Option<f64> {
    let name = format!("cpu{cpu} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
    let fields: Vec<f64> = line
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // user, nice, system, irq, softirq; not idle and iowait between them.
    let ticks: Option<f64> = [0, 1, 2, 5, 6].iter().map(|index| fields.get(*index)).sum();
    Some(ticks? / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_fields_are_read() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 250 125 0 0 20 0 7 0 100 1 1";
        let sample = ProcessSample::parse(stat, "Name:\ta\nVmRSS:\t    2048 kB\n").unwrap();
        assert_eq!(
            (
                sample.user_s,
                sample.system_s,
                sample.cpu_s(),
                sample.rss_kib
            ),
            (2.5, 1.25, 3.75, 2048)
        );
        assert_eq!(ProcessSample::parse("nonsense", ""), None);
        let cpus = "cpu  9 9 9 9 9 9 9\ncpu0 100 1 200 5000 300 4 5 0 0 0\ncpu10 1 1 1 1 1 1 1\n";
        assert_eq!((busy(cpus, 0), busy(cpus, 1)), (Some(3.1), None));
        assert!(ProcessSample::of(std::process::id()).is_some_and(|own| own.rss_kib > 0));
    }
}
