//! Names are not identity: a write that was decided on for one DevServer does not reach another that has its name by then.

use std::time::Duration;

use anyhow::ensure;
use devserver_api::DevServer;
use devserver_e2e::{Rig, is_running};
use devserver_testkit::{
    proxy::{
        rule::{Action, Count, Match, Rule},
        trace::Record,
    },
    sample,
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};
use kube::{ResourceExt as _, api::DeleteParams};

/// Long enough for a deletion and a creation on a busy machine.
const LATE: Duration = Duration::from_secs(8);

fn status_writes(rig: &Rig) -> Vec<Record> {
    let mut records = rig.operator.trace().writes_since(0);
    records.retain(|r| r.step() == "patch devservers/status");
    records
}

#[tokio::test]
async fn a_late_status_is_not_written_to_a_devserver_made_again_under_the_name()
-> anyhow::Result<()> {
    with_namespace("late status", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.operator.proxy().arm(Rule {
            when: Match {
                subresource: Some("status".to_owned()),
                ..Match::writes_of("devservers")
            },
            nth: Count::First(1),
            then: Action::Delay(LATE),
        });
        scene.create(&rig.sample()).await?;
        wait::until("the status is on its way", PATIENCE, async || {
            let is_on_its_way = !status_writes(&rig).is_empty();
            Ok(Seen::when(is_on_its_way, "not written"))
        })
        .await?;
        scene
            .api::<DevServer>()
            .delete(sample::NAME, &DeleteParams::background())
            .await?;
        scene.gone::<DevServer>(sample::NAME).await?;
        let second = scene.create(&rig.sample()).await?;
        wait::until("the late status is answered", PATIENCE, async || {
            let first = status_writes(&rig).first().and_then(|r| r.status);
            Ok(Seen::when(first.is_some(), "no answer yet"))
        })
        .await?;
        let answer = status_writes(&rig).first().and_then(|r| r.status);
        ensure!(answer == Some(422), "the API server said {answer:?}");
        let running = scene.status(sample::NAME, "runs", is_running).await?;
        ensure!(running.uid() == second.uid(), "it was replaced again");
        Ok(())
    })
    .await
}
