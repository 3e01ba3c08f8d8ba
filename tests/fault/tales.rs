//! The stories the crash tests tell: everything that happens to a DevServer in its life.

mod default_flavor;
mod features;

use anyhow::Context as _;
use devserver_api::{DevServer, DevServerStatus, Phase, condition};
use devserver_e2e::{condition, has_reason, is_running};
use devserver_testkit::{
    Scene,
    crash::{AT_ONCE, Stage, Story},
    kubelet::Fortune,
    operator::Settings,
    sample,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Pod, Secret, Service},
    networking::v1::NetworkPolicy,
};
use kube::{ResourceExt as _, api::DeleteParams};
use serde_json::{Value, json};

use super::idle_tale;

const NEW_IMAGE: &str = "docker.io/library/debian:13";
const POD: &str = "workbench-0";
const HOME: &str = "home-workbench-0";
const KEYS: &str = "workbench-authorized-keys";
/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tale {
    /// Nothing but what is needed.
    Create,
    /// Everything a spec can ask for that has objects of its own.
    CreateFull,
    /// Another image: a restart is pending.
    Image,
    /// Another flavor: a restart is pending.
    Flavor,
    /// Another flavor for those who name none: a restart is pending.
    DefaultFlavor,
    /// A larger home.
    Grow,
    /// A second key comes and goes.
    Keys,
    /// Exposed another way: a Service goes and comes.
    Expose,
    /// Stopped and started.
    Suspend,
    /// Its time is over.
    Expire,
    /// Nobody uses it: told, shrunk, warned, stopped.
    Idle,
    /// Deleted before it runs.
    DeleteEarly,
    /// Deleted and made again at once.
    Recreate,
    /// With editor, Docker and rights in the cluster from the beginning.
    FeaturesCreate,
    /// Editor, Docker and rights withdrawn.
    FeaturesWithdraw,
    /// Its time is over while it has all three.
    FeaturesExpire,
}

impl Tale {
    /// All of them.
    pub(super) const ALL: [Self; 16] = [
        Self::Create,
        Self::CreateFull,
        Self::Image,
        Self::Flavor,
        Self::DefaultFlavor,
        Self::Grow,
        Self::Keys,
        Self::Expose,
        Self::Suspend,
        Self::Expire,
        Self::Idle,
        Self::DeleteEarly,
        Self::Recreate,
        Self::FeaturesCreate,
        Self::FeaturesWithdraw,
        Self::FeaturesExpire,
    ];
}

impl Tale {
    fn has_features(self) -> bool {
        let features = [
            Self::FeaturesCreate,
            Self::FeaturesWithdraw,
            Self::FeaturesExpire,
        ];
        features.contains(&self)
    }
}

