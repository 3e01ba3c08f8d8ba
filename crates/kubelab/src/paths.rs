//! Where things are: the checkout, the cache, the state of a lab.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{config::LabName, error::Error};

/// Parent of all labs' state. On a tmpfs on every system, so a reboot leaves nothing stale.
pub const STATE: &str = "/run/kubelab";

/// The cache for built programs and images: `DEVSERVER_CACHE`, or `~/.cache/devserver`.
pub fn cache() -> PathBuf {
    if let Some(path) = env::var_os("DEVSERVER_CACHE").filter(|path| !path.is_empty()) {
        return PathBuf::from(path);
    }
    let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    home.join(".cache/devserver")
}

/// The checkout: `DEVSERVER_ROOT`, else the first folder with `tools/tools.toml` above the program or the working directory.
pub fn checkout() -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os("DEVSERVER_ROOT").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let program = env::current_exe().and_then(fs::canonicalize).ok();
    let here = env::current_dir().ok();
    // `cargo test` puts test programs into a shared target folder outside of the checkout, but runs them inside of it.
    program
        .iter()
        .chain(here.iter())
        .flat_map(|start| start.ancestors())
        .find(|folder| folder.join("tools/tools.toml").is_file())
        .map(Path::to_path_buf)
        .ok_or(Error::Root)
}

/// The folder of one lab's state; everything in it lives on a mount of its own.
#[derive(Clone, Debug)]
pub struct LabDir(PathBuf);

impl LabDir {
    /// The folder of the lab of this name, whether it exists or not.
    pub fn of(name: &LabName) -> Self {
        Self(Path::new(STATE).join(name.as_str()))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file or folder below.
    pub fn join(&self, below: impl AsRef<Path>) -> PathBuf {
        self.0.join(below)
    }

    /// The same as text, for flags and configuration files.
    pub fn text(&self, below: &str) -> String {
        self.0.join(below).to_string_lossy().into_owned()
    }

    /// The administrator's kubeconfig.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.join("admin.kubeconfig")
    }

    /// A component's log.
    pub fn log(&self, component: &str) -> PathBuf {
        self.join("logs").join(format!("{component}.log"))
    }

    /// A component's process id and start time.
    pub fn pid_file(&self, component: &str) -> PathBuf {
        self.join("pids").join(component)
    }

    /// The socket of containerd. The path must be absolute and short: unix sockets end at 107 bytes.
    pub fn containerd_socket(&self) -> PathBuf {
        self.join("containerd.sock")
    }
}
