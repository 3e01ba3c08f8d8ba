//! What reports of use mean for the objects of an environment.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod fixtures;
#[path = "fixtures/pools.rs"]
mod pools;

use devserver_core::activity::{Key, Policy, digest, token};
use devserver_core::{Environment, Platform, desired, resolve};
use pools::{object, pod, references, server};
use serde_json::{Value, json};

const KEY: &[u8] = &[b'k'; 32];
const UID: &str = "6c1d1c2e-0000-4000-8000-000000000030";

fn environment(spec: &str, policy: Option<Policy>, key: Option<&[u8]>) -> Environment {
    let platform = Platform {
        activity: policy,
        activity_key: key.map(|key| Key::new(key).unwrap()),
        ..Platform::default()
    };
    resolve(&server(spec), &references(), &platform).unwrap()
}

fn everything(env: &Environment) -> Vec<Value> {
    desired(env)
        .iter()
        .map(devserver_core::Object::to_value)
        .collect()
}

#[test]
fn d12_an_agent_knows_the_digest_of_its_own_token_and_the_operator_alone_reaches_it() {
    let secret = token(&Key::new(KEY).unwrap(), UID);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";
    for (mode, ports) in [
        ("InContainer", vec!["health"]),
        ("Sidecar", vec!["health", "ssh-health"]),
        ("Disabled", vec!["health"]),
    ] {
        let spec = match mode {
            "Disabled" => "{ssh: {mode: Disabled}}".to_owned(),
            mode => format!("{{ssh: {{mode: {mode}, publicKey: {key}}}}}"),
        };
        let env = environment(&spec, Some(Policy::default()), Some(KEY));
        let told = object(&env, "ConfigMap")["data"]["activity.json"].clone();
        let told: Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
        assert_eq!(told, json!({"tokenSha256": digest(&secret)}), "{mode}");
        let all = json!(everything(&env)).to_string();
        assert!(
            !all.contains(&secret),
            "{mode}: the token itself stands nowhere"
        );

        let rules = object(&env, "NetworkPolicy")["spec"]["ingress"].clone();
        let port = |name: &&str| json!({"port": name, "protocol": "TCP"});
        let ports: Vec<Value> = ports.iter().map(port).collect();
        let operator = json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "devserver-system"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/component": "operator"}},
        });
        let last = rules.as_array().unwrap().last().unwrap();
        assert_eq!(*last, json!({"from": [operator], "ports": ports}), "{mode}");
    }
}

#[test]
fn without_a_policy_or_a_key_nothing_is_collected_and_with_both_no_pod_changes() {
    let plain = everything(&environment("{}", None, None));
    assert_eq!(
        everything(&environment("{}", Some(Policy::default()), None)),
        plain
    );
    assert_eq!(everything(&environment("{}", None, Some(KEY))), plain);
    assert!(!json!(plain).to_string().contains("activity"));
    let with = environment("{}", Some(Policy::default()), Some(KEY));
    assert_ne!(everything(&with), plain);
    let without = environment("{}", None, None);
    assert_eq!(
        pod(&with),
        pod(&without),
        "no restart when it is switched on"
    );
}
