//! The gateway in this process, with real ssh clients before it and real sockets behind it. The table is filled by hand, and
//! pod addresses lead to this machine; nothing else is different from production.

// Everything here is a test, also what clippy does not take for one: a test that panics says what was not as it should be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod algorithms;
mod channels;
mod client;
mod direct;
mod drain;
mod fuzz;
mod limits;
mod logins;
mod machines;
mod noise;
mod pods;
mod proxied;
mod rig;
mod stock;
mod waking;
mod wire;
