//! Team and project an environment counts for, whether its flavor is for them, and what of the team's quota is left.

use devserver_api::{DevServerFlavorSpec, DevServerSpec, money, names};

use crate::{
    Invalid, Platform, References,
    budget::{Spent, Standing, standing},
    environment::{CountsFor, Flavor},
    invalid::TeamError,
    team::{self, Asks},
};

pub(super) fn resolve(
    spec: &DevServerSpec,
    asks: &Asks,
    references: &References,
    platform: &Platform,
) -> Result<CountsFor, Invalid> {
    for (field, value) in [("team", &spec.team), ("project", &spec.project)] {
        if let Some(value) = value.as_ref().filter(|v| !names::is_label_value(v)) {
            let value = value.clone();
            return Err(TeamError::Label { field, value }.into());
        }
    }
    is_member(spec, references)?;
    let team = team::of(spec, references.user.as_ref());
    // Stopped, it needs nothing.
    if let Some(team) = team.filter(|_| !spec.suspend) {
        has_room(team, asks, references, platform)?;
        has_money(team, references, platform)?;
    }
    Ok(CountsFor {
        team: team.map(str::to_owned),
        project: spec.project.clone(),
    })
}

/// The teams of the DevServerUser are the truth.
fn is_member(spec: &DevServerSpec, references: &References) -> Result<(), TeamError> {
    if team::is_member(spec, references.user.as_ref()) {
        return Ok(());
    }
    let (Some(asked), Some(user)) = (&spec.team, &references.user) else {
        return Ok(());
    };
    let teams = &user.spec.teams;
    Err(TeamError::NotAllowed {
        team: asked.clone(),
        username: user.spec.username.clone(),
        remedy: if teams.is_empty() {
            "remove the field, because the user is in no team".to_owned()
        } else {
            format!("use one of: {}", teams.join(", "))
        },
    })
}

fn has_room(
    team: &str,
    asks: &Asks,
    references: &References,
    platform: &Platform,
) -> Result<(), TeamError> {
    let Some(settings) = platform.teams.get(team) else {
        return Ok(());
    };
    let (used, held) = (&references.team_in_use, &references.holds);
    let asked = asks.all();
    let Some(resource) = team::excess(used, &asked, held, &settings.quota) else {
        return Ok(());
    };
    let text = |amounts: &team::Amounts| {
        amounts
            .get(resource)
            .map_or_else(|| "0".to_owned(), |q| q.0.clone())
    };
    Err(TeamError::QuotaExceeded {
        team: team.to_owned(),
        resource: resource.to_owned(),
        used: text(used),
        asked: text(&asked),
        allowed: text(&settings.quota),
    })
}

/// What runs already stays, whatever it costs.
fn has_money(team: &str, references: &References, platform: &Platform) -> Result<(), TeamError> {
    let budget = platform.teams.get(team).and_then(|t| t.budget.as_ref());
    let Some(budget) = budget.filter(|_| references.holds.is_empty()) else {
        return Ok(());
    };
    let spent = match references.team_spent {
        Spent::NotAsked => return Ok(()),
        Spent::Unknown => {
            let team = team.to_owned();
            return Err(TeamError::BudgetUnknown { team });
        }
        Spent::Micros(spent) => spent,
    };
    if standing(budget, spent) != Standing::Exhausted {
        return Ok(());
    }
    let currency = platform.usage.as_ref().map(|u| u.currency.clone());
    Err(TeamError::BudgetSpent {
        team: team.to_owned(),
        spent: money::cents(spent),
        budget: money::cents(budget.micros_per_month),
        currency: currency.unwrap_or_default(),
    })
}

/// Whether the flavor is for the owner or a team of theirs. Only teams that the DevServerUser confirms count.
pub(super) fn may_use(
    spec: &DevServerSpec,
    flavor: &Flavor,
    offer: &DevServerFlavorSpec,
    references: &References,
) -> Result<(), Invalid> {
    if offer.allowed_users.is_none() && offer.allowed_teams.is_none() {
        return Ok(());
    }
    let user = references.user.as_ref();
    // Without an owner it is that of the namespace.
    let owner = spec.owner.as_ref().or(user.map(|u| &u.spec.username));
    let is_named = owner.is_some_and(|owner| {
        let users = offer.allowed_users.iter().flatten();
        users.into_iter().any(|allowed| allowed == owner)
    });
    let is_in_team = user.is_some_and(|user| {
        let mut teams = offer.allowed_teams.iter().flatten();
        teams.any(|allowed| user.spec.teams.contains(allowed))
    });
    if is_named || is_in_team {
        return Ok(());
    }
    Err(TeamError::FlavorNotAllowed {
        flavor: flavor.name.clone(),
        owner: owner.map_or_else(|| "nobody".to_owned(), Clone::clone),
    }
    .into())
}
