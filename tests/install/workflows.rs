//! The workflows of document 003, step by step as a runner walks them, with the rights of deploy/github-runner.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, Expose, SshMode};
use devserver_e2e::Rig;
use devserver_testkit::{
    Scene, chart, sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Pod},
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::{
    runner::{Ended, Runner},
    site,
};

/// An operator at work, the platform's policies, a runner.
pub struct Desk {
    _rig: Rig,
    pub runner: Runner,
    pub scene: Scene,
}

impl Desk {
    pub async fn new(scene: Scene) -> anyhow::Result<Self> {
        let rig = Rig::new(scene.clone()).await?;
        site::guard(&scene).await?;
        let mut runner = Runner::new(&scene).await?;
        runner.vars["DEV_ENV_FLAVOR"] = json!(rig.small);
        Ok(Self {
            _rig: rig,
            runner,
            scene,
        })
    }

    /// The form of dev-env.yaml, sent by somebody.
    pub async fn form(&self, actor: &str, inputs: Value) -> anyhow::Result<Ended> {
        let mut all = json!({"action": "launch", "env_name": "my-env", "image": "cthomaspdx1/swish-python3", "team": "",
            "memory": "256Mi", "cpu": "250m", "pip_packages": "", "ssh_enabled": false});
        for (name, value) in inputs.as_object().context("no inputs")? {
            all[name] = value.clone();
        }
        let context = json!({"inputs": all, "github": {"triggering_actor": actor, "actor": "somebody-else", "event_name": "workflow_dispatch",
            "repository": "swish/platform", "event": {"repository": {"default_branch": "main"}}}});
        self.runner.run(&self.scene, "dev-env.yaml", &context).await
    }

    /// A branch that is made or deleted.
    pub async fn branch(&self, event: &str, branch: &str, actor: &str) -> anyhow::Result<Ended> {
        let context = json!({"inputs": {}, "github": {"triggering_actor": actor, "event_name": event, "repository": "swish/platform",
            "event": {"ref": branch, "ref_type": "branch", "repository": {"default_branch": "trunk"}}}});
        self.runner
            .run(&self.scene, "branch-env.yaml", &context)
            .await
    }

    /// Names of all environments.
    pub async fn names(&self) -> anyhow::Result<Vec<String>> {
        let all = self
            .scene
            .api::<DevServer>()
            .list(&ListParams::default())
            .await?;
        // Those on their way out are gone for everybody but the garbage collector.
        let there = all
            .iter()
            .filter(|s| s.metadata.deletion_timestamp.is_none());
        Ok(there.map(kube::ResourceExt::name_any).collect())
    }
}

