//! Edits, losses and faults for as long as it is told to; then everything is as the specs say, and nothing was leaked.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, Phase};
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{
    Scene,
    chance::{Chance, number},
    operator::Settings,
    proxy::{
        rule::{Action, Count, Match, Rule},
        trace::Fate,
    },
    sample,
    wait::{self, Seen},
    with_namespace,
};
use futures::{TryStreamExt as _, stream};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::nightly::{Usage, alone};

/// How long it is under fire, in seconds.
const TIME: &str = "DEVSERVER_SOAK_SECONDS";
/// Chooses who is hit by what.
const SEED: &str = "DEVSERVER_SOAK_SEED";
const SERVERS: usize = 20;
/// Between two deeds: a user's and an administrator's haste, not the test's.
const PACE: Duration = Duration::from_millis(200);
const SETTLING: Duration = Duration::from_secs(180);
const GROWTH_MIB: f64 = 20.0;
/// A watch or a connection that is just being renewed.
const SPARE_FILES: usize = 4;
const IMAGES: [&str; 2] = [sample::IMAGE, "docker.io/library/debian:13"];
const KEYS: [&str; 2] = [sample::KEY, sample::OTHER_KEY];

/// About one request in a hundred fails, in three ways that rarely meet.
fn faults() -> [Rule; 3] {
    let rule = |when, n, then| Rule {
        when,
        nth: Count::OneOf(n),
        then,
    };
    [
        rule(Match::default(), 149, Action::fail(500, "InternalError")),
        rule(Match::default(), 199, Action::LoseRequest),
        // Of writes only: a watch has no end after which its answer could be lost.
        rule(Match::writes(), 101, Action::LoseResponse),
    ]
}

async fn remove<K>(scene: &Scene, name: &str) -> anyhow::Result<()>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    match scene
        .api::<K>()
        .delete(name, &DeleteParams::background())
        .await
    {
        Ok(_) => Ok(()),
        // Removed a moment ago, and not yet made again.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(why) => Err(why).with_context(|| format!("failed to delete {name}")),
    }
}

/// One thing that a user, an administrator or an accident does.
async fn deed(rig: &Rig, chance: &mut Chance) -> anyhow::Result<()> {
    let name = format!("box-{}", chance.below(SERVERS));
    let scene = &rig.scene;
    let edit = async |spec: Value| scene.patch(&name, json!({"spec": spec})).await.map(drop);
    match chance.below(12) {
        0 | 1 => edit(json!({"image": chance.one(&IMAGES)})).await,
        2 | 3 => edit(json!({"flavor": chance.one(&[&rig.small, &rig.large])})).await,
        4 => edit(json!({"ssh": {"publicKey": chance.one(&KEYS)}})).await,
        5 => edit(json!({"suspend": true})).await,
        6 | 7 => edit(json!({"suspend": false})).await,
        8 | 9 => remove::<Pod>(scene, &format!("{name}-0")).await,
        _ => match chance.below(6) {
            0 => remove::<ServiceAccount>(scene, &format!("devserver-{name}")).await,
            1 => remove::<Secret>(scene, &format!("{name}-authorized-keys")).await,
            2 => remove::<ConfigMap>(scene, &format!("{name}-sshd-config")).await,
            3 => remove::<Service>(scene, &format!("{name}-headless")).await,
            4 => remove::<Service>(scene, &format!("{name}-ssh")).await,
            _ => remove::<StatefulSet>(scene, &name).await,
        },
    }
}

/// Deeds under faults until the time is over; how many.
async fn under_fire(rig: &Rig, chance: &mut Chance, time: Duration) -> anyhow::Result<usize> {
    for rule in faults() {
        rig.operator.proxy().arm(rule);
    }
    let (begun, mut deeds) = (Instant::now(), 0);
    let mut pace = tokio::time::interval(PACE);
    while begun.elapsed() < time {
        pace.tick().await;
        deed(rig, chance).await?;
        deeds += 1;
    }
    rig.operator.proxy().calm();
    Ok(deeds)
}

