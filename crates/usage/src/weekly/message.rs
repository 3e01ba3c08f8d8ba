//! The report for programs: what a webhook gets.

use devserver_core::message::Message;
use serde_json::{Value, json};

use super::{Environment, Weekly, text::link};

/// Type of the event.
const KIND: &str = "io.devserver.usage.weekly";

/// What the report is known by, whichever way it goes.
pub fn identity(weekly: &Weekly) -> String {
    format!("usage-{}-{}", weekly.week, word(&weekly.team))
}

/// The report as an event. Its identity is that of week and team, so that a second copy, should there ever be one, is known
/// for the same. `console`: address of the console, for links.
pub fn message(weekly: &Weekly, console: Option<&str>) -> Message {
    let team = word(&weekly.team);
    let until = weekly.window.until;
    let wasteful = weekly.wasteful();
    let wasteful = wasteful.into_iter().map(|environment| {
        let total = &environment.total;
        let more = [
            ("totalCostMicros", json!(total.cost.total())),
            ("wasteMicros", json!(total.waste_micros)),
            ("idleSeconds", json!(total.idle_seconds)),
        ];
        told(environment, console, more)
    });
    let too_large = weekly.too_large().map(|(environment, fit)| {
        let total = &environment.total;
        let more = [
            ("wouldDo", json!(fit.flavor)),
            ("savesMicros", json!(fit.saves_micros)),
            ("cpuUsedBasisPoints", json!(total.cpu_used())),
            ("memoryUsedBasisPoints", json!(total.memory_used())),
        ];
        told(environment, console, more)
    });
    let days = weekly.days.iter();
    let days = days.map(|day| json!({"date": day.date, "total": day.total.line("")}));
    Message {
        id: identity(weekly),
        owner: None,
        subject: super::subject_line(weekly),
        text: super::text(weekly, console),
        data: json!({
            "team": weekly.team,
            "week": weekly.week,
            "report": weekly.report.wire(until),
            "before": weekly.before.line(""),
            "days": days.collect::<Vec<_>>(),
            "wasteful": wasteful.collect::<Vec<_>>(),
            "tooLarge": too_large.collect::<Vec<_>>(),
        }),
        kind: KIND,
        source: format!("/teams/{team}"),
    }
}

/// An environment with more of it.
fn told<const N: usize>(
    environment: &Environment,
    console: Option<&str>,
    more: [(&str, Value); N],
) -> Value {
    let (namespace, name) = (&environment.namespace, &environment.name);
    let link = console.map(|console| link(console, namespace, name));
    let named = [
        ("namespace", json!(namespace)),
        ("name", json!(name)),
        ("owner", json!(environment.owner)),
        ("flavor", json!(environment.flavor)),
        ("link", json!(link)),
    ];
    let all = named.into_iter().chain(more);
    Value::Object(all.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A team in what may stand in a header or a path; no two teams become one.
fn word(team: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || byte == b'-' {
            char::from(byte).to_string()
        } else {
            format!("_{byte:02x}")
        }
    };
    if team.is_empty() {
        // Never the first of two digits.
        "_".to_owned()
    } else {
        team.bytes().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d12_no_two_teams_have_one_word_and_none_breaks_a_header() {
        let teams = ["", "_", "a b", "a_20b", "a-b", "a\r\nx: y", "../etc", "ä"];
        let words: std::collections::BTreeSet<String> = teams.iter().map(|t| word(t)).collect();
        assert_eq!(words.len(), teams.len(), "{words:?}");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        assert!(
            words.iter().all(|word| word.chars().all(is_plain)),
            "{words:?}"
        );
        assert_eq!(word("genomics"), "genomics");
    }
}
