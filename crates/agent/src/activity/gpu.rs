//! How busy the GPUs are. AMD's and Intel's drivers say so in a file; NVIDIA's library cannot be loaded by a static program,
//! so its own tool is asked where the container runtime has put it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::run;

/// How long the tool may take.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: u64 = 4096;
/// Where the container runtime mounts it.
const TOOL: &str = "/usr/bin/nvidia-smi";

/// Percent of the busiest one; `None` when there is none to be seen.
pub fn look() -> Option<u64> {
    busiest_file(Path::new("/sys/class/drm")).max(ask(Path::new(TOOL)))
}

fn busiest_file(folder: &Path) -> Option<u64> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| fs::read_to_string(entry.path().join("device/gpu_busy_percent")).ok())
        .filter_map(|text| percent(&text))
        .max()
}

fn percent(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|percent| *percent <= 100)
}

/// Its answer holds one number in each line.
fn ask(tool: &Path) -> Option<u64> {
    if !tool.exists() {
        return None;
    }
    let mut command = Command::new(tool);
    command.args([
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
    ]);
    let text = run::output(&mut command, PATIENCE, LONGEST)?;
    text.lines().filter_map(percent).max()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_busiest_of_several_counts_and_rubbish_does_not() {
        let folder = tempfile::tempdir().unwrap();
        for (card, text) in [
            ("card0", "7\n"),
            ("card1", "93\n"),
            ("renderD128", "nonsense"),
        ] {
            let device = folder.path().join(card).join("device");
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("gpu_busy_percent"), text).unwrap();
        }
        assert_eq!(busiest_file(folder.path()), Some(93));
        assert_eq!(busiest_file(Path::new("/nonexistent")), None);
    }

    #[test]
    fn a_tool_is_asked_and_one_that_hangs_or_is_not_there_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let tool = |name: &str, script: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        assert_eq!(ask(&tool("two", "echo 12; echo 55")), Some(55));
        assert_eq!(ask(&tool("broken", "echo '[N/A]'; exit 9")), None);
        assert_eq!(ask(Path::new("/nonexistent")), None);
        let begun = Instant::now();
        assert_eq!(ask(&tool("hangs", "exec sleep 60")), None);
        assert!(begun.elapsed() < PATIENCE * 3);
    }
}
