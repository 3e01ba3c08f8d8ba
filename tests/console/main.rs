//! The console as people and attackers meet it: the real binary, a real identity provider (dex), a real API server.
#![allow(clippy::indexing_slicing)]

mod attacks;
mod browser;
mod desk;
mod devctl;
mod editors;
mod figures;
mod forgery;
mod headers;
mod ledger;
mod logins;
mod origins;
mod pages;
mod previews;
mod provider;
mod rig;
mod rights;
mod shares;
mod trash;
mod upstream;
mod usage;
mod usage_speakers;
mod websockets;
