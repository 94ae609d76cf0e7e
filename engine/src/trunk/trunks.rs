//! All trunks: their tasks, which start, change and end with the configuration, and the way to them for calls.
use super::limits::{Meter, Permit};
use super::register::Registrar;
use super::state::{Kept, TrunkState};
use super::{Refused, Resolve, TrunkCall, TrunkNet, TrunkStatus, watch};
use crate::config::{Config, Trunk};
use crate::net::sip::SipHandle;
use crate::route::{CallerIdentity, LearnedPeers};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch as changes};
use tokio::task::JoinHandle;
use trunkline_sip::digest::{Credentials, Realm};

/// How long all trunks together may take to unregister when we stop.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// All trunks.
pub struct Trunks {
    net: TrunkNet,
    learned: Arc<LearnedPeers>,
    running: Mutex<BTreeMap<String, Running>>,
    /// No trunk starts any more.
    stopped: AtomicBool,
    /// Counts what changed, for those who wait for it.
    changes: changes::Sender<u64>,
}

struct Running {
    state: Arc<TrunkState>,
    end: oneshot::Sender<End>,
    task: JoinHandle<()>,
}

/// What a trunk's task does at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The trunk is not wanted any more: its registration is taken back.
    Unregister,
    /// Another task goes on with the same registration.
    HandOver,
}

impl Trunks {
    /// Starts the trunks of `config` on the current tokio runtime. `learned` is told where they are, for the gate.
    pub fn start(
        config: &Config,
        sip: SipHandle,
        resolver: Arc<dyn Resolve>,
        learned: Arc<LearnedPeers>,
    ) -> Arc<Trunks> {
        let trunks = Arc::new(Trunks {
            net: TrunkNet { sip, resolver },
            learned,
            running: Mutex::default(),
            stopped: AtomicBool::new(false),
            changes: changes::Sender::new(0),
        });
        trunks.apply(config);
        trunks
    }

    /// Makes the trunks those of `config`. Trunks that did not change go on undisturbed; calls in progress keep their places,
    /// and counters go on, also where a trunk did change. After [`Trunks::stop`] nothing starts any more.
    pub fn apply(&self, config: &Config) {
        let mut running = self.running();
        if self.stopped.load(Ordering::Relaxed) {
            return;
        }
        let mut before = std::mem::take(&mut *running);
        for trunk in &config.trunks {
            let old = before.remove(&trunk.name);
            let new = match old {
                Some(old) if same(&old.state.config, trunk) => old,
                old => self.replace(old, trunk),
            };
            running.insert(trunk.name.clone(), new);
        }
        for (name, gone) in before {
            tracing::info!(trunk = name, "trunk is not in the configuration any more");
            self.learned.set(&name, &[]);
            let _ = gone.end.send(End::Unregister);
        }
        drop(running);
        self.changes.send_modify(|count| *count += 1);
    }

    /// A call to `number` through a trunk. Its legs hold a place of the trunk until the last of them is dropped.
    ///
    /// # Errors
    /// The rule that is against it. It has been counted; the caller logs it.
    pub fn dial(
        &self,
        trunk: &str,
        number: &str,
        caller: &CallerIdentity,
    ) -> Result<TrunkCall, Refused> {
        let state = self.of(trunk)?;
        state.dial(&self.net.sip, &mut draw, number, caller)
    }

    /// A place for a call that came in from a trunk, to be kept as long as the call lasts.
    ///
    /// # Errors
    /// The limit that is reached.
    pub fn admit(&self, trunk: &str) -> Result<Permit, Refused> {
        let state = self.of(trunk)?;
        let permit = state.meter.take_inbound(Instant::now());
        permit.inspect_err(|refused| state.counters.refused(refused.rule))
    }

    /// All trunks by name.
    pub fn status(&self) -> Vec<TrunkStatus> {
        let now = Instant::now();
        let running = self.running();
        let states = running.values().map(|running| &running.state);
        states.map(|state| TrunkStatus::of(state, now)).collect()
    }

