//! Files come and go by every stock client, whole.

use crate::machine::User;

#[tokio::test(flavor = "multi_thread")]
async fn sftp_scp_and_rsync_carry_files_both_ways() -> anyhow::Result<()> {
    let user = User::new("files").await?;
    user.create("box", &[])?;
    let (config, host) = user.ssh_config("box")?;
    let config = config.display().to_string();
    let key = user.key();
    let local = user.file("local");
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    std::fs::write(&local, &bytes)?;
    let local = local.display().to_string();
    let back = |name: &str| user.file(name);

    user.run(
        "scp",
        ["-F", &config, "-i", &key, &local, &format!("{host}:by-scp")],
    )?;
    user.run(
        "scp",
        [
            "-F",
            &config,
            "-i",
            &key,
            &format!("{host}:by-scp"),
            &back("scp").display().to_string(),
        ],
    )?;
    assert!(std::fs::read(back("scp"))? == bytes, "scp changed the file");

    let batch = user.file("batch");
    std::fs::write(
        &batch,
        format!(
            "put {local} by-sftp\nget by-sftp {}\n",
            back("sftp").display()
        ),
    )?;
    user.run(
        "sftp",
        [
            "-F",
            &config,
            "-i",
            &key,
            "-b",
            &batch.display().to_string(),
            &host,
        ],
    )?;
    assert!(
        std::fs::read(back("sftp"))? == bytes,
        "sftp changed the file"
    );

    let shell = format!("ssh -F {config} -i {key}");
    user.run("rsync", ["-e", &shell, &local, &format!("{host}:by-rsync")])?;
    user.run(
        "rsync",
        [
            "-e",
            &shell,
            &format!("{host}:by-rsync"),
            &back("rsync").display().to_string(),
        ],
    )?;
    assert!(
        std::fs::read(back("rsync"))? == bytes,
        "rsync changed the file"
    );

    assert_eq!(
        user.says("box", "stat -c %U by-scp by-sftp by-rsync | sort -u")?,
        "dev"
    );
    user.leave().await;
    Ok(())
}
