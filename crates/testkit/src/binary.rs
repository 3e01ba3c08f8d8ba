//! The binaries under test.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The binary that the environment variable names; absent, the one that cargo built next to the test:
/// `target/<profile>/<package>` beside `target/<profile>/deps`.
pub(crate) fn find(variable: &str, package: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable).filter(|p| !p.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let test = std::env::current_exe()?;
    let folder = test
        .parent()
        .and_then(Path::parent)
        .context("the test binary has no folder")?;
    let path = folder.join(package);
    if !path.is_file() {
        bail!(
            "there is no {}; build it with `cargo build -p {package}`",
            path.display()
        );
    }
    Ok(path)
}
