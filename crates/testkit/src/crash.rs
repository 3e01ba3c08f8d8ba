//! Kills the operator before and after every single write of a story, starts it again, and demands that the story ends
//! as if nothing had happened (the method of Sieve, OSDI'22, and Anvil, OSDI'24).

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use anyhow::{Context as _, bail, ensure};
use devserver_api::DevServer;
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Service;
use kube::{
    ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

mod order;
mod pairs;
mod stage;

pub use pairs::{PAIR, Pair, Pairs, twice};
pub use stage::Stage;

use crate::{
    canonical,
    diff::differences,
    operator::Settings,
    proxy::{
        rule::{Action, Rule, Side},
        trace::Fate,
    },
    sample, wait,
    wait::Seen,
    with_namespace,
};

/// Replays one case, such as `create:5:after`.
pub const CASE: &str = "CRASH_CASE";
/// Runs at the same time. Each is mostly waiting.
pub const AT_ONCE: usize = 6;
/// How long nothing may be written at the end.
const REST: Duration = Duration::from_secs(3);

/// A story with writes of the operator in it.
///
/// Steps wait for states of the cluster, never for the operator: it may be dead at any moment.
pub trait Story: Copy {
    /// Word for reports, golden file and replay.
    fn name(self) -> &'static str;
    /// Whether the machine is another one afterwards: then its host keys and its pod are, too, and how often it is said to
    /// wait for the old one's objects to be collected is chance.
    fn is_replaced(self) -> bool {
        false
    }
    /// Whether its pod is another one then; how often it is said to stop is chance, too.
    fn restarts(self) -> bool {
        self.is_replaced()
    }
    /// Whether its home is removed in the end.
    fn loses_home(self) -> bool {
        false
    }
    /// Whether a controller answers while the operator is still at it, so that two statuses in a row are one or two writes as
    /// it happens: they count as one.
    fn is_overtaken(self) -> bool {
        false
    }
    /// How many may be told at the same time; one of something that there is only one of in a cluster.
    fn at_once(self) -> usize {
        AT_ONCE
    }
    /// How the operator is started.
    fn settings(self, namespace: &str) -> Settings {
        Settings::alone(namespace)
    }
    /// Brings about the state before; no fault is injected.
    fn prepare(self, stage: &Stage) -> impl Future<Output = anyhow::Result<()>>;
    /// The part whose writes are counted and hit.
    fn act(self, stage: &Stage) -> impl Future<Output = anyhow::Result<()>>;
}

/// A story's end without faults.
pub struct Ending {
    /// What was written, in order where there is one: `patch services`, `patch devservers/status`, …
    pub writes: Vec<String>,
    /// Canonical state.
    pub state: Value,
}

/// One crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// Number of the write that is hit, from 1.
    pub write: usize,
    /// Before or after it.
    pub side: Side,
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (write, side) = text
            .split_once(':')
            .context("write NUMBER:before or NUMBER:after")?;
        let side = match side {
            "before" => Side::Before,
            "after" => Side::After,
            other => bail!("{other:?} is neither before nor after"),
        };
        Ok(Self {
            write: write.parse()?,
            side,
        })
    }
}

/// Tells the story twice without faults: what it writes, and how it ends. Both must end alike.
pub async fn undisturbed<S: Story>(story: S) -> anyhow::Result<Ending> {
    let once = || async move {
        with_namespace(&format!("{} undisturbed", story.name()), async |scene| {
            let stage = Stage::set(scene, story).await?;
            story.prepare(&stage).await?;
            stage.rests().await?;
            let mark = stage.operator.trace().mark();
            story.act(&stage).await?;
            stage.rests().await?;
            let writes = stage.operator.trace().writes_since(mark);
            let writes: Vec<String> = writes
                .iter()
                .map(crate::proxy::trace::Record::step)
                .collect();
            let mut writes = order::in_stages(&writes);
            if story.is_overtaken() {
                order::join_statuses(&mut writes);
            }
            let scene = &stage.scene;
            Ok(Ending {
                writes,
                state: canonical::settled(&scene.client(), scene.namespace()).await?,
            })
        })
        .await
    };
    // One after the other: some stories are about something that there is only one of in a cluster.
    let (first, second) = (once().await?, once().await?);
    let differ = differences(&first.state, &second.state);
    ensure!(
        differ.is_empty(),
        "two undisturbed runs end differently:\n{}",
        differ.join("\n")
    );
    ensure!(
        first.writes == second.writes || story.restarts(),
        "two undisturbed runs write differently:\n{:?}\n{:?}",
        first.writes,
        second.writes
    );
    Ok(first)
}

