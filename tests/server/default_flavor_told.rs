//! What makes another flavor the default without anybody changing one: what is told of it.

use std::time::Duration;

use anyhow::ensure;
use devserver_api::{DevServerFlavorStatus, DevServerStatus, condition};
use devserver_e2e::is_running;
use devserver_testkit::{
    kubelet::Fortune,
    proxy::{request::Verb, trace::Record},
    sample, wait, with_namespace,
};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    default_flavor::{DEFAULT, set_default, unmark_all},
    flavor_rig::{AUTOSCALER, FlavorRig, create_flavor},
};

fn is(status: &'static str) -> impl Fn(&DevServerFlavorStatus) -> bool {
    move |s| condition::find(&s.conditions, condition::DEFAULT).is_some_and(|c| c.status == status)
}

#[tokio::test]
async fn who_names_no_flavor_follows_at_once_when_a_condition_alone_makes_another_the_default()
-> anyhow::Result<()> {
    let _alone = DEFAULT.lock().await;
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("default by condition", async |scene| {
        unmark_all(&scene).await?;
        let first = create_flavor(&scene, "first", json!({"default": true}), true).await?;
        let second = create_flavor(&scene, "second", json!({}), true).await?;
        let flavors = FlavorRig::new(scene.clone()).await?;
        flavors.node().await?;
        let _pods = scene.kubelet(Fortune::Ready);
        flavors.told(&first, "is the default", is("True")).await?;
        set_default(&scene, &second, true).await?;
        let beside = flavors.told(&second, "is not it", is("False")).await?;
        scene.create(&sample::devserver("named", &second)).await?;
        let mut server = sample::devserver(sample::NAME, "any");
        server.spec.flavor = None;
        scene.create(&server).await?;
        let uses = |flavor: &str| {
            let flavor = flavor.to_owned();
            move |s: &DevServerStatus| s.flavor.as_ref() == Some(&flavor)
        };
        scene.status(sample::NAME, "runs", is_running).await?;
        scene
            .status(sample::NAME, "uses the first", uses(&first))
            .await?;
        scene.status("named", "runs", is_running).await?;
        let trace = flavors.operator.trace();
        wait::nobody_looks(trace, Duration::from_secs(3), Duration::from_secs(30)).await?;

        // As after two who marked at the same moment, when it is told last who was first.
        let mark = trace.mark();
        let mut conditions = beside.conditions;
        for found in &mut conditions {
            if found.type_ == condition::DEFAULT {
                "True".clone_into(&mut found.status);
                found.last_transition_time = Time(Timestamp::UNIX_EPOCH);
            }
        }
        let patch = Patch::Merge(json!({"status": {"conditions": conditions}}));
        flavors
            .flavors()
            .patch_status(&second, &PatchParams::default(), &patch)
            .await?;
        scene
            .status(sample::NAME, "uses the second", uses(&second))
            .await?;
        flavors
            .told(&first, "is told that it is not", is("False"))
            .await?;
        wait::quiet(trace, Duration::from_secs(2), Duration::from_secs(30)).await?;
        let looked = |record: &Record| {
            record.asked.verb == Verb::Get
                && record.asked.plural == "devservers"
                && record.asked.name.as_deref() == Some("named")
        };
        let looks = trace.records().into_iter().skip(mark).filter(looked);
        ensure!(looks.count() == 0, "who names a flavor was looked at");
        Ok(())
    })
    .await
}
