//! What the container's cgroup counts, in both versions of the hierarchy (cgroups(7)). A container sees its own at the root;
//! where the runtime shows the host's hierarchy, the path in `/proc/self/cgroup` leads to it.

use std::fs;
use std::path::{Path, PathBuf};

/// More bytes than any limit: the first version writes no limit so.
const UNLIMITED: u64 = 1 << 60;

/// Counters; absent where the kernel does not offer them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time in microseconds.
    pub cpu: Option<u64>,
    /// Bytes from and to disks.
    pub disk: Option<u64>,
    /// Bytes of memory in use.
    pub memory: Option<u64>,
    /// Most bytes ever in use.
    pub memory_peak: Option<u64>,
    /// Bytes there may be.
    pub memory_limit: Option<u64>,
    /// Processes killed for lack of memory.
    pub oom_kills: Option<u64>,
}

/// Reads them.
pub fn look(root: &Path, own: &str) -> Usage {
    let at = |controller: &str, file: &str| read(root, own, controller, file);
    let number = |text: Option<String>| text?.trim().parse::<u64>().ok();
    if root.join("cgroup.controllers").exists() {
        let limit = number(at("", "memory.max"));
        return Usage {
            cpu: at("", "cpu.stat").and_then(|text| keyed(&text, "usage_usec")),
            disk: at("", "io.stat").map(|text| io_v2(&text)),
            memory: number(at("", "memory.current")),
            memory_peak: number(at("", "memory.peak")),
            memory_limit: limit,
            oom_kills: at("", "memory.events").and_then(|text| keyed(&text, "oom_kill")),
        };
    }
    let nanoseconds = number(at("cpuacct", "cpuacct.usage"));
    Usage {
        cpu: nanoseconds.map(|count| count / 1000),
        disk: at("blkio", "blkio.throttle.io_service_bytes_recursive")
            .or_else(|| at("blkio", "blkio.throttle.io_service_bytes"))
            .map(|text| io_v1(&text)),
        memory: number(at("memory", "memory.usage_in_bytes")),
        memory_peak: number(at("memory", "memory.max_usage_in_bytes")),
        memory_limit: number(at("memory", "memory.limit_in_bytes"))
            .filter(|limit| *limit < UNLIMITED),
        oom_kills: at("memory", "memory.oom_control").and_then(|text| keyed(&text, "oom_kill")),
    }
}

/// From the container's own cgroup where the path leads to it, else from the root.
fn read(root: &Path, own: &str, controller: &str, file: &str) -> Option<String> {
    let base = root.join(controller);
    let path = path_of(own, controller);
    // Nothing a path could do: it is the kernel's word, and a folder above is not asked for.
    let inside: Option<PathBuf> = path
        .filter(|path| !path.split('/').any(|part| part == ".."))
        .map(|path| base.join(path.trim_start_matches('/')));
    let of = |folder: PathBuf| fs::read_to_string(folder.join(file)).ok();
    inside.and_then(of).or_else(|| of(base))
}

/// `HIERARCHY:CONTROLLERS:PATH` in each line; the second version has no controllers.
fn path_of<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers
            .split(',')
            .any(|name| name == controller)
            .then_some(path)
    })
}

/// `KEY NUMBER` in each line.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, number) = line.split_once(' ')?;
        (name == key).then(|| number.trim().parse().ok())?
    })
}

/// `8:0 rbytes=1 wbytes=2 …` for each device.
fn io_v2(text: &str) -> u64 {
    text.split_ascii_whitespace()
        .filter_map(|word| {
            word.strip_prefix("rbytes=")
                .or_else(|| word.strip_prefix("wbytes="))
        })
        .filter_map(|number| number.parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

/// `8:0 Read 1`, `8:0 Write 2` and sums of them.
fn io_v1(text: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            matches!(words.next()?, "Read" | "Write").then_some(())?;
            words.next()?.parse::<u64>().ok()
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn the_second_version_is_read_at_the_root_of_the_container() {
        let folder = tempfile::tempdir().unwrap();
        put(
            folder.path(),
            &[
                ("cgroup.controllers", "cpu io memory"),
                ("cpu.stat", "usage_usec 5000\nuser_usec 4000\n"),
                (
                    "io.stat",
                    "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n7:0 rbytes=5 wbytes=0\n",
                ),
                ("memory.current", "100\n"),
                ("memory.max", "max\n"),
                ("memory.events", "oom 2\noom_kill 1\n"),
            ],
        );
        let usage = look(folder.path(), "0::/\n");
        let expected = Usage {
            cpu: Some(5000),
            disk: Some(35),
            memory: Some(100),
            memory_peak: None,
            memory_limit: None,
            oom_kills: Some(1),
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn the_first_version_is_read_below_its_path_and_never_above() {
        let folder = tempfile::tempdir().unwrap();
        put(
            folder.path(),
            &[
                ("cpuacct/cpuacct.usage", "999000"),
                ("cpuacct/pod/cpuacct.usage", "7000\n"),
                (
                    "blkio/blkio.throttle.io_service_bytes",
                    "8:0 Read 10\n8:0 Write 5\n8:0 Total 15\nTotal 15\n",
                ),
                ("memory/memory.limit_in_bytes", "9223372036854771712"),
                ("memory/memory.usage_in_bytes", "4096"),
            ],
        );
        let usage = look(folder.path(), "3:cpu,cpuacct:/pod\n4:memory:/../..\n");
        assert_eq!((usage.cpu, usage.disk), (Some(7), Some(15)));
        assert_eq!((usage.memory, usage.memory_limit), (Some(4096), None));
    }

    #[test]
    fn this_machine_has_one_of_them_and_its_time_grows() {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let cpu = || look(Path::new("/sys/fs/cgroup"), &own).cpu.unwrap();
        let before = cpu();
        let mut burned = 0_u64;
        let begun = std::time::Instant::now();
        while cpu() == before {
            burned = burned.wrapping_add(1);
            assert!(
                begun.elapsed().as_secs() < 20,
                "{burned} rounds and no time"
            );
        }
    }
}
