//! What the page of costs shows, from the operator's answer: numbers as texts, and where the bars stand. Pure.

use askama::Template;
use devserver_api::{
    costs::{Costs, Sight, UsageBudget, UsageDay},
    money,
    usage::{By, UsageLine, UsageQuery, UsageReport},
};
use jiff::Timestamp;

use super::{
    chart::{self, Chart, HEIGHT, WIDTH},
    period::{self, Period},
    usage::{Choice, Whose},
    view::Frame,
};

/// Seconds that the ledger may be behind before that is told.
const BEHIND: i64 = 600;
/// What lines can be, and their words.
const LINES: [(By, &str); 5] = [
    (By::Environment, "Environment"),
    (By::Owner, "Owner"),
    (By::Team, "Team"),
    (By::Project, "Project"),
    (By::Flavor, "Flavor"),
];

/// One entry of a list to choose from.
struct Entry {
    word: String,
    text: String,
    is_chosen: bool,
}

/// One number over the page.
struct Figure {
    name: &'static str,
    value: String,
    note: String,
}

/// A team's budget.
pub struct Budget {
    team: String,
    /// How much of it is spent, at most 100.
    pub percent: i64,
    text: String,
    /// How it stands, as a class of the style.
    pub tone: &'static str,
}

/// One line of a table.
struct Row {
    name: String,
    cells: Vec<String>,
}

/// The page.
#[derive(Template)]
#[template(path = "usage.html")]
pub struct Usage {
    frame: Frame,
    days_of: String,
    periods: Vec<Entry>,
    whose: Vec<Entry>,
    by: Vec<Entry>,
    query: String,
    figures: Vec<Figure>,
    budgets: Vec<Budget>,
    size: (i64, i64),
    charts: [Chart; 2],
    days: Vec<Row>,
    by_word: &'static str,
    headings: Vec<String>,
    rows: Vec<Row>,
    total: Vec<String>,
    behind: Option<String>,
}

/// The page.
pub fn page(
    frame: Frame,
    choice: &Choice,
    query: &UsageQuery,
    costs: &Costs,
    now: Timestamp,
) -> Usage {
    let report = &costs.report;
    let (headings, rows, total) = table(report);
    let mut words = LINES.iter().filter(|(by, _)| *by == query.by);
    let words_of = |by: By, text: &str| Entry {
        word: by.as_str().to_owned(),
        text: text.to_owned(),
        is_chosen: by == query.by,
    };
    Usage {
        frame,
        days_of: period::days(report.since, report.until),
        periods: periods(choice.period),
        whose: whose(&choice.whose, &costs.sight),
        by: LINES.iter().map(|(by, text)| words_of(*by, text)).collect(),
        query: parameters(choice, query),
        figures: figures(report),
        budgets: costs.budgets.iter().map(|b| budget(b, report)).collect(),
        size: (WIDTH, HEIGHT),
        charts: chart::charts(&costs.days, &report.currency),
        days: costs.days.iter().map(day).collect(),
        by_word: words.next().map_or("Namespace", |(_, text)| *text),
        headings,
        rows,
        total,
        behind: behind(report, now),
    }
}

fn periods(chosen: Period) -> Vec<Entry> {
    let entry = |period: Period| Entry {
        word: period.as_str().to_owned(),
        text: period.words().to_owned(),
        is_chosen: period == chosen,
    };
    Period::ALL.into_iter().map(entry).collect()
}

/// What the user may see, and nothing else.
fn whose(chosen: &Whose, sight: &Sight) -> Vec<Entry> {
    let teams = sight.teams.iter();
    let mut all = vec![(Whose::Mine, "My environments".to_owned())];
    all.extend(teams.map(|team| (Whose::Team(team.clone()), format!("Team {team}"))));
    if sight.all {
        all.push((Whose::All, "All environments".to_owned()));
    }
    // Readers may name teams that the configuration does not know.
    if let (Whose::Team(team), false) = (chosen, all.iter().any(|(whose, _)| whose == chosen)) {
        let text = if team.is_empty() {
            "Without a team".to_owned()
        } else {
            format!("Team {team}")
        };
        all.push((chosen.clone(), text));
    }
    let entry = |(whose, text): (Whose, String)| Entry {
        word: whose.word(),
        is_chosen: whose == *chosen,
        text,
    };
    all.into_iter().map(entry).collect()
}

/// The same choice for the files.
fn parameters(choice: &Choice, query: &UsageQuery) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("period", choice.period.as_str())
        .append_pair("whose", &choice.whose.word())
        .append_pair("by", query.by.as_str())
        .finish()
}

fn hours(amount: i64, scale: i128) -> String {
    money::tenths(amount.into(), scale * 3_600)
}

/// `42 %`, or a dash where it was not measured.
fn percent(points: Option<i64>) -> String {
    points.map_or_else(|| "–".to_owned(), |p| format!("{} %", (p + 50) / 100))
}

