//! A Docker daemon of one's own: it works, keeps what it has, and gives no right over the node.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::DevServerFlavor;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::{
    Api,
    api::{AttachParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::{machine::User, spec};

/// Makes the image `mine` of programs that are here: there is no registry in a lab.
const MAKE_IMAGE: &str = "for p in sh cat ls mount umount mknod nsenter id find head mkdir; do echo /bin/$p; ldd /bin/$p | grep -o '/[^ ]*'; done \
     | sort -u | tar -c -h -f - -T - 2>/dev/null | docker import - mine >/dev/null";
/// Everything that may be asked of a daemon; `--privileged` itself needs what a lab's kernel does not give.
const ALL_RIGHTS: &str = "docker run --rm --cap-add ALL --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
     --pid host --network host -v /:/host mine /bin/sh -c";

async fn with_docker(stem: &str) -> anyhow::Result<User> {
    with_daemon(stem, "Rootless").await
}

async fn with_daemon(stem: &str, mode: &str) -> anyhow::Result<User> {
    let user = User::new(stem).await?;
    let flavors: Api<DevServerFlavor> = Api::all(user.client.clone());
    let name = format!("node-docker-{}", mode.to_lowercase());
    let flavor = json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": name},
        "spec": {"docker": mode, "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "1Gi"}}},
    });
    let params = PatchParams::apply("tests").force();
    flavors.patch(&name, &params, &Patch::Apply(flavor)).await?;
    let docker = json!({"flavor": name, "docker": {"enabled": true, "storageSize": "1Gi"}});
    spec::create(&user, "box", docker).await?;
    until("the daemon answers", Duration::from_mins(2), async || {
        let output = user.ssh("box", "docker version --format '{{.Server.Version}}'")?;
        Ok(Seen::when(
            output.status.success(),
            String::from_utf8_lossy(&output.stderr),
        ))
    })
    .await?;
    Ok(user)
}

/// A file of the node, somewhere no pod should see.
fn canary(of: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = std::env::temp_dir().join(format!("node-canary-{of}-{}", std::process::id()));
    std::fs::write(&path, "alive")?;
    Ok(path)
}

