//! sshd's own check of its configuration, before it is to serve. It runs beside the rest of the preparation.

use std::io::{self, PipeReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{CONFIG, Error, tool};

/// A check that goes on.
pub struct Check {
    child: Child,
    said: PipeReader,
}

impl Check {
    /// Its turn is when the accounts are there.
    pub fn start() -> Result<Self, Error> {
        let configuration = Path::new(CONFIG).join("sshd_config");
        if !configuration.is_file() {
            return Err(Error::NoConfiguration(configuration));
        }
        let start = || {
            let (said, writer) = io::pipe()?;
            let child = Command::new(tool("sbin/sshd"))
                .args(["-t", "-f"])
                .arg(&configuration)
                .stdin(Stdio::null())
                .stdout(writer.try_clone()?)
                .stderr(writer)
                .spawn()?;
            Ok(Self { child, said })
        };
        start().map_err(failed)
    }

    /// Waits for the verdict.
    pub fn finish(mut self) -> Result<(), Error> {
        let mut said = Vec::new();
        self.said.read_to_end(&mut said).map_err(failed)?;
        let status = self.child.wait().map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said).trim_end().to_owned();
        Err(Error::Configuration(said))
    }
}

fn failed(source: io::Error) -> Error {
    Error::Sshd {
        path: tool("sbin/sshd"),
        source,
    }
}
