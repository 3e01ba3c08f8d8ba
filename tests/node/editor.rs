//! VS Code in the browser: in any image, with settings that stay, for nobody but the console.

use std::time::Duration;

use anyhow::ensure;
use devserver_api::DevServerFlavor;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    machine::User,
    network::{pod, said, start},
    spec,
};

const BUSYBOX: &str = "docker.io/devserver/busybox:lab";
/// Asks without a program of the image but its shell's own.
const HEALTH: &str = "(curl -s -m 3 http://127.0.0.1:8080/healthz || wget -q -T 3 -O - http://127.0.0.1:8080/healthz) 2>/dev/null";
const PAGE: &str = "curl -s -L -m 20 http://127.0.0.1:8080/";

async fn serves(user: &User, name: &str) -> anyhow::Result<()> {
    until("the editor answers", Duration::from_mins(2), async || {
        let output = user.ssh(name, HEALTH)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Seen::when(text.contains("\"status\""), text))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_editor_serves_settings_stay_and_it_comes_back_when_it_ends() -> anyhow::Result<()> {
    let user = User::new("editor").await?;
    let editor = json!({"editor": {"enabled": true}, "persistentHomeSize": "256Mi"});
    let server = spec::create(&user, "box", editor).await?;
    let port = server.status.and_then(|s| s.editor).map(|e| e.port);
    ensure!(port == Some(8080), "the status says {port:?}");
    serves(&user, "box").await?;
    let page = user.says("box", PAGE)?;
    ensure!(page.contains("workbench"), "{page}");
    // It is the login user, with a project folder and quiet settings that are the user's from now on.
    let settings = "~/.local/share/code-server/User/settings.json";
    ensure!(
        user.says(
            "box",
            "ps -eo user=,args= | grep '[c]ode-server/out' | cut -d' ' -f1 | sort -u"
        )? == "dev"
    );
    ensure!(user.says("box", "test -d ~/project && stat -c %U ~/project")? == "dev");
    let first = user.says("box", &format!("cat {settings}"))?;
    ensure!(first.contains("chat.disableAIFeatures"), "{first}");
    user.says(
        "box",
        &format!("echo '{{\"editor.fontSize\": 31}}' > {settings}; echo work > ~/project/file"),
    )?;
    // Ended by whatever: the next is there without anybody's help.
    user.says("box", "pkill -f '[c]ode-server/out' || true")?;
    serves(&user, "box").await?;
    user.suspend_and_resume("box").await?;
    serves(&user, "box").await?;
    let after = user.says("box", &format!("cat {settings} ~/project/file"))?;
    ensure!(after.contains("31") && after.ends_with("work"), "{after}");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_editor_serves_in_an_image_without_a_c_library() -> anyhow::Result<()> {
    let user = User::new("editor-busybox").await?;
    let wanted =
        json!({"editor": {"enabled": true}, "image": BUSYBOX, "persistentHomeSize": "256Mi"});
    spec::create(&user, "box", wanted).await?;
    ensure!(
        user.ssh("box", "ls /lib/x86_64-linux-gnu /lib/ld-musl-x86_64.so.1")?
            .stdout
            .is_empty()
    );
    // Its wget cannot look up "http" without a library; nc can ask.
    let ask = "printf 'GET /healthz HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' | nc -w 3 127.0.0.1 8080";
    until("the editor answers", Duration::from_mins(2), async || {
        let text = String::from_utf8_lossy(&user.ssh("box", ask)?.stdout).into_owned();
        Ok(Seen::when(text.contains("\"status\""), text))
    })
    .await?;
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_editor_serves_where_nobody_is_root() -> anyhow::Result<()> {
    let user = User::new("editor-restricted").await?;
    let flavors: Api<DevServerFlavor> = Api::all(user.client.clone());
    let flavor = json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": "node-restricted-editor"},
        "spec": {"isolation": "Restricted", "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "768Mi"}}},
    });
    let params = PatchParams::apply("tests").force();
    flavors
        .patch("node-restricted-editor", &params, &Patch::Apply(flavor))
        .await?;
    let wanted = json!({
        "flavor": "node-restricted-editor", "editor": {"enabled": true}, "persistentHomeSize": "256Mi",
        "ssh": {"mode": "Sidecar"},
    });
    spec::create(&user, "box", wanted).await?;
    serves(&user, "box").await?;
    flavors
        .delete("node-restricted-editor", &DeleteParams::default())
        .await?;
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_console_reaches_the_editor() -> anyhow::Result<()> {
    let user = User::new("editor-closed").await?;
    let wanted = json!({"editor": {"enabled": true}, "persistentHomeSize": "256Mi"});
    spec::create(&user, "box", wanted).await?;
    serves(&user, "box").await?;
    let pods = user.api::<Pod>();
    let address = pods
        .get("box-0")
        .await?
        .status
        .and_then(|s| s.pod_ip)
        .unwrap_or_default();
    let ask = format!(
        "exec 2>/dev/null; i=0; while [ $i -lt 8 ]; do i=$((i + 1)); printf 'GET /healthz HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' | timeout 3 nc -w 2 {address} 8080 \
         | grep -q status && echo open && exit 0; sleep 1; done; echo closed"
    );
    let console = [("app.kubernetes.io/component", "console")];
    let platform: Api<Pod> = Api::namespaced(user.client.clone(), "devserver-system");
    let name = format!("console-{}", user.namespace);
    // A label alone is not enough: it counts in the platform's namespace, where users make no pods.
    start(&pods, pod("neighbour", &[], &ask)).await?;
    start(&pods, pod("pretender", &console, &ask)).await?;
    start(&platform, pod(&name, &console, &ask)).await?;
    let gateway = format!("gateway-{}", user.namespace);
    start(
        &platform,
        pod(
            &gateway,
            &[("app.kubernetes.io/component", "gateway")],
            &ask,
        ),
    )
    .await?;
    let (neighbour, pretender) = (
        said(&pods, "neighbour").await?,
        said(&pods, "pretender").await?,
    );
    let (console, other) = (
        said(&platform, &name).await?,
        said(&platform, &gateway).await?,
    );
    for pod in [&name, &gateway] {
        platform.delete(pod, &DeleteParams::default()).await?;
    }
    let heard = [neighbour, pretender, other, console].map(|text| text.trim().to_owned());
    ensure!(heard == ["closed", "closed", "closed", "open"], "{heard:?}");
    user.leave().await;
    Ok(())
}
