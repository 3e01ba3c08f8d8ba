//! Prints a log, and goes on printing.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

/// How often to look for more.
const PAUSE: Duration = Duration::from_millis(200);

/// Prints the file; with `follow` until the reader of our output goes away or we are interrupted.
pub(super) fn print(path: &Path, follow: bool) -> Result<()> {
    let mut file =
        File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            if !follow {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        let mut out = io::stdout();
        let written = out
            .write_all(buffer.get(..count).unwrap_or_default())
            .and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
    }
}
