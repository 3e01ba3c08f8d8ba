//! Log lines on stderr; `RUST_LOG` chooses which.

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// Starts them. What strangers cause within russh is counted and audited, not logged.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,russh=error,kube_runtime=warn,kube_client=warn"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => lines.init(),
    }
}
