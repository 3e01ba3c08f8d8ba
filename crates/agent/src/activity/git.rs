//! Git work that is nowhere else: changed files, and commits that no remote has. Found by the environment's own git, which
//! reads every repository of the home now and then, and never writes to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use devserver_activity::Repository;

use super::run;

/// Levels of folders below the home.
const DEPTH: u8 = 4;
const MOST_REPOSITORIES: usize = 64;
/// Folders looked into at most.
const MOST_FOLDERS: usize = 5000;
/// How long git may take for one repository.
const PATIENCE: Duration = Duration::from_secs(20);
const LONGEST: u64 = 256 * 1024;
/// Where nobody keeps repositories of their own, and there are many folders.
const SKIPPED: [&str; 6] = [
    "node_modules",
    "target",
    "vendor",
    "venv",
    "__pycache__",
    "site-packages",
];

/// The repositories with such work; `None` where there is no git.
pub fn look(home: &Path) -> Option<Vec<Repository>> {
    git(home, &["--version"])?;
    let mut found = Vec::new();
    let mut folders = 0;
    find(home, DEPTH, &mut folders, &mut found);
    let told = found.iter().filter_map(|path| repository(home, path));
    Some(
        told.filter(|one| one.uncommitted > 0 || one.unpushed > 0)
            .collect(),
    )
}

fn find(folder: &Path, depth: u8, folders: &mut usize, found: &mut Vec<PathBuf>) {
    *folders += 1;
    if *folders > MOST_FOLDERS || found.len() >= MOST_REPOSITORIES {
        return;
    }
    if folder.join(".git").exists() {
        found.push(folder.to_path_buf());
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    if depth == 0 {
        return;
    }
    let mut below: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            !name.starts_with('.') && !SKIPPED.contains(&name.as_ref())
        })
        .map(|entry| entry.path())
        .collect();
    below.sort();
    for folder in below {
        find(&folder, depth - 1, folders, found);
    }
}

fn repository(home: &Path, path: &Path) -> Option<Repository> {
    let status = git(path, &["status", "--porcelain", "--untracked-files=normal"])?;
    let unpushed = git(
        path,
        &["rev-list", "--count", "--branches", "--not", "--remotes"],
    );
    let name = path.strip_prefix(home).ok()?;
    Some(Repository {
        path: if name.as_os_str().is_empty() {
            ".".to_owned()
        } else {
            name.display().to_string()
        },
        uncommitted: u32::try_from(status.lines().count()).unwrap_or(u32::MAX),
        unpushed: unpushed
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0),
    })
}

/// Without taking locks, so that it is in nobody's way, and without the file system monitor a repository may name.
fn git(folder: &Path, words: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command
        .args(["-c", "core.fsmonitor=false"])
        .args(words)
        .current_dir(folder)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0");
    run::output(&mut command, PATIENCE, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, script: &str) {
        let script = format!(
            "set -e; export HOME=/nonexistent; git() {{ command git -c user.name=a -c user.email=a@b -c init.defaultBranch=main \"$@\"; }}; {script}"
        );
        let done = Command::new("/bin/sh")
            .args(["-c", &script])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    #[test]
    fn work_that_no_remote_has_is_found_and_what_is_pushed_is_not() {
        let home = tempfile::tempdir().unwrap();
        run(
            home.path(),
            "mkdir -p src .cache node_modules/x; git init -q --bare .cache/remote.git
             git clone -q .cache/remote.git src/app 2>/dev/null; cd src/app
             echo a >a; git add a; git commit -qm one; git push -q origin HEAD
             cd ../..; git init -q node_modules/x; echo a >node_modules/x/a",
        );
        assert_eq!(look(home.path()).unwrap(), []);
        run(
            home.path(),
            "cd src/app; git checkout -qb other; echo b >b; git add b; git commit -qm two; echo c >c; echo d >>a",
        );
        let expected = Repository {
            path: "src/app".into(),
            uncommitted: 2,
            unpushed: 1,
        };
        assert_eq!(look(home.path()).unwrap(), [expected]);
    }
}
