//! What is installed and launched without a line of ours in between: charts by the real helm, workflows step by step, both against the
//! real control plane with the real operator.
#![allow(clippy::indexing_slicing)]

mod dev_env;
mod devservers;
mod hostile;
mod manifests;
mod runner;
mod site;
mod workflows;
