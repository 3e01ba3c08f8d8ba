//! The one account people log in to, and a way to act as it: startup.sh runs as root and must not
//! touch files below the home with root's rights, because the user may have left links there.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

/// The account's name.
pub const NAME: &str = "dev";
const HOME: &str = "/home/dev";
const ID: u32 = 1000;

/// Gives up every right but the login user's and becomes `program`. Returns only if that failed.
pub fn run(program: &OsStr, arguments: &[OsString]) -> io::Error {
    // The groups first: afterwards there is no right left to change them.
    let dropped = setgroups(&[Gid::from_raw(ID)])
        .and_then(|()| setgid(Gid::from_raw(ID)))
        .and_then(|()| setuid(Uid::from_raw(ID)));
    if let Err(error) = dropped {
        return error.into();
    }
    Command::new(program)
        .args(arguments)
        .current_dir("/")
        .env("HOME", HOME)
        .env("USER", NAME)
        .env("LOGNAME", NAME)
        .exec()
}
