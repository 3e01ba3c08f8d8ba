//! Packets, not policies: who reaches an environment on a real node, and what it reaches.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use devserver_api::DevServer;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::machine::User;

const METADATA: &str = "169.254.169.254";
const PLATFORM: &str = "devserver-system";
const MINUTE: Duration = Duration::from_mins(1);

/// A pod of the busybox image that Pod Security `restricted` takes.
pub fn pod(name: &str, labels: &[(&str, &str)], script: &str) -> Value {
    let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
    json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "main", "image": "docker.io/devserver/busybox:lab", "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/busybox", "sh", "-c", script],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

pub async fn start(pods: &Api<Pod>, object: Value) -> anyhow::Result<()> {
    pods.create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    Ok(())
}

/// What a pod said before it ended well.
pub async fn said(pods: &Api<Pod>, name: &str) -> anyhow::Result<String> {
    until(&format!("the end of pod {name}"), MINUTE * 2, async || {
        let pod = pods.get(name).await?;
        let phase = pod.status.and_then(|s| s.phase).unwrap_or_default();
        let logs = pods.logs(name, &LogParams::default()).await;
        Ok(match (phase.as_str(), logs) {
            ("Succeeded", Ok(text)) => Seen::Yes(text),
            (phase, logs) => Seen::NotYet(format!("{phase}: {logs:?}")),
        })
    })
    .await
}

/// Address of a pod that runs.
async fn address(pods: &Api<Pod>, name: &str) -> anyhow::Result<String> {
    until(&format!("the address of pod {name}"), MINUTE, async || {
        let status = pods.get(name).await?.status.unwrap_or_default();
        Ok(match (status.phase.as_deref(), status.pod_ip) {
            (Some("Running"), Some(address)) => Seen::Yes(address),
            other => Seen::NotYet(format!("{other:?}")),
        })
    })
    .await
}

async fn node_address(user: &User) -> anyhow::Result<String> {
    let nodes: Api<Node> = Api::all(user.client.clone());
    let list = nodes.list(&ListParams::default()).await?;
    let addresses = list
        .items
        .into_iter()
        .filter_map(|node| node.status?.addresses);
    let inside = |a: &k8s_openapi::api::core::v1::NodeAddress| a.type_ == "InternalIP";
    let found = addresses.flatten().find(inside);
    Ok(found.context("no node has an address")?.address)
}

/// A page on the node that stands for a cloud's metadata service, and one in a pod of somebody else.
async fn listeners(user: &User, pods: &Api<Pod>) -> anyhow::Result<String> {
    let serve = "mkdir -p /tmp/www && echo secret >/tmp/www/index.html";
    let mut metadata = pod(
        "metadata",
        &[],
        &format!(
            "ip address add {METADATA}/32 dev lo; {serve}; httpd -p {METADATA}:80 -h /tmp/www; \
             trap 'ip address del {METADATA}/32 dev lo; exit 0' TERM; while true; do sleep 1; done"
        ),
    );
    metadata["spec"]["hostNetwork"] = json!(true);
    metadata["spec"]["securityContext"] = json!({"runAsUser": 0});
    metadata["spec"]["containers"][0]["securityContext"] =
        json!({"capabilities": {"add": ["NET_ADMIN", "NET_BIND_SERVICE"]}});
    start(pods, metadata).await?;
    let neighbour = format!("{serve}; exec httpd -f -p 8080 -h /tmp/www");
    start(pods, pod("neighbour", &[], &neighbour)).await?;
    address(pods, "metadata").await?;
    let neighbour = address(pods, "neighbour").await?;
    // Without a policy everything answers: what follows tests policies, not dead listeners.
    let node = node_address(user).await?;
    // By nc and not by wget, which looks up the number of "http" and cannot in this image.
    let control = format!(
        "exec 2>/dev/null; ask() {{ printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 4 nc -w 2 $1 $2 | tail -n 1 | grep secret; }}; \
         until ask {METADATA} 80 && ask {neighbour} 8080; do sleep 1; done; \
         for port in 10250 6443; do echo | timeout 4 nc -w 2 {node} $port >/dev/null && echo open; done; true"
    );
    start(pods, pod("control", &[], &control)).await?;
    let answers = said(pods, "control").await?;
    ensure!(answers == "secret\nsecret\nopen\nopen\n", "{answers}");
    Ok(neighbour)
}

