//! The control API, `/api/v1`: calls and all else that the server knows, over HTTP.
//!
//! Owns routes, tokens, refusals and the OpenAPI document; what is done is done by `call`, `flow` and their neighbours. No route is without a
//! declaration in a `Book`, so none is undocumented. Limits: those of `guard`, `page`, `rate` and `idempotency`.
mod book;
mod events;
mod guard;
mod home;
mod idempotency;
mod page;
mod problem;
mod rate;
mod resources;
mod scope;
mod serve;
mod take;
pub mod tokens;

pub(super) use guard::host_is_ours;
pub(super) use home::no_method;
pub use problem::{Fault, Kind, Problem};
pub use resources::flows::{FlowFound, FlowShelf, FlowVersion};
pub use resources::schedules::{Override, ScheduleFound};
pub use scope::Scope;
pub use serve::{Cuts, ServeError, start};

use crate::call::Calls;
use crate::config::Config;
use crate::registrar::Location;
use crate::store::Store;
use crate::trunk::Trunks;
use crate::webhook::Webhooks;
use arc_swap::ArcSwap;
use axum::Router;
use idempotency::Keys;
use problem::Problem as Refused;
use rate::Rates;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokens::{Token, TokenFile};
use tokio::sync::Notify;

/// How often the file of tokens is looked at.
const TOKENS_EVERY: Duration = Duration::from_secs(1);

/// What the API is made of.
pub struct Parts {
    /// Calls and conferences.
    pub calls: Arc<Calls>,
    /// Carriers.
    pub trunks: Arc<Trunks>,
    /// Phones.
    pub phones: Arc<Location>,
    /// The configuration in force.
    pub config: Arc<ArcSwap<Config>>,
    /// What outlives the process.
    pub store: Store,
    /// The flows in force.
    pub flows: Arc<dyn FlowShelf>,
    /// What is told to addresses of the configuration.
    pub webhooks: Arc<Webhooks>,
}

/// What `[api]` says of the API as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Names by which it may be called, besides addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// Requests in a second for each token.
    pub requests_per_second: u32,
}

/// The API.
pub struct V1 {
    parts: Parts,
    settings: Settings,
    tokens: ArcSwap<Vec<Token>>,
    /// The latest events.
    recent: Arc<events::Recent>,
    watchers: Arc<events::Watchers>,
    rates: Mutex<Rates>,
    keys: Mutex<Keys>,
    /// Something is to be placed at another time than before.
    agenda: Notify,
    /// Requests so far.
    requests: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    /// Tells request ids of this run from those of others.
    boot: u32,
    started: Instant,
}

impl std::fmt::Debug for V1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("V1").finish_non_exhaustive()
    }
}

/// Whom a connection is from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl V1 {
    /// The API over `parts`, for those whose tokens are in `tokens`.
    pub fn new(parts: Parts, settings: Settings, tokens: Vec<Token>, boot: u32) -> Arc<V1> {
        Arc::new(V1 {
            recent: events::Recent::new(boot),
            watchers: Arc::default(),
            rates: Mutex::new(Rates::new(settings.requests_per_second)),
            parts,
            settings,
            tokens: ArcSwap::from_pointee(tokens),
            keys: Mutex::default(),
            agenda: Notify::new(),
            requests: AtomicU64::new(0),
            refused: Mutex::default(),
            boot,
            started: Instant::now(),
        })
    }

    /// Keeps the latest events from now on, for those who ask for them.
    pub fn keep_events(&self) {
        self.parts.calls.events.sink(self.recent.clone());
    }

    /// Takes up tokens that are made and revoked, until the process ends. A file that cannot be read leaves things as they are.
    pub async fn watch_tokens(self: Arc<Self>, file: TokenFile) {
        let mut told = String::new();
        loop {
            tokio::time::sleep(TOKENS_EVERY).await;
            let of = file.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || of.read()).await else {
                return;
            };
            match read {
                Ok(tokens) if tokens == **self.tokens.load() => told.clear(),
                Ok(tokens) => {
                    tracing::info!(tokens = tokens.len(), "the API's tokens have changed");
                    self.tokens.store(Arc::new(tokens));
                }
                Err(error) => {
                    let error = error.to_string();
                    if error != told {
                        tracing::error!(
                            rule = "tokens-kept",
                            "the tokens before stay in force: {error}"
                        );
                    }
                    told = error;
                }
            }
        }
    }

    /// Requests so far, and those refused by rule, for the metrics page.
    pub fn counts(&self) -> (u64, BTreeMap<&'static str, u64>) {
        let requests = self.requests.load(std::sync::atomic::Ordering::Relaxed);
        let mut refused: BTreeMap<_, _> = Kind::ALL.iter().map(|kind| (kind.name(), 0)).collect();
        refused.extend(lock(&self.refused).iter());
        (requests, refused)
    }

    /// Watchers of events that were cut off, by reason.
    pub fn cut_by(&self) -> Vec<(&'static str, u64)> {
        self.watchers.cut_by().to_vec()
    }

    fn count_refused(&self, rule: &'static str) {
        *lock(&self.refused).entry(rule).or_default() += 1;
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        lock(&self.keys)
    }

    fn take_rate(&self, key: &str, now: Instant) -> Result<(), Refused> {
        lock(&self.rates).take(key, now).map_err(|wait| Refused {
            retry_after: Some(wait),
            ..Refused::new(
                Kind::TooManyRequests,
                format!(
                    "more than {} requests in a second ([api] requests_per_second)",
                    self.settings.requests_per_second
                ),
            )
        })
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything below `/api/v1`.
pub(super) fn router(v1: &Arc<V1>) -> Router {
    let book = book::Book::new(v1.clone());
    let book = home::routes(book);
    let book = events::routes(book);
    let (router, document) = resources::routes(book).close();
    let pages = Arc::new(home::Pages::new(&document));
    router
        .fallback(home::no_route)
        .method_not_allowed_fallback(home::no_method)
        .layer(axum::Extension(pages))
        .layer(axum::middleware::from_fn_with_state(
            v1.clone(),
            guard::outer,
        ))
        .with_state(v1.clone())
}
