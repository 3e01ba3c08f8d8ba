//! Usage and money: where the ledger lies, what things cost, what teams may spend, who is told each week.

use std::collections::BTreeMap;

use devserver_api::names;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{MailSettings, Platform, PlatformError, WebhookSettings, bad, mail};

/// The ledger. Absent: nothing is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UsageSettings {
    /// File of a SQLite database. This or `databaseUrlFile`.
    pub database_file: Option<String>,
    /// File that holds the URL of a PostgreSQL database, password and all.
    pub database_url_file: Option<String>,
    /// Currency of all prices and budgets (ISO 4217), such as `EUR`. Flavors with a price in another are counted by their parts.
    pub currency: String,
    /// What things cost from a day on. Reports of earlier days keep the prices of then.
    pub prices: Vec<PriceSettings>,
    /// File with OpenCost's custom prices (`default.json`); they count from when the operator first sees them.
    pub open_cost_prices_file: Option<String>,
    /// Weekly reports. Absent: none are sent.
    pub weekly_report: Option<WeeklyReportSettings>,
}

/// What things cost from a day on, in millionths of the currency. What is left out stays as it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceSettings {
    /// The day (UTC), such as `2026-01-01`.
    pub from: Date,
    /// One core that is set aside for one hour.
    #[serde(default)]
    pub cpu_micros_per_core_hour: Option<i64>,
    /// One GiB of memory that is set aside for one hour.
    #[serde(default)]
    pub memory_micros_per_gib_hour: Option<i64>,
    /// One GPU for one hour.
    #[serde(default)]
    pub gpu_micros_per_hour: Option<i64>,
    /// One GiB of a volume for a month of 730 hours, whether its environment runs or not.
    #[serde(default)]
    pub volume_micros_per_gib_month: Option<i64>,
    /// What comes off on spot nodes, in percent.
    #[serde(default)]
    pub spot_discount_percent: Option<i64>,
    /// A running environment of a flavor for one hour, instead of its cores, memory and GPUs. The flavor's own `price` does the same.
    #[serde(default)]
    pub flavor_micros_per_hour: BTreeMap<String, i64>,
}

/// Weekly reports: who gets them, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeeklyReportSettings {
    /// Addresses by team. Teams that are not here get no mail.
    #[serde(default)]
    pub recipients: BTreeMap<String, Vec<String>>,
    /// The mail server. Absent: no mail is sent.
    #[serde(default)]
    pub mail: Option<MailSettings>,
    /// An address that gets the report of each team that has used anything. Absent: none does.
    #[serde(default)]
    pub webhook: Option<WebhookSettings>,
    /// Hour of Monday (UTC) from which on the report of the week before is sent.
    #[serde(default = "default_hour")]
    pub hour: u8,
    /// Address of the console, for links.
    #[serde(default)]
    pub console_url: Option<String>,
}

fn default_hour() -> u8 {
    6
}

/// What a team may spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BudgetSettings {
    /// Millionths of the currency for a calendar month (UTC).
    pub micros_per_month: i64,
    /// Percentages at which the team is warned.
    #[serde(default = "default_warnings")]
    pub warn_percent: Vec<u8>,
}

fn default_warnings() -> Vec<u8> {
    vec![80, 95]
}

pub(super) fn check(platform: &Platform) -> Result<(), PlatformError> {
    for (team, settings) in &platform.teams {
        check_leads(&settings.leads).map_err(|why| bad("teams", format!("{team}: {why}")))?;
        let Some(budget) = &settings.budget else {
            continue;
        };
        if platform.usage.is_none() {
            let why = format!("{team}: a budget needs `usage`, which counts what is spent");
            return Err(bad("teams", why));
        }
        if budget.micros_per_month < 0 {
            return Err(bad(
                "teams",
                format!("{team}: microsPerMonth must not be negative"),
            ));
        }
        if budget
            .warn_percent
            .iter()
            .any(|percent| !(1..=99).contains(percent))
        {
            return Err(bad(
                "teams",
                format!("{team}: warnPercent must be between 1 and 99"),
            ));
        }
    }
    let Some(usage) = &platform.usage else {
        return Ok(());
    };
    let why = match (&usage.database_file, &usage.database_url_file) {
        (Some(path), None) | (None, Some(path)) if path.starts_with('/') => None,
        (Some(_), Some(_)) => Some("must be databaseFile or databaseUrlFile, not both"),
        (None, None) => Some("needs databaseFile or databaseUrlFile: where the ledger lies"),
        _ => Some("databaseFile and databaseUrlFile must be absolute paths"),
    };
    if let Some(why) = why {
        return Err(bad("usage", why));
    }
    if usage.currency.len() != 3 || !usage.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        let why = format!(
            "currency {:?} must be three capital letters, such as EUR",
            usage.currency
        );
        return Err(bad("usage", why));
    }
    for price in &usage.prices {
        check_price(price)
            .map_err(|why| bad("usage", format!("prices from {}: {why}", price.from)))?;
    }
    match &usage.weekly_report {
        Some(report) => {
            check_report(report).map_err(|why| bad("usage", format!("weeklyReport.{why}")))
        }
        None => Ok(()),
    }
}

fn check_leads(leads: &[String]) -> Result<(), String> {
    let is_name = |lead: &String| !lead.is_empty() && lead.chars().all(|c| c.is_ascii_graphic());
    match leads.iter().find(|lead| !is_name(lead)) {
        Some(wrong) => Err(format!("leads: {wrong:?} is no user name")),
        None => Ok(()),
    }
}

