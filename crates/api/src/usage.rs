//! A report of usage as it goes from the operator to `devctl usage` and to mails: whole numbers, hours and money only when shown.

use serde::{Deserialize, Serialize};

use crate::money;

/// Name of the Service through which reports are read, and of the ServiceAccount whose token opens it.
pub const SERVICE: &str = "devserver-usage";
/// Port of that Service.
pub const PORT: u16 = 8081;
/// Audience of the token: it opens nothing else.
pub const AUDIENCE: &str = "devserver-usage";
/// Header with the token. The API server's proxy keeps `Authorization` to itself.
pub const TOKEN_HEADER: &str = "x-devserver-usage-token";
/// Path of reports.
pub const PATH: &str = "/v1/usage";
/// Path of the same reports by the names of OpenCost's allocation API.
pub const ALLOCATION: &str = "/v1/allocation";

/// What lines of a report are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// One for each team.
    #[default]
    Team,
    /// One for each project.
    Project,
    /// One for each owner.
    Owner,
    /// One for each flavor.
    Flavor,
    /// One for each namespace.
    Namespace,
    /// One for each environment, as `namespace/name`.
    Environment,
}

impl By {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Project => "project",
            Self::Owner => "owner",
            Self::Flavor => "flavor",
            Self::Namespace => "namespace",
            Self::Environment => "environment",
        }
    }
}

/// What is asked for, as parameters of the address. Absent ones mean: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UsageQuery {
    /// First second, since the epoch.
    pub since: i64,
    /// First second after it. Absent: now.
    pub until: Option<i64>,
    /// What lines are.
    pub by: By,
    /// Of this team only.
    pub team: Option<String>,
    /// Of this project only.
    pub project: Option<String>,
    /// Of this owner only.
    pub owner: Option<String>,
}

impl UsageQuery {
    /// The parameters, not encoded.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("since", self.since.to_string()),
            ("by", self.by.as_str().to_owned()),
        ];
        pairs.extend(self.until.map(|until| ("until", until.to_string())));
        for (key, value) in [
            ("team", &self.team),
            ("project", &self.project),
            ("owner", &self.owner),
        ] {
            pairs.extend(value.clone().map(|value| (key, value)));
        }
        pairs
    }
}

/// A report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// First second, since the epoch.
    pub since: i64,
    /// First second after it.
    pub until: i64,
    /// Up to when usage is counted; later than that nothing is known yet.
    pub counted_to: i64,
    /// Currency of all money.
    pub currency: String,
    /// What lines are.
    pub by: By,
    /// The lines, the dearest first.
    pub lines: Vec<UsageLine>,
    /// Their sum.
    pub total: UsageLine,
}

/// What one team, owner, … has used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsageLine {
    /// Which one; empty: those without.
    pub name: String,
    /// Seconds that environments ran.
    pub running_seconds: i64,
    /// Those of them in which nobody used them.
    pub idle_seconds: i64,
    /// Thousandths of cores that were set aside, times seconds.
    pub cpu_milli_seconds: i64,
    /// MiB of memory that were set aside, times seconds.
    pub memory_mebibyte_seconds: i64,
    /// GPUs that were set aside, times seconds.
    pub gpu_seconds: i64,
    /// MiB of volumes, times seconds.
    pub volume_mebibyte_seconds: i64,
    /// Of the seconds that ran: those in which use was measured.
    pub measured_seconds: i64,
    /// Hundredths of a percent of the cores set aside that were used while it was measured. Absent: it was not.
    pub cpu_used_basis_points: Option<i64>,
    /// The same of memory.
    pub memory_used_basis_points: Option<i64>,
    /// Cost of cores, in millionths.
    pub cpu_cost_micros: i64,
    /// Of memory.
    pub memory_cost_micros: i64,
    /// Of GPUs.
    pub gpu_cost_micros: i64,
    /// Of environments whose flavor has a price of its own.
    pub flavor_cost_micros: i64,
    /// Of volumes.
    pub volume_cost_micros: i64,
    /// All of it.
    pub total_cost_micros: i64,
    /// What of it was for nothing: idle, or set aside and not used.
    pub waste_micros: i64,
    /// Of a line that is an environment: whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Of a line that is an environment: the flavor that it ran longest with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavor: Option<String>,
    /// Of a line that is an environment: a smaller flavor that would have done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<UsageFit>,
}

/// A smaller flavor that would have done: with room for twice the processors used on average and for a fifth more than the
/// most memory used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageFit {
    /// Its name.
    pub flavor: String,
    /// What it would have saved, in millionths.
    pub saves_micros: i64,
}

