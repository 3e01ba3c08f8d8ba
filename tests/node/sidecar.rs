//! sshd in a container of its own: port 2222, no root, and the same files as the machine.

use anyhow::{Context as _, ensure};
use devserver_api::DevServerFlavor;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api,
    api::{AttachParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::{machine::User, spec};

/// Runs a command in the container `dev`, as `kubectl exec` does.
async fn in_dev(user: &User, pod: &str, command: &str) -> anyhow::Result<String> {
    let params = AttachParams::default().container("dev").stderr(false);
    let pods = user.api::<Pod>();
    let mut process = pods.exec(pod, ["sh", "-c", command], &params).await?;
    let mut said = String::new();
    let mut output = process.stdout().context("no output")?;
    output.read_to_string(&mut said).await?;
    process.join().await?;
    Ok(said.trim_end().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_lets_the_user_in_without_root_and_shares_the_workspace() -> anyhow::Result<()> {
    let user = User::new("sidecar").await?;
    spec::create(&user, "box", json!({"ssh": {"mode": "Sidecar"}})).await?;
    ensure!(user.says("box", "id -un; id -u; pwd")? == "dev\n1000\n/workspace");
    // Port 2222 and not 22, and nobody can become root.
    let listening =
        "grep -c ':08AE .* 0A ' /proc/net/tcp; grep -c ':0016 .* 0A ' /proc/net/tcp || true";
    ensure!(user.says("box", listening)? == "1\n0");
    ensure!(
        user.says(
            "box",
            "grep -E '^(CapEff|CapBnd)' /proc/self/status | tr -d '\\t'"
        )? == "CapEff:0000000000000000\nCapBnd:0000000000000000"
    );
    ensure!(user.says("box", "grep NoNewPrivs /proc/self/status | tr -dc 0-9")? == "1");
    // One set of files under both names, from both sides.
    user.says(
        "box",
        "echo from-ssh > /workspace/a && mkdir -p /home/dev/b",
    )?;
    ensure!(
        in_dev(
            &user,
            "box-0",
            "cat /home/dev/a /workspace/a; stat -c %u /workspace/a"
        )
        .await?
            == "from-ssh\nfrom-ssh\n1000"
    );
    in_dev(&user, "box-0", "echo from-dev > /workspace/c").await?;
    ensure!(user.says("box", "cat ~/c")? == "from-dev");
    // Files by SFTP, a terminal with the message of the day, and an exit code.
    let (config, host) = user.ssh_config("box")?;
    let (config, key, local) = (config.display().to_string(), user.key(), user.file("local"));
    std::fs::write(&local, "carried")?;
    let to = format!("{host}:by-scp");
    user.run(
        "scp",
        ["-F", &config, "-i", &key, &local.display().to_string(), &to],
    )?;
    ensure!(user.says("box", "cat /workspace/by-scp")? == "carried");
    let shell = user.types(
        ["ssh", "box", "-tt", "-i", &key, "-o", "LogLevel=ERROR"],
        "exit\n",
    )?;
    let seen = String::from_utf8_lossy(&shell.stdout).into_owned();
    ensure!(seen.contains("Welcome to box"), "{seen}");
    ensure!(user.ssh("box", "exit 42")?.status.code() == Some(42));
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_machine_runs_where_the_cluster_enforces_restricted() -> anyhow::Result<()> {
    let user = User::new("restricted").await?;
    let namespaces: Api<Namespace> = Api::all(user.client.clone());
    let label =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let params = PatchParams::default();
    namespaces
        .patch(&user.namespace, &params, &Patch::Merge(label))
        .await?;
    let flavors: Api<DevServerFlavor> = Api::all(user.client.clone());
    let flavor: DevServerFlavor = serde_json::from_value(json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": format!("{}-tight", user.namespace)},
        "spec": {"isolation": "Restricted", "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "512Mi"}}}}))?;
    let name = flavor.metadata.name.clone().unwrap_or_default();
    flavors.create(&PostParams::default(), &flavor).await?;
    spec::create(&user, "box", json!({"flavor": name})).await?;
    ensure!(user.says("box", "id -u; echo kept > file; cat file")? == "1000\nkept");
    let said = in_dev(
        &user,
        "box-0",
        "id -u; id -un; cat /home/dev/file; grep CapBnd /proc/self/status | tr -dc 1-9",
    )
    .await?;
    ensure!(said == "1000\ndev\nkept", "{said}");
    flavors
        .delete(&name, &kube::api::DeleteParams::default())
        .await?;
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_made_with_sshd_inside_is_the_workspace_of_a_sidecar_and_back() -> anyhow::Result<()>
{
    let user = User::new("modes").await?;
    spec::create(
        &user,
        "box",
        json!({"lifecycle": {"restartPolicy": "Automatic"}}),
    )
    .await?;
    user.says("box", "echo kept > ~/file")?;
    for (mode, file) in [
        ("Sidecar", "/workspace/file"),
        ("InContainer", "/home/dev/file"),
    ] {
        let servers: Api<devserver_api::DevServer> = user.api();
        let uid = user.api::<Pod>().get("box-0").await?.metadata.uid;
        let patch = Patch::Merge(json!({"spec": {"ssh": {"mode": mode}}}));
        servers
            .patch("box", &PatchParams::default(), &patch)
            .await?;
        devserver_testkit::wait::until(
            "another pod",
            std::time::Duration::from_mins(2),
            async || {
                let pod = user.api::<Pod>().get_opt("box-0").await?;
                Ok(devserver_testkit::wait::Seen::when(
                    pod.is_some_and(|p| p.metadata.uid != uid),
                    "the old one",
                ))
            },
        )
        .await?;
        user.answers("box").await?;
        ensure!(
            user.says("box", &format!("cat {file}; stat -c %u {file}"))? == "kept\n1000",
            "{mode}"
        );
    }
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn c10_links_in_the_home_lead_root_nowhere_at_a_restart() -> anyhow::Result<()> {
    let user = User::new("links").await?;
    spec::create(
        &user,
        "box",
        json!({"packages": {"pip": ["no-such-package-of-ours"]}}),
    )
    .await?;
    // The targets are files that root makes anew at each start; a root that followed would change their owner or text.
    user.says(
        "box",
        "rm -rf ~/.local ~/.ssh ~/.profile; ln -s /etc ~/.ssh; ln -s /etc/shadow ~/.profile; \
         mkdir -p ~/.local/state; ln -s /etc/devserver ~/.local/state/devserver; ln -s / ~/root",
    )?;
    let facts = "doas stat -c '%n %u:%g %a' / /etc /etc/shadow /etc/passwd /root /etc/devserver";
    let before = user.says("box", facts)?;
    user.api::<Pod>()
        .delete("box-0", &kube::api::DeleteParams::default())
        .await?;
    devserver_testkit::wait::until(
        "it is back",
        std::time::Duration::from_mins(3),
        async || {
            let said = user.ssh("box", "readlink ~/root; ls /proc/1/task | wc -l")?;
            let uptime = String::from_utf8_lossy(&said.stdout).into_owned();
            Ok(devserver_testkit::wait::Seen::when(
                said.status.success(),
                uptime,
            ))
        },
    )
    .await?;
    ensure!(user.says("box", facts)? == before);
    ensure!(user.says("box", "readlink ~/.profile ~/.ssh")? == "/etc/shadow\n/etc");
    user.leave().await;
    Ok(())
}
