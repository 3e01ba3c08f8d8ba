//! Budgets of teams: what a month may cost. They warn, then they let nobody new start; what runs is never stopped for money.

use crate::platform::BudgetSettings;

/// What is known of what a team has spent this month, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spent {
    /// Nobody asked, as when rendering without a cluster, or where there is no budget.
    #[default]
    NotAsked,
    /// The ledger could not be read yet.
    Unknown,
    /// So much.
    Micros(i64),
}

/// How a team stands against its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Below every warning.
    Within,
    /// At or above that percentage, the highest that is reached.
    Warned(u8),
    /// Nothing is left: nobody new starts.
    Exhausted,
}

/// How a team that has spent so much stands.
pub fn standing(budget: &BudgetSettings, spent: i64) -> Standing {
    if spent >= budget.micros_per_month {
        return Standing::Exhausted;
    }
    let reached = |percent: &u8| {
        i128::from(spent) * 100 >= i128::from(budget.micros_per_month) * i128::from(*percent)
    };
    let warnings = budget.warn_percent.iter().copied();
    match warnings.filter(reached).max() {
        Some(percent) => Standing::Warned(percent),
        None => Standing::Within,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warns_and_then_refuses() {
        let budget = BudgetSettings {
            micros_per_month: 1_000_000,
            warn_percent: vec![95, 80],
        };
        for (spent, expected) in [
            (0, Standing::Within),
            (799_999, Standing::Within),
            (800_000, Standing::Warned(80)),
            (950_000, Standing::Warned(95)),
            (999_999, Standing::Warned(95)),
            (1_000_000, Standing::Exhausted),
            (i64::MAX, Standing::Exhausted),
        ] {
            assert_eq!(standing(&budget, spent), expected, "{spent}");
        }
    }

    #[test]
    fn a_budget_of_nothing_lets_nobody_start() {
        let budget = BudgetSettings {
            micros_per_month: 0,
            warn_percent: Vec::new(),
        };
        assert_eq!(standing(&budget, 0), Standing::Exhausted);
    }
}
