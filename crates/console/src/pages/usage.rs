//! What was used and what it costs: one's own environments, the teams that one leads, or all of it. The operator says which of
//! them somebody may see; what is not theirs is not there.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use devserver_api::usage::{By, UsageQuery};
use http::header;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{console::Console, ledger::Ledger, problem::Problem, session::Session};

use super::{
    period::Period,
    usage_page::page,
    view::{self, Frame},
};

/// What is looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// When.
    pub period: Period,
    /// Whose.
    pub whose: Whose,
    /// A line for each what; absent: what tells most at first.
    pub by: Option<By>,
}

/// Whose usage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Whose {
    /// One's own.
    #[default]
    Mine,
    /// That of a team.
    Team(String),
    /// Everybody's.
    All,
}

impl From<String> for Whose {
    fn from(text: String) -> Self {
        match (text.as_str(), text.strip_prefix("team:")) {
            (_, Some(team)) => Self::Team(team.to_owned()),
            ("all", None) => Self::All,
            _ => Self::Mine,
        }
    }
}

impl Whose {
    /// The word in addresses.
    pub fn word(&self) -> String {
        match self {
            Self::Mine => "mine".to_owned(),
            Self::Team(team) => format!("team:{team}"),
            Self::All => "all".to_owned(),
        }
    }

    /// What tells most at first.
    fn lines(&self) -> By {
        match self {
            Self::Mine => By::Environment,
            Self::Team(_) => By::Owner,
            Self::All => By::Team,
        }
    }
}

/// What somebody chose, if it can be understood.
type Chosen = Result<Query<Choice>, QueryRejection>;

fn understood(chosen: Chosen) -> Result<Choice, Problem> {
    let Query(choice) = chosen.map_err(|error| Problem::invalid(error.body_text()))?;
    Ok(choice)
}

fn ledger(console: &Console) -> Result<&Ledger, Problem> {
    console.ledger.as_ref().ok_or_else(Problem::not_found)
}

/// What is asked of the ledger.
fn query(choice: &Choice, session: &Session, now: Timestamp) -> Result<UsageQuery, Problem> {
    let window = choice.period.window(now).ok_or_else(Problem::not_found)?;
    let mut query = UsageQuery {
        since: window.0,
        until: Some(window.1),
        by: choice.by.unwrap_or_else(|| choice.whose.lines()),
        ..UsageQuery::default()
    };
    match &choice.whose {
        Whose::Mine => query.owner = Some(session.user.clone()),
        Whose::Team(team) => query.team = Some(team.clone()),
        Whose::All => {}
    }
    Ok(query)
}

/// The page.
pub async fn show(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    chosen: Chosen,
) -> Result<Response, Problem> {
    let ledger = ledger(&console)?;
    let (choice, now) = (understood(chosen)?, Timestamp::now());
    let query = query(&choice, &session, now)?;
    let costs = ledger.costs(&session, &query).await?;
    let frame = Frame::new(&console, &session, "usage");
    Ok(view::page(&page(frame, &choice, &query, &costs, now)))
}

/// The same numbers as a file.
pub async fn file(
    State(console): State<Arc<Console>>,
    Extension(session): Extension<Session>,
    Path(form): Path<String>,
    chosen: Chosen,
) -> Result<Response, Problem> {
    let ledger = ledger(&console)?;
    if !["usage.csv", "usage.json"].contains(&form.as_str()) {
        return Err(Problem::not_found());
    }
    let choice = understood(chosen)?;
    let query = query(&choice, &session, Timestamp::now())?;
    let report = ledger.report(&session, &query).await?;
    let name = format!("attachment; filename=\"{form}\"");
    let saved = [(header::CONTENT_DISPOSITION, name)];
    if form == "usage.json" {
        return Ok((saved, Json(report)).into_response());
    }
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    Ok((saved, kind, report.csv()).into_response())
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
