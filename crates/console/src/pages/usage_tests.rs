use std::collections::BTreeSet;

use askama::Template as _;
use devserver_api::{
    costs::{Costs, Sight, UsageBudget, UsageDay},
    usage::{UsageFit, UsageLine, UsageReport},
};

use super::*;
use crate::{identity::Identity, pages::usage_page::budget};

fn session() -> Session {
    let identity = Identity {
        user: "alice".into(),
        is_admin: false,
    };
    Session::begin(identity, 0, 60)
}

fn frame() -> Frame {
    Frame {
        user: "alice".into(),
        is_admin: false,
        has_usage: true,
        csrf: "word".into(),
        section: "usage",
    }
}

fn line(name: &str) -> UsageLine {
    UsageLine {
        name: name.to_owned(),
        running_seconds: 36_000,
        idle_seconds: 9_000,
        total_cost_micros: 4_000_000,
        waste_micros: 1_000_000,
        cpu_used_basis_points: Some(2_550),
        ..UsageLine::default()
    }
}

fn too_large(name: &str) -> UsageLine {
    UsageLine {
        flavor: Some("cpu-large".to_owned()),
        fit: Some(UsageFit {
            flavor: "cpu-small".to_owned(),
            saves_micros: 2_220_000,
        }),
        ..line(name)
    }
}

fn costs() -> Costs {
    let report = UsageReport {
        since: 1_795_392_000,
        until: 1_795_392_000 + 86_400,
        counted_to: 1_795_392_000 + 86_400,
        currency: "EUR".to_owned(),
        by: By::Environment,
        lines: vec![too_large("dev-alice/<b>box"), line("")],
        total: line(""),
    };
    Costs {
        report,
        budgets: vec![UsageBudget {
            team: "genomics".to_owned(),
            micros_per_month: 10_000_000,
            spent_micros: 9_000_000,
            warn_percent: vec![80],
        }],
        ..Costs::default()
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_392_000 + 86_000).unwrap()
}

fn rendered(choice: &Choice, costs: &Costs) -> String {
    let query = query(choice, &session(), now()).unwrap();
    page(frame(), choice, &query, costs, now())
        .render()
        .unwrap()
}

#[test]
fn by_default_one_sees_ones_own_environments_of_this_month() {
    let query = query(&Choice::default(), &session(), now()).unwrap();
    assert_eq!(query.owner.as_deref(), Some("alice"));
    assert_eq!((query.team, query.by), (None, By::Environment));
    for (whose, owner, team) in [
        ("all", None, None),
        ("team:genomics", None, Some("genomics")),
        ("team:", None, Some("")),
        ("everybody", Some("alice"), None),
    ] {
        let choice = Choice {
            whose: whose.to_owned().into(),
            ..Choice::default()
        };
        let query = super::query(&choice, &session(), now()).unwrap();
        assert_eq!(
            (query.owner.as_deref(), query.team.as_deref()),
            (owner, team)
        );
    }
}

#[test]
fn the_page_has_the_numbers_and_no_markup_of_others() {
    let text = rendered(&Choice::default(), &costs());
    for part in [
        "4.00",
        "25 % of it",
        "26 %",
        "9.00 of 10.00 EUR",
        "23 Nov 2026",
        "cpu-small",
        "2.22",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("<b>box"), "names are text");
    assert!(!text.contains("style="), "the policy lets no style in");
    assert!(!text.contains("complete up to"), "{text}");
    let mut late = costs();
    late.report.counted_to -= 7_200;
    assert!(rendered(&Choice::default(), &late).contains("complete up to"));
}

#[test]
fn what_one_may_not_see_is_not_offered() {
    let mut costs = costs();
    let offers = |costs: &Costs| {
        let text = rendered(&Choice::default(), costs);
        (
            text.contains("Team imaging"),
            text.contains("All environments"),
        )
    };
    assert_eq!(offers(&costs), (false, false));
    costs.sight.teams = BTreeSet::from(["imaging".to_owned()]);
    assert_eq!(offers(&costs), (true, false));
    costs.sight.all = true;
    assert_eq!(offers(&costs), (true, true));
}

