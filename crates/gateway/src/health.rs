//! `/healthz`, `/readyz`, `/metrics`.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// What the pages tell.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Whether new connections should come here: the table is filled and the end is not near.
    pub ready: Arc<AtomicBool>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Serves the pages until the process ends.
pub async fn serve(listen: SocketAddr, pages: Pages) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("failed to listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "serves /healthz, /readyz, /metrics");
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(pages);
    axum::serve(listener, router)
        .await
        .context("failed to serve")
}

async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    if pages.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the table is not filled yet, or this replica is ending\n",
        )
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let type_ = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, type_)], pages.metrics.text())
}
