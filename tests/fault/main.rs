//! The operator under fire: killed at every write, answered with errors, left at rest, contending for the lease.

mod api_errors;
mod clock;
mod crash;
mod crash_pairs;
mod crash_users;
mod identity;
mod idle_tale;
mod lease;
mod nightly;
mod rest;
mod soak;
mod tales;
mod trash;
mod watch;
