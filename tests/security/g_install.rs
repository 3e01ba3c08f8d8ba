//! Attack G1: what the chart installs when nobody says anything is closed.

use anyhow::{Context as _, ensure};
use devserver_e2e::{label_namespace, refusal};
use devserver_testkit::{chart, with_namespace};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::api::PostParams;
use serde_json::{Value, json};

#[test]
fn g1_a_default_installation_opens_no_port_and_gives_no_great_right() -> anyhow::Result<()> {
    let objects = chart::rendering()?;
    let kinds: Vec<&str> = objects.iter().map(chart::kind_of).collect();
    for kind in [
        "NetworkPolicy",
        "ValidatingAdmissionPolicy",
        "PodDisruptionBudget",
        "Deployment",
    ] {
        ensure!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
    for object in &objects {
        let what = format!("{} {:?}", chart::kind_of(object), object.metadata.name);
        let text = serde_json::to_string(object)?;
        for word in [
            "NodePort\"",
            "LoadBalancer\"",
            "cluster-admin",
            "\"privileged\":true",
            "hostPath",
            "hostNetwork",
            "hostPID",
        ] {
            // The operator's settings say how machines are reached, which is the user's choice and no port of the platform.
            ensure!(
                !text.contains(word) || chart::kind_of(object) == "ConfigMap",
                "{what}: {word}"
            );
        }
    }
    Ok(())
}

#[test]
fn g1_the_operators_network_is_closed_both_ways() -> anyhow::Result<()> {
    let policies = chart::of_kinds(&["NetworkPolicy"])?;
    for policy in &policies {
        let types = &policy.data["spec"]["policyTypes"];
        ensure!(*types == json!(["Ingress", "Egress"]), "{types}");
        for way in ["ingress", "egress"] {
            let rules = policy.data["spec"][way].as_array().context("no rules")?;
            let open = rules
                .iter()
                .any(|rule| rule == &json!({}) || rule.get("ports").is_none());
            ensure!(!open, "{way} has a rule for every port: {rules:?}");
        }
    }
    Ok(())
}

#[test]
fn every_policy_refuses_what_it_cannot_judge() -> anyhow::Result<()> {
    let policies = chart::of_kinds(&["ValidatingAdmissionPolicy"])?;
    let bindings = chart::of_kinds(&["ValidatingAdmissionPolicyBinding"])?;
    for policy in &policies {
        let name = &policy.metadata.name;
        ensure!(policy.data["spec"]["failurePolicy"] == "Fail", "{name:?}");
        let binding = bindings
            .iter()
            .find(|b| b.data["spec"]["policyName"] == json!(name));
        let spec = &binding
            .with_context(|| format!("{name:?} is not bound"))?
            .data["spec"];
        let actions = spec["validationActions"].as_array().context("no actions")?;
        ensure!(actions.contains(&json!("Deny")), "{name:?}: {actions:?}");
        // Parameters that are not there must not be leave to do anything. Only objects of ours may be none: then there is
        // no DevServer whose home it could be, and no flavor that is the default already.
        let missing = spec.pointer("/paramRef/parameterNotFoundAction");
        let ours = policy.data["spec"]["paramKind"]["apiVersion"] == "devserver.io/v1";
        let closed = missing.is_none_or(|action| action == "Deny");
        ensure!(closed || ours, "{name:?}: {missing:?}");
    }
    Ok(())
}

#[tokio::test]
async fn g1_the_operators_pod_fits_the_strictest_pod_security_level() -> anyhow::Result<()> {
    with_namespace("g1", async |scene| {
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        label_namespace(&scene, labels).await?;
        for object in chart::of_kinds(&["Deployment"])? {
            let deployment: Deployment = serde_json::from_value(serde_json::to_value(&object)?)?;
            let mut spec = deployment
                .spec
                .and_then(|s| s.template.spec)
                .context("no pod")?;
            // The account is in the release's namespace only; what is judged is the pod.
            spec.service_account_name = None;
            let mut pod = Pod {
                spec: Some(spec),
                ..Pod::default()
            };
            pod.metadata.name = Some("operator".to_owned());
            let dry = PostParams {
                dry_run: true,
                ..PostParams::default()
            };
            scene.api::<Pod>().create(&dry, &pod).await?;
            let mut loose = serde_json::to_value(&pod)?;
            loose["spec"]["securityContext"]["runAsNonRoot"] = Value::Bool(false);
            let loose: Pod = serde_json::from_value(loose)?;
            let message = refusal(scene.api::<Pod>().create(&dry, &loose).await)?;
            ensure!(message.contains("violates PodSecurity"), "{message}");
        }
        Ok(())
    })
    .await
}
