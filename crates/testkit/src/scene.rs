//! One test's own namespace: fresh, with its own flavors, operators and proxies; removed afterwards.

use std::{
    fmt::Debug,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use devserver_api::{DevServer, DevServerFlavor, DevServerStatus};
use futures::FutureExt as _;
use k8s_openapi::{
    api::core::v1::{Namespace, NamespaceSpec, PersistentVolumeClaim},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::{NamespaceResourceScope, ObjectMeta},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::{
    Cluster, Operator, canonical,
    kubelet::{Fortune, Kubelet},
    operator::Settings,
    report, sample,
    wait::{self, Seen},
};

/// Keeps namespace and files of failed tests when set.
pub const KEEP: &str = "DEVSERVER_TEST_KEEP";
/// Says that the control plane is thrown away after the tests: what is left in a namespace is not worth collecting there.
pub const THROWAWAY: &str = "DEVSERVER_TEST_THROWAWAY";
/// How long anything may take that takes a second on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Scenes at work at the same time in one test binary. Most of a scene is waiting, so more than there are cores.
static ROOM: Semaphore = Semaphore::const_new(12);

/// One test's own namespace.
#[derive(Clone)]
pub struct Scene(Arc<Inner>);

struct Inner {
    cluster: Cluster,
    namespace: String,
    uid: String,
    folder: TempDir,
    operators: Mutex<Vec<Operator>>,
}

/// Runs a test in a namespace of its own. A failing test prints what it left before the namespace is removed.
pub async fn with_namespace<T, Fut>(
    sentence: &str,
    test: impl FnOnce(Scene) -> Fut,
) -> anyhow::Result<T>
where
    Fut: Future<Output = anyhow::Result<T>>,
{
    let _room = ROOM.acquire().await?;
    let scene = Scene::open(sentence).await?;
    let outcome = AssertUnwindSafe(test(scene.clone())).catch_unwind().await;
    let violations = scene.violations();
    let failed = !matches!(outcome, Ok(Ok(_))) || !violations.is_empty();
    if failed {
        report::print(&scene, sentence).await;
    }
    scene.close(failed).await;
    let value = match outcome {
        Ok(result) => result.with_context(|| format!("{sentence} ({})", scene.namespace()))?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    if !violations.is_empty() {
        bail!(
            "the operator did what it must never do: {}",
            violations.join("; ")
        );
    }
    Ok(value)
}

impl Scene {
    async fn open(sentence: &str) -> anyhow::Result<Self> {
        let cluster = Cluster::connect().await?;
        let slug: String = sentence
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .take(24)
            .collect();
        let namespace = format!("t-{}-{}", slug.trim_matches('-'), sample::word(6));
        let metadata = ObjectMeta {
            name: Some(namespace.clone()),
            ..ObjectMeta::default()
        };
        let object = Namespace {
            metadata,
            ..Namespace::default()
        };
        let api: Api<Namespace> = Api::all(cluster.client.clone());
        let made = api.create(&PostParams::default(), &object).await?;
        let uid = made.uid().unwrap_or_default();
        let folder = tempfile::Builder::new()
            .prefix(&format!("{namespace}-"))
            .tempdir()?;
        let inner = Inner {
            cluster,
            namespace,
            uid,
            folder,
            operators: Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Name of the namespace.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// Direct client of the administrator.
    pub fn client(&self) -> Client {
        self.0.cluster.client.clone()
    }

    /// The control plane.
    pub fn cluster(&self) -> &Cluster {
        &self.0.cluster
    }

    /// Objects of one kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client(), self.namespace())
    }

    /// Name that a flavor of this scene has; flavors are cluster-wide, scenes run side by side.
    pub fn flavor_name(&self, size: &str) -> String {
        format!("{}-{size}", self.namespace())
    }

    /// Creates a flavor that goes with the namespace.
    pub async fn flavor(&self, size: &str, cpu: &str, memory: &str) -> anyhow::Result<String> {
        let mut flavor = sample::flavor(&self.flavor_name(size), cpu, memory);
        self.own(&mut flavor.metadata);
        let api: Api<DevServerFlavor> = Api::all(self.client());
        api.create(&PostParams::default(), &flavor)
            .await
            .context("failed to create the flavor")?;
        Ok(flavor.name_any())
    }

    /// Makes a cluster-wide object go with the namespace, also when the test process is killed.
    pub fn own(&self, metadata: &mut ObjectMeta) {
        metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            name: self.namespace().to_owned(),
            uid: self.0.uid.clone(),
            ..OwnerReference::default()
        }]);
    }

    /// Starts an operator for this namespace alone.
    pub async fn operator(&self) -> anyhow::Result<Operator> {
        self.operator_with(&Settings::alone(self.namespace())).await
    }

    /// Starts an operator with other settings.
    pub async fn operator_with(&self, settings: &Settings) -> anyhow::Result<Operator> {
        self.operator_as(&self.0.cluster.config, settings).await
    }

    /// Starts an operator that is somebody else than the administrator.
    pub async fn operator_as(
        &self,
        config: &kube::Config,
        settings: &Settings,
    ) -> anyhow::Result<Operator> {
        let operator = Operator::start(config, self.0.folder.path(), settings).await?;
        self.0
            .operators
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(operator.clone());
        Ok(operator)
    }

    /// All operators of this scene.
    pub fn operators(&self) -> Vec<Operator> {
        self.0
            .operators
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Starts the stand-in for the node.
    pub fn kubelet(&self, fortune: Fortune) -> Kubelet {
        Kubelet::start(&self.client(), self.namespace(), fortune)
    }

    /// Creates a DevServer.
    pub async fn create(&self, server: &DevServer) -> anyhow::Result<DevServer> {
        let made = self
            .api::<DevServer>()
            .create(&PostParams::default(), server)
            .await;
        made.with_context(|| format!("failed to create the DevServer {}", server.name_any()))
    }

    /// Changes a DevServer as a user would.
    pub async fn patch(&self, name: &str, patch: Value) -> anyhow::Result<DevServer> {
        let params = PatchParams {
            field_manager: Some("user".to_owned()),
            ..PatchParams::default()
        };
        let patched = self
            .api::<DevServer>()
            .patch(name, &params, &Patch::Merge(patch))
            .await;
        patched.with_context(|| format!("failed to change the DevServer {name}"))
    }

    /// Makes the operator look at a DevServer again without asking for anything.
    pub async fn nudge(&self, name: &str) -> anyhow::Result<()> {
        let key = format!("{}look", canonical::TEST_ANNOTATION);
        let patch = json!({"metadata": {"annotations": {key: sample::word(8)}}});
        self.patch(name, patch).await.map(drop)
    }

    /// Waits until the status is as wanted.
    pub async fn status(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&DevServerStatus) -> bool,
    ) -> anyhow::Result<DevServer> {
        status(&self.api(), name, what, holds).await
    }

    /// Waits until an object is there and as wanted.
    pub async fn object<K>(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&K) -> bool,
    ) -> anyhow::Result<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        wait::until(
            &format!("{} {name}: {what}", K::kind(&())),
            PATIENCE,
            async || {
                Ok(match self.api::<K>().get_opt(name).await? {
                    Some(object) if holds(&object) => Seen::Yes(object),
                    Some(object) => Seen::NotYet(format!("{object:?}")),
                    None => Seen::NotYet("absent".to_owned()),
                })
            },
        )
        .await
    }

    /// Waits until an object is gone.
    pub async fn gone<K>(&self, name: &str) -> anyhow::Result<()>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        wait::until(
            &format!("{} {name} is gone", K::kind(&())),
            PATIENCE,
            async || {
                let there = self.api::<K>().get_opt(name).await?;
                Ok(Seen::when(there.is_none(), "it is still there"))
            },
        )
        .await
    }

    fn violations(&self) -> Vec<String> {
        self.operators()
            .iter()
            .flat_map(|operator| operator.trace().violations())
            .collect()
    }

    async fn close(&self, failed: bool) {
        for operator in self.operators() {
            if let Err(why) = operator.kill().await {
                tracing::warn!("{why:#}");
            }
        }
        if failed && std::env::var_os(KEEP).is_some() {
            return;
        }
        if let Err(why) = self.remove().await {
            tracing::warn!(%why, "failed to delete the namespace");
        }
    }

    /// Not waited for: controllers go on when the test is over.
    async fn remove(&self) -> kube::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client());
        let background = DeleteParams::background();
        let is_thrown_away = std::env::var_os(THROWAWAY).is_some();
        if is_thrown_away {
            self.clear(&background).await?;
        }
        namespaces.delete(self.namespace(), &background).await?;
        if is_thrown_away {
            // Otherwise the namespace controller asks for each kind there is what is left of it: an eighth to a sixth of a control plane's work.
            let mut namespace = namespaces.get(self.namespace()).await?;
            namespace.spec = Some(NamespaceSpec::default());
            namespaces
                .replace_subresource(
                    "finalize",
                    self.namespace(),
                    &PostParams::default(),
                    &namespace,
                )
                .await?;
        }
        Ok(())
    }

    /// Removes what controllers would be busy with for good.
    async fn clear(&self, background: &DeleteParams) -> kube::Result<()> {
        let all = ListParams::default();
        self.api::<DevServer>()
            .delete_collection(background, &all)
            .await?;
        let claims = self.api::<PersistentVolumeClaim>();
        // What protects a claim in use: its controller cannot take that off any more when the namespace is gone.
        let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        for claim in claims.list(&all).await? {
            let name = claim.name_any();
            let going = claims.delete(&name, background).await?.left();
            if going.is_some_and(|claim| claim.metadata.finalizers.is_some()) {
                match claims.patch(&name, &PatchParams::default(), &free).await {
                    // Its controller was first.
                    Err(kube::Error::Api(status)) if status.is_not_found() => {}
                    freed => drop(freed?),
                }
            }
        }
        Ok(())
    }
}

/// Waits until the status of a DevServer of any namespace tells of its present spec and is as wanted.
pub async fn status(
    servers: &Api<DevServer>,
    name: &str,
    what: &str,
    holds: impl Fn(&DevServerStatus) -> bool,
) -> anyhow::Result<DevServer> {
    wait::until(&format!("{name}: {what}"), PATIENCE, async || {
        let server = servers.get(name).await?;
        let status = server.status.clone().unwrap_or_default();
        let current = status.observed_generation == server.metadata.generation;
        Ok(if current && holds(&status) {
            Seen::Yes(server)
        } else {
            Seen::NotYet(serde_json::to_string(&status)?)
        })
    })
    .await
}