/// Of each place `address:port`, how an attempt of the environment ended: `open`, `refused` or `silence`.
fn attempts(user: &User, places: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let script = format!(
        "for place in {}; do (timeout 4 bash -c \"exec 3<>/dev/tcp/${{place%:*}}/${{place##*:}}\" 2>/dev/null; \
         echo $place $?) & done; wait",
        places.join(" ")
    );
    let text = user.says("box", &format!("bash -c '{script}'"))?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    Ok(lines
        .map(|(place, code)| {
            let word = match code {
                "0" => "open",
                "124" => "silence",
                _ => "refused",
            };
            (place.to_owned(), word.to_owned())
        })
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_an_environment_reaches_no_metadata_no_node_and_no_pod_of_others_but_names()
-> anyhow::Result<()> {
    let user = User::new("b5").await?;
    let alice = User::new("b5alice").await?;
    user.create("box", &[])?;
    alice.create("box", &[])?;
    let elsewhere: Api<Pod> = alice.api();
    let neighbour = listeners(&user, &elsewhere).await?;
    let hers = address(&elsewhere, "box-0").await?;
    let node = node_address(&user).await?;
    let services: Api<Service> = Api::namespaced(user.client.clone(), "default");
    let spec = services.get("kubernetes").await?.spec;
    let server = spec.and_then(|s| s.cluster_ip).context("no address")?;
    let closed = [
        format!("{METADATA}:80"),
        format!("{neighbour}:8080"),
        format!("{hers}:22"),
        format!("{hers}:9022"),
        format!("{node}:10250"),
        format!("{node}:10255"),
        format!("{node}:2379"),
        format!("{node}:6443"),
        format!("{server}:443"),
    ];
    let ended = attempts(&user, &closed)?;
    for place in &closed {
        let how = ended.get(place).map(String::as_str);
        assert_eq!(how, Some("silence"), "{place}: {ended:?}");
    }
    let name = "getent hosts kubernetes.default.svc.cluster.local";
    assert!(user.says("box", name)?.contains(&server));
    let transfer = "timeout 5 bash -c 'exec 3<>/dev/tcp/kube-dns.kube-system.svc.cluster.local/9153' ; echo $?";
    assert_eq!(
        user.says("box", transfer)?,
        "124",
        "the DNS is more than names"
    );
    elsewhere
        .delete("metadata", &DeleteParams::default())
        .await?;
    until("the address is given back", MINUTE, async || {
        let there = elsewhere.get_opt("metadata").await?;
        Ok(Seen::when(there.is_none(), "the pod is still there"))
    })
    .await?;
    user.leave().await;
    alice.leave().await;
    Ok(())
}

/// What a pod that looks for an sshd there comes to see.
fn look_for_sshd(address: &str) -> String {
    format!(
        "exec 2>/dev/null; sleep 3 | timeout 5 nc -w 4 {address} 22 | head -c 4; \
         echo | timeout 5 nc -w 4 {address} 9022 && echo health; echo .done"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_pods_only_the_platforms_gateway_reaches_sshd() -> anyhow::Result<()> {
    let user = User::new("pods").await?;
    user.create("box", &[])?;
    let own: Api<Pod> = user.api();
    let look = look_for_sshd(&address(&own, "box-0").await?);
    let platform: Api<Pod> = Api::namespaced(user.client.clone(), PLATFORM);
    let (gateway, other) = (
        format!("gateway-{}", user.namespace),
        format!("other-{}", user.namespace),
    );
    let component = "app.kubernetes.io/component";
    start(&own, pod("neighbour", &[(component, "gateway")], &look)).await?;
    start(&platform, pod(&gateway, &[(component, "gateway")], &look)).await?;
    start(&platform, pod(&other, &[], &look)).await?;
    let answers = [
        said(&own, "neighbour").await,
        said(&platform, &gateway).await,
        said(&platform, &other).await,
    ];
    for name in [&gateway, &other] {
        platform.delete(name, &DeleteParams::default()).await?;
    }
    let [neighbour, gateway, other] = answers;
    assert_eq!(neighbour?, ".done\n", "a pod of the same namespace");
    assert_eq!(gateway?, "SSH-.done\n", "the gateway");
    assert_eq!(other?, ".done\n", "another pod of the platform");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_comes_in_from_the_networks_allowed_and_by_port_forward_always() -> anyhow::Result<()> {
    let user = User::new("networks").await?;
    user.create("box", &["--expose", "NodePort"])?;
    let servers: Api<DevServer> = user.api();
    let status = servers.get("box").await?.status.unwrap_or_default();
    let port = status
        .ssh
        .and_then(|s| s.node_port)
        .context("no node port")?;
    let node: SocketAddr = format!("{}:{port}", node_address(&user).await?).parse()?;
    let connects = async |wanted: bool| {
        until(&format!("{node} answers: {wanted}"), MINUTE, async || {
            let came = TcpStream::connect_timeout(&node, Duration::from_secs(1));
            Ok(Seen::when(came.is_ok() == wanted, format!("{came:?}")))
        })
        .await
    };
    connects(true).await?;
    let here = TcpStream::connect_timeout(&node, Duration::from_secs(5))?
        .local_addr()?
        .ip();
    for (networks, wanted) in [
        (json!(["203.0.113.0/24"]), false),
        (json!([format!("{here}/32")]), true),
        (json!([]), false),
        (Value::Null, true),
    ] {
        let patch = json!({"spec": {"ssh": {"allowedCIDRs": networks}}});
        servers
            .patch("box", &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        connects(wanted).await?;
        assert_eq!(user.says_by_api("box", "echo in")?, "in");
        // To the gateway the same networks count; an empty list leaves it as the only way in.
        let enters = networks != json!(["203.0.113.0/24"]);
        until("the gateway knows", MINUTE, async || {
            let output = user.ssh("box", "echo in")?;
            let said = String::from_utf8_lossy(&output.stderr);
            let is_told = said.contains("may not be reached from your network");
            let as_wanted = output.status.success() == enters && is_told != enters;
            Ok(Seen::when(as_wanted, format!("{output:?}")))
        })
        .await?;
    }
    let server = servers.get("box").await?;
    let pods: Api<Pod> = user.api();
    let restarts = pods.get("box-0").await?;
    ensure!(
        restarts.creation_timestamp() >= server.creation_timestamp()
            && restarts
                .status
                .iter()
                .flat_map(|s| s.container_statuses.iter().flatten())
                .all(|c| c.restart_count == 0),
        "it was restarted"
    );
    user.leave().await;
    Ok(())
}
