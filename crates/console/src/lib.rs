//! The console: web pages, login, and the way to each environment's editor.
//!
//! Pages act as the user: what they show and change is asked of the API server with the user's own rights. An editor has an
//! origin of its own, and is reached by who owns the environment or was named by its owner.
//!
//! ```text
//! watches ─► objects ─► Table ──┐                      pure: config, identity, hosts, label, table,
//!                               ├─► entry ─► editor ─► pod      forwarded, cookies, seal, security, limits
//! browser ─► router ─► session ─┤
//!               login ◄─► oidc  └─► pages ─► cluster (as the user) ─► API server
//! ```

pub mod args;
pub mod audit;
pub mod certificate;
pub mod cluster;
pub mod config;
pub mod console;
pub mod cookies;
pub mod editor;
pub mod entry;
pub mod forwarded;
pub mod hosts;
pub mod identity;
pub mod label;
pub mod ledger;
pub mod limits;
pub mod login;
pub mod metrics;
pub mod objects;
pub mod oidc;
pub mod pages;
pub mod problem;
pub mod router;
pub mod run;
pub mod seal;
pub mod security;
pub mod session;
pub mod signpost;
pub mod table;
pub mod watch;
pub mod websocket;
