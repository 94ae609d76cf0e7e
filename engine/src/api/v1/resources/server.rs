//! The server itself.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::scope::Scope;
use crate::api::diagnosis;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use utoipa::ToSchema;

/// The server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Server {
    /// Its version.
    version: &'static str,
    /// Seconds since its start.
    uptime_s: u64,
    /// The configuration file in force.
    configuration: String,
    /// Calls in progress.
    calls: u64,
    /// As many as there may be.
    max_calls: u64,
    /// Conferences in progress.
    conferences: u64,
    /// Registered phones.
    phones: u64,
    /// Carriers a call out would be tried on now.
    trunks_usable: u64,
    /// Carriers.
    trunks: u64,
    /// Requests to this API since the start.
    requests: u64,
}

pub(super) fn routes(book: Book) -> Book {
    let page = json!({ "application/json": { "schema": { "type": "object", "required": ["schema", "version", "trunks", "legs", "audio"] } } });
    book.add(
        Route::get("/server", "read_server")
            .says("server", "Version, uptime and how much goes on")
            .scope(Scope::StatusRead)
            .answers::<Server>(200, "The server"),
        read,
    )
    .add(
        Route::get("/diagnosis", "read_diagnosis")
            .says(
                "server",
                "What trunkline doctor asks: trunks, legs by quality, recent trouble with audio",
            )
            .more("docs/doctor.md has its shape.")
            .scope(Scope::StatusRead)
            .answers_of(200, "The diagnosis", page),
        diagnose,
    )
}

async fn read(State(v1): State<Arc<V1>>) -> Json<Server> {
    let parts = &v1.parts;
    let config = parts.config.load();
    let trunks = parts.trunks.status();
    Json(Server {
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: v1.started.elapsed().as_secs(),
        configuration: config.source.clone(),
        calls: parts.calls.counters.active.load(Ordering::Relaxed) as u64,
        max_calls: config.sip.max_calls as u64,
        conferences: parts.calls.conferences.list().len() as u64,
        phones: parts.phones.len() as u64,
        trunks_usable: trunks.iter().filter(|trunk| trunk.usable()).count() as u64,
        trunks: trunks.len() as u64,
        requests: v1.requests.load(Ordering::Relaxed),
    })
}

async fn diagnose(State(v1): State<Arc<V1>>) -> Json<Value> {
    let calls = &v1.parts.calls;
    Json(diagnosis::page(
        &v1.parts.trunks,
        &calls.live,
        &calls.troubled,
    ))
}
