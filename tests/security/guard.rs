//! A namespace of a user under the guard rails that the chart installs, and people in it with more rights than anybody should
//! have: so it is the policies that refuse.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, group};
use devserver_e2e::{label_namespace, refusal};
use devserver_testkit::{
    Scene, certificates, chart, sample,
    scene::PATIENCE,
    users::User,
    wait::{self, Seen},
};
use k8s_openapi::api::{
    authorization::v1::SelfSubjectAccessReview,
    core::v1::{ConfigMap, Service},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DynamicObject, PostParams},
    core::NamespaceResourceScope,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Namespaces in which the policies of the tests hold; other tests go on without them.
const GUARDED: &str = "test.devserver.io/guarded";
/// Ending of the names of the tests' own copies.
const COPY: &str = "-guarded";
/// Policies that need nothing but themselves.
const PLAIN: [&str; 5] = [
    "devserver-owner",
    "devserver-kube-access",
    "devserver-labels",
    "devserver-objects",
    "devserver-homes",
];

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// A guarded namespace that belongs to `name`, who may do everything in it.
pub struct Guarded {
    /// The test's own namespace.
    pub scene: Scene,
    /// Somebody with a client certificate.
    pub alice: User,
    /// The name in it.
    pub name: String,
}

impl Guarded {
    /// Policies at work and known to be.
    pub async fn new(scene: Scene) -> anyhow::Result<Self> {
        INSTALLED
            .get_or_try_init(|| install_copies(scene.client()))
            .await?;
        let name = format!("alice-{}", sample::word(6));
        let labels = json!({GUARDED: "true", group::LABEL_NAMESPACE_USER: name});
        label_namespace(&scene, labels).await?;
        let alice = certificates::person(scene.cluster(), &name, None).await?;
        everything(&scene, json!({"kind": "User", "name": name})).await?;
        let guarded = Self { scene, alice, name };
        guarded.are_at_work().await?;
        Ok(guarded)
    }

