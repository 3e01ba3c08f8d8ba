//! The operator under fire: killed at every write, answered with errors, left at rest, contending for the lease.
//!
//! They begin in the order of their names, and what takes longest had better begin first.

mod api_errors;
mod at_rest;
mod clock;
mod crash;
mod crash_pairs;
mod crash_trash;
mod crash_users;
mod identity;
mod idle_tale;
mod lease;
mod nightly;
mod soak;
mod tales;
mod watch;
