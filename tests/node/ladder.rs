//! The whole ladder on the real node, in seconds instead of hours. It changes the platform, so it runs when nobody else is at work:
//! hack/test.sh does that.

use std::{collections::BTreeSet, io::Write as _, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, DevServerFlavor, IdleStage, IdleState, Phase, group};
use devserver_e2e::programs::install_platform;
use devserver_testkit::{
    port,
    wait::{Seen, until},
};
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod, Secret};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    access::node_address,
    administrator,
    idle_sinks::{Mailbox, Receiver},
    machine::{START, User},
    session::Session,
    spec,
};

const OWNER: &str = "alice@example.com";
const KEY: &str = "the key of the webhook";
/// What agents know the operator by.
const ACTIVITY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
/// A flavor of which no stage is left out, and one whose environments are shrunk and never stopped.
const WHOLE: &str = "ladder";
const SHRINKS: &str = "ladder-shrinks";
/// Longest wait for a stage; the last comes after 112 seconds without a sign of life.
const PATIENCE: Duration = Duration::from_mins(4);

/// Where notifications arrive.
struct Sinks {
    mailbox: Mailbox,
    receiver: Receiver,
}

fn values(sinks: &Sinks, here: std::net::IpAddr) -> Value {
    let (mail, url) = (sinks.mailbox.port(), sinks.receiver.url(""));
    let hook = url
        .rsplit(':')
        .next()
        .and_then(|port| port.parse::<u16>().ok());
    json!({
        "operator": {
            "activityKeySecret": "ladder-activity",
            "notificationsSecret": "ladder-notifications",
            "config": {
                // Only people count: what a busy machine does beside is no use of the environment.
                "activity": {
                    "windowSeconds": 60, "staleSeconds": 60, "cpuMillicores": 4096,
                    "diskBytesPerSecond": 1_u64 << 40, "networkBytesPerSecond": 1_u64 << 40,
                },
                "idle": {
                    "intervalSeconds": 1,
                    "stages": {"alert": "62s", "notify": "72s", "downscale": "82s", "warn": "92s", "terminate": "112s"},
                },
                "notifications": {
                    "mail": {"host": here, "port": mail, "encryption": "None", "from": "devservers@example.com"},
                    "webhooks": [{"url": sinks.receiver.url("/events"), "keyFile": "/etc/devserver-operator-notifications/hook"}],
                },
                "trash": {"retention": "720h"},
            },
        },
        "networkPolicy": {"egress": [{
            "to": [{"ipBlock": {"cidr": format!("{here}/32")}}],
            "ports": [{"protocol": "TCP", "port": mail}, {"protocol": "TCP", "port": hook}],
        }]},
    })
}

async fn install(client: &Client, values: &Value) -> anyhow::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), group::PLATFORM_NAMESPACE);
    for (name, key, text) in [
        ("ladder-activity", "key", ACTIVITY),
        ("ladder-notifications", "hook", KEY),
    ] {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: text}});
        let params = PatchParams::apply("ladder-test").force();
        secrets.patch(name, &params, &Patch::Apply(object)).await?;
    }
    install_platform(values)
}

async fn flavors(client: &Client) -> anyhow::Result<()> {
    let api: Api<DevServerFlavor> = Api::all(client.clone());
    for (name, stages) in [
        (WHOLE, json!({})),
        (SHRINKS, json!({"warn": "Off", "terminate": "Off"})),
    ] {
        let object = json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor", "metadata": {"name": name},
            "spec": {
                "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
                "minimumResources": {"cpu": "50m", "memory": "64Mi"}, "idle": {"stages": stages},
            },
        });
        let params = PatchParams::apply("ladder-test").force();
        api.patch(name, &params, &Patch::Apply(object)).await?;
    }
    Ok(())
}

async fn create(user: &User, name: &str, flavor: &str) -> anyhow::Result<()> {
    spec::create(user, name, json!({"owner": OWNER, "flavor": flavor})).await?;
    user.answers(name).await
}

