//! charts/devservers by the real helm: people in a list become users with environments, and homes outlive whatever is done to the list.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, DevServerUser};
use devserver_e2e::is_running;
use devserver_testkit::{
    Scene,
    account::Account,
    chart,
    cluster::root,
    kubelet::{Fortune, Kubelet},
    operator::Settings,
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, ServiceAccount},
};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::site::administrate;

const SITE: &str = "example.com/scene";

/// A list of people in a file of values.
struct People {
    scene: Scene,
    flavor: String,
    folder: tempfile::TempDir,
}

impl People {
    fn new(scene: &Scene) -> anyhow::Result<Self> {
        Ok(Self {
            scene: scene.clone(),
            flavor: scene.flavor_name("chart"),
            folder: tempfile::TempDir::new()?,
        })
    }

    /// helm upgrade --install with these people.
    async fn install(&self, users: Value, more: Value) -> anyhow::Result<String> {
        let mut values = json!({
            "commonLabels": {SITE: self.scene.namespace()},
            "flavors": [{"name": self.flavor, "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
                "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/datasets"}}],
            "defaults": {"flavor": self.flavor, "image": {"repository": "docker.io/library/debian", "tag": "12"}, "imagePullSecrets": ["registry-login"]},
            "users": users,
        });
        for (key, value) in more.as_object().context("no values")? {
            values[key] = value.clone();
        }
        let file = self.folder.path().join("values.yaml");
        std::fs::write(&file, values.to_string())?;
        let chart = root().join("charts/devservers");
        let arguments = [
            "upgrade",
            "--install",
            "people",
            chart.to_str().context("no path")?,
            "--values",
            file.to_str().context("no path")?,
        ];
        administrate(&self.scene, "helm", &arguments).await
    }

    async fn uninstall(&self) -> anyhow::Result<()> {
        administrate(&self.scene, "helm", &["uninstall", "people"])
            .await
            .map(drop)
    }

    /// An operator for each of those namespaces, of which the first looks after the users, and who makes their pods Ready.
    async fn operator(&self, accounts: &[&Account]) -> anyhow::Result<Vec<Kubelet>> {
        let namespaces: Vec<String> = accounts.iter().map(|a| a.namespace()).collect();
        let mut users = Some(format!("{SITE}={}", self.scene.namespace()));
        for namespace in &namespaces {
            let settings = Settings {
                namespaces: vec![namespace.clone()],
                user_selector: users.take(),
                ..Settings::alone(self.scene.namespace())
            };
            self.scene.operator_with(&settings).await?;
        }
        let kubelet =
            |namespace: &String| Kubelet::start(&self.scene.client(), namespace, Fortune::Ready);
        Ok(namespaces.iter().map(kubelet).collect())
    }
}

async fn runs(account: &Account) -> anyhow::Result<DevServer> {
    let name = format!("devserver-{}", account.username);
    wait::until(&format!("{name} runs"), PATIENCE, async || {
        let server = account.api::<DevServer>().get(&name).await?;
        let status = server.status.clone().unwrap_or_default();
        Ok(if is_running(&status) {
            Seen::Yes(server)
        } else {
            Seen::NotYet(serde_json::to_string(&status)?)
        })
    })
    .await
}

async fn is_gone(account: &Account) -> anyhow::Result<()> {
    let name = format!("devserver-{}", account.username);
    wait::until(&format!("{name} is gone"), PATIENCE, async || {
        let server = account.api::<DevServer>().get_opt(&name).await?;
        let pod = account.api::<Pod>().get_opt(&format!("{name}-0")).await?;
        Ok(Seen::when(server.is_none() && pod.is_none(), "still there"))
    })
    .await
}

async fn home(account: &Account) -> anyhow::Result<PersistentVolumeClaim> {
    let name = format!("home-devserver-{}-0", account.username);
    Ok(account.api::<PersistentVolumeClaim>().get(&name).await?)
}

