//! The one account people log in to, and a way to act as it: startup.sh runs as root and must not
//! touch files below the home with root's rights, because the user may have left links there.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

/// The account's name.
pub const NAME: &str = "dev";
const HOME: &str = "/home/dev";
const ID: u32 = 1000;

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
        .env("HOME", HOME)
        .env("USER", NAME)
        .env("LOGNAME", NAME);
    if let Some(log) = log {
        write_to(&mut command, log);
    }
    command.exec()
}

/// The groups first: afterwards there is no right left to change them. Where nobody is root it is the login user already.
fn drop_rights() -> io::Result<()> {
    if Uid::effective().as_raw() == ID {
        return Ok(());
    }
    setgroups(&[Gid::from_raw(ID)])
        .and_then(|()| setgid(Gid::from_raw(ID)))
        .and_then(|()| setuid(Uid::from_raw(ID)))
        .map_err(Into::into)
}

/// Made after all rights were given up: a link that the user left in place of the log leads nowhere the user could not go.
fn write_to(command: &mut Command, log: &Path) {
    let open = || {
        let log = Path::new(HOME).join(log);
        fs::create_dir_all(log.parent().unwrap_or(Path::new(HOME)))?;
        let file = File::create(&log)?;
        io::Result::Ok((file.try_clone()?, file))
    };
    if Path::new(HOME).is_dir() {
        command.current_dir(HOME);
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
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["as-login-user", "--log", log, "--", program])
        .args(arguments)
        .process_group(0);
    command
}
