//! What a media thread asks of the system: a CPU of its own, real-time priority, memory that stays, its CPU time, and enough file descriptors.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// What Linux takes for the shortest turn of a thread.
const SHORTEST_TURN_NS: u64 = 100_000;

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// When there is no such CPU, or it is not permitted to this process.
pub fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such CPU"));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// Gives the calling thread real-time priority: `SCHED_FIFO`, 1 (lowest) to 99. Threads it makes have the usual one.
///
/// # Errors
/// When there is no such priority, or it is not permitted (`CAP_SYS_NICE`, or `ulimit -r`).
#[allow(unsafe_code)]
pub fn realtime(priority: u8) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: i32::from(priority),
    };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: `parameters` lives during the call and is only read; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, policy, &parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks the scheduler to let the calling thread run in short turns of 0.1 ms (the shortest there are), so that it begins soon after it wakes
/// although other threads of the same priority are running. Keeps the nice value, and needs no permission. A thread that has another policy
/// than the usual one keeps that. Linux from 6.12 on does so; older ones change nothing. Lost when [`realtime`] is set.
///
/// # Errors
/// What the system says.
#[allow(unsafe_code)]
pub fn short_turns() -> io::Result<()> {
    // SAFETY: only asks; 0 is the calling thread.
    if unsafe { libc::sched_getscheduler(0) } & !libc::SCHED_RESET_ON_FORK != libc::SCHED_OTHER {
        return Ok(());
    }
    // SAFETY: all zeros are a value of it, which is made up of integers.
    let mut wanted: libc::sched_attr = unsafe { std::mem::zeroed() };
    wanted.size = size_of::<libc::sched_attr>() as u32;
    wanted.sched_policy = libc::SCHED_OTHER as u32;
    // SAFETY: only asks; 0 is the calling thread.
    wanted.sched_nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    wanted.sched_runtime = SHORTEST_TURN_NS;
    // SAFETY: `wanted` lives during the call, is only read, and says its own size; 0 is the calling thread.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &wanted, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Keeps the memory of the process, present and future, in RAM from the moment it is first used.
///
/// # Errors
/// When it is more than is permitted (`CAP_IPC_LOCK`, or `ulimit -l`).
pub fn lock_memory() -> io::Result<()> {
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    Ok(mlockall(flags)?)
}

/// CPU time the calling thread has used, user and system.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// CPU time of all threads of the process, user and system.
pub fn process_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// CPUs the calling thread may run on; 0 where the system does not tell.
pub fn cores() -> u64 {
    sched_getaffinity(None).map_or(0, |set| u64::from(set.count()))
}

/// The file that says how many ns the calling thread has run (first of three numbers), where there is one.
pub fn schedule() -> Option<PathBuf> {
    let thread = std::fs::read_link("/proc/thread-self").ok()?;
    let path = Path::new("/proc").join(thread).join("schedstat");
    path.exists().then_some(path)
}

/// Raises the soft limit of open files to `wanted` or the hard limit, whichever is lower, and returns what it is then.
pub fn raise_open_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let (current, maximum) = (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    );
    let raised = wanted.min(maximum);
    if current >= raised {
        return current;
    }
    match setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        },
    ) {
        Ok(()) => raised,
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_and_measured() {
        assert!(pin(100_000).is_err());
        let before = cpu_time();
        assert!((0..3_000_000u64).fold(1, |a, n| std::hint::black_box(a ^ n)) != 7);
        assert!(cpu_time() > before && process_cpu_time() >= cpu_time());
        assert!(cores() > 0);
        assert!(raise_open_files(16) >= 16);
    }

    #[test]
    fn a_priority_that_is_none_is_refused() {
        assert!(realtime(0).is_err() && realtime(100).is_err());
    }

    #[test]
    fn short_turns_leave_the_nice_value() {
        let of_thread = std::thread::spawn(|| {
            rustix::process::nice(5).expect("a lower priority needs no permission");
            short_turns().expect("short turns");
            rustix::process::nice(0).expect("the nice value")
        });
        assert_eq!(of_thread.join().expect("ends"), 5);
    }
}
