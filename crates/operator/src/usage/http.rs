//! Reports over HTTP: reached through the API server's service proxy by administrators, and directly by the console, and
//! opened by a token ([`super::asker`]).
//!
//! The proxy does not say who asks, and others in the cluster may reach the port, too. So each request carries a token.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use devserver_api::{
    costs::{self, Costs, Sight, UsageBudget, UsageDay},
    usage::{ALLOCATION, By, PATH, UsageQuery, UsageReport},
};
use devserver_core::Platform;
use devserver_usage::{Filter, Report, Store, Window, opencost};
use kube::Client;
use tokio::{net::TcpListener, sync::Semaphore};

use super::{Ledger, asker::Gate};
use crate::clock::Clock;

/// Reports that are made at the same time; each may read millions of intervals.
const AT_ONCE: usize = 2;
/// Longest time for one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest stretch of time that one is about: two years.
const LONGEST: i64 = 2 * 366 * 86_400;
/// Longest stretch of time that is told by day.
const LONGEST_BY_DAY: i64 = 100 * 86_400;

/// What a request needs.
#[derive(Clone)]
struct Desk {
    gate: Gate,
    ledger: Arc<Ledger>,
    platform: Arc<Platform>,
    clock: Arc<Clock>,
    turns: Arc<Semaphore>,
}

/// Serves reports until the process ends.
pub async fn serve(
    listen: SocketAddr,
    client: Client,
    ledger: Arc<Ledger>,
    platform: Platform,
    clock: Arc<Clock>,
    namespace: &str,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("failed to listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "serves reports of usage");
    let desk = Desk {
        gate: Gate::new(client, namespace),
        ledger,
        platform: Arc::new(platform),
        clock,
        turns: Arc::new(Semaphore::new(AT_ONCE)),
    };
    let router = Router::new()
        .route(PATH, get(report))
        .route(ALLOCATION, get(allocation))
        .route(costs::PATH, get(page))
        .with_state(desk);
    axum::serve(listener, router)
        .await
        .context("failed to serve reports")
}

/// What was asked for, if it can be understood.
type Asked = Result<Query<UsageQuery>, QueryRejection>;

/// What an answer is like.
#[derive(Clone, Copy)]
enum Form {
    /// Our own names.
    Report,
    /// OpenCost's.
    Allocation,
    /// All that a page shows.
    Costs,
}

async fn report(State(desk): State<Desk>, headers: HeaderMap, query: Asked) -> Response {
    desk.serve(&headers, query, Form::Report).await
}

async fn allocation(State(desk): State<Desk>, headers: HeaderMap, query: Asked) -> Response {
    desk.serve(&headers, query, Form::Allocation).await
}

async fn page(State(desk): State<Desk>, headers: HeaderMap, query: Asked) -> Response {
    desk.serve(&headers, query, Form::Costs).await
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, format!("{why}\n")).into_response()
}

/// A question that may be answered.
struct Question<'a> {
    desk: &'a Desk,
    store: &'a Store,
    sight: Sight,
    query: UsageQuery,
    window: Window,
    now: i64,
}

