//! The command line, read by hand: four words do not pay for an argument parser in a program
//! that is mounted into every environment.

use std::ffi::OsString;
use std::path::PathBuf;

use thiserror::Error;

/// Printed below every error about the command line.
pub const USAGE: &str = "usage: devserver-agent init -- PROGRAM [ARGUMENT…]
       devserver-agent pause
       devserver-agent authorized-keys USER
       devserver-agent as-login-user [--log FILE] -- PROGRAM [ARGUMENT…]
       devserver-agent copy FROM TO
       devserver-agent session NAME [-- PROGRAM [ARGUMENT…]]
       devserver-agent sessions
       devserver-agent version";

/// Exit status of a wrong command line, as `sysexits.h` has it.
pub const EXIT_USAGE: u8 = 64;

/// What the agent was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Be the first process: start the program, look after it and everything it leaves behind.
    Init {
        /// The program to start.
        program: OsString,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
    /// Do nothing until told to end: the main process where no sshd is wanted.
    Pause,
    /// Become the login user for good and run the program in place of the agent.
    AsLoginUser {
        /// File below the home that takes the program's output.
        log: Option<PathBuf>,
        /// The program to run.
        program: OsString,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
    /// Answer sshd's question which keys may log in as this user.
    AuthorizedKeys {
        /// The account sshd asks about.
        user: OsString,
    },
    /// Copy a tree, for clusters without image volumes.
    Copy {
        /// The tree to copy.
        from: PathBuf,
        /// The folder that becomes the copy.
        to: PathBuf,
    },
    /// Show a named terminal, and make it when it is not there.
    Session {
        /// Its name.
        name: String,
        /// What to run in a new one, with its arguments; empty is the login shell.
        program: Vec<OsString>,
    },
    /// List the named terminals.
    Sessions,
    /// Keep a named terminal; started by `session` and by nobody else.
    SessionKeeper {
        /// Its name.
        name: String,
        /// Rows and columns to begin with.
        size: (u16, u16),
        /// The program to run.
        program: OsString,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
    /// Become the program of a named terminal; started by `session-keeper` and by nobody else.
    SessionProgram {
        /// The program to run.
        program: OsString,
        /// Its arguments.
        arguments: Vec<OsString>,
    },
    /// Print the version.
    Version,
}

/// Why a command line was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// No subcommand was given.
    #[error("no command given")]
    Missing,
    /// The first word is not one of ours.
    #[error("unknown command {0:?}")]
    Unknown(OsString),
    /// A subcommand with too few, too many or misplaced words.
    #[error("wrong arguments for '{0}'")]
    Arguments(&'static str),
}

/// Reads the words after the program's name.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut words = words.into_iter();
    let command = words.next().ok_or(Error::Missing)?;
    let rest: Vec<OsString> = words.collect();
    match command.to_str() {
        Some("init") => {
            let (program, arguments) = program("init", rest)?;
            Ok(Command::Init { program, arguments })
        }
        Some("as-login-user") => {
            let (log, rest) = log(rest);
            let (program, arguments) = program("as-login-user", rest)?;
            Ok(Command::AsLoginUser {
                log,
                program,
                arguments,
            })
        }
        Some("pause") if rest.is_empty() => Ok(Command::Pause),
        Some("authorized-keys") => match <[OsString; 1]>::try_from(rest) {
            Ok([user]) => Ok(Command::AuthorizedKeys { user }),
            Err(_) => Err(Error::Arguments("authorized-keys")),
        },
        Some("copy") => match <[OsString; 2]>::try_from(rest) {
            Ok([from, to]) => Ok(Command::Copy {
                from: from.into(),
                to: to.into(),
            }),
            Err(_) => Err(Error::Arguments("copy")),
        },
        Some("session") => session(rest),
        Some("sessions") if rest.is_empty() => Ok(Command::Sessions),
        Some("session-keeper") => keeper(rest),
        Some("session-program") => {
            let (program, arguments) = program("session-program", rest)?;
            Ok(Command::SessionProgram { program, arguments })
        }
        Some("version" | "--version") if rest.is_empty() => Ok(Command::Version),
        _ => Err(Error::Unknown(command)),
    }
}

/// `NAME`, or `NAME -- PROGRAM [ARGUMENT…]`.
fn session(rest: Vec<OsString>) -> Result<Command, Error> {
    const WRONG: Error = Error::Arguments("session");
    let mut rest = rest.into_iter();
    let name = name(rest.next()).ok_or(WRONG)?;
    let others: Vec<OsString> = rest.collect();
    let program = if others.is_empty() {
        Vec::new()
    } else {
        let (program, arguments) = program("session", others)?;
        [vec![program], arguments].concat()
    };
    Ok(Command::Session { name, program })
}

/// `NAME ROWS COLUMNS -- PROGRAM [ARGUMENT…]`.
fn keeper(rest: Vec<OsString>) -> Result<Command, Error> {
    const WRONG: Error = Error::Arguments("session-keeper");
    let number = |word: Option<OsString>| word?.to_str()?.parse::<u16>().ok();
    let mut rest = rest.into_iter();
    let name = name(rest.next()).ok_or(WRONG)?;
    let size = number(rest.next()).zip(number(rest.next())).ok_or(WRONG)?;
    let (program, arguments) = program("session-keeper", rest.collect())?;
    Ok(Command::SessionKeeper {
        name,
        size,
        program,
        arguments,
    })
}

/// A word that may be the name of a session.
fn name(word: Option<OsString>) -> Option<String> {
    let name = word?.into_string().ok()?;
    crate::session::check_name(&name).ok()?;
    Some(name)
}

/// Takes `--log FILE` away from the front.
fn log(rest: Vec<OsString>) -> (Option<PathBuf>, Vec<OsString>) {
    match rest.as_slice() {
        [option, file, others @ ..] if option == "--log" => (Some(file.into()), others.to_vec()),
        _ => (None, rest),
    }
}

/// `-- PROGRAM [ARGUMENT…]`: the separator keeps the program's options apart from ours to come.
fn program(command: &'static str, rest: Vec<OsString>) -> Result<(OsString, Vec<OsString>), Error> {
    let mut rest = rest.into_iter();
    match (rest.next(), rest.next()) {
        (Some(separator), Some(program)) if separator == "--" => Ok((program, rest.collect())),
        _ => Err(Error::Arguments(command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn init_keeps_the_programs_own_options() {
        let parsed = parse_line("init -- /bin/sh -c --").unwrap();
        let arguments = vec!["-c".into(), "--".into()];
        assert_eq!(
            parsed,
            Command::Init {
                program: "/bin/sh".into(),
                arguments
            }
        );
    }

    #[test]
    fn init_without_separator_or_program_is_refused() {
        for line in ["init", "init --", "init /bin/sh", "init /bin/sh -c"] {
            assert_eq!(parse_line(line), Err(Error::Arguments("init")), "{line}");
        }
        let error = Error::Arguments("as-login-user");
        assert_eq!(parse_line("as-login-user id"), Err(error));
    }

    #[test]
    fn every_other_command_takes_exactly_its_words() {
        assert_eq!(parse_line("version"), Ok(Command::Version));
        assert_eq!(
            parse_line("copy / /target"),
            Ok(Command::Copy {
                from: "/".into(),
                to: "/target".into()
            })
        );
        assert_eq!(
            parse_line("authorized-keys dev"),
            Ok(Command::AuthorizedKeys { user: "dev".into() })
        );
        assert_eq!(parse_line("copy /"), Err(Error::Arguments("copy")));
        assert_eq!(
            parse_line("authorized-keys a b"),
            Err(Error::Arguments("authorized-keys"))
        );
    }

    #[test]
    fn a_log_is_taken_before_the_separator_only() {
        let log = |line| match parse_line(line) {
            Ok(Command::AsLoginUser { log, arguments, .. }) => (log, arguments.len()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            log("as-login-user --log a/b -- id"),
            (Some("a/b".into()), 0)
        );
        assert_eq!(log("as-login-user -- id --log x"), (None, 2));
        assert_eq!(parse_line("pause"), Ok(Command::Pause));
        assert!(parse_line("pause now").is_err());
    }

    #[test]
    fn a_session_has_a_name_that_is_one_and_maybe_a_program() {
        let session = |name: &str, program: &[&str]| {
            Ok(Command::Session {
                name: name.to_owned(),
                program: program.iter().map(OsString::from).collect(),
            })
        };
        assert_eq!(parse_line("session build"), session("build", &[]));
        assert_eq!(
            parse_line("session build -- make -j2"),
            session("build", &["make", "-j2"])
        );
        for line in [
            "session",
            "session ../x",
            "session a b",
            "session a --",
            "session -- a",
        ] {
            assert_eq!(parse_line(line), Err(Error::Arguments("session")), "{line}");
        }
        assert!(parse_line("session-keeper a 24 x -- sh").is_err());
    }

    #[test]
    fn unknown_and_missing_commands_are_told_apart() {
        assert_eq!(parse_line(""), Err(Error::Missing));
        assert_eq!(parse_line("serve"), Err(Error::Unknown("serve".into())));
    }
}
