//! What the process ends with: every code in this one place.

use std::process::ExitCode;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed that has no code of its own.
    Error = 1,
    /// The command line is wrong. clap ends with the same code.
    Usage = 2,
    /// The DevServer, flavor or context does not exist.
    NotFound = 3,
    /// Not logged in, or not allowed.
    Forbidden = 4,
    /// The server refused the input.
    Invalid = 5,
    /// `--timeout` passed.
    TimedOut = 6,
    /// The environment failed or its spec is invalid, so waiting is of no use.
    Failed = 7,
    /// ssh itself failed; the same code the stock client uses.
    Ssh = 255,
}

/// Shown at the end of `--help`.
pub const HELP: &str = "\
Exit codes:
  0    done
  1    error
  2    wrong usage
  3    not found
  4    not logged in, or not allowed
  5    the server refused the input
  6    timed out
  7    the environment failed
  255  ssh itself failed (`devctl ssh` passes on the exit code of the remote command)";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The code for an answer of the API server.
    pub fn of_http(code: u16) -> Self {
        match code {
            401 | 403 => Self::Forbidden,
            404 => Self::NotFound,
            400 | 422 => Self::Invalid,
            408 | 504 => Self::TimedOut,
            _ => Self::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_told_in_the_help() {
        for exit in [
            Exit::Ok,
            Exit::Error,
            Exit::Usage,
            Exit::NotFound,
            Exit::Forbidden,
            Exit::Invalid,
            Exit::TimedOut,
            Exit::Failed,
            Exit::Ssh,
        ] {
            let code = format!("\n  {:<4} ", exit as u8);
            assert!(HELP.contains(&code), "{exit:?}");
        }
    }

    #[test]
    fn answers_of_the_server_have_their_codes() {
        for (http, exit) in [
            (401, Exit::Forbidden),
            (403, Exit::Forbidden),
            (404, Exit::NotFound),
            (409, Exit::Error),
            (422, Exit::Invalid),
            (500, Exit::Error),
        ] {
            assert_eq!(Exit::of_http(http), exit, "{http}");
        }
    }
}
