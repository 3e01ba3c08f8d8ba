//! Everything that can go wrong with a lab. Each text says what failed and, where there is one, the remedy.

use std::{io, path::PathBuf, process::ExitStatus};

/// Why a lab could not be started, used or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller is not root.
    #[error(
        "failed to {action}: network namespaces, mounts and cgroups need root; run it as root \
         (for example `sudo kubelab …`), or use a cluster of your own: `kubelab up --cluster existing`"
    )]
    NotRoot {
        /// What was about to be done.
        action: &'static str,
    },
    /// Too little space where the lab or its cache lives.
    #[error(
        "failed to find room below {path}: {free_mb} MB free, {needed_mb} MB needed; free some space or point \
         DEVSERVER_CACHE at a larger file system"
    )]
    Disk {
        /// The folder that was looked at.
        path: PathBuf,
        /// Megabytes free.
        free_mb: u64,
        /// Megabytes needed.
        needed_mb: u64,
    },
    /// Too little memory: all of a lab's state is in it.
    #[error(
        "failed to find memory for the lab: {free_mb} MB available, {needed_mb} MB needed; stop something else first"
    )]
    Memory {
        /// Megabytes available.
        free_mb: u64,
        /// Megabytes needed.
        needed_mb: u64,
    },
    /// The kernel lacks something the lab cannot do without.
    #[error("failed to find the kernel feature {feature}: {why}; {remedy}")]
    Kernel {
        /// Name of the feature.
        feature: &'static str,
        /// What was observed.
        why: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// No address range of the thirty-two is free.
    #[error(
        "failed to find a free address range in 198.18.0.0/15 for the lab: {taken}; take another lab down \
         (`kubelab down --all`) or remove the routes named"
    )]
    Addresses {
        /// What holds the ranges.
        taken: String,
    },
    /// Debian packages are missing and cannot be installed from here.
    #[error(
        "failed to find what the lab needs from the system: {packages}; install it with: {command}"
    )]
    Packages {
        /// The missing packages.
        packages: String,
        /// The command that installs them.
        command: String,
    },
    /// Go is absent or too old.
    #[error(
        "failed to use Go: {found}, and go {needed} or newer is needed to build the lab's programs; install it \
         from https://go.dev/dl (unpack to /usr/local/go and put /usr/local/go/bin into PATH)"
    )]
    Go {
        /// What was found.
        found: String,
        /// The least version.
        needed: String,
    },
    /// The checkout with `tools/tools.toml` was not found.
    #[error(
        "failed to find the folder with tools/tools.toml above the program or the working directory; \
         run kubelab from the checkout or set DEVSERVER_ROOT"
    )]
    Root,
    /// A name that cannot be used for a lab.
    #[error(
        "failed to use {0:?} as a lab's name: 1 to 32 lower-case letters, digits and dashes, starting and ending \
         with a letter or digit"
    )]
    Name(String),
    /// The running lab has another size.
    #[error(
        "failed to reuse lab {lab}: it runs with size {running}, not {wanted}; run `kubelab down --lab {lab}` first"
    )]
    Size {
        /// The lab.
        lab: String,
        /// Its size now.
        running: String,
        /// The size asked for.
        wanted: String,
    },
    /// There is no running lab of that name.
    #[error("failed to find lab {lab}: {why}; start it with `kubelab up --lab {lab}`")]
    Absent {
        /// The lab.
        lab: String,
        /// What is missing.
        why: String,
    },
    /// A component ended although it should run.
    #[error("failed to start {component}: it ended; {log} ends with:{tail}", log = log.display())]
    Died {
        /// Which one.
        component: String,
        /// Its log file.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },
    /// Something did not become ready in time.
    #[error("failed to see {what} within {seconds} s: {last}{tail}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// The last observation.
        last: String,
        /// The end of the log of the component in question, or nothing.
        tail: String,
    },
    /// Something of a lab could not be removed.
    #[error("failed to remove everything of lab {lab}; still there: {}", left.join(", "))]
    Leftovers {
        /// The lab.
        lab: String,
        /// What is left.
        left: Vec<String>,
    },
    /// A program could not be run or failed.
    #[error("failed to run `{command}`: {status}{output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: Ended,
        /// The end of what it printed, starting with a line break, or nothing.
        output: String,
    },
    /// The API server answered with an error.
    #[error("failed to {request}: the API server answered {status}: {body}")]
    Api {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The message.
        body: String,
    },
    /// A name that is not in `tools/tools.toml` or not a folder of `images/`.
    #[error("failed to find {kind} {name:?}; there are: {known}")]
    Unknown {
        /// `tool`, `image`, `component`.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A file operation failed.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("failed to read {}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A certificate could not be made.
    #[error("failed to make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS connection to the API server could not be set up.
    #[error("failed to speak TLS with the API server")]
    Tls(#[from] rustls::Error),
}

/// How a program ended, or why it did not start.
#[derive(Debug)]
pub enum Ended {
    /// It ran and ended with this status.
    With(ExitStatus),
    /// It could not be started.
    NotStarted(io::Error),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::With(status) => status.fmt(f),
            Self::NotStarted(error) => error.fmt(f),
        }
    }
}

/// Adds action and path to an [`io::Error`].
pub(crate) trait At<T> {
    /// Names what was done and to which file.
    fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            action,
            path: path.into(),
            source,
        })
    }
}
