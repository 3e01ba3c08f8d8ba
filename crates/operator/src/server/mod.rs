//! Looking after DevServers.

mod expire;
mod reconcile;
mod report;
mod restart;
mod warn;

pub use expire::Turns;
pub use reconcile::{on_error, reconcile};
