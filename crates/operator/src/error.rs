//! What can go wrong at the edge, and what is done about each kind.

use std::time::Duration;

use kube::core::Status;

/// Longest wait for one answer of the API server.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a look at a DevServer did not finish.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed.
    #[error("failed to {doing}: {source}")]
    Kube {
        /// What was being done, such as "read the DevServer".
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// No answer in time; whether it was done is unknown.
    #[error("failed to {0}: no answer within {secs} s", secs = CALL_TIMEOUT.as_secs())]
    Timeout(&'static str),
    /// The Lease is lost or about to be: not one more write.
    #[error("failed to write: the lease is lost")]
    NotLeader,
    /// The DevServer is to be read before something is written; never leaves a look.
    #[error("failed to write: the DevServer was not read")]
    Cached,
    /// Host keys could not be made.
    #[error("failed to make host keys: {0}")]
    HostKeys(#[source] ssh_key::Error),
    /// A task did not finish.
    #[error("failed to finish a task: {0}")]
    Task(#[source] tokio::task::JoinError),
}

impl Error {
    /// All words of [`Error::category`].
    pub const CATEGORIES: [&'static str; 5] = ["api", "timeout", "not_leader", "host_keys", "task"];

    /// Bounded word for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Kube { .. } | Self::Cached => "api",
            Self::Timeout(_) => "timeout",
            Self::NotLeader => "not_leader",
            Self::HostKeys(_) => "host_keys",
            Self::Task(_) => "task",
        }
    }

    /// The answer, when it is one that will be the same next time.
    pub fn refusal(&self) -> Option<&Status> {
        let Self::Kube { source, .. } = self else {
            return None;
        };
        let kube::Error::Api(status) = source.as_ref() else {
            return None;
        };
        matches!(status.code, 400 | 403 | 422).then_some(status)
    }

    /// Whether the API server said that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// Whether the API server could not do it to this object.
    pub fn is_invalid(&self) -> bool {
        self.code() == Some(422)
    }

    /// Whether somebody was faster.
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Kube { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Waits for an answer, but not for ever: a connection that went silent must not hold a worker.
pub async fn bounded<T>(
    doing: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(|source| Error::Kube {
            doing,
            source: Box::new(source),
        }),
        Err(_) => Err(Error::Timeout(doing)),
    }
}
