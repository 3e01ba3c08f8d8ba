//! A form of ours: nothing of it is seen before it has shown that it is.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{FromRequest, Request},
    response::IntoResponse,
};

use crate::{console::Console, problem::Problem, router::Came, security, session::Session};

/// The fields of a form that one of our pages sent.
#[derive(Clone, Debug)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// A field, without blanks around it; nothing where it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
impl Form {
    /// With these fields.
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self(pairs.iter().map(owned).collect())
    }
}

impl FromRequest<Arc<Console>> for Form {
    type Rejection = axum::response::Response;

    async fn from_request(
        request: Request,
        console: &Arc<Console>,
    ) -> Result<Self, Self::Rejection> {
        let headers = request.headers().clone();
        let session = request.extensions().get::<Session>().cloned();
        let came = request.extensions().get::<Came>().copied();
        let (Some(session), Some(came)) = (session, came) else {
            return Err(Problem::foreign().into_response());
        };
        if !console.may(&console.writes, came.source) {
            return Err(Problem::too_many().into_response());
        }
        let fields = axum::Form::<Vec<(String, String)>>::from_request(request, console)
            .await
            .map_err(IntoResponse::into_response)?;
        let form = Self(fields.0.into_iter().collect());
        let word = form.get("csrf").unwrap_or_default();
        if !security::is_ours(&console.config, &headers, &session, word) {
            let line = crate::audit::Line::new("write", came.source, "foreign").user(&session.user);
            console.audit.tell(line).await;
            return Err(Problem::foreign().into_response());
        }
        Ok(form)
    }
}