impl Desk {
    async fn serve(&self, headers: &HeaderMap, query: Asked, form: Form) -> Response {
        // Before anything that is asked for is looked at.
        let sight = match self.gate.sight(headers, &self.platform).await {
            Ok(Some(sight)) => sight,
            Ok(None) => {
                let why = "a token of the ServiceAccount devserver-usage is needed, or of one that may speak for the user named";
                return refuse(StatusCode::UNAUTHORIZED, why);
            }
            Err(error) => {
                tracing::warn!(%error, "a token could not be checked");
                let why = "the token could not be checked";
                return refuse(StatusCode::SERVICE_UNAVAILABLE, why);
            }
        };
        let query = match query {
            Ok(Query(query)) => query,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
        };
        if !sight.admits(&query) {
            let why =
                "only what is your own, and of teams that you lead: name the owner, or the team";
            return refuse(StatusCode::FORBIDDEN, why);
        }
        let Ok(Ok(_turn)) = tokio::time::timeout(PATIENCE, self.turns.acquire()).await else {
            let why = "others are being served; try again";
            return refuse(StatusCode::TOO_MANY_REQUESTS, why);
        };
        match tokio::time::timeout(PATIENCE, self.answer(sight, query, form)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(error = format!("{error:#}"), "a report could not be made");
                let why = "the ledger could not be read; see the operator's log";
                refuse(StatusCode::INTERNAL_SERVER_ERROR, why)
            }
            Err(_) => {
                let why = "the report took too long; ask for less time";
                refuse(StatusCode::GATEWAY_TIMEOUT, why)
            }
        }
    }

    async fn answer(
        &self,
        sight: Sight,
        query: UsageQuery,
        form: Form,
    ) -> anyhow::Result<Response> {
        let store = self.ledger.store().await?;
        let now = self.clock.read().now().as_second();
        let window = Window {
            since: query.since,
            until: query.until.unwrap_or(now),
        };
        if window.since < 0 || window.seconds() == 0 || window.seconds() > LONGEST {
            let why = "since must lie before until, and not more than two years";
            return Ok(refuse(StatusCode::BAD_REQUEST, why));
        }
        let question = Question {
            desk: self,
            store,
            sight,
            query,
            window,
            now,
        };
        let answer = match form {
            Form::Report => Json(question.wire().await?).into_response(),
            Form::Allocation => {
                Json(opencost::allocation(&question.report().await?)).into_response()
            }
            Form::Costs if window.seconds() > LONGEST_BY_DAY => {
                let why = "by day, ask for a hundred days at most";
                refuse(StatusCode::BAD_REQUEST, why)
            }
            Form::Costs => Json(question.costs().await?).into_response(),
        };
        Ok(([(header::CACHE_CONTROL, "no-store")], answer).into_response())
    }
}

impl Question<'_> {
    fn currency(&self) -> &str {
        &self.desk.ledger.settings.currency
    }

    fn filter(&self) -> Filter {
        Filter {
            team: self.query.team.clone(),
            project: self.query.project.clone(),
            owner: self.query.owner.clone(),
        }
    }

    async fn report(&self) -> anyhow::Result<Report> {
        let (by, filter) = (self.query.by, self.filter());
        let report = self.store.report(self.window, by, &filter, self.currency());
        Ok(report.await?)
    }

    async fn wire(&self) -> anyhow::Result<UsageReport> {
        let counted_to = self.store.counted_to().await?.unwrap_or_default();
        Ok(self.report().await?.wire(counted_to))
    }

    async fn costs(self) -> anyhow::Result<Costs> {
        let filter = self.filter();
        let days = self.store.days(self.window, &filter, self.currency());
        let days = days.await?.into_iter().map(|day| UsageDay {
            total: day.total.line(""),
            date: day.date,
        });
        Ok(Costs {
            days: days.collect(),
            report: self.wire().await?,
            budgets: self.budgets().await?,
            sight: self.sight,
        })
    }

    /// What a team spends is more than what one of it spends: it is told to those who see the team.
    async fn budgets(&self) -> anyhow::Result<Vec<UsageBudget>> {
        let is_asked = |team: &String| match &self.query.team {
            Some(asked) => asked == team,
            None => self.query.owner.is_none(),
        };
        let sees = |team: &String| self.sight.all || self.sight.teams.contains(team);
        let teams = self.desk.platform.teams.iter();
        let due: Vec<_> = teams
            .filter(|(team, _)| is_asked(team) && sees(team))
            .filter_map(|(team, settings)| Some((team, settings.budget.as_ref()?)))
            .collect();
        let Some(month) = Window::month_of(self.now).filter(|_| !due.is_empty()) else {
            return Ok(Vec::new());
        };
        let all = Filter::default();
        let spent = self.store.report(month, By::Team, &all, self.currency());
        let spent = spent.await?;
        let of = |team: &String| {
            let mut lines = spent.lines.iter();
            let line = lines.find(|line| line.key == *team);
            line.map_or(0, |line| line.total.cost.total())
        };
        let told = due.into_iter().map(|(team, budget)| UsageBudget {
            team: team.clone(),
            micros_per_month: budget.micros_per_month,
            spent_micros: of(team),
            warn_percent: budget.warn_percent.clone(),
        });
        Ok(told.collect())
    }
}
