//! From what the watches hold to what the meter takes: whose an environment is, whether it takes room, how much.

use devserver_api::{
    DevServer, DevServerUser,
    condition::{self},
    group,
};
use devserver_core::{flavor, resolve, team};
use k8s_openapi::{
    api::core::v1::{Node, PersistentVolumeClaim, Pod, PodSpec},
    apimachinery::pkg::apis::meta::v1::Time,
};

use crate::{
    meter::{Seen, Use},
    subject::{Amounts, Phase, Subject},
};

/// Condition of a DevServer that nobody uses.
const IDLE: &str = "Idle";
/// Owner of a home that is kept, as the operator writes it on the claim.
const OWNER_ANNOTATION: &str = devserver_core::desired::OWNER_ANNOTATION;
/// Labels of nodes that can be taken away at any time, as clouds and autoscalers write them.
const SPOT: [(&str, &str); 5] = [
    ("karpenter.sh/capacity-type", "spot"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("cloud.google.com/gke-spot", "true"),
    ("cloud.google.com/gke-preemptible", "true"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
];

/// What belongs to a DevServer, as the watches have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// The user whose namespace it is in.
    pub user: Option<&'a DevServerUser>,
    /// Its pod.
    pub pod: Option<&'a Pod>,
    /// The node of the pod.
    pub node: Option<&'a Node>,
    /// Bytes of its volumes.
    pub volume_bytes: i64,
    /// What it uses.
    pub used: Option<Use>,
}

/// A DevServer as the meter takes it; `None`: the API server has given it no UID.
pub fn seen(server: &DevServer, around: Around<'_>) -> Option<Seen> {
    let meta = &server.metadata;
    let uid = meta.uid.clone().filter(|uid| !uid.is_empty())?;
    let spec = &server.spec;
    // The team is the one that the platform confirms, not the one that is written there: nobody spends what is another's.
    let team = if team::is_member(spec, around.user) {
        team::of(spec, around.user)
    } else {
        around
            .user
            .and_then(|user| user.spec.teams.first())
            .map(String::as_str)
    };
    let owner = spec
        .owner
        .as_ref()
        .or(around.user.map(|user| &user.spec.username));
    let flavor = server.status.as_ref().and_then(|s| s.flavor.as_ref());
    let subject = Subject {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        owner: owner.cloned().unwrap_or_default(),
        team: team.unwrap_or_default().to_owned(),
        project: spec.project.clone().unwrap_or_default(),
        flavor: flavor.or(spec.flavor.as_ref()).cloned().unwrap_or_default(),
        volume_bytes: around.volume_bytes,
        uid,
        ..Subject::default()
    };
    let created = second(meta.creation_timestamp.as_ref());
    let Some(pod) = around.pod.filter(|pod| takes_room(pod, &subject.uid)) else {
        return Some(Seen {
            subject,
            created,
            since: None,
            used: None,
        });
    };
    let (phase, changed) = idle(server);
    Some(Seen {
        subject: Subject {
            phase,
            requested: requested(pod),
            limit: limit(pod),
            spot: around.node.is_some_and(is_spot),
            ..subject
        },
        created,
        since: placed(pod).max(changed),
        used: around.used,
    })
}

/// A home that is kept for a DevServer that is gone. It goes on to cost whom it was of.
pub fn kept_home(claim: &PersistentVolumeClaim, user: Option<&DevServerUser>) -> Option<Seen> {
    let meta = &claim.metadata;
    let labels = meta.labels.as_ref()?;
    let name = labels.get(group::LABEL_NAME)?;
    let volume_bytes = volume_bytes(claim);
    let owner = meta
        .annotations
        .as_ref()
        .and_then(|a| a.get(OWNER_ANNOTATION));
    let team = user.and_then(|user| user.spec.teams.first());
    (volume_bytes > 0).then(|| Seen {
        subject: Subject {
            uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: name.clone(),
            owner: owner.cloned().unwrap_or_default(),
            team: team.cloned().unwrap_or_default(),
            volume_bytes,
            ..Subject::default()
        },
        created: second(meta.creation_timestamp.as_ref()),
        since: None,
        used: None,
    })
}

/// Bytes of a volume; nothing while a claim has none.
pub fn volume_bytes(claim: &PersistentVolumeClaim) -> i64 {
    let status = claim.status.as_ref();
    if status.and_then(|s| s.phase.as_deref()) != Some("Bound") {
        return 0;
    }
    let capacity = status.and_then(|s| s.capacity.as_ref()?.get("storage"));
    let size = capacity.cloned().or_else(|| resolve::requested(claim));
    let bytes = size.and_then(|q| flavor::thousandths(&q.0));
    whole(bytes.unwrap_or_default() / 1_000)
}

/// Whether the pod is that DevServer's and takes room on a node. It does until its containers have ended.
fn takes_room(pod: &Pod, uid: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    let is_its = labels
        .and_then(|labels| labels.get(group::LABEL_UID))
        .is_some_and(|of| of == uid);
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    let has_node = node.is_some_and(|node| !node.is_empty());
    is_its
        && !matches!(phase, Some("Succeeded" | "Failed"))
        && (has_node || phase == Some("Running"))
}

/// Since when it has its node.
fn placed(pod: &Pod) -> Option<i64> {
    let status = pod.status.as_ref();
    let mut conditions = status.iter().flat_map(|s| s.conditions.iter().flatten());
    let scheduled = conditions
        .find(|c| c.type_ == "PodScheduled" && c.status == "True")
        .and_then(|c| c.last_transition_time.as_ref());
    let started = status.and_then(|s| s.start_time.as_ref());
    second(
        scheduled
            .or(started)
            .or(pod.metadata.creation_timestamp.as_ref()),
    )
}

fn idle(server: &DevServer) -> (Phase, Option<i64>) {
    let conditions = server.status.as_ref().map(|s| s.conditions.as_slice());
    match conditions.and_then(|conditions| condition::find(conditions, IDLE)) {
        Some(found) if found.status == "True" => {
            (Phase::Idle, second(Some(&found.last_transition_time)))
        }
        Some(found) => (Phase::Running, second(Some(&found.last_transition_time))),
        None => (Phase::Running, None),
    }
}

fn requested(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else {
        return Amounts::default();
    };
    amounts(&flavor::requests(spec, pod.status.as_ref()))
}

/// Sum of the limits of what runs beside each other.
fn limit(pod: &Pod) -> Amounts {
    let mut sum = flavor::Amounts::default();
    let all = |spec: &PodSpec, sum: &mut flavor::Amounts| {
        let sidecars = spec
            .init_containers
            .iter()
            .flatten()
            .filter(|c| c.restart_policy.as_deref() == Some("Always"));
        for container in spec.containers.iter().chain(sidecars) {
            let resources = container.resources.as_ref();
            if let Some(limits) = resources.and_then(|r| r.limits.as_ref()) {
                sum.add(&flavor::Amounts::of(limits));
            }
        }
    };
    if let Some(spec) = &pod.spec {
        all(spec, &mut sum);
    }
    amounts(&sum)
}

/// What of some resources has a price.
pub fn amounts(of: &flavor::Amounts) -> Amounts {
    let gpus = of
        .iter()
        .filter(|(name, _)| name.ends_with("/gpu"))
        .map(|(_, amount)| amount);
    Amounts {
        cpu_milli: whole(of.get("cpu")),
        memory_bytes: whole(of.get("memory") / 1_000),
        gpus: whole(gpus.sum::<i128>() / 1_000),
    }
}

fn is_spot(node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    SPOT.iter().any(|(key, value)| {
        labels
            .and_then(|labels| labels.get(*key))
            .is_some_and(|found| found == value)
    })
}

fn whole(amount: i128) -> i64 {
    i64::try_from(amount.max(0)).unwrap_or(i64::MAX)
}

fn second(time: Option<&Time>) -> Option<i64> {
    time.map(|time| time.0.as_second())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn server(team: Option<&str>, conditions: &Value) -> DevServer {
        read(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer",
            "metadata": {"name": "box", "namespace": "dev-alice", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"team": team, "project": "p", "ssh": {}},
            "status": {"flavor": "small", "conditions": conditions},
        }))
    }

    fn user() -> DevServerUser {
        read(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServerUser", "metadata": {"name": "alice"},
            "spec": {"username": "alice", "teams": ["genomics", "imaging"]},
        }))
    }

    fn pod(phase: &str, node: Option<&str>) -> Pod {
        read(json!({
            "metadata": {"name": "box-0", "labels": {"devserver.io/uid": "u"}, "creationTimestamp": "2026-01-01T00:00:05Z"},
            "spec": {"nodeName": node, "containers": [
                {"name": "dev", "resources": {"requests": {"cpu": "1500m", "memory": "2Gi", "nvidia.com/gpu": "1"}, "limits": {"cpu": "4", "memory": "2Gi"}}},
                {"name": "docker", "resources": {"requests": {"cpu": "500m"}}}]},
            "status": {"phase": phase, "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}]},
        }))
    }

    fn look(server: &DevServer, pod: Option<&Pod>) -> Seen {
        let user = user();
        let node: Node = read(
            json!({"metadata": {"name": "n", "labels": {"karpenter.sh/capacity-type": "spot"}}}),
        );
        let around = Around {
            user: Some(&user),
            pod,
            node: Some(&node),
            volume_bytes: 7,
            used: None,
        };
        seen(server, around).unwrap()
    }

    const BEGIN: i64 = 1_767_225_600;

    #[test]
    fn what_takes_room_counts_with_all_its_containers_since_it_has_its_node() {
        let seen = look(
            &server(Some("imaging"), &json!([])),
            Some(&pod("Running", Some("n"))),
        );
        let subject = &seen.subject;
        assert_eq!(subject.requested.cpu_milli, 2_000);
        assert_eq!(subject.requested.memory_bytes, 2 << 30);
        assert_eq!(subject.requested.gpus, 1);
        assert_eq!(subject.limit.cpu_milli, 4_000);
        assert_eq!(
            (subject.team.as_str(), subject.owner.as_str()),
            ("imaging", "alice")
        );
        assert!(subject.spot && subject.phase == Phase::Running);
        assert_eq!((seen.created, seen.since), (Some(BEGIN), Some(BEGIN + 10)));
    }

    #[test]
    fn what_waits_for_a_node_or_has_ended_costs_its_volume_only() {
        let server = server(None, &json!([]));
        for pod in [
            None,
            Some(pod("Pending", None)),
            Some(pod("Failed", Some("n"))),
        ] {
            let seen = look(&server, pod.as_ref());
            assert_eq!(seen.subject.phase, Phase::Stopped);
            assert_eq!(seen.subject.requested, Amounts::default());
            assert_eq!((seen.subject.volume_bytes, seen.since), (7, None));
        }
    }

    #[test]
    fn e4_a_team_of_others_is_not_charged_for_what_its_user_is_not_in() {
        let seen = look(&server(Some("rich"), &json!([])), None);
        assert_eq!(seen.subject.team, "genomics");
    }

    #[test]
    fn idle_is_what_its_condition_says_since_when_it_says() {
        let told = |status: &str| json!([{"type": "Idle", "status": status, "reason": "Idle", "message": "", "lastTransitionTime": "2026-01-01T01:00:00Z"}]);
        let pod = pod("Running", Some("n"));
        let idle = look(&server(None, &told("True")), Some(&pod));
        assert_eq!(
            (idle.subject.phase, idle.since),
            (Phase::Idle, Some(BEGIN + 3_600))
        );
        let active = look(&server(None, &told("False")), Some(&pod));
        assert_eq!(active.subject.phase, Phase::Running);
    }

    #[test]
    fn a_home_that_is_kept_goes_on_to_cost() {
        let claim = |phase: &str| -> PersistentVolumeClaim {
            read(json!({
                "metadata": {"name": "home-box-0", "namespace": "dev-alice", "uid": "c", "labels": {"devserver.io/name": "box"}, "annotations": {"devserver.io/owner": "alice"}},
                "spec": {"resources": {"requests": {"storage": "10Gi"}}},
                "status": {"phase": phase, "capacity": {"storage": "20Gi"}},
            }))
        };
        assert_eq!(kept_home(&claim("Pending"), None), None);
        let seen = kept_home(&claim("Bound"), Some(&user())).unwrap();
        assert_eq!(seen.subject.volume_bytes, 20 << 30);
        assert_eq!(
            (seen.subject.team.as_str(), seen.subject.name.as_str()),
            ("genomics", "box")
        );
    }
}
