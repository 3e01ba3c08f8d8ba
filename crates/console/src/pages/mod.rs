//! The pages: each asks the cluster as the user, and turns what it says into words.

pub mod actions;
pub mod admin;
pub mod chart;
pub mod create;
pub mod flavors;
pub mod form;
pub mod list;
pub mod live;
pub mod offer;
pub mod period;
pub mod ports;
pub mod show;
pub mod timeline;
pub mod trash;
pub mod usage;
pub mod usage_page;
pub mod view;
pub mod words;