/// The container, how often it began, and what share of the processors its control group has.
async fn container(user: &User, name: &str) -> anyhow::Result<(String, i32, u64)> {
    let pod = user.api::<Pod>().get(&format!("{name}-0")).await?;
    let statuses = pod.status.and_then(|s| s.container_statuses);
    let first = statuses.unwrap_or_default().into_iter().next();
    let first = first.with_context(|| format!("{name} has no container"))?;
    let id = first.container_id.context("it has no identity")?;
    let bare = id.rsplit('/').next().unwrap_or_default().to_owned();
    let share = share(Path::new("/sys/fs/cgroup"), &bare)
        .with_context(|| format!("no control group of {bare}"))?;
    Ok((id, first.restart_count, share))
}

/// `cpu.shares` (version 1) or `cpu.weight` (version 2) of the group that has the identity in its name.
fn share(folder: &Path, id: &str) -> Option<u64> {
    let entries = std::fs::read_dir(folder).ok()?;
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    for entry in folders {
        let path = entry.path();
        if entry.file_name().to_string_lossy().contains(id) {
            let read = |name: &str| std::fs::read_to_string(path.join(name)).ok();
            if let Some(text) = read("cpu.shares").or_else(|| read("cpu.weight")) {
                return text.trim().parse().ok();
            }
        } else if let Some(found) = share(&path, id) {
            return Some(found);
        }
    }
    None
}

async fn server(user: &User, name: &str) -> anyhow::Result<DevServer> {
    Ok(user.api::<DevServer>().get(name).await?)
}

/// Stops the agent of an environment that began just now: its last look must be less than 12 seconds after the last sign of life, or the
/// notice comes before the silence is old enough to be one.
async fn mutes(user: &User, name: &str) -> anyhow::Result<()> {
    until(
        &format!("the agent of {name} is heard"),
        PATIENCE,
        async || {
            let status = server(user, name).await?.status.unwrap_or_default();
            let idle = status.idle.unwrap_or_default();
            let is_heard = idle.state == IdleState::Active;
            Ok(Seen::when(is_heard, format!("{idle:?}")))
        },
    )
    .await?;
    // The brackets keep it from finding itself.
    user.says(name, "pkill -STOP -f 'exe [c]ollect'")?;
    Ok(())
}

/// Follows the environment to its stop: every stage, in this order.
async fn climbs(user: &User, name: &str) -> anyhow::Result<()> {
    let mut stages: Vec<IdleStage> = Vec::new();
    until(&format!("{name} is stopped"), PATIENCE, async || {
        let status = server(user, name).await?.status.unwrap_or_default();
        let idle = status.idle.unwrap_or_default();
        if let Some(stage) = idle.stage
            && stages.last() != Some(&stage)
        {
            stages.push(stage);
        }
        let is_stopped = status.phase == Some(Phase::Suspended) && idle.state == IdleState::Stopped;
        Ok(Seen::when(is_stopped, format!("{stages:?} {idle:?}")))
    })
    .await?;
    ensure!(stages == IdleStage::ALL, "{stages:?}");
    let events = user.api::<Event>().list(&ListParams::default()).await?;
    let of = |event: &Event| event.involved_object.name.as_deref() == Some(name);
    let reasons: BTreeSet<String> = events
        .items
        .into_iter()
        .filter(of)
        .filter_map(|event| event.reason)
        .collect();
    for reason in ["DevEnvIdle", "IdleNotice", "IdleWarning", "IdleStopped"] {
        ensure!(reasons.contains(reason), "no {reason} in {reasons:?}");
    }
    Ok(())
}

