//! What is written down about a lab while it is there, and which labs there are.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::{
    address::Plan,
    config::{LabName, Size},
    error::{At, Error},
    paths::{LabDir, STATE},
};

/// The file `lab.json` in the lab's folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The lab.
    pub name: LabName,
    /// Its size.
    pub size: Size,
    /// Its addresses.
    pub plan: Plan,
    /// The components that were started, in order.
    pub components: Vec<String>,
    /// Set when everything was ready; without it the start was interrupted.
    pub ready: bool,
    /// The kernel's id of this boot: process ids of another boot mean nothing.
    pub boot: String,
}

impl State {
    /// The state of a new lab.
    pub fn new(name: &LabName, size: Size, plan: Plan) -> Self {
        Self {
            name: name.clone(),
            size,
            plan,
            components: Vec::new(),
            ready: false,
            boot: boot(),
        }
    }

    /// Reads the state of a lab, if it has one that can be understood.
    pub fn load(dir: &LabDir) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join("lab.json")).ok()?).ok()
    }

    /// Writes it down.
    pub fn save(&self, dir: &LabDir) -> Result<(), Error> {
        let (part, path) = (dir.join(".lab.json.part"), dir.join("lab.json"));
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Content {
            path: path.clone(),
            why: error.to_string(),
        })?;
        fs::write(&part, text).at("write", &part)?;
        fs::rename(&part, &path).at("rename to", path)
    }

    /// Whether it is of this boot.
    pub fn is_current(&self) -> bool {
        self.boot == boot()
    }
}

/// The labs that have a folder or a network namespace, running or not.
pub fn labs() -> Vec<LabName> {
    let files = |folder| {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name())
    };
    let folders = files(STATE).filter_map(|file| file.to_str()?.parse().ok());
    // A folder can get lost, for example with a /run that somebody has tidied up.
    let namespaces = files("/run/netns")
        .filter_map(|file| file.to_str()?.strip_prefix("kubelab-")?.parse().ok());
    let mut names: Vec<LabName> = folders.chain(namespaces).collect();
    names.sort();
    names.dedup();
    names
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}
