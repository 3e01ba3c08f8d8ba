//! What teams with a budget have spent this month, for those who decide whether somebody may start.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use devserver_core::{
    Platform,
    budget::{Spent, Standing, standing},
};
use devserver_usage::{By, Filter, Store, Window};

/// What teams have spent this month; nothing is known before the ledger was read.
#[derive(Default)]
pub struct Spendings(RwLock<Option<HashMap<String, i64>>>);

impl Spendings {
    /// What a team has spent.
    pub fn of(&self, team: &str) -> Spent {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref() {
            None => Spent::Unknown,
            Some(known) => Spent::Micros(known.get(team).copied().unwrap_or_default()),
        }
    }

    /// The ledger cannot be read: nobody knows any more.
    pub fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads it from the ledger, where a team has a budget.
    pub async fn read(&self, platform: &Platform, store: &Store, now: i64) -> anyhow::Result<()> {
        let has_budgets = platform.teams.values().any(|team| team.budget.is_some());
        let (Some(usage), Some(month)) = (&platform.usage, Window::month_of(now)) else {
            return Ok(());
        };
        let mut known = HashMap::new();
        if has_budgets {
            let report = store
                .report(month, By::Team, &Filter::default(), &usage.currency)
                .await?;
            known.extend(
                report
                    .lines
                    .into_iter()
                    .map(|line| (line.key, line.total.cost.total())),
            );
        }
        self.warn(platform, &known);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(())
    }
}

impl Spendings {
    /// Says it when a team stands worse than before.
    fn warn(&self, platform: &Platform, known: &HashMap<String, i64>) {
        let before = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for (team, settings) in &platform.teams {
            let Some(budget) = &settings.budget else {
                continue;
            };
            let stood = |known: &HashMap<String, i64>| {
                standing(budget, known.get(team).copied().unwrap_or_default())
            };
            let now = stood(known);
            if before.as_ref().map(stood) == Some(now) {
                continue;
            }
            match now {
                Standing::Within => {}
                Standing::Warned(percent) => tracing::warn!(
                    team,
                    percent,
                    "the team has spent that much of its budget for this month"
                ),
                Standing::Exhausted => tracing::warn!(
                    team,
                    "the team has spent its budget for this month: nothing new of it starts"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_ledger_was_read_nobody_knows_and_afterwards_who_is_not_in_it_has_spent_nothing() {
        let spendings = Spendings::default();
        assert_eq!(spendings.of("a"), Spent::Unknown);
        *spendings.0.write().unwrap() = Some(HashMap::from([("a".to_owned(), 5)]));
        assert_eq!(spendings.of("a"), Spent::Micros(5));
        assert_eq!(spendings.of("b"), Spent::Micros(0));
        spendings.forget();
        assert_eq!(spendings.of("b"), Spent::Unknown);
    }
}