/// Whether the story is to be told at all: [`CASE`] may name another one.
pub fn is_wanted<S: Story>(story: S) -> bool {
    let case = std::env::var(CASE).ok();
    case.is_none_or(|case| case.split(':').next() == Some(story.name()))
}

/// Tells the story once for each write and side, or for the one that [`CASE`] names.
pub async fn everywhere<S: Story>(story: S, ending: &Ending) -> anyhow::Result<usize> {
    let cases = order::cases(story.name(), ending.writes.len())?;
    let number = cases.len();
    let runs = cases.into_iter().map(|case| async move {
        let side = case.side.as_str();
        let failure = crashed(story, case, &ending.state).await.err();
        failure.map(|why| format!("{}:{}:{side}: {why:#}", story.name(), case.write))
    });
    let failed: Vec<String> = stream::iter(runs)
        .buffer_unordered(story.at_once())
        .filter_map(std::future::ready)
        .collect()
        .await;
    if failed.is_empty() {
        return Ok(number);
    }
    bail!(
        "{} of {number} crashes were not survived; replay one with {CASE}=story:write:side\n{}",
        failed.len(),
        failed.join("\n")
    )
}

async fn crashed<S: Story>(story: S, case: Case, expected: &Value) -> anyhow::Result<()> {
    let sentence = format!("{} {} {}", story.name(), case.write, case.side.as_str());
    with_namespace(&sentence, async |scene| {
        let stage = Stage::set(scene, story).await?;
        story.prepare(&stage).await?;
        stage.rests().await?;
        let kept = stage.identities().await?;
        let nth = u64::try_from(case.write)?;
        stage
            .operator
            .proxy()
            .arm(Rule::nth_write(nth, Action::Kill(case.side)));
        let reviver = stage.operator.revive();
        let told = story.act(&stage).await;
        let converged = match told {
            Ok(()) => match stage.is_hit(story, case.write).await {
                Ok(()) => stage.converges(expected).await,
                never => never,
            },
            Err(why) => Err(why),
        };
        reviver.abort();
        converged?;
        stage.stays().await?;
        stage.kept(&kept, story).await?;
        stage.leaves_nothing(story).await
    })
    .await
}

impl Stage {
    /// Canonical state of the namespace.
    pub async fn state(&self) -> anyhow::Result<Value> {
        canonical::state(&self.scene.client(), self.scene.namespace()).await
    }

    async fn rests(&self) -> anyhow::Result<()> {
        wait::quiet(
            self.operator.trace(),
            Duration::from_secs(1),
            crate::scene::PATIENCE,
        )
        .await
    }

    /// The write has come and was hit: what it changes may have been seen by the story before.
    async fn is_hit(&self, story: impl Story, write: usize) -> anyhow::Result<()> {
        if story.restarts() {
            return Ok(());
        }
        let what = format!("write {write} comes");
        wait::until(&what, crate::scene::PATIENCE, async || {
            let kills = self.operator.kills();
            Ok(Seen::when(kills == 1, format!("{kills} kills")))
        })
        .await
    }

    /// The state is the expected one, and the status is that of the present spec.
    async fn converges(&self, expected: &Value) -> anyhow::Result<()> {
        wait::until(
            "the state is as without a crash",
            crate::scene::PATIENCE,
            async || {
                let differ = differences(expected, &self.state().await?);
                if !differ.is_empty() {
                    return Ok(Seen::when(false, differ.join("\n")));
                }
                let servers = self.scene.api::<DevServer>();
                let server = servers.get_opt(sample::NAME).await?;
                let told = server
                    .as_ref()
                    .and_then(|s| s.status.as_ref()?.observed_generation);
                let asked = server.as_ref().and_then(|s| s.metadata.generation);
                Ok(Seen::when(
                    told == asked,
                    format!("told of generation {told:?} of {asked:?}"),
                ))
            },
        )
        .await
    }

