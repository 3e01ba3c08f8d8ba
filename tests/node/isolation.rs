//! Root inside is nobody outside, and holds no credentials.

use crate::machine::User;

#[tokio::test(flavor = "multi_thread")]
async fn b1_root_inside_is_an_unprivileged_user_outside_without_a_token() -> anyhow::Result<()> {
    let user = User::new("isolation").await?;
    user.create("box", &[])?;
    let map = user.says("box", "cat /proc/self/uid_map")?;
    let outside: u64 = map
        .split_whitespace()
        .nth(1)
        .and_then(|w| w.parse().ok())
        .unwrap();
    assert!(outside >= 65_536, "root inside is {outside} outside: {map}");
    let token = "ls /var/run/secrets/kubernetes.io 2>/dev/null | wc -l";
    assert_eq!(user.says("box", token)?, "0");
    assert!(
        !user
            .ssh("box", "doas sh -c 'echo x > /proc/sys/kernel/core_pattern'")?
            .status
            .success()
    );
    // Neither the private host keys nor the keys of others can be read without becoming root.
    assert!(
        !user
            .ssh("box", "cat /etc/devserver/host-keys/ssh_host_ed25519_key")?
            .status
            .success()
    );
    user.leave().await;
    Ok(())
}
