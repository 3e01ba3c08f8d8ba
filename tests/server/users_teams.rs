//! Teams: who may count for which, which flavors are for whom, and how much a team may have.

use std::time::{Duration, Instant};

use anyhow::ensure;
use devserver_api::{DevServer, DevServerFlavor, condition};
use devserver_e2e::{has_reason, is_running};
use devserver_testkit::{
    Scene,
    account::Account,
    kubelet::{Fortune, Kubelet},
    sample,
    scene::{self, PATIENCE},
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Pod};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

const CONFIG: &str = "teams: {genomics: {quota: {cpu: 1, devservers: 8}}}";
/// A machine with Docker takes 550m and 3Gi, one without 500m and 1Gi.
const WITH_DOCKER: &str = "{userNamespaces: Enabled, docker: {defaultStorageSize: 2Gi}, \
    teams: {genomics: {quota: {cpu: 1, requests.storage: 5Gi, persistentvolumeclaims: 9}}}}";

/// A user in two teams, with an operator and pods that become Ready.
struct Team {
    account: Account,
    flavor: String,
    _kubelet: Kubelet,
}

impl Team {
    async fn new(scene: &Scene) -> anyhow::Result<Self> {
        Self::with(scene, CONFIG).await
    }

    async fn with(scene: &Scene, config: &str) -> anyhow::Result<Self> {
        let account = Account::new(scene).await?;
        let flavor = scene.flavor("small", "500m", "1Gi").await?;
        scene.operator_with(&account.settings(Some(config))).await?;
        account
            .ready(json!({"teams": ["genomics", "imaging"], "podSecurity": "privileged"}))
            .await?;
        Ok(Self {
            _kubelet: Kubelet::start(&scene.client(), &account.namespace(), Fortune::Ready),
            account,
            flavor,
        })
    }

    fn servers(&self) -> Api<DevServer> {
        self.account.api()
    }

    async fn create(&self, name: &str, team: Option<&str>) -> anyhow::Result<()> {
        let mut server = self.sample(name);
        server.spec.team = team.map(str::to_owned);
        self.make(&server).await
    }

    async fn create_with_docker(&self, name: &str) -> anyhow::Result<()> {
        let mut server = self.sample(name);
        server.spec.docker = Some(serde_json::from_value(json!({"enabled": true}))?);
        self.make(&server).await
    }

    fn sample(&self, name: &str) -> DevServer {
        let mut server = sample::devserver(name, &self.flavor);
        server.spec.owner = Some(self.account.username.clone());
        server
    }

    async fn make(&self, server: &DevServer) -> anyhow::Result<()> {
        let params = PostParams::default();
        self.servers().create(&params, server).await?;
        Ok(())
    }

    async fn change(&self, name: &str, patch: Value) -> anyhow::Result<()> {
        self.servers()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    async fn status(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&devserver_api::DevServerStatus) -> bool,
    ) -> anyhow::Result<DevServer> {
        scene::status(&self.servers(), name, what, holds).await
    }

    async fn runs(&self, name: &str) -> anyhow::Result<DevServer> {
        self.status(name, "runs", is_running).await
    }

    async fn is_refused(&self, name: &str, reason: &str) -> anyhow::Result<String> {
        let server = self
            .status(name, reason, |s| has_reason(s, condition::VALID, reason))
            .await?;
        Ok(server.status.and_then(|s| s.message).unwrap_or_default())
    }
}

