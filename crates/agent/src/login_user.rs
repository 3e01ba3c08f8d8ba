//! The one account people log in to, and a way to act as it: the preparation runs as root and must not
//! touch files below the home with root's rights, because the user may have left links there.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

/// The account's name, unless the pod's author says another one.
pub const NAME: &str = "dev";
/// What an image made for somebody else calls its user with our id (`DEVSERVER_LOGIN_USER`).
const NAME_VARIABLE: &str = "DEVSERVER_LOGIN_USER";
/// Its id, and that of its group.
pub const ID: u32 = 1000;
/// Where its home is.
pub const HOMES: &str = "/home";

/// The account's name here.
pub fn name() -> String {
    checked_name().unwrap_or_else(|_| NAME.to_owned())
}

/// The account's name here; the error is what was set and is none.
pub fn checked_name() -> Result<String, String> {
    checked(env::var_os(NAME_VARIABLE))
}

/// The account's home.
pub fn home() -> PathBuf {
    Path::new(HOMES).join(name())
}

/// It becomes part of paths, so it must not lead anywhere else.
fn checked(name: Option<OsString>) -> Result<String, String> {
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    match name.as_bytes() {
        [] => Ok(NAME.to_owned()),
        [first, ..] if first.is_ascii_lowercase() && name.bytes().all(inner) => Ok(name),
        _ => Err(name),
    }
}

/// Gives up every right but the login user's and becomes `program`. Returns only if that failed.
/// With a log, a path below the home, the program runs in the home and its output goes there.
pub fn run(program: &OsStr, arguments: &[OsString], log: Option<&Path>) -> io::Error {
    if let Err(error) = drop_rights() {
        return error;
    }
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir("/")
        .env("HOME", home())
        .env("USER", name())
        .env("LOGNAME", name());
    if let Some(log) = log {
        write_to(&mut command, &home(), log);
    }
    command.exec()
}

/// The groups first: afterwards there is no right left to change them. Where nobody is root it is the login user already.
pub fn drop_rights() -> io::Result<()> {
    if Uid::effective().as_raw() == ID {
        return Ok(());
    }
    setgroups(&[Gid::from_raw(ID)])
        .and_then(|()| setgid(Gid::from_raw(ID)))
        .and_then(|()| setuid(Uid::from_raw(ID)))
        .map_err(Into::into)
}

/// Made after all rights were given up: a link that the user left in place of the log leads nowhere the user could not go.
fn write_to(command: &mut Command, home: &Path, log: &Path) {
    let open = || {
        let log = home.join(log);
        fs::create_dir_all(log.parent().unwrap_or(home))?;
        let file = File::create(&log)?;
        io::Result::Ok((file.try_clone()?, file))
    };
    if home.is_dir() {
        command.current_dir(home);
    }
    command.stdin(Stdio::null());
    match open() {
        Ok((out, err)) => {
            command.stdout(out).stderr(err);
        }
        // A full or read-only home: the container's own log is better than nothing.
        Err(error) => eprintln!(
            "devserver-agent: failed to open ~/{}: {error}",
            log.display()
        ),
    }
}

/// A command for the agent to start: this very program, which becomes `program` as the login user. In a process group of
/// its own, so that a signal to the main process is not meant for it.
pub fn command(log: &str, program: &str, arguments: &[String]) -> Command {
    act(&["--log", log], program, arguments)
}

/// The same, without a log of its own.
pub fn quiet_command(program: &str, arguments: &[String]) -> Command {
    act(&[], program, arguments)
}

/// This very program with another of its commands, as the login user.
pub fn own_command(word: &str) -> Command {
    act(&[], "/proc/self/exe", &[word.to_owned()])
}

fn act(options: &[&str], program: &str, arguments: &[String]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("as-login-user")
        .args(options)
        .args(["--", program])
        .args(arguments)
        .process_group(0);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_lead_elsewhere_is_not_taken() {
        let named = |name: &str| checked(Some(name.into()));
        assert_eq!(named("coder-2"), Ok("coder-2".into()));
        assert_eq!(
            (named(""), checked(None)),
            (Ok(NAME.into()), Ok(NAME.into()))
        );
        for name in ["..", "a/b", "A", "a b", "-a", "1a"] {
            assert_eq!(named(name), Err(name.into()));
        }
    }
}