/// A control group that shrinks and, while somebody types, grows back; and a container that does not notice.
async fn shrinks_and_grows(user: &User, name: &str) -> anyhow::Result<()> {
    let (id, _, before) = container(user, name).await?;
    let same = async || {
        let (now, restarts, share) = container(user, name).await?;
        ensure!(now == id && restarts == 0, "{now} began anew");
        anyhow::Ok(share)
    };
    until(&format!("{name} shrinks"), PATIENCE, async || {
        let share = same().await?;
        Ok(Seen::when(share < before, format!("{share} of {before}")))
    })
    .await?;
    let key = user.key();
    let words = ["ssh", name, "-tt", "-i", &key, "-o", "LogLevel=ERROR"];
    let mut session = Session::typed(user, &words, "typist.log")?;
    until(&format!("{name} grows back"), PATIENCE, async || {
        // What is typed in the first seconds may be a client that opens its terminal by itself.
        let keys = session.process.stdin.as_mut().context("no keyboard")?;
        keys.write_all(b"true\n")?;
        let share = same().await?;
        Ok(Seen::when(share == before, format!("{share} of {before}")))
    })
    .await
}

/// What the owner was told of an environment: three mails and three events, each once and signed.
fn told(sinks: &Sinks, name: &str) -> anyhow::Result<()> {
    let all = sinks.mailbox.mails();
    let mails: Vec<&String> = all
        .iter()
        .filter(|mail| mail.contains(&format!("Subject: {name} ")))
        .collect();
    ensure!(mails.len() == 3, "{} mails of {name}: {all:?}", mails.len());
    ensure!(
        mails
            .iter()
            .all(|mail| mail.contains(&format!("To: {OWNER}"))),
        "{mails:?}"
    );
    let mut kinds = Vec::new();
    for event in sinks.receiver.got("/events") {
        event.is_signed(KEY)?;
        let body: Value = serde_json::from_str(&event.body)?;
        if body["data"]["name"] == name {
            kinds.push(body["type"].as_str().unwrap_or_default().to_owned());
        }
    }
    let expected = ["noticed", "warned", "stopped"].map(|k| format!("io.devserver.idle.{k}"));
    ensure!(kinds == expected, "{kinds:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "changes the platform: hack/test.sh runs it alone"]
async fn the_whole_ladder_is_climbed_by_who_is_gone_and_by_nobody_else() -> anyhow::Result<()> {
    let user = User::new("ladder").await?;
    let here = port::address_towards(node_address(&user).await?.parse()?)?;
    let sinks = Sinks {
        mailbox: Mailbox::start_at(here).await?,
        receiver: Receiver::start_at(here).await?,
    };
    install(&user.client, &values(&sinks, here)).await?;
    flavors(&user.client).await?;
    for (name, flavor) in [
        ("held", WHOLE),
        ("quiet", WHOLE),
        ("small", SHRINKS),
        ("mute", WHOLE),
    ] {
        create(&user, name, flavor).await?;
    }
    mutes(&user, "mute").await?;
    user.says("quiet", "echo kept > file")?;
    user.says(
        "held",
        "bash -lc 'setsid -f devctl hold -- sleep 600 </dev/null >/dev/null 2>&1'",
    )?;
    let (climbed, sized) = tokio::join!(climbs(&user, "quiet"), shrinks_and_grows(&user, "small"));
    climbed?;
    sized?;
    until("the last mail", PATIENCE, async || {
        let seen = told(&sinks, "quiet");
        Ok(Seen::when(seen.is_ok(), format!("{seen:?}")))
    })
    .await?;
    for (name, state) in [("held", IdleState::Held), ("mute", IdleState::Unknown)] {
        let status = server(&user, name).await?.status.unwrap_or_default();
        let idle = status.idle.unwrap_or_default();
        ensure!(
            status.phase == Some(Phase::Running) && idle.state == state && idle.stage.is_none(),
            "{name}: {idle:?}"
        );
        user.says(name, "true")?;
    }
    let claims: Api<PersistentVolumeClaim> = user.api();
    claims
        .get("home-quiet-0")
        .await
        .context("the home is gone")?;
    // As an administrator, because it is alice's.
    let devctl = |words: &[&str]| administrator::run("devctl", &user.namespace, words);
    devctl(&["delete", "quiet", "--yes", "--wait"])?;
    devctl(&["undelete", "quiet", "--wait", "--timeout", START])?;
    let file = user.says("quiet", "cat file")?;
    ensure!(file == "kept", "{file}");
    user.leave().await;
    Ok(())
}
