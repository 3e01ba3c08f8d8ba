//! What a caller can choose about a lab: its name, its size, its images.

use std::{env, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How much of a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// etcd, API server and the controllers: objects are real, pods never run.
    ControlPlane,
    /// All of a node as well: kubelet, containerd, kube-proxy, DNS, volumes.
    Node,
    /// The control plane, the scheduler and simulated nodes.
    Crowd,
}

impl Size {
    /// The word used on the command line, in `tools.toml` and in the state file.
    pub fn word(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Node => "node",
            Self::Crowd => "crowd",
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A checked name of a lab. It is used in host names, interface aliases, cgroups and file names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabName(String);

impl LabName {
    /// The longest name: node names and unix socket paths are made of it.
    const LONGEST: usize = 32;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of the network namespace and of the lab's cgroups.
    pub fn scope(&self) -> String {
        format!("kubelab-{}", self.0)
    }

    /// Name of the only node.
    pub fn node(&self) -> String {
        format!("{}-node", self.0)
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LabName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = (1..=Self::LONGEST).contains(&name.len())
            && name.chars().all(inner)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if good {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::Name(name.to_owned()))
        }
    }
}

impl TryFrom<String> for LabName {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl From<LabName> for String {
    fn from(name: LabName) -> Self {
        name.0
    }
}

/// What [`crate::Lab::up`] starts.
#[derive(Clone, Debug)]
pub struct LabConfig {
    /// The lab's name; labs of different names run side by side.
    pub name: LabName,
    /// How much of a cluster.
    pub size: Size,
    /// Starts the scheduler with [`Size::ControlPlane`] too, for tests that look at unschedulable pods.
    pub scheduler: bool,
    /// Images of `images/` to load in addition to those the node itself needs.
    pub images: Vec<String>,
    /// The `kubelab` program that enforces NetworkPolicies on a node: this very one, unless `up` is called from
    /// another program. Without one they are objects that nothing heeds.
    pub enforcer: Option<PathBuf>,
    /// Prints no progress.
    pub quiet: bool,
}

impl LabConfig {
    /// A lab of this name and size with nothing extra.
    pub fn new(name: &str, size: Size) -> Result<Self, Error> {
        Ok(Self {
            name: name.parse()?,
            size,
            scheduler: false,
            images: Vec::new(),
            enforcer: env::current_exe().ok(),
            quiet: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_name_is_a_dns_label_of_at_most_32_characters() {
        for good in ["dev", "a", "kltest-123", &"x".repeat(32)] {
            assert!(good.parse::<LabName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a/b", "a.b", "..", &"x".repeat(33)] {
            assert!(bad.parse::<LabName>().is_err(), "{bad}");
        }
    }
}
