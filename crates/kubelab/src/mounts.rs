//! Mounts of a lab, found in the kernel's own table, so that nothing is forgotten and nothing else is touched.

use std::{
    fs,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::{At, Error};

/// Mounts of processes that have just been killed go away a moment later; longer than this they do not.
const PATIENCE: Duration = Duration::from_secs(3);

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The kind of file system.
    pub kind: String,
    /// Options of the file system; for cgroup v1 they name the controllers.
    pub options: String,
}

/// All mounts of this process, in the order they were made.
pub fn table() -> Result<Vec<Mount>, Error> {
    let path = "/proc/self/mountinfo";
    let text = fs::read_to_string(path).at("read", path)?;
    Ok(text.lines().filter_map(parse).collect())
}

/// Mount points at or below a folder, innermost and latest first: the order to unmount in.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut points: Vec<PathBuf> = table()?
        .into_iter()
        .map(|mount| mount.point)
        .filter(|point| point.starts_with(folder))
        .collect();
    points.reverse();
    Ok(points)
}

/// Mounts a tmpfs of its own: kubelet and containerd need file-system statistics of their state.
pub fn tmpfs(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).at("make the folder", folder)?;
    let flags = MsFlags::MS_NOATIME;
    mount(
        Some("kubelab"),
        folder,
        Some("tmpfs"),
        flags,
        Some("size=12g,mode=755"),
    )
    .map_err(Into::into)
    .at("mount a tmpfs at", folder)
}

/// Unmounts everything at and below a folder.
pub fn remove(folder: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let points = below(folder)?;
        if points.is_empty() {
            return Ok(());
        }
        // A lazy unmount hides a mount that something still uses; it is the last resort, so that `down` ends.
        let late = Instant::now() > deadline;
        let flags = if late {
            MntFlags::MNT_DETACH
        } else {
            MntFlags::UMOUNT_NOFOLLOW
        };
        let failed = points
            .iter()
            .filter(|point| umount2(*point, flags).is_err())
            .count();
        if late && failed == points.len() {
            return Err(std::io::Error::other("it is still in use")).at("unmount", folder);
        }
        if failed > 0 {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn parse(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let point = unescape(front.split(' ').nth(4)?);
    let mut rest = back.split(' ');
    let kind = rest.next()?.to_owned();
    let options = rest.nth(1).unwrap_or_default().to_owned();
    Some(Mount {
        point,
        kind,
        options,
    })
}

/// The kernel writes blank, tab, line break and backslash as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after
            .get(..3)
            .filter(|_| first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes_is_understood() {
        let line = r"36 35 98:0 /mnt1 /run/kubelab/a\040b\134c rw,noatime master:1 shared:2 - ext4 /dev/root rw,errors=continue";
        assert_eq!(
            parse(line),
            Some(Mount {
                point: PathBuf::from(r"/run/kubelab/a b\c"),
                kind: "ext4".into(),
                options: "rw,errors=continue".into()
            })
        );
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn the_controllers_of_a_cgroup_mount_are_in_its_options() {
        let line = "30 24 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids";
        assert_eq!(parse(line).unwrap().options, "rw,pids");
    }

    #[test]
    fn the_root_of_this_machine_is_in_the_table() {
        assert!(
            table()
                .unwrap()
                .iter()
                .any(|mount| mount.point == Path::new("/"))
        );
        assert!(below(Path::new("/does/not/exist")).unwrap().is_empty());
    }
}
