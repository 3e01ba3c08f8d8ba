//! Documents 000 and 003 as they are written, from the charts alone: people in a list have machines to log in to, and one release is one
//! machine with the packages it asks for.

use std::time::Duration;

use anyhow::ensure;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use crate::{
    administrator,
    machine::User,
    packages::{GREETING, INDEX},
};

/// Longest that helm waits, and a machine needs.
const START: Duration = Duration::from_mins(4);

/// What a command in the machine prints, once it is reached: the administrator's devctl finds the way.
async fn says(user: &User, namespace: &str, name: &str, command: &str) -> anyhow::Result<String> {
    let key = user.key();
    until(&format!("{namespace}/{name} answers"), START, async || {
        let mut devctl = administrator::command("devctl", namespace)?;
        devctl
            .env("HOME", user.file(""))
            .env("DEVCTL_CONFIG_DIR", user.file("devctl"));
        let words = [
            "ssh",
            name,
            "-i",
            &key,
            "-o",
            "IdentitiesOnly=yes",
            "--",
            command,
        ];
        let output = devctl.args(words).output()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(if output.status.success() {
            Seen::Yes(said)
        } else {
            Seen::NotYet(String::from_utf8_lossy(&output.stderr).into_owned())
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_people_in_values_have_three_machines_to_log_in_to() -> anyhow::Result<()> {
    let user = User::new("people").await?;
    let public = std::fs::read_to_string(user.key() + ".pub")?;
    let names = ["ann", "ben", "cleo"].map(|name| format!("{name}-{}", std::process::id()));
    let people: Vec<_> = names
        .iter()
        .map(|name| json!({"username": name, "publicKeys": [public.trim()]}))
        .collect();
    let values = user.file("people.yaml");
    let text = json!({
        "defaults": {"flavor": "node-test", "storage": {"size": "64Mi"}, "topologySpread": {"maxSkew": 100}},
        "users": people,
    });
    std::fs::write(&values, text.to_string())?;
    let values = values.display().to_string();
    let install = [
        "upgrade",
        "--install",
        "people",
        "charts/devservers",
        "--values",
        &values,
    ];
    administrator::run("helm", &user.namespace, &install)?;
    for name in &names {
        let (namespace, server) = (format!("dev-{name}"), format!("devserver-{name}"));
        let said = says(&user, &namespace, &server, "echo $USER; doas id -u").await?;
        ensure!(said == "dev\n0", "{name}: {said}");
    }
    administrator::run("helm", &user.namespace, &["uninstall", "people"])?;
    let namespaces: Api<Namespace> = Api::all(user.client.clone());
    for name in &names {
        namespaces
            .delete(&format!("dev-{name}"), &DeleteParams::background())
            .await?;
    }
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_release_is_a_machine_with_its_packages() -> anyhow::Result<()> {
    let user = User::new("release").await?;
    let key = format!(
        "ssh.publicKeys=[\"{}\"]",
        std::fs::read_to_string(user.key() + ".pub")?.trim()
    );
    // The command of S3-38, with names of this node.
    let launch = [
        "upgrade",
        "--install",
        "my-env",
        "./helm/dev-env",
        "--create-namespace",
        "--set",
        "image.repository=docker.io/devserver/base",
        "--set",
        "image.tag=lab",
        "--set",
        "resources.requests.memory=32Mi",
        "--set",
        "resources.requests.cpu=20m",
        "--set",
        "ssh.enabled=true",
        "--set-json",
        &key,
        "--set",
        "flavor=node-test",
        "--set",
        "home.size=128Mi",
    ];
    administrator::run("helm", &user.namespace, &launch)?;
    // There is no index of packages here but the machine's own.
    says(&user, &user.namespace, "my-env", INDEX).await?;
    let packages = [
        "upgrade",
        "my-env",
        "./helm/dev-env",
        "--reuse-values",
        "--set",
        "customPackages.pip={greeter==1.0}",
    ];
    administrator::run("helm", &user.namespace, &packages)?;
    until("the package is there", START, async || {
        let said = says(
            &user,
            &user.namespace,
            "my-env",
            &format!("{GREETING} || true"),
        )
        .await?;
        // Document 003 has the home at /workspace, where sshd is in a container of its own.
        Ok(Seen::when(
            said.starts_with("hello /workspace/.local/"),
            said,
        ))
    })
    .await?;
    let pods: Api<k8s_openapi::api::core::v1::Pod> = user.api();
    let all = pods.list(&ListParams::default()).await?.items;
    ensure!(all.len() == 1, "a release has {} pods", all.len());
    user.leave().await;
    Ok(())
}
