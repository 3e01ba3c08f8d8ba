//! At rest nothing is written, however many there are and whoever restarts.

use std::time::Duration;

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{
    proxy::{request::Verb, trace::Trace},
    sample,
    wait::{self, Seen},
    with_namespace,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::ListParams;

const SERVERS: usize = 100;
/// An idle machine takes about 15 s; others may be at work on it, and it may be slow.
const SETTLING: Duration = Duration::from_secs(480);

fn requests(trace: &Trace, mark: usize) -> (usize, usize) {
    let records = trace.records();
    let after = records.iter().skip(mark);
    let renewals = after
        .clone()
        .filter(|r| r.asked.verb == Verb::Watch)
        .count();
    (after.count(), renewals)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_settled_devservers_cost_no_write_also_when_the_operator_restarts()
-> anyhow::Result<()> {
    with_namespace("hundred at rest", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let created = stream::iter(0..SERVERS)
            .map(|i| {
                let (scene, server) = (&scene, sample::devserver(&format!("box-{i}"), &rig.small));
                async move { scene.create(&server).await.map(drop) }
            })
            .buffer_unordered(16);
        created.try_collect::<Vec<()>>().await?;
        wait::until("all run", SETTLING, async || {
            let list = scene
                .api::<DevServer>()
                .list(&ListParams::default())
                .await?;
            let running = list
                .iter()
                .filter(|s| s.status.as_ref().is_some_and(is_running))
                .count();
            Ok(Seen::when(
                running == SERVERS,
                format!("{running} of {SERVERS} run"),
            ))
        })
        .await?;
        let trace = rig.operator.trace();
        wait::quiet(trace, Duration::from_secs(3), SETTLING).await?;
        let (all, _) = requests(trace, 0);
        let writes = trace.writes_since(0).len();
        println!("{SERVERS} created: {writes} writes, {all} requests");
        ensure!(
            writes <= SERVERS * 10,
            "{writes} writes for {SERVERS} DevServers"
        );

        let mark = trace.mark();
        wait::no_writes(trace, Duration::from_secs(60)).await?;
        let (all, watches) = requests(trace, mark);
        println!("60 s at rest: 0 writes, {all} requests, {watches} of them watches");
        ensure!(all <= SERVERS, "{all} requests at rest");

        let mark = trace.mark();
        rig.operator.restart().await?;
        wait::no_writes(trace, Duration::from_secs(20)).await?;
        let (all, _) = requests(trace, mark);
        let writes = trace.writes_since(mark);
        ensure!(
            writes.is_empty(),
            "{} writes after the restart",
            writes.len()
        );
        println!(
            "restart and 20 s: 0 writes, {all} requests, {:.1} for each DevServer",
            per_server(all)
        );
        Ok(())
    })
    .await
}

fn per_server(requests: usize) -> f64 {
    u32::try_from(requests).map_or(f64::NAN, |n| f64::from(n) / 100.0)
}
