//! Flavors that one operator tells of, and nodes that only they can use: both are cluster-wide, and tests run side by side.

use anyhow::Context as _;
use devserver_api::{DevServerFlavor, DevServerFlavorStatus};
use devserver_testkit::{
    Operator, Scene,
    operator::Settings,
    scene::PATIENCE,
    wait::{self, Seen},
};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::RwLock;

/// Label of the flavors that the scene's operator tells of, and of the scene's nodes.
pub const LABEL: &str = "test.devserver.io/scene";

/// There is one Cluster Autoscaler, and NodePools are seen by all: while one speaks, nobody else asks about flavors.
pub static AUTOSCALER: RwLock<()> = RwLock::const_new(());
/// What is told of a flavor that finds a node.
pub const ROOM: &str = "Yes: a node has room";

/// A flavor of one processor.
pub fn one_cpu() -> Value {
    json!({"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}})
}

/// An operator that tells of the scene's flavors.
pub struct FlavorRig {
    /// Namespace of the test.
    pub scene: Scene,
    /// Operator of that namespace and of its flavors.
    pub operator: Operator,
}

/// How the operator is started that tells of the scene's flavors.
pub fn settings(scene: &Scene) -> Settings {
    Settings {
        flavor_selector: Some(format!("{LABEL}={}", scene.namespace())),
        ..Settings::alone(scene.namespace())
    }
}

impl FlavorRig {
    /// Everything at work.
    pub async fn new(scene: Scene) -> anyhow::Result<Self> {
        let operator = scene.operator_with(&settings(&scene)).await?;
        Ok(Self { scene, operator })
    }

    /// All flavors.
    pub fn flavors(&self) -> Api<DevServerFlavor> {
        Api::all(self.scene.client())
    }

    /// Creates a flavor that can run on the scene's nodes only; its name.
    pub async fn flavor(&self, size: &str, spec: Value) -> anyhow::Result<String> {
        create_flavor(&self.scene, size, spec, true).await
    }

    /// Changes a flavor.
    pub async fn change(&self, flavor: &str, spec: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let api = self.flavors();
        let patched = api.patch(flavor, &PatchParams::default(), &patch).await;
        patched.context("failed to change the flavor")?;
        Ok(())
    }

    /// Waits until what is told of a flavor is as wanted.
    pub async fn told(
        &self,
        flavor: &str,
        what: &str,
        holds: impl Fn(&DevServerFlavorStatus) -> bool,
    ) -> anyhow::Result<DevServerFlavorStatus> {
        wait::until(&format!("{flavor}: {what}"), PATIENCE, async || {
            let flavor = self.flavors().get(flavor).await?;
            let status = flavor.status.clone().unwrap_or_default();
            let current = status.observed_generation == flavor.metadata.generation;
            Ok(if current && holds(&status) {
                Seen::Yes(status)
            } else {
                Seen::NotYet(serde_json::to_string(&status)?)
            })
        })
        .await
    }

    /// Waits until the answer and its message are as wanted: `Yes: a node has room`. `{node}` stands for the scene's node.
    pub async fn answers(&self, flavor: &str, expected: &str) -> anyhow::Result<()> {
        let expected = expected.replace("{node}", &self.node_name());
        let is = |status: &DevServerFlavorStatus| line(status).is_some_and(|l| l == expected);
        self.told(flavor, &expected, is).await.map(drop)
    }

    /// Name of the scene's node.
    pub fn node_name(&self) -> String {
        self.scene.flavor_name("node")
    }

    /// Creates the scene's node: 4 processors, 8Gi, 20 places for pods, Ready.
    pub async fn node(&self) -> anyhow::Result<()> {
        let mut node: Node = serde_json::from_value(json!({
            "metadata": {"name": self.node_name(), "labels": {LABEL: self.scene.namespace()}},
        }))?;
        self.scene.own(&mut node.metadata);
        let nodes: Api<Node> = Api::all(self.scene.client());
        nodes.create(&PostParams::default(), &node).await?;
        self.node_status(true).await
    }

    /// Says whether the node is Ready, as its kubelet would.
    pub async fn node_status(&self, is_ready: bool) -> anyhow::Result<()> {
        let condition = json!({
            "type": "Ready", "status": if is_ready { "True" } else { "False" },
            "reason": "Told", "message": "told by the test",
        });
        let status = json!({
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "20"},
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "20"},
            "conditions": [condition],
            // Other tests ask all nodes whether they support user namespaces.
            "runtimeHandlers": [{"name": "", "features": {"userNamespaces": true}}],
        });
        let patch = Patch::Merge(json!({ "status": status }));
        let nodes: Api<Node> = Api::all(self.scene.client());
        nodes
            .patch_status(&self.node_name(), &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// Changes the node's spec.
    pub async fn node_spec(&self, spec: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({ "spec": spec }));
        let nodes: Api<Node> = Api::all(self.scene.client());
        nodes
            .patch(&self.node_name(), &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// Creates a pod on the node; `more` is merged into its spec.
    pub async fn pod(&self, name: &str, cpu: &str, more: Value) -> anyhow::Result<()> {
        let mut spec = json!({
            "nodeName": self.node_name(), "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "a", "image": "a", "resources": {"requests": {"cpu": cpu}}}],
        });
        if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
            spec.extend(more);
        }
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}))?;
        // Until its ServiceAccount is there, a namespace takes no pods.
        wait::until("a pod can be created", PATIENCE, async || {
            self.scene
                .api::<Pod>()
                .create(&PostParams::default(), &pod)
                .await?;
            Ok(Seen::Yes(()))
        })
        .await
    }

    /// Deletes a pod at once.
    pub async fn end(&self, pod: &str) -> anyhow::Result<()> {
        let params = DeleteParams::default().grace_period(0);
        self.scene.api::<Pod>().delete(pod, &params).await?;
        Ok(())
    }
}

/// Creates a flavor that goes with the scene and that the scene's operator tells of; its name.
pub async fn create_flavor(
    scene: &Scene,
    size: &str,
    mut spec: Value,
    is_for_its_nodes: bool,
) -> anyhow::Result<String> {
    if is_for_its_nodes {
        let selector = json!({LABEL: scene.namespace()});
        let spec = spec.as_object_mut().context("no spec")?;
        spec.entry("nodeSelector").or_insert(selector);
    }
    let name = scene.flavor_name(size);
    let mut flavor: DevServerFlavor = serde_json::from_value(json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServerFlavor",
        "metadata": {"name": name, "labels": {LABEL: scene.namespace()}}, "spec": spec,
    }))?;
    scene.own(&mut flavor.metadata);
    let api: Api<DevServerFlavor> = Api::all(scene.client());
    let made = api.create(&PostParams::default(), &flavor).await;
    Ok(made.context("failed to create the flavor")?.name_any())
}

/// `Yes: a node has room`.
pub fn line(status: &DevServerFlavorStatus) -> Option<String> {
    let answer = serde_json::to_value(status.schedulable?).ok()?;
    Some(format!(
        "{}: {}",
        answer.as_str()?,
        status.message.as_deref()?
    ))
}
