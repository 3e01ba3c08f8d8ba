//! Attack D6: names that come from a branch, a person or a team and look alike once what may not stand in a name is left out.

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, group};
use devserver_e2e::{Rig, is_running, refusal};
use devserver_testkit::{sample, with_namespace};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{Pod, Secret},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, PostParams, Preconditions},
};

const ALIKE: &str = "feature-a";

#[tokio::test]
async fn d6_of_two_branches_with_one_name_the_second_is_refused_and_its_teardown_leaves_the_first()
-> anyhow::Result<()> {
    with_namespace("d6 branches", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let servers: Api<DevServer> = scene.api();
        let params = PostParams::default();
        // Nothing makes a name out of what is none.
        let branch = sample::devserver("feature/a", &rig.small);
        let message = refusal(servers.create(&params, &branch).await)?;
        ensure!(message.contains("feature/a"), "{message}");
        let first = sample::devserver(ALIKE, &rig.small);
        let first = servers.create(&params, &first).await?;
        devserver_testkit::scene::status(&servers, ALIKE, "runs", is_running).await?;
        let pod = scene.api::<Pod>().get("feature-a-0").await?.uid();
        let keys = scene
            .api::<Secret>()
            .get("feature-a-host-keys")
            .await?
            .uid();
        let mut second = sample::devserver(ALIKE, &rig.large);
        second.spec.owner = Some("bob@example.com".to_owned());
        let message = refusal(servers.create(&params, &second).await)?;
        ensure!(message.contains("already exists"), "{message}");

        // A teardown that means another machine of that name.
        let other = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some("00000000-0000-4000-8000-000000000000".to_owned()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let message = refusal(servers.delete(ALIKE, &other).await)?;
        ensure!(message.contains("UID"), "{message}");
        let still = servers.get(ALIKE).await?;
        ensure!(
            still.uid() == first.uid() && still.spec == first.spec,
            "it was changed"
        );
        ensure!(
            still.metadata.deletion_timestamp.is_none(),
            "it is being deleted"
        );
        ensure!(
            scene.api::<Pod>().get("feature-a-0").await?.uid() == pod,
            "the pod"
        );
        let now = scene
            .api::<Secret>()
            .get("feature-a-host-keys")
            .await?
            .uid();
        ensure!(now == keys, "the host keys");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn d6_owners_that_look_alike_stay_two_and_the_end_of_one_leaves_the_other()
-> anyhow::Result<()> {
    with_namespace("d6 owners", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        let servers: Api<DevServer> = scene.api();
        for (name, owner) in [("one", "feature/a"), ("two", "feature_a")] {
            let mut server = sample::devserver(name, &rig.small);
            server.spec.owner = Some(owner.to_owned());
            servers.create(&PostParams::default(), &server).await?;
            devserver_testkit::scene::status(&servers, name, "runs", is_running).await?;
        }
        let label = async |name: &str| {
            let workload = scene.api::<StatefulSet>().get(name).await?;
            let template = workload.spec.and_then(|s| s.template.metadata);
            let label = template.and_then(|m| m.labels?.remove(group::LABEL_USER));
            label.context("no label")
        };
        let (one, two) = (label("one").await?, label("two").await?);
        ensure!(one != two && two == "feature_a", "{one} {two}");
        servers.delete("one", &DeleteParams::background()).await?;
        scene.gone::<StatefulSet>("one").await?;
        ensure!(label("two").await? == two, "the other's");
        let pod = scene.api::<Pod>().get("two-0").await?;
        ensure!(pod.metadata.deletion_timestamp.is_none(), "the other's pod");
        Ok(())
    })
    .await
}
