//! Editor, Docker daemon and rights in the cluster: what they become, and who does not get them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_collect,
    clippy::expect_used
)]

mod fixtures;
#[path = "fixtures/pools.rs"]
mod pools;

use devserver_api::{DevServerFlavor, DockerMode, Isolation};
use devserver_core::{
    Environment, Invalid, Platform, References, desired, desired::superfluous, resolve,
};
use pools::{object, pod, refused, resolved, server};
use serde_json::{Value, json};

const ALL: &str = "{editor: {enabled: true}, docker: {enabled: true}, kubeAccess: {role: view}}";
const WITH_VIEW: &str = "{defaultExpose: ClusterIP, kubeAccess: {allowedRoles: [view], apiServerCIDRs: [10.0.0.1/32]}, editor: {extensionsGallery: {serviceUrl: 'https://gallery.example.com'}}}";

fn with(spec: &str, references: &References, platform: &str) -> Result<Environment, Invalid> {
    let platform = Platform::parse(platform).unwrap();
    resolve(&server(spec), references, &platform)
}

fn allowed(spec: &str) -> Environment {
    with(spec, &pools::references(), WITH_VIEW).unwrap()
}

/// The flavors, each changed so.
fn offering(change: impl Fn(&mut DevServerFlavor)) -> References {
    let mut references = pools::references();
    references.flavors.iter_mut().for_each(change);
    references
}

fn names(list: &Value) -> Vec<&str> {
    let entries = list.as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect()
}

fn container(env: &Environment, name: &str) -> Value {
    let containers = pod(env)["spec"]["containers"].clone();
    let all = containers.as_array().unwrap();
    all.iter()
        .find(|c| c["name"] == name)
        .cloned()
        .unwrap_or_default()
}