/// `12 % of it`, of the part that something is of the whole.
fn part(amount: i64, whole: i64) -> String {
    if whole <= 0 {
        return String::new();
    }
    let percent = (i128::from(amount) * 100 + i128::from(whole) / 2) / i128::from(whole);
    format!("{percent} % of it")
}

fn figures(report: &UsageReport) -> Vec<Figure> {
    let total = &report.total;
    let figure = |name, value, note| Figure { name, value, note };
    let currency = || report.currency.clone();
    let set_aside = || "of what is set aside".to_owned();
    let cost = total.total_cost_micros;
    let running = total.running_seconds;
    vec![
        figure("Cost", money::cents(cost), currency()),
        figure(
            "Wasted",
            money::cents(total.waste_micros),
            part(total.waste_micros, cost),
        ),
        figure("Compute hours", hours(running, 1), String::new()),
        figure(
            "Idle hours",
            hours(total.idle_seconds, 1),
            part(total.idle_seconds, running),
        ),
        figure(
            "Processors used",
            percent(total.cpu_used_basis_points),
            set_aside(),
        ),
        figure(
            "Memory used",
            percent(total.memory_used_basis_points),
            set_aside(),
        ),
    ]
}

/// How a budget stands.
pub fn budget(budget: &UsageBudget, report: &UsageReport) -> Budget {
    let (spent, of) = (budget.spent_micros, budget.micros_per_month);
    let percent = i128::from(spent) * 100 / i128::from(of.max(1));
    let percent = i64::try_from(percent).unwrap_or(i64::MAX).max(0);
    let is_warned = budget
        .warn_percent
        .iter()
        .any(|at| percent >= i64::from(*at));
    let (tone, more) = match (spent >= of, is_warned) {
        (true, _) => ("bad", "; nothing new of the team starts in this month"),
        (false, true) => ("busy", ""),
        (false, false) => ("good", ""),
    };
    Budget {
        text: format!(
            "{} of {} {} in this month, {percent} %{more}",
            money::cents(spent),
            money::cents(of),
            report.currency
        ),
        team: budget.team.clone(),
        percent: percent.min(100),
        tone,
    }
}

fn day(day: &UsageDay) -> Row {
    let total = &day.total;
    Row {
        name: day.date.clone(),
        cells: vec![
            hours(total.running_seconds, 1),
            hours(total.idle_seconds, 1),
            money::cents(total.total_cost_micros),
            money::cents(total.waste_micros),
        ],
    }
}

/// Money first: what else there is may be to the right of a small screen.
fn table(report: &UsageReport) -> (Vec<String>, Vec<Row>, Vec<String>) {
    let has_more = report.by == By::Environment;
    let mut headings = vec![format!("Cost ({})", report.currency), "Wasted".to_owned()];
    if has_more {
        headings.extend(["Flavor", "Would do", "Saves"].map(str::to_owned));
    }
    let amounts = [
        "Hours",
        "Idle",
        "Processors used",
        "Memory used",
        "Core-hours",
        "GiB-hours",
        "GPU-hours",
        "Volume GiB-months",
    ];
    headings.extend(amounts.map(str::to_owned));
    let cells = |line: &UsageLine| {
        let cents = [line.total_cost_micros, line.waste_micros].map(money::cents);
        let mut cells = cents.to_vec();
        if has_more {
            cells.extend(fitting(line));
        }
        cells.extend(amounts_of(line));
        cells
    };
    let rows = report.lines.iter().map(|line| Row {
        name: match line.name.as_str() {
            "" => "none".to_owned(),
            name => name.to_owned(),
        },
        cells: cells(line),
    });
    (headings, rows.collect(), cells(&report.total))
}

fn amounts_of(line: &UsageLine) -> [String; 8] {
    [
        hours(line.running_seconds, 1),
        hours(line.idle_seconds, 1),
        percent(line.cpu_used_basis_points),
        percent(line.memory_used_basis_points),
        hours(line.cpu_milli_seconds, 1_000),
        hours(line.memory_mebibyte_seconds, 1_024),
        hours(line.gpu_seconds, 1),
        hours(line.volume_mebibyte_seconds, 1_024 * 730),
    ]
}

/// The flavor of an environment, the smaller one that would have done, and what that would have saved.
fn fitting(line: &UsageLine) -> [String; 3] {
    let fit = line.fit.as_ref();
    [
        line.flavor.clone().unwrap_or_default(),
        fit.map(|fit| fit.flavor.clone()).unwrap_or_default(),
        fit.map(|fit| money::cents(fit.saves_micros))
            .unwrap_or_default(),
    ]
}

fn behind(report: &UsageReport, now: Timestamp) -> Option<String> {
    let until = report.until.min(now.as_second());
    let at = Timestamp::from_second(report.counted_to).ok()?;
    (report.counted_to < until - BEHIND).then(|| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
