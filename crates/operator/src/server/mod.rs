//! Looking after DevServers.

mod expire;
mod reconcile;
mod report;
mod restart;

pub use reconcile::{on_error, reconcile};