#[test]
fn the_setup_of_document_004_becomes_these_objects() {
    let (input, server) = fixtures::server("document-004");
    let platform = Platform::parse(WITH_VIEW).unwrap();
    let env = resolve(&server, &fixtures::references(), &platform).unwrap();
    let mut text: String = input.lines().map(|line| format!("# {line}\n")).collect();
    for object in desired(&env) {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&object.to_value()).unwrap());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_not_asked_for_leaves_no_trace() {
    let plain = pod(&allowed("{}"));
    let off = "{editor: {enabled: false}, docker: {enabled: false}}";
    assert_eq!(plain, pod(&allowed(off)));
    let text = serde_json::to_string(
        &desired(&allowed(off))
            .iter()
            .map(devserver_core::Object::to_value)
            .collect::<Vec<_>>(),
    )
    .unwrap();
    for word in [
        "editor",
        "DOCKER_HOST",
        "docker-",
        "8080",
        "serviceAccountToken",
        "RoleBinding",
        "rolebinding",
    ] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn the_editor_is_let_in_from_the_console_and_is_no_node_port() {
    let env = allowed("{editor: {enabled: true}}");
    let rules = object(&env, "NetworkPolicy")["spec"]["ingress"].clone();
    let editors: Vec<&Value> = rules
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["ports"][0]["port"] == "http")
        .collect();
    let console = json!([{
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "devserver-system"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "console"}},
    }]);
    assert_eq!(editors.len(), 1);
    assert_eq!(editors[0]["from"], console);
    let ports = |expose: &str| {
        let spec =
            format!("{{editor: {{enabled: true}}, ssh: {{expose: {expose}, publicKey: {KEY}}}}}");
        let objects = desired(&allowed(&spec));
        let service = objects
            .iter()
            .find(|o| o.name() == "my-env-ssh")
            .unwrap()
            .to_value();
        service["spec"]["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["port"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ports("ClusterIP"), [22, 80]);
    assert_eq!(ports("NodePort"), [22]);
    assert_eq!(ports("LoadBalancer"), [22]);
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";

#[test]
fn without_a_network_policy_there_is_no_editor() {
    let open = "{networkPolicy: {enabled: false}}";
    let error = with("{editor: {enabled: true}}", &pools::references(), open).unwrap_err();
    assert_eq!(error.reason(), "EditorNeedsNetworkPolicy");
    assert!(error.to_string().contains("spec.editor.enabled"), "{error}");
}

#[test]
fn a4_a_daemon_that_the_flavor_or_the_platform_does_not_allow_is_refused() {
    let asked = "{docker: {enabled: true}}";
    let cases: Vec<(References, &str, &str)> = vec![
        (
            offering(|f| f.spec.docker = Some(DockerMode::None)),
            "",
            "docker: None",
        ),
        (
            offering(|f| f.spec.docker = Some(DockerMode::Privileged)),
            "",
            "docker: Privileged",
        ),
        (
            offering(|f| f.spec.isolation = Some(Isolation::Restricted)),
            "",
            "Restricted",
        ),
        (
            offering(|f| f.spec.isolation = Some(Isolation::HostUsers)),
            "",
            "user namespace",
        ),
        (
            pools::references(),
            "{docker: {allowedModes: []}}",
            "docker.allowedModes",
        ),
        (
            pools::references(),
            "{userNamespaces: Disabled}",
            "user namespace",
        ),
    ];
    let mut namespace = pools::references();
    let user = "{apiVersion: devserver.io/v1, kind: DevServerUser, metadata: {name: user}, spec: {username: user}}";
    namespace.user = Some(fixtures::yaml(user));
    let error = with(asked, &namespace, "").unwrap_err().to_string();
    assert!(
        error.contains("baseline") && error.contains("podSecurity"),
        "{error}"
    );
    for (references, platform, word) in cases {
        let sidecar =
            format!("{{docker: {{enabled: true}}, ssh: {{mode: Disabled, publicKey: {KEY}}}}}");
        for spec in [asked, &sidecar] {
            let error = with(spec, &references, platform).unwrap_err();
            if spec == asked && word == "Restricted" {
                continue; // refused for its sshd before
            }
            assert_eq!(error.reason(), "DockerNotAllowed", "{error}");
            for word in [word, "spec.docker.enabled", "ask an administrator"] {
                assert!(error.to_string().contains(word), "{word}: {error}");
            }
        }
    }
}

#[test]
fn a5_the_daemon_has_no_right_over_the_node() {
    let env = allowed(ALL);
    let docker = container(&env, "docker");
    assert_eq!(pod(&env)["spec"]["hostUsers"], false);
    let security = &docker["securityContext"];
    assert!(security.get("privileged").is_none(), "{security}");
    assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
    let text = pod(&env).to_string();
    for word in [
        "hostPath",
        "hostNetwork",
        "hostPID",
        "\"privileged\":true",
        "Bidirectional",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    // The weaker profile is that container's alone.
    assert_eq!(text.matches("Unconfined").count(), 1);
    assert_eq!(text.matches("Unmasked").count(), 1);
}

#[test]
fn document_004s_daemon_needs_the_word_of_flavor_and_platform() {
    let offer = offering(|f| f.spec.docker = Some(DockerMode::Privileged));
    let platform = "{docker: {allowedModes: [Rootless, Privileged]}}";
    let env = with("{docker: {enabled: true}}", &offer, platform).unwrap();
    assert_eq!(
        container(&env, "docker")["securityContext"]["privileged"],
        true
    );
    assert!(pod(&env)["spec"].get("hostUsers").is_none());
    assert!(
        container(&env, "dev")["securityContext"]
            .get("privileged")
            .is_none()
    );
}

#[test]
fn the_daemons_volume_is_its_own_and_only_grows() {
    let claim = |spec: &str| {
        object(&resolved(spec).unwrap(), "PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"].clone()
    };
    assert_eq!(claim("{docker: {enabled: true}}"), "20Gi");
    assert_eq!(
        claim("{docker: {enabled: true, storageSize: 50Gi}}"),
        "50Gi"
    );
    refused(
        "{docker: {enabled: true, storageSize: much}}",
        "InvalidDockerStorage",
        &["spec.docker.storageSize"],
    );
    refused(
        "{docker: {enabled: true, storageSize: 2Ti}}",
        "InvalidDockerStorage",
        &["1Ti"],
    );
    refused(
        "{docker: {enabled: true, storageClassName: a/b}}",
        "InvalidDockerStorage",
        &["spec.docker.storageClassName"],
    );
    let mut references = pools::references();
    references.docker_claim = Some(fixtures::yaml(
        "{spec: {resources: {requests: {storage: 30Gi}}}}",
    ));
    let sized =
        |spec: &str| with(spec, &references, "").map(|env| env.features.docker.unwrap().size.0);
    assert_eq!(sized("{docker: {enabled: true}}").unwrap(), "30Gi");
    assert_eq!(
        sized("{docker: {enabled: true, storageSize: 40Gi}}").unwrap(),
        "40Gi"
    );
    let error = sized("{docker: {enabled: true, storageSize: 20Gi}}")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("cannot shrink") && error.contains("30Gi"),
        "{error}"
    );
    // Nobody else mounts it, and not a second time.
    refused(
        "{volumes: [{claimName: docker-my-env-0, mountPath: /data}]}",
        "ClaimNotShared",
        &["spec.volumes[0]"],
    );
}

#[test]
fn a_pod_with_a_daemon_stays_guaranteed_and_within_its_limits() {
    let of = |spec: &str| container(&allowed(spec), "docker")["resources"].clone();
    let small = of("{docker: {enabled: true}}");
    let limits = json!({"cpu": "2", "memory": "4Gi"});
    let requests = json!({"cpu": "50m", "memory": "128Mi"});
    assert_eq!(small, json!({"requests": requests, "limits": limits}));
    let high = of(
        "{docker: {enabled: true}, flavor: high-memory, resources: {requests: {memory: 100Gi}}}",
    );
    assert_eq!(high["requests"], high["limits"]);
}

#[test]
fn rights_in_the_cluster_are_those_that_the_platform_lists() {
    let all = with("{kubeAccess: {role: view}}", &pools::references(), "").unwrap_err();
    assert_eq!(all.reason(), "KubeAccessNotAllowed");
    assert!(all.revokes(), "what was bound before is taken");
    let error = with(
        "{kubeAccess: {role: edit}}",
        &pools::references(),
        WITH_VIEW,
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("spec.kubeAccess.role \"edit\"") && error.contains("allows view"),
        "{error}"
    );
    let binding = object(&allowed("{kubeAccess: {role: view}}"), "RoleBinding");
    assert_eq!(binding["roleRef"]["name"], "view");
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "devserver-my-env", "namespace": "dev-user"}])
    );
}

