//! Ring 3: a real node. Stock clients (`ssh`, `sftp`, `scp`, `rsync`) as an ordinary user, through what `devctl` writes.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod access;
mod administrator;
mod charts;
mod checkpoint;
mod commands;
mod data_science;
mod direct;
mod docker;
mod document_004;
mod editor;
mod expire;
mod fallback;
mod files;
mod forwards;
mod gateway;
mod gone;
mod host_keys;
mod idle;
#[path = "../server/idle_sinks.rs"]
#[allow(dead_code, reason = "ring 2 asks for more")]
mod idle_sinks;
mod images;
mod isolation;
mod kube_access;
mod ladder;
mod large_files;
mod libraries;
mod lifecycle;
mod login_user;
mod machine;
mod network;
mod packages;
mod placement;
mod restart;
mod session;
mod sidecar;
mod spec;
mod ssh_audit;
mod terminals;
mod upgrade;
mod visitor;
mod writes;
