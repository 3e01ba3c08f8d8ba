//! What counts as use.

use serde::{Deserialize, Serialize};

/// Thresholds. The administrator's; nothing of it is sent to environments, so a change counts at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Policy {
    /// Seconds after a signal during which the environment is active.
    pub window_seconds: u64,
    /// Seconds after which an agent that has looked no more is not believed.
    pub stale_seconds: u64,
    /// Processor use that counts, in thousandths of a core, averaged over ten minutes. This and the next four count as the
    /// power of two at or below them.
    pub cpu_millicores: u64,
    /// Disk use that counts, in bytes per second, averaged.
    pub disk_bytes_per_second: u64,
    /// Network use that counts, in bytes per second, averaged. Above what an open page or a forwarded dashboard takes.
    pub network_bytes_per_second: u64,
    /// GPU use that counts, in percent, averaged.
    pub gpu_percent: u64,
    /// What an editor's server reads per second, averaged, when somebody uses it and does not only have it open.
    pub editor_bytes_per_second: u64,
    /// Programs that count as long as they use processor time at all, however little: builds, tests, transfers, training.
    pub busy_programs: Vec<String>,
    /// Seconds that such a program must have been there: shorter is the noise of cron.
    pub busy_seconds: u64,
    /// Programs whose output on a terminal does not count, because they print with nobody there.
    pub viewers: Vec<String>,
    /// Longest lease, in seconds, from when it was taken. Zero: there are none.
    pub max_hold_seconds: u64,
    /// Seconds after the last sign of a person during which work of the machine alone counts.
    pub max_unattended_seconds: u64,
    /// The same for output of a program in the foreground, which a server that somebody forgot prints as well.
    pub max_printing_seconds: u64,
}

const BUSY: &[&str] = &[
    "apt",
    "apt-get",
    "cargo",
    "ctest",
    "deepspeed",
    "dpkg",
    "ffmpeg",
    "make",
    "mpirun",
    "nextflow",
    "ninja",
    "nvcc",
    "pip",
    "pip3",
    "pytest",
    "rsync",
    "rustc",
    "scp",
    "snakemake",
    "torchrun",
];
const VIEWERS: &[&str] = &[
    "atop",
    "bat",
    "btop",
    "devserver-agent",
    "dmesg",
    "emacs",
    "glances",
    "htop",
    "iftop",
    "iotop",
    "journalctl",
    "k9s",
    "kubectl",
    "less",
    "man",
    "mc",
    "more",
    "mosh-client",
    "nano",
    "ncdu",
    "nvidia-smi",
    "nvim",
    "nvtop",
    "ping",
    "screen",
    "ssh",
    "stern",
    "tail",
    "tmux",
    "tmux: client",
    "top",
    "vi",
    "vim",
    "vmstat",
    "watch",
    "zellij",
];

impl Default for Policy {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Self {
            window_seconds: 600,
            stale_seconds: 300,
            cpu_millicores: 256,
            disk_bytes_per_second: 256 * 1024,
            network_bytes_per_second: 32 * 1024,
            gpu_percent: 4,
            editor_bytes_per_second: 128,
            busy_programs: words(BUSY),
            busy_seconds: 120,
            viewers: words(VIEWERS),
            max_hold_seconds: 24 * 3600,
            max_unattended_seconds: 72 * 3600,
            max_printing_seconds: 8 * 3600,
        }
    }
}

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {why}")]
pub struct PolicyError {
    /// Its key.
    pub field: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// Longest span that is understood: ten years, as for a time to live.
const LONGEST: u64 = devserver_api::duration::MAX_SECONDS;

impl Policy {
    /// What is wrong with it, if anything is: a zero would make everything active or everything idle.
    pub fn check(&self) -> Result<(), PolicyError> {
        let bad = |field, why: String| Err(PolicyError { field, why });
        for (field, value, least) in [
            ("windowSeconds", self.window_seconds, 60),
            ("staleSeconds", self.stale_seconds, 60),
            ("busySeconds", self.busy_seconds, 0),
            ("maxHoldSeconds", self.max_hold_seconds, 0),
            ("maxUnattendedSeconds", self.max_unattended_seconds, 0),
            ("maxPrintingSeconds", self.max_printing_seconds, 0),
        ] {
            if !(least..=LONGEST).contains(&value) {
                return bad(field, format!("must be {least} to {LONGEST} seconds"));
            }
        }
        for (field, value) in [
            ("cpuMillicores", self.cpu_millicores),
            ("diskBytesPerSecond", self.disk_bytes_per_second),
            ("networkBytesPerSecond", self.network_bytes_per_second),
            ("gpuPercent", self.gpu_percent),
            ("editorBytesPerSecond", self.editor_bytes_per_second),
        ] {
            if value == 0 {
                return bad(
                    field,
                    "must be at least 1: zero would be always reached".to_owned(),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_fine_and_mistakes_are_named() {
        assert_eq!(Policy::default().check(), Ok(()));
        let read = |text: &str| serde_json::from_str::<Policy>(text);
        for (text, field) in [
            (r#"{"cpuMillicores":0}"#, "cpuMillicores"),
            (r#"{"windowSeconds":0}"#, "windowSeconds"),
            (
                r#"{"maxHoldSeconds":18446744073709551615}"#,
                "maxHoldSeconds",
            ),
        ] {
            assert_eq!(read(text).unwrap().check().unwrap_err().field, field);
        }
        assert!(read(r#"{"cpu":1}"#).is_err());
        assert_eq!(read("{}").unwrap(), Policy::default());
    }
}