/// Largest price: a million for an hour. Beyond it a typing error is likelier than a machine.
const MOST: i64 = 1_000_000_000_000;

fn check_price(price: &PriceSettings) -> Result<(), String> {
    let plain = [
        price.cpu_micros_per_core_hour,
        price.memory_micros_per_gib_hour,
        price.gpu_micros_per_hour,
        price.volume_micros_per_gib_month,
    ];
    let flavors = price.flavor_micros_per_hour.values().copied();
    if plain
        .into_iter()
        .flatten()
        .chain(flavors)
        .any(|micros| !(0..=MOST).contains(&micros))
    {
        return Err(
            "a price must not be negative, nor more than 1000000 of the currency".to_owned(),
        );
    }
    if price
        .spot_discount_percent
        .is_some_and(|percent| !(0..=100).contains(&percent))
    {
        return Err("spotDiscountPercent must be between 0 and 100".to_owned());
    }
    if let Some(name) = price
        .flavor_micros_per_hour
        .keys()
        .find(|name| !names::is_subdomain(name))
    {
        return Err(format!("{name:?} is not the name of a flavor"));
    }
    Ok(())
}

fn check_report(report: &WeeklyReportSettings) -> Result<(), String> {
    if report.hour > 23 {
        return Err("hour must be between 0 and 23".to_owned());
    }
    match (&report.mail, &report.webhook) {
        (None, None) => {
            return Err("mail or webhook is needed: nobody is told otherwise".to_owned());
        }
        (None, Some(_)) if !report.recipients.is_empty() => {
            return Err("recipients need mail: the server that takes it".to_owned());
        }
        _ => {}
    }
    if let Some(mail) = &report.mail {
        mail::check(mail).map_err(|why| format!("mail {why}"))?;
    }
    if let Some(webhook) = &report.webhook {
        webhook.check().map_err(|why| format!("webhook {why}"))?;
    }
    let mut addresses = report.recipients.values().flatten();
    if let Some(wrong) = addresses.find(|address| !mail::is_address(address)) {
        return Err(format!("recipients: {wrong:?} is no mail address"));
    }
    match report.console_url.as_deref() {
        Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
            Err("consoleUrl must begin with https://".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "databaseFile: /var/lib/usage/ledger.db, currency: EUR";

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn a_mistake_is_refused_and_named() {
        let with = |more: &str| format!("usage: {{{BASE}, {more}}}");
        for (text, word) in [
            ("usage: {currency: EUR}".to_owned(), "databaseFile"),
            (
                "usage: {databaseFile: ledger.db, currency: EUR}".to_owned(),
                "absolute",
            ),
            (
                "usage: {databaseFile: /a, databaseUrlFile: /b, currency: EUR}".to_owned(),
                "both",
            ),
            (
                "usage: {databaseFile: /a, currency: euro}".to_owned(),
                "currency",
            ),
            (with("prices: [{from: yesterday}]"), "yesterday"),
            (
                with("prices: [{from: 2026-01-01, cpuMicrosPerCoreHour: -1}]"),
                "negative",
            ),
            (
                with("prices: [{from: 2026-01-01, spotDiscountPercent: 101}]"),
                "spotDiscountPercent",
            ),
            (
                with("prices: [{from: 2026-01-01, flavorMicrosPerHour: {'A B': 1}}]"),
                "A B",
            ),
            (
                with("weeklyReport: {mail: {host: mail, from: nobody}}"),
                "nobody",
            ),
            (
                with("weeklyReport: {hour: 24, mail: {host: mail, from: a@b}}"),
                "hour",
            ),
            (
                with("weeklyReport: {mail: {host: mail, from: a@b, username: a}}"),
                "passwordFile",
            ),
            (
                with(
                    "weeklyReport: {mail: {host: mail, from: a@b, encryption: None, username: a, passwordFile: /p}}",
                ),
                "clear",
            ),
            (with("weeklyReport: {hour: 6}"), "mail or webhook"),
            (with("weeklyReport: {webhook: {}}"), "urlFile"),
            (
                with("weeklyReport: {recipients: {a: [b@c]}, webhook: {url: 'https://a'}}"),
                "recipients need mail",
            ),
            (
                "teams: {a: {budget: {microsPerMonth: 1}}}".to_owned(),
                "needs `usage`",
            ),
            (
                format!(
                    "teams: {{a: {{budget: {{microsPerMonth: -1}}}}}}\n{}",
                    with("prices: []")
                ),
                "negative",
            ),
            (
                format!(
                    "teams: {{a: {{budget: {{microsPerMonth: 1, warnPercent: [100]}}}}}}\n{}",
                    with("prices: []")
                ),
                "warnPercent",
            ),
        ] {
            let error = Platform::parse(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_whole_configuration_is_read() {
        let text = format!(
            "teams: {{a: {{budget: {{microsPerMonth: 500000000}}}}}}\nusage: {{{BASE}, prices: [{{from: 2026-01-01, cpuMicrosPerCoreHour: 30000, \
             flavorMicrosPerHour: {{big: 2500000}}}}], weeklyReport: {{recipients: {{a: [lead@example.com]}}, mail: {{host: mail.example.com, from: dev@example.com}}}}}}"
        );
        let platform = Platform::parse(&text).unwrap();
        let budget = platform
            .teams
            .get("a")
            .and_then(|t| t.budget.clone())
            .unwrap();
        assert_eq!(budget.warn_percent, [80, 95]);
        assert_eq!(platform.usage.map(|u| u.prices.len()), Some(1));
    }
}
