//! The NetworkPolicy and the Service of an environment follow its spec and the platform, as the API server takes them.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, Expose, condition};
use devserver_e2e::{Rig, has_reason, is_running, refusal};
use devserver_testkit::{sample, wait, wait::Seen, with_namespace};
use k8s_openapi::api::{core::v1::Service, networking::v1::NetworkPolicy};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

const POLICY: &str = "devserver-workbench";
const SERVICE: &str = "workbench-ssh";

fn allow(networks: &Value) -> Value {
    json!({"spec": {"ssh": {"allowedCIDRs": networks}}})
}

/// Networks from which ssh comes in, besides the platform's pods.
fn ssh_from(policy: &NetworkPolicy) -> Vec<String> {
    let rules = policy.spec.iter().flat_map(|s| s.ingress.iter().flatten());
    let peers = rules.flat_map(|rule| rule.from.iter().flatten());
    peers
        .filter_map(|peer| peer.ip_block.as_ref().map(|block| block.cidr.clone()))
        .collect()
}

#[tokio::test]
async fn the_policy_follows_the_networks_that_are_allowed() -> anyhow::Result<()> {
    with_namespace("allowed networks", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let precious = rig.precious().await?;
        let opens = async |networks: &[&str]| {
            scene
                .object::<NetworkPolicy>(POLICY, "lets those in", |p| ssh_from(p) == networks)
                .await
        };
        opens(&["0.0.0.0/0", "::/0"]).await?;
        let two = ["203.0.113.0/24", "2001:db8::/32"];
        scene.patch(sample::NAME, allow(&json!(two))).await?;
        opens(&two).await?;
        scene
            .object::<Service>(SERVICE, "keeps the client's address", |s| {
                s.spec
                    .as_ref()
                    .is_some_and(|s| s.external_traffic_policy.as_deref() == Some("Local"))
            })
            .await?;
        scene.patch(sample::NAME, allow(&json!([]))).await?;
        let closed = opens(&[]).await?;
        let rules = closed.spec.and_then(|s| s.ingress).unwrap_or_default();
        let peers: usize = rules.iter().flat_map(|r| &r.from).map(Vec::len).sum();
        ensure!(
            peers == 1,
            "the platform's own pods are not let in: {rules:?}"
        );
        scene.patch(sample::NAME, allow(&Value::Null)).await?;
        opens(&["0.0.0.0/0", "::/0"]).await?;
        ensure!(rig.precious().await? == precious, "the pod was restarted");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_policy_that_somebody_opened_or_removed_is_put_right() -> anyhow::Result<()> {
    with_namespace("opened policy", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        let before = scene.api::<NetworkPolicy>().get(POLICY).await?;
        for opened in [
            json!({"spec": {"ingress": [{}]}}),
            json!({"spec": {"egress": [{}]}}),
            json!({"spec": {"policyTypes": ["Ingress"]}}),
            json!({"spec": {"podSelector": {"matchLabels": {"somewhere": "else"}}}}),
        ] {
            rig.meddle::<NetworkPolicy>(POLICY, opened).await?;
            scene
                .object::<NetworkPolicy>(POLICY, "is closed again", |p| p.spec == before.spec)
                .await?;
        }
        let api = scene.api::<NetworkPolicy>();
        api.delete(POLICY, &DeleteParams::default()).await?;
        scene
            .object::<NetworkPolicy>(POLICY, "is back", |p| {
                p.spec == before.spec && p.uid() != before.uid()
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn policies_go_when_the_platform_has_none_and_come_when_it_does() -> anyhow::Result<()> {
    with_namespace("no policies", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        scene.api::<NetworkPolicy>().get(POLICY).await?;
        rig.operator.kill().await?;
        let settings = devserver_testkit::operator::Settings {
            config: Some("networkPolicy: {enabled: false}".to_owned()),
            ..devserver_testkit::operator::Settings::alone(scene.namespace())
        };
        let without = scene.operator_with(&settings).await?;
        scene.gone::<NetworkPolicy>(POLICY).await?;
        // What nothing would keep is refused, and what runs is left alone.
        scene
            .patch(sample::NAME, allow(&json!(["203.0.113.0/24"])))
            .await?;
        scene
            .status(sample::NAME, "says that the list is not kept", |s| {
                has_reason(s, condition::VALID, "InvalidAllowedCIDRs") && is_running(s)
            })
            .await?;
        without.kill().await?;
        rig.operator.spawn().await?;
        rig.operator.wait_ready().await?;
        scene
            .object::<NetworkPolicy>(POLICY, "is back", |p| ssh_from(p) == ["203.0.113.0/24"])
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_is_no_network_is_refused_when_it_is_written() -> anyhow::Result<()> {
    with_namespace("no networks", async |scene| {
        let api = scene.api::<DevServer>();
        for wrong in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "010.0.0.0/8",
            "::ffff:10.0.0.0/104",
            "corp",
            "0.0.0.0/0,10.0.0.0/8",
            "$(id)",
        ] {
            let mut server = sample::devserver(sample::NAME, "any");
            server.spec.ssh.allowed_cidrs =
                Some(vec!["203.0.113.0/24".to_owned(), wrong.to_owned()]);
            let said = refusal(api.create(&PostParams::default(), &server).await)?;
            ensure!(said.contains("spec.ssh.allowedCIDRs"), "{wrong}: {said}");
        }
        for right in [
            "0.0.0.0/0",
            "::/0",
            "203.0.113.7/32",
            "FD00::/8",
            "fd00:ec2::254/128",
        ] {
            let mut server = sample::devserver(&format!("box-{}", sample::word(6)), "any");
            server.metadata.name = Some(format!("box{}", sample::word(6)));
            server.spec.ssh.allowed_cidrs = Some(vec![right.to_owned()]);
            api.create(&PostParams::default(), &server)
                .await
                .with_context(|| format!("{right} was refused"))?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_load_balancer_lets_through_whom_the_policy_lets_in_and_is_never_for_nobody()
-> anyhow::Result<()> {
    with_namespace("source ranges", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let mut server = rig.sample();
        server.spec.ssh.expose = Some(Expose::LoadBalancer);
        server.spec.ssh.allowed_cidrs = Some(vec!["203.0.113.0/24".to_owned()]);
        scene.create(&server).await?;
        scene.status(sample::NAME, "runs", is_running).await?;
        let ranges = |s: &Service| {
            let spec = s.spec.as_ref();
            spec.and_then(|s| s.load_balancer_source_ranges.clone())
        };
        let narrow = Some(vec!["203.0.113.0/24".to_owned()]);
        scene
            .object::<Service>(SERVICE, "is narrow", |s| ranges(s) == narrow)
            .await?;
        scene.patch(sample::NAME, allow(&json!([]))).await?;
        scene
            .status(sample::NAME, "says that nobody could come", |s| {
                has_reason(s, condition::VALID, "InvalidAllowedCIDRs") && is_running(s)
            })
            .await?;
        let service = scene.api::<Service>().get(SERVICE).await?;
        ensure!(ranges(&service) == narrow, "it was opened: {service:?}");
        scene.patch(sample::NAME, allow(&Value::Null)).await?;
        scene
            .object::<Service>(SERVICE, "is open", |s| ranges(s).is_none())
            .await?;
        Ok(())
    })
    .await
}

/// Each change from one exposure to another, once.
const WALK: [Expose; 12] = {
    use Expose::{ClusterIP as C, LoadBalancer as L, NodePort as N, None as X};
    [C, N, L, N, X, C, L, C, X, L, X, N]
};

fn expose(how: Expose) -> Value {
    json!({"spec": {"ssh": {"expose": how}}})
}

/// What the API server chooses.
fn chosen_by_us(service: Option<Service>) -> anyhow::Result<Value> {
    let mut spec = serde_json::to_value(service.and_then(|s| s.spec))?;
    if let Some(spec) = spec.as_object_mut() {
        for key in ["clusterIP", "clusterIPs", "healthCheckNodePort", "selector"] {
            spec.remove(key);
        }
    }
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        // Only whether there is one is ours.
        port.entry("nodePort").and_modify(|p| *p = json!("some"));
    }
    Ok(spec)
}

#[tokio::test]
async fn each_change_of_exposure_ends_as_if_it_had_been_so_from_the_start() -> anyhow::Result<()> {
    with_namespace("changes of exposure", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        for networks in [json!(null), json!(["203.0.113.0/24"])] {
            walk(&rig, &networks).await?;
        }
        Ok(())
    })
    .await
}

async fn walk(rig: &Rig, networks: &Value) -> anyhow::Result<()> {
    let scene = &rig.scene;
    let suffix = if networks.is_null() { "all" } else { "corp" };
    let allowed: Option<Vec<String>> = serde_json::from_value(networks.clone())?;
    let make = async |name: String, how: Expose| {
        let mut server = sample::devserver(&name, &rig.small);
        server.spec.ssh.expose = Some(how);
        server.spec.ssh.allowed_cidrs.clone_from(&allowed);
        scene.create(&server).await?;
        scene.status(&name, "runs", is_running).await?;
        anyhow::Ok(name)
    };
    let mut fresh = BTreeMap::new();
    for how in [
        Expose::NodePort,
        Expose::ClusterIP,
        Expose::LoadBalancer,
        Expose::None,
    ] {
        let word = format!("{how:?}").to_lowercase();
        let name = make(format!("{word}-{suffix}"), how).await?;
        let service = scene
            .api::<Service>()
            .get_opt(&format!("{name}-ssh"))
            .await?;
        fresh.insert(word, chosen_by_us(service)?);
    }
    let name = make(format!("walker-{suffix}"), Expose::NodePort).await?;
    let pod = format!("{name}-0");
    let pods = scene.api::<k8s_openapi::api::core::v1::Pod>();
    let before = pods.get(&pod).await?.uid();
    let mut here = Expose::NodePort;
    for next in WALK {
        let what = format!("{here:?} to {next:?} ({suffix})");
        let wanted = fresh
            .get(&format!("{next:?}").to_lowercase())
            .context("no such")?;
        let old = scene
            .api::<Service>()
            .get_opt(&format!("{name}-ssh"))
            .await?;
        scene.patch(&name, expose(next)).await?;
        let new = arrives(rig, &name, wanted, &what).await?;
        let kept = old.is_none() || new.is_none() || old.uid() == new.uid();
        ensure!(kept, "{what}: the Service was made anew");
        scene
            .status(&name, "tells its node port only while it has one", |s| {
                let port = s.ssh.as_ref().is_some_and(|ssh| ssh.node_port.is_some());
                port == (next == Expose::NodePort) && is_running(s)
            })
            .await?;
        here = next;
    }
    ensure!(
        pods.get(&pod).await?.uid() == before,
        "the pod was restarted"
    );
    Ok(())
}

/// UID of what may not be there.
trait Uid {
    fn uid(&self) -> Option<String>;
}

impl Uid for Option<Service> {
    fn uid(&self) -> Option<String> {
        self.as_ref().and_then(kube::ResourceExt::uid)
    }
}

async fn arrives(
    rig: &Rig,
    name: &str,
    wanted: &Value,
    what: &str,
) -> anyhow::Result<Option<Service>> {
    let name = format!("{name}-ssh");
    wait::until(what, devserver_testkit::scene::PATIENCE, async || {
        let service = rig.scene.api::<Service>().get_opt(&name).await?;
        let spec = chosen_by_us(service.clone())?;
        Ok(if spec == *wanted {
            Seen::Yes(service)
        } else {
            Seen::NotYet(format!("{spec}, wanted {wanted}"))
        })
    })
    .await
}
