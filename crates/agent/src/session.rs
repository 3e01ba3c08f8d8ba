//! Named terminals that outlive the connection they were opened from.
//!
//! ```text
//! ssh ─► session NAME (client) ──unix socket──► session-keeper ──pty──► session-program ─► the shell
//! ```
//!
//! The keeper has a session of its own, so nothing of the connection's end reaches it. It ends with its program. Whoever
//! may open the folder of the sockets owns the account already, so there is no other check.

mod client;
mod folder;
mod frame;
mod keeper;
mod screen;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTSTP};

pub use client::run as attach;
pub use folder::check as check_name;
pub use keeper::run as keep;

use frame::Frame;

/// Tells the program in which session it runs.
const VARIABLE: &str = "DEVSERVER_SESSION";
/// How long a keeper may take to say what it keeps.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes standard input the controlling terminal and becomes the program. Comes back only when it cannot.
pub fn become_program(program: &OsStr, arguments: &[OsString]) -> io::Error {
    let taken = nix::unistd::setsid()
        .map_err(io::Error::from)
        .and_then(|_| Ok(rustix::process::ioctl_tiocsctty(io::stdin())?))
        .and_then(|()| heed_the_terminal());
    match taken {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error,
    }
}

/// What a terminal's signals do by default counts again, whatever was ignored where the session was started from (nohup): what a
/// process catches, its successor has by default, and what it ignores, its successor ignores.
fn heed_the_terminal() -> io::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTSTP] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

/// Prints the sessions that are there, one in each line.
pub fn list() -> Result<()> {
    let folder = folder::open()?;
    let mut out = io::stdout().lock();
    for name in folder.names()? {
        // One whose keeper is gone has left its socket behind; the next of its name removes it.
        if let Ok(told) = ask(&folder.socket(&name)) {
            writeln!(out, "{name}\t{told}").context("failed to print")?;
        }
    }
    Ok(())
}

fn ask(socket: &std::path::Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Frame::Ask.write(&mut stream)?;
    match Frame::read(&mut stream)? {
        Some(Frame::Told(text)) => Ok(String::from_utf8_lossy(&text).into_owned()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