#[tokio::test]
async fn a_devserver_counts_for_the_first_team_of_its_user_and_for_no_foreign_one()
-> anyhow::Result<()> {
    with_namespace("team of", async |scene| {
        let team = Team::new(&scene).await?;
        team.create("plain", None).await?;
        team.runs("plain").await?;
        let workload = team.account.api::<StatefulSet>().get("plain").await?;
        let label = workload
            .spec
            .and_then(|s| s.template.metadata)
            .and_then(|m| m.labels)
            .and_then(|l| l.get("swish.io/team").cloned());
        ensure!(label.as_deref() == Some("genomics"), "{label:?}");
        team.create("second", Some("imaging")).await?;
        team.runs("second").await?;
        team.create("foreign", Some("finance")).await?;
        let message = team.is_refused("foreign", "TeamNotAllowed").await?;
        ensure!(
            message.contains("spec.team") && message.contains("genomics, imaging"),
            "{message}"
        );
        ensure!(
            team.account
                .api::<StatefulSet>()
                .get_opt("foreign")
                .await?
                .is_none(),
            "it was started"
        );
        // A team that the user gets heals it, without a touch of the DevServer.
        team.account
            .patch(json!({"spec": {"teams": ["genomics", "finance"]}}))
            .await?;
        team.runs("foreign").await?;
        // One that the user loses leaves what runs alone.
        let pod = team.account.api::<Pod>().get("second-0").await?;
        let message = team.is_refused("second", "TeamNotAllowed").await?;
        ensure!(
            message.starts_with("runs with its last valid settings"),
            "{message}"
        );
        ensure!(
            team.account.api::<Pod>().get("second-0").await?.uid() == pod.uid(),
            "the pod"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_flavor_is_for_those_it_names() -> anyhow::Result<()> {
    with_namespace("flavor for", async |scene| {
        let team = Team::new(&scene).await?;
        let flavors: Api<DevServerFlavor> = Api::all(scene.client());
        let allow = async |users: Value, teams: Value| {
            let patch = json!({"spec": {"allowedUsers": users, "allowedTeams": teams}});
            flavors
                .patch(&team.flavor, &PatchParams::default(), &Patch::Merge(patch))
                .await
        };
        allow(json!(["somebody-else"]), json!(null)).await?;
        team.create("box", None).await?;
        let message = team.is_refused("box", "FlavorNotAllowed").await?;
        ensure!(
            message.contains("spec.flavor") && message.contains("allowedUsers"),
            "{message}"
        );
        ensure!(
            team.account
                .api::<StatefulSet>()
                .get_opt("box")
                .await?
                .is_none(),
            "it was started"
        );
        allow(json!([]), json!(["imaging"])).await?;
        team.runs("box").await?;
        allow(json!([]), json!([])).await?;
        let message = team.is_refused("box", "FlavorNotAllowed").await?;
        ensure!(message.starts_with("runs with"), "{message}");
        allow(json!([team.account.username]), json!(null)).await?;
        team.runs("box").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_team_gets_no_more_than_its_quota_and_what_waits_starts_when_there_is_room()
-> anyhow::Result<()> {
    with_namespace("team quota", async |scene| {
        let team = Team::new(&scene).await?;
        // 500m each, 1 in all.
        for name in ["a", "b"] {
            team.create(name, None).await?;
            team.runs(name).await?;
        }
        for name in ["c", "d"] {
            team.create(name, None).await?;
            let message = team.is_refused(name, "TeamQuotaExceeded").await?;
            for word in ["genomics", "cpu", "500m", "1 are allowed", "administrator"] {
                ensure!(message.contains(word), "{word}: {message}");
            }
            a_second_passes().await?;
        }
        // Another team is not concerned.
        team.create("other", Some("imaging")).await?;
        team.runs("other").await?;
        team.change("a", json!({"spec": {"suspend": true}})).await?;
        team.runs("c").await?;
        team.servers()
            .delete("b", &DeleteParams::background())
            .await?;
        team.runs("d").await?;
        // The place is taken: who resumes waits, and keeps its home.
        team.change("a", json!({"spec": {"suspend": false}}))
            .await?;
        team.is_refused("a", "TeamQuotaExceeded").await?;
        wait::stays("what runs goes on", Duration::from_secs(3), async || {
            let pods = [
                team.account.api::<Pod>().get_opt("c-0").await?,
                team.account.api::<Pod>().get_opt("d-0").await?,
            ];
            let there = pods
                .iter()
                .flatten()
                .all(|p| p.metadata.deletion_timestamp.is_none());
            Ok(Seen::when(
                there && pods.iter().all(Option::is_some),
                "a pod is gone",
            ))
        })
        .await?;
        team.servers()
            .delete("c", &DeleteParams::background())
            .await?;
        team.runs("a").await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_docker_daemon_and_volumes_count_in_the_quota_of_the_team_even_while_it_is_stopped()
-> anyhow::Result<()> {
    with_namespace("team docker", async |scene| {
        let team = Team::with(&scene, WITH_DOCKER).await?;
        team.create_with_docker("a").await?;
        team.runs("a").await?;
        team.create("b", None).await?;
        let message = team.is_refused("b", "TeamQuotaExceeded").await?;
        ensure!(message.contains("550m cpu in use"), "{message}");
        // Stopped, it gives its processors back, and keeps its volumes.
        team.change("a", json!({"spec": {"suspend": true}})).await?;
        team.runs("b").await?;
        team.servers()
            .delete("b", &DeleteParams::background())
            .await?;
        wait::until("b is gone", PATIENCE, async || {
            let found = team.servers().get_opt("b").await?;
            Ok(Seen::when(found.is_none(), "it is there"))
        })
        .await?;
        team.create_with_docker("c").await?;
        let message = team.is_refused("c", "TeamQuotaExceeded").await?;
        let told = "3Gi requests.storage in use and 3Gi are asked for, but 5Gi are allowed";
        ensure!(message.contains(told), "{message}");
        // What is gone has no volumes that count.
        team.servers()
            .delete("a", &DeleteParams::background())
            .await?;
        team.runs("c").await.map(drop)
    })
    .await
}

/// Who waits longer is told by `creationTimestamp`, which has whole seconds.
async fn a_second_passes() -> anyhow::Result<()> {
    let begun = Instant::now();
    wait::until("a second has passed", PATIENCE, async || {
        let passed = begun.elapsed() > Duration::from_secs(1);
        Ok(Seen::when(passed, "not yet"))
    })
    .await
}

#[tokio::test]
async fn many_at_once_never_get_more_than_the_quota_of_their_team() -> anyhow::Result<()> {
    with_namespace("team race", async |scene| {
        let team = Team::new(&scene).await?;
        let names: Vec<String> = (0..12).map(|n| format!("r{n}")).collect();
        futures::future::try_join_all(names.iter().map(|name| team.create(name, None))).await?;
        wait::until("all are decided on", PATIENCE, async || {
            let mut decided = Vec::new();
            for name in &names {
                let status = team.servers().get(name).await?.status.unwrap_or_default();
                decided.push(
                    is_running(&status)
                        || has_reason(&status, condition::VALID, "TeamQuotaExceeded"),
                );
            }
            Ok(Seen::when(
                decided.iter().all(|s| *s),
                format!("{decided:?}"),
            ))
        })
        .await?;
        let started = team
            .account
            .api::<StatefulSet>()
            .list(&kube::api::ListParams::default())
            .await?;
        ensure!(
            started.items.len() == 2,
            "{} were started",
            started.items.len()
        );
        Ok(())
    })
    .await
}
