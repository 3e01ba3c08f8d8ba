//! Images of `images/`: built without a registry, kept by content, loaded into a node.

mod archive;
mod build;
mod load;

pub use build::{Archive, build, known};
pub use load::load;

use crate::config::{LabConfig, Size};

/// What a node cannot start a pod without.
const ALWAYS: [&str; 2] = ["pause", "coredns"];

/// The images that a lab needs.
pub fn wanted(config: &LabConfig) -> Vec<String> {
    if config.size != Size::Node {
        return Vec::new();
    }
    let mut names: Vec<String> = ALWAYS.map(String::from).to_vec();
    for name in &config.images {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The name of an image in charts, values and pods.
pub fn reference(name: &str) -> String {
    format!("docker.io/devserver/{name}:lab")
}
