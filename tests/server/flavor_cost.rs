//! What a flavor's environments cost, told before somebody chooses.

use anyhow::ensure;
use devserver_api::FlavorCost;
use devserver_testkit::{operator::Settings, with_namespace};
use serde_json::json;

use crate::flavor_rig::{AUTOSCALER, FlavorRig, ROOM, settings};

#[tokio::test]
async fn a_flavor_tells_what_it_costs_and_when_the_forgotten_are_stopped() -> anyhow::Result<()> {
    let _no_autoscaler = AUTOSCALER.read().await;
    with_namespace("flavor cost", async |scene| {
        let folder = tempfile::tempdir()?;
        let config = format!(
            "usage: {{databaseFile: {}, currency: EUR, prices: [{{from: 2020-01-01, cpuMicrosPerCoreHour: 30000, \
             memoryMicrosPerGibHour: 4000, volumeMicrosPerGibMonth: 80000}}]}}\n\
             activity: {{}}\nidle: {{stages: {{warn: 23h, terminate: 24h}}}}",
            folder.path().join("ledger.db").display()
        );
        let settings = Settings {
            config: Some(config),
            ..settings(&scene)
        };
        let operator = scene.operator_with(&settings).await?;
        let rig = FlavorRig { scene, operator };
        // With one node of its own, nothing else is told anew.
        rig.node().await?;
        let spec = json!({"resources": {"requests": {"cpu": "1500m", "memory": "2Gi"}}});
        let flavor = rig.flavor("priced", spec).await?;
        let cost = FlavorCost {
            currency: "EUR".to_owned(),
            micros_per_hour: 45_000 + 8_000,
            volume_micros_per_gib_month: 80_000,
        };
        rig.told(&flavor, "its cost", |status| {
            status.cost.as_ref() == Some(&cost)
                && status.idle_termination.as_deref() == Some("24h")
        })
        .await?;
        let spec = json!({"resources": {"requests": {"cpu": "1"}}, "idle": {"stages": {"terminate": "Off"}}});
        rig.change(&flavor, spec).await?;
        rig.told(&flavor, "its cost after a change", |status| {
            let hour = status.cost.as_ref().map(|cost| cost.micros_per_hour);
            hour == Some(30_000 + 8_000) && status.idle_termination.is_none()
        })
        .await?;
        rig.answers(&flavor, ROOM).await?;
        // Before the ledger is read again nobody takes back what was told.
        let before = rig.flavors().get(&flavor).await?.metadata.resource_version;
        rig.operator.restart().await?;
        let later = rig.flavor("later", json!({"resources": {"requests": {"cpu": "2"}}})).await?;
        rig.told(&later, "the cost of another", |status| status.cost.is_some()).await?;
        let after = rig.flavors().get(&flavor).await?.metadata.resource_version;
        ensure!(before == after, "a restart changed the flavor");
        Ok(())
    })
    .await
}
