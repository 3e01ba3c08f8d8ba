//! Direct mode: stock clients that do not jump, to a real sshd that lets the gateway in.

use std::{
    process::{Command, Output},
    time::Duration,
};

use anyhow::ensure;
use devserver_testkit::wait::{Seen, until};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

use crate::{
    machine::{User, succeeded},
    visitor::Visitor,
};

/// The options of a login that leads into the box.
fn login(visitor: &Visitor) -> [String; 4] {
    let user = format!("User={}+box.{}", visitor.owner, visitor.user.namespace);
    let config = visitor.config.clone();
    ["-F".to_owned(), config, "-o".to_owned(), user]
}

fn run(visitor: &Visitor, program: &str, words: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(program);
    command.args(login(visitor)).args(words);
    visitor.user.output(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_cannot_jump_work_in_an_environment_through_its_own_sshd() -> anyhow::Result<()>
{
    let visitor = Visitor::new("direct").await?;
    // The gateway's authority is told some time after the gateway is there.
    until("a direct login", Duration::from_mins(3), async || {
        let output = run(&visitor, "ssh", &["gw", "id -un; echo err >&2; exit 3"])?;
        let all = (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        let wanted = (Some(3), "dev\n".to_owned(), "err\n".to_owned());
        Ok(Seen::when(all == wanted, format!("{all:?}")))
    })
    .await?;
    let terminal = run(&visitor, "ssh", &["-tt", "gw", "tty; stty size"])?;
    ensure!(succeeded(&terminal)?.contains("/dev/pts/"), "{terminal:?}");
    files(&visitor)?;
    let forwarded = run(&visitor, "ssh", &["-W", "127.0.0.1:22", "gw"])?;
    ensure!(!forwarded.status.success(), "a direct login forwards");
    // What the environment's sshd was told: one authority, for this DevServer, for sessions.
    let secrets: Api<Secret> = visitor.user.api();
    let data = secrets.get("box-authorized-keys").await?.data;
    let keys = data.and_then(|mut data| data.remove("authorized_keys"));
    let text = String::from_utf8(keys.unwrap_or_default().0)?;
    ensure!(
        text.contains("cert-authority,restrict,pty,user-rc,principals=\"devserver-"),
        "{text}"
    );
    visitor.user.leave().await;
    Ok(())
}

fn files(visitor: &Visitor) -> anyhow::Result<()> {
    let user = &visitor.user;
    let bytes: Vec<u8> = (0..20_000_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let (local, back) = (user.file("local"), user.file("back"));
    std::fs::write(&local, &bytes)?;
    let (local, back) = (local.display().to_string(), back.display().to_string());
    // By sftp, which is what scp speaks today.
    succeeded(&run(visitor, "scp", &[&local, "gw:by-scp"])?)?;
    succeeded(&run(visitor, "scp", &["gw:by-scp", &back])?)?;
    ensure!(std::fs::read(&back)? == bytes, "scp changed the file");
    let batch = user.file("batch");
    std::fs::write(&batch, format!("put {local} by-sftp\n"))?;
    let batch = batch.display().to_string();
    succeeded(&run(visitor, "sftp", &["-b", &batch, "gw"])?)?;
    succeeded(&run(visitor, "ssh", &["gw", "cmp by-scp by-sftp"])?)?;
    let rsh = format!("ssh {}", login(visitor).join(" "));
    user.run("rsync", ["-a", "-e", &rsh, &local, "gw:by-rsync"])?;
    succeeded(&run(visitor, "ssh", &["gw", "cmp by-scp by-rsync"])?)?;
    // Both ways at once, more than all windows and buffers hold.
    let words = ["-c", "ssh \"$@\" gw cat <\"$0\" | cmp - \"$0\"", &local];
    let mut shell = Command::new("sh");
    shell.args(words).args(login(visitor));
    succeeded(&user.output(&mut shell)?)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_a_direct_login_opens_nothing_of_somebody_else() -> anyhow::Result<()> {
    let visitor = Visitor::new("mine").await?;
    let other = Visitor::new("theirs").await?;
    let attempt = |server: &str| {
        let user = format!("User={}+{server}", visitor.owner);
        visitor.refused(&["-o", &user, "gw", "id"])
    };
    let forbidden = attempt(&format!("box.{}", other.user.namespace))?;
    let nothing = attempt(&format!("nothing.{}", other.user.namespace))?;
    ensure!(
        nothing.contains("no such environment") && nothing == forbidden,
        "{nothing:?} and {forbidden:?}"
    );
    for visitor in [visitor, other] {
        visitor.user.leave().await;
    }
    Ok(())
}

/// What becomes of keys of a DevServerUser in an environment of somebody else, in another namespace.
#[tokio::test(flavor = "multi_thread")]
async fn a_collaborator_known_by_a_devserveruser_logs_in_where_they_are_named() -> anyhow::Result<()>
{
    let visitor = Visitor::new("named").await?;
    let guest = User::new("known").await?;
    let public = std::fs::read_to_string(guest.key() + ".pub")?;
    let name = format!("guest-{}", std::process::id());
    let users: Api<devserver_api::DevServerUser> = Api::all(visitor.user.client.clone());
    let known = serde_json::from_value(json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerUser", "metadata": {"name": name},
        "spec": {"username": name, "sshPublicKeys": [public.trim()]},
    }))?;
    users
        .create(&kube::api::PostParams::default(), &known)
        .await?;
    let servers: Api<devserver_api::DevServer> = visitor.user.api();
    let patch = json!({"spec": {"collaborators": [{"user": name}]}});
    let params = kube::api::PatchParams::default();
    servers
        .patch("box", &params, &kube::api::Patch::Merge(&patch))
        .await?;
    let config = std::fs::read_to_string(&visitor.config)?
        .replace(&visitor.user.key(), &guest.key())
        .replace(&format!("User {}", visitor.owner), &format!("User {name}"));
    let own = guest.file("own-config");
    std::fs::write(&own, config)?;
    let own = own.display().to_string();
    let target = format!("box.{}", visitor.user.namespace);
    let attempt = || guest.output(Command::new("ssh").args(["-F", &own, &target, "id -un"]));
    until("the guest is in", Duration::from_mins(3), async || {
        let output = attempt()?;
        Ok(Seen::when(
            output.status.success() && output.stdout.starts_with(b"dev"),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    })
    .await?;
    users
        .delete(&name, &kube::api::DeleteParams::default())
        .await?;
    until("the guest is out", Duration::from_secs(30), async || {
        Ok(Seen::when(!attempt()?.status.success(), "still let in"))
    })
    .await?;
    guest.leave().await;
    visitor.user.leave().await;
    Ok(())
}
