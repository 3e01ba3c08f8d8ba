//! What the end-to-end tests stand on. Nothing here imitates the Kubernetes API: every test talks to a real API server.
//!
//! ```text
//!  test ──── direct client (never faulty) ───────────────► kube-apiserver ──► etcd
//!   │                                                          ▲
//!   │ rules, trace                                             │ admin's client certificate
//!   ▼                                                          │
//!  [ proxy ]  HTTPS, own CA, HTTP/1.1 and h2  ─────────────────┘
//!   ▲
//!  [ operator ]  the real binary as a child process: SIGKILL, SIGTERM, SIGSTOP
//!
//!  [ kubelet ]  stands in for the node in the control-plane ring: writes pods' status
//! ```
//!
//! A [`scene::Scene`] is one test's own namespace with its own operator and proxy; tests run side by side.

pub mod account;
pub mod agent;
mod binary;
pub mod canonical;
pub mod certificates;
pub mod chance;
pub mod chart;
pub mod cluster;
pub mod crash;
pub mod devctl;
pub mod diff;
pub mod kubelet;
pub mod operator;
pub mod port;
pub mod proxy;
pub mod report;
pub mod sample;
pub mod scene;
pub mod users;
pub mod wait;

pub use cluster::Cluster;
pub use operator::Operator;
pub use scene::{Scene, with_namespace};
