//! Checks of the cluster: clocks, rights, the platform, its flavors and its operator.

use devserver_api::{DevServer, DevServerFlavor, Schedulable, duration};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;

use super::Check;
use crate::failure::Failure;

/// Kinds of the platform that a user works with.
const KINDS: [&str; 2] = ["devservers", "devserverflavors"];
/// Difference of clocks that is noticed, and one that breaks logins.
const SKEW: SignedDuration = SignedDuration::from_secs(30);
const BROKEN: SignedDuration = SignedDuration::from_mins(5);
/// How long the operator may take to look at a change, and to say that it is there.
const OPERATOR: SignedDuration = SignedDuration::from_mins(1);

/// Something a user does with devctl, as the API server is asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// What people call it.
    pub what: &'static str,
    /// Verb, group, resource, subresource.
    pub verb: &'static str,
    /// API group; empty is the core.
    pub group: &'static str,
    /// Resource.
    pub resource: &'static str,
    /// Part of the resource; empty is the whole.
    pub subresource: &'static str,
    /// Whether devctl is of no use without it.
    pub is_needed: bool,
}

const fn right(
    what: &'static str,
    verb: &'static str,
    (group, resource, subresource): (&'static str, &'static str, &'static str),
    is_needed: bool,
) -> Right {
    Right {
        what,
        verb,
        group,
        resource,
        subresource,
        is_needed,
    }
}

const SERVERS: (&str, &str, &str) = ("devserver.io", "devservers", "");
const FLAVORS: (&str, &str, &str) = ("devserver.io", "devserverflavors", "");

/// All that devctl asks of the API server for an ordinary user.
pub const RIGHTS: [Right; 14] = [
    right("see DevServers", "get", SERVERS, true),
    right("list DevServers", "list", SERVERS, true),
    right("wait for DevServers", "watch", SERVERS, true),
    right("create DevServers", "create", SERVERS, true),
    right("change DevServers", "patch", SERVERS, true),
    right("delete DevServers", "delete", SERVERS, true),
    right("reach DevServers", "get", ("", "pods", ""), true),
    right("reach DevServers", "get", ("", "pods", "portforward"), true),
    right(
        "reach DevServers",
        "create",
        ("", "pods", "portforward"),
        true,
    ),
    right("see the steps of a start", "watch", ("", "pods", ""), false),
    right("read logs", "get", ("", "pods", "log"), false),
    right("see events", "list", ("", "events", ""), false),
    right("follow events", "watch", ("", "events", ""), false),
    right("see flavors", "list", FLAVORS, false),
];

/// One line for all rights; those that are missing are named.
pub fn rights(answers: &[(Right, bool)], namespace: &str) -> Check {
    const NAME: &str = "rights";
    let missing: Vec<&Right> = answers
        .iter()
        .filter(|(_, is)| !is)
        .map(|(right, _)| right)
        .collect();
    let named = |right: &&Right| {
        let part = if right.subresource.is_empty() {
            String::new()
        } else {
            format!("/{}", right.subresource)
        };
        format!("{} ({} {}{part})", right.what, right.verb, right.resource)
    };
    if missing.is_empty() {
        return Check::ok(
            NAME,
            format!("all that devctl needs in namespace '{namespace}'"),
        );
    }
    let list: Vec<String> = missing.iter().map(named).collect();
    let found = format!("in namespace '{namespace}' you may not {}", list.join(", "));
    let remedy = "choose your own namespace with --namespace, or ask an administrator for a DevServerUser, or for the ClusterRole devserver-user there";
    if missing.iter().any(|right| right.is_needed) {
        Check::fail(NAME, found, remedy)
    } else {
        Check::warn(NAME, found, remedy)
    }
}

/// The difference between the clock of the API server and the middle of the request to it.
pub fn clock(server: Option<Timestamp>, sent: Timestamp, received: Timestamp) -> Check {
    const NAME: &str = "clock";
    let Some(server) = server else {
        return Check::warn(
            NAME,
            "the API server tells no time",
            "compare the clocks yourself",
        );
    };
    let middle = sent + received.duration_since(sent) / 2;
    // The answer holds whole seconds.
    let apart = server.duration_since(middle).abs();
    let found = format!(
        "{} apart from the API server's",
        duration::humanize(apart.as_secs())
    );
    let remedy = "set the clock of this machine; on Linux: timedatectl set-ntp true";
    if apart > BROKEN {
        Check::fail(NAME, found, remedy)
    } else if apart > SKEW {
        Check::warn(NAME, found, remedy)
    } else {
        Check::ok(NAME, found)
    }
}

/// Whether the resources of the platform are served; names of those that are.
pub fn platform(served: Result<&[String], &Failure>) -> Check {
    const NAME: &str = "platform";
    let install = "check --context, or have an administrator install the chart devserver-platform";
    match served {
        Err(failure) => Check::fail(
            NAME,
            failure.to_string().lines().next().unwrap_or_default(),
            install,
        ),
        Ok(served) => {
            let missing: Vec<&str> = KINDS
                .into_iter()
                .filter(|kind| !served.iter().any(|s| s == kind))
                .collect();
            if missing.is_empty() {
                Check::ok(NAME, "its resources are served")
            } else {
                Check::fail(
                    NAME,
                    format!("the cluster has no {}", missing.join(", ")),
                    install,
                )
            }
        }
    }
}

/// Whether there is a size to choose, and one of them finds a node.
pub fn flavors(flavors: &[DevServerFlavor]) -> Check {
    const NAME: &str = "flavors";
    let schedulable = |f: &&DevServerFlavor| {
        let told = f.status.as_ref().and_then(|s| s.schedulable);
        matches!(told, Some(Schedulable::Yes | Schedulable::Autoscaled))
    };
    match (flavors.len(), flavors.iter().filter(schedulable).count()) {
        (0, _) => Check::fail(
            NAME,
            "there are none",
            "an administrator has to create one first",
        ),
        (all, 0) => Check::warn(
            NAME,
            format!("{all}, and none is known to find a node"),
            "see `devctl flavors -o wide` for the reasons",
        ),
        (all, some) => Check::ok(NAME, format!("{all}, of which {some} find a node")),
    }
}

/// Whether the operator works, as far as it can be seen: by its lease, else by what it does.
pub fn operator(
    lease: Option<&Lease>,
    servers: &[DevServer],
    flavors: &[DevServerFlavor],
    now: Timestamp,
) -> Check {
    const NAME: &str = "operator";
    let remedy =
        "ask an administrator to look at the Deployment devserver-operator in devserver-system";
    let renewed = lease.and_then(|l| l.spec.as_ref()?.renew_time.as_ref().map(|t| t.0));
    if let Some(renewed) = renewed {
        let ago = now.duration_since(renewed);
        let found = format!(
            "renewed its lease {} ago",
            duration::humanize(ago.as_secs().max(0))
        );
        return if ago > OPERATOR {
            Check::fail(NAME, found, remedy)
        } else {
            Check::ok(NAME, found)
        };
    }
    let is_waiting = |server: &&DevServer| {
        let seen = server.status.as_ref().and_then(|s| s.observed_generation);
        let age = server
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|t| now.duration_since(t.0));
        // Of a changed spec nobody can tell since when; of a new one everybody can.
        seen.is_none() && age.is_some_and(|age| age > OPERATOR)
    };
    if let Some(server) = servers.iter().find(is_waiting) {
        return Check::fail(
            NAME,
            format!("it has not looked at DevServer '{}'", server.name_any()),
            remedy,
        );
    }
    let looked =
        servers.iter().any(|s| s.status.is_some()) || flavors.iter().any(|f| f.status.is_some());
    if looked {
        Check::ok(
            NAME,
            "it has looked at all that is there; whether it runs now is not yours to see",
        )
    } else {
        Check::warn(
            NAME,
            "nothing shows that it runs",
            "create a DevServer and see with `devctl why`; or ask an administrator",
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::Verdict, *};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_missing_right_is_named_and_fails_when_nothing_works_without_it() {
        let answers = |missing: &str| -> Vec<(Right, bool)> {
            RIGHTS.iter().map(|r| (*r, r.what != missing)).collect()
        };
        assert_eq!(rights(&answers(""), "a").verdict, Verdict::Ok);
        let logs = rights(&answers("read logs"), "a");
        assert_eq!(logs.verdict, Verdict::Warn);
        assert!(
            logs.found.contains("read logs (get pods/log)"),
            "{}",
            logs.found
        );
        assert_eq!(
            rights(&answers("reach DevServers"), "a").verdict,
            Verdict::Fail
        );
    }

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        let (sent, received) = (at("2026-01-01T08:00:00Z"), at("2026-01-01T08:00:20Z"));
        for (server, expected) in [
            ("2026-01-01T08:00:10Z", Verdict::Ok),
            ("2026-01-01T08:00:39Z", Verdict::Ok),
            ("2026-01-01T08:01:00Z", Verdict::Warn),
            ("2026-01-01T07:59:00Z", Verdict::Warn),
            ("2026-01-01T09:00:00Z", Verdict::Fail),
        ] {
            assert_eq!(
                clock(Some(at(server)), sent, received).verdict,
                expected,
                "{server}"
            );
        }
        assert_eq!(clock(None, sent, received).verdict, Verdict::Warn);
    }

    #[test]
    fn a_cluster_without_the_platform_fails() {
        let all = KINDS.map(str::to_owned);
        assert_eq!(platform(Ok(&all)).verdict, Verdict::Ok);
        assert_eq!(platform(Ok(&all[..1])).verdict, Verdict::Fail);
        let failure = Failure::usage("x");
        assert_eq!(platform(Err(&failure)).verdict, Verdict::Fail);
    }

    #[test]
    fn flavors_count_when_one_finds_a_node() {
        let flavor = |schedulable: &str| -> DevServerFlavor {
            serde_json::from_value(json!({
                "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "a"},
                "spec": {"resources": {}}, "status": {"schedulable": schedulable},
            }))
            .unwrap()
        };
        assert_eq!(flavors(&[]).verdict, Verdict::Fail);
        assert_eq!(flavors(&[flavor("No")]).verdict, Verdict::Warn);
        assert_eq!(flavors(&[flavor("No"), flavor("Yes")]).verdict, Verdict::Ok);
    }

    #[test]
    fn the_operator_is_judged_by_its_lease_and_else_by_what_it_did() {
        let now = at("2026-01-01T08:00:00Z");
        let lease = |renewed: &str| -> Lease {
            serde_json::from_value(
                json!({"metadata": {"name": "l"}, "spec": {"renewTime": renewed}}),
            )
            .unwrap()
        };
        let server = |status: serde_json::Value| -> DevServer {
            serde_json::from_value(json!({
                "apiVersion": "devserver.io/v1", "kind": "DevServer", "spec": {"ssh": {}}, "status": status,
                "metadata": {"name": "a", "creationTimestamp": "2026-01-01T07:00:00Z"},
            }))
            .unwrap()
        };
        let fresh = lease("2026-01-01T07:59:55.000000Z");
        assert_eq!(operator(Some(&fresh), &[], &[], now).verdict, Verdict::Ok);
        let old = lease("2026-01-01T07:50:00.000000Z");
        assert_eq!(operator(Some(&old), &[], &[], now).verdict, Verdict::Fail);
        let unseen = server(serde_json::Value::Null);
        assert_eq!(operator(None, &[unseen], &[], now).verdict, Verdict::Fail);
        let seen = server(json!({"phase": "Running", "observedGeneration": 1}));
        assert_eq!(operator(None, &[seen], &[], now).verdict, Verdict::Ok);
        assert_eq!(operator(None, &[], &[], now).verdict, Verdict::Warn);
    }
}
