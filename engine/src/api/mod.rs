//! The HTTP face: `GET /health` for load balancers and people, `GET /metrics` for Prometheus,
//! `GET /diagnosis` for `trunkline doctor`, and the control API. The diagnosis names callers and addresses: only this host gets it, wherever the socket listens.
mod api_metrics;
pub mod byte_range;
mod diagnosis;
mod metrics;
mod quality_metrics;
mod queue_metrics;
mod recordings;
mod speech_metrics;
mod store_metrics;
mod trunk_metrics;
pub mod v1;
mod voicemail_metrics;

pub use metrics::Sources;
pub use recordings::Recordings;

use crate::config::ApiListen;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use v1::{Peer, ServeError, V1};

/// What the HTTP face shows.
pub struct Face {
    /// Where the figures come from.
    pub sources: Sources,
    /// Whether the process refuses new calls.
    pub draining: Arc<AtomicBool>,
    /// Recordings for those who have a signed address.
    pub recordings: Recordings,
    /// `[api] allowed_hosts`, which count for the diagnosis as well.
    pub allowed_hosts: Vec<String>,
}

/// The pages that need no token.
fn open_pages(face: Arc<Face>) -> Router {
    let recordings = recordings::router(face.recordings.clone());
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics_page))
        .route("/diagnosis", get(diagnosis_page))
        .with_state(face)
        .merge(recordings)
        .method_not_allowed_fallback(v1::no_method)
}

/// Where HTTP is served.
pub struct Sockets<'a> {
    /// `[http] listen`: the open pages.
    pub open: Option<SocketAddr>,
    /// `[api]`: the control API.
    pub api: &'a ApiListen,
}

/// Binds the sockets and serves in the background; returns the addresses really bound: of the open pages, and of the API.
///
/// # Errors
/// An address cannot be bound, or a certificate cannot be used.
pub async fn start(
    sockets: Sockets<'_>,
    face: Arc<Face>,
    v1: Option<Arc<V1>>,
) -> Result<(Option<SocketAddr>, Option<SocketAddr>), ServeError> {
    let api = v1.map(|v1| v1::router(&v1));
    let cuts = face.sources.http.clone();
    let (beside, own) = match sockets.api {
        ApiListen::Beside => (api, None),
        ApiListen::Own { address, tls } => {
            let identity = tls.as_ref().map(|files| (&files.certificate, &files.key));
            // Whoever was given a signed address there asks for it there.
            let recordings = recordings::router(face.recordings.clone());
            (
                None,
                api.map(|api| (*address, identity, api.merge(recordings))),
            )
        }
        ApiListen::Off => (None, None),
    };
    let (mut open_at, mut api_at) = (None, None);
    if let Some(address) = sockets.open {
        let pages = open_pages(face);
        let with_api = beside.is_some();
        let pages = pages.merge(beside.unwrap_or_default());
        open_at = Some(v1::start(address, "[http] listen", None, pages, cuts.clone()).await?);
        api_at = open_at.filter(|_| with_api);
    }
    if let Some((address, identity, api)) = own {
        api_at = Some(v1::start(address, "[api] listen", identity, api, cuts).await?);
    }
    Ok((open_at, api_at))
}

async fn health(State(face): State<Arc<Face>>) -> impl IntoResponse {
    let draining = face.draining.load(Ordering::Relaxed);
    let status = if draining {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let body = serde_json::json!({
        "status": if draining { "draining" } else { "ok" },
        "version": env!("CARGO_PKG_VERSION"),
        "calls": face.sources.calls.active.load(Ordering::Relaxed),
    });
    (status, Json(body))
}

async fn diagnosis_page(
    State(face): State<Arc<Face>>,
    ConnectInfo(Peer(source)): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Response {
    if let Err(problem) = v1::host_is_ours(&headers, &face.allowed_hosts) {
        let rule = problem.kind.name();
        tracing::info!(%source, rule, "GET /diagnosis refused: it is asked for by another host's name");
        return problem.into_response();
    }
    if !source.ip().to_canonical().is_loopback() {
        tracing::info!(%source, rule = "diagnosis-from-afar", "GET /diagnosis refused: it is for this host only");
        let text = "the diagnosis is for this host only: run trunkline doctor there\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let from = &face.sources;
    Json(diagnosis::page(&from.trunks, &from.live, &from.troubled)).into_response()
}

async fn metrics_page(State(face): State<Arc<Face>>) -> impl IntoResponse {
    match metrics::render(&face.sources) {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics could not be written",
        )
            .into_response(),
    }
}
