//! Runs a program of this machine: without a shell, in a process group of its own, with limits of time and of what it may write. What does not end
//! in time is killed with all it has started. What it says on its standard error is kept for the log, the end of it.
use super::SpeechError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// What is kept of the standard error, in octets.
const MOST_COMPLAINT: usize = 2048;

/// One run.
pub struct Run<'a> {
    /// The program and its arguments.
    pub command: &'a [String],
    /// What it reads.
    pub input: Vec<u8>,
    /// Longest time.
    pub limit: Duration,
    /// The most it may write to its standard output, in octets.
    pub max_octets: usize,
}

/// The group of a program that runs: killed when it is dropped before the program ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What it wrote to its standard output.
///
/// # Errors
/// It cannot be started, fails, takes too long or writes too much.
pub async fn run(run: Run<'_>) -> Result<Vec<u8>, SpeechError> {
    let Some((program, arguments)) = run.command.split_first() else {
        return Err(SpeechError::Failed("there is no program".to_owned()));
    };
    let failed = |what: String| SpeechError::Failed(format!("{program}: {what}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let limit = run.limit;
    match tokio::time::timeout(limit, talk(&mut child, run.input, run.max_octets)).await {
        Err(_) => Err(failed(format!("killed after {} s", limit.as_secs_f32()))),
        Ok(Err(reason)) => Err(failed(reason)),
        Ok(Ok((output, complaint, status))) => {
            // It has ended and was waited for: its number may be another's now.
            group.0 = None;
            if status.success() {
                return Ok(output);
            }
            Err(failed(format!("{status} {}", last_line(&complaint))))
        }
    }
}

async fn talk(
    child: &mut Child,
    input: Vec<u8>,
    max_octets: usize,
) -> Result<(Vec<u8>, Vec<u8>, std::process::ExitStatus), String> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err("has no standard streams".to_owned());
    };
    let write = async {
        // A program may end without reading all of it.
        let _ = stdin.write_all(&input).await;
        drop(stdin);
        Ok(())
    };
    let ((), output, complaint) = tokio::try_join!(write, read(stdout, max_octets), async {
        Ok(drain(stderr).await)
    })?;
    let status = child.wait().await.map_err(|error| error.to_string())?;
    Ok((output, complaint, status))
}

async fn read(from: impl AsyncRead + Unpin, max_octets: usize) -> Result<Vec<u8>, String> {
    let mut output = Vec::new();
    let mut from = from.take(max_octets as u64 + 1);
    let read = from.read_to_end(&mut output).await;
    read.map_err(|error| error.to_string())?;
    if output.len() > max_octets {
        return Err(format!(
            "wrote more than {max_octets} octets, and was killed"
        ));
    }
    Ok(output)
}

/// Reads all and keeps the end.
async fn drain(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut piece) = (Vec::new(), [0; 1024]);
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(&piece[..length]);
        if kept.len() > MOST_COMPLAINT {
            kept.drain(..kept.len() - MOST_COMPLAINT);
        }
    }
    kept
}

fn last_line(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or_default().trim();
    line.chars()
        .filter(|char| !char.is_control())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, limit_ms: u64) -> Result<Vec<u8>, SpeechError> {
        let command = ["sh", "-c", script].map(str::to_owned);
        run(Run {
            command: &command,
            input: b"hello".to_vec(),
            limit: Duration::from_millis(limit_ms),
            max_octets: 1000,
        })
        .await
    }

    #[tokio::test]
    async fn what_is_written_is_returned() {
        assert_eq!(
            shell("cat; echo noise >&2", 30_000).await,
            Ok(b"hello".to_vec())
        );
        assert_eq!(
            shell("echo no input read", 30_000).await,
            Ok(b"no input read\n".to_vec())
        );
    }

    #[tokio::test]
    async fn what_fails_says_why() {
        let error = shell("echo first >&2; echo 'no such voice' >&2; exit 3", 30_000).await;
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.ends_with("no such voice"),
            "{error}"
        );
        let nothing = ["/nonexistent/program".to_owned()];
        let absent = run(Run {
            command: &nothing,
            input: Vec::new(),
            limit: Duration::from_secs(1),
            max_octets: 1,
        });
        assert!(
            absent
                .await
                .unwrap_err()
                .to_string()
                .contains("cannot be started")
        );
    }

    #[tokio::test]
    async fn floods_and_programs_that_hang_are_killed_with_their_children() {
        let flood = shell("cat /dev/zero", 60_000).await.unwrap_err();
        assert!(
            flood.to_string().contains("more than 1000 octets"),
            "{flood}"
        );
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("pid");
        // The child of the shell would hold its output open for ever.
        let script = format!("sleep 1000 & echo $! > {}; wait", mark.display());
        let hung = shell(&script, 500).await.unwrap_err();
        assert!(hung.to_string().contains("killed after"), "{hung}");
        let pid: i32 = std::fs::read_to_string(&mark)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let pid = Pid::from_raw(pid).unwrap();
        let is_running = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            state.is_ok_and(|text| !text.contains(") Z"))
        };
        let begun = std::time::Instant::now();
        while is_running() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it lives");
            tokio::task::yield_now().await;
        }
        let chatter = shell("yes complaint | head -c 1000000 >&2; exit 1", 60_000).await;
        assert!(chatter.unwrap_err().to_string().ends_with("complaint"));
    }
}
