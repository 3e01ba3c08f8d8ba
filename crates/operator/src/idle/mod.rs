//! What is done to environments that nobody uses: asks agents, and carries out what `devserver_core::idle` decides.
//!
//! ```text
//! poll: agents ──► Reports ──(something is due)──► queue ──► look: evaluate ─► tell ─► status ─► resize
//!                                                                       └────► stop (what was written before demands it)
//! ```

mod advice;
mod agent;
mod evaluate;
mod poll;
mod reports;
mod resize;
mod stop;
mod tell;

pub use agent::Agents;
pub use evaluate::{Evaluated, look};
pub use poll::poll;
pub use reports::Reports;
pub use resize::resize;
pub use stop::stop;
pub use tell::tell;