impl Story for Tale {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CreateFull => "create-full",
            Self::Image => "image",
            Self::Flavor => "flavor",
            Self::DefaultFlavor => "default-flavor",
            Self::Grow => "grow",
            Self::Keys => "keys",
            Self::Expose => "expose",
            Self::Suspend => "suspend",
            Self::Expire => "expire",
            Self::Idle => "idle",
            Self::DeleteEarly => "delete-early",
            Self::Recreate => "recreate",
            Self::FeaturesCreate => "features-create",
            Self::FeaturesWithdraw => "features-withdraw",
            Self::FeaturesExpire => "features-expire",
        }
    }

    /// A look that began before the deletion may make some objects once more; they are collected like the others.
    fn is_replaced(self) -> bool {
        matches!(self, Self::Recreate | Self::DeleteEarly)
    }

    fn restarts(self) -> bool {
        self.is_replaced() || matches!(self, Self::Suspend | Self::Idle)
    }

    /// The workload's controller tells the new revision before the operator tells its own change, or after it.
    fn is_overtaken(self) -> bool {
        matches!(
            self,
            Self::Image | Self::Flavor | Self::DefaultFlavor | Self::FeaturesWithdraw
        )
    }

    /// A cluster has one default flavor.
    fn at_once(self) -> usize {
        if self == Self::DefaultFlavor {
            1
        } else {
            AT_ONCE
        }
    }

    fn settings(self, namespace: &str) -> Settings {
        let config = match self {
            Self::Idle => Some(idle_tale::CONFIG),
            _ => self.has_features().then_some(features::CONFIG),
        };
        Settings {
            config: config.map(str::to_owned),
            ..Settings::alone(namespace)
        }
    }

    async fn prepare(self, stage: &Stage) -> anyhow::Result<()> {
        match self {
            Self::Create | Self::CreateFull | Self::DeleteEarly | Self::FeaturesCreate => {
                return Ok(());
            }
            Self::Grow => devserver_e2e::expandable_home(&stage.scene, HOME).await?,
            Self::DefaultFlavor => default_flavor::becomes(stage, "small").await?,
            _ => String::new(),
        };
        stage.kubelet.set(match self {
            Self::Idle => Fortune::ReadyAt(stage.agent.address()),
            _ => Fortune::Ready,
        });
        let mut server = small(stage);
        if self == Self::Idle {
            idle_tale::shrinks(stage).await?;
        }
        if self.has_features() {
            server = features::server(stage)?;
        }
        if self == Self::DefaultFlavor {
            server.spec.flavor = None;
        }
        if self == Self::Grow {
            server.spec.storage_class_name = Some(stage.scene.flavor_name("class"));
        }
        stage.scene.create(&server).await?;
        runs(stage).await?;
        if self == Self::Idle {
            idle_tale::is_in_use(stage).await?;
        }
        if self == Self::Grow {
            let bound = |c: &PersistentVolumeClaim| {
                c.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound")
            };
            stage.scene.object(HOME, "is bound", bound).await?;
        }
        Ok(())
    }

    async fn act(self, stage: &Stage) -> anyhow::Result<()> {
        match self {
            Self::Create => starts(stage, small(stage)).await,
            Self::CreateFull => starts(stage, full(stage)?).await,
            Self::Image => {
                change(stage, json!({"image": NEW_IMAGE})).await?;
                waits_for_restart(stage).await
            }
            Self::Flavor => {
                let large = stage.scene.flavor_name("large");
                change(stage, json!({"flavor": large})).await?;
                waits_for_restart(stage).await
            }
            Self::DefaultFlavor => default_flavor::changes(stage).await,
            Self::Grow => grows(stage).await,
            Self::Keys => keys_come_and_go(stage).await,
            Self::Expose => is_exposed_otherwise(stage).await,
            Self::Suspend => stops_and_starts(stage).await,
            Self::FeaturesCreate => starts(stage, features::server(stage)?).await,
            Self::FeaturesWithdraw => features::withdraw(stage).await,
            Self::Expire | Self::FeaturesExpire => {
                // Counted from its creation: over already.
                change(stage, json!({"lifecycle": {"timeToLive": "1s"}})).await?;
                is_gone(&stage.scene).await
            }
            Self::Idle => idle_tale::is_left_alone(stage).await,
            Self::DeleteEarly => {
                stage.scene.create(&small(stage)).await?;
                let begun = |s: &DevServerStatus| s.phase.is_some();
                stage.scene.status(sample::NAME, "has begun", begun).await?;
                delete(stage).await?;
                is_gone(&stage.scene).await
            }
            Self::Recreate => {
                delete(stage).await?;
                stage.scene.gone::<DevServer>(sample::NAME).await?;
                let made = stage.scene.create(&small(stage)).await?;
                runs_as(stage, &made.uid().context("no uid")?).await
            }
        }
    }
}

fn small(stage: &Stage) -> DevServer {
    sample::devserver(sample::NAME, &stage.scene.flavor_name("small"))
}

/// High memory brings a disruption budget; the rest is what has fields.
fn full(stage: &Stage) -> anyhow::Result<DevServer> {
    let mut server = small(stage);
    server.spec = serde_json::from_value(json!({
        "owner": server.spec.owner, "image": server.spec.image, "persistentHomeSize": "1Gi",
        "flavor": stage.scene.flavor_name("huge"),
        "team": "genomics", "project": "assembly",
        "packages": {"pip": ["numpy"]}, "editor": {"enabled": true}, "docker": {"enabled": true},
        "topologySpread": {"maxSkew": 3, "whenUnsatisfiable": "ScheduleAnyway"},
        "lifecycle": {"checkpoint": {"command": ["/bin/true"], "gracePeriodSeconds": 5}},
        "ssh": {
            "publicKey": sample::KEY, "publicKeys": [sample::OTHER_KEY], "allowedCIDRs": ["10.0.0.0/8"],
            "motd": "Welcome.\n", "expose": "LoadBalancer",
        },
    }))?;
    Ok(server)
}

async fn starts(stage: &Stage, server: DevServer) -> anyhow::Result<()> {
    stage.scene.create(&server).await?;
    let begun = |s: &DevServerStatus| s.phase.is_some();
    stage.scene.status(sample::NAME, "has begun", begun).await?;
    // Held until now, so that the number of status writes does not depend on who is faster.
    stage.scene.object::<Pod>(POD, "is made", |_| true).await?;
    stage.kubelet.set(Fortune::Ready);
    runs(stage).await
}

