//! The way to become root: the sudo of the image where it lets the user in, else doas.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;

use super::{find_program, tool};
use crate::{files, login_user, notice};

const SUDOERS: &str = "/etc/sudoers.d";
const DOAS_RULES: &str = "/etc/doas.conf";
const PROGRAMS: &str = "/usr/local/bin";

/// Opens the sudo of the image, and installs doas where there is none or it refuses the user all the same.
pub fn make(name: &str) {
    if may_not_gain_privileges() {
        notice::say("note: this pod forbids becoming root (allowPrivilegeEscalation: false)");
        return;
    }
    let has_sudo = find_program("sudo").is_some();
    if has_sudo {
        open_sudo(name);
        if lets_in() {
            return;
        }
        notice::say(&format!(
            "the sudo of this image does not let {name} in; adding doas"
        ));
    }
    if let Err(error) = install_doas(name, has_sudo) {
        notice::say(&format!(
            "warning: doas could not be installed; {name} cannot become root: {error}"
        ));
    }
}

fn open_sudo(name: &str) {
    let folder = Path::new(SUDOERS);
    let path = folder.join("devserver");
    let rule = format!("{name} ALL=(ALL:ALL) NOPASSWD: ALL\n");
    if folder.is_dir()
        && let Err(error) = files::replace(&path, rule.as_bytes(), 0o440)
    {
        let path = path.display();
        notice::say(&format!("warning: {path} cannot be written: {error}"));
    }
}

fn lets_in() -> bool {
    let mut command = login_user::quiet_command("sudo", &["-n".into(), "true".into()]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn may_not_gain_privileges() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut values = status.lines().filter_map(|l| l.strip_prefix("NoNewPrivs:"));
    values.next().is_some_and(|value| value.trim() == "1")
}

fn install_doas(name: &str, has_sudo: bool) -> io::Result<()> {
    let rules = fs::read(DOAS_RULES).unwrap_or_default();
    let rules = with_rule(&rules, &format!("permit nopass keepenv {name}"));
    files::replace(Path::new(DOAS_RULES), &rules, 0o400)?;
    // It believes no rules that others could have written.
    files::close_to_all_but_root(Path::new(DOAS_RULES))?;
    let programs = Path::new(PROGRAMS);
    if !programs.is_dir() {
        files::folder(programs, 0o755)?;
    }
    files::install_setuid(&tool("bin/doas"), &programs.join("doas"))?;
    if !has_sudo {
        files::link(Path::new("doas"), &programs.join("sudo"))?;
    }
    Ok(())
}

/// The last rule that fits decides, so those of the image stay in force for others.
fn with_rule(rules: &[u8], rule: &str) -> Vec<u8> {
    let rules = rules.trim_ascii_end();
    let last = rules.rsplit(|byte| *byte == b'\n').next();
    let mut new = rules.to_owned();
    if last != Some(rule.as_bytes()) {
        if !new.is_empty() {
            new.push(b'\n');
        }
        new.extend_from_slice(rule.as_bytes());
    }
    new.push(b'\n');
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_rule_for_doas_is_the_last_and_there_once() {
        const RULE: &str = "permit nopass keepenv dev";
        let with = |rules: &str| String::from_utf8(with_rule(rules.as_bytes(), RULE)).unwrap();
        assert_eq!(with(""), format!("{RULE}\n"));
        let both = format!("permit nopass :wheel\n{RULE}\n");
        assert_eq!(with("permit nopass :wheel"), both);
        assert_eq!(with(&both), both);
        assert_eq!(with(&format!("# {RULE}\n")), format!("# {RULE}\n{RULE}\n"));
    }
}
