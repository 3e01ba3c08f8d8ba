//! The gateway: one ssh port through which people reach their environments, and nothing else.
//!
//! A jump host. The client's own ssh speaks with the environment's sshd through a `direct-tcpip` channel, encrypted from end
//! to end; the gateway sees who, where, how long and how much, never what. Where direct mode is switched on, a session may end
//! here instead and go on by a connection of the gateway's own.
//!
//! ```text
//! watches ─► objects ─► Table ┐                     pure: login, target, access, route, address,
//!                             ├─► find ─► locate            certificate, penalty, proxy, escape
//! client ─► listen ─► connection ─► visitor ─┬► open ───► dial ─► relay
//!                                            └► direct ─► dial ─► machine ─► session
//! ```

pub mod access;
pub mod algorithms;
pub mod args;
pub mod audit;
pub mod authority;
pub mod certificate;
pub mod command;
pub mod connection;
pub mod dial;
pub mod direct;
pub mod escape;
pub mod fingerprint;
pub mod gateway;
pub mod gather;
pub mod host_keys;
pub mod inbox;
pub mod key_files;
pub mod limits;
pub mod listen;
pub mod login;
pub mod machine;
pub mod memory;
pub mod metrics;
pub mod objects;
pub mod open;
pub mod penalty;
pub mod proxy;
pub mod relay;
pub mod route;
pub mod run;
pub mod session;
pub mod settings;
pub mod stream;
pub mod table;
pub mod target;
pub mod visit;
pub mod visitor;
pub mod wake;
pub mod watch;
pub mod workers;

pub use devserver_api::address;
