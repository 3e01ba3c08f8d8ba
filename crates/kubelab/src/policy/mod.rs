//! NetworkPolicies, enforced on the node's packets by nftables, so that tests of policies try packets and not YAML.
//!
//! ```text
//! API server ──watches──► caches ──► Cluster ──► rules ──► nft -f -      one process in the lab's network namespace
//!                                       ▲
//! containerd ──► last step of a pod's network ──► gate: the pod's address, before its first container starts
//! ```
//!
//! What is decided is in [`rules`], a function of pods, namespaces and policies; everything else carries.

mod caches;
mod cluster;
mod controller;
mod gate;
mod nft;
mod peers;
mod ports;
mod rules;
#[cfg(test)]
mod tests;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub(crate) use controller::run;
pub use rules::BRIDGE;

use crate::{
    error::{At, Error},
    paths::LabDir,
    process::Component,
    starting::Starting,
};

/// Name of the process, and of the command that runs it.
pub const COMPONENT: &str = "policy-controller";

/// Name of the last step of a pod's network, which is also the name of its file.
pub const STEP: &str = "network-policy";

/// Asks the gate and hands its answer on. A shell script, as it runs once for each pod and `socat` starts faster than
/// any program of ours; a node has it for port-forward.
const SCRIPT: &str = r#"#!/bin/sh
# The last step of a pod's network: ends when the pod's NetworkPolicies are in force, so that none of its containers
# runs before. Without an answer the pod is not started; the kubelet tries again.
case "$CNI_COMMAND" in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}' ;;
ADD)
  answer=$({ printf '%s\n' "$CNI_ARGS"; cat; } | socat -t 30 - 'UNIX-CONNECT:@SOCKET@')
  [ -n "$answer" ] || answer='1 {"cniVersion":"1.0.0","code":11,"msg":"failed to ask the policy controller of the lab: it does not answer; see its log (kubelab logs policy-controller)"}'
  printf '%s\n' "${answer#? }"
  exit "${answer%% *}"
  ;;
esac
"#;

/// Where the gate listens. The path must be absolute and short: unix sockets end at 107 bytes.
fn socket(dir: &LabDir) -> PathBuf {
    dir.join("policy.sock")
}

/// The folder with the last step of a pod's network.
pub fn steps(dir: &LabDir) -> String {
    dir.text("cni-steps")
}

/// Starts enforcing: `program` is the `kubelab` that does. Must come before the kubelet, whose pods ask the gate.
pub fn start(lab: &mut Starting, program: &Path) -> Result<(), Error> {
    let folder = lab.dir.join("cni-steps");
    fs::create_dir_all(&folder).at("make the folder", &folder)?;
    let step = folder.join(STEP);
    let script = SCRIPT.replace("@SOCKET@", &socket(&lab.dir).to_string_lossy());
    fs::write(&step, script).at("write", &step)?;
    fs::set_permissions(&step, fs::Permissions::from_mode(0o755)).at("make executable", &step)?;
    lab.start(&Component {
        name: COMPONENT,
        program: program.to_path_buf(),
        args: vec![
            COMPONENT.to_owned(),
            "--lab".to_owned(),
            lab.name.to_string(),
        ],
        env: Vec::new(),
    })
}
