//! `devctl usage`: what environments used and what it costs, from the operator's ledger.
//!
//! The way leads through the API server's service proxy, so nothing of the ledger is open to the network. It takes the rights
//! of the Role `devserver-usage-reader`: to make a token of the ServiceAccount `devserver-usage`, and to use the proxy.

use devserver_api::{
    duration, money,
    usage::{
        ALLOCATION, AUDIENCE, By, PATH, PORT, SERVICE, TOKEN_HEADER, UsageLine, UsageQuery,
        UsageReport,
    },
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};
use serde::de::DeserializeOwned;

use crate::{
    args::{Global, Usage, UsageForm},
    exit::Exit,
    failure::{Failure, Outcome},
    kube::{Session, answer, checked_namespace},
    output::{self, Columns, Format, or_dash},
};

/// Seconds for which the token is good: the shortest that Kubernetes gives.
const TOKEN_SECONDS: i64 = 600;
/// Seconds that the ledger may be behind before that is told.
const BEHIND: i64 = 600;
const RIGHTS: &str = "ask an administrator for the Role devserver-usage-reader (usage.readers of the chart devserver-platform)";

/// Prints a report.
pub async fn run(global: &Global, args: &Usage) -> Outcome<Exit> {
    let now = Timestamp::now();
    let query = query(args, now)?;
    let namespace = checked_namespace(&args.platform_namespace)?;
    let session = Session::connect(global).await?;
    let token = token(&session, &namespace).await?;
    if args.output == UsageForm::Opencost {
        let told: serde_json::Value =
            ask(&session, &namespace, &token, (ALLOCATION, &query)).await?;
        output::print(&output::structured(&told, Format::Json)?)?;
        return Ok(Exit::Ok);
    }
    let report: UsageReport = ask(&session, &namespace, &token, (PATH, &query)).await?;
    let text = match args.output {
        UsageForm::Json | UsageForm::Opencost => output::structured(&report, Format::Json)?,
        UsageForm::Csv => report.csv(),
        UsageForm::Table => table(&report),
    };
    output::print(&text)?;
    if args.output == UsageForm::Table && report.lines.is_empty() {
        output::note("nothing was used in that time");
    }
    let until = report.until.min(now.as_second());
    if report.counted_to < until - BEHIND {
        output::note(&format!(
            "the ledger is complete up to {} only; if that stays so, see the operator's log",
            instant(report.counted_to)
        ));
    }
    Ok(Exit::Ok)
}

fn query(args: &Usage, now: Timestamp) -> Outcome<UsageQuery> {
    let second = |text: &Option<String>| text.as_deref().map(|text| when(text, now)).transpose();
    let month = now.to_zoned(TimeZone::UTC).date().first_of_month();
    let since = match second(&args.since)? {
        Some(since) => since,
        None => midnight(month).unwrap_or_default(),
    };
    let until = second(&args.until)?;
    if until.unwrap_or(now.as_second()) <= since {
        return Err(Failure::usage(
            "--since must lie before --until, and before now",
        ));
    }
    Ok(UsageQuery {
        since,
        until,
        by: args.by.into(),
        team: args.team.clone(),
        project: args.project.clone(),
        owner: args.owner.clone(),
    })
}

fn midnight(date: Date) -> Option<i64> {
    let zoned = date.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

/// A day, an instant, or a time ago; days are those of UTC, as in the ledger.
fn when(text: &str, now: Timestamp) -> Outcome<i64> {
    if let Some(second) = text
        .parse::<Date>()
        .ok()
        .filter(|_| text.len() == 10)
        .and_then(midnight)
    {
        return Ok(second);
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.as_second());
    }
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    let ago = match days {
        Some(days) => Some(i64::from(days) * 86_400),
        None => duration::parse_positive(text)
            .ok()
            .and_then(|s| i64::try_from(s).ok()),
    };
    ago.map(|ago| now.as_second() - ago).ok_or_else(|| {
        Failure::usage(format!("'{text}' is no time")).remedy(
            "write a day (2026-11-01), an instant (2026-11-01T12:00:00Z), or a time ago (7d, 12h)",
        )
    })
}

