//! Words on open terminals when a volume fills or memory has run out. What to say when is pure over what was said before.

use std::collections::HashMap;
use std::path::PathBuf;

use devserver_activity::{Disk, Report};

use crate::notice;

/// Percent from which people are warned, and again.
const LEVELS: [u64; 3] = [80, 90, 100];
/// A volume that is so many percent below a level again is warned of anew when it gets there.
const RELIEF: u64 = 5;

/// What terminals were told.
#[derive(Debug, Default)]
pub struct Warned {
    /// By terminal: the level.
    told: HashMap<PathBuf, u64>,
    oom_kills: Option<u64>,
}

impl Warned {
    /// Tells every terminal what it has not been told.
    pub fn look(&mut self, report: &Report, name: &str) {
        let terminals = notice::terminals();
        self.told.retain(|terminal, _| terminals.contains(terminal));
        let disk = report.home.unwrap_or_default();
        for terminal in &terminals {
            let before = self.told.get(terminal).copied().unwrap_or(0);
            let level = level(disk.percent(), before);
            if level > before {
                notice::tell(terminal, &full(disk, name));
            }
            self.told.insert(terminal.clone(), level);
        }
        let kills = report.memory.oom_kills;
        if self.oom_kills.is_some_and(|before| kills > before) {
            for terminal in &terminals {
                notice::tell(terminal, &out_of_memory(name));
            }
        }
        self.oom_kills = Some(kills);
    }
}

/// The level a volume has reached, when it was at `before`.
fn level(percent: u64, before: u64) -> u64 {
    let reached = LEVELS
        .into_iter()
        .filter(|level| percent >= *level)
        .max()
        .unwrap_or(0);
    if percent + RELIEF > before {
        reached.max(before)
    } else {
        reached
    }
}

fn full(disk: Disk, name: &str) -> String {
    let left = disk.total.saturating_sub(disk.used) >> 20;
    let percent = disk.percent();
    format!(
        "*** The home of {name} is {percent} % full: {left} MiB are left. Remove what is not needed, or ask for a larger home. ***"
    )
}

fn out_of_memory(name: &str) -> String {
    format!(
        "*** A process was killed because the memory of {name} was full. devctl why {name} tells of it. ***"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_told_once_and_anew_after_a_relief_only() {
        let mut before = 0;
        let mut told = Vec::new();
        for percent in [50, 79, 80, 85, 79, 80, 90, 89, 91, 100, 60, 81] {
            let now = level(percent, before);
            if now > before {
                told.push(percent);
            }
            before = now;
        }
        assert_eq!(told, [80, 90, 100, 81]);
    }

    #[test]
    fn lines_say_how_much_is_left() {
        let line = full(
            Disk {
                total: 10 << 30,
                used: 9 << 30,
            },
            "box",
        );
        assert!(
            line.contains("box is 90 % full: 1024 MiB are left"),
            "{line}"
        );
        assert!(out_of_memory("box").contains("devctl why box"));
    }
}