    /// Two looks that were asked for and then nothing written.
    async fn stays(&self) -> anyhow::Result<()> {
        let mark = self.operator.trace().mark();
        for look in 0..2 {
            self.force_look(look).await?;
        }
        wait::no_writes(self.operator.trace(), REST).await?;
        let writes = self.operator.trace().writes_since(mark);
        let writes: Vec<String> = writes.iter().map(|r| r.asked.summary()).collect();
        ensure!(
            writes.is_empty(),
            "a look at a settled state wrote: {}",
            writes.join(", ")
        );
        Ok(())
    }

    /// Touches an owned object without changing what the operator set: it has to look and find nothing to do.
    async fn force_look(&self, look: u32) -> anyhow::Result<()> {
        let key = format!("{}look", canonical::TEST_ANNOTATION);
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: look.to_string()}}}));
        for service in self
            .scene
            .api::<Service>()
            .list(&ListParams::default())
            .await?
        {
            let name = service.name_any();
            self.scene
                .api::<Service>()
                .patch(&name, &PatchParams::default(), &patch)
                .await?;
        }
        Ok(())
    }

    async fn kept(
        &self,
        before: &BTreeMap<String, String>,
        story: impl Story,
    ) -> anyhow::Result<()> {
        let after = self.identities().await?;
        let server_is_there = self.server().await?.is_some();
        for (what, uid) in before {
            // Host keys, the pod and what a Docker daemon keeps go with their DevServer; the home never does.
            let stays = match what.split(' ').next() {
                Some("claim") if what.starts_with("claim docker-") => server_is_there,
                Some("claim") => !story.loses_home(),
                Some("pod") => server_is_there && !story.restarts(),
                _ => server_is_there && !story.is_replaced(),
            };
            ensure!(
                !stays || after.get(what) == Some(uid),
                "the {what} was removed or made anew"
            );
        }
        let records = self.operator.trace().records();
        let of_keys = records.iter().filter(|r| {
            r.asked.plural == "secrets" && r.body_name.as_deref() == Some("workbench-host-keys")
        });
        let made = of_keys.clone().filter(|r| r.status == Some(201));
        // On its way when the operator was killed at another write beside it: nobody saw the answer.
        let perhaps = of_keys.filter(|r| r.fate == Fate::Open).count();
        let uid = self.server().await?.and_then(|server| server.uid());
        let present = made
            .clone()
            .filter(|r| uid.is_some() && r.body_owner == uid);
        let (made, present) = (made.count(), present.count());
        // One that was replaced may get keys once more, from a look that had begun before its end: they are collected with it.
        let most = 1 + 2 * usize::from(story.is_replaced());
        ensure!(
            present <= 1 && made <= most && made + perhaps >= 1,
            "host keys were made {made} times, perhaps {perhaps} more, {present} times for the present one"
        );
        Ok(())
    }

    async fn server(&self) -> anyhow::Result<Option<DevServer>> {
        let servers = self.scene.api::<DevServer>();
        Ok(servers.get_opt(sample::NAME).await?)
    }

    /// Deletes what is left of the story: only what was promised to survive may survive.
    async fn leaves_nothing(&self, story: impl Story) -> anyhow::Result<()> {
        let api = self.scene.api::<devserver_api::DevServer>();
        if self.server().await?.is_some() {
            api.delete(sample::NAME, &kube::api::DeleteParams::background())
                .await?;
        }
        let home = format!("PersistentVolumeClaim/home-{}-0", sample::NAME);
        let stays: &[&String] = if story.loses_home() { &[] } else { &[&home] };
        wait::until(
            "only the home is left",
            crate::scene::PATIENCE,
            async || {
                let state = self.state().await?;
                let left: Vec<&String> = state
                    .as_object()
                    .into_iter()
                    .flat_map(|map| map.keys())
                    .collect();
                Ok(Seen::when(left == stays, format!("{left:?}")))
            },
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_is_printed() {
        let case: Case = "5:after".parse().unwrap();
        assert_eq!(
            case,
            Case {
                write: 5,
                side: Side::After
            }
        );
        assert!("5:later".parse::<Case>().is_err());
    }
}