/// A token for the ledger alone.
async fn token(session: &Session, namespace: &str) -> Outcome<String> {
    let api: Api<ServiceAccount> = session.in_namespace(namespace);
    let wanted = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(vec![AUDIENCE.to_owned()]),
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let params = PostParams::default();
    let request = api.create_token_request(SERVICE, &params, &wanted);
    let given = answer("failed to ask for a token of the ledger", request).await.map_err(|failure| match failure.exit {
        Exit::Forbidden => failure.remedy(RIGHTS),
        Exit::NotFound => failure.remedy("the platform counts nothing there: an administrator sets usage.enabled of the chart; or choose --platform-namespace"),
        _ => failure,
    })?;
    let token = given.status.and_then(|status| status.token);
    token.ok_or_else(|| Failure::new(Exit::Error, "the cluster gave no token"))
}

async fn ask<T: DeserializeOwned>(
    session: &Session,
    namespace: &str,
    token: &str,
    (path, query): (&str, &UsageQuery),
) -> Outcome<T> {
    const WHAT: &str = "failed to read the report";
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::Error, WHAT).because(error);
    let uri = format!(
        "/api/v1/namespaces/{namespace}/services/{SERVICE}:{PORT}/proxy{path}?{}",
        parameters(query)
    );
    let request = http::Request::get(uri)
        .header(TOKEN_HEADER, token)
        .body(Vec::new())
        .map_err(|error| failed(&error))?;
    let text = answer(WHAT, session.client().request_text(request))
        .await
        .map_err(|failure| match failure.exit {
            Exit::Forbidden => failure.remedy(RIGHTS),
            _ => failure,
        })?;
    serde_json::from_str(&text).map_err(|error| {
        failed(&error)
            .remedy("devctl and the platform are of different versions: see `devctl version`")
    })
}

