//! Clusters without image volumes: the tools are copied by an init container. Run with the platform set so.

use k8s_openapi::api::core::v1::Pod;

use crate::machine::User;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the platform installed with toolsDelivery: InitContainer; `make test` does that last"]
async fn tools_copied_by_an_init_container_serve_as_well() -> anyhow::Result<()> {
    let user = User::new("fallback").await?;
    user.create("box", &[])?;
    let pod = user.api::<Pod>().get("box-0").await?;
    let spec = pod.spec.unwrap();
    assert_eq!(
        spec.init_containers.unwrap_or_default().len(),
        1,
        "the platform is not set to InitContainer"
    );
    assert!(
        spec.volumes
            .unwrap_or_default()
            .iter()
            .all(|volume| volume.image.is_none())
    );
    assert_eq!(user.says("box", "id -u; doas id -u")?, "1000\n0");
    user.leave().await;
    Ok(())
}
