//! What single environments are like, for alerts that name them: the page `/metrics/environments`, beside `/metrics` because its labels have
//! as many values as there are environments. A scraper that takes it keeps the label `namespace` as it is (`honorLabels`).
//!
//! Each look at the page is made of what the watches have seen; a replica that does not lead has seen nothing, and tells of none.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use devserver_api::{DevServer, IdleState, IdleStatus, Phase, group, names};
use devserver_process::pages;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{ResourceExt as _, runtime::reflector::Store};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Where the page is.
pub const PATH: &str = "/metrics/environments";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Id {
    namespace: String,
    name: String,
}

/// Whom it counts for, as the labels of its objects say.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Info {
    #[prometheus(flatten)]
    id: Id,
    user: String,
    team: String,
    project: String,
    flavor: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InPhase {
    #[prometheus(flatten)]
    id: Id,
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InState {
    #[prometheus(flatten)]
    id: Id,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AtStage {
    #[prometheus(flatten)]
    id: Id,
    stage: &'static str,
}

/// What is known of environments, once this replica leads.
#[derive(Clone, Default)]
pub struct Environments(Arc<OnceLock<(Store<DevServer>, Store<StatefulSet>)>>);

impl Environments {
    /// From now on they are told of. A process leads once in its life.
    pub fn lead(&self, servers: Store<DevServer>, workloads: Store<StatefulSet>) {
        // An error says that they were known before.
        let _ = self.0.set((servers, workloads));
    }

    /// The page.
    pub fn text(&self) -> String {
        let Some((servers, workloads)) = self.0.get() else {
            return pages::text(&Registry::default());
        };
        let (servers, workloads) = (servers.state(), workloads.state());
        text(
            servers.iter().map(AsRef::as_ref),
            workloads.iter().map(AsRef::as_ref),
        )
    }
}

/// The families of the page.
#[derive(Default)]
struct Families {
    info: Family<Info, Gauge>,
    phase: Family<InPhase, Gauge>,
    state: Family<InState, Gauge>,
    stage: Family<AtStage, Gauge>,
    since: Family<Id, Gauge>,
    expiration: Family<Id, Gauge>,
}

impl Families {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "info",
            "1; whom an environment counts for, and its flavor",
            self.info.clone(),
        );
        registry.register(
            "phase",
            "1 for the phase an environment is in",
            self.phase.clone(),
        );
        registry.register(
            "idle_state",
            "1 for whether somebody uses it, where it runs and a policy concerns it",
            self.state.clone(),
        );
        registry.register(
            "idle_stage",
            "1 for the last stage that came to an idle one",
            self.stage.clone(),
        );
        registry.register_with_unit(
            "idle_since_timestamp",
            "Last sign of life of an idle one",
            Unit::Seconds,
            self.since.clone(),
        );
        registry.register_with_unit(
            "expiration_timestamp",
            "When its time to live is over",
            Unit::Seconds,
            self.expiration.clone(),
        );
    }

    fn take(&self, server: &DevServer, labels: Option<&BTreeMap<String, String>>) {
        let id = Id {
            namespace: server.namespace().unwrap_or_default(),
            name: server.name_any(),
        };
        let (spec, status) = (&server.spec, server.status.as_ref());
        let label = |key: &str, own: Option<&String>| match labels.and_then(|l| l.get(key)) {
            Some(told) => told.clone(),
            None => safe(own),
        };
        let flavor = status.and_then(|s| s.flavor.as_ref());
        let info = Info {
            id: id.clone(),
            user: safe(spec.owner.as_ref()),
            team: label(group::LABEL_TEAM, spec.team.as_ref()),
            project: label(group::LABEL_PROJECT, spec.project.as_ref()),
            flavor: flavor.or(spec.flavor.as_ref()).cloned().unwrap_or_default(),
        };
        self.info.get_or_create(&info).set(1);
        // Whom nobody has looked at yet is not begun.
        let phase = status.and_then(|s| s.phase).unwrap_or(Phase::Pending);
        let phase = InPhase {
            id: id.clone(),
            phase: phase.as_str(),
        };
        self.phase.get_or_create(&phase).set(1);
        if let Some(at) = status.and_then(|s| s.expiration_time.as_ref()) {
            self.expiration.get_or_create(&id).set(at.0.as_second());
        }
        if let Some(idle) = status.and_then(|s| s.idle.as_ref()) {
            self.take_idle(id, idle);
        }
    }

    fn take_idle(&self, id: Id, idle: &IdleStatus) {
        let state = InState {
            id: id.clone(),
            state: idle.state.as_str(),
        };
        self.state.get_or_create(&state).set(1);
        if idle.state != IdleState::Idle {
            return;
        }
        if let Some(since) = &idle.since {
            self.since.get_or_create(&id).set(since.0.as_second());
        }
        if let Some(stage) = idle.stage {
            let reached = AtStage {
                id,
                stage: stage.as_str(),
            };
            self.stage.get_or_create(&reached).set(1);
        }
    }
}

