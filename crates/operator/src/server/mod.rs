//! Looking after DevServers.

mod expire;
pub mod once;
mod reconcile;
mod report;
mod restart;
mod starting;
mod warn;

pub use expire::Turns;
pub use reconcile::{on_error, reconcile};
