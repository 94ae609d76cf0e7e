//! A server in the test's own process: SIP pump, media engine and calls on loopback, with programs written by the test.
use crate::phone::{PATIENCE, Phone};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline::call::*;
use trunkline::config::{DtmfMode, SrtpPolicy};
use trunkline::fetch::{FetchLimits, Fetcher};
use trunkline::media::{AdmissionLimits, Media, MediaConfig, Prompt, PromptLibrary};
use trunkline::net::sip::{PumpCounters, Sip, TcpLimits};
use trunkline::route::OutboundLeg;
use trunkline::speech::{Recogniser, Speaker};
use trunkline::store::Store;
use trunkline_sip::offer_answer::Encoding;
use trunkline_sip::{Admission, EndpointConfig, Flow, Frame, Gate, Origin, Timers, Transport};

/// Audio by URL from this machine.
fn web_audio() -> WebAudio {
    let fetcher = Fetcher::new(&FetchLimits {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        max_octets: 1 << 20,
        timeout: PATIENCE,
    });
    let limits = WebAudioLimits {
        kept_octets: 1 << 20,
        kept_urls: 2,
    };
    WebAudio::new(fetcher.unwrap(), limits)
}

/// Length of what the made-up voice says of any text, in ms.
pub(crate) const VOICE_MS: usize = 500;

/// A tone that climbs: at no other place of itself does it look the same.
pub(crate) fn voice() -> Vec<i16> {
    let sample = |n: usize| {
        let t = n as f64 / 8000.0;
        let phase = std::f64::consts::TAU * (300.0 * t + 1200.0 * t * t);
        (phase.sin() * 8000.0) as i16
    };
    (0..VOICE_MS * 8).map(sample).collect()
}

/// Speaks English by a program that fails and, behind it, one that says the same of any text.
fn speaker(folder: &std::path::Path) -> Speaker {
    let file = folder.join("voice.wav");
    std::fs::write(&file, Prompt::from_samples("voice", &voice()).to_wav()).unwrap();
    let text = format!(
        "[speech]\ncache_dir = \"off\"\n\
         [[speech.backend]]\nname = \"broken\"\ntype = \"command\"\ncommand = [\"false\"]\nlanguages = [\"en\"]\n\
         [[speech.backend]]\nname = \"known\"\ntype = \"command\"\ncommand = [\"cat\", \"{}\"]\nlanguages = [\"en\"]\n",
        file.display()
    );
    let config = trunkline::config::Config::from_str("voice.toml", &text).unwrap();
    Speaker::new(&config.speech, &fetcher())
}

/// Understands whatever is said as the word `sales`, and its length as confidence: 0 below a second, else 0.75.
fn recogniser() -> Recogniser {
    let script = r#"n=$(wc -c); [ $n -gt 32000 ] && c=0.75 || c=0; echo "{\"text\": \"sales\", \"confidence\": $c}""#;
    let text = format!(
        "[[recognition.backend]]\nname = \"broken\"\ntype = \"command\"\ncommand = [\"false\"]\n\
         [[recognition.backend]]\nname = \"known\"\ntype = \"command\"\ncommand = [\"sh\", \"-c\", '{script}']\n"
    );
    let config = trunkline::config::Config::from_str("ears.toml", &text).unwrap();
    Recogniser::new(&config.recognition, &fetcher())
}

/// Reaches nothing.
fn fetcher() -> Fetcher {
    let limits = FetchLimits {
        allow: Vec::new(),
        max_octets: 1,
        timeout: PATIENCE,
    };
    Fetcher::new(&limits).unwrap()
}

/// What a test program does, chosen by the number that was called.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    pub(crate) verbs: Vec<Verb>,
    /// After the verbs: the same verb for ever, or a hang-up.
    pub(crate) for_ever: Option<Verb>,
    pub(crate) limit: Option<Duration>,
    /// Panics instead of hanging up.
    pub(crate) panics: bool,
    /// What it makes of a text message; `None`: it panics.
    pub(crate) verdict: Option<Verdict>,
}

impl Plan {
    pub(crate) fn of(verbs: impl Into<Vec<Verb>>) -> Plan {
        Plan {
            verbs: verbs.into(),
            ..Plan::default()
        }
    }
}

/// What programs were told.
#[derive(Clone)]
struct Told {
    outcomes: mpsc::UnboundedSender<Outcome>,
    texts: mpsc::UnboundedSender<TextMessage>,
}

struct Planned {
    plan: Plan,
    verbs: VecDeque<Verb>,
    told: Told,
}

impl Program for Planned {
    fn name(&self) -> &str {
        "test"
    }

