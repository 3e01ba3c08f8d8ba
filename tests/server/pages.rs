//! The operator's own pages, and how it refuses to start.

use anyhow::ensure;
use devserver_e2e::Rig;
use devserver_testkit::with_namespace;

#[tokio::test]
async fn it_is_healthy_ready_and_counts_what_it_wrote() -> anyhow::Result<()> {
    with_namespace("pages", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        for page in ["/healthz", "/readyz", "/metrics", "/metrics/environments"] {
            let answer = rig.operator.page(page).await?;
            ensure!(answer.starts_with("HTTP/1.1 200"), "{page}: {answer}");
        }
        let metrics = rig.operator.page("/metrics").await?;
        ensure!(
            metrics.trim_end().ends_with("# EOF"),
            "not OpenMetrics: {metrics}"
        );
        ensure!(
            metrics.contains("devserver_"),
            "no metric of ours: {metrics}"
        );
        // A label with a user's word in it would grow without bound.
        ensure!(
            !metrics.contains(scene.namespace()),
            "a namespace is a label: {metrics}"
        );
        ensure!(
            !metrics.contains("workbench"),
            "a name is a label: {metrics}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn secrets_are_not_in_its_log() -> anyhow::Result<()> {
    with_namespace("log without secrets", async |scene| {
        let rig = Rig::new(scene.clone()).await?;
        rig.running().await?;
        rig.operator.restart().await?;
        let log = std::fs::read_to_string(rig.operator.log())?;
        ensure!(!log.is_empty(), "it logged nothing");
        for secret in ["PRIVATE KEY", "b3BlbnNzaC1rZXk"] {
            ensure!(!log.contains(secret), "{secret} is in the log");
        }
        for line in log.lines() {
            ensure!(
                serde_json::from_str::<serde_json::Value>(line).is_ok(),
                "not JSON: {line}"
            );
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_platforms_settings_reach_the_objects() -> anyhow::Result<()> {
    with_namespace("platform settings", async |scene| {
        let config = "defaultExpose: ClusterIP\ndefaultImage: docker.io/library/alpine:3\n\
                      motd: Mind the gap\ntoolsDelivery: InitContainer\nuserNamespaces: Disabled\n";
        let rig = Rig::with_config(scene.clone(), config).await?;
        let mut server = rig.sample();
        server.spec.image = None;
        scene.create(&server).await?;
        scene
            .status("workbench", "runs", devserver_e2e::is_running)
            .await?;
        let pod = scene
            .api::<k8s_openapi::api::core::v1::Pod>()
            .get("workbench-0")
            .await?;
        let spec = pod.spec.unwrap_or_default();
        let image = spec.containers.first().and_then(|c| c.image.as_deref());
        ensure!(image == Some("docker.io/library/alpine:3"), "{image:?}");
        ensure!(spec.host_users.is_none(), "a user namespace was asked for");
        ensure!(
            spec.init_containers.is_some_and(|i| i.len() == 1),
            "nobody copies the tools"
        );
        let service = scene
            .api::<k8s_openapi::api::core::v1::Service>()
            .get("workbench-ssh")
            .await?;
        let type_ = service.spec.and_then(|s| s.type_);
        ensure!(type_.as_deref() == Some("ClusterIP"), "{type_:?}");
        Ok(())
    })
    .await
}
