//! What the platform's processes have in common: how they start, what they log and audit, the pages that probes and Prometheus read,
//! and how a table in memory follows the cluster.

pub mod audit;
pub mod feed;
pub mod logs;
pub mod pages;
mod start;

pub use start::start;