    fn max_duration(&self) -> Option<Duration> {
        self.plan.limit
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        let _ = self.told.outcomes.send(outcome);
        let verb = self.verbs.pop_front().or(self.plan.for_ever.clone());
        assert!(verb.is_some() || !self.plan.panics, "made up");
        let cause = HangupCause::Normal;
        Step {
            verb: verb.unwrap_or(Verb::Hangup(Hangup { cause })),
            at: "test".to_owned(),
        }
    }

    fn message(&mut self, _: &CallInfo, message: &TextMessage) -> Verdict {
        let _ = self.told.texts.send(message.clone());
        self.plan.verdict.expect("made up")
    }
}

struct Numbers {
    plans: Vec<(&'static str, Plan)>,
    told: Told,
}

impl Routes for Numbers {
    fn program(&self, call: &CallInfo, _: &Caller) -> Result<Routed, Refusal> {
        if let Some(names) = call.to.strip_prefix("dial-") {
            let each = names
                .split('+')
                .map(|name| DialTarget::Endpoint(name.to_owned()));
            return Ok(routed(Box::new(DialProgram::with(Dial {
                targets: each.collect(),
                ..Dial::one(DialTarget::Number(String::new()))
            }))));
        }
        if let Some(name) = call.to.strip_prefix("flow-") {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/");
            let loaded =
                trunkline::flow::Flow::load(format!("{folder}{name}.json").as_ref()).unwrap();
            let program = trunkline::flow::FlowProgram::new(loaded.flow);
            return Ok(routed(Box::new(program)));
        }
        let plan = self.plans.iter().find(|(number, _)| *number == call.to);
        match plan {
            Some((_, plan)) => Ok(routed(planned(plan.clone(), &self.told))),
            None => Err(Refusal::new(404, "no-such-number", call.to.clone())),
        }
    }

    fn text(&self, call: &CallInfo, caller: &Caller) -> Result<TextTo, Refusal> {
        match call.to.strip_prefix("phone-") {
            Some(user) => Ok(TextTo::Phones {
                user: user.to_owned(),
                rule: "test".to_owned(),
            }),
            None => self.program(call, caller).map(TextTo::Program),
        }
    }
}

fn routed(program: Box<dyn Program>) -> Routed {
    let rule = "test".to_owned();
    Routed { rule, program }
}

fn planned(plan: Plan, told: &Told) -> Box<dyn Program> {
    Box::new(Planned {
        verbs: plan.verbs.clone().into(),
        plan,
        told: told.clone(),
    })
}

/// Lets everybody in, as the user that `X-User` names.
struct ByHeader;

impl Gate for ByHeader {
    fn admit(&mut self, _: Instant, _: &Flow, request: &Frame<'_>) -> Admission {
        let named = request.headers().find(|header| header.name == b"X-User");
        Admission::Admit(match named {
            Some(user) => Origin::User(String::from_utf8_lossy(user.value).into()),
            None => Origin::Stranger,
        })
    }
}

/// Who can be dialled: a name's phones, each at its address.
#[derive(Default)]
pub(crate) struct Book(Mutex<BTreeMap<String, Vec<OutboundLeg>>>);

impl Directory for Book {
    fn find<'a>(
        &'a self,
        call: &'a CallInfo,
        _: &'a Caller,
        target: &'a DialTarget,
        _: Option<&'a str>,
    ) -> directory::Boxed<'a, Result<Found, Refusal>> {
        let name = match target {
            DialTarget::Endpoint(name) | DialTarget::Number(name) => name.clone(),
            DialTarget::Trunk { number, .. } => number.clone(),
            DialTarget::Uri(uri) => uri["sip:".len()..].split('@').next().unwrap().to_owned(),
            other => panic!("{other}"),
        };
        if let Some(number) = name.strip_prefix("program-") {
            let found = Found::program_of(number);
            return Box::pin(async { Ok(found) });
        }
        if let Some(names) = name.strip_prefix("failover-") {
            let found = Found::all(vec![self.ways(names)]);
            return Box::pin(async { Ok(found) });
        }
        let legs = self.0.lock().unwrap().get(&name).cloned();
        let found = legs.map(|legs| {
            let name = name.clone();
            let from = format!("sip:{}@127.0.0.1", call.from);
            let from = |leg| OutboundLeg { from, ..leg };
            let legs = legs.into_iter();
            Found::all(
                legs.map(|leg| Branch::phone(&name, from.clone()(leg)))
                    .collect(),
            )
        });
        let refusal = Refusal::new(404, "no-such-endpoint", name);
        Box::pin(async { found.ok_or(refusal) })
    }

    fn phones(&self, caller: &Caller, user: &str) -> Result<Vec<OutboundLeg>, Refusal> {
        let legs = self.0.lock().unwrap().get(user).cloned();
        let mut legs = legs.ok_or(Refusal::new(480, "not-registered", user.to_owned()))?;
        let from = format!("sip:{}@127.0.0.1", caller.identity.number);
        legs.iter_mut().for_each(|leg| leg.from.clone_from(&from));
        Ok(legs)
    }
}

