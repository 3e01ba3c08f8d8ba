//! A failed command: what failed, why, what to do, and the exit code.

use std::{error::Error as _, fmt};

use crate::{escape, exit::Exit};

/// Why the command did not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    what: String,
    why: Option<String>,
    remedy: Option<String>,
}

/// What every command ends with.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// Something failed; the text begins with a verb or a name, lower case, no full stop.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            why: None,
            remedy: None,
        }
    }

    /// The command line asks for something that cannot be.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// Adds the reason.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = Some(why.to_string());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A local file or program could not be used.
    pub fn io(what: impl Into<String>, error: &std::io::Error) -> Self {
        Self::new(Exit::Error, what).because(error)
    }

    /// The API server refused, or could not be asked.
    pub fn kube(what: impl Into<String>, error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::new(Exit::Error, what).because(chain(error)).remedy(
                "check that the cluster of this context can be reached: `kubectl cluster-info` with the same --context",
            );
        };
        let failure = Self::new(Exit::of_http(status.code), what).because(&status.message);
        match (status.code, status.reason.as_str()) {
            (401, _) => failure.remedy("log in to the cluster again; the credentials of this context are not accepted"),
            (403, _) => failure.remedy("ask an administrator for a DevServerUser, or choose your own namespace with --namespace"),
            // The API server has this text for a kind it does not know, not for an object it does not have.
            (404, _) if status.message.contains("could not find the requested resource") || status.message.starts_with("404") => {
                failure.remedy("the DevServer platform is not installed in this cluster; check --context, or install the chart devserver-platform")
            }
            (409, "AlreadyExists") => failure.remedy("choose another name, or see it with `devctl describe NAME`"),
            (400 | 422, _) => failure.remedy("correct the value named above and try again"),
            (429 | 500..=599, _) => failure.remedy("the API server is busy or restarting; try again"),
            _ => failure,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape::line(&self.what))?;
        if let Some(why) = &self.why {
            write!(f, ": {}", escape::lines(why))?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n  {}", escape::lines(remedy))?;
        }
        Ok(())
    }
}

/// The whole chain of sources in one line; the outermost text of a client error seldom says what happened.
fn chain(error: &kube::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, reason: &str, message: &str) -> kube::Error {
        let mut status = kube::core::Status::failure(message, reason);
        status.code = code;
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let failure = Failure::new(Exit::Error, "failed to read x")
            .because("no such file")
            .remedy("make it");
        assert_eq!(
            failure.to_string(),
            "failed to read x: no such file\n  make it"
        );
    }

    #[test]
    fn d11_a_message_of_the_server_cannot_reach_the_terminal_raw() {
        let error = answer(403, "Forbidden", "no\x1b]0;owned\x07");
        let failure = Failure::kube("failed to create", &error);
        assert_eq!(failure.exit, Exit::Forbidden);
        assert!(!failure.to_string().contains('\x1b'));
    }

    #[test]
    fn a_missing_platform_is_told_apart_from_a_missing_object() {
        let no_kind = Failure::kube(
            "x",
            &answer(
                404,
                "NotFound",
                "the server could not find the requested resource",
            ),
        );
        let no_object = Failure::kube(
            "x",
            &answer(404, "NotFound", "devservers.devserver.io \"x\" not found"),
        );
        assert!(no_kind.to_string().contains("not installed"));
        assert!(!no_object.to_string().contains("not installed"));
    }
}
