//! What a page of costs shows one person: the answer of the operator to the console, which asks for them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::usage::{UsageLine, UsageQuery, UsageReport};

/// Path of the answer.
pub const PATH: &str = "/v1/costs";
/// Header that names the person who is asked for, as at the API server.
pub const USER_HEADER: &str = "impersonate-user";
/// Header that names a group of theirs; once for each.
pub const GROUP_HEADER: &str = "impersonate-group";

/// What one page needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    /// What was asked for.
    pub report: UsageReport,
    /// The same by day (UTC), the earliest first.
    pub days: Vec<UsageDay>,
    /// Budgets of the teams that the person sees and that are asked for, of this month.
    pub budgets: Vec<UsageBudget>,
    /// What the person may ask for.
    pub sight: Sight,
}

/// A day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageDay {
    /// `2026-11-30`, in UTC.
    pub date: String,
    /// What was used.
    pub total: UsageLine,
}

/// What a team may spend in this month, and has spent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageBudget {
    /// The team.
    pub team: String,
    /// Millionths of the currency that it may spend.
    pub micros_per_month: i64,
    /// Millionths that it has spent.
    pub spent_micros: i64,
    /// Percentages at which it is warned.
    pub warn_percent: Vec<u8>,
}

/// Whose usage somebody may see. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sight {
    /// Everybody's.
    pub all: bool,
    /// That of their own environments: the name by which the ledger knows them. Absent: nobody's.
    pub user: Option<String>,
    /// That of all environments of these teams.
    pub teams: BTreeSet<String>,
}

impl Sight {
    /// Whether that may be asked: all that it can be about is theirs to see.
    pub fn admits(&self, query: &UsageQuery) -> bool {
        let is_own = query.owner.is_some() && query.owner == self.user;
        let is_led = |team: &String| self.teams.contains(team);
        self.all || is_own || query.team.as_ref().is_some_and(is_led)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(owner: Option<&str>, team: Option<&str>) -> UsageQuery {
        UsageQuery {
            owner: owner.map(str::to_owned),
            team: team.map(str::to_owned),
            ..UsageQuery::default()
        }
    }

    #[test]
    fn c13_nobody_sees_more_than_their_own_and_the_teams_they_lead() {
        let alice = Sight {
            user: Some("alice".to_owned()),
            ..Sight::default()
        };
        let lead = Sight {
            teams: BTreeSet::from(["genomics".to_owned()]),
            ..alice.clone()
        };
        let all = Sight {
            all: true,
            ..Sight::default()
        };
        for (owner, team, expected) in [
            (None, None, [false, false, true]),
            (Some("alice"), None, [true, true, true]),
            (Some("alice"), Some("imaging"), [true, true, true]),
            (Some("bob"), None, [false, false, true]),
            (Some(""), None, [false, false, true]),
            (None, Some("genomics"), [false, true, true]),
            (Some("bob"), Some("genomics"), [false, true, true]),
            (None, Some("imaging"), [false, false, true]),
            (None, Some(""), [false, false, true]),
            (Some("bob"), Some("imaging"), [false, false, true]),
        ] {
            let query = query(owner, team);
            let told = [&alice, &lead, &all].map(|sight| sight.admits(&query));
            assert_eq!(told, expected, "{query:?}");
        }
        assert!(!Sight::default().admits(&query(None, None)));
        assert!(!Sight::default().admits(&query(Some(""), Some(""))));
    }
}
