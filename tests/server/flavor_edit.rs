//! An edit of a flavor reaches all its DevServers, and nobody else.

use std::time::Duration;

use anyhow::ensure;
use devserver_api::{DevServer, Schedulable, condition};
use devserver_e2e::is_running;
use devserver_testkit::{
    kubelet::Fortune,
    proxy::{request::Verb, trace::Record},
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use kube::{ResourceExt as _, api::ListParams};
use serde_json::json;

use crate::flavor_rig::{AUTOSCALER, FlavorRig, one_cpu};

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "one story")]
async fn an_edit_of_a_flavor_reaches_all_its_devservers_and_nobody_else() -> anyhow::Result<()> {
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("flavor of many", async |scene| {
        let rig = FlavorRig::new(scene.clone()).await?;
        let _pods = scene.kubelet(Fortune::Ready);
        rig.node().await?;
        let (many, few) = (
            rig.flavor("many", one_cpu()).await?,
            rig.flavor("few", one_cpu()).await?,
        );
        for i in 0..30 {
            let flavor = if i < 20 { &many } else { &few };
            scene
                .create(&sample::devserver(&format!("box-{i}"), flavor))
                .await?;
        }
        let all = |what: &'static str, holds: fn(&DevServer) -> bool, least: usize| {
            let api = scene.api::<DevServer>();
            async move {
                wait::until(what, PATIENCE, async || {
                    let list = api.list(&ListParams::default()).await?;
                    let found = list.iter().filter(|server| holds(server)).count();
                    Ok(Seen::when(found == least, format!("{found}")))
                })
                .await
            }
        };
        let runs = |server: &DevServer| server.status.as_ref().is_some_and(is_running);
        all("all run", runs, 30).await?;
        let trace = rig.operator.trace();
        wait::nobody_looks(trace, Duration::from_secs(3), Duration::from_secs(60)).await?;

        // What is told of the flavor wakes none of them.
        let mark = trace.mark();
        rig.node_spec(json!({"unschedulable": true})).await?;
        rig.told(&many, "cordoned", |s| {
            s.schedulable == Some(Schedulable::No)
        })
        .await?;
        wait::quiet(trace, Duration::from_secs(2), Duration::from_secs(30)).await?;
        let looks = |mark: usize| {
            let looked = |r: &&Record| r.asked.verb == Verb::Get && r.asked.plural == "devservers";
            trace.records().iter().skip(mark).filter(looked).count()
        };
        ensure!(
            looks(mark) == 0,
            "{} looks after a change of a status",
            looks(mark)
        );

        let mark = trace.mark();
        let others = |list: kube::core::ObjectList<DevServer>| -> Vec<(String, Option<String>)> {
            let few = list
                .into_iter()
                .filter(|s| s.spec.flavor.as_deref() == Some(few.as_str()));
            few.map(|s| (s.name_any(), s.resource_version())).collect()
        };
        let before = others(
            scene
                .api::<DevServer>()
                .list(&ListParams::default())
                .await?,
        );
        rig.change(&many, json!({"resources": {"requests": {"cpu": "2"}}}))
            .await?;
        let waits = |server: &DevServer| {
            let conditions = server
                .status
                .as_ref()
                .map(|s| s.conditions.as_slice())
                .unwrap_or_default();
            condition::find(conditions, condition::RESTART_PENDING).is_some()
        };
        all("all of the flavor wait for a restart", waits, 20).await?;
        wait::quiet(trace, Duration::from_secs(3), Duration::from_secs(60)).await?;
        let after = others(
            scene
                .api::<DevServer>()
                .list(&ListParams::default())
                .await?,
        );
        ensure!(
            before == after,
            "another flavor's DevServers were written to"
        );
        // Its StatefulSet, its status, an event perhaps; and the status of the flavor.
        let writes = trace.writes_since(mark);
        ensure!(writes.len() <= 20 * 4 + 2, "{} writes", writes.len());
        Ok(())
    })
    .await
}
