//! `devctl events`: what happened to a DevServer and its objects.

use std::collections::HashMap;

use devserver_api::{DevServer, names::ServerName};
use futures::{StreamExt as _, stream};
use jiff::{Timestamp, tz::TimeZone};
use k8s_openapi::api::core::v1::Event;
use kube::{
    ResourceExt as _,
    api::ListParams,
    runtime::{WatchStreamExt as _, watcher},
};

use crate::{
    args::{Events, Global},
    exit::Exit,
    failure::{Failure, Outcome},
    happened,
    kube::{self as cluster, Session},
    output::{self, Format, or_dash},
    rows::Rows,
    watching,
};

const HEADINGS: [&str; 4] = ["TIME", "TYPE", "REASON", "MESSAGE"];
const WIDE: [&str; 6] = ["TIME", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"];

/// Shows them, and with `--watch` those to come.
pub async fn run(global: &Global, args: &Events) -> Outcome<Exit> {
    let name = args.named.name()?;
    let session = Session::connect(global).await?;
    let what = format!("failed to get DevServer '{name}'");
    let server = cluster::answer(&what, session.servers().get_opt(name)).await?;
    let events = list(&session, name, server.as_ref()).await?;
    if server.is_none() {
        if events.is_empty() {
            return Err(session.not_found(name));
        }
        output::note(&format!(
            "DevServer '{name}' is gone; this is what is left of it"
        ));
    }
    let format = args.output.output;
    let mut printer = Printer::new(format);
    if args.watch {
        printer.print(&events)?;
        watch(&session, name, server.as_ref(), &events, &mut printer).await?;
    } else if matches!(format, Format::Json | Format::Yaml) {
        output::print(&output::structured(&output::list(&events), format)?)?;
    } else if events.is_empty() {
        output::note(&format!(
            "no events of DevServer '{name}'; the cluster forgets them, most after an hour"
        ));
    } else {
        printer.print(&events)?;
    }
    Ok(Exit::Ok)
}

/// All that the cluster still knows, the oldest first. With `server`, of this very one only.
pub async fn list(
    session: &Session,
    name: &str,
    server: Option<&DevServer>,
) -> Outcome<Vec<Event>> {
    let name = server_name(name)?;
    let api = session.events();
    let lists = happened::names(&name).into_iter().map(|object| {
        let params = ListParams::default().fields(&format!("involvedObject.name={object}"));
        let api = api.clone();
        async move { cluster::answer("failed to list events", api.list(&params)).await }
    });
    let lists = futures::future::try_join_all(lists).await?;
    let mut events: Vec<Event> = lists.into_iter().flat_map(|list| list.items).collect();
    events.retain(|event| happened::is_about(event, &name, server));
    happened::sort(&mut events);
    Ok(events)
}

/// Prints each event that is new, or happened once more, until interrupted.
async fn watch(
    session: &Session,
    name: &str,
    server: Option<&DevServer>,
    shown: &[Event],
    printer: &mut Printer,
) -> Outcome {
    let name = server_name(name)?;
    let streams = happened::names(&name).into_iter().map(|object| {
        let config = watcher::Config::default().fields(&format!("involvedObject.name={object}"));
        watcher(session.events(), config)
            .default_backoff()
            .applied_objects()
            .boxed()
    });
    let mut events = stream::select_all(streams);
    let key = |event: &Event| (event.uid(), happened::count(event));
    let mut known: HashMap<Option<String>, i32> = shown.iter().map(key).collect();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let seen = tokio::select! {
            seen = events.next() => seen,
            _ = &mut interrupted => return Ok(()),
        };
        match seen {
            Some(Ok(event)) if happened::is_about(&event, &name, server) => {
                let (uid, count) = key(&event);
                if known.insert(uid, count) != Some(count) {
                    printer.print(&[event])?;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => watching::refused("failed to watch events", &error)?,
            None => return Err(watching::ended("events")),
        }
    }
}

fn server_name(name: &str) -> Outcome<ServerName> {
    ServerName::parse(name).map_err(|e| Failure::usage(format!("the name '{name}' {e}")))
}

struct Printer {
    format: Format,
    rows: Rows,
    zone: TimeZone,
}

impl Printer {
    fn new(format: Format) -> Self {
        let headings = if format == Format::Wide {
            &WIDE[..]
        } else {
            &HEADINGS
        };
        Self {
            format,
            rows: Rows::new(headings),
            zone: TimeZone::system(),
        }
    }

    fn print(&mut self, events: &[Event]) -> Outcome {
        match self.format {
            Format::Json | Format::Yaml => {
                for event in events {
                    output::print(&output::document(event, self.format)?)?;
                }
                Ok(())
            }
            Format::Name => {
                let mut names = events.iter().map(|e| format!("event/{}", e.name_any()));
                names.try_for_each(|name| output::say(&name))
            }
            Format::Table | Format::Wide => {
                let is_wide = self.format == Format::Wide;
                let rows = events
                    .iter()
                    .map(|e| cells(e, is_wide, &self.zone))
                    .collect();
                output::print(&self.rows.text(rows))
            }
        }
    }
}

fn cells(event: &Event, is_wide: bool, zone: &TimeZone) -> Vec<String> {
    let mut cells = vec![
        happened::time(event).map_or_else(|| "-".to_owned(), |at| clock(at, zone)),
        or_dash(event.type_.as_deref()),
        or_dash(event.reason.as_deref()),
    ];
    if is_wide {
        let object = &event.involved_object;
        let kind = object.kind.as_deref().unwrap_or_default().to_lowercase();
        let name = object.name.as_deref().unwrap_or_default();
        cells.push(format!("{kind}/{name}"));
        cells.push(happened::count(event).to_string());
    }
    cells.push(or_dash(event.message.as_deref().map(str::trim)));
    cells
}

/// The time as a clock on the wall of the user shows it.
pub fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_on_the_users_own_clock_what_and_why() {
        let event: Event = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "e"}, "lastTimestamp": "2026-01-01T23:30:00Z", "count": 3,
            "involvedObject": {"kind": "Pod", "name": "a-0"}, "type": "Warning",
            "reason": "FailedScheduling", "message": "0/3 nodes\x1b[2J\n",
        }))
        .unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let line = Rows::new(&WIDE).text(vec![cells(&event, true, &zone)]);
        insta::assert_snapshot!(line);
    }
}
