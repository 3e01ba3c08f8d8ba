//! The one ssh port: stock clients through the gateway to real machines.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::DeleteParams};
use serde_json::json;

use crate::{
    machine::{User, succeeded},
    session::Session,
    spec,
    visitor::Visitor,
};

#[tokio::test(flavor = "multi_thread")]
async fn stock_ssh_jumps_and_exit_codes_and_signals_pass() -> anyhow::Result<()> {
    let visitor = Visitor::new("jump").await?;
    let namespaced = format!("box.{}", visitor.user.namespace);
    ensure!(visitor.says(&["box", "id -un"])? == "dev");
    ensure!(visitor.says(&[&namespaced, "id -u"])? == "1000");
    ensure!(visitor.ssh(&["box", "exit 42"])?.status.code() == Some(42));
    // 128 + 15, as ssh says it of a remote shell that was ended by SIGTERM.
    let ended = visitor
        .ssh(&["box", "sh -c 'kill -TERM $$'"])?
        .status
        .code();
    ensure!(matches!(ended, Some(143 | 255)), "{ended:?}");
    // devctl takes the same way without being told.
    let (config, _) = visitor.user.ssh_config("box")?;
    ensure!(
        std::fs::read_to_string(config)?.contains("ssh -F "),
        "devctl does not use the gateway"
    );
    ensure!(visitor.user.says("box", "hostname")? == "box-0");
    visitor.user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_repositories_ports_and_the_agent_go_through_the_gateway() -> anyhow::Result<()> {
    let visitor = Visitor::new("stock").await?;
    let (user, config) = (&visitor.user, visitor.config.as_str());
    let bytes: Vec<u8> = (0..20_000_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let local = user.file("local").display().to_string();
    std::fs::write(&local, &bytes)?;
    let back = user.file("back").display().to_string();
    user.run("scp", ["-F", config, &local, "box:by-scp"])?;
    user.run("scp", ["-F", config, "box:by-scp", &back])?;
    ensure!(std::fs::read(&back)? == bytes, "scp changed the file");
    let rsh = format!("ssh -F {config}");
    user.run("rsync", ["-a", "-e", &rsh, &local, "box:by-rsync"])?;
    visitor.says(&["box", "cmp by-scp by-rsync"])?;
    let batch = user.file("batch");
    std::fs::write(&batch, format!("put {local} by-sftp\n"))?;
    user.run(
        "sftp",
        ["-F", config, "-b", &batch.display().to_string(), "box"],
    )?;
    visitor.says(&["box", "cmp by-scp by-sftp"])?;
    visitor.says(&[
        "box",
        "git init -q repo && cd repo && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m first",
    ])?;
    let clone = user.file("clone").display().to_string();
    let mut git = Command::new("git");
    git.args(["clone", "-q", "ssh://box/home/dev/repo", &clone])
        .env("GIT_SSH_COMMAND", &rsh);
    succeeded(&user.output(&mut git)?)?;
    // -W is what -L and ProxyJump are made of; the far end is the machine's own sshd, so it may reach the machine's ports.
    let banner = visitor.ssh(&["-o", "ForwardAgent=no", "-W", "127.0.0.1:22", "box"])?;
    ensure!(banner.stdout.starts_with(b"SSH-2.0-"), "{banner:?}");
    agent_is_forwarded(&visitor)?;
    visitor.user.leave().await;
    Ok(())
}

fn agent_is_forwarded(visitor: &Visitor) -> anyhow::Result<()> {
    let script = format!(
        "ssh-add -q {} && exec ssh -F {} box 'ssh-add -l'",
        visitor.user.key(),
        visitor.config
    );
    let mut shell = Command::new("ssh-agent");
    shell.args(["sh", "-c", &script]);
    let listed = succeeded(&visitor.user.output(&mut shell)?)?;
    ensure!(listed.contains("SHA256:"), "{listed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn c9_through_the_gateway_there_is_nothing_but_ones_own_machines() -> anyhow::Result<()> {
    let visitor = Visitor::new("only").await?;
    let other = Visitor::new("other").await?;
    let theirs = format!("box.{}:22", other.user.namespace);
    let nobody = format!("nobody.{}:22", visitor.user.namespace);
    let not_found = visitor.refused(&["-W", &nobody, "gw"])?;
    let forbidden = visitor.refused(&["-W", &theirs, "gw"])?;
    ensure!(
        not_found.contains("no such environment") && not_found == forbidden,
        "{not_found:?} and {forbidden:?}"
    );
    for target in [
        "127.0.0.1:22",
        "169.254.169.254:80",
        "198.18.0.2:6443",
        "kubernetes.default.svc:443",
        "box:9022",
        "[::1]:22",
    ] {
        visitor.refused(&["-W", target, "gw"])?;
    }
    // No shell, no forwarding of its own.
    let told = visitor.refused(&["gw", "id"])?;
    ensure!(told.contains("jump"), "{told}");
    // Somebody else's key opens nothing in this name.
    let stranger = format!("IdentityFile={}", other.user.key());
    let told = visitor.ssh(&[
        "-F",
        "/dev/null",
        "-o",
        &stranger,
        "-o",
        "BatchMode=yes",
        "gw",
        "id",
    ]);
    ensure!(
        told.is_ok_and(|output| !output.status.success()),
        "a stranger's key was let in"
    );
    ensure!(visitor.owner != other.owner);
    for visitor in [visitor, other] {
        visitor.user.leave().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_stopped_moved_or_starting_is_told_within_ten_seconds()
-> anyhow::Result<()> {
    let visitor = Visitor::new("moved").await?;
    let (user, pods) = (&visitor.user, visitor.user.api::<Pod>());
    pods.delete("box-0", &DeleteParams::default().grace_period(0))
        .await?;
    let begun = Instant::now();
    let first = visitor.ssh(&["box", "true"])?;
    ensure!(
        begun.elapsed() < Duration::from_secs(12),
        "it took {:?}",
        begun.elapsed()
    );
    if !first.status.success() {
        let told = String::from_utf8_lossy(&first.stderr).into_owned();
        ensure!(
            told.contains("starting") || told.contains("deleted"),
            "{told}"
        );
    }
    until(
        "the new pod is reached",
        Duration::from_mins(2),
        async || {
            Ok(Seen::when(
                visitor.ssh(&["box", "true"])?.status.success(),
                "not yet",
            ))
        },
    )
    .await?;
    succeeded(&user.devctl(["suspend", "box"])?)?;
    until("no pod", Duration::from_mins(1), async || {
        Ok(Seen::when(pods.get_opt("box-0").await?.is_none(), "a pod"))
    })
    .await?;
    let begun = Instant::now();
    let told = visitor.refused(&["box", "true"])?;
    ensure!(
        begun.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        begun.elapsed()
    );
    ensure!(told.contains("devctl resume box"), "{told}");
    visitor.user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn collaborators_come_in_and_go_when_they_are_no_longer_named() -> anyhow::Result<()> {
    let visitor = Visitor::new("shared").await?;
    let guest = User::new("guest").await?;
    let public = std::fs::read_to_string(guest.key() + ".pub")?;
    let patch =
        json!({"spec": {"collaborators": [{"user": "guest", "publicKeys": [public.trim()]}]}});
    let servers: Api<DevServer> = visitor.user.api();
    let name = format!("box.{}", visitor.user.namespace);
    servers
        .patch(
            "box",
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(&patch),
        )
        .await?;
    let config = std::fs::read_to_string(&visitor.config)?
        .replace(&visitor.user.key(), &guest.key())
        .replace(&format!("User {}", visitor.owner), "User guest");
    let own = guest.file("own-config");
    std::fs::write(&own, config)?;
    let own = own.display().to_string();
    let attempt = || guest.output(Command::new("ssh").args(["-F", &own, &name, "id -un"]));
    // The keys inside come with the kubelet's next look at the mounted Secret.
    until("the guest is in", Duration::from_mins(3), async || {
        let output = attempt()?;
        Ok(Seen::when(
            output.status.success() && output.stdout.starts_with(b"dev"),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    })
    .await?;
    let nobody = json!({"spec": {"collaborators": null}});
    servers
        .patch(
            "box",
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(&nobody),
        )
        .await?;
    until("the guest is out", Duration::from_secs(20), async || {
        Ok(Seen::when(!attempt()?.status.success(), "still let in"))
    })
    .await?;
    guest.leave().await;
    visitor.user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_gateway_the_way_leads_through_the_api_server() -> anyhow::Result<()> {
    let user = User::new("api").await?;
    spec::create(&user, "box", json!({})).await?;
    let said = user.output(
        Command::new(crate::machine::program()?)
            .args(["ssh", "box", "--", "id -u"])
            .env("DEVCTL_SSH_VIA", "api"),
    )?;
    ensure!(succeeded(&said)? == "1000");
    let mut session = Session::start(&user, "box", "echo there; sleep 60")?;
    until(
        "a session through the gateway",
        Duration::from_secs(30),
        async || {
            Ok(Seen::when(
                session.heard().contains("there"),
                session.heard(),
            ))
        },
    )
    .await?;
    session.process.kill()?;
    session.process.wait()?;
    user.leave().await;
    Ok(())
}
