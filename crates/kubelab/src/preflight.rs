//! Looks before anything is changed: a clear error now instead of a strange one later.

use std::{fs, path::Path};

use nix::{sys::statvfs::statvfs, unistd::Uid};

use crate::{
    cgroup::Cgroups,
    command::run,
    config::{LabName, Size},
    error::Error,
    paths::cache,
};

/// Programs, images and a build tree of Go at once.
const DISK_MB: u64 = 5 * 1024;

/// Checks rights, disk and kernel for a lab of this size.
pub fn check(name: &LabName, size: Size) -> Result<(), Error> {
    root("start a lab")?;
    disk(&cache())?;
    memory(size)?;
    if !Cgroups::of(&name.scope())?.usable() {
        return Err(Error::Kernel {
            feature: "cgroups",
            why: "no cgroup file system is mounted".into(),
            remedy: "mount it at /sys/fs/cgroup",
        });
    }
    namespaces(size)?;
    if size == Size::Node {
        filesystem("overlay", "container images are layers of it")?;
        nft()?;
    }
    Ok(())
}

/// Only root can make namespaces that the host can see.
pub fn root(action: &'static str) -> Result<(), Error> {
    if Uid::effective().is_root() {
        Ok(())
    } else {
        Err(Error::NotRoot { action })
    }
}

fn disk(folder: &Path) -> Result<(), Error> {
    // The folder may not be there yet; what counts is the file system it will be on.
    let Some(there) = folder.ancestors().find(|folder| folder.exists()) else {
        return Ok(());
    };
    let Ok(stat) = statvfs(there) else {
        return Ok(());
    };
    let free_mb = stat.blocks_available() * stat.fragment_size() / (1024 * 1024);
    if free_mb < DISK_MB {
        return Err(Error::Disk {
            path: folder.to_path_buf(),
            free_mb,
            needed_mb: DISK_MB,
        });
    }
    Ok(())
}

/// A control plane takes half of this and a node with a few pods most of it.
fn memory(size: Size) -> Result<(), Error> {
    let needed_mb = if size == Size::Node { 2048 } else { 1024 };
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    match available_mb(&text) {
        Some(free_mb) if free_mb < needed_mb => Err(Error::Memory { free_mb, needed_mb }),
        _ => Ok(()),
    }
}

fn available_mb(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

fn namespaces(size: Size) -> Result<(), Error> {
    let needed: &[(&str, &'static str)] = &[
        ("net", "network namespaces"),
        ("user", "user namespaces"),
        ("mnt", "mount namespaces"),
    ];
    let count = if size == Size::Node { needed.len() } else { 1 };
    for (file, feature) in needed.iter().take(count) {
        let path = Path::new("/proc/self/ns").join(file);
        if !path.exists() {
            return Err(missing(
                feature,
                format!("{} does not exist", path.display()),
            ));
        }
    }
    if size == Size::Node
        && fs::read_to_string("/proc/sys/user/max_user_namespaces")
            .is_ok_and(|max| max.trim() == "0")
    {
        return Err(Error::Kernel {
            feature: "user namespaces",
            why: "user.max_user_namespaces is 0".into(),
            remedy: "set it: sysctl -w user.max_user_namespaces=65536",
        });
    }
    Ok(())
}

fn filesystem(kind: &'static str, why: &str) -> Result<(), Error> {
    let known = || {
        fs::read_to_string("/proc/filesystems")
            .unwrap_or_default()
            .lines()
            .any(|line| line.ends_with(kind))
    };
    if known() || (run("modprobe", &[kind]).is_ok() && known()) {
        return Ok(());
    }
    Err(missing(
        kind,
        format!("it is not in /proc/filesystems, and {why}"),
    ))
}

fn nft() -> Result<(), Error> {
    run("nft", &["list", "tables"])
        .map(drop)
        .map_err(|error| missing("nf_tables", error.to_string()))
}

/// Turns a failure to make the veth pair into words about the kernel.
pub fn explain_link(error: Error) -> Error {
    let text = error.to_string();
    if text.contains("Unknown device type") || text.contains("Operation not supported") {
        let feature = if text.contains("bridge") {
            "bridge"
        } else {
            "veth"
        };
        return missing(feature, text);
    }
    error
}

fn missing(feature: &'static str, why: String) -> Error {
    Error::Kernel {
        feature,
        why,
        remedy: "use a kernel with it (every Debian kernel has it; inside a container, give the container the right to it), \
                 or a cluster of your own: `kubelab up --cluster existing`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_megabytes() {
        assert_eq!(
            available_mb("MemTotal: 9 kB\nMemAvailable:   2097152 kB\n"),
            Some(2048)
        );
        assert_eq!(available_mb(""), None);
    }

    #[test]
    fn a_missing_device_type_is_named() {
        let failed = |words: &str| Error::Content {
            path: "ip".into(),
            why: words.into(),
        };
        let error = explain_link(failed("Error: Unknown device type. (bridge)"));
        assert!(matches!(
            error,
            Error::Kernel {
                feature: "bridge",
                ..
            }
        ));
        assert!(matches!(
            explain_link(failed("No such file")),
            Error::Content { .. }
        ));
    }
}