async fn runs(stage: &Stage) -> anyhow::Result<()> {
    let status = stage.scene.status(sample::NAME, "runs", is_running);
    status.await.map(drop)
}

async fn runs_as(stage: &Stage, uid: &str) -> anyhow::Result<()> {
    let ours = |pod: &Pod| pod.labels().get("devserver.io/uid").map(String::as_str) == Some(uid);
    stage
        .scene
        .object::<Pod>(POD, "is of the new one", ours)
        .await?;
    runs(stage).await
}

async fn change(stage: &Stage, spec: Value) -> anyhow::Result<()> {
    let patched = stage.scene.patch(sample::NAME, json!({"spec": spec}));
    patched.await.map(drop)
}

async fn waits_for_restart(stage: &Stage) -> anyhow::Result<()> {
    let pending = |s: &DevServerStatus| condition(s, condition::RESTART_PENDING).is_some();
    let status = stage
        .scene
        .status(sample::NAME, "a restart is pending", pending);
    status.await.map(drop)
}

async fn grows(stage: &Stage) -> anyhow::Result<()> {
    change(stage, json!({"persistentHomeSize": "2Gi"})).await?;
    let asks = |c: &PersistentVolumeClaim| {
        let requests = c
            .spec
            .as_ref()
            .and_then(|s| s.resources.as_ref()?.requests.as_ref());
        requests
            .and_then(|r| r.get("storage"))
            .is_some_and(|q| q.0 == "2Gi")
    };
    stage
        .scene
        .object(HOME, "asks for more", asks)
        .await
        .map(drop)
}

async fn keys_come_and_go(stage: &Stage) -> anyhow::Result<()> {
    let with = |expected: usize| {
        move |secret: &Secret| {
            let line = secret.data.as_ref().and_then(|d| d.get("authorized_keys"));
            let lines = line.map_or(0, |text| String::from_utf8_lossy(&text.0).lines().count());
            lines == expected
        }
    };
    change(stage, json!({"ssh": {"publicKeys": [sample::OTHER_KEY]}})).await?;
    stage.scene.object(KEYS, "has two keys", with(2)).await?;
    settled(stage).await?;
    change(stage, json!({"ssh": {"publicKeys": null}})).await?;
    stage
        .scene
        .object(KEYS, "has one key", with(1))
        .await
        .map(drop)
}

async fn is_exposed_otherwise(stage: &Stage) -> anyhow::Result<()> {
    change(stage, json!({"ssh": {"expose": "None"}})).await?;
    stage.scene.gone::<Service>("workbench-ssh").await?;
    settled(stage).await?;
    change(stage, json!({"ssh": {"expose": "ClusterIP"}})).await?;
    let inside =
        |s: &Service| s.spec.as_ref().and_then(|s| s.type_.as_deref()) == Some("ClusterIP");
    stage
        .scene
        .object("workbench-ssh", "is back", inside)
        .await?;
    stage
        .scene
        .object::<NetworkPolicy>("devserver-workbench", "is there", |_| true)
        .await?;
    settled(stage).await
}

async fn stops_and_starts(stage: &Stage) -> anyhow::Result<()> {
    change(stage, json!({"suspend": true})).await?;
    stage.scene.gone::<Pod>(POD).await?;
    let stopped = |s: &DevServerStatus| s.phase == Some(Phase::Suspended);
    stage
        .scene
        .status(sample::NAME, "is suspended", stopped)
        .await?;
    stage.kubelet.set(Fortune::Hold);
    change(stage, json!({"suspend": false})).await?;
    let wanted = |w: &StatefulSet| w.spec.as_ref().and_then(|s| s.replicas) == Some(1);
    stage
        .scene
        .object(sample::NAME, "is wanted again", wanted)
        .await?;
    stage
        .scene
        .object::<Pod>(POD, "is made again", |_| true)
        .await?;
    let begun = |s: &DevServerStatus| has_reason(s, condition::READY, "Starting");
    stage.scene.status(sample::NAME, "starts", begun).await?;
    stage.kubelet.set(Fortune::Ready);
    runs(stage).await
}

/// The operator has seen the last change: otherwise two changes in a row are one or two writes, as it happens.
async fn settled(stage: &Stage) -> anyhow::Result<()> {
    runs(stage).await
}

async fn delete(stage: &Stage) -> anyhow::Result<()> {
    let params = DeleteParams::background();
    stage
        .scene
        .api::<DevServer>()
        .delete(sample::NAME, &params)
        .await?;
    Ok(())
}

async fn is_gone(scene: &Scene) -> anyhow::Result<()> {
    scene.gone::<DevServer>(sample::NAME).await?;
    scene.gone::<Pod>(POD).await
}