/// Whether the keys that log in hold a word.
async fn logs_in(account: &Account, key: &str) -> anyhow::Result<()> {
    let name = format!("devserver-{}-authorized-keys", account.username);
    let key = key.split(' ').nth(1).context("no key")?;
    wait::until("the key counts", PATIENCE, async || {
        let secret = account.api::<Secret>().get(&name).await?;
        let data = secret.data.unwrap_or_default();
        let text: String = data
            .values()
            .map(|v| String::from_utf8_lossy(&v.0).into_owned())
            .collect();
        Ok(Seen::when(text.contains(key), text))
    })
    .await
}

#[tokio::test]
async fn people_in_values_become_users_with_environments_and_their_homes_outlive_them()
-> anyhow::Result<()> {
    with_namespace("devservers", async |scene| {
        let (alice, bob) = (Account::new(&scene).await?, Account::new(&scene).await?);
        let people = People::new(&scene)?;
        let _kubelets = people.operator(&[&alice, &bob]).await?;
        let both = json!([
            {"username": alice.username, "publicKeys": [sample::KEY], "teams": ["genomics"], "quota": {"count/devservers.devserver.io": 2}},
            {"username": bob.username, "publicKeys": [sample::OTHER_KEY], "storage": {"size": "50Gi", "storageClassName": "gp2"}, "topologySpread": {"maxSkew": 1}},
        ]);
        // Namespaces, users and environments by one command, though the operator makes namespaces only for users that are there.
        let notes = people.install(both.clone(), json!({})).await?;
        ensure!(notes.contains("Homes outlive this release"), "{notes}");
        let machine = runs(&alice).await?;
        runs(&bob).await?;
        for account in [&alice, &bob] {
            account.own_namespace(&account.namespace()).await?;
            account.status("is ready", devserver_testkit::account::is_ready).await?;
        }
        looks_as_document_000_says(&alice, &bob).await?;
        let pod = alice.api::<Pod>().get(&format!("devserver-{}-0", alice.username)).await?;

        // Bob leaves the list, and alice has another key. Nothing restarts; the operator has labelled the namespace meanwhile.
        let alone = json!([{"username": alice.username, "publicKeys": [sample::OTHER_KEY], "teams": ["genomics"]}]);
        people.install(alone, json!({})).await?;
        is_gone(&bob).await?;
        home(&bob).await?;
        logs_in(&alice, sample::OTHER_KEY).await?;
        let same = alice.api::<Pod>().get(&pod.name_any()).await?;
        ensure!(same.uid() == pod.uid(), "it was restarted");
        ensure!(alice.users().get_opt(&bob.username).await?.is_none());

        let kept = home(&alice).await?;
        people.uninstall().await?;
        is_gone(&alice).await?;
        let namespaces: Api<Namespace> = Api::all(scene.client());
        for account in [&alice, &bob] {
            let namespace = namespaces.get(&account.namespace()).await?;
            ensure!(namespace.metadata.deletion_timestamp.is_none(), "{namespace:?}");
            home(account).await?;
        }
        // The same list finds the same homes.
        people.install(both, json!({})).await?;
        let again = runs(&alice).await?;
        runs(&bob).await?;
        ensure!(again.uid() != machine.uid() && home(&alice).await?.uid() == kept.uid(), "another home");
        people.uninstall().await
    })
    .await
}

/// Names, labels and fields that document 000 writes down.
async fn looks_as_document_000_says(alice: &Account, bob: &Account) -> anyhow::Result<()> {
    pod_is_spread_and_pulls_privately(alice).await?;
    let name = format!("devserver-devserver-{}", alice.username);
    let account = alice.api::<ServiceAccount>().get(&name).await?;
    let identity = account
        .annotations()
        .contains_key("eks.amazonaws.com/role-arn");
    ensure!(identity, "{:?}", account.annotations());
    let name = format!("{}-public-key", alice.username);
    let keys = alice.api::<ConfigMap>().get(&name).await?;
    ensure!(
        keys.data
            .unwrap_or_default()
            .contains_key("authorized_keys")
    );
    logs_in(alice, sample::KEY).await?;
    ensure!(size(&home(alice).await?) == json!("30Gi"));
    let larger = home(bob).await?;
    ensure!(size(&larger) == json!("50Gi"), "{larger:?}");
    let class = larger.spec.and_then(|s| s.storage_class_name);
    ensure!(class.as_deref() == Some("gp2"), "{class:?}");
    Ok(())
}

