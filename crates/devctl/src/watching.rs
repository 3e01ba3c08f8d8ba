//! What the errors of a watch mean. Most pass by themselves; a refusal does not.

use std::fmt::Display;

use kube::runtime::watcher;

use crate::{
    exit::Exit,
    failure::{Failure, Outcome},
};

/// Ends with an error that will not pass; any other is tried again by the watch itself.
pub fn refused(what: &str, error: &watcher::Error) -> Outcome {
    let is_refusal = |code: u16| matches!(code, 401 | 403 | 404);
    match error {
        watcher::Error::InitialListFailed(e)
        | watcher::Error::WatchStartFailed(e)
        | watcher::Error::WatchFailed(e) => match e {
            kube::Error::Api(status) if is_refusal(status.code) => Err(Failure::kube(what, e)),
            _ => Ok(()),
        },
        watcher::Error::WatchError(status) if is_refusal(status.code) => {
            let error = kube::Error::Api(status.clone());
            Err(Failure::kube(what, &error))
        }
        _ => Ok(()),
    }
}

/// A watch has no end of its own.
pub fn ended(what: impl Display) -> Failure {
    Failure::new(Exit::Error, format!("the watch on {what} ended")).remedy("run the command again")
}
