//! Ring 3: a person with a real browser at the console that the chart has installed in the lab, logged in by a real identity
//! provider. Pictures of every step are left in `tests/artifacts/browser`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../console/browser.rs"]
#[allow(dead_code)]
mod browser;
mod client;
mod figures;
#[path = "../console/provider.rs"]
#[allow(dead_code)]
mod provider;
mod site;
mod story;
