//! `devctl list`.

use devserver_api::{DevServer, Phase, duration};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt as _, api::ListParams};

use super::{create::object_name, list_watch};
use crate::{
    args::{Global, List},
    exit::Exit,
    failure::Outcome,
    kube::{self as cluster, Session},
    output::{self, Columns, Format, or_dash},
};

/// Lists the DevServers of the namespace, or of all.
pub async fn run(global: &Global, args: &List) -> Outcome<Exit> {
    let session = Session::connect(global).await?;
    let api = if args.all_namespaces {
        session.all_servers()
    } else {
        session.servers()
    };
    let servers = cluster::answer(
        "failed to list DevServers",
        api.list(&ListParams::default()),
    )
    .await?
    .items;
    if args.watch {
        return list_watch::run(args, api, &servers).await;
    }
    match args.output.output {
        Format::Json | Format::Yaml => {
            output::print(&output::structured(
                &output::list(&servers),
                args.output.output,
            )?)?;
        }
        Format::Name => {
            for server in &servers {
                output::say(&object_name(server))?;
            }
        }
        Format::Table | Format::Wide if servers.is_empty() => {
            output::note(&if args.all_namespaces {
                "no DevServers found".to_owned()
            } else {
                format!(
                    "no DevServers found in namespace '{}'",
                    session.place.namespace
                )
            });
        }
        Format::Table | Format::Wide => {
            let is_wide = args.output.output == Format::Wide;
            output::print(&table(
                &servers,
                args.all_namespaces,
                is_wide,
                Timestamp::now(),
            ))?;
            notes(&servers);
        }
    }
    Ok(Exit::Ok)
}

/// Beside the table, what is about to go wrong. Work that is not pushed yet is no trouble.
fn notes(servers: &[DevServer]) {
    for server in servers {
        let told = server.status.iter().flat_map(|status| &status.advice);
        for advice in told.filter(|advice| advice.reason != "UnsavedWork") {
            let name = server.name_any();
            output::note(&format!("{name}: {}; {}", advice.message, advice.remedy));
        }
    }
}

fn table(servers: &[DevServer], has_namespace: bool, is_wide: bool, now: Timestamp) -> String {
    let mut columns = Columns::new(&headings(has_namespace, is_wide));
    for server in servers {
        columns.row(&cells(server, has_namespace, is_wide, now));
    }
    columns.finish()
}

/// Headings of the columns.
pub fn headings(has_namespace: bool, is_wide: bool) -> Vec<&'static str> {
    let mut headings = vec!["NAME", "PHASE", "FLAVOR", "IMAGE", "AGE", "EXPIRES"];
    if has_namespace {
        headings.insert(0, "NAMESPACE");
    }
    if is_wide {
        headings.extend(["OWNER", "NODE PORT", "MESSAGE"]);
    }
    headings
}

/// One row.
pub fn cells(
    server: &DevServer,
    has_namespace: bool,
    is_wide: bool,
    now: Timestamp,
) -> Vec<String> {
    let status = server.status.as_ref();
    let mut row = vec![
        server.name_any(),
        phase(server).to_owned(),
        or_dash(flavor(server)),
        or_dash(server.spec.image.as_deref()),
        age(server.metadata.creation_timestamp.as_ref(), now),
        // Until the operator has looked, nobody knows: the platform may have a default.
        status.map_or_else(
            || "-".to_owned(),
            |s| expires(s.expiration_time.as_ref(), now),
        ),
    ];
    if has_namespace {
        row.insert(0, server.namespace().unwrap_or_default());
    }
    if is_wide {
        let port = status
            .and_then(|s| s.ssh.as_ref())
            .and_then(|s| s.node_port);
        row.push(or_dash(server.spec.owner.as_deref()));
        row.push(or_dash(port.map(|p| p.to_string()).as_deref()));
        row.push(or_dash(status.and_then(|s| s.message.as_deref())));
    }
    row
}

/// The flavor in use, also when it was the default.
pub fn flavor(server: &DevServer) -> Option<&str> {
    let status = server.status.as_ref();
    status
        .and_then(|s| s.flavor.as_deref())
        .or(server.spec.flavor.as_deref())
}

/// The phase as people should see it: an object on its way out says so whatever its status still says.
pub fn phase(server: &DevServer) -> &'static str {
    if server.metadata.deletion_timestamp.is_some() {
        return Phase::Terminating.as_str();
    }
    server
        .status
        .as_ref()
        .and_then(|s| s.phase)
        .map_or("-", Phase::as_str)
}

/// Time since then.
pub fn age(then: Option<&Time>, now: Timestamp) -> String {
    then.map_or_else(
        || "-".to_owned(),
        |t| duration::humanize(now.duration_since(t.0).as_secs().max(0)),
    )
}

/// Time left until then.
pub fn expires(then: Option<&Time>, now: Timestamp) -> String {
    match then.map(|t| t.0.duration_since(now).as_secs()) {
        None => "never".to_owned(),
        Some(left) if left <= 0 => "now".to_owned(),
        Some(left) => duration::humanize(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_what_is_left_of_the_time() {
        let server: DevServer = serde_json::from_value(serde_json::json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer",
            "metadata": {"name": "my-dev-server", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"owner": "user@example.com", "image": "ubuntu:22.04", "ssh": {}},
            "status": {"phase": "Running", "flavor": "cpu-small", "message": "ready\x1b[2J",
                       "expirationTime": "2026-01-01T08:00:00Z", "ssh": {"user": "dev", "nodePort": 30022}},
        }))
        .unwrap();
        let now: Timestamp = "2026-01-01T00:00:30Z".parse().unwrap();
        insta::assert_snapshot!(table(&[server], true, true, now));
    }

    #[test]
    fn what_has_no_end_never_expires_and_what_is_over_expires_now() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(expires(None, now), "never");
        assert_eq!(expires(Some(&Time(now)), now), "now");
    }
}