#[test]
fn a_budget_says_how_it_stands() {
    let of = |spent, warn: &[u8]| {
        let one = UsageBudget {
            spent_micros: spent,
            micros_per_month: 1_000,
            warn_percent: warn.to_vec(),
            ..UsageBudget::default()
        };
        let told = budget(&one, &UsageReport::default());
        (told.tone, told.percent)
    };
    assert_eq!(of(799, &[80]), ("good", 79));
    assert_eq!(of(800, &[95, 80]), ("busy", 80));
    assert_eq!(of(5_000, &[80]), ("bad", 100));
}

/// A team's month: office days, a training that runs through, environments that are left running at weekends.
#[allow(clippy::too_many_lines, reason = "a table")]
fn month() -> Costs {
    let amounts = |cost: i64, waste: i64, hours: i64, idle: i64| UsageLine {
        total_cost_micros: cost * 10_000,
        waste_micros: waste * 10_000,
        running_seconds: hours * 360,
        idle_seconds: idle * 360,
        cpu_milli_seconds: hours * 360 * 6_500,
        memory_mebibyte_seconds: hours * 360 * 26 * 1_024,
        gpu_seconds: hours * 36,
        volume_mebibyte_seconds: hours * 36_000 * 1_024,
        cpu_used_basis_points: Some(3_850),
        memory_used_basis_points: Some(5_420),
        ..UsageLine::default()
    };
    let days = (0..30_i64).map(|day| {
        let is_weekend = matches!(day % 7, 0 | 6);
        let (cost, waste) = if is_weekend {
            (2_900 + day * 17 % 300, 1_900)
        } else {
            (7_400 + day * 331 % 1_400, 1_500 + day * 97 % 700)
        };
        UsageDay {
            date: format!("2026-11-{:02}", day + 1),
            total: amounts(cost, waste, cost / 8, waste / 8),
        }
    });
    let mut lines = Vec::new();
    for (name, flavor, cost, waste, fit) in [
        (
            "dev-alice/notebook",
            "cpu-large",
            62_260,
            41_120,
            Some(("cpu-small", 46_370)),
        ),
        ("dev-bob/training", "gpu-large", 58_900, 6_570, None),
        (
            "dev-erin/assembly",
            "cpu-large",
            41_010,
            32_830,
            Some(("cpu-medium", 20_500)),
        ),
        ("dev-carol/portal", "cpu-small", 18_340, 1_170, None),
        (
            "dev-dave/old-branch",
            "cpu-medium",
            9_480,
            9_110,
            Some(("cpu-small", 4_740)),
        ),
    ] {
        lines.push(UsageLine {
            name: name.to_owned(),
            flavor: Some(flavor.to_owned()),
            fit: fit.map(|(flavor, saves)| UsageFit {
                flavor: flavor.to_owned(),
                saves_micros: saves * 10_000,
            }),
            ..amounts(cost, waste, cost / 12, waste / 12)
        });
    }
    Costs {
        report: UsageReport {
            since: 1_793_491_200,
            until: 1_793_491_200 + 30 * 86_400,
            counted_to: 1_793_491_200 + 30 * 86_400,
            currency: "EUR".to_owned(),
            by: By::Environment,
            total: amounts(189_990, 90_800, 15_832, 7_566),
            lines,
        },
        days: days.collect(),
        budgets: vec![UsageBudget {
            team: "genomics".to_owned(),
            micros_per_month: 2_200_000_000,
            spent_micros: 1_899_900_000,
            warn_percent: vec![80, 95],
        }],
        sight: Sight {
            teams: BTreeSet::from(["genomics".to_owned()]),
            ..Sight::default()
        },
    }
}

#[test]
fn a_team_lead_sees_the_month_day_by_day_and_the_budget() {
    let choice = Choice {
        period: Period::LastMonth,
        whose: Whose::Team("genomics".to_owned()),
        by: Some(By::Environment),
    };
    let text = rendered(&choice, &month());
    assert_eq!(
        text.matches("<rect class=\"used\"").count(),
        60,
        "a bar for each day, twice"
    );
    assert!(
        text.contains("1 – 30 Nov 2026") && text.contains("86 %"),
        "{text}"
    );
    assert!(
        text.contains("<option value=\"team:genomics\" selected>"),
        "{text}"
    );
    // For who wants to look at it: the style is in static/console.css.
    if let Some(path) = std::env::var_os("USAGE_HTML") {
        std::fs::write(path, text).unwrap();
    }
}