/// What is not yet as the spec says.
async fn amiss(scene: &Scene, server: &DevServer) -> anyhow::Result<Option<String>> {
    let name = server.name_any();
    let status = server.status.clone().unwrap_or_default();
    let wanted = if server.spec.suspend {
        Phase::Suspended
    } else {
        Phase::Running
    };
    if status.observed_generation != server.metadata.generation || status.phase != Some(wanted) {
        return Ok(Some(format!(
            "{name}: {:?} {:?}",
            status.phase, status.message
        )));
    }
    let Some(workload) = scene.api::<StatefulSet>().get_opt(&name).await? else {
        return Ok(Some(format!("{name} has no StatefulSet")));
    };
    let spec = workload.spec.and_then(|s| s.template.spec);
    let image = spec.and_then(|s| s.containers.into_iter().find_map(|c| c.image));
    if image != server.spec.image {
        return Ok(Some(format!("{name} has image {image:?}")));
    }
    let keys = format!("{name}-authorized-keys");
    let keys = scene.api::<Secret>().get_opt(&keys).await?;
    let line = keys.and_then(|s| s.data?.remove("authorized_keys"));
    let line = line.and_then(|l| String::from_utf8(l.0).ok());
    let key = server.spec.ssh.public_key.as_deref();
    Ok((line.as_deref().map(str::trim) != key).then(|| format!("{name} has keys {line:?}")))
}

async fn count<K>(scene: &Scene, what: &str) -> anyhow::Result<Option<String>>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=devserver-operator");
    let objects = scene.api::<K>().list(&ours).await?.items.len();
    let kinds = if what == "Secret" || what == "Service" {
        2
    } else {
        1
    };
    Ok((objects != kinds * SERVERS).then(|| format!("{objects} {what}s")))
}

/// Without faults everything comes to be as the specs say, with no object missing or left over, and rests.
async fn settled(rig: &Rig) -> anyhow::Result<Usage> {
    let scene = &rig.scene;
    wait::until("all is as the specs say", SETTLING, async || {
        let list = scene
            .api::<DevServer>()
            .list(&ListParams::default())
            .await?;
        let mut wrong = Vec::new();
        for server in &list {
            wrong.extend(amiss(scene, server).await?);
        }
        wrong.extend(count::<ServiceAccount>(scene, "ServiceAccount").await?);
        wrong.extend(count::<Secret>(scene, "Secret").await?);
        wrong.extend(count::<ConfigMap>(scene, "ConfigMap").await?);
        wrong.extend(count::<Service>(scene, "Service").await?);
        wrong.extend(count::<StatefulSet>(scene, "StatefulSet").await?);
        let all = list.items.len() == SERVERS && wrong.is_empty();
        Ok(Seen::when(all, wrong.join("\n")))
    })
    .await?;
    wait::quiet(rig.operator.trace(), Duration::from_secs(5), SETTLING).await?;
    Usage::of(&rig.operator).await
}

async fn rig(scene: Scene) -> anyhow::Result<Rig> {
    // Nobody watches Secrets: a removed one comes back at the next look.
    let settings = Settings {
        resync: 5,
        ..Settings::alone(scene.namespace())
    };
    let rig = Rig::with_settings(scene, &settings).await?;
    let all = stream::iter((0..SERVERS).map(anyhow::Ok));
    all.try_for_each_concurrent(8, |i| {
        let server = sample::devserver(&format!("box-{i}"), &rig.small);
        let scene = &rig.scene;
        async move {
            let name = scene.create(&server).await?.name_any();
            scene.status(&name, "runs", is_running).await.map(drop)
        }
    })
    .await?;
    Ok(rig)
}

fn tell(rig: &Rig, when: &str, deeds: usize, usage: Usage) {
    let records = rig.operator.trace().records();
    let hits = records.iter().filter(|r| matches!(r.fate, Fate::Hit(_)));
    println!(
        "{when}: {deeds} deeds, {} faults in {} requests; {:.1} MiB, {} files",
        hits.count(),
        records.len(),
        usage.resident,
        usage.files
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "nightly: five minutes, or as long as DEVSERVER_SOAK_SECONDS says"]
async fn an_hour_of_edits_leaks_nothing() -> anyhow::Result<()> {
    let _alone = alone().await;
    let half = Duration::from_secs(number(TIME, 300)?) / 2;
    let mut chance = Chance::from_env(SEED, 1)?;
    with_namespace("soak", async |scene| {
        let rig = rig(scene).await?;
        let deeds = under_fire(&rig, &mut chance, half).await?;
        let middle = settled(&rig).await?;
        tell(&rig, "in the middle", deeds, middle);
        let deeds = under_fire(&rig, &mut chance, half).await?;
        let end = settled(&rig).await?;
        tell(&rig, "at the end", deeds, end);
        // Two looks at each DevServer fall into it.
        wait::no_writes(rig.operator.trace(), Duration::from_secs(12)).await?;
        let growth = end.resident - middle.resident;
        ensure!(growth <= GROWTH_MIB, "memory grew by {growth:.1} MiB");
        ensure!(
            end.files <= middle.files + SPARE_FILES,
            "{} open files in the middle, {} at the end",
            middle.files,
            end.files
        );
        Ok(())
    })
    .await
}