/// As the labels of objects have it.
fn safe(word: Option<&String>) -> String {
    word.map(|word| names::label_safe(word)).unwrap_or_default()
}

/// The page for these. Teams and projects are those of the objects, where there are any: what a user's first team is, they say.
fn text<'a>(
    servers: impl Iterator<Item = &'a DevServer>,
    workloads: impl Iterator<Item = &'a StatefulSet>,
) -> String {
    let labels: BTreeMap<_, _> = workloads
        .filter_map(|workload| {
            let owner = workload.metadata.owner_references.iter().flatten().next()?;
            Some((owner.uid.clone(), workload.labels()))
        })
        .collect();
    let mut registry = Registry::with_prefix("devserver_environment");
    let families = Families::default();
    families.register(&mut registry);
    for server in servers {
        let uid = server.metadata.uid.as_ref();
        families.take(server, uid.and_then(|uid| labels.get(uid).copied()));
    }
    pages::text(&registry)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn server(name: &str, spec: &Value, status: &Value) -> DevServer {
        let mut spec = spec.clone();
        spec["ssh"] = json!({});
        serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer",
            "metadata": {"namespace": "dev-alice", "name": name, "uid": format!("uid-{name}")},
            "spec": spec, "status": status,
        }))
        .unwrap()
    }

    fn page(server: &DevServer) -> String {
        text([server].into_iter(), std::iter::empty())
    }

    #[test]
    fn an_idle_one_is_told_with_stage_and_last_sign_of_life() {
        let status = json!({
            "phase": "Running", "flavor": "small", "expirationTime": "2026-01-02T00:00:00Z",
            "idle": {"state": "Idle", "stage": "Alert", "since": "2026-01-01T00:00:00Z"},
        });
        let server = server(
            "bench",
            &json!({"owner": "alice@example.com", "team": "genomics"}),
            &status,
        );
        let page = page(&server);
        let user = names::label_safe("alice@example.com");
        let info = format!(
            r#"devserver_environment_info{{namespace="dev-alice",name="bench",user="{user}",team="genomics",project="",flavor="small"}} 1"#
        );
        for line in [
            info.as_str(),
            r#"devserver_environment_phase{namespace="dev-alice",name="bench",phase="Running"} 1"#,
            r#"devserver_environment_idle_state{namespace="dev-alice",name="bench",state="Idle"} 1"#,
            r#"devserver_environment_idle_stage{namespace="dev-alice",name="bench",stage="Alert"} 1"#,
            r#"devserver_environment_idle_since_timestamp_seconds{namespace="dev-alice",name="bench"} 1767225600"#,
            r#"devserver_environment_expiration_timestamp_seconds{namespace="dev-alice",name="bench"} 1767312000"#,
        ] {
            assert!(page.lines().any(|l| l == line), "no {line} in {page}");
        }
    }

    #[test]
    fn one_in_use_has_no_stage_and_one_that_nobody_looked_at_is_pending() {
        let status = json!({"phase": "Running", "idle": {"state": "Active", "stage": "Alert"}});
        let used = page(&server("used", &json!({}), &status));
        assert!(!used.contains("idle_stage{"), "{used}");
        let new = page(&server("new", &json!({}), &Value::Null));
        assert!(new.contains(r#"name="new",phase="Pending"} 1"#), "{new}");
        assert!(!new.contains("idle_state{"), "{new}");
    }

    #[test]
    fn team_and_project_are_those_of_its_objects() {
        let server = server("bench", &json!({"project": "mine"}), &Value::Null);
        let workload = |owner: &str| -> StatefulSet {
            serde_json::from_value(json!({"metadata": {
                "name": "bench", "labels": {"swish.io/team": "genomics", "swish.io/project": "assembly"},
                "ownerReferences": [{"apiVersion": "devserver.io/v1", "kind": "DevServer", "name": "bench", "uid": owner}],
            }}))
            .unwrap()
        };
        let (own, foreign) = (workload("uid-bench"), workload("another"));
        let told = text([&server].into_iter(), [&own].into_iter());
        assert!(
            told.contains(r#"team="genomics",project="assembly""#),
            "{told}"
        );
        let told = text([&server].into_iter(), [&foreign].into_iter());
        assert!(told.contains(r#"team="",project="mine""#), "{told}");
    }

    #[test]
    fn a_replica_that_does_not_lead_tells_of_none() {
        assert_eq!(Environments::default().text(), "# EOF\n");
    }
}