    /// Objects of one kind, as alice.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.alice.client.clone(), self.scene.namespace())
    }

    /// A DevServer of alice, not created yet.
    pub fn devserver(&self) -> DevServer {
        let mut server = sample::devserver(sample::NAME, "any");
        server.spec.owner = Some(self.name.clone());
        server
    }

    /// A policy takes effect a moment after it was made: waits until each refuses what it is for.
    async fn are_at_work(&self) -> anyhow::Result<()> {
        let mut nobodys = self.devserver();
        nobodys.spec.owner = None;
        until_refused(&self.api(), &nobodys, "spec.owner").await?;
        let forged: ConfigMap = serde_json::from_value(
            json!({"metadata": {"name": "forged", "labels": {group::LABEL_UID: "x"}}}),
        )?;
        until_refused(&self.api(), &forged, "devserver.io/uid").await?;
        let service: Service = serde_json::from_value(
            json!({"metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}]}}),
        )?;
        until_refused(&self.api(), &service, "services").await
    }
}

/// A user like any other, of the scene's namespace, who means ill; the name, and the client.
pub async fn mallory(scene: &Scene) -> anyhow::Result<(String, User)> {
    let name = format!("mallory-{}", sample::word(6));
    let mallory = certificates::person(scene.cluster(), &name, None).await?;
    bind(
        scene,
        json!({"kind": "User", "name": name}),
        "devserver-user",
    )
    .await?;
    Ok((name, mallory))
}

/// Lets somebody do everything in the scene's namespace, which no chart of ours does.
pub async fn everything(scene: &Scene, subject: Value) -> anyhow::Result<()> {
    bind(scene, subject, "cluster-admin").await
}

/// Rights take effect a moment after they were given: waits until somebody may do that, in a namespace or in the whole cluster.
pub async fn until_may(
    client: &Client,
    namespace: Option<&str>,
    verb: &str,
    (group, resource): (&str, &str),
) -> anyhow::Result<()> {
    let review: SelfSubjectAccessReview =
        serde_json::from_value(json!({"spec": {"resourceAttributes": {
        "namespace": namespace, "verb": verb, "group": group, "resource": resource}}}))?;
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let what = format!("may {verb} {resource}");
    wait::until(&what, PATIENCE, async || {
        let answer = reviews.create(&PostParams::default(), &review).await?;
        let status = answer.status.unwrap_or_default();
        Ok(Seen::when(status.allowed, format!("{status:?}")))
    })
    .await
}

/// The roles of the chart that people are bound to.
pub async fn install_roles(client: &Client) -> anyhow::Result<()> {
    let kinds = ["ClusterRole", "ClusterRoleBinding"];
    for object in chart::of_kinds(&kinds)? {
        if ["devserver-administrator", "devserver-user"].contains(&object.name_any().as_str()) {
            chart::install(client, &object).await?;
        }
    }
    Ok(())
}

/// Binds a ClusterRole in the scene's namespace.
pub async fn bind(scene: &Scene, mut subject: Value, role: &str) -> anyhow::Result<()> {
    if let Some(subject) = subject.as_object_mut()
        && subject.get("kind") != Some(&json!("ServiceAccount"))
    {
        subject.insert("apiGroup".to_owned(), json!("rbac.authorization.k8s.io"));
    }
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": format!("{role}-{}", sample::word(6)), "namespace": scene.namespace()},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    });
    chart::install(&scene.client(), &serde_json::from_value(binding)?).await
}

/// Waits until a dry run of the creation is refused with that word.
pub async fn until_refused<K>(api: &Api<K>, object: &K, word: &str) -> anyhow::Result<()>
where
    K: Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    wait::until(
        &format!("a policy refuses {word}"),
        PATIENCE,
        async || match api.create(&params, object).await {
            Err(kube::Error::Api(status)) if status.message.contains(word) => Ok(Seen::Yes(())),
            other => Ok(Seen::NotYet(format!("{:?}", other.map(drop)))),
        },
    )
    .await
}

/// The request is refused by the policy of that name, with the field and the remedy.
pub fn is_refused<T>(
    result: Result<T, kube::Error>,
    policy: &str,
    words: &[&str],
) -> anyhow::Result<()> {
    let message = refusal(result)?;
    ensure!(
        message.contains(&format!("'devserver-{policy}")),
        "not refused by the policy {policy}: {message}"
    );
    for word in words.iter().chain(&["administrat"]) {
        ensure!(message.contains(word), "{word:?} is missing in: {message}");
    }
    Ok(())
}

async fn install_copies(client: Client) -> anyhow::Result<()> {
    install_roles(&client).await?;
    for name in PLAIN {
        for mut object in policy(name)? {
            restrict(&mut object, COPY, &json!({GUARDED: "true"}))?;
            chart::install(&client, &object).await?;
        }
    }
    Ok(())
}

/// A policy of the chart and its binding.
pub fn policy(name: &str) -> anyhow::Result<Vec<DynamicObject>> {
    let mut objects = chart::of_kinds(&[
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ])?;
    objects.retain(|object| object.name_any() == name);
    ensure!(objects.len() == 2, "the chart has no policy {name}");
    Ok(objects)
}

/// Makes it another policy, for namespaces with those labels only.
pub fn restrict(object: &mut DynamicObject, ending: &str, labels: &Value) -> anyhow::Result<()> {
    let name = format!("{}{ending}", object.name_any());
    object.metadata.name = Some(name.clone());
    if chart::kind_of(object) == "ValidatingAdmissionPolicyBinding" {
        let spec = object.data.get_mut("spec").and_then(Value::as_object_mut);
        let spec = spec.context("a binding without a spec")?;
        spec.insert("policyName".to_owned(), json!(name));
        let selector = json!({"namespaceSelector": {"matchLabels": labels}});
        spec.insert("matchResources".to_owned(), selector);
    }
    Ok(())
}
