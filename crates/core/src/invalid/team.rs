//! Teams: what one may count for, what it may use, and how much of it.

/// Why an environment cannot count for its team, or may not be what it asks to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TeamError {
    /// It could not be a label.
    #[error(
        "spec.{field} {value:?} cannot be a label value; use letters, digits, '-', '_' and '.', at most 63, a letter or digit first and last"
    )]
    Label {
        /// `team` or `project`.
        field: &'static str,
        /// The word.
        value: String,
    },
    /// The user is not in that team.
    #[error(
        "spec.team {team:?} is not a team of {username}; {remedy}, or have an administrator add it to spec.teams of the DevServerUser"
    )]
    NotAllowed {
        /// The team asked for.
        team: String,
        /// Whose namespace it is.
        username: String,
        /// Which teams there are instead.
        remedy: String,
    },
    /// The flavor is for others.
    #[error(
        "spec.flavor {flavor:?} is not for {owner} nor for a team of theirs; choose another one (`devctl flavors`), \
         or have an administrator add one of them to allowedUsers or allowedTeams of the flavor"
    )]
    FlavorNotAllowed {
        /// The flavor.
        flavor: String,
        /// Who asks.
        owner: String,
    },
    /// The team has no room.
    #[error(
        "spec.team {team:?} has {used} {resource} in use and {asked} are asked for, but {allowed} are allowed; \
         suspend or delete another environment of the team (volumes count until it is deleted), ask for less, or have an administrator raise the team's quota; \
         it starts by itself when there is room"
    )]
    QuotaExceeded {
        /// The team.
        team: String,
        /// `cpu`, `memory`, `devservers`, …
        resource: String,
        /// What the others have.
        used: String,
        /// What this one asks for.
        asked: String,
        /// What the platform allows.
        allowed: String,
    },
    /// The team has no money left this month.
    #[error(
        "spec.team {team:?} has spent {spent} {currency} this month and may spend {budget}; \
         what runs goes on, but nothing new starts; have an administrator raise the team's budget, or wait for the next month; \
         it starts by itself then"
    )]
    BudgetSpent {
        /// The team.
        team: String,
        /// What it has spent.
        spent: String,
        /// What it may spend.
        budget: String,
        /// In which currency.
        currency: String,
    },
    /// Nobody knows yet what the team has spent.
    #[error(
        "spec.team {team:?} has a budget, and the ledger that tells what is left of it cannot be read; \
         it starts by itself when it can be; administrators: see the operator's log"
    )]
    BudgetUnknown {
        /// The team.
        team: String,
    },
}

impl TeamError {
    /// CamelCase word for the condition and for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Label { field: "team", .. } => "InvalidTeam",
            Self::Label { .. } => "InvalidProject",
            Self::NotAllowed { .. } => "TeamNotAllowed",
            Self::FlavorNotAllowed { .. } => "FlavorNotAllowed",
            Self::QuotaExceeded { .. } => TEAM_QUOTA_EXCEEDED,
            Self::BudgetSpent { .. } => "TeamBudgetSpent",
            Self::BudgetUnknown { .. } => "TeamBudgetUnknown",
        }
    }
}

/// Reason of an environment that waits for room in the quota of its team.
pub const TEAM_QUOTA_EXCEEDED: &str = "TeamQuotaExceeded";
