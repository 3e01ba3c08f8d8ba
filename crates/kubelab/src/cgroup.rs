//! The cgroups of a lab: every process of it, shims and pods included, can be found in them.
//!
//! With cgroup v1 each controller is a tree of its own, with v2 there is one. The lab has a folder of the same name in
//! every tree: the kubelet puts pods below it, and daemons are put into `system`. All that `down` needs is the folder.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    error::{At, Error},
    mounts,
    process::reap,
};

/// How long killed processes may take to leave their cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

/// The lab's folder in one cgroup tree.
#[derive(Debug)]
struct Tree {
    root: PathBuf,
    /// Controllers as the mount names them (v1), empty for v2.
    options: String,
    unified: bool,
}

/// The trees of this machine.
#[derive(Debug)]
pub struct Cgroups {
    trees: Vec<Tree>,
    scope: String,
}

impl Cgroups {
    /// The cgroups of the lab with this scope name, whether they exist or not.
    pub fn of(scope: &str) -> Result<Self, Error> {
        let trees = mounts::table()?
            .into_iter()
            .filter(|mount| mount.kind == "cgroup" || mount.kind == "cgroup2")
            .map(|mount| Tree {
                unified: mount.kind == "cgroup2",
                root: mount.point,
                options: mount.options,
            })
            .collect();
        Ok(Self {
            trees,
            scope: scope.to_owned(),
        })
    }

    /// Whether this machine has any cgroup tree.
    pub fn usable(&self) -> bool {
        !self.trees.is_empty()
    }

    /// Makes the lab's folder everywhere. The kubelet needs it to exist before it starts.
    pub fn make(&self) -> Result<(), Error> {
        for tree in &self.trees {
            if tree.unified {
                enable_controllers(&tree.root);
            }
            let folder = tree.root.join(&self.scope);
            fs::create_dir_all(&folder).at("make the cgroup", &folder)?;
            // A cpuset starts empty, and a process cannot enter an empty one.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let Ok(all) = fs::read_to_string(tree.root.join(file))
                    .as_deref()
                    .map(str::trim)
                {
                    fs::write(folder.join(file), all).at("write", folder.join(file))?;
                }
            }
        }
        let system = self.system();
        fs::create_dir_all(&system).at("make the cgroup", &system)
    }

    /// The file that moves a process into the lab: in the tree of process counts with v1, in the only tree with v2.
    pub fn procs(&self) -> PathBuf {
        self.system().join("cgroup.procs")
    }

    fn system(&self) -> PathBuf {
        let counts = |tree: &&Tree| tree.options.split(',').any(|option| option == "pids");
        let tree = self
            .trees
            .iter()
            .find(counts)
            .or_else(|| self.trees.iter().find(|tree| tree.unified));
        let root = tree
            .or(self.trees.first())
            .map_or(Path::new("/sys/fs/cgroup"), |tree| &tree.root);
        root.join(&self.scope).join("system")
    }

    /// Every process of the lab.
    pub fn processes(&self) -> BTreeSet<i32> {
        let read =
            |folder: PathBuf| fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let texts: Vec<String> = self.folders().into_iter().map(read).collect();
        // A process of another pid namespace shows as 0, which must never be signalled.
        texts
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|pid| pid.parse().ok())
            .filter(|pid| *pid > 0)
            .collect()
    }

    /// Kills every process of the lab until there is none.
    pub fn kill(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let left = format!("{processes:?} are still running");
                return Err(std::io::Error::other(left)).at("kill the processes of", self.system());
            }
            for pid in processes {
                // It may have ended by itself since it was listed.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                reap(pid);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Removes the lab's cgroups, innermost first.
    pub fn remove(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        for folder in self.folders() {
            // The kernel says "busy" for a moment after the last process has gone.
            while let Err(error) = fs::remove_dir(&folder) {
                if error.kind() == std::io::ErrorKind::NotFound {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(error).at("remove the cgroup", folder);
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// The lab's cgroups that exist, innermost first.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for tree in &self.trees {
            collect(&tree.root.join(&self.scope), &mut all);
        }
        all
    }
}

fn collect(folder: &Path, all: &mut Vec<PathBuf>) {
    if let Ok(entries) = fs::read_dir(folder) {
        for entry in entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        {
            collect(&entry.path(), all);
        }
        all.push(folder.to_path_buf());
    }
}

/// Lets children of the root have the controllers that limits of pods need. On a machine that is itself in a
/// container not all can be had, and the kubelet says so if it matters.
fn enable_controllers(root: &Path) {
    let there = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    for controller in there.split_whitespace() {
        let _ = fs::write(
            root.join("cgroup.subtree_control"),
            format!("+{controller}"),
        );
    }
}
