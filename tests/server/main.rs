//! What becomes of a DevServer from its creation to its end.

mod create;
mod default_flavor;
mod delete;
mod expire;
mod home;
mod name_taken;
mod ordinary_user;
mod pages;
mod repair;
mod restart_pending;
mod start_failures;
mod suspend;
