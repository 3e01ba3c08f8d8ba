//! What a lab has put into places it shares with the rest of the machine, and whether any of it is still there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    cgroup::Cgroups, command::run, config::LabName, error::Error, mounts, net, paths::LabDir,
    state::State,
};

/// Where the CNI library remembers what it gave to pods, whatever the runtime's own folders are.
const CNI_RESULTS: &str = "/var/lib/cni/results";

/// Where the kubelet puts links to the logs of containers, whatever its own folders are.
const LOG_LINKS: &str = "/var/log/containers";

/// Everything of the lab that exists, each with a word saying what it is. Empty after `down`.
pub fn leftovers(name: &LabName) -> Result<Vec<String>, Error> {
    let dir = LabDir::of(name);
    let cgroups = Cgroups::of(&name.scope())?;
    let mut left = Vec::new();
    left.extend(
        cgroups
            .processes()
            .into_iter()
            .map(|pid| format!("process {pid}")),
    );
    left.extend(
        mounts::below(dir.path())?
            .iter()
            .map(|point| format!("mount {}", point.display())),
    );
    left.extend(
        cgroups
            .folders()
            .iter()
            .map(|folder| format!("cgroup {}", folder.display())),
    );
    if net::namespace(name).exists() {
        left.push(format!("network namespace {}", name.scope()));
    }
    // Addresses and routes of the host hang on the link, and go and stay with it.
    for link in net::links(name)? {
        let routes = run("ip", &["-4", "route", "show", "dev", &link]).unwrap_or_default();
        left.extend(
            routes
                .lines()
                .map(|route| format!("route {}", route.trim())),
        );
        left.push(format!("link {link}"));
    }
    let files = [cni_results(name), log_links(&dir), shim_sockets(&dir)].concat();
    left.extend(files.iter().map(|file| format!("file {}", file.display())));
    if dir.path().exists() {
        let size =
            State::load(&dir).map_or_else(String::new, |state| format!(" of size {}", state.size));
        left.push(format!("folder {}{size}", dir.path().display()));
    }
    Ok(left)
}

/// Sockets of shims, as each shim's folder names them.
pub(crate) fn shim_sockets(dir: &LabDir) -> Vec<PathBuf> {
    let tasks = dir.join("containerd/state/io.containerd.runtime.v2.task/k8s.io");
    let bundles = fs::read_dir(tasks).into_iter().flatten().flatten();
    bundles
        .filter_map(|bundle| shim_socket(&bundle.path()))
        .collect()
}

fn shim_socket(bundle: &Path) -> Option<PathBuf> {
    let text = fs::read(bundle.join("bootstrap.json")).ok()?;
    let bootstrap: Value = serde_json::from_slice(&text).ok()?;
    let path = bootstrap
        .get("address")?
        .as_str()?
        .strip_prefix("unix://")?;
    // A file that says where to delete must not lead elsewhere.
    Path::new(path)
        .starts_with("/run/containerd/s")
        .then(|| PathBuf::from(path))
}

/// Files of the CNI library for pods of this lab: `<network>-<64 hexadecimal digits>-<interface>`.
pub(crate) fn cni_results(name: &LabName) -> Vec<PathBuf> {
    let entries = fs::read_dir(CNI_RESULTS).into_iter().flatten().flatten();
    let ours = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str());
        file.is_some_and(|file| is_result_of(&name.scope(), file))
    };
    entries.map(|entry| entry.path()).filter(ours).collect()
}

fn is_result_of(network: &str, file: &str) -> bool {
    let rest = file
        .strip_prefix(network)
        .and_then(|rest| rest.strip_prefix('-'));
    let id = rest.and_then(|rest| rest.split('-').next());
    id.is_some_and(|id| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Links to logs of containers of this lab.
pub(crate) fn log_links(dir: &LabDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(LOG_LINKS).into_iter().flatten().flatten();
    let ours =
        |path: &PathBuf| fs::read_link(path).is_ok_and(|target| target.starts_with(dir.path()));
    entries.map(|entry| entry.path()).filter(ours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_a_lab_whose_name_begins_the_same_are_not_ours() {
        let id = "a".repeat(64);
        assert!(is_result_of(
            "kubelab-dev",
            &format!("kubelab-dev-{id}-eth0")
        ));
        assert!(!is_result_of(
            "kubelab-dev",
            &format!("kubelab-dev-two-{id}-eth0")
        ));
        assert!(!is_result_of("kubelab-dev", "kubelab-dev-short-eth0"));
    }

    #[test]
    fn a_shim_socket_outside_of_the_shared_folder_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |address: &str| {
            fs::write(
                dir.path().join("bootstrap.json"),
                format!(r#"{{"address":"{address}"}}"#),
            )
            .unwrap();
        };
        write("unix:///run/containerd/s/0123");
        assert_eq!(
            shim_socket(dir.path()),
            Some(PathBuf::from("/run/containerd/s/0123"))
        );
        write("unix:///etc/passwd");
        assert_eq!(shim_socket(dir.path()), None);
    }
}
