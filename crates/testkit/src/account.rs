//! A DevServerUser of a scene: its own namespace `dev-<username>`, its own operator, and the person with a client certificate.

use anyhow::Context as _;
use devserver_api::{DevServerUser, DevServerUserSpec, DevServerUserStatus};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    Scene, canonical, certificates, chart,
    operator::Settings,
    sample,
    scene::PATIENCE,
    users::User,
    wait::{self, Seen},
};

/// Roles of the chart that people have; cluster-wide, so they are made once.
const ROLES: [&str; 2] = ["devserver-user", "devserver-flavor-viewer"];

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// A username nobody else has, and what belongs to it.
#[derive(Clone)]
pub struct Account {
    /// The test's own namespace, in which nothing of the user is.
    pub scene: Scene,
    /// Name as the cluster authenticates it.
    pub username: String,
}

impl Account {
    /// A username for the scene; nothing is created but the chart's roles for people.
    pub async fn new(scene: &Scene) -> anyhow::Result<Self> {
        INSTALLED
            .get_or_try_init(|| install_roles(scene.client()))
            .await?;
        Ok(Self {
            scene: scene.clone(),
            username: format!("u-{}", sample::word(8)),
        })
    }

    /// `dev-<username>`.
    pub fn namespace(&self) -> String {
        format!("dev-{}", self.username)
    }

    /// All DevServerUsers.
    pub fn users(&self) -> Api<DevServerUser> {
        Api::all(self.scene.client())
    }

    /// Objects of one kind in the user's namespace, as the administrator.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.scene.client(), &self.namespace())
    }

    /// Labels by which the scene's operator knows its users.
    pub fn selector(&self) -> String {
        format!("{}={}", label(), self.scene.namespace())
    }

    /// How the operator is started that looks after users of this scene and DevServers of this user, and nothing else.
    pub fn settings(&self, config: Option<&str>) -> Settings {
        Settings {
            namespaces: vec![self.namespace()],
            user_selector: Some(self.selector()),
            lease_namespace: self.scene.namespace().to_owned(),
            config: config.map(str::to_owned),
            ..Settings::alone(self.scene.namespace())
        }
    }

    /// The DevServerUser, not created yet; it goes with the scene.
    pub fn sample(&self, spec: Value) -> anyhow::Result<DevServerUser> {
        self.named(&self.username, spec)
    }

    /// The same under another name.
    pub fn named(&self, name: &str, mut spec: Value) -> anyhow::Result<DevServerUser> {
        if let Some(spec) = spec.as_object_mut() {
            spec.entry("username")
                .or_insert_with(|| json!(self.username));
        }
        let spec: DevServerUserSpec = serde_json::from_value(spec)?;
        let mut user = DevServerUser::new(name, spec);
        self.scene.own(&mut user.metadata);
        user.labels_mut()
            .insert(label(), self.scene.namespace().to_owned());
        Ok(user)
    }

    /// Creates the DevServerUser.
    pub async fn create(&self, spec: Value) -> anyhow::Result<DevServerUser> {
        let user = self.sample(spec)?;
        let made = self.users().create(&PostParams::default(), &user).await;
        made.with_context(|| format!("failed to create the DevServerUser {}", self.username))
    }

    /// Creates it and waits until it is ready.
    pub async fn ready(&self, spec: Value) -> anyhow::Result<DevServerUser> {
        self.create(spec).await?;
        self.status("is ready", is_ready).await
    }

    /// Changes it.
    pub async fn patch(&self, patch: Value) -> anyhow::Result<DevServerUser> {
        let params = PatchParams::default();
        let patched = self
            .users()
            .patch(&self.username, &params, &Patch::Merge(patch))
            .await;
        patched.with_context(|| format!("failed to change the DevServerUser {}", self.username))
    }

    /// Waits until the status is as wanted.
    pub async fn status(
        &self,
        what: &str,
        holds: impl Fn(&DevServerUserStatus) -> bool,
    ) -> anyhow::Result<DevServerUser> {
        self.status_of(&self.username, what, holds).await
    }

    /// Waits until the status of a DevServerUser is as wanted; its namespace will go with the scene.
    pub async fn status_of(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&DevServerUserStatus) -> bool,
    ) -> anyhow::Result<DevServerUser> {
        let user = wait::until(&format!("user {name}: {what}"), PATIENCE, async || {
            let user = self.users().get(name).await?;
            let status = user.status.clone().unwrap_or_default();
            let current = status.observed_generation == user.metadata.generation;
            Ok(if current && holds(&status) {
                Seen::Yes(user)
            } else {
                Seen::NotYet(serde_json::to_string(&status)?)
            })
        })
        .await?;
        if let Some(namespace) = user.status.as_ref().and_then(|s| s.namespace.as_ref()) {
            self.own_namespace(namespace).await?;
        }
        Ok(user)
    }

    /// Makes a namespace go with the scene.
    pub async fn own_namespace(&self, name: &str) -> anyhow::Result<()> {
        let mut metadata = kube::api::ObjectMeta::default();
        self.scene.own(&mut metadata);
        let patch = json!({"metadata": {"ownerReferences": metadata.owner_references}});
        let api: Api<Namespace> = Api::all(self.scene.client());
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// The person, with a client certificate of the username and no right but those the platform gives.
    pub async fn person(&self) -> anyhow::Result<User> {
        certificates::person(self.scene.cluster(), &self.username, None).await
    }
}

/// Whether it is ready.
pub fn is_ready(status: &DevServerUserStatus) -> bool {
    status.phase.as_deref() == Some("Ready")
}

fn label() -> String {
    format!("{}scene", canonical::TEST_ANNOTATION)
}

async fn install_roles(client: Client) -> anyhow::Result<()> {
    for object in chart::of_kinds(&["ClusterRole", "ClusterRoleBinding"])? {
        if ROLES.contains(&object.name_any().as_str()) {
            chart::install(&client, &object).await?;
        }
    }
    Ok(())
}
