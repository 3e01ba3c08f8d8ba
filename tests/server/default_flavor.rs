//! The flavor of those who name none. Flavors are cluster-wide: these stories are told one after the other.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use devserver_api::{DevServerFlavor, DevServerFlavorStatus, condition};
use devserver_e2e::{Rig, is_running, judged, refusal};
use devserver_testkit::{
    Scene, chart,
    kubelet::Fortune,
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use futures::future::join_all;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::flavor_rig::{AUTOSCALER, FlavorRig, LABEL, ROOM, create_flavor};

/// There is one default in a cluster.
pub static DEFAULT: Mutex<()> = Mutex::const_new(());
/// People who mark a flavor at the same moment.
const WRITERS: usize = 20;

/// Marks a flavor as the default, or takes the mark away.
pub async fn set_default(scene: &Scene, flavor: &str, is_default: bool) -> kube::Result<()> {
    let api: Api<DevServerFlavor> = Api::all(scene.client());
    let patch = Patch::Merge(json!({"spec": {"default": is_default}}));
    api.patch(flavor, &PatchParams::default(), &patch)
        .await
        .map(drop)
}

/// Takes the mark from what the stories before left; their flavors go with their namespaces, but not at once.
pub async fn unmark_all(scene: &Scene) -> anyhow::Result<()> {
    let api: Api<DevServerFlavor> = Api::all(scene.client());
    wait::until("no flavor is marked", PATIENCE, async || {
        let list = api.list(&ListParams::default()).await?;
        let marked: Vec<String> = list
            .iter()
            .filter(|f| f.spec.default)
            .map(kube::ResourceExt::name_any)
            .collect();
        for name in &marked {
            // One that is gone by now is not marked either.
            let _ = set_default(scene, name, false).await;
        }
        Ok(Seen::when(marked.is_empty(), format!("{marked:?}")))
    })
    .await
}

async fn told(scene: &Scene, reason: &str, words: &[&str]) -> anyhow::Result<()> {
    let (_, message) = judged(scene, reason).await?;
    for word in words {
        ensure!(message.contains(word), "{word:?} is missing in: {message}");
    }
    Ok(())
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story")]
async fn who_names_no_flavor_gets_the_default_and_keeps_it_when_a_second_is_marked()
-> anyhow::Result<()> {
    let _alone = DEFAULT.lock().await;
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("default flavor", async |scene| {
        unmark_all(&scene).await?;
        // The one that will be marked second is older and first by name: neither makes it the default.
        let large = create_flavor(&scene, "a-large", json!({}), true).await?;
        let small = create_flavor(&scene, "b-small", json!({}), true).await?;
        let flavors = FlavorRig::new(scene.clone()).await?;
        // What is told of them is not to change with the nodes of tests beside this one.
        flavors.node().await?;
        for name in [&large, &small] {
            flavors.answers(name, ROOM).await?;
        }
        let rig = Rig {
            kubelet: scene.kubelet(Fortune::Ready),
            operator: flavors.operator.clone(),
            scene: scene.clone(),
            small,
            large,
        };
        let mut server = rig.sample();
        server.spec.flavor = None;
        scene.create(&server).await?;
        told(&scene, "NoDefaultFlavor", &["spec.flavor"]).await?;

        set_default(&scene, &rig.small, true).await?;
        let is = |status: &'static str| {
            move |s: &DevServerFlavorStatus| {
                condition::find(&s.conditions, condition::DEFAULT)
                    .is_some_and(|c| c.status == status)
            }
        };
        flavors
            .told(&rig.small, "is the default", is("True"))
            .await?;
        let runs = scene
            .status(sample::NAME, "runs with the default", is_running)
            .await?;
        let used = runs.status.and_then(|s| s.flavor);
        ensure!(used.as_deref() == Some(rig.small.as_str()), "{used:?}");
        let before = rig.snapshot().await?;

        // A second one, where no policy refuses it: the first stays the default, and nothing changes.
        set_default(&scene, &rig.large, true).await?;
        flavors
            .told(&rig.large, "is told that it is not", is("False"))
            .await?;
        scene.nudge(sample::NAME).await?;
        wait::no_writes(rig.operator.trace(), Duration::from_secs(3)).await?;
        rig.is_unchanged_since(&before).await?;

        set_default(&scene, &rig.large, false).await?;
        set_default(&scene, &rig.small, false).await?;
        told(&scene, "NoDefaultFlavor", &[]).await?;
        scene
            .status(sample::NAME, "runs on without a default", is_running)
            .await?;
        rig.is_unchanged_since(&before).await
    })
    .await
}

#[tokio::test]
async fn a_second_default_is_refused_with_the_name_of_the_first_and_the_remedy()
-> anyhow::Result<()> {
    let _alone = DEFAULT.lock().await;
    with_namespace("second default", async |scene| {
        unmark_all(&scene).await?;
        let first = create_flavor(&scene, "first", json!({"default": true}), false).await?;
        let second = create_flavor(&scene, "second", json!({}), false).await?;
        install_policy(&scene).await?;
        is_at_work(&scene).await?;
        let message = refusal(set_default(&scene, &second, true).await)?;
        for word in ["spec.default", &first, "set it to false there first"] {
            ensure!(message.contains(word), "{word:?} is missing in: {message}");
        }
        // The default itself may be changed, and a flavor that is not marked, too.
        change(
            &scene,
            &first,
            json!({"default": true, "description": "the first"}),
        )
        .await?;
        change(&scene, &second, json!({"description": "the second"})).await?;
        // The mark moves in two steps.
        set_default(&scene, &first, false).await?;
        wait::until("the mark is free", PATIENCE, async || {
            let result = set_default(&scene, &second, true).await;
            Ok(Seen::when(result.is_ok(), format!("{result:?}")))
        })
        .await?;
        let seen = async || {
            // The policy judges by what its cache shows, a moment later.
            let refused = dry_run(&scene, &first).await.is_err();
            Ok(Seen::when(refused, "the mark is not seen yet"))
        };
        wait::until("the new mark is seen", PATIENCE, seen).await?;
        let message = refusal(set_default(&scene, &first, true).await)?;
        ensure!(message.contains(&second), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_twenty_who_mark_a_flavor_at_the_same_moment_exactly_one_makes_the_default()
-> anyhow::Result<()> {
    let _alone = DEFAULT.lock().await;
    with_namespace("racing defaults", async |scene| {
        unmark_all(&scene).await?;
        let names = racers(&scene).await?;
        install_policy(&scene).await?;
        let probe = create_flavor(&scene, "probe", json!({"default": true}), false).await?;
        is_at_work(&scene).await?;
        set_default(&scene, &probe, false).await?;
        let gone = async || {
            // With the probe still marked in the policy's cache, all would be refused.
            let result = dry_run(&scene, &names[0]).await;
            Ok(Seen::when(result.is_ok(), format!("{result:?}")))
        };
        wait::until("the mark is free", PATIENCE, gone).await?;
        let passed = race(&scene, &names).await?;
        println!("{passed} of {WRITERS} passed admission");
        ensure!(passed >= 1, "nobody passed");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_twenty_that_are_marked_without_the_policy_exactly_one_is_the_default()
-> anyhow::Result<()> {
    let _alone = DEFAULT.lock().await;
    with_namespace("many defaults", async |scene| {
        unmark_all(&scene).await?;
        let passed = race(&scene, &racers(&scene).await?).await?;
        ensure!(passed == WRITERS, "only {passed} passed");
        Ok(())
    })
    .await
}

async fn racers(scene: &Scene) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for i in 0..WRITERS {
        names.push(create_flavor(scene, &format!("racer-{i:02}"), json!({}), true).await?);
    }
    Ok(names)
}

/// Marks all at the same moment and demands that one is the default; how many were let pass.
async fn race(scene: &Scene, names: &[String]) -> anyhow::Result<usize> {
    let _no_autoscaler = AUTOSCALER.read().await;
    let rig = FlavorRig::new(scene.clone()).await?;
    rig.node().await?;
    let _pods = scene.kubelet(Fortune::Ready);
    let results = join_all(names.iter().map(|name| set_default(scene, name, true))).await;
    let passed = results.iter().filter(|result| result.is_ok()).count();

    let settled = settled(&rig, passed).await?;
    let (winner, _, _) = settled
        .iter()
        .find(|(_, is_default, _)| *is_default)
        .context("none")?;
    for (name, is_default, message) in &settled {
        ensure!(
            *is_default || message.contains(winner.as_str()),
            "{name}: {message}"
        );
    }
    // The operator that gives people their flavor goes by the same rule.
    let mut server = sample::devserver(sample::NAME, "any");
    server.spec.flavor = None;
    scene.create(&server).await?;
    let runs = scene.status(sample::NAME, "runs", is_running).await?;
    let used = runs.status.and_then(|s| s.flavor);
    ensure!(
        used.as_ref() == Some(winner),
        "{used:?} instead of {winner}"
    );
    wait::quiet(rig.operator.trace(), Duration::from_secs(3), PATIENCE).await?;
    Ok(passed)
}

/// Everybody who passed is told; exactly one is the default: name, whether it is, and what is told.
async fn settled(rig: &FlavorRig, passed: usize) -> anyhow::Result<Vec<(String, bool, String)>> {
    wait::until("the defaults are settled", PATIENCE, async || {
        let params = ListParams::default().labels(&format!("{LABEL}={}", rig.scene.namespace()));
        let list = rig.flavors().list(&params).await?;
        let told: Vec<(String, bool, String)> = list
            .iter()
            .filter(|flavor| flavor.spec.default)
            .filter_map(|flavor| {
                let status = flavor.status.as_ref()?;
                let found = condition::find(&status.conditions, condition::DEFAULT)?;
                Some((
                    flavor.name_any(),
                    found.status == "True",
                    found.message.clone(),
                ))
            })
            .collect();
        let winners = told.iter().filter(|(_, is_default, _)| *is_default).count();
        Ok(if told.len() == passed && winners == 1 {
            Seen::Yes(told)
        } else {
            Seen::NotYet(format!("{told:?}"))
        })
    })
    .await
}

async fn change(scene: &Scene, flavor: &str, spec: Value) -> anyhow::Result<()> {
    let api: Api<DevServerFlavor> = Api::all(scene.client());
    let patch = Patch::Merge(json!({ "spec": spec }));
    api.patch(flavor, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn dry_run(scene: &Scene, flavor: &str) -> kube::Result<()> {
    let api: Api<DevServerFlavor> = Api::all(scene.client());
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"spec": {"default": true}}));
    api.patch(flavor, &params, &patch).await.map(drop)
}

/// The chart's own policy under another name, for the flavors of one scene; it goes with the scene.
async fn install_policy(scene: &Scene) -> anyhow::Result<()> {
    let mut objects = chart::of_kinds(&[
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ])?;
    objects.retain(|object| object.name_any() == "devserver-default-flavor");
    ensure!(
        objects.len() == 2,
        "the chart has no policy devserver-default-flavor"
    );
    let name = format!("{}-default", scene.namespace());
    for object in &mut objects {
        object.metadata.name = Some(name.clone());
        scene.own(&mut object.metadata);
        let spec = object.data.get_mut("spec").and_then(Value::as_object_mut);
        let spec = spec.context("no spec")?;
        if let Some(conditions) = spec
            .get_mut("matchConditions")
            .and_then(Value::as_array_mut)
        {
            let prefix = format!("object.metadata.name.startsWith('{}')", scene.namespace());
            conditions.push(json!({"name": "of-this-test", "expression": prefix}));
        } else {
            spec.insert("policyName".to_owned(), json!(name));
        }
        chart::install(&scene.client(), object).await?;
    }
    Ok(())
}

/// Waits until the policy refuses a second default; one must be marked.
async fn is_at_work(scene: &Scene) -> anyhow::Result<()> {
    let api: Api<DevServerFlavor> = Api::all(scene.client());
    let mut flavor = sample::flavor(&scene.flavor_name("never"), "1", "1Gi");
    flavor.spec.default = true;
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    wait::until("the policy is at work", PATIENCE, async || {
        let made = api.create(&params, &flavor).await;
        Ok(Seen::when(made.is_err(), "it lets a second default pass"))
    })
    .await
}