#[test]
fn b1_the_token_is_there_only_when_asked_for_and_for_the_agent_only() {
    assert!(
        !pod(&allowed(
            "{editor: {enabled: true}, docker: {enabled: true}}"
        ))
        .to_string()
        .contains("serviceAccountToken")
    );
    let env = allowed(&format!(
        "{{kubeAccess: {{role: view}}, ssh: {{mode: Sidecar, publicKey: {KEY}}}}}"
    ));
    assert_eq!(pod(&env)["spec"]["automountServiceAccountToken"], false);
    let mounts = |name: &str| container(&env, name)["volumeMounts"].to_string();
    assert!(mounts("dev").contains("kube-token"));
    assert!(!mounts("ssh").contains("kube-token"));
    for path in ["/home/dev/.kube", "/workspace/.kube"] {
        assert!(
            mounts("ssh").contains(path) && mounts("dev").contains(path),
            "{path}"
        );
    }
}

#[test]
fn what_is_switched_off_is_taken_away_but_for_the_daemons_volume() {
    let env = allowed("{}");
    let gone: Vec<String> = superfluous(&env, &desired(&env))
        .into_iter()
        .map(|(kind, name)| format!("{} {name}", kind.as_str()))
        .collect();
    assert!(
        gone.contains(&"RoleBinding devserver-my-env".to_owned()),
        "{gone:?}"
    );
    assert!(
        !gone
            .iter()
            .any(|what| what.starts_with("PersistentVolumeClaim")),
        "{gone:?}"
    );
}

#[test]
fn where_images_cannot_be_mounted_they_are_copied_after_the_tools() {
    let platform = WITH_VIEW.replacen('{', "{toolsDelivery: InitContainer, ", 1);
    let env = with(ALL, &pools::references(), &platform).unwrap();
    let spec = pod(&env)["spec"].clone();
    assert_eq!(
        names(&spec["initContainers"]),
        ["tools", "editor", "docker-client"]
    );
    assert_eq!(
        spec["initContainers"][2]["command"],
        json!([
            "/opt/devserver/bin/devserver-agent",
            "copy",
            "/client",
            "/target"
        ])
    );
    assert!(
        spec["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|v| v.get("image").is_none())
    );
}