#[tokio::test]
async fn the_form_launches_changes_and_removes_an_environment_of_its_sender() -> anyhow::Result<()>
{
    with_namespace("workflow form", async |scene| {
        let desk = Desk::new(scene.clone()).await?;
        let inputs = json!({"team": "genomics", "memory": "512Mi", "cpu": "300m", "ssh_enabled": true,
            "pip_packages": "flask, requests>=2,<3,httpx[http2,socks]"});
        let launched = desk.form("OctoCat", inputs.clone()).await?;
        // Nobody of that name has keys there: logins are written in one way at GitHub, too.
        ensure!(!launched.ok && launched.log.contains("no ssh key"), "{launched:?}");
        let launched = desk.form("octocat", inputs.clone()).await?;
        ensure!(launched.ok, "{launched:?}");
        for word in ["### Environment launched", "**Name:** `my-env`", "**Image:** `cthomaspdx1/swish-python3`", "300m CPU / 512Mi memory"] {
            ensure!(launched.summary.contains(word), "{word:?} is missing: {}", launched.summary);
        }
        // The list of S3-39, by the label of the release.
        ensure!(launched.log.contains("my-env-0"), "{}", launched.log);
        let server = scene.api::<DevServer>().get("my-env").await?;
        let spec = &server.spec;
        ensure!(spec.owner.as_deref() == Some("octocat@github"), "{spec:?}");
        ensure!(spec.team.as_deref() == Some("genomics"), "{spec:?}");
        ensure!(spec.ssh.mode == Some(SshMode::Sidecar) && spec.ssh.public_keys.len() == 1, "{spec:?}");
        let pip = &spec.packages.as_ref().context("no packages")?.pip;
        ensure!(*pip == ["flask", "requests>=2,<3", "httpx[http2,socks]"], "{pip:?}");
        let pod = scene.api::<Pod>().get("my-env-0").await?;
        ensure!(pod.labels().get("app.kubernetes.io/instance").is_some_and(|i| i == "my-env"), "{:?}", pod.labels());

        let other = desk.form("mallory", json!({"action": "teardown"})).await?;
        ensure!(!other.ok && other.log.contains("belongs to somebody else"), "{other:?}");
        let other = desk.form("mallory", json!({"memory": "1Gi"})).await?;
        ensure!(!other.ok && other.log.contains("belongs to somebody else"), "{other:?}");
        // An administrator changes it, and it stays its owner's.
        let changed = desk.form("Root-Admin", json!({"memory": "600Mi"})).await?;
        ensure!(changed.ok, "{changed:?}");
        let server = scene.api::<DevServer>().get("my-env").await?;
        ensure!(server.spec.owner.as_deref() == Some("octocat@github"), "{:?}", server.spec.owner);
        ensure!(scene.api::<Pod>().get("my-env-0").await?.uid() == pod.uid(), "it was restarted");

        let removed = desk.form("octocat", json!({"action": "teardown"})).await?;
        ensure!(removed.ok && removed.summary.contains("### Environment torn down: `my-env`"), "{removed:?}");
        ensure!(desk.names().await?.is_empty());
        scene.api::<PersistentVolumeClaim>().get("home-my-env-0").await?;
        let again = desk.form("octocat", json!({"action": "teardown"})).await?;
        ensure!(!again.ok && again.log.contains("there is no environment my-env"), "{again:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn d6_branches_that_sanitise_to_one_name_have_an_environment_each() -> anyhow::Result<()> {
    with_namespace("workflow branches", async |scene| {
        let desk = Desk::new(scene.clone()).await?;
        for branch in ["feature/a", "feature-a"] {
            let made = desk.branch("create", branch, "dependabot[bot]").await?;
            ensure!(made.ok && made.ran, "{made:?}");
        }
        let both = desk.names().await?;
        ensure!(
            both.len() == 2 && both.iter().all(|n| n.starts_with("dev-feature-a-")),
            "{both:?}"
        );
        for name in &both {
            let spec = scene.api::<DevServer>().get(name).await?.spec;
            ensure!(spec.team.as_deref() == Some("dependabot-bot"), "{spec:?}");
            ensure!(
                spec.image.as_deref() == Some("cthomaspdx1/swish-python3"),
                "{spec:?}"
            );
            ensure!(
                spec.ssh.mode == Some(SshMode::Disabled)
                    && spec.ssh.expose != Some(Expose::LoadBalancer),
                "{spec:?}"
            );
        }
        // Whoever deletes the branch: it is the branch that counts.
        let deleted = desk.branch("delete", "feature/a", "octocat").await?;
        ensure!(deleted.ok, "{deleted:?}");
        let left = desk.names().await?;
        ensure!(
            left.len() == 1 && both.contains(left.first().context("none")?),
            "{left:?}"
        );
        // Tolerant: twice, and a branch that never had one.
        for branch in ["feature/a", "never-made"] {
            let deleted = desk.branch("delete", branch, "octocat").await?;
            ensure!(
                deleted.ok && deleted.summary.contains("No environment to tear down"),
                "{deleted:?}"
            );
        }
        ensure!(desk.names().await? == left);
        // main has none, nor has the default branch, whatever it is called.
        let main = desk.branch("create", "main", "octocat").await?;
        ensure!(main.ok && !main.ran, "{main:?}");
        let trunk = desk.branch("create", "trunk", "octocat").await?;
        ensure!(
            trunk.ok && trunk.ran && trunk.summary.contains("No environment"),
            "{trunk:?}"
        );
        ensure!(desk.names().await? == left);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_runner_has_no_right_beyond_what_it_needs() -> anyhow::Result<()> {
    let text = std::fs::read_to_string(
        devserver_testkit::cluster::root().join("deploy/github-runner/rbac.yaml"),
    )?;
    let objects: Vec<kube::api::DynamicObject> = serde_saphyr::from_multiple(&text)?;
    let kinds: Vec<&str> = objects.iter().map(chart::kind_of).collect();
    ensure!(
        kinds
            == [
                "Namespace",
                "Namespace",
                "ServiceAccount",
                "Role",
                "RoleBinding",
                "ClusterRole",
                "ClusterRoleBinding"
            ],
        "{kinds:?}"
    );
    with_namespace("runner rights", async |scene| {
        let desk = Desk::new(scene.clone()).await?;
        let client = desk.runner.client().await?;
        let secrets = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(
            client.clone(),
            scene.namespace(),
        );
        let refused = devserver_e2e::refusal(secrets.list(&ListParams::default()).await)?;
        ensure!(refused.contains("forbidden"), "{refused}");
        // Without the verb it makes environments of its own only.
        let role = format!("dev-env-runner-{}", scene.namespace());
        Api::<ClusterRoleBinding>::all(scene.client())
            .delete(&role, &DeleteParams::default())
            .await?;
        wait::until("nothing is made for others", PATIENCE, async || {
            // Another name each time: what is there may be changed.
            let name = format!("env-{}", sample::word(8));
            let ended = desk.form("octocat", json!({"env_name": name})).await?;
            Ok(Seen::when(
                !ended.ok && ended.log.contains("spec.owner must be your own user name"),
                ended.log,
            ))
        })
        .await?;
        let elsewhere = Api::<DevServer>::all(client)
            .list(&ListParams::default())
            .await;
        let refused = devserver_e2e::refusal(elsewhere)?;
        ensure!(refused.contains("forbidden"), "{refused}");
        Ok(())
    })
    .await
}