/// The query as parameters of an address; every value is text, whatever is in it.
fn parameters(query: &UsageQuery) -> String {
    let pairs = query.pairs().into_iter();
    let pairs = pairs.map(|(key, value)| format!("{key}={}", escaped(&value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

fn instant(second: i64) -> String {
    Timestamp::from_second(second)
        .map_or_else(|_| second.to_string(), |instant| instant.to_string())
}

fn table(report: &UsageReport) -> String {
    let name = report.by.as_str().to_uppercase();
    let cost = format!("COST ({})", report.currency);
    let mut headings = vec![
        name.as_str(),
        "HOURS",
        "IDLE",
        "CPU-HOURS",
        "GIB-HOURS",
        "GPU-HOURS",
        "CPU USED",
        "MEMORY USED",
        cost.as_str(),
        "WASTED",
    ];
    let has_more = report.by == By::Environment;
    if has_more {
        headings.extend(["FLAVOR", "WOULD DO", "SAVES"]);
    }
    let mut columns = Columns::new(&headings);
    let mut row = |name: &str, line: &UsageLine| {
        let mut cells = cells(name, line).to_vec();
        if has_more {
            cells.extend(fitting(line));
        }
        columns.row(&cells);
    };
    for line in &report.lines {
        row(&or_dash(Some(&line.name)), line);
    }
    if report.lines.len() > 1 {
        row("TOTAL", &report.total);
    }
    columns.finish()
}

/// The flavor of an environment, the smaller one that would have done, and what that would have saved.
fn fitting(line: &UsageLine) -> [String; 3] {
    let fit = line.fit.as_ref();
    [
        or_dash(line.flavor.as_deref()),
        or_dash(fit.map(|fit| fit.flavor.as_str())),
        fit.map_or_else(|| "-".to_owned(), |fit| money::cents(fit.saves_micros)),
    ]
}

fn cells(name: &str, line: &UsageLine) -> [String; 10] {
    let hours = |amount: i64, scale: i128| money::tenths(amount.into(), scale * 3_600);
    let percent = |points: Option<i64>| {
        points.map_or_else(|| "-".to_owned(), |p| format!("{}%", (p + 50) / 100))
    };
    [
        name.to_owned(),
        hours(line.running_seconds, 1),
        hours(line.idle_seconds, 1),
        hours(line.cpu_milli_seconds, 1_000),
        hours(line.memory_mebibyte_seconds, 1_024),
        hours(line.gpu_seconds, 1),
        percent(line.cpu_used_basis_points),
        percent(line.memory_used_basis_points),
        money::cents(line.total_cost_micros),
        money::cents(line.waste_micros),
    ]
}

#[cfg(test)]
mod tests {
    use devserver_api::usage::UsageFit;

    use super::*;

    #[test]
    fn times_are_days_instants_or_ago() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let at = |text: &str| when(text, now).map(instant).map_err(|failure| failure.exit);
        assert_eq!(at("2026-11-01").unwrap(), "2026-11-01T00:00:00Z");
        assert_eq!(
            at("2026-11-01T06:00:00+01:00").unwrap(),
            "2026-11-01T05:00:00Z"
        );
        assert_eq!(at("7d").unwrap(), "2026-11-23T12:00:00Z");
        assert_eq!(at("1h30m").unwrap(), "2026-11-30T10:30:00Z");
        for wrong in ["yesterday", "-1d", "", "2026-13-01"] {
            assert_eq!(at(wrong).unwrap_err(), Exit::Usage, "{wrong:?}");
        }
    }

    #[test]
    fn d12_a_value_cannot_become_another_parameter() {
        let query = UsageQuery {
            since: 1,
            by: By::Owner,
            team: Some("a&owner=b c/../%2e'".to_owned()),
            ..UsageQuery::default()
        };
        assert_eq!(
            parameters(&query),
            "since=1&by=owner&team=a%26owner%3Db%20c%2F..%2F%252e%27"
        );
    }

    #[test]
    fn the_table_has_a_total_and_says_what_was_not_measured() {
        let line = |name: &str, hours: i64, used: Option<i64>| UsageLine {
            name: name.to_owned(),
            running_seconds: hours * 3_600,
            cpu_milli_seconds: hours * 7_200_000,
            memory_mebibyte_seconds: hours * 3_600 * 4_096,
            cpu_used_basis_points: used,
            total_cost_micros: hours * 1_000_000,
            waste_micros: 5_000,
            ..UsageLine::default()
        };
        let report = UsageReport {
            currency: "EUR".to_owned(),
            by: By::Team,
            lines: vec![line("genomics", 10, Some(2_550)), line("", 1, None)],
            total: line("", 11, Some(2_550)),
            ..UsageReport::default()
        };
        let text = table(&report);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        let expected = [
            "TEAM HOURS IDLE CPU-HOURS GIB-HOURS GPU-HOURS CPU USED MEMORY USED COST (EUR) WASTED",
            "genomics 10.0 0.0 20.0 40.0 0.0 26% - 10.00 0.01",
            "- 1.0 0.0 2.0 4.0 0.0 - - 1.00 0.01",
            "TOTAL 11.0 0.0 22.0 44.0 0.0 26% - 11.00 0.01",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn environments_are_told_with_the_flavor_that_would_do() {
        let one = |fit: Option<UsageFit>| UsageLine {
            name: "dev-a/box".to_owned(),
            flavor: Some("large".to_owned()),
            fit,
            ..UsageLine::default()
        };
        let fit = UsageFit {
            flavor: "small".to_owned(),
            saves_micros: 12_340_000,
        };
        let report = UsageReport {
            by: By::Environment,
            lines: vec![one(Some(fit)), one(None)],
            ..UsageReport::default()
        };
        let text = table(&report);
        let ends: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().rev().take(3).collect())
            .collect();
        let total = ["-", "-", "-"];
        let expected = [
            ["SAVES", "DO", "WOULD"],
            ["12.34", "small", "large"],
            ["-", "-", "large"],
            total,
        ];
        assert_eq!(ends, expected);
    }
}
