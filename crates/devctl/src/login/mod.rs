//! Logging in by a browser: the console says where, the identity provider who, and the kubeconfig keeps the way.
//!
//! ```text
//! login:      web ─► signpost ─► oidc (device flow, RFC 8628) ─► tokens (a file of one's own) ─► kubeconfig (exec plugin)
//! credential: tokens ─► still good? else oidc (refresh) ─► ExecCredential
//! ```

pub mod kubeconfig;
pub mod oidc;
pub mod tokens;
pub mod web;