impl Book {
    /// One callee with several ways to it, as a trunk with several targets is.
    fn ways(&self, names: &str) -> Branch {
        let book = self.0.lock().unwrap();
        let legs = names.split('&').map(|name| OutboundLeg {
            from: "sip:100@127.0.0.1".to_owned(),
            ..book[name][0].clone()
        });
        let legs: VecDeque<_> = legs.collect();
        let first = legs[0].clone();
        Branch {
            attempts: Box::new(Ways(legs)),
            ..Branch::single(first)
        }
    }
}

struct Ways(VecDeque<OutboundLeg>);

impl Attempts for Ways {
    fn next(&mut self) -> Option<(OutboundLeg, Option<Duration>)> {
        Some((self.0.pop_front()?, None))
    }

    fn report(&mut self, outcome: AttemptOutcome) -> bool {
        matches!(outcome, AttemptOutcome::Status(503, _))
    }
}

pub(crate) struct Rig {
    book: Arc<Book>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) media: Media,
    sip: Arc<PumpCounters>,
    pub(crate) address: SocketAddr,
    pub(crate) recordings: tempfile::TempDir,
    /// Of the call records.
    folder: tempfile::TempDir,
    pub(crate) store: Store,
    seen: mpsc::UnboundedReceiver<Outcome>,
    /// Text messages that programs were handed.
    pub(crate) texts: mpsc::UnboundedReceiver<TextMessage>,
    told: Told,
}

