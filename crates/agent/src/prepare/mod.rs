//! What startup.sh does before it becomes sshd: accounts, home, a way to become root, what logins find. In one program, because
//! each process costs the user two to five milliseconds of waiting on a busy machine.
//!
//! It runs as root at every start of the container, so: what is right already is not written again, and nothing below the home
//! or /shared is touched as root. Those belong to the user, who could have left a symbolic link there.

mod folders;
mod home;
mod login;
mod root_access;
mod sshd;

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::unistd::Uid;
use thiserror::Error;

use crate::files;
use crate::login_user;
use crate::{accounts, notice};
use sshd::Check;

/// Exit status of an environment that cannot be prepared: `EX_CONFIG` of `sysexits.h`.
pub const EXIT_CONFIG: u8 = 78;
const TOOLS: &str = "/opt/devserver";
/// The mounted ConfigMap.
const CONFIG: &str = "/etc/devserver/sshd";

/// Why an environment cannot be prepared.
#[derive(Debug, Error)]
pub enum Error {
    #[error("DEVSERVER_LOGIN_USER is no name of a user: {0}")]
    Name(String),
    #[error("must run as root; the container runs as uid {0}")]
    NotRoot(Uid),
    #[error("{} cannot be made: the root file system is read-only ({source})", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    #[error("{} is a symbolic link; it must be a folder or a mount", .0.display())]
    HomeIsLink(PathBuf),
    #[error("{} cannot be made: {source}", path.display())]
    Home { path: PathBuf, source: io::Error },
    #[error("{} is missing: the ConfigMap of the environment is not mounted", .0.display())]
    NoConfiguration(PathBuf),
    #[error("failed to run {}: {source}", path.display())]
    Sshd { path: PathBuf, source: io::Error },
    #[error("sshd refuses its configuration: {0}")]
    Configuration(String),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Prepare the environment, with or without root.
    All {
        /// The PATH of the image.
        path: String,
    },
    /// Make the password of the login user what the mounted hash says now.
    Password,
    /// As the login user, what is to be done in the home; started by `All` and by nobody else.
    Home,
}

/// Does it, and says what is wrong.
pub fn run(part: &Part) -> ExitCode {
    match part {
        Part::All { path } => exit(prepare(path)),
        Part::Password => exit(accounts::change_password().map_err(Error::from)),
        Part::Home => home::as_login_user(),
    }
}

/// The message also goes where Kubernetes reads why a container ended.
fn exit(result: Result<(), Error>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    notice::say(&format!("error: {error}"));
    notice::write_termination_log(&format!("startup: {error}"));
    ExitCode::from(EXIT_CONFIG)
}

fn prepare(path: &str) -> Result<(), Error> {
    let name = login_user::checked_name().map_err(Error::Name)?;
    if !Uid::effective().is_root() {
        return prepare_without_root();
    }
    folders::make()?;
    accounts::make()?;
    // It needs the accounts and nothing else, so it goes on beside the rest.
    let check = if has_sshd() {
        Some(Check::start()?)
    } else {
        None
    };
    home::make(&login_user::home())?;
    let filling = home::fill_as_login_user();
    login::make(path);
    // Before sudo is asked, which may leave a file in the home: what is not empty is not filled.
    filling.finish();
    root_access::make(&name);
    check.map_or(Ok(()), Check::finish)
}

/// Where the flavor forbids root: the account files are mounted, and the home belongs to the group of the user already.
fn prepare_without_root() -> Result<(), Error> {
    let user = Uid::effective();
    if user.as_raw() != login_user::ID || has_sshd() {
        return Err(Error::NotRoot(user));
    }
    home::without_root(&login_user::home());
    Ok(())
}

/// Where sshd is in a container of its own, or nowhere, the port is 0.
fn has_sshd() -> bool {
    env::var_os("DEVSERVER_SSH_PORT").is_none_or(|port| port != "0")
}

/// A program in one of the folders of PATH.
fn find_program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .find(|path| files::is_program(path))
}

fn tool(path: &str) -> PathBuf {
    Path::new(TOOLS).join(path)
}
