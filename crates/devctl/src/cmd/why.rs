//! `devctl why`: gathers what can be seen, and prints what follows from it.

use std::fmt::Write as _;

use devserver_api::{DevServer, duration};
use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde::Serialize;

use super::{
    describe, events,
    events::clock,
    list::{age, phase},
};
use crate::{
    args::{Global, Why},
    escape,
    exit::Exit,
    failure::Outcome,
    kube::Session,
    output::{self, Format},
    why::{self, Line},
};

/// What is printed for programs.
#[derive(Serialize)]
struct Report<'a> {
    name: String,
    namespace: Option<String>,
    phase: &'static str,
    lines: &'a [Line],
}

/// Says why.
pub async fn run(global: &Global, args: &Why) -> Outcome<Exit> {
    let name = args.named.name()?;
    let session = Session::connect(global).await?;
    let server = session.server(name).await?;
    let (pod, events) = tokio::join!(
        describe::pod(global, &session, &server),
        events::list(&session, name, Some(&server)),
    );
    let events = events.unwrap_or_else(|failure| {
        // Less to tell, and still worth telling.
        global.detail(format_args!("{failure}"));
        Vec::new()
    });
    let now = Timestamp::now();
    let lines = why::why(&server, pod.as_ref(), &events, now);
    match args.output {
        Format::Table => output::print(&text(&server, &lines, now, &TimeZone::system()))?,
        form => {
            let report = Report {
                name: server.name_any(),
                namespace: server.namespace(),
                phase: phase(&server),
                lines: &lines,
            };
            output::print(&output::structured(&report, form)?)?;
        }
    }
    Ok(Exit::Ok)
}

/// For people: one paragraph for each reason.
fn text(server: &DevServer, lines: &[Line], now: Timestamp, zone: &TimeZone) -> String {
    let mut text = format!(
        "{} is {}\n",
        escape::line(&server.name_any()),
        phase(server)
    );
    for line in lines {
        let since = line.since.map(|since| {
            format!(
                "   ({} ago, since {})",
                age(Some(&Time(since)), now),
                clock(since, zone)
            )
        });
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\n{}: {}{}",
            escape::line(&line.rule),
            escape::line(&line.signal),
            since.unwrap_or_default()
        );
        let when = line.when.map(|when| {
            let left = when.duration_since(now).as_secs();
            let left = if left > 0 {
                format!("in {}", duration::humanize(left))
            } else {
                "now".to_owned()
            };
            format!(", {left} ({})", clock(when, zone))
        });
        let _ = writeln!(
            text,
            "  next: {}{}",
            escape::line(&line.next),
            when.unwrap_or_default()
        );
        if let Some(remedy) = &line.remedy {
            let _ = writeln!(text, "  do:   {}", escape::line(remedy));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_reason_says_since_when_what_comes_next_and_what_to_do() {
        let server: DevServer = serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "spec": {"ssh": {}},
            "metadata": {"name": "a", "generation": 1, "creationTimestamp": "2026-01-01T08:00:00Z"},
            "status": {
                "phase": "Pending", "observedGeneration": 1, "message": "no node fits: 0/3\x1b[2J; choose another flavor",
                "expirationTime": "2026-01-01T16:00:00Z",
                "conditions": [{"type": "Ready", "status": "False", "reason": "Unschedulable", "message": "",
                    "lastTransitionTime": "2026-01-01T08:00:05Z"}],
            },
        }))
        .unwrap();
        let now: Timestamp = "2026-01-01T08:02:05Z".parse().unwrap();
        let lines = why::why(&server, None, &[], now);
        insta::assert_snapshot!(text(&server, &lines, now, &TimeZone::UTC));
    }
}
