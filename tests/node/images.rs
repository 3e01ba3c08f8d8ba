//! Images that know nothing of us, and images that do not exist.

use crate::machine::User;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_with_nothing_but_busybox_becomes_a_machine() -> anyhow::Result<()> {
    let user = User::new("busybox").await?;
    user.create("box", &["--image", "docker.io/devserver/busybox:lab"])?;
    assert_eq!(
        user.says("box", "id -un; id -u; pwd")?,
        "dev\n1000\n/home/dev"
    );
    assert_eq!(user.says("box", "doas id -u")?, "0");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_fails_with_the_reason_and_without_waiting()
-> anyhow::Result<()> {
    let user = User::new("noimage").await?;
    let started = std::time::Instant::now();
    let key = user.key() + ".pub";
    let output = user.devctl([
        "create",
        "box",
        "--flavor",
        "node-test",
        "--image",
        "registry.invalid/no/such:image",
        "--ssh-public-key-file",
        &key,
        "--wait",
        "--timeout",
        "2m",
    ])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(
        said.contains("registry.invalid/no/such:image") && said.contains("spec.image"),
        "{said}"
    );
    assert!(
        started.elapsed() < std::time::Duration::from_secs(110),
        "it waited for nothing"
    );
    user.leave().await;
    Ok(())
}
