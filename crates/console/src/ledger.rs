//! Usage and costs, asked of the operator for the user of a session.
//!
//! As at the API server, the console shows a token of its own account and says for whom it asks. The operator has RBAC say
//! whether it may, and what that user may see; the console asks for nothing in its own name.

use std::{path::PathBuf, time::Duration};

use devserver_api::{
    costs::{self, Costs, GROUP_HEADER, USER_HEADER},
    usage::{self, TOKEN_HEADER, UsageQuery, UsageReport},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::{config::ConfigError, identity::Identity, problem::Problem, session::Session};

/// Longest wait for an answer: a report over much time reads millions of intervals.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for a connection.
const CONNECTION: Duration = Duration::from_secs(3);

/// Where usage is asked for, as it is written in the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Address of the operator's reports, such as `http://devserver-usage.devserver-system.svc:8081`.
    url: String,
    /// File with a token of the console's account for the audience `devserver-usage`. Read at each question: it is renewed.
    token_file: PathBuf,
}

impl Settings {
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |name, why: &str| Err(ConfigError::Field(name, why.to_owned()));
        let url = Url::parse(&self.url).ok();
        if url.is_none_or(|url| !is_bare(&url)) {
            return wrong(
                "usage.url",
                "must be an address without a path, such as http://devserver-usage.devserver-system.svc:8081",
            );
        }
        if !self.token_file.is_absolute() {
            return wrong("usage.tokenFile", "must be an absolute path");
        }
        Ok(())
    }
}

fn is_bare(url: &Url) -> bool {
    let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    is_web && url.path() == "/" && url.query().is_none() && url.username().is_empty()
}

/// The way to the operator's reports.
pub struct Ledger {
    client: Client,
    settings: Settings,
}

impl Ledger {
    /// Nothing is asked yet.
    pub fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(CONNECTION)
            .redirect(Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { client, settings })
    }

    /// What a page shows.
    pub async fn costs(&self, session: &Session, query: &UsageQuery) -> Result<Costs, Problem> {
        self.ask(session, costs::PATH, query).await
    }

    /// A report.
    pub async fn report(
        &self,
        session: &Session,
        query: &UsageQuery,
    ) -> Result<UsageReport, Problem> {
        self.ask(session, usage::PATH, query).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        session: &Session,
        path: &str,
        query: &UsageQuery,
    ) -> Result<T, Problem> {
        let away = |why: &dyn std::fmt::Display| {
            tracing::warn!(%why, "failed to ask the ledger");
            Problem::ledger_away()
        };
        let token = tokio::fs::read_to_string(&self.settings.token_file).await;
        let token = token.map_err(|error| away(&error))?;
        let headers = headers(session, token.trim()).ok_or_else(Problem::not_found)?;
        let url = address(&self.settings.url, path, query).map_err(|error| away(&error))?;
        let answer = self.client.get(url).headers(headers).send().await;
        let answer = answer.map_err(|error| away(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| away(&error))?;
        match status {
            StatusCode::OK => serde_json::from_str(&text).map_err(|error| away(&error)),
            // Who may not see it is not told whether it is there.
            StatusCode::FORBIDDEN => Err(Problem::not_found()),
            StatusCode::BAD_REQUEST => Err(Problem::invalid(text)),
            other => Err(away(&format!("it answers {other}: {}", text.trim()))),
        }
    }
}

/// Who asks, and for whom; `None` for what cannot be a header.
fn headers(session: &Session, token: &str) -> Option<HeaderMap> {
    let mut token = HeaderValue::from_str(token).ok()?;
    token.set_sensitive(true);
    let user = HeaderValue::from_str(&session.user).ok()?;
    let name = HeaderName::from_static;
    let mut headers =
        HeaderMap::from_iter([(name(TOKEN_HEADER), token), (name(USER_HEADER), user)]);
    for group in Identity::groups(session.is_admin) {
        headers.append(name(GROUP_HEADER), HeaderValue::from_static(group));
    }
    Some(headers)
}

fn address(base: &str, path: &str, query: &UsageQuery) -> Result<Url, url::ParseError> {
    let mut url = Url::parse(base)?.join(path)?;
    url.query_pairs_mut().extend_pairs(query.pairs());
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_the_ledger_is_asked_for_the_user_and_the_two_groups_alone() {
        let identity = Identity {
            user: "alice".into(),
            is_admin: true,
        };
        let session = Session::begin(identity, 0, 60);
        let headers = headers(&session, "secret").unwrap();
        let of = |name: &str| {
            let all = headers.get_all(name).iter();
            all.map(|v| v.to_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of(USER_HEADER), ["alice"]);
        assert_eq!(of(GROUP_HEADER), ["devserver-users", "devserver-admins"]);
        assert_eq!(of(TOKEN_HEADER), ["secret"]);
        assert_eq!(headers.len(), 4);
        assert!(!format!("{headers:?}").contains("secret"));
    }

    #[test]
    fn d12_a_value_cannot_become_another_parameter_or_path() {
        let query = UsageQuery {
            since: 1,
            team: Some("a&owner=b/../%2e".to_owned()),
            ..UsageQuery::default()
        };
        let url = address("http://ledger:8081", costs::PATH, &query).unwrap();
        let text = "http://ledger:8081/v1/costs?since=1&by=team&team=a%26owner%3Db%2F..%2F%252e";
        assert_eq!(url.as_str(), text);
    }

    #[test]
    fn an_address_with_a_path_or_a_password_is_refused() {
        for (url, file, word) in [
            ("ledger", "/t", "usage.url"),
            ("ftp://ledger", "/t", "usage.url"),
            ("http://a:b@ledger", "/t", "usage.url"),
            ("http://ledger/x", "/t", "usage.url"),
            ("http://ledger:8081", "t", "usage.tokenFile"),
        ] {
            let settings = Settings {
                url: url.to_owned(),
                token_file: file.into(),
            };
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(word), "{url}: {error}");
        }
    }
}
