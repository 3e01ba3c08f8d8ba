//! Rights in the cluster: exactly the ones given, as long as the pod lives.

use std::{process::Command, time::Duration};

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::{core::v1::Pod, rbac::v1::RoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use crate::{machine::User, spec};

/// `ask METHOD PATH [BODY]` prints the status of an answer of the API server, by what the kubeconfig names.
const ASK: &str = "cd ~/.kube && server=$(python3 -c 'import json; print(json.load(open(\"config\"))[\"clusters\"][0][\"cluster\"][\"server\"])') && \
     ask() { curl -s -m 10 -o /dev/null -w '%{http_code}\\n' -X \"$1\" --cacert ca.crt -H \"Authorization: Bearer $(cat token)\" \
     -H 'Content-Type: application/json' --data \"${3:-}\" \"$server$2\"; } && ";

fn ask(user: &User, what: &str) -> anyhow::Result<String> {
    user.says("box", &format!("{ASK}{what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_what_the_role_allows_works_and_everything_else_is_refused() -> anyhow::Result<()> {
    let user = User::new("kube").await?;
    spec::create(&user, "box", json!({"kubeAccess": {"role": "view"}})).await?;
    let ns = user.namespace.clone();
    ensure!(ask(&user, &format!("ask GET /api/v1/namespaces/{ns}/pods"))? == "200");
    // Kubernetes' own token is not there, and the agent's source is not for the login user.
    ensure!(user.says("box", "cat /var/run/secrets/devserver.io/kube/token /var/run/secrets/kubernetes.io/serviceaccount/token 2>/dev/null; true")?.is_empty());
    ensure!(
        user.says("box", "stat -c '%a %U' ~/.kube/token ~/.kube/config")? == "600 dev\n600 dev"
    );
    let binding = r#"{"metadata":{"name":"x"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"}}"#;
    let pod = r#"{"metadata":{"name":"x"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#;
    for (method, path, body) in [
        ("GET", format!("/api/v1/namespaces/{ns}/secrets"), ""),
        ("GET", "/api/v1/secrets".to_owned(), ""),
        ("GET", "/api/v1/namespaces/kube-system/pods".to_owned(), ""),
        ("GET", "/api/v1/namespaces".to_owned(), ""),
        ("GET", "/api/v1/nodes".to_owned(), ""),
        ("POST", format!("/api/v1/namespaces/{ns}/pods"), pod),
        (
            "POST",
            format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"),
            binding,
        ),
        (
            "POST",
            format!("/api/v1/namespaces/{ns}/serviceaccounts/devserver-box/token"),
            "{}",
        ),
    ] {
        let status = ask(&user, &format!("ask {method} {path} '{body}'"))?;
        ensure!(status == "403", "{method} {path}: {status}");
    }
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn b3_a_token_ends_with_its_pod_and_rights_with_the_field() -> anyhow::Result<()> {
    let user = User::new("kube-token").await?;
    spec::create(&user, "box", json!({"kubeAccess": {"role": "view"}})).await?;
    let token = user.says("box", "cat ~/.kube/token")?;
    let cluster = devserver_testkit::Cluster::connect().await?;
    let url = format!(
        "{}api/v1/namespaces/{}/pods",
        cluster.config.cluster_url, user.namespace
    );
    let status = |token: &str| -> anyhow::Result<String> {
        let header = format!("Authorization: Bearer {token}");
        let words = [
            "-k",
            "-s",
            "-m",
            "10",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            &header,
            &url,
        ];
        let output = user.output(Command::new("curl").args(words))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    ensure!(status(&token)? == "200", "while the pod lives");
    user.api::<Pod>()
        .delete("box-0", &DeleteParams::default())
        .await?;
    // Tokens that were judged well are remembered for ten seconds.
    until("the token is refused", Duration::from_mins(2), async || {
        let status = status(&token)?;
        Ok(Seen::when(status == "401", status))
    })
    .await?;
    user.answers("box").await?;
    ensure!(
        ask(
            &user,
            &format!("ask GET /api/v1/namespaces/{}/pods", user.namespace)
        )? == "200"
    );
    // The binding goes at once, before any restart.
    let patch = Patch::Merge(json!({"spec": {"kubeAccess": null}}));
    let servers = user.api::<DevServer>();
    servers
        .patch("box", &PatchParams::default(), &patch)
        .await?;
    let bindings = user.api::<RoleBinding>();
    until("the binding is gone", Duration::from_mins(1), async || {
        Ok(Seen::when(
            bindings.get_opt("devserver-box").await?.is_none(),
            "it is there",
        ))
    })
    .await?;
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_the_ide_image_work_with_the_rights_that_were_given() -> anyhow::Result<()> {
    let user = User::new("kube-ide").await?;
    let wanted = json!({"image": "docker.io/devserver/ide:lab", "kubeAccess": {"role": "view"}, "persistentHomeSize": "128Mi"});
    spec::create(&user, "box", wanted).await?;
    let pods = user.says("box", "kubectl get pods -o name")?;
    ensure!(pods == "pod/box-0", "{pods}");
    ensure!(user.says("box", "kns")? == user.namespace);
    let secrets = user.ssh("box", "kubectl get secrets -A")?;
    let why = String::from_utf8_lossy(&secrets.stderr).into_owned();
    ensure!(
        !secrets.status.success() && why.contains("forbidden"),
        "{why}"
    );
    ensure!(user.says("box", "kns default && kns - ")? == format!("default\n{}", user.namespace));
    for program in [
        "stern --version",
        "helm version",
        "go version",
        "git --version",
    ] {
        user.says("box", program)?;
    }
    user.leave().await;
    Ok(())
}
