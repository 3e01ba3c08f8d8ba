//! What the platform's processes have in common: how they start, what they log, and the pages that probes and Prometheus read.

pub mod logs;
pub mod pages;
mod start;

pub use start::start;
