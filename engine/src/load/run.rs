//! The loop of a run: places calls, turns the wheel, takes what comes, hangs up. `run/outcome.rs` sums up what was measured.

mod outcome;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use trunkline_sip::Frame;

use super::LoadOptions;
use super::callee::{self, Callees};
use super::caller::{self, Callers, Parties};
use super::plant::{Manner, Plant, Side};
use super::process::{ProcessSample, cpu_busy_s};
use super::report::LoadReport;
use super::sound::Sound;
use crate::net::batch::{Inbox, bind_stamped, wall_ns};
use crate::net::poller::Poller;
use crate::net::thread::{cpu_time, pin, raise_open_files};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
/// Calls hung up in a second: four times as fast as they were placed, up to this.
const HANG_UPS: f64 = 2000.0;
/// How long a run waits at its end for the far legs to be hung up.
const LAST_BYES: u64 = 5 * SECOND;
/// Octets of a SIP message taken.
const MESSAGE: usize = 8192;

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option cannot be.
    #[error("{0}")]
    Option(&'static str),
    /// The system refused something.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        error: io::Error,
    },
}

fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> LoadError {
    let what = what.into();
    move |error| LoadError::System { what, error }
}

/// Time since the run began on the scale of arrival stamps: steady, whatever happens to the wall clock.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Instant,
    start_ns: u64,
}

impl Clock {
    fn now(&self) -> u64 {
        self.start_ns + self.start.elapsed().as_nanos() as u64
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Calls are placed.
    Placing,
    /// All are up; until then they settle.
    Settling(u64),
    /// Until then it is measured.
    Measuring(u64),
    /// Calls are hung up; since then.
    Ending(u64),
}

/// What was used when the measured time began.
#[derive(Debug, Clone, Copy)]
struct Before {
    at_ns: u64,
    own: Duration,
    server: Option<ProcessSample>,
    busy_s: Option<f64>,
}

struct Run<'a> {
    options: &'a LoadOptions,
    clock: Clock,
    phase: Phase,
    callers: Callers,
    callees: Option<Callees>,
    sip: UdpSocket,
    uas: Option<UdpSocket>,
    sip_poller: Poller,
    plant: Plant,
    inbox: Inbox,
    /// The leg of each call.
    caller_legs: Vec<Option<u32>>,
    callee_legs: Vec<Option<u32>>,
    /// Calls to be hung up, and when.
    ending: VecDeque<(u64, u32)>,
    idle_rss_kib: Option<u64>,
    before: Option<Before>,
    report: LoadReport,
}

/// Places the calls, measures and hangs up. `stop` ends it early, in good order.
///
/// # Errors
/// When it cannot begin. What goes wrong with calls is in the report.
pub fn run_load(options: &LoadOptions, stop: &AtomicBool) -> Result<LoadReport, LoadError> {
    check(options)?;
    if let Some(cpu) = options.own_cpu {
        pin(cpu).map_err(system(format!("cannot run on CPU {cpu}")))?;
    }
    let mut run = Run::new(options)?;
    while run.turn(stop.load(Ordering::Relaxed)) {}
    Ok(run.finish())
}

fn check(options: &LoadOptions) -> Result<(), LoadError> {
    let say = |wrong: bool, what| {
        if wrong {
            Err(LoadError::Option(what))
        } else {
            Ok(())
        }
    };
    say(
        !(options.rate > 0.0 && options.rate <= 100_000.0),
        "the rate has to be from above 0 to 100000 calls a second",
    )?;
    say(
        options.hold.is_none() && !(1..=100_000).contains(&options.calls),
        "the calls have to be from 1 to 100000",
    )?;
    say(
        !(1..=60_000).contains(&options.sockets),
        "the RTP sockets have to be from 1 to 60000",
    )?;
    say(
        options.duration.is_zero(),
        "the duration has to be more than 0",
    )?;
    let absent = options
        .server_pid
        .is_some_and(|pid| ProcessSample::of(pid).is_none());
    say(absent, "there is no process with the given id")
}

/// The address the system uses towards the server.
fn own_address(server: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}