const HEADINGS: &str = "name,runningHours,idleHours,cpuCoreHours,ramGiBHours,gpuHours,pvGiBMonths,cpuEfficiency,ramEfficiency,cpuCost,ramCost,gpuCost,flavorCost,pvCost,totalCost,wasteCost,currency";
/// What lines that are environments have besides.
const MORE_HEADINGS: &str = "owner,flavor,fittingFlavor,fittingFlavorSavesCost";

impl UsageReport {
    /// Comma-separated values (RFC 4180). Names of columns are OpenCost's, with units in them where they differ.
    pub fn csv(&self) -> String {
        let has_more = self.by == By::Environment;
        let mut text = HEADINGS.to_owned();
        if has_more {
            text = format!("{text},{MORE_HEADINGS}");
        }
        text.push_str("\r\n");
        for line in &self.lines {
            let mut cells = row(line, &self.currency).to_vec();
            if has_more {
                cells.extend(more(line));
            }
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

/// What lines that are environments have besides.
fn more(line: &UsageLine) -> [String; 4] {
    let text = |text: &Option<String>| text.as_deref().map_or_else(String::new, field);
    let fit = line.fit.as_ref();
    [
        text(&line.owner),
        text(&line.flavor),
        fit.map_or_else(String::new, |fit| field(&fit.flavor)),
        fit.map_or_else(String::new, |fit| money::exact(fit.saves_micros)),
    ]
}

fn row(line: &UsageLine, currency: &str) -> [String; 17] {
    let hours = |seconds: i64| thousandths(seconds.into(), 3_600);
    let share =
        |points: Option<i64>| points.map_or_else(String::new, |p| thousandths(p.into(), 10_000));
    [
        field(&line.name),
        hours(line.running_seconds),
        hours(line.idle_seconds),
        thousandths(line.cpu_milli_seconds.into(), 3_600_000),
        thousandths(line.memory_mebibyte_seconds.into(), 1_024 * 3_600),
        hours(line.gpu_seconds),
        thousandths(line.volume_mebibyte_seconds.into(), 1_024 * 3_600 * 730),
        share(line.cpu_used_basis_points),
        share(line.memory_used_basis_points),
        money::exact(line.cpu_cost_micros),
        money::exact(line.memory_cost_micros),
        money::exact(line.gpu_cost_micros),
        money::exact(line.flavor_cost_micros),
        money::exact(line.volume_cost_micros),
        money::exact(line.total_cost_micros),
        money::exact(line.waste_micros),
        field(currency),
    ]
}

/// `12.345`, rounded half up.
fn thousandths(amount: i128, scale: i128) -> String {
    let value = (amount * 1_000 + scale / 2) / scale;
    format!("{}.{:03}", value / 1_000, value % 1_000)
}

/// A cell. One that a spreadsheet would take for a formula is made a text: names of owners are free text.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_exact_and_names_cannot_become_formulas() {
        let line = UsageLine {
            name: "=cmd(\"x\"),a".to_owned(),
            running_seconds: 5_400,
            cpu_milli_seconds: 3_600_000,
            memory_mebibyte_seconds: 1_024 * 7_200,
            volume_mebibyte_seconds: 1_024 * 3_600 * 730,
            cpu_used_basis_points: Some(1_250),
            total_cost_micros: 1_234_567,
            ..UsageLine::default()
        };
        let report = UsageReport {
            currency: "EUR".to_owned(),
            lines: vec![line],
            ..UsageReport::default()
        };
        let text = report.csv();
        let second = text.lines().nth(1).unwrap();
        assert_eq!(
            second,
            "\"'=cmd(\"\"x\"\"),a\",1.500,0.000,1.000,2.000,0.000,1.000,0.125,,0.000000,0.000000,0.000000,0.000000,0.000000,1.234567,0.000000,EUR"
        );
        let mut report = report;
        report.by = By::Environment;
        if let Some(line) = report.lines.first_mut() {
            line.owner = Some("@alice".to_owned());
            line.fit = Some(UsageFit {
                flavor: "small".to_owned(),
                saves_micros: 2_500_000,
            });
        }
        let text = report.csv();
        assert!(text.ends_with(",EUR,'@alice,,small,2.500000\r\n"), "{text}");
        let counts = text.lines().map(|line| line.split(',').count());
        // One of the name's own commas is in quotes.
        assert_eq!(counts.collect::<Vec<_>>(), [21, 22]);
    }
}