    /// A number that grows whenever a trunk's status may have changed.
    pub fn changes(&self) -> changes::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes all registrations back and ends; returns after 3 s at the latest.
    pub async fn stop(&self) {
        let running = {
            let mut running = self.running();
            self.stopped.store(true, Ordering::Relaxed);
            std::mem::take(&mut *running)
        };
        let tasks: Vec<_> = running
            .into_values()
            .map(|running| {
                let _ = running.end.send(End::Unregister);
                running.task
            })
            .collect();
        let all = async {
            for task in tasks {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
            tracing::warn!("a registrar did not answer: a registration is left to run out");
        }
    }

    fn of(&self, trunk: &str) -> Result<Arc<TrunkState>, Refused> {
        let running = self.running();
        let found = running.get(trunk).map(|running| running.state.clone());
        found.ok_or_else(|| {
            let text = format!("there is no [[trunk]] named \"{trunk}\" in the configuration");
            Refused::new(404, "no-such-trunk", text)
        })
    }

    /// Starts a trunk, in place of `old` where it was there before.
    fn replace(&self, old: Option<Running>, trunk: &Trunk) -> Running {
        let kept = match &old {
            Some(old) => kept(&old.state, trunk),
            None => Kept {
                credentials: credentials(trunk),
                meter: Meter::new(trunk.name.as_str().into()),
                counters: Arc::default(),
                targets: None,
                binding: None,
            },
        };
        kept.meter.set(trunk.limits.clone());
        let before = old.map(|old| {
            let end = match same_binding(&old.state.config, trunk) {
                true => End::HandOver,
                false => End::Unregister,
            };
            let _ = old.end.send(end);
            old.task
        });
        let (learned, changes) = (self.learned.clone(), self.changes.clone());
        let state = Arc::new(TrunkState::new(trunk.clone(), kept, learned, changes));
        // Where it was before this change it is not believed any more.
        state.teach();
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(run(state.clone(), self.net.clone(), before, ended));
        Running { state, end, task }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Trunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.running().keys().cloned().collect();
        f.debug_struct("Trunks")
            .field("names", &names)
            .finish_non_exhaustive()
    }
}

/// The life of one trunk.
async fn run(
    state: Arc<TrunkState>,
    net: TrunkNet,
    before: Option<JoinHandle<()>>,
    ended: oneshot::Receiver<End>,
) {
    let mut registration = Registrar::new(state.clone(), net.clone());
    let keep = async {
        if let Some(before) = before {
            // A registration taken back must not take ours along.
            let _ = tokio::time::timeout(LAST_WORDS, before).await;
        }
        registration.keep().await;
    };
    let end = tokio::select! {
        () = watch::watch(state, net) => End::Unregister,
        () = keep => End::Unregister,
        end = ended => end.unwrap_or(End::Unregister),
    };
    if end == End::Unregister {
        registration.take_back().await;
    }
}

/// What a trunk that changed goes on with.
fn kept(old: &TrunkState, new: &Trunk) -> Kept {
    let same_targets = old.config.targets == new.targets;
    Kept {
        credentials: match same_far_end(&old.config, new) {
            true => old.credentials.clone(),
            false => credentials(new),
        },
        meter: old.meter.clone(),
        counters: old.counters.clone(),
        targets: same_targets.then(|| old.live().targets.clone()),
        binding: old.binding().filter(|_| same_binding(&old.config, new)),
    }
}

/// Whether nothing but the place in the file differs.
fn same(old: &Trunk, new: &Trunk) -> bool {
    let moved = Trunk {
        at: new.at,
        ..old.clone()
    };
    moved == *new
}

/// Whether what was learnt about the password's realm still holds.
fn same_far_end(old: &Trunk, new: &Trunk) -> bool {
    let registrar = |trunk: &Trunk| trunk.register.as_ref().map(|to| to.registrar.clone());
    old.login == new.login && old.targets == new.targets && registrar(old) == registrar(new)
}

/// Whether both register the same address of record at the same place.
fn same_binding(old: &Trunk, new: &Trunk) -> bool {
    let user = |trunk: &Trunk| trunk.login.as_ref().map(|login| login.username.clone());
    let registrar = |trunk: &Trunk| trunk.register.as_ref().map(|to| to.registrar.clone());
    registrar(old) == registrar(new)
        && user(old) == user(new)
        && old.identity.from_domain == new.identity.from_domain
}

fn credentials(trunk: &Trunk) -> Option<Arc<Credentials>> {
    let login = trunk.login.as_ref()?;
    let realm = match &login.realm {
        Some(realm) => Realm::Exactly(realm.clone()),
        None => Realm::first_seen(),
    };
    let password = login.password.expose();
    Some(Arc::new(Credentials::new(
        &*login.username,
        password,
        realm,
    )))
}

/// A random number below `below`; the bias of a remainder is nothing against 2^32.
fn draw(below: u32) -> u32 {
    let random = getrandom::u32().unwrap_or_default();
    random.checked_rem(below).unwrap_or_default()
}
