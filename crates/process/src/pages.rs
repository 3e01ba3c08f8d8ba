//! `/healthz`, `/readyz`, `/metrics`.

use std::{
    hash::Hash,
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
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::net::TcpListener;

/// What the pages tell.
#[derive(Clone)]
pub struct Pages {
    /// Whether this process can do its part.
    pub ready: Arc<AtomicBool>,
    /// What `/readyz` says while it cannot.
    pub why_not: &'static str,
    /// Writes the text of `/metrics`, see [`text`].
    pub metrics: Text,
    /// Paths below `/metrics/` of further metrics, and what writes their text.
    pub further: Vec<(&'static str, Text)>,
}

/// Writes the text of a page.
pub type Text = Arc<dyn Fn() -> String + Send + Sync>;

/// All metrics as OpenMetrics text.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, registry);
    text
}

/// Makes counters that are 0. One that comes into being with its first event has grown by nothing for Prometheus, which then misses that event:
/// whatever an alert goes by must be there before.
pub fn at_zero<L: Clone + Eq + Hash>(
    family: &Family<L, Counter>,
    labels: impl IntoIterator<Item = L>,
) {
    for labels in labels {
        drop(family.get_or_create(&labels));
    }
}

/// Serves the pages until the process ends.
pub async fn serve(listen: SocketAddr, pages: Pages) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("failed to listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "serves /healthz, /readyz, /metrics");
    let mut router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    for (path, text) in pages.further.clone() {
        router = router.route(path, get(async move || open_metrics(text())));
    }
    let router = router.with_state(pages);
    axum::serve(listener, router)
        .await
        .context("failed to serve")
}

async fn ready(State(pages): State<Pages>) -> impl IntoResponse {
    if pages.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", pages.why_not),
        )
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    open_metrics((pages.metrics)())
}

fn open_metrics(text: String) -> impl IntoResponse {
    let type_ = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, type_)], text)
}
