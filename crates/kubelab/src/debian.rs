//! What the lab needs from the system: installed when we may, else named with the command that installs it.

use std::{path::Path, process::Command};

use nix::unistd::Uid;

use crate::{
    command::{finish, run, succeeds},
    config::Size,
    error::Error,
    lock::Lock,
    paths::cache,
    progress::Progress,
};

/// For every lab: network and mounts.
const BASE: &[&str] = &["iproute2", "util-linux"];

/// For pods: their network, the rules of Services, and what the kubelet calls for port-forward and mounts.
const NODE: &[&str] = &[
    "containernetworking-plugins",
    "nftables",
    "iptables",
    "conntrack",
    "ethtool",
    "socat",
    "mount",
    "libseccomp2",
];

/// For programs that Go links against C.
pub const CGO: &[&str] = &["gcc", "libc6-dev", "pkg-config", "libseccomp-dev"];

/// The packages that a lab of this size needs at run time.
pub fn for_size(size: Size) -> Vec<&'static str> {
    let node = if size == Size::Node { NODE } else { &[] };
    [BASE, node].concat()
}

/// Installs what is missing.
pub fn ensure(packages: &[&str], progress: &Progress) -> Result<(), Error> {
    if missing(packages).is_empty() {
        return Ok(());
    }
    // Two labs that start at the same time must not both run apt: it refuses the second.
    let _alone = Lock::acquire(cache().join("locks").join("packages"))?;
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    let command = format!("apt-get install --no-install-recommends {packages}");
    if !Uid::effective().is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return Err(Error::Packages { packages, command });
    }
    progress.doing(format!("installing {packages}"));
    if install(&missing).is_err() {
        // Fresh machines have no package lists, and old lists name versions that are gone.
        run("apt-get", &["update", "-q"])?;
        install(&missing)?;
    }
    progress.done(format!("installed {packages}"));
    Ok(())
}

fn install(packages: &[&str]) -> Result<String, Error> {
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-q", "-y", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    finish(&mut apt)
}

/// The packages that are not installed. Without dpkg the answer comes from the programs themselves.
fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let format = "-f=${Package} ${db:Status-Status}\n";
    let args: Vec<&str> = ["-W", format].iter().chain(packages).copied().collect();
    if !succeeds("dpkg-query", &["--version"]) {
        return packages
            .iter()
            .filter(|package| !provided(package))
            .copied()
            .collect();
    }
    // It fails when one name is unknown, but prints the others all the same.
    let output = Command::new("dpkg-query").args(&args).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let installed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    packages
        .iter()
        .filter(|package| !installed.contains(package))
        .copied()
        .collect()
}

/// On other distributions: the program that stands for a package.
fn provided(package: &str) -> bool {
    let program = match package {
        "iproute2" => "ip",
        "util-linux" => "nsenter",
        "nftables" => "nft",
        "containernetworking-plugins" => return Path::new("/usr/lib/cni/bridge").exists(),
        "gcc" | "iptables" | "conntrack" | "ethtool" | "socat" | "mount" | "make"
        | "pkg-config" => package,
        // Libraries cannot be looked up this way; the build or the program says so if they are missing.
        _ => return true,
    };
    succeeds("sh", &["-c", &format!("command -v {program}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_plane_needs_no_packages_for_pods() {
        assert!(!for_size(Size::ControlPlane).contains(&"containernetworking-plugins"));
        assert!(for_size(Size::Node).contains(&"containernetworking-plugins"));
    }
}
