//! Removing a lab: what runs, what is mounted, what is routed, in the order in which each becomes removable.

use std::{fs, path::PathBuf};

use crate::{
    cgroup::Cgroups,
    config::LabName,
    error::Error,
    lab::lock,
    leftovers::{cni_results, leftovers, log_links, shim_sockets},
    mounts, net,
    paths::LabDir,
    preflight,
    process::Identity,
};

/// Removes the lab of this name and all that is left of earlier ones of the same name. No lab is fine too.
pub fn down(name: &LabName) -> Result<(), Error> {
    preflight::root("stop a lab")?;
    let lock = lock(name)?;
    sweep(name)?;
    let left = leftovers(name)?;
    lock.remove();
    if left.is_empty() {
        Ok(())
    } else {
        Err(Error::Leftovers {
            lab: name.to_string(),
            left,
        })
    }
}

/// The same for who holds the lab's lock already.
pub(crate) fn sweep(name: &LabName) -> Result<(), Error> {
    let dir = LabDir::of(name);
    // The kubelet first and then the runtime, or they start again what is stopped below them.
    for component in ["kubelet", "containerd"] {
        if let Some(identity) = Identity::load(&dir.pid_file(component)) {
            identity.kill();
        }
    }
    // Shims put their sockets into a folder that all runtimes of the machine share; only their state names them.
    let mut files: Vec<PathBuf> = shim_sockets(&dir);
    let cgroups = Cgroups::of(&name.scope())?;
    cgroups.kill()?;
    // Daemons are killed by cgroup; this is for one that was started but had not entered it yet.
    for pid_file in fs::read_dir(dir.join("pids"))
        .into_iter()
        .flatten()
        .flatten()
    {
        if let Some(identity) = Identity::load(&pid_file.path()) {
            identity.kill();
        }
    }
    net::remove(name)?;
    mounts::remove(dir.path())?;
    cgroups.remove()?;
    files.extend(cni_results(name));
    files.extend(log_links(&dir));
    for file in files {
        // Whoever owned it may have removed it at last.
        let _ = fs::remove_file(file);
    }
    match fs::remove_dir_all(dir.path()) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io {
            action: "remove",
            path: dir.path().to_path_buf(),
            source,
        }),
        _ => Ok(()),
    }
}