/// What of the attempts went well; none should.
const ATTEMPTS: &str = "
(echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo core_pattern
(echo x > /proc/sysrq-trigger) 2>/dev/null && echo sysrq
mkdir -p /tmp/m
for d in /dev/sda /dev/sda1 /dev/vda /dev/vda1 /dev/nvme0n1; do mount $d /tmp/m 2>/dev/null && echo mounted $d; done
mknod /tmp/disk b 254 0 2>/dev/null && head -c 1 /tmp/disk >/dev/null 2>&1 && echo disk
mknod /tmp/mem c 1 1 2>/dev/null && head -c 1 /tmp/mem >/dev/null 2>&1 && echo memory
for p in /var/lib/kubelet /run/containerd /run/kubelab /var/run/docker.sock; do
  test -e /host$p && ls /host$p 2>/dev/null | grep -q . && echo seen $p
done
find /host/tmp /tmp -name 'node-canary-*' 2>/dev/null
true";

#[tokio::test(flavor = "multi_thread")]
async fn docker_runs_images_made_here_and_keeps_them_over_a_restart() -> anyhow::Result<()> {
    let user = with_docker("docker").await?;
    user.says("box", MAKE_IMAGE)?;
    ensure!(user.says("box", "docker run --rm mine /bin/sh -c 'echo $((6 * 7))'")? == "42");
    let build = "mkdir -p b && cd b && printf 'FROM mine\\nRUN echo built > /made\\nCMD [\"/bin/cat\", \"/made\"]\\n' > Dockerfile \
         && DOCKER_BUILDKIT=0 docker build -q -t made . >/dev/null && docker run --rm made";
    ensure!(user.says("box", build)? == "built");
    // A shell without a login has it as well, and the socket is nobody else's.
    ensure!(user.says("box", "echo $DOCKER_HOST")? == "unix:///run/devserver-docker/docker.sock");
    let mode = user.says("box", "stat -c '%a %G' /run/devserver-docker/docker.sock")?;
    // Docker adds the sticky bit in this mode.
    ensure!(mode.trim_start_matches('1') == "660 dev", "{mode}");
    user.suspend_and_resume("box").await?;
    until("the daemon answers", Duration::from_mins(2), async || {
        let output = user.ssh("box", "docker run --rm made")?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Seen::when(
            said == "built",
            String::from_utf8_lossy(&output.stderr),
        ))
    })
    .await?;
    let claims = user.api::<PersistentVolumeClaim>();
    let claim = claims.get("docker-box-0").await?.spec.context("no spec")?;
    let asked = claim
        .resources
        .and_then(|r| r.requests)
        .and_then(|r| r.get("storage").cloned());
    ensure!(asked.is_some_and(|q| q.0 == "1Gi"), "its size");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_a7_a_container_with_every_right_has_none_over_the_node() -> anyhow::Result<()> {
    let (user, canary) = (with_docker("docker-attack").await?, canary("docker")?);
    user.says("box", MAKE_IMAGE)?;
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    let went_well = user.says("box", &format!("{ALL_RIGHTS} {}", quoted(ATTEMPTS)))?;
    ensure!(went_well.is_empty(), "from a container: {went_well}");
    // What it sees as the host is the daemon's own container.
    let host = user.says(
        "box",
        &format!("{ALL_RIGHTS} 'ls /host/usr/local/sbin/run-dockerd'"),
    )?;
    ensure!(host == "/host/usr/local/sbin/run-dockerd", "{host}");
    // The first process that it sees is one of the pod's.
    let first = user.says(
        "box",
        &format!(
            "{ALL_RIGHTS} 'nsenter -t 1 -m ls / 2>/dev/null; cat /proc/1/cmdline' | tr '\\0' ' '"
        ),
    )?;
    ensure!(
        !first.contains("systemd") && !first.contains("/sbin/init"),
        "{first}"
    );
    // The same from the daemon's own container, by somebody who got into it.
    let pods = user.api::<Pod>();
    let params = AttachParams::default().container("docker").stderr(false);
    let mut process = pods.exec("box-0", ["sh", "-c", ATTEMPTS], &params).await?;
    let mut said = String::new();
    process
        .stdout()
        .context("no output")?
        .read_to_string(&mut said)
        .await?;
    process.join().await?;
    ensure!(said.trim().is_empty(), "from the daemon: {said}");
    ensure!(std::fs::read_to_string("/proc/sys/kernel/core_pattern")? == before);
    ensure!(std::fs::read_to_string(&canary)? == "alive");
    std::fs::remove_file(canary)?;
    user.leave().await;
    Ok(())
}

/// The filter that the lab's node has for daemons (`deploy/seccomp`) stays around whatever they start.
#[tokio::test(flavor = "multi_thread")]
async fn a5_a_call_of_the_kernel_that_no_container_needs_is_refused_to_one_with_every_right()
-> anyhow::Result<()> {
    let user = with_docker("docker-calls").await?;
    user.says("box", &MAKE_IMAGE.replace("for p in", "for p in perl"))?;
    // io_uring_setup, which has this number on every machine.
    let call = r"perl -e 'printf qq(%d %d), syscall(425, 1, 0), $!'";
    let said = user.says("box", &format!("{ALL_RIGHTS} {}", quoted(call)))?;
    ensure!(said == "-1 1", "no EPERM: {said}");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a7_root_in_the_machine_is_an_unprivileged_user_outside() -> anyhow::Result<()> {
    let (user, canary) = (User::new("rooted").await?, canary("rooted")?);
    user.create("box", &[])?;
    let went_well = user.says("box", &format!("doas sh -c {}", quoted(ATTEMPTS)))?;
    ensure!(went_well.is_empty(), "{went_well}");
    let map = user.says("box", "doas cat /proc/self/uid_map")?;
    let outside = map
        .split_whitespace()
        .nth(1)
        .and_then(|w| w.parse::<u64>().ok());
    ensure!(outside.is_some_and(|uid| uid >= 65_536), "{map}");
    ensure!(
        user.says(
            "box",
            "doas ls /sys/fs/cgroup/*/kubepods* 2>/dev/null; true"
        )?
        .is_empty()
    );
    ensure!(std::fs::read_to_string(&canary)? == "alive");
    std::fs::remove_file(canary)?;
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_keeps_ending_leaves_the_machine_open() -> anyhow::Result<()> {
    let user = with_docker("docker-broken").await?;
    let pods = user.api::<Pod>();
    let in_docker = async |command: &str| {
        let params = AttachParams::default().container("docker").stderr(false);
        let mut process = pods.exec("box-0", ["sh", "-c", command], &params).await?;
        let mut said = String::new();
        let mut output = process.stdout().context("no output")?;
        output.read_to_string(&mut said).await?;
        anyhow::Ok(process.join().await?)
    };
    let break_it = "mv /usr/sbin/dockerd /usr/sbin/dockerd.away; kill $(cat /run/docker.pid)";
    in_docker(break_it).await?;
    until("the daemon is gone", Duration::from_mins(1), async || {
        let output = user.ssh("box", "docker version")?;
        Ok(Seen::when(!output.status.success(), "it still answers"))
    })
    .await?;
    spec::running(&user, "box").await?;
    in_docker("mv /usr/sbin/dockerd.away /usr/sbin/dockerd").await?;
    until("the daemon is back", Duration::from_mins(2), async || {
        let output = user.ssh("box", "docker version")?;
        Ok(Seen::when(
            output.status.success(),
            String::from_utf8_lossy(&output.stderr),
        ))
    })
    .await?;
    user.leave().await;
    Ok(())
}

/// Document 004's daemon, where the flavor and the platform (the lab's values) say so. It is root of the node, which is why it takes both.
#[tokio::test(flavor = "multi_thread")]
async fn a4_a_privileged_daemon_runs_where_flavor_and_platform_say_so() -> anyhow::Result<()> {
    let user = with_daemon("docker-privileged", "Privileged").await?;
    user.says("box", MAKE_IMAGE)?;
    ensure!(user.says("box", "docker run --rm mine /bin/sh -c 'echo $((6 * 7))'")? == "42");
    // The daemon has the node's own user ids, and all rights; the machine beside it has got none of them.
    let pods = user.api::<Pod>();
    let params = AttachParams::default().container("docker").stderr(false);
    let map = [
        "sh",
        "-c",
        "cat /proc/self/uid_map; grep CapEff /proc/self/status",
    ];
    let mut process = pods.exec("box-0", map, &params).await?;
    let mut said = String::new();
    let mut output = process.stdout().context("no output")?;
    output.read_to_string(&mut said).await?;
    process.join().await?;
    let mut words = said.split_whitespace();
    ensure!(
        words.next() == Some("0") && words.next() == Some("0"),
        "{said}"
    );
    let daemon = said
        .split_whitespace()
        .last()
        .unwrap_or_default()
        .to_owned();
    let machine = user.says(
        "box",
        "doas grep CapEff /proc/self/status | tr -d '\\t' | cut -d: -f2",
    )?;
    ensure!(
        daemon != machine.trim(),
        "the machine has the daemon's rights: {machine}"
    );
    user.leave().await;
    Ok(())
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
