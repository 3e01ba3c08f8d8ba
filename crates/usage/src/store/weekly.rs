//! A team's week, read from the ledger.

use super::{Store, StoreError};
use crate::{
    report::{By, Filter},
    weekly::{Day, Weekly},
    window::{self, Window},
};

impl Store {
    /// The week of a team; empty: of those without one.
    pub async fn weekly(
        &self,
        team: &str,
        window: Window,
        currency: &str,
    ) -> Result<Weekly, StoreError> {
        let filter = Filter {
            team: Some(team.to_owned()),
            ..Filter::default()
        };
        let by = By::Environment;
        let report = self.report(window, by, &filter, currency).await?;
        let earlier = Window {
            since: window.since - window.seconds(),
            until: window.since,
        };
        let before = self.report(earlier, By::Team, &filter, currency).await?;
        let days = self.days(window, &filter, currency).await?;
        Ok(Weekly::new(team, report, before.total, days))
    }

    /// Each day of a window, the first and the last as far as they are in it.
    pub async fn days(
        &self,
        window: Window,
        filter: &Filter,
        currency: &str,
    ) -> Result<Vec<Day>, StoreError> {
        let mut days = Vec::new();
        for day in window.each_day() {
            let date = window::date(day.since).map_or_else(String::new, |date| date.to_string());
            let report = self.report(day, By::Team, filter, currency).await?;
            days.push(Day {
                date,
                total: report.total,
            });
        }
        Ok(days)
    }

    /// Teams that have anything in a window, in order; empty: those without one.
    pub async fn teams(&self, window: Window) -> Result<Vec<String>, StoreError> {
        let mut teams = std::collections::BTreeSet::new();
        self.sums(window, |sum| {
            teams.insert(sum.subject.team);
        })
        .await?;
        Ok(teams.into_iter().collect())
    }
}