impl Rig {
    pub(crate) async fn start(plans: Vec<(&'static str, Plan)>) -> Rig {
        Rig::limited(plans, 8).await
    }

    pub(crate) async fn limited(plans: Vec<(&'static str, Plan)>, max_calls: usize) -> Rig {
        Rig::with(
            plans,
            max_calls,
            SrtpPolicy::Never,
            AdmissionLimits::default(),
        )
        .await
    }

    /// With a media engine that takes no more than so many calls.
    pub(crate) async fn admitting(plans: Vec<(&'static str, Plan)>, few: u64) -> Rig {
        let limits = AdmissionLimits {
            late_ms: 0,
            busy_percent: 0,
            few,
        };
        Rig::with(plans, 8, SrtpPolicy::Never, limits).await
    }

    /// Calls of this policy.
    pub(crate) async fn secure(plans: Vec<(&'static str, Plan)>, srtp: SrtpPolicy) -> Rig {
        Rig::with(plans, 8, srtp, AdmissionLimits::default()).await
    }

    async fn with(
        plans: Vec<(&'static str, Plan)>,
        max_calls: usize,
        srtp: SrtpPolicy,
        admission: AdmissionLimits,
    ) -> Rig {
        let config = EndpointConfig {
            timers: Timers {
                // Short, so that the last transaction is gone soon; long enough for a machine that is busy.
                t1: Duration::from_millis(100),
                t4: Duration::from_millis(500),
                td: Duration::from_secs(1),
                ..Timers::default()
            },
            ..EndpointConfig::new("Trunkline", [7; 32])
        };
        let limits = TcpLimits {
            max_connections: 4,
            idle: PATIENCE,
        };
        let any = ([127, 0, 0, 1], 0).into();
        let sip = Sip::start(&[(Transport::Udp, any)], limits, config, Box::new(ByHeader))
            .await
            .unwrap();
        let address = sip.listening[0].1;
        let media = Media::start(MediaConfig {
            bind: [127, 0, 0, 1].into(),
            ports: 20_000..=29_999,
            max_channels: 32,
            admission,
            ..MediaConfig::default()
        })
        .unwrap();
        let book = Arc::new(Book::default());
        let (outcomes, seen) = mpsc::unbounded_channel();
        let (texts_send, texts) = mpsc::unbounded_channel();
        let told = Told {
            outcomes,
            texts: texts_send,
        };
        let recordings = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory().unwrap();
        let parts = Parts {
            sip: sip.handle.clone(),
            media: media.clone(),
            prompts: Arc::new(PromptLibrary::new("", &[])),
            web_audio: Some(web_audio()),
            speech: Some(speaker(folder.path())),
            recogniser: Some(recogniser()),
            routes: Box::new(Numbers {
                plans,
                told: told.clone(),
            }),
            directory: book.clone(),
            music: None,
            cdr: Some(CdrWriter::start(&folder.path().join("cdr.jsonl"), Arc::default()).unwrap()),
            store: Some(store.clone()),
            counters: Arc::default(),
        };
        let calls = Calls::new(
            parts,
            settings(recordings.path().to_owned(), max_calls, srtp),
            1,
        );
        let counters = sip.counters.clone();
        tokio::spawn(calls.clone().serve_texts(sip.requests));
        tokio::spawn(calls.clone().serve(sip.incoming));
        Rig {
            book,
            calls,
            media,
            sip: counters,
            address,
            recordings,
            folder,
            store,
            seen,
            texts,
            told,
        }
    }

    /// A phone that can be dialled as `name`.
    pub(crate) async fn phone(&self, name: &str) -> Phone {
        self.phone_with(name, |_| {}).await
    }

    /// A phone whose leg is as `change` makes it.
    pub(crate) async fn phone_with(&self, name: &str, change: impl Fn(&mut OutboundLeg)) -> Phone {
        let phone = Phone::new(self.address, name).await;
        let target = format!("sip:{name}@{}", phone.address());
        let (from, label) = (String::new(), format!("endpoint {name}"));
        let flow = self.flow_to(phone.address());
        let mut leg = OutboundLeg::new(flow, target.clone(), from, target, label);
        change(&mut leg);
        let mut book = self.book.0.lock().unwrap();
        book.entry(name.to_owned()).or_default().push(leg);
        phone
    }

    /// A program for an outbound call.
    pub(crate) fn program(&self, plan: Plan) -> Box<dyn Program> {
        planned(plan, &self.told)
    }

    pub(crate) fn flow_to(&self, remote: SocketAddr) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: self.address,
            remote,
            connection: 0,
        }
    }

    /// The next outcome a program was told; `Begin` and `Done` are passed over.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        loop {
            let told = tokio::time::timeout(PATIENCE, self.seen.recv()).await;
            match told.expect("an outcome in time").unwrap() {
                Outcome::Begin | Outcome::Done => {}
                outcome => return outcome,
            }
        }
    }

    /// The records of so many calls and legs.
    pub(crate) async fn records(&self, enough: usize) -> Vec<serde_json::Value> {
        let path = self.folder.path().join("cdr.jsonl");
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines: Vec<_> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            if lines.len() >= enough {
                return lines;
            }
            assert!(tokio::time::Instant::now() < until, "only {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until no call, leg or channel is left; what programs were told must all have been seen by the test. Returns how
    /// often calls ended, by whom and why.
    pub(crate) async fn rests(&mut self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.until_zero("calls, legs, channels", |rig| {
            vec![
                rig.calls.counters.active.load(Ordering::Relaxed),
                rig.sip.legs.load(Ordering::Relaxed),
                rig.media.stats().channels.value() as usize,
            ]
        })
        .await;
        while let Ok(more) = self.seen.try_recv() {
            let plain = matches!(more, Outcome::Begin | Outcome::Done);
            assert!(plain, "{more:?} was told beyond what the test saw");
        }
        self.calls.counters.ended_by()
    }

    /// As [`rests`](Rig::rests), and no transaction is left: takes 64·T1.
    pub(crate) async fn is_empty(&mut self) {
        self.rests().await;
        self.until_zero("server and client transactions", |rig| {
            vec![
                rig.sip.server_transactions.load(Ordering::Relaxed),
                rig.sip.client_transactions.load(Ordering::Relaxed),
            ]
        })
        .await;
    }

    async fn until_zero(&self, what: &str, gauges: impl Fn(&Rig) -> Vec<usize>) {
        let until = tokio::time::Instant::now() + PATIENCE;
        while gauges(self).iter().any(|gauge| *gauge != 0) {
            let now = tokio::time::Instant::now();
            assert!(now < until, "{what}: {:?}", gauges(self));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn settings(
    recordings_dir: PathBuf,
    max_calls: usize,
    srtp: SrtpPolicy,
) -> CallSettings {
    CallSettings {
        max_calls,
        media_address: None,
        codecs: vec![Encoding::Pcmu, Encoding::Pcma],
        opus: trunkline::config::Opus::default(),
        dtmf: DtmfMode::Auto,
        srtp,
        tones: trunkline_dsp::progress::Plan::recommended(),
        recordings_dir,
        transfer: TransferPolicy {
            strangers: true,
            ..TransferPolicy::KNOWN
        },
    }
}