impl<'a> Run<'a> {
    fn new(options: &'a LoadOptions) -> Result<Run<'a>, LoadError> {
        raise_open_files(options.sockets as u64 * 2 + 64);
        let own = own_address(options.server)
            .map_err(system(format!("cannot reach {}", options.server)))?;
        let from = options.from.unwrap_or(own);
        let bound = |address: SocketAddr| {
            bind_stamped(address, 16 << 20).map_err(system(format!("cannot take SIP at {address}")))
        };
        let sip = bound(SocketAddr::new(from, options.sip_port))?;
        let uas = options.uas.map(bound).transpose()?;
        let sip_poller = Poller::new().map_err(system("cannot wait for sockets"))?;
        for (token, socket) in std::iter::once(&sip).chain(&uas).enumerate() {
            sip_poller
                .add(socket, token as u64)
                .map_err(system("cannot wait for a socket"))?;
        }
        let local = |socket: &UdpSocket| {
            socket
                .local_addr()
                .map_err(system("a socket has no address"))
        };
        let clock = Clock {
            start: Instant::now(),
            start_ns: wall_ns(),
        };
        let run = clock.start_ns as u32 ^ std::process::id();
        let parties = Parties {
            target: options.target.clone(),
            group: options.group,
            local: local(&sip)?,
            run,
            law: options.law,
        };
        let callees = match &uas {
            Some(socket) => Some(Callees::new(local(socket)?, options.law, run)),
            None => None,
        };
        let sound = Sound::new(options.law, options.audio.as_deref());
        let callee_ip = options.uas.map(|address| address.ip());
        let plant = Plant::new(
            sound,
            manner(options),
            options.sockets,
            from,
            callee_ip,
            clock.start_ns,
        );
        let plant = plant.map_err(system("cannot open the RTP sockets"))?;
        let mut started = Run {
            options,
            clock,
            phase: Phase::Placing,
            callers: Callers::new(parties),
            callees,
            sip,
            uas,
            sip_poller,
            plant,
            inbox: Inbox::new(64, MESSAGE),
            caller_legs: Vec::new(),
            callee_legs: Vec::new(),
            ending: VecDeque::new(),
            idle_rss_kib: options
                .server_pid
                .and_then(ProcessSample::of)
                .map(|sample| sample.rss_kib),
            before: None,
            report: LoadReport::default(),
        };
        if options.hold.is_some() {
            started.begin_measuring(clock.start_ns);
            started.phase = Phase::Placing;
        }
        Ok(started)
    }

    /// One pass. `false`: the run is over.
    fn turn(&mut self, stop: bool) -> bool {
        let clock = self.clock;
        let now = clock.now();
        self.place(now);
        while let Some((_, call)) = self.ending.pop_front_if(|(at, _)| *at <= now) {
            self.callers.hang_up(call, now);
        }
        self.plant.turn(|| clock.now());
        self.plant.take(|| clock.now());
        self.take_sip();
        self.expire(clock.now());
        self.send_sip();
        if stop && !matches!(self.phase, Phase::Ending(_)) {
            self.report.interrupted = true;
            self.end(clock.now());
        }
        if !self.advance(clock.now()) {
            return false;
        }
        let wait = self.plant.next_due().saturating_sub(clock.now());
        if wait > 0 {
            self.sip_poller
                .sleep(Some(Duration::from_nanos(wait)), || true);
        }
        true
    }

    /// How many calls will have been placed in all.
    fn total(&self) -> u32 {
        match self.options.hold {
            Some(_) => (self.options.rate * self.options.duration.as_secs_f64())
                .ceil()
                .max(1.0) as u32,
            None => self.options.calls,
        }
    }

    fn place(&mut self, now: u64) {
        if self.phase != Phase::Placing {
            return;
        }
        let passed = (now - self.clock.start_ns) as f64 / SECOND as f64;
        let due = ((passed * self.options.rate) as u32)
            .saturating_add(1)
            .min(self.total());
        while self.callers.placed() < due {
            let media = self.plant.address(Side::Caller, self.callers.placed());
            self.callers.place(media, now);
            self.caller_legs.push(None);
        }
    }

    fn take_sip(&mut self) {
        for side in [Side::Caller, Side::Callee] {
            let socket = match side {
                Side::Caller => Some(&self.sip),
                Side::Callee => self.uas.as_ref(),
            };
            let Some(socket) = socket else { continue };
            let got = self.inbox.receive(socket);
            for index in 0..got {
                let Some(datagram) = self.inbox.datagram(index) else {
                    continue;
                };
                let Ok(frame) = Frame::parse(datagram.octets) else {
                    continue;
                };
                match (side, &mut self.callees) {
                    (Side::Caller, _) => {
                        if let Some(event) = self.callers.receive(&frame, datagram.at_ns) {
                            on_caller(
                                self.options,
                                &mut self.plant,
                                &mut self.caller_legs,
                                &mut self.ending,
                                event,
                                datagram.at_ns,
                            );
                        }
                    }
                    (Side::Callee, Some(callees)) => {
                        let plant = &mut self.plant;
                        let event =
                            callees.receive(&frame, datagram.from, datagram.at_ns, |call| {
                                plant.address(Side::Callee, call)
                            });
                        on_callee(
                            plant,
                            &mut self.callee_legs,
                            event,
                            self.options.hold.is_none(),
                        );
                    }
                    (Side::Callee, None) => {}
                }
            }
        }
    }

    fn expire(&mut self, now: u64) {
        let (plant, legs) = (&mut self.plant, &mut self.caller_legs);
        self.callers.expire(now, |event| {
            if let caller::Event::Ended(call) = event
                && let Some(leg) = legs[call as usize]
            {
                plant.end(leg);
            }
        });
        if let Some(callees) = &mut self.callees {
            callees.expire(now);
        }
    }

    /// What the kernel refuses to send is sent again when its time has come.
    fn send_sip(&mut self) {
        for message in self.callers.take_out() {
            let _ = self.sip.send_to(&message, self.options.server);
        }
        if let (Some(callees), Some(socket)) = (&mut self.callees, &self.uas) {
            for (to, message) in callees.take_out() {
                let _ = socket.send_to(&message, to);
            }
        }
    }

    /// The next phase, if its time has come. `false`: there is none.
    fn advance(&mut self, now: u64) -> bool {
        match self.phase {
            Phase::Placing if self.callers.placed() == self.total() && !self.callers.inviting() => {
                if self.options.hold.is_some() {
                    if self.ending.is_empty() && self.callers.under_way() == 0 {
                        self.end(now);
                    }
                } else if self.callers.tally.answered == self.callers.tally.unusable {
                    self.end(now);
                } else {
                    self.phase = Phase::Settling(now + nanos(self.options.settle));
                }
            }
            Phase::Settling(until) if now >= until => self.begin_measuring(now),
            Phase::Measuring(until) if now >= until => self.end(now),
            Phase::Ending(since) => {
                let far = self.callees.as_ref().map_or(0, Callees::up);
                let done = self.ending.is_empty() && self.callers.under_way() == 0;
                let waited = now - since
                    > 40 * SECOND
                        + self
                            .ending
                            .back()
                            .map_or(0, |(at, _)| at.saturating_sub(since));
                if waited || (done && (far == 0 || now - since > LAST_BYES)) {
                    return false;
                }
            }
            _ => {}
        }
        true
    }

    fn begin_measuring(&mut self, now: u64) {
        self.before = Some(Before {
            at_ns: now,
            own: cpu_time(),
            server: self.options.server_pid.and_then(ProcessSample::of),
            busy_s: self.options.server_cpu.and_then(cpu_busy_s),
        });
        self.plant.open(now);
        self.phase = Phase::Measuring(now + nanos(self.options.duration));
    }

    /// Measuring ends, and calls are hung up one after the other.
    fn end(&mut self, now: u64) {
        if let Some(before) = self.before.take() {
            self.plant.close(now);
            self.measure(before, now);
        }
        self.phase = Phase::Ending(now);
        self.ending.clear();
        let gap = SECOND as f64 / (self.options.rate * 4.0).min(HANG_UPS);
        for call in 0..self.callers.placed() {
            self.ending
                .push_back((now + (f64::from(call) * gap) as u64, call));
        }
    }
}

fn manner(options: &LoadOptions) -> Manner {
    let every = (options.key_every.as_secs_f64() * 50.0).round().max(1.0) as u32;
    Manner {
        talkers: options.talkers,
        keys: options.keys.map(|how| (how, every)),
        stopped_after_ns: nanos(options.stopped_after),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX / 4)
        .min(u64::MAX / 4)
}

/// Audio begins with the answer and ends with the call; without media a call is hung up after its time.
fn on_caller(
    options: &LoadOptions,
    plant: &mut Plant,
    legs: &mut [Option<u32>],
    ending: &mut VecDeque<(u64, u32)>,
    event: caller::Event,
    now: u64,
) {
    match event {
        caller::Event::Answered(call, remote) => {
            if let Some(hold) = options.hold {
                ending.push_back((now + nanos(hold), call));
            } else if let Some(remote) = remote {
                legs[call as usize] = Some(plant.begin(Side::Caller, call, remote));
            }
        }
        caller::Event::Ended(call) => {
            if let Some(leg) = legs[call as usize] {
                plant.end(leg);
            }
        }
    }
}

fn on_callee(
    plant: &mut Plant,
    legs: &mut Vec<Option<u32>>,
    event: Option<callee::Event>,
    media: bool,
) {
    match event {
        Some(callee::Event::Answered(call, remote)) if media => {
            match legs.get(call as usize).copied().flatten() {
                Some(leg) => plant.redirect(Side::Callee, call, leg, remote),
                None => {
                    legs.resize(call as usize + 1, None);
                    legs[call as usize] = Some(plant.begin(Side::Callee, call, remote));
                }
            }
        }
        Some(callee::Event::Ended(call)) => {
            if let Some(leg) = legs.get(call as usize).copied().flatten() {
                plant.end(leg);
            }
        }
        _ => {}
    }
}
