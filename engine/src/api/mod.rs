//! The HTTP face: `GET /health` for load balancers and people, `GET /metrics` for Prometheus,
//! `GET /diagnosis` for `trunkline doctor`. The diagnosis names callers and addresses: only this host gets it, wherever the socket listens.
mod diagnosis;
mod metrics;
mod quality_metrics;
mod store_metrics;
mod trunk_metrics;

pub use metrics::Sources;

use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

/// What the HTTP face shows.
pub struct Face {
    /// Where the figures come from.
    pub sources: Sources,
    /// Whether the process refuses new calls.
    pub draining: AtomicBool,
}

/// The HTTP socket could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen for HTTP on {address}: {cause}. Change [http] listen in the configuration, or set it to \"off\""
)]
pub struct BindError {
    address: SocketAddr,
    cause: std::io::Error,
}

/// Binds the HTTP socket and serves in the background; returns the address really bound.
///
/// # Errors
/// When the address cannot be bound.
pub async fn start(address: SocketAddr, face: Arc<Face>) -> Result<SocketAddr, BindError> {
    let fail = |cause| BindError { address, cause };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    let router = Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics_page))
        .route("/diagnosis", get(diagnosis_page))
        .with_state(face)
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(bound)
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
    ConnectInfo(source): ConnectInfo<SocketAddr>,
) -> Response {
    if !source.ip().to_canonical().is_loopback() {
        tracing::info!(%source, rule = "diagnosis-from-afar", "GET /diagnosis refused: it is for this host only");
        let text = "the diagnosis is for this host only: run trunkline doctor there\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    Json(diagnosis::page(&face)).into_response()
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