async fn pod_is_spread_and_pulls_privately(account: &Account) -> anyhow::Result<()> {
    let name = format!("devserver-{}", account.username);
    let workload = account.api::<StatefulSet>().get(&name).await?;
    let pod = workload.spec.and_then(|s| s.template.spec);
    let pod = serde_json::to_value(pod.context("no pod")?)?;
    let spread = &pod["topologySpreadConstraints"][0];
    let wanted = json!({"maxSkew": 2, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"});
    for (key, value) in wanted.as_object().context("nothing")? {
        ensure!(spread[key] == *value, "{key}: {spread}");
    }
    let counted = &spread["labelSelector"]["matchLabels"]["service"];
    ensure!(*counted == "devserver", "{spread}");
    let secrets = &pod["imagePullSecrets"];
    ensure!(secrets[0]["name"] == "registry-login", "{secrets}");
    Ok(())
}

fn size(claim: &PersistentVolumeClaim) -> Value {
    let claim = serde_json::to_value(claim).unwrap_or_default();
    claim["spec"]["resources"]["requests"]["storage"].clone()
}

#[tokio::test]
async fn people_in_one_namespace_and_an_autoscaler_that_is_refused_with_the_reason()
-> anyhow::Result<()> {
    with_namespace("devservers in one", async |scene| {
        let people = People::new(&scene)?;
        let rig = devserver_e2e::Rig::new(scene.clone()).await?;
        let users = json!([
            {"username": "alice", "owner": "alice@example.com", "publicKeys": [sample::KEY]},
            {"username": "bob", "publicKeys": [sample::OTHER_KEY], "autoscaling": {"enabled": true, "maxReplicas": 3}},
        ]);
        people.install(users, json!({"namespaces": "Release"})).await?;
        scene.status("devserver-alice", "runs", is_running).await?;
        let refused = scene
            .status("devserver-bob", "is refused", |s| s.conditions.iter().any(|c| c.reason == "AutoscalingNeedsSharedHome"))
            .await?;
        ensure!(refused.spec.owner.as_deref() == Some("bob"), "{:?}", refused.spec.owner);
        let made = Api::<DevServerUser>::all(scene.client()).list(&kube::api::ListParams::default().labels(&format!("{SITE}={}", scene.namespace()))).await?;
        ensure!(made.items.is_empty(), "users were made");
        people.uninstall().await?;
        drop(rig);
        Ok(())
    })
    .await
}

#[test]
fn every_field_of_a_flavor_is_a_value_of_the_chart_and_every_rendering_is_of_our_kinds()
-> anyhow::Result<()> {
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(
        root().join("charts/devservers/values.schema.json"),
    )?)?;
    let known = schema
        .pointer("/properties/flavors/items/properties")
        .context("no flavors")?;
    let text = std::fs::read_to_string(
        root().join("charts/devserver-platform/crds/devserverflavors.yaml"),
    )?;
    let crd: Value = serde_saphyr::from_str(&text)?;
    let fields = crd
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties")
        .and_then(Value::as_object)
        .context("no fields")?;
    for field in fields.keys() {
        ensure!(
            known.get(field).is_some(),
            "values.schema.json of charts/devservers does not know flavors[].{field}"
        );
    }
    for (folder, count) in [("devservers", 3), ("dev-env", 3)] {
        let mut seen = 0;
        for entry in std::fs::read_dir(root().join("charts").join(folder).join("tests"))? {
            seen += 1;
            let text = std::fs::read_to_string(entry?.path())?;
            let objects: Vec<kube::api::DynamicObject> = serde_saphyr::from_multiple(&text)?;
            let foreign = objects.iter().map(chart::kind_of).find(|kind| {
                ![
                    "Namespace",
                    "ConfigMap",
                    "DevServer",
                    "DevServerUser",
                    "DevServerFlavor",
                ]
                .contains(kind)
            });
            ensure!(
                foreign.is_none() && !objects.is_empty(),
                "{folder}: {foreign:?}"
            );
        }
        ensure!(seen == count, "{folder}: {seen} renderings");
    }
    Ok(())
}
