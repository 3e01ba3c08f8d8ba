//! Decisions, pure. No runtime, no client, no clock, no randomness: everything is an argument.
//!
//! ```text
//! DevServer ─┐
//! References ├─► resolve ─► Environment ─► desired ─► [Object] ─► diff (against what was seen) ─► what to write
//! Platform ──┘      │                                                Observed, now ─► status ─► what to tell
//!                   └─► Invalid (field, reason, remedy)              created, now ─► due ────► when to act
//! ```

pub mod activity;
pub mod budget;
pub mod desired;
pub mod diff;
pub mod due;
pub mod environment;
pub mod event;
pub mod flavor;
pub mod idle;
mod instant;
pub mod invalid;
pub mod message;
pub mod object;
pub mod observed;
pub mod platform;
pub mod references;
pub mod resolve;
pub mod shares;
pub mod sight;
pub mod start;
pub mod status;
pub mod team;
pub mod trash;
pub mod user;

pub use desired::desired;
pub use due::{Clocks, Due, due};
pub use environment::Environment;
pub use invalid::Invalid;
pub use object::{Kind, Object};
pub use observed::{Observed, Problem};
pub use platform::Platform;
pub use references::References;
pub use resolve::resolve;
pub use status::status;
