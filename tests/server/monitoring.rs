//! `deploy/monitoring` against what is really there: a Prometheus with the rules, which scrapes the real operator, gateway and console.

mod parts;
mod prometheus;
mod queries;

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, IdleStage, IdleState};
use devserver_testkit::{
    Scene, sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use self::{
    parts::Parts,
    prometheus::{Prometheus, Target},
    queries::{Known, Query},
};
use super::idle::{CONFIG, Quiet};

/// What nobody may ask for.
const MISTAKES: [&str; 13] = [
    "sum(rate(devserver_operator_reconcile_total[5m]))",
    "max(devserver_operator_leadr)",
    r#"devserver_environment_phase{fase="Running"}"#,
    r#"devserver_environment_phase{phase="Runing"}"#,
    r#"devserver_environment_idle_stage{stage=~"Alert|Notice"}"#,
    r#"devserver_operator_idle_notifications_total{outcome="given up"}"#,
    "sum by (outcom) (devserver_gateway_channels_total)",
    r#"container_memory_working_set{container="dev"}"#,
    r#"kube_pod_labels{label_swish_io_teams="x"}"#,
    "devserver:cpu_usage:rate5m",
    r#"devserver:cpu_usage_cores:rate5m{team="x"}"#,
    "sum(devserver_operator_leader",
    r#"{job="operator"}"#,
];

/// An environment that is watched.
struct Watched {
    quiet: Quiet,
    prometheus: Prometheus,
    _parts: Parts,
    _folder: tempfile::TempDir,
}

impl Watched {
    /// With a ladder, a ledger, a budget and an end, so that all metrics are there.
    async fn start(scene: &Scene) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let ledger = folder.path().join("ledger.db");
        let prices =
            "[{from: 2020-01-01, cpuMicrosPerCoreHour: 30000, memoryMicrosPerGibHour: 4000}]";
        let config = format!(
            "{CONFIG}usage: {{databaseFile: {}, currency: EUR, prices: {prices}}}\n\
             teams: {{genomics: {{budget: {{microsPerMonth: 1000000}}}}}}\n",
            ledger.display()
        );
        let quiet = Quiet::new(scene, &config).await?;
        quiet.is("is in use", IdleState::Active, None).await?;
        let ends = json!({"spec": {"lifecycle": {"timeToLive": "100h"}}});
        scene.patch(sample::NAME, ends).await?;
        let parts = Parts::start(scene.namespace(), folder.path()).await?;
        let operator = quiet.rig.operator.address();
        let targets = [
            Target::new("operator", operator, "/metrics"),
            Target::new("environments", operator, "/metrics/environments"),
            Target::new("gateway", parts.gateway, "/metrics"),
            Target::new("console", parts.console, "/metrics"),
        ];
        let prometheus = Prometheus::start(folder.path(), &targets).await?;
        prometheus.scraped(targets.len()).await?;
        Ok(Self {
            quiet,
            prometheus,
            _parts: parts,
            _folder: folder,
        })
    }

    /// Waits until `DevEnvIdle` fires for it, or until it does no more.
    async fn told_idle(&self, expected: bool) -> anyhow::Result<()> {
        let namespace = self.quiet.rig.scene.namespace();
        let what = format!("whether DevEnvIdle fires is {expected}");
        wait::until(&what, PATIENCE, async || {
            let fires = self.prometheus.fires("DevEnvIdle", namespace, sample::NAME);
            let alerts = self.prometheus.get("/api/v1/alerts").await?;
            Ok(Seen::when(fires.await? == expected, alerts))
        })
        .await
    }

    /// Every query asks for what is there, and one that does not is found.
    async fn queries_are_right(&self) -> anyhow::Result<()> {
        let operator = &self.quiet.rig.operator;
        let page = operator.page("/metrics/environments").await?;
        let known = Known::read(&self.prometheus, &page).await?;
        let all = queries::all()?;
        ensure!(all.len() > 80, "only {} queries were found", all.len());
        let (mut wrong, mut asked) = (Vec::new(), BTreeSet::new());
        for query in &all {
            match known.check(&self.prometheus, query).await {
                Ok(names) => asked.extend(names),
                Err(why) => wrong.push(format!("{}: {why:#}\n  {}", query.place, query.text)),
            }
        }
        let count = wrong.len();
        ensure!(
            count == 0,
            "{count} queries ask for what is not there:\n{}",
            wrong.join("\n")
        );
        ensure!(asked.len() > 50, "only {asked:?} are asked for");
        for text in MISTAKES {
            let query = Query {
                place: "a mistake".to_owned(),
                text: text.to_owned(),
            };
            let answer = known.check(&self.prometheus, &query).await;
            ensure!(answer.is_err(), "nobody notices {text}");
        }
        Ok(())
    }

    /// Waits until so many environments of that name are told to be in one of these phases.
    async fn in_phase(&self, phases: &str, expected: usize) -> anyhow::Result<()> {
        let (namespace, name) = (self.quiet.rig.scene.namespace(), sample::NAME);
        let of = format!(r#"namespace="{namespace}",name="{name}",phase=~"{phases}""#);
        let query = format!("devserver_environment_phase{{{of}}}");
        let what = format!("{expected} in phase {phases}");
        wait::until(&what, PATIENCE, async || {
            let count = self.prometheus.count(&query).await?;
            Ok(Seen::when(count == expected, count))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_23_s3_28_s3_31_every_query_of_rules_and_dashboards_asks_for_what_is_there_and_devenvidle_fires()
-> anyhow::Result<()> {
    with_namespace("monitoring", async |scene| {
        let watched = Watched::start(&scene).await?;
        watched.told_idle(false).await?;
        watched.quiet.pass(31 * 60)?;
        let stage = Some(IdleStage::Alert);
        watched.quiet.is("is idle", IdleState::Idle, stage).await?;
        watched.told_idle(true).await?;
        // Now that everything is told of.
        watched.queries_are_right().await?;
        watched.prometheus.rules_are_well().await?;
        watched.quiet.agent.type_now();
        watched.told_idle(false).await?;

        watched.in_phase("Running", 1).await?;
        let servers: Api<DevServer> = scene.api();
        let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
        let params = PatchParams::default();
        servers.patch(sample::NAME, &params, &suspend).await?;
        watched.in_phase("Suspended", 1).await?;
        watched.in_phase("Running", 0).await?;
        let params = DeleteParams::default();
        let gone = servers.delete(sample::NAME, &params).await;
        gone.context("failed to delete it")?;
        watched.in_phase(".+", 0).await
    })
    .await
}
