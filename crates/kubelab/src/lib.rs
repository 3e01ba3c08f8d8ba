//! A real one-node Kubernetes on this machine, in a network namespace of its own.
//!
//! ```text
//! LabConfig ─► preflight ─► tools (Go, cached) ─► net, mounts, cgroups, certificates ─► components ─► Lab
//!                                                                                                     │
//!                                     down: processes by cgroup ─► links ─► mounts ─► cgroups ◄───────┘
//! ```
//!
//! Nothing here pretends: the programs are those a cluster runs, built from the pins in `tools/`. Everything a lab
//! makes can be found again by its name alone (namespace, link alias, cgroup, folder), so that [`down`] also removes
//! what is left of a lab that crashed. All calls block; use `spawn_blocking` from async code.

mod address;
mod api;
mod apiserver;
mod build;
mod bundle;
mod certs;
mod cgroup;
pub mod cli;
mod command;
mod config;
mod containerd;
mod controllers;
mod crowd;
mod debian;
mod dns;
mod down;
mod error;
mod etcd;
mod existing;
mod hex;
mod images;
mod kubeconfig;
mod kubelet;
mod lab;
mod leftovers;
mod lock;
mod mounts;
mod net;
mod paths;
mod policy;
mod preflight;
mod process;
mod progress;
mod proxy;
mod starting;
mod state;
mod storage;
mod tools;

pub use address::{Plan, Range};
pub use config::{LabConfig, LabName, Size};
pub use down::down;
pub use error::{Ended, Error};
pub use lab::{ComponentStatus, Lab, Status};
pub use leftovers::leftovers;
pub use state::labs;
