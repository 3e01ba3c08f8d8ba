//! Who gets in, as whom, and who does not.

use devserver_api::DevServer;
use devserver_testkit::wait::{Seen, until};

use crate::machine::{User, succeeded};

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_opens_a_shell_as_dev_and_becomes_root_inside() -> anyhow::Result<()> {
    let user = User::new("login").await?;
    user.create("box", &["--ttl", "1h"])?;
    assert_eq!(
        user.says("box", "id -un; id -u; pwd")?,
        "dev\n1000\n/home/dev"
    );
    assert_eq!(user.says("box", "doas id -u")?, "0");
    // A terminal gets the message of the day, a command does not.
    assert!(!user.says("box", "true")?.contains("Welcome"));
    let seen = user.greeting("box")?;
    assert!(seen.contains("Welcome to box"), "{seen}");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_come_back_and_names_are_completed_by_what_devctl_wrote() -> anyhow::Result<()> {
    let user = User::new("codes").await?;
    user.create("box", &[])?;
    assert_eq!(user.ssh("box", "exit 42")?.status.code(), Some(42));
    assert_eq!(
        user.devctl(["ssh", "nobody", "--", "true"])?.status.code(),
        Some(3)
    );
    // Plain ssh, with the file that devctl wrote and no option that weakens it.
    let (config, host) = user.ssh_config("box")?;
    let text = std::fs::read_to_string(&config)?;
    assert!(text.contains("StrictHostKeyChecking yes"), "{text}");
    let config = config.display().to_string();
    let key = user.key();
    let said = user.run(
        "ssh",
        [
            "-F",
            config.as_str(),
            "-i",
            key.as_str(),
            host.as_str(),
            "id -u",
        ],
    )?;
    assert_eq!(said, "1000");
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_passwords_root_and_a_false_host_are_refused() -> anyhow::Result<()> {
    let user = User::new("refused").await?;
    user.create("box", &[])?;
    let (config, host) = user.ssh_config("box")?;
    let key = user.key();
    // The user's own key stays for the gateway only: it would open the machine beside any other.
    let text = std::fs::read_to_string(&config)?;
    let own = format!("    IdentityFile \"{key}\"\n");
    assert!(text.contains(&own), "{text}");
    std::fs::write(&config, text.replacen(&own, "", 1))?;
    let config = config.display().to_string();
    let stranger = user.file("stranger").display().to_string();
    user.run(
        "ssh-keygen",
        ["-q", "-t", "ed25519", "-N", "", "-f", &stranger],
    )?;
    let attempt = |options: &[&str]| -> anyhow::Result<String> {
        let mut command = std::process::Command::new("ssh");
        command
            .args([
                "-F",
                &config,
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentitiesOnly=yes",
            ])
            .args(options)
            .args([&host, "true"]);
        let output = user.output(&mut command)?;
        assert_eq!(output.status.code(), Some(255), "{options:?} was let in");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(attempt(&["-i", &stranger])?.contains("Permission denied"));
    assert!(attempt(&["-i", &key, "-l", "root"])?.contains("Permission denied"));
    let methods = attempt(&["-o", "PubkeyAuthentication=no"])?;
    assert!(
        methods.contains("(publickey)"),
        "other methods are offered: {methods}"
    );
    // The right address with another server's keys: the client must not go on.
    let false_keys = user.file("false-known-hosts");
    let server: DevServer = user.api().get("box").await?;
    let alias = format!("devserver-{}", server.metadata.uid.unwrap_or_default());
    let public = std::fs::read_to_string(format!("{stranger}.pub"))?;
    std::fs::write(&false_keys, format!("{alias} {public}"))?;
    let known = format!("UserKnownHostsFile={}", false_keys.display());
    let said = attempt(&["-i", &key, "-o", &known])?;
    assert!(
        said.contains("Host key verification failed")
            || said.contains("IDENTIFICATION HAS CHANGED"),
        "{said}"
    );
    user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_port_leads_to_the_same_machine() -> anyhow::Result<()> {
    let user = User::new("nodeport").await?;
    user.create("box", &["--expose", "NodePort"])?;
    let server: DevServer = user.api().get("box").await?;
    let ssh = server.status.and_then(|s| s.ssh).unwrap();
    let known = user.file("known");
    let lines: Vec<String> = ssh
        .host_keys
        .iter()
        .map(|key| format!("box {key}\n"))
        .collect();
    std::fs::write(&known, lines.concat())?;
    let config = user.file("node-port-config");
    let text = format!(
        "HostName {}\nPort {}\nUser dev\nIdentityFile {}\nUserKnownHostsFile {}\nHostKeyAlias box\n\
         StrictHostKeyChecking yes\nIdentitiesOnly yes\nConnectTimeout 5\n",
        node_address(&user).await?,
        ssh.node_port.unwrap(),
        user.key(),
        known.display(),
    );
    std::fs::write(&config, text)?;
    // kube-proxy learns of a ready pod a moment after everybody else, and connections break while it does.
    until(
        "the node port answers",
        std::time::Duration::from_secs(30),
        async || {
            let mut command = std::process::Command::new("ssh");
            let output = user.output(
                command
                    .arg("-F")
                    .arg(&config)
                    .args(["node-port", "hostname"]),
            )?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let right = output.status.success() && said.trim() == "box-0";
            Ok(Seen::when(
                right,
                said + &String::from_utf8_lossy(&output.stderr),
            ))
        },
    )
    .await?;
    user.leave().await;
    Ok(())
}

pub async fn node_address(user: &User) -> anyhow::Result<String> {
    let nodes: kube::Api<k8s_openapi::api::core::v1::Node> = kube::Api::all(user.client.clone());
    let node = nodes
        .list(&kube::api::ListParams::default())
        .await?
        .items
        .remove(0);
    Ok(node
        .status
        .and_then(|s| s.addresses)
        .unwrap_or_default()
        .remove(0)
        .address)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_counts_without_a_restart() -> anyhow::Result<()> {
    let user = User::new("keys").await?;
    user.create("box", &[])?;
    let before = user.says(
        "box",
        "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1",
    )?;
    let second = user.file("second").display().to_string();
    user.run(
        "ssh-keygen",
        ["-q", "-t", "ed25519", "-N", "", "-f", &second],
    )?;
    let public = std::fs::read_to_string(format!("{second}.pub"))?;
    let patch = serde_json::json!({"spec": {"ssh": {"publicKeys": [public.trim()]}}});
    let servers: kube::Api<DevServer> = user.api();
    servers
        .patch(
            "box",
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(&patch),
        )
        .await?;
    // The kubelet brings a changed Secret into the pod within about a minute and a half.
    until(
        "the second key counts",
        std::time::Duration::from_mins(3),
        async || {
            let output = user.devctl([
                "ssh",
                "box",
                "-i",
                &second,
                "-o",
                "IdentitiesOnly=yes",
                "--",
                "true",
            ])?;
            Ok(Seen::when(
                output.status.success(),
                String::from_utf8_lossy(&output.stderr),
            ))
        },
    )
    .await?;
    assert_eq!(
        user.says(
            "box",
            "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1"
        )?,
        before,
        "it was restarted"
    );
    succeeded(&user.devctl(["describe", "box"])?)?;
    user.leave().await;
    Ok(())
}
