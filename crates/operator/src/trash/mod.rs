//! Homes that outlive their DevServers. What is done and when is `devserver_core::trash`'s to say; here it is read and carried out.
//!
//! ```text
//! a look at a DevServer ─► keep: the record on the claim of its home
//! every few seconds     ─► sweep: claims of homes without a DevServer ─► read again ─► mark, announce, remove
//! ```

mod keep;
mod one;
mod sweep;

pub use keep::keep;
pub use sweep::sweep;
