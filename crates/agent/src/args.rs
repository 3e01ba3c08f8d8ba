//! The command line, read by hand: four words do not pay for an argument parser in a program
//! that is mounted into every environment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::prepare::Part;

/// Printed below every error about the command line.
pub const USAGE: &str = "usage: devserver-agent init -- PROGRAM [ARGUMENT…]
       devserver-agent prepare [--path PATH]
       devserver-agent prepare password
       devserver-agent pause
       devserver-agent authorized-keys USER [LOGIN-USER]
       devserver-agent as-login-user [--log FILE] -- PROGRAM [ARGUMENT…]
       devserver-agent copy FROM TO
       devserver-agent session NAME [-- PROGRAM [ARGUMENT…]]
       devserver-agent sessions
       devserver-agent hold DURATION
       devserver-agent hold [--for DURATION] -- PROGRAM [ARGUMENT…]
       devserver-agent version

Inside an environment the same program is called devctl: devctl hold 4h, devctl hold -- make train.";

/// Longer than any platform lets an environment be held: the program's end ends the lease, or the platform's bound.
const UNTIL_ITS_END: u64 = 365 * 24 * 3600;

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
    /// Make of any image an environment people log in to, before sshd starts.
    Prepare(Part),
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
        /// The one account that has keys, where it is not called as usual.
        login: Option<OsString>,
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
    /// Take a lease on the environment.
    Hold {
        /// For how long at most.
        seconds: u64,
        /// As long as this runs, with its arguments; empty: for the whole time.
        program: Vec<OsString>,
    },
    /// Report what goes on in the environment; started by `init` and by nobody else.
    Collect,
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
    /// A command of the devctl that people have on their own machines.
    #[error(
        "{0:?} is not a command inside an environment: use the devctl of your own machine for it"
    )]
    Outside(OsString),
    /// A subcommand with too few, too many or misplaced words.
    #[error("wrong arguments for '{0}'")]
    Arguments(&'static str),
}

/// Reads the words after the program's name. Called `devctl`, it is what people use inside an environment, and no more.
pub fn parse_as(
    called: &OsStr,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Command, Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    let is_devctl = Path::new(called).file_name() == Some(OsStr::new("devctl"));
    let is_for_people = |word: &OsString| {
        ["hold", "session", "sessions", "version"]
            .iter()
            .any(|w| word == *w)
    };
    match words.first() {
        Some(first) if is_devctl && !is_for_people(first) => Err(Error::Outside(first.clone())),
        _ => parse(words),
    }
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
        Some("prepare") => prepare(&rest),
        Some("pause") if rest.is_empty() => Ok(Command::Pause),
        Some("authorized-keys") => keys(rest),
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
        Some("hold") => hold(&rest),
        Some("collect") if rest.is_empty() => Ok(Command::Collect),
        Some("version" | "--version") if rest.is_empty() => Ok(Command::Version),
        _ => Err(Error::Unknown(command)),
    }
}

/// `[--path PATH]`, `password` or `home`.
fn prepare(rest: &[OsString]) -> Result<Command, Error> {
    const WRONG: Error = Error::Arguments("prepare");
    let part = match rest {
        [] => Part::All {
            path: String::new(),
        },
        [word] if word == "password" => Part::Password,
        [word] if word == "home" => Part::Home,
        [option, path] if option == "--path" => {
            let path = path.to_str().ok_or(WRONG)?.to_owned();
            Part::All { path }
        }
        _ => return Err(WRONG),
    };
    Ok(Command::Prepare(part))
}

/// `USER`, or `USER LOGIN-USER`.
fn keys(rest: Vec<OsString>) -> Result<Command, Error> {
    let mut rest = rest.into_iter();
    match (rest.next(), rest.next(), rest.next()) {
        (Some(user), login, None) => Ok(Command::AuthorizedKeys { user, login }),
        _ => Err(Error::Arguments("authorized-keys")),
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

/// `DURATION`, or `[--for DURATION] -- PROGRAM [ARGUMENT…]`.
fn hold(rest: &[OsString]) -> Result<Command, Error> {
    const WRONG: Error = Error::Arguments("hold");
    let read = |word: &OsString| word.to_str().and_then(seconds).ok_or(WRONG);
    match rest {
        [duration] => Ok(Command::Hold {
            seconds: read(duration)?,
            program: Vec::new(),
        }),
        [option, duration, separator, program @ ..]
            if option == "--for" && separator == "--" && !program.is_empty() =>
        {
            Ok(Command::Hold {
                seconds: read(duration)?,
                program: program.to_vec(),
            })
        }
        [separator, program @ ..] if separator == "--" && !program.is_empty() => {
            Ok(Command::Hold {
                seconds: UNTIL_ITS_END,
                program: program.to_vec(),
            })
        }
        _ => Err(WRONG),
    }
}

/// As Go writes durations: hours, minutes, seconds, in that order, more than zero and at most a year.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0_u64);
    for (unit, size) in [('h', 3600), ('m', 60), ('s', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            let number: u64 = number.parse().ok().filter(|_| is_number)?;
            total = total.checked_add(number.checked_mul(size)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && (1..=UNTIL_ITS_END).contains(&total)).then_some(total)
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
mod tests;
