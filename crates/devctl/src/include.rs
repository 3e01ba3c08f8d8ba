//! The one `Include` line in the user's own `~/.ssh/config`.
//!
//! The file is the user's: every other byte of it stays as it is, a link to it stays a link, and taking the line out
//! again gives back what was there.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
    files, ssh_config,
};

/// The line that makes plain `ssh` find the files in `dir`.
pub fn line(dir: &Path) -> Outcome<String> {
    let value = ssh_config::glob_value(&dir.join("*.config")).map_err(|e| {
        Failure::new(
            Exit::Error,
            "the folder of devctl's ssh files cannot be included by ssh",
        )
        .because(e)
        .remedy(format!("choose another folder with {}", files::CONFIG_DIR))
    })?;
    Ok(format!("Include {value}"))
}

/// What an edit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The file is as it was.
    Unchanged,
    /// The file was written.
    Changed,
}

/// The text with the line at its top, where it holds for all hosts. After a `Host` or `Match` it would hold for these only.
pub fn with_line(text: &str, line: &str) -> String {
    let is_section = |l: &str| {
        let word = l
            .trim_start()
            .split([' ', '\t', '='])
            .next()
            .unwrap_or_default();
        word.eq_ignore_ascii_case("host") || word.eq_ignore_ascii_case("match")
    };
    let in_effect = text
        .lines()
        .take_while(|l| !is_section(l))
        .any(|l| l == line);
    if in_effect {
        return text.to_owned();
    }
    format!("{line}\n{}", without_line(text, line))
}

/// The text without the line, wherever it stands.
pub fn without_line(text: &str, line: &str) -> String {
    text.split_inclusive('\n')
        .filter(|l| l.trim_end_matches(['\n', '\r']) != line)
        .collect()
}

/// Whether the line is in effect.
pub fn is_enabled(config: &Path, line: &str) -> Outcome<bool> {
    let (_, text) = read(config)?;
    Ok(!text.is_empty() && with_line(&text, line) == text)
}

/// Puts the line in; creates the file when there is none.
pub fn enable(config: &Path, line: &str) -> Outcome<Edit> {
    edit(config, |text| with_line(text, line))
}

/// Takes the line out.
pub fn disable(config: &Path, line: &str) -> Outcome<Edit> {
    edit(config, |text| without_line(text, line))
}

fn edit(config: &Path, change: impl Fn(&str) -> String) -> Outcome<Edit> {
    let (target, before) = read(config)?;
    let after = change(&before);
    if after == before {
        return Ok(Edit::Unchanged);
    }
    let mode = fs::metadata(&target).map_or(0o600, |m| m.permissions().mode() & 0o777);
    files::write_with_mode(&target, &after, mode)?;
    Ok(Edit::Changed)
}

/// The file behind all links, and its text. Dotfile managers make `~/.ssh/config` a link; replacing it would cut it off.
fn read(config: &Path) -> Outcome<(PathBuf, String)> {
    let failed = |e: &io::Error| {
        Failure::io(format!("failed to read {}", config.display()), e)
            .remedy("make it a readable text file, or add the line of `devctl config ssh-include --print` yourself")
    };
    match fs::symlink_metadata(config) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Ok((config.to_owned(), String::new()));
        }
        Err(e) => return Err(failed(&e)),
        Ok(_) => {}
    }
    let target = config.canonicalize().map_err(|e| failed(&e))?;
    let text = fs::read_to_string(&target).map_err(|e| failed(&e))?;
    Ok((target, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "Include \"/home/u/.config/devctl/ssh/*.config\"";

    #[test]
    fn the_line_goes_to_the_top_and_out_again_without_a_trace() {
        for before in [
            "",
            "Host a\n  User b\n",
            "# no end of line",
            "\r\nHost x\r\n",
            LINE.replace("devctl", "other").as_str(),
        ] {
            let after = with_line(before, LINE);
            assert!(after.starts_with(LINE));
            assert_eq!(without_line(&after, LINE), before);
        }
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let once = with_line("Host a\n", LINE);
        assert_eq!(with_line(&once, LINE), once);
        let moved = format!("# mine\n{LINE}\nHost a\n");
        assert_eq!(
            with_line(&moved, LINE),
            moved,
            "anywhere before the first Host is good"
        );
    }

    #[test]
    fn a_line_below_a_host_is_moved_up_because_it_would_hold_for_that_host_only() {
        for section in ["Host a", "  match user x", "HOST=a"] {
            let below = format!("{section}\n{LINE}\n");
            assert_eq!(with_line(&below, LINE), format!("{LINE}\n{section}\n"));
        }
    }

    #[test]
    fn a_linked_configuration_stays_linked() {
        let root = tempfile::tempdir().unwrap();
        let (real, link) = (root.path().join("dotfiles"), root.path().join("config"));
        fs::write(&real, "Host a\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink("dotfiles", &link).unwrap();
        assert_eq!(enable(&link, LINE).unwrap(), Edit::Changed);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::read_to_string(&real).unwrap(),
            format!("{LINE}\nHost a\n")
        );
        assert_eq!(
            fs::metadata(&real).unwrap().permissions().mode() & 0o777,
            0o644
        );
        assert!(is_enabled(&link, LINE).unwrap());
        assert_eq!(disable(&link, LINE).unwrap(), Edit::Changed);
        assert_eq!(fs::read_to_string(&real).unwrap(), "Host a\n");
    }

    #[test]
    fn a_new_file_is_for_its_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let config = root.path().join(".ssh/config");
        assert!(!is_enabled(&config, LINE).unwrap());
        assert_eq!(enable(&config, LINE).unwrap(), Edit::Changed);
        assert_eq!(enable(&config, LINE).unwrap(), Edit::Unchanged);
        assert_eq!(
            fs::metadata(&config).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::metadata(config.parent().unwrap())
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o700
        );
    }

    #[test]
    fn a_broken_link_is_an_error_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join("config");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(enable(&link, LINE).is_err());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
