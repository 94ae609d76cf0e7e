//! The real binary as a test runs it: on loopback addresses of its own, with a scratch folder, its log and its metrics read back.
#[path = "log.rs"]
pub(crate) mod log;

use log::Log;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for an event before it fails. Never reached by a passing test, however slow the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_trunkline");

/// Loopback addresses that no other test has: 127.x.y.z made of the process id and a counter. Ports need no care then.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(
        127,
        16 + high % 200,
        low,
        NEXT.fetch_add(1, Ordering::Relaxed),
    )
}

/// A port free for UDP and TCP at `ip`, chosen by the system.
pub(crate) fn free_port(ip: Ipv4Addr) -> u16 {
    for _ in 0..100 {
        let udp = UdpSocket::bind((ip, 0)).expect("bind a UDP port");
        let port = udp.local_addr().expect("bound").port();
        if TcpListener::bind((ip, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free at {ip}");
}

/// Connects from an address that no server of the tests has. From the server's own, a port nobody listens on yet can be given to this
/// very socket, which TCP then connects with itself (RFC 9293 3.5: simultaneous open), and the server finds it taken.
pub(crate) fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into())?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// What the configuration of a test server says.
pub(crate) struct Settings {
    /// Address of everything.
    pub(crate) ip: Ipv4Addr,
    /// SIP port, UDP and TCP.
    pub(crate) sip_port: u16,
    /// Further sockets of `[sip] listen`, such as `tls:127.0.0.1:5061`.
    pub(crate) listen_extra: Vec<String>,
    /// HTTP port.
    pub(crate) http_port: u16,
    /// RTP range.
    pub(crate) rtp_ports: (u16, u16),
    /// `[run] drain_s`.
    pub(crate) drain_s: u32,
    /// Lines put into the `[sip]`, `[media]` sections.
    pub(crate) sip_extra: String,
    /// As above.
    pub(crate) media_extra: String,
    /// More arguments of `trunkline run`.
    pub(crate) arguments: Vec<&'static str>,
    /// A program and its arguments that runs it, in its place.
    pub(crate) run_by: Vec<&'static str>,
    /// Further variables of its environment.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Whole sections put before the numbers: who may call. By default everybody here is a trunk.
    pub(crate) callers: String,
    /// (`to`, `flow`) of each number.
    pub(crate) numbers: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        let ip = own_address();
        Self {
            ip,
            sip_port: free_port(ip),
            listen_extra: Vec::new(),
            http_port: free_port(ip),
            rtp_ports: (12_000, 12_999),
            drain_s: 1,
            // Transactions linger for 64 * T1 (RFC 3261 17); the tests wait for the last one to go.
            sip_extra: "t1_ms = 100".into(),
            media_extra: String::new(),
            arguments: Vec::new(),
            run_by: Vec::new(),
            environment: Vec::new(),
            callers: "[[trunk]]\nname = \"loopback\"\nacl = [\"127.0.0.0/8\"]\n".into(),
            numbers: vec![("demo".into(), "builtin:demo".into())],
        }
    }
}

impl Settings {
    /// The configuration file.
    pub(crate) fn toml(&self, scratch: &Path) -> String {
        let (ip, sip, http, (first, last)) =
            (self.ip, self.sip_port, self.http_port, self.rtp_ports);
        let mut listen = vec![format!("udp:{ip}:{sip}"), format!("tcp:{ip}:{sip}")];
        listen.extend(self.listen_extra.iter().cloned());
        let mut text = format!(
            "[sip]\nlisten = {listen:?}\n{}\n\
             [media]\nbind = \"{ip}\"\nports = \"{first}-{last}\"\nrecordings_dir = {:?}\n{}\n\
             [http]\nlisten = \"{ip}:{http}\"\n\
             [log]\nformat = \"human\"\nlevel = \"info\"\n\
             [run]\ndrain_s = {}\n",
            self.sip_extra,
            scratch.join("recordings").display().to_string(),
            self.media_extra,
            self.drain_s
        );
        text.push_str(&self.callers);
        for (to, flow) in &self.numbers {
            text.push_str(&format!("[[number]]\nto = {to:?}\nflow = {flow:?}\n"));
        }
        text
    }
}

/// A running `trunkline run`. Ends with the value: only this very child is killed.
pub(crate) struct Server {
    child: Child,
    log: Arc<Log>,
    /// As configured.
    pub(crate) settings: Settings,
    /// Its scratch folder, which also holds its recordings.
    pub(crate) scratch: tempfile::TempDir,
}

impl Server {
    /// Starts with the default settings and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self::with(Settings::default())
    }

    /// Starts with given settings and waits until it is ready.
    pub(crate) fn with(settings: Settings) -> Self {
        let scratch = tempfile::tempdir().expect("scratch folder");
        let config = scratch.path().join("trunkline.toml");
        std::fs::write(&config, settings.toml(scratch.path())).expect("write the configuration");
        let log = Arc::new(Log::default());
        let child = run(&settings, scratch.path(), &log);
        let mut server = Self {
            child,
            log,
            settings,
            scratch,
        };
        server.wait_ready();
        server
    }

    /// Kills it (SIGKILL) and starts it again in the same folder.
    pub(crate) fn kill_and_start_again(&mut self) {
        self.kill_and(|| ());
    }

    /// Kills it (SIGKILL), does something while nobody runs, and starts it again in the same folder.
    pub(crate) fn kill_and(&mut self, meanwhile: impl FnOnce()) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
        meanwhile();
        self.child = run(&self.settings, self.scratch.path(), &self.log);
        self.wait_ready();
    }

    fn wait_ready(&mut self) {
        let patience = Instant::now() + PATIENCE;
        while self.http("/health").is_none_or(|(status, _)| status != 200) {
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!(
                    "trunkline ended with {status} instead of starting:\n{}",
                    self.log_text()
                );
            }
            assert!(
                Instant::now() < patience,
                "trunkline is not ready:\n{}",
                self.log_text()
            );
            std::thread::yield_now();
        }
    }

    /// Where it takes SIP over UDP.
    pub(crate) fn sip(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.settings.ip), self.settings.sip_port)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Status and body of a GET.
    pub(crate) fn http(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = connect((self.settings.ip, self.settings.http_port).into()).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// All samples of /metrics, by name with labels.
    pub(crate) fn metrics(&self) -> Metrics {
        let (status, body) = self.http("/metrics").expect("/metrics answers");
        assert_eq!(status, 200, "/metrics: {body}");
        Metrics::parse(&body)
    }

    /// Waits until the metrics satisfy `wanted`.
    #[track_caller]
    pub(crate) fn wait_metrics(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let patience = Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics();
            if wanted(&metrics) {
                return metrics;
            }
            assert!(
                Instant::now() < patience,
                "{what} did not come true:\n{metrics:#?}\n{}",
                self.log_text()
            );
            std::thread::park_timeout(Duration::from_millis(50)); // polls gently; what is waited for is the event
        }
    }

    /// Waits until no call, leg, channel or transaction is left: every gauge is 0 again.
    #[track_caller]
    pub(crate) fn wait_idle(&self) -> Metrics {
        self.wait_metrics("every gauge at 0", |metrics| {
            metrics.busy_gauges().is_empty()
        })
    }

    /// Waits until no call is left. Health checks and registrations may go on.
    #[track_caller]
    pub(crate) fn wait_no_call(&self) -> Metrics {
        self.wait_metrics("no call is left", |metrics| {
            [
                "trunkline_calls_active",
                "trunkline_sip_legs",
                "trunkline_media_channels",
                "trunkline_trunk_calls",
            ]
            .iter()
            .all(|gauge| metrics.sum(gauge) == 0.0)
        })
    }

    /// Waits for a log line.
    #[track_caller]
    pub(crate) fn wait_log(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_log_times(what, 1, wanted)
    }

    /// Waits for the `times`th log line of a kind.
    #[track_caller]
    pub(crate) fn wait_log_times(
        &self,
        what: &str,
        times: usize,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        self.log.wait(what, times, wanted)
    }

    /// Everything logged so far.
    pub(crate) fn log_text(&self) -> String {
        self.log.text()
    }

    /// How many lines so far satisfy `wanted`.
    pub(crate) fn count_log(&self, wanted: impl Fn(&str) -> bool) -> usize {
        self.log.count(wanted)
    }

    /// How often a key of a source (`inband`, `rfc4733`, `info`) was taken for a key press so far.
    pub(crate) fn keys(&self, key: char, source: &str) -> usize {
        self.count_log(|line| {
            let line = line.to_ascii_lowercase();
            line.contains(&format!("key={}", key.to_ascii_lowercase()))
                && line.contains(&format!("source={source}"))
        })
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        wait_end(&mut self.child)
            .unwrap_or_else(|| panic!("trunkline does not end:\n{}", self.log_text()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- trunkline's log ---\n{}", self.log_text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it in a folder that has its configuration.
fn run(settings: &Settings, folder: &Path, log: &Arc<Log>) -> Child {
    let line = [&settings.run_by[..], &[BINARY, "run", "--config"]].concat();
    let mut child = Command::new(line[0])
        .args(&line[1..])
        .arg(folder.join("trunkline.toml"))
        .args(&settings.arguments)
        .envs(
            settings
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start trunkline");
    log.collect(child.stdout.take().expect("piped"));
    log.collect(child.stderr.take().expect("piped"));
    child
}

/// Sends a signal to one process by its id.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status()
        .expect("kill");
    assert!(status.success(), "kill -{name} {pid}");
}

/// Waits for a child's end; `None` when patience ends first.
pub(crate) fn wait_end(child: &mut Child) -> Option<ExitStatus> {
    let patience = Instant::now() + PATIENCE;
    while Instant::now() < patience {
        if let Some(status) = child.try_wait().expect("wait") {
            return Some(status);
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    None
}

/// A scrape of /metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    samples: BTreeMap<String, f64>,
    gauges: Vec<String>,
}

impl Metrics {
    fn parse(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        let mut gauges = Vec::new();
        for line in text.lines() {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                if let Some(name) = typed.strip_suffix(" gauge") {
                    gauges.push(name.to_owned());
                }
            } else if !line.starts_with('#')
                && let Some((name, value)) = line.rsplit_once(' ')
            {
                samples.insert(
                    name.to_owned(),
                    value
                        .parse()
                        .unwrap_or_else(|_| panic!("not a sample: {line}")),
                );
            }
        }
        assert!(!samples.is_empty(), "/metrics is empty");
        Self { samples, gauges }
    }

    /// The sum of all samples of a metric, over its labels.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let found: Vec<f64> = self.of(name).map(|(_, value)| value).collect();
        assert!(!found.is_empty(), "there is no metric {name}:\n{self:#?}");
        found.iter().sum()
    }

    /// The sum of the samples of a metric whose labels hold `label`.
    pub(crate) fn labelled(&self, name: &str, label: &str) -> f64 {
        self.of(name)
            .filter(|(labels, _)| labels.contains(label))
            .map(|(_, value)| value)
            .sum()
    }

    fn of(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.samples.iter().filter_map(move |(key, value)| {
            let labels = key.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some((labels, *value))
        })
    }

    /// Gauges of things in use that are not 0.
    pub(crate) fn busy_gauges(&self) -> Vec<(String, f64)> {
        assert!(!self.gauges.is_empty(), "there are no gauges");
        self.gauges
            .iter()
            .filter(|name| {
                // Those of trunks say in which state they are, but for the calls.
                !name.ends_with("_info")
                    && !name.ends_with("_seconds")
                    && !name.ends_with("_limit")
                    && (!name.starts_with("trunkline_trunk_") || name.ends_with("_calls"))
            })
            .flat_map(|name| {
                self.of(name)
                    .map(move |(labels, value)| (format!("{name}{labels}"), value))
            })
            .filter(|(_, value)| *value != 0.0)
            .collect()
    }
}

/// Output of a `trunkline` command that is expected to end by itself.
#[track_caller]
pub(crate) fn trunkline(args: &[&str]) -> (ExitStatus, String) {
    let mut child = Command::new(BINARY)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start trunkline");
    let readers = [
        read_all(child.stdout.take().expect("piped")),
        read_all(child.stderr.take().expect("piped")),
    ];
    let Some(status) = wait_end(&mut child) else {
        let _ = child.kill();
        panic!("trunkline {args:?} does not end");
    };
    (
        status,
        readers
            .into_iter()
            .map(|reader| reader.join().expect("read"))
            .collect(),
    )
}

fn read_all(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    })
}
