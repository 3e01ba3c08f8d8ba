//! `devctl trash`: homes whose DevServer has ended.

use std::collections::BTreeSet;

use devserver_api::{
    DevServer, duration, group,
    trash::{self, Ended},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde::Serialize;

use crate::{
    args::{Global, Trash},
    exit::Exit,
    failure::Outcome,
    kube::{self as cluster, Session},
    output::{self, Columns, Format, or_dash},
};

/// A home whose DevServer has ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    name: String,
    namespace: String,
    claim: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flavor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<Ended>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removal: Option<Timestamp>,
    /// Somebody deletes it already.
    is_going: bool,
    /// Whether `devctl undelete` knows what was asked for.
    has_spec: bool,
}

/// Lists them.
pub async fn run(global: &Global, args: &Trash) -> Outcome<Exit> {
    let session = Session::connect(global).await?;
    let namespace = session.place.namespace.clone();
    let (servers, claims): (_, Api<PersistentVolumeClaim>) = if args.all_namespaces {
        (session.all_servers(), session.cluster_wide())
    } else {
        (session.servers(), session.in_namespace(&namespace))
    };
    // The claims first: a DevServer that is made meanwhile takes its home out of the list.
    let homes = ListParams::default().labels(group::LABEL_NAME);
    let claims = cluster::answer("failed to list homes", claims.list(&homes)).await?;
    let all = ListParams::default();
    let servers = cluster::answer("failed to list DevServers", servers.list(&all)).await?;
    let kept = kept(&servers.items, &claims.items);
    match args.output.output {
        form @ (Format::Json | Format::Yaml) => output::print(&output::structured(&kept, form)?)?,
        Format::Name => {
            for home in &kept {
                output::say(&home.name)?;
            }
        }
        Format::Table | Format::Wide if kept.is_empty() => output::note(&if args.all_namespaces {
            "no home is kept without its DevServer".to_owned()
        } else {
            format!("no home is kept without its DevServer in namespace '{namespace}'")
        }),
        form @ (Format::Table | Format::Wide) => {
            let is_wide = form == Format::Wide;
            output::print(&table(
                &kept,
                args.all_namespaces,
                is_wide,
                Timestamp::now(),
            ))?;
            output::note("make one again: devctl undelete NAME");
        }
    }
    Ok(Exit::Ok)
}

/// The homes without a DevServer of their name, whoever made that.
fn kept(servers: &[DevServer], claims: &[PersistentVolumeClaim]) -> Vec<Kept> {
    let living: BTreeSet<(Option<String>, String)> = servers
        .iter()
        .map(|server| (server.namespace(), server.name_any()))
        .collect();
    let mut kept: Vec<Kept> = claims
        .iter()
        .filter_map(|claim| {
            let is_living = |name: &str| living.contains(&(claim.namespace(), name.to_owned()));
            let name = trash::left_of(claim, is_living)?;
            Some(of(name.to_string(), claim))
        })
        .collect();
    kept.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    kept
}

fn of(name: String, claim: &PersistentVolumeClaim) -> Kept {
    let (marks, record) = (trash::marks(claim), trash::record(claim));
    Kept {
        name,
        namespace: claim.namespace().unwrap_or_default(),
        claim: claim.name_any(),
        owner: record.as_ref().and_then(|r| r.spec.owner.clone()),
        has_spec: record.is_some(),
        flavor: record.map(|r| r.flavor),
        size: trash::size(claim).map(|size| size.0.clone()),
        ended: marks.ended,
        because: marks.because,
        removal: marks.removal,
        is_going: claim.metadata.deletion_timestamp.is_some(),
    }
}

fn table(kept: &[Kept], has_namespace: bool, is_wide: bool, now: Timestamp) -> String {
    let mut headings = vec!["NAME", "FLAVOR", "SIZE", "ENDED", "WHY", "REMOVED"];
    if has_namespace {
        headings.insert(0, "NAMESPACE");
    }
    if is_wide {
        headings.extend(["OWNER", "CLAIM", "SPEC"]);
    }
    let mut columns = Columns::new(&headings);
    for home in kept {
        let mut row = vec![
            home.name.clone(),
            or_dash(home.flavor.as_deref()),
            or_dash(home.size.as_deref()),
            home.ended.map_or_else(|| "-".to_owned(), |at| ago(at, now)),
            or_dash(home.because.map(Ended::as_str)),
            removal(home, now),
        ];
        if has_namespace {
            row.insert(0, home.namespace.clone());
        }
        if is_wide {
            row.push(or_dash(home.owner.as_deref()));
            row.push(home.claim.clone());
            row.push(if home.has_spec { "kept" } else { "-" }.to_owned());
        }
        columns.row(&row);
    }
    columns.finish()
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    format!("{} ago", duration::humanize(seconds))
}

fn removal(home: &Kept, now: Timestamp) -> String {
    let left = home.removal.map(|at| at.duration_since(now).as_secs());
    match left {
        _ if home.is_going => "now".to_owned(),
        None => "never".to_owned(),
        Some(left) if left <= 0 => "now".to_owned(),
        Some(left) => format!("in {}", duration::humanize(left)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim(name: &str, annotations: &Value, owners: &Value) -> PersistentVolumeClaim {
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("home-{name}-0"), "namespace": "lab", "annotations": annotations, "ownerReferences": owners,
                "labels": {"devserver.io/name": name, "devserver.io/uid": "1"},
            },
            "spec": {"resources": {"requests": {"storage": "10Gi"}}},
        }))
        .unwrap()
    }

    fn server(name: &str) -> DevServer {
        let mut server = DevServer::new(name, devserver_api::DevServerSpec::default());
        server.metadata.namespace = Some("lab".to_owned());
        server
    }

    #[test]
    fn a_home_is_in_the_trash_when_nobody_has_its_name_and_it_does_not_go_with_somebody() {
        let owners =
            json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "c", "uid": "2"}]);
        let none = json!([]);
        let mut other = claim("d", &json!({}), &none);
        other.metadata.name = Some("docker-d-0".to_owned());
        let claims = [
            claim("a", &json!({}), &none),
            claim("b", &json!({}), &none),
            claim("c", &json!({}), &owners),
            other,
        ];
        let names: Vec<String> = kept(&[server("a")], &claims)
            .into_iter()
            .map(|home| home.name)
            .collect();
        assert_eq!(names, ["b"]);
    }

    #[test]
    fn the_table_says_since_when_why_and_until_when() {
        let record =
            json!({"uid": "1", "flavor": "small\u{1b}[2J", "spec": {"owner": "alice", "ssh": {}}})
                .to_string();
        let marks = json!({
            "devserver.io/devserver": record, "devserver.io/ended": "2026-01-01T00:00:00Z",
            "devserver.io/ended-because": "Expired", "devserver.io/removal": "2026-01-31T00:00:00Z",
        });
        let homes = [
            claim("b", &marks, &json!([])),
            claim("c", &json!({}), &json!([])),
        ];
        let now = "2026-01-03T01:00:00Z".parse().unwrap();
        insta::assert_snapshot!(table(&kept(&[], &homes), true, true, now), @r"
        NAMESPACE   NAME   FLAVOR         SIZE   ENDED       WHY       REMOVED      OWNER   CLAIM      SPEC
        lab         b      small\x1b[2J   10Gi   2d 1h ago   Expired   in 27d 23h   alice   home-b-0   kept
        lab         c      -              10Gi   -           -         never        -       home-c-0   -
        ");
    }
}
