//! What went wrong, as a page: what it is and what to do. Says nothing about what belongs to others.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::pages::view;

/// Why a request has no better answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Code of the answer.
    pub status: StatusCode,
    /// What it is.
    pub title: &'static str,
    /// Why, and what to do.
    pub text: String,
    /// Bounded word for metrics and the audit.
    pub reason: &'static str,
}

impl Problem {
    /// With these words.
    pub fn new(
        status: StatusCode,
        reason: &'static str,
        title: &'static str,
        text: impl Into<String>,
    ) -> Self {
        Self {
            status,
            title,
            text: text.into(),
            reason,
        }
    }

    /// There is none, or it is somebody else's: one answer for both, or names could be guessed.
    pub fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "Not found",
            "There is no such page or environment, or it is not one of yours.",
        )
    }

    /// Not from one of our pages.
    pub fn foreign() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign",
            "This did not come from the console",
            "The form was not sent by a page of this console, or is from before your last login. Go back, load the page again, and try once more.",
        )
    }

    /// Too many.
    pub fn too_many() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate",
            "Too many requests",
            "There were too many requests from your address. Wait a minute and try again.",
        )
    }

    /// What was written in a form cannot be used.
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "That cannot be used",
            text,
        )
    }

    /// The API server does not answer.
    pub fn away() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "cluster_away",
            "The cluster does not answer",
            "Your environments go on running. Try again in a moment.",
        )
    }

    /// The operator that keeps the ledger does not answer, or does not take our word.
    pub fn ledger_away() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ledger_away",
            "Nobody can say at the moment what was used",
            "Your environments go on running, and what they use goes on to be counted. Try again in a moment; if it stays so, tell an administrator.",
        )
    }

    /// The provider does not answer.
    pub fn provider_away() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "provider_away",
            "Nobody can log in at the moment",
            "The identity provider does not answer. Whoever is logged in goes on working. Try again in a moment.",
        )
    }

    /// What should not happen.
    pub fn unexpected(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %error, "unexpected");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unexpected",
            "Something went wrong",
            "The console's log says more. Tell an administrator if it goes on.",
        )
    }

    /// What the API server says. Its words are kept where they are about the user's own wish.
    pub fn of_cluster(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            tracing::warn!(%error, "failed to ask the API server");
            return Self::away();
        };
        let is_told = status.message.contains("ValidatingAdmissionPolicy")
            || status.message.contains("exceeded quota");
        match status.code {
            403 if is_told => Self::new(
                StatusCode::FORBIDDEN,
                "refused",
                "That is not allowed",
                status.message.clone(),
            ),
            // Who may not see it is not told whether it is there.
            403 | 404 => Self::not_found(),
            // A UID that is not the object's is told as a wrong field of a change.
            code if code == 409 || status.message.contains("metadata.uid") => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "It has changed meanwhile",
                "There is one of that name already, or it was changed or made anew since this page was loaded. Look again and try once more.",
            ),
            400 | 422 => Self::invalid(status.message.clone()),
            _ => Self::away(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, is_busy) = (self.status, self.status == StatusCode::TOO_MANY_REQUESTS);
        let mut response = view::problem(&self);
        *response.status_mut() = status;
        if is_busy {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}
