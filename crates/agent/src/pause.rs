//! The main process of a container without sshd: there is something to end, and nothing else.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Returns when the container is to stop.
pub fn run() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    // A hang-up asks to read a configuration again, and there is none.
    signals.forever().find(|signal| *signal != SIGHUP);
    Ok(())
}
