//! Images that were made for another user than ours: the name is kept, and the home is where such images look for it
//! (decision C-USER).
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

use devserver_core::{Environment, Observed, Platform, desired, resolve, status};
use jiff::Timestamp;
use pools::{object, pod, refused, resolved, server};
use serde_json::{Value, json};

fn environment(spec: &str) -> Environment {
    resolved(spec).unwrap()
}

fn paths(env: &Environment, container: usize) -> Vec<(String, String)> {
    let mounts = pod(env)["spec"]["containers"][container]["volumeMounts"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mounts = mounts.as_array().unwrap().iter();
    mounts
        .map(|mount| (text(&mount["name"]), text(&mount["mountPath"])))
        .collect()
}

fn has(paths: &[(String, String)], volume: &str, path: &str) -> bool {
    paths.iter().any(|(v, p)| v == volume && p == path)
}

fn sshd_file(env: &Environment, file: &str) -> String {
    let data = &object(env, "ConfigMap")["data"];
    data[file].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_image_made_for_coder_becomes_these_objects() {
    let (input, server) = fixtures::server("document-004-coder");
    let platform = Platform::parse("{kubeAccess: {allowedRoles: [view]}}").unwrap();
    let env = resolve(&server, &fixtures::references(), &platform).unwrap();
    let mut text: String = input.lines().map(|line| format!("# {line}\n")).collect();
    for object in desired(&env) {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&object.to_value()).unwrap());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn our_own_name_is_as_good_as_none() {
    let all = |env: &Environment| -> Vec<Value> {
        desired(env)
            .iter()
            .map(devserver_core::Object::to_value)
            .collect()
    };
    let (none, ours) = (environment("{}"), environment("{loginUser: dev}"));
    assert_eq!(all(&none), all(&ours));
    let text = serde_json::to_string(&all(&none)).unwrap();
    assert!(
        !text.contains("DEVSERVER_LOGIN_USER") && !text.contains("/workspace"),
        "{text}"
    );
}

#[test]
fn the_home_has_both_its_names_in_every_mode() {
    let plain = paths(&environment("{loginUser: coder}"), 0);
    for path in ["/home/coder", "/workspace"] {
        assert!(has(&plain, "home", path), "{plain:?}");
    }
    assert!(
        plain.iter().all(|(_, path)| !path.starts_with("/home/dev")),
        "{plain:?}"
    );
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8gD0mS1nGkZ3Y8u3n8oQm4c2p1Ff0J7w0m1G7f9l2R";
    let sidecar = environment(&format!(
        "{{loginUser: coder, ssh: {{publicKey: {key}, mode: Sidecar}}}}"
    ));
    for container in [0, 1] {
        let paths = paths(&sidecar, container);
        for path in ["/home/coder", "/workspace"] {
            let times = paths.iter().filter(|(_, p)| p == path).count();
            assert_eq!(times, 1, "{container} {path}: {paths:?}");
        }
    }
    assert!(sshd_file(&sidecar, "passwd").contains("\ncoder:*:1000:1000::/workspace:"));
    assert!(sshd_file(&sidecar, "group").contains("\ncoder:x:1000:\n"));
    assert!(!sshd_file(&sidecar, "passwd").contains("dev:"));
}

#[test]
fn sshd_lets_that_user_in_and_nobody_else() {
    let config = sshd_file(&environment("{loginUser: coder}"), "sshd_config");
    assert!(config.contains("\nAllowUsers coder\n"), "{config}");
    assert!(
        config.contains("devserver-agent authorized-keys %u coder\n"),
        "{config}"
    );
    let config = sshd_file(&environment("{}"), "sshd_config");
    assert!(config.contains("\nAllowUsers dev\n"), "{config}");
    assert!(
        config.contains("devserver-agent authorized-keys %u\n"),
        "{config}"
    );
}

#[test]
fn a_flavor_speaks_for_its_own_image_only() {
    let platform = Platform::default();
    let mut references = pools::references();
    for flavor in &mut references.flavors {
        flavor.spec.default_image = Some("codercom/code-server:4.106.0".to_owned());
        flavor.spec.login_user = Some("coder".to_owned());
    }
    let user = |spec: &str| {
        resolve(&server(spec), &references, &platform)
            .unwrap()
            .login
            .user
    };
    assert_eq!(user("{}"), "coder");
    assert_eq!(user("{image: 'codercom/code-server:4.106.0'}"), "coder");
    assert_eq!(user("{image: 'debian:12'}"), "dev");
    assert_eq!(user("{loginUser: vscode}"), "vscode");
    for flavor in &mut references.flavors {
        flavor.spec.default_image = None;
    }
    let user = resolve(&server("{}"), &references, &platform)
        .unwrap()
        .login
        .user;
    assert_eq!(user, "dev", "the platform's image is not the flavor's");
}

#[test]
fn what_can_be_no_login_user_is_refused() {
    for name in [
        "root", "sshd", "nobody", "Coder", "'../x'", "'a b'", "'-a'", "''", "'1a'",
    ] {
        refused(
            &format!("{{loginUser: {name}}}"),
            "InvalidLoginUser",
            &["spec.loginUser", "coder"],
        );
    }
}

#[test]
fn volumes_keep_clear_of_the_home_wherever_it_is() {
    let at = |path: &str| {
        format!("{{loginUser: coder, volumes: [{{claimName: genomes, mountPath: {path}}}]}}")
    };
    for path in ["/home/coder", "/home", "/workspace", "/workspace/data"] {
        assert!(resolved(&at(path)).is_err(), "{path}");
    }
    environment(&at("/data"));
}

#[test]
fn who_logs_in_is_told_by_the_pod_that_runs() {
    let platform = Platform::default();
    let told = |spec: &str, variables: Option<Value>| {
        let server = server(spec);
        let outcome = resolve(&server, &pools::references(), &platform);
        let pod = variables.map(|variables| {
            let pod = json!({"metadata": {"name": "my-env-0"}, "spec": {"containers": [{"name": "dev", "env": variables}]}});
            serde_json::from_value(pod).unwrap()
        });
        let seen = Observed {
            pod,
            host_keys: vec!["ssh-ed25519 A".to_owned()],
            ..Observed::default()
        };
        let now = Timestamp::from_second(0).unwrap();
        status(&server, &outcome, &seen, &platform, now)
            .ssh
            .unwrap()
            .user
    };
    let coder = || Some(json!([{"name": "DEVSERVER_LOGIN_USER", "value": "coder"}]));
    assert_eq!(told("{loginUser: coder}", None), "coder");
    assert_eq!(told("{loginUser: coder}", coder()), "coder");
    assert_eq!(
        told("{loginUser: coder}", Some(json!([]))),
        "dev",
        "it waits for a restart"
    );
    assert_eq!(told("{}", coder()), "coder");
    assert_eq!(told("{}", Some(json!([]))), "dev");
}
